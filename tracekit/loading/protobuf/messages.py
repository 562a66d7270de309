"""A stream of OTLP protobuf as chunks of whole ResourceSpans, which can be scanned alone, and what is between them.

Requests one after the other, or one in each message of a framed file, are one sequence of ResourceSpans.  So are the
answers of Tempo, which wrap one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.loading import native
from tracekit.loading.building.ledger import Position
from tracekit.loading.otlp import tolerant
from tracekit.loading.protobuf import decode
from tracekit.loading.protobuf.recognise import GROUP, is_wrapped, signal_of
from tracekit.loading.protobuf.wire import LENGTH, VARINT, DamageError, Field, field
from tracekit.loading.records import Line, LineChunk, Lines

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.records import Readable

_BLOCK = 4 << 20  # bytes: half of a chunk of lines, as spans take half the space
MAX_MESSAGE = 1 << 30  # bytes of a ResourceSpans
_METRICS, _STATUS, _MESSAGE = 2, 3, 4  # of an answer of Tempo
_EXCERPT = 48  # bytes


class Messages(Lines):
    """The ResourceSpans of a chunk, one by one, or all bytes at once for the compiled lane."""

    def __iter__(self) -> Iterator[Line]:
        at, number, data = 0, self.first_line, bytes(self.data)
        while at < len(data):
            one = field(data, at, len(data))
            yield Line(number, self.first_offset + at, data[at : one.stop])
            at, number = one.stop, number + 1


@dataclass(frozen=True, slots=True)
class Aside:
    """What is not a whole ResourceSpans: another field, a cut one, or damage.

    Parameters
    ----------
    at
        Its position in the source.
    data
        The bytes from there.
    found
        The field, or why there is none.
    is_answer
        Whether the source is an answer of Tempo.
    """

    at: Position
    data: bytes
    found: Field | DamageError
    is_answer: bool

    def load(self, builder: Builder) -> None:
        """Load or count the field, or quarantine what cannot be read."""
        ledger = builder.ledger
        if isinstance(self.found, DamageError):
            self._lost(builder, self.found.code, f"{self.found.message}; the rest of the source was not read")
        elif self.found.stop > len(self.data):
            load(self.data, self.at, builder)
            whole = "the spans before the cut were read: the file is still being written, or was cut off"
            self._lost(
                builder, "PROTOBUF_TRUNCATED", f"the last message is truncated ({len(self.data):,} bytes); {whole}"
            )
        elif not self.is_answer:
            ledger.dialect(decode.UNKNOWN)
        elif (self.found.number, self.found.wire) == (_STATUS, VARINT):
            tolerant.note_wrapper({"status": self.found.value}, builder)
        elif self.found.number not in {_METRICS, _MESSAGE}:
            ledger.dialect(decode.UNKNOWN)

    def _lost(self, builder: Builder, code: str, message: str) -> None:
        builder.ledger.incomplete(message)
        builder.ledger.quarantine(code, message, at=self.at, raw=self.data[:_EXCERPT].hex(" "))


def load(data: bytes, at: Position, builder: Builder) -> None:
    """Load a ResourceSpans, also a cut one; skip one of another signal."""
    ledger = builder.ledger
    ledger.record_count += 1
    one = field(data, 0, len(data))
    signal = signal_of(data, one.value, min(one.stop, len(data)))
    if signal == "traces":
        decode.load(data, one, at, builder)
    else:
        ledger.skip(signal)


def message_chunks(stream: Readable, size: int = _BLOCK) -> Iterator[LineChunk | Aside]:
    """Split a stream between its ResourceSpans."""
    return _Splitter(stream, size).chunks()


class _Splitter:
    """The position in a stream of fields."""

    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._size = size
        self._data = b""
        self._offset: int = getattr(stream, "offset", 0)
        self._record = 1
        self._ended = False
        self._extension = native.compiled()
        self._is_answer: bool | None = None  # of Tempo; None before the first ResourceSpans

    def chunks(self) -> Iterator[LineChunk | Aside]:
        """Read on, block by block."""
        wanted = self._size
        while wanted and not self._ended:
            more = self._stream.read(wanted)
            self._ended = len(more) < wanted
            self._data += more
            wanted = yield from self._block()

    def _block(self) -> Generator[LineChunk | Aside, None, int]:
        """Yield what is whole; return how many bytes to read next, 0 after damage."""
        data, at, begin, count = self._data, 0, 0, 0
        wanted = self._size
        while True:
            at, passed = self._passed(at)
            count += passed
            if at >= len(data) or (found := self._next(at)) is None:
                break
            if isinstance(found, Field):
                if found.stop > len(data) and not self._ended and not self._wraps(found):
                    wanted = max(wanted, found.stop - len(data))
                    break
                if found.stop <= len(data) and self._is_group(found):
                    at, count = found.stop, count + 1
                    continue
            yield from self._run(begin, at, count, final=False)
            count = 0
            if isinstance(found, Field) and self._wraps(found):
                begin = at = found.value
                continue
            aside = self._aside(found, at)
            yield aside
            begin = at = at + len(aside.data)
            wanted = 0 if isinstance(found, DamageError) else wanted
        yield from self._run(begin, at, count, final=self._ended)
        self._data, self._offset = data[at:], self._offset + at
        return wanted

    def _aside(self, found: Field | DamageError, at: int) -> Aside:
        """Return what is not a whole ResourceSpans, with offsets from its own beginning."""
        data = self._data[at : found.stop if isinstance(found, Field) else None]
        if isinstance(found, Field):
            value = found.value - at if found.wire == LENGTH else found.value
            found = Field(found.number, found.wire, value, 0, found.stop - at)
        return Aside(Position(self._record, self._offset + at), data, found, bool(self._is_answer))

    def _passed(self, at: int) -> tuple[int, int]:
        """Return where a run of whole ResourceSpans ends that the compiled lane finds here, and their number."""
        if self._extension is None or self._is_answer is not False:
            return at, 0
        stop, count = self._extension.messages(self._data, at)
        return stop, count

    def _next(self, at: int) -> Field | DamageError | None:
        """Return the field here, or what is wrong with it, None if more bytes are needed to know."""
        try:
            one = field(self._data, at, len(self._data))
        except DamageError as damage:
            return None if damage.is_cut and not self._ended else damage
        if one.stop - at > MAX_MESSAGE and not self._wraps(one):
            return DamageError(f"expected a message of at most {MAX_MESSAGE:,} bytes, found {one.stop - at:,}", at)
        return one

    def _is_group(self, one: Field) -> bool:
        """Return whether a field is a ResourceSpans."""
        return (one.number, one.wire) == (GROUP, LENGTH) and not self._wraps(one)

    def _wraps(self, one: Field) -> bool:
        """Return whether a field contains the list of ResourceSpans; the first of a source decides on all."""
        if (one.number, one.wire) != (GROUP, LENGTH) or self._is_answer is False:
            return False
        wraps = is_wrapped(self._data, one.value, min(one.stop, len(self._data)))
        if self._is_answer is None:
            self._is_answer = wraps
        return wraps

    def _run(self, begin: int, stop: int, count: int, *, final: bool) -> Iterator[LineChunk]:
        """Yield a run of ResourceSpans as one chunk."""
        if count:
            yield LineChunk(self._data[begin:stop], self._record, self._offset + begin, final, ends_in_newline=True)
            self._record += count
