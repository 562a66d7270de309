"""From OTLP protobuf to the records of the tolerant reader: what is odd in them is reported there, as for JSON.

A damaged span, ScopeSpans or ResourceSpans is quarantined alone, with its offset.  Fields that OTLP does not have are
counted.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.loading.building.ledger import Position
from tracekit.loading.otlp import tolerant
from tracekit.loading.protobuf.wire import FIXED32, FIXED64, LENGTH, VARINT, DamageError, Field, field, whole_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Ledger

MAX_NESTING = 100  # messages in messages, as protobuf's own readers
UNKNOWN = "unknown_fields_skipped"
_SIGN = 1 << 63
_EXCERPT = 48  # bytes


class Member(NamedTuple):
    """A field of a message: its name in JSON, its wire type, and what makes its value."""

    name: str
    wire: int
    value: Callable[[bytes, Field], Any] | None = None
    message: str = ""
    is_list: bool = False


def _text(data: bytes, one: Field) -> str:
    try:
        return data[one.value : one.stop].decode()
    except UnicodeDecodeError as error:
        message = "expected UTF-8, found bytes that are not"
        raise DamageError(message, one.value + error.start, "ENC_INVALID_UTF8") from None


def _hex(data: bytes, one: Field) -> str:
    return data[one.value : one.stop].hex()


def _base64(data: bytes, one: Field) -> str:
    return base64.b64encode(data[one.value : one.stop]).decode()


def _fixed(data: bytes, one: Field) -> int:
    return int.from_bytes(data[one.value : one.stop], "little")


def _nanoseconds(data: bytes, one: Field) -> str:
    return str(_fixed(data, one))


def _double(data: bytes, one: Field) -> float:
    return float(struct.unpack_from("<d", data, one.value)[0])


def _unsigned32(_: bytes, one: Field) -> int:
    return one.value & 0xFFFF_FFFF


def _enum(_: bytes, one: Field) -> int:
    low = one.value & 0xFFFF_FFFF
    return low - (1 << 32) if low >> 31 else low


def _integer(_: bytes, one: Field) -> int:
    return one.value - (1 << 64) if one.value & _SIGN else one.value


def _boolean(_: bytes, one: Field) -> bool:
    return bool(one.value)


def _string(name: str) -> Member:
    return Member(name, LENGTH, _text)


def _id(name: str) -> Member:
    return Member(name, LENGTH, _hex)


def _count(name: str) -> Member:
    return Member(name, VARINT, _unsigned32)


def _time(name: str) -> Member:
    return Member(name, FIXED64, _nanoseconds)


def _one(name: str, message: str) -> Member:
    return Member(name, LENGTH, None, message)


def _several(name: str, message: str) -> Member:
    return Member(name, LENGTH, None, message, is_list=True)


_ATTRIBUTES = _several("attributes", "KeyValue")
MESSAGES: dict[str, dict[int, Member]] = {
    "ResourceSpans": {
        1: _one("resource", "Resource"),
        2: _several("scopeSpans", "ScopeSpans"),
        3: _string("schemaUrl"),
    },
    "Resource": {1: _ATTRIBUTES, 2: _count("droppedAttributesCount"), 3: _several("entityRefs", "EntityRef")},
    "EntityRef": {
        1: _string("schemaUrl"),
        2: _string("type"),
        3: Member("idKeys", LENGTH, _text, is_list=True),
        4: Member("descriptionKeys", LENGTH, _text, is_list=True),
    },
    "ScopeSpans": {1: _one("scope", "Scope"), 2: _several("spans", "Span"), 3: _string("schemaUrl")},
    "Scope": {1: _string("name"), 2: _string("version"), 3: _ATTRIBUTES, 4: _count("droppedAttributesCount")},
    "Span": {
        1: _id("traceId"),
        2: _id("spanId"),
        3: _string("traceState"),
        4: _id("parentSpanId"),
        5: _string("name"),
        6: Member("kind", VARINT, _enum),
        7: _time("startTimeUnixNano"),
        8: _time("endTimeUnixNano"),
        9: _ATTRIBUTES,
        10: _count("droppedAttributesCount"),
        11: _several("events", "Event"),
        12: _count("droppedEventsCount"),
        13: _several("links", "Link"),
        14: _count("droppedLinksCount"),
        15: _one("status", "Status"),
        16: Member("flags", FIXED32, _fixed),
    },
    "Status": {2: _string("message"), 3: Member("code", VARINT, _enum)},
    "Event": {1: _time("timeUnixNano"), 2: _string("name"), 3: _ATTRIBUTES, 4: _count("droppedAttributesCount")},
    "Link": {
        1: _id("traceId"),
        2: _id("spanId"),
        3: _string("traceState"),
        4: _ATTRIBUTES,
        5: _count("droppedAttributesCount"),
        6: Member("flags", FIXED32, _fixed),
    },
    "KeyValue": {1: _string("key"), 2: _one("value", "AnyValue"), 3: Member("keyStrindex", VARINT, _integer)},
    "AnyValue": {
        1: _string("stringValue"),
        2: Member("boolValue", VARINT, _boolean),
        3: Member("intValue", VARINT, _integer),
        4: Member("doubleValue", FIXED64, _double),
        5: _one("arrayValue", "ArrayValue"),
        6: _one("kvlistValue", "KeyValueList"),
        7: Member("bytesValue", LENGTH, _base64),
        8: Member("stringValueStrindex", VARINT, _integer),
    },
    "ArrayValue": {1: _several("values", "AnyValue")},
    "KeyValueList": {1: _several("values", "KeyValue")},
}
_APART = {"ScopeSpans", "Span"}  # damage in one leaves the others readable
_OF_SEVERAL = {"ResourceSpans", "ScopeSpans"}  # what is cut keeps the whole spans in it


def load(data: bytes, one: Field, at: Position, builder: Builder) -> None:
    """Load a ResourceSpans: the field at a position of the source; of one that is cut, its whole spans."""
    ledger = builder.ledger
    ledger.formats["otlp"] += 1
    decoder = Decoder(data, ledger, at, one.start)
    try:
        group = decoder.message("ResourceSpans", one.value, min(one.stop, len(data)), is_cut=one.stop > len(data))
    except DamageError as damage:
        decoder.quarantine("ResourceSpans", damage)
    else:
        tolerant.load({"resourceSpans": [group]}, at, builder)


class Decoder:
    """Decodes the messages of one record.

    Parameters
    ----------
    data
        Bytes with the record in them.
    ledger
        Counts unknown fields, and receives what is damaged.
    at, start
        The position of the record in its source, and the same place in ``data``.
    """

    def __init__(self, data: bytes, ledger: Ledger, at: Position, start: int) -> None:
        self._data = data
        self._ledger = ledger
        self._at = at
        self._start = start

    def message(self, name: str, at: int, stop: int, depth: int = 0, *, is_cut: bool = False) -> dict[str, Any]:
        """Return a message as JSON has it, as far as it is there if it is cut; raise DamageError."""
        if depth > MAX_NESTING:
            raise DamageError(f"expected at most {MAX_NESTING} messages in one another, found more", at)
        members = MESSAGES[name]
        found: dict[str, Any] = {}
        while at < stop:
            try:
                one = (field if is_cut else whole_field)(self._data, at, stop)
            except DamageError as damage:
                if is_cut and damage.is_cut:
                    break
                raise
            at = one.stop
            member = members.get(one.number)
            if member is None or member.wire != one.wire:
                self._ledger.dialect(UNKNOWN)
            elif one.stop <= stop or member.message in _OF_SEVERAL:
                cut = one._replace(stop=stop) if one.stop > stop else one
                self._add(found, name, member, cut, depth, is_cut=one.stop > stop)
        return found

    def _add(self, found: dict[str, Any], name: str, member: Member, one: Field, depth: int, *, is_cut: bool) -> None:
        """Add the value of a field to its message, as protobuf merges fields that occur again."""
        if member.value is not None:
            value = member.value(self._data, one)
        elif member.message in _APART:
            try:
                value = self.message(member.message, one.value, one.stop, depth + 1, is_cut=is_cut)
            except DamageError as damage:
                self.quarantine(member.message, damage)
                return
        else:
            value = self.message(member.message, one.value, one.stop, depth + 1)
        if member.is_list:
            found.setdefault(member.name, []).append(value)
            return
        before = found.get(member.name)
        if name == "AnyValue":
            found.clear()  # one of several: the last counts
        found[member.name] = _merged(before, value) if member.message and before is not None else value

    def quarantine(self, name: str, damage: DamageError) -> None:
        """Quarantine a message that cannot be decoded."""
        offset = self._at.offset + damage.offset - self._start
        raw = self._data[damage.offset : damage.offset + _EXCERPT].hex(" ")
        message = f"{damage.message}; {name} skipped"
        self._ledger.quarantine(damage.code, message, at=Position(self._at.record, offset), raw=raw)


def _merged(before: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return two occurrences of a message as one."""
    merged = dict(before)
    for name, content in value.items():
        known = merged.get(name)
        if isinstance(known, list):
            merged[name] = known + content
        elif isinstance(known, dict):
            merged[name] = _merged(known, content)
        else:
            merged[name] = content
    return merged
