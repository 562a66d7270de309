"""The clock skew of traces: offsets with intervals, what they rest on, and what correcting them changes."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.clock_skew.pairs import Evidence
from tracekit.findings import Shown

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.offsets import Offsets
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False, eq=False)
class ClockSkew(Shown):
    """How far the clocks of every trace are apart.

    Parameters
    ----------
    source
        The traces; their times are as recorded.
    estimate
        The offsets as arrays; see ``clock_skew_offsets.Offsets``.
    offsets
        One row for every clock of a trace that has several, by (trace, host): ``trace_id``, ``host`` (or service and
        instance, where no host is told), ``offset_ns``: how far it is ahead of the clock of the trace's root, which a
        correction takes off; ``low_ns``, ``high_ns``; ``evidence``: ``reference`` (the root's own), ``pooled`` (calls
        of neighbouring traces), ``own`` (calls of this trace), ``disputed`` (calls contradict each other, or do not lie
        within their callers although neighbouring traces prove no offset), ``none``.
    pairs
        One row for every pair of clocks and stretch of time: ``host``, ``peer_host``, ``start_ns``, ``call_count``,
        ``dropped_count`` (callees that take longer than their callers), ``trace_count``, ``agreement_ratio`` (the
        largest share of calls that one offset satisfies), ``is_pooled``, ``low_ns``, ``high_ns`` (how far ``peer_host``
        is ahead of ``host``; 0 is excluded only where neighbouring traces prove it, see ``clock_skew``).
    traces
        One row a trace: ``trace_id``, ``moved_clock_count``, ``path_time_ns`` (its latency), ``moved_ns``: path time
        that belongs to other spans once the clocks are put right.
    moved_ratio
        The share of all path time that the correction moves, with weights.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.clock_skew.clock_skew import clock_skew
    >>> frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1"], "name": "x", "start_ns": [5], "end_ns": [25]})
    >>> clock_skew(TraceSet.from_spans(frame))
    ClockSkew(0 of 0 clocks in 0 of 1 traces are moved, 0.0 % of path time)
    """

    source: TraceSet
    estimate: Offsets
    offsets: pd.DataFrame
    pairs: pd.DataFrame
    traces: pd.DataFrame
    moved_ratio: float

    def __repr__(self) -> str:
        moved = int((self.offsets["offset_ns"] != 0).sum())
        concerned = int((self.traces["moved_clock_count"] > 0).sum())
        share = "" if np.isnan(self.moved_ratio) else f", {self.moved_ratio:.1%} of path time".replace("%", " %")
        return (
            f"ClockSkew({moved:,} of {len(self.offsets):,} clocks in {concerned:,} of {len(self.traces):,} traces "
            f"are moved{share})"
        )

    def _repr_html_(self) -> str:
        moved = self.offsets[self.offsets["offset_ns"] != 0]
        most = moved.loc[moved["offset_ns"].abs().sort_values(ascending=False, kind="stable").index].head(10)
        return f"<p>{html.escape(repr(self))}</p>{most.to_html(index=False, border=0)}"


def offsets_table(traces: TraceSet, offsets: Offsets) -> pd.DataFrame:
    """Return one row a clock and trace; see ``ClockSkew.offsets``."""
    names = pd.Index([evidence.name.lower() for evidence in Evidence])
    known = offsets.evidence != Evidence.NONE
    return pd.DataFrame(
        {
            "trace_id": np.array(traces.trace_ids, object)[offsets.trace],
            "host": np.array([*offsets.clock.labels, ""], object)[offsets.code],
            "offset_ns": offsets.offset_ns,
            "low_ns": pd.Series(offsets.low_ns, dtype="Int64").where(known),
            "high_ns": pd.Series(offsets.high_ns, dtype="Int64").where(known),
            "evidence": pd.Categorical.from_codes(offsets.evidence, names),
        }
    )
