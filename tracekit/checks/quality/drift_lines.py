"""All lines through many intervals, and the one step between two levels: numbers in, numbers out."""

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
    """Slopes ``low`` to ``high`` that calls allow, and the share of the calls that one line satisfies."""

    low: float
    high: float
    ratio: float


class Step(NamedTuple):
    """A jump: when, limits of its size in ns, and the share that agrees with a level before and one after."""

    at: float
    low: int
    high: int
    ratio: float


def _one(low: Array, high: Array, tolerance: float) -> Agreement:
    """Return what the intervals of one group agree on."""
    return agree(np.zeros(len(low), np.int64), low, high, async_ratio=tolerance)


def drift(seconds: Array, low: Array, high: Array) -> Drift:
    """Return the slopes of all lines that lie within the intervals.

    A robust slope (Theil and Sen, of the middles) takes the drift out; the offset on which most calls then agree tells
    which calls belong together; of these, two linear programs give the least and the largest slope.
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
    most = _one(level_low, level_high, 0.0)
    point = int(most.low[0])
    kept = (level_low <= point) & (level_high >= point)
    limits = _slopes(seconds[kept], level_low[kept] - point, level_high[kept] - point)
    return Drift(slope + limits[0], slope + limits[1], float(most.ratio[0]))


def _slopes(t: Array, low: Array, high: Array) -> tuple[float, float]:
    """Return the least and the largest slope of a line within all intervals; the line 0 is one."""
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
    """Return the one moment that parts the intervals into two levels best.

    The moment is where the middles' means differ most (largest CUSUM); sizes are what the levels before and after
    allow.
    """
    rank = np.argsort(np.argsort((low + high) / 2, kind="stable"), kind="stable").astype(np.float64)
    n = len(rank)
    before = np.arange(1, n)
    gap = np.abs(np.cumsum(rank - rank.mean())[:-1]) / np.sqrt(before * (n - before))
    usable = (before >= _FEWEST_A_SIDE) & (n - before >= _FEWEST_A_SIDE)
    if not usable.any():
        return Step(float(seconds[0]), 0, 0, 0.0)
    cut = int(before[usable][gap[usable].argmax()])
    first, second = _one(low[:cut], high[:cut], tolerance), _one(low[cut:], high[cut:], tolerance)
    size = int(second.low[0] - first.high[0]), int(second.high[0] - first.low[0])
    return Step(float(seconds[cut]), *size, float(min(first.ratio[0], second.ratio[0])))
