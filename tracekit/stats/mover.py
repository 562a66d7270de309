"""Confidence limits of weighted proportions, for many groups: the method of all weighted rates and quantiles.

Traces of one weight are a plain sample, so each weight class of a group has an exact interval of its own; the classes
are combined by MOVER (method of variance estimates recovery).  Everything needed is a sum over traces, so tables of
disjoint traces add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.grouping import dense_codes
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.proportions import least_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.schema import Array

WEIGHT_CLASS = "weight_class"
NO_CLASS = 1
"""The class of weight 0 among those relative to the largest weight, which are 0 or less."""
_STEPS = 2  # classes per doubling of the weight
_FEW = 3  # effective traces below which the weight of a class is not estimable, ...
_MOST = 0.5  # ... and the maximum share of the weight of such classes
_NEAR = 1e-9  # tolerance for rounding


def weight_classes(weights: Array) -> tuple[Array, list[int]]:
    """Return the class of each weight: half powers of two, the same in every table.

    Parameters
    ----------
    weights
        One per trace; 0 for a trace outside the probability sample.

    Returns
    -------
    tuple of numpy.ndarray and list of int
        Codes, -1 for weight 0, and what they mean: ``round(2 log2(weight))``, ascending.

    Examples
    --------
    >>> weight_classes(np.array([1.0, 20.0, 21.0, 0.0]))
    (array([ 0,  1,  1, -1]), [0, 9])
    """
    w = np.asarray(weights, np.float64)
    if len(w) and w.min() == w.max() > 0:
        return np.zeros(len(w), np.int64), [round(_STEPS * float(np.log2(w[0])))]
    known = w > 0
    steps = np.round(_STEPS * np.log2(w[known])).astype(np.int64)
    found, number = np.unique(steps, return_inverse=True)
    codes = np.full(len(w), -1)
    codes[known] = number
    return codes, found.tolist()


def relative_classes(weights: Array, largest: float) -> tuple[Array, Array]:
    """Return the code of the class of each weight in units of the largest, and the class of each code.

    Parameters
    ----------
    weights
        One per trace.
    largest
        The largest weight, here or elsewhere.

    Returns
    -------
    tuple of numpy.ndarray
        Codes, -1 for weight 0; half powers of two, 0 or less, and ``NO_CLASS`` at the end, for code -1.

    Examples
    --------
    >>> code, classes = relative_classes(np.array([8.0, 4.0, 0.0]), 8.0)
    >>> classes[code].tolist()
    [0, -2, 1]
    """
    codes, labels = weight_classes(weights / max(largest, float(np.finfo(np.float64).tiny)))
    return codes, np.array([*labels, NO_CLASS])


def class_cells(group: Array, codes: Array, classes: int) -> tuple[Array, Array, Array]:
    """Return the cell of each entry: one for every group and weight class that occur together.

    Parameters
    ----------
    group
        Group of each entry, 0 or more.
    codes
        Weight class of each entry, from -1.
    classes
        Number of classes.

    Returns
    -------
    tuple of numpy.ndarray
        Cell of each entry; group of each cell, ascending, and its weight class.

    Examples
    --------
    >>> class_cells(np.array([0, 1, 1]), np.array([2, 0, 2]), 3)
    (array([0, 1, 2]), array([0, 1, 1]), array([2, 0, 2]))
    """
    several = np.int64(classes + 1)
    cell, found = dense_codes(group * several + codes + 1, (int(group.max(initial=-1)) + 1) * int(several))
    return cell, found // several, found % several - 1


class WeightClasses(NamedTuple):
    """The weight classes of several groups, those of one group next to each other.

    ``owner`` is the group of each class, ascending; ``total`` the weight of its trials; ``n`` the effective number of
    its traces.  ``inside`` and ``across`` scale the doubt about the rate of a class and about its share of the whole:
    1 for the process behind the traces; less for the window, of which part is recorded.

    Examples
    --------
    Ten traces of weight 1 that failed, a hundred of weight 20 that did not; the limits of the error rate:

    >>> classes = WeightClasses(np.array([0, 0]), 1, np.array([10.0, 2000.0]), np.array([10.0, 100.0]))
    >>> low, high = classes.limits(np.array([[1.0], [0.0]]), np.array([[10.0], [100.0]]))
    >>> print(f"{classes.shares(np.array([[1.0], [0.0]])).item():.4f} ({low.item():.4f} to {high.item():.4f})")
    0.0050 (0.0018 to 0.0413)
    """

    owner: Array
    groups: int
    total: Array
    n: Array
    inside: Array | float = 1.0
    across: Array | float = 1.0

    @property
    def weight(self) -> Array:
        """Total weight of each group; NaN where nothing has any."""
        weight = np.bincount(self.owner, self.total, self.groups)
        return np.asarray(np.where(weight > 0, weight, np.nan))

    @property
    def is_estimable(self) -> Array:
        """Whether the classes of a group are known well enough to be combined.

        Not where classes of fewer than three effective traces have more than half of the weight, unless there is one
        class only: how much such classes stand for, and what else they hold, nobody can know.
        """
        few = (self.n < _FEW) & (self.total > 0)
        several = np.bincount(self.owner, self.total > 0, self.groups) > 1
        return np.asarray(~(several & (np.bincount(self.owner, self.total * few, self.groups) > _MOST * self.weight)))

    def only(self, own: Array, owner: Array, groups: int) -> WeightClasses:
        """Return some of the classes, with other numbers for their groups."""
        inside, across = (doubt if isinstance(doubt, float) else doubt[own] for doubt in (self.inside, self.across))
        return WeightClasses(owner, groups, self.total[own], self.n[own], inside, across)

    def shares(self, p: Array) -> Array:
        """Return the weighted mean of the shares p of the classes, one row per group."""
        return self._sums(p * (self.total / self.weight[self.owner])[:, None])

    def limits(self, p: Array, n: Array, *, confidence: float = 0.95) -> tuple[Array, Array]:
        """Return the limits of the weighted mean of shares.

        Parameters
        ----------
        p
            Share of each class, one row per class.
        n
            Effective trials behind each, of the same or a broadcastable shape.
        confidence
            Confidence level.

        Returns
        -------
        tuple of numpy.ndarray
            Lower and upper limits, one row per group; NaN where they are not estimable.

        Notes
        -----
        With r the mean, T the weight of a class and X that of its group: the distance to either limit is the root of
        the sum of squares of ``T / X (p - l)``, l being the Clopper-Pearson limit of the class, and of how far r moves
        if T alone is at a limit of its own, the exact one of a Poisson number of ``self.n`` traces.  Where a group has
        one class this is the Clopper-Pearson interval.  Source: Zou and Donner 2008; Korn and Graubard 1998.
        """
        low, high = (self.limit(p, n, side, confidence=confidence) for side in (-1, 1))
        return low, high

    def limit(self, p: Array, n: Array, side: int, *, confidence: float = 0.95) -> Array:
        """Return the lower (``side`` -1) or the upper one (1) of ``limits``."""
        limit = (
            least_share(p * n, n, confidence=confidence)
            if side < 0
            else 1 - least_share((1 - p) * n, n, confidence=confidence)
        )
        weight = self.weight[self.owner][:, None]
        away = np.where(self.total[:, None] > 0, self.total[:, None] / weight * (limit - p), 0.0)
        squares, middle = (away * _column(self.inside)) ** 2, self.shares(p)
        if len(self.owner) > self.groups:
            apart = p - middle[self.owner]
            moved = [apart * more / (weight + more) for more in self._more(confidence)]
            squares += np.maximum(np.maximum(*(side * far for far in moved)), 0.0) ** 2
        found = np.clip(middle + side * np.sqrt(self._sums(squares)), 0.0, 1.0)
        return np.asarray(np.where(self.is_estimable[:, None], found, np.nan))

    def _more(self, confidence: float) -> tuple[Array, Array]:
        """Return how much less and how much more weight each class may have."""
        from scipy.special import gammaincinv  # noqa: PLC0415 - a sixth of the imports of a command

        tail, n = (1 - confidence) / 2, np.where(self.n > 0, self.n, 1.0)
        factors = gammaincinv(n, tail) / n, gammaincinv(n + 1, 1 - tail) / n
        less, more = (_column(self.total * self.across * (factor - 1)) for factor in factors)
        return less, more

    def _sums(self, values: Array) -> Array:
        """Return the sums of the rows of each group; NaN for a group without classes."""
        first = np.flatnonzero(np.diff(self.owner, prepend=-1))
        found = np.full((self.groups, values.shape[1]), np.nan)
        if len(first):
            found[self.owner[first]] = np.add.reduceat(values, first, axis=0)
        return found


class SharesBelow:
    """Which share of each class lies at or below a position in the order of values.

    Parameters
    ----------
    classes
        Weight classes by group.
    own, position, weight
        One entry an observation or cell: its class, its place in the order of values, its weight; sorted by class,
        then position.

    Examples
    --------
    >>> classes = WeightClasses(np.array([0]), 1, np.array([4.0]), np.array([4.0]))
    >>> below = SharesBelow(classes, np.zeros(4, int), np.arange(4), np.ones(4))
    >>> below(np.array([0]), np.array([[-1, 0, 3]])).tolist()
    [[0.0, 0.25, 1.0]]
    >>> below.position(np.array([0]), np.array([[0.5]])).tolist()
    [[1]]
    """

    def __init__(self, classes: WeightClasses, own: Array, position: Array, weight: Array) -> None:
        self._span, self._position = int(position.max(initial=-1)) + 2, position
        self._key = own * self._span + position
        total = np.where(classes.total > 0, classes.total, 1.0)
        self._reached = np.concatenate(([0.0], np.cumsum(weight / total[own])))
        self._start = self._reached[np.searchsorted(own, np.arange(len(total)))]

    def __call__(self, own: Array, at: Array) -> Array:
        """Return the shares of some classes at positions, one row per class."""
        row = np.searchsorted(self._key, (own[:, None] * self._span + at).ravel(), "right").reshape(at.shape)
        share = self._reached[row] - self._start[own][:, None]
        return np.asarray(np.where(share > 1 - _NEAR, 1.0, np.where(share < _NEAR, 0.0, share)))

    def position(self, own: Array, share: Array) -> Array:
        """Return where the classes reach shares, one row per class."""
        wanted = self._start[own][:, None] + share - _NEAR
        row = np.searchsorted(self._reached[1:], wanted.ravel(), "left").reshape(wanted.shape)
        return np.asarray(self._position[np.minimum(row, len(self._position) - 1)])


def quantile_positions(
    classes: WeightClasses,
    below: SharesBelow,
    shares: Sequence[float],
    ends: tuple[Array, Array],
    *,
    confidence: float = 0.95,
) -> tuple[Array, Array]:
    """Return the positions that limit quantiles.

    Parameters
    ----------
    classes
        Weight classes by group.
    below
        Where the values lie.
    shares
        For example ``(0.5, 0.99)``.
    ends
        First position of each group, and the one after its last.
    confidence
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper positions, one row per group and one column per share; -1 where that side is not estimable.

    Notes
    -----
    All positions for which the share lies inside the limits of "share at or below" (Woodruff 1952): the lower limit is
    the first at which the upper limit reaches the share, the upper one the first at which the lower limit does.  Where
    it does so below all values, or never, the values do not limit that side.  For the process and a group of one class
    these are order statistics, which need no search (``plain_shares``).

    Examples
    --------
    >>> classes = WeightClasses(np.array([0]), 1, np.array([200.0]), np.array([200.0]))
    >>> below = SharesBelow(classes, np.zeros(200, int), np.arange(200), np.ones(200))
    >>> low, high = quantile_positions(classes, below, (0.5, 0.99), (np.array([0]), np.array([200])))
    >>> low.tolist(), high.tolist()
    ([[85, 194]], [[114, -1]])
    """
    wanted = np.asarray(shares, np.float64)
    low, high = (np.full((classes.groups, len(wanted)), -1) for _ in range(2))
    single = np.bincount(classes.owner, minlength=classes.groups) == 1
    if np.ndim(classes.inside) == 0:
        own = np.flatnonzero(single[classes.owner] & (classes.total > 0))
        group = classes.owner[own]
        for found, share in zip(
            (low, high), plain_shares(wanted, classes.n[own][:, None], confidence=confidence), strict=True
        ):
            found[group] = np.where(np.isnan(share), -1, below.position(own, np.where(np.isnan(share), 0.0, share)))
    else:
        single[:] = False
    rest = np.flatnonzero(~single & classes.is_estimable & ~np.isnan(classes.weight))
    for found, side, first in ((low, 1, ends[0] - 1), (high, -1, ends[0])):
        at = _search(classes, below, wanted, (rest, first, ends[1]), side, confidence)
        found[rest] = np.where((at >= ends[0][rest][:, None]) & (at < ends[1][rest][:, None]), at, -1)
    return low, high


def _search(
    classes: WeightClasses,
    below: SharesBelow,
    shares: Array,
    span: tuple[Array, Array, Array],
    side: int,
    confidence: float,
) -> Array:
    """Return the first position of some groups at which one limit of "share at or below" reaches the shares."""
    groups, low, high = span[0], *(np.repeat(end[span[0]][:, None], len(shares), axis=1) for end in span[1:])
    near = shares * (1 - _NEAR)
    number = np.full(classes.groups, -1)
    while len(row := np.flatnonzero((low < high).any(axis=1))):
        number[groups] = -1
        number[groups[row]] = np.arange(len(row))
        own = np.flatnonzero(number[classes.owner] >= 0)
        some, middle = classes.only(own, number[classes.owner[own]], len(row)), (low[row] + high[row]) // 2
        p = below(own, middle[some.owner])
        yes = some.limit(p, _column(some.n), side, confidence=confidence) >= near
        open_ = low[row] < high[row]
        low[row] = np.where(open_ & ~yes, middle + 1, low[row])
        high[row] = np.where(open_ & yes, middle, high[row])
    return low


def plain_shares(share: Array, n: Array, *, confidence: float = 0.95) -> tuple[Array, Array]:
    """Return the shares whose quantiles limit the quantile of ``share`` from both sides, where all weights are equal.

    Parameters
    ----------
    share
        For example 0.99.
    n
        Independent observations behind each group; an effective number need not be whole.
    confidence
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper share; NaN where no order statistic can limit that side at this level.  The maximum is not an
        upper limit of p99 unless there are several hundred observations.

    Notes
    -----
    The number of observations at or below the true quantile is Binomial(n, share), for any distribution; its
    quantiles are the ranks of the limits.  They come from the normal distribution corrected for skewness
    (Cornish-Fisher) and continuity, except for the outermost ranks, where ``share^n`` is exact.

    Examples
    --------
    >>> low, high = plain_shares(np.array(0.5), np.array([5.0, 100.0]))
    >>> low, high
    (array([nan, 0.4]), array([ nan, 0.61]))
    >>> plain_shares(np.array(0.99), np.array([300.0, 400.0]))[1]
    array([nan,  1.])
    """
    size = np.where(n > 0, n, np.nan)
    tail, z = (1 - confidence) / 2, normal_quantile(confidence)
    low_rank, high_rank = (_binomial_rank(share, size, side * z) for side in (-1, 1))
    low = np.where((1 - share) ** size <= tail, np.maximum(low_rank, 1) / size, np.nan)
    high = np.where(share**size <= tail, np.minimum((high_rank + 1) / size, 1.0), np.nan)
    return low, high


def _binomial_rank(share: Array, n: Array, z: float) -> Array:
    """Return the quantile of Binomial(n, share) at the normal deviate z."""
    spread = z * np.sqrt(n * share * (1 - share))
    return np.asarray(np.ceil(n * share + spread + (1 - 2 * share) * (z * z - 1) / 6 - 0.5))


def _column(values: Array | float) -> Array:
    """Return one number a class as a column."""
    return np.asarray(values, np.float64).reshape(-1, 1)
