"""What is compared: spans by any name, calls between services, and requests by endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.service_graph.calls import CALL_TYPES, CALLEE_TYPES, find_calls
from tracekit.analysis.service_graph.tables import Measured, as_the_caller_saw
from tracekit.attributes import Codes
from tracekit.grouping import columns_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.columns import Array
    from tracekit.grouping import By
    from tracekit.traces import TraceSet

ALL = "all requests"
ENDPOINT = ("service_name", "operation")
EDGE = ("caller_service", "callee_service", "callee_type", "call_type")


class Observations(NamedTuple):
    """Spans, calls or requests of one side.

    Parameters
    ----------
    keys
        By name, the code of each observation and the labels.
    trace
        Trace of each.
    has_outcome, is_error
        Whether it is known if it failed, and whether it did.
    row
        The span that has its duration.
    """

    keys: dict[str, Codes]
    trace: Array
    has_outcome: Array
    is_error: Array
    row: Array

    @classmethod
    def of(cls, traces: TraceSet, keys: dict[str, Codes], row: Array) -> Observations:
        """Return spans as observations; as in ``latency``, those without a usable duration have no outcome."""
        return cls(
            {name: codes.take(row) for name, codes in keys.items()},
            traces.forest.trace[row],
            traces.has_duration[row],
            traces.is_error[row],
            row,
        )


def spans(by: By) -> Callable[[TraceSet], Observations]:
    """Return a function that returns the recorded spans by these names."""

    def observe(traces: TraceSet) -> Observations:
        return Observations.of(traces, columns_of(traces, by), np.flatnonzero(~traces.is_inferred))

    return observe


def everything(traces: TraceSet) -> Observations:
    """Return the root spans as one group."""
    root = traces.forest.root_row
    root = root[~traces.is_inferred[root]]
    one = Codes(np.zeros(len(traces.columns.spans), np.int32), [ALL])
    return Observations.of(traces, {"request": one}, root)


def requests(traces: TraceSet) -> Observations:
    """Return the root spans by service and operation."""
    root = traces.forest.root_row
    return Observations.of(traces, columns_of(traces, ENDPOINT), root[~traces.is_inferred[root]])


def calls(traces: TraceSet) -> Observations:
    """Return the calls between services as the service graph counts them, and the requests that enter a service.

    A request without a recorded call has no caller.
    """
    found, measured, service = find_calls(traces), Measured.of(traces), traces.codes("service_name")
    seen, entry = as_the_caller_saw(found, measured), found.entry_rows[found.is_root]
    none, zero = np.full(len(entry), -1, np.int32), np.zeros(len(entry), np.int32)
    keys = {
        "caller_service": Codes(np.concatenate((found.caller, none)), service.labels),
        "callee_service": Codes(np.concatenate((found.callee, service.codes[entry])), found.names),
        "callee_type": Codes(np.concatenate((found.callee_type, zero)), list(CALLEE_TYPES)),
        "call_type": Codes(np.concatenate((found.call_type, zero)), list(CALL_TYPES)),
    }
    return Observations(
        keys,
        np.concatenate((seen.trace, measured.trace[entry])),
        np.concatenate((seen.ended, measured.ended[entry])),
        np.concatenate((seen.failed, measured.failed[entry])),
        np.concatenate((seen.timed_row, entry)),
    )
