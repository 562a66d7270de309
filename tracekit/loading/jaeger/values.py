"""Jaeger's tags as typed values: the ``type`` that a tag names counts, not the type that JSON gave its value."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from tracekit.loading.numbers import real, whole

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_TRUTHS = {"true": True, "false": False}


def tag_pairs(tags: Any, at: Position, builder: Builder, *, field: str, is_hex: bool = False) -> list[tuple[str, Any]]:
    """Return (key, value) of a list of tags, or of a flat map as in Elasticsearch."""
    if isinstance(tags, dict):
        return [(str(key).replace("@", "."), value) for key, value in tags.items()]
    pairs: list[tuple[str, Any]] = []
    for tag in tags if isinstance(tags, list) else [] if tags is None else [tags]:
        if not isinstance(tag, dict) or not isinstance(tag.get("key"), str):
            _bad(builder, at, field, f"expected a tag with key, type and value, found {tag!r:.80}; skipped")
            continue
        value, kind = tag.get("value"), str(tag.get("type") or "").lower()
        try:
            pairs.append((tag["key"], _typed(value, kind, is_hex=is_hex)))
        except (ValueError, KeyError, binascii.Error):
            _bad(builder, at, field, f"tag {tag['key']!r:.60}: expected a {kind}, found {value!r:.60}; kept unchanged")
            pairs.append((tag["key"], value))
    return pairs


def _typed(value: Any, kind: str, *, is_hex: bool) -> Any:
    """Return a value converted to its declared type."""
    if kind == "bool" and not isinstance(value, bool):
        return _TRUTHS[str(value).lower()]
    if kind in {"int64", "int"} and (isinstance(value, bool) or not isinstance(value, int)):
        return _integer(value)
    if kind in {"float64", "double", "float"} and not isinstance(value, float):
        return real(value)
    if kind == "binary" and isinstance(value, str):
        return bytes.fromhex(value) if is_hex else base64.b64decode(value, validate=True)
    if kind == "string" and value is not None and not isinstance(value, str):
        return str(value) if not isinstance(value, bool) else str(value).lower()
    return value


def _integer(value: Any) -> int:
    """Return an integer given as digits or as a number without fraction."""
    number = whole(value)
    if number is None:
        raise ValueError
    return number


def _bad(builder: Builder, at: Position, field: str, message: str) -> None:
    builder.ledger.issue("ATTR_BAD", message, at=at, field=field)
