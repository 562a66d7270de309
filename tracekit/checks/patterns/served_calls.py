"""Calls with the span of their callee, found once for all patterns of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.schema import Kind

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array


class ServedCalls(NamedTuple):
    """Outgoing calls and their incoming spans, one entry per incoming span; rows of ``spans`` with a duration."""

    call: Array
    server: Array


def served_calls(case: Case) -> ServedCalls:
    """Return the server spans below a client span, and these client spans."""
    traces, spans, up = case.traces, case.traces.columns.spans, case.traces.forest.parent_row
    server = np.flatnonzero((spans.kind == Kind.SERVER) & (up >= 0) & traces.has_duration & ~traces.is_inferred)
    call = up[server].astype(np.int64)
    is_call = (spans.kind[call] == Kind.CLIENT) & traces.has_duration[call]
    return ServedCalls(call[is_call], server[is_call])
