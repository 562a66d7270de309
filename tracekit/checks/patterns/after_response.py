"""Work after the response: spans of the service that answered, which begin when its answer has been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of
from tracekit.checks.patterns.sums import Occurrences
from tracekit.completeness import is_open
from tracekit.schema import Kind
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case

_OFTEN: Final = 0.05  # of the traces


def _detect(case: Case) -> Occurrences:
    """Return the spans of the root's process that begin after its end; they cost the request nothing."""
    traces, spans, forest = case.traces, case.traces.columns.spans, case.traces.forest
    answered = spans.end_ns[forest.root_row]
    row = np.flatnonzero((spans.start_ns >= answered[forest.trace]) & traces.has_duration & (forest.parent_row >= 0))
    root, above = forest.root_row[forest.trace[row]].astype(np.int64), forest.parent_row[row]
    own = (spans.resource[row] == spans.resource[root]) & ~is_open(traces.lookup)[root]
    own &= ~traces.is_inferred[row] & (spans.kind[row] != Kind.CONSUMER)
    first = own & (spans.start_ns[above] < spans.end_ns[root])  # not the calls of such work
    at = row[first]
    return Occurrences(root[first], at, traces.duration_ns[at], np.zeros(len(at)))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return who does what after the response, and how long."""
    return (
        f"Work after the response: {caller_of(row)} starts {call_of(row)} when it has answered, which takes "
        f"{duration(row['size_p50'])} (median),"
    )


AFTER_RESPONSE: Final = Pattern(
    "patterns.after_response",
    _detect,
    _say,
    remedy="Nobody waits for it, but it takes capacity, and is lost if the process ends: use a queue.",
    method="Spans of the process of the root span that begin after its end, so that clocks do not matter.",
    matters=lambda table: table["trace_ratio"] >= _OFTEN,
    is_heavy=lambda table: table["trace_ratio"] < 0,
)
