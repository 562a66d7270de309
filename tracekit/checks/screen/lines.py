"""The first screen of a case: its lines in order; a new line is a file, a row here, and a test."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, overload

from tracekit.checks.screen.actions import actions
from tracekit.checks.screen.affected import affected
from tracekit.checks.screen.cause import cause
from tracekit.checks.screen.changed import changed
from tracekit.checks.screen.exemplar import exemplar
from tracekit.checks.screen.headline import headline
from tracekit.checks.screen.made import Made
from tracekit.checks.screen.period import caveat, compared, weakened
from tracekit.checks.screen.started import started
from tracekit.findings import Finding, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.case import Case
    from tracekit.findings import Findings, Severity


class Line(NamedTuple):
    """A line of the first screen: the name of its finding, its title (empty for none), what makes it."""

    name: str
    title: str
    make: Callable[[Made], Finding | None]


LINES: Final = (
    Line("screen.caveat", "", caveat),
    Line("screen.headline", "", headline),
    Line("screen.period", "", compared),
    Line("screen.weakened", "Weakened by", weakened),
    Line("screen.started", "Started", started),
    Line("screen.affected", "Affected", affected),
    Line("screen.changed", "What changed", changed),
    Line("screen.cause", "Likely cause", cause),
    Line("screen.actions", "Do now", actions),
    Line("screen.exemplar", "See it", exemplar),
)
"""In the order in which they are shown."""

TITLES: Final = {line.name: line.title for line in LINES}


class FirstScreen(Shown, Sequence[Finding]):
    """The lines of the first screen, in the order in which they are read.

    Parameters
    ----------
    lines
        Findings; ``check`` is the name of the line.

    Examples
    --------
    >>> screen = FirstScreen([Finding("screen.headline", "critical", "GET / p95 regressed 2.00×: 10.0 → 20.0 ms.")])
    >>> print(screen)
    GET / p95 regressed 2.00×: 10.0 → 20.0 ms. [critical]
    >>> screen["headline"].severity
    'critical'
    """

    def __init__(self, lines: Sequence[Finding] = ()) -> None:
        self._lines = tuple(lines)

    @overload
    def __getitem__(self, index: int | str) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> FirstScreen: ...
    def __getitem__(self, index: int | slice | str) -> Finding | FirstScreen:
        if isinstance(index, str):
            known = {line.check.removeprefix("screen."): line for line in self._lines}
            if index not in known:
                raise KeyError(f"expected a line among {', '.join(known)}, found {index!r}")
            return known[index]
        return FirstScreen(self._lines[index]) if isinstance(index, slice) else self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, line: object) -> bool:
        return any(one is line or one.check.removeprefix("screen.") == line for one in self._lines)

    @property
    def headline(self) -> Finding | None:
        """What is wrong; None without traces."""
        return next((line for line in self._lines if line.check == "screen.headline"), None)

    @property
    def severity(self) -> Severity:
        """Severity of the headline; ``info`` without one."""
        return "info" if self.headline is None else self.headline.severity

    def __str__(self) -> str:
        return "\n".join(_text(line) for line in self._lines)

    def __repr__(self) -> str:
        return f"FirstScreen({self.severity}, {len(self)} lines)"

    def _repr_html_(self) -> str:
        return "".join(_html(line) for line in self._lines)


def screen_of(case: Case, findings: Findings) -> FirstScreen:
    """Return the lines that the data support, in order."""
    made = Made(case, findings)
    return FirstScreen([found for line in LINES if (found := line.make(made)) is not None])


def title_of(line: Finding) -> str:
    """Return the title of a line; empty for the first ones, which have none."""
    return TITLES.get(line.check, "")


def _text(line: Finding) -> str:
    """Return a line as text: its title, and the severity where it is a warning or worse."""
    mark = f" [{line.severity}]" * (line.severity in {"warning", "critical"})
    title = title_of(line)
    return f"{title}: {line.headline}{mark}" if title else f"{line.headline}{mark}"


def _html(line: Finding) -> str:
    """Return a line as a paragraph; what comes from the traces is text."""
    title = title_of(line)
    size = "1.25em" if line.check == "screen.headline" else "1em"
    words = html.escape(_text(line).removeprefix(f"{title}: ") if title else _text(line))
    words = f"<b>{words}</b>" if line.check == "screen.headline" else words
    name = f"<b>{html.escape(title)}</b> " * bool(title)
    return f'<p style="font-size:{size};margin:0.3em 0;max-width:100ch">{name}{words}</p>'
