"""Calls in sequence that could be parallel: two calls that a span makes one after the other, in either order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.attributes import join
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Occurrences, Pattern, caller_of, path_ns
from tracekit.checks.patterns.repeated import repeated
from tracekit.stats.grouping import sum_by
from tracekit.text import clean

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # times in each order
_EITHER: Final = 0.2  # of the times in each order, at least


def _detect(case: Case) -> Occurrences:
    """Return such pairs; the cost is the shorter call of both on the critical path."""
    caller, first, second = _neighbours(case)
    name = join([case.traces.codes("service_name"), case.traces.codes("operation")])
    one, other, by = name.codes[first], name.codes[second], name.codes[caller]
    is_turned = one > other
    names = np.column_stack([by, np.minimum(one, other), np.maximum(one, other)])
    distinct, pair = np.unique(names, axis=0, return_inverse=True)
    total, turned = np.bincount(pair, minlength=len(distinct)), sum_by(pair, is_turned, len(distinct))
    rarer = np.minimum(total - turned, turned)
    at = ((rarer >= _FEWEST) & (rarer >= _EITHER * total))[pair] & (one != other)
    left, right = np.where(is_turned, second, first)[at], np.where(is_turned, first, second)[at]
    on_path = path_ns(case)
    cost = np.minimum(on_path[left], on_path[right])
    return Occurrences(caller[at], left, np.full(len(left), 2), cost, name.take(right))


def _neighbours(case: Case) -> tuple[Array, Array, Array]:
    """Return spans with two calls of theirs that follow each other: the second starts when the first has ended."""
    found, spans = case.result(repeated), case.traces.columns.spans
    caller, row = found.parent[found.group], found.row
    order = np.lexsort((row, spans.start_ns[row], caller))
    caller, row = caller[order], row[order]
    follows = (np.diff(caller) == 0) & (spans.start_ns[row[1:]] >= spans.end_ns[row[:-1]])
    return caller[1:][follows], row[:-1][follows], row[1:][follows]


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls could be parallel."""
    return (
        f"Sequential calls: {caller_of(row)} calls {name_of(row)} and {clean(row['detail'], limit=80)} one after the "
        "other, in either order, so that neither needs the result of the other,"
    )


SEQUENTIAL_CALLS: Final = Pattern(
    "patterns.sequential_calls",
    _detect,
    _say,
    remedy="Make both calls at the same time.",
    method="Each order in at least 20% of cases; cost: the shorter of both calls on the critical path.",
)
