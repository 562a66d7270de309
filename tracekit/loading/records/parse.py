"""One JSON record, parsed tolerantly: what cannot be read becomes a note, never a crash.

``parse`` takes the bytes of one record (a line, a message, a segment document) and returns ``Parsed``.  The standard
library's scanner does the work; depth is measured before it runs, so nothing recurses far, and integers too long for
``int`` keep their digits as ``BigInt``.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.loading.records.depth import MAX_DEPTH, nests_deeper
from tracekit.loading.records.notes import EXCERPT_BYTES, Note, excerpt_at

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DIGITS = 4300  # Python's limit for converting text to int

_BOM = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_NEAR_END = 12  # a cut literal or escape is reported this far before the end of the text, at most
_CUT_ESCAPE = re.compile(r"\\?u?[0-9a-fA-F]{0,4}")
_TOKENS = ("true", "false", "null", "NaN", "Infinity", "-Infinity", "e+", "e-", "E+", "E-", ".")


class BigInt(str):
    """The digits of an integer that has too many of them for ``int``."""

    __slots__ = ()


class Parsed(NamedTuple):
    """The value of one record, or the reason why it could not be read.

    Parameters
    ----------
    value
        The parsed value; None when there is a failure.
    notes
        Remarks on a value that could be read (ENC_SURROGATE, ENC_NUL, ENC_BOM, JSON_BIG_INT, JSON_DUP_KEY).
    failure
        The reason why there is no value; None if there is one.
    cut
        Whether the text ends too early: a last line without a newline is then JSON_TRUNCATED_TAIL.
    """

    value: Any
    notes: tuple[Note, ...] = ()
    failure: Note | None = None
    cut: bool = False


def parse(
    data: bytes,
    *,
    parse_float: Callable[[str], Any] | None = None,
    max_depth: int = MAX_DEPTH,
    find_duplicate_keys: bool = False,
) -> Parsed:
    """Parse the bytes of one record."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(data, error)
    if nests_deeper(data, max_depth):
        message = f"expected at most {max_depth} levels of nesting, found more; record quarantined"
        return Parsed(None, failure=Note("JSON_TOO_DEEP", "error", "quarantined", message, 0, data[:EXCERPT_BYTES]))
    notes: list[Note] = []
    if data.startswith(_BOM):
        text = text[1:]
        notes.append(Note("ENC_BOM", "info", "repaired", "a byte order mark before the record was skipped", 0))
    if "\\u" in text:
        text = replace_surrogates(text, notes)
    try:
        return Parsed(_decode(text, parse_float, notes, find_duplicate_keys), tuple(notes))
    except json.JSONDecodeError as error:
        if "\0" in text:
            return _with_nul_inside(text, parse_float, notes, error)
        return _not_json(text, error)
    except RecursionError:  # the caller's stack is nearly exhausted
        message = (
            "expected a record that fits the remaining Python stack, found no room; call it with fewer nested calls"
        )
        return Parsed(None, failure=Note("JSON_TOO_DEEP", "error", "quarantined", message, 0, data[:EXCERPT_BYTES]))


def decoder(parse_float: Callable[[str], Any] | None = None) -> json.JSONDecoder:
    """Return the fast decoder; its ``int`` raises ValueError beyond 4,300 digits."""
    return _decoder(parse_float, big=False)


def big_int_decoder(parse_float: Callable[[str], Any] | None = None) -> json.JSONDecoder:
    """Return the slower decoder that keeps integers of more than 4,300 digits as ``BigInt``."""
    return _decoder(parse_float, big=True)


@cache
def _decoder(parse_float: Callable[[str], Any] | None, *, big: bool) -> json.JSONDecoder:
    """Return the decoder for these options."""
    return json.JSONDecoder(parse_float=parse_float, parse_int=_integer if big else None)


def _integer(digits: str) -> int | BigInt:
    """Return the integer, or its digits where there are too many."""
    return int(digits) if len(digits) <= MAX_DIGITS else BigInt(digits)


