"""From the argument of ``read`` to a list of sources: files, folders, globs, archives, bytes, streams.

``expand(what)`` -> ``list[Source]``, in the order of time if names contain it: rotated files before the live one.
"""

from __future__ import annotations

import difflib
import errno
import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from tracekit.errors import LoadError
from tracekit.loading.opening.archives import is_zip, members
from tracekit.loading.opening.source import (
    Source,
    failing,
    from_bytes,
    from_file,
    from_stdin,
    from_store,
    from_stream,
    is_open_pipe,
    open_file,
)
from tracekit.loading.paths import STORE_MARKER, path_error, shown, without_credentials
from tracekit.loading.store.place import recover

__all__ = ["Source", "expand"]

_PACKED = re.compile(r"\.(?:gz|zst|zstd|bz2|xz)$")
_ROTATED = re.compile(r"(.+?)[-.](\d{4}-\d\d-\d\dT\d\d[-:]\d\d[-:]\d\d(?:[.,]\d+)?)(\.[A-Za-z].*)?")
_NUMBERED = re.compile(r"(.+)\.(\d{1,3})")
_ANY_FOLDERS = re.compile(r"(?:^|(?<=/))\*\*(?:/|$)")
_EXPECTED = "expected a path, a glob, bytes, a binary file or a list of these"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def expand(what: Any) -> list[Source]:
    """Return the sources in the argument of ``read``."""
    if isinstance(what, Mapping) or hasattr(what, "iloc"):
        hint = "; spans in a DataFrame: tk.from_frame(frame)" if hasattr(what, "iloc") else ""
        raise TypeError(f"{_EXPECTED}, found {type(what).__name__}{hint}")
    several = isinstance(what, Iterable) and not isinstance(what, (str, bytes, bytearray, memoryview, os.PathLike))
    items = [what] if not several or hasattr(what, "read") else list(what)
    if not items:
        message = "PATH_MISSING: expected at least one file, found an empty list; check the glob"
        raise LoadError(message, code="PATH_MISSING")
    blobs = sum(isinstance(item, (bytes, bytearray, memoryview)) for item in items)
    number = 0
    sources: list[Source] = []
    for item in items:
        number += isinstance(item, (bytes, bytearray, memoryview))
        sources += _expand_one(item, number if blobs > 1 else 0)
    return _once(sources)


def _expand_one(item: Any, number: int) -> list[Source]:
    """Return the sources in one item of the argument."""
    if isinstance(item, (bytes, bytearray, memoryview)):
        source = from_bytes(bytes(item), number)
        return members(bytes(item), source.uri) if is_zip(bytes(item)) else [source]
    if isinstance(item, (str, os.PathLike)):
        text = os.fsdecode(item)
        return [from_stdin()] if text == "-" else _expand_path(text)
    if hasattr(item, "read"):
        source = from_stream(item)
        return members(item, source.uri) if is_zip(item) else [source]
    kind = type(item).__name__
    raise TypeError(f"{_EXPECTED}, found {kind}: {item!r:.80}")


def _expand_path(text: str) -> list[Source]:
    """Return the sources at a path or glob."""
    path = Path(text).expanduser()
    try:
        recover(path)
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if text.lstrip()[:1] in {"{", "["} and not _fits_name(text):
            message = "expected a path, found JSON text; pass bytes: read(text.encode())"
            raise LoadError(f"PATH_MISSING {text[:40]!r}: {message}", source=text[:40], code="PATH_MISSING") from error
        if scheme := _SCHEME.match(text):
            message = f"expected a file, found a URL ({scheme[0]}); download it, or pipe it in and read '-';"
            message += " a store: tk.open"
            name = shown(without_credentials(text))
            raise LoadError(f"PATH_SPECIAL {name}: {message}", source=name, code="PATH_SPECIAL") from None
        if isinstance(error, FileNotFoundError) and glob.has_magic(text):
            return _expand_pattern(str(path))
        if isinstance(error, ValueError):
            error = OSError(errno.ENOENT, str(error))
        raise path_error(text, error, _nearest(path) if error.errno == errno.ENOENT else "") from error
    if stat.S_ISDIR(mode):
        return _expand_folder(path)
    if not is_open_pipe(path):
        open_file(path).close()  # raises now if it is not readable
    return _expand_file(path)


def _fits_name(text: str) -> bool:
    """Return whether text that begins like JSON could be a glob."""
    return len(text) < 256 and not any(mark in text for mark in '"\n:')  # noqa: PLR2004 - the longest file name


def _expand_file(path: Path) -> list[Source]:
    """Return a file, or the files of an archive, as sources."""
    if is_open_pipe(path):
        return [Source(shown(path), "stream", lambda: open_file(path))]
    source = from_file(path)
    return members(path, source.uri) if source.byte_count and is_zip(path) else [source]


def _expand_folder(folder: Path) -> list[Source]:
    """Return the files in a folder and its subfolders as sources."""
    if _is_store(folder):
        return [from_store(folder)]
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise path_error(folder, error) from error
    found = _listed(_walk(folder))
    if not found:
        message = "no trace files in this folder (hidden files are skipped); check the path"
        raise LoadError(f"PATH_MISSING {shown(folder)}: {message}", source=shown(folder), code="PATH_MISSING")
    return found


