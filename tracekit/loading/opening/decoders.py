"""The layers between stored and decoded bytes: each reads from the one below and never raises for invalid content.

An error is reported once in the ``Journal``; then the layer ends, and so do those above it.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import sys
import zipfile
import zlib
from io import FileIO
from typing import TYPE_CHECKING, Any, Protocol, cast

from isal import igzip_lib

from tracekit.loading.records.notes import Note

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.opening.source import ByteFile

PIECE = 1 << 20
_PACKED_PIECE = 1 << 16  # small, so that a bomb is seen before it has grown
_XZ_MEMORY = 1 << 28


class Layer(Protocol):
    """Bytes from below."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


def _put(data: bytes, view: memoryview) -> int:
    """Put bytes at the beginning of some memory; return how many."""
    view[: len(data)] = data
    return len(data)


class Journal:
    """What the layers have to say: remarks, and why reading stopped."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.stop_reason = ""

    def stop(self, code: str, message: str, offset: int | None = None, raw: bytes = b"") -> None:
        """Write down why reading stops; what follows from it is not written down again."""
        if not self.stop_reason:
            self.stop_reason = f"{code}: {message}"
            self.notes.append(Note(code, "error", "aborted", message, offset, raw))


class Stored:
    """The bytes as they are stored, counted.

    Parameters
    ----------
    file
        An opened source.
    journal
        Receives an issue if the file cannot be read to its end.
    """

    def __init__(self, file: ByteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal
        self.position = 0

    def read(self, size: int, /) -> bytes:
        """Read on."""
        try:
            data = self._file.read(size) or b""
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            message = f"expected a readable file in the archive, found: {error}; everything before it was read"
            self._journal.stop("CONTAINER_DAMAGED", message, self.position)
            return b""
        except OSError as error:
            message = (
                f"expected to continue reading at byte {self.position:,}, found: {error}; everything before it was read"
            )
            self._journal.stop("PATH_DENIED", message, self.position)
            return b""
        self.position += len(data)
        return data

    def readinto(self, view: memoryview, /) -> int:
        """Read on into memory that is there; return how many bytes, 0 at the end."""
        if not isinstance(self._file, FileIO):
            return _put(self.read(len(view)), view)
        try:
            count = self._file.readinto(view) or 0
        except OSError:
            return _put(self.read(len(view)), view)  # fails again, with its message
        self.position += count
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Peekable:
    """A layer whose next bytes can be looked at.

    Parameters
    ----------
    below
        Where the bytes come from.
    """

    def __init__(self, below: Layer) -> None:
        self._below = below
        self._head = b""
        self._at = 0  # in the head, what comes next

    def peek(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end, and keep them."""
        count = len(self._head) - self._at
        if count < size:
            pieces = [self._rest()]
            while count < size and (more := self._below.read(size - count)):
                pieces.append(more)
                count += len(more)
            self._head = b"".join(filter(None, pieces))
        return self._head[self._at : self._at + size]

    def read(self, size: int, /) -> bytes:
        """Read on."""
        if not self._head:
            return self._below.read(size)
        data = self._head[self._at : self._at + size]
        self._pass(len(data))
        return data

    def readinto(self, view: memoryview, /) -> int:
        """Read on into memory that is there; return how many bytes, 0 at the end."""
        if self._head:
            size = min(len(view), len(self._head) - self._at)
            view[:size] = memoryview(self._head)[self._at : self._at + size]
            self._pass(size)
            return size
        if isinstance(self._below, Stored | Peekable):
            return self._below.readinto(view)
        return _put(self._below.read(len(view)), view)

    def _rest(self) -> bytes:
        """Return and forget what was looked at and not yet read."""
        rest, self._head = self._head[self._at :] if self._at else self._head, b""
        self._at = 0
        return rest

    def _pass(self, count: int) -> None:
        """Move on in the head."""
        self._at += count
        if self._at >= len(self._head):
            self._head, self._at = b"", 0


