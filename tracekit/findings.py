"""Findings: claims with the evidence that lets a reviewer believe them a month later.

``Shown`` is what every answer has in common: a notebook shows it with its view, which the answer knows nothing about.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, overload

import pandas as pd

Severity = Literal["info", "notice", "warning", "critical"]
_ORDER = {"critical": 0, "warning": 1, "notice": 2, "info": 3}


class Shown:
    """An answer that shows itself in a notebook.

    Results hold no drawing code and import none: whoever draws is told here, once, by the facade.

    Examples
    --------
    >>> class Answer(Shown):
    ...     def __repr__(self):
    ...         return "Answer(42)"
    >>> Answer()._repr_mimebundle_(include=["text/plain"])
    {'text/plain': 'Answer(42)'}
    """

    shown_by: ClassVar[Callable[[Any], dict[str, Any]] | None] = None

    def _repr_mimebundle_(self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None) -> Any:
        """Return the representations by media type: a live view, a still picture with a table, plain text."""
        if self.shown_by is None or include == ["text/plain"]:
            return {"text/plain": repr(self)}
        bundle = type(self).shown_by(self)  # type: ignore[misc]  # not None
        return {k: v for k, v in bundle.items() if (not include or k in include) and k not in (exclude or ())}


@dataclass(frozen=True)
class Estimate:
    """A number that a decision rests on.

    Parameters
    ----------
    value
        The point estimate.
    unit
        ``ns``, ``ratio``, ``count``, ...
    low, high
        The 95 % interval; equal to the value where the number was counted and not estimated.
    n
        Traces (or spans, as the check says) behind it.
    n_effective
        Kish's effective number under the weights; equal to ``n`` without weights.

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

    def __str__(self) -> str:
        low, high = ("not estimable" if math.isnan(limit) else f"{limit:.4g}" for limit in (self.low, self.high))
        limits = low if low == high == "not estimable" else f"{low} to {high}"
        return f"{self.value:.4g} {self.unit} ({limits}, n = {self.n:,})"


@dataclass(frozen=True)
class Finding:
    """One plain sentence with the number in it, and everything that supports it.

    Parameters
    ----------
    check
        Which check speaks.
    severity
        ``info``, ``notice``, ``warning`` or ``critical``.
    headline
        One sentence with the number in it.
    estimate
        The number with its interval, if there is one.
    evidence
        The rows it rests on.
    exemplars
        Trace ids that show it.
    assumptions
        What must be true for it to hold.
    remedy
        What to do: an action, or nothing.
    code
        The call that gives it again.
    method
        How the number was obtained, where that has to be said.

    Examples
    --------
    >>> finding = Finding("orphans", "warning", "12 of 340 spans (3.5 %) have no parent.", remedy="Check propagation.")
    >>> print(finding)
    warning: 12 of 340 spans (3.5 %) have no parent. Check propagation.
    """

    check: str
    severity: Severity
    headline: str
    estimate: Estimate | None = None
    evidence: pd.DataFrame = field(default_factory=pd.DataFrame)
    exemplars: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    remedy: str = ""
    code: str = ""
    method: str = ""

    def __post_init__(self) -> None:
        if self.severity not in _ORDER:
            message = f"expected severity {', '.join(reversed(_ORDER))}, found {self.severity!r}"
            raise ValueError(message)

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.severity}: {self.headline}", self.remedy, self.method)))

    def __repr__(self) -> str:
        return f"Finding({self.severity}, {self.check}: {self.headline})"


class Findings(Shown, Sequence[Finding]):
    """Findings, the gravest first.

    Parameters
    ----------
    findings
        Any order; the order within one severity is kept.

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
        """The gravest severity; None without findings."""
        return self._findings[0].severity if self._findings else None

    def frame(self) -> pd.DataFrame:
        """Return one row a finding.

        Returns
        -------
        pandas.DataFrame
            ``check``, ``severity``, ``headline``, ``value``, ``unit``, ``low``, ``high``, ``n``, ``remedy``, ``code``,
            ``method``.
        """
        rows = [
            (f.check, f.severity, f.headline, *(_numbers(f.estimate)), f.remedy, f.code, f.method)
            for f in self._findings
        ]
        names = ["check", "severity", "headline", "value", "unit", "low", "high", "n", "remedy", "code", "method"]
        return pd.DataFrame(rows, columns=names)

    def __str__(self) -> str:
        return "\n".join(map(str, self._findings))

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{sum(f.severity == s for f in self)} {s}" for s in _ORDER if any(f.severity == s for f in self)
        )
        return f"Findings({counts or 'none'})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr>{_cells('td', f.severity, f'{f.headline} {f.method}'.rstrip(), f.remedy)}</tr>" for f in self
        )
        return f"<table><tr>{_cells('th', 'severity', 'finding', 'what to do')}</tr>{rows}</table>"


def _cells(tag: str, *texts: str) -> str:
    """Return the cells of a row; JupyterLab sets those that say nothing of it flush right."""
    return "".join(f'<{tag} style="text-align:left">{html.escape(text)}</{tag}>' for text in texts)


def _numbers(estimate: Estimate | None) -> tuple[float | None, str, float | None, float | None, int | None]:
    """Return the cells of an estimate; empty ones without."""
    if estimate is None:
        return None, "", None, None, None
    return estimate.value, estimate.unit, estimate.low, estimate.high, estimate.n
