"""What occurrences of a pattern add up to by caller and callee: sums of parts, and the table that they become."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.paths import clock_offsets, paths
from tracekit.checks.patterns.repeated import called
from tracekit.checks.shares import added
from tracekit.frames import hexes
from tracekit.stats.aggregates import Aggregate, steady
from tracekit.stats.counted_values import CountedValues
from tracekit.stats.grouping import dense_codes, group_labels, group_rows, positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.mover import NO_CLASS
from tracekit.stats.ratio_means import Cells, mean_of, moments_of
from tracekit.stats.weighted_means import mean_limits

if TYPE_CHECKING:
    from collections.abc import Callable

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
        best = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
        return _Costliest(*(each[best] for each in self))


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
    size_max, sizes, costliest
        By group: of the sizes, and the occurrence of the highest cost.
    trace_count, latency
        Number of all traces, and their weighted latency.
    largest
        Largest weight of the affected traces.
    """

    keys: dict[str, Array]
    sums: dict[str, Array]
    size_max: Array
    sizes: CountedValues
    costliest: _Costliest
    trace_count: int
    latency: float
    largest: float

    def __len__(self) -> int:
        return len(self.size_max)


class _Affected(NamedTuple):
    """Occurrences by group and trace.

    Parameters
    ----------
    keys
        Caller and callee of each group.
    group
        Group of each occurrence.
    owner, trace, cost_ns
        Group, trace and cost of each pair of them.
    """

    keys: pd.DataFrame
    group: Array
    owner: Array
    trace: Array
    cost_ns: Array

    def cells(self, weight: Array) -> Cells:
        """Return the pairs, for the mean cost of an affected trace."""
        w = weight[self.trace].astype(np.float64)
        return Cells(self.owner, w, w, w * self.cost_ns)


@dataclass(frozen=True)
class _Grouped:
    """Returns the occurrences by group and trace."""

    detect: Callable[[Case], Occurrences]

    def __call__(self, case: Case) -> _Affected:
        """Return those of a case."""
        found, traces = case.result(self.detect), case.traces
        group, keys = pairs_of(case, found.caller, found.callee, found.detail)
        several = max(len(traces), 1)
        trace = traces.forest.trace[found.caller].astype(np.int64)
        cell, pair = dense_codes(group * several + trace, len(keys) * several)
        cost = sum_by(cell, found.cost_ns.astype(np.float64), len(pair))
        return _Affected(keys, group, pair // several, pair % several, cost)


@dataclass(frozen=True)
class _SumsOf:
    """Returns the sums of the occurrences in a part."""

    detect: Callable[[Case], Occurrences]

    def __call__(self, case: Case) -> OccurrenceSums:
        """Return those of a case."""
        found, traces, by = case.result(self.detect), case.traces, case.result(_Grouped(self.detect))
        weight, groups = traces.weights.value, len(by.keys)
        latency = case.result(_weighted_latency)
        cells = by.cells(weight)
        sums = {
            "occurrence_count": np.bincount(by.group, minlength=groups),
            "trace_count": np.bincount(by.owner, minlength=groups),
            "weight": sum_by(by.owner, cells.size, groups),
            "cost": sum_by(by.owner, cells.value, groups),
            "latency": sum_by(by.owner, latency[by.trace], groups),
        }
        spans, trace = traces.columns.spans, traces.forest.trace[found.caller]
        ids = (spans.trace_hi[found.caller], spans.trace_lo[found.caller])
        place = found.caller - traces.forest.starts[trace]
        costliest = _Costliest(found.cost_ns.astype(np.float64), *ids, place, spans.span_id[found.callee])
        return OccurrenceSums(
            labels_of(by.keys),
            sums,
            _largest(by.group, found.size, groups),
            CountedValues.of(by.group, found.size, groups),
            costliest.by(by.group),
            len(traces),
            float(latency.sum()),
            float(cells.weight.max(initial=0.0)),
        )


def _weighted_latency(case: Case) -> Array:
    """Return the weighted latency of every trace, 0 without a critical path."""
    path, traces = case.result(paths), case.traces
    latency = sum_by(path.tree.trace[path.tree.root], path.latency_ns.astype(np.float64), len(traces))
    return np.asarray(latency * traces.weights.value)


def _largest(group: Array, value: Array, groups: int) -> Array:
    """Return the largest value of each group."""
    found = np.zeros(groups, value.dtype)
    np.maximum.at(found, group, value)
    return found


def _add_sums(first: OccurrenceSums, second: OccurrenceSums) -> OccurrenceSums:
    """Return the sums of two parts."""
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
        first.trace_count + second.trace_count,
        first.latency + second.latency,
        max(first.largest, second.largest),
    )


