"""S20: whether collection was down, or there was no traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.quality.verdicts import needs, speak
from tracekit.analysis.sampling.words import number, percent, percents
from tracekit.findings import Estimate
from tracekit.stats.gap_scan import Gap, gap_scan
from tracekit.stats.intervals import wilson
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.analysis.quality.inputs import Inputs
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "gap.scan"
_SUBJECT = "Whether collection was interrupted"
ALARM_P, ALARM_LOSS, FEWEST_BINS, _MOST_GAPS = 0.01, 0.20, 12, 5
_COLUMNS = ["scope", "start_time", "end_time", "requests", "traces", "expected_traces"]
_COLUMNS += ["loss_ratio", "low", "high", "status"]


class Series(NamedTuple):
    """Requests and traces by window, in order of time.

    Examples
    --------
    >>> Series(np.array([0]), np.array([60]), np.array([10.0]), np.array([1])).traces
    array([1])
    """

    start_ns: Array
    end_ns: Array
    requests: Array
    traces: Array


def gaps(inputs: Inputs) -> list[Finding]:
    """Say when fewer traces were collected than the requests of those minutes should have left.

    For the whole and for every service counted apart: ``gap_scan`` over the windows of the counts, again after
    masking what was found (at half the level each time), false discovery rate over services.  An alarm needs a chance
    below 1 % **and** a loss of at least 20 %.  Windows with more traces than requests count as full (``counts.join``
    names them).  Windows before the first and after the last trace are left out and told: traces that end there cannot
    be told from a collection that stopped.  Assumes that counts and traces are of the same requests, and that the
    sampling rule did not change.

    Source: ``coverage_playbook.md`` (TraceCollectionGapDetected); Kulldorff 1997.
    """
    if inputs.counts is None or not inputs.counts.has_time:
        return [needs(CHECK, _SUBJECT, "request counts with times", "Give requests= with a column time.")]
    if not inputs.tally.bins["traces"].sum():
        return [needs(CHECK, _SUBJECT, "request counts of the time of the traces")]
    parts = {name: trimmed(series) for name, series in scopes(inputs).items()}
    long_enough = {n: s for n, (s, _) in parts.items() if len(s.traces) >= FEWEST_BINS and s.traces.sum()}
    if not long_enough:
        return [needs(CHECK, _SUBJECT, f"request counts in at least {FEWEST_BINS} windows that hold traces")]
    first = {name: gap_scan(series.traces, series.requests) for name, series in long_enough.items()}
    q = dict(zip(first, false_discovery(np.array([gap.p for gap in first.values()])), strict=True))
    rows: list[dict[str, Any]] = []
    for name, series in long_enough.items():
        rows += _gaps_of(name, series, first[name], q[name], inputs.level)
    evidence = pd.DataFrame(rows, columns=_COLUMNS).sort_values("expected_traces", ascending=False, ignore_index=True)
    outside = parts["all"][1]
    caveat = f"; {number(outside)} more traces would be due before the first and after the last trace" * (outside >= 1)
    alarms = evidence[evidence["status"] == "fail"]
    if len(alarms):
        return [_alarm(row, evidence, caveat) for row in _distinct(alarms)]
    whole = long_enough.get("all", next(iter(long_enough.values())))
    text = (
        f"No interruption of collection is seen in {number(len(whole.traces))} windows with "
        f"{number(whole.requests.sum())} requests and {number(whole.traces.sum())} traces: no drop of 20 % or more "
        f"is beyond chance, so a quiet stretch in the traces is a quiet stretch of traffic{caveat}."
    )
    return [speak(CHECK, "ok", text, evidence, assumptions=_ASSUMED)]


_ASSUMED = ("counts and traces are of the same requests", "the sampling rule did not change within the period")


def scopes(inputs: Inputs) -> dict[str, Series]:
    """Return requests and traces by window: of everything, and of every service where they are counted apart."""
    counts, bins = inputs.counts, inputs.tally.bins
    assert counts is not None
    latest = counts.frame.groupby("start_ns", as_index=False)["end_ns"].max().set_index("start_ns")

    def series(part: pd.DataFrame) -> Series:
        sums = part.groupby("start_ns")[["requests", "traces"]].sum().sort_index()
        start = sums.index.to_numpy()
        requests = sums["requests"].to_numpy(np.float64)
        traced = np.minimum(sums["traces"].to_numpy(np.float64), requests)
        return Series(start, latest["end_ns"].reindex(start).to_numpy(), requests, traced)

    found = {"all": series(bins)}
    if "service_name" in counts.dimensions:
        found |= {str(name): series(part) for name, part in bins.groupby("service_name")}
    return found


def trimmed(series: Series) -> tuple[Series, float]:
    """Return the windows from the first trace to the last, and how many traces were due outside."""
    seen = np.flatnonzero(series.traces > 0)
    if not len(seen):
        return Series(*(column[:0] for column in series)), 0.0
    low, high = int(seen[0]), int(seen[-1]) + 1
    inner = Series(*(column[low + (low > 0) : high - (high < len(series.traces))] for column in series))
    outer = series.requests[:low].sum() + series.requests[high:].sum()
    share = inner.traces.sum() / max(inner.requests.sum(), 1)
    return inner, float(outer * share)


def _gaps_of(name: str, series: Series, gap: Gap, q: float, level: float) -> list[dict[str, Any]]:
    """Return the gaps of one scope, each found after masking those before."""
    rows, requests, alarm = [], series.requests.copy(), ALARM_P
    while gap.end > gap.start:
        is_alarm = q < alarm and gap.loss >= ALARM_LOSS
        rows.append(_row(name, series, gap, "fail" if is_alarm else "ok", level))
        if not is_alarm or len(rows) == _MOST_GAPS:
            break
        requests[gap.start : gap.end] = 0
        alarm /= 2
        gap = gap_scan(np.where(requests > 0, series.traces, 0), requests)
        q = gap.p
    return rows


def _row(name: str, series: Series, gap: Gap, status: str, level: float) -> dict[str, Any]:
    """Return what is known of one window; the interval of the loss allows for overdispersion."""
    part = slice(gap.start, gap.end)
    asked, held = series.requests[part].sum(), gap.traced
    per_bin = asked / max(gap.end - gap.start, 1)
    low, high = wilson(held / max(asked, 1), asked / (1 + max(per_bin - 1, 0) * gap.rho), level=level)
    start, end = (
        pd.Timestamp(int(at), unit="ns", tz="UTC") for at in (series.start_ns[gap.start], series.end_ns[gap.end - 1])
    )
    limits = [float(np.clip(1 - limit / gap.share, 0, 1)) for limit in (high, low)]
    numbers = [name, start, end, asked, held, gap.expected, gap.loss, *limits, status]
    return dict(zip(_COLUMNS, numbers, strict=True))


def _distinct(alarms: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the alarms; a service's own is left out where the whole was down at the same time."""
    rows: list[dict[str, Any]] = [
        dict(zip(_COLUMNS, row, strict=True)) for row in alarms[_COLUMNS].itertuples(index=False)
    ]
    wholes = [row for row in rows if row["scope"] == "all"]
    return wholes + [
        row
        for row in rows
        if row["scope"] != "all"
        and not any(row["start_time"] < w["end_time"] and w["start_time"] < row["end_time"] for w in wholes)
    ]


def _alarm(row: dict[str, Any], evidence: pd.DataFrame, caveat: str) -> Finding:
    """Return what is said of one gap."""
    whose = "all" if row["scope"] == "all" else f"`{row['scope']}`"
    lost = row["expected_traces"] - row["traces"]
    text = (
        f"Collection lost {percent(row['loss_ratio'])} ({percents(row['low'], row['high'])}) of {whose} traces from "
        f"{row['start_time']:%Y-%m-%d %H:%M} to {row['end_time']:%H:%M} UTC while {number(row['requests'])} requests "
        f"came: about {number(lost)} traces are missing, and fewer traces there do not mean less traffic or fewer "
        f"errors{caveat}."
    )
    estimate = Estimate(row["loss_ratio"], "ratio", row["low"], row["high"], int(row["requests"]))
    remedy = "Look at collectors and exporters of that time; leave the window out of rates and comparisons."
    return speak(CHECK, "fail", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)
