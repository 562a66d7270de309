"""Protobuf's wire format: tags, lengths and numbers, with every length checked against the bytes that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
MOST_BYTES = 10  # of a number
MOST_HEADER = 5 + MOST_BYTES  # bytes of a tag and a length
_TAGS = 1 << 32
_MORE = 0x80  # the bit of every byte of a number but the last
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_U64 = 0xFFFF_FFFF_FFFF_FFFF


class DamageError(ValueError):
    """Bytes that are not protobuf, at an offset of the data.

    Parameters
    ----------
    message
        What was expected and found.
    offset
        Where.
    code
        Of the catalogue.
    is_cut
        Whether the data ends too early.
    """

    def __init__(self, message: str, offset: int, code: str = "PROTOBUF_DAMAGED", *, is_cut: bool = False) -> None:
        super().__init__(message)
        self.message, self.offset, self.code, self.is_cut = message, offset, code, is_cut


class Field(NamedTuple):
    """One field: the value of a varint, or where its bytes begin; and where the field begins and ends."""

    number: int
    wire: int
    value: int
    start: int
    stop: int


def varint(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Return a number and the offset behind it."""
    if at < stop and data[at] < _MORE:  # most are of one byte
        return data[at], at + 1
    value = shift = 0
    for i in range(at, min(stop, at + MOST_BYTES)):
        byte = data[i]
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            if value > _U64:
                break
            return value, i + 1
        shift += 7
    else:
        if stop - at < MOST_BYTES:
            raise DamageError("expected more bytes of a number, found the end", at, is_cut=True)
    raise DamageError("expected a number of at most 64 bits, found a larger one", at)


def field(data: bytes, at: int, stop: int) -> Field:
    """Return the field at an offset; of one that is cut the end is beyond ``stop``."""
    tag, value = varint(data, at, stop)
    number, wire = tag >> 3, tag & 7
    if not number or tag >= _TAGS:
        raise DamageError(f"expected the number of a field, found {number}", at)
    if wire == VARINT:
        found, end = varint(data, value, stop)
        return Field(number, wire, found, at, end)
    if wire == LENGTH:
        length, begin = varint(data, value, stop)
        return Field(number, wire, begin, at, begin + length)
    if wire not in _WIDTHS:
        raise DamageError(f"expected wire type 0, 1, 2 or 5, found {wire}", at)
    return Field(number, wire, value, at, value + _WIDTHS[wire])


def whole_field(data: bytes, at: int, stop: int) -> Field:
    """Return the field at an offset; raise DamageError if it is not whole."""
    one = field(data, at, stop)
    if one.stop > stop:
        message = f"expected {one.stop - one.start:,} bytes of field {one.number}, found {stop - one.start:,}"
        raise DamageError(message, one.start, is_cut=True)
    return one


def fields(data: bytes, at: int, stop: int) -> Iterator[Field]:
    """Yield the fields of a message; raise DamageError where one is not whole."""
    while at < stop:
        one = whole_field(data, at, stop)
        yield one
        at = one.stop
