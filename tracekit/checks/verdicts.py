"""Verdicts of checks from intervals, on the scale of ``Finding.status``.

``failed`` and ``warning`` are violations of what a check requires, ``inconclusive`` means too few data to decide,
``not_assessable`` that an input is missing; neither of the two is ever ``ok``.  ``measured`` is a number that no rule
judges.  ``Finding.severity`` is how much the reader should care, and follows from the status unless a check says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracekit.findings import STATUSES, Finding, not_assessable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Status


def without_weighted_traces(check: str, subject: str) -> Finding:
    """Return the finding for a share that is not estimable because all sampling weights are 0."""
    remedy = "To describe the recorded traces only, use traces.with_weights(1)."
    missing = "traces with a sampling weight above 0 (all have weight 0)"
    return not_assessable(check, subject, missing, remedy=remedy)


def worst_status(statuses: Sequence[str]) -> Status:
    """Return the most severe of several statuses; ``ok`` without any."""
    return next((status for status in reversed(STATUSES) if status in statuses), "ok")


def status_of_high_share(low: float, high: float, *, warn: float, fail: float = -1.0) -> Status:
    """Return the status of a share that should be high, from its interval and never from the point alone."""
    if math.isnan(low):
        return "not_assessable"
    if high < fail:
        return "failed"
    if high < warn:
        return "warning"
    return "ok" if low >= warn else "inconclusive"


def status_of_low_share(low: float, high: float, *, warn: float) -> Status:
    """Return the status of a share that should be low, from its interval; ``not_assessable`` where it is NaN."""
    if math.isnan(low):
        return "not_assessable"
    if low > warn:
        return "warning"
    return "ok" if high <= warn else "inconclusive"
