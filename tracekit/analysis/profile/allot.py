"""Whole numbers in proportion to weights, by largest remainder: exact for any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tracekit.columns import Array


def allotted(total: Array, owner: Array, weight: Array) -> Array:
    """Return the part of each entry in the total of its owner.

    Parameters
    ----------
    total
        int64, at least 0, one per owner.
    owner
        int64, one per entry, sorted.
    weight
        int64, above 0, one per entry.

    Returns
    -------
    numpy.ndarray
        int64: parts of an owner sum to its total, and each is the exact proportion rounded up or down. Units left over
        go to the largest fractions, of equal ones to the first.

    Examples
    --------
    >>> allotted(np.array([10, 5]), np.array([0, 0, 0, 1]), np.array([1, 1, 1, 7])).tolist()
    [4, 3, 3, 5]
    """
    if not len(owner):
        return np.zeros(0, np.int64)
    sums = np.zeros(len(total), np.int64)
    np.add.at(sums, owner, weight)
    whole, over, share = total[owner], sums[owner], weight
    if float(total.max()) * float(weight.max()) >= 2.0**62:
        whole, over, share = whole.astype(object), over.astype(object), weight.astype(object)  # exact in any size
    product = whole * share
    part, rest = product // over, product % over
    left = total.copy()
    np.subtract.at(left, owner, part.astype(np.int64))
    order = np.lexsort((np.arange(len(owner)), -rest.astype(np.int64), owner))
    first = np.searchsorted(owner, np.arange(len(total)))
    rank = np.empty(len(owner), np.int64)
    rank[order] = np.arange(len(owner)) - first[owner[order]]
    return np.asarray(part.astype(np.int64) + (rank < left[owner]))
