"""Fits of a drift (all lines through many intervals) and of a step between two levels to clock offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import optimize

from tracekit.analysis.clock_skew.intervals import Agreement, agree

if TYPE_CHECKING:
    from tracekit.columns import Array

_SAMPLE = 400
_FEWEST_A_SIDE = 10


class Drift(NamedTuple):
    """Limits of the slope (ns/s) that the calls allow, and the share of the calls that one line satisfies."""

    low: float
    high: float
    ratio: float


class Step(NamedTuple):
    """A step: its time (s), limits of its size (ns), and the share of calls consistent with the levels around it."""

    at: float
    low: int
    high: int
    ratio: float


def _agreement(low: Array, high: Array, tolerance: float) -> Agreement:
    """Return the agreement of the intervals of one group."""
    return agree(np.zeros(len(low), np.int64), low, high, async_ratio=tolerance)


def drift(seconds: Array, low: Array, high: Array) -> Drift:
    """Return the slopes of all lines that lie within the intervals.

    A robust slope (Theil and Sen, of the midpoints) removes the drift; the offset most calls then agree on selects the
    consistent calls; two linear programs over these yield the least and the largest slope.
    """
    middle = (low.astype(np.float64) + high) / 2
    some = np.linspace(0, len(middle) - 1, min(_SAMPLE, len(middle))).astype(np.int64)
    i, j = np.triu_indices(len(some), 1)
    apart = seconds[some[j]] - seconds[some[i]]
    usable = np.abs(apart) > 0
    slope = float(np.median((middle[some[j]] - middle[some[i]])[usable] / apart[usable])) if usable.any() else 0.0
    level_low, level_high = (
        np.floor(low - slope * seconds).astype(np.int64),
        np.ceil(high - slope * seconds).astype(np.int64),
    )
    most = _agreement(level_low, level_high, 0.0)
    point = int(most.low[0])
    kept = (level_low <= point) & (level_high >= point)
    limits = _slopes(seconds[kept], level_low[kept] - point, level_high[kept] - point)
    return Drift(slope + limits[0], slope + limits[1], float(most.ratio[0]))


def _slopes(t: Array, low: Array, high: Array) -> tuple[float, float]:
    """Return the least and the largest slope of a line within all intervals; the line 0 is feasible."""
    centre, scale = float(t.mean()), max(float(np.ptp(t)), 1e-9)
    unit = max(float(np.abs(np.concatenate((low, high))).max()), 1.0)
    x = (t - centre) / scale
    rows = np.concatenate((np.column_stack((np.ones(len(x)), x)), -np.column_stack((np.ones(len(x)), x))))
    limits = np.concatenate((high, -low)) / unit
    found = []
    for sign in (1, -1):
        solved = optimize.linprog([0, sign], A_ub=rows, b_ub=limits, bounds=[(None, None)] * 2, method="highs")
        found.append(sign * solved.fun * unit / scale if solved.status == 0 else -sign * np.inf)
    return found[0], found[1]


def step(seconds: Array, low: Array, high: Array, *, tolerance: float) -> Step:
    """Return the moment that separates the intervals best into two levels (the largest CUSUM of the midpoints)."""
    rank = np.argsort(np.argsort((low + high) / 2, kind="stable"), kind="stable").astype(np.float64)
    n = len(rank)
    before = np.arange(1, n)
    gap = np.abs(np.cumsum(rank - rank.mean())[:-1]) / np.sqrt(before * (n - before))
    usable = (before >= _FEWEST_A_SIDE) & (n - before >= _FEWEST_A_SIDE)
    if not usable.any():
        return Step(float(seconds[0]), 0, 0, 0.0)
    cut = int(before[usable][gap[usable].argmax()])
    first, second = (_agreement(low[part], high[part], tolerance) for part in (slice(cut), slice(cut, None)))
    size = int(second.low[0] - first.high[0]), int(second.high[0] - first.low[0])
    return Step(float(seconds[cut]), *size, float(min(first.ratio[0], second.ratio[0])))
