"""Lost context: calls whose callee starts a trace of its own, so that each request is split into several traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.checks.names import name_of
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.paths import path_ns
from tracekit.checks.patterns.sums import Occurrences
from tracekit.checks.quality.propagation.breaks import continuations
from tracekit.checks.quality.propagation.call_targets import unanswered
from tracekit.stats.grouping import dense_codes
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # calls


class BrokenCalls(NamedTuple):
    """Calls that continue in other traces, with the callee as a code of ``service_name``."""

    call: Array
    callee: Array


def broken_calls(case: Case) -> BrokenCalls:
    """Return the unanswered calls to known services of which root spans continue such calls, beyond coincidence."""
    client, target = case.result(unanswered)
    codes, labels = case.service
    pair, found = dense_codes(codes[client].astype(np.int64) * len(labels) + target, len(labels) ** 2)
    often = np.bincount(pair, minlength=len(found)) >= _FEWEST
    if not often.any():  # clock offsets are expensive
        return BrokenCalls(client[:0], target[:0])
    known = case.result(continuations)
    failed = known.loc[known["status"] == "failed", ["caller_service", "callee_service"]]
    broken = {labels.index(caller) * len(labels) + labels.index(callee) for caller, callee in failed.to_numpy()}
    at = (np.isin(found, list(broken)) & often)[pair]
    return BrokenCalls(client[at], target[at])


def _detect(case: Case) -> Occurrences:
    """Return these calls; the cost is time that other traces explain."""
    call, callee = case.result(broken_calls)
    return Occurrences(
        call, call, case.traces.duration_ns[call], path_ns(case)[call], Codes(callee, case.service.labels)
    )


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
    whole="a call continues in another trace, which may be in another part",
)
