"""Rows by group: labels to numbers, sums, distinct counts.  Keys are packed into one integer and looked up at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.on_demand import pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Sized

    from tracekit.schema import Array

_PACKED, _SMALL = 1 << 62, 1 << 31
_BITS = 63  # of a key that is not negative
_TABLE = 1 << 20  # cells that a look-up table may always have, ...
_FEW = 1 << 16  # so many keys are sorted in less time than pandas takes to import
_SAMPLE = 1 << 10  # keys that say whether there are few different ones
_CELLS = 4  # ... and how many for each entry beyond that: a table is several times cheaper than a hash or a sort


def dense_codes(key: Array, size: int) -> tuple[Array, Array]:
    """Return the keys numbered without gaps, in their order.

    Parameters
    ----------
    key
        int64, 0 or more.
    size
        More than the largest key.

    Returns
    -------
    tuple of numpy.ndarray
        The number of each entry's key, and the keys by number.

    Examples
    --------
    >>> dense_codes(np.array([40, 7, 40]), 100)
    (array([1, 0, 1]), array([ 7, 40]))
    """
    if size > max(_TABLE, _CELLS * len(key)):
        bits = len(key).bit_length()
        if size.bit_length() + bits < _BITS and not _occurs_often(key):
            return _sorted_codes(key, bits)
        if len(key) <= _FEW:
            found, codes = np.unique(key, return_inverse=True)
            return codes, np.asarray(found, np.int64)
        codes, found = pd.factorize(key, sort=True)
        return codes, np.asarray(found, np.int64)
    seen = np.zeros(size, bool)
    seen[key] = True
    found = np.flatnonzero(seen)
    number = np.empty(size, np.int64)
    number[found] = np.arange(len(found))
    return number[key], found


def _occurs_often(key: Array) -> bool:
    """Return whether a key of many occurs several times, by a sample of them: a hash finds few in less time."""
    sample = key[:: len(key) // _SAMPLE + 1]
    return len(key) > _FEW and 2 * len(distinct(sample)) < len(sample)


def _sorted_codes(key: Array, bits: int) -> tuple[Array, Array]:
    """Return ``dense_codes``, of keys that are sorted with their positions, which have so many bits."""
    packed = _packed_order(key, bits)
    positions = packed & ((1 << bits) - 1)
    packed >>= bits
    is_first = _changes(packed)
    codes = np.empty(len(key), np.int64)
    codes[positions] = np.cumsum(is_first) - 1
    return codes, packed[is_first]


def _packed_order(key: Array, bits: int) -> Array:
    """Return the keys, sorted, each with its position in the lowest bits."""
    packed = key.astype(np.int64)
    packed <<= bits
    packed |= np.arange(len(key))
    packed.sort()
    return packed


def _changes(values: Array) -> Array:
    """Return which values differ from the one before."""
    is_new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new


def distinct(values: Array) -> Array:
    """Return the different numbers, sorted.

    Parameters
    ----------
    values
        Numbers without NaN.

    Returns
    -------
    numpy.ndarray
        As ``np.unique``, which puts integers into a hash table first: that takes several times as long if most differ.

    Examples
    --------
    >>> distinct(np.array([40, 7, 40]))
    array([ 7, 40])
    """
    ascending = np.sort(values)
    return np.asarray(ascending[_changes(ascending)])


def counted(key: Array, size: int) -> Array:
    """Return how often each key occurs, as ``numpy.bincount``, which copies keys of fewer than 64 bits: here in steps.

    Parameters
    ----------
    key
        Integers, 0 or more.
    size
        More than the largest key.

    Returns
    -------
    numpy.ndarray
        int64, one per key.

    Examples
    --------
    >>> counted(np.array([2, 0, 2], np.int32), 4)
    array([1, 0, 2, 0])
    """
    total = np.zeros(size, np.int64)
    step = max(_TABLE, size)
    for low in range(0, len(key), step):
        found = np.bincount(key[low : low + step])
        total[: len(found)] += found
    return total


def key_counts(key: Array, size: int) -> tuple[Array, Array]:
    """Return the keys that occur, in their order, and how often each does.

    Parameters
    ----------
    key
        Integers, 0 or more; those of 32 bits are sorted in half the time.
    size
        More than the largest key.

    Returns
    -------
    tuple of numpy.ndarray
        int64, one entry per key that occurs.

    Examples
    --------
    >>> key_counts(np.array([40, 7, 40], np.uint32), 100)
    (array([ 7, 40]), array([1, 2]))
    """
    if size <= _TABLE:
        often = counted(key, size)
        found = np.flatnonzero(often)
        return found, often[found]
    key = np.sort(key)
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    return key[first].astype(np.int64), np.diff(first, append=len(key))


def stable_order(key: Array, size: int) -> Array:
    """Return the positions of the keys in their order, equal ones in the order of the positions.

    Parameters
    ----------
    key
        Integers, 0 or more.
    size
        More than the largest key.

    Returns
    -------
    numpy.ndarray
        int64, as ``np.argsort(key, kind="stable")``; where key and position fit into 63 bits they are sorted together,
        which is several times faster.

    Examples
    --------
    >>> stable_order(np.array([40, 7, 40, 7]), 100)
    array([1, 3, 0, 2])
    """
    bits = len(key).bit_length()
    if size.bit_length() + bits >= _BITS:
        return np.argsort(key, kind="stable")
    packed = _packed_order(key, bits)
    packed &= (1 << bits) - 1
    return packed


def places(*keys: Array, then: Array | None = None) -> Array:
    """Return the place of each row among those with the same keys, from 0 on.

    Parameters
    ----------
    keys
        Columns of one length.
    then
        The order of rows with the same keys; of equal ones, and by default, that of the rows.

    Returns
    -------
    numpy.ndarray
        int64, one per row.

    Examples
    --------
    >>> places(np.array([7, 5, 7, 7]), then=np.array([3, 1, 1, 2])).tolist()
    [2, 0, 0, 1]
    """
    order = np.lexsort((*(() if then is None else (then,)), *reversed(keys)))
    is_new = np.ones(len(order), bool)
    is_new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    first = np.flatnonzero(is_new)
    found = np.empty(len(order), np.int64)
    found[order] = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
    return found


def group_codes(columns: Mapping[str, tuple[Array, Sequence[Any]]], rows: int) -> tuple[Array, dict[str, Array]]:
    """Return the group of every row: rows with equal labels in all columns share one.

    Parameters
    ----------
    columns
        By name, codes (from -1 = missing) and the labels they mean.
    rows
        Number of rows, for the case without columns.

    Returns
    -------
    tuple of numpy.ndarray and dict
        Group of each row (int64, in the order of the codes, missing ones first), and by column the labels of each group
        (object, None where missing).

    Examples
    --------
    >>> group, keys = group_codes({"service_name": (np.array([1, 0, 1]), ["cart", "shop"])}, 3)
    >>> group, keys["service_name"].tolist()
    (array([1, 0, 1]), ['cart', 'shop'])
    """
    group, found, packed = _packed(columns, rows)
    return group, _labels(found, columns, packed)


def group_numbers(columns: Mapping[str, tuple[Array, Sized]], rows: int) -> tuple[Array, int]:
    """Return the group of every row as ``group_codes`` does, and the number of groups, without their labels.

    Parameters
    ----------
    columns
        By name, codes (from -1 = missing) and the labels they mean.
    rows
        Number of rows, for the case without columns.

    Returns
    -------
    tuple of numpy.ndarray and int
        Group of each row, int64, and the number of groups.

    Examples
    --------
    >>> group_numbers({"service_name": (np.array([1, 0, 1]), ["cart", "shop"])}, 3)
    (array([1, 0, 1]), 2)
    """
    group, found, _ = _packed(columns, rows)
    return group, len(found)


def _packed(columns: Mapping[str, tuple[Array, Sized]], rows: int) -> tuple[Array, Array, dict[str, Array]]:
    """Return the group of every row, the packed key of each group, and the parts of it that were packed before."""
    total = math.prod(len(labels) + 1 for _, labels in columns.values())
    key: Array = np.zeros(rows, np.int32 if total < _SMALL else np.int64)
    span = 1
    packed: dict[str, Array] = {}
    for name, (codes, labels) in columns.items():
        if span * (len(labels) + 1) >= _PACKED:
            key, packed[name] = dense_codes(key, span)
            span = len(packed[name])
        key *= len(labels) + 1
        key += codes
        key += 1
        span *= len(labels) + 1
    return *dense_codes(key, span), packed


def group_rows(columns: Mapping[str, tuple[Array, Sequence[Any]]], rows: int) -> tuple[Array, pd.DataFrame]:
    """Return the same as ``group_codes``, the labels as a frame.

    Parameters
    ----------
    columns
        By name, codes (from -1 = missing) and the labels they mean.
    rows
        Number of rows, for the case without columns.

    Returns
    -------
    tuple of numpy.ndarray and pandas.DataFrame
        Group of each row, and one row per group.

    Examples
    --------
    >>> group_rows({"service_name": (np.array([1, 0, 1]), ["cart", "shop"])}, 3)[1]["service_name"].tolist()
    ['cart', 'shop']
    """
    group, labels = group_codes(columns, rows)
    return group, pd.DataFrame(labels, index=pd.RangeIndex(int(group.max(initial=-1)) + 1), dtype=object)


def _labels(
    key: Array, columns: Mapping[str, tuple[Array, Sequence[Any]]], packed: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the labels of packed keys; ``packed`` contains the parts of the key before each column."""
    found = {}
    for name, (_, labels) in reversed(list(columns.items())):
        key, code = np.divmod(key, len(labels) + 1)
        found[name] = np.array([None, *labels], object)[code]
        key = packed[name][key] if name in packed else key
    return {name: found[name] for name in columns}


