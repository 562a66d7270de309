"""Ids of traces and spans in the labels and attributes of samples, as different profilers write them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

TRACE, SPAN, ROOT = "trace_id", "span_id", "root_span_id"
_NAMES: Final = {
    "trace_id": TRACE,
    "traceid": TRACE,
    "span_id": SPAN,
    "spanid": SPAN,
    "local_root_span_id": ROOT,
    "root_span_id": ROOT,
    "profile_id": ROOT,  # Pyroscope's name for the local root span
}
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_DECIMAL: Final = re.compile(r"[0-9]{1,20}")
_SPAN_DIGITS, _TRACE_DIGITS = 16, 32
_LARGEST: Final = (1 << 64) - 1


class Ids(NamedTuple):
    """The ids of a sample, 0 where unknown."""

    trace_hi: int = 0
    trace_lo: int = 0
    span_id: int = 0
    root_id: int = 0


def kind_of(key: str) -> str | None:
    """Return which id a label has: ``trace_id``, ``span_id``, ``root_span_id`` or None."""
    return _NAMES.get(key.lower().replace(" ", "_").replace(".", "_").replace("-", "_"))


def id_of(key: str, value: int | str | bytes) -> int:
    """Return an id: a number, bytes, hex digits of full length, or decimal digits, as Datadog writes them.

    ValueError if it is none of these. Keys with a space are Datadog's: their digits are always decimal.
    """
    full = _TRACE_DIGITS if kind_of(key) == TRACE else _SPAN_DIGITS
    if isinstance(value, int):
        return value & _LARGEST
    if isinstance(value, bytes):
        if len(value) == full // 2:
            return int.from_bytes(value, "big")
        value = value.decode("utf-8", "replace")
    is_decimal = _DECIMAL.fullmatch(value) is not None and int(value) <= _LARGEST
    if " " in key and is_decimal:
        return int(value)
    if len(value) in {full, _SPAN_DIGITS} and _HEX.fullmatch(value):
        return int(value, 16)
    if is_decimal:
        return int(value)
    raise ValueError(f"expected a {key} of {full} hex digits or a decimal number, found {value[:40]!r}")


def ids_of(labels: list[tuple[str, int | str | bytes]]) -> Ids:
    """Return the ids in the labels of a sample; ValueError if one is invalid."""
    found = {TRACE: 0, SPAN: 0, ROOT: 0}
    for key, value in labels:
        kind = kind_of(key)
        if kind is not None:
            found[kind] = id_of(key, value) or found[kind]
    return Ids(found[TRACE] >> 64, found[TRACE] & _LARGEST, found[SPAN], found[ROOT])
