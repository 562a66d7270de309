"""Lost context: calls whose callee starts a trace of its own, so that each request is split into several traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.attributes import Codes
from tracekit.checks.merged import known_to
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.quality.propagation.breaks import continuations
from tracekit.checks.quality.propagation.call_targets import CALLEES, Calls, unanswered
from tracekit.checks.quality.propagation.ends import ENDS
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case

_FEWEST: Final = 5  # calls


def broken_pairs(case: Case) -> frozenset[tuple[str, str]]:
    """Return callers and callees with root spans that continue their unanswered calls, beyond coincidence."""
    if case.known is not None:
        found: frozenset[tuple[str, str]] = known_to(case, broken_pairs)
        return found
    counts = case.result(ENDS).call_counts
    named = {(one, other) for (one, other), number in counts.items() if one and other and number[0] >= _FEWEST}
    if not named:  # clock offsets are expensive
        return frozenset()
    known = case.result(continuations)
    failed = known.loc[known["status"] == "failed", ["caller_service", "callee_service"]]
    return frozenset(named & set(failed.itertuples(index=False, name=None)))


def _broken_calls(case: Case) -> Calls:
    """Return the unanswered calls to known services that continue in other traces."""
    broken = case.result(broken_pairs)
    if not broken:
        return Calls(np.zeros(0, np.int64), Codes(np.zeros(0, np.int64), []))
    calls, labels = case.result(unanswered), case.service.labels
    size = len(calls.callee.labels)
    number = {name: code for code, name in enumerate(calls.callee.labels)}
    pairs = [(number.get(caller, -1), number.get(callee, -1)) for caller, callee in broken]
    known = [caller * size + callee for caller, callee in pairs if 0 <= caller < len(labels) and callee >= 0]
    pair = case.service.codes[calls.client].astype(np.int64) * size + calls.callee.codes
    return calls.where(np.flatnonzero(np.isin(pair, known)))


def _detect(case: Case) -> Occurrences:
    """Return these calls; the cost is time that other traces explain."""
    call, callee = _broken_calls(case)
    return Occurrences(call, call, case.traces.duration_ns[call], path_ns_of(case, call), callee)


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls continue in other traces."""
    return (
        f"Lost context: calls of {name_of(row)} to {clean(row['detail'], limit=80)} ({duration(row['size_p50'])}, "
        "median) continue in traces of their own,"
    )


LOST_CONTEXT: Final = Pattern(
    "patterns.lost_context",
    _detect,
    _say,
    remedy=(
        "Forward traceparent (or X-Amzn-Trace-Id) to the callee; check proxies in between."
        " tk.quality(traces, checks=['propagation.break']) estimates how many root spans continue such calls."
    ),
    method=(
        "Calls without a server span during which root spans of the callee run, more than by coincidence (the check"
        " propagation.break). Cost: these calls on the critical path, which other traces explain."
    ),
    matters=lambda table: table["occurrence_count"] >= _FEWEST,
    cost="unexplained time",
    needs=(CALLEES, broken_pairs),
)
