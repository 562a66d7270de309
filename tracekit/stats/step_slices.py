"""Detection of edges that change over time: slices of time are joined if one edge explains them as well as two."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from tracekit.stats.step_scan import Step, least_inside, step_scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.schema import Array

_FEWEST, _MOST = 100, 40  # numbers in a slice, slices
_CUT = 12.0  # log likelihood that a second edge must bring


class Part(NamedTuple):
    """Positions in time that share an edge, and the edge.

    Examples
    --------
    >>> Part(np.arange(3), Step(9.0, 1e-30, 0.1, 0.09, 0.11, 1.0, 0.0)).step.threshold
    0.1
    """

    at: Array
    step: Step


def step_slices(values: Array, *, confidence: float = 0.95) -> list[Part]:
    """Return the edges of numbers in the order of time: one, or several if it changes.

    Parameters
    ----------
    values
        At least ten, between 0 and 1, in the order of time.
    confidence
        Confidence level of the thresholds.

    Returns
    -------
    list of Part
        The largest first; together they hold every position once.  A part may have come and gone several times.

    Raises
    ------
    ValueError
        Fewer than ten numbers.

    Notes
    -----
    Up to 40 slices of equally many numbers, at least 100.  Neighbours are joined, the most alike first, while
    ``max LLR_1 + max LLR_2 - max (LLR_1 + LLR_2)``, the profile over the edge with the shares that came another way
    free in both, stays below 12; then parts that are not neighbours, so that a rate that comes back is one.  That many
    nats are far beyond chance for one edge (measured: false splits below 1%).  A slice with numbers of two edges goes
    to the wider.  Source: bottom-up segmentation (Keogh 2001) with the likelihood of ``step_scan``.

    Examples
    --------
    A rate of 5% that is raised to 20% for a while:

    >>> rng = np.random.default_rng(1)
    >>> rates = np.repeat([0.05, 0.2, 0.05], [800, 400, 800])
    >>> [(len(part.at), round(part.step.threshold, 2)) for part in step_slices(rng.random(2000) * rates)]
    [(1600, 0.05), (400, 0.2)]
    """
    numbers = np.asarray(values, np.float64)
    count = int(np.clip(len(numbers) // _FEWEST, 1, _MOST))
    parts = [at for at in np.array_split(np.arange(len(numbers)), count) if len(at)]
    parts = _joined(numbers, parts, is_near=True)
    parts = _joined(numbers, parts, is_near=False)
    return [
        Part(at, step_scan(numbers[at], confidence=confidence))
        for at in sorted(parts, key=lambda at: (-len(at), at[0]))
    ]


def _joined(numbers: Array, parts: list[Array], *, is_near: bool) -> list[Array]:
    """Return the parts after joining all pairs, or pairs of neighbours, that one edge explains."""
    ordered = {n: np.sort(numbers[at]) for n, at in enumerate(parts)}
    parts_by_number, fresh = dict(enumerate(parts)), len(parts)
    gain = {pair: _gain(ordered[pair[0]], ordered[pair[1]]) for pair in _pairs(parts_by_number, is_near=is_near)}
    while gain and gain[best := min(gain, key=gain.__getitem__)] < _CUT:
        one, other = best
        parts_by_number = {
            fresh if n == one else n: np.concatenate([at, parts_by_number[other]]) if n == one else at
            for n, at in parts_by_number.items()
            if n != other
        }
        ordered[fresh] = np.sort(numbers[parts_by_number[fresh]])
        pairs = list(_pairs(parts_by_number, is_near=is_near))
        gain = {pair: gain[pair] if pair in gain else _gain(ordered[pair[0]], ordered[pair[1]]) for pair in pairs}
        fresh += 1
    return list(parts_by_number.values())


def _pairs(parts_by_number: dict[int, Array], *, is_near: bool) -> Iterable[tuple[int, int]]:
    """Return the pairs that may be joined."""
    return itertools.pairwise(parts_by_number) if is_near else itertools.combinations(parts_by_number, 2)


def _gain(one: Array, other: Array) -> float:
    """Return the log likelihood ratio of two edges over one, in nats."""
    at = np.clip(np.unique(np.concatenate([one, other])), 1e-15, 1 - 1e-15)
    first, second = _profile(one, at), _profile(other, at)
    return float(first.max() + second.max() - (first + second).max())


def _profile(ordered: Array, at: Array) -> Array:
    """Return the log likelihood ratio of an edge at each place, 0 where too few lie below."""
    n = len(ordered)
    k = np.searchsorted(ordered, at, "right")
    inside = k / n
    llr = special.xlogy(k, inside / at) + special.xlogy(n - k, (1 - inside) / (1 - at))
    return np.where((inside > at) & (k >= least_inside(n)), llr, 0.0)
