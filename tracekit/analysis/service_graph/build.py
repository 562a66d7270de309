"""The service graph: calls between services, with counts, latency and error rates.

``calls`` finds the calls and ``tables`` sums them; this module builds the result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.latency import error_columns, quantile_columns
from tracekit.analysis.partials import check_names, over_parts
from tracekit.analysis.service_graph.tables import CALL_KEYS, PEER_KEYS, merged, tabulate
from tracekit.arguments import check_traces
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import effective_clusters
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx

    from tracekit.analysis.partials import Part
    from tracekit.analysis.service_graph.tables import Tables
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

    _Keys = dict[str, Array]
    _Names = dict[tuple[str, ...], str]

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_QUANTILES = [f"{name}{end}_ns" for name in SHARES for end in ("", "_low", "_high")]
_SERVICE_COLUMNS = [
    "service_name", "is_inferred", "peer_type", "request_count", "unfinished_count", "error_count", "error_ratio",
    "error_ratio_low", "error_ratio_high", *_QUANTILES, "self_time_ns", "span_count", "trace_count", "entry_count",
]  # fmt: skip
_CALL_COLUMNS = [
    "caller_service", "callee_service", "call_type", "peer_type", "call_count", "unfinished_count", "error_count",
    "error_ratio", "error_ratio_low", "error_ratio_high", *_QUANTILES, "paired_count", "is_inferred", "trace_count",
]  # fmt: skip


@dataclass(frozen=True, repr=False)
class ServiceGraph(Weighted, Shown):
    """Services and the calls between them.

    Parameters
    ----------
    services
        One row per service or inferred peer, most requests first: ``service_name``; ``is_inferred``: an uninstrumented
        dependency, known only from its callers' spans; ``peer_type`` of an inferred one (http, rpc, db, messaging, aws,
        faas, other), else empty; weighted: ``request_count`` (incoming calls and roots), ``unfinished_count`` of them
        (no outcome), ``error_count``, ``error_ratio``, ``p50_ns``, ``p95_ns``, ``p99_ns`` of the requests as recorded
        by the service (by its callers if it is inferred); the interval ends ``error_ratio_low``, ``error_ratio_high``,
        ``p50_low_ns``, ``p50_high_ns`` and so on, as in ``Latency``, NaN where a bound is not estimable;
        ``self_time_ns`` (sum, missing for an inferred one); recorded: ``span_count``, ``trace_count``; weighted
        ``entry_count``: requests without a recorded call.
    calls
        One row per caller, callee and type, most calls first: ``caller_service``, ``callee_service``, ``call_type``
        (call or message), ``peer_type`` (the most frequent); weighted: ``call_count``, ``unfinished_count`` of them,
        ``error_count`` (either side failed), ``error_ratio``, ``p50_ns``, ``p95_ns``, ``p99_ns`` as recorded by the
        caller, with intervals as above; ``paired_count`` (both sides recorded); ``is_inferred`` of the callee;
        ``trace_count`` (recorded).
    unnamed_count
        Weighted number of client spans without a server span and without a peer name: not in ``calls``.
    statement
        What the weighted figures describe: the source of the weights, or that they are unknown.
    recorded_services
        All services of the recording, which views give their colours: those of a subset are the same.

    Examples
    --------
    >>> tk.service_graph(shop)
    ServiceGraph(3 services, 1 inferred, 3 edges, 13 calls; sampling weights unknown)
    """

    services: pd.DataFrame
    calls: pd.DataFrame
    unnamed_count: float
    statement: str = ""
    recorded_services: tuple[str, ...] = ()

    def to_networkx(self) -> nx.DiGraph:
        """Return the graph with the columns of both frames as attributes of nodes and edges.

        Returns
        -------
        networkx.DiGraph
            A pair with both calls and messages is one edge: counts are summed, ``call_type`` is ``"call, message"``,
            latencies are those of the calls, and the error ratio has no interval.

        Examples
        --------
        >>> tk.service_graph(shop).to_networkx().edges["shop", "ledger"]["call_count"]
        5.0
        """
        import networkx as nx  # noqa: PLC0415 - slow to import, and needed only here

        graph = nx.DiGraph()
        graph.add_nodes_from((row.pop("service_name"), row) for row in _records(self.services))
        for row in _records(self.calls.sort_values("call_type", kind="stable")):
            ends = row.pop("caller_service"), row.pop("callee_service")
            graph.add_edge(*ends, **(_both(graph.edges[ends], row) if graph.has_edge(*ends) else row))
        return graph

    def _line(self) -> str:
        """Return the counts in one line."""
        inferred = int(self.services["is_inferred"].sum())
        count = self.calls["call_count"].sum()
        unnamed = f", {self.unnamed_count:,.6g} calls to unknown peers" * bool(self.unnamed_count)
        return (
            f"ServiceGraph({len(self.services) - inferred:,} services, {inferred:,} inferred, "
            f"{len(self.calls):,} edges, {count:,.6g} calls{unnamed})"
        )

    def _repr_html_(self) -> str:
        tables = (as_html(table.head(10)) for table in (self.services, self.calls))
        return f"{self.heading()}{''.join(tables)}"


def service_graph(
    traces: TraceSet | Parts, by: By = "service_name", *, confidence: float = 0.95, on: On = None
) -> ServiceGraph:
    """Return the service graph: services and the calls between them.

    Parameters
    ----------
    traces
        The traces; not modified.  A store is read part by part.
    by
        What a service is: another name groups spans into the services of the graph, such as ``["service_name",
        "service_version"]`` (in ``service_name``, with a space between them) or ``resource.cloud.region``; spans
        without a value are ``(none)``.  Columns of ``spans``, attribute keys, ``resource.<key>``, ``request.<name>`` or
        an aligned Series, see ``tracekit.grouping``.
    confidence
        Confidence level of the intervals.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    ServiceGraph
        ``.services``, ``.calls``, ``.to_networkx()``, ``.statement``.

    Notes
    -----
    A client span and its server span are one call, with the client's duration, or the server's if the client has none.
    ``calls.find_calls`` documents what counts as a call. For every service ``request_count`` = ``entry_count`` + its
    incoming calls in ``calls`` (all except client spans without a server span and calls found by links). Calls without
    a usable duration are counted, but not in percentiles. Calls and requests without an end are counted, but not in
    error counts and ratios.

    Examples
    --------
    >>> graph = tk.service_graph(shop)
    >>> graph
    ServiceGraph(3 services, 1 inferred, 3 edges, 13 calls; sampling weights unknown)
    >>> graph.calls[["caller_service", "callee_service", "call_count", "error_ratio"]].to_numpy().tolist()
    [['shop', 'cart', 5.0, 0.0], ['shop', 'ledger', 5.0, 0.4], ['ledger', 'postgresql', 3.0, 0.0]]
    """
    check_traces(traces, "service_graph")
    check_names(traces, by)
    return graph_of(calls_of(traces, by, on), confidence=confidence)


def calls_of(traces: TraceSet | Parts, by: By = "service_name", on: On = None) -> Part[Tables]:
    """Return what a service graph is made of, at any confidence level."""
    return over_parts(traces, partial(tabulate, by=by), merged, on=on)


def graph_of(part: Part[Tables], *, confidence: float = 0.95) -> ServiceGraph:
    """Return the service graph of such tables."""
    found = summarise([part.state], confidence=confidence, statement=part.weights.statement)
    return replace(found, recorded_services=part.services)


def summarise(tables: Sequence[Tables], *, confidence: float = 0.95, statement: str = "") -> ServiceGraph:
    """Return the service graph of one or more blocks."""
    services = Aggregate.concatenate([table.services for table in tables]).by(["service_name"])
    services = services.where(services.sums["span_count"] > 0)
    requests = Aggregate.concatenate([table.requests for table in tables]).by(["service_name", WEIGHT_CLASS])
    calls = Aggregate.concatenate([table.calls for table in tables])
    edges = Aggregate.concatenate([table.edges for table in tables]).by([*CALL_KEYS, WEIGHT_CLASS])
    peers = Aggregate.concatenate([table.peers for table in tables]).by([*PEER_KEYS, WEIGHT_CLASS])
    known = set(services.keys["service_name"])
    peers = peers.where(_is_inferred(peers.keys, known))
    shown = _shown_names(peers.by(PEER_KEYS).keys, known)
    unheard = calls.where(~calls.keys["is_answered"].astype(bool))
    nodes = _arrivals(services, requests, confidence) | {"peer_type": np.full(len(services), "", object)}
    return ServiceGraph(
        _service_rows(nodes, _outcomes(peers, PEER_KEYS, confidence), shown, _commonest(unheard, PEER_KEYS)),
        _call_rows(edges, calls, known, shown, confidence),
        float(sum(table.unnamed_count for table in tables)),
        statement,
    )


def _arrivals(services: Aggregate, requests: Aggregate, confidence: float) -> _Keys:
    """Return services with the figures of their requests; some have none."""
    names = pd.Index(services.keys["service_name"], dtype=object)
    owner = names.get_indexer(pd.Index(requests.keys["service_name"], dtype=object))
    arrived = requests.where(owner >= 0)
    return services.keys | _numbers(arrived, owner[owner >= 0], len(names), confidence) | services.sums


def _outcomes(fine: Aggregate, columns: Sequence[str], confidence: float) -> _Keys:
    """Return groups by key columns with their figures, from a table that is also by weight class."""
    owner, keys = fine.groups(columns)
    return keys | _numbers(fine, owner, len(keys[columns[0]]), confidence)


def _numbers(fine: Aggregate, owner: Array, groups: int, confidence: float) -> _Keys:
    """Return counts, the error ratio and percentiles with their intervals."""
    total = {name: np.bincount(owner, values, groups) for name, values in fine.sums.items()}
    timed = {"trial_sum": fine.sums["timed_sum"], "trial_square": fine.sums["timed_square"]}
    n = effective_clusters(timed)
    counts = {"count": total["trial_sum"], "error_count": total["ended_event_sum"]}
    counts |= {"unfinished_count": total["trial_sum"] - total["ended_trial_sum"]}
    counts |= {"trace_count": total["cluster_count"].astype(np.int64)}
    outcomes = {name.removeprefix("ended_"): values for name, values in fine.sums.items() if name.startswith("ended_")}
    ratio = error_columns(outcomes, owner, groups, confidence=confidence)
    return counts | ratio | quantile_columns(fine.histogram, owner, n, groups, confidence=confidence, shares=SHARES)


def _service_rows(nodes: _Keys, others: _Keys, shown: _Names, peer_type: _Names) -> pd.DataFrame:
    """Return services and inferred peers as rows of ``services``."""
    unheard = len(others["count"])
    nodes |= {"request_count": nodes["count"], "is_inferred": np.zeros(len(nodes["count"]), bool)}
    others |= {"request_count": others["count"], "is_inferred": np.ones(unheard, bool)}
    others |= {"service_name": _look_up(shown, others, PEER_KEYS), "peer_type": _look_up(peer_type, others, PEER_KEYS)}
    others |= {"self_time_ns": np.full(unheard, np.nan), "entry_count": np.zeros(unheard)}
    others |= {"span_count": np.zeros(unheard, np.int64)}
    return _frame({name: np.concatenate([nodes[name], others[name]]) for name in _SERVICE_COLUMNS}, "request_count")


def _call_rows(edges: Aggregate, calls: Aggregate, known: set[str], shown: _Names, confidence: float) -> pd.DataFrame:
    """Return the edges as rows of ``calls``."""
    rows = _outcomes(edges, CALL_KEYS, confidence)
    inferred = _is_inferred(rows, known)
    rows |= {
        "callee_service": np.where(inferred, _look_up(shown, rows, PEER_KEYS), rows["callee_service"]),
        "peer_type": _look_up(_commonest(calls, CALL_KEYS), rows, CALL_KEYS),
        "call_count": rows["count"],
        "paired_count": calls.by(CALL_KEYS).sums["paired_count"],
        "is_inferred": inferred,
    }
    return _frame({name: rows[name] for name in _CALL_COLUMNS}, "call_count")


def _is_inferred(callees: _Keys, known: set[str]) -> Array:
    """Return which callees sent no spans: databases, queues and names that no service has."""
    pairs = zip(callees["callee_service"], callees["callee_type"], strict=True)
    return np.array([sort != "service" or name not in known for name, sort in pairs], bool)


def _shown_names(inferred: _Keys, known: set[str]) -> _Names:
    """Return the name of each inferred node; a database or queue with the name of a service gets its type appended."""
    nodes = _tuples(inferred, PEER_KEYS)
    times = Counter(name for name, _ in nodes)
    taken = {(name, sort) for name, sort in nodes if sort != "service" and (name in known or times[name] > 1)}
    return {node: f"{node[0]} ({node[1]})" if node in taken else node[0] for node in nodes}


def _commonest(calls: Aggregate, keys: Sequence[str]) -> _Names:
    """Return the peer type with the most calls by these keys."""
    total = Aggregate(calls.keys, {"count": calls.sums["call_count"]}, Histogram.empty()).by([*keys, "peer_type"])
    types, ends = total.keys["peer_type"], _tuples(total.keys, keys)
    order = np.argsort(total.sums["count"], kind="stable").tolist()
    return {ends[row]: types[row] for row in order if types[row] is not None}  # the last, most frequent one remains


def _tuples(keys: _Keys, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the keys of each group."""
    return list(zip(*(keys[column] for column in columns), strict=True))


def _look_up(values: _Names, keys: _Keys, columns: Sequence[str]) -> Array:
    """Return the value for the keys of each group, empty text if there is none."""
    return np.array([values.get(key, "") for key in _tuples(keys, columns)], object)


def _frame(columns: _Keys, count: str) -> pd.DataFrame:
    """Return the frame with the largest counts first, equal counts by name."""
    order = np.argsort(-columns[count], kind="stable")
    return pd.DataFrame({name: values[order] for name, values in columns.items()})


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dicts."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return a call and a message between the same services as one edge, with the latencies of the call."""
    counts = {
        name: first[name] + second[name] for name in ("call_count", "unfinished_count", "error_count", "paired_count")
    }
    outcomes = [row for row in (first, second) if not np.isnan(row["error_ratio"])]
    total = sum(row["call_count"] for row in outcomes)
    ratio = sum(row["error_ratio"] * row["call_count"] for row in outcomes) / total if outcomes else np.nan
    limits = {"error_ratio_low": np.nan, "error_ratio_high": np.nan}
    return {
        **first,
        **counts,
        "error_ratio": ratio,
        **limits,
        "call_type": f"{first['call_type']}, {second['call_type']}",
    }
