"""JSON Lines as bytes: chunks of complete lines, very long lines, NUL padding.

``line_chunks`` splits a stream at newlines, so that every chunk can be scanned alone.  A line too long for memory is
returned as a ``LongLine``, padding is removed and counted, and every chunk has its line number and byte offset.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from tracekit.loading import native
from tracekit.loading.records.notes import Note, nul_note

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from concurrent.futures import Future

    from tracekit.loading.records.window import Readable

CHUNK = 8 << 20  # large enough to spread the cost of a chunk, small enough for the processor's cache
MAX_LINE = 64 << 20

_NEWLINE = 10
_ROUND = 1 << 20  # bytes: what is left of a block is longer or shorter than the time before
_BLANK = frozenset(b" \t\n\r\v\f")
_FILLED = re.compile(rb"\S")
_LONG_PADDING = re.compile(rb"\0{8,}")
_SHORT_PADDING = re.compile(rb"(?:\A|(?<=\n))\0+(?=[^\0])|\0+(?=\r?\n)")  # at the end of a block it may go on
_LAST_PADDING = re.compile(rb"\0+\Z")


@runtime_checkable
class Refillable(Protocol):
    """A stream that can be read into memory that is there."""

    def readinto(self, view: memoryview, /) -> int:
        """Fill some memory; return how many bytes, fewer only at the end."""

    def peek(self, size: int) -> bytes:
        """Return the next bytes without moving on."""


@dataclass(frozen=True, slots=True)
class LineChunk:
    """Whole lines of a stream.

    Parameters
    ----------
    data
        The bytes, with their newlines; a view, where asked for: its memory is used again when no view of it is left.
    first_line
        Number of the first line, from 1.
    first_offset
        Byte offset of the first byte in the decoded source.
    final
        Nothing follows.  The final chunk may be empty.
    ends_in_newline
        Whether the last line ended in a newline.  A final line without one may be cut (a live file); a line that is
        not final has none where NUL padding, or a ``LongLine``, took its place.
    """

    data: bytes | memoryview
    first_line: int
    first_offset: int
    final: bool
    ends_in_newline: bool

    @property
    def content(self) -> bytes:
        """The data as bytes, copied from a view."""
        return bytes(self.data)


class Line(NamedTuple):
    """One line that is not blank: its number from 1, its byte offset in the decoded source, and its bytes."""

    number: int
    offset: int
    data: bytes


class LongLine:
    """One line too long for memory: a stream that ends at its newline.

    Read it (as a document, with ``JsonPull``) before the next chunk; the unread rest is skipped.

    Parameters
    ----------
    lines
        Where it comes from.
    collected
        Its first blocks.

    Attributes
    ----------
    line : int
        Number of the line, from 1.
    offset : int
        Byte offset of what ``read`` returns next, in the decoded source.
    ends_in_newline : bool
        Known when it has been read to its end.
    """

    def __init__(self, lines: _Lines, collected: deque[bytes]) -> None:
        self._lines = lines
        self._collected = collected
        self._ended = False
        self.line = lines.line
        self.offset = lines.offset
        self.ends_in_newline = False

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` more bytes of the line, without its newline; none at its end."""
        if self._ended:
            return b""
        block = self._collected.popleft() if self._collected else self._lines.block()
        newline = block.find(b"\n", 0, size)
        end = newline if newline >= 0 else min(size, len(block))
        data, behind = block[:end], block[end + (newline >= 0) :]
        self._ended = newline >= 0 or not block
        self.ends_in_newline = newline >= 0
        if self._ended:
            self._lines.give_back(behind)
        elif behind:
            self._collected.appendleft(behind)
        self.offset += len(data)
        return data


def line_chunks(
    stream: Readable,
    size: int = CHUNK,
    *,
    max_line: int = MAX_LINE,
    notes: list[Note] | None = None,
    views: bool = False,
) -> Iterator[LineChunk | LongLine]:
    """Split a stream into chunks of complete lines; with ``views``, their data may be in memory that is used again."""
    lines = _Lines(stream, size, max_line)
    yield from lines.views(stream) if views and isinstance(stream, Refillable) else lines.chunks()
    if lines.nul_count:
        remark = nul_note(lines.nul_count, lines.first_nul)
        (getattr(stream, "notes", []) if notes is None else notes).append(remark)


def filled_lines(data: bytes, number: int) -> Iterator[tuple[int, int, int]]:
    r"""Yield (number, start, stop) of the lines that are not blank."""
    start, size = 0, len(data)
    while start < size:
        if data[start] in _BLANK:
            text = size if (found := _FILLED.search(data, start)) is None else found.start()
            if text == size:
                return
            number += data.count(b"\n", start, text)
            start = max(start, data.rfind(b"\n", start, text) + 1)
        newline = data.find(b"\n", start)
        stop = size if newline < 0 else newline
        yield number, start, stop
        start, number = stop + 1, number + 1


@dataclass(slots=True)
class Lines:
    """The lines of a chunk that are not blank, one by one, or all bytes at once for a scanner that splits them itself.

    Parameters
    ----------
    data
        The bytes, with their newlines.
    first_line
        Number of the first line, from 1.
    first_offset
        Byte offset of the first byte in the decoded source.
    ahead
        What a scanner's ``work_ahead`` makes of the bytes, if it was begun.
    submit
        Lets another thread call a function, if one works ahead.
    following
        The next lines, if they were read.
    """

    data: bytes | memoryview
    first_line: int
    first_offset: int
    ahead: Future[Any] | None = None
    submit: Callable[..., Future[Any]] | None = None
    following: Lines | None = None

    def __iter__(self) -> Iterator[Line]:
        data = bytes(self.data)
        for number, start, stop in filled_lines(data, self.first_line):
            yield Line(number, self.first_offset + start, data[start:stop])


