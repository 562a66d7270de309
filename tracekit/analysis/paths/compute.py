"""``tk.paths``: the shapes of traces, how frequent and how slow each is, and how that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.latency import latency
from tracekit.analysis.paths.result import Paths
from tracekit.analysis.paths.shapes import Shapes, shapes
from tracekit.analysis.what_differs.selection import Side
from tracekit.analysis.what_differs.shares import counted, shares
from tracekit.arguments import check_traces
from tracekit.grouping import columns_of
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery
from tracekit.weights.comparability import comparability, shared_count

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_ENDPOINT: Final = ("service_name", "operation")
_RANK: Final = {"new": 0, "gone": 0, "more": 1, "fewer": 1}
_NAMED: Final = 4  # operations that ``differs_by`` lists of each kind


def paths(
    traces: TraceSet,
    baseline: TraceSet | None = None,
    *,
    fold_retries: bool = False,
    min_traces: int = 5,
    confidence: float = 0.95,
    fdr: float = 0.05,
) -> Paths:
    """Return the shapes of traces: which call paths they have, how often, and how slow they are.

    Parameters
    ----------
    traces
        The traces; not modified.
    baseline
        Traces to compare with.
    fold_retries
        Whether failed calls that the caller repeated, and all below them, are left out.
    min_traces
        Traces on both sides together that a shape needs for a verdict.
    confidence
        Confidence level of the intervals.
    fdr
        False discovery rate at which a change of a frequency is significant.

    Returns
    -------
    Paths
        ``.table``, ``.of_traces``, ``.entropy_bits``, ``.tree(shape)``.

    Raises
    ------
    ValueError
        A rate outside 0 and 1.

    Notes
    -----
    The shape of a trace is the set of its call paths, each the services and operations from the root down, so repeated
    calls, their order and their durations make no difference; a missing or additional kind of call does.  Ids are
    hashes of the names and the same in every recording.  Traces with missing spans have shapes of their own.

    Frequencies are weighted, with exact limits by weight class, changes combined by MOVER as in ``what_differs``.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> found = tk.paths(during, before)
    >>> found.table[["endpoint", "verdict"]].iloc[0].tolist()
    ['storefront POST /checkout', 'no significant change']
    """
    for side in (traces,) if baseline is None else (traces, baseline):
        check_traces(side, "paths")
    normal_quantile(confidence)
    if not 0 < fdr < 1:
        raise ValueError(f"expected a false discovery rate between 0 and 1, such as 0.05, found {fdr}")
    sets = [traces] if baseline is None else [traces, baseline]
    seen = [shapes(side, fold_retries=fold_retries) for side in sets]
    codes, distinct = pd.factorize(np.concatenate([each.shape for each in seen]))
    shape = np.split(codes, np.cumsum([len(side) for side in sets])[:-1])
    ids = np.array([f"{number:016x}" for number in np.asarray(distinct).tolist()], object)
    of_traces = pd.Series(ids[shape[0]], index=pd.Index(traces.trace_ids, name="trace_id"), name="shape", dtype=object)
    table = pd.DataFrame({"shape": ids})
    table = table.join(_about(sets, seen, shape, len(ids)))
    table = pd.concat([table, _frequencies(sets, shape, len(ids), min_traces, confidence, fdr)], axis=1)
    table = table.merge(_latencies(traces, of_traces), on="shape", how="left")
    table["typical_trace_id"] = _typical(traces, seen[0], shape[0], len(ids))
    rank = table["verdict"].map(_RANK).fillna(len(_RANK)) if baseline is not None else np.zeros(len(table))
    order = np.lexsort((-table["frequency_ratio"].fillna(0).to_numpy(), rank))
    statement = traces.weights.statement if baseline is None else comparability(baseline, traces).statement
    bits = [_entropy(side, own, len(ids)) for side, own in zip(sets, shape, strict=True)]
    return Paths(
        table.iloc[order].reset_index(drop=True), of_traces, bits[0], None if baseline is None else bits[1], statement,
        tuple(len(side) for side in sets), 0 if baseline is None else shared_count(traces, baseline),
        traces, baseline, seen,
    )  # fmt: skip


def _about(sets: list[TraceSet], seen: list[Shapes], shape: list[Array], count: int) -> pd.DataFrame:
    """Return the endpoint of each shape, its number of call paths, and what it has beside the usual one."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    operations: list[set[str]] = [set() for _ in range(count)]
    often = np.zeros(count, np.int64)
    for traces, each, own in zip(sets, seen, shape, strict=True):
        often += np.bincount(own, minlength=count)
        first = np.full(count, -1)
        first[own[::-1]] = np.arange(len(own))[::-1]
        code, names = _operations(traces)
        root = names[code[traces.forest.root_row]]
        edges = np.searchsorted(traces.forest.trace[each.rows], np.arange(len(traces) + 1))
        for at in np.flatnonzero(first >= 0).tolist():
            if rows[at]:
                continue
            one = first[at]
            operations[at] = set(names[np.unique(code[each.rows[edges[one] : edges[one + 1]]])])
            rows[at] = {"endpoint": root[one], "call_path_count": int(each.path_count[one])}
    frame = pd.DataFrame(rows, columns=["endpoint", "call_path_count"])
    usual: dict[str, set[str]] = {}
    endpoints = frame["endpoint"].tolist()
    for at in np.argsort(-often, kind="stable").tolist():
        usual.setdefault(endpoints[at], operations[at])
    differs = [_difference(own, usual[name]) for own, name in zip(operations, endpoints, strict=True)]
    frame.insert(1, "differs_by", differs)
    return frame


