"""Whether a regression is more than what varies from one stretch of the baseline to the next, as load does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import stats

from tracekit.analysis.what_differs.roots import roots_of
from tracekit.checks.screen.own_values import own_values

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.roots import Roots
    from tracekit.checks.changes.affected import Band
    from tracekit.checks.comparison import Changes
    from tracekit.columns import Array
    from tracekit.findings import Finding

STRETCHES: Final = 20  # of a baseline, at most ...
_LEAST: Final = 8  # ... requests in each, and ...
_FEWEST: Final = 5  # ... stretches: with fewer, their variation is not known


def p_of_variation(changes: Changes, band: Band | None, group: tuple[Array, Array] | None = None) -> float:
    """Return the one-sided p-value of a regression, from the variation between stretches of the baseline; 0 if unknown.

    The mean of each stretch (of slow or failed requests their share, otherwise the latency) counts as one observation,
    so that requests that are slow together are no evidence each.  The current traces vary as the baseline does unless
    something happened, and what happened must not widen the test.  ``group``: which requests of the band, now and in
    the baseline, are those of whoever is affected; both they and all requests are tested (Bonferroni).
    """
    if band is None:
        before, now = (_latencies(roots_of(side.source)) for side in (changes.before, changes.now))
        return _p_value(before, now)
    whole = _p_value(_outcomes(band, 1), _outcomes(band, 0))
    if group is None or not group[1].any():
        return whole
    return min(1.0, 2 * min(whole, _p_value(_outcomes(band, 1, group[1]), _outcomes(band, 0, group[0]))))


def p_of_own_values(changes: Changes, finding: Finding) -> float | None:
    """Return the p-value of what a finding is about, from its own variation; None for whole requests, and for stores.

    An operation, a service or calls can be worse beyond doubt where the latency of all requests varies by more.
    """
    parts = []
    for side in (changes.before, changes.now):
        own = own_values(side, finding)
        if own is None:
            return None
        roots = roots_of(side.traces)
        known = own.has_value & roots.is_dated
        parts.append((roots.start_ns[known], own.value[known]))
    return _p_value(*parts)


def _p_value(before: tuple[Array, Array], now: tuple[Array, Array]) -> float:
    """Return the one-sided p-value of the change of a mean, from start and value of the requests of both sides."""
    means = _stretches(*before)
    if len(means) < _FEWEST or not len(now[1]):
        return 0.0
    spread = float(means.std(ddof=1))
    size = len(before[1]) / len(means)
    error = spread * np.sqrt(1 / len(means) + size / len(now[1]))
    change = float(now[1].mean() - before[1].mean())
    if not error > 0:
        return 0.0 if change > 0 else 1.0
    return float(stats.t.sf(change / error, len(means) - 1))


def dispersion_of(band: Band) -> float:
    """Return how many times the variance of independent outcomes the shares of stretches of the baseline have."""
    start, outcome = _outcomes(band, 1)
    means = _stretches(start, outcome)
    share = outcome.mean() if len(outcome) else 0.0
    if len(means) < _FEWEST or not 0 < share < 1:
        return 1.0
    independent = share * (1 - share) * len(means) / len(outcome)
    return max(1.0, float(means.var(ddof=1)) / independent)


def _stretches(start: Array, value: Array) -> Array:
    """Return the mean of each of up to ``STRETCHES`` equally long runs of requests, in the order of time."""
    ordered = value[np.argsort(start, kind="stable")]
    count = min(STRETCHES, len(ordered) // _LEAST)
    return np.array([part.mean() for part in np.array_split(ordered, count)]) if count else np.empty(0)


def _latencies(roots: Roots) -> tuple[Array, Array]:
    """Return start and latency of the finished requests."""
    known = roots.is_timed & roots.is_dated
    return roots.start_ns[known], roots.duration_ns[known].astype(np.float64)


def _outcomes(band: Band, side: int, group: Array | None = None) -> tuple[Array, Array]:
    """Return start of the requests of one side of a band (0: current), and 1 where they are slow or failed."""
    selection, others = band.sides[side]
    known = (selection.chosen | others.chosen) & selection.roots.is_dated
    known = known if group is None else known & group
    return selection.roots.start_ns[known], selection.chosen[known].astype(np.float64)
