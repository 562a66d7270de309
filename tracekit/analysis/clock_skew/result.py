"""The clock skew of traces: offsets with intervals, their evidence, and the effect of the correction."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.clock_skew.pairs import Evidence
from tracekit.findings import Shown
from tracekit.on_demand import pd
from tracekit.readable_tables import as_html
from tracekit.text import ratio

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.offsets import Offsets
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet


@dataclass(frozen=True, repr=False, eq=False)
class ClockSkew(Shown):
    """Clock offsets of every trace.

    Parameters
    ----------
    source
        The traces, with times as recorded, or the store of them.
    estimate
        The offsets as arrays; see ``offsets.Offsets``.
    offsets
        One row per clock of a trace with several, by (trace, host): ``trace_id``, ``host`` (or service and instance if
        no host was recorded), ``offset_ns``: how far it is ahead of the clock of the trace's root, which a correction
        subtracts; ``low_ns``, ``high_ns``; ``evidence``: ``reference`` (the root's clock), ``pooled`` (calls of
        adjacent traces), ``own`` (calls of this trace), ``disputed`` (calls contradict each other, or are outside their
        callers although adjacent traces prove no offset), ``none``.
    pairs
        One row per pair of clocks and time window: ``host``, ``peer_host`` (in the order of their names), ``start_ns``,
        ``call_count``, ``dropped_count`` (callees that take longer than their callers), ``trace_count``,
        ``agreement_ratio`` (the largest fraction of calls that one offset satisfies), ``is_pooled``, ``low_ns``,
        ``high_ns`` (how far ``peer_host`` is ahead of ``host``; 0 is excluded only if adjacent traces prove it, see
        ``clock_skew``).
    traces
        One row per trace: ``trace_id``, ``moved_clock_count``, ``path_time_ns`` (its latency), ``moved_ns``: path time
        that the correction attributes to other spans.
    moved_ratio
        The weighted fraction of path time that the correction attributes to other spans.

    Examples
    --------
    >>> tk.clock_skew(shop)
    ClockSkew(0 of 14 clocks in 0 of 5 traces corrected, 0% of path time)
    """

    source: TraceSet | Parts
    estimate: Offsets
    offsets: pd.DataFrame
    pairs: pd.DataFrame
    traces: pd.DataFrame
    moved_ratio: float

    def __repr__(self) -> str:
        moved = int((self.offsets["offset_ns"] != 0).sum())
        concerned = int((self.traces["moved_clock_count"] > 0).sum())
        share = "" if np.isnan(self.moved_ratio) else f", {ratio(self.moved_ratio)} of path time"
        return (
            f"ClockSkew({moved:,} of {len(self.offsets):,} clocks in {concerned:,} of {len(self.traces):,} traces "
            f"corrected{share})"
        )

    def _repr_html_(self) -> str:
        moved = self.offsets[self.offsets["offset_ns"] != 0]
        most = moved.loc[moved["offset_ns"].abs().sort_values(ascending=False, kind="stable").index].head(10)
        return f"<p>{html.escape(repr(self))}</p>{as_html(most)}"


def offsets_table(trace_ids: Array, offsets: Offsets) -> pd.DataFrame:
    """Return one row per clock and trace, given the id of every trace; see ``ClockSkew.offsets``."""
    names = pd.Index([evidence.name.lower() for evidence in Evidence])
    known = offsets.evidence != Evidence.NONE
    return pd.DataFrame(
        {
            "trace_id": trace_ids[offsets.trace],
            "host": np.array([*offsets.clock.labels, ""], object)[offsets.code],
            "offset_ns": offsets.offset_ns,
            "low_ns": pd.Series(offsets.low_ns, dtype="Int64").where(known),
            "high_ns": pd.Series(offsets.high_ns, dtype="Int64").where(known),
            "evidence": pd.Categorical.from_codes(offsets.evidence, names),
        }
    )
