"""Limits of means by resampling traces, at a cost that does not grow with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array

_BLOCKS = 400
_CELLS = 1 << 21


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
    Percentile bootstrap over clusters (Efron 1979).  Beyond 400 clusters, clusters are put into 400 groups at random
    and those are drawn: sums of a random 1/400 vary as sums of single clusters do.  With few clusters or long tails
    percentile limits are too narrow.

    Examples
    --------
    >>> low, high = bootstrap_means(np.zeros(100, int), np.arange(100), np.tile([0.0, 10.0], 50), np.ones(100), 1)
    >>> bool(low[0] < 5 < high[0]), bool(2.9 < low[0]), bool(high[0] < 7.1)
    (True, True, True)
    """
    used = np.flatnonzero(size > 0)
    if len(used) < 2:  # noqa: PLR2004 - one cluster has no spread
        return np.full(groups, np.nan), np.full(groups, np.nan)
    rng = np.random.default_rng(seed)
    blocks = min(len(used), _BLOCKS)
    block = np.zeros(len(size), np.int64)
    block[used] = rng.permutation(len(used)) % blocks
    counts = rng.multinomial(blocks, np.full(blocks, 1 / blocks), draws).astype(np.float64)
    total = counts @ np.bincount(block, size, blocks)
    low, high = np.empty(groups), np.empty(groups)
    order = np.argsort(group, kind="stable")
    group, place, value = group[order], block[cluster[order]], value[order]
    step = max(1, _CELLS // blocks)
    for first in range(0, groups, step):
        last = min(groups, first + step)
        cells = slice(*np.searchsorted(group, (first, last)))
        at = (group[cells] - first) * blocks + place[cells]
        sums = np.bincount(at, value[cells], (last - first) * blocks).reshape(-1, blocks)
        means = np.sort(sums @ counts.T / total, axis=1)
        ends = (1 - level) / 2 * (draws - 1)
        low[first:last] = means[:, int(np.floor(ends))]
        high[first:last] = means[:, draws - 1 - int(np.floor(ends))]
    return low, high
