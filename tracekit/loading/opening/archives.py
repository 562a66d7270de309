"""Zip archives: every file in one is a source of its own, ``a.zip!member``."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import IO, Any

from tracekit.errors import LoadError
from tracekit.loading.opening.source import ByteFile, Source, failing, is_seekable
from tracekit.loading.paths import shown

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the first member, or the directory of an empty archive
_ENCRYPTED = 1


_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError)


class _Archive:
    """A zip archive, opened for its first file and closed after its last.

    Parameters
    ----------
    place
        A path, bytes, or a seekable stream.
    """

    def __init__(self, place: Path | bytes | Any) -> None:
        self._place = place
        self._unread = 0
        self._archive: zipfile.ZipFile | None = None

    def infos(self) -> list[zipfile.ZipInfo]:
        """Return the entries of the directory."""
        with self._opened() as archive:
            return archive.infolist()

    def expect(self) -> None:
        """Count a file that will be read."""
        self._unread += 1

    def open(self, info: zipfile.ZipInfo) -> _Member:
        """Open a file of the archive; one that cannot be opened counts as read."""
        try:
            if self._archive is None:
                self._archive = self._opened()
            return _Member(self, self._archive.open(info))
        except BaseException:
            self.done()
            raise

    def done(self) -> None:
        """Count a file that was read; close the archive after the last one."""
        self._unread -= 1
        if self._unread <= 0 and self._archive is not None:
            self._archive.close()
            self._archive = None

    def _opened(self) -> zipfile.ZipFile:
        """Open the archive and read its directory."""
        return zipfile.ZipFile(io.BytesIO(self._place) if isinstance(self._place, bytes) else self._place)


class _Member:
    """A file of an archive that is being read."""

    def __init__(self, archive: _Archive, member: IO[bytes]) -> None:
        self._archive = archive
        self._member = member

    def read(self, size: int, /) -> bytes:
        """Read on."""
        return self._member.read(size)

    def close(self) -> None:
        """Close it, and the archive after its last file."""
        if not self._member.closed:
            self._member.close()
            self._archive.done()


def is_zip(place: Path | bytes | Any) -> bool:
    r"""Return whether a regular file, bytes or a seekable stream is a zip archive; False if that cannot be checked."""
    if isinstance(place, Path):
        try:
            return _first(place) in _MAGIC
        except OSError:
            return False  # opening it as a source reports why
    if isinstance(place, bytes):
        return place.startswith(_MAGIC)
    if not is_seekable(place):
        return False
    start = place.tell()
    head = place.read(4)
    place.seek(start)
    return head in _MAGIC


def _first(path: Path) -> bytes:
    """Return the first four bytes of a file, in fewer steps than a file object takes."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))  # which Windows has
    try:
        return os.read(file, 4)
    finally:
        os.close(file)


def members(place: Path | bytes | Any, uri: str) -> list[Source]:
    """Return the files of a zip archive as sources, sorted by name."""
    archive = _Archive(place)
    try:
        infos = [info for info in archive.infos() if not info.is_dir() and not _is_hidden(info.filename)]
    except _UNREADABLE as error:
        message = f"expected a zip archive, found an unreadable directory ({error}); copy or download it again"
        raise LoadError(f"CONTAINER_DAMAGED {uri}: {message}", source=uri, code="CONTAINER_DAMAGED") from error
    if not infos:
        message = "expected files in the zip archive, found none; check how the archive was made"
        raise LoadError(f"FILE_EMPTY {uri}: {message}", source=uri, code="FILE_EMPTY")
    path = place if isinstance(place, Path) else None
    sources = []
    again: Counter[str] = Counter()
    for info in sorted(infos, key=lambda info: info.filename):
        again[info.filename] += 1
        name = shown(info.filename) + f" ({again[info.filename]})" * (again[info.filename] > 1)
        sources.append(_member(archive, path, f"{uri}!{name}", info))
    return sources


def _is_hidden(name: str) -> bool:
    """Return whether any part of a member's name is hidden."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _member(archive: _Archive, path: Path | None, uri: str, info: zipfile.ZipInfo) -> Source:
    """Return the source for one file of an archive."""
    if info.flag_bits & _ENCRYPTED:
        message = "expected a readable file in the archive, found an encrypted one; unpack it with its password first"
        return failing(uri, LoadError(f"PATH_DENIED {uri}: {message}", source=uri, code="PATH_DENIED"))
    archive.expect()

    def opener() -> ByteFile:
        try:
            return archive.open(info)
        except _UNREADABLE as error:
            message = (
                f"expected a readable file in the archive, found: {error}; unpack the archive with another program"
            )
            raise LoadError(f"CONTAINER_DAMAGED {uri}: {message}", source=uri, code="CONTAINER_DAMAGED") from error

    return Source(uri, "zip-member", opener, info.file_size, path, info.compress_size)
