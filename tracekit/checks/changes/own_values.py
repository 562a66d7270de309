"""What a finding is about, one value per trace: time of an operation or service, or whether calls failed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.analysis.service_graph.calls import find_calls
from tracekit.analysis.suspects.ranking import FAILURES
from tracekit.checks.names import WAITS
from tracekit.completeness import is_finished
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.checks.overview import Overview
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.parts import Parts


class OwnValues(NamedTuple):
    """One value per trace, in the order of ``roots_of``, and which traces have one."""

    value: Array
    has_value: Array


def own_values(side: Overview, finding: Finding) -> OwnValues | None:
    """Return the values of one side that a finding compares; None for findings about whole requests."""
    numbers = finding.values
    if finding.check == "regressed":
        row = finding.evidence.iloc[0]
        return path_time(side, {name: row[name] for name in WAITS})
    if finding.check == "calls":
        caller, callee = str(numbers["caller_service"]), str(numbers["callee_service"])
        return _by_trace(side.source, partial(_failed_calls, caller=caller, callee=callee))
    if finding.check != "suspects":
        return None
    name = str(numbers["service_name"])
    if numbers["kind"] == FAILURES:
        return _by_trace(side.source, partial(_failures, name=name))
    return path_time(side, {"service_name": name})


def path_time(side: Overview, wanted: dict[str, object]) -> OwnValues:
    """Return the critical-path time per trace of the spans with some names, among service, operation and callee."""
    table = side.walked.tabulated(WAITS, may_lack=True)
    cells, requests = table.cells, table.requests
    is_named = np.ones(len(cells.keys), bool)
    for key, value in wanted.items():
        is_named &= cells.keys.columns[key] == (value if isinstance(value, str) else None)
    mine, n = is_named[cells.group], len(requests.trace_hi)
    value = np.bincount(requests.trace[cells.request[mine]], cells.time_ns[mine].astype(np.float64), minlength=n)
    return OwnValues(value, np.ones(n, bool))


def failed_requests(source: TraceSet | Parts) -> OwnValues:
    """Return whether each request failed; one that has not ended has no value."""
    return _by_trace(source, _ended)


class _Counts(NamedTuple):
    """Numbers by trace: of what a finding is about, and of those that failed."""

    hi: Array
    lo: Array
    number: Array
    failed: Array

    def with_(self, other: _Counts) -> _Counts:
        """Return the counts of both, one after the other."""
        return _Counts(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def _by_trace(source: TraceSet | Parts, count: Callable[[TraceSet], _Counts]) -> OwnValues:
    """Return whether something failed, of the traces that have it; of a store in the order of ids."""
    found = over_parts(source, count, _Counts.with_).state
    order = slice(None) if isinstance(source, TraceSet) else np.lexsort((found.lo, found.hi))
    return OwnValues((found.failed[order] > 0).astype(np.float64), found.number[order] > 0)


def _counts(traces: TraceSet, row: Array, has_failed: Array) -> _Counts:
    """Return the counts of some spans by trace."""
    first, n = traces.forest.starts[:-1], len(traces)
    ids = traces.columns.spans.trace_hi[first], traces.columns.spans.trace_lo[first]
    trace = traces.forest.trace[row]
    return _Counts(*ids, np.bincount(trace, minlength=n), np.bincount(trace, has_failed, minlength=n))


def _failed_calls(traces: TraceSet, caller: str, callee: str) -> _Counts:
    """Return the calls between two services by trace, and those that failed."""
    calls, labels = find_calls(traces), traces.codes("service_name").labels
    is_mine = (np.array([*labels, ""], object)[calls.caller] == caller) & (
        np.array([*calls.names, ""], object)[calls.callee] == callee
    )
    row, inside = calls.caller_row[is_mine], calls.callee_row[is_mine]
    return _counts(traces, row, traces.is_error[row] | ((inside >= 0) & traces.is_error[inside]))


def _ended(traces: TraceSet) -> _Counts:
    """Return the requests that have ended, and those that failed."""
    row = traces.forest.root_row[is_finished(traces.lookup, traces.forest)]
    return _counts(traces, row, traces.is_error[row])


def _failures(traces: TraceSet, name: str) -> _Counts:
    """Return the spans of a service by trace, and those that failed."""
    row = np.flatnonzero(traces.codes("service_name").series().eq(name).to_numpy(bool))
    return _counts(traces, row, traces.is_error[row])