def replace_surrogates(text: str, notes: list[Note], offset: int = 0) -> str:
    r"""Return JSON text with escapes of unpaired surrogates replaced by U+FFFD, of the same length."""
    found = nul = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal found, nul
        if match[1]:
            found += 1
            return "\\ufffd"
        nul += match[0] == "\\u" and text.startswith("0000", match.end())
        return match[0]

    if "\\ud" in text or "\\uD" in text or "\\u0000" in text:
        text = _ESCAPE.sub(replaced, text)
    if found:
        message = f"expected surrogate pairs, found {found} unpaired; replaced by U+FFFD"
        notes.append(Note("ENC_SURROGATE", "warn", "repaired", message, offset))
    if nul:
        notes.append(Note("ENC_NUL", "warn", "accepted", f"{nul} NUL characters (\\u0000) in strings; kept", offset))
    return text


def _decode(text: str, parse_float: Callable[[str], Any] | None, notes: list[Note], pairs: bool) -> Any:
    """Return the value with integers of any length; notes are appended."""
    if pairs:
        return _decode_pairs(text, parse_float, notes)
    try:
        return _decoder(parse_float, big=False).decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # the limit on the digits of an int
        value = _decoder(parse_float, big=True).decode(text)
        notes.append(big_int_note())
        return value


def big_int_note(offset: int = 0) -> Note:
    """Return the note on an integer too long for ``int``."""
    message = f"an integer of more than {MAX_DIGITS:,} digits; converted to text"
    return Note("JSON_BIG_INT", "warn", "accepted", message, offset)


def _decode_pairs(text: str, parse_float: Callable[[str], Any] | None, notes: list[Note]) -> Any:
    """Return the value, with a note on duplicate keys in an object."""
    twice: list[str] = []
    big: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            seen: set[str] = set()
            twice.extend(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return value

    def integer(digits: str) -> int | BigInt:
        if len(digits) > MAX_DIGITS:
            big.append(digits)
        return _integer(digits)

    value = json.JSONDecoder(parse_float=parse_float, parse_int=integer, object_pairs_hook=collect).decode(text)
    if big:
        notes.append(big_int_note())
    if twice:
        names = ", ".join(sorted(set(twice))[:5])
        message = f"expected unique keys in an object, found duplicates: {names}; the last value was used"
        notes.append(Note("JSON_DUP_KEY", "warn", "accepted", message, 0))
    return value


def _with_nul_inside(
    text: str, parse_float: Callable[[str], Any] | None, notes: list[Note], error: json.JSONDecodeError
) -> Parsed:
    """Return the value with raw NUL bytes inside its texts kept, or the failure without them."""
    try:
        value = _decode(text.replace("\0", "\\u0000"), parse_float, notes, pairs=False)
    except json.JSONDecodeError:
        return _not_json(text, error)
    count = text.count("\0")
    notes.append(Note("ENC_NUL", "warn", "accepted", f"{count} raw NUL bytes inside strings; kept", 0))
    return Parsed(value, tuple(notes))


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> Parsed:
    """Return the failure of bytes that are not UTF-8."""
    found = data[error.start : error.end].hex(" ")
    message = f"expected UTF-8, found the bytes {found} at byte {error.start} of the record; record quarantined"
    excerpt = excerpt_at(data, error.start)
    failure = Note("ENC_INVALID_UTF8", "error", "quarantined", message, error.start, excerpt)
    return Parsed(None, failure=failure, cut=error.reason == "unexpected end of data")


def _not_json(text: str, error: json.JSONDecodeError) -> Parsed:
    """Return the failure of text that is not one JSON value."""
    data = text.encode("utf-8", "replace")
    offset = len(text[: error.pos].encode("utf-8", "replace"))
    trailing = error.msg == "Extra data"
    problem = "text after the JSON value" if trailing else f"invalid JSON ({error.msg})"
    message = f"{problem} at column {error.pos + 1}; record quarantined"
    code = "JSON_TRAILING" if trailing else "JSON_SYNTAX"
    failure = Note(code, "error", "quarantined", message, offset, excerpt_at(data, offset))
    return Parsed(None, failure=failure, cut=not trailing and ends_early(error, text))


def ends_early(error: json.JSONDecodeError, text: str) -> bool:
    """Return whether more text could resolve the error: the value is truncated, not invalid."""
    if error.msg.startswith("Unterminated string"):
        return True
    tail = text[error.pos :]
    if len(tail) > _NEAR_END:
        return False
    if error.msg.startswith("Invalid \\"):
        return _CUT_ESCAPE.fullmatch(tail) is not None
    return not tail.strip(" \t\r\n") or any(token.startswith(tail) for token in _TOKENS)
