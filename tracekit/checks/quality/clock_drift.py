"""S25: whether the offset of a clock moves or jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.checks.quality.drift_lines import drift, step
from tracekit.checks.quality.host_pairs import host_pairs
from tracekit.checks.sampling.words import counted, duration, number
from tracekit.checks.verdicts import finding, not_assessable
from tracekit.findings import Estimate

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.quality.host_pairs import HostPairs
    from tracekit.findings import Finding

CHECK = "clock.drift"
_SUBJECT = "Whether clocks drift or jump"
_FEWEST, _MOST_PAIRS = 30, 50
_COLUMNS = ["host", "peer_host", "call_count", "kind", "low", "high", "unit", "time", "agreement_ratio", "status"]


def clock_drift(case: Case) -> list[Finding]:
    """Say which clocks run at another speed than their peers, or jumped.

    Analyses pairs of hosts with calls that no single offset satisfies (``clock.offset``).  Where neighbouring traces
    prove their clocks apart at some time, all lines within the calls' intervals are found (``drift``), else the one
    step that separates them best (``step``).  What neither explains, and what is not proven, is no evidence of a clock
    that moved: asynchronous calls, or two machines under one host name.  Assumes one drift or step within the period.

    Source: Moon, Skelly and Towsley 1999; Zhang, Liu and Xia 2002; ``trace_guide.md`` F3.
    """
    pairs = case.result(host_pairs)
    enough = pairs.agreement.size >= _FEWEST
    if not enough.any():
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} calls between two hosts")]
    odd = np.flatnonzero(enough & (pairs.agreement.ratio < 1 - case.tolerance))
    odd = odd[np.argsort(-pairs.agreement.size[odd], kind="stable")]
    rows = [_explained(pairs, int(at), case.tolerance) for at in odd[:_MOST_PAIRS]]
    evidence = pd.DataFrame(rows, columns=_COLUMNS)
    calls = int(pairs.agreement.size[enough].sum())
    moved = evidence[evidence["kind"] != "contradiction"]
    strange = len(evidence) - len(moved)
    left = f"; {len(odd) - _MOST_PAIRS} more pairs were not looked at" if len(odd) > _MOST_PAIRS else ""
    contradiction = (
        f"; calls between {strange} pairs contradict each other in no such way: asynchronous calls, or two machines "
        f"under one host name" * bool(strange)
    )
    if not len(moved):
        text = (
            f"No clock is proven to drift or jump: one offset satisfies the calls of "
            f"{int(enough.sum()) - len(odd)} of {int(enough.sum())} pairs of hosts (n = {number(calls)} "
            f"calls){contradiction}{left}."
        )
        return [finding(CHECK, "inconclusive" if len(odd) else "ok", text, evidence, assumptions=_ASSUMED)]
    row = moved.iloc[0]
    if row["kind"] == "drift":
        low, high = row["low"], row["high"]
        told = f"gains {(low + high) / 2:.3g} ppm ({low:.3g} to {high:.3g}) on `{row['host']}`"
        each_hour = duration(abs(low + high) / 2 * 3.6e6)
        meaning = f"{each_hour} an hour, so one correction for the whole period would be wrong"
    else:
        low, high = row["low"], row["high"]
        size = f"{duration(low)} to {duration(high)}"
        told = f"jumped by {size} against `{row['host']}` at {row['time']:%Y-%m-%d %H:%M:%S} UTC"
        meaning = "durations across that moment and orders before and after are wrong by as much"
    more = f"; {len(moved) - 1} more pairs moved" if len(moved) > 1 else ""
    text = (
        f"`{row['peer_host']}` {told} (n = {counted(row['call_count'], 'call')}): {meaning}{more}{contradiction}{left}."
    )
    estimate = Estimate((low + high) / 2, row["unit"], low, high, int(row["call_count"]))
    remedy = "Fix time synchronisation on that host; analyse the time before and after separately."
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)]


_ASSUMED = ("one drift or one step within the period",)


def _explained(pairs: HostPairs, at: int, tolerance: float) -> list[Any]:
    """Return what explains the calls of one pair: drift, step, or nothing."""
    calls = np.flatnonzero(pairs.pair == at)
    calls = calls[np.argsort(pairs.start_ns[calls], kind="stable")]
    begin = int(pairs.start_ns[calls[0]])
    seconds = (pairs.start_ns[calls] - begin) / 1e9
    low, high = pairs.low[calls], pairs.high[calls]
    names = [pairs.names[pairs.host[at]], pairs.names[pairs.peer[at]], len(calls)]
    if not pairs.is_apart[at]:
        return [*names, "contradiction", np.nan, np.nan, "", pd.NaT, float(pairs.agreement.ratio[at]), "inconclusive"]
    line = drift(seconds, low, high)
    jump = step(seconds, low, high, tolerance=tolerance)
    if line.ratio >= 1 - tolerance and line.low * line.high > 0 and line.ratio >= jump.ratio - tolerance:
        ppm = line.low / 1000, line.high / 1000
        return [*names, "drift", *ppm, "ppm", pd.NaT, line.ratio, "warning"]
    if jump.ratio >= 1 - tolerance and (jump.low > 0 or jump.high < 0):
        moment = pd.Timestamp(begin + int(jump.at * 1e9), unit="ns", tz="UTC")
        return [*names, "step", jump.low, jump.high, "ns", moment, jump.ratio, "warning"]
    return [*names, "contradiction", np.nan, np.nan, "", pd.NaT, max(line.ratio, jump.ratio), "inconclusive"]
