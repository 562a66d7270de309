"""The ingestion horizon: traces that began after it are incomplete in a dataset because others had not yet arrived."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.truncated_lags import lag_bounds
from tracekit.weights.counts import COUNT, NAMES, TIME, times_ns
from tracekit.weights.log_strata import logged_ids
from tracekit.weights.receipts import NEVER

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts
    from tracekit.weights.receipts import Receipts
    from tracekit.weights.trace_times import TraceTimes

FEWEST = 20
"""Minimum number of arrival times for an estimate of ingestion lag."""
_SETTLED = 0.99


class IngestionHorizon(NamedTuple):
    """The time after which a dataset is incomplete because of ingestion lag.

    ``begin_ns`` is that time and ``now_ns`` the end of the dataset; ``is_beyond_horizon`` marks later traces;
    ``missing``, ``low`` and ``high`` are the estimated fraction of these that had not arrived, at a constant rate.
    """

    begin_ns: int
    now_ns: int
    is_beyond_horizon: Array
    missing: float
    low: float
    high: float

    @property
    def age_ns(self) -> int:
        """Age at which a trace has arrived with a probability of 99%, in ns."""
        return self.now_ns - self.begin_ns


def ingestion_horizon(receipts: Receipts, *, confidence: float = 0.95) -> IngestionHorizon | None:
    """Return the time after which a dataset is incomplete because of ingestion lag.

    The horizon is the p99 of the time from a trace's *start* to its arrival, corrected for traces that had not arrived
    (``stats.truncated_lags``). It is measured from the start so that the exclusion does not depend on a trace's
    duration. For polls, the later end of each interval is used, and the missing fraction is reduced by half an
    interval, the mean delay of a poll.
    """
    start = receipts.traces.start_ns
    usable = usable_receipts(receipts, start)
    if usable.sum() < FEWEST:
        return None
    begun, after, by = (column[usable].astype(np.float64) for column in (start, receipts.after_ns, receipts.by_ns))
    bounds = lag_bounds(begun, after, by, now=receipts.now_ns, before=receipts.before_ns, confidence=confidence)
    age = int(np.ceil(bounds.most.quantile(_SETTLED)[0]))
    shares = bounds.most.missing_within(max(age, 1))
    if shares[0] == 1 and (begun > receipts.now_ns - age).any():  # all arrived at once: each lag is the longest one
        age = int(np.ceil((by - begun).max()))
    looked = after > NEVER
    late = float((by - after)[looked].mean() / 2) / max(age, 1) if looked.any() else 0.0
    begin = receipts.now_ns - age
    return IngestionHorizon(begin, receipts.now_ns, start > begin, *(max(share - late, 0.0) for share in shares))


def usable_receipts(receipts: Receipts, since_ns: Array) -> Array:
    """Return which traces have a usable lag since a given time: received after it, and not before the first poll."""
    by: Array = receipts.by_ns
    known = np.asarray((by > 0) & (since_ns > 0) & (by >= since_ns) & (by <= receipts.now_ns))
    if not receipts.is_polled or not known.any():
        return known
    looked = np.concatenate((by[known], receipts.after_ns[known & (receipts.after_ns > 0)]))
    return np.asarray(known & (since_ns >= looked.min()))


@dataclass(frozen=True)
class BegunBy:
    """Returns the traces that began no later than a time, in ns."""

    time_ns: int

    def __call__(self, traces: TraceSet) -> TraceSet:
        """Return those of some traces."""
        begun = traces.columns.spans.start_ns[traces.forest.root_row] <= self.time_ns
        return traces.where(begun[traces.forest.trace])


def counts_before_horizon(counts: Counts, edge: IngestionHorizon) -> Counts:
    """Return the counts of windows that ended before the horizon, with a note if they could not be cut."""
    if not counts.has_time:
        note = "counts have no times: they include requests after the ingestion horizon, but the traces do not"
        return replace(counts, notes=(*counts.notes, note))
    whole = counts.frame["end_ns"] <= edge.begin_ns
    if whole.all():
        return counts
    alone = counts.by_balancer
    if whole.any():
        alone = alone[alone["end_ns"] <= edge.begin_ns] if len(alone) else alone
        return replace(counts, frame=counts.frame[whole].reset_index(drop=True), by_balancer=alone)
    note = "no window of the counts ended before the ingestion horizon: the last is counted by its share of time before"
    before = [_cut(frame, edge) if len(frame) else frame for frame in (counts.frame, alone)]
    return replace(counts, frame=before[0], by_balancer=before[1], notes=(*counts.notes, note))


def _cut(frame: pd.DataFrame, edge: IngestionHorizon) -> pd.DataFrame:
    """Return windows up to the horizon, counted in proportion to their time before it."""
    left = (edge.begin_ns - frame["start_ns"]) / (frame["end_ns"] - frame["start_ns"])
    end = np.maximum(np.minimum(frame["end_ns"], edge.begin_ns), frame["start_ns"] + 1)
    return frame.assign(end_ns=end, **{COUNT: np.floor(frame[COUNT] * left.clip(0, 1))})


def log_before_horizon(times: TraceTimes, log: pd.DataFrame, edge: IngestionHorizon) -> pd.DataFrame:
    """Return the logged requests without those after the ingestion horizon, with or without a trace."""
    column = next((name for name in NAMES[TIME] if name in log), None)
    late = np.zeros(len(log), bool)
    if column is not None:
        is_dated = log[column].notna().to_numpy(bool)
        late[is_dated] = times_ns(log.loc[is_dated, column], []).to_numpy() > edge.begin_ns
    if "trace_id" in log and len(times):
        held = times.held(logged_ids(log))
        late = np.where(held >= 0, edge.is_beyond_horizon[held], late)
    return log[~late]