_ENGINES: dict[str, tuple[Callable[[], Any], tuple[bytes, ...], bytes]] = {  # engine, how a part begins, padding
    "gzip": (lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (b"\x1f\x8b",), b"\0"),
    "zstd": (
        zstd.ZstdDecompressor,
        (b"\x28\xb5\x2f\xfd", *(bytes([n, 0x2A, 0x4D, 0x18]) for n in range(0x50, 0x60))),
        b"",
    ),
    "bz2": (bz2.BZ2Decompressor, (b"BZh",), b"\0"),
    "xz": (lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), (b"\xfd7zXZ\0",), b"\0"),
}
_ISAL_ERROR = cast("type[Exception]", igzip_lib.error)  # its stub takes the class for an instance
_ENGINE_ERRORS = (_ISAL_ERROR, zstd.ZstdError, lzma.LZMAError, OSError, EOFError, ValueError)


class Unpacked:
    """The content of a compressed layer: all its members, frames or streams, concatenated.

    Parameters
    ----------
    below
        The compressed bytes.
    kind
        gzip, zstd, bz2 or xz.
    journal
        Receives CONTAINER_TRUNCATED if the bytes end early, CONTAINER_DAMAGED if they are not such a container.
    """

    def __init__(self, below: Layer, kind: str, journal: Journal) -> None:
        self._below = below
        self._kind = kind
        self._journal = journal
        self._make, self._magics, self._padding = _ENGINES[kind]
        self._engine: Any = None
        self._input = b""
        self._ended = False
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Read on."""
        while not self._ended:
            if self._engine is None and not self._begin():
                break
            data = self._step(min(size, PIECE))
            if data:
                self._position += len(data)
                return data
        return b""

    def _step(self, size: int) -> bytes:
        """Decode some more input, possibly to no output yet."""
        if not self._input and self._engine.needs_input:
            self._input = self._below.read(_PACKED_PIECE)
            if not self._input:
                return self._stop("CONTAINER_TRUNCATED", "a truncated one", "the rest is missing")
        data, self._input = self._input, b""
        try:
            decoded: bytes = self._engine.decompress(data, size)
        except _ENGINE_ERRORS as error:
            return self._stop("CONTAINER_DAMAGED", f"damage ({error})", "the rest was not read")
        if self._engine.eof:
            self._input, self._engine = self._engine.unused_data, None
        return decoded

    def _begin(self) -> bool:
        """Begin the next member; False when there is none."""
        longest = max(map(len, self._magics))
        self._input = self._input.lstrip(self._padding)
        while len(self._input) < longest and (more := self._below.read(_PACKED_PIECE)):
            self._input = (self._input + more).lstrip(self._padding)
        if not self._input:
            self._ended = True
        elif any(self._input.startswith(magic[: len(self._input)]) for magic in self._magics):
            self._engine = self._make()
        else:
            self._stop("CONTAINER_DAMAGED", "other data after it", "it was not read", self._input[:500])
        return self._engine is not None

    def _stop(self, code: str, found: str, done: str, raw: bytes = b"") -> bytes:
        """Report in the journal, and end the stream."""
        self._ended, self._input, self._engine = True, b"", None
        message = (
            f"expected a complete {self._kind} stream, found {found} after {self._position:,} bytes of content; {done}"
        )
        self._journal.stop(code, f"{message}; copy the file again, or wait until it is complete", self._position, raw)
        return b""


class Transcoded:
    """Text of another encoding, as UTF-8.

    Parameters
    ----------
    below
        The encoded bytes, after the byte order mark.
    encoding
        Their encoding.
    journal
        Receives CONTAINER_TRUNCATED if they end inside a character, ENC_INVALID_UTF8 if they are not characters.
    """

    def __init__(self, below: Layer, encoding: str, journal: Journal) -> None:
        self._below = below
        self._encoding = encoding
        self._journal = journal
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._ready = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Read on."""
        while not self._ready and not self._ended:
            data = self._below.read(min(size, PIECE))
            self._ended = not data
            try:
                text = self._decoder.decode(data, self._ended)
            except UnicodeDecodeError as error:
                code = "CONTAINER_TRUNCATED" if self._ended else "ENC_INVALID_UTF8"
                self._journal.stop(
                    code, f"expected {self._encoding} text, found: {error.reason}; the rest was not read"
                )
                text, self._ended = "", True
            self._ready = text.encode("utf-8", "surrogatepass")  # what UTF-8 does not allow is refused record by record
        data, self._ready = self._ready[:size], self._ready[size:]
        return data
