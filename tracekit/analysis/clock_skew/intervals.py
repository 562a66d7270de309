"""Intersection of many intervals for one number, and offsets of clocks from offsets of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.ragged import Ragged

if TYPE_CHECKING:
    from tracekit.columns import Array

_ROUNDING = 1e-9


class Agreement(NamedTuple):
    """One entry per group: the ends of the agreed interval, the number of intervals, and the fraction that agrees."""

    low: Array
    high: Array
    size: Array
    ratio: Array


class Placement(NamedTuple):
    """One entry per node: its offset with its interval; ``placed`` is false if no pair leads to it."""

    offset: Array
    low: Array
    high: Array
    placed: Array
    is_disputed: Array


def agree(
    group: Array, low: Array, high: Array, *, async_ratio: float | Array, weight: Array | None = None
) -> Agreement:
    """Return for every group the range of numbers that enough of its intervals contain.

    Marzullo's algorithm as in NTP (Marzullo 1984; RFC 5905, section 11.2.1).  It contains the true value if at most
    ``async_ratio`` of the intervals do not.
    """
    count = np.bincount(group)
    groups, n = np.arange(len(count)), len(group)
    moment, owner = np.concatenate((low, high)), np.concatenate((group, group))
    step = np.ones(2 * n) if weight is None else np.concatenate((weight, weight))
    step[n:] *= -1
    order = np.lexsort((-step, moment, owner))  # an interval that opens where another closes overlaps it
    moment, owner, depth = moment[order], owner[order], np.cumsum(step[order])  # 0 after every group
    begin = np.searchsorted(owner, groups)
    total = count if weight is None else np.bincount(group, weight)
    best = np.maximum.reduceat(depth, begin) if n else total
    need = np.minimum(best, (1 - async_ratio) * total) - _ROUNDING
    inside = np.flatnonzero(depth >= need[owner])
    first = inside[np.searchsorted(owner[inside], groups)]
    last = inside[np.searchsorted(owner[inside], groups, side="right") - 1]
    return Agreement(moment[first], moment[last + 1], count, best / total)


def place(above: Array, below: Array, low: Array, high: Array, reference: Array) -> Placement:
    """Return the offset of every node from its reference, following pairs outward, in ns."""
    count = len(reference)
    source, target = np.concatenate((above, below)), np.concatenate((below, above))
    low, high = np.concatenate((low, -high)), np.concatenate((high, -low))
    order = np.argsort(source, kind="stable")
    pairs = Ragged.from_counts(np.bincount(source, minlength=count), order)
    offset, inner, outer = np.zeros((3, count), np.int64)
    found = Placement(offset, inner, outer, reference.copy(), np.zeros(count, bool))
    front = np.flatnonzero(reference)
    while len(front):
        reached = order[pairs.positions(front)]
        reached = reached[~found.placed[target[reached]]]
        front = _propagate(found, source[reached], target[reached], low[reached], high[reached])
    return found


def _propagate(found: Placement, source: Array, target: Array, low: Array, high: Array) -> Array:
    """Enter, in place, the offsets of targets of pairs with known sources; return these targets."""
    nodes, at = np.unique(target, return_inverse=True)
    point_low, point_high = within(at, found.offset[source] + low, found.offset[source] + high, len(nodes))
    sure_low, sure_high = found.low[source] + low, found.high[source] + high
    inner_low, inner_high = within(at, sure_low, sure_high, len(nodes))
    outer_high, outer_low = within(at, sure_high, sure_low, len(nodes))
    disputed = inner_low > inner_high
    middle = point_low + (point_high - point_low) // 2
    nearest = np.clip(0, np.minimum(point_low, point_high), np.maximum(point_low, point_high))
    found.offset[nodes] = np.where(np.abs(middle) < 2 * np.abs(nearest), middle, 2 * nearest)
    found.low[nodes] = np.where(disputed, outer_low, inner_low)
    found.high[nodes] = np.where(disputed, outer_high, inner_high)
    found.is_disputed[nodes], found.placed[nodes] = disputed, True
    return nodes


def within(at: Array, low: Array, high: Array, groups: int) -> tuple[Array, Array]:
    """Return the largest low and the smallest high of every group; with swapped arguments, the ends of the hull."""
    most, least = np.full(groups, np.iinfo(np.int64).min), np.full(groups, np.iinfo(np.int64).max)
    np.maximum.at(most, at, low)
    np.minimum.at(least, at, high)
    return most, least
