"""The critical paths of many requests, and what can be asked of them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit import frames
from tracekit.analysis.critical_path_kernel import segments, walk
from tracekit.analysis.path_issues import issues_of
from tracekit.analysis.path_keys import MISSING, NO_SPAN
from tracekit.analysis.path_shares import BANDS, Bands, bands, shares
from tracekit.analysis.path_tree import PathTree, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.analysis.critical_path_kernel import Walk
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_BLOCK = 65_536  # spans; the arrays of a block stay in the second-level cache


@dataclass(frozen=True, repr=False, eq=False)
class CriticalPath:
    """The critical path of every request.

    Parameters
    ----------
    source
        The traces that it was walked on.
    tree
        Their spans and what was put in for those that are missing; see ``path_tree.PathTree``.
    own_ns
        int64, one a node: own time on the path, 0 off it.
    total_ns
        int64, one a node: time on the path of the node and all below it, 0 off it.
    on_path
        bool, one a node.
    is_touching
        Whether a sibling that ends at the very instant another begins was waited for.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> shop = TraceSet.from_spans(
    ...     pd.DataFrame(
    ...         {
    ...             "trace_id": "a1",
    ...             "span_id": ["1", "2", "3"],
    ...             "parent_span_id": [None, "1", "1"],
    ...             "service_name": ["shop", "cart", "ledger"],
    ...             "name": ["POST /pay", "lock", "charge"],
    ...             "start_ns": [0, 10, 30],
    ...             "end_ns": [100, 40, 90],
    ...         }
    ...     )
    ... )
    >>> from tracekit.analysis.critical_path import critical_path
    >>> critical_path(shop)
    CriticalPath(1 requests, 100 ns, 2 of 3 spans on the path)
    """

    source: TraceSet
    tree: PathTree
    own_ns: Array
    total_ns: Array
    on_path: Array
    is_touching: bool = True

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span, in the rows of ``traces.spans``, then the nodes put in for missing ones.

        ``trace_id``, ``span_id``, ``service_name``, ``operation``, ``path_time_ns`` (own time; sums to the latency),
        ``path_total_ns`` (with all below it), ``on_path``, ``waiting`` (why nobody waits for it: see ``Waiting``).
        """
        count, extra = self.tree.span_count, len(self.tree) - self.tree.span_count
        missing = np.where(self.tree.is_virtual, NO_SPAN, MISSING)
        columns = self.source.spans[["trace_id", "span_id", "service_name", "operation"]]
        if extra:
            names = frames.hexes(self.tree.behind_id)
            names[self.tree.behind_id == 0] = ""
            behind = {
                "trace_id": np.array(self.source.trace_ids, object)[self.tree.trace[count:]],
                "span_id": names,
                "service_name": missing,
                "operation": missing,
            }
            columns = pd.concat([columns.astype(object), pd.DataFrame(behind)], ignore_index=True)
            columns = columns.astype({"service_name": "category", "operation": "category"})
        whole = columns.assign(
            path_time_ns=self.own_ns,
            path_total_ns=self.total_ns,
            on_path=self.on_path,
            waiting=pd.Categorical.from_codes(self.tree.waiting, pd.Index([reason.name.lower() for reason in Waiting])),
        )
        whole.index.name = "span_row"
        return whole

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row a stretch of own time, by (request, start): ``request``, ``span_row``, ``start_ns``, ``end_ns``.

        The stretches of a request follow each other without a gap from its start to its end.
        """
        parts = [tuple(nodes[part] if at == 0 else part for at, part in enumerate(segments(rows)))
                 for nodes, rows in walks(self.source, self.tree, touching=self.is_touching)]  # fmt: skip
        span, low, high = (
            np.concatenate([part[at] for part in parts]) if parts else np.zeros(0, np.int64) for at in range(3)
        )
        request = self.request[span]
        order = np.lexsort((low, request))
        table = {"request": request[order], "span_row": span[order], "start_ns": low[order], "end_ns": high[order]}
        return pd.DataFrame(table)

    @cached_property
    def request(self) -> Array:
        """int64, one a node: the row in ``traces`` of the request whose tree it is in, -1 outside all of them."""
        root, trace = self.tree.root, self.tree.trace
        if np.array_equal(trace[root], np.arange(len(self.source))):  # one a trace
            return np.where(self.on_path, trace, -1)
        found = np.full(len(self.tree), -1, np.int64)
        found[root] = np.arange(len(root))
        up = self.tree.parent.astype(np.int64)
        rows = np.flatnonzero(self.on_path & (up >= 0))
        while len(rows):
            above = up[rows]
            there, beyond = found[above], up[above]
            found[rows] = there
            up[rows] = beyond
            rows = rows[(there < 0) & (beyond >= 0)]
        return np.where(self.on_path, found, -1)

    @property
    def latency_ns(self) -> Array:
        """int64, one a request: how long its root took."""
        return np.asarray(self.tree.end[self.tree.root] - self.tree.start[self.tree.root])

    @property
    def weight(self) -> Array:
        """float64, one a request: the weight of its trace."""
        return np.asarray(self.source.weights.value[self.tree.trace[self.tree.root]])

    @property
    def is_partial(self) -> Array:
        """bool, one a request: spans of its trace name parents that are not there, or nobody recorded its root."""
        root, trace = self.tree.root, self.tree.trace[self.tree.root]
        return np.asarray(
            (self.tree.orphan_count[trace] > 0) | (self.tree.root_count[trace] == 0) | (root >= self.tree.span_count)
        )

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row a request, by (trace, start): one a trace unless the scope says otherwise.

        ``trace_id``, ``root_row`` (of ``spans``), ``root_service_name``, ``root_operation``, ``start_ns``,
        ``latency_ns``, ``is_partial``, ``orphan_count``, ``root_count`` (of its trace), ``weight``.
        """
        root, trace = self.tree.root, self.tree.trace[self.tree.root]
        heads = self.spans.loc[root, ["trace_id", "service_name", "operation"]].reset_index(drop=True)
        return pd.DataFrame(
            {
                "trace_id": heads["trace_id"],
                "root_row": root,
                "root_service_name": heads["service_name"],
                "root_operation": heads["operation"],
                "start_ns": self.tree.start[root],
                "latency_ns": self.latency_ns,
                "is_partial": self.is_partial,
                "orphan_count": self.tree.orphan_count[trace],
                "root_count": self.tree.root_count[trace],
                "weight": self.weight,
            }
        )

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row a kind of thing that could mislead; see ``path_issues.issues_of``."""
        return issues_of(self.source, self.tree)

    def by(self, keys: str | Sequence[str] = "service_name", *, level: float = 0.95) -> pd.DataFrame:
        """Return the own time on the path by service, operation, call path or any attribute.

        Parameters
        ----------
        keys
            One or several of the category columns of ``spans`` (``service_name``, ``operation``, ``host_name``,
            ``service_version``, ...), attribute keys, ``trace_id``, ``caller_service`` or ``call_path``.
        level
            Confidence level of the limits.

        Returns
        -------
        pandas.DataFrame
            The keys; ``path_time_ns``, the sum in hand, an integer: the column adds up to the sum of the latencies;
            with weights: ``share_ratio`` of all latency, ``presence_ratio`` of requests that wait for it, ``mean_ns``
            over all requests with ``mean_low_ns`` and ``mean_high_ns``; ``trace_count`` of requests with it on the path,
            ``partial_count`` of those whose traces are partial; ``typical_trace_id``, closest to the mean, and
            ``largest_trace_id``.  Largest first.

        Raises
        ------
        ValueError
            A key that no span has.

        Notes
        -----
        Limits are for the mean of a request of the process that these are a sample of: traces are drawn again, never
        spans.  Spans that have no such thing are a group of their own, without a label.

        Examples
        --------
        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame(
        ...         {
        ...             "trace_id": "a1",
        ...             "span_id": ["1", "2"],
        ...             "parent_span_id": [None, "1"],
        ...             "service_name": ["shop", "ledger"],
        ...             "name": ["POST /pay", "charge"],
        ...             "start_ns": [0, 30],
        ...             "end_ns": [100, 90],
        ...         }
        ...     )
        ... )
        >>> critical_path(shop).by("service_name")[["service_name", "path_time_ns"]].to_numpy().tolist()
        [['ledger', 60], ['shop', 40]]
        """
        return shares(self, keys, level=level)

    def bands(
        self,
        keys: str | Sequence[str] = "service_name",
        quantiles: Sequence[tuple[float, float]] = BANDS,
        *,
        least: int = 20,
        level: float = 0.95,
    ) -> Bands:
        """Return the own time on the path among median requests and among slow ones: what makes slow requests slow.

        Parameters
        ----------
        keys
            As in ``by``.
        quantiles
            Bands of latency; excesses are over the first.
        least
            Bands with fewer requests are widened on both sides, and say so.
        level
            Confidence level of the limits.

        Returns
        -------
        Bands
            ``.table`` and ``.bands``.

        Raises
        ------
        ValueError
            Quantiles that are none, or a key that no span has.

        Notes
        -----
        Requests are ranked by latency, with their weights; equal ones in the order of ``traces``.  Means over the
        requests of one band add up to its mean latency, which quantiles of single services never do.

        Examples
        --------
        Nine requests wait 10 ns for the ledger, one waits 900:

        >>> from tracekit import TraceSet
        >>> from tracekit.analysis.critical_path import critical_path
        >>> shop = TraceSet.from_spans(
        ...     pd.DataFrame(
        ...         {
        ...             "trace_id": [f"a{i}" for i in range(10)],
        ...             "span_id": "1",
        ...             "service_name": "ledger",
        ...             "name": "charge",
        ...             "start_ns": 0,
        ...             "end_ns": [10] * 9 + [900],
        ...         }
        ...     )
        ... )
        >>> slow = critical_path(shop).bands("service_name", [(0.4, 0.6), (0.9, 1.0)], least=1)
        >>> slow, slow.table["excess_ns"].tolist()
        (Bands(p40 to p60: 2, p90 to p100: 1), [0.0, 890.0])
        """
        return bands(self, keys, quantiles, least=least, level=level)

    def __repr__(self) -> str:
        count = f"{int(self.on_path[: self.tree.span_count].sum()):,} of {self.tree.span_count:,} spans on the path"
        partial = int(self.is_partial.sum())
        total = f"{int(self.latency_ns.sum()):,} ns"
        note = f", {partial:,} partial" * bool(partial)
        return f"CriticalPath({len(self.tree.root):,} requests, {total}, {count}{note})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.issues.to_html(index=False, border=0)}"


def walks(traces: TraceSet, tree: PathTree, *, touching: bool) -> Iterator[tuple[Array, Walk]]:
    """Yield nodes and their walk, block by block of whole traces.

    Parameters
    ----------
    traces, tree
        The traces and their trees.
    touching
        See ``critical_path``.

    Yields
    ------
    tuple of numpy.ndarray and Walk
        Rows of the walk are positions among the nodes.
    """
    for nodes, above in tree.blocks(traces.forest.starts, _BLOCK):
        awaited = tree.waiting[nodes] == Waiting.AWAITED
        yield nodes, walk(above, tree.start[nodes], tree.end[nodes], awaited, touching=touching)
