"""What changed besides: versions, deployments and operations that the baseline does not have."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.analysis.deployments import earliest, first_versions, given_deployments, labels_of
from tracekit.analysis.partials import over_parts
from tracekit.checks.changes.over_time import timeline_of
from tracekit.checks.overview import overview
from tracekit.checks.screen.course import course_of
from tracekit.checks.screen.served import served, served_last
from tracekit.checks.screen.versions import at_the_same_time, before_the_onset
from tracekit.findings import Finding
from tracekit.text import clean, count, moment, plural

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.checks.screen.made import Made
    from tracekit.checks.screen.versions import Contrast
    from tracekit.traces import TraceSet

UNDATED: Final = "When in these traces the regression began is not known."
_NAME: Final = 80
_NAMED: Final = 4  # services in a sentence


class Release(NamedTuple):
    """A version of a service that the baseline does not have: the versions that it has, and the first span with it."""

    service_name: str
    previous: tuple[str, ...]
    version: str
    first_ns: int


class Timing(NamedTuple):
    """When a release came and went, and what requests on it and on other versions say.

    Parameters
    ----------
    is_late
        First seen after the regression began.
    is_serving
        Serves when the data end.
    is_undone
        The baseline is later, so that the version is no longer that of the system.
    is_dated
        It is known by when the regression began.
    is_early
        First seen before the regression began, by more than the length of its interval.
    same_time
        What grew in requests on it and on other versions at the same time; None where no two versions serve.
    itself_before
        What grew in requests on it before and since the regression began; None where it was not there before.
    """

    is_late: bool
    is_serving: bool
    is_undone: bool = False
    is_dated: bool = False
    is_early: bool = False
    same_time: Contrast | None = None
    itself_before: Contrast | None = None

    @property
    def is_worse(self) -> bool:
        """Whether requests on it are worse than those on other versions at the same time."""
        return self.same_time is not None and self.same_time.is_worse and not self.same_time.is_alike

    @property
    def is_alike(self) -> bool:
        """Whether requests on other versions are as bad at the same time."""
        return self.same_time is not None and self.same_time.is_alike

    @property
    def was_good(self) -> bool:
        """Whether requests on it were not as bad before the regression began, some time after the release."""
        known = self.is_early and not self.is_worse
        return known and self.itself_before is not None and self.itself_before.was_good

    @property
    def may_be_cause(self) -> bool:
        """Whether the release may be the cause: not seen after the onset, not withdrawn, and requests on it differ."""
        return self.is_serving and not (self.is_late or self.is_undone or self.is_alike or self.was_good)

    @property
    def numbers(self) -> dict[str, Any]:
        """What is said of the release, and the figures behind it."""
        shown = {name: one.numbers for name in ("same_time", "itself_before")
                 if (one := getattr(self, name)) is not None}  # fmt: skip
        return {"coincides": self.coincides, "is_early": self.is_early, "is_alike": self.is_alike, **shown}

    @property
    def coincides(self) -> bool:
        """Whether the release may be the cause and was first seen near an onset that is known."""
        return self.may_be_cause and self.is_dated and not self.is_early


def changed(made: Made) -> Finding | None:
    """Return what changed since the baseline besides latency and errors; None without a baseline, or an empty side."""
    if made.changes is None or made.case.baseline is None:
        return None
    found = made.case.result(releases)
    new = made.first("operations", "new_log_lines")
    timing = [timing_of(made, one) for one in found]
    words = [*_released(made, found, timing), *_deployed(made), *([new.headline] if new is not None else [])]
    note = ""
    if made.regression is not None and any(one.coincides for one in timing):
        note = " (Coincides; not proof.)"
    elif made.regression is not None and any(one.may_be_cause and not one.is_dated for one in timing):
        note = f" ({UNDATED})"
    if not words:
        return None
    return Finding(
        "screen.changed",
        "notice" if found or new is not None else "info",
        " ".join(words) + note,
        values={"releases": [release._asdict() | one.numbers for release, one in zip(found, timing, strict=True)]},
        code="traces.resources[['service_name', 'service_version']]",
    )


def releases(case: Case) -> list[Release]:
    """Return the versions that the baseline does not have of services that it has, in the order of their first spans.

    Of two parts of one recording: all versions that appeared in it.
    """
    if case.baseline is None:
        return []
    if case.recording is not None:
        rows = case.result(timeline_of).deployments.to_dict("records")
        return [_of_recording(row) for row in rows if isinstance(row["service_version"], str)]
    before, now = case.baseline.result(first_seen), case.result(first_seen)
    known = before.groupby("service_name")["service_version"].agg(tuple).to_dict()
    rows = now.sort_values(["first_ns", "service_name"], kind="stable").to_dict("records")
    return [
        Release(row["service_name"], known[row["service_name"]], row["service_version"], int(row["first_ns"]))
        for row in rows
        if row["service_name"] in known and row["service_version"] not in known[row["service_name"]]
    ]


def timing_of(made: Made, release: Release) -> Timing:
    """Return when a release came and went, and how requests on it do; without a regression it is not late."""
    return made.once(_timing_of, release)


def _timing_of(made: Made, release: Release) -> Timing:
    """Return the same."""
    table = served(made.case.source, release.service_name)
    mine = table[table["version"] == release.version]
    if mine.empty:
        return Timing(is_late=False, is_serving=False)
    first, is_serving = int(mine["first_ns"].iloc[0]), bool(mine["is_serving"].iloc[0])
    course = None if made.regression is None else course_of(made, made.regression)
    if course is None or course.high_ns is None:
        return Timing(is_late=False, is_serving=is_serving, is_undone=made.is_baseline_later,
                      same_time=at_the_same_time(made, release))  # fmt: skip
    low = course.high_ns if course.low_ns is None else course.low_ns
    is_early = min(first, release.first_ns) < low - (course.high_ns - low) and not course.is_from_baseline
    return Timing(
        first > course.high_ns, is_serving, made.is_baseline_later, is_dated=True, is_early=is_early,
        same_time=at_the_same_time(made, release), itself_before=before_the_onset(made, release),
    )  # fmt: skip


def in_baseline(case: Case, release: Release) -> bool:
    """Return whether the baseline has the version of a release."""
    if case.baseline is None:
        return False
    known = case.baseline.result(first_seen)
    return bool(((known["service_name"] == release.service_name) & (known["service_version"] == release.version)).any())


def version_before(case: Case, release: Release) -> str | None:
    """Return the version of the service that served last before a release: in the baseline, or in the recording."""
    if case.recording is not None:
        return served_last(case.recording, release.service_name, release.version, release.first_ns)
    return None if case.baseline is None else served_last(
        case.baseline.source, release.service_name, release.version, None)  # fmt: skip


def _of_recording(row: dict[Hashable, Any]) -> Release:
    """Return the release of a row of the deployments of a recording."""
    was = row["previous_version"]
    previous = (was,) if isinstance(was, str) else ()
    return Release(str(row["service_name"]), previous, str(row["service_version"]), int(row["first_ns"]))


def first_seen(case: Case) -> pd.DataFrame:
    """Return the first time of each version of each service of one side."""
    return over_parts(case.source, first_versions, _earliest).state


def has_versions(case: Case) -> bool:
    """Return whether a span has a version, also one without a time."""
    return bool(over_parts(case.source, _have_versions, operator.or_).state)


def _have_versions(traces: TraceSet) -> bool:
    """Return whether a span has a version."""
    return bool((traces.codes("service_version").codes >= 0).any())


def _earliest(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the first time of each version in two parts."""
    return earliest([first, second])


