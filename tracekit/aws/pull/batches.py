"""Traces from BatchGetTraces: five ids per call, all pages, unprocessed ids requested again."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Raw, Struct

from tracekit.aws.pull.paging import Pages
from tracekit.aws.pull.summaries import one_line
from tracekit.errors import PullError
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.workers import run

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from tracekit.aws.client import Caller
    from tracekit.aws.pull.account import Account
    from tracekit.pull.folder import PullFolder

BATCH_SIZE = 5  # ids per call; the API limit
_FAILURES_IN_A_ROW = 5
_TRACE_ID = re.compile(rb"1-[0-9a-f]{8}-[0-9a-f]{24}")
_IN_PROGRESS = re.compile(rb'in_progress\\*"\s*:\s*true')


class Head(Struct):
    """The fields of a trace; its segments stay bytes."""

    given_id: str | None = msgspec.field(name="Id", default=None)
    is_limited: bool | None = msgspec.field(name="LimitExceeded", default=False)
    segments: Raw = msgspec.field(name="Segments", default=Raw(b""))
    spans: Raw = msgspec.field(name="Spans", default=Raw(b""))

    @property
    def id(self) -> str:
        """The trace id; if X-Ray omits it, that of the first segment."""
        found = _TRACE_ID.search(self.segments) if self.given_id is None else None
        return self.given_id or (found[0].decode() if found else "")

    @property
    def outcome(self) -> str:
        """``truncated``, ``partial`` or ``returned``."""
        if self.is_limited:
            return "truncated"
        is_open = _IN_PROGRESS.search(self.segments) or _IN_PROGRESS.search(self.spans)
        return "partial" if is_open else "returned"


heads_of = msgspec.json.Decoder(list[Head]).decode


class _Page(Struct):
    """An answer of BatchGetTraces, and its bytes."""

    heads: list[Head] = msgspec.field(name="Traces")
    unprocessed: list[str] | None = msgspec.field(name="UnprocessedTraceIds", default=None)
    next_token: str | None = msgspec.field(name="NextToken", default=None)
    body: Raw = Raw(b"")

    @classmethod
    def of(cls, body: bytes) -> _Page:
        """Decode an answer."""
        page = _decoded(body)
        page.body = Raw(body)
        return page

    def line(self, known: Container[str]) -> bytes:
        """Return the line to store: only traces that are not in an earlier page."""
        if not (self.unprocessed or self.next_token or any(head.id in known for head in self.heads)):
            return one_line(self.body)
        traces = msgspec.json.decode(self.body, type=_Traces).traces
        new = (trace for head, trace in zip(self.heads, traces, strict=True) if head.id not in known)
        return one_line(b'{"Traces":[%b],"UnprocessedTraceIds":[]}' % b",".join(map(bytes, new)))


_decoded = msgspec.json.Decoder(_Page).decode


class _Traces(Struct):
    """The traces of an answer as bytes."""

    traces: list[Raw] = msgspec.field(name="Traces")


class Answered(NamedTuple):
    """The outcomes of a batch; ``failed`` is the reason for having no answer."""

    outcomes: dict[str, str]
    failed: str = ""


def fetch(
    caller: Caller,
    folder: PullFolder,
    account: Account,
    record_outcomes: Callable[[dict[str, str]], None],
    *,
    rounds: int,
    at_once: int,
    absent: str = "not_found",
) -> None:
    """Fetch the unfinished traces of an account; those that stay ``unprocessed`` or ``failed`` get a reason."""
    failures = 0

    def on_answer(batch: tuple[str, ...], answer: Answered) -> Iterator[tuple[str, ...]]:
        nonlocal failures
        refused = answer.failed.startswith("refused")
        failures = failures + 1 if answer.failed and not refused else 0
        record_outcomes(answer.outcomes)
        rest = [trace_id for trace_id in batch if trace_id not in answer.outcomes]
        account.put(dict.fromkeys(rest, ("failed", answer.failed) if answer.failed else ("unprocessed", "")))
        if failures >= _FAILURES_IN_A_ROW:
            message = (
                f"{answer.failed}; {failures} consecutive calls failed: rerun later with the same folder to resume"
            )
            raise PullError(message, operation="BatchGetTraces")
        yield from [(one,) for one in rest] if refused and len(batch) > 1 else []

    def one(batch: tuple[str, ...]) -> Answered:
        return _batch(caller, folder, batch, absent)

    for attempt in range(rounds):
        if not account.waiting_count:
            break
        if attempt:
            caller.pause(attempt - 1)
        run(_batches_of_five(account.waiting()), one, on_answer, at_once=at_once, stopped=caller.stopped)


def _batches_of_five(trace_ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Return an iterator over batches of ids."""
    ids = iter(trace_ids)
    return iter(lambda: tuple(islice(ids, BATCH_SIZE)), ())


def _batch(caller: Caller, folder: PullFolder, batch: tuple[str, ...], absent: str) -> Answered:
    """Return the outcomes of one batch, and write its answers into the folder."""
    outcomes: dict[str, str] = {}
    unprocessed: set[str] = set()
    lines: list[bytes] = []
    failed = ""
    try:
        for page in _pages(caller, batch):
            lines.append(page.line(outcomes))
            outcomes |= {head.id: head.outcome for head in page.heads}
            unprocessed.update(page.unprocessed or ())
        outcomes |= dict.fromkeys(set(batch) - outcomes.keys() - unprocessed, absent)
    except RejectedError as error:
        if error.code != "InvalidRequestException":
            raise
        failed = f"refused: {error.reason}"
    except NoAnswerError as error:
        failed = str(error)
    finally:
        folder.append("traces", lines, {"ids": outcomes} if outcomes else None)
    return Answered(outcomes, failed)


def _pages(caller: Caller, batch: tuple[str, ...]) -> Iterator[_Page]:
    """Yield the pages of the answer to one batch."""
    token, pages = "", Pages("BatchGetTraces", "traces")
    while True:
        more = {"NextToken": token} if token else {}
        page = caller.call("xray", "batch_get_traces", _Page, TraceIds=list(batch), **more)
        yield page
        token = pages.after(page.next_token, (head.id for head in page.heads))
        if not token:
            return
