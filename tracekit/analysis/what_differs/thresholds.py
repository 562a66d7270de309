"""Numeric attributes: whether their distribution differs, and the threshold that separates best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from tracekit.stats.aggregates import steady
from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.what_differs.membership import Numbers
    from tracekit.columns import Array

MOST: Final = 50_000  # different numbers of a key that are told apart; of more, four digits
_FEWEST: Final = 20  # traces a side
_SAMPLE: Final = 4_096  # traces that say whether numbers follow time
_DIGITS: Final = 4
_IN_ORDER: Final = 0.99  # rank correlation with time of what is not a quantity


class Threshold(NamedTuple):
    """The best threshold of one numeric attribute.

    Parameters
    ----------
    key
        Attribute key.
    operator
        ``>`` where the selected traces have the larger numbers, else ``<=``.
    threshold
        A recorded number.
    selection_ratio, baseline_ratio
        Share of the traces with the attribute that are on this side of the threshold.
    low, high
        Limits of the difference, for any threshold: they allow for the choice of the best one.
    p_value
        Of equal distributions (Kolmogorov and Smirnov), at the effective numbers of traces.
    counts
        Recorded traces with the attribute on each side.
    """

    key: str
    operator: str
    threshold: float
    selection_ratio: float
    baseline_ratio: float
    low: float
    high: float
    p_value: float
    counts: tuple[int, int]


class Distribution(NamedTuple):
    """The different numbers of the traces of one side: how many traces have each, their weight, and its square."""

    value: Array
    number: Array
    weight: Array
    square: Array
    is_rounded: bool = False

    @classmethod
    def of(cls, value: Array, weight: Array) -> Distribution:
        """Return the numbers of some traces, those of a weight above 0."""
        value, weight = value[weight > 0], weight[weight > 0]
        return cls(value, np.ones(len(value), np.int64), weight, weight**2).merged()

    def merged(self) -> Distribution:
        """Return each number once, with four digits if there are very many."""
        distinct, at = np.unique(self.value, return_inverse=True)
        if len(distinct) > MOST and not self.is_rounded:
            return self._replace(value=_rounded(self.value), is_rounded=True).merged()
        weight, square = (sum_by(at, each, len(distinct)) for each in (self.weight, self.square))
        count = np.zeros(len(distinct), np.int64)
        np.add.at(count, at, self.number)
        return Distribution(distinct, count, weight, square, self.is_rounded)

    def with_(self, other: Distribution) -> Distribution:
        """Return the numbers of both."""
        is_rounded = self.is_rounded or other.is_rounded
        columns = [np.concatenate(pair) for pair in zip(self[:4], other[:4], strict=True)]
        if is_rounded:
            columns[0] = _rounded(columns[0])
        return Distribution(columns[0], columns[1], columns[2], columns[3], is_rounded).merged()

    @property
    def n_effective(self) -> float:
        """Kish's effective number of traces."""
        square = float(self.square.sum())
        return float(self.weight.sum()) ** 2 / square if square > 0 else 0.0

    def share_above(self, grid: Array) -> Array:
        """Return the weighted share of traces with a number above each of some."""
        reached = np.concatenate(([0.0], np.cumsum(self.weight)))
        return np.asarray(1 - reached[np.searchsorted(self.value, grid, "right")] / reached[-1])


class Times(NamedTuple):
    """Numbers and starts of the traces with the smallest marks: a random sample that does not depend on the parts."""

    mark: Array
    value: Array
    start_ns: Array

    @classmethod
    def of(cls, mark: Array, value: Array, start_ns: Array) -> Times:
        """Return the sample of some traces, each with a mark that is as good as random."""
        if len(mark) > _SAMPLE:
            chosen = np.argpartition(mark, _SAMPLE)[:_SAMPLE]
            mark, value, start_ns = mark[chosen], value[chosen], start_ns[chosen]
        order = np.argsort(mark, kind="stable")
        return cls(mark[order], value[order], start_ns[order])

    def with_(self, other: Times) -> Times:
        """Return the sample of both."""
        return Times.of(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    @property
    def follow_time(self) -> bool:
        """Whether numbers rise or fall with time, as counters, sequence numbers and timestamps do."""
        if len(self.value) < _FEWEST:
            return False
        ranks = [pd.Series(values).rank().to_numpy() for values in (self.value, self.start_ns)]
        if any(each.min() == each.max() for each in ranks):
            return False
        return bool(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) > _IN_ORDER)


class NumberTally(NamedTuple):
    """The numbers of one key: on both sides, of how many traces, and over time."""

    sides: tuple[Distribution, ...]
    trace_count: int
    times: Times

    def with_(self, other: NumberTally) -> NumberTally:
        """Return the numbers of both."""
        sides = tuple(mine.with_(theirs) for mine, theirs in zip(self.sides, other.sides, strict=True))
        return NumberTally(sides, self.trace_count + other.trace_count, self.times.with_(other.times))


def tallied(numbers: Numbers, masks: Sequence[Array], weights: Array, start_ns: Array, marks: Array) -> NumberTally:
    """Return the numbers of one key of a set, of the traces of each mask."""
    value, trace = numbers.value, numbers.trace
    sides = tuple(Distribution.of(value[mask[trace]], weights[trace[mask[trace]]]) for mask in masks)
    return NumberTally(sides, len(trace), Times.of(marks[trace], value, start_ns[trace]))


def threshold(key: str, selection: Distribution, baseline: Distribution, *, confidence: float) -> Threshold | None:
    """Return the threshold with the largest difference of shares; None with too few traces on a side."""
    if selection.is_rounded != baseline.is_rounded:
        none = selection._replace(
            **{name: getattr(selection, name)[:0] for name in ("value", "number", "weight", "square")}
        )
        empty = none._replace(is_rounded=True)
        selection, baseline = selection.with_(empty), baseline.with_(empty)
    counts = int(selection.number.sum()), int(baseline.number.sum())
    if min(counts) < _FEWEST:
        return None
    grid = np.unique(np.concatenate([selection.value, baseline.value]))
    above = [side.share_above(grid) for side in (selection, baseline)]
    difference = above[0] - above[1]
    at = int(steady(np.abs(difference)).argmax())
    n = selection.n_effective, baseline.n_effective
    scale = np.sqrt(n[0] * n[1] / (n[0] + n[1]))
    largest = float(abs(difference[at]))
    half = float(special.kolmogi(1 - confidence)) / scale
    is_more = difference[at] > 0
    ratios = [float(share[at] if is_more else 1 - share[at]) for share in above]
    return Threshold(
        key,
        ">" if is_more else "<=",
        float(grid[at]),
        ratios[0],
        ratios[1],
        max(largest - half, -1.0),
        min(largest + half, 1.0),
        float(special.kolmogorov(scale * largest)),
        counts,
    )


def _rounded(value: Array) -> Array:
    """Return numbers with four digits."""
    size = np.abs(value)
    exponent = np.floor(np.log10(size, out=np.zeros(len(size)), where=size > 0))
    factor = 10.0 ** (exponent - _DIGITS + 1)
    return np.asarray(np.round(value / factor) * factor)
