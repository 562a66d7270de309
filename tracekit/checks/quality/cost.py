"""S31: what these traces cost, and what the rate that an incident needs would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.quality.gap_parts import scopes, trimmed
from tracekit.checks.quality.gaps import ALARM_LOSS, ALARM_P, FEWEST_BINS
from tracekit.checks.quality.pii_scan import labels_shown
from tracekit.checks.sampling.words import counted, number, percent
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate, Status
from tracekit.stats.gap_scan import gap_scan
from tracekit.stats.thinned import required_rate

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

CHECK = "cost"
PRICES = ("recorded", "scanned", "budget", "incident")
_MONTH_NS = 30 * 86_400 * 10**9


def cost(case: Case) -> list[Finding]:
    """Say what a month of such traces costs, by root service and route, and what a needed rate would add.

    ``recorded`` and ``scanned`` of ``prices`` are US dollars for a million traces, the user's own; the traces in hand
    are taken for all that were recorded between the first and the last, and scaled to 30 days.  Interval: traces as a
    Poisson count (exact, Garwood).  With ``incident`` (requests of the smallest incident to be caught) the sampling
    rate that leaves a trace of it with 95 % is priced on the requests counted, else on the weights.  With ``budget``
    (dollars a month): warning above.  With counts that have times, a runaway is told: a window in which chance below
    1 % explains neither the traces nor a share 20 % above the usual one (``gap_scan`` of the requests without a trace).
    Assumes that the period is like the month.

    Source: ``trace_guide.md`` M8 and F7, mistake 4; Garwood 1936.
    """
    prices = case.prices
    if not {"recorded", "scanned"} & set(prices):
        return [
            not_assessable(
                CHECK,
                "What these traces cost",
                "prices",
                "Give prices={'recorded': 5.0, 'scanned': 0.5} in $ a million.",
            )
        ]
    start = case.start_ns[case.start_ns > 0]
    if not len(start) or not np.ptp(start):
        return [not_assessable(CHECK, "What these traces cost", "traces with times")]
    each = (prices.get("recorded", 0.0) + prices.get("scanned", 0.0)) / 1e6
    scale = _MONTH_NS / float(np.ptp(start)) * each
    n = len(case.traces)
    tail = (1 - case.confidence) / 2
    low, high = (float(limit) for limit in (stats.gamma.ppf(tail, n), stats.gamma.isf(tail, n + 1)))
    value, low, high = n * scale, low * scale, high * scale
    budget = prices.get("budget")
    status: Status = "measured"
    told = ""
    if budget is not None:
        status = "warning" if low > budget else "ok" if high <= budget else "inconclusive"
        told = {"warning": ", above", "ok": ", within"}.get(status, ", about") + f" the budget of ${budget:,.2f}"
    run = _runaway(case, each)
    status = "warning" if run else status
    text = (
        f"At the prices given a month of such traces costs ${value:,.2f} (${low:,.2f}-${high:,.2f}, n = {number(n)} "
        f"traces in this period){told}{_needed(case, each)}{run}."
    )
    evidence = _by_route(case, scale)
    remedy = (
        "Look for what raised the sampling rate; else lower that of the routes that cost most."
        if status == "warning"
        else ""
    )
    estimate = Estimate(value, "usd", low, high, n)
    assumed = ("these are all traces recorded between the first and the last", "the period is like the month")
    return [finding(CHECK, status, text, evidence, estimate=estimate, remedy=remedy, assumptions=assumed)]


def _needed(case: Case, each: float) -> str:
    """Return what the rate that an incident needs would add, as a clause."""
    occurrences = case.prices.get("incident")
    if not occurrences:
        return ""
    rate = required_rate(int(occurrences))
    traces = len(case.traces)
    if case.counts is not None:
        requests = case.counts.total
    elif case.traces.weights.known.all():
        requests = float(case.traces.weights.value.sum())
    else:
        return f"; catching a {int(occurrences)}-request incident needs {percent(rate)}, its price needs request counts"
    start = case.start_ns[case.start_ns > 0]
    added = (requests * rate - traces) * _MONTH_NS / float(np.ptp(start)) * each
    change = f"${added:,.2f} more" if added >= 0 else f"${-added:,.2f} less"
    incident = f"a trace of a {int(occurrences)}-request incident with 95 %"
    return f"; {percent(rate)} of the requests, which leaves {incident}, costs {change}"


def _runaway(case: Case, each: float) -> str:
    """Return when many more traces came than the requests explain, and what these cost, as a clause."""
    if case.counts is None or not case.counts.has_time or not len(case.tally.bins):
        return ""
    series, _ = trimmed(scopes(case)["all"])
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
        f"; from {begin:%Y-%m-%d %H:%M} to {end:%H:%M} UTC {counted(came, 'trace')} came where the requests explain "
        f"{number(usual)}: a runaway that cost ${(came - usual) * each:,.2f}"
    )


def _by_route(case: Case, scale: float) -> pd.DataFrame:
    """Return one row a root service and operation, the dearest first."""
    root = case.traces.forest.root_row
    service, operation = case.service.take(root), case.traces.codes("operation").take(root)
    frame = pd.DataFrame({"service_name": service.series(), "operation": operation.series()})
    table = (
        frame.groupby(["service_name", "operation"], observed=True, dropna=False)
        .size()
        .rename("trace_count")
        .reset_index()
    )
    known = table["operation"].notna()
    shown = pd.Series(labels_shown(table.loc[known, "operation"].tolist()), table.index[known], dtype=object)
    table["operation"] = shown.reindex(table.index)
    table["month_usd"] = table["trace_count"] * scale
    return table.sort_values("trace_count", ascending=False, ignore_index=True)
