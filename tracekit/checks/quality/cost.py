"""S31: monthly cost of traces, and of the sampling rate that detects an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.checks.merged import Merged
from tracekit.checks.quality.gaps.parts import of_all, trimmed
from tracekit.checks.quality.gaps.scan import ALARM_LOSS, ALARM_P, FEWEST_BINS
from tracekit.checks.shares import added
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.redaction.scan import labels_shown
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.gap_scan import gap_scan
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.thinned import required_rate
from tracekit.text import count, plural, ratio, usd

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.weights.known import WeightTotals

CHECK = "cost"
PRICES = ("recorded", "scanned", "budget", "incident")
_MONTH_NS = 30 * 86_400 * 10**9


def cost(case: Case) -> list[Finding]:
    """Return the monthly cost of such traces, by root service and route, and of the sampling rate an incident needs.

    ``recorded`` and ``scanned`` of ``prices`` are US dollars per million traces; these traces are taken as all that
    were recorded between the first and the last, and scaled to 30 days.  Interval: Poisson count of traces (exact,
    Garwood).  With ``incident`` (requests of the smallest incident to detect) the sampling rate that leaves a trace of
    it with probability 95% is priced on the counted requests, else on the weights.  With ``budget`` (dollars per
    month): warning above it.  With counts by time, a sampling surge is reported: a window with a probability below 1%
    and a share of traces 20% above the usual one (``gap_scan`` of the requests without a trace).  Assumes that the
    period is representative of the month.

    Source: Garwood 1936.
    """
    prices = case.prices
    if not {"recorded", "scanned"} & set(prices):
        return [
            not_assessable(
                CHECK,
                "Cost of traces",
                "prices",
                "Pass prices={'recorded': 5.0, 'scanned': 0.5} in US dollars per million traces.",
            )
        ]
    seen = case.result(TOTALS)
    if not seen.period_ns:
        return [not_assessable(CHECK, "Cost of traces", "traces with times")]
    each = (prices.get("recorded", 0.0) + prices.get("scanned", 0.0)) / 1e6
    scale = _MONTH_NS / float(seen.period_ns) * each
    n = seen.trace_count
    tail = (1 - case.confidence) / 2
    low, high = (float(limit) for limit in (scipy.stats.gamma.ppf(tail, n), scipy.stats.gamma.isf(tail, n + 1)))
    value, low, high = n * scale, low * scale, high * scale
    budget = prices.get("budget")
    status: Status = "measured"
    limit = ""
    if budget is not None:
        status = "warning" if low > budget else "ok" if high <= budget else "inconclusive"
        limit = {"warning": ", above", "ok": ", within"}.get(status, ", about") + f" the budget of {usd(budget)}"
    surge = _surge(case, each)
    status = "warning" if surge else status
    text = (
        f"Cost: {usd(value)} per month ({case.ci} {usd(low)} to {usd(high)}, n = {count(n)} traces in this period)"
        f"{limit}.{_incident_cost(case, seen, each)}{surge}"
    )
    evidence = _by_route(seen, scale)
    remedy = (
        "Find out what raised the sampling rate; otherwise lower the rate of the most expensive routes."
        if status == "warning"
        else ""
    )
    estimate = Estimate(value, "usd", low, high, n)
    assumed = ("these are all traces recorded between the first and the last", "the period represents the month")
    return [finding(CHECK, status, text, evidence, estimate=estimate, remedy=remedy, assumptions=assumed)]


class Totals(NamedTuple):
    """Traces, the first and last known start of a request (ns), known weights, and traces by service and operation."""

    trace_count: int
    first_ns: int | None
    last_ns: int | None
    weights: WeightTotals
    routes: Aggregate

    @property
    def period_ns(self) -> int:
        """Time from the first start to the last; 0 without any."""
        return 0 if self.first_ns is None or self.last_ns is None else self.last_ns - self.first_ns

    def plus(self, other: Totals) -> Totals:
        """Return those of two parts."""
        first = [one.first_ns for one in (self, other) if one.first_ns is not None]
        last = [one.last_ns for one in (self, other) if one.last_ns is not None]
        return Totals(
            self.trace_count + other.trace_count,
            min(first, default=None),
            max(last, default=None),
            self.weights + other.weights,
            added(self.routes, other.routes),
        )


def _totals(case: Case) -> Totals:
    """Return those of a part."""
    root, start = case.traces.forest.root_row, case.start_ns[case.start_ns > 0]
    columns = {name: case.traces.codes(name).take(root) for name in ("service_name", "operation")}
    group, keys = group_codes(columns, len(root))
    counts = {"trace_count": np.bincount(group, minlength=int(group.max(initial=-1)) + 1)}
    routes = Aggregate(keys, counts, Histogram.empty()).by(list(keys))
    first, last = (int(start.min()), int(start.max())) if len(start) else (None, None)
    return Totals(len(case.traces), first, last, case.traces.weights.totals, routes)


TOTALS: Final[Merged[Totals]] = Merged(_totals, Totals.plus)


def _incident_cost(case: Case, seen: Totals, each: float) -> str:
    """Return the cost of the sampling rate that detects an incident, as a sentence."""
    occurrences = case.prices.get("incident")
    if not occurrences:
        return ""
    rate = required_rate(int(occurrences))
    if case.counts is not None:
        requests = case.counts.total
    elif not seen.weights.unknown_count:
        requests = seen.weights.weight_sum
    else:
        return (
            f" Detecting a {int(occurrences)}-request incident needs a sampling rate of {ratio(rate)}; its cost "
            f"cannot be estimated without request counts."
        )
    more = (requests * rate - seen.trace_count) * _MONTH_NS / float(seen.period_ns) * each
    change = f"{usd(abs(more))} {'more' if more >= 0 else 'less'}"
    return (
        f" A sampling rate of {ratio(rate)} (95% detection probability for a {int(occurrences)}-request incident) "
        f"costs {change}."
    )


def _surge(case: Case, each: float) -> str:
    """Return the window with many more traces than the requests explain, and their cost, as a sentence."""
    if case.counts is None or not case.counts.has_time or not len(case.tally.bins):
        return ""
    series, _ = trimmed(of_all(case))
    if len(series.traces) < FEWEST_BINS:
        return ""
    found = gap_scan(series.requests - series.traces, series.requests)
    window = slice(found.start, found.end)
    came, usual = float(series.traces[window].sum()), float(series.requests[window].sum() * (1 - found.share))
    if found.p >= ALARM_P or came < (1 + ALARM_LOSS) * usual or came == usual:
        return ""
    edges = series.start_ns[found.start], series.end_ns[found.end - 1]
    begin, end = (pd.Timestamp(int(edge), unit="ns", tz="UTC") for edge in edges)
    return (
        f" Sampling surge from {begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC: {plural(came, 'trace')} where the requests "
        f"explain {count(usual)}, which cost {usd((came - usual) * each)}."
    )


def _by_route(seen: Totals, scale: float) -> pd.DataFrame:
    """Return one row per root service and operation, the most expensive first."""
    table = pd.DataFrame(seen.routes.keys).assign(trace_count=seen.routes.sums["trace_count"])
    known = table["operation"].notna()
    shown = pd.Series(labels_shown(table.loc[known, "operation"].tolist()), table.index[known], dtype=object)
    table["operation"] = shown.reindex(table.index)
    table["month_usd"] = table["trace_count"] * scale
    return table.sort_values("trace_count", ascending=False, ignore_index=True, kind="stable")
