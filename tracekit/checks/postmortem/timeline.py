"""The timeline of a postmortem: onset with its interval, deployments, recovery, and the end of the data."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.analysis.change_points import FORMS, PATH_TIME
from tracekit.analysis.deployments import given_deployments, labels_of
from tracekit.checks.changes.over_time import timeline_of
from tracekit.checks.overview import overview
from tracekit.checks.screen.changed import releases, timing_of
from tracekit.checks.screen.course import course_of
from tracekit.findings import Finding
from tracekit.text import clean, from_to, moment, plural

if TYPE_CHECKING:
    from tracekit.checks.screen.made import Made

_NAME: Final = 80
_SERVICES: Final = 5
_CLOCK: Final = 11  # where the time of day begins


class _Entry(NamedTuple):
    """What happened at a time, or between two; ``rank``: the least is shown in the shortest postmortem."""

    low_ns: int
    high_ns: int
    text: str
    rank: int
    code: str


def timeline(made: Made) -> tuple[Finding, ...]:
    """Return what happened, in order: the time of each, with its interval where it is an estimate."""
    found = [*_sides(made), *_released(made), *_deployed(made), *_course(made), *_services(made), *_failed(made)]
    found.sort(key=lambda entry: (entry.low_ns, entry.high_ns, entry.rank))
    days = [moment(entry.low_ns)[:10] for entry in found]
    is_same = [False, *(one == other for one, other in pairwise(days))]
    return tuple(_finding(entry, is_same_day=is_same[at]) for at, entry in enumerate(found))


def _finding(entry: _Entry, *, is_same_day: bool) -> Finding:
    """Return an entry as a finding; the date only where it differs from that of the entry before."""
    first, last = moment(entry.low_ns), moment(entry.high_ns)
    at = first[_CLOCK:] if is_same_day else first
    if last != first:
        at += f"–{last[_CLOCK:] if last[:10] == first[:10] else last}"
    values: dict[str, Any] = {
        "at": at,
        "date": first[: _CLOCK - 1],
        "at_ns": entry.low_ns,
        "until_ns": entry.high_ns,
        "rank": entry.rank,
    }
    return Finding("postmortem.timeline", "info", f"{at} {entry.text}", values=values, code=entry.code)


def _sides(made: Made) -> list[_Entry]:
    """Return where the baseline and the traces begin and end."""
    seen = made.case.result(overview)
    entries = []
    if made.changes is not None and (before := made.changes.before).period_ns is not None:
        entries.append(_at(before.period_ns[0], f"The baseline begins ({plural(before.trace_count, 'trace')}).", 6))
        entries.append(_at(before.period_ns[1], "The baseline ends.", 8))
    if seen.period_ns is not None:
        entries.append(_at(seen.period_ns[0], f"The current traces begin ({plural(seen.trace_count, 'trace')}).", 7))
        entries.append(_at(seen.period_ns[1], f"The data end.{_state(made)}", 2))
    return entries


def _at(time_ns: int, text: str, rank: int) -> _Entry:
    """Return where a side begins or ends."""
    return _Entry(time_ns, time_ns, text, rank, "traces.summary")


def _state(made: Made) -> str:
    """Return whether it goes on when the data end; empty where that is not known."""
    if made.regression is None:
        return ""
    course = course_of(made, made.regression)
    if course.is_ongoing is None:
        return ""
    word = "failing" if made.regression.metric == "error_rate" else "slow"
    return f" Requests are still {word}." if course.is_ongoing else " It is over."


def _released(made: Made) -> list[_Entry]:
    """Return the first request with each new version."""
    entries = []
    for one in made.case.result(releases):
        timing = timing_of(made, one)
        late = " It was first seen after the regression began." * (made.regression is not None and timing.is_late)
        gone = " It no longer serves when the data end." * (not timing.is_serving)
        was = ", ".join(clean(version, limit=_NAME) for version in one.previous)
        name, version = clean(one.service_name, limit=_NAME), clean(one.version, limit=_NAME)
        text = f"{name} {was}{' → ' * bool(was)}{version}: first request with it.{late}{gone}"
        rank = 1 if timing.may_be_cause else 4
        entries.append(_Entry(one.first_ns, one.first_ns, text, rank, "tk.timeline(traces).deployments"))
    return entries


def _deployed(made: Made) -> list[_Entry]:
    """Return the deployments that the user gave."""
    if made.case.deployments is None:
        return []
    given = given_deployments(made.case.deployments)
    rows = zip(labels_of(given), given["first_ns"], strict=True)
    code = "tk.timeline(traces, deployments=deployments).deployments"
    return [_Entry(int(at), int(at), f"Deployed: {clean(name, limit=_NAME)}.", 3, code) for name, at in rows]


def _course(made: Made) -> list[_Entry]:
    """Return when the regression began, and when it was over."""
    if made.regression is None:
        return []
    course, entries = course_of(made, made.regression), []
    what = {"error_rate": "Failed requests begin", "p95": "Slow requests begin", "mean": "Requests become slower"}
    if course.low_ns is not None and course.high_ns is not None:
        limits = " (between these times; the baseline ends at the first)" if course.is_from_baseline else " (95% CI)"
        text = f"{what[made.regression.metric]}{limits}."
        entries.append(_Entry(course.low_ns, course.high_ns, text, 0, "tk.investigate(traces, before)"))
    if course.recovered_ns is not None:
        code = "tk.timeline(traces).changes"
        entries.append(_Entry(course.recovered_ns, course.recovered_ns, "Recovered.", 0, code))
    return entries


def _services(made: Made) -> list[_Entry]:
    """Return when the critical-path time of each service rose, in a recording that shows it."""
    seen = made.case.result(timeline_of)
    entries = []
    for row in seen.affected.head(_SERVICES).to_dict("records") if made.regression is not None else []:
        values = from_to(row["before_value"], row["after_value"], FORMS[PATH_TIME])
        text = f"Critical-path time of {clean(row['service_name'], limit=_NAME)} changes {values} per request (95% CI)."
        entries.append(_Entry(int(row["low_ns"]), int(row["high_ns"]), text, 5, "tk.timeline(traces).affected"))
    return entries


def _failed(made: Made) -> list[_Entry]:
    """Return the first error of the place where the errors of most failed requests begin, if the error rate rose."""
    if made.regression is None or made.regression.metric != "error_rate":
        return []
    origins = made.case.result(overview).errors.origins
    entries = []
    ranked = origins.sort_values("failed_request_count", ascending=False, kind="stable")
    for row in ranked[ranked["failed_request_count"] > 0].head(1).to_dict("records"):
        at = int(row["first_time"].value)
        place = f"{clean(row['service_name'], limit=_NAME)} {clean(row['operation'], limit=_NAME)}"
        failed = plural(row["failed_request_count"], "failed request")
        text = f"First error of {place} in the current traces (the errors of {failed} begin there)."
        entries.append(_Entry(at, at, text, 5, "tk.errors(traces).origins"))
    return entries
