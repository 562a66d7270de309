"""Since when: the onset with its limits, and whether it still goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.checks.screen.course import course_of
from tracekit.findings import Finding
from tracekit.text import moment

if TYPE_CHECKING:
    from tracekit.checks.screen.course import Course
    from tracekit.checks.screen.made import Made

_METHOD: Final = (
    "Limits of the step in the share of slow or failed requests, from that of the baseline (Siegmund 1988)."
)


def started(made: Made) -> Finding | None:
    """Return since when the regression lasts; None without one, or where nothing is known about its time."""
    if (regression := made.regression) is None:
        return None
    course = course_of(made, regression)
    state = {"error_rate": "failing", "p95": "slow", "mean": "slower"}[regression.metric]
    words = [part for part in (_onset(course), _state(course, state)) if part]
    if not words:
        return None
    return Finding(
        "screen.started",
        "notice",
        " ".join(words),
        values=course._asdict(),
        method=_METHOD if course.onset_ns is None else "",
        code="tk.timeline(traces).changes" if course.onset_ns is not None else "tk.investigate(traces, before)",
    )


def _onset(course: Course) -> str:
    """Return when it began; empty where that is not known."""
    if course.onset_ns is not None and course.low_ns is not None and course.high_ns is not None:
        limits = f"95% CI {_clock(course.low_ns, course.onset_ns)}–{_clock(course.high_ns, course.onset_ns)}"
        return f"At {moment(course.onset_ns)} UTC ({limits})."
    if course.low_ns is None:
        return ""
    if not course.is_from_baseline and course.high_ns is not None:
        return f"Between {moment(course.low_ns)} and {_clock(course.high_ns, course.low_ns)} UTC (95% CI)."
    first = f", by {_clock(course.high_ns, course.low_ns)}" if course.high_ns else ""
    return f"After {moment(course.low_ns)} UTC (the baseline ends){first}."


def _state(course: Course, state: str) -> str:
    """Return whether it goes on; empty where too few requests decide."""
    if course.recovered_ns is not None:
        return f"Recovered at {_clock(course.recovered_ns, course.end_ns)}."
    if course.is_ongoing is None:
        return ""
    end = _clock(course.end_ns, course.low_ns or course.end_ns)
    return f"Still {state} when the data end, {end}." if course.is_ongoing else f"Over when the data end, {end}."


def _clock(time_ns: int | None, other_ns: int) -> str:
    """Return a time in UTC, without its date where that is the date of another time."""
    text = moment(time_ns or 0)
    return text[11:] if text[:10] == moment(other_ns)[:10] else text
