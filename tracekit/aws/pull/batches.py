"""The traces themselves: BatchGetTraces, five ids a call, all pages, whatever was left unprocessed asked again."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Raw, Struct

from tracekit.aws.client import Caller, RefusedError, UnansweredError
from tracekit.aws.pull.paging import Pages
from tracekit.aws.pull.summaries import one_line
from tracekit.aws.pull.workers import run
from tracekit.errors import PullError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from tracekit.aws.pull.account import Account
    from tracekit.aws.pull.folder import PullFolder

AT_ONCE = 5  # ids a call; documented, and checked by nobody but X-Ray
_FAILURES_IN_A_ROW = 5
_TRACE_ID = re.compile(rb"1-[0-9a-f]{8}-[0-9a-f]{24}")
_IN_PROGRESS = re.compile(rb'in_progress\\*"\s*:\s*true')


class Head(Struct):
    """What is asked about a trace as a whole; its segments stay bytes."""

    given_id: str | None = msgspec.field(name="Id", default=None)
    is_limited: bool | None = msgspec.field(name="LimitExceeded", default=False)
    segments: Raw = msgspec.field(name="Segments", default=Raw(b""))
    spans: Raw = msgspec.field(name="Spans", default=Raw(b""))

    @property
    def id(self) -> str:
        """The trace's id; where X-Ray leaves it out, that of its first segment."""
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
        """Return what is kept of it: the traces that no earlier page held, and no word about the others."""
        if not (self.unprocessed or self.next_token or any(head.id in known for head in self.heads)):
            return one_line(self.body)
        traces = msgspec.json.decode(self.body, type=_Traces).traces
        new = (trace for head, trace in zip(self.heads, traces, strict=True) if head.id not in known)
        return one_line(b'{"Traces":[%b],"UnprocessedTraceIds":[]}' % b",".join(map(bytes, new)))


_decoded = msgspec.json.Decoder(_Page).decode


class _Traces(Struct):
    """The traces of an answer, as they came."""

    traces: list[Raw] = msgspec.field(name="Traces")


class Answered(NamedTuple):
    """What became of the ids of a batch; ``failed`` says why there is no answer."""

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
    """Fetch the traces that an account waits for; what stays ``unprocessed`` or ``failed`` is there with the reason."""
    failures = 0

    def on_answer(batch: tuple[str, ...], answer: Answered) -> Iterator[tuple[str, ...]]:
        nonlocal failures
        refused = answer.failed.startswith("refused")
        failures = failures + 1 if answer.failed and not refused else 0
        record_outcomes(answer.outcomes)
        rest = [trace_id for trace_id in batch if trace_id not in answer.outcomes]
        account.put(dict.fromkeys(rest, ("failed", answer.failed) if answer.failed else ("unprocessed", "")))
        if failures >= _FAILURES_IN_A_ROW:
            message = f"{answer.failed}; {failures} calls in a row failed: pull into the same folder later, it goes on"
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
    """Return the ids as batches, made as they are taken."""
    ids = iter(trace_ids)
    return iter(lambda: tuple(islice(ids, AT_ONCE)), ())


def _batch(caller: Caller, folder: PullFolder, batch: tuple[str, ...], absent: str) -> Answered:
    """Return what became of the ids of one batch; what came of its answers is in the folder."""
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
    except RefusedError as error:
        if error.code != "InvalidRequestException":
            raise
        failed = f"refused: {error.reason}"
    except UnansweredError as error:
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
