"""S22: how long until a trace can be found, and whether it is getting worse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.analysis.quality.private_scan import labels_shown
from tracekit.analysis.quality.truncated_lags import truncated_lags
from tracekit.analysis.quality.verdicts import Status, needs, speak
from tracekit.analysis.sampling.words import duration, number
from tracekit.findings import Estimate

if TYPE_CHECKING:
    from tracekit.analysis.quality.inputs import Inputs
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "ingest.lag"
_SUBJECT = "How long until a trace can be found"
_TARGET_NS, _BIN_NS, _FEWEST, _FEWEST_BINS, _IN_BIN, _CHANCE = 30e9, 300_000_000_000, 20, 6, 10, 0.01


def lag(inputs: Inputs) -> list[Finding]:
    """Say how long after its end a trace was received, with allowance for those that were not received yet.

    Times of receipt come with ``received``: a Series by trace id, or the key of an attribute that holds them (the
    latest of a trace counts).  Recent traces are right-truncated: only short lags of them are seen; ``truncated_lags``
    allows for it, up to ``now`` (without, the latest receipt).  A backlog is a trend of the 95th percentile of
    five-minute bins (Mann and Kendall, slope by Theil and Sen) over bins old enough to be whole.  Target: 95 % within
    30 s.  Assumes that both clocks agree (``clock.offset``) and that lags do not depend on age; retried exports count
    at their last copy.

    Source: ``trace_guide.md`` M6 and F5; Lynden-Bell 1971.
    """
    if inputs.received is None:
        return [needs(CHECK, _SUBJECT, "times of receipt", "Give received= as a Series of times by trace id.")]
    end, receipt = _times(inputs)
    known = (receipt > 0) & (end > 0)
    now = inputs.moment_ns or int(receipt.max(initial=0))
    usable = known & (receipt >= end) & (receipt <= now)
    if usable.sum() < _FEWEST:
        early = int((known & (receipt < end)).sum())
        found = f"(found {int(usable.sum())} of {len(end)}, {early} were received before their end)"
        return [needs(CHECK, _SUBJECT, f"times of receipt of at least {_FEWEST} traces {found}")]
    end, receipt = end[usable], receipt[usable]
    lags = truncated_lags((receipt - end).astype(np.float64), (now - end).astype(np.float64), level=inputs.level)
    middle, (value, low, high) = lags.quantile(0.5)[0], lags.quantile(0.95)
    p99 = lags.quantile(0.99)[0]
    bins = _bins(end, receipt, now - p99)
    rises, slope, since = _backlog(bins)
    status: Status = "warn" if low > _TARGET_NS or rises else "ok" if high <= _TARGET_NS else "inconclusive"
    growing = f", growing by {duration(slope)} an hour since {since:%H:%M} UTC" if rises else ""
    before = int((known & ~usable).sum())
    text = (
        f"Half of the traces can be found {duration(middle)} after they end, 95 % after {duration(value)} "
        f"({duration(low)}-{duration(high)}, n = {number(len(end))}){growing}; spans younger than {duration(p99)} "
        f"are not all there yet and should be left out of every rate"
    )
    text += f"; {number(before)} traces with impossible times of receipt are left out." if before else "."
    return [
        speak(
            CHECK,
            status,
            text,
            bins,
            estimate=Estimate(value, "ns", low, high, len(end)),
            assumptions=("the clock of receipt agrees with those of the hosts", "lags do not depend on age"),
            remedy="Look at exporter queues and collector back-pressure." if status == "warn" else "",
        )
    ]


def _times(inputs: Inputs) -> tuple[Array, Array]:
    """Return end and time of receipt of every trace in ns, 0 where unknown."""
    traces = inputs.traces
    end = np.zeros(len(traces), np.int64)
    np.maximum.at(end, traces.forest.trace, traces.columns.spans.end_ns)
    if isinstance(inputs.received, str):
        texts = traces.attribute(inputs.received)
        moments = pd.Series(_nanoseconds(pd.Series(texts.cat.categories), inputs.received), dtype=np.int64).to_numpy()
        of_span = np.append(moments, 0)[texts.cat.codes.to_numpy()]
        receipt = np.zeros(len(traces), np.int64)
        np.maximum.at(receipt, traces.forest.trace, of_span)
        return end, receipt
    given = inputs.received
    assert given is not None
    if given.index.has_duplicates:
        twice = given.index[given.index.duplicated()][0]
        raise ValueError(f"expected one time of receipt a trace, found several for trace {twice!r}; keep the last")
    by_trace = pd.Series(_nanoseconds(given, "received"), index=given.index)
    return end, by_trace.reindex(traces.trace_ids).fillna(0).to_numpy(np.int64)


def _nanoseconds(column: pd.Series, name: str) -> Array:
    """Return times in ns since the epoch; numbers are taken as such, texts without a zone as UTC."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return numbers.to_numpy(np.int64)
    moments = pd.to_datetime(column, utc=True, errors="coerce", format="mixed" if column.dtype == object else None)
    if moments.isna().any():
        at = int(np.flatnonzero(moments.isna())[0])
        (shown,) = labels_shown([str(column.iloc[at])])
        raise ValueError(f"expected times of receipt in {name!r}, found {shown!r} in row {column.index[at]!r}")
    return moments.astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()


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
