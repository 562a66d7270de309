"""Equal calls of one span, found once for all patterns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.callees import called_services
from tracekit.analysis.siblings import Siblings, siblings
from tracekit.stats.grouping import stable_order

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


def repeated(case: Case) -> Siblings:
    """Return the calls of every span, grouped by operation."""
    return siblings(case.traces, case.result(called))


def retried(case: Case) -> Array:
    """Return which calls of ``repeated`` failed before the same span made the same call again."""
    found = case.result(repeated)
    failed = case.traces.is_error[found.row]
    again = np.zeros(len(failed), bool)
    again[:-1] = found.follows[1:]
    return np.asarray(failed & again)


def neighbours(case: Case) -> Neighbours:
    """Return the calls that follow each other directly in the order of their starts."""
    found, spans = case.result(repeated), case.traces.columns.spans
    above = np.full(len(spans), -1, np.int64)
    above[found.row] = np.repeat(found.parent, found.call_count)
    row = np.flatnonzero(above >= 0)  # in order of trace and start
    row = row[stable_order(above[row], len(above))]
    follows = (np.diff(above[row]) == 0) & (spans.start_ns[row[1:]] >= spans.end_ns[row[:-1]])
    return Neighbours(above[row[1:][follows]], row[:-1][follows], row[1:][follows])
