"""N+1 calls: a span that makes the same call once for each of many items, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.analysis.siblings import in_a_row
from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns
from tracekit.checks.patterns.repeated import repeated
from tracekit.checks.patterns.sums import Occurrences
from tracekit.text import count

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case


def _detect(case: Case) -> Occurrences:
    """Return the spans with such calls; the cost is that of all calls but one of average length."""
    found = case.result(repeated)
    at = in_a_row(case.traces, found)
    calls, first = found.call_count[at], found.row[found.first[at]]
    total = found.sum(path_ns(case)[found.row])[at] if len(at) else np.zeros(0)
    return Occurrences(found.parent[at], first, calls, total * (1 - 1 / calls))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return who calls what how often."""
    most = f" (median; at most {count(row['size_max'])})" if row["size_max"] > row["size_p50"] else ""
    return f"N+1 calls: {caller_of(row)} calls {call_of(row)} {count(row['size_p50'])} times in a row{most}"


N_PLUS_ONE: Final = Pattern(
    "patterns.n_plus_one",
    _detect,
    _say,
    remedy="Fetch all items in one call (a batch, a join, WHERE ... IN); where that is impossible, call in parallel.",
    method="At least 5 calls of one span to one operation, in sequence; cost: critical-path time of all but one.",
)
