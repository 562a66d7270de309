"""S01, how much of this traffic was really traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.sampling.words import counted, number, percent, percents
from tracekit.checks.verdicts import finding, not_assessable, worst_status
from tracekit.findings import Estimate
from tracekit.stats.minimum_effect import judge
from tracekit.stats.proportions import overdispersion, share_interval, window_share

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "rate.observed"
_LONGEST_S = 300.0


def observed_rate(case: Case) -> list[Finding]:
    """Return the share of the counted requests that left a trace, in all and by stratum.

    n_g / N_g by Wilson from five traces on, Clopper-Pearson below.  Where the share varies over windows by more than
    chance (Pearson's chi squared over its degrees of freedom above 1.5), the interval is widened by its root, on the
    logit.  Counts by time come from another clock: windows of five minutes or less are shifted by one in either
    direction, and the interval is the hull of the three (``stats.proportions.window_share``).  With a log and no
    counts beside it: joined by trace id, so the share is exact for this window and the interval is that of the rate
    behind it; its strata are those of the log, and no clock matters.  Assumes that n and N count the same requests;
    health checks in N, several traces a request and counts at another hop break it.  Source: textbook; metrics M1, M7.
    """
    subject = "Share of requests that was traced"
    if missing := case.join_needed:
        return [not_assessable(CHECK, subject, missing, remedy="Give the counts of a load balancer or gateway.")]
    table = _rates(case)
    whole, strata = table.iloc[0], table.iloc[1:]
    beyond = (
        strata[strata["traces"] > strata["requests"]] if len(strata) else table[table["traces"] > table["requests"]]
    )
    said = f"{percent(whole['estimate'])} ({percents(whole['estimate_low'], whole['estimate_high'])}; "
    text = f"All requests were traced at {said}{number(whole['traces'])} of {counted(whole['requests'], 'request')})."
    if len(beyond):
        row = beyond.sort_values("traces", ascending=False).iloc[0]
        text = (
            f"{row['scope'].capitalize() if row['scope'] == 'all requests' else row['scope']} has more traces than"
            f" requests ({number(row['traces'])} of {number(row['requests'])}), and {len(beyond) - 1} more strata:"
            " this is no rate; the counts, the window or the hop are not those of the traces."
        )
    status = worst_status(table["status"].tolist())
    if case.expected.rate is not None and not len(beyond):
        text = text.removesuffix(".") + f", where {percent(case.expected.rate)} was expected."
    estimate = Estimate(
        float(whole["estimate"]),
        "ratio",
        float(whole["estimate_low"]),
        float(whole["estimate_high"]),
        int(whole["traces"]),
    )
    remedy = "" if status in {"ok", "measured"} else "Mend the counts or the window before reading any other rate."
    return [
        finding(
            CHECK, status, text, table, estimate=estimate, assumptions=_assumed(case), remedy=remedy, is_critical=False
        )
    ]


def _assumed(case: Case) -> tuple[str, ...]:
    """Return what must be true."""
    clocks = "the clocks of counts and traces differ by no more than a window"
    if case.joined is not None:
        return ("every request is in the log with the trace id it was traced under", *case.join_caveats)
    return ("counts and traces are of the same requests", *[clocks] * _may_shift(case), *case.join_caveats)


def _rates(case: Case) -> pd.DataFrame:
    """Return one row for all requests and one a stratum."""
    tally = case.joined or case.tally
    keys = [str(name) for name in tally.frame if name not in {"requests", "traces"}]
    strata = tally.frame[tally.frame["requests"] + tally.frame["traces"] > 0]
    scope = [" ".join(str(part) for part in row) for row in strata[keys].fillna("(none)").itertuples(index=False)]
    total = pd.DataFrame({"requests": [strata["requests"].sum()], "traces": [strata["traces"].sum()]})
    table = pd.concat([total, strata[["requests", "traces"]]] if keys else [total], ignore_index=True)
    table.insert(0, "scope", ["all requests", *scope] if keys else ["all requests"])
    low, high = share_interval(table["traces"].to_numpy(), table["requests"].to_numpy(), confidence=case.confidence)
    table["estimate"] = table["traces"] / table["requests"].where(table["requests"] > 0)
    table["estimate_low"], table["estimate_high"], table["dispersion"] = low, high, np.nan
    if len(tally.bins):
        events, trials = by_window(tally.bins, keys, strata)
        for at, (n, of) in enumerate(zip(events, trials, strict=True)):
            table.loc[at, "dispersion"] = overdispersion(np.minimum(n, of), of)
            if n.sum() <= of.sum():
                limits = window_share(n, of, confidence=case.confidence, shift=_may_shift(case))
                table.loc[at, ["estimate_low", "estimate_high"]] = float(limits.low), float(limits.high)
    table["status"] = [
        _status(case, row)
        for row in table[["traces", "requests", "estimate_low", "estimate_high"]].itertuples(index=False)
    ]
    return table


def by_window(bins: pd.DataFrame, keys: list[str], strata: pd.DataFrame) -> tuple[Array, Array]:
    """Return traces and requests by window: all of them and, where there are keys, those of each stratum."""
    window, starts = pd.factorize(bins["start_ns"], sort=True)
    if not keys:
        cell, rows = np.zeros(len(bins), np.int64), 1
    else:
        own, known = (pd.MultiIndex.from_frame(some[keys].fillna("(none)")) for some in (bins, strata))
        cell, rows = known.get_indexer(own), len(known)
    shape = rows, len(starts)
    at = (cell * shape[1] + window)[cell >= 0]
    by = [
        np.bincount(at, bins[name].to_numpy(np.float64)[cell >= 0], minlength=rows * shape[1]).reshape(shape)
        for name in ("traces", "requests")
    ]
    events, trials = (np.vstack([one.sum(axis=0), one]) if keys else one for one in by)
    return events, trials


def _may_shift(case: Case) -> bool:
    """Return whether counts by time of another clock may be off by a window: not where windows are long."""
    window = case.counts.window_s if case.counts is not None else None
    return window is not None and window <= _LONGEST_S


def _status(case: Case, row: tuple[float, ...]) -> str:
    """Return the verdict about one rate."""
    traces, requests, low, high = row
    if traces > requests:
        return "failed"
    if case.expected.rate is None:
        return "measured"
    return judge(low / case.expected.rate, high / case.expected.rate, case.margin)
