"""Serialised workers: a busy instance that never serves two requests at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.attributes import pick
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.sums import Occurrences
from tracekit.schema import Kind
from tracekit.stats.grouping import group_rows
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_LABELS: Final = ("service_instance_id", "k8s_pod_name", "host_name")
_FEWEST: Final = 50  # requests of an instance
_BUSY: Final = 0.6  # of the time between its first and last request
_OVERLAPS: Final = 0.01  # of its requests


def _detect(case: Case) -> Occurrences:
    """Return the requests of such instances; what waiting for them costs is part of ``patterns.waits``."""
    traces, spans = case.traces, case.traces.columns.spans
    instance = instances(case)
    incoming = (spans.kind == Kind.SERVER) | (spans.kind == Kind.CONSUMER)
    row = np.flatnonzero(incoming & traces.has_duration & ~traces.is_inferred & (instance.codes >= 0))
    columns = {"service_name": traces.codes("service_name").take(row), "instance": instance.take(row)}
    group, keys = group_rows(columns, len(row))
    order = np.lexsort((spans.start_ns[row], group))
    row, group = row[order], group[order]
    is_serial = _serial(spans.start_ns[row], spans.end_ns[row], group, len(keys))[group]
    at = row[is_serial]
    return Occurrences(at, at, traces.duration_ns[at], np.zeros(len(at)), instance.take(at))


def instances(case: Case) -> Codes:
    """Return the instance of every span: process, pod or host."""
    return pick([case.traces.codes(name) for name in _LABELS])[0]


def _serial(start: Array, end: Array, group: Array, groups: int) -> Array:
    """Return which instances are busy and serve one request at a time; requests are in order of start."""
    count = np.bincount(group, minlength=groups)
    same = np.diff(group) == 0
    overlaps = np.bincount(group[1:][same & (start[1:] < end[:-1])], minlength=groups)
    first = np.full(groups, np.iinfo(np.int64).max)
    last = np.full(groups, np.iinfo(np.int64).min)
    np.minimum.at(first, group, start)
    np.maximum.at(last, group, end)
    busy = np.bincount(group, (end - start).astype(np.float64), groups)
    length = np.maximum(last.astype(np.float64) - first, 1)
    return np.asarray((count >= _FEWEST) & (overlaps <= _OVERLAPS * count) & (busy >= _BUSY * length))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which instance serves one request at a time."""
    instance, service = clean(row["detail"], limit=60), clean(row["service_name"], limit=80)
    return (
        f"Serialised worker: {instance} of {service} serves one request at a time ({name_of(row)}: "
        f"{duration(row['size_p50'])}, median), and is busy at least 60% of the time,"
    )


ONE_AT_A_TIME: Final = Pattern(
    "patterns.one_at_a_time",
    _detect,
    _say,
    remedy="Requests queue in front of it: add workers or threads, or remove the lock that serialises them.",
    method="At least 50 requests of an instance, at most 1% of which overlap, and at least 60% of the time occupied.",
    matters=lambda table: table["occurrence_count"] >= 1,
    whole="it needs the requests of an instance in the order of their times",
)
