"""Calls in sequence that could be parallel: two calls that a span makes one after the other, in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.attributes import join
from tracekit.checks.patterns.occurrences import Occurrences, Pattern, call_of, caller_of, kinds, path_ns
from tracekit.checks.patterns.repeated import neighbours, repeated
from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case

_FEWEST: Final = 5  # times in each order
_EITHER: Final = 0.2  # of the times in each order, at least


def _detect(case: Case) -> Occurrences:
    """Return such pairs; the cost is the shorter call of both on the critical path."""
    caller, first, second = case.result(neighbours)
    kind = case.result(kinds)
    one, other, size = kind.by_row[first], kind.by_row[second], len(kind.names)
    is_turned = one > other
    pair, distinct = dense_codes(np.minimum(one, other) * size + np.maximum(one, other), max(size**2, 1))
    total, turned = np.bincount(pair, minlength=len(distinct)), sum_by(pair, is_turned, len(distinct))
    rarer = np.minimum(total - turned, turned)
    at = ((rarer >= _FEWEST) & (rarer >= _EITHER * total))[pair] & (one != other)
    left, right = np.where(is_turned, second, first)[at], np.where(is_turned, first, second)[at]
    on_path = path_ns(case)
    cost = np.minimum(on_path[left], on_path[right])
    service, operation, callee = (
        codes.take(right)
        for codes in (case.traces.codes("service_name"), case.traces.codes("operation"), case.result(repeated).callee)
    )
    names = join([join([service, operation]), callee], " calling ")
    return Occurrences(caller[at], left, np.full(len(left), 2), cost, names)


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
)
