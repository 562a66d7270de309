"""Extremes of a mean or quantile of which some values are hidden: worst cases, which leave nothing to chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.schema import Array

_ROUNDING = 1e-12  # of a rank, as in ``quantiles.weighted_quantiles``


class Masses(NamedTuple):
    """Hidden values that were assumed: ``size`` times each ``value``, and the number of the ``source`` of doubt."""

    value: Array
    size: Array
    source: Array

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, int]]) -> Masses:
        """Return masses from (value, size, source), without those of size 0.

        Examples
        --------
        >>> Masses.of([(0.0, 3, 1), (9.0, 0, 2)]).size.tolist()
        [3.0]
        """
        kept = [row for row in rows if row[1] > 0]
        value, size, source = zip(*kept, strict=True) if kept else ((), (), ())
        return cls(np.array(value, np.float64), np.array(size, np.float64), np.array(source, np.int64))

    def __add__(self, other: Masses) -> Masses:  # type: ignore[override]  # not the sum of tuples
        return Masses(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def take(self, rows: Array) -> Masses:
        """Return some of the masses.

        Examples
        --------
        >>> Masses.of([(0.0, 3, 1), (9.0, 5, 2)]).take(np.array([1])).size.tolist()
        [5.0]
        """
        return Masses(*(column[rows] for column in self))

    def of_sources(self, sources: Sequence[int]) -> Masses:
        """Return the masses of some sources of doubt.

        Examples
        --------
        >>> Masses.of([(0.0, 3, 1), (9.0, 5, 2)]).of_sources([2]).value.tolist()
        [9.0]
        """
        return self.take(np.flatnonzero(np.isin(self.source, list(sources))))


@dataclass(frozen=True)
class Figure:
    """A mean or quantile of known values and masses.

    Parameters
    ----------
    known
        The known values, float64, ascending.
    share
        Of the quantile, such as 0.99; None for the mean.
    often
        How many requests have each known value; None: one.
    total
        Exact sum of the known values, if they are rounded; None: theirs.

    Examples
    --------
    >>> p50 = Figure(np.array([1.0, 2.0, 3.0, 4.0]), 0.5)
    >>> p50.at(Masses.of([])), p50.at(Masses.of([(9.0, 4, 0)]))
    (2.0, 4.0)
    """

    known: Array
    share: float | None = None
    often: Array | None = None
    total: float | None = None

    @cached_property
    def _reached(self) -> Array:
        """Known requests with each value or a smaller one."""
        return np.arange(1, len(self.known) + 1) if self.often is None else np.cumsum(self.often)

    @property
    def count(self) -> int:
        """Number of known requests.

        Examples
        --------
        >>> Figure(np.array([1.0, 2.0]), often=np.array([3, 1])).count
        4
        """
        return int(self._reached[-1]) if len(self.known) else 0

    @cached_property
    def sum(self) -> float:
        """Sum of the values of known requests.

        Examples
        --------
        >>> Figure(np.array([1.0, 2.0]), often=np.array([3, 1])).sum
        5.0
        """
        if self.total is not None:
            return self.total
        return float(self.known.sum() if self.often is None else self.known @ self.often)

    def ranked(self, rank: Array) -> Array:
        """Return the value of known requests by their rank, from 0.

        Examples
        --------
        >>> Figure(np.array([1.0, 2.0]), often=np.array([3, 1])).ranked(np.array([2, 3])).tolist()
        [1.0, 2.0]
        """
        return np.asarray(self.known[np.searchsorted(self._reached, rank, "right")])

    def at(self, masses: Masses, factor: float = 1.0) -> float:
        """Return the figure if the hidden values are these.

        Parameters
        ----------
        masses
            The hidden values.
        factor
            How many requests each known value represents.

        Returns
        -------
        float
            The mean; or the smallest value with at least ``share`` of all at or below it.  NaN without values.

        Examples
        --------
        >>> Figure(np.array([0.0, 1.0])).at(Masses.of([(1.0, 2, 0)]))
        0.75
        """
        total = factor * self.count + float(masses.size.sum())
        if total <= 0:
            return math.nan
        if self.share is None:
            return (factor * self.sum + float(masses.value @ masses.size)) / total
        return self._quantile(masses, factor, self.share * total * (1 - _ROUNDING))

    def _quantile(self, masses: Masses, factor: float, target: float) -> float:
        """Return the smallest value with ``target`` requests at or below it."""
        order = np.argsort(masses.value, kind="stable")
        value, below = masses.value[order], np.cumsum(masses.size[order])
        known_below = np.append(0, self._reached)[np.searchsorted(self.known, value, "right")]
        reached = factor * known_below + below
        first = int(np.searchsorted(reached, target, "left"))
        before = float(below[first - 1]) if first else 0.0
        place = max(math.ceil((target - before) / factor) - 1, 0)
        known = float(self.ranked(np.array([place]))[0]) if place < self.count else math.inf
        return min(known, float(value[first])) if first < len(value) else known

    def worst(self, fixed: Masses, optional: Masses, *, highest: bool) -> Masses:
        """Return the masses that make the figure as high, or as low, as it can be.

        Parameters
        ----------
        fixed
            Masses that count in any case.
        optional
            Masses of requests that may belong to others: each counts or does not.
        highest
            Whether the figure is made as high as possible.

        Returns
        -------
        Masses
            The fixed ones, and those of the optional ones that move the figure.

        Notes
        -----
        A mass above the figure raises it and one below lowers it, so the best choice is a number of the most extreme
        masses, found by bisection.

        Examples
        --------
        >>> mean = Figure(np.array([1.0, 3.0]))
        >>> mean.worst(Masses.of([]), Masses.of([(9.0, 1, 0), (0.0, 1, 0)]), highest=True).value.tolist()
        [9.0]
        """
        order = np.argsort(-optional.value if highest else optional.value, kind="stable")
        ranked = optional.take(order)

        def moves(count: int) -> bool:
            now, then = self.at(fixed + ranked.take(np.arange(count))), float(ranked.value[count])
            return math.isnan(now) or (then > now if highest else then < now)

        return fixed + ranked.take(np.arange(first_false(moves, len(ranked.value))))


def first_false(holds: Callable[[int], bool], size: int) -> int:
    """Return the first of the numbers from 0 up to ``size`` for which something that holds up to it no longer does.

    Examples
    --------
    >>> first_false(lambda number: number < 7, 100)
    7
    """
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if holds(middle) else (low, middle)
    return low


def shares_of_width(width: Callable[[tuple[int, ...]], float], sources: Sequence[int]) -> dict[int, float]:
    """Return what each source of doubt adds to the width of bounds, on average over all orders (Shapley value).

    Parameters
    ----------
    width
        Width of the bounds if only these sources exist; 0 without any.
    sources
        Their numbers; a handful, for there are 2 to the power of so many widths.

    Returns
    -------
    dict
        By source; the parts sum to the whole width.

    Notes
    -----
    Source: Shapley, A value for n-person games (1953).

    Examples
    --------
    >>> shares_of_width(lambda some: float(len(some)), (0, 1))
    {0: 1.0, 1: 1.0}
    """
    count = len(sources)
    widths = {}
    for chosen in range(1 << count):
        some = tuple(source for at, source in enumerate(sources) if chosen >> at & 1)
        widths[some] = width(some)
    found = dict.fromkeys(sources, 0.0)
    for some, before in widths.items():
        weight = math.factorial(len(some)) * math.factorial(max(count - len(some) - 1, 0)) / math.factorial(count)
        for source in sources:
            if source not in some:
                found[source] += weight * (widths[tuple(sorted({*some, source}, key=sources.index))] - before)
    return found
