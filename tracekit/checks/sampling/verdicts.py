"""How a check speaks: one sentence, its number, its evidence, and a status that tells silence from absence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from tracekit.findings import Estimate, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.checks.sampling.inputs import Inputs
    from tracekit.findings import Severity
    from tracekit.stats.weighted_rates import Rate

Status = Literal["ok", "measured", "warn", "biased", "fail", "inconclusive", "not_assessable"]
_SEVERITY: dict[str, Severity] = {
    "ok": "info",
    "measured": "info",
    "warn": "warning",
    "biased": "warning",
    "fail": "warning",
    "inconclusive": "notice",
    "not_assessable": "notice",
}


def speak(
    check: str,
    status: Status,
    headline: str,
    inputs: Inputs,
    evidence: pd.DataFrame,
    *,
    estimate: Estimate | None = None,
    assumptions: Sequence[str] = (),
    remedy: str = "",
    exemplars: Sequence[str] = (),
    is_grave: bool = False,
) -> Finding:
    """Return a finding; its evidence always has a column ``status``."""
    rows = evidence if "status" in evidence else evidence.assign(status=status)
    severity = "critical" if is_grave and status in {"biased", "fail"} else _SEVERITY[status]
    return Finding(check, severity, headline, estimate, rows, tuple(exemplars), tuple(assumptions), remedy, inputs.call)


def needs(check: str, subject: str, missing: str, inputs: Inputs, *, remedy: str = "") -> Finding:
    """Return the finding of a check that lacks an input: never ok."""
    row = pd.DataFrame({"status": ["not_assessable"], "needs": [missing]})
    text = f"{subject}: not assessable: needs {missing}."
    return speak(check, "not_assessable", text, inputs, row, remedy=remedy)


def as_estimate(rate: Rate, unit: str = "ratio") -> Estimate:
    """Return a weighted rate as the estimate of a finding."""
    return Estimate(rate.value, unit, rate.low, rate.high, rate.n, rate.n_effective)


def worst(statuses: Sequence[str]) -> Status:
    """Return the status of a check from those of its parts: one bad part is enough, all must be ok."""
    order: tuple[Status, ...] = ("fail", "biased", "warn", "inconclusive", "not_assessable", "measured", "ok")
    return next(status for status in order if status in statuses)
