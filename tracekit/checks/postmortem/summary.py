"""The summary of a postmortem: what is wrong, what was compared, since when, and the likely cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracekit.checks.postmortem.result import Hypothesis
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.findings import Finding

_LINES: Final = ("screen.caveat", "screen.headline", "screen.period", "screen.started", "screen.changed")


def summary(screen: FirstScreen, hypotheses: tuple[Hypothesis, ...]) -> tuple[Finding, ...]:
    """Return the first lines of the first screen, and the first hypothesis."""
    return (*(line for line in screen if line.check in _LINES), *(one.claim for one in hypotheses[:1]))
