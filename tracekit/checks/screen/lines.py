"""The first screen of a case: its lines in order; a new line is a file, a row here, and a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.checks.screen.actions import actions
from tracekit.checks.screen.affected import affected
from tracekit.checks.screen.cause import cause
from tracekit.checks.screen.changed import changed
from tracekit.checks.screen.exemplar import exemplar
from tracekit.checks.screen.headline import headline
from tracekit.checks.screen.made import Made
from tracekit.checks.screen.period import caveat, compared
from tracekit.checks.screen.started import started

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.findings import Finding, Findings


class Line(NamedTuple):
    """A line of the first screen: the name of its finding, its title (empty for none), and the function that makes it."""

    name: str
    title: str
    make: Callable[[Made], Finding | None]


LINES: Final = (
    Line("screen.caveat", "", caveat),
    Line("screen.headline", "", headline),
    Line("screen.period", "", compared),
    Line("screen.started", "Started", started),
    Line("screen.affected", "Affected", affected),
    Line("screen.changed", "What changed", changed),
    Line("screen.cause", "Likely cause", cause),
    Line("screen.actions", "Do now", actions),
    Line("screen.exemplar", "See it", exemplar),
)
"""In the order in which they are shown."""

TITLES: Final = {line.name: line.title for line in LINES}


def screen_of(case: Case, findings: Findings) -> list[Finding]:
    """Return the lines that the data support, in order."""
    made = Made(case, findings)
    return [found for line in LINES if (found := line.make(made)) is not None]