def group_labels(keys: Mapping[str, Array], columns: Sequence[str], rows: int) -> tuple[Array, dict[str, Array]]:
    """Return the group of every row by its labels.

    Parameters
    ----------
    keys
        Labels by column, None where missing.
    columns
        Some of the columns.
    rows
        Number of rows, for the case without columns.

    Returns
    -------
    tuple of numpy.ndarray and dict
        As ``group_codes``: groups in the order of their labels, missing ones first.

    Examples
    --------
    >>> group_labels({"name": np.array(["b", None, "a", "b"], object)}, ["name"], 4)[0]
    array([2, 0, 1, 2])
    """
    coded = {name: pd.factorize(keys[name], sort=True) for name in columns}
    return group_codes({name: (codes, labels.tolist()) for name, (codes, labels) in coded.items()}, rows)


def positions(keys: Mapping[str, Array], wanted: Mapping[str, Array], columns: Sequence[str]) -> Array:
    """Return the row of ``keys`` that has the labels of each wanted row, -1 without one.

    Parameters
    ----------
    keys
        Labels by column, None where missing; each row once.
    wanted
        The same of other rows.
    columns
        Some of the columns, at least one.

    Returns
    -------
    numpy.ndarray
        int64, one per wanted row.

    Examples
    --------
    >>> known = {"name": np.array([None, "a", "b"], object)}
    >>> positions(known, {"name": np.array(["b", "c", None], object)}, ["name"])
    array([ 2, -1,  0])
    """
    known = len(keys[columns[0]])
    coded = {name: pd.factorize(np.concatenate([keys[name], wanted[name]])) for name in columns}
    group, groups = group_numbers(coded, known + len(wanted[columns[0]]))
    place = np.full(groups, -1, np.int64)
    place[group[:known]] = np.arange(known)
    return place[group[known:]]


