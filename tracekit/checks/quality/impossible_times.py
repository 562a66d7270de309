"""S26: which timestamps are impossible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.clock_skew.calls import clocks
from tracekit.checks.quality.host_pairs import host_pairs
from tracekit.checks.quality.time_origins import origin_told, time_origins
from tracekit.checks.sampling.words import counted, percent, percents
from tracekit.checks.verdicts import finding, not_assessable, status_of_low_share, without_weighted_traces
from tracekit.findings import Estimate, Status
from tracekit.schema import Quality

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK, _SUBJECT = "time.order", "Which times are impossible"
_MOST = 0.001
_YEAR_2000_NS = 946_684_800 * 10**9
_UNITS = (("seconds", 10**10), ("milliseconds", 10**13), ("microseconds", 10**16))


def impossible_times(case: Case) -> list[Finding]:
    """Say which spans carry times that cannot be.

    Negative durations and absurdly long ones (an end at the epoch or in another unit); children that begin before
    their parents by more than the clocks of both can be apart (``clock.offset``; nothing on one clock); times after
    ``now`` (without, a day after reading); starts whose size means seconds, milliseconds or microseconds where
    nanoseconds belong, also those that reading set aside; other starts before the year 2000; no start.  One row a
    sign, service, SDK and host (``time_origins``).  Shares are weighted and clustered by trace.  A wrong unit fails;
    the rest warns above 0.1 %.  Assumes that work begins after it is asked for, whoever waits for it.

    Source: ``trace_guide.md`` F3, mistake 3.
    """
    spans = case.traces.columns.spans
    if not len(spans):
        return [not_assessable(CHECK, _SUBJECT, "spans")]
    signs = {**_units(case), **_signs(case)}
    evidence = time_origins(case, signs)
    trace = case.traces.forest.trace
    impossible = np.any(list(signs.values()), axis=0)
    whole = case.ratio(trace, impossible)
    value, low, high = (float(column[0]) for column in (whole.ratio, whole.low, whole.high))
    if np.isnan(value):
        return [without_weighted_traces(CHECK, _SUBJECT)]
    issues = case.traces.columns.issues
    aside = int(issues.loc[issues["code"] == "TIME_UNIT", "issue_count"].sum())
    wrong_unit = bool(aside) or any(signs[name].any() for name in signs if name.startswith("in "))
    status: Status = (
        "failed" if wrong_unit else status_of_low_share(low, high, warn=_MOST) if impossible.any() else "ok"
    )
    total = counted(len(spans), "span")
    many = f"{percent(value)} ({percents(low, high)}) of {total} have" if impossible.any() else f"None of {total} has"
    text = f"{many} impossible times"
    if len(evidence):
        text += f", most of them {origin_told(evidence)}"
    text += f"; {counted(aside, 'span')} in another unit were set aside in reading" * bool(aside)
    meaning = {
        "ok": "durations and orders can be used",
        "inconclusive": "more spans are needed to tell whether 0.1 % do",
    }
    text += f"; {meaning.get(status, 'durations, orders and critical paths through them mean nothing')}."
    return [
        finding(
            CHECK,
            status,
            text,
            evidence,
            estimate=Estimate(value, "ratio", low, high, len(spans), float(whole.n_effective[0])),
            assumptions=("work begins after it is asked for",),
            remedy=""
            if status in {"ok", "inconclusive"}
            else "Mend the unit in the SDKs named, the clock on the hosts named; see traces.issues.",
            exemplars=case.exemplars(trace[impossible]),
        )
    ]


def _units(case: Case) -> dict[str, Array]:
    """Return which spans begin at a time whose size means another unit."""
    spans = case.traces.columns.spans
    start, known = spans.start_ns, (spans.quality & Quality.NO_START) == 0
    found = {}
    for (name, high), floor in zip(_UNITS, (10**9, 10**6, 10**3), strict=True):
        low = _YEAR_2000_NS // floor
        found[f"in {name} instead of nanoseconds"] = known & (start >= low) & (start < high)
    told = np.any(list(found.values()), axis=0)
    return {**found, "before the year 2000 (a clock that was not set)": known & (start < _YEAR_2000_NS) & ~told}


def _signs(case: Case) -> dict[str, Array]:
    """Return which spans show every other sign."""
    spans = case.traces.columns.spans
    start, quality = spans.start_ns, spans.quality
    no_start = (quality & Quality.NO_START) != 0
    later = (quality & Quality.TIME_FUTURE) != 0
    if case.now_ns is not None:
        later = ~no_start & (start > case.now_ns)
    return {
        "with a negative duration": (quality & Quality.DURATION_NEGATIVE) != 0,
        "absurdly long (one end at the epoch, or in another unit)": (quality & Quality.DURATION_ABSURD) != 0,
        "begun before their parents": _before_parent(case),
        "in the future": later,
        "without a start": no_start,
    }


def _before_parent(case: Case) -> Array:
    """Return which spans begin before their parents by more than clocks allow."""
    traces, spans = case.traces, case.traces.columns.spans
    early = np.zeros(len(spans), bool)
    parent = traces.forest.parent_row
    child = np.flatnonzero(parent >= 0)
    above = parent[child]
    timed = ((spans.quality[child] | spans.quality[above]) & Quality.NO_START) == 0
    grain = np.maximum(spans.resolution_ns[child], spans.resolution_ns[above]).astype(np.int64)
    by = spans.start_ns[above] - spans.start_ns[child]
    suspect = timed & (by > grain)
    child, above, by = child[suspect], above[suspect], by[suspect]
    early[child] = by > _behind(case, child, above)
    return early


def _behind(case: Case, child: Array, parent: Array) -> Array:
    """Return by how much the child's clock may be behind its parent's: 0 on one clock, without limit where unknown."""
    clock, pairs = clocks(case.traces).codes, case.result(host_pairs)
    mine, theirs = clock[child].astype(np.int64), clock[parent].astype(np.int64)
    size = len(pairs.names)
    known = pairs.host * size + pairs.peer
    key = np.minimum(mine, theirs) * size + np.maximum(mine, theirs)
    most = np.full(len(child), np.iinfo(np.int64).max)
    if len(known):
        at = np.minimum(np.searchsorted(known, key), len(known) - 1)
        ahead = np.where(theirs < mine, -pairs.agreement.low[at], pairs.agreement.high[at])
        most = np.where(known[at] == key, np.maximum(ahead, 0), most)
    return np.where(mine == theirs, 0, most)
