"""What one side of a comparison has, in sums that parts add: two passes, for intervals need the means first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.compare.observations import calls, everything, requests, spans
from tracekit.analysis.latency import class_column
from tracekit.schema import Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.calls_per_cluster import base_powers, cell_powers
from tracekit.stats.grouping import group_codes, positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.ratio_means import Cells, mean_of
from tracekit.weights.comparability import packed_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.analysis.compare.observations import Observations
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet

_LATEST, _EARLIEST = int(np.iinfo(np.int64).max), int(np.iinfo(np.int64).min)
_SHORT: Final = 2  # requests that have a period between them


class LevelSums(NamedTuple):
    """One table of one side.

    Parameters
    ----------
    groups
        By the keys: ``trace_count``, ``weight`` and ``square`` of the traces that have the group, ``calls`` and
        ``calls_square`` (sums over traces), ``size`` and ``value`` of durations (``ratio_means.Cells``).
    outcomes, timed
        By the keys and weight class: sums over traces (``intervals.cluster_sums``) of what has an outcome, and a
        duration; histogram of the latter.
    """

    groups: Aggregate
    outcomes: Aggregate
    timed: Aggregate

    def __add__(self, other: LevelSums) -> LevelSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        return LevelSums(*(_both(*pair) for pair in zip(self, other, strict=True)))


class SideSums(NamedTuple):
    """All tables of one side.

    Parameters
    ----------
    levels
        By name of the table.
    trace_count
        Recorded traces.
    powers
        Sums of the sampling weights to the powers 1, 2 and 4.
    largest
        The largest weight.
    dated_count, first_ns, last_ns
        Requests with a start, and their first and last start; without any, the first is after the last one.
    ids
        Of the traces, 16 bytes each.
    """

    levels: dict[str, LevelSums]
    trace_count: int
    powers: tuple[float, float, float]
    largest: float
    dated_count: int
    first_ns: int
    last_ns: int
    ids: Array

    def __add__(self, other: SideSums) -> SideSums:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        first, second, fourth = (mine + theirs for mine, theirs in zip(self.powers, other.powers, strict=True))
        return SideSums(
            {name: level + other.levels[name] for name, level in self.levels.items()},
            self.trace_count + other.trace_count,
            (first, second, fourth),
            max(self.largest, other.largest),
            self.dated_count + other.dated_count,
            min(self.first_ns, other.first_ns),
            max(self.last_ns, other.last_ns),
            np.concatenate([self.ids, other.ids]),
        )

    @property
    def period_ns(self) -> float:
        """Time that the traces cover: n/(n-1) of the time from the first start to the last; NaN without a period."""
        if self.dated_count < _SHORT or self.last_ns == self.first_ns:
            return float("nan")
        return float(self.last_ns - self.first_ns) * self.dated_count / (self.dated_count - 1)

    @property
    def n_at_lowest_rate(self) -> float:
        """Number of traces if all were sampled at the lowest rate: sum w / max w."""
        return self.powers[0] / self.largest if self.largest > 0 else 0.0


class LevelPowers(NamedTuple):
    """Sums of powers of the influences of traces on the means of one table, by its keys and weight class."""

    frequency: Aggregate
    mean: Aggregate


class SidePowers(NamedTuple):
    """The same of all tables of a side, and what all traces add to them, by weight class."""

    levels: dict[str, LevelPowers]
    base: Aggregate

    def __add__(self, other: SidePowers) -> SidePowers:  # type: ignore[override]  # not that of a tuple
        """Return the sums of the traces of both."""
        levels = {
            name: LevelPowers(*(_both(*pair) for pair in zip(level, other.levels[name], strict=True)))
            for name, level in self.levels.items()
        }
        return SidePowers(levels, _both(self.base, other.base))


def levels_of(by: By) -> dict[str, Callable[[TraceSet], Observations]]:
    """Return what each table observes."""
    return {"group": spans(by), "edge": calls, "endpoint": requests, "request": everything}


def tabulate(traces: TraceSet, by: By) -> SideSums:
    """Return the additive tables of whole traces: the first pass."""
    weights, root = traces.weights.value, traces.forest.root_row
    start = traces.columns.spans.start_ns[root][(traces.columns.spans.quality[root] & Quality.NO_START) == 0]
    return SideSums(
        {name: _level(traces, observe(traces)) for name, observe in levels_of(by).items()},
        len(traces),
        (float(weights.sum()), float((weights**2).sum()), float((weights**4).sum())),
        float(weights.max(initial=0.0)),
        len(start),
        int(start.min(initial=_LATEST)),
        int(start.max(initial=_EARLIEST)),
        packed_ids(traces),
    )


def tabulate_powers(traces: TraceSet, by: By, known: SideSums) -> SidePowers:
    """Return the additive powers of whole traces, given the sums of all parts: the second pass."""
    classes, base = base_powers(traces.weights.value, known.powers[0], known.largest)
    found = {
        name: _powers(traces, observe(traces), known.levels[name].groups, known)
        for name, observe in levels_of(by).items()
    }
    return SidePowers(found, Aggregate({WEIGHT_CLASS: classes.astype(object)}, base, Histogram.empty()))


def means_only(known: SideSums) -> SideSums:
    """Return what the second pass needs of the first."""
    none = Aggregate({}, {"n": np.zeros(0)}, Histogram.empty())
    levels = {name: LevelSums(level.groups, none, none) for name, level in known.levels.items()}
    return known._replace(levels=levels, ids=known.ids[:0])


def _both(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of two tables."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def _level(traces: TraceSet, seen: Observations) -> LevelSums:
    """Return the sums of one table."""
    weights, trace = traces.weights.value, seen.trace
    group, keys = group_codes(dict(seen.keys), len(trace))
    groups = int(group.max(initial=-1)) + 1
    every, (weight, square) = (
        cluster_sums(group, trace, seen.is_error, weights, groups),
        _presence(group, trace, weights, groups),
    )
    size, value, _ = _durations(traces, seen, group, groups).totals(groups)
    sums = {"trace_count": every["cluster_count"], "weight": weight, "square": square, "size": size, "value": value}
    sums |= {"calls": every["trial_sum"], "calls_square": every["trial_square"]}
    timed = np.flatnonzero(traces.has_duration[seen.row])
    return LevelSums(
        Aggregate(keys, sums, Histogram.empty()).by(list(keys)),
        _by_class(traces, seen, np.flatnonzero(seen.has_outcome)),
        _by_class(traces, seen, timed, duration=traces.duration_ns[seen.row[timed]]),
    )


def _durations(traces: TraceSet, seen: Observations, group: Array, groups: int) -> Cells:
    """Return the durations by group and trace."""
    is_timed = traces.has_duration[seen.row]
    value = traces.duration_ns[seen.row[is_timed]].astype(np.float64)
    return Cells.of(group[is_timed], seen.trace[is_timed], value, traces.weights.value, groups)


def _presence(group: Array, trace: Array, weights: Array, groups: int) -> tuple[Array, Array]:
    """Return the weight, and its square, of the traces that have each group."""
    pair = np.unique(group.astype(np.int64) * max(len(weights), 1) + trace)
    owner, weight = pair // max(len(weights), 1), weights[pair % max(len(weights), 1)]
    return sum_by(owner, weight, groups), sum_by(owner, weight**2, groups)


def _by_class(traces: TraceSet, seen: Observations, chosen: Array, duration: Array | None = None) -> Aggregate:
    """Return sums over traces of some observations by the keys and weight class, with their durations."""
    trace, weights = seen.trace[chosen], traces.weights.value
    columns = {name: codes.take(chosen) for name, codes in seen.keys.items()}
    group, keys = group_codes({**columns, **class_column(traces, trace)}, len(chosen))
    sums = cluster_sums(group, trace, seen.is_error[chosen], weights, int(group.max(initial=-1)) + 1)
    cells = Histogram.empty() if duration is None else Histogram.of(group, duration, weights[trace])
    return Aggregate(keys, sums, cells).by(list(keys))


def _powers(traces: TraceSet, seen: Observations, known: Aggregate, side: SideSums) -> LevelPowers:
    """Return the powers of the influences of traces on the means of one table."""
    weights, own = traces.weights.value, group_codes(dict(seen.keys), len(seen.trace))
    group = positions(known.keys, own[1], list(known.keys))[own[0]]
    frequency = known.sums["calls"] / (side.powers[0] or np.nan)
    counted = cell_powers(group, seen.trace, weights, frequency, side.powers[0], side.largest)
    mean = mean_of(known.sums["size"], known.sums["value"])
    timed = _durations(traces, seen, group, len(known)).powers(mean, known.sums["size"], side.largest)
    tables = [
        Aggregate(
            {**{name: labels[owner] for name, labels in known.keys.items()}, WEIGHT_CLASS: code.astype(object)},
            sums,
            Histogram.empty(),
        )
        for owner, code, sums in (counted, timed)
    ]
    return LevelPowers(*tables)