def sum_by(group: Array, values: Array | float, groups: int) -> Array:
    """Return the sum of the values of each group.

    Parameters
    ----------
    group
        Group of each value, ``0 .. groups - 1``.
    values
        Numbers, or one number that all entries share.
    groups
        Number of groups.

    Returns
    -------
    numpy.ndarray
        float64, also where there is nothing to add.

    Examples
    --------
    >>> sum_by(np.array([1, 1]), np.array([2.0, 3.0]), 3)
    array([0., 5., 0.])
    >>> sum_by(np.array([1, 1]), 2.0, 3)
    array([0., 4., 0.])
    """
    if np.ndim(values) == 0:
        return np.asarray(np.bincount(group, minlength=groups) * float(values))
    return np.bincount(group, values, groups).astype(np.float64, copy=False)


def sum_runs(starts: Array, values: Array) -> Array:
    """Return the sum of the values of each group, where those of a group are next to each other.

    Parameters
    ----------
    starts
        The first value of each group, ascending; the last group ends with the values.
    values
        Numbers.

    Returns
    -------
    numpy.ndarray
        float64, 0 for a group without values.

    Examples
    --------
    >>> sum_runs(np.array([0, 2, 2]), np.array([1.0, 2.0, 4.0]))
    array([3., 0., 4.])
    """
    found = np.zeros(len(starts))
    has_values = np.diff(starts, append=len(values)) > 0
    if has_values.any():
        found[has_values] = np.add.reduceat(values, starts[has_values])
    return found


def distinct_by(group: Array, item: Array, groups: int) -> Array:
    """Return the number of distinct items of each group.

    Parameters
    ----------
    group
        Group of each entry, ``0 .. groups - 1``.
    item
        Item of each entry, 0 or more.
    groups
        Number of groups.

    Returns
    -------
    numpy.ndarray
        int64.

    Examples
    --------
    >>> distinct_by(np.array([0, 0, 0, 1]), np.array([7, 7, 9, 7]), 3)
    array([2, 1, 0])
    """
    items = int(item.max(initial=0)) + 1
    if groups * items <= _CELLS * len(group):
        seen = np.zeros(groups * items, bool)
        seen[group * np.int64(items) + item] = True
        return np.asarray(seen.reshape(groups, items).sum(axis=1))
    small: Any = np.uint32 if groups * items < 1 << 32 else np.uint64
    key: Array = group.astype(small)
    key *= small(items)
    key += item.astype(small)
    key.sort()
    first = np.concatenate(([True], key[1:] != key[:-1])) if len(key) else np.zeros(0, bool)
    return np.bincount((key[first] // small(items)).astype(np.int64), minlength=groups)
