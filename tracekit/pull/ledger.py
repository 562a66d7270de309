"""The ledger of a pull: what was asked for each window, how the backend chose, and whether traces are missing.

It is written between the traces, as lines ``{"tracekitPull": {...}}``, so that it travels with their files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from tracekit.pull.windows import rfc3339

if TYPE_CHECKING:
    from tracekit.pull.windows import Period

Selection = Literal["all", "fixed_rate", "newest", "first_found", "unknown"]
Truncation = Literal["excluded", "proven", "unknown"]


class Entry(Struct, omit_defaults=True):
    """What was asked for one window, and what came back.

    Parameters
    ----------
    pull
        Id of the pull.
    backend, server, version
        Name of the backend, scheme with host and port, and its version.
    query
        The request as sent, without credentials.
    start, end
        The window, RFC 3339; empty for a list of ids.
    cap
        Largest number of traces that the request allowed; None without a limit.
    selection
        How the backend chooses up to ``cap`` traces.
    truncation
        Whether traces of the window are missing.
    trace_count, outside_count
        Traces that came back, and those of them that are not in the window.
    clock_offset_s
        Seconds that the clock of the server was ahead.
    """

    pull: str
    backend: str
    server: str
    version: str
    query: str
    start: str
    end: str
    cap: int | None
    selection: Selection
    truncation: Truncation
    trace_count: int
    outside_count: int = 0
    clock_offset_s: float | None = None


class Status(Struct, omit_defaults=True):
    """The state of a pull at the end of a run.

    Parameters
    ----------
    pull
        Id of the pull.
    requested_count
        Traces found or asked for by id.
    missing_count
        Those of them that did not come.
    open_count
        Windows that were not searched to the end.
    partial
        Ids of traces that the backend returned as partial.
    """

    pull: str
    requested_count: int
    missing_count: int
    open_count: int
    partial: list[str] = []


def entry_of(period: Period, **fields: Any) -> Entry:
    """Return the entry of a window."""
    return Entry(start=rfc3339(period.start_ns), end=rfc3339(period.end_ns), **fields)


def line(part: Entry | Status) -> bytes:
    """Return an entry or a status as a line of a file of traces."""
    return msgspec.json.encode({"tracekitPull": part})
