"""What a format is to the reader: a name, a test, and a function that loads one JSON record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.builder import Builder
    from tracekit.loading.ledger import Position


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
    decode
        A quicker way from the bytes of a line to what ``load`` takes, for the format's most common shape: ValueError
        for any other, which then goes the tolerant way.  It must lose nothing, and bound the depth.
    """

    name: str
    recognises: Callable[[Any], bool]
    load: Callable[[Any, Position, Builder], None]
    streams: tuple[str, ...] = ()
    exact_numbers: bool = False
    decode: Callable[[bytes], Any] | None = None