def _expand_pattern(pattern: str) -> list[Source]:
    """Return the files that match a glob, and those in matching folders, as sources."""
    paths: dict[Path, bool] = {}
    for path in map(Path, _matching(pattern)):
        if store := next((place for place in (path, path.parent) if _is_store(place)), None):
            paths[store] = True
        elif os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for names that are too long
            paths.update(_walk(path))
        else:
            paths[path] = False
    if not paths:
        message = f"no file matches the glob; {_nearest(Path(pattern))}"
        raise LoadError(f"PATH_MISSING {shown(pattern)}: {message}", source=shown(pattern), code="PATH_MISSING")
    return _listed(paths.items())


def _listed(paths: Iterable[tuple[Path, bool]]) -> list[Source]:
    """Return paths, and whether each is a folder, as sources in order; unreadable ones raise when they are opened."""
    sources: list[Source] = []
    for path, is_folder in sorted(paths, key=_order_of_pair):
        try:
            if not is_folder:
                sources += _expand_file(path)
            elif _is_store(path):
                sources.append(from_store(path))
            else:
                os.scandir(path).close()
        except LoadError as error:
            sources.append(failing(shown(path), error))
        except OSError as error:  # a folder that may not be entered
            sources.append(failing(shown(path), path_error(path, error)))
    return sources


def _matching(pattern: str) -> Iterator[str]:
    """Yield the paths that match a glob; ``**`` matches any number of folders."""
    before, *behind = _ANY_FOLDERS.split(pattern, maxsplit=1)
    if not behind:
        yield from glob.iglob(pattern)  # noqa: PTH207 - Path.glob takes no absolute patterns
        return
    for top in glob.iglob(before) if before else [""]:  # noqa: PTH207
        if behind == [""]:
            yield top or "."  # which includes everything below
            continue
        for folder, entries in _folders(Path(top)):
            if entries is None:
                yield str(folder)
            else:
                yield from _matching(str(Path(glob.escape(str(folder)), behind[0])))


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the files and stores below a folder, and the folders without permission; and whether each is a folder."""
    for place, entries in _folders(folder):
        if entries is None:
            yield place, True
        else:
            yield from ((one, is_folder) for one, is_folder in entries if not is_folder or _is_store(one))


def _folders(folder: Path) -> Iterator[tuple[Path, list[tuple[Path, bool]] | None]]:
    """Yield a folder and its subfolders with their entries, and whether each is a folder; None without permission.

    Links are followed, into every folder once; hidden entries and the contents of stores are skipped.
    """
    seen: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        place = todo.pop()
        try:
            found = place.stat()
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(place) as listing:
                entries = [(place / one.name, _is_folder(one)) for one in listing if not one.name.startswith(".")]
        except OSError:
            yield place, None
            continue
        yield place, entries
        todo += [one for one, is_folder in entries if is_folder and not _is_store(one)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; asks the file system about links only."""
    if entry.is_symlink():
        return os.path.isdir(entry.path)  # noqa: PTH112 - Path.is_dir raises for names that are too long
    return entry.is_dir(follow_symlinks=False)


def _is_store(folder: Path) -> bool:
    """Return whether a path is that of a store."""
    return os.path.isdir(folder) and (  # noqa: PTH112 - Path.is_dir raises for folders that may not be entered
        folder.suffix == ".parquet" or os.path.isfile(folder / STORE_MARKER)  # noqa: PTH113
    )


def _order(path: PurePath) -> tuple[tuple[str, ...], str, int, str, str]:
    """Return the key that sorts folder by folder and name by name, rotated files in time before the live one."""
    folders, name = path.parts[:-1], _PACKED.sub("", path.name)
    if rotated := _ROTATED.fullmatch(name):
        return folders, rotated[1] + (rotated[3] or ""), 0, rotated[2], path.name
    if numbered := _NUMBERED.fullmatch(name):
        return folders, numbered[1], 0, f"{999 - int(numbered[2]):03}", path.name
    return folders, name, 1, "", path.name


def _order_of_pair(pair: tuple[Path, bool]) -> tuple[tuple[str, ...], str, int, str, str]:
    """Return the key that sorts paths with what they are."""
    return _order(pair[0])


def _once(sources: list[Source]) -> list[Source]:
    """Remove repeated listings of the same file, archive entry or standard input."""
    seen: set[str] = set()
    folders: dict[str, str] = {}
    kept: list[Source] = []
    for source in sources:
        key = "-" if source.kind == "stdin" else ""
        if source.path:
            key = _real(str(source.path), folders) + source.uri.removeprefix(shown(source.path))
        if not key or key not in seen:
            kept.append(source)
        seen.add(key)
    return kept


def _real(path: str, folders: dict[str, str]) -> str:
    """Return the path without links; ``folders`` keeps those of folders, which have many files."""
    folder, name = os.path.split(path)
    if name in {"", ".", ".."} or os.path.islink(path):  # noqa: PTH114 - Path.is_symlink raises for names that are too long
        return os.path.realpath(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)  # noqa: PTH118 - a Path takes longer


def _nearest(path: Path) -> str:
    """Return a hint about a missing name: the most similar names in its folder."""
    folder = next((place for place in path.parents if not glob.has_magic(str(place)) and place.is_dir()), Path())
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        names = []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4) or names[:3]
    found = ", ".join(map(shown, near)) or "no files"
    return f"{shown(folder)} contains {found}"
