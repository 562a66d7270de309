"""Onset, peak and recovery of changes of the request rate, the error rate, the latency and the time of each service."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.stored import of_each_part
from tracekit.analysis.critical_path.tables import compact, only_traces, tabulated, union
from tracekit.analysis.request_outcomes import is_kept, kept_outcomes
from tracekit.stats.change_points import (
    Episode,
    block_count,
    chance_of_events,
    episode_scan,
    inflation,
    searched_parts,
    step_limits,
)
from tracekit.stats.grouping import sum_by
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import holm
from tracekit.text import duration, number, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.analysis.critical_path.tables import PathTable
    from tracekit.analysis.request_outcomes import KeptOutcomes, Outcomes
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.stats.change_points import Noise
    from tracekit.traces import TraceSet

ONSET, PEAK, RECOVERY = "onset", "peak", "recovery"
RATE, ERRORS, LATENCY, PATH_TIME = "request_rate", "error_rate", "latency", "critical_path_time"
NAMES: Final = {
    RATE: "request rate",
    ERRORS: "error rate",
    LATENCY: "latency",
    PATH_TIME: "critical-path time",
}
FORMS: Final[dict[str, Callable[[float | None], str]]] = {
    RATE: lambda value: f"{number(value)} requests/s",
    ERRORS: ratio,
    LATENCY: duration,
    PATH_TIME: duration,
}
COLUMNS: Final = {
    "metric": "object",
    "service_name": "object",
    "kind": "object",
    "time_ns": "int64",
    "low_ns": "int64",
    "high_ns": "int64",
    "before_value": "float64",
    "after_value": "float64",
    "p_value": "float64",
}
_TESTED: Final = {
    "metric": "object",
    "service_name": "object",
    "request_count": "int64",
    "status": "object",
    "p_value": "float64",
}
_USUAL = 0.9  # quantile of times up to which they count nearly in full
_LEVEL = 0.05  # of a recording without a change, for all series together
_LEAST_SHARE = 0.01  # of all critical-path time that a service needs
_PER_EVENT = 20  # observations that an error counts for when series are cut into blocks
_LEAST_EFFECT: Final = {RATE: 0.25, ERRORS: 0.0, LATENCY: 0.1, PATH_TIME: 0.1}  # ratio to the mean of the rest
_LEAST_POINTS = 0.01  # change of an error rate
_NOISE: Final[dict[str, Noise]] = {RATE: "poisson", ERRORS: "binomial", LATENCY: "normal", PATH_TIME: "normal"}


class Series(NamedTuple):
    """One metric of requests in the order of time.

    Position k of a step is the request at ``time_ns[k]``, the first one after it.  ``sums`` over ``sizes`` is tested:
    weighted scores over weights, or weights over the time to the next request for the request rate; ``totals`` over
    ``sizes`` is reported.  ``informative`` is the number of observations that decides how many blocks there are.
    """

    metric: str
    service_name: str | None
    time_ns: Array
    sums: Array
    sizes: Array
    totals: Array
    informative: float

    def mean(self, first: int, last: int) -> float:
        """Return the reported mean of the requests [first, last)."""
        size = float(self.sizes[first:last].sum())
        return float(self.totals[first:last].sum()) / size if size > 0 else float("nan")


class Blocks(NamedTuple):
    """A series in blocks of equal numbers of requests, or of equal duration for the request rate."""

    edges: Array
    sums: Array
    sizes: Array

    @property
    def means(self) -> Array:
        """Mean of each block."""
        return np.asarray(self.sums / self.sizes)


class Scanned(NamedTuple):
    """A series with its most unusual part; without blocks where it has too few requests."""

    series: Series
    blocks: Blocks | None
    episode: Episode


class Found(NamedTuple):
    """The rows of all changes, one row per series that says whether it changed, and what they were estimated from."""

    changes: pd.DataFrame
    tested: pd.DataFrame
    sampled: tuple[str, ...]


def change_points(traces: TraceSet | Parts, *, confidence: float = 0.95, on: On = None) -> Found:
    """Return onset, peak and recovery of each metric that changed, and the status of every metric.

    Of more than 131,072 traces, those that a hash of the id selects are examined.  Of a store, this reads the parts
    three times: outcomes, clock skew, and critical paths by service.
    """
    kept = kept_outcomes(traces, on)
    series = _series(kept, traces, on)
    tested = [_tested(one) for one in series]
    p_value = holm(np.array([one.episode.p for one in tested]))
    rows, status = [], []
    for one, p in zip(tested, p_value, strict=True):
        found = _rows(one, float(p), confidence) if p <= _LEVEL else []
        rows += found
        status.append("changed" if found else _unchanged(one, float(p)))
    changes = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    each = [
        (s.metric, s.service_name, len(s.time_ns), word, p) for s, word, p in zip(series, status, p_value, strict=True)
    ]
    return Found(
        changes.sort_values("time_ns", kind="stable", ignore_index=True),
        pd.DataFrame(each, columns=list(_TESTED)).astype(_TESTED),
        kept.sampled,
    )


def _unchanged(one: Scanned, p: float) -> str:
    """Return why no change is reported."""
    if one.blocks is None:
        return "not estimable: too few requests"
    return "no significant change" if p > _LEVEL else "change below the minimum effect"


# ---------------------------------------------------------------- the series


def _series(kept: KeptOutcomes, traces: TraceSet | Parts, on: On) -> list[Series]:
    """Return all series of a recording; traces without a start or outside the probability sample are left out."""
    requests = kept.outcomes
    known = np.flatnonzero(requests.is_dated & (requests.weight > 0))
    known = known[np.argsort(requests.start_ns[known], kind="stable")]
    seen = requests.take(known)
    start, weight, ended, timed = seen.start_ns, seen.weight, seen.is_ended, seen.is_timed
    whole = [
        _rate(start, weight, 2.0**kept.level),
        _errors(start[ended], seen.is_failed[ended].astype(float), weight[ended]),
        _times(LATENCY, None, start[timed], seen.duration_ns[timed].astype(float), weight[timed]),
    ]
    if not len(known):
        return whole
    tables = of_each_part(critical_path(traces, on=on), partial(_by_service, level=kept.level))
    return [*whole, *_services(union(tables), requests, known)]


def _by_service(path: CriticalPath, level: int) -> PathTable:
    """Return the critical-path time by service of the traces that a level keeps."""
    table = tabulated(path, "service_name")
    return compact(only_traces(table, is_kept(table.requests.trace_hi, table.requests.trace_lo, level)))


def _rate(start: Array, weight: Array, times: float) -> Series:
    """Return the request rate: each request with the time to the next one, for so many requests."""
    gap = np.diff(start).astype(float)
    return Series(RATE, None, start, weight[:-1], gap, times * weight[:-1] * 1e9, len(start))


def _errors(start: Array, failed: Array, weight: Array) -> Series:
    """Return the error rate of finished requests."""
    rare = min(float(failed.sum()), float((1 - failed).sum()))
    weight = weight / weight.mean() if len(weight) else weight
    return Series(ERRORS, None, start, failed * weight, weight, failed * weight, min(len(start), _PER_EVENT * rare))


def _times(metric: str, service_name: str | None, start: Array, took: Array, weight: Array) -> Series:
    """Return times of requests, scored as logarithms above their p90, so that few very slow requests count little."""
    some = took > 0
    score = np.log1p(took / np.quantile(took[some], _USUAL)) if some.any() else took
    weight = weight / weight.mean() if len(weight) else weight
    return Series(metric, service_name, start, score * weight, weight, took * weight, float(some.sum()))


def _services(paths: PathTable, requests: Outcomes, known: Array) -> list[Series]:
    """Return the critical-path time per request of each service that has at least a hundredth of the total."""
    trace, cells = paths.requests.trace, paths.cells
    place = np.full(len(requests.start_ns), -1, np.int64)
    place[known] = np.arange(len(known))
    order = np.flatnonzero(place[trace] >= 0)
    order = order[np.argsort(place[trace[order]], kind="stable")]
    start = requests.start_ns[trace[order]]
    weight = np.where(place[trace] >= 0, paths.requests.weight, 0.0)
    totals = sum_by(cells.group, cells.time_ns * weight[cells.request], len(cells.keys))
    out = []
    for group in np.flatnonzero((totals >= _LEAST_SHARE * totals.sum()) & (totals > 0)):
        mine = slice(*np.searchsorted(cells.group, (group, group + 1)))
        took = np.zeros(len(trace))
        took[cells.request[mine]] = cells.time_ns[mine]
        name = cells.keys.columns["service_name"][group]
        if isinstance(name, str):
            out.append(_times(PATH_TIME, name, start, took[order], weight[order]))
    return sorted(out, key=lambda one: str(one.service_name))


# ---------------------------------------------------------------- the test


def _tested(series: Series) -> Scanned:
    """Return the most unusual part of a series and its p-value."""
    count = block_count(series.informative)
    if not count or series.time_ns[-1] - series.time_ns[0] < count:
        return Scanned(series, None, Episode(0, 0, float("nan")))
    blocks = _blocks(series, count)
    episode = episode_scan(blocks.means)
    if _NOISE[series.metric] == "binomial" and episode.p < 1:
        episode = episode._replace(p=max(episode.p, _by_chance(series, blocks, episode)))
    return Scanned(series, blocks, episode)


def _blocks(series: Series, count: int) -> Blocks:
    """Return a series in so many blocks."""
    if series.metric != RATE:
        edges = np.linspace(0, len(series.sums), count + 1).astype(np.int64)
        return Blocks(edges, *(np.add.reduceat(each, edges[:-1]) for each in (series.sums, series.sizes)))
    first, last = int(series.time_ns[0]), int(series.time_ns[-1])
    times = first + np.linspace(0, last - first, count + 1).astype(np.int64)
    edges = np.searchsorted(series.time_ns[:-1], times, "left")
    return Blocks(edges, np.diff(np.concatenate([[0.0], np.cumsum(series.sums)])[edges]), np.diff(times).astype(float))


def _by_chance(series: Series, blocks: Blocks, episode: Episode) -> float:
    """Return the p-value of the part if all requests failed independently with the same probability."""
    part = slice(episode.start, episode.end)
    design = float((series.sizes**2).mean()) / float(series.sizes.mean()) ** 2
    inside, whole = ([each.sum() / design for each in (b.sums, b.sizes)] for b in (_cut(blocks, part), blocks))
    outside = whole[0] - inside[0], whole[1] - inside[1]
    return chance_of_events((inside[0], inside[1]), outside, searched_parts(len(blocks.sums)))


def _cut(blocks: Blocks, part: slice) -> Blocks:
    """Return some of the blocks."""
    return Blocks(blocks.edges[part], blocks.sums[part], blocks.sizes[part])


# ---------------------------------------------------------------- the rows of a change


def _rows(one: Scanned, p: float, confidence: float) -> list[tuple[object, ...]]:
    """Return onset, peak and recovery; nothing where the change is below the minimum effect."""
    series, blocks, (start, end, _) = one
    if blocks is None:
        return []
    variance = _variance(series, blocks, start, end)
    middle, count = (start + end) // 2, len(blocks.sums)
    regions = [(0, middle if end < count else count), *([(middle, count)] if end < count else [])]
    steps = []
    for first, last in regions:
        low, high = int(blocks.edges[first]), int(blocks.edges[last])
        cut = slice(low, high)
        noise = _NOISE[series.metric]
        found = step_limits(series.sums[cut], series.sizes[cut], noise, variance=variance, confidence=confidence)
        steps.append([low + at for at in found])
    n = len(series.sums)
    onset, recovery = steps[0][0], steps[1][0] if len(steps) > 1 else n
    before, during, after = (series.mean(*part) for part in ((0, onset), (onset, recovery), (recovery, n)))
    if not _matters(series, onset, recovery):
        return []
    peak = _peak(series, onset, recovery, max(1, round((recovery - onset) * count / n)), before, confidence)
    name = (series.metric, series.service_name)
    rows: list[tuple[object, ...]] = [
        (*name, ONSET, *_moments(series, steps[0]), before, during, p),
        (*name, PEAK, *peak[:3], before, peak[3], p),
    ]
    return [*rows, (*name, RECOVERY, *_moments(series, steps[1]), during, after, p)] if len(steps) > 1 else rows


def _moments(series: Series, step: list[int]) -> tuple[int, int, int]:
    """Return the time of a step, and the times between which it is."""
    best, low, high = step
    last = len(series.time_ns) - 1
    return tuple(int(series.time_ns[at]) for at in (min(best, last), max(low - 1, 0), min(high, last)))  # type: ignore[return-value]


def _variance(series: Series, blocks: Blocks, start: int, end: int) -> float:
    """Return the long-run variance of one observation, in units of the model of the noise."""
    part = np.searchsorted([start, end], np.arange(len(blocks.sums)), "right")
    sums, sizes = (np.bincount(part, each)[part] for each in (blocks.sums, blocks.sizes))
    noise = _NOISE[series.metric]
    if noise == "poisson":
        return inflation(blocks.means, (sums + 0.5) / sizes / blocks.sizes, start, end)
    if noise == "binomial":
        share = (sums + 0.5) / (sizes + 1)
        return inflation(blocks.means, share * (1 - share) / blocks.sizes, start, end)
    place = np.repeat(np.arange(len(blocks.sums)), np.diff(blocks.edges))
    score = series.sums / series.sizes
    own = float((series.sizes * (score - (sums / sizes)[place]) ** 2).sum() / series.sizes.sum())
    return own * inflation(blocks.means, np.maximum(own, 1e-300) / blocks.sizes, start, end)


def _matters(series: Series, onset: int, recovery: int) -> bool:
    """Return whether a change is at least the minimum effect, and of the reported mean in the direction tested."""
    n = len(series.sums)
    inside = np.zeros(n, bool)
    inside[onset:recovery] = True
    mean, score = (
        [float(each[part].sum() / series.sizes[part].sum()) for part in (inside, ~inside)]
        for each in (series.totals, series.sums)
    )
    change = mean[0] - mean[1]
    if change * (score[0] - score[1]) <= 0:
        return False
    least = _LEAST_POINTS if series.metric == ERRORS else _LEAST_EFFECT[series.metric] * abs(mean[1])
    return abs(change) >= least


def _peak(
    series: Series, onset: int, recovery: int, count: int, before: float, confidence: float
) -> tuple[int, int, int, float]:
    """Return the middle of the block with the largest deviation, the period of blocks like it, and its mean."""
    edges = np.linspace(onset, recovery, count + 1).astype(np.int64)
    means = np.array([series.mean(a, b) for a, b in itertools.pairwise(edges)])
    away = np.abs(means - before)
    best = int(away.argmax())
    noise = float(np.sqrt((np.diff(means) ** 2).mean() / 2)) if count > 1 else 0.0
    reach = np.sqrt(2) * noise * normal_quantile(1 - (1 - confidence) / count)
    like = np.flatnonzero(away >= away[best] - reach)
    times = np.append(series.time_ns, series.time_ns[-1])
    low, high = int(times[edges[like[0]]]), int(times[edges[like[-1] + 1]])
    middle = (int(times[edges[best]]) + int(times[edges[best + 1]])) // 2
    return middle, low, high, float(means[best])
