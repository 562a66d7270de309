"""S25: drifts and steps of clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import scipy

from tracekit.analysis.clock_skew.intervals import Agreement, agree
from tracekit.checks.quality.clocks.host_pairs import host_pairs
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.text import count, duration, interval, number, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.quality.clocks.host_pairs import HostPairs
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "clock.drift"
_SUBJECT = "Clock drift and steps"
_FEWEST, _MOST_PAIRS = 30, 50
_COLUMNS = ["host", "peer_host", "call_count", "kind", "low", "high", "unit", "time", "agreement_ratio", "status"]
_SAMPLE = 400
_FEWEST_A_SIDE = 10


def clock_drift(case: Case) -> list[Finding]:
    """Return which clocks drift or stepped relative to their peers.

    Analyses pairs of hosts with calls that no single offset satisfies (``clock.offset``).  Where neighbouring traces
    prove clock skew at some time, all lines within the calls' intervals are found (``drift``), else the step that
    separates them best (``step``).  Calls that neither explains are not evidence of a clock that moved: they may be
    asynchronous, or the host name belongs to two machines.  Assumes one drift or step within the period.  Of a
    store, this uses the calls of ``clock.offset``.

    Source: Moon, Skelly and Towsley 1999; Zhang, Liu and Xia 2002.
    """
    pairs = case.result(host_pairs)
    assumed = (*_ASSUMED, *pairs.sampled)
    enough = pairs.agreement.size >= _FEWEST
    if not enough.any():
        return [not_assessable(CHECK, _SUBJECT, f"at least {_FEWEST} calls between two hosts")]
    odd = np.flatnonzero(enough & (pairs.agreement.ratio < 1 - case.tolerance))
    odd = odd[np.argsort(-pairs.agreement.size[odd], kind="stable")]
    rows = [_explained(pairs, int(at), case.tolerance) for at in odd[:_MOST_PAIRS]]
    evidence = pd.DataFrame(rows, columns=_COLUMNS)
    calls = int(pairs.agreement.size[enough].sum())
    moved = evidence[evidence["kind"] != "contradiction"]
    unexplained = len(evidence) - len(moved)
    left = f" {len(odd) - _MOST_PAIRS} more pairs were not analysed." if len(odd) > _MOST_PAIRS else ""
    contradiction = (
        f" Calls of {plural(unexplained, 'pair')} fit neither a drift nor a step: asynchronous calls, or two machines "
        f"under one host name." * bool(unexplained)
    )
    if not len(moved):
        tested = int(enough.sum())
        fitting = (
            f"{count(tested - len(odd))} of {plural(tested, 'host pair')}"
            if len(odd)
            else f"all {plural(tested, 'host pair')}"
        )
        text = (
            f"No clock drift or step detected: a constant offset fits {fitting} "
            f"(n = {plural(calls, 'call')}).{contradiction}{left}"
        )
        return [finding(CHECK, "inconclusive" if len(odd) else "ok", text, evidence, assumptions=assumed)]
    row = moved.iloc[0]
    if row["kind"] == "drift":
        low, high = row["low"], row["high"]
        rate = f"{number((low + high) / 2)} ppm ({interval(low, high, number, confidence='')})"
        change = f"Clock drift: `{row['peer_host']}` gains {rate} on"
        when = ""
        each_hour = duration(abs(low + high) / 2 * 3.6e6)
        meaning = f"That is {each_hour} per hour: one correction for the whole period would be wrong."
    else:
        low, high = row["low"], row["high"]
        change = f"Clock step: `{row['peer_host']}` jumped by {interval(low, high, duration, confidence='')} against"
        when = f" at {row['time']:%Y-%m-%d %H:%M:%S} UTC"
        meaning = "Durations across that moment, and the order of events before and after it, are wrong by as much."
    more = f" {plural(len(moved) - 1, 'more pair')} of hosts with clock drift or steps." if len(moved) > 1 else ""
    text = (
        f"{change} `{row['host']}`{when} (n = {plural(row['call_count'], 'call')}). "
        f"{meaning}{more}{contradiction}{left}"
    )
    estimate = Estimate((low + high) / 2, row["unit"], low, high, int(row["call_count"]))
    remedy = "Fix time synchronisation on that host; analyse the time before and after separately."
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=assumed, remedy=remedy)]


_ASSUMED = ("one drift or one step within the period",)


def _explained(pairs: HostPairs, at: int, tolerance: float) -> list[Any]:
    """Return the evidence row of one pair: drift, step or contradiction."""
    calls = np.flatnonzero(pairs.pair == at)
    calls = calls[np.argsort(pairs.start_ns[calls], kind="stable")]
    begin = int(pairs.start_ns[calls[0]])
    seconds = (pairs.start_ns[calls] - begin) / 1e9
    low, high = pairs.low[calls], pairs.high[calls]
    names = [pairs.names[pairs.host[at]], pairs.names[pairs.peer[at]], int(pairs.agreement.size[at])]
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


class Drift(NamedTuple):
    """Limits of the slope (ns/s) that the calls allow, and the share of the calls that one line satisfies."""

    low: float
    high: float
    ratio: float


class Step(NamedTuple):
    """A step: its time (s), limits of its size (ns), and the share of calls consistent with the levels around it."""

    at: float
    low: int
    high: int
    ratio: float


def _agreement(low: Array, high: Array, tolerance: float) -> Agreement:
    """Return the agreement of the intervals of one group."""
    return agree(np.zeros(len(low), np.int64), low, high, async_ratio=tolerance)


def drift(seconds: Array, low: Array, high: Array) -> Drift:
    """Return the slopes of all lines that lie within the intervals.

    A robust slope (Theil and Sen, of the midpoints) removes the drift; the offset most calls then agree on selects the
    consistent calls; two linear programs over these yield the least and the largest slope.
    """
    middle = (low.astype(np.float64) + high) / 2
    some = np.linspace(0, len(middle) - 1, min(_SAMPLE, len(middle))).astype(np.int64)
    i, j = np.triu_indices(len(some), 1)
    apart = seconds[some[j]] - seconds[some[i]]
    usable = np.abs(apart) > 0
    slope = float(np.median((middle[some[j]] - middle[some[i]])[usable] / apart[usable])) if usable.any() else 0.0
    level_low, level_high = (
        np.floor(low - slope * seconds).astype(np.int64),
        np.ceil(high - slope * seconds).astype(np.int64),
    )
    most = _agreement(level_low, level_high, 0.0)
    point = int(most.low[0])
    kept = (level_low <= point) & (level_high >= point)
    limits = _slopes(seconds[kept], level_low[kept] - point, level_high[kept] - point)
    return Drift(slope + limits[0], slope + limits[1], float(most.ratio[0]))


def _slopes(t: Array, low: Array, high: Array) -> tuple[float, float]:
    """Return the least and the largest slope of a line within all intervals; the line 0 is feasible."""
    centre, scale = float(t.mean()), max(float(np.ptp(t)), 1e-9)
    unit = max(float(np.abs(np.concatenate((low, high))).max()), 1.0)
    x = (t - centre) / scale
    rows = np.concatenate((np.column_stack((np.ones(len(x)), x)), -np.column_stack((np.ones(len(x)), x))))
    limits = np.concatenate((high, -low)) / unit
    found = []
    for sign in (1, -1):
        solved = scipy.optimize.linprog([0, sign], A_ub=rows, b_ub=limits, bounds=[(None, None)] * 2, method="highs")
        found.append(sign * solved.fun * unit / scale if solved.status == 0 else -sign * np.inf)
    return found[0], found[1]


def step(seconds: Array, low: Array, high: Array, *, tolerance: float) -> Step:
    """Return the moment that separates the intervals best into two levels (the largest CUSUM of the midpoints)."""
    rank = np.argsort(np.argsort((low + high) / 2, kind="stable"), kind="stable").astype(np.float64)
    n = len(rank)
    before = np.arange(1, n)
    gap = np.abs(np.cumsum(rank - rank.mean())[:-1]) / np.sqrt(before * (n - before))
    usable = (before >= _FEWEST_A_SIDE) & (n - before >= _FEWEST_A_SIDE)
    if not usable.any():
        return Step(float(seconds[0]), 0, 0, 0.0)
    cut = int(before[usable][gap[usable].argmax()])
    first, second = (_agreement(low[part], high[part], tolerance) for part in (slice(cut), slice(cut, None)))
    size = int(second.low[0] - first.high[0]), int(second.high[0] - first.low[0])
    return Step(float(seconds[cut]), *size, float(min(first.ratio[0], second.ratio[0])))
