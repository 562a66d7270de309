"""Whether the error rate of requests changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.comparison import Changes, comparable_changes, family_level
from tracekit.checks.overview import error_rate
from tracekit.findings import Finding
from tracekit.stats.differences import Limited, difference_limits
from tracekit.text import count, from_to, interval, points, ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_CODE: Final = "tk.errors(traces, by=(), roots=True)"


def error_rates(case: Case) -> list[Finding]:
    """Return whether the error rate changed: only where the limits of the difference exclude 0."""
    changes = comparable_changes(case)
    found = None if changes is None else _change(changes)
    return [] if found is None else [found]


def _change(changes: Changes) -> Finding | None:
    """Return whether the error rate changed: only where the limits of the difference leave out 0."""
    before, now = changes.before.failed, changes.now.failed
    if np.isnan([before.value, now.value]).any():
        return None
    change = _error_change(changes, 0.95)
    counted = f"n = {from_to(before.n, now.n, count)} requests"
    rates = from_to(before.value, now.value, ratio)
    if not (change.low > 0 or change.high < 0):
        is_known = np.isfinite(change.low) and np.isfinite(change.high)
        verdict = "no significant change" if is_known else "too few requests to compare"
        return Finding(
            "failing", "info", f"Error rate{changes.recorded} {rates}: {verdict} ({counted}).", now, code=_CODE
        )
    verb = "rose" if change.value > 0 else "fell"
    limits = interval(float(change.low), float(change.high), points, confidence="95% CI of the change")
    text = f"Error rate{changes.recorded} {verb} {rates} ({limits}; {counted})."
    return Finding("failing", "warning" if has_risen(changes) else "notice", text, now, code=_CODE)


def has_risen(changes: Changes) -> bool:
    """Return whether the error rate rose beyond doubt."""
    return bool(_error_change(changes, family_level(1)).low > 0)


def has_fallen(changes: Changes) -> bool:
    """Return whether the error rate fell beyond doubt."""
    return bool(_error_change(changes, family_level(1)).high < 0)


def _error_change(changes: Changes, confidence: float) -> Limited:
    """Return the change of the error rate of requests, with limits."""
    sides = (error_rate(side.source, confidence) for side in (changes.before, changes.now))
    return difference_limits(*(Limited(side.value, side.low, side.high) for side in sides))
