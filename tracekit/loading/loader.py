"""The interface of a format: a name, a test, and a function that loads one JSON record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.opening.source import Source
    from tracekit.loading.records import JsonPull, Line, Lines

UNREADABLE: Final = object()  # in place of a value that was quarantined


class Scanner(Protocol):
    """A faster reader for lines of a format's most common shape; it loses nothing, and limits the nesting depth."""

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load the lines of the common shape; yield every other line when it may be loaded."""

    @property
    def takes(self) -> Callable[[bytes], bool] | None:
        """Whether a line may be of the format, by its first bytes; None for a scanner that gets all lines first."""

    @property
    def work_ahead(self) -> Callable[[bytes], Any] | None:
        """What other threads may do with the bytes of later chunks, for ``Lines.ahead``."""


class Place(NamedTuple):
    """Where some items of a document begin.

    Parameters
    ----------
    record
        The number of the record before them.
    line
        The number of their line, which is that of all their records; 0 where records are numbered one by one.
    offset
        The byte offset of the first.
    """

    record: int
    line: int
    offset: int

    def number(self, record: int) -> int:
        """Return the number of a record, from 0."""
        return self.line or self.record + 1 + record


class Taken(NamedTuple):
    """What a scanner loaded of some bytes: up to where, how many records, in how many documents.

    ``may_be_cut`` says whether more bytes may help where it loaded nothing.
    """

    stop: int = 0
    records: int = 0
    may_be_cut: bool = False
    items: int = 0


@runtime_checkable
class ListScanner(Scanner, Protocol):
    """A scanner that also reads the items of a list that is a document."""

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first items in some bytes, as many as it can."""


@runtime_checkable
class HitScanner(Scanner, Protocol):
    """A scanner that also reads the hits of a search."""

    def load_hits(self, data: bytes, place: Place) -> Taken:
        """Load the first hits in some bytes, as many as it can."""


@runtime_checkable
class DocumentScanner(Scanner, Protocol):
    """A scanner that also reads documents, one after the other."""

    def load_documents(self, data: bytes, place: Place) -> Taken:
        """Load the first documents in some bytes, as many as it can."""


@runtime_checkable
class WholeScanner(Scanner, Protocol):
    """A scanner that also reads chunks of lines at once, where all of them are of its format."""

    def begins(self, data: bytes) -> bool:
        """Return whether a chunk may be one, by its first bytes."""

    def scan_whole(self, lines: Lines) -> bool:
        """Load all lines, or none of them; return which."""


@runtime_checkable
class FieldScanner(Scanner, Protocol):
    """A scanner that also reads the items of a list in a document at once, where all of them are regular."""

    def load_field(self, data: bytes, place: Place) -> Taken:
        """Load the first items in some bytes, as many as it can, or none of them."""


@runtime_checkable
class FileScanner(Scanner, Protocol):
    """A scanner that also reads many small files at once, each of which is one line."""

    def scan_ahead(self, content: Sequence[bytes]) -> object:
        """Return what ``taken`` and ``load_files`` need of the lines; other threads may call it."""

    def taken(self, lines: Sequence[Line], ahead: object) -> list[bool]:
        """Return which lines can be loaded whole."""

    def load_files(self, sources: Sequence[Source], lines: Sequence[Line], ahead: object) -> None:
        """Load sources with one line each, all of which were ``taken``; ``ahead`` is None for some of them."""


class Document(Protocol):
    """A JSON document that is read field by field, with the parser at the value of a field."""

    pull: JsonPull
    builder: Builder
    depth: int

    def read_object(self) -> None:
        """Read the next value, an object, like a document of its own."""

    def read_value(self, *max_bytes: int) -> Any:
        """Return the next value; quarantine one that cannot be read and return ``UNREADABLE``."""

    def field_value(self) -> Any:
        """Return the value of a field, None if it cannot be read."""

    def load_item(self, *fields: str) -> None:
        """Load the next value as a record; with fields, one inside the other, as an item of the last one's list."""

    def load_value(self, value: Any, offset: int) -> None:
        """Load a value that began at an offset, and was read, as a record."""

    def next_record(self) -> Position:
        """Count a record and return its position."""

    def position(self) -> Position:
        """Return the position of the next value in the present record."""

    def end_record(self) -> None:
        """Let the caller replace the builder; every resource of the records so far must be final."""

    def count_span(self) -> None:
        """Report progress every few thousand spans."""

    def scanner(self, name: str) -> Scanner | None:
        """Return the scanner of a format, None without one."""

    def load_hits(self, data: bytes, place: Place) -> Taken:
        """Load the first hits of a search in some bytes with the scanner that can, for ``run``."""

    def run(self, load: Callable[[bytes, Place], Taken]) -> bool:
        """Let a scanner load the next items of a list, as many as it can; return whether it loaded any."""


@dataclass(frozen=True)
class Loader:
    """A format of JSON records.

    Parameters
    ----------
    name
        The name in ``read(..., format=...)`` and ``traces.sources``.
    recognises
        Whether a parsed record is of this format: cheap and strict, by its keys.
    load
        Loads the spans of one parsed record into the builder.  Never raises on bad data: each bad span goes to
        ``builder.ledger.quarantine``.
    streams
        Fields of a top-level object that contain a list of independent items: a document too large for memory is
        passed to ``load`` as ``{field: [item], **others}``.
    walk
        Reads a field of a top-level object piece by piece, where its items are too large as well; returns the function
        that loads the other fields of the object, or None, with nothing read, for a field of another format.
    exact_marker
        Bytes at the start of a document whose decimal numbers must be ``decimal.Decimal``; empty if floats are enough.
    scanned
        Those of ``streams`` that the scanner reads as well: an item as a line with ``{field: [item]}``.
    scanner
        Returns a faster reader of lines for one builder; the lines that it does not load go to ``load``.  None where
        there is none, as the format has one in the compiled lane only.
    """

    name: str
    recognises: Callable[[Any], bool]
    load: Callable[[Any, Position, Builder], None]
    streams: tuple[str, ...] = ()
    walk: Callable[[str, Document], Callable[[dict[str, Any]], object] | None] | None = None
    exact_marker: bytes = b""
    scanned: tuple[str, ...] = ()
    scanner: Callable[[Builder], Scanner | None] | None = None
