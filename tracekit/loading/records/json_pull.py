"""A streaming reader of JSON documents of any size: one value at a time, in bounded memory.

``JsonPull`` slides a window of text over a byte stream.  ``keys()`` walks an object, ``items()`` an array, ``value()``
builds one value, ``skip()`` skips one without building it, ``more()`` continues with the next document of the same
stream.  Whatever a loop leaves unread is skipped, so a caller may ``break`` anywhere::

    pull = JsonPull(stream)
    while pull.more():
        for key in pull.keys():
            if key != "resourceSpans" or pull.peek() != "[":
                continue  # its value is skipped
            for _ in pull.items():
                start = pull.offset
                try:
                    record = pull.value()
                except JsonError as error:  # ENC_INVALID_UTF8, JSON_TOO_DEEP, JSON_HUGE, JSON_SYNTAX, ...
                    if not error.recoverable:
                        raise
                    ...  # this one value is lost; the loop continues after it
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, NoReturn

from tracekit.loading.records.depth import MAX_DEPTH, DepthMeter
from tracekit.loading.records.notes import Note
from tracekit.loading.records.parse import big_int_decoder, big_int_note, decoder, ends_early, replace_surrogates
from tracekit.loading.records.window import CLOSERS, WINDOW, JsonError, JsonWindow, Readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_VALUE = 64 << 20
_LEAST_AHEAD, _AHEAD, _MOST_AHEAD = 4 << 10, 64 << 10, 4 << 20  # characters for one call of what ``run`` calls

_NUMBER = "-0123456789"
_EXPONENT = 2  # "1e+5" is read as 1 where it is cut before the 5
_UNDECODABLE = re.compile("[\udc80-\udcff]")


class JsonPull(JsonWindow):
    """Reads JSON documents from a stream, value by value.

    Parameters
    ----------
    stream
        Bytes of UTF-8 JSON, from its ``read(n)``.
    parse_float
        What to make of numbers with a point or an exponent, as in ``parse``.
    max_depth
        Levels of nesting allowed in one value.
    window
        Bytes to read at a time.
    offset
        Byte offset of the first byte, where the stream is a part of something; default: its ``offset``, or 0.

    Attributes
    ----------
    is_large : bool
        Whether the last ``run`` that loaded nothing may have needed more than it got at a time.
    """

    def __init__(
        self,
        stream: Readable,
        *,
        parse_float: Callable[[str], Any] | None = None,
        max_depth: int = MAX_DEPTH,
        window: int = WINDOW,
        offset: int | None = None,
    ) -> None:
        super().__init__(stream, max_depth=max_depth, window=window, offset=offset)
        self._decode = decoder(parse_float).raw_decode
        self._decode_big = big_int_decoder(parse_float).raw_decode
        self._ahead = _AHEAD
        self.is_large = False

    def value(self, max_bytes: int = MAX_VALUE) -> Any:
        """Return the next value."""
        first = self.peek()
        self._unread = False
        if not first:
            self._cut()
        value, end = self._build(first, max_bytes)
        start, self._at = self._at, end
        if end - start > max_bytes:
            message = f"{_huge(max_bytes)}; value skipped"
            self._refuse("JSON_HUGE", message, self._offset_of(start), self._excerpt(start))
        if self._dropped + start < self._bad_until and (bad := _UNDECODABLE.search(self._text, start, end)):
            message = "expected UTF-8, found bytes that are not; value skipped"
            self._refuse("ENC_INVALID_UTF8", message, self._offset_of(bad.start()), self._excerpt(start))
        if self._text.find("\\u", start, end) >= 0:
            return self._repaired(value, start, end)
        return value

    def keys(self) -> Iterator[str]:
        """Yield the keys of the next object; the reader is then at the value of the key."""
        return self._walk("{", self._key)

    def items(self) -> Iterator[int]:
        """Yield the item numbers of the next array; the reader is then at the item."""
        return (number for number, _ in enumerate(self._walk("[", str)))

    def run(self, load: Callable[[bytes, int], tuple[int, bool]]) -> bool:
        """Let a function load the next items of an array, as many as it can; return whether it loaded any.

        It gets bytes, which begin at an item and may end inside one, and their offset.  It returns where the last item
        that it loaded ends, 0 without any, and whether more bytes may help.
        """
        while True:
            self._size = max(self._size, self._ahead)
            raw = self._undecoded(self._ahead)
            data, count = self._decoded(self._ahead) if raw is None else (_whole(raw), len(raw))
            if data is None:  # not UTF-8
                self._decode_rest()
                return False
            stop, may_be_cut = load(data, self.offset)
            if stop:
                if raw is None:
                    self._pass_over(self._at + (stop if len(data) == count else len(data[:stop].decode())))
                else:
                    self._pass_undecoded(data, stop)
                self._unread = False
                self._ahead = min(max(2 * self._ahead if 2 * stop > len(data) else 2 * stop, _LEAST_AHEAD), _MOST_AHEAD)
                return True
            if not may_be_cut or count < self._ahead or self._ahead >= _MOST_AHEAD:
                self.is_large = may_be_cut
                self._decode_rest()
                return False
            self._ahead = min(4 * self._ahead, _MOST_AHEAD)

    def _decoded(self, least: int) -> tuple[bytes | None, int]:
        """Return so many of the next characters as bytes, and their number; None if not all are UTF-8."""
        while len(self._text) - self._at < least and self._fill(self._size):
            pass
        text = self._text[self._at : self._at + least]
        try:
            return text.encode(), len(text)
        except UnicodeEncodeError:
            return None, len(text)

    def more(self) -> bool:
        """Move to the next document of the stream, skipping the rest of the present one."""
        self._settle(0)
        if self.peek() == "\ufeff":
            self._notes.append(Note("ENC_BOM", "info", "repaired", "a byte order mark was skipped", self.offset))
            self._at += 1
        first = self.peek()
        if first and first not in CLOSERS:
            message = f"expected a document or the end of the source, found {self._found()}; the rest was not read"
            self._fail_here("JSON_TRAILING", message)
        return bool(first)

    # --------------------------------------------------------------------------------------------- walking

    def _walk(self, opening: str, prepare: Callable[[], str]) -> Iterator[str]:
        """Yield at each item of the next container; what the caller leaves unread is skipped."""
        if self.peek() != opening:
            self._refuse_kind(opening)
        self._unread = False
        self._at += 1
        self._level += 1
        level = self._level
        more = self.peek() != CLOSERS[opening]
        while more:
            name = prepare()
            self._unread = True
            yield name
            self._settle(level)
            more = self._comma(CLOSERS[opening])
        self._at += 1
        self._level = level - 1

    def _settle(self, level: int) -> None:
        """Skip what was left unread, up to this nesting level."""
        if self._level > level:
            inner, self._level, self._unread = self._level - level, level, False
            self._leave(inner)
        elif self._unread:
            self.skip()

    def _key(self) -> str:
        """Return the next key and move to its value."""
        if self.peek() != '"':
            self._fail_expecting("a key in double quotes")
        name: str = self.value()
        if self.peek() != ":":
            self._fail_expecting("':' after a key")
        self._at += 1
        self.peek()  # so that the offset is the value's
        return name

    def _comma(self, closing: str) -> bool:
        """Move past the comma and return True, or stay at the closing bracket and return False."""
        first = self.peek()
        if first == ",":
            self._at += 1
            if self.peek() == closing:
                self._fail_expecting("another item after a comma")
            return True
        if first != closing:
            self._fail_expecting(f"',' or {closing!r}")
        return False

    def _refuse_kind(self, opening: str) -> NoReturn:
        """Skip a value that is not the expected container, and raise."""
        offset, raw = self.offset, self._excerpt(self._at)
        message = f"expected {opening!r}, found {self._found()}; value skipped"
        self.skip()
        self._refuse("JSON_SYNTAX", message, offset, raw)

    # --------------------------------------------------------------------------------------------- building

    def _build(self, first: str, max_bytes: int) -> tuple[Any, int]:
        """Return the next value and the index after it, reading more text while it is incomplete."""
        decode = self._decode
        gathered = False
        while True:
            if self._may_be_deep():
                self._refuse_deep(max_bytes)
            try:
                value, end = decode(self._text, self._at)
                if first not in _NUMBER or self._ended or end + _EXPONENT < len(self._text):
                    return value, end
            except json.JSONDecodeError as error:
                if not ends_early(error, self._text):
                    self._refuse_damaged(error, max_bytes)
            except RecursionError:  # the caller's stack is nearly exhausted
                self._refuse_unbuilt("JSON_TOO_DEEP", "expected a value that fits the remaining Python stack")
            except ValueError:  # the limit on the digits of an int
                decode = self._decode_big
                self._notes.append(big_int_note(self.offset))
                continue
            self._read_on(first, max_bytes, gathered=gathered)
            gathered = True

    def _read_on(self, first: str, max_bytes: int, *, gathered: bool) -> None:
        """Read more of the next value, which is incomplete."""
        if self._ended:
            self._cut()
        if first in CLOSERS and not gathered:
            self._gather(max_bytes)
            return
        length = len(self._text) - self._at
        if length > max_bytes:
            self._refuse_unbuilt("JSON_HUGE", _huge(max_bytes))
        self._fill(max(self._size, length))

    def _gather(self, max_bytes: int) -> None:
        """Read to the end of the next container, so that it is not parsed repeatedly."""
        meter, fed = DepthMeter(1), 1
        while not self._may_be_deep():
            lowest, _ = meter.feed(self._text[self._at + fed :].encode("utf-8", "surrogateescape"))
            fed = len(self._text) - self._at
            if lowest > 0 and fed > max_bytes:
                self._refuse_unbuilt("JSON_HUGE", _huge(max_bytes))
            if lowest <= 0 or not self._fill(max(self._size, fed)):
                return

    def _repaired(self, value: Any, start: int, end: int) -> Any:
        """Return the value with unpaired surrogates replaced."""
        text = self._text[start:end]
        repaired = replace_surrogates(text, self._notes, self._offset_of(start))
        return value if repaired == text else self._decode_big(repaired)[0]

    def _refuse_deep(self, max_bytes: int) -> None:
        """Skip the next value and raise if it nests too deeply."""
        if self._extent(max_bytes)[1] > self._max_depth:
            self._refuse_unbuilt("JSON_TOO_DEEP", f"expected at most {self._max_depth} levels of nesting, found more")

    def _refuse_unbuilt(self, code: str, message: str) -> NoReturn:
        """Skip the next value and raise the reason why it was not built."""
        offset, raw = self.offset, self._excerpt(self._at)
        try:
            self.skip()
        except JsonError as error:
            message = f"{message}, and then {error.message}"
            raise JsonError(code, message, offset=offset, raw=raw) from error
        self._refuse(code, f"{message}; value skipped", offset, raw)

    def _refuse_damaged(self, error: json.JSONDecodeError, max_bytes: int) -> NoReturn:
        """Skip an invalid value if its brackets match; otherwise stop reading the stream."""
        offset, raw = self._offset_of(error.pos), self._excerpt(max(self._at, error.pos - 250))
        message = f"expected a JSON value, found an error: {error.msg}"
        end, _ = self._extent(max_bytes)
        if end is not None:
            self._at = end
            if not self._level or self.peek() in {",", "]", "}"}:
                self._refuse("JSON_SYNTAX", f"{message}; value skipped", offset, raw)
        self._fail("JSON_SYNTAX", f"{message}; the rest was not read", offset, raw)


def _whole(data: bytes) -> bytes | None:
    """Return bytes without a character that is cut off at their end, None if they are not UTF-8."""
    if data.isascii():
        return data
    try:
        _, end = codecs.utf_8_decode(data, "strict", False)  # noqa: FBT003 - the interface's
    except UnicodeDecodeError:
        return None
    return data[:end]


def _huge(max_bytes: int) -> str:
    """Return the message about a value beyond the size limit."""
    return f"expected a value of at most {max_bytes:,} bytes, found a larger one"
