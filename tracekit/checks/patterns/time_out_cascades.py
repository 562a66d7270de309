"""Time-out cascades: a call times out, and the callers above it time out as well while they wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.served_calls import served_calls
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.patterns.time_outs import TIME_OUTS
from tracekit.forest import visible_parents
from tracekit.text import count

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_LEAST_NS: Final = 1_000_000  # the callee ends later than its caller's call, by the durations of both
_FEWEST: Final = 3  # traces
_MANY: Final = 0.05  # of the traces: a warning


def _detect(case: Case) -> Occurrences:
    """Return the innermost calls of cascades below the outermost ones; the cost is the time of the outermost call."""
    given_up = case.result(_given_up)
    timed_out = given_up.copy()
    timed_out[case.result(TIME_OUTS.detect).callee] = True
    at = np.flatnonzero(timed_out)
    above, outermost, levels = at, at.copy(), np.ones(len(at), np.int64)
    is_waiting = np.ones(len(at), bool)
    inner = np.zeros(0, np.int64)
    while is_waiting.any():
        above = _call_above(case, above)
        is_waiting &= (above >= 0) & given_up[above]
        outermost[is_waiting] = above[is_waiting]
        levels += is_waiting
        inner = np.union1d(inner, above[is_waiting])
    found = (levels > 1) & ~np.isin(at, inner)
    return Occurrences(outermost[found], at[found], levels[found], path_ns_of(case, outermost[found]))


def _given_up(case: Case) -> Array:
    """Return which spans are failed calls that are shorter than the work of their callee; clocks do not matter."""
    traces, took = case.traces, case.traces.duration_ns
    served = case.result(served_calls)
    failed = np.flatnonzero(traces.is_error[served.call])
    call, server = served.call[failed], served.server[failed]
    found = np.zeros(len(took), bool)
    found[call[took[server] >= took[call] + _LEAST_NS]] = True
    return found


def _call_above(case: Case, call: Array) -> Array:
    """Return the call that the span's service answers when it makes a call; -1 without one."""
    traces = case.traces
    up, service = visible_parents(traces.forest.parent_row, traces.is_inferred), traces.codes("service_name").codes
    calls = np.full(len(up), -1, np.int64)
    served = case.result(served_calls)
    calls[served.server] = served.call
    row = np.where(call >= 0, up[call], -1)
    inside = (row >= 0) & (calls[row] < 0) & (service[row] == service[call])
    while inside.any():
        row[inside] = up[row[inside]]
        inside &= (row >= 0) & (calls[row] < 0) & (service[row] == service[call])
    return np.where((row >= 0) & (service[row] == service[call]), calls[row], -1)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which time-out makes which caller time out."""
    return (
        f"Time-out cascades: {call_of(row)} times out, and its callers up to {caller_of(row)} give up while they wait "
        f"({count(row['size_max'])} time-outs in one request),"
    )


TIME_OUT_CASCADES: Final = Pattern(
    "patterns.time_out_cascades",
    _detect,
    _say,
    remedy=(
        "Fix the innermost callee; pass the deadline on, and set time-outs so that each caller waits longer than its"
        " callees, with all their retries."
    ),
    method=(
        "A failed call shorter than the span of its callee, which itself makes such a call, or one that fails after"
        " a constant time; clocks do not matter. Cost: the outermost call on the critical path."
    ),
    matters=lambda table: table["trace_count"] >= _FEWEST,
    is_heavy=lambda table: table["trace_ratio"] >= _MANY,
    needs=TIME_OUTS.needs,
)
