"""One slow instance: a host, pod or process that is slower than the others of its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.instances import LABELS, NEW, SEVERAL
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.process_times import avoidable_ns, process_times
from tracekit.checks.patterns.relative_times import USUAL_NS, relative_times
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.shares import added
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.binned_ranks import Binned, bins, greater
from tracekit.stats.grouping import dense_codes, group_codes, positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_KEYS: Final = ("label", "service_name", "instance", "bin")
_SUMS: Final = ("count", "total", "shared_count", "shared_total")
_FEWEST: Final = 10  # traces of an instance, and of the others
_SLOWER: Final = 1.5  # times the time of the others
_P: Final = 0.001  # for all instances of a recording together


class _Slow(NamedTuple):
    """Slow instances: their keys, and how many times the time of the others they take."""

    keys: dict[str, Array]
    factor: Array


class _Times(NamedTuple):
    """Relative times at instances, one entry per instance and trace: codes of both, and the mean of the spans."""

    instance: Array
    trace: Array
    value: Array

    def take(self, at: Array) -> _Times:
        """Return some entries."""
        return _Times(*(each[at] for each in self))


def _detect(case: Case) -> Occurrences:
    """Return the spans of slow instances; the cost is the part of their self time beyond that of the others."""
    slow, none = case.result(_SLOW), np.zeros(0, np.int64)
    if not len(slow.factor):  # most recordings: the rest is expensive
        return Occurrences(none, none, none, none, Codes(none, []))
    own, row, which = case.result(process_times), none, none
    for label in LABELS:
        found = np.flatnonzero((own > 0) & (case.service.codes >= 0) & (case.traces.codes(label).codes >= 0))
        group, keys = _instances(case, label, found)
        at = positions(slow.keys, keys, _KEYS[:3])[group]
        row, which = np.append(row, found[at >= 0]), np.append(which, at[at >= 0])
    names = [f"{LABELS[label]} {name}" for label, name in zip(slow.keys["label"], slow.keys["instance"], strict=True)]
    return Occurrences(row, row, own[row], avoidable_ns(case, row, slow.factor[which]), Codes(which, names))


def _instances(case: Case, label: str, row: Array) -> tuple[Array, dict[str, Array]]:
    """Return the instance of each span, by a label of its resource, and their keys."""
    columns = {name: case.traces.codes(name).take(row) for name in ("service_name", label)}
    group, keys = group_codes(columns, len(row))
    name = np.full(len(keys["service_name"]), label, object)
    return group, {"label": name, "service_name": keys["service_name"], "instance": keys[label]}


def _cells(case: Case) -> Aggregate:
    """Return relative times by instance and bin: its own, and those of other instances in the same traces.

    Only of services with several instances.
    """
    several = case.result(SEVERAL)
    services = {label: {service for one, service in several if one == label} for label in LABELS}
    empty = Aggregate(
        {name: np.zeros(0, object) for name in _KEYS},
        {name: np.zeros(0, np.int64 if name.endswith("count") else np.float64) for name in _SUMS},
        Histogram.empty(),
    )
    return Aggregate.concatenate(
        [empty, *(_cells_of(case, label, names) for label, names in services.items() if names)]
    ).by(list(_KEYS))


def _cells_of(case: Case, label: str, services: set[str]) -> Aggregate:
    """Return the relative times by instances of some services, which differ in one label."""
    relative = case.result(relative_times)
    is_chosen = np.array([name in services for name in case.service.labels] + [False])
    known = (case.traces.codes(label).codes[relative.row] >= 0) & is_chosen[case.service.codes[relative.row]]
    row, value = relative.row[known], relative.value[known]
    instance, keys = _instances(case, label, row)
    count, traces = len(keys["label"]), max(len(case.traces), 1)
    pair, found = dense_codes(instance * traces + case.traces.forest.trace[row], count * traces)
    mean = np.bincount(pair, value, len(found)) / np.maximum(np.bincount(pair, minlength=len(found)), 1)
    own = _Times(found // traces, found % traces, mean)
    shared = _shared(own, np.unique(keys["service_name"], return_inverse=True)[1] if count else np.zeros(0, np.int64))
    both = _Times(*(np.concatenate(each) for each in zip(own, shared, strict=True)))
    place = bins(both.value)
    low, high = int(place.min(initial=0)), int(place.max(initial=0))
    size = high - low + 1
    cell, found = dense_codes(both.instance * size + place - low, count * size)
    is_own, cells = np.arange(len(cell)) < len(own.value), len(found)
    numbers = {
        "count": np.bincount(cell[is_own], minlength=cells),
        "total": sum_by(cell[is_own], both.value[is_own], cells),
        "shared_count": np.bincount(cell[~is_own], minlength=cells),
        "shared_total": sum_by(cell[~is_own], both.value[~is_own], cells),
    }
    labels = {name: each[found // size] for name, each in keys.items()}
    return Aggregate(labels | {"bin": (found % size + low).astype(object)}, numbers, Histogram.empty())


def _shared(own: _Times, service: Array) -> _Times:
    """Return for each instance the times at other instances of its service in the traces that it serves."""
    if not len(own.value):
        return own
    traces = int(own.trace.max()) + 1
    visit = service[own.instance] * traces + own.trace
    several = own.take(np.flatnonzero(np.bincount(visit)[visit] > 1))
    visit = service[several.instance] * traces + several.trace
    found = [several.take(np.zeros(0, np.int64))]
    is_mine = np.zeros(int(visit.max(initial=-1)) + 1, bool)
    for one in np.unique(several.instance):
        mine = several.instance == one
        is_mine[:] = False
        is_mine[visit[mine]] = True
        others = several.take(np.flatnonzero(is_mine[visit] & ~mine))
        found.append(others._replace(instance=np.full(len(others.value), one)))
    return _Times(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _slow(_: Case, cells: Aggregate) -> _Slow:
    """Return the slow instances of every service; times are compared within operations."""
    tried = list(_tried(cells))
    count = sum(len(names) for _, names, _ in tried)
    found = [
        (*key, name, factor) for key, names, of in tried for name, factor in _slower(names, of, _P / count).items()
    ]
    columns = [np.array([one[at] for one in found], object) for at in range(3)]
    keys = dict(zip(_KEYS[:3], columns, strict=True))
    return _Slow(keys, np.array([one[3] for one in found], np.float64))


def _tried(cells: Aggregate) -> Iterator[tuple[tuple[str, str], list[str], list[Array]]]:
    """Yield service, its instances, and their sums by bin; by the first label that several differ in."""
    service, services = np.unique(cells.keys["service_name"], return_inverse=True)
    for at, name in enumerate(service.tolist()):
        for label in LABELS:
            mine = cells.where((services == at) & (cells.keys["label"] == label))
            group, names = mine.groups(["instance"])
            if len(names["instance"]) > 1:
                place, distinct = np.unique(mine.keys["bin"].astype(np.int64), return_inverse=True)
                shape = len(names["instance"]), len(place)
                cell = group * shape[1] + distinct
                sums = [np.bincount(cell, mine.sums[one], shape[0] * shape[1]).reshape(shape) for one in _SUMS]
                yield (label, name), names["instance"].tolist(), sums
                break


def _slower(names: list[str], sums: list[Array], level: float) -> dict[str, float]:
    """Return how many times slower the slow instances are, by name; empty if they are the majority."""
    count, total, shared_count, shared_total = sums
    others = Binned(count.sum(axis=0) - count - shared_count, total.sum(axis=0) - total - shared_total)
    slow = {}
    for at, name in enumerate(names):
        mine, rest = Binned(count[at], total[at]), Binned(others.number[at], others.total[at])
        if min(mine.number.sum(), rest.number.sum()) < _FEWEST:
            continue
        factor = float(np.exp(mine.median - rest.median))
        if factor >= _SLOWER and greater(mine.number, rest.number) <= level:
            slow[name] = factor
    return slow if 2 * len(slow) <= len(names) else {}


_SLOW: Final[Merged[_Slow]] = Merged(_cells, added, _slow, needs=(USUAL_NS, SEVERAL, NEW))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which instance is slow."""
    service, name = clean(row["service_name"], limit=80), clean(row["detail"], limit=80)
    return (
        f"Slow instance: {row['operation']} on {name} of {service} takes {duration(row['size_p50'])} of self time "
        "(median), longer than on the other instances,"
    )


SLOW_INSTANCES: Final = Pattern(
    "patterns.slow_instances",
    _detect,
    _say,
    remedy="Take the instance out of rotation; compare its node, neighbours, version and configuration with others.",
    method=(
        "Self times, without calls to other processes, within operations, one value per trace, tested by ranks (2%)"
        " at p <= 0.001 for all instances together, at least 1.5 times those of the others; cost: the part beyond them."
    ),
    needs=(_SLOW,),
)
