"""The protobuf wire format: fields of a message, with their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
_WIDTH: Final = {FIXED64: 8, FIXED32: 4}
_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_LONGEST: Final = 70  # bits of the ten bytes of the longest varint


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, value and end of each field; a field with a length has its start as value.

    ValueError names the byte at which the message is cut or invalid.
    """
    while at < end:
        first = at
        tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise ValueError(f"expected a field number above 0, found 0 at byte {first:,}")
        if kind == VARINT:
            value, at = varint(data, at, end)
            yield number, kind, value, at
            continue
        if kind == LENGTH:
            size, at = varint(data, at, end)
        elif kind in _WIDTH:
            size = _WIDTH[kind]
        else:
            raise ValueError(f"expected a wire type of 0, 1, 2 or 5, found {kind} at byte {first:,}")
        if size > end - at:
            raise ValueError(f"expected {size:,} bytes of field {number}, found {end - at:,} at byte {at:,}")
        yield number, kind, at, at + size
        at += size


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the unsigned 64-bit integer at a position, and the position behind it."""
    first, value, shift = at, 0, 0
    while at < end and shift < _LONGEST:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says there is more
            return value & _ALL, at
        shift += 7
    raise ValueError(f"expected an integer of at most ten bytes, found none that ends at byte {first:,}")


def signed(value: int) -> int:
    """Return an unsigned 64-bit integer as int64."""
    return value - (1 << 64) if value & _SIGN else value


def integers(data: bytes, kind: int, value: int, end: int) -> list[int]:
    """Return the integers of a repeated field, packed or not."""
    if kind == VARINT:
        return [value]
    if kind != LENGTH:
        raise ValueError(f"expected integers, found wire type {kind} at byte {value:,}")
    found = []
    while value < end:
        one, value = varint(data, value, end)
        found.append(one)
    return found
