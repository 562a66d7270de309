"""Slow starts: the first requests of instances that were started during the recording take longer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.instances import NEW, SEVERAL, instances
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.process_times import avoidable_ns, process_times
from tracekit.checks.patterns.relative_times import USUAL_NS, RelativeTimes, relative_times
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.shares import added
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.binned_ranks import Binned, bins, greater
from tracekit.stats.grouping import dense_codes, group_codes, group_labels, positions
from tracekit.stats.histograms import Histogram
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FIRST: Final = 5  # requests of an instance that may be slow
_FEWEST: Final = 20  # later requests of the new instances of a service
_SLOWER: Final = 2.0  # times the later ones
_P: Final = 0.001  # for all services together
_KEYS: Final = ("service_name", "instance")


class _Requests(NamedTuple):
    """Requests of new instances, one entry each: keys, the first start and the id of the trace, and relative time."""

    service_name: Array
    instance: Array
    start_ns: Array
    trace_hi: Array
    trace_lo: Array
    value: Array

    @property
    def keys(self) -> dict[str, Array]:
        """The instances."""
        return {"service_name": self.service_name, "instance": self.instance}

    def take(self, at: Array) -> _Requests:
        """Return some of them."""
        return _Requests(*(each[at] for each in self))


@dataclass(frozen=True)
class _Started:
    """The first requests of new instances, and how many of the later ones of a service take how long."""

    first: _Requests
    later: Aggregate

    @classmethod
    def of(cls, requests: _Requests) -> _Started:
        """Return the first requests of each instance, and the others added up."""
        group, _ = group_labels(requests.keys, list(_KEYS), len(requests.value))
        order = np.lexsort((requests.trace_lo, requests.trace_hi, requests.start_ns, group))
        rank = np.arange(len(order)) - np.searchsorted(group[order], group[order])
        later = requests.take(order[rank >= _FIRST])
        keys = {"service_name": later.service_name, "bin": bins(later.value).astype(object)}
        sums = {"count": np.ones(len(later.value), np.int64), "total": later.value}
        found = Aggregate(keys, sums, Histogram.empty()).by(list(keys))
        return cls(requests.take(order[rank < _FIRST]), found)

    def plus(self, other: _Started) -> _Started:
        """Return those of two parts."""
        both = (np.concatenate(pair) for pair in zip(self.first, other.first, strict=True))
        found = _Started.of(_Requests(*both))
        return _Started(found.first, added(added(self.later, other.later), found.later))


class _SlowStarts(NamedTuple):
    """The first requests of services that start slowly, and how many times as long as later ones they take."""

    requests: _Requests
    factor: Array


def _detect(case: Case) -> Occurrences:
    """Return the first requests of new instances; the cost is the part of their self time beyond later ones."""
    slow, none = case.result(_SLOW), np.zeros(0, np.int64)
    if not len(slow.factor):  # most recordings: the rest is expensive
        return Occurrences(none, none, none, none)
    own, spans = case.result(process_times), case.traces.columns.spans
    names, instance = case.service, instances(case)
    near = (own > 0) & (names.codes >= 0) & (instance.codes >= 0) & np.isin(spans.trace_lo, slow.requests.trace_lo)
    row = np.flatnonzero(near)
    wanted = slow.requests.keys | {"hi": slow.requests.trace_hi, "lo": slow.requests.trace_lo}
    labels = (np.array(one.texts(one.codes[row]), object) for one in (names, instance))
    mine = dict(zip(_KEYS, labels, strict=True)) | {"hi": spans.trace_hi[row], "lo": spans.trace_lo[row]}
    at = positions(wanted, mine, list(wanted))
    row, factor = row[at >= 0], slow.factor[at[at >= 0]]
    return Occurrences(row, row, own[row], avoidable_ns(case, row, factor))


def _starts(case: Case) -> _Started:
    """Return the requests of new instances in a part: one per instance and trace, with the mean of its spans."""
    new, none = case.result(NEW), np.zeros(0)
    relative = case.result(relative_times) if len(new["instance"]) else RelativeTimes(none.astype(np.int64), none)
    instance, spans = instances(case), case.traces.columns.spans
    known = instance.codes[relative.row] >= 0
    row, value = relative.row[known], relative.value[known]
    columns = dict(zip(_KEYS, (case.service.take(row), instance.take(row)), strict=True))
    group, keys = group_codes(columns, len(row))
    is_new = (positions(new, keys, list(_KEYS)) >= 0)[group]
    row, value, group = row[is_new], value[is_new], group[is_new]
    traces, count = max(len(case.traces), 1), len(keys["instance"])
    pair, found = dense_codes(group * traces + case.traces.forest.trace[row], count * traces)
    start = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(start, pair, spans.start_ns[row])
    mean = np.bincount(pair, value, len(found)) / np.maximum(np.bincount(pair, minlength=len(found)), 1)
    at = case.traces.forest.root_row[found % traces] if len(found) else found
    ids = spans.trace_hi[at], spans.trace_lo[at]
    service, name = (keys[each][found // traces] for each in _KEYS)
    return _Started.of(_Requests(service, name, start, *ids, mean))


def _slow(_: Case, found: _Started) -> _SlowStarts:
    """Return the first requests of the services that start slowly."""
    service, of = np.unique(found.first.service_name.astype(str), return_inverse=True)
    factor = np.array([_factor(found, str(name), _P / len(service)) for name in service], np.float64)
    is_slow = factor[of] >= _SLOWER
    return _SlowStarts(found.first.take(is_slow), factor[of][is_slow])


def _factor(found: _Started, service: str, level: float) -> float:
    """Return how many times as long the first requests of new instances take as later ones; 0 if that is chance."""
    value = found.first.value[found.first.service_name == service]
    cells = found.later.where(found.later.keys["service_name"] == service)
    if cells.sums["count"].sum() < _FEWEST or len(value) < _FIRST:
        return 0.0
    place, at = np.unique(np.append(bins(value), cells.keys["bin"].astype(np.int64)), return_inverse=True)
    own, rest = at[: len(value)], at[len(value) :]
    size = len(place)
    first = Binned(np.bincount(own, minlength=size), np.bincount(own, value, size))
    count = np.bincount(rest, cells.sums["count"], size).astype(np.int64)
    later = Binned(count, np.bincount(rest, cells.sums["total"], size))
    is_slow = greater(first.number, later.number) <= level
    return float(np.exp(first.median - later.median)) if is_slow else 0.0


_SLOW: Final[Merged[_SlowStarts]] = Merged(_starts, _Started.plus, _slow, needs=(USUAL_NS, SEVERAL, NEW))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which service starts slowly."""
    return (
        f"Slow starts: the first requests of new instances of {clean(row['service_name'], limit=80)} take longer, "
        f"{clean(row['operation'], limit=80)} {duration(row['size_p50'])} of self time (median),"
    )


SLOW_STARTS: Final = Pattern(
    "patterns.slow_starts",
    _detect,
    _say,
    remedy="Warm instances up before they receive traffic (readiness, caches, connections), or shift traffic slowly.",
    method=(
        "Self times of the first five requests of instances that begin during the recording, tested by ranks (2%)"
        " against their later ones at p <= 0.001 for all services together, at least twice as long; cost: the part"
        " beyond."
    ),
    needs=(_SLOW,),
)
