"""Scan for clusters of marked items in an ordered sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import xlogy

from tracekit.stats.gap_scan import window_lengths

if TYPE_CHECKING:
    from tracekit.schema import Array

_BLOCKS = 120


class Cluster(NamedTuple):
    """The window ``start`` to ``end`` of the sequence with the largest excess of marks, and its p-value."""

    start: int
    end: int
    p: float


def cluster_scan(is_marked: Array, *, replicates: int = 999, seed: int = 0) -> Cluster:
    """Return the window of a sequence with the most frequent marks, with a p-value corrected for the search.

    Parameters
    ----------
    is_marked
        bool, in order.
    replicates
        Number of draws from the null distribution.
    seed
        Seed of the draws.

    Returns
    -------
    Cluster
        ``start == end`` if nothing or everything is marked.

    Notes
    -----
    At most 120 blocks of adjacent items, windows of up to half of them, ranked by the binomial deviance of a rise.
    Under the null every order is equally likely: the marks of the blocks are multivariate hypergeometric, so the
    p-value is exact except for its Monte Carlo error.

    Source: Kulldorff 1997, conditional on the number of marks.

    Examples
    --------
    >>> marked = np.zeros(600, bool)
    >>> marked[200:240:2] = True
    >>> found = cluster_scan(marked)
    >>> found.start <= 200 < 240 <= found.end, found.p
    (True, 0.001)
    """
    marked, n = np.asarray(is_marked, bool), len(is_marked)
    total = int(marked.sum())
    if not 0 < total < n:
        return Cluster(0, 0, 1.0)
    edges = np.unique(np.linspace(0, n, min(_BLOCKS, n) + 1).astype(np.int64))
    size = np.diff(edges)
    seen = np.add.reduceat(marked.astype(np.int64), edges[:-1])
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(size, total, replicates)
    value, start, end = _best(np.concatenate((seen[None], drawn)), size, total)
    p = (1 + int((value[1:] >= value[0]).sum())) / (1 + replicates)
    return Cluster(int(edges[start]), int(edges[end]), p)


def _best(marks: Array, size: Array, total: int) -> tuple[Array, int, int]:
    """Return the largest deviance of a rise in every row, and the window of that of the first row."""
    all_marks, all_sizes = np.pad(np.cumsum(marks, axis=1), ((0, 0), (1, 0))), np.append(0, np.cumsum(size))
    usual, best = total / all_sizes[-1], np.zeros(len(marks))
    start = end = 0
    for length in window_lengths(max(len(size) // 2, 1)):
        k = all_marks[:, length:] - all_marks[:, :-length]
        n = all_sizes[length:] - all_sizes[:-length]
        deviance = xlogy(k, k / (n * usual)) + xlogy(n - k, (n - k) / (n * (1 - usual)))
        deviance[k <= n * usual] = 0
        at = int(deviance[0].argmax())
        if deviance[0, at] > best[0]:
            start, end = at, at + length
        best = np.maximum(best, deviance.max(axis=1))
    return best, start, end
