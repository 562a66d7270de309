"""S21: collection gaps, from the traces alone."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.text import count, duration, factor, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.findings import Finding

CHECK = "gap.silence"
_SUBJECT = "Collection gaps without request counts"
_NEIGHBOURS, _CHANCE, _BURSTY, _FEWEST = 10, 0.01, 1.3, 120
_PER_BIN, _EDGES = 10, 2


class Silence(NamedTuple):
    """Significantly long gaps between arrivals: index of the arrival before, length (ns), expected arrivals."""

    before: Array
    gap_ns: Array
    due: Array


def silences(start_ns: Array, *, chance: float = _CHANCE) -> Silence:
    """Return the gaps between arrivals that are significantly longer than neighbouring gaps.

    ``p = (1 + g / (k m))^(-k)`` for a gap g with k neighbouring gaps (at most 10 on either side) and their mean m on
    the quieter side, times the number of gaps.  Few neighbours and the quieter side, because traffic falls and rises
    around the lull of a night.  Exact for locally Poisson arrivals, but for the choice of the side, which makes it
    conservative; bursty traffic causes false alarms: see ``burst``.
    """
    gap = np.diff(np.sort(start_ns)).astype(np.float64)
    n, sums = len(gap), np.concatenate(([0.0], np.cumsum(gap)))
    at = np.arange(n)
    first, last = np.maximum(at - _NEIGHBOURS, 0), np.minimum(at + 1 + _NEIGHBOURS, n)
    before, after = at - first, last - at - 1
    usual = np.maximum(
        (sums[at] - sums[first]) / np.maximum(before, 1), (sums[last] - sums[at + 1]) / np.maximum(after, 1)
    )
    due, others = gap / np.maximum(usual, 1e-9), before + after
    adjusted = np.exp(-others * np.log1p(due / np.maximum(others, 1))) * n
    found = np.flatnonzero(adjusted < chance)
    return Silence(found, gap[found], due[found])


def burst(start_ns: Array) -> float:
    """Return the dispersion of neighbouring windows relative to Poisson arrivals (1 for Poisson).

    Mean of ``(n2 - n1)^2 / (n1 + n2)`` over neighbouring windows of about ten arrivals each, without the two largest:
    the edges of one silence.  Seasonal changes have no effect, because neighbouring windows share them.
    """
    start = np.sort(start_ns)
    bins = max(int(len(start) / _PER_BIN), 4)
    edges = np.linspace(float(start[0]), float(start[-1]) + 1, bins + 1)
    arrivals = np.histogram(start, edges)[0].astype(np.float64)
    both = arrivals[1:] + arrivals[:-1]
    terms = np.sort((np.diff(arrivals) ** 2 / np.maximum(both, 1))[both > 0])
    return float(terms[: max(len(terms) - _EDGES, 1)].mean())


def _starts(case: Case) -> list[Array]:
    """Return the known starts of the requests of a part: 8 bytes for each."""
    return [case.start_ns[case.start_ns > 0]]


def _sorted(_: Case, parts: Sequence[Array]) -> Array:
    """Return those of all parts in their order."""
    return np.sort(np.concatenate(parts))


STARTS: Final[Merged[Array]] = Merged(_starts, operator.add, _sorted)


def silence(case: Case) -> list[Finding]:
    """Return the periods without traces that are significantly long; without request counts they may be lulls.

    ``silences`` on the starts of root spans, after a test of dispersion: not assessable if ``burst`` exceeds 1.3.
    Assumes locally Poisson arrivals.

    Source: exponential spacings; measured in the tests.
    """
    start = case.result(STARTS)
    if len(start) < _FEWEST:
        return [not_assessable(CHECK, _SUBJECT, f"request counts, or at least {_FEWEST} traces (found {len(start)})")]
    spread = burst(start)
    if spread > _BURSTY:
        missing = f"request counts: arrivals are bursty ({factor(spread)} the dispersion of independent arrivals)"
        return [not_assessable(CHECK, _SUBJECT, missing, "Pass requests= with times for the check gap.scan.")]
    found = silences(start)
    begin = start[found.before]
    evidence = pd.DataFrame(
        {
            "start_time": pd.to_datetime(begin, unit="ns", utc=True),
            "gap_ns": found.gap_ns.astype(np.int64),
            "due_count": found.due,
        }
    )
    longest = float(np.diff(start).max())
    if not len(evidence):
        text = (
            f"No collection gap detected: the longest interval between two trace starts is {duration(longest)}, not "
            f"significantly longer than the rest ({plural(len(start), 'trace')})."
        )
        return [finding(CHECK, "ok", text, evidence, assumptions=_ASSUMED)]
    worst = evidence.iloc[int(evidence["due_count"].to_numpy().argmax())]
    others = f" {plural(len(evidence) - 1, 'more such gap')}." if len(evidence) > 1 else ""
    text = (
        f"Possible collection gap: no trace for {duration(float(worst['gap_ns']))} from "
        f"{worst['start_time']:%Y-%m-%d %H:%M:%S} UTC, about {count(worst['due_count'])} expected "
        f"(n = {count(len(start))} traces).{others} Without request counts this may also be a period of low traffic."
    )
    due = float(worst["due_count"])
    spread_due = 1.96 * float(np.sqrt(due))
    estimate = Estimate(due, "count", max(due - spread_due, 0.0), due + spread_due, len(start))
    remedy = "Pass request counts with times (requests=), to distinguish low traffic from lost traces."
    return [finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)]


_ASSUMED = ("arrivals are locally Poisson",)
