"""Serialised workers: a busy instance that never serves two requests at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.checks.names import name_of
from tracekit.checks.patterns.instances import instances
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.sums import Occurrences
from tracekit.schema import Kind
from tracekit.stats.grouping import group_codes, group_labels, positions
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 50  # requests of an instance
_BUSY: Final = 0.6  # of the time between its first and last request
_OVERLAPS: Final = 0.01  # of its requests
_AT_ONCE: Final = 2.0  # requests on average: more are not served one at a time
_MOST: Final = 4096  # requests of an instance that are compared with those before them
_OF_WINDOW: Final = 64  # requests on average
_KEYS: Final = ("service_name", "instance")


def _detect(case: Case) -> Occurrences:
    """Return the requests of such instances; what waiting for them costs is part of ``patterns.waits``."""
    traces, (row, group, keys) = case.traces, case.result(_requests)
    at = row[(positions(case.result(_SERIAL), keys, list(_KEYS)) >= 0)[group]]
    return Occurrences(at, at, traces.duration_ns[at], np.zeros(len(at)), instances(case).take(at))


class _Requests(NamedTuple):
    """Requests that instances serve: their rows, the instance of each, and the keys of these."""

    row: Array
    group: Array
    keys: dict[str, Array]


def _requests(case: Case) -> _Requests:
    """Return the requests with known times and instances."""
    traces, spans = case.traces, case.traces.columns.spans
    instance = instances(case)
    incoming = (spans.kind == Kind.SERVER) | (spans.kind == Kind.CONSUMER)
    row = np.flatnonzero(incoming & traces.has_duration & ~traces.is_inferred & (instance.codes >= 0))
    return _Requests(
        row, *group_codes({"service_name": case.service.take(row), "instance": instance.take(row)}, len(row))
    )


class _Load(NamedTuple):
    """How busy instances are: number and total duration of requests, first start and last end; keys of each."""

    keys: dict[str, Array]
    request_count: Array
    busy_ns: Array
    first_ns: Array
    last_ns: Array

    def regroup(self, group: Array, keys: dict[str, Array]) -> _Load:
        """Return the load of groups of entries."""
        groups = len(keys["instance"])
        count, busy = np.zeros(groups, np.int64), np.zeros(groups)
        first, last = np.full(groups, np.iinfo(np.int64).max), np.full(groups, np.iinfo(np.int64).min)
        np.add.at(count, group, self.request_count)
        np.add.at(busy, group, self.busy_ns)
        np.minimum.at(first, group, self.first_ns)
        np.maximum.at(last, group, self.last_ns)
        return _Load(keys, count, busy, first, last)

    def plus(self, other: _Load) -> _Load:
        """Return the load of two parts."""
        keys = {name: np.concatenate([self.keys[name], other.keys[name]]) for name in _KEYS}
        both = (np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True))
        return _Load(keys, *both).regroup(*group_labels(keys, list(_KEYS), len(keys["instance"])))


def _load(case: Case) -> _Load:
    """Return how busy the instances of a part are."""
    traces, (row, group, keys) = case.traces, case.result(_requests)
    spans = traces.columns.spans
    entries = (
        np.ones(len(row), np.int64),
        traces.duration_ns[row].astype(np.float64),
        spans.start_ns[row],
        spans.end_ns[row],
    )
    return _Load(keys, *entries).regroup(group, keys)


class _Windows(NamedTuple):
    """Instances that are busy, and the windows of time in which overlaps are counted: every so many, of a length.

    These are all windows, unless an instance serves more requests than ``_MOST``.
    """

    keys: dict[str, Array]
    first_ns: Array
    length_ns: Array
    every: Array


def _windows(_: Case, load: _Load) -> _Windows:
    """Return the instances that are busy, on average with few requests at once, and their windows."""
    length = np.maximum(load.last_ns - load.first_ns, 1)
    is_busy = (load.busy_ns >= _BUSY * length) & (load.busy_ns <= _AT_ONCE * length)
    kept = np.flatnonzero((load.request_count >= _FEWEST) & is_busy)
    keys = {name: labels[kept] for name, labels in load.keys.items()}
    count = load.request_count[kept]
    windows = np.maximum(count // _OF_WINDOW, 1)
    return _Windows(keys, load.first_ns[kept], length[kept] // windows + 1, -(-count // _MOST))


_BUSY_ONES: Final[Merged[_Windows]] = Merged(_load, _Load.plus, _windows)


class _Served(NamedTuple):
    """Requests within the windows of busy instances, one entry each: the instance, and the times."""

    instance: Array
    start_ns: Array
    end_ns: Array

    def plus(self, other: _Served) -> _Served:
        """Return those of two parts."""
        return _Served(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def _served(case: Case) -> _Served:
    """Return the requests of a part within the windows of busy instances."""
    spans, (row, group, keys) = case.traces.columns.spans, case.result(_requests)
    windows = case.result(_BUSY_ONES)
    at = positions(windows.keys, keys, list(_KEYS))[group]
    row, at = row[at >= 0], at[at >= 0]
    window = (spans.start_ns[row] - windows.first_ns[at]) // windows.length_ns[at]
    kept = window % windows.every[at] == 0
    return _Served(at[kept], spans.start_ns[row[kept]], spans.end_ns[row[kept]])


def _serial(case: Case, served: _Served) -> dict[str, Array]:
    """Return the keys of the busy instances whose requests do not overlap the ones before them."""
    windows = case.result(_BUSY_ONES)
    order = np.lexsort((served.end_ns, served.start_ns, served.instance))
    instance, start, end = (each[order] for each in served)
    groups = len(windows.first_ns)
    is_overlap = (np.diff(instance) == 0) & (start[1:] < end[:-1])
    overlaps = np.bincount(instance[1:][is_overlap], minlength=groups)
    is_serial = overlaps <= _OVERLAPS * np.bincount(instance, minlength=groups)
    return {name: labels[is_serial] for name, labels in windows.keys.items()}


_SERIAL: Final[Merged[dict[str, Array]]] = Merged(_served, _Served.plus, _serial, needs=(_BUSY_ONES,))


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
    method="At least 50 requests of an instance, at most 1% of which overlap, and at least 60% of the time occupied."
    " Of more than 4,096 requests, those in windows spread over the time are compared.",
    matters=lambda table: table["occurrence_count"] >= 1,
    needs=(_SERIAL,),
)
