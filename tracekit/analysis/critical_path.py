"""The critical path: who did the user wait for, to the nanosecond.

A request waits for whatever ends last, and that in turn for what ended last before it could begin.  Following this
backwards from the end of a request to its start gives every nanosecond of it to exactly one span: its own time on the
path.  Own time is work or waiting that was not traced further.
"""

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
from tracekit.analysis.path_plant import plant
from tracekit.analysis.path_tree import PathTree, Waiting, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.analysis.critical_path_kernel import Walk
    from tracekit.analysis.path_tree import Scope
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_BLOCK = 65_536  # spans; the arrays of a block stay in the second-level cache
SKEWS = ("off",)


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
        missing = np.where(self.tree.is_virtual, "(no span)", "(missing)")
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
                 for nodes, rows in _walks(self.source, self.tree, touching=self.is_touching)]  # fmt: skip
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

    def __repr__(self) -> str:
        count = f"{int(self.on_path[: self.tree.span_count].sum()):,} of {self.tree.span_count:,} spans on the path"
        partial = int(self.is_partial.sum())
        total = f"{int(self.latency_ns.sum()):,} ns"
        note = f", {partial:,} partial" * bool(partial)
        return f"CriticalPath({len(self.tree.root):,} requests, {total}, {count}{note})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.issues.to_html(index=False, border=0)}"


def critical_path(
    traces: TraceSet,
    *,
    scope: Scope = "root",
    overflow: str = "auto",
    skew: str = "off",
    follows_from: str = "async",
    touching: bool = True,
) -> CriticalPath:
    """Return what every request waited for, from its end back to its start.

    Parameters
    ----------
    traces
        Any traces; unchanged.
    scope
        What a request is: ``"root"``, the root of each trace (of several, the longest); ``"roots"``, every root by
        itself; ``"trace"``, the whole trace from the first start to the last end of its roots, time without any as
        ``(no span)``; or a condition over columns of ``spans``, a mask or a callable: every outermost matching span.
    overflow
        Children that end after their parent.  ``"auto"``: in the same process, and by more than 2 us and 1 % of the
        parent, nobody waited for them; elsewhere they are clipped.  ``"clip"``: always clipped.  ``"exclude"``: nobody
        waited for them.
    skew
        ``"off"``: clocks are taken as they are.
    follows_from
        ``"async"``: nobody waits for a FOLLOWS_FROM child; ``"blocking"``: as for any child.
    touching
        Whether a sibling that ends at the very instant another begins was waited for.

    Returns
    -------
    CriticalPath
        ``.spans``, ``.segments``, ``.traces``, ``.issues``, all in exact integer nanoseconds.

    Raises
    ------
    ValueError
        An option that is none, or a mask of the wrong length.
    FilterError
        A condition that does not parse.

    Notes
    -----
    A span counts as far as it lies within all its ancestors.  Nobody waits for a CONSUMER under a PRODUCER.  Spans that
    name a parent nobody sent hang under a ``(missing)`` node as long as they are, below the trace's only root.  An end
    that nobody recorded is that of the last thing waited for below; a negative duration counts as none.  Rows that a
    backend inferred are left out: that wait is the caller's own.  Whether two calls that did not overlap depend on each
    other cannot be told from one trace: they are taken to.

    The rules and their comparison with other programs are those of jaeger-ui's critical path (Apache-2.0) and of CRISP
    (Zhang et al., USENIX ATC 2022), except that back-to-back siblings are chained, that nothing is counted twice, and
    that children which outlive their parent in its own process are not waited for.

    Examples
    --------
    The ledger ends last, so the cart, which overlaps it, is not what the shop waited for:

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
    >>> critical_path(shop).spans["path_time_ns"].tolist()
    [40, 0, 60]
    """
    choose("skew", skew, SKEWS)
    tree = plant(traces, scope=scope, overflow=overflow, follows_from=follows_from)
    own, total = np.zeros(len(tree), np.int64), np.zeros(len(tree), np.int64)
    on_path = np.zeros(len(tree), bool)
    for nodes, rows in _walks(traces, tree, touching=touching):
        own[nodes], on_path[nodes] = rows.own_ns, rows.on_path
        total[nodes] = np.where(rows.on_path, rows.windows.end - rows.windows.start, 0)
    return CriticalPath(traces, tree, own, total, on_path, touching)


def _walks(traces: TraceSet, tree: PathTree, *, touching: bool) -> Iterator[tuple[Array, Walk]]:
    """Yield nodes and their walk, block by block of whole traces."""
    for nodes, above in tree.blocks(traces.forest.starts, _BLOCK):
        awaited = tree.waiting[nodes] == Waiting.AWAITED
        yield nodes, walk(above, tree.start[nodes], tree.end[nodes], awaited, touching=touching)