def _limited(sums: OccurrenceSums) -> OccurrenceSums:
    """Return the sums of a part with a limited number of sizes."""
    return replace(sums, sizes=sums.sizes.limited())


def sums_of(
    detect: Callable[[Case], Occurrences], needs: tuple[Callable[[Case], object], ...]
) -> Merged[OccurrenceSums]:
    """Return how the occurrences of all traces are added up; ``needs``: what ``detect`` asks of all traces."""
    return Merged(_SumsOf(detect), _add_sums, needs=(clock_offsets, *needs), limit=_limited)


def table_of(sums: OccurrenceSums) -> pd.DataFrame:
    """Return one row per caller and callee, the highest cost first.

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
        trace_ratio=sums.sums["trace_count"] / max(sums.trace_count, 1),
        size_p50=sums.sizes.medians(),
        size_max=sums.size_max,
        cost_ns=mean_of(sums.sums["weight"], total),
        cost_low_ns=np.nan,
        cost_high_ns=np.nan,
        affected_ratio=_share(total, sums.sums["latency"]),
        cost_ratio=_share(total, np.full(len(sums), sums.latency)),
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
        by = case.result(_Grouped(self.detect))
        own = labels_of(by.keys)
        wanted = {name: np.array(each, object) for name, each in zip(own, zip(*self.keys, strict=True), strict=True)}
        place = positions(wanted, own, list(own))[by.owner]
        cells = by.cells(case.traces.weights.value)
        chosen = Cells(*(each[place >= 0] for each in (place, *cells[1:])))
        owner, code, sums = chosen.powers(np.array(self.mean), np.array(self.size), self.largest)
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
    detect: Callable[[Case], Occurrences],
    needs: tuple[Callable[[Case], object], ...],
) -> pd.DataFrame:
    """Return some rows of ``table_of`` with the 95% CI of their costs: another pass, around the means of all parts."""
    if table.empty:
        return table
    sums = case.result(sums_of(detect, needs))
    names = list(sums.keys)
    at = positions(sums.keys, {name: table[name].to_numpy(object) for name in names}, names)
    size, mean = sums.sums["weight"][at], table["cost_ns"].to_numpy(np.float64)
    keys = tuple(table[names].itertuples(index=False, name=None))
    partial = _PowersOf(detect, keys, tuple(mean.tolist()), tuple(size.tolist()), sums.largest)
    merged: Merged[Aggregate] = Merged(partial, added, needs=(clock_offsets, *needs))
    found = case.result(merged)
    owner, code = (found.keys[name].astype(np.int64) for name in ("group", _CLASS))
    low, high = mean_limits(mean, moments_of(found.sums, owner, code != NO_CLASS, mean, size))
    return table.assign(cost_low_ns=low, cost_high_ns=high)


def pairs_of(case: Case, caller: Array, callee: Array, detail: Codes | None = None) -> tuple[Array, pd.DataFrame]:
    """Return the number of the caller and callee of each pair of rows, and their names."""
    service, operation = case.traces.codes("service_name"), case.traces.codes("operation")
    codes = (service, operation, service, operation, case.result(called))
    rows = (caller, caller, callee, callee, callee)
    columns = {name: _filled(one.take(row)) for name, one, row in zip(KEYS, codes, rows, strict=True)}
    return group_rows(columns | ({} if detail is None else {"detail": detail}), len(caller))


def _filled(codes: Codes) -> Codes:
    """Return the codes with an empty text where they are missing."""
    return Codes(np.where(codes.codes < 0, len(codes.labels), codes.codes), [*codes.labels, ""])


def _share(part: Array, whole: Array) -> Array:
    """Return a part of a whole, 0 where the whole is none."""
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))
