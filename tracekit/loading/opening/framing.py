"""The collector's container: length-prefixed messages, each possibly compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.loading.opening.decoders import PIECE, Journal, Peekable, Unpacked
from tracekit.loading.protobuf.recognise import is_protobuf
from tracekit.loading.protobuf.wire import DamageError, fields
from tracekit.loading.records.notes import Note

if TYPE_CHECKING:
    from tracekit.loading.opening.decoders import Layer

_LENGTH = 4
_LOOKED_AT = 4096
_MOST = 1 << 29  # bytes of one message, which is kept in memory: the collector's are at most a few MB
_ZSTD = b"\x28\xb5\x2f\xfd"


class _Limited:
    """The next bytes of a layer, so many and no more."""

    def __init__(self, below: Layer, left: int) -> None:
        self._below = below
        self.left = left

    def read(self, size: int, /) -> bytes:
        """Read on."""
        data = self._below.read(min(size, self.left)) if self.left else b""
        self.left -= len(data)
        return data


class _Whole:
    """The fields of a protobuf message that are whole; of one that is cut by the end of the source, all bytes."""

    def __init__(self, below: Layer, frame: _Limited, trouble: Journal) -> None:
        self._below, self._frame, self._trouble = below, frame, trouble
        self._data: bytes | None = None

    def read(self, size: int, /) -> bytes:
        """Read on."""
        if self._data is None:
            self._data = self._whole()
        data, self._data = self._data[:size], self._data[size:]
        return data

    def _whole(self) -> bytes:
        """Read the message."""
        pieces, size = [], 0
        while size <= _MOST and (piece := self._below.read(PIECE)):
            pieces.append(piece)
            size += len(piece)
        while self._frame.read(PIECE):
            pass
        if size > _MOST:
            self._trouble.stop(
                "CONTAINER_DAMAGED", f"expected a message of at most {_MOST:,} bytes, found a larger one"
            )
            return b""
        data = b"".join(pieces)
        del pieces
        end = 0
        try:
            for one in fields(data, 0, len(data)):
                end = one.stop
        except DamageError as damage:
            if not self._frame.left:
                self._trouble.stop("CONTAINER_DAMAGED", f"{damage.message} at byte {damage.offset:,} of the message")
                return data[:end]
        return data


class Framed:
    r"""Messages with 4-byte big-endian length prefixes, each followed by a newline, as the collector writes.

    Messages of protobuf are joined without newlines, each as far as its fields are whole: what follows a damaged one
    stays readable.

    Parameters
    ----------
    below
        The framed bytes.
    journal
        Receives CONTAINER_TRUNCATED if the bytes end inside a message; a damaged message is lost alone.
    """

    def __init__(self, below: Peekable, journal: Journal) -> None:
        self._below = below
        self._journal = journal
        self._number = 0
        self._frame: _Limited | None = None
        self._payload: Layer = below
        self._trouble = Journal()
        self._has_given = False  # anything of the present message
        self._is_protobuf: bool | None = None  # the first message decides

    def read(self, size: int, /) -> bytes:
        """Read on."""
        while self._frame is not None or self._begin():
            data = self._payload.read(size)
            if data:
                self._has_given = True
                return data
            self._finish()
            if not self._is_protobuf:
                return b"\n"
        return b""

    def _begin(self) -> bool:
        """Begin the next message; False when there is none."""
        header = self._below.peek(_LENGTH)
        if len(header) < _LENGTH:
            if self._below.read(_LENGTH):
                self._cut("its length")
            return False
        self._below.read(_LENGTH)
        self._number += 1
        self._has_given = False
        self._frame, self._trouble = _Limited(self._below, int.from_bytes(header, "big")), Journal()
        head = self._below.peek(len(_ZSTD))
        is_packed = head != b"" and _ZSTD.startswith(head) and self._frame.left >= len(_ZSTD)
        payload = Peekable(Unpacked(self._frame, "zstd", self._trouble) if is_packed else self._frame)
        if self._is_protobuf is None:
            self._is_protobuf = is_protobuf(payload.peek(_LOOKED_AT))
        self._payload = _Whole(payload, self._frame, self._trouble) if self._is_protobuf else payload
        return True

    def _finish(self) -> None:
        """End the message: skip its rest, and report what went wrong in it."""
        frame, self._frame = self._frame, None
        while frame is not None and frame.read(PIECE):
            pass
        if frame is not None and frame.left:
            self._cut(f"{frame.left:,} bytes more")
        elif self._trouble.stop_reason:
            message = f"message {self._number}: {self._trouble.notes[0].message}"
            action = "aborted" if self._has_given else "quarantined"  # one partly returned counts as a record
            self._journal.notes.append(Note("CONTAINER_DAMAGED", "error", action, message))

    def _cut(self, missing: str) -> None:
        """Report in the journal that the bytes end inside a message."""
        message = f"expected {missing} of message {self._number + (missing == 'its length')}, found the end"
        message += "; the messages before it were read: the file is still being written, or truncated"
        self._journal.stop("CONTAINER_TRUNCATED", message)
