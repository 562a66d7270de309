"""Corrections of clock skew for an analysis: offsets of spans, and overlaps within the clock uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.analysis.clock_skew.offsets import needed_offsets
from tracekit.analysis.clock_skew.result import ClockSkew
from tracekit.analysis.critical_path.overlap import SHARE, Clocked, cut_overlaps
from tracekit.analysis.waiting import Waiting

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.offsets import Offsets
    from tracekit.analysis.critical_path.tree import PathTree
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_UNKNOWN = np.int64(2**61)  # uncertainty of an unmeasured clock, if a tolerance is given


def offsets_for(traces: TraceSet, skew: str | ClockSkew) -> Offsets | None:
    """Return the offsets that an analysis must subtract, None if no clock is corrected."""
    if isinstance(skew, ClockSkew):
        if skew.source.columns is not traces.columns:
            raise ValueError(
                f"expected the clock skew of these traces, found that of others: {skew.source!r}; "
                "compute it with clock_skew(traces), or use skew='auto'"
            )
        return skew.estimate
    if skew == "off":
        return None
    if skew != "auto":
        raise ValueError(f"expected skew to be 'auto', 'off' or a ClockSkew, found {skew!r}")
    return needed_offsets(traces)


def moved_by(traces: TraceSet, offsets: Offsets | None) -> Array | None:
    """Return the offset to subtract from the times of every span, int64 ns; None if all are 0."""
    if offsets is None or not offsets.offset_ns.any():
        return None
    return offsets.of_spans(offsets.offset_ns, traces.forest.trace)


def without_overlaps(
    traces: TraceSet, tree: PathTree, offsets: Offsets | None, tolerance: float | None
) -> tuple[PathTree, Array]:
    """Return the tree with insignificant overlaps of siblings on different clocks cut, and the cut nodes."""
    nothing = np.zeros(0, np.int64)
    if tolerance is None:
        if offsets is None or not offsets.offset_ns.any():
            return tree, nothing
        clock, residual = offsets.clock, offsets.of_spans(offsets.residual_ns, traces.forest.trace)
    elif tolerance == 0:
        return tree, nothing
    else:
        clock = clocks(traces)
        residual = np.full(tree.span_count, _UNKNOWN)
    extra = len(tree) - tree.span_count
    behind = np.full(extra, -1, np.int64)
    clocked = Clocked(np.concatenate((clock.codes, behind)), np.concatenate((residual, behind + 1)))
    concerned = np.zeros(len(traces), bool)
    concerned[tree.trace[clocked.residual_ns > 0]] = True
    nodes = np.flatnonzero(concerned[tree.trace])
    place = np.full(len(tree) + 1, -1, np.int64)  # the last is for roots
    place[nodes] = np.arange(len(nodes))
    new = cut_overlaps(
        place[tree.parent[nodes]],
        tree.start[nodes],
        tree.end[nodes],
        tree.waiting[nodes] == Waiting.AWAITED,
        clocked=Clocked(*(column[nodes] for column in clocked)),
        share=SHARE if tolerance is None else tolerance,
    )
    cut = new < tree.end[nodes]
    end = tree.end.copy()
    end[nodes[cut]] = new[cut]
    return replace(tree, end=end), nodes[cut]
