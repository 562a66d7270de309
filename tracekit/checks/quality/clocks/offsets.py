"""S24: clock skew between pairs of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.checks.quality.clocks.host_pairs import host_pairs
from tracekit.findings import Estimate, Status, finding, not_assessable
from tracekit.text import duration, interval, plural, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

CHECK = "clock.offset"
_FEWEST = 5


def clock_offsets(case: Case) -> list[Finding]:
    """Return the limits of the clock skew between hosts that call each other.

    A synchronous call proves ``end - end <= theta <= start - start``; the interval of a pair of hosts contains every
    theta that at least ``1 - tolerance`` of its calls over the whole period allow.  Calls in which the callee takes
    longer than its caller are excluded and counted.  Two clocks are skewed where neighbouring traces prove it: the same
    decision as in ``tk.clock_skew`` and ``tk.critical_path`` (see the notes of ``tk.clock_skew``); elsewhere the
    interval includes 0.  Where no single offset satisfies ``1 - tolerance`` of the calls, some are asynchronous or a
    clock moved: ``clock.drift`` analyses these pairs, and the interval contains the skew at every time.  The midpoint
    is off by half the difference of the two network delays, which spans do not record.  No time is changed.  Of a
    store, intervals are those of at most 4,096 calls of each pair, chosen by a hash of their trace ids; the counts are
    of all calls, and the assumptions say so.

    Source: Marzullo 1984; RFC 5905, section 11.2.1.
    """
    pairs = case.result(host_pairs)
    enough = np.flatnonzero((pairs.agreement.size >= _FEWEST) | pairs.is_apart)
    if not len(enough):
        return [not_assessable(CHECK, "Clock skew", f"at least {_FEWEST} synchronous calls between two hosts")]
    names, assumed = np.array(pairs.names, object), (*_assumed(case), *pairs.sampled)
    evidence = pd.DataFrame(
        {
            "host": names[pairs.host[enough]],
            "peer_host": names[pairs.peer[enough]],
            "call_count": pairs.agreement.size[enough],
            "dropped_count": pairs.dropped[enough],
            "low_ns": pairs.agreement.low[enough],
            "high_ns": pairs.agreement.high[enough],
            "agreement_ratio": pairs.agreement.ratio[enough],
        }
    )
    consistent = evidence["agreement_ratio"] >= 1 - case.tolerance
    apart = pairs.is_apart[enough]
    evidence["status"] = np.select([apart, ~consistent], ["warning", "inconclusive"], "ok")
    evidence["unresolved_ns"] = evidence[["low_ns", "high_ns"]].abs().max(axis=1)
    distance = np.where(apart, evidence[["low_ns", "high_ns"]].abs().min(axis=1), 0)
    evidence = evidence.iloc[np.lexsort((-distance, evidence["status"] != "warning"))].reset_index(drop=True)
    skewed = evidence[evidence["status"] == "warning"]
    calls = int(evidence["call_count"].sum())
    disputed = int((evidence["status"] == "inconclusive").sum())
    odd = f" No single offset fits the calls of {plural(disputed, 'pair')} (see clock.drift)." if disputed else ""
    if not len(skewed):
        widest = float(evidence["unresolved_ns"].median())
        text = (
            f"No clock skew detected between {plural(len(evidence), 'host pair')} ({plural(calls, 'call')}). "
            f"Median undetectable skew: {duration(widest)}; do not order events closer than that.{odd}"
        )
        status: Status = "inconclusive" if disputed else "ok"
        return [finding(CHECK, status, text, evidence, assumptions=assumed)]
    first = skewed.iloc[0]
    low, high = int(first["low_ns"]), int(first["high_ns"])
    ahead = low + high > 0
    who, other = (first["peer_host"], first["host"]) if ahead else (first["host"], first["peer_host"])
    low, high = (low, high) if ahead else (-high, -low)
    more = f" {plural(len(skewed) - 1, 'more host pair')} with clock skew." if len(skewed) > 1 else ""
    text = (
        f"Clock skew: `{who}` runs {_apart(low, high)} `{other}` "
        f"(n = {plural(first['call_count'], 'call')}). Events less than {duration(high)} apart cannot be ordered "
        f"between them, and network times between them are wrong by as much.{more}{odd}"
    )
    estimate = Estimate((low + high) / 2, "ns", low, high, int(first["call_count"]))
    remedy = "Fix time synchronisation on that host; tk.clock_skew(traces) lists the corrections."
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=assumed, remedy=remedy)]


def _apart(low: int, high: int) -> str:
    """Return how far a clock is ahead of another, ``high`` being further from 0."""
    if low < 0:
        return f"up to {duration(-low)} behind and up to {duration(high)} ahead of"
    if low == 0:
        return f"up to {duration(high)} ahead of"
    same = duration(low) == duration(high)
    return f"{duration(high) if same else interval(low, high, duration, confidence='')} ahead of"


def _assumed(case: Case) -> tuple[str, ...]:
    """Return the assumptions of the intervals."""
    return (
        f"at most {round_ratio(case.tolerance)} of the calls of an interval, half of those of a pair are asynchronous",
        "the network delays to the callee and back may differ by any amount that the calls allow",
    )