def _released(made: Made, found: list[Release], timing: list[Timing]) -> list[str]:
    """Return the sentences about versions."""
    if not found:
        cases = [one for one in (made.case, made.case.baseline) if one is not None]
        if not all(
            one.result(overview).trace_count for one in cases
        ):  # nothing is known about the versions of an empty side
            return []
        if all(one.result(has_versions) for one in cases):
            return ["No new service version."]
        where = " on both sides" * any(one.result(has_versions) for one in cases)
        return [f"Service versions are not recorded{where} (service.version)."]
    names = [_release(made, *both) for both in zip(found[:_NAMED], timing[:_NAMED], strict=True)]
    more = f" and {plural(len(found) - _NAMED, 'more version')}" if len(found) > _NAMED else ""
    return [f"{'; '.join(names)}{more}. No other service version changed."]


def _release(made: Made, one: Release, timing: Timing) -> str:
    """Return a new version in words; the time without its date where the traces are all of one day."""
    was = ", ".join(clean(version, limit=_NAME) for version in one.previous)
    name = clean(one.service_name, limit=_NAME)
    days = {moment(at)[:10] for at in (*(_period(made) or ()), one.first_ns)}
    at = moment(one.first_ns)[11:] if len(days) == 1 else moment(one.first_ns)
    is_regression = made.regression is not None
    late = " after the regression began," * (is_regression and timing.is_late)
    late = " before the regression began," if is_regression and timing.is_early else late
    gone = ", no longer serving when the data end" * (is_regression and not timing.is_serving)
    too = _too(made, timing) if is_regression else ""
    return f"{name} {was}{' → ' * bool(was)}{clean(one.version, limit=_NAME)}, first seen{late} {at}{gone}{too}"


def _too(made: Made, timing: Timing) -> str:
    """Return that requests on another version are as bad at the same time; empty where they are not."""
    if timing.same_time is None or not timing.is_alike or made.regression is None:
        return ""
    verb = "fail" if made.regression.metric == "error_rate" else "are slow"
    return f", while requests on {clean(timing.same_time.other_version, limit=_NAME)} {verb} as well"


def _period(made: Made) -> tuple[int, int] | None:
    """Return the period of the current traces; None without times."""
    return None if made.changes is None else made.changes.now.period_ns


def _deployed(made: Made) -> list[str]:
    """Return the sentence about deployments that the user gave, from the baseline's start to the data's end."""
    if made.case.deployments is None or made.changes is None:
        return []
    given: Any = given_deployments(made.case.deployments)
    periods = [side.period_ns for side in (made.changes.before, made.changes.now) if side.period_ns is not None]
    if periods:
        given = given[given["first_ns"].between(min(one[0] for one in periods), max(one[1] for one in periods))]
    names = [f"{clean(name, limit=_NAME)} at {moment(at)} UTC" for name, at in
             zip(labels_of(given), given["first_ns"], strict=True)]  # fmt: skip
    more = f" and {count(len(names) - _NAMED)} more" if len(names) > _NAMED else ""
    return [f"Deployments: {'; '.join(names[:_NAMED])}{more}."] if names else []
