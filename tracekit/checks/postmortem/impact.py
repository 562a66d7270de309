"""Who was affected, by how much, and for how long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tracekit.checks.screen.course import course_of
from tracekit.findings import Finding
from tracekit.text import duration

if TYPE_CHECKING:
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.checks.screen.made import Made

_ALONE: Final = ("failed_requests", "slow_requests", "failures")
_LONG: Final = 120  # seconds
_HOUR: Final = 3600
_MEASURED: Final = ("failing", "slower", "change")


def impact(made: Made, screen: FirstScreen) -> tuple[Finding, ...]:
    """Return who was affected, by how much, and for how long; without a baseline, whose requests fail or are slow."""
    if made.changes is None and made.case.baseline is None:
        return tuple(one for one in made.findings if one.check in _ALONE and one.severity in {"warning", "critical"})
    if made.regression is None:
        return ()
    who = [one for one in made.findings if one.check == "affected"]
    named = [replace(one, headline=one.headline.removeprefix("Affected: ")) for one in who]
    named = named or [line for line in screen if line.check == "screen.affected"]
    numbers = [one for check in _MEASURED for one in made.findings if one.check == check and one.severity == "warning"]
    return (*named, *_lasted(made), *numbers)


def _lasted(made: Made) -> list[Finding]:
    """Return how long it lasted: until the recovery, or the end of the data."""
    assert made.regression is not None
    course = course_of(made, made.regression)
    end = course.end_ns if course.recovered_ns is None else course.recovered_ns
    if course.low_ns is None or course.high_ns is None or course.high_ns >= end:
        return []
    least, most = end - course.high_ns, end - course.low_ns
    if course.recovered_ns is None and course.is_ongoing is not True:
        return []
    until = "until it recovered" if course.recovered_ns is not None else "so far: it still goes on when the data end"
    shortest, longest = lasted_for(least), lasted_for(most)
    bound = shortest if shortest == longest else f"between {shortest} and {longest}"
    text = f"It lasted {bound} {until}."
    values = {"least_ns": least, "most_ns": most, "is_ongoing": course.is_ongoing}
    return [Finding("postmortem.lasted", "notice", text, values=values, code="tk.investigate(traces, before)")]


def lasted_for(time_ns: int) -> str:
    """Return a duration; from two minutes on in hours and minutes, or in minutes and seconds."""
    seconds = round(time_ns / 1e9)
    if seconds < _LONG:
        return duration(time_ns)
    if seconds < _HOUR:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // _HOUR} h {seconds % _HOUR // 60} min"
