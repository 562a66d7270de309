"""Findings of quality checks: a sentence with its number, its evidence, and a status; no answer is never ok."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pandas as pd

from tracekit.findings import Estimate, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.findings import Severity

Status = Literal["ok", "measured", "warn", "fail", "inconclusive", "not_assessable"]
_SEVERITY: dict[Status, Severity] = {
    "ok": "info",
    "measured": "info",
    "warn": "warning",
    "fail": "critical",
    "inconclusive": "notice",
    "not_assessable": "notice",
}
_GRAVEST: tuple[Status, ...] = ("fail", "warn", "inconclusive", "not_assessable", "measured", "ok")


def speak(
    check: str,
    status: Status,
    headline: str,
    evidence: pd.DataFrame,
    *,
    estimate: Estimate | None = None,
    assumptions: Sequence[str] = (),
    remedy: str = "",
    exemplars: Sequence[str] = (),
) -> Finding:
    """Return a finding; its evidence always has a column ``status``."""
    rows = evidence if "status" in evidence else evidence.assign(status=status)
    rows = rows if len(rows) else pd.DataFrame({"status": [status]})
    return Finding(check, _SEVERITY[status], headline, estimate, rows, tuple(exemplars), tuple(assumptions), remedy)


def needs(check: str, subject: str, missing: str, remedy: str = "") -> Finding:
    """Return the finding of a check that lacks an input: never ok."""
    row = pd.DataFrame({"status": ["not_assessable"], "needs": [missing]})
    return speak(check, "not_assessable", f"{subject}: not assessable: needs {missing}.", row, remedy=remedy)


def stands_for_nobody(check: str, subject: str) -> Finding:
    """Return the finding of a share that is not estimable because all sampling weights are 0."""
    remedy = "To describe the recorded traces themselves, use traces.with_weights(1)."
    return needs(check, subject, "traces with a sampling weight above 0 (all of these have 0)", remedy)


def status_of(finding: Finding) -> str:
    """Return the status of a finding: the gravest in its evidence."""
    return worst(finding.evidence["status"].tolist())


def worst(statuses: Sequence[Status]) -> Status:
    """Return the gravest of several statuses; ``ok`` without any."""
    return next((status for status in _GRAVEST if status in statuses), "ok")


def judge_least(low: float, high: float, *, warn: float, fail: float = -1.0) -> Status:
    """Return the verdict of a share that should be large, from its interval and never from the point alone."""
    if math.isnan(low):
        return "not_assessable"
    if high < fail:
        return "fail"
    if high < warn:
        return "warn"
    return "ok" if low >= warn else "inconclusive"


def judge_most(low: float, high: float, *, warn: float) -> Status:
    """Return the verdict of a share that should be small, from its interval; ``not_assessable`` where it is NaN."""
    if math.isnan(low):
        return "not_assessable"
    if low > warn:
        return "warn"
    return "ok" if high <= warn else "inconclusive"
