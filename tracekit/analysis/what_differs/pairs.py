"""Pairs of values that together set traces apart more than either alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.what_differs.membership import Membership
from tracekit.analysis.what_differs.shares import counted, shares

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.analysis.what_differs.shares import Counted, Shares
    from tracekit.columns import Array

_BLOCK = 1 << 16  # traces


class Pairs(NamedTuple):
    """Pairs of values, the first with the smaller number.

    Parameters
    ----------
    first, second
        Numbers of the values.
    both
        Traces of the first side that have both.
    counts
        How many traces of each side have both.
    shares
        Shares of traces with both.
    gain_p_value
        That the pair says no more than one of its values: the larger of two, each among the traces with one value.
    """

    first: Array
    second: Array
    both: Membership
    counts: tuple[Counted, Counted]
    shares: Shares
    gain_p_value: Array


def pairs(
    sides: tuple[Side, Side], found: tuple[Membership, Membership], chosen: Array, *, confidence: float
) -> Pairs | None:
    """Return the pairs of some values of different keys that differ more than either; None without any.

    ``found`` are the memberships of both sides, in one numbering.
    """
    tables = [_table(side, member, chosen) for side, member in zip(sides, found, strict=True)]
    first, second = np.triu_indices(len(chosen), 1)
    inside = [_together(table, side.chosen) for table, side in zip(tables, sides, strict=True)]
    alone = [np.diag(each) for each in inside]
    keys = np.array([found[0].keys[at] for at in chosen], object)
    is_pair = keys[first] != keys[second]
    is_pair &= (inside[0][first, second] + inside[1][first, second]) >= _LEAST
    is_pair &= _is_more(inside, alone, first, second, [side.trace_count for side in sides])
    first, second = first[is_pair], second[is_pair]
    if not len(first):
        return None
    members = [_members(table, first, second) for table in tables]
    counts = [
        counted(side, member.value, member.trace, len(first)) for side, member in zip(sides, members, strict=True)
    ]
    gain = np.maximum(*(_gain(sides, tables, own, members, confidence) for own in (first, second)))
    own = shares(counts[0], counts[1], confidence=confidence)
    return Pairs(chosen[first], chosen[second], members[0], (counts[0], counts[1]), own, gain)


_LEAST = 5  # traces with both values


def _table(side: Side, found: Membership, some: Array) -> Array:
    """Return which trace has which of some values, bool[values, traces]."""
    place = np.full(len(found.keys) + 1, -1)
    place[some] = np.arange(len(some))
    place[-1] = -1
    at = place[found.value]
    has = np.zeros((len(some), len(side.chosen)), bool)
    has[at[at >= 0], found.trace[at >= 0]] = True
    return has


def _together(has: Array, chosen: Array) -> Array:
    """Return how many chosen traces have both of two values, int64[values, values]."""
    rows = np.flatnonzero(chosen)
    total = np.zeros((len(has), len(has)))
    for low in range(0, len(rows), _BLOCK):
        part = has[:, rows[low : low + _BLOCK]].astype(np.float32)
        total += part @ part.T
    return np.rint(total).astype(np.int64)


def _is_more(inside: list[Array], alone: list[Array], first: Array, second: Array, sizes: list[int]) -> Array:
    """Return which pairs differ more between the sides than either value, as counted."""
    sizes = [max(size, 1) for size in sizes]
    together = np.abs(inside[0][first, second] / sizes[0] - inside[1][first, second] / sizes[1])
    each = np.abs(alone[0] / sizes[0] - alone[1] / sizes[1])
    return np.asarray(together > np.maximum(each[first], each[second]))


def _members(has: Array, first: Array, second: Array) -> Membership:
    """Return the traces with both values of each pair."""
    found = [np.flatnonzero(has[one] & has[two]) for one, two in zip(first.tolist(), second.tolist(), strict=True)]
    number = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    return Membership([""] * len(found), [""] * len(found), number, np.concatenate(found))


def _gain(
    sides: tuple[Side, Side], tables: list[Array], own: Array, members: list[Membership], confidence: float
) -> Array:
    """Return p values that, among the traces with one value of each pair, the other one makes no difference."""
    p_value = np.ones(len(own))
    for value in np.unique(own).tolist():
        mine = np.flatnonzero(own == value)
        place = np.full(len(own), -1)
        place[mine] = np.arange(len(mine))
        counts = []
        for side, has, member in zip(sides, tables, members, strict=True):
            among = side._replace(chosen=side.chosen & has[value])
            inside = place[member.value] >= 0
            counts.append(counted(among, place[member.value[inside]], member.trace[inside], len(mine)))
        p_value[mine] = np.nan_to_num(shares(counts[0], counts[1], confidence=confidence).p_value, nan=1.0)
    return p_value
