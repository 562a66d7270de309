"""Whether a regression is more than what varies from one stretch of time to the next, as load does."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.what_differs.roots import roots_of
from tracekit.checks.changes.affected import affected_requests, bands
from tracekit.checks.changes.own_values import own_values
from tracekit.checks.comparison import SURE, comparable_changes
from tracekit.stats.stretches import FEWEST, p_value_of_rise, stretch_means

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.analysis.what_differs.roots import Roots
    from tracekit.checks.case import Case
    from tracekit.checks.changes.affected import Band
    from tracekit.checks.comparison import Changes
    from tracekit.columns import Array
    from tracekit.findings import Finding


VARIES: Final = " It varies as much from one stretch of time to the next."
P_VALUE: Final = "p_of_variation"
METHOD: Final = "Means of stretches of time of both sides, at most 20 of the baseline, one observation each (t-test)."
_ALARMS: Final = ("warning", "critical")


def weighed(check: Callable[[Case], list[Finding]]) -> Callable[[Case], list[Finding]]:
    """Return a check whose warnings are notices where the change varies as much from one stretch of time to the next.

    The p-value is ``p_of_variation`` among the values of a finding that would be a warning.
    """

    @wraps(check)
    def run(case: Case) -> list[Finding]:
        return [_weighed(case, finding) for finding in check(case)]

    return run


def _weighed(case: Case, finding: Finding) -> Finding:
    """Return a finding with its p-value; as a notice if that is no evidence of a regression."""
    changes = comparable_changes(case)
    if changes is None or finding.severity not in _ALARMS:
        return finding
    p_value = p_of_finding(case, changes, finding)
    values = {**finding.values, P_VALUE: p_value}
    if p_value <= SURE:
        return replace(finding, values=values)
    method = f"{finding.method} {METHOD}".strip()
    headline = finding.headline + VARIES
    return replace(
        finding, severity="notice", status="inconclusive", headline=headline, values=values, remedy="", method=method
    )


def p_of_finding(case: Case, changes: Changes, finding: Finding) -> float:
    """Return the one-sided p-value of what a finding says is worse, from the variation between stretches of time."""
    own = p_of_own_values(changes, finding)
    if own is not None:
        return own
    slow, failed = case.result(bands)
    band = {"slower": slow, "failing": failed}.get(finding.check)
    named = [one for one in case.result(affected_requests) if one.band is band and one.key]
    return p_of_variation(changes, band, (named[0].now, named[0].was) if named else None)


def p_of_variation(changes: Changes, band: Band | None, group: tuple[Array, Array] | None = None) -> float:
    """Return the one-sided p-value of a regression, from the variation between stretches of time; 0 if unknown.

    The mean of each stretch (of slow or failed requests their share, otherwise the latency) counts as one observation,
    so that requests that are slow together are no evidence each (``stats.stretches``).  ``group``: which requests of
    the band, now and in the baseline, are those of whoever is affected; both they and all requests are tested
    (Bonferroni).
    """
    if band is None:
        before, now = (_latencies(roots_of(side.source)) for side in (changes.before, changes.now))
        return _p_value(before, now)
    whole = _p_value(_outcomes(band, 1), _outcomes(band, 0))
    if group is None or not group[1].any():
        return whole
    return min(1.0, 2 * min(whole, _p_value(_outcomes(band, 1, group[1]), _outcomes(band, 0, group[0]))))


def p_of_fall(band: Band) -> float:
    """Return the one-sided p-value of a fall of the share of slow or failed requests; 0 if the variation is unknown."""
    return _p_value(_outcomes(band, 0), _outcomes(band, 1))


def p_of_own_values(changes: Changes, finding: Finding) -> float | None:
    """Return the p-value of what a finding is about, from its own variation; None for whole requests.

    An operation, a service or calls can be worse beyond doubt where the latency of all requests varies by more.
    """
    parts = []
    for side in (changes.before, changes.now):
        own = own_values(side, finding)
        if own is None:
            return None
        roots = roots_of(side.source)
        known = own.has_value & roots.is_dated
        parts.append((roots.start_ns[known], own.value[known]))
    return _p_value(*parts)


def _p_value(before: tuple[Array, Array], now: tuple[Array, Array]) -> float:
    """Return the one-sided p-value of the change of a mean, from start and value of the requests of both sides."""
    found = p_value_of_rise(_in_order(*before), _in_order(*now))
    return 0.0 if found is None else found


def dispersion_of(band: Band) -> float:
    """Return how many times the variance of independent outcomes the shares of stretches of the baseline have."""
    start, outcome = _outcomes(band, 1)
    means = stretch_means(_in_order(start, outcome))
    share = outcome.mean() if len(outcome) else 0.0
    if len(means) < FEWEST or not 0 < share < 1:
        return 1.0
    independent = share * (1 - share) * len(means) / len(outcome)
    return max(1.0, float(means.var(ddof=1)) / independent)


def _in_order(start: Array, value: Array) -> Array:
    """Return the values in the order of time."""
    return np.asarray(value[np.argsort(start, kind="stable")])


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
