"""Log lines joined with the traces of a store, for the checks: by id only.

A line without an id can be joined by time only if all requests that were open are known, which needs all traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracekit.checks.logs.join import logs

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.logs.result import Logs
    from tracekit.loading.logs.table import LogLines


class StoredLogs(NamedTuple):
    """Log lines joined with traces of which some are in a store.

    Parameters
    ----------
    logs
        The lines, joined by id.
    line_count, without_id_count
        Lines, and those of them without an id of a trace or span, which are not joined.
    """

    logs: Logs
    line_count: int
    without_id_count: int


def stored_logs(case: Case, lines: LogLines) -> StoredLogs:
    """Return log lines joined with traces and a baseline of which at least one is a store.

    Parameters
    ----------
    case
        The traces, with their baseline if there is one.
    lines
        The log lines of both.
    """
    without = (lines.frame[["trace_hi", "trace_lo", "span_id"]] == 0).all(axis=1)
    baseline = None if case.baseline is None else case.baseline.source
    return StoredLogs(logs(case.source, lines, baseline=baseline), len(lines.frame), int(without.sum()))