def _newlines(data: bytes | memoryview) -> int:
    """Return how many newlines there are."""
    extension = native.compiled()
    if extension is not None:
        return int(extension.newlines(data))
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))  # 3 times as fast as bytes.count


class _Buffers:
    """Memory that is used again and again: fresh memory of the system costs more than reading into it."""

    def __init__(self) -> None:
        self._known: list[bytearray] = []

    def free(self, size: int) -> bytearray:
        """Return at least so many bytes of which there is no view."""
        size = (size // _ROUND + 1) * _ROUND
        for number, buffer in enumerate(self._known):
            try:
                buffer.append(buffer.pop())  # refused while there is a view
            except BufferError:
                continue
            if len(buffer) < size:
                self._known[number] = bytearray(size)
            return self._known[number]
        self._known.append(bytearray(size))
        return self._known[-1]


class _Lines:
    """The position in a stream of lines."""

    def __init__(self, stream: Readable, size: int, max_line: int) -> None:
        self._stream = stream
        self._size = size
        self._max_line = max_line
        self._ahead = b""
        self.offset: int = getattr(stream, "offset", 0)
        self.line: int = getattr(stream, "line", 1)
        self.nul_count = 0
        self.first_nul = 0

    def block(self) -> bytes:
        """Return the next block; ``_ahead`` is empty then if it was the last."""
        block = self._ahead or self._stream.read(self._size)
        self._ahead = self._stream.read(self._size) if block else b""
        return block

    def give_back(self, data: bytes) -> None:
        """Return the bytes after a long line to the input."""
        self._ahead = data + self._ahead

    def views(self, stream: Refillable) -> Generator[LineChunk | LongLine]:
        """Split the stream into views; where a block has NUL or no newline, continue with ``chunks``."""
        buffers, rest = _Buffers(), b""
        while True:
            buffer = buffers.free(len(rest) + self._size)
            with memoryview(buffer) as whole:
                whole[: len(rest)] = rest
                filled = len(rest) + stream.readinto(whole[len(rest) : len(rest) + self._size])
                final = filled < len(rest) + self._size or not stream.peek(1)
                cut = filled if final else buffer.rfind(b"\n", 0, filled) + 1
                if not cut or buffer.find(b"\0", 0, filled) >= 0:
                    self._ahead = bytes(whole[:filled])
                    break
                rest = bytes(whole[cut:filled])
                ends_in_newline = buffer[cut - 1] == _NEWLINE
                chunk = self._chunk(memoryview(buffer)[:cut], final=final, ends_in_newline=ends_in_newline)
            yield chunk
            del chunk
            if final:
                return
        yield from self.chunks()

    def chunks(self) -> Generator[LineChunk | LongLine]:
        """Split the stream."""
        collected: deque[bytes] = deque()
        ends_in_newline = True
        while True:
            block = self.block()
            final = not self._ahead
            if b"\0" in block or (collected and b"\0" in collected[-1][-2:]):
                collected.append(block)
                block = yield from self._without_padding(b"".join(collected), final=final)
                collected.clear()
            cut = len(block) if final else block.rfind(b"\n") + 1
            if cut or final:
                data = b"".join([*collected, memoryview(block)[:cut]])
                collected.clear()
                yield self._chunk(data, final=final, ends_in_newline=data.endswith(b"\n") if data else ends_in_newline)
                ends_in_newline = True
                if final:
                    return
            if cut < len(block):
                collected.append(block[cut:])
            del block
            if sum(map(len, collected)) > self._max_line:
                ends_in_newline = yield from self._long_line(collected)
                collected = deque()

    def _chunk(self, data: bytes | memoryview, *, final: bool, ends_in_newline: bool) -> LineChunk:
        """Return a chunk and count its bytes and lines."""
        chunk = LineChunk(data, self.line, self.offset, final, ends_in_newline)
        self.offset += len(data)
        self.line += _newlines(data)
        return chunk

    def _long_line(self, collected: deque[bytes]) -> Generator[LongLine, None, bool]:
        """Yield a long line, and read to its end; return whether it ended in a newline."""
        long_line = LongLine(self, collected)
        yield long_line
        while long_line.read(self._size):
            pass
        self.offset = long_line.offset + long_line.ends_in_newline
        self.line += long_line.ends_in_newline
        return long_line.ends_in_newline

    def _without_padding(self, data: bytes, *, final: bool) -> Generator[LineChunk, None, bytes]:
        """Remove long runs of NUL, splitting there; replace short ones at line ends by blanks; return the rest."""
        start = 0
        for run in _LONG_PADDING.finditer(data):
            before = self._blanked(data[start : run.start()], final=False)
            if before:
                yield self._chunk(before, final=False, ends_in_newline=before.endswith(b"\n"))
            self._count(self.offset, len(run[0]))
            self.offset += len(run[0])
            start = run.end()
        return self._blanked(data[start:], final=final)

    def _blanked(self, data: bytes, *, final: bool) -> bytes:
        """Return the data with NULs at line ends replaced by blanks, which JSON ignores."""

        def blank(run: re.Match[bytes]) -> bytes:
            self._count(self.offset + run.start(), len(run[0]))
            return b" " * len(run[0])

        if b"\0" in data:
            data = _SHORT_PADDING.sub(blank, data)
            data = _LAST_PADDING.sub(blank, data) if final else data
        return data

    def _count(self, offset: int, count: int) -> None:
        """Count NULs."""
        self.first_nul = self.first_nul if self.nul_count else offset
        self.nul_count += count
