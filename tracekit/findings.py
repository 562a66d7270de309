"""Findings: conclusions with their evidence; ``Shown``: results that a notebook displays with their view."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args, overload

from tracekit.on_demand import pd

Severity = Literal["info", "notice", "warning", "critical"]
Status = Literal["ok", "measured", "not_assessable", "inconclusive", "warning", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)  # from the least to the most severe
_MANY = 4  # this many skipped checks are summarised in one line
STATUS_OF_SEVERITY: dict[Severity, Status] = {
    "info": "ok",
    "notice": "measured",
    "warning": "warning",
    "critical": "failed",
}
_ORDER = {"critical": 0, "warning": 1, "notice": 2, "info": 3}
_SEVERITY: dict[Status, Severity] = {
    "ok": "info",
    "measured": "info",
    "warning": "warning",
    "failed": "critical",
    "inconclusive": "notice",
    "not_assessable": "notice",
}


class Shown:
    """A result that a notebook displays with its view.

    Results contain and import no drawing code: ``shown_by`` is set by ``tracekit/__init__.py``.

    Examples
    --------
    >>> class Result(Shown):
    ...     def __repr__(self):
    ...         return "Result(42)"
    >>> Result()._repr_mimebundle_(include=["text/plain"])
    {'text/plain': 'Result(42)'}
    """

    shown_by: ClassVar[Callable[[Any], dict[str, Any]] | None] = None

    def _repr_mimebundle_(self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None) -> Any:
        """Return the representations by media type: a live view, a static image with a table, plain text."""
        if self.shown_by is None or include == ["text/plain"]:
            return {"text/plain": repr(self)}
        bundle = type(self).shown_by(self)  # type: ignore[misc]  # not None
        return {k: v for k, v in bundle.items() if (not include or k in include) and k not in (exclude or ())}


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and sample size.

    Parameters
    ----------
    value
        The point estimate.
    unit
        ``ns``, ``ratio``, ``count``, ...
    low, high
        The 95% interval; equal to the value where the number was counted and not estimated.
    n
        Number of traces (or spans, depending on the check).
    n_effective
        Kish's effective sample size under the weights; equal to ``n`` without weights.

    Examples
    --------
    >>> print(Estimate(0.0093, "ratio", 0.0087, 0.0098, n=12_000))
    0.0093 ratio (0.0087 to 0.0098, n = 12,000)
    >>> print(Estimate(0.0093, "ratio", float("nan"), float("nan"), n=2))
    0.0093 ratio (not estimable, n = 2)
    """

    value: float
    unit: str
    low: float
    high: float
    n: int
    n_effective: float | None = None

    @property
    def values(self) -> dict[str, float]:
        """Value, interval and n by name."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    def __str__(self) -> str:
        low, high = ("not estimable" if math.isnan(limit) else f"{limit:.4g}" for limit in (self.low, self.high))
        limits = low if low == high == "not estimable" else f"{low} to {high}"
        return f"{self.value:.4g} {self.unit} ({limits}, n = {self.n:,})"


@dataclass(frozen=True)
class Finding:
    """The result of one check: a one-sentence headline, the estimate and its evidence.

    Parameters
    ----------
    check
        Name of the check.
    severity
        How important this is: ``info`` (no problem, or background), ``notice`` (worth knowing), ``warning`` (needs
        attention), ``critical`` (figures are misleading, or users are affected).
    headline
        One sentence that contains the estimate.
    estimate
        The estimate with its confidence interval, if any.
    evidence
        The rows that support it.
    exemplars
        IDs of exemplar traces.
    assumptions
        Assumptions of the estimate.
    remedy
        The recommended action, if any.
    code
        The call that reproduces it.
    method
        How the estimate was computed, if this needs an explanation.
    status
        Result of the check: ``ok``; ``measured`` (a number without a target); ``not_assessable`` (an input is missing);
        ``inconclusive`` (too few data to decide); ``warning``; ``failed``.
        Default: derived from the severity (ok, measured, warning, failed).
    values
        The numbers of the headline by name, machine-readable; default: those of the estimate.

    Examples
    --------
    >>> finding = Finding("orphans", "warning", "12 of 340 spans (3.5%) have no parent.", remedy="Check propagation.")
    >>> print(finding)
    warning: 12 of 340 spans (3.5%) have no parent. Check propagation.
    """

    check: str
    severity: Severity
    headline: str
    estimate: Estimate | None = None
    evidence: pd.DataFrame = field(default_factory=lambda: pd.DataFrame())  # noqa: PLW0108 - imports pandas
    exemplars: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    remedy: str = ""
    code: str = ""
    method: str = ""
    status: Status | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.severity not in _ORDER:
            message = f"expected severity {', '.join(reversed(_ORDER))}, found {self.severity!r}"
            raise ValueError(message)
        if self.status not in (None, *STATUSES):
            raise ValueError(f"expected status {', '.join(STATUSES)}, found {self.status!r}")
        if self.status is None:
            object.__setattr__(self, "status", STATUS_OF_SEVERITY[self.severity])
        if not self.values and self.estimate is not None:
            object.__setattr__(self, "values", self.estimate.values)

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.severity}: {self.headline}", self.remedy, self.method)))

    def __repr__(self) -> str:
        return f"Finding({self.severity}, {self.check}: {self.headline})"


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
    severity: Severity | None = None,
    code: str = "",
) -> Finding:
    """Return a finding with a column ``status`` in its evidence, whose severity follows from its status if not given.

    ``is_critical``: severity of a failed check.
    """
    rows = evidence if "status" in evidence else evidence.assign(status=status)
    rows = rows if len(rows) else pd.DataFrame({"status": [status]})
    usual: Severity = "warning" if status == "failed" and not is_critical else _SEVERITY[status]
    return Finding(
        check,
        severity or usual,
        headline,
        estimate,
        rows,
        tuple(exemplars),
        tuple(assumptions),
        remedy,
        code=code,
        method=method,
        status=status,
    )


def not_assessable(check: str, subject: str, missing: str, remedy: str = "") -> Finding:
    """Return the finding for a check with a missing input."""
    row = pd.DataFrame({"status": ["not_assessable"], "needs": [missing]})
    return finding(check, "not_assessable", f"{subject} not assessable: needs {missing}.", row, remedy=remedy)


class Findings(Shown, Sequence[Finding]):
    """Findings, the most severe first.

    Parameters
    ----------
    findings
        In any order; the order within one severity is preserved.

    Examples
    --------
    >>> found = Findings([Finding("a", "info", "All is read."), Finding("b", "critical", "Half is lost.")])
    >>> print(found)
    critical: Half is lost.
    info: All is read.
    >>> found.worst
    'critical'
    """

    def __init__(self, findings: Sequence[Finding] = ()) -> None:
        self._findings = tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))

    @overload
    def __getitem__(self, index: int) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: int | slice) -> Finding | Findings:
        return Findings(self._findings[index]) if isinstance(index, slice) else self._findings[index]

    def __len__(self) -> int:
        return len(self._findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._findings)

    def __add__(self, other: Findings) -> Findings:
        return Findings([*self, *other])

    @property
    def worst(self) -> Severity | None:
        """Highest severity; None without findings."""
        return self._findings[0].severity if self._findings else None

    def frame(self) -> pd.DataFrame:
        """Return one row per finding.

        Returns
        -------
        pandas.DataFrame
            ``check``, ``status``, ``severity``, ``headline``, ``value``, ``unit``, ``low``, ``high``, ``n``,
            ``remedy``, ``code``, ``method``.
        """
        rows = [
            (f.check, f.status, f.severity, f.headline, *(_numbers(f.estimate)), f.remedy, f.code, f.method)
            for f in self._findings
        ]
        numbers = ["value", "unit", "low", "high", "n"]
        names = ["check", "status", "severity", "headline", *numbers, "remedy", "code", "method"]
        return pd.DataFrame(rows, columns=names)

    def __str__(self) -> str:
        skipped = [finding.check for finding in self if finding.status == "not_assessable"]
        if len(skipped) < _MANY:
            return "\n".join(map(str, self._findings)) or _NONE
        shown = [str(finding) for finding in self if finding.status != "not_assessable"]
        return "\n".join([*shown, _skipped(skipped)])

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{sum(f.severity == s for f in self)} {s}" for s in _ORDER if any(f.severity == s for f in self)
        )
        return f"Findings({counts or 'none'})"

    def _repr_html_(self) -> str:
        skipped = [finding.check for finding in self if finding.status == "not_assessable"]
        is_long = len(skipped) >= _MANY
        rows = (
            "".join(
                f"<tr>{_cells('td', f.severity, f'{f.headline} {f.method}'.rstrip(), f.remedy)}</tr>"
                for f in self
                if not (is_long and f.status == "not_assessable")
            )
            + f"<tr>{_cells('td', 'notice', _skipped(skipped).removeprefix('notice: '), '')}</tr>" * is_long
            + f"<tr>{_cells('td', '', _NONE, '')}</tr>" * (not self._findings)
        )
        return f"<table><tr>{_cells('th', 'severity', 'finding', 'what to do')}</tr>{rows}</table>"


_NONE = "No findings."


def _skipped(checks: Sequence[str]) -> str:
    """Return one line for checks with missing inputs."""
    return f"notice: {len(checks)} checks skipped because inputs are missing; .frame() lists the inputs they need."


def _cells(tag: str, *texts: str) -> str:
    """Return the cells of a row, aligned left (JupyterLab's default is right)."""
    return "".join(f'<{tag} style="text-align:left">{html.escape(text)}</{tag}>' for text in texts)


def _numbers(estimate: Estimate | None) -> tuple[float | None, str, float | None, float | None, int | None]:
    """Return the cells of an estimate, or empty cells."""
    if estimate is None:
        return None, "", None, None, None
    return estimate.value, estimate.unit, estimate.low, estimate.high, estimate.n
