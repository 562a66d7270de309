"""Spans of Transaction Search from the log group ``aws/spans``, through CloudWatch Logs Insights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from tracekit.aws.pull.trace_ids import to_w3c_id, to_xray_id
from tracekit.errors import PullError
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.windows import Window, split
from tracekit.pull.workers import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.aws.client import Caller
    from tracekit.pull.folder import PullFolder

LOG_GROUP = "aws/spans"
BATCH_SIZE = 50
_MAX_RESULTS = 10_000  # results of one query
_MAX_WINDOW_S = 24 * 3600
_PROBE_SHARE, _PROBE_S = 24, (60, 3600)
SCANNED = "scanned_bytes"
_RUNNING = {"Scheduled", "Running"}


class _Started(Struct):
    """An answer of StartQuery."""

    id: str = msgspec.field(name="queryId")


class _Cell(Struct):
    """One field of a result."""

    field: str
    value: str = ""


class _Statistics(Struct):
    """The statistics that a query is billed by."""

    scanned: float | None = msgspec.field(name="bytesScanned", default=None)


class _Results(Struct):
    """An answer of GetQueryResults."""

    status: str
    results: list[list[_Cell]] = []
    statistics: _Statistics | None = None


def scanned_bytes(caller: Caller, window: Window, *, poll_s: float) -> float:
    """Return the estimated bytes that a query over a window scans, from a query over a small part of it."""
    length = window.end - window.start
    part = min(length, max(_PROBE_S[0], min(length // _PROBE_SHARE, _PROBE_S[1])))
    start = window.start + (length - part) // 2
    found = _finished(caller, "stats count(*)", Window(start, start + part), poll_s)
    scanned = found.statistics.scanned if found.statistics else None
    return float("nan") if scanned is None else scanned * length / part


def pass_count(trace_count: int) -> int:
    """Return the number of passes over the window to fetch traces; one to find ids if none are known."""
    return max(1, -(-trace_count // BATCH_SIZE))


def window_count(window: Window) -> int:
    """Return the number of queries of one pass over a window."""
    return len(split(window, _MAX_WINDOW_S))


def ids_of_service(caller: Caller, service: str, window: Window, *, poll_s: float, at_once: int) -> list[str]:
    """Return the ids of the traces in which a service has a span."""
    text = f"filter resource.attributes.service.name = {json.dumps(service)} | fields traceId | dedup traceId"
    found: dict[str, None] = {}
    _run_query(
        caller, text, window, "traceId", poll_s, at_once, lambda ids: found.update(dict.fromkeys(map(to_xray_id, ids)))
    )
    return list(found)


def spans_of(
    caller: Caller,
    folder: PullFolder,
    trace_ids: Sequence[str],
    record_outcomes: Callable[[dict[str, str]], None],
    *,
    window: Window,
    poll_s: float,
    at_once: int,
) -> dict[str, tuple[str, str]]:
    """Fetch the spans of traces, fifty ids per query, and write one line per span."""
    for low in range(0, len(trace_ids), BATCH_SIZE):
        batch = trace_ids[low : low + BATCH_SIZE]
        wanted = ",".join(json.dumps(to_w3c_id(trace_id)) for trace_id in batch)
        text = f"fields @message | filter traceId in [{wanted}]"
        came: set[str] = set()

        def keep(spans: list[str], came: set[str] = came) -> None:
            came.update(map(_id_in, spans))
            folder.append("traces", [" ".join(span.splitlines()).encode() for span in spans])

        _run_query(caller, text, window, "@message", poll_s, at_once, keep)
        outcomes = {trace_id: "returned" if trace_id in came else "not_found" for trace_id in batch}
        folder.append("traces", [], {"ids": outcomes})
        record_outcomes(outcomes)
    return {}


class _Span(Struct):
    """A record of the log group."""

    trace_id: str = msgspec.field(name="traceId")


def _id_in(record: str) -> str:
    """Return the trace id of a record, or an empty text if malformed; reading quarantines such records."""
    try:
        return to_xray_id(msgspec.json.decode(record, type=_Span).trace_id)
    except (msgspec.MsgspecError, RecursionError, PullError):
        return ""


def _run_query(
    caller: Caller,
    text: str,
    window: Window,
    field: str,
    poll_s: float,
    at_once: int,
    take: Callable[[list[str]], None],
) -> None:
    """Pass one field of all results of a query to ``take``; windows with too many results are halved."""

    def one(part: Window) -> list[str]:
        return _query(caller, text, part, field, poll_s)

    def on_answer(part: Window, values: list[str]) -> list[Window]:
        if len(values) < _MAX_RESULTS:
            take(values)
            return []
        if not part.halves():
            found = f"expected fewer than {_MAX_RESULTS:,} results in the second {part.start_time}, found as many"
            raise PullError(f"{found}; narrow the search", operation="StartQuery")
        return part.halves()

    run(split(window, _MAX_WINDOW_S), one, on_answer, at_once=at_once, stopped=caller.stopped)


def _query(caller: Caller, text: str, window: Window, field: str, poll_s: float) -> list[str]:
    """Return one field of the results of a query over one window."""
    found = _finished(caller, text, window, poll_s)
    return [cell.value for row in found.results for cell in row if cell.field == field]


def _finished(caller: Caller, text: str, window: Window, poll_s: float) -> _Results:
    """Return the results of a query over one window; Logs Insights includes the end, so the last second is dropped."""
    query = {"logGroupName": LOG_GROUP, "startTime": window.start, "endTime": window.end - 1, "limit": _MAX_RESULTS}
    try:
        started = caller.call("logs", "start_query", _Started, queryString=text, **query)
        while True:
            found = caller.call("logs", "get_query_results", _Results, queryId=started.id)
            if found.status not in _RUNNING:
                break
            caller.sleep(poll_s)
    except RejectedError as error:
        if error.code != "ResourceNotFoundException":
            raise
        message = f"expected the log group {LOG_GROUP} in {caller.region}, found none: is Transaction Search enabled?"
        raise PullError(message, operation=error.operation, request_id=error.request_id) from None
    if found.status != "Complete":
        message = f"expected a query with status Complete, found {found.status}; narrow the period and pull again"
        raise NoAnswerError(message, operation="GetQueryResults")
    if found.statistics and found.statistics.scanned:
        caller.counts[SCANNED] += int(found.statistics.scanned)
    return found
