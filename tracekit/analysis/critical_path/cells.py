"""Critical-path time of every group and request, and means over all requests or a latency band."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.critical_path.keys import codes_of
from tracekit.frames import hexes
from tracekit.on_demand import pd
from tracekit.stats.grouping import dense_codes, group_codes, sum_by
from tracekit.stats.influences import Denominator, influence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.stats.influences import Influence, Moments

_DENSE = 4


@dataclass(frozen=True)
class Labels:
    """Labels of groups.

    Parameters
    ----------
    columns
        Labels by key: object, one per group, None where missing.
    count
        Number of groups.
    """

    columns: dict[str, Array]
    count: int

    def __len__(self) -> int:
        return self.count

    def frame(self) -> pd.DataFrame:
        """Return one row per group."""
        return pd.DataFrame(self.columns, index=pd.RangeIndex(self.count), dtype=object)

    def take(self, groups: Array) -> Labels:
        """Return the labels of some groups."""
        return Labels({name: labels[groups] for name, labels in self.columns.items()}, len(groups))

    def largest_first(self, value: Array) -> Array:
        """Return the groups by a value, missing ones first, then the largest; equal ones by their labels."""
        ranks = [_ranks(labels) for labels in reversed(self.columns.values())]
        descending = np.where(np.isnan(value), -np.inf, -value) if value.dtype.kind == "f" else -value
        return np.lexsort([*ranks, descending])


def _ranks(labels: Array) -> Array:
    """Return numbers in the order of labels, 0 for missing ones."""
    known = np.array([label is not None for label in labels.tolist()], bool)
    found = np.zeros(len(labels), np.int64)
    found[known] = np.unique(labels[known], return_inverse=True)[1] + 1
    return found


class Cells(NamedTuple):
    """Critical-path time and calls of every (group, request) that occurs, by group, then request.

    Parameters
    ----------
    keys
        Labels of the groups.
    group, request
        int64, one per cell.
    call_count
        int64: spans on the path.
    time_ns
        int64: their self time.
    """

    keys: Labels
    group: Array
    request: Array
    call_count: Array
    time_ns: Array


def cells_of(path: CriticalPath, by: By) -> Cells:
    """Return the critical-path time of every group and request, in integer ns."""
    return cells_by(path, codes_of(path, by))


def cells_by(path: CriticalPath, columns: Mapping[str, Codes]) -> Cells:
    """Return the same for given columns; see ``cells_of``."""
    nodes = np.flatnonzero(path.on_path)
    coded = {key: (codes.codes[nodes], codes.labels) for key, codes in columns.items()}
    group, columns_of_groups = group_codes(coded, len(nodes))
    labels = Labels(columns_of_groups, int(group.max(initial=-1)) + 1)
    count = len(path.tree.root)
    pair = group.astype(np.int64) * count + path.request[nodes]
    if len(labels) * count <= _DENSE * len(nodes):
        calls, total = np.bincount(pair, minlength=len(labels) * count), np.zeros(len(labels) * count, np.int64)
        np.add.at(total, pair, path.own_ns[nodes])
        distinct = np.flatnonzero(calls)
        calls, total = calls[distinct], total[distinct]
    else:
        at, distinct = dense_codes(pair, len(labels) * count)
        calls, total = np.bincount(at, minlength=len(distinct)), np.zeros(len(distinct), np.int64)
        np.add.at(total, at, path.own_ns[nodes])
    return Cells(labels, distinct // max(count, 1), distinct % max(count, 1), calls, total)


class Requests(NamedTuple):
    """What means over requests need to know of them.

    Parameters
    ----------
    latency_ns
        int64, one per request.
    is_partial
        bool, one per request: its trace is incomplete.
    trace
        int64, one per request: its trace.
    trace_weight
        float64, one per trace: its sampling weight.
    trace_hi, trace_lo
        uint64, one per trace: its id.
    """

    latency_ns: Array
    is_partial: Array
    trace: Array
    trace_weight: Array
    trace_hi: Array
    trace_lo: Array

    def __len__(self) -> int:
        return len(self.latency_ns)

    @classmethod
    def of(cls, path: CriticalPath) -> Requests:
        """Return the requests of paths."""
        spans, first = path.source.columns.spans, path.source.forest.starts[:-1]
        trace = np.asarray(path.tree.trace[path.tree.root], np.int64)
        ids = spans.trace_hi[first], spans.trace_lo[first]
        return cls(path.latency_ns, path.is_partial, trace, path.source.weights.value, *ids)

    @property
    def weight(self) -> Array:
        """float64, one per request: the sampling weight of its trace."""
        return np.asarray(self.trace_weight[self.trace])

    def ids(self, request: Array) -> Array:
        """Return the trace ids of some requests as text, None for -1."""
        found, inside = np.full(len(request), None, object), request >= 0
        trace = self.trace[request[inside]]
        found[inside] = hexes(self.trace_hi[trace], self.trace_lo[trace])
        return found


class Edge(NamedTuple):
    """One end of a latency band.

    Parameters
    ----------
    near
        Requests near this end.
    tilt
        float64, one per request: how far the end moves if the request gets more weight.
    """

    near: Array
    tilt: Array


class Population(NamedTuple):
    """The requests that means are computed over.

    Parameters
    ----------
    chosen
        bool, one per request.
    weight
        float64, one per request: 0 for excluded requests, but not for those of other bands.
    share
        Share of the selected requests in the weight of all that are not excluded.
    edges
        Ends of the band: none for all requests.
    facts
        ``low_quantile``, ``high_quantile``, ``is_widened``, ``trace_count``, ``partial_count``, ``low_latency_ns``,
        ``high_latency_ns``, ``mean_latency_ns``.
    """

    chosen: Array
    weight: Array
    share: float
    edges: tuple[Edge, ...]
    facts: dict[str, object]


def population_of(
    requests: Requests, band: tuple[float, float] = (0.0, 1.0), *, min_traces: int = 1, include_partial: bool = True
) -> Population:
    """Return the requests of a latency band."""
    low, high = band
    if not 0 <= low < high <= 1:
        raise ValueError(f"expected quantiles from 0 to 1 with low < high, such as (0.95, 1.0), found ({low}, {high})")
    latency = requests.latency_ns
    known = np.ones(len(latency), bool) if include_partial else ~requests.is_partial
    weight = np.where(known, requests.weight, 0.0)
    order = np.flatnonzero(known)[np.argsort(latency[known], kind="stable")]
    reached = np.concatenate(([0.0], np.cumsum(weight[order])))
    total = reached[-1] if reached[-1] > 0 else np.nan
    middle = (reached[:-1] + reached[1:]) / 2 / total
    first, last = _widened(middle, low, high, min_traces)
    chosen = np.zeros(len(latency), bool)
    chosen[order[first:last]] = True
    edges = tuple(
        _edge(order, weight, at, sign * float(reached[at] / total), sign)
        for at, sign in ((first, 1), (last, -1))
        if 0 < at < len(order)
    )
    facts = _facts(requests, order[first:last], band, middle[first:last])
    return Population(chosen, weight, float((reached[last] - reached[first]) / total), edges, facts)


def _widened(middle: Array, low: float, high: float, min_traces: int) -> tuple[int, int]:
    """Return the range of positions within the quantiles, widened on both sides to the minimum number."""
    count = len(middle)
    first, last = np.searchsorted(middle, (low, high)).tolist()
    last = count if high == 1.0 else last
    lack = min(min_traces, count) - (last - first)
    if lack > 0:
        first = max(0, min(first - (lack + 1) // 2, count - min(min_traces, count)))
        last = first + min(min_traces, count)
    return first, last


def _edge(order: Array, weight: Array, at: int, reached: float, sign: int) -> Edge:
    """Return the band end before a position; ``near`` covers the sampling error of a quantile there."""
    reach = max(int(np.sqrt(len(order))) // 2, 3)
    tilt = np.where(weight > 0, -reached, 0.0)
    tilt[order[:at]] += sign
    return Edge(order[max(at - reach, 0) : at + reach], tilt)


def _facts(requests: Requests, chosen: Array, quantiles: tuple[float, float], middle: Array) -> dict[str, object]:
    """Return the counts, quantiles and latencies of one band."""
    latency, weight = requests.latency_ns[chosen], requests.weight[chosen]
    found = len(latency) > 0
    low, high = (float(middle[0]), float(middle[-1])) if found else (np.nan, np.nan)
    return {
        "low_quantile": min(quantiles[0], low),
        "high_quantile": max(quantiles[1], high),
        "is_widened": bool(found and (low < quantiles[0] or high > quantiles[1])),
        "trace_count": len(latency),
        "partial_count": int(requests.is_partial[chosen].sum()),
        "low_latency_ns": latency.min() if found else pd.NA,
        "high_latency_ns": latency.max() if found else pd.NA,
        "mean_latency_ns": float((weight * latency).sum() / weight.sum()) if weight.sum() > 0 else np.nan,
    }


@dataclass(frozen=True, slots=True)
class Sample:
    """Cells of a population, for means and their intervals.

    Parameters
    ----------
    cells
        Cells of all requests.
    population
        The requests to include.
    denominator
        Denominator of the means, one entry per trace.
    trace
        int64, one per request: its trace.
    behind
        Number of traces that the variance of the mean latency is based on, by weight class
        (``stats.influences.Moments``): an upper bound for every group, because if few traces with large weights
        dominate the mean, others may be missing.

    Notes
    -----
    The ends of a band are quantiles and vary with the sample. The influence of a trace on a mean of a band is that of
    its requests in the band, plus the value of requests near an end times how far the trace moves that end (the
    influence function of a mean between two quantiles). Intervals that assume fixed ends would be far too narrow.
    """

    cells: Cells
    population: Population
    denominator: Denominator
    trace: Array
    behind: float = np.inf

    @classmethod
    def of(cls, requests: Requests, cells: Cells, population: Population) -> Sample:
        """Return the sample of a population."""
        trace, weight, count = requests.trace, population.weight, len(requests.trace_weight)
        size = np.bincount(trace, weight, count) * population.share
        chosen = np.bincount(trace, weight * population.chosen, count)
        sample = cls(cells, population, Denominator.of(size, chosen, requests.trace_weight), trace)
        latency = sample.as_one_group.influence(cells.time_ns).moments()
        return replace(sample, behind=float(latency.behind[0]))

    @property
    def as_one_group(self) -> Sample:
        """Return the same requests with all groups as one: means of whole requests."""
        whole = self.cells._replace(keys=Labels({}, 1), group=np.zeros_like(self.cells.group))
        return replace(self, cells=whole)

    @property
    def request_counts(self) -> Array:
        """int64, one per group: requests of the population that have the group on their path."""
        return np.bincount(self.cells.group[self.population.chosen[self.cells.request]], minlength=len(self.cells.keys))

    def means(self, value: Array) -> Array:
        """Return the weighted mean over the population of values by cell, one per group; NaN without requests."""
        inside, weighted = self._weighted(value)
        total = float(self.population.weight[self.population.chosen].sum())
        return sum_by(self.cells.group[inside], weighted, len(self.cells.keys)) / (total if total > 0 else np.nan)

    def influence(self, value: Array) -> Influence:
        """Return the influence of every trace on the means of values by cell."""
        inside, weighted = self._weighted(value)
        group, request, groups = self.cells.group, self.cells.request, len(self.cells.keys)
        weight, edges = self.population.weight, []
        for near, tilt in self.population.edges:
            close = np.zeros(len(weight), bool)
            close[near] = True
            about = close[request]
            there = sum_by(group[about], weight[request[about]] * value[about], groups)
            moved = np.bincount(self.trace, weight * tilt, len(self.denominator.size))
            edges.append((there / weight[near].sum(), moved))
        trace = self.trace[request[inside]]
        return influence(group[inside], trace, weighted, self.denominator, groups, edges=tuple(edges))

    def moments(self, influence: Influence) -> Moments:
        """Return the moments of influences, with at most the number of traces of the mean latency."""
        found = influence.moments()
        return found._replace(behind=np.minimum(found.behind, self.behind))

    def first(self, distance: Array) -> Array:
        """Return the request of the population with the smallest distance (one per cell), by group; -1 without any."""
        inside = np.flatnonzero(self.population.chosen[self.cells.request])
        group, request, distance = self.cells.group[inside], self.cells.request[inside], distance[inside]
        found = np.full(len(self.cells.keys), -1, np.int64)
        begins = np.flatnonzero(np.diff(group, prepend=-1))
        if len(begins):
            least = np.repeat(np.fmin.reduceat(distance, begins), np.diff(begins, append=len(group)))
            nearest = np.flatnonzero((distance == least) | np.isnan(least))[::-1]
            found[group[nearest]] = request[nearest]  # the last write is the first request
        return found

    def _weighted(self, value: Array) -> tuple[Array, Array]:
        """Return which cells are in the population, and their values times their weights."""
        inside = self.population.chosen[self.cells.request]
        return inside, self.population.weight[self.cells.request[inside]] * value[inside]
