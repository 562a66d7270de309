"""Lines behind the prefix of a log collector: the JSON of many is scanned together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tracekit.loading.building.ledger import Position
from tracekit.loading.records import Line, strip_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracekit.loading.building.builder import Builder

AT_ONCE = 16 << 20  # bytes
DOCKER = b'{"log"'
_BEGINS = re.compile(rb'\s*(?:\{(?!"log")|\[\s*\{)').match  # JSON without a prefix
_ONE_BY_ONE = frozenset({"", "bom"})  # a mark of the order of bytes begins a source


@runtime_checkable
class EachScanner(Protocol):
    """A scanner that also loads lines that are not adjacent in their source."""

    def scan_each(self, lines: Sequence[Line]) -> set[int]:
        """Load lines; return those that are handed back, from 0."""


def note_prefix(prefix: str, at: Position, builder: Builder) -> None:
    """Count a prefix that was skipped."""
    message = f"a {prefix} prefix before the JSON was skipped"
    builder.ledger.tally("TEXT_PREFIX", message, at, action="repaired")


def scan_prefixed(lines: Iterable[Line], scanner: EachScanner, builder: Builder) -> Iterator[Line]:
    """Load lines with a prefix before an object of the scanner's format; yield all others, in their order."""
    kept: list[tuple[Line, bytes, str]] = []
    size = 0
    for line in lines:
        rest, prefix = (b"", "") if _BEGINS(line.data) else strip_prefix(line.data)
        if prefix in _ONE_BY_ONE or not rest.startswith(b"{") or b"\n" in rest:
            if kept:
                yield from _scanned(kept, scanner, builder)
                kept, size = [], 0
            yield line
            continue
        kept.append((line, rest, prefix))
        size += len(rest)
        if size > AT_ONCE:
            yield from _scanned(kept, scanner, builder)
            kept, size = [], 0
    if kept:
        yield from _scanned(kept, scanner, builder)


def _scanned(kept: Sequence[tuple[Line, bytes, str]], scanner: EachScanner, builder: Builder) -> Iterator[Line]:
    """Load the JSON of lines together; yield the lines that are handed back."""
    back = scanner.scan_each([Line(line.number, line.offset, rest) for line, rest, _ in kept])
    for number, (line, _, prefix) in enumerate(kept):
        if number in back:
            yield line
        else:
            note_prefix(prefix, Position(line.number, line.offset), builder)
