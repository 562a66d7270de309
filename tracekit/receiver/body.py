"""The body of a request: of a length or in chunks, unpacked, with limits on its size and on the memory of all."""

from __future__ import annotations

import re
import zlib
from contextlib import contextmanager
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from tracekit.receiver.answers import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

MAX_BODY = 64 << 20  # bytes, as sent and unpacked: exporters send a few MB at most
MAX_MEMORY = 256 << 20  # bytes of all bodies that are being read
_PIECE = 1 << 18
_PACKED_PIECE = 1 << 14  # at most 1032 times as large when unpacked
_LINE = 1 << 10  # bytes of a line between chunks
_TRAILERS = 64
_MEMBERS = 64
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?\r?\n")
_UNPACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's window bits
_RETRY = (("Retry-After", "1"),)


class Stream(Protocol):
    """The bytes of a connection."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, fewer at the end."""

    def readline(self, size: int, /) -> bytes:
        """Return a line with its end."""


class Memory:
    """Counts the bytes of all bodies in memory.

    Parameters
    ----------
    limit
        Bytes.
    """

    def __init__(self, limit: int = MAX_MEMORY) -> None:
        self._limit = limit
        self._used = 0
        self._lock = Lock()

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Give a function that reserves bytes until the end of the block, or raises."""
        mine = 0

        def reserve(count: int) -> None:
            nonlocal mine
            with self._lock:
                if self._used + count > self._limit:
                    message = f"more than {self._limit >> 20} MiB of requests are being read; send this one again"
                    raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, message, headers=_RETRY)
                self._used += count
                mine += count

        try:
            yield reserve
        finally:
            with self._lock:
                self._used -= mine


def read_body(headers: Message, stream: Stream, reserve: Callable[[int], None]) -> bytes:
    """Return the unpacked body of a request; raise RefusedError."""
    packing = headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in {*_UNPACKED, "identity", ""}:
        message = f"expected Content-Encoding gzip, deflate or none, found {packing!r}"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, headers=(("Accept-Encoding", "gzip, deflate"),))
    pieces = []
    size = 0
    for piece in _pieces(headers, stream):
        size += len(piece)
        _check_size(size)
        reserve(len(piece))
        pieces.append(piece)
    body = b"".join(pieces)
    return _inflated(body, packing, reserve) if packing in _UNPACKED else body


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        message = f"expected a body of at most {MAX_BODY >> 20} MiB, found more; send smaller batches"
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _pieces(headers: Message, stream: Stream) -> Iterator[bytes]:
    """Yield the body as it was sent."""
    lengths = headers.get_all("Content-Length", [])
    coding = headers.get_all("Transfer-Encoding", [])
    if coding:
        if lengths:
            raise RefusedError(400, "expected Content-Length or Transfer-Encoding, found both")
        if [one.strip().lower() for one in coding] != ["chunked"]:
            raise RefusedError(HTTPStatus.NOT_IMPLEMENTED, f"expected chunked, found {', '.join(coding)!r:.80}")
        yield from _chunks(stream)
        return
    if not lengths:
        raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length, or Transfer-Encoding chunked")
    if len(set(lengths)) > 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
        raise RefusedError(400, f"expected a Content-Length in bytes, found {', '.join(lengths)!r:.80}")
    _check_size(int(lengths[0]))
    yield from _exactly(stream, int(lengths[0]))


def _exactly(stream: Stream, size: int) -> Iterator[bytes]:
    """Yield so many bytes."""
    left = size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise RefusedError(400, f"expected {size:,} bytes, found the end of the connection after {size - left:,}")
        left -= len(piece)
        yield piece


def _chunks(stream: Stream) -> Iterator[bytes]:
    """Yield the content of a body in chunks."""
    while True:
        line = stream.readline(_LINE)
        if not (match := _SIZE.fullmatch(line)):
            raise RefusedError(400, f"expected the size of a chunk, found {line[:40]!r}")
        size = int(match[1], 16)
        if not size:
            break
        _check_size(size)
        yield from _exactly(stream, size)
        if stream.readline(_LINE) not in {b"\r\n", b"\n"}:
            raise RefusedError(400, f"expected the end of a chunk after {size:,} bytes, found more")
    for _ in range(_TRAILERS):
        line = stream.readline(_LINE)
        if line in {b"\r\n", b"\n"}:
            return
        if not line.endswith(b"\n"):
            break
    raise RefusedError(400, "expected an empty line after the last chunk, found none")


def _inflated(body: bytes, packing: str, reserve: Callable[[int], None]) -> bytes:
    """Return the content of a packed body, piece by piece, so that a bomb is noticed before it has grown."""
    pieces: list[bytes] = []
    size = at = 0
    decoder, member_count = zlib.decompressobj(_UNPACKED[packing]), 1
    try:
        while at < len(body) or decoder.unconsumed_tail:
            if decoder.eof:  # gzip members one after the other are one content
                decoder, member_count = zlib.decompressobj(_UNPACKED[packing]), member_count + 1
                if member_count > _MEMBERS:
                    raise RefusedError(
                        400, f"expected at most {_MEMBERS} members of {packing}, found more", closes=False
                    )
            packed = decoder.unconsumed_tail or body[at : at + _PACKED_PIECE]
            at += 0 if decoder.unconsumed_tail else len(packed)
            piece = decoder.decompress(packed, _PIECE)
            at -= len(decoder.unused_data)
            size += len(piece)
            _check_size(size)
            reserve(len(piece))
            pieces.append(piece)
    except zlib.error as error:
        raise RefusedError(400, f"expected {packing}, found damaged data ({error})", closes=False) from error
    if not decoder.eof:
        raise RefusedError(400, f"expected {packing}, found the end inside of it", closes=False)
    return b"".join(pieces)
