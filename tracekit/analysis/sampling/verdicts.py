"""How a check speaks: one sentence, its number, its evidence, and a status that tells silence from absence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from tracekit.findings import Estimate, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.sampling.inputs import Inputs
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
    """Return a finding; its evidence always has a column ``status``.

    Parameters
    ----------
    check
        Which check speaks.
    status
        The verdict; ``measured`` where a number is given and nothing judged.
    headline
        One sentence with the number, its interval and n.
    inputs
        Of the check.
    evidence
        The rows it rests on; those without a status of their own get this one.
    estimate, assumptions, remedy, exemplars
        As in ``Finding``.
    is_grave
        Whether every other number of a report rests on it: then ``biased`` and ``fail`` are critical.

    Returns
    -------
    Finding
        With the call that gives it again.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> from tracekit.analysis.sampling.inputs import gather
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> inputs = gather(TraceSet.from_spans(frame))
    >>> print(needs("rate.observed", "Share of requests that was traced", "request counts", inputs))
    notice: Share of requests that was traced: not assessable: needs request counts.
    """
    rows = evidence if "status" in evidence else evidence.assign(status=status)
    severity = "critical" if is_grave and status in {"biased", "fail"} else _SEVERITY[status]
    return Finding(check, severity, headline, estimate, rows, tuple(exemplars), tuple(assumptions), remedy, inputs.call)


def needs(check: str, subject: str, missing: str, inputs: Inputs, *, remedy: str = "") -> Finding:
    """Return the finding of a check that lacks an input: never ok.

    Parameters
    ----------
    check
        Which check speaks.
    subject
        What it would have told.
    missing
        The input that would settle it.
    inputs
        Of the check.
    remedy
        How to get it.

    Returns
    -------
    Finding
        A notice, ``not_assessable`` in its evidence.

    Examples
    --------
    >>> needs.__name__
    'needs'
    """
    row = pd.DataFrame({"status": ["not_assessable"], "needs": [missing]})
    text = f"{subject}: not assessable: needs {missing}."
    return speak(check, "not_assessable", text, inputs, row, remedy=remedy)


def as_estimate(rate: Rate, unit: str = "ratio") -> Estimate:
    """Return a weighted rate as the estimate of a finding.

    Parameters
    ----------
    rate
        With its interval.
    unit
        Of its value.

    Returns
    -------
    Estimate
        With n and effective n.

    Examples
    --------
    >>> from tracekit.stats.weighted_rates import Rate
    >>> print(as_estimate(Rate(0.0093, 0.0087, 0.0098, 1380, 212, 1020.0, "window")))
    0.0093 ratio (0.0087 to 0.0098, n = 1,380)
    """
    return Estimate(rate.value, unit, rate.low, rate.high, rate.n, rate.n_effective)


def worst(statuses: Sequence[str]) -> Status:
    """Return the status of a check from those of its parts: one bad part is enough, all must be ok.

    Parameters
    ----------
    statuses
        At least one.

    Returns
    -------
    str
        The gravest.

    Examples
    --------
    >>> worst(["ok", "inconclusive"]), worst(["biased", "ok"]), worst(["ok", "ok"])
    ('inconclusive', 'biased', 'ok')
    """
    order: tuple[Status, ...] = ("fail", "biased", "warn", "inconclusive", "not_assessable", "measured", "ok")
    return next(status for status in order if status in statuses)
