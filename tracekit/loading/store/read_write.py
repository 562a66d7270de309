"""The columnar store: a folder of Parquet files from which the same set is read, bit for bit.

::

    x.parquet/
      tracekit-store.json    version, counts, and the length and checksum of every file
      sources.parquet  issues.parquet  notes.parquet
      part-00000/  part-00001/ ...    whole traces: spans, attributes, kv, ... (``loading/store/tables.py``)

Within a part, traces are in the order of their starts, each whole in one row group of its spans.
A store is written under another name next to its path and renamed, so that an interrupted process keeps the older one;
what a killed process left is recovered or removed by the next one (``loading/store/place.py``).
No trace is in two parts.  ``save`` writes one part; ``convert`` as many as there is data for.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from tracekit.errors import LoadError
from tracekit.forest import build_forest
from tracekit.loading.building.finish import look_up
from tracekit.loading.paths import STORE_MARKER, path_error, shown
from tracekit.loading.store.part import PartFiles
from tracekit.loading.store.place import beside, clear, put, resolved
from tracekit.loading.store.reach import WHOLE, Reach
from tracekit.loading.store.tables import (
    TABLES,
    VERSION,
    FileMark,
    broken,
    frame_of,
    frame_table,
    read_table,
    text_column,
    write_part,
    write_table,
)
from tracekit.redaction.apply import joined_notes
from tracekit.schema import Quality
from tracekit.text import size
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from tracekit.columns import Array, Columns
    from tracekit.loading.store.remote import Place
    from tracekit.weights import Weights

_FRAMES = ("sources", "issues", "notes")
_UNKNOWN = np.iinfo(np.int64).max  # a start after all others
BYTES_PER_SPAN = 350  # in memory, with ten attributes
_PART = re.compile(r"part-\d{5,}")


class PartMark(msgspec.Struct):
    """The content of a part of a store: first and last start of a root span, if any; keys of spans and resources."""

    trace_count: int
    span_count: int
    period_ns: tuple[int, int] | None
    services: list[str]
    keys: list[str]
    files: dict[str, FileMark]


class Marker(msgspec.Struct):
    """The content of a store: its marker file."""

    tracekit_store: int
    written_by: str
    trace_count: int
    span_count: int
    parts: list[PartMark]
    files: dict[str, FileMark]


class _Frames(NamedTuple):
    """The sources, issues and notes of a store."""

    sources: pd.DataFrame
    issues: pd.DataFrame
    notes: dict[str, str]


class _Version(msgspec.Struct):
    """The fields of a marker that every version has."""

    tracekit_store: int
    written_by: str


# -------------------------------------------------------------------- writing


def save(traces: TraceSet, path: Path) -> Path:
    """Write a set as a store of one part."""
    with writing(path) as store:
        store.part(traces)
        store.finish(traces.columns.sources, traces.columns.issues, traces.columns.notes)
    return path


class StoreWriter:
    """A store while it is written, under another name; see ``writing``.

    Parameters
    ----------
    folder
        An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[PartMark] = []

    @property
    def folder(self) -> Path:
        """Where the files are until the store is complete."""
        return self._folder

    def part(self, traces: TraceSet) -> None:
        """Write complete traces as the next part."""
        folder = self._folder / _part_name(len(self._parts))
        folder.mkdir()
        files = write_part(folder, traces.columns, traces.weights, _begun(traces))
        services, keys = sorted(traces.codes("service_name").labels), _keys(traces.columns)
        self._parts.append(PartMark(len(traces), len(traces.columns.spans), _period(traces), services, keys, files))

    def finish(self, sources: pd.DataFrame, issues: pd.DataFrame, notes: Mapping[str, str] | None = None) -> None:
        """Write the sources, issues and notes of all parts and, last, the marker."""
        keys, values = list(notes or {}), list((notes or {}).values())
        tables = {
            "sources": frame_table(sources, "sources"),
            "issues": frame_table(issues, "issues"),
            "notes": {"key": text_column(keys, "notes"), "value": text_column(values, "notes")},
        }
        marker = Marker(
            tracekit_store=VERSION,
            written_by=f"tracekit {_version()}",
            trace_count=sum(part.trace_count for part in self._parts),
            span_count=sum(part.span_count for part in self._parts),
            parts=self._parts,
            files={name: write_table(self._folder / f"{name}.parquet", table) for name, table in tables.items()},
        )
        (self._folder / STORE_MARKER).write_bytes(msgspec.json.format(msgspec.json.encode(marker)) + b"\n")


@contextmanager
def writing(path: Path) -> Iterator[StoreWriter]:
    """Yield a store to write to; it is renamed to the path when complete, and removed otherwise."""
    place = place_for(path)
    with beside(place, "new") as new:
        yield StoreWriter(new)
        put(new, place_for(place))


