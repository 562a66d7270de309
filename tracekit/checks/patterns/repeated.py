"""Equal calls of one span, found once for all patterns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.callees import called_services
from tracekit.analysis.siblings import CallRows, Siblings, calls_of, siblings

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array


class Neighbours(NamedTuple):
    """Two calls of one span, the second of which starts when the first has ended; rows of ``spans``."""

    caller: Array
    first: Array
    second: Array


def called(case: Case) -> Codes:
    """Return the service that each span calls."""
    return called_services(case.traces)


def calls(case: Case) -> CallRows:
    """Return the calls of every span."""
    return calls_of(case.traces)


def repeated(case: Case) -> Siblings:
    """Return the same grouped by operation."""
    return siblings(case.traces, case.result(called), case.result(calls))


def retried(case: Case) -> Array:
    """Return which calls of ``repeated`` failed before the same span made the same call again."""
    found = case.result(repeated)
    failed = case.traces.is_error[found.row]
    again = np.zeros(len(failed), bool)
    again[:-1] = found.follows[1:]
    return np.asarray(failed & again)


def neighbours(case: Case) -> Neighbours:
    """Return the calls that follow each other directly in the order of their starts."""
    found, spans = case.result(calls), case.traces.columns.spans
    later = np.flatnonzero(found.parent[1:] == found.parent[:-1]) + 1
    first, second = found.row[later - 1], found.row[later]
    follows = spans.start_ns[second] >= spans.end_ns[first]
    return Neighbours(found.parent[later[follows]], first[follows], second[follows])
