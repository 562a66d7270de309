"""Zip archives: every member is a source of its own, ``a.zip!member``."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO, Any

from tracekit.errors import LoadError
from tracekit.loading.opening.opening import ByteFile, Source, failing, is_seekable, open_file

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # the first member, or the directory of an empty archive
_ENCRYPTED = 1


class _Member:
    """A member being read; closes its archive too."""

    def __init__(self, archive: zipfile.ZipFile, member: IO[bytes]) -> None:
        self._archive = archive
        self._member = member

    def read(self, size: int, /) -> bytes:
        """Read on."""
        return self._member.read(size)

    def close(self) -> None:
        """Close both."""
        self._member.close()
        self._archive.close()


def is_zip(place: Path | bytes | Any) -> bool:
    r"""Return whether a file, bytes or a seekable stream hold a zip archive; False where that cannot be seen.

    Examples
    --------
    >>> is_zip(b"PK\x05\x06" + bytes(18)), is_zip(b"{}")
    (True, False)
    """
    if isinstance(place, Path):
        try:
            with open_file(place) as file:
                return file.read(4) in _MAGIC
        except (LoadError, OSError):
            return False  # opening it as a source says why
    if isinstance(place, bytes):
        return place.startswith(_MAGIC)
    if not is_seekable(place):
        return False
    start = place.tell()
    head = place.read(4)
    place.seek(start)
    return head in _MAGIC


def members(place: Path | bytes | Any, uri: str) -> list[Source]:
    """List the members of a zip archive as sources, in the order of their names.

    Parameters
    ----------
    place
        A path, bytes, or a seekable stream.
    uri
        What the archive is called.

    Returns
    -------
    list of Source
        Without folders, and without hidden files (also those macOS adds).  A member that is encrypted raises when it
        is opened.

    Raises
    ------
    LoadError
        CONTAINER_DAMAGED when the archive's directory cannot be read (a cut download), FILE_EMPTY when it has no files.

    Examples
    --------
    >>> content = io.BytesIO()
    >>> with zipfile.ZipFile(content, "w") as archive:
    ...     archive.writestr("traces/a.json", "{}")
    >>> [member.uri for member in members(content.getvalue(), "x.zip")]
    ['x.zip!traces/a.json']
    """
    try:
        with _archive(place) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError) as error:
        message = f"expected a zip archive, found one whose directory cannot be read ({error}); get or copy it again"
        raise LoadError(f"CONTAINER_DAMAGED {uri}: {message}", source=uri, code="CONTAINER_DAMAGED") from error
    if not infos:
        message = "expected files in the zip archive, found none; check what was packed"
        raise LoadError(f"FILE_EMPTY {uri}: {message}", source=uri, code="FILE_EMPTY")
    return [_member(place, uri, info) for info in sorted(infos, key=lambda info: info.filename)]


def _archive(place: Path | bytes | Any) -> zipfile.ZipFile:
    """Open the archive."""
    return zipfile.ZipFile(io.BytesIO(place) if isinstance(place, bytes) else place)


def _is_hidden(name: str) -> bool:
    """Return whether any part of a member's name is hidden."""
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _member(place: Path | bytes | Any, archive_uri: str, info: zipfile.ZipInfo) -> Source:
    """Return the source for one member."""
    uri = f"{archive_uri}!{info.filename}"
    if info.flag_bits & _ENCRYPTED:
        message = "expected a readable member, found an encrypted one; unpack the archive with its password first"
        return failing(uri, LoadError(f"PATH_DENIED {uri}: {message}", source=uri, code="PATH_DENIED"))

    def opener() -> ByteFile:
        try:
            archive = _archive(place)
            return _Member(archive, archive.open(info))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
            message = f"expected a readable member, found: {error}; unpack the archive with another program"
            raise LoadError(f"CONTAINER_DAMAGED {uri}: {message}", source=uri, code="CONTAINER_DAMAGED") from error

    path = place if isinstance(place, Path) else None
    return Source(uri, "zip-member", opener, info.file_size, path, info.compress_size)
