"""S01: trace coverage, the share of the requests with a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.stats.proportions import overdispersion, share_interval, window_share
from tracekit.text import count, plural, ratio, ratio_range

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK, _SUBJECT = "rate.observed", "Trace coverage"
_LONGEST_S = 300.0


def observed_rate(case: Case) -> list[Finding]:
    """Return the share of the counted requests with a trace, in total and by stratum.

    n_g / N_g by Wilson from five traces on, Clopper-Pearson below.  Where the share varies significantly over windows
    (Pearson's chi squared over its degrees of freedom above 1.5), the interval is widened by its root, on the logit.
    Counts by time come from another clock: windows of five minutes or less are shifted by one in either direction, and
    the interval is the hull of the three (``stats.proportions.window_share``).  With a log and no counts: joined by
    trace ID, so the share is exact for this window and the interval is that of the underlying rate; its strata are
    those of the log, independent of clocks.  Assumes that n and N count the same requests; not valid with health checks
    in N, several traces per request, or counts at another hop.  Source: textbook; metrics M1, M7.
    """
    if missing := case.join_needed:
        return [not_assessable(CHECK, _SUBJECT, missing, remedy="Pass request counts of a load balancer or gateway.")]
    table = _rates(case)
    whole, strata = table.iloc[0], table.iloc[1:]
    beyond = (
        strata[strata["traces"] > strata["requests"]] if len(strata) else table[table["traces"] > table["requests"]]
    )
    text = (
        f"{_SUBJECT}: {ratio(whole['estimate'])} ({case.ci}"
        f" {ratio_range(whole['estimate_low'], whole['estimate_high'])}; {count(whole['traces'])} of"
        f" {plural(whole['requests'], 'request')})."
    )
    if len(beyond):
        row = beyond.sort_values("traces", ascending=False).iloc[0]
        more = f" and {plural(len(beyond) - 1, 'more stratum', 'more strata')}" * (len(beyond) > 1)
        text = (
            f"More traces than requests in {row['scope']} ({count(row['traces'])} of {count(row['requests'])}){more}:"
            " the counts, the window or the hop do not match the traces."
        )
    status = worst_status(table["status"].tolist())
    if case.expected.rate is not None and not len(beyond):
        text = text.removesuffix(".") + f"; {ratio(case.expected.rate)} expected."
    estimate = Estimate(
        float(whole["estimate"]),
        "ratio",
        float(whole["estimate_low"]),
        float(whole["estimate_high"]),
        int(whole["traces"]),
    )
    remedy = "" if status in {"ok", "measured"} else "Fix the counts or the window before using any other rate."
    return [
        finding(
            CHECK, status, text, table, estimate=estimate, assumptions=_assumed(case), remedy=remedy, is_critical=False
        )
    ]


def _assumed(case: Case) -> tuple[str, ...]:
    """Return the assumptions."""
    clocks = "the clocks of counts and traces differ by no more than a window"
    if case.joined is not None:
        return ("every request is in the log with its trace ID", *case.join_caveats)
    return ("counts and traces cover the same requests", *[clocks] * _may_shift(case), *case.join_caveats)


def _rates(case: Case) -> pd.DataFrame:
    """Return one row for all requests and one per stratum."""
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
    """Return traces and requests by window: in total and, with keys, by stratum."""
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
    """Return whether clock differences may shift counts by a window: only if windows are short."""
    window = case.counts.window_s if case.counts is not None else None
    return window is not None and window <= _LONGEST_S


def _status(case: Case, row: tuple[float, ...]) -> str:
    """Return the status of one rate."""
    traces, requests, low, high = row
    if traces > requests:
        return "failed"
    if case.expected.rate is None:
        return "measured"
    return judge(low / case.expected.rate, high / case.expected.rate, case.margin)
