"""Calls in sequence that could be parallel: two calls that a span makes one after the other, in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.attributes import join
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of, kinds
from tracekit.checks.patterns.paths import path_ns
from tracekit.checks.patterns.repeated import called, neighbours
from tracekit.checks.patterns.sums import KEYS, Occurrences, labels_of, totals
from tracekit.checks.shares import added
from tracekit.stats.grouping import dense_codes, group_labels, positions
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.stats.aggregates import Aggregate

_FEWEST: Final = 5  # times in each order
_EITHER: Final = 0.2  # of the times in each order, at least


class _Pairs(NamedTuple):
    """Calls one after the other, one entry each: rows, kinds, and whether the later name comes first.

    Parameters
    ----------
    caller, left, right
        Rows of the caller and of both calls, in the order of their names.
    is_turned
        Whether the call on the right is the earlier one.
    pair
        Number of the pair of kinds.
    keys
        Names of each pair of kinds: ``KEYS`` of the call on the left, and service, operation and callee of the other.
    """

    caller: Array
    left: Array
    right: Array
    is_turned: Array
    pair: Array
    keys: pd.DataFrame


def _pairs(case: Case) -> _Pairs:
    """Return the calls of two kinds that follow each other."""
    caller, first, second = case.result(neighbours)
    kind = case.result(kinds)
    names = kind.names
    rank, _ = group_labels(labels_of(names), KEYS, len(names))
    differ = kind.by_row[first] != kind.by_row[second]
    caller, first, second = caller[differ], first[differ], second[differ]
    is_turned = rank[kind.by_row[first]] > rank[kind.by_row[second]]
    left, right = np.where(is_turned, second, first), np.where(is_turned, first, second)
    size = max(len(names), 1)
    pair, distinct = dense_codes(kind.by_row[left] * size + kind.by_row[right], size**2)
    one, other = (names.take(at).reset_index(drop=True) for at in (distinct // size, distinct % size))
    keys = one.assign(**{f"other_{name}": other[name] for name in KEYS[2:]})
    return _Pairs(caller, left, right, is_turned, pair, keys)


def _orders(case: Case) -> Aggregate:
    """Return how often two kinds of calls follow each other, and how often in the reverse order."""
    found = case.result(_pairs)
    count = len(found.keys)
    turned = np.bincount(found.pair[found.is_turned], minlength=count)
    return totals(found.keys, {"total": np.bincount(found.pair, minlength=count), "turned": turned})


_ORDERS: Final[Merged[Aggregate]] = Merged(_orders, added)


def _detect(case: Case) -> Occurrences:
    """Return the pairs in either order; the cost is the shorter call of both on the critical path."""
    found, known = case.result(_pairs), case.result(_ORDERS)
    own = labels_of(found.keys)
    place = positions(known.keys, own, list(own))
    total, turned = (known.sums[name][place] for name in ("total", "turned"))
    rarer = np.minimum(total - turned, turned)
    at = ((rarer >= _FEWEST) & (rarer >= _EITHER * total))[found.pair]
    left, right = found.left[at], found.right[at]
    on_path = path_ns(case)
    cost = np.minimum(on_path[left], on_path[right])
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
    needs=(_ORDERS,),
)
