"""OTLP attribute values in every dialect, as Python values."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from tracekit.loading.building.ledger import NOWHERE, Position
from tracekit.loading.building.pool import HIGHEST, LOWEST
from tracekit.loading.numbers import MOST_DIGITS, is_digits, real, whole
from tracekit.loading.records.parse import BigInt

if TYPE_CHECKING:
    from tracekit.loading.building.ledger import Ledger

# field of an AnyValue in camelCase, snake_case and Go's spelling -> its type; in the order of the proto file
_MEMBERS = {
    **dict.fromkeys(("stringValue", "string_value", "StringValue"), "string"),
    **dict.fromkeys(("boolValue", "bool_value", "BoolValue"), "bool"),
    **dict.fromkeys(("intValue", "int_value", "IntValue"), "int"),
    **dict.fromkeys(("doubleValue", "double_value", "DoubleValue"), "double"),
    **dict.fromkeys(("arrayValue", "array_value", "ArrayValue"), "array"),
    **dict.fromkeys(("kvlistValue", "kvlist_value", "KvlistValue"), "map"),
    **dict.fromkeys(("bytesValue", "bytes_value", "BytesValue"), "bytes"),
}
_URL_SAFE = str.maketrans("-_", "+/")
_EMPTY = frozenset({"stringValueStrindex"})


class UnreadableError(ValueError):
    """A malformed AnyValue."""


def any_value(value: Any) -> Any:
    """Return an AnyValue as a Python value: None where it is empty."""
    sort, content = _member(value)
    if sort not in {"array", "map"}:
        return _scalar(sort, content)
    root: list[Any] = [None]
    todo: list[tuple[Any, Any, Any]] = [(root, 0, value)]
    while todo:
        into, at, item = todo.pop()
        sort, content = _member(item)
        if sort == "array":
            values = _listed(content)
            into[at] = [None] * len(values)
            todo += [(into[at], i, v) for i, v in enumerate(values)]
        elif sort == "map":
            into[at] = {}
            todo += [
                (into[at], _key(pair), pair.get("value", pair.get("Value"))) for pair in reversed(_listed(content))
            ]
        else:
            into[at] = _scalar(sort, content)
    return root[0]


def _member(value: Any) -> tuple[str, Any]:
    """Return the type and content of an AnyValue: its first field in proto order."""
    if value is None:
        return "empty", None
    if not isinstance(value, dict):
        return "plain", value
    if len(value) == 1 and not value.keys().isdisjoint({"Value", "value"}):
        [value] = value.values()
        if value is None:
            return "empty", None
        if not isinstance(value, dict):
            raise UnreadableError(f"expected one of stringValue, intValue, ..., found {value!r:.80}")
    if not value or not value.keys() - _EMPTY:
        return "empty", None
    for name, sort in _MEMBERS.items():
        if name in value:
            return ("empty", None) if value[name] is None else (sort, value[name])
    raise UnreadableError(f"expected one of stringValue, intValue, ..., found {', '.join(map(str, value))}")


def _listed(content: Any) -> list[Any]:
    """Return the values of an array or map."""
    values = content.get("values", content.get("Values", [])) if isinstance(content, dict) else content
    if values is None:
        return []
    if not isinstance(values, list):
        raise UnreadableError(f"expected a list of values, found {type(values).__name__}")
    return values


def _key(pair: Any) -> str:
    """Return the key of a pair of a map."""
    key = pair.get("key", pair.get("Key", "")) if isinstance(pair, dict) else None
    if not isinstance(key, str):
        raise UnreadableError("expected {key, value} in a kvlistValue")
    return key


def _scalar(sort: str, content: Any) -> Any:
    """Return one scalar value, from text or from JSON."""
    try:
        if sort == "int":
            return _whole(content)
        if sort == "double":
            return real(content)
        if sort == "bytes":
            text = content.translate(_URL_SAFE).rstrip("=")
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (TypeError, ValueError, ArithmeticError, AttributeError, binascii.Error) as error:
        raise UnreadableError(f"expected a value of type {sort}, found {content!r:.80}") from error
    if sort == "string" and not isinstance(content, str):
        raise UnreadableError(f"expected text in stringValue, found {content!r:.80}")
    if sort == "bool" and not isinstance(content, bool):
        raise UnreadableError(f"expected true or false in boolValue, found {content!r:.80}")
    return content


def _whole(content: Any) -> int | BigInt:
    """Return an integer from a number or text; one with too many digits stays text."""
    if isinstance(content, str) and len(text := content.strip()) > MOST_DIGITS and is_digits(text):
        return BigInt(text)
    number = whole(content)
    if number is None and not (isinstance(content, int) and not isinstance(content, bool)):
        raise ValueError
    return BigInt(content) if number is None else number


def attribute_list(attributes: Any, ledger: Ledger, at: Position = NOWHERE) -> list[tuple[str, Any]]:
    """Return (key, value) of a list of attributes or a flat map; a malformed one is an ATTR_BAD issue."""
    if isinstance(attributes, dict):
        ledger.dialect("attribute_map")
        return [_remarked(str(key), value, ledger, at) for key, value in attributes.items()]
    if not isinstance(attributes, (list, tuple)):
        if attributes is not None:
            _bad(ledger, at, f"expected a list of attributes, found {attributes!r:.80}; skipped")
        return []
    pairs: list[tuple[str, Any]] = []
    for item in attributes:
        pair = _pair(item, ledger, at)
        if pair is not None:
            pairs.append(pair)
    return pairs


def _pair(item: Any, ledger: Ledger, at: Position) -> tuple[str, Any] | None:
    """Return one attribute; None, with an issue, if it has no key."""
    key = item.get("key", item.get("Key", "")) if isinstance(item, dict) else None
    if not isinstance(key, str):
        _bad(ledger, at, f"expected an attribute with a key, found {item!r:.80}; skipped")
        return None
    value = item.get("value", item.get("Value"))
    if isinstance(value, dict):
        members = [name for name in _MEMBERS if name in value]
        if len(members) > 1:
            _bad(
                ledger,
                at,
                f"attribute {key!r:.80}: expected one value, found {', '.join(members)}; the first was used",
            )
        if "Value" in value:
            ledger.dialect("go_struct_values")
    try:
        return _remarked(key, any_value(value), ledger, at)
    except UnreadableError as error:
        _bad(ledger, at, f"attribute {key!r:.80}: {error}; kept as JSON")
        return key, value


def _remarked(key: str, value: Any, ledger: Ledger, at: Position) -> tuple[str, Any]:
    """Return the attribute; report an empty key or an integer beyond 64 bits."""
    if not key:
        _bad(ledger, at, 'expected a key, found ""; kept')
    if isinstance(value, BigInt) or (isinstance(value, int) and not LOWEST <= value <= HIGHEST):
        ledger.tally("JSON_BIG_INT", "expected a 64-bit integer, found a larger one; its digits are kept", at)
    return key, value


def _bad(ledger: Ledger, at: Position, message: str) -> None:
    ledger.issue("ATTR_BAD", message, at=at)
