"""Temporary folders next to a store: stores being written, and leftovers of killed processes.

A store is put in place by two renames.  If the process is killed between them, the complete new store is next to
the path and nothing is at the path.  Each temporary folder is locked by its process as long as that
process lives, which distinguishes leftovers from folders in use.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tracekit.loading.paths import STORE_MARKER, shown

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is locked, and nothing is treated as a leftover
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator


def resolved(path: Path) -> Path:
    """Return a path to write to with links resolved; FileNotFoundError without its folder."""
    place = Path(os.path.realpath(path.expanduser()))
    if not place.parent.is_dir():
        message = f"cannot write {shown(path)}: folder {shown(place.parent)} does not exist; create it first"
        raise FileNotFoundError(message)
    return place


@contextmanager
def beside(place: Path, what: str) -> Iterator[Path]:
    """Create a hidden folder next to a path, and remove it at the end if it still exists."""
    folder = _free(place, what)
    folder.mkdir(mode=0o700 if what == "runs" else 0o777)
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Lock a store that is read and then replaced; FileExistsError if another process has locked it."""
    handle = os.open(place, os.O_RDONLY) if fcntl is not None else -1
    try:
        if fcntl is not None and not _lock(handle):
            message = f"cannot add to {shown(place)}: expected no other process to write it, found one"
            raise FileExistsError(f"{message}; try again when it has ended")
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def put(new: Path, place: Path) -> None:
    """Rename a new store to its path; an older one there is removed after the rename."""
    if not place.exists():
        new.rename(place)
        return
    old = _free(place, "old")
    with _locked(place):
        try:
            place.rename(old)
            new.rename(place)
        finally:
            if place.exists():
                shutil.rmtree(old, ignore_errors=True)
            elif old.exists():
                old.rename(place)


def recover(place: Path) -> None:
    """Rename a complete store left by a killed process to its path, if nothing is there."""
    if os.path.lexists(place):
        return
    whole = [one for one in _left_beside(place) if one.suffix != ".runs" and (one / STORE_MARKER).is_file()]
    if whole:
        whole[0].rename(place)


def clear(place: Path) -> None:
    """Recover the store of a path, and remove other leftovers of killed processes next to it."""
    recover(place)
    for folder in _left_beside(place):
        shutil.rmtree(folder, ignore_errors=True)


def _left_beside(place: Path) -> list[Path]:
    """Return the temporary folders that no process uses: newer stores, then older ones, then runs."""
    name = re.compile(rf"\.{re.escape(place.name)}\.[0-9a-f]{{8}}\.(?:new|old|runs)")
    try:
        found = sorted(one for one in place.parent.iterdir() if name.fullmatch(one.name))
    except OSError:  # reading or writing there reports it
        return []
    return sorted(filter(_is_free, found), key=lambda one: one.suffix)


def _free(place: Path, what: str) -> Path:
    """Return a free, hidden name in the same folder."""
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.{what}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, also if it is renamed, if its file system supports locks."""
    handle = os.open(folder, os.O_RDONLY) if fcntl is not None else -1
    try:
        _lock(handle)
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Return whether a folder could be locked: it is not locked by another process, and its file system has locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_free(folder: Path) -> bool:
    """Return whether no process has locked a folder; False if that cannot be checked."""
    if fcntl is None:
        return False
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _lock(handle)
    finally:
        os.close(handle)
