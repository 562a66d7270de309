"""Waits between caller and callee: for a connection, in a queue before the handler, or on the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.overview import overview
from tracekit.checks.patterns.occurrences import Occurrences, Pattern, caller_of, pairs_of
from tracekit.checks.patterns.served_calls import served_calls
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 20  # calls of one operation to another
_USUAL: Final = 0.1  # quantile of the times between caller and callee that is the network
_LONGER: Final = 5.0  # times the usual
_SHARE: Final = 0.2  # of the call, and of the latency of the affected requests
_OFTEN: Final = 0.05  # of the traces


def _detect(case: Case) -> Occurrences:
    """Return the calls with a wait; the cost is the time on the path between caller and callee beyond the usual."""
    traces, path = case.traces, case.result(overview).path
    call, row = case.result(served_calls)
    is_alone = np.diff(traces.forest.child_offsets)[call] == 1
    row, call = row[is_alone], call[is_alone]
    between = traces.duration_ns[call] - traces.duration_ns[row]
    usual = _usual_ns(case, call, row, between)
    at = (between >= _LONGER * usual) & (between >= _SHARE * traces.duration_ns[call])
    beyond = (between - usual)[at]
    return Occurrences(call[at], row[at], between[at], np.minimum(path.own_ns[call[at]], beyond))


def _usual_ns(case: Case, call: Array, row: Array, between: Array) -> Array:
    """Return the time between caller and callee of fast calls of the same operations; infinite for few calls."""
    pair, keys = pairs_of(case, call, row)
    order = np.lexsort((between, pair))
    count = np.bincount(pair, minlength=len(keys))
    first = np.cumsum(count) - count
    usual = np.full(len(keys), np.inf)
    enough = count >= _FEWEST
    usual[enough] = between[order][first[enough] + (count[enough] * _USUAL).astype(np.int64)]
    return np.asarray(np.maximum(usual, 1.0)[pair])


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls wait, and how long."""
    return (
        f"Waits: calls of {caller_of(row)} to {name_of(row)} spend {duration(row['size_p50'])} (median; at most "
        f"{duration(row['size_max'])}) between caller and callee,"
    )


WAITS: Final = Pattern(
    "patterns.waits",
    _detect,
    _say,
    remedy="Look at the connection pool of the caller, the queue and worker count of the callee, and the network.",
    method="Duration of the call without that of its callee, at least 5 times the usual; clocks do not matter.",
    matters=lambda table: (table["affected_ratio"] >= _SHARE) & (table["trace_ratio"] >= _OFTEN),
)