def place_for(path: Path) -> Path:
    """Return the path of a store with links resolved, after removing leftovers; for errors see ``writing``."""
    place = resolved(path)
    clear(place)
    if os.path.lexists(place):
        found = _foreign(place)
        if found:
            message = f"cannot replace {shown(path)}, which is {shown(found)}; choose another path, or move it"
            raise FileExistsError(message)
    return place


def _foreign(place: Path) -> str:
    """Return what at the path is not part of a store, "" for a store without other files."""
    if not place.is_dir():
        return "a file"
    if not (place / STORE_MARKER).is_file():
        return f"a folder without {STORE_MARKER}"
    own = {STORE_MARKER, *(f"{name}.parquet" for name in _FRAMES)}
    tables = {f"{name}.parquet" for name in TABLES}
    for entry in sorted(place.iterdir()):
        if _PART.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            more = next((inner for inner in sorted(entry.iterdir()) if inner.name not in tables), None)
            if more is not None:
                return f"a store that also contains {entry.name}/{more.name}"
        elif entry.name not in own:
            return f"a store that also contains {entry.name}"
    return ""


def _begun(traces: TraceSet) -> Array:
    """Return the start of the root span of each trace, ``_UNKNOWN`` for none."""
    spans, root = traces.columns.spans, traces.forest.root_row
    return np.where((spans.quality[root] & Quality.NO_START) == 0, spans.start_ns[root], _UNKNOWN)


def _period(traces: TraceSet) -> tuple[int, int] | None:
    """Return the first and the last start of a root span."""
    begun = _begun(traces)
    known = begun[begun != _UNKNOWN]
    return (int(known.min()), int(known.max())) if len(known) else None


def _keys(columns: Columns) -> list[str]:
    """Return the keys of the attributes of spans and resources, sorted."""
    found = [columns.kv.key[table.codes] for table in (columns.attributes, columns.resource_attributes)]
    return sorted(columns.kv.keys[at] for at in np.unique(np.concatenate(found)).tolist())


def _part_name(number: int) -> str:
    """Return the name of a part's folder."""
    return f"part-{number:05d}"


def _version() -> str:
    """Return the version of tracekit, "from source" if it is not installed."""
    from importlib import metadata  # noqa: PLC0415 - slow, and needed here only

    try:
        return metadata.version("tracekit-notebook")
    except metadata.PackageNotFoundError:
        return "from source"


# -------------------------------------------------------------------- reading


def load(paths: Sequence[Place]) -> TraceSet:
    """Return the traces of stores; the columns of a single part are read when they are first used."""
    markers = [(path, read_marker(path)) for path in paths]
    _check_memory(paths[0], sum(marker.span_count for _, marker in markers))
    is_one = sum(len(marker.parts) for _, marker in markers) == 1
    pieces: list[tuple[Columns, Weights, int]] = []
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _FRAMES}
    for path, marker in markers:
        first = len(rows["sources"])
        more = read_frames(path, marker.files)
        more["issues"] = [{**row, "source_id": row["source_id"] + first} for row in more["issues"]]
        for name in _FRAMES:
            rows[name] += more[name]
        for number in range(len(marker.parts)):
            mark = marker.parts[number]
            files = part_files(path, mark, number, marker.files["sources"].rows, whole=not is_one)
            pieces.append((*_opened(files, _when_used(rows), mark.trace_count), first))
    if is_one:
        columns, weights, _ = pieces.pop()
        return TraceSet(columns, forest=build_forest(columns.spans, look_up()), weights=weights)
    from tracekit.loading.store.union import Piece, union  # noqa: PLC0415 - one part, the usual store, needs no merging

    return union([Piece(*piece) for piece in pieces], rows["sources"], rows["issues"], _notes(rows))


def _check_memory(path: Place, span_count: int) -> None:
    """Raise LoadError for more spans than fit into the memory that is free, where the system says how much that is."""
    free = free_bytes()
    if free is not None and span_count * BYTES_PER_SPAN > free:
        message = (
            f"STORE_TOO_LARGE {shown(path)}: expected about {size(span_count * BYTES_PER_SPAN)} of free memory for"
            f" {span_count:,} spans, found {size(free)}; open it with tk.open, which reads part by part"
            " (tracekit report and investigate: --sample-spans)"
        )
        raise LoadError(message, source=shown(path), code="STORE_TOO_LARGE")


