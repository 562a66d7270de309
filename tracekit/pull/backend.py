"""What a backend is: how to search a window, and how to fetch traces by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import Struct

from tracekit.pull.calls import NoAnswerError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tracekit.pull.calls import Backoff
    from tracekit.pull.credentials import Given
    from tracekit.pull.ledger import Selection
    from tracekit.pull.windows import Period


class Query(Struct, frozen=True):
    """What to search for; each backend says which fields it accepts."""

    service: str | None = None
    operation: str | None = None
    query: str | None = None
    min_duration: str | None = None
    max_duration: str | None = None


class Calls(Struct, frozen=True):
    """How to call a backend."""

    credentials: Given
    attempts: int
    backoff_s: float
    concurrency: int
    ca_file: str | Path | None = None
    limit: int | None = None


class Hit(NamedTuple):
    """A trace that a search found; its times, and its answer (one line) if the search returns whole traces."""

    trace_id: str
    start_ns: int | None = None
    end_ns: int | None = None
    body: bytes = b""


class Found(NamedTuple):
    """The answer to one window."""

    query: str
    hits: list[Hit]
    is_full: bool
    """Whether the backend returned as many traces as the limit allows."""


class Fetched(NamedTuple):
    """Traces fetched by id: the lines to store, and ``returned``, ``partial`` or ``not_found`` for each id."""

    lines: list[bytes]
    outcomes: dict[str, str]
    files: Mapping[str, bytes] = {}
    """Answers that are not lines of text, by id."""


class Backend(Protocol):
    """One server, opened for one pull."""

    @property
    def caller(self) -> Backoff:
        """Counts calls, and waits between attempts."""

    @property
    def server(self) -> str:
        """Scheme, host and port."""

    @property
    def version(self) -> str:
        """Version of the server."""

    @property
    def selection(self) -> Selection:
        """How traces are chosen at the limit."""

    @property
    def cap(self) -> int | None:
        """Traces per search; None without a limit."""

    @property
    def largest_cap(self) -> int | None:
        """The limit for windows that cannot be halved; None if there is no larger one."""

    @property
    def unit_ns(self) -> int:
        """Shortest window."""

    @property
    def longest_ns(self) -> int:
        """Longest window."""

    @property
    def pad_ns(self) -> int:
        """How far the period is widened on both sides."""

    @property
    def noun(self) -> str:
        """What an id names."""

    @property
    def batch_size(self) -> int:
        """Ids per fetch."""

    @property
    def is_whole(self) -> bool:
        """Whether a search returns whole traces."""

    @property
    def clock_offset_s(self) -> float | None:
        """Seconds that the server's clock is ahead; None if unknown."""

    def search(self, period: Period, cap: int | None) -> Found:
        """Return the traces of a window."""

    def fetch(self, trace_ids: tuple[str, ...]) -> Fetched:
        """Return traces by id."""

    def close(self) -> None:
        """Close the connections."""


def one_by_one(trace_ids: tuple[str, ...], fetch: Callable[[str], tuple[list[bytes], str]]) -> Fetched:
    """Return traces that are fetched one after the other; those before a failed request are kept, the rest waits."""
    lines: list[bytes] = []
    outcomes: dict[str, str] = {}
    for one in trace_ids:
        try:
            more, outcomes[one] = fetch(one)
        except (NoAnswerError, RejectedError):
            if not outcomes:
                raise
            break
        lines += more
    return Fetched(lines, outcomes)


class Kind(NamedTuple):
    """A backend that can be pulled from."""

    name: str
    accepts: tuple[str, ...]
    """Fields of ``Query``."""
    open: Callable[[str, Query, Calls], Backend]
    checked_url: Callable[[str], str]
    """Returns the URL as it is stored; ValueError if it is not usable."""
