"""Whether values became larger, by group: ranks only, with uneven weights and bursts taken into account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.special import gammaln

from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.schema import Array

SHARES: Final = (0.5, 0.75, 0.9, 0.95)
_FEWEST_BLOCKS, _MOST_BLOCKS = 8, 50
_ROUNDED: Final = 1e-9


class Sample(NamedTuple):
    """Values of two sides, one entry per trace and group.

    Parameters
    ----------
    group
        Group of each value, ``0 .. groups - 1``.
    value
        The value.
    is_current
        Whether it is of the current side, else of the baseline.
    weight
        Sampling weight of its trace.
    block
        Stretch of time of its trace (baseline only), see ``time_blocks``.
    groups
        Number of groups.

    Examples
    --------
    >>> side = np.repeat([False, True], 20)
    >>> sample = Sample(np.zeros(40, int), np.arange(40.0), side, np.ones(40), np.zeros(40, int), 1)
    >>> larger(sample).moved_ratio
    array([1.])
    """

    group: Array
    value: Array
    is_current: Array
    weight: Array
    block: Array
    groups: int


class Exceedance(NamedTuple):
    """One entry per group.

    Parameters
    ----------
    p_value
        For the current side exceeding more often.
    moved_ratio
        Share of the current values that must have moved for the difference, at the limit where it is largest.

    Examples
    --------
    >>> Exceedance(np.array([0.2]), np.array([0.0])).p_value
    array([0.2])
    """

    p_value: Array
    moved_ratio: Array


def larger(sample: Sample, shares: tuple[float, ...] = SHARES) -> Exceedance:
    """Return whether the current values are larger than those of the baseline, by group.

    Parameters
    ----------
    sample
        Values of both sides.
    shares
        Quantiles of both sides together; what is tested is how many values of each side exceed them.

    Returns
    -------
    Exceedance
        The smallest p-value of the quantiles times their number, at most 1; 1 where one side has no value.

    Notes
    -----
    One-sided hypergeometric tests.  With uneven weights, counts are weighted shares of Kish's effective number of
    values.  Where the share of exceedances varies more between blocks of the baseline than it would with independent
    traces, both counts are divided by that factor (Pearson's dispersion).  Counts that are not whole are rounded
    against the current side.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> group, value = np.repeat([0, 1], 400), rng.lognormal(size=800)
    >>> side = np.tile(np.arange(400) >= 300, 2)
    >>> value[(group == 1) & side] *= 3
    >>> found = larger(Sample(group, value, side, np.ones(800), np.tile(np.arange(400) // 38, 2), 2))
    >>> found.p_value < 1e-6, found.moved_ratio.round(1)
    (array([False,  True]), array([0.1, 0.6]))
    """
    limits = quantiles_by(sample.group, sample.value, sample.weight, sample.groups, shares)
    return exceeds(sample, sample.value[:, None] > limits[sample.group])


def exceeds(sample: Sample, event: Array) -> Exceedance:
    """Return whether events are more frequent on the current side, by group.

    Parameters
    ----------
    sample
        The sides; the values are not used.
    event
        bool, one row per entry and one column per kind of event.

    Returns
    -------
    Exceedance
        The smallest p-value of the columns times their number, at most 1.

    Examples
    --------
    >>> side = np.repeat([False, True], [30, 10])
    >>> sample = Sample(np.zeros(40, int), np.zeros(40), side, np.ones(40), np.zeros(40, int), 1)
    >>> exceeds(sample, side[:, None]).p_value.round(9).tolist()
    [1e-09]
    """
    sides = [_counts(sample, event, sample.is_current == side) for side in (False, True)]
    share0, share1 = (np.divide(k, n[:, None], out=np.zeros_like(k), where=n[:, None] > 0) for n, k in sides)
    moved = np.divide(share1 - share0, 1 - share0, out=np.zeros_like(share0), where=share0 < 1)
    spread = _dispersion(sample, event)
    n0, n1 = (np.rint(n[:, None] / spread).astype(np.int64) for n, _ in sides)
    k0 = np.minimum(np.ceil(sides[0][1] / spread - _ROUNDED).astype(np.int64), n0)
    k1 = np.minimum(np.floor(sides[1][1] / spread + _ROUNDED).astype(np.int64), n1)
    p = hypergeometric_tail(k1, n1, k0 + k1, n0 + n1)
    return Exceedance(np.minimum(p.min(axis=1) * event.shape[1], 1.0), np.maximum(moved.max(axis=1), 0.0))


def quantiles_by(group: Array, value: Array, weight: Array, groups: int, shares: tuple[float, ...]) -> Array:
    """Return weighted quantiles of each group: the smallest value with at least that share of the weight up to it.

    Parameters
    ----------
    group, value, weight
        One entry per value.
    groups
        Number of groups.
    shares
        Between 0 and 1.

    Returns
    -------
    numpy.ndarray
        One row per group, one column per share; NaN without values.

    Examples
    --------
    >>> quantiles_by(np.array([0, 0, 0]), np.array([3.0, 1.0, 2.0]), np.ones(3), 2, (0.5, 1.0)).tolist()
    [[2.0, 3.0], [nan, nan]]
    """
    order = np.lexsort((value, group))
    total, size = sum_by(group, weight, groups), np.bincount(group, minlength=groups)
    if not len(order):
        return np.full((groups, len(shares)), np.nan)
    last = np.cumsum(size) - 1
    reached = np.cumsum(weight[order])
    before = np.cumsum(total) - total
    wanted = before[:, None] + total[:, None] * (np.array(shares) - _ROUNDED)
    at = np.clip(np.searchsorted(reached, wanted), (last - size + 1)[:, None], np.maximum(last, 0)[:, None])
    return np.where((size > 0)[:, None], value[order][np.minimum(at, len(order) - 1)], np.nan)


def time_blocks(start_ns: Array, other_count: int) -> Array:
    """Return the block of every baseline trace: stretches of as many traces as the current side has.

    Parameters
    ----------
    start_ns
        Start of each trace of the baseline.
    other_count
        Number of current traces.

    Returns
    -------
    numpy.ndarray
        int64; 8 to 50 blocks of equal size.

    Examples
    --------
    >>> time_blocks(np.arange(100)[::-1], 10).tolist()[:12]
    [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 8, 8]
    """
    n = len(start_ns)
    count = int(np.clip(n / max(other_count, 1), _FEWEST_BLOCKS, _MOST_BLOCKS))
    rank = np.empty(n, np.int64)
    rank[np.argsort(start_ns, kind="stable")] = np.arange(n)
    return rank * count // max(n, 1)


def hypergeometric_tail(least: Array, drawn: Array, marked: Array, total: Array) -> Array:
    """Return the probability of at least so many marked items in a draw without replacement.

    Parameters
    ----------
    least
        Number of marked items in the draw.
    drawn, marked, total
        Size of the draw, marked items, all items.

    Returns
    -------
    numpy.ndarray
        Of the shape of the arguments.

    Examples
    --------
    >>> hypergeometric_tail(np.array([0, 2]), np.array([2, 2]), np.array([2, 2]), np.array([4, 4])).round(4).tolist()
    [1.0, 0.1667]
    """
    k, n, m, t = (part.ravel() for part in np.broadcast_arrays(least, drawn, marked, total))
    low = np.maximum(k, np.maximum(0, n + m - t))
    terms = np.maximum(np.minimum(n, m) - low + 1, 0)
    owner = np.repeat(np.arange(len(k)), terms)
    x = low[owner] + np.arange(int(terms.sum())) - np.repeat(np.cumsum(terms) - terms, terms)
    constant = gammaln(m + 1) + gammaln(t - m + 1) + gammaln(n + 1) + gammaln(t - n + 1) - gammaln(t + 1)
    n, m, t = n[owner], m[owner], t[owner]
    log = constant[owner] - gammaln(x + 1) - gammaln(m - x + 1) - gammaln(n - x + 1) - gammaln(t - m - n + x + 1)
    return np.minimum(np.bincount(owner, np.exp(log), len(k)), 1.0).reshape(np.shape(least))


def _counts(sample: Sample, event: Array, rows: Array) -> tuple[Array, Array]:
    """Return the effective number of values of one side by group, and how many of them are events, by column."""
    group, weight, groups = sample.group[rows], sample.weight[rows], sample.groups
    total, squares = sum_by(group, weight, groups), sum_by(group, weight**2, groups)
    n = np.divide(total**2, squares, out=np.zeros(groups), where=squares > 0)
    hits = np.column_stack([sum_by(group, weight * column, groups) for column in event[rows].T])
    return n, hits * np.divide(n, total, out=np.zeros(groups), where=total > 0)[:, None]


def _dispersion(sample: Sample, event: Array) -> Array:
    """Return by group and column how much more the share of events varies between blocks than by chance; at least 1."""
    rows = np.flatnonzero(~sample.is_current)
    blocks = int(sample.block[rows].max(initial=0)) + 1
    cell = sample.group[rows] * blocks + sample.block[rows]
    size = sum_by(cell, 1.0, sample.groups * blocks).reshape(sample.groups, blocks)
    freedom = (size > 0).sum(axis=1) - 1
    found = np.ones((sample.groups, event.shape[1]))
    for k, column in enumerate(event[rows].T):
        hits = sum_by(cell, column, sample.groups * blocks).reshape(sample.groups, blocks)
        share = hits.sum(axis=1) / np.maximum(size.sum(axis=1), 1)
        expected = size * share[:, None]
        variance = share * (1 - share)
        squares = np.divide((hits - expected) ** 2, size, out=np.zeros_like(size), where=size > 0).sum(axis=1)
        is_known = (variance > 0) & (freedom >= _FEWEST_BLOCKS // 2)
        np.divide(squares, variance * freedom, out=found[:, k], where=is_known)
    return np.maximum(found, 1.0)
