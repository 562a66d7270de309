"""One source of bytes: a file, a member of a zip archive, bytes in memory, a stream, standard input, or a store.

``Source`` has a name and opens the bytes on demand.  What cannot be opened raises
``LoadError`` with a PATH code, at once or, for one file among many, when its turn comes.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

from tracekit.errors import LoadError
from tracekit.loading.paths import path_error, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kind = Literal["file", "zip-member", "bytes", "stream", "stdin", "store"]


class ByteFile(Protocol):
    """The bytes of an opened source, read once from the beginning."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most ``size`` bytes; none at the end."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class Source:
    """Something to read from.

    Parameters
    ----------
    uri
        Its name in messages: a path, ``a.zip!member``, ``<stdin>``, ``<bytes>``.
    kind
        file, zip-member, bytes, stream, stdin or store (a folder written by ``TraceSet.save``: not opened here).
    opener
        Opens it; raises LoadError.  Of kind "file" it can be pickled: another process may open it.
    byte_count
        Size in bytes, as stored; None where it is not known before the end.
    path
        Of files and stores; the archive's, of zip members.
    packed_byte_count
        Size inside its archive, of zip members.
    """

    uri: str
    kind: Kind
    opener: Callable[[], ByteFile] = field(repr=False, compare=False)
    byte_count: int | None = None
    path: Path | None = None
    packed_byte_count: int | None = None

    def open(self) -> ByteFile:
        """Return the bytes as a file."""
        return self.opener()


class _Borrowed:
    """A stream of the caller: read from its present position, and left open."""

    def __init__(self, stream: Any, uri: str) -> None:
        self._stream = stream
        self._uri = uri
        self._start = stream.tell() if is_seekable(stream) else None
        self._used = False

    def open(self) -> _Borrowed:
        """Go (back) to the start."""
        if self._used and self._start is None:
            message = "expected an unread stream, found one that was read before; save it to a file first"
            raise LoadError(f"PATH_SPECIAL {self._uri}: {message}", source=self._uri, code="PATH_SPECIAL")
        if self._start is not None:
            self._stream.seek(self._start)
        self._used = True
        return self

    def read(self, size: int, /) -> bytes | None:
        """Read on; where the stream can, by pieces: between them Python sees an interrupt, also where none follows."""
        piecewise = getattr(self._stream, "read1", None)
        if piecewise is None:
            data: bytes | None = self._stream.read(size)
            return data
        pieces, left = [], size
        while left > 0 and (piece := piecewise(left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Do nothing: the caller closes it."""


def from_file(path: Path, uri: str = "") -> Source:
    """Return the source for a regular file; its ``open`` raises if the file is not readable or not regular."""
    try:
        found = path.stat()
    except OSError:
        found = None  # opening reports why
    size = found.st_size if found is not None and stat.S_ISREG(found.st_mode) else None
    return Source(uri or shown(path), "file", partial(open_file, path), size, path)


def open_file(path: Path) -> io.FileIO:
    """Open a regular file, unbuffered."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not is_open_pipe(path):
            _refuse_special(path, mode)
        return io.FileIO(path)
    except OSError as error:
        raise path_error(path, error) from error


def is_open_pipe(path: Path) -> bool:
    """Return whether the path is an open pipe of this process, as in ``tracekit report <(command)``."""
    return str(path).startswith(("/dev/fd/", "/proc/self/fd/")) or str(path) == "/dev/stdin"


def _refuse_special(path: Path, mode: int) -> NoReturn:
    """Raise LoadError that names the kind of a path that is not a file."""
    name = shown(path)
    kinds = {
        stat.S_IFIFO: ("a named pipe", f"read it as standard input: tracekit ... - < {name}"),
        stat.S_IFSOCK: ("a socket", "save its output to a file"),
        stat.S_IFDIR: ("a folder", "pass the files in it"),
    }
    found, hint = kinds.get(stat.S_IFMT(mode), ("a device", "copy its content to a file"))
    raise LoadError(f"PATH_SPECIAL {name}: expected a file, found {found}; {hint}", source=name, code="PATH_SPECIAL")


def from_bytes(data: bytes, number: int = 0) -> Source:
    """Return the source for bytes in memory; a number distinguishes several."""
    return Source(f"<bytes {number}>" if number else "<bytes>", "bytes", lambda: io.BytesIO(data), len(data))


def from_stream(stream: Any) -> Source:
    """Return the source for a binary file object, read from its present position and not closed."""
    if isinstance(stream, io.TextIOBase) or isinstance(stream.read(0), str):
        kind = type(stream).__name__
        raise TypeError(f"expected a binary file, found a text file ({kind}): open it with mode 'rb'")
    name = getattr(stream, "name", None)
    uri = shown(name) if isinstance(name, str) else f"<{type(stream).__name__}>"
    return Source(uri, "stream", _Borrowed(stream, uri).open, _size(stream))


def from_stdin() -> Source:
    """Return the source for standard input."""
    state: list[_Borrowed] = []

    def opener() -> ByteFile:
        if not state:
            state.append(_Borrowed(getattr(sys.stdin, "buffer", sys.stdin), "<stdin>"))
        return state[0].open()

    return Source("<stdin>", "stdin", opener)


def from_store(path: Path) -> Source:
    """Return the source for a folder written by ``TraceSet.save``; it is not opened as bytes."""

    def opener() -> ByteFile:
        _refuse_special(path, stat.S_IFDIR)

    return Source(shown(path), "store", opener, None, path)


def failing(uri: str, error: LoadError) -> Source:
    """Return a source whose ``open`` raises: one bad file among many."""
    return Source(uri, "file", partial(_fail, error))


def _fail(error: LoadError) -> NoReturn:
    """Raise an error found earlier."""
    raise error


def is_seekable(stream: Any) -> bool:
    """Return whether a file object is seekable."""
    return hasattr(stream, "seekable") and bool(stream.seekable())


def _size(stream: Any) -> int | None:
    """Return the bytes left in a seekable stream."""
    if not is_seekable(stream):
        return None
    start = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    return int(end - start)
