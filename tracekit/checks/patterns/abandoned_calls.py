"""Abandoned calls: the caller has given up, and the callee goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern, caller_of
from tracekit.checks.patterns.served_calls import served_calls
from tracekit.checks.patterns.sums import Occurrences
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case

_LONGER: Final = 1.1  # times the call
_LEAST_NS: Final = 1_000_000
_FEWEST: Final = 3  # traces
_MANY: Final = 0.05  # of the traces: a warning


def _detect(case: Case) -> Occurrences:
    """Return failed outgoing calls shorter than the span of their callee; durations do not depend on clocks."""
    traces, took = case.traces, case.traces.duration_ns
    served = case.result(served_calls)
    failed = np.flatnonzero(traces.is_error[served.call])
    call, row = served.call[failed], served.server[failed]
    beyond = took[row] - took[call]
    at = (took[row] >= _LONGER * took[call]) & (beyond >= _LEAST_NS)
    return Occurrences(call[at], row[at], beyond[at], np.zeros(int(at.sum())))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return whose work is in vain, and for how long."""
    return (
        f"Abandoned calls: {caller_of(row)} gives up, and {name_of(row)} works on for {duration(row['size_p50'])} "
        f"(median; at most {duration(row['size_max'])}),"
    )


ABANDONED_CALLS: Final = Pattern(
    "patterns.abandoned_calls",
    _detect,
    _say,
    remedy="Pass the deadline on and cancel the work; set time-outs so that each caller waits longer than its callees.",
    method="A failed call, and a span of its callee at least 10% longer; clocks do not matter.",
    matters=lambda table: table["trace_count"] >= _FEWEST,
    is_heavy=lambda table: table["trace_ratio"] >= _MANY,
)
