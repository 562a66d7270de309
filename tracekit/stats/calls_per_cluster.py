"""Means over all clusters (calls per trace) of many groups, which most clusters have nothing of; additive over parts.

The influence of a cluster on a mean is ``(value - mean w) / (total - w)``, with w its weight: that of the jackknife.
Two passes: mean and total first, then the sums of the powers of the influences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.stats.influences import LEAST, Moments
from tracekit.stats.mover import class_cells, relative_classes

if TYPE_CHECKING:
    from tracekit.schema import Array

_POWERS: Final = (2, 3, 4)
_NAMES: Final = ("power", "base")
_NEAR: Final = 1e-9  # a number that is reached up to rounding is reached
_ROUNDING: Final = 1e-13  # of the squares that cancel: a variance that is none


def base_powers(weights: Array, total: float, largest: float) -> tuple[Array, dict[str, Array]]:
    """Return by weight class the number of clusters and the sums of powers of ``w / (total - w)``.

    Parameters
    ----------
    weights
        Of the clusters of a part.
    total, largest
        Sum and maximum of the weights of all parts.

    Returns
    -------
    tuple of numpy.ndarray and dict
        The classes, and ``n``, ``base_2``, ``base_3``, ``base_4``.

    Examples
    --------
    >>> base_powers(np.ones(3), 3.0, 1.0)[1]["base_2"].tolist()
    [0.75]
    """
    code, classes = relative_classes(weights, largest)
    known = code >= 0
    base = _over_the_rest(weights, weights, total)[known]
    count = len(classes) - 1
    sums = {"n": np.bincount(code[known], minlength=count)}
    return classes[:-1], sums | {f"base_{k}": sum_by(code[known], base**k, count) for k in _POWERS}


def cell_powers(
    group: Array, cluster: Array, weights: Array, mean: Array, total: float, largest: float
) -> tuple[Array, Array, dict[str, Array]]:
    """Return sums of powers of the influences of clusters that have something of a group, by group and weight class.

    Parameters
    ----------
    group, cluster
        Of each observation (call) of a part.
    weights
        Of the clusters of the part.
    mean
        Observations per cluster of each group, of all parts.
    total, largest
        Sum and maximum of the weights of all parts.

    Returns
    -------
    tuple of numpy.ndarray and dict
        Group and class of each entry; ``n``, ``power_2``, ... of influences, ``base_2``, ... as in ``base_powers``.

    Examples
    --------
    >>> cell_powers(np.zeros(3, int), np.array([0, 0, 1]), np.ones(2), np.array([1.5]), 2.0, 1.0)[2]["power_2"].tolist()
    [0.5]
    """
    several, groups = max(len(weights), 1), len(mean)
    cell, found = dense_codes(group.astype(np.int64) * several + cluster, groups * several)
    owner, at = found // several, found % several
    code, classes = relative_classes(weights, largest)
    known = np.flatnonzero(code[at] >= 0)
    count, owner, at = np.bincount(cell, minlength=len(found))[known], owner[known], at[known]
    w = np.asarray(weights, np.float64)[at]
    base, value = _over_the_rest(w, w, total), _over_the_rest(w * count, w, total)
    influence = value - mean[owner] * base
    place, of_cell, number = class_cells(owner, code[at], len(classes) - 1)
    sums = {"n": np.bincount(place, minlength=len(of_cell))}
    for k in _POWERS:
        sums[f"power_{k}"] = sum_by(place, influence**k, len(of_cell))
        sums[f"base_{k}"] = sum_by(place, base**k, len(of_cell))
    return of_cell, classes[number], sums


def _over_the_rest(value: Array, weights: Array, total: float) -> Array:
    """Return values divided by the weight of all other clusters; 0 where there are none."""
    rest = total - np.asarray(weights, np.float64)
    return np.divide(value, rest, out=np.zeros(len(rest)), where=rest > 0)


def frequency_moments(
    mean: Array,
    cells: tuple[Array, Array, dict[str, Array]],
    base: tuple[Array, dict[str, Array]],
    powers: tuple[float, float, float],
) -> Moments:
    """Return the moments of the influences of all clusters.

    Parameters
    ----------
    mean
        Of each group.
    cells
        As returned by ``cell_powers``, of all parts.
    base
        As returned by ``base_powers``, of all parts.
    powers
        Sums of the weights to the powers 1, 2 and 4.

    Returns
    -------
    Moments
        The same as ``influences.influence(...).moments()``.

    Examples
    --------
    >>> weights, mean = np.ones(2), np.array([2.0])
    >>> cells = cell_powers(np.zeros(4, int), np.array([0, 1, 1, 1]), weights, mean, 2.0, 1.0)
    >>> frequency_moments(mean, cells, base_powers(weights, 2.0, 1.0), (2.0, 2.0, 2.0)).square.tolist()
    [2.0]
    """
    (owner, label, sums), (classes, every) = cells, base
    groups, count, value = len(mean), max(len(classes), 1), np.nan_to_num(mean)
    number = {one: at for at, one in enumerate(classes.tolist())}
    place = owner * count + np.array([number[one] for one in label.tolist()], np.int64)
    n = np.bincount(place, sums["n"], groups * count).reshape(groups, count)
    whole = every["n"] if len(classes) else np.zeros(1)
    is_left = n < whole
    of_class = []
    for k in _POWERS:
        own, known = (sum_by(place, sums[f"{name}_{k}"], groups * count).reshape(groups, count) for name in _NAMES)
        left = np.where(is_left, (every[f"base_{k}"] if len(classes) else 0.0) - known, 0.0)
        of_class.append(own + (-value[:, None]) ** k * left)
    square, third, fourth = (each.sum(axis=1) for each in of_class)
    is_none = square <= _ROUNDING * value**2 * every["base_2"].sum()
    square[is_none] = third[is_none] = fourth[is_none] = 0.0
    doubt = (np.maximum(of_class[0], 0.0) ** 2 / np.maximum(whole, 1)).sum(axis=1)
    behind = np.full(groups, float(whole.sum()))
    np.divide(square**2, doubt, out=behind, where=(square > 0) & (doubt > 0) & (count > 1))
    first, second, last = powers
    n_effective = first**2 / second if second > 0 else 0.0
    is_enough = bool(second**2 >= LEAST * last * (1 - _NEAR) > 0)
    return Moments(square, third, fourth, behind, int(whole.sum()), n_effective, is_enough)
