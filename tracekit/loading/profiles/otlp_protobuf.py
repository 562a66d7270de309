"""OTLP profiles as protobuf (v1development, with stacks in the dictionary): decoded to the members of the JSON form."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.loading.profiles.otlp import read_documents
from tracekit.loading.profiles.wire import FIXED64, LENGTH, VARINT, fields, integers, signed

if TYPE_CHECKING:
    from tracekit.loading.profiles.collect import Collector


class _Field(NamedTuple):
    """A field that is read: its name in JSON, what it is (a message, or text, id, int, ints, times), if repeated."""

    name: str
    kind: str
    is_repeated: bool = False


def _many(name: str, kind: str) -> _Field:
    """Return a repeated field."""
    return _Field(name, kind, is_repeated=True)


_DICTIONARY: Final = 2
_STRINGS: Final = 5
_WIRES: Final = {"int": {VARINT}, "times": {FIXED64, LENGTH}}
_MESSAGES: Final = {
    "data": {1: _many("resourceProfiles", "resource"), 2: _Field("dictionary", "dictionary")},
    "resource": {2: _many("scopeProfiles", "scope")},
    "scope": {2: _many("profiles", "profile")},
    "profile": {1: _Field("sampleType", "type"), 2: _many("samples", "sample")},
    "type": {1: _Field("typeStrindex", "int"), 2: _Field("unitStrindex", "int")},
    "sample": {
        1: _Field("stackIndex", "int"),
        2: _Field("attributeIndices", "ints"),
        3: _Field("linkIndex", "int"),
        4: _Field("values", "ints"),
        5: _Field("timestampsUnixNano", "times"),
    },
    "dictionary": {
        2: _many("locationTable", "location"),
        3: _many("functionTable", "function"),
        4: _many("linkTable", "link"),
        5: _many("stringTable", "text"),
        6: _many("attributeTable", "attribute"),
        7: _many("stackTable", "stack"),
    },
    "location": {2: _Field("address", "int"), 3: _many("lines", "line")},
    "line": {1: _Field("functionIndex", "int")},
    "function": {1: _Field("nameStrindex", "int")},
    "link": {1: _Field("traceId", "id"), 2: _Field("spanId", "id")},
    "attribute": {1: _Field("keyStrindex", "int"), 2: _Field("value", "value")},
    "value": {1: _Field("stringValue", "text"), 3: _Field("intValue", "int"), 7: _Field("bytesValue", "raw")},
    "stack": {1: _Field("locationIndices", "ints")},
}


def is_otlp_protobuf(data: bytes) -> bool:
    """Return whether data are profiles and a dictionary with strings, which samples of pprof never have."""
    try:
        found = list(fields(data, 0, len(data)))
        dictionary = next((one for one in found if one[0] == _DICTIONARY), None)
        if dictionary is None or {(number, kind) for number, kind, *_ in found} - {(1, LENGTH), (2, LENGTH)}:
            return False
        return any(number == _STRINGS and kind == LENGTH for number, kind, *_ in fields(data, *dictionary[2:]))
    except ValueError:
        return False


def read_otlp_protobuf(data: bytes, collector: Collector, value: str | None) -> None:
    """Add the samples of one message; ValueError if it has another layout or is damaged."""
    document = _message(data, 0, len(data), "data")
    if "stackTable" not in document.get("dictionary", {}):
        raise ValueError(
            "expected stacks in the dictionary, found an earlier layout of OTLP profiles; export it as JSON"
        )
    read_documents([document], collector, value)


def _message(data: bytes, at: int, end: int, name: str) -> dict[str, Any]:
    """Return the members of a message that are read."""
    known, found = _MESSAGES[name], dict[str, Any]()
    for number, wire, low, high in fields(data, at, end):
        if number not in known:
            continue
        field = known[number]
        value = _value(data, (wire, low, high), field)
        if field.is_repeated:
            found.setdefault(field.name, []).append(value)
        elif field.kind in {"ints", "times"}:
            found.setdefault(field.name, []).extend(value)
        else:
            found[field.name] = value
    return found


def _value(data: bytes, place: tuple[int, int, int], field: _Field) -> Any:
    """Return the value of a field; ValueError if it is of another type."""
    wire, low, high = place
    if field.kind == "ints":
        return [signed(one) for one in integers(data, wire, low, high)]
    if wire not in _WIRES.get(field.kind, {LENGTH}):
        raise ValueError(f"expected {field.kind} in {field.name}, found wire type {wire} at byte {low:,}")
    if field.kind == "int":
        return signed(low)
    raw = data[low:high]
    if field.kind == "times":
        if len(raw) % 8:
            raise ValueError(f"expected times of 8 bytes in {field.name}, found {len(raw):,} bytes at byte {low:,}")
        return list(struct.unpack(f"<{len(raw) // 8}Q", raw))
    if field.kind in _MESSAGES:
        return _message(data, low, high, field.kind)
    if field.kind == "raw":
        return raw
    return raw.hex() if field.kind == "id" else raw.decode("utf-8", "replace")
