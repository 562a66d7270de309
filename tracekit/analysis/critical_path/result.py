"""The critical paths of many requests, and what can be asked of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.critical_path import compare as path_compare
from tracekit.analysis.critical_path import drag as path_drag
from tracekit.analysis.critical_path import flame as path_flame
from tracekit.analysis.critical_path import frames as path_frames
from tracekit.analysis.critical_path import marks as path_marks
from tracekit.analysis.critical_path import shares as path_shares
from tracekit.analysis.critical_path import support as path_support
from tracekit.analysis.critical_path.issues import issues_of
from tracekit.analysis.critical_path.tree import Waiting
from tracekit.analysis.what_if import curve as curves
from tracekit.analysis.what_if import what_if as what_ifs
from tracekit.completeness import is_partial
from tracekit.findings import Shown
from tracekit.weights.known import Weighted

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.clock_skew.offsets import Offsets
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False, eq=False)
class CriticalPath(Weighted, Shown):
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
    clocks
        How far clocks were found to be apart; None where they were taken as they are.
    cut
        Nodes that end where the sibling that followed them begins, because their clocks cannot tell the difference.

    Examples
    --------
    >>> import pandas as pd
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
    >>> from tracekit.analysis.critical_path.critical_path import critical_path
    >>> critical_path(shop)
    CriticalPath(1 requests, 100 ns, 2 of 3 spans on the path; sampling weights unknown)
    """

    source: TraceSet
    tree: PathTree
    own_ns: Array
    total_ns: Array
    on_path: Array
    is_touching: bool = True
    clocks: Offsets | None = None
    cut: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span, in the rows of ``traces.spans``, then the nodes put in for missing ones.

        ``trace_id``, ``span_id``, ``service_name``, ``operation``, ``path_time_ns`` (own time; sums to the latency),
        ``path_total_ns`` (with all below it), ``on_path``, ``waiting`` (why nobody waits for it: see ``Waiting``),
        ``unexplained_ns``: what of its own time a sibling would explain that ``causal="strict"`` does not believe.
        """
        return path_frames.spans_of(self)

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row a stretch of own time, by (request, start): ``request``, ``span_row``, ``start_ns``, ``end_ns``.

        The stretches of a request follow each other without a gap from its start to its end.
        """
        return path_frames.segments_of(self)

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
    def statement(self) -> str:  # type: ignore[override]  # worked out, as long as the path is
        """What the weighted figures of ``by``, ``bands`` and the others are about: all traffic, or the traces alone."""
        return self.source.weights.statement

    @cached_property
    def is_partial(self) -> Array:
        """bool, one a request: its trace is incomplete, as in ``traces.summary["partial"]``."""
        return is_partial(self.source.lookup, self.source.forest)[self.tree.trace[self.tree.root]]

    @property
    def unfinished_count(self) -> int:
        """Requests left out, as they have no latency: no start, no end, in progress, or an end before the start."""
        return int(np.count_nonzero(self.tree.waiting == Waiting.UNFINISHED))

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row a finished request, by (trace, start): one a trace unless the scope says otherwise.

        ``trace_id``, ``root_row`` (of ``spans``), ``root_service_name``, ``root_operation``, ``start_ns``,
        ``latency_ns``, ``is_partial``, ``orphan_count``, ``root_count`` (of its trace), ``moved_clock_count`` and
        ``largest_offset_ns`` (clocks put right; times are those of the clock of the trace's root), ``ambiguous_ns``
        (what rests on the order of siblings, see ``support``), ``weight``.
        """
        return path_frames.requests_of(self)

    @cached_property
    def offsets(self) -> pd.DataFrame:
        """One row a clock that was put right, as in ``ClockSkew.offsets``: ``offset_ns`` was taken off its times."""
        return path_frames.offsets_of(self)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row a kind of thing that could mislead; see ``issues.issues_of``."""
        return issues_of(self)

    # What can be asked: functions of their own, each with its words and examples, that take the path first.
    by = path_shares.shares
    bands = path_shares.bands
    compare = path_compare.compare
    flame = path_flame.flame
    folded = path_flame.folded
    marks = path_marks.marks
    what_if = what_ifs.what_if
    what_if_curve = curves.what_if_curve
    opportunities = what_ifs.opportunities
    slack = path_frames.slack_of
    drag = path_drag.drag
    support = path_support.support

    @cached_property
    def rerun(self) -> what_ifs.Rerun:
        """The requests, ready to be run again with other own times."""
        return what_ifs.Rerun(self)

    def _line(self) -> str:
        """Return the counts."""
        count = f"{int(self.on_path[: self.tree.span_count].sum()):,} of {self.tree.span_count:,} spans on the path"
        partial = int(self.is_partial.sum())
        total = f"{int(self.latency_ns.sum()):,} ns"
        note = f", {partial:,} partial" * bool(partial)
        note += f", {self.unfinished_count:,} unfinished left out" * bool(self.unfinished_count)
        return f"CriticalPath({len(self.tree.root):,} requests, {total}, {count}{note})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{self.issues.to_html(index=False, border=0)}"
