"""Limits of means by resampling traces, at a cost that does not grow with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.columns import Array

_BLOCKS = 400
_CELLS = 1 << 19


class Blocks(NamedTuple):
    """Clusters in at most 400 blocks, and how often each block is drawn.

    Parameters
    ----------
    place
        int64, one a cluster: its block.
    size
        float64, one a block: what it adds to the denominator.
    counts
        float64, draws by blocks; NaN where there are fewer than two clusters.

    Notes
    -----
    Sums of a random 1/400 of the clusters vary as sums of single clusters do.

    Examples
    --------
    >>> blocks = Blocks.of(np.ones(1000), draws=5)
    >>> blocks.counts.shape, blocks.size.min().item(), blocks.size.max().item()
    ((5, 400), 2.0, 3.0)
    """

    place: Array
    size: Array
    counts: Array

    @classmethod
    def of(cls, size: Array, *, draws: int = 400, seed: int = 0) -> Blocks:
        """Return the blocks of clusters.

        Parameters
        ----------
        size
            What every cluster adds to the denominator; those that add nothing are never drawn.
        draws
            Number of resamples.
        seed
            Of the resamples: the same sizes and seed give the same ones.
        """
        used = np.flatnonzero(size > 0)
        rng = np.random.default_rng(seed)
        blocks = max(min(len(used), _BLOCKS), 1)
        place = np.zeros(len(size), np.int64)
        place[used] = rng.permutation(len(used)) % blocks
        if len(used) < 2:  # noqa: PLR2004 - one cluster has no spread
            counts = np.full((draws, blocks), np.nan)
        else:
            counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(np.float64)
        return cls(place, np.bincount(place, size, blocks), counts)

    def sums(self, group: Array, cluster: Array, value: Array, groups: int) -> Iterator[tuple[slice, Array]]:
        """Yield ranges of groups with their sums by block.

        Parameters
        ----------
        group, cluster, value
            One entry a cell, by group: which group and cluster it belongs to and what it adds.
        groups
            Number of groups.

        Yields
        ------
        tuple of slice and numpy.ndarray
            Groups, and float64 sums, groups by blocks.
        """
        blocks = len(self.size)
        step = max(1, _CELLS // blocks)
        for first in range(0, groups, step):
            last = min(groups, first + step)
            cells = slice(*np.searchsorted(group, (first, last)))
            at = (group[cells] - first) * blocks + self.place[cluster[cells]]
            yield slice(first, last), np.bincount(at, value[cells], (last - first) * blocks).reshape(-1, blocks)

    def means(self, sums: Array) -> Array:
        """Return the drawn means, groups by draws, of sums by block."""
        return np.asarray(sums @ self.counts.T / (self.counts @ self.size))


def limits(drawn: Array, level: float) -> tuple[Array, Array]:
    """Return the percentile limits of every row of draws.

    Parameters
    ----------
    drawn
        Float64, rows by draws.
    level
        Confidence level.

    Returns
    -------
    tuple of numpy.ndarray
        Low and high, one a row; NaN where a draw is NaN.

    Examples
    --------
    >>> limits(np.arange(101.0)[None], 0.5)
    (array([25.]), array([75.]))
    """
    ordered = np.sort(drawn, axis=1)
    cut = int(np.floor((1 - level) / 2 * (drawn.shape[1] - 1)))
    missing = np.isnan(ordered[:, -1])  # NaN sorts last
    return np.where(missing, np.nan, ordered[:, cut]), np.where(missing, np.nan, ordered[:, -1 - cut])


def bootstrap_means(
    group: Array,
    cluster: Array,
    value: Array,
    size: Array,
    groups: int,
    *,
    level: float = 0.95,
    draws: int = 400,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Return limits of ``sum value / sum size`` of every group when whole clusters are drawn again.

    Parameters
    ----------
    group, cluster, value
        One entry a cell: which group and cluster (``0 ..``) it belongs to and what it adds.
    size
        What every cluster adds to the denominator, also where it has no cell.
    groups
        Number of groups.
    level
        Confidence level.
    draws
        Number of resamples.
    seed
        Of the resamples: the same call gives the same limits.

    Returns
    -------
    tuple of numpy.ndarray
        Low and high, float64, one a group; NaN for fewer than two clusters.

    Notes
    -----
    Percentile bootstrap over clusters (Efron 1979), in ``Blocks``.  With few clusters or long tails percentile limits
    are too narrow.

    Examples
    --------
    >>> low, high = bootstrap_means(np.zeros(100, int), np.arange(100), np.tile([0.0, 10.0], 50), np.ones(100), 1)
    >>> bool(low[0] < 5 < high[0]), bool(2.9 < low[0]), bool(high[0] < 7.1)
    (True, True, True)
    """
    blocks = Blocks.of(size, draws=draws, seed=seed)
    order = np.argsort(group, kind="stable")
    parts = blocks.sums(group[order], cluster[order], value[order], groups)
    return stacked([limits(blocks.means(sums), level) for _, sums in parts])


def stacked(parts: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return limits of ranges of groups, one range after the other.

    Examples
    --------
    >>> stacked([(np.array([1.0]), np.array([2.0])), (np.array([3.0]), np.array([4.0]))])
    (array([1., 3.]), array([2., 4.]))
    """
    low, high = zip(*parts, strict=True) if parts else ((np.zeros(0),), (np.zeros(0),))
    return np.concatenate(low), np.concatenate(high)
