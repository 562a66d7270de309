"""What occurrences of a pattern add up to by caller and callee: sums of parts, and the table that they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.paths import clock_offsets, paths
from tracekit.checks.patterns.repeated import called
from tracekit.checks.shares import added
from tracekit.frames import hexes
from tracekit.stats.aggregates import Aggregate, steady
from tracekit.stats.counted_values import CountedValues
from tracekit.stats.grouping import dense_codes, group_codes, group_labels, positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.mover import NO_CLASS
from tracekit.stats.ratio_means import Cells, mean_of, moments_of
from tracekit.stats.weighted_means import mean_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

KEYS: Final = ("caller_service", "caller_operation", "service_name", "operation", "callee_service")
_CLASS: Final = "weight_class"


class Occurrences(NamedTuple):
    """Occurrences of a pattern in one set of traces, one entry each.

    Parameters
    ----------
    caller, callee
        Rows of ``spans``: the span that calls, and one of its calls (itself, for a pattern of one span).
    size
        What the pattern counts, such as the number of calls.
    cost_ns
        Critical-path time that the request would not have taken without it, at most.
    detail
        What else distinguishes occurrences, such as the host; column ``detail`` of the table.
    """

    caller: Array
    callee: Array
    size: Array
    cost_ns: Array
    detail: Codes | None = None

    @classmethod
    def none(cls) -> Occurrences:
        """Return no occurrences."""
        row = np.zeros(0, np.int64)
        return cls(row, row, row, row)

    def where(self, chosen: Array) -> Occurrences:
        """Return some of them."""
        columns = (self.caller[chosen], self.callee[chosen], self.size[chosen], self.cost_ns[chosen])
        return Occurrences(*columns, None if self.detail is None else self.detail.take(chosen))


class _Costliest(NamedTuple):
    """The occurrence of the highest cost of each group: the first of equal ones, by trace id and place in the trace."""

    cost_ns: Array
    trace_hi: Array
    trace_lo: Array
    place: Array
    span_id: Array

    def by(self, group: Array) -> _Costliest:
        """Return that of each group of groups."""
        order = np.lexsort((self.place, self.trace_lo, self.trace_hi, -self.cost_ns, group))
        return self.where(_first_of_runs(group, order))

    def where(self, chosen: Array) -> _Costliest:
        """Return those of some groups."""
        return _Costliest(*(each[chosen] for each in self))


@dataclass(frozen=True)
class OccurrenceSums:
    """Sums of the occurrences of a pattern by caller and callee; its size does not depend on the number of traces.

    Parameters
    ----------
    keys
        ``KEYS``, and ``detail`` if there is one; one entry per group.
    sums
        By group: ``occurrence_count``, ``trace_count``, and of the affected traces their ``weight``, their weighted
        ``cost`` and their weighted ``latency``.
    size_max, sizes, costliest, largest
        By group: of the sizes, the occurrence of the highest cost, and the largest weight of the affected traces.
    """

    keys: dict[str, Array]
    sums: dict[str, Array]
    size_max: Array
    sizes: CountedValues
    costliest: _Costliest
    largest: Array

    def __len__(self) -> int:
        return len(self.size_max)

    def where(self, chosen: Array) -> OccurrenceSums:
        """Return some groups: bool, one per group."""
        return OccurrenceSums(
            {name: labels[chosen] for name, labels in self.keys.items()},
            {name: each[chosen] for name, each in self.sums.items()},
            self.size_max[chosen],
            self.sizes.where(chosen),
            self.costliest.where(chosen),
            self.largest[chosen],
        )


class Requests(NamedTuple):
    """All traces: how many, and their weighted latency."""

    trace_count: int
    latency: float

    def plus(self, other: Requests) -> Requests:
        """Return those of two parts."""
        return Requests(self.trace_count + other.trace_count, self.latency + other.latency)


def _requests(case: Case) -> Requests:
    """Return the requests of a part."""
    return Requests(len(case.traces), float(case.result(_weighted_latency).sum()))


REQUESTS: Final[Merged[Requests]] = Merged(_requests, Requests.plus, needs=(clock_offsets,))


class _Grouped(NamedTuple):
    """Occurrences by caller and callee: the group of each, and the labels of the groups."""

    group: Array
    keys: dict[str, Array]


@dataclass(frozen=True)
class _GroupsOf:
    """Returns the occurrences by caller and callee."""

    detect: Callable[[Case], Occurrences]

    def __call__(self, case: Case) -> _Grouped:
        """Return those of a case."""
        found = case.result(self.detect)
        return _Grouped(*_labelled_pairs(case, found.caller, found.callee, found.detail))


def _cells(case: Case, found: Occurrences, group: Array, groups: int) -> tuple[Cells, Array]:
    """Return the cost of each group in each affected trace, and the number of the trace."""
    traces = case.traces
    several = max(len(traces), 1)
    trace = traces.forest.trace[found.caller].astype(np.int64)
    cell, pair = dense_codes(group * several + trace, groups * several)
    cost = sum_by(cell, found.cost_ns.astype(np.float64), len(pair))
    owner, trace = pair // several, pair % several
    weight = traces.weights.value[trace].astype(np.float64)
    return Cells(owner, weight, weight, weight * cost), trace


@dataclass(frozen=True)
class _SumsOf:
    """Returns the sums of the occurrences in a part."""

    detect: Callable[[Case], Occurrences]

    def __call__(self, case: Case) -> OccurrenceSums:
        """Return those of a case."""
        found, (group, keys) = case.result(self.detect), case.result(_GroupsOf(self.detect))
        groups = len(keys[KEYS[0]])
        cells, trace = _cells(case, found, group, groups)
        latency = case.result(_weighted_latency)[trace] if groups else cells.value
        sums = {
            "occurrence_count": np.bincount(group, minlength=groups),
            "trace_count": np.bincount(cells.owner, minlength=groups),
            "weight": sum_by(cells.owner, cells.size, groups),
            "cost": sum_by(cells.owner, cells.value, groups),
            "latency": sum_by(cells.owner, latency, groups),
        }
        return OccurrenceSums(
            keys,
            sums,
            _largest(group, found.size, groups),
            CountedValues.of(group, found.size, groups),
            _costliest(case, found, group, groups),
            _largest(cells.owner, cells.weight, groups),
        )


def _costliest(case: Case, found: Occurrences, group: Array, groups: int) -> _Costliest:
    """Return the occurrences of the highest cost in a part, whose rows are in order of trace id and place."""
    cost, spans, forest = found.cost_ns.astype(np.float64), case.traces.columns.spans, case.traces.forest
    at = np.flatnonzero(cost == _largest(group, cost, groups)[group])
    at = _first_of_runs(group, at[np.lexsort((found.caller[at], group[at]))])
    row = found.caller[at]
    place = row - forest.starts[forest.trace[row]]
    return _Costliest(cost[at], spans.trace_hi[row], spans.trace_lo[row], place, spans.span_id[found.callee[at]])


def _weighted_latency(case: Case) -> Array:
    """Return the weighted latency of every trace, 0 without a critical path."""
    path, traces = case.result(paths), case.traces
    latency = sum_by(path.tree.trace[path.tree.root], path.latency_ns.astype(np.float64), len(traces))
    return np.asarray(latency * traces.weights.value)


def _largest(group: Array, value: Array, groups: int) -> Array:
    """Return the largest value of each group, all of which have one."""
    found = np.full(groups, value.min(initial=0), value.dtype)
    np.maximum.at(found, group, value)
    return found


def _first_of_runs(group: Array, order: Array) -> Array:
    """Return the first entry of each group in an order by group."""
    return order[np.flatnonzero(np.diff(group[order], prepend=-1))]


def _add_sums(first: OccurrenceSums, second: OccurrenceSums) -> OccurrenceSums:
    """Return the sums of two parts."""
    if not (len(first) and len(second)):
        return first if len(first) else second
    keys = {name: np.concatenate([first.keys[name], second.keys[name]]) for name in first.keys}
    group, labels = group_labels(keys, list(keys), len(first) + len(second))
    groups = int(group.max(initial=-1)) + 1
    sums = {}
    for name in first.sums:
        sums[name] = np.zeros(groups, first.sums[name].dtype)
        np.add.at(sums[name], group, np.concatenate([first.sums[name], second.sums[name]]))
    costliest = _Costliest(*(np.concatenate(pair) for pair in zip(first.costliest, second.costliest, strict=True)))
    return OccurrenceSums(
        labels,
        sums,
        _largest(group, np.concatenate([first.size_max, second.size_max]), groups),
        CountedValues.concatenate(first.sizes, second.sizes).regroup(group, groups).limited(),
        costliest.by(group),
        _largest(group, np.concatenate([first.largest, second.largest]), groups),
    )


def _limited(sums: OccurrenceSums) -> OccurrenceSums:
    """Return the sums of a part with a limited number of sizes."""
    return replace(sums, sizes=sums.sizes.limited())


def sums_of(
    detect: Callable[[Case], Occurrences], needs: tuple[Callable[[Case], object], ...]
) -> Merged[OccurrenceSums]:
    """Return how the occurrences of all traces are added up; ``needs``: what ``detect`` asks of all traces."""
    return Merged(_SumsOf(detect), _add_sums, needs=(clock_offsets, *needs), limit=_limited)


def table_of(sums: OccurrenceSums, requests: Requests) -> pd.DataFrame:
    """Return one row per caller and callee, the highest cost first; ``requests``: all of them.

    ``caller_service``, ``caller_operation``, ``service_name``, ``operation``, ``callee_service`` (that it calls, may be
    empty), ``detail`` if there is one; recorded: ``occurrence_count``, ``trace_count``, ``trace_ratio`` of all traces,
    ``size_p50``, ``size_max``; weighted: ``cost_ns`` per affected request, ``cost_low_ns`` and ``cost_high_ns``, which
    ``with_limits`` fills; ``affected_ratio``: cost per latency of the affected requests; ``cost_ratio``: cost per
    latency of all requests; ``exemplar_trace_id``, ``exemplar_span_id``: the occurrence of the highest cost.
    """
    total = sums.sums["cost"]
    table = pd.DataFrame({name: pd.Series(labels, dtype=object) for name, labels in sums.keys.items()}).assign(
        occurrence_count=sums.sums["occurrence_count"],
        trace_count=sums.sums["trace_count"],
        trace_ratio=sums.sums["trace_count"] / max(requests.trace_count, 1),
        size_p50=sums.sizes.medians(),
        size_max=sums.size_max,
        cost_ns=mean_of(sums.sums["weight"], total),
        cost_low_ns=np.nan,
        cost_high_ns=np.nan,
        affected_ratio=_share(total, sums.sums["latency"]),
        cost_ratio=_share(total, np.full(len(sums), requests.latency)),
        exemplar_trace_id=hexes(sums.costliest.trace_hi, sums.costliest.trace_lo),
        exemplar_span_id=hexes(sums.costliest.span_id),
    )
    names = list(sums.keys)
    order = table[names].assign(cost=-steady(table["cost_ratio"].to_numpy())).sort_values(["cost", *names]).index
    return table.loc[order].reset_index(drop=True)


@dataclass(frozen=True)
class _PowersOf:
    """Returns the powers of the influence of each trace on mean costs, given these of all parts."""

    detect: Callable[[Case], Occurrences]
    keys: tuple[tuple[str, ...], ...]
    mean: tuple[float, ...]
    size: tuple[float, ...]
    largest: float

    def __call__(self, case: Case) -> Aggregate:
        """Return those of a case: by group, the position among ``keys``, and weight class."""
        found, (group, own) = case.result(self.detect), case.result(_GroupsOf(self.detect))
        wanted = {name: np.array(each, object) for name, each in zip(own, zip(*self.keys, strict=True), strict=True)}
        place = positions(wanted, own, list(own))[group]
        at = np.flatnonzero(place >= 0)
        cells, _ = _cells(case, found.where(at), place[at], len(self.keys))
        owner, code, sums = cells.powers(np.array(self.mean), np.array(self.size), self.largest)
        return Aggregate({"group": owner.astype(object), _CLASS: code.astype(object)}, sums, Histogram.empty())


def totals(keys: pd.DataFrame, sums: dict[str, Array]) -> Aggregate:
    """Return sums by names as a table that adds."""
    labels = labels_of(keys)
    return Aggregate(labels, sums, Histogram.empty()).by(list(labels))


def labels_of(keys: pd.DataFrame) -> dict[str, Array]:
    """Return the columns of a frame of labels, None where missing."""
    return {str(name): keys[name].to_numpy(object) for name in keys}


def with_limits(
    case: Case,
    table: pd.DataFrame,
    sums: OccurrenceSums,
    detect: Callable[[Case], Occurrences],
    needs: tuple[Callable[[Case], object], ...],
) -> pd.DataFrame:
    """Return some rows of ``table_of`` with the 95% CI of their costs: another pass, around the means of all parts."""
    if table.empty:
        return table
    names = list(sums.keys)
    at = positions(sums.keys, {name: table[name].to_numpy(object) for name in names}, names)
    size, mean = sums.sums["weight"][at], table["cost_ns"].to_numpy(np.float64)
    keys = tuple(table[names].itertuples(index=False, name=None))
    partial = _PowersOf(detect, keys, tuple(mean.tolist()), tuple(size.tolist()), float(sums.largest.max()))
    merged: Merged[Aggregate] = Merged(partial, added, needs=(clock_offsets, *needs))
    found = case.result(merged)
    owner, code = (found.keys[name].astype(np.int64) for name in ("group", _CLASS))
    low, high = mean_limits(mean, moments_of(found.sums, owner, code != NO_CLASS, mean, size))
    return table.assign(cost_low_ns=low, cost_high_ns=high)


def pairs_of(case: Case, caller: Array, callee: Array, detail: Codes | None = None) -> tuple[Array, pd.DataFrame]:
    """Return the number of the caller and callee of each pair of rows, and their names."""
    group, keys = _labelled_pairs(case, caller, callee, detail)
    return group, pd.DataFrame(keys, dtype=object)


def pairs_among(case: Case, caller: Array, callee: Array, keys: dict[str, Array]) -> tuple[Array, Array]:
    """Return which pairs of rows have some names of caller and callee, and the place of these names among ``keys``."""
    at = np.arange(len(caller))
    for name, codes in zip(KEYS, _pair_codes(case), strict=True):
        row, wanted = (caller if name.startswith("caller") else callee)[at], {*keys[name].tolist()}
        at = at[np.array([label in wanted for label in (*codes.labels, "")])[codes.codes[row]]]
    group, own = _labelled_pairs(case, caller[at], callee[at])
    place = positions(keys, own, KEYS)[group]
    return at[place >= 0], place[place >= 0]


def _pair_codes(case: Case) -> tuple[Codes, ...]:
    """Return the columns of the spans that are ``KEYS`` of a pair."""
    service, operation = case.traces.codes("service_name"), case.traces.codes("operation")
    return service, operation, service, operation, case.result(called)


def _labelled_pairs(
    case: Case, caller: Array, callee: Array, detail: Codes | None = None
) -> tuple[Array, dict[str, Array]]:
    """Return the same with the names as arrays, an empty text where they are missing."""
    names = (*KEYS, *(() if detail is None else ("detail",)))
    if not len(caller):
        return np.zeros(0, np.int64), {name: np.zeros(0, object) for name in names}
    rows = (caller, caller, callee, callee, callee)
    columns = {name: codes.take(row) for name, codes, row in zip(KEYS, _pair_codes(case), rows, strict=True)}
    group, keys = group_codes(columns | ({} if detail is None else {"detail": detail}), len(caller))
    return group, keys | {name: _filled(keys[name]) for name in KEYS}


def _filled(labels: Array) -> Array:
    """Return the labels with an empty text where they are missing."""
    return np.array(["" if label is None else label for label in labels.tolist()], object)


def _share(part: Array, whole: Array) -> Array:
    """Return a part of a whole, 0 where the whole is none."""
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))