def free_bytes() -> int | None:
    """Return the memory that can be used without swapping, None where the system does not say (Linux does)."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return next((int(kilobytes) * 1024 for kilobytes in found), None)


def load_part(
    path: Place,
    mark: PartMark,
    number: int,
    frames: Mapping[str, FileMark],
    keys: Sequence[str],
    reach: Reach = WHOLE,
) -> TraceSet:
    """Return one part of a store; its columns are read when they are first used.

    ``frames``: the marks of the files of all parts, ``Marker.files``.  ``keys``: attribute keys of all parts, so that
    one that this part lacks is missing in its spans, as in a subset, and not unknown.  ``reach``: what of it is read.
    """
    files = part_files(path, mark, number, frames["sources"].rows, keys=keys, reach=reach)
    shared = shared_frames(path, frames)
    columns, weights = _opened(files, {name: partial(getattr, shared, name) for name in _FRAMES}, mark.trace_count)
    forest, steps = build_forest(columns.spans, look_up()), (f'tk.open("{path.name}")', f".part({number})")
    return TraceSet(columns, forest=forest, weights=weights, steps=steps)


def read_frames(path: Place, marks: Mapping[str, FileMark]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the sources, issues and notes of a store."""
    return {name: read_table(path / f"{name}.parquet", marks[name], name).to_pylist() for name in _FRAMES}


def part_files(
    path: Place,
    mark: PartMark,
    number: int,
    source_count: int,
    *,
    whole: bool = False,
    keys: Sequence[str] = (),
    reach: Reach = WHOLE,
) -> PartFiles:
    """Return the files of a part, all of them with the bytes that were written."""
    files = PartFiles(path / _part_name(number), mark.files, source_count, whole=whole, keys=keys, reach=reach)
    files.check_bytes()
    return files


def shared_frames(path: Place, marks: Mapping[str, FileMark]) -> _Frames:
    """Return the sources, issues and notes of a store; read again only if a file was changed, or is remote."""
    if not isinstance(path, Path):
        return _frames_of(read_frames(path, marks))
    files = tuple((name, astuple(marks[name]), _written_ns(path / f"{name}.parquet")) for name in _FRAMES)
    found = _read_once(path, files)
    return _Frames(found.sources.copy(deep=False), found.issues.copy(deep=False), dict(found.notes))


@lru_cache(maxsize=2)
def _read_once(path: Path, files: tuple[tuple[str, tuple[int, ...], int], ...]) -> _Frames:
    """Return what ``shared_frames`` reads, for files with these marks that were written at these times."""
    return _frames_of(read_frames(path, {name: FileMark(*mark) for name, mark, _ in files}))


def _written_ns(path: Path) -> int:
    """Return the time at which a file was last written, -1 for none: reading it says why."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1


def _frames_of(rows: dict[str, list[dict[str, Any]]]) -> _Frames:
    """Return the rows of sources, issues and notes as parts have them."""
    return _Frames(**{name: made() for name, made in _when_used(rows).items()})


def _when_used(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Callable[[], Any]]:
    """Return calls that make the same."""
    frames: dict[str, Callable[[], Any]] = {name: partial(frame_of, rows[name], name) for name in ("sources", "issues")}
    return frames | {"notes": partial(_notes, rows)}


def _opened(files: PartFiles, frames: Mapping[str, Callable[[], Any]], trace_count: int) -> tuple[Columns, Weights]:
    """Return the columns and weights of a part, with the sources, issues and notes that these calls return."""
    columns, weights = files.columns(frames), files.weights()
    files.check_traces(weights, trace_count)
    return columns, weights


def _notes(rows: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """Return the notes of stores by key."""
    return joined_notes([(row["key"], row["value"]) for row in rows["notes"]])


def read_marker(path: Place) -> Marker:
    """Return the content of a store's marker file."""
    file = path / STORE_MARKER
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise broken(file, "the marker of a store", "no such file: an incomplete copy, or no store") from error
    except OSError as error:
        raise path_error(file, error) from error
    try:
        version = msgspec.json.decode(data, type=_Version)
        if version.tracekit_store > VERSION:
            message = (
                f"STORE_NEWER {path}: expected a store of version {VERSION}, found version"
                f" {version.tracekit_store}, written by {version.written_by:.40}; update tracekit to read it"
            )
            raise LoadError(message, source=str(path), code="STORE_NEWER")
        if version.tracekit_store < VERSION:
            message = (
                f"STORE_OLDER {path}: expected a store of version {VERSION}, found version {version.tracekit_store},"
                f" written by {version.written_by:.40}; convert its sources again"
            )
            raise LoadError(message, source=str(path), code="STORE_OLDER")
        marker = msgspec.json.decode(data, type=Marker)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise broken(file, "the marker of a store", f"{len(data):,} bytes that are not one ({error})") from error
    counts = [sum(getattr(part, name) for part in marker.parts) for name in ("trace_count", "span_count")]
    if marker.files.keys() != set(_FRAMES) or counts != [marker.trace_count, marker.span_count] or not marker.parts:
        raise broken(file, "parts and counts that agree", "different ones: the file was changed")
    return marker
