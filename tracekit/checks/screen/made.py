"""What the lines of the first screen are made of: a case, and the findings about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from tracekit.checks.changes.affected import affected_requests, bands
from tracekit.checks.changes.variation import P_VALUE, p_of_finding
from tracekit.checks.comparison import SURE, Changes, comparable_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tracekit.checks.case import Case
    from tracekit.checks.changes.affected import Affected, Band
    from tracekit.findings import Finding, Findings

_MEANS: Final = ("change", "regressed", "calls", "suspects")
_About = TypeVar("_About", bound="Hashable")
_Result = TypeVar("_Result")


class Regression(NamedTuple):
    """What became worse for users since the baseline.

    Parameters
    ----------
    finding
        The finding that says so.
    metric
        ``error_rate``, ``p95``, or ``mean`` for anything that only means show.
    band
        The requests that are failed or slow; None for ``mean``.
    p_value
        Of the variation between stretches of time.
    """

    finding: Finding
    metric: str
    band: Band | None
    p_value: float


@dataclass(frozen=True)
class Made:
    """A case, and the findings of its checks.

    Parameters
    ----------
    case
        The traces, and the baseline if there is one.
    findings
        Of all checks that ran.
    """

    case: Case
    findings: Findings
    _results: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, make: Callable[[Made, _About], _Result], about: _About) -> _Result:
        """Return ``make(made, about)``, computed once for all lines that need it."""
        if (make, about) not in self._results:
            self._results[make, about] = make(self, about)
        found: _Result = self._results[make, about]
        return found

    def first(self, *checks: str) -> Finding | None:
        """Return the most severe finding of these checks; None without one."""
        return next((finding for finding in self.findings if finding.check in checks), None)

    def warning(self, *checks: str) -> Finding | None:
        """Return the first finding of these checks, in their order, that is a warning; None without one."""
        found = [self.first(name) for name in checks]
        return next((one for one in found if one is not None and one.severity in {"warning", "critical"}), None)

    @cached_property
    def changes(self) -> Changes | None:
        """The comparison with the baseline; None where no change may be claimed."""
        return comparable_changes(self.case)

    @cached_property
    def is_baseline_later(self) -> bool:
        """Whether the baseline starts after the current traces end."""
        if self.changes is None or self.changes.before.period_ns is None or self.changes.now.period_ns is None:
            return False
        return self.changes.before.period_ns[0] > self.changes.now.period_ns[1]

    @cached_property
    def regression(self) -> Regression | None:
        """What became worse since the baseline, what users notice most first; None if nothing did.

        Nothing did, either, if it varies as much from one stretch of time to the next, or if only the mean of all
        requests rose and no operation did.
        """
        found = self.change
        return None if found is None or found.p_value > SURE else found

    @cached_property
    def change(self) -> Regression | None:
        """What is worse than in the baseline: errors, the p95 of an endpoint, or means; also if all vary as much."""
        if self.changes is None:
            return None
        slow, failed = self.case.result(bands)
        tried = (("error_rate", failed, "failing"), ("p95", slow, "slower"), *(("mean", None, name) for name in _MEANS))
        found = [
            self._found(one, metric, band)
            for metric, band, name in tried
            if (one := self.first(name)) is not None and is_worse(one)
        ]
        return next((one for one in found if one.p_value <= SURE), found[0] if found else None)

    def _found(self, finding: Finding, metric: str, band: Band | None) -> Regression:
        """Return a regression with its p-value."""
        assert self.changes is not None
        if finding.check == "change" and not _has_place(self.changes):
            return Regression(finding, metric, band, 1.0)
        known = finding.values.get(P_VALUE)
        p_value = p_of_finding(self.case, self.changes, finding) if known is None else known
        return Regression(finding, metric, band, float(p_value))

    def affected(self, band: Band | None) -> Affected | None:
        """Return whose requests of a band are slow or failed; None where nobody is named."""
        if band is None or self.first("affected") is None:
            return None
        return next((one for one in self.case.result(affected_requests) if one.band is band and one.key), None)


def is_worse(finding: Finding) -> bool:
    """Return whether a finding is of something worse than in the baseline, also if it varies as much over time."""
    return finding.severity in {"warning", "critical"} or P_VALUE in finding.values


def _has_place(changes: Changes) -> bool:
    """Return whether some operation grew significantly; also where clocks differ, so that none can be compared.

    The limits of the mean alone exclude 0 for one of forty equal pairs.
    """
    compared = changes.comparison
    if compared is None or not changes.has_same_clocks:
        return True
    return bool((compared.table["is_significant"] & (compared.table["change_ns"] > 0)).any())
