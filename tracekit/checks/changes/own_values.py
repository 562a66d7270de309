"""What a finding is about, one value per request: time of an operation or service, or whether calls failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.critical_path.keys import key_codes
from tracekit.analysis.service_graph.calls import find_calls
from tracekit.analysis.suspects.ranking import FAILURES
from tracekit.checks.names import WAITS
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview
    from tracekit.columns import Array
    from tracekit.findings import Finding


class OwnValues(NamedTuple):
    """One value per request, and which requests have one."""

    value: Array
    has_value: Array


def own_values(side: Overview, finding: Finding) -> OwnValues | None:
    """Return the values of one side that a finding compares; None for findings about whole requests, and of a store."""
    if not isinstance(side.source, TraceSet):
        return None
    numbers = finding.values  # noqa: PD011 - not a frame
    if finding.check == "regressed":
        row = finding.evidence.iloc[0]
        return path_time(side, {name: row[name] for name in WAITS})
    if finding.check == "calls":
        return _failed_calls(side.traces, str(numbers["caller_service"]), str(numbers["callee_service"]))
    if finding.check != "suspects":
        return None
    name = str(numbers["service_name"])
    return _failures(side.traces, name) if numbers["kind"] == FAILURES else path_time(side, {"service_name": name})


def path_time(side: Overview, wanted: dict[str, object]) -> OwnValues:
    """Return the critical-path time per request of the spans with some keys, of traces in memory."""
    path, traces = side.path, side.traces
    is_mine = np.ones(len(path.spans), bool)
    for key, value in wanted.items():
        found = key_codes(path.source, path.tree, key).series().astype(object)
        is_mine &= (found.eq(value) if isinstance(value, str) else found.isna()).to_numpy(bool)
    mine = path.spans[is_mine]
    trace = pd.Index(traces.trace_ids).get_indexer(pd.Index(mine["trace_id"].astype(str)))
    value = np.bincount(trace, mine["path_time_ns"].to_numpy(np.float64), minlength=len(traces))
    return OwnValues(value, np.ones(len(traces), bool))


def _failed_calls(traces: TraceSet, caller: str, callee: str) -> OwnValues:
    """Return whether a call between two services failed, of the requests with such calls."""
    calls, labels = find_calls(traces), traces.codes("service_name").labels
    is_mine = (np.array([*labels, ""], object)[calls.caller] == caller) & (
        np.array([*calls.names, ""], object)[calls.callee] == callee
    )
    row, inside = calls.caller_row[is_mine], calls.callee_row[is_mine]
    has_failed = traces.is_error[row] | ((inside >= 0) & traces.is_error[inside])
    trace, n = traces.forest.trace[row], len(traces)
    number, failed = np.bincount(trace, minlength=n), np.bincount(trace, has_failed, minlength=n)
    return OwnValues((failed > 0).astype(np.float64), number > 0)


def _failures(traces: TraceSet, name: str) -> OwnValues:
    """Return whether a span of a service failed, of the requests with one."""
    is_mine = traces.codes("service_name").series().eq(name).to_numpy(bool)
    trace, n = traces.forest.trace[is_mine], len(traces)
    failed = np.bincount(trace, traces.is_error[is_mine], minlength=n)
    return OwnValues((failed > 0).astype(np.float64), np.bincount(trace, minlength=n) > 0)
