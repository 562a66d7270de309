"""Findings of checks: one scale of status, and verdicts from intervals.

``failed`` and ``warning`` are violations of what a check requires, ``inconclusive`` means too few data to decide,
``not_assessable`` that an input is missing; neither of the two is ever ``ok``.  ``measured`` is a number that no rule
judges.  ``Finding.severity`` is how much the reader should care, and follows from the status unless a check says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.findings import STATUSES, Estimate, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Severity, Status

_SEVERITY: dict[Status, Severity] = {
    "ok": "info",
    "measured": "info",
    "warning": "warning",
    "failed": "critical",
    "inconclusive": "notice",
    "not_assessable": "notice",
}


def finding(
    check: str,
    status: Status,
    headline: str,
    evidence: pd.DataFrame,
    *,
    estimate: Estimate | None = None,
    assumptions: Sequence[str] = (),
    remedy: str = "",
    method: str = "",
    exemplars: Sequence[str] = (),
    is_critical: bool = True,
) -> Finding:
    """Return a finding with a column ``status`` in its evidence; ``is_critical``: severity of a failed check."""
    rows = evidence if "status" in evidence else evidence.assign(status=status)
    rows = rows if len(rows) else pd.DataFrame({"status": [status]})
    severity = "warning" if status == "failed" and not is_critical else _SEVERITY[status]
    return Finding(
        check,
        severity,
        headline,
        estimate,
        rows,
        tuple(exemplars),
        tuple(assumptions),
        remedy,
        method=method,
        status=status,
    )


def not_assessable(check: str, subject: str, missing: str, remedy: str = "") -> Finding:
    """Return the finding for a check with a missing input."""
    row = pd.DataFrame({"status": ["not_assessable"], "needs": [missing]})
    return finding(check, "not_assessable", f"{subject}: not assessable: needs {missing}.", row, remedy=remedy)


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
