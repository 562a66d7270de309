"""What a format is to the reader: a name, a test, and a function that loads one JSON record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position


class FastScanner(Protocol):
    """A quicker way for lines of a format's most common shape; it must lose nothing, and bound the depth."""

    def take(self, data: bytes, at: Position) -> bool:
        """Keep a line for the next ``flush``; False for one of any other shape."""

    def flush(self) -> None:
        """Give the lines that were kept to the builder, counted as records."""


@dataclass(frozen=True)
class Loader:
    """A format of JSON records.

    Parameters
    ----------
    name
        What ``read(..., format=...)`` and ``traces.sources`` call it.
    recognises
        Whether a parsed record is of this format; cheap, and strict: it looks at keys.
    load
        Takes one parsed record and gives its spans to the builder.  Never raises on bad data: each bad span goes to
        ``builder.ledger.quarantine``.
    streams
        Members of a top-level object that hold a list of independent items: a document too large for memory is
        given to ``load`` as ``{member: [item], **rest}``.
    exact_numbers
        Decimal numbers are wanted as ``decimal.Decimal``.
    scanner
        Makes a quicker way for the lines of one builder; the lines that it does not take go the tolerant way.
    """

    name: str
    recognises: Callable[[Any], bool]
    load: Callable[[Any, Position, Builder], None]
    streams: tuple[str, ...] = ()
    exact_numbers: bool = False
    scanner: Callable[[Builder], FastScanner] | None = None
