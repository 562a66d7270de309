"""Request bodies one after the other in an unnamed temporary file, which a killed process does not leave either."""

from __future__ import annotations

import os
import tempfile
from threading import Lock


class Spool:
    """Bytes that are added at the end, and read from the beginning by any number of readers meanwhile.

    Parameters
    ----------
    name
        What messages about the content call it.
    head
        The first bytes.  They decide how the content is recognised, whatever is added to them.
    """

    def __init__(self, name: str, head: bytes) -> None:
        self.name = name
        self._file = tempfile.TemporaryFile(prefix="tracekit-", buffering=0)  # noqa: SIM115 - closed by ``close``
        self._lock = Lock()
        self.byte_count = 0
        self.add(head)

    def add(self, data: bytes) -> None:
        """Write data at the end, all of it or, with an OSError, nothing."""
        with self._lock:
            self._file.seek(self.byte_count)
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError:
                self._file.truncate(self.byte_count)
                raise
            self.byte_count += len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return at most so many bytes from an offset."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def reader(self) -> SpoolReader:
        """Return the bytes that are here now as a file."""
        return SpoolReader(self)

    def close(self) -> None:
        """Delete the content."""
        self._file.close()


class SpoolReader:
    """What a spool contained at one moment, as a binary file; closing it leaves the spool open.

    Parameters
    ----------
    spool
        To read from.
    """

    def __init__(self, spool: Spool) -> None:
        self.name = spool.name
        self._spool = spool
        self._stop = spool.byte_count
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes: ``size``, fewer only at the end, or all that are left."""
        left = self._stop - self._at
        data = self._spool.read_at(self._at, min(size, left) if size >= 0 else left)
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        """Return whether ``seek`` works."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset from the start, the present position or the end."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._stop}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at
