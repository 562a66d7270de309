"""Parsing of trace and span ids in every notation, as integers.

Decided by length and alphabet, never by the file's extension: 32 or 16 hex digits; base64 of the bytes (protobuf JSON);
base64 of the hex text (opentelemetry-swift#537); ``1-xxxxxxxx-xxxx...`` (X-Ray); ``0x...``; UUIDs; 64-bit trace ids,
padded with zeros; ids whose leading zeros were stripped (Jaeger, Zipkin), only on request.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEX = re.compile(r"[0-9a-fA-F]+").fullmatch
_XRAY = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})").fullmatch
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
PADDED = "64-bit trace ids were padded with zeros"  # what ID_64BIT says
_LONGEST = 64  # no spelling is longer
_TRACE_DIGITS = 32
_SPAN_DIGITS = 16


class Id(NamedTuple):
    """An id: its value (0 if unusable), quality bits, problem code, and the dialect of its notation.

    ``problem`` is empty, a code that leaves the id usable (``ID_64BIT``, ``ID_HEX_AS_BASE64``), or one that does not
    (``ID_BAD_LENGTH``, ``ID_ZERO``, ``ID_NOT_HEX``).
    """

    value: int
    bits: int = 0
    problem: str = ""
    dialect: str = ""


def parse_trace_id(text: object, *, pad: bool = False) -> Id:
    """Parse a trace id."""
    return _trace(text, pad) if isinstance(text, str) and len(text) <= _LONGEST else _no_id(text)


def parse_span_id(text: object, *, pad: bool = False) -> Id:
    """Parse a span id."""
    return _span(text, pad) if isinstance(text, str) and len(text) <= _LONGEST else _no_id(text)


def shown_id(text: object, *, pad: bool = False) -> str:
    """Return a trace id as issues and frames show it; of an invalid id the first 40 characters."""
    found = parse_trace_id(text, pad=pad).value
    return f"{found:032x}" if found else str(text or "")[:40]


def packed(texts: Sequence[str], digits: int, *, may_be_zero: bool = False) -> bytes:
    """Return ids of a fixed number of hex digits as bytes."""
    if not set(map(len, texts)) <= {digits}:
        raise ValueError(f"expected ids of {digits} hex digits")
    binary = bytes.fromhex("".join(texts))
    if len(binary) != len(texts) * digits // 2:  # fromhex passes over white space
        raise ValueError("expected hex digits, found white space")
    if not (may_be_zero or np.frombuffer(binary, np.uint64).reshape(-1, digits // _SPAN_DIGITS).any(axis=1).all()):
        raise ValueError("expected ids, found zeros")
    return binary


def _no_id(found: object) -> Id:
    """Return the problem of a value that is too long, missing or not a string, without the caches."""
    return Id(0, problem="ID_BAD_LENGTH" if isinstance(found, str) or not found else "ID_NOT_HEX")


@lru_cache(maxsize=4096)
def _trace(text: str, pad: bool) -> Id:
    """Parse a trace id; spans of a trace are adjacent, so most calls hit the cache."""
    if xray := _XRAY(text):
        text = xray[1] + xray[2]
    elif _UUID(text):
        text = text.replace("-", "")
    return _read(text, _TRACE_DIGITS, pad)


@lru_cache(maxsize=65_536)
def _span(text: str, pad: bool) -> Id:
    """Parse a span id; a parent's id occurs once per child."""
    return _read(text, _SPAN_DIGITS, pad)


def _read(text: str, digits: int, pad: bool) -> Id:
    """Parse an id of this many hex digits in any notation."""
    if text.endswith("="):  # one of 4,096 begins with 0x
        return _base64(text, digits)
    text = text.removeprefix("0x")
    if not text:
        return Id(0, problem="ID_BAD_LENGTH")
    if not _HEX(text):
        return Id(0, problem="ID_NOT_HEX")
    if len(text) == digits * 3 // 2:  # hex that protobuf read as base64
        again = base64.b64encode(bytes.fromhex(text)).decode()
        return _exact(again, "ID_HEX_AS_BASE64") if _HEX(again) else Id(0, problem="ID_BAD_LENGTH")
    if digits == _TRACE_DIGITS and len(text) == _SPAN_DIGITS:
        return _exact(text, "ID_64BIT", Quality.ID_PADDED)
    if len(text) == digits or (pad and len(text) < digits):
        return _exact(text)
    return Id(0, problem="ID_BAD_LENGTH")


def _exact(text: str, problem: str = "", bits: int = 0) -> Id:
    """Return the value of hex digits that are known to be right; zero is no id."""
    value = int(text, 16)
    return Id(value, bits, problem) if value else Id(0, problem="ID_ZERO")


def _base64(text: str, digits: int) -> Id:
    """Read base64 of the id's bytes, or of its hex text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error, or text that is not ASCII
        return Id(0, problem="ID_NOT_HEX")
    if len(raw) == digits // 2:
        return _exact(raw.hex())._replace(dialect="base64_ids")
    if len(raw) == digits and raw.isalnum() and _HEX(raw.decode()):
        return _exact(raw.decode())._replace(dialect="base64_of_hex_ids")
    return Id(0, problem="ID_BAD_LENGTH")
