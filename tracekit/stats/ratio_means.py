"""Means of what traces have several of, such as the duration of calls, each group with a denominator of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.stats.influences import LEAST, Moments
from tracekit.stats.mover import weight_classes

if TYPE_CHECKING:
    from tracekit.schema import Array

_NEAR = 1e-9  # a number that is reached up to rounding is reached
_ROUNDING = 1e-13  # of the squares that cancel: a variance that is none


def ratio_means(group: Array, cluster: Array, value: Array, weights: Array, groups: int) -> tuple[Array, Moments]:
    """Return the weighted mean of values by group, with the moments of the influence of each cluster.

    Parameters
    ----------
    group, cluster, value
        Group, cluster (trace) and number of each observation.
    weights
        Weight of each cluster.
    groups
        Number of groups.

    Returns
    -------
    tuple of numpy.ndarray and Moments
        ``sum w y / sum w x`` with y the sum and x the number of the values of a cluster, NaN for a group without
        weight; the moments have arrays for ``n``, ``n_effective`` and ``is_even``, because each group has clusters of
        its own.

    Notes
    -----
    The influence of a cluster is ``w (y - mean x) / (sum w x - w x)``, that of the jackknife.

    Examples
    --------
    Two requests with calls of 1 and 3 ms, and of 8 ms:

    >>> mean, moments = ratio_means(np.zeros(3, int), np.array([0, 0, 1]), np.array([1.0, 3.0, 8.0]), np.ones(2), 1)
    >>> mean.tolist(), moments.n.tolist(), moments.square.tolist()
    ([4.0], [2], [20.0])
    """
    several = max(len(weights), 1)
    cell, found = dense_codes(group.astype(np.int64) * several + cluster, groups * several)
    owner, w = found // several, np.asarray(weights, np.float64)[found % several]
    size = w * np.bincount(cell, minlength=len(found))
    total = sum_by(owner, size, groups)
    whole = np.where(total > 0, total, np.nan)
    mean = sum_by(owner, w * sum_by(cell, value, len(found)), groups) / whole
    rest = total[owner] - size
    left = w * sum_by(cell, value, len(found)) - mean[owner] * size
    influence = np.divide(left, rest, out=np.zeros(len(left)), where=rest > 0)
    square = sum_by(owner, influence**2, groups)
    square[square <= _ROUNDING * np.nan_to_num(mean) ** 2] = 0.0
    third, fourth = (sum_by(owner, influence**power, groups) for power in (3, 4))
    size_square, size_fourth = (sum_by(owner, size**power, groups) for power in (2, 4))
    n = np.bincount(owner[w > 0], minlength=groups)
    n_effective = np.divide(total**2, size_square, out=np.zeros(groups), where=size_square > 0)
    is_even = (size_square**2 >= LEAST * size_fourth * (1 - _NEAR)) & (size_fourth > 0)
    behind = _behind(owner, w, influence**2, square, n)
    return mean, Moments(square, third, fourth, behind, n, n_effective, is_even)


def _behind(owner: Array, weight: Array, square: Array, whole: Array, n: Array) -> Array:
    """Return how many clusters are behind each variance, by weight class; see ``Moments``."""
    codes, labels = weight_classes(weight / max(float(weight.max(initial=0.0)), float(np.finfo(np.float64).tiny)))
    if len(labels) <= 1:
        return n.astype(np.float64)
    groups, known = len(whole), codes >= 0
    place = owner[known] * len(labels) + codes[known]
    count = np.bincount(place, minlength=groups * len(labels)).reshape(groups, -1)
    part = sum_by(place, square[known], groups * len(labels)).reshape(groups, -1)
    doubt = (part**2 / np.maximum(count, 1)).sum(axis=1)
    return np.asarray(np.divide(whole**2, doubt, out=n.astype(np.float64), where=(whole > 0) & (doubt > 0)))
