"""Numeric attributes: whether their distribution differs, and the threshold that separates best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy import special

from tracekit.stats.intervals import effective_n

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.membership import Numbers
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.columns import Array

_FEWEST: Final = 20  # traces a side


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


def threshold(
    selection: tuple[Side, Numbers], baseline: tuple[Side, Numbers], *, confidence: float
) -> Threshold | None:
    """Return the threshold with the largest difference of shares; None with too few traces on a side."""
    parts = [_of_side(*each) for each in (selection, baseline)]
    if min(len(values) for values, _ in parts) < _FEWEST:
        return None
    grid = np.unique(np.concatenate([values for values, _ in parts]))
    above = [_share_above(values, weight, grid) for values, weight in parts]
    difference = above[0] - above[1]
    at = int(np.abs(difference).argmax())
    n = [effective_n(weight) for _, weight in parts]
    scale = np.sqrt(n[0] * n[1] / (n[0] + n[1]))
    largest = float(abs(difference[at]))
    half = float(special.kolmogi(1 - confidence)) / scale
    is_more = difference[at] > 0
    ratios = [float(share[at] if is_more else 1 - share[at]) for share in above]
    return Threshold(
        selection[1].key,
        ">" if is_more else "<=",
        float(grid[at]),
        ratios[0],
        ratios[1],
        max(largest - half, -1.0),
        min(largest + half, 1.0),
        float(special.kolmogorov(scale * largest)),
        (len(parts[0][0]), len(parts[1][0])),
    )


def _of_side(side: Side, numbers: Numbers) -> tuple[Array, Array]:
    """Return the numbers of the traces of a side, and their weights."""
    weight = side.traces.weights.value[numbers.trace]
    mine = side.chosen[numbers.trace] & (weight > 0)
    return numbers.value[mine], weight[mine]


def _share_above(values: Array, weight: Array, grid: Array) -> Array:
    """Return the weighted share of values above each number."""
    order = np.argsort(values, kind="stable")
    reached = np.concatenate(([0.0], np.cumsum(weight[order])))
    return np.asarray(1 - reached[np.searchsorted(values[order], grid, "right")] / reached[-1])


def follows_time(numbers: Numbers, start_ns: Array) -> bool:
    """Return whether numbers rise or fall with time, as counters, sequence numbers and timestamps do."""
    if len(numbers.value) < _FEWEST:
        return False
    ranks = [np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (numbers.value, start_ns)]
    return bool(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) > _IN_ORDER)


_IN_ORDER: Final = 0.99  # rank correlation with time of what is not a quantity
