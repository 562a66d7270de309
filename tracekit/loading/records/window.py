"""A sliding window of text over a stream of JSON: the base of ``JsonPull``.

``JsonWindow`` handles brackets and strings, not values: it reads, counts bytes, finds the end of a value and skips
values of any size and depth in bounded memory.
"""

from __future__ import annotations

import codecs
import re
from typing import NoReturn, Protocol

from tracekit.loading.records.depth import MAX_DEPTH, DepthMeter
from tracekit.loading.records.notes import EXCERPT_BYTES, Note, nul_note

WINDOW = 1 << 20

CLOSERS = {"{": "}", "[": "]"}

_SPACE = re.compile(r"[ \t\n\r]*")
_NULS = re.compile(r"\0*")
_SCALAR = re.compile(r"[-+.\w]*")
_BODY = re.compile(r'[^"\\]*(?:\\.[^"\\]*){0,999}', re.DOTALL)  # bounded: a repeated group costs memory every turn
_BONE = re.compile(r'[{}\[\]"]')
_NEAR_BONES = 1000
_FAR = 1 << 16
_FEW = 1 << 10
_CONTEXT = 50
_KEPT = 250  # characters before the present position, for excerpts


class Readable(Protocol):
    """Anything with ``read(n) -> bytes``, empty at the end."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


class JsonError(Exception):
    """A value of the stream could not be read.

    Parameters
    ----------
    code
        JSON_SYNTAX, JSON_TRUNCATED_DOC, JSON_TRAILING, JSON_TOO_DEEP, JSON_HUGE or ENC_INVALID_UTF8.
    message
        Expected, found, done.
    offset
        Byte offset of the value (of the error, for JSON_SYNTAX) in the decoded stream.
    recoverable
        The reader is after the value and can continue with the next one.  Otherwise nothing more can be read.
    raw
        At most 500 bytes of what was found there.
    """

    def __init__(self, code: str, message: str, *, offset: int, recoverable: bool = False, raw: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.recoverable = recoverable
        self.raw = raw


class JsonWindow:
    """Text of a stream, a piece at a time.

    Parameters
    ----------
    stream
        Bytes of UTF-8 JSON, from its ``read(n)``.
    max_depth
        Levels of nesting allowed in one value.
    window
        Bytes to read at a time.
    offset
        Byte offset of the first byte; default: the stream's ``offset``, or 0.
    """

    def __init__(
        self, stream: Readable, *, max_depth: int = MAX_DEPTH, window: int = WINDOW, offset: int | None = None
    ) -> None:
        self._stream = stream
        self._size = window
        self._max_depth = max_depth
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._meter = DepthMeter(limit=max_depth)
        self._text = ""
        self._raw, self._raw_at = b"", 0  # what comes behind the text, from this index on, before the stream goes on
        self._at = 0  # index in the text of what comes next
        self._counted = 0  # an index in the text with a known byte offset,
        self._offset: int = getattr(stream, "offset", 0) if offset is None else offset  # and this offset
        self._dropped = 0  # characters dropped in front of the text
        self._followed = 0  # index in the text up to which the meter followed
        self._deep_until = 0  # up to this character some value may nest too deep,
        self._bad_until = 0  # or contain bytes that are not UTF-8
        self._ended = False
        self._level = 0  # containers entered
        self._unread = False  # a loop is at a value that has not been read
        self._notes: list[Note] = []

    @property
    def offset(self) -> int:
        """Byte offset of the next value; exact on every turn of ``keys()`` and ``items()``, and after ``peek()``."""
        self._offset = self._offset_of(self._at)
        self._counted = self._at
        return self._offset

    def take_notes(self) -> list[Note]:
        """Return and clear the notes since the last call (ENC_SURROGATE, ENC_NUL, ENC_BOM, JSON_BIG_INT)."""
        notes, self._notes = self._notes, []
        return notes

    def peek(self) -> str:
        """Return the first character of the next value or bracket, after white space; "" at the end."""
        while True:
            if self._at < len(self._text) and (first := self._text[self._at]) > " ":
                return first
            self._at = _end(_SPACE, self._text, self._at)
            if self._at >= len(self._text):
                if not self._fill(_FEW if self._raw_at < len(self._raw) else self._size):
                    return ""
            elif self._text[self._at] == "\0":
                self._pass_nuls()
            else:
                return self._text[self._at]

    def skip(self) -> None:
        """Skip the next value, of any size and depth, without building or checking it."""
        first = self.peek()
        self._unread = False
        if first in CLOSERS:
            self._at += 1
            self._leave(1)
        elif first == '"':
            self._at += 1
            self._finish_string()
        elif first:
            self._pass_scalar(first)
        else:
            self._cut()

    # --------------------------------------------------------------------------------------------- reading on

    def _fill(self, size: int) -> bool:
        """Read about this many more bytes and drop most of the text already read; return False at the end."""
        if self._ended:
            return False
        data = self._raw[self._raw_at : self._raw_at + size]
        self._raw_at += len(data)
        if not data:
            data, self._raw, self._raw_at = self._stream.read(size), b"", 0
        self._ended = not data
        more = self._decoder.decode(data, self._ended)
        self._offset = self.offset
        drop = max(self._at - _KEPT, 0)
        self._follow(drop)
        self._followed -= drop
        self._dropped += drop
        self._text = self._text[drop:] + more
        self._at -= drop
        self._counted = self._at
        if not (more.isascii() or _is_clean(more)):
            self._bad_until = self._dropped + len(self._text)
        return bool(data or more)

    def _undecoded(self, least: int) -> bytes | None:
        """Return the next bytes, as many if there are; None where the nesting of the text was followed farther on."""
        if self._followed > self._at:
            return None
        self._follow(self._at)
        self._offset = self.offset
        behind = self._text[self._at :].encode("utf-8", "surrogateescape") + self._decoder.getstate()[0]
        self._decoder.reset()
        self._ended = self._ended and not behind
        if len(behind) > self._raw_at:
            self._raw, self._raw_at = behind + self._raw[self._raw_at :], len(behind)
        self._raw_at -= len(behind)
        self._keep(self._text[: self._at], self._dropped + self._at)
        self._bad_until = min(self._bad_until, self._dropped + self._at)
        missing = least - len(self._raw) + self._raw_at
        if missing > 0:
            pieces = [self._raw[self._raw_at :]]
            while missing > 0 and (more := self._stream.read(max(missing, _FAR))):
                pieces.append(more)
                missing -= len(more)
            self._raw, self._raw_at = b"".join(pieces), 0
        return self._raw[self._raw_at : self._raw_at + least]

    def _pass_undecoded(self, data: bytes, stop: int) -> None:
        """Move to the end of whole values among the bytes that ``_undecoded`` returned."""
        near = data[max(stop - _KEPT, 0) : stop].decode("utf-8", "surrogateescape")
        self._offset += stop
        self._raw_at += stop
        self._keep(near if stop >= _KEPT else self._text + near, self._dropped + self._at + stop)

    def _decode_rest(self) -> None:
        """Make text of all bytes that were read, so that a damaged value is read as if there had been no bytes."""
        if self._raw_at < len(self._raw):
            self._fill(len(self._raw) - self._raw_at)

    def _keep(self, text: str, position: int) -> None:
        """Keep the end of the text before the present position, which is at least so many characters from the start."""
        self._text = text[-_KEPT:]
        self._at = self._counted = self._followed = len(self._text)
        self._dropped = position - self._at

    def _follow(self, end: int) -> None:
        """Follow the nesting up to an index of the text."""
        if self._followed < end:
            _, highest = self._meter.feed(self._text[self._followed : end].encode("utf-8", "surrogateescape"))
            self._followed = end
            if highest > self._max_depth:
                self._deep_until = self._dropped + end

    def _pass_over(self, end: int) -> None:
        """Move to the end of whole values that are known not to nest too deep."""
        if self._followed <= self._at:
            self._follow(self._at)
            self._followed = end
        self._at = end

    def _may_be_deep(self) -> bool:
        """Return whether the next value may nest too deep, as far as the text goes."""
        self._follow(len(self._text))
        return self._dropped + self._at < self._deep_until

    def _offset_of(self, index: int) -> int:
        """Return the byte offset of an index of the text."""
        low, high = sorted((index, self._counted))
        if self._text.isascii():
            return self._offset + index - self._counted
        count = len(self._text[low:high].encode("utf-8", "surrogateescape"))
        return self._offset + (count if index >= self._counted else -count)

    def _excerpt(self, start: int) -> bytes:
        """Return at most 500 bytes from an index of the text."""
        found = self._text[start : start + EXCERPT_BYTES].encode("utf-8", "surrogateescape")
        if len(self._text) < start + EXCERPT_BYTES:
            found += self._decoder.getstate()[0] + self._raw[self._raw_at : self._raw_at + EXCERPT_BYTES]
        return found[:EXCERPT_BYTES]

    def _pass_nuls(self) -> None:
        """Skip a run of NUL bytes, and add a note."""
        start, count = self.offset, 0
        while True:
            end = _end(_NULS, self._text, self._at)
            count, self._at = count + end - self._at, end
            if end < len(self._text) or not self._fill(self._size):
                break
        self._notes.append(nul_note(count, start))

    # --------------------------------------------------------------------------------------------- giving up

    def _refuse(self, code: str, message: str, offset: int, raw: bytes) -> NoReturn:
        """Raise for one value; the reader is already after it."""
        raise JsonError(code, message, offset=offset, recoverable=True, raw=raw)

    def _fail(self, code: str, message: str, offset: int, raw: bytes) -> NoReturn:
        """Stop reading the stream and raise; later calls find its end."""
        self._text, self._ended, self._unread, self._followed = "", True, False, 0
        self._raw, self._raw_at = b"", 0
        self._offset, self._at, self._counted, self._level = offset, 0, 0, 0
        raise JsonError(code, message, offset=offset, raw=raw)

    def _fail_here(self, code: str, message: str) -> NoReturn:
        """Stop reading the stream at the present position and raise."""
        self._fail(code, message, self.offset, self._excerpt(max(self._at - _CONTEXT, 0)))

    def _fail_expecting(self, what: str) -> NoReturn:
        """Raise because something else was expected here."""
        if not self.peek():
            self._cut()
        self._fail_here("JSON_SYNTAX", f"expected {what}, found {self._found()}; the rest was not read")

    def _cut(self) -> NoReturn:
        """Raise because the stream ends inside a value."""
        message = "expected the rest of the document, found the end of the source; the complete part was read"
        self._fail_here("JSON_TRUNCATED_DOC", message)

    def _found(self) -> str:
        """Return the beginning of what comes next, for a message."""
        if self._raw_at < len(self._raw):
            self._fill(_FEW)
        return ascii(self._text[self._at : self._at + 20])

    # --------------------------------------------------------------------------------------------- passing over

    def _pass_scalar(self, first: str) -> None:
        """Move past a number or literal."""
        while (end := _end(_SCALAR, self._text, self._at)) == len(self._text):
            self._at = end
            if not self._fill(self._size):
                return
        if end == self._at and first == self._text[self._at]:
            self._fail_expecting("a value")
        self._at = end

    def _string_body(self, index: int) -> tuple[int, bool]:
        """Return the end of a string's text in the window, and whether the closing quote follows."""
        while True:
            index = _end(_BODY, self._text, index)
            rest = self._text[index : index + 2]
            if len(rest) < 2 or rest[0] == '"':  # noqa: PLR2004 - a backslash and what it escapes
                return index, rest[:1] == '"'

    def _finish_string(self) -> None:
        """Move past the closing quote of the next string."""
        while True:
            self._at, closed = self._string_body(self._at)
            if closed:
                self._at += 1
                return
            if not self._fill(self._size):
                self._cut()

    def _leave(self, depth: int) -> None:
        """Move past the bracket that closes this many open containers."""
        while depth := self._leave_near(depth):
            depth = self._leave_far(depth)

    def _leave_near(self, depth: int) -> int:
        """Move past a limited number of brackets; return how many containers are still open."""
        for _ in range(_NEAR_BONES):
            bone = _BONE.search(self._text, self._at)
            if bone is None:
                self._at = len(self._text)
                if not self._fill(self._size):
                    self._cut()
                continue
            self._at = bone.end()
            if bone[0] == '"':
                self._finish_string()
            else:
                depth += 1 if bone[0] in CLOSERS else -1
            if not depth:
                return 0
        return depth

    def _leave_far(self, depth: int) -> int:
        """Move in large pieces to the one that closes the last container; return how many are still open."""
        meter = DepthMeter(depth)
        while True:
            if self._at >= len(self._text) and not self._fill(self._size):
                self._cut()
            depth, inside, escaped = meter.depth, meter.in_string, meter.escaped
            piece = self._text[self._at : self._at + _FAR]
            lowest, _ = meter.feed(piece.encode("utf-8", "surrogateescape"))
            if lowest <= 0:
                break
            self._at += len(piece)
        self._at += escaped
        if inside:
            self._finish_string()
        return depth

    def _extent(self, max_bytes: int) -> tuple[int | None, int]:
        """Return the index after the next value, or None if it is invalid, too deep or too large, and its depth."""
        first = self.peek()
        if first not in CLOSERS and first != '"':
            return self._scalar_extent(), 0
        open_: list[str] = []
        behind, deepest = 0, 0  # behind: relative to the value, which stays in the window
        while len(open_) <= self._max_depth:
            bone = _BONE.search(self._text, self._at + behind)
            sign, end, closed = ("", len(self._text), False) if bone is None else (bone[0], bone.end(), True)
            if sign == '"':
                end, closed = self._string_body(end)
                end += closed
            if not closed:
                behind = (bone.start() if bone else end) - self._at
                if len(self._text) - self._at > max_bytes or not self._fill(max(self._size, len(self._text))):
                    return None, deepest
                continue
            behind = end - self._at
            if sign in CLOSERS:
                open_.append(CLOSERS[sign])
                deepest = max(deepest, len(open_))
            elif sign != '"' and open_.pop() != sign:
                return None, deepest
            if not open_:
                return end, deepest
        return None, deepest

    def _scalar_extent(self) -> int | None:
        """Return the index after the next number or literal, None if there is none."""
        while (end := _end(_SCALAR, self._text, self._at)) == len(self._text) and self._fill(self._size):
            pass
        return end if end > self._at else None


def _end(pattern: re.Pattern[str], text: str, index: int) -> int:
    """Return the end of a match of a pattern that matches everywhere."""
    match = pattern.match(text, index)
    return index if match is None else match.end()


def _is_clean(text: str) -> bool:
    """Return whether the text was decoded from valid UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
