"""Trace ids from GetTraceSummaries, window by window; each page is stored immediately."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from tracekit.aws.pull.paging import Pages
from tracekit.pull.calls import NoAnswerError, RejectedError
from tracekit.pull.windows import Window, split
from tracekit.pull.workers import run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.aws.client import Caller
    from tracekit.pull.folder import PullFolder

_TIMES_A_WINDOW = 3


class _Head(Struct):
    """The id of a summary."""

    id: str = msgspec.field(name="Id")


class _Page(Struct):
    """An answer of GetTraceSummaries; the summaries stay bytes."""

    summaries: Raw = msgspec.field(name="TraceSummaries")
    next_token: str | None = msgspec.field(name="NextToken", default=None)
    scanned: int | None = msgspec.field(name="TracesProcessedCount", default=None)
    heads: list[_Head] = []

    def __post_init__(self) -> None:
        self.heads = msgspec.json.decode(self.summaries, type=list[_Head])


@dataclass
class Found:
    """The results of all windows.

    Parameters
    ----------
    ids
        Trace ids in the order of arrival.
    done
        Completed windows.
    halved
        Windows that X-Ray rejected as too long.
    tokens
        Page tokens to resume the other windows.
    scanned
        Traces that X-Ray scanned.
    counts
        Traces of each window.
    """

    ids: dict[str, None] = field(default_factory=dict)
    done: set[Window] = field(default_factory=set)
    halved: set[Window] = field(default_factory=set)
    tokens: dict[Window, str] = field(default_factory=dict)
    scanned: int = 0
    counts: dict[Window, int] = field(default_factory=dict)

    def add(self, entry: dict[str, Any]) -> None:
        """Add an entry of the journal."""
        if "halved" in entry:
            self.halved.add(Window(*entry["halved"]))
        if "window" in entry:
            window = Window(*entry["window"])
            self.ids.update(dict.fromkeys(entry["found"]))
            self.counts[window] = self.counts.get(window, 0) + len(entry["found"])
            self.scanned += entry["scanned"]
            self.tokens[window] = entry["next"]
            if not entry["next"]:
                self.done.add(window)


def enumerate_ids(caller: Caller, folder: PullFolder, whole: Window, request: dict[str, Any], *, at_once: int) -> Found:
    """Return the ids of all matching traces in a period."""
    found = Found()
    for entry in folder.entries():
        found.add(entry)
    pending = list(_open(split(whole), found))

    def read(window: Window) -> list[dict[str, Any]] | None:
        return _read(caller, folder, window, request, found.tokens.get(window, ""))

    def on_answer(window: Window, entries: list[dict[str, Any]] | None) -> Iterable[Window]:
        for entry in entries or ():
            found.add(entry)
        if entries is not None:
            return []
        found.halved.add(window)
        folder.append("summaries", [], {"halved": window})
        return window.halves()

    run(pending, read, on_answer, at_once=at_once, stopped=caller.stopped)
    return found


def _open(windows: Iterable[Window], found: Found) -> Iterable[Window]:
    """Yield the windows that are not complete."""
    todo = list(windows)[::-1]
    while todo:
        window = todo.pop()
        if window in found.halved:
            todo += window.halves()[::-1]
        elif window not in found.done:
            yield window


def _read(
    caller: Caller, folder: PullFolder, window: Window, request: dict[str, Any], token: str
) -> list[dict[str, Any]] | None:
    """Return the journal entries of a window, or None if X-Ray rejects it as too long."""
    failures = 0
    while True:
        try:
            return _pages(caller, folder, window, request, token)
        except RejectedError as error:
            if _is_too_long(error) and not token and window.halves():
                return None
            if not token or error.code != "InvalidRequestException":
                raise  # else the token of an earlier run has expired
        except NoAnswerError:
            failures += 1
            if failures == _TIMES_A_WINDOW:
                raise
            caller.pause(failures - 1)
        token = ""


def _pages(
    caller: Caller, folder: PullFolder, window: Window, request: dict[str, Any], token: str
) -> list[dict[str, Any]]:
    """Return the journal entries of all pages of a window."""
    entries: list[dict[str, Any]] = []
    where = f"summaries in the window from {window.start_time} to {window.end_time}"
    pages = Pages("GetTraceSummaries", where, token)
    while True:
        more = {"NextToken": token} if token else {}
        page = caller.call(
            "xray",
            "get_trace_summaries",
            _Page,
            StartTime=window.start_time,
            EndTime=window.end_time,
            **request,
            **more,
        )
        ids = [head.id for head in page.heads]
        token = pages.after(page.next_token, ids)
        entry = {"window": window, "found": ids, "next": token, "scanned": page.scanned or len(ids)}
        folder.append("summaries", [b'{"TraceSummaries":%b}' % one_line(page.summaries)], entry)
        entries.append(entry)
        if not token:
            return entries


def _is_too_long(error: RejectedError) -> bool:
    """Return whether X-Ray rejects a window for its length, judged by the undocumented message."""
    text = error.reason.lower()
    return error.code == "InvalidRequestException" and any(word in text for word in ("range", "window", "longer"))


def one_line(raw: bytes | Raw) -> bytes:
    """Return JSON without line breaks; JSON strings contain none."""
    return bytes(raw).replace(b"\n", b" ").replace(b"\r", b" ")
