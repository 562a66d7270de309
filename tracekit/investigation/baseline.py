"""A baseline inside one recording: before the onset, before a release, or fast and succeeded requests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from tracekit.analysis.change_points import ERRORS, LATENCY, ONSET, RECOVERY
from tracekit.analysis.deployments import deployments_in, earliest, first_versions
from tracekit.analysis.partials import over_parts
from tracekit.analysis.timeline.compute import started_between
from tracekit.checks.changes.over_time import timeline_of
from tracekit.checks.overview import ENOUGH, overview
from tracekit.schema import Quality
from tracekit.text import moment, ratio

if TYPE_CHECKING:
    from tracekit.analysis.timeline.result import Timeline
    from tracekit.checks.case import Case
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_Recording: TypeAlias = Any  # a TraceSet or a TraceStore, which have the same methods
Kind = Literal["given", "before the onset", "before a release", "succeeded", "fast", "none"]
_FAILING: Final = 0.01  # error rate from which failed requests are compared with the others
NOT_GIVEN: Final = "No baseline given"


class Baseline(NamedTuple):
    """What the traces are compared with.

    Parameters
    ----------
    kind
        ``given``; ``before the onset`` of a change that the timeline shows; ``before a release`` that the traces show;
        ``succeeded`` or ``fast`` requests, which explain who fails or is slow, but are no earlier state of the system;
        ``none`` with too few traces, or where every request failed.
    current, before
        The traces to explain, and the baseline; ``before`` is None for requests of one and the same period.
    statement
        The same in words.
    """

    kind: Kind
    current: TraceSet | Parts
    before: TraceSet | Parts | None
    statement: str


def baseline_within(case: Case) -> Baseline:
    """Return the best baseline inside the recording of a case, by its onset, its releases or its outcomes."""
    seen = case.result(timeline_of)
    return _before_onset(case, seen) or _before_release(case, seen) or _of_outcomes(case)


def _before_onset(case: Case, seen: Timeline) -> Baseline | None:
    """Return the traces before errors or latency rose, and those until they fell; None where neither rose."""
    rows = seen.changes
    for metric in (ERRORS, LATENCY):
        steps = {str(row["kind"]): row for row in rows[rows["metric"] == metric].to_dict("records")}
        onset, recovery = steps.get(ONSET), steps.get(RECOVERY)
        if onset is None or not onset["after_value"] > onset["before_value"]:
            continue
        end = None if recovery is None else int(recovery["low_ns"])
        found = _split(case.source, int(onset["low_ns"]), int(onset["time_ns"]), end)
        if found is not None:
            when = moment(int(onset["time_ns"]))
            return Baseline("before the onset", *found, f"{NOT_GIVEN}: compared with the traces before {when} UTC")
    return None


def _before_release(case: Case, seen: Timeline) -> Baseline | None:
    """Return the traces before the first release and those from it on; None without a release among the traces."""
    given = seen.deployments.to_dict("records")
    for row in given if case.deployments is None else [*given, *_deployments(case.source).to_dict("records")]:
        is_version = isinstance(row["service_version"], str)
        first = int(row["first_ns"])
        at = _first_start(case.source, str(row["service_name"]), row["service_version"]) if is_version else first
        if (found := _split(case.source, at, at, None)) is not None:
            name = " ".join(str(part) for part in (row["service_name"], row["service_version"]) if not pd.isna(part))
            seen_at = f"{'first seen' if is_version else 'deployed'} {moment(first)}"
            text = f"{NOT_GIVEN}: compared with the traces before {name}, {seen_at} UTC"
            return Baseline("before a release", *found, text)
    return None


def _deployments(traces: TraceSet | Parts) -> pd.DataFrame:
    """Return the versions that appeared after another version of their service."""
    return deployments_in(over_parts(traces, first_versions, _earliest).state)


def _earliest(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the first time of each version in two parts."""
    return earliest([first, second])


def _first_start(traces: TraceSet | Parts, service_name: str, version: str) -> int:
    """Return the start of the first request that a version of a service took part in."""
    return over_parts(traces, partial(_started, service_name=service_name, version=version), min).state


def _started(traces: TraceSet, service_name: str, version: str) -> int:
    """Return the same of some traces; the latest time without one."""
    names = zip(("service_name", "service_version"), (service_name, version), strict=True)
    is_mine = np.logical_and.reduce([traces.codes(column).series().eq(name).to_numpy(bool) for column, name in names])
    spans = traces.columns.spans
    dated = is_mine & ((spans.quality & Quality.NO_START) == 0)
    root = traces.forest.root_row[np.unique(traces.forest.trace[dated])]
    return int(spans.start_ns[root][(spans.quality[root] & Quality.NO_START) == 0].min(initial=np.iinfo(np.int64).max))


def _split(traces: _Recording, first_ns: int, then_ns: int, end_ns: int | None) -> tuple[_Recording, _Recording] | None:
    """Return the traces from the second time on and those before the first; None where either are too few."""
    first, then, end = (None if at is None else pd.Timestamp(at, tz="UTC") for at in (first_ns, then_ns, end_ns))
    period = started_between(traces)
    if period is None or not period[0] < first_ns <= then_ns <= period[1]:
        return None
    before, now = traces.between(None, first), traces.between(then, end)
    return (now, before) if min(len(before), len(now)) >= ENOUGH else None


def _of_outcomes(case: Case) -> Baseline:
    """Return that failed requests are compared with the others, or slow with fast ones, or that there are too few."""
    seen = case.result(overview)
    if seen.trace_count < ENOUGH:
        return Baseline("none", case.source, None, f"{NOT_GIVEN}, and too few traces to find one")
    if seen.failed.value >= 1:
        text = f"{NOT_GIVEN}, and every request failed: there is nothing to compare with"
        return Baseline("none", case.source, None, text)
    if seen.failed.low > _FAILING:
        text = f"{NOT_GIVEN}: failed requests ({ratio(seen.failed.value)}) are compared with those that succeeded"
        return Baseline("succeeded", case.source, None, text)
    text = f"{NOT_GIVEN}: the slowest requests are compared with the faster half"
    return Baseline("fast", case.source, None, text)
