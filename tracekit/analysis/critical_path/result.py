"""The critical paths of many requests, and the analyses of them."""

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
from tracekit.analysis.critical_path import tables as path_tables
from tracekit.analysis.critical_path import what_if as what_ifs
from tracekit.analysis.critical_path.cells import Requests
from tracekit.analysis.critical_path.counts import PathCounts, counts_of
from tracekit.analysis.critical_path.issues import Assumption, assumptions_of, issues_frame
from tracekit.analysis.waiting import Waiting
from tracekit.completeness import is_partial
from tracekit.findings import Shown
from tracekit.readable_tables import as_html
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
        The traces.
    tree
        Their spans and the nodes added for missing ones; see ``tree.PathTree``.
    own_ns
        int64 ns, one per node: self time on the critical path, 0 for other nodes.
    total_ns
        int64 ns, one per node: critical-path time of the node and all its descendants, 0 for other nodes.
    on_path
        bool, one per node.
    is_touching
        Whether siblings that touch (one ends when the other starts) are treated as sequential.
    clocks
        Clock offsets; None if timestamps were used as recorded.
    cut
        Nodes shortened to the start of the next sibling, because their overlap is smaller than the clock uncertainty.

    Examples
    --------
    >>> tk.critical_path(shop)
    CriticalPath(5 requests, mean latency 152 ms, 20 of 28 spans on the path; sampling weights unknown)
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
        """One row per span, in the rows of ``traces.spans``, then the nodes added for missing ones.

        ``trace_id``, ``span_id``, ``service_name``, ``operation``, ``path_time_ns`` (self time on the path; sums to the
        latency), ``path_total_ns`` (including all descendants), ``on_path``, ``waiting`` (why it is asynchronous: see
        ``Waiting``), ``unexplained_ns``: self time that a sibling would explain if ``causal="strict"`` had not excluded
        it.
        """
        return path_frames.spans_of(self)

    @cached_property
    def segments(self) -> pd.DataFrame:
        """One row per segment of self time, by (request, start): ``request``, ``span_row``, ``start_ns``, ``end_ns``.

        The segments of a request cover it without gaps from its start to its end.
        """
        return path_frames.segments_of(self)

    def segments_of(self, trace: int) -> pd.DataFrame:
        """Return the ``segments`` of one trace, without walking all others.

        Parameters
        ----------
        trace
            Its row in ``source.summary``.

        Returns
        -------
        pandas.DataFrame
            As ``segments``.

        Examples
        --------
        >>> path = tk.critical_path(shop)
        >>> path.segments_of(0).equals(path.segments[path.segments["request"] == 0])
        True
        """
        return path_frames.segments_of(self, trace)

    @cached_property
    def request(self) -> Array:
        """int64, one per node on a path: the row of its request in ``traces``; -1 for all other nodes."""
        root, trace = self.tree.root, self.tree.trace
        if np.array_equal(trace[root], np.arange(len(self.source))):  # one per trace
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
        """int64 ns, one per request: the duration of its root."""
        return np.asarray(self.tree.end[self.tree.root] - self.tree.start[self.tree.root])

    @property
    def weight(self) -> Array:
        """float64, one per request: the sampling weight of its trace."""
        return np.asarray(self.source.weights.value[self.tree.trace[self.tree.root]])

    @property
    def statement(self) -> str:  # type: ignore[override]  # computed
        """What the weighted figures describe: the source of the weights, or that they are unknown."""
        return self.source.weights.statement

    @cached_property
    def is_partial(self) -> Array:
        """bool, one per request: its trace is incomplete, as in ``traces.summary["partial"]``."""
        return is_partial(self.source.lookup, self.source.forest)[self.tree.trace[self.tree.root]]

    @cached_property
    def requests(self) -> Requests:
        """The requests without their spans."""
        return Requests.of(self)

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """All services of the recording, which views give their colours."""
        return tuple(self.source.codes("service_name").labels)

    @property
    def unfinished_count(self) -> int:
        """Requests excluded because they have no latency: no start, no end, in progress, or a negative duration."""
        return int(np.count_nonzero(self.tree.waiting == Waiting.UNFINISHED))

    @cached_property
    def traces(self) -> pd.DataFrame:
        """One row per finished request, by (trace, start): one per trace with the default scope.

        ``trace_id``, ``root_row`` (of ``spans``), ``root_service_name``, ``root_operation``, ``start_ns``,
        ``latency_ns``, ``is_partial``, ``orphan_count``, ``root_count`` (of its trace), ``moved_clock_count`` and
        ``largest_offset_ns`` (corrected clocks; the clock of the trace's root is the reference), ``ambiguous_ns`` (time
        that depends on the order of siblings, see ``support``), ``weight``.
        """
        return path_frames.requests_of(self)

    @cached_property
    def offsets(self) -> pd.DataFrame:
        """One row per corrected clock, as in ``ClockSkew.offsets``: ``offset_ns`` was subtracted from its times."""
        return path_frames.offsets_of(self)

    @property
    def corrected_count(self) -> int:
        """Number of corrected clocks."""
        return 0 if self.clocks is None else int(np.count_nonzero(self.clocks.offset_ns))

    @property
    def counts(self) -> PathCounts:
        """Counts of requests and spans."""
        return counts_of(self)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """One row per assumption made on the paths, with counts and an exemplar trace."""
        return issues_frame(self.assumptions)

    @cached_property
    def assumptions(self) -> list[Assumption]:
        """The rows of ``issues``."""
        return assumptions_of(self)

    # analyses: functions of other modules that take the path as their first argument
    tabulated = path_tables.tabulated
    by = path_shares.shares
    bands = path_shares.bands
    compare = path_compare.compare
    flame = path_flame.flame
    folded = path_flame.folded
    marks = path_marks.marks
    what_if = what_ifs.what_if
    what_if_curve = what_ifs.what_if_curve
    opportunities = what_ifs.opportunities
    slack = path_frames.slack_of
    drag = path_drag.drag
    support = path_support.support

    @cached_property
    def rerun(self) -> what_ifs.Rerun:
        """The requests, prepared for replay with other self times."""
        return what_ifs.Rerun(self)

    def _line(self) -> str:
        """Return the counts in one line."""
        return f"CriticalPath({self.counts.line})"

    def _repr_html_(self) -> str:
        return f"{self.heading()}{as_html(self.issues)}"
