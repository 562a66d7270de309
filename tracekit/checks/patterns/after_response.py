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
    root = forest.root_row[forest.trace]
    above = forest.parent_row
    row = np.flatnonzero(traces.has_duration & (above >= 0) & ~traces.is_inferred & (spans.kind != Kind.CONSUMER))
    own = (spans.resource[row] == spans.resource[root[row]]) & ~is_open(traces.lookup)[root[row]]
    late = own & (spans.start_ns[row] >= spans.end_ns[root[row]])
    first = late & (spans.start_ns[above[row]] < spans.end_ns[root[row]])  # not the calls of such work
    at = row[first]
    return Occurrences(root[at].astype(np.int64), at, traces.duration_ns[at], np.zeros(len(at)))


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
