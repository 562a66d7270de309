"""Time-outs: failed calls that all last the same time, longer than almost all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.patterns.occurrences import (
    Occurrences,
    Pattern,
    call_of,
    caller_of,
    pairs_of,
    path_ns,
)
from tracekit.checks.patterns.repeated import repeated
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # failed calls that last the same
_WIDTH: Final = 1.05  # longest per shortest of calls that last the same
_SHARE: Final = 0.5  # of the failed calls last that long
_LONGER: Final = 0.02  # of all calls last longer, at most
_SUCCEEDED: Final = 0.2  # successful calls that last that long, per failed one, at most
_SHORTEST_NS: Final = 10_000_000  # no time-out is shorter


def _detect(case: Case) -> Occurrences:
    """Return the failed calls that last as long as the time-out of their operation; the cost is their time."""
    found, traces = case.result(repeated), case.traces
    caller, took, failed = found.parent[found.group], traces.duration_ns[found.row], traces.is_error[found.row]
    pair, keys = pairs_of(case, caller, found.row)
    order = np.argsort(pair, kind="stable")
    edges = np.searchsorted(pair[order], np.arange(len(keys) + 1))
    often = np.flatnonzero(np.bincount(pair[failed], minlength=len(keys)) >= _FEWEST)
    parts = [_at_the_limit(order[edges[k] : edges[k + 1]], took, failed) for k in often]
    at = np.concatenate([np.zeros(0, np.int64), *parts])
    return Occurrences(caller[at], found.row[at], took[at], path_ns(case)[found.row[at]])


def _at_the_limit(call: Array, took: Array, failed: Array) -> Array:
    """Return the failed calls of one operation that last the same time, if that is a time-out."""
    ended = np.sort(took[call[failed[call]]])
    high = np.searchsorted(ended, ended * _WIDTH, "right")
    inside = high - np.arange(len(ended))
    first = int(inside.argmax())
    low_ns, high_ns = ended[first], ended[high[first] - 1]
    is_inside = (took[call] >= low_ns) & (took[call] <= high_ns)
    succeeded = int((is_inside & ~failed[call]).sum())
    is_time_out = (
        inside[first] >= max(_FEWEST, _SHARE * len(ended))
        and low_ns >= _SHORTEST_NS
        and (took[call] > high_ns).mean() <= _LONGER
        and succeeded <= _SUCCEEDED * inside[first]
    )
    return np.asarray(call[is_inside & failed[call]]) if is_time_out else np.zeros(0, np.int64)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls end after which time."""
    return f"Time-outs: calls of {caller_of(row)} to {call_of(row)} fail after {duration(row['size_p50'])}"


TIME_OUTS: Final = Pattern(
    "patterns.time_outs",
    _detect,
    _say,
    remedy="Find out why the callee does not answer in that time; the time-out limits the damage and is not its cause.",
    method="At least half of the failed calls last the same time (within 5%), and at most 2% of all calls longer.",
)