def _operations(traces: TraceSet) -> tuple[Array, Array]:
    """Return the code of service and operation of each span, and the texts of all codes."""
    service, operation = columns_of(traces, _ENDPOINT).values()
    code, distinct = pd.factorize(service.codes * np.int64(len(operation.labels) + 1) + operation.codes)
    pairs = divmod(np.asarray(distinct) + 1, len(operation.labels) + 1)  # from 0 for a missing operation
    services, operations = [*service.labels, None], [None, *operation.labels]
    texts = [_named(services[k], operations[m]) for k, m in zip(*(part.tolist() for part in pairs), strict=True)]
    return code, np.array(texts, object)


def _named(*parts: object) -> str:
    """Return service and operation as text."""
    return " ".join(str(part) for part in parts if isinstance(part, str))


def _difference(own: set[str], usual: set[str]) -> str:
    """Return the operations that one set has and the other has not."""
    parts = []
    for sign, names in (("+", sorted(own - usual)), ("-", sorted(usual - own))):
        parts += [f"{sign} {name}" for name in names[:_NAMED]]
        parts += [f"{sign} {len(names) - _NAMED} more"] * (len(names) > _NAMED)
    return ", ".join(parts)


def _frequencies(
    sets: list[TraceSet], shape: list[Array], count: int, min_traces: int, confidence: float, fdr: float
) -> pd.DataFrame:
    """Return how frequent each shape is, and how that changed."""
    inside = [
        counted(Side(side, np.ones(len(side), bool), ""), own, np.arange(len(own)), count)
        for side, own in zip(sets, shape, strict=True)
    ]
    ratio = inside[0].share(confidence)
    columns = {"trace_count": inside[0].trace_count, "frequency_ratio": ratio.value}
    columns |= {"frequency_low_ratio": ratio.low, "frequency_high_ratio": ratio.high}
    if len(sets) == 1:
        return pd.DataFrame(columns)
    found = shares(inside[0], inside[1], confidence=confidence)
    is_comparable = comparability(sets[1], sets[0]).is_comparable and all(len(side) for side in sets)
    total = inside[0].trace_count + inside[1].trace_count
    p_value = np.where((total >= min_traces) & is_comparable, found.p_value, np.nan)
    q_value = false_discovery(p_value)
    change = np.asarray(found.difference.value)
    verdict = np.full(count, "no significant change", object)
    verdict[total < min_traces] = "too few"
    sure = q_value <= fdr
    verdict[sure] = np.where(change[sure] > 0, "more", "fewer")
    verdict[sure & (inside[1].trace_count == 0)] = "new"
    verdict[sure & (inside[0].trace_count == 0)] = "gone"
    verdict[:] = verdict if is_comparable else "not comparable"
    columns |= {
        "baseline_trace_count": inside[1].trace_count,
        "baseline_frequency_ratio": found.baseline,
        "change_ratio": change,
        "change_low_ratio": found.difference.low,
        "change_high_ratio": found.difference.high,
        "q_value": q_value,
        "verdict": verdict,
    }
    return pd.DataFrame(columns)


def _latencies(traces: TraceSet, of_traces: pd.Series) -> pd.DataFrame:
    """Return error rate and percentiles of the requests of each shape."""
    columns = ["shape", "error_ratio", "p50_ns", "p95_ns"]
    if not len(traces):
        return pd.DataFrame(columns=columns)
    return latency(traces, by=of_traces, roots=True).table[columns]


def _typical(traces: TraceSet, seen: Shapes, shape: Array, count: int) -> list[str | None]:
    """Return for each shape the trace whose durations are nearest to the medians of its call paths, on a log scale."""
    timed = traces.has_duration[seen.rows]
    rows = seen.rows[timed]
    trace = traces.forest.trace[rows]
    took = pd.Series(np.log(traces.duration_ns[rows] + 1.0))
    group = [shape[trace], seen.path[timed]]
    away = np.abs(took - took.groupby(group).transform("median"))
    distance = np.bincount(trace, away, minlength=len(traces)) / np.maximum(
        np.bincount(trace, minlength=len(traces)), 1
    )
    order = np.lexsort((distance, shape))
    first = np.flatnonzero(np.diff(shape[order], prepend=-1))
    found: list[str | None] = [None] * count
    for at in order[first].tolist():
        found[shape[at]] = traces.trace_ids[at]
    return found


def _entropy(traces: TraceSet, shape: Array, count: int) -> float:
    """Return the entropy of the weighted frequencies of shapes, in bits."""
    weight = np.bincount(shape, traces.weights.value, minlength=count)
    share = weight[weight > 0] / (weight.sum() or 1.0)
    return float(-(share * np.log2(share)).sum()) + 0.0
