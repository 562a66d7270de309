"""What the lines of the first screen are made of: a case, and the findings about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracekit.checks.changes.affected import bands
from tracekit.checks.comparison import Changes, comparable_changes

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.changes.affected import Band
    from tracekit.findings import Finding, Findings


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
    """

    finding: Finding
    metric: str
    band: Band | None


class Made(NamedTuple):
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

    def first(self, *checks: str) -> Finding | None:
        """Return the most severe finding of these checks; None without one."""
        return next((finding for finding in self.findings if finding.check in checks), None)

    def warning(self, *checks: str) -> Finding | None:
        """Return the first finding of these checks, in their order, that is a warning; None without one."""
        found = [self.first(name) for name in checks]
        return next((one for one in found if one is not None and one.severity in {"warning", "critical"}), None)

    @property
    def changes(self) -> Changes | None:
        """The comparison with the baseline; None where no change may be claimed."""
        return comparable_changes(self.case)

    @property
    def regression(self) -> Regression | None:
        """What became worse since the baseline, what users notice most first; None if nothing did."""
        if self.changes is None:
            return None
        slow, failed = self.case.result(bands)
        if (one := self.warning("failing")) is not None:
            return Regression(one, "error_rate", failed)
        if (one := self.warning("slower")) is not None:
            return Regression(one, "p95", slow)
        one = self.warning("change", "regressed", "calls")
        return None if one is None else Regression(one, "mean", None)
