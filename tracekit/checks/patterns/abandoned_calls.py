"""Abandoned calls: the caller has given up, and the callee goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Occurrences, Pattern, caller_of, findings_of
from tracekit.schema import Kind
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.findings import Finding

_LONGER: Final = 1.1  # times the call
_LEAST_NS: Final = 1_000_000
_FEWEST: Final = 3  # traces
_MANY: Final = 0.05  # of the traces: a warning


def abandoned_calls(case: Case) -> list[Finding]:
    """Return the calls that failed while the callee worked on."""
    return findings_of(_PATTERN, case)


def _detect(case: Case) -> Occurrences:
    """Return failed outgoing calls shorter than the span of their callee; durations do not depend on clocks."""
    traces, spans, up = case.traces, case.traces.columns.spans, case.traces.forest.parent_row
    row = np.flatnonzero((spans.kind == Kind.SERVER) & (up >= 0) & traces.has_duration & ~traces.is_inferred)
    call, took = up[row].astype(np.int64), traces.duration_ns
    beyond = took[row] - took[call]
    is_call = (spans.kind[call] == Kind.CLIENT) & traces.has_duration[call] & traces.is_error[call]
    at = is_call & (took[row] >= _LONGER * took[call]) & (beyond >= _LEAST_NS)
    return Occurrences(call[at], row[at], beyond[at], np.zeros(int(at.sum())))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return whose work is in vain, and for how long."""
    return (
        f"Abandoned calls: {caller_of(row)} gives up, and {name_of(row)} works on for {duration(row['size_p50'])} "
        f"(median; at most {duration(row['size_max'])}),"
    )


_PATTERN: Final = Pattern(
    "patterns.abandoned_calls",
    _detect,
    _say,
    remedy="Pass the deadline on and cancel the work; set time-outs so that each caller waits longer than its callees.",
    method="A failed call, and a span of its callee at least 10% longer; clocks do not matter.",
    matters=lambda table: table["trace_count"] >= _FEWEST,
    is_heavy=lambda table: table["trace_ratio"] >= _MANY,
)
