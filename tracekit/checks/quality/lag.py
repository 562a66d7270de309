"""S22: ingestion lag, and whether it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy

from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.stats.truncated_lags import lag_bounds
from tracekit.text import count, duration, interval, plural
from tracekit.weights.ingestion_horizon import FEWEST, usable_receipts

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "ingest.lag"
_SUBJECT = "Ingestion lag"
_TARGET_NS, _BIN_NS, _FEWEST_BINS, _IN_BIN, _CHANCE = 30e9, 300_000_000_000, 6, 10, 0.01


def lag(case: Case) -> list[Finding]:
    """Return the ingestion lag: the time from the end of a trace to its arrival, corrected for traces not yet received.

    Arrival times come with ``received``: a Series by trace ID, the key of an attribute with them (the latest of a trace
    counts), or the polls that found each trace.  Recent traces are right-truncated: only their short lags are observed;
    ``stats.truncated_lags`` corrects for this up to ``now`` (default: the latest arrival).  Polls yield the lag only as
    an interval: both ends are reported, and a verdict needs both; traces that ended before the first poll are
    excluded.  Lags that fewer than 20 traces are old enough to show are excluded and counted.  A backlog is a trend of
    the p95 of five-minute bins (Mann-Kendall, slope by Theil-Sen) over bins old enough to be complete.  Target: p95
    within 30 s.  Assumes that both clocks agree (``clock.offset``) and that lags do not depend on age; retried exports
    count at their last copy.  Arrival times of traces that are not among these are excluded and counted.  Of a store,
    the parts give 32 bytes a trace, 40 with an attribute, which are joined with the arrival times when all are read.

    Source: Lynden-Bell 1971.
    """
    receipts = case.receipts
    if receipts is None:
        return [not_assessable(CHECK, _SUBJECT, "arrival times", "Pass received= as a Series of times by trace ID.")]
    end = receipts.traces.end_ns
    usable = usable_receipts(receipts, end)
    impossible = (receipts.by_ns > 0) & (end > 0) & ((receipts.by_ns < end) | (receipts.by_ns > receipts.now_ns))
    if usable.sum() < FEWEST:
        early = int(((receipts.by_ns > 0) & (receipts.by_ns < end)).sum())
        others = f", {receipts.unmatched_count:,} given of other traces" * (receipts.unmatched_count > 0)
        found = f"(found {int(usable.sum())} of {len(end)}, {early} arrived before their end{others})"
        return [not_assessable(CHECK, _SUBJECT, f"arrival times of at least {FEWEST} traces {found}")]
    ended, after, by = (column[usable].astype(np.float64) for column in (end, receipts.after_ns, receipts.by_ns))
    lags = lag_bounds(ended, after, by, now=receipts.now_ns, before=receipts.before_ns, confidence=case.confidence)
    least, most, low, high = lags.quantile(0.95)
    middle, p99 = lags.quantile(0.5)[:2], lags.most.quantile(0.99)[0]
    bins = _bins(end[usable], receipts.by_ns[usable], receipts.now_ns - p99)
    rises, slope, since = _backlog(bins)
    status: Status = "warning" if low > _TARGET_NS or rises else "ok" if high <= _TARGET_NS else "inconclusive"
    growing = f", growing by {duration(slope)} per hour since {since:%H:%M} UTC" if rises else ""
    polled = receipts.is_polled
    limits = f"{interval(low, high, duration, confidence=case.ci)}; n = {count(len(by))}{', from polls' * polled}"
    edge = case.complete.horizon
    recent = f"started in the last {duration(edge.age_ns)}" if edge else f"ended in the last {duration(p99)}"
    text = (
        f"Ingestion lag p50 {_between(*middle, polled)}, p95 {_between(least, most, polled)} ({limits}){growing}. "
        f"Traces that {recent} have not all arrived{' and are excluded from the other checks' * (edge is not None)}."
    )
    if beyond := lags.most.beyond:
        text += f" Excluded: {plural(beyond, 'longer lag')} (too few traces are old enough to show them)."
    wrong = int(impossible.sum())
    text += f" Excluded: {plural(wrong, 'trace')} with an impossible arrival time." * (wrong > 0)
    if unmatched := receipts.unmatched_count:
        text += f" Excluded: {plural(unmatched, 'arrival time')} of other traces."
    assumed = ["the clock of the arrival times agrees with those of the hosts", "lags do not depend on age"]
    return [
        finding(
            CHECK,
            status,
            text,
            bins,
            estimate=Estimate(most, "ns", low, high, len(by)),
            assumptions=[*assumed, *["polls are about evenly spaced"] * polled],
            remedy="Check exporter queues and collector back-pressure." if status == "warning" else "",
        )
    ]


def _between(least: float, most: float, polled: bool) -> str:
    """Return a lag as text; an interval for polls."""
    return interval(least, most, duration, confidence="") if polled else duration(most)


def _bins(end: Array, receipt: Array, whole_before: float) -> pd.DataFrame:
    """Return the p95 lag (ns) by five-minute bin of trace ends; complete bins only."""
    table = pd.DataFrame({"start_ns": end // _BIN_NS * _BIN_NS, "lag_ns": receipt - end})
    table = table[table["start_ns"] + _BIN_NS <= whole_before]
    lags = table.groupby("start_ns")["lag_ns"]
    found = pd.DataFrame({"trace_count": lags.size(), "p95_lag_ns": lags.quantile(0.95)})
    found.insert(0, "start_time", pd.to_datetime(found.index, unit="ns", utc=True))
    return found[found["trace_count"] >= _IN_BIN].reset_index(drop=True)


def _backlog(bins: pd.DataFrame) -> tuple[bool, float, pd.Timestamp]:
    """Return whether the lag grows significantly and by half of its median, its slope (ns per hour), and since when."""
    if len(bins) < _FEWEST_BINS:
        return False, 0.0, pd.NaT  # type: ignore[return-value]
    hours = (bins["start_time"] - bins["start_time"].iloc[0]).dt.total_seconds().to_numpy() / 3600
    values = bins["p95_lag_ns"].to_numpy(np.float64)
    slope, _, low, _ = scipy.stats.theilslopes(values, hours, 0.95)
    tau = scipy.stats.kendalltau(hours, values)
    rises = tau.pvalue < _CHANCE and low > 0 and slope * (hours[-1] - hours[0]) > 0.5 * float(np.median(values))
    turned = int(np.flatnonzero(values <= np.median(values))[-1])
    return bool(rises), float(slope), bins["start_time"].iloc[turned]
