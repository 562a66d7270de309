"""Traces that Transaction Search stores without indexing: StartTraceRetrieval, then ListRetrievedTraces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from tracekit.aws.pull.batches import Head, heads_of
from tracekit.aws.pull.paging import Pages
from tracekit.aws.pull.summaries import one_line
from tracekit.aws.pull.trace_ids import start_second, to_xray_id
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.windows import Window
from tracekit.pull.workers import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.aws.client import Caller
    from tracekit.pull.folder import PullFolder

BATCH_SIZE = 100  # ids per retrieval; the API limit
_MAX_WAIT_S = 3600  # retrievals time out after an hour
_BEFORE_S, _AFTER_S = 600, 86_400
_RUNNING = {"SCHEDULED", "RUNNING"}
_WORST = ("returned", "partial", "truncated")


class _Started(Struct):
    """An answer of StartTraceRetrieval."""

    token: str = msgspec.field(name="RetrievalToken")


class _Page(Struct):
    """An answer of ListRetrievedTraces; the traces stay bytes."""

    status: str = msgspec.field(name="RetrievalStatus")
    traces: Raw = msgspec.field(name="Traces", default=Raw(b"[]"))
    next_token: str | None = msgspec.field(name="NextToken", default=None)
    heads: list[Head] = []

    def __post_init__(self) -> None:
        self.heads = heads_of(self.traces)


class _Probabilistic(Struct):
    """The share of traces that is indexed."""

    percentage: float | None = msgspec.field(name="ActualSamplingPercentage", default=None)


class _Rule(Struct):
    """A rule of any kind."""

    probabilistic: _Probabilistic | None = msgspec.field(name="Probabilistic", default=None)


class _IndexingRule(Struct):
    """A named rule."""

    rule: _Rule | None = msgspec.field(name="Rule", default=None)


class _Indexing(Struct):
    """An answer of GetIndexingRules."""

    rules: list[_IndexingRule] = msgspec.field(name="IndexingRules")


class _Destination(Struct):
    """An answer of GetTraceSegmentDestination."""

    destination: str = msgspec.field(name="Destination")
    status: str = msgspec.field(name="Status")


def is_on(caller: Caller) -> tuple[bool, str]:
    """Return whether segments are stored in CloudWatch Logs, so that X-Ray lists only indexed traces.

    If the call fails: False and the reason; then nothing is retrieved.
    """
    try:
        found = caller.call("xray", "get_trace_segment_destination", _Destination)
    except (RejectedError, NoAnswerError) as error:
        return False, str(error)
    return (found.destination, found.status) == ("CloudWatchLogs", "ACTIVE"), ""


def indexed_share(caller: Caller) -> float | None:
    """Return the share of traces that X-Ray indexes under Transaction Search, or None if the call fails."""
    try:
        found = caller.call("xray", "get_indexing_rules", _Indexing)
    except (RejectedError, NoAnswerError):
        return None
    rules = [one.rule.probabilistic for one in found.rules if one.rule and one.rule.probabilistic]
    shares = [rule.percentage / 100 for rule in rules if rule.percentage is not None]
    return shares[0] if shares else None


def retrieve(
    caller: Caller,
    folder: PullFolder,
    trace_ids: Sequence[str],
    record_outcomes: Callable[[dict[str, str]], None],
    *,
    window: Window | None,
    trace_format: str,
    rounds: int,
    poll_s: float,
    at_once: int,
) -> dict[str, tuple[str, str]]:
    """Retrieve traces from Transaction Search."""
    left: dict[str, tuple[str, str]] = {}
    dated: list[str] = []
    for trace_id in trace_ids:
        if window is None and start_second(trace_id) is None:
            left[trace_id] = ("failed", "its id contains no time, which Transaction Search needs: pass start= and end=")
        else:
            dated.append(trace_id)
    dated.sort(key=lambda trace_id: start_second(trace_id) or 0)

    def on_answer(batch: tuple[str, ...], answer: tuple[dict[str, str], str]) -> None:
        outcomes, failed = answer
        record_outcomes(outcomes)
        for trace_id in batch:
            left.pop(trace_id, None)
            if trace_id not in outcomes:
                left[trace_id] = ("failed", failed)

    def one(batch: tuple[str, ...]) -> tuple[dict[str, str], str]:
        return _batch(caller, folder, batch, window or _around(batch), trace_format, rounds, poll_s)

    batches = [tuple(dated[low : low + BATCH_SIZE]) for low in range(0, len(dated), BATCH_SIZE)]
    run(batches, one, on_answer, at_once=at_once, stopped=caller.stopped)
    return left


def _around(batch: Sequence[str]) -> Window:
    """Return a window around the times in the ids of a batch."""
    seconds = [start_second(trace_id) or 0 for trace_id in batch]
    return Window(min(seconds) - _BEFORE_S, max(seconds) + _AFTER_S)


def _batch(
    caller: Caller,
    folder: PullFolder,
    batch: tuple[str, ...],
    window: Window,
    trace_format: str,
    rounds: int,
    poll_s: float,
) -> tuple[dict[str, str], str]:
    """Return the outcomes of up to 100 ids, or the reason for having none."""
    failed = ""
    for attempt in range(rounds):
        if attempt:
            caller.pause(attempt - 1)
        try:
            return _once(caller, folder, batch, window, trace_format, poll_s), ""
        except NoAnswerError as error:
            failed = str(error)
        except RejectedError as error:
            if error.code not in {"InvalidRequestException", "ResourceNotFoundException"}:
                raise
            failed = f"refused: {error.reason}"
    return {}, failed


def _once(
    caller: Caller, folder: PullFolder, batch: tuple[str, ...], window: Window, trace_format: str, poll_s: float
) -> dict[str, str]:
    """Retrieve a batch once and write its pages; a trace may be spread over several pages."""
    started = caller.call(
        "xray",
        "start_trace_retrieval",
        _Started,
        TraceIds=list(batch),
        StartTime=window.start_time,
        EndTime=window.end_time,
    )
    page = _finished(caller, started.token, trace_format, poll_s)
    outcomes: dict[str, str] = {}
    pages = Pages("ListRetrievedTraces", "retrieved traces")
    while True:
        for head in page.heads:
            outcomes[to_xray_id(head.id)] = max(
                outcomes.get(to_xray_id(head.id), "returned"), head.outcome, key=_WORST.index
            )
        line = b'{"RetrievalStatus":"COMPLETE","Traces":%b}' % one_line(page.traces)
        token = pages.after(page.next_token, (head.id for head in page.heads))
        if not token:
            outcomes |= dict.fromkeys(set(batch) - outcomes.keys(), "not_found")
            folder.append("traces", [line], {"ids": outcomes})
            return outcomes
        folder.append("traces", [line])
        page = _page(caller, started.token, trace_format, token)


def _finished(caller: Caller, retrieval: str, trace_format: str, poll_s: float) -> _Page:
    """Return the first page of a retrieval once it is complete."""
    waited = 0.0
    while True:
        page = _page(caller, retrieval, trace_format, "")
        if page.status == "COMPLETE":
            return page
        if page.status not in _RUNNING or waited > _MAX_WAIT_S:
            message = f"expected a retrieval with status COMPLETE, found {page.status} after {waited:.0f} s"
            raise NoAnswerError(message, operation="ListRetrievedTraces")
        caller.sleep(poll_s)
        waited += max(poll_s, 0.01)


def _page(caller: Caller, retrieval: str, trace_format: str, token: str) -> _Page:
    """Return one page of a retrieval."""
    more = {"NextToken": token} if token else {}
    return caller.call(
        "xray", "list_retrieved_traces", _Page, RetrievalToken=retrieval, TraceFormat=trace_format, **more
    )
