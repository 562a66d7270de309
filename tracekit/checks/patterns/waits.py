"""Waits between caller and callee: for a connection, in a queue before the handler, or on the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern, caller_of
from tracekit.checks.patterns.paths import paths
from tracekit.checks.patterns.ranked import Valued, ranked
from tracekit.checks.patterns.served_calls import served_calls
from tracekit.checks.patterns.sums import Occurrences, pairs_of
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 20  # calls of one operation to another
_USUAL: Final = 0.1  # quantile of the times between caller and callee that is the network
_LONGER: Final = 5.0  # times the usual
_SHARE: Final = 0.2  # of the call, and of the latency of the affected requests
_OFTEN: Final = 0.05  # of the traces


class _Between(NamedTuple):
    """Calls of which the callee is the only child, one entry each: rows of both spans, and the time between them."""

    call: Array
    row: Array
    between: Array
    pair: Array
    keys: pd.DataFrame


def _between(case: Case) -> _Between:
    """Return the calls with the time between caller and callee."""
    traces = case.traces
    call, row = case.result(served_calls)
    is_alone = np.diff(traces.forest.child_offsets)[call] == 1
    row, call = row[is_alone], call[is_alone]
    return _Between(call, row, traces.duration_ns[call] - traces.duration_ns[row], *pairs_of(case, call, row))


def _values(case: Case) -> Valued:
    """Return these times by caller and callee; one below 0 is none."""
    found = case.result(_between)
    return Valued(found.keys, found.pair, np.maximum(found.between, 0))


_USUAL_NS: Final = ranked(_values, _USUAL)


def _detect(case: Case) -> Occurrences:
    """Return the calls with a wait; the cost is the time on the path between caller and callee beyond the usual.

    The usual time is that of fast calls of the same operations; it is not known of few calls.
    """
    found, took = case.result(_between), case.traces.duration_ns
    value, count = case.result(_USUAL_NS).of(found.keys)
    usual = np.where(count >= _FEWEST, np.maximum(value, 1.0), np.inf)[found.pair]
    at = (found.between >= _LONGER * usual) & (found.between >= _SHARE * took[found.call])
    call, row, between = found.call[at], found.row[at], found.between[at]
    if not len(call):  # no path is worked out
        return Occurrences(call, row, between, between)
    cost = np.minimum(case.result(paths).own_ns[call], between - usual[at])
    return Occurrences(call, row, between, cost)


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
    needs=(_USUAL_NS,),
)
