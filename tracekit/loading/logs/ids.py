"""Trace and span ids of log lines, in every notation of logging libraries, as integers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.loading.ids import packed, parse_span_id, parse_trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_HEADER: Final = re.compile(r"(?:Root=)?1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})(?![0-9a-fA-F])")
_PARENT: Final = re.compile(r"Parent=([0-9a-fA-F]{16})\b")
_TRACEPARENT: Final = re.compile(r"[0-9a-fA-F]{2}-([0-9a-fA-F]{32})-([0-9a-fA-F]{16})(?:-|$)")
_RESOURCE: Final = re.compile(r"projects/[^/]{1,100}/traces/([0-9a-fA-F]{32})")
_IN_TEXT: Final = re.compile(
    r"(?i)\b(trace|span)[ _.-]?id[\"']?\s{0,3}[=:]\s{0,3}[\"']?"
    r"(1-[0-9a-f]{8}-[0-9a-f]{24}|[0-9a-f]{16,32})(?![0-9a-z-])"
)
_NONE: Final = frozenset({"", "0", "-", "none", "null", "nil", "n/a", "undefined"})
_MASK: Final = (1 << 64) - 1
_LONGEST: Final = 200
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16


def ids_in(text: str) -> tuple[str | None, str | None]:
    """Return the trace and span id that a text names, such as ``trace_id=... span_id=...`` or an X-Ray header.

    Examples
    --------
    >>> ids_in("paid trace_id=5af7183fb1d4cf5f5af7183fb1d4cf5f span_id=5af7183fb1d4cf5f")
    ('5af7183fb1d4cf5f5af7183fb1d4cf5f', '5af7183fb1d4cf5f')
    """
    found = {name.lower(): value for name, value in reversed(_IN_TEXT.findall(text))}
    if "trace" not in found and (header := _HEADER.search(text)):
        found["trace"] = header[0].removeprefix("Root=")
    return found.get("trace"), found.get("span")


def ids_of_header(value: str) -> tuple[str | None, str | None]:
    """Return the trace and parent span id of an X-Ray header, a ``traceparent`` or a resource name; None for others."""
    for pattern in (_TRACEPARENT, _RESOURCE):
        if found := pattern.search(value[:_LONGEST]):
            return found[1], found[2] if pattern is _TRACEPARENT else None
    if found := _HEADER.search(value[:_LONGEST]):
        parent = _PARENT.search(value[:_LONGEST])
        return found[1] + found[2], parent[1] if parent else None
    return None, None


def trace_ids(values: Sequence[Any], is_decimal: Array) -> tuple[Array, Array, Array]:
    """Return the high and low 64 bits of trace ids (0 = none), and which values are not ids."""
    if (plain := _plain(values, is_decimal, _TRACE_DIGITS)) is not None:
        return plain[:, 0], plain[:, 1], np.zeros(len(values), bool)
    codes, known = _distinct(values, is_decimal)
    found = [_trace_id(value, decimal) for value, decimal in known]
    return (
        np.array([0, *((one or 0) >> 64 for one in found)], np.uint64)[codes + 1],
        np.array([0, *((one or 0) & _MASK for one in found)], np.uint64)[codes + 1],
        np.array([False, *(one is None for one in found)], bool)[codes + 1],
    )


def span_ids(values: Sequence[Any], is_decimal: Array) -> tuple[Array, Array]:
    """Return span ids (0 = none), and which values are not ids."""
    if (plain := _plain(values, is_decimal, _SPAN_DIGITS)) is not None:
        return plain[:, 0], np.zeros(len(values), bool)
    codes, known = _distinct(values, is_decimal)
    found = [_span_id(value, decimal) for value, decimal in known]
    return (
        np.array([0, *(one or 0 for one in found)], np.uint64)[codes + 1],
        np.array([False, *(one is None for one in found)], bool)[codes + 1],
    )


def _plain(values: Sequence[Any], is_decimal: Array, digits: int) -> Array | None:
    """Return ids that are all missing or hexadecimal of full length, 64 bits a column; None if any is not."""
    given = [value for value in values if value is not None]
    if set(map(type, given)) - {str} or set(map(len, given)) - {digits} or is_decimal.any():
        return None
    try:
        binary = packed(given, digits, may_be_zero=True)
    except ValueError:
        return None
    found = np.zeros((len(values), digits // _SPAN_DIGITS), np.uint64)
    found[[value is not None for value in values]] = np.frombuffer(binary, ">u8").reshape(-1, found.shape[1])
    return found


def _distinct(values: Sequence[Any], is_decimal: Array) -> tuple[Array, list[tuple[str, bool]]]:
    """Return the number of each value among the distinct ones (-1 = missing), and those; integers are decimal."""
    known: dict[tuple[str, bool], int] = {}
    codes = np.full(len(values), -1, np.int64)
    for at, (value, decimal) in enumerate(zip(values, is_decimal.tolist(), strict=True)):
        if value is None:
            continue
        is_int = type(value) is int
        key = (value if type(value) is str else f"{value!r:.60}"), decimal or is_int
        codes[at] = known.setdefault(key, len(known))
    return codes, list(known)


def _trace_id(value: str, is_decimal: bool) -> int | None:
    """Return a trace id, 0 for none, None for a value that is not an id."""
    if value.strip().lower() in _NONE:
        return 0
    if is_decimal and _is_decimal(value):
        return int(value)
    head, _ = ids_of_header(value)
    found = parse_trace_id(head or value.strip(), pad=True)
    return 0 if found.problem == "ID_ZERO" else found.value or None


def _span_id(value: str, is_decimal: bool) -> int | None:
    """Return a span id, 0 for none, None for a value that is not an id."""
    if value.strip().lower() in _NONE:
        return 0
    if is_decimal and _is_decimal(value):
        return int(value)
    found = parse_span_id(value.strip(), pad=True)
    return 0 if found.problem == "ID_ZERO" else found.value or None


def _is_decimal(value: str) -> bool:
    """Return whether a value is a decimal number of 64 bits; longer digits are hexadecimal."""
    return value.isascii() and value.isdigit() and len(value) <= 20 and int(value) <= _MASK  # noqa: PLR2004 - of 2^64
