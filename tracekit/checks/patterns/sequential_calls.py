"""Calls in sequence that could be parallel: two calls that a span makes one after the other, in either order."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes, join, text_hashes
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.repeated import called, neighbours
from tracekit.checks.patterns.sums import Occurrences
from tracekit.stats.distinct_counts import hash_of_pairs
from tracekit.stats.grouping import sum_by
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # times in each order
_EITHER: Final = 0.2  # of the times in each order, at least


class _Pairs(NamedTuple):
    """Calls of two kinds one after the other, one entry each.

    Parameters
    ----------
    caller, left, right
        Rows of the caller and of both calls, in the order of their names.
    is_turned
        Whether the call on the right is the earlier one.
    pair
        Hash (uint64) of the names of the caller and of both calls.
    """

    caller: Array
    left: Array
    right: Array
    is_turned: Array
    pair: Array


def _pairs(case: Case) -> _Pairs:
    """Return the calls of two kinds that follow each other."""
    caller, first, second = case.result(neighbours)
    row, count = np.concatenate([first, second, caller]), len(caller)
    columns = case.traces.codes("service_name"), case.traces.codes("operation"), case.result(called)
    names = [column.take(row).used() for column in columns]
    place = _places(names)
    at = np.flatnonzero(place[:count] != place[count : 2 * count])
    is_turned = place[at] > place[at + count]
    left, right, caller = at + count * is_turned, at + count * ~is_turned, at + 2 * count
    pair = hash_of_pairs(_hashes(names[:2], caller), hash_of_pairs(_hashes(names, left), _hashes(names, right)))
    return _Pairs(row[caller], row[left], row[right], is_turned, pair)


def _places(names: Sequence[Codes]) -> Array:
    """Return the place of each row in the order of its names; a missing one is an empty text."""
    place = np.zeros(len(names[0].codes), np.int64)
    for column in names:
        is_without = column.labels[:1] != [""]
        place = place * (len(column.labels) + 1) + np.maximum(column.codes + is_without, 0)
    return place


def _hashes(names: Sequence[Codes], at: Array) -> Array:
    """Return a hash of the names of some rows, the same in every part."""
    return reduce(hash_of_pairs, [text_hashes(column.take(at)) for column in names])


class _Orders(NamedTuple):
    """How often two kinds of calls follow each other, and how often in the reverse order; by ``_Pairs.pair``."""

    pair: Array
    total: Array
    turned: Array

    @classmethod
    def of(cls, pair: Array, total: Array, turned: Array) -> _Orders:
        """Return the sums of each pair."""
        distinct, place = np.unique(pair, return_inverse=True)
        return cls(distinct, *(sum_by(place, each, len(distinct)).astype(np.int64) for each in (total, turned)))

    def plus(self, other: _Orders) -> _Orders:
        """Return those of two parts."""
        return _Orders.of(*(np.append(*each) for each in zip(self, other, strict=True)))


def _orders(case: Case) -> _Orders:
    """Return how often the calls of a part follow each other: 24 bytes for each caller with two kinds of calls."""
    found = case.result(_pairs)
    return _Orders.of(found.pair, np.ones(len(found.pair), np.int64), found.is_turned)


def _in_either(_: Case, found: _Orders) -> Array:
    """Return the pairs that are frequent enough in either order."""
    rarer = np.minimum(found.total - found.turned, found.turned)
    return np.asarray(found.pair[(rarer >= _FEWEST) & (rarer >= _EITHER * found.total)])


_IN_EITHER: Final[Merged[Array]] = Merged(_orders, _Orders.plus, _in_either)


def _detect(case: Case) -> Occurrences:
    """Return the pairs in either order; the cost is the shorter call of both on the critical path."""
    chosen, none = case.result(_IN_EITHER), np.zeros(0, np.int64)
    if not len(chosen):  # most recordings: the rest is expensive
        return Occurrences(none, none, none, none, Codes(none, []))
    found = case.result(_pairs)
    at = np.isin(found.pair, chosen)
    left, right = found.left[at], found.right[at]
    cost = np.minimum(path_ns_of(case, left), path_ns_of(case, right))
    service, operation, callee = (
        codes.take(right)
        for codes in (case.traces.codes("service_name"), case.traces.codes("operation"), case.result(called))
    )
    names = join([join([service, operation]), callee], " calling ")
    return Occurrences(found.caller[at], left, np.full(len(left), 2), cost, names)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls could be parallel."""
    return (
        f"Sequential calls: {caller_of(row)} calls {call_of(row)} and {clean(row['detail'], limit=80)} one after the "
        "other, in either order, so that neither needs the result of the other,"
    )


SEQUENTIAL_CALLS: Final = Pattern(
    "patterns.sequential_calls",
    _detect,
    _say,
    remedy="Make both calls at the same time.",
    method="Each order in at least 20% of cases; cost: the shorter of both calls on the critical path.",
    needs=(_IN_EITHER,),
)
