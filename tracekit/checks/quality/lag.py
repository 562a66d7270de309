"""S22: how long until a trace can be found, and whether it is getting worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.sampling.words import counted, duration, number
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate, Status
from tracekit.stats.truncated_lags import lag_bounds
from tracekit.weights.ingestion_horizon import FEWEST, usable_receipts

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "ingest.lag"
_SUBJECT = "How long until a trace can be found"
_TARGET_NS, _BIN_NS, _FEWEST_BINS, _IN_BIN, _CHANCE = 30e9, 300_000_000_000, 6, 10, 0.01


def lag(case: Case) -> list[Finding]:
    """Say how long after its end a trace was received, with allowance for those that were not received yet.

    Times of receipt come with ``received``: a Series by trace id, the key of an attribute that holds them (the latest
    of a trace counts), or the polls that found each trace.  Recent traces are right-truncated: only short lags of them
    are seen; ``stats.truncated_lags`` allows for it, up to ``now`` (without, the latest receipt).  Of polls the lag is
    known only as an interval: both ends are told, and a verdict needs both; traces that ended before the first poll
    tell nothing.  Lags longer than 20 traces could have shown are left out and told.  A backlog is a trend of the 95th
    percentile of five-minute bins (Mann and Kendall, slope by Theil and Sen) over bins old enough to be whole.  Target:
    95 % within 30 s.  Assumes that both clocks agree (``clock.offset``) and that lags do not depend on age; retried
    exports count at their last copy.

    Source: ``trace_guide.md`` M6 and F5; Lynden-Bell 1971.
    """
    receipts = case.receipts
    if receipts is None:
        return [not_assessable(CHECK, _SUBJECT, "times of receipt", "Give received= as a Series of times by trace id.")]
    traces = case.traces
    end = np.zeros(len(traces), np.int64)
    np.maximum.at(end, traces.forest.trace, traces.columns.spans.end_ns)
    usable = usable_receipts(receipts, end)
    impossible = (receipts.by_ns > 0) & (end > 0) & ((receipts.by_ns < end) | (receipts.by_ns > receipts.now_ns))
    if usable.sum() < FEWEST:
        early = int(((receipts.by_ns > 0) & (receipts.by_ns < end)).sum())
        found = f"(found {int(usable.sum())} of {len(end)}, {early} were received before their end)"
        return [not_assessable(CHECK, _SUBJECT, f"times of receipt of at least {FEWEST} traces {found}")]
    ended, after, by = (column[usable].astype(np.float64) for column in (end, receipts.after_ns, receipts.by_ns))
    lags = lag_bounds(ended, after, by, now=receipts.now_ns, before=receipts.before_ns, confidence=case.confidence)
    least, most, low, high = lags.quantile(0.95)
    middle, p99 = lags.quantile(0.5)[:2], lags.most.quantile(0.99)[0]
    bins = _bins(end[usable], receipts.by_ns[usable], receipts.now_ns - p99)
    rises, slope, since = _backlog(bins)
    status: Status = "warning" if low > _TARGET_NS or rises else "ok" if high <= _TARGET_NS else "inconclusive"
    growing = f", growing by {duration(slope)} an hour since {since:%H:%M} UTC" if rises else ""
    polled = receipts.is_polled
    limits = f"{duration(low)}-{duration(high)}, n = {number(len(by))}{', of polls' * polled}"
    edge = case.complete.horizon
    young = f"began in the last {duration(edge.age_ns)}" if edge else f"ended in the last {duration(p99)}"
    text = (
        f"Half of the traces can be found {_between(*middle, polled)} after they end, 95 % after "
        f"{_between(least, most, polled)} ({limits}){growing}; what {young} is not all there yet"
        f"{' and is left out of the other checks' * (edge is not None)}"
    )
    if beyond := lags.most.beyond:
        text += f"; {counted(beyond, 'longer lag')}, which too few traces are old enough to show, not among them"
    wrong = int(impossible.sum())
    text += f"; {counted(wrong, 'trace')} with impossible times of receipt are left out" * (wrong > 0)
    assumed = ["the clock of receipt agrees with those of the hosts", "lags do not depend on age"]
    return [
        finding(
            CHECK,
            status,
            f"{text}.",
            bins,
            estimate=Estimate(most, "ns", low, high, len(by)),
            assumptions=[*assumed, *["polls are about evenly apart"] * polled],
            remedy="Look at exporter queues and collector back-pressure." if status == "warning" else "",
        )
    ]


def _between(least: float, most: float, polled: bool) -> str:
    """Return a delay in words, as the two ends that polls leave open."""
    return f"{duration(least)} to {duration(most)}" if polled else duration(most)


def _bins(end: Array, receipt: Array, whole_before: float) -> pd.DataFrame:
    """Return the 95th percentile of the lag by five minutes in which traces ended; only bins that are whole."""
    table = pd.DataFrame({"start_ns": end // _BIN_NS * _BIN_NS, "lag_ns": receipt - end})
    table = table[table["start_ns"] + _BIN_NS <= whole_before]
    lags = table.groupby("start_ns")["lag_ns"]
    found = pd.DataFrame({"trace_count": lags.size(), "p95_lag_ns": lags.quantile(0.95)})
    found.insert(0, "start_time", pd.to_datetime(found.index, unit="ns", utc=True))
    return found[found["trace_count"] >= _IN_BIN].reset_index(drop=True)


def _backlog(bins: pd.DataFrame) -> tuple[bool, float, pd.Timestamp]:
    """Return whether the lag grows beyond chance and by half of itself, its slope an hour, and since when."""
    if len(bins) < _FEWEST_BINS:
        return False, 0.0, pd.NaT  # type: ignore[return-value]
    hours = (bins["start_time"] - bins["start_time"].iloc[0]).dt.total_seconds().to_numpy() / 3600
    values = bins["p95_lag_ns"].to_numpy(np.float64)
    slope, _, low, _ = stats.theilslopes(values, hours, 0.95)
    tau = stats.kendalltau(hours, values)
    rises = tau.pvalue < _CHANCE and low > 0 and slope * (hours[-1] - hours[0]) > 0.5 * float(np.median(values))
    turned = int(np.flatnonzero(values <= np.median(values))[-1])
    return bool(rises), float(slope), bins["start_time"].iloc[turned]
