"""The folder of a pull: answers as they come, and what was settled, so that a stopped pull goes on where it was.

::

    <folder>/traces-000001.jsonl.zst       answers of X-Ray, one a line, whole: tracekit.read reads the folder
    <folder>/.traces-000002.jsonl.zst.part still growing; reading passes it by
    <folder>/.pull/plan.json               what was asked for
    <folder>/.pull/summaries-000001...     answers of GetTraceSummaries
    <folder>/.pull/journal.jsonl           what is settled, and how many bytes of which file hold it

Every answer is a zstd frame of its own and is written before the journal's line about it.  What the journal does not
know is cut off when the folder is opened again, and asked again; a file gets its name when it is whole.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from tracekit.errors import PullError
from tracekit.expressions.quoting import shortened

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

_LARGEST = 8 << 20  # some 100 MB of JSON: a large pull has files for several processes to read
_FORMAT = 1
_ANSWERS = re.compile(r"(?:traces|summaries)-\d{6,}\.jsonl\.zst")


class _Plan(Struct):
    """What a plan must hold."""

    region: str
    time_range: str
    sampling: bool | float
    source: str
    window: tuple[float, float] | None
    service: str | None
    group: str | None
    filter: str | None


class PullFolder:
    """A folder that takes answers from several threads.

    Parameters
    ----------
    path
        Made where it is not there.
    largest
        Bytes after which a file is closed and the next one begun.
    """

    def __init__(self, path: Path, largest: int = _LARGEST) -> None:
        self.path = path
        self._hidden = path / ".pull"
        self._largest = largest
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._open: dict[str, FileIO] = {}
        self._sound: dict[str, int] = {}
        self._failure = ""
        self._next: dict[str, int] = {}
        try:
            self._hidden.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"expected a folder that can be written, found {path}: {error.strerror}; choose another one"
            raise PullError(message) from error
        self._journal_path = self._hidden / "journal.jsonl"
        self._guard = (self._hidden / "lock").open("ab")
        self._hold()
        self._recover()
        self._journal = self._journal_path.open("ab", buffering=0)
        self._known = self._journal_path.stat().st_size
        self._sound["journal"] = self._known

    def _hold(self) -> None:
        """Keep every other pull out of the folder until this one ends, however it ends: the system lets go of it."""
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415 - of Windows

                msvcrt.locking(self._guard.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl  # noqa: PLC0415 - not on Windows

                fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._guard.close()
            message = f"expected {self.path} for this pull alone, found another one at work in it; wait for its end"
            raise PullError(message) from None

    # ---------------------------------------------------------------- the plan

    def plan(self, asked: dict[str, Any], decided: dict[str, Any]) -> dict[str, Any]:
        """Return what this folder is for: what is asked now, or what was asked when it was begun."""
        file = self._hidden / "plan.json"
        begun = self._begun(file) if file.exists() else {}
        for name, value in asked.items():
            if begun and value is not None and begun.get(name) != value:
                message = (
                    f"expected the pull that was begun in {self.path} with {name} {begun.get(name)!r}, found {value!r};"
                    " choose another folder, or leave the options out to go on with that one"
                )
                raise PullError(message)
        if not begun:
            begun = {**asked, **decided, "format": _FORMAT}
            whole = file.with_name(".plan.json.part")
            try:
                whole.write_text(json.dumps(begun, indent=1) + "\n", encoding="utf-8")
                whole.replace(file)
            except OSError as error:
                raise self._refused(error) from None
        return begun

    def _begun(self, file: Path) -> dict[str, Any]:
        """Return what was asked for when the pull was begun."""
        try:
            begun: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            msgspec.convert(begun, _Plan)
        except (ValueError, RecursionError) as error:
            message = f"expected what was asked for in {file}, found {shortened(str(error))}; choose another folder"
            raise PullError(message) from error
        return begun

    # ---------------------------------------------------------------- writing

    def append(self, kind: str, lines: list[bytes], entry: dict[str, Any] | None = None) -> None:
        """Write answers, then what they settle."""
        frame = self._frame(b"".join(line + b"\n" for line in lines)) if lines else b""
        with self._lock:
            if self._failure:
                raise PullError(self._failure)
            try:
                self._append(kind, frame, entry)
            except OSError as error:
                self._failure = str(self._refused(error))
        if self._failure:
            raise PullError(self._failure)

    def _refused(self, error: OSError) -> PullError:
        """Return what to say where nothing can be written."""
        found = f"expected {self.path} to take the answers, found: {error.strerror}"
        return PullError(f"{found}; make room, then pull into the same folder again, it goes on")

    def _append(self, kind: str, frame: bytes, entry: dict[str, Any] | None) -> None:
        """Write a frame, and an entry about it."""
        if frame:
            _write(self._open.get(kind) or self._begin(kind), frame)
        if entry is not None:
            self._note(kind, entry)
        if kind in self._open and self._open[kind].tell() >= self._largest:
            self._note(kind, {})  # else what was not settled yet would be cut off
            self._finish(kind)

    def _frame(self, text: bytes) -> bytes:
        """Return a text as a zstd frame of its own, by the thread's compressor: a new one takes as long as its work."""
        if not hasattr(self._of_thread, "compressor"):
            self._of_thread.compressor = zstd.ZstdCompressor(1)
        frame: bytes = self._of_thread.compressor.compress(text, zstd.ZstdCompressor.FLUSH_FRAME)
        return frame

    def _note(self, kind: str, entry: dict[str, Any]) -> None:
        """Write an entry of the journal, with the place up to which the growing file holds what it says."""
        if kind in self._open:
            entry = {**entry, "file": self._name(kind, self._next[kind]), "end": self._open[kind].tell()}
        _write(self._journal, json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._sound["journal"] = self._journal.tell()
        self._sound |= {kind: self._open[kind].tell()} if kind in self._open else {}

    def _place(self, name: str) -> Path:
        """Return where a file of answers stands."""
        return (self.path if name.startswith("traces") else self._hidden) / name

    def _name(self, kind: str, number: int) -> str:
        """Return the name of a file of answers."""
        return f"{kind}-{number:06}.jsonl.zst"

    def _part(self, name: str) -> Path:
        """Return where a file stands while it grows."""
        return self._place(name).with_name(f".{name}.part")

    def _begin(self, kind: str) -> FileIO:
        """Open the next file of a kind."""
        taken = [int(file.name.split("-")[1].split(".")[0]) for file in self.files(kind)]
        self._next[kind] = max(taken, default=0) + 1
        self._open[kind] = self._part(self._name(kind, self._next[kind])).open("wb", buffering=0)
        self._sound[kind] = 0
        return self._open[kind]

    def _finish(self, kind: str) -> None:
        """Close a file and give it its name, if there is anything in it."""
        name = self._name(kind, self._next[kind])
        with self._open.pop(kind) as file:
            os.fsync(file.fileno())
            is_empty = not os.fstat(file.fileno()).st_size
        if is_empty:
            self._part(name).unlink()
        else:
            self._part(name).replace(self._place(name))

    def close(self) -> None:
        """Give every file its name, and take nothing any more."""
        with self._lock, self._guard, self._journal:
            if self._failure:  # what was written in part is of no use to anybody
                for kind, file in [*self._open.items(), ("journal", self._journal)]:
                    file.truncate(self._sound[kind])
            for kind in list(self._open):
                self._finish(kind)
            os.fsync(self._journal.fileno())
            self._failure = self._failure or f"expected {self.path} to be open, found that this pull has ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- what is there

    def files(self, kind: str) -> list[Path]:
        """Return the whole files of a kind, in order."""
        return sorted(self._place(f"{kind}-").parent.glob(f"{kind}-*.jsonl.zst"))

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what was settled when the folder was opened, without the places of the bytes."""
        with self._journal_path.open("rb") as lines:
            while lines.tell() < self._known:
                entry = json.loads(lines.readline())
                yield {name: value for name, value in entry.items() if name not in {"file", "end"}}

    def _recover(self) -> None:
        """Read the journal, forget what the files do not hold, and cut off what the journal does not know."""
        known: dict[str, int] = {}
        sizes: dict[str, int] = {}
        whole = self._journal_path.with_name(".journal.jsonl.part")
        self._journal_path.touch()
        with self._journal_path.open("rb") as lines, whole.open("wb") as kept:
            for line in lines:
                entry = _parsed(line)
                name = entry.file if entry else None
                if name is not None and name not in sizes:
                    sizes[name] = max((place.stat().st_size for place in self._both(name) if place.exists()), default=0)
                if entry is not None and (name is None or (entry.end or 0) <= sizes[name]):
                    kept.write(line)
                    if name is not None:
                        known[name] = max(known.get(name, 0), entry.end or 0)
            is_damaged = kept.tell() < lines.tell()
            kept.flush()
            os.fsync(kept.fileno())
        if is_damaged:  # else it goes with the other parts
            whole.replace(self._journal_path)
        for name, end in known.items():
            place = next(place for place in self._both(name) if place.exists())
            if place.stat().st_size > end:
                os.truncate(place, end)
            place.replace(self._place(name))
        for place in [*self.path.glob(".*.part"), *self._hidden.glob(".*.part")]:
            place.unlink()

    def _both(self, name: str) -> tuple[Path, Path]:
        """Return where a file stands when it is whole, and while it grows."""
        return self._place(name), self._part(name)


def _write(file: FileIO, content: bytes) -> None:
    """Write all of it: one call may take a part only."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


class _Entry(Struct, kw_only=True):
    """What an entry of the journal may hold, and nothing else is believed: it names files that are cut."""

    file: str | None = None
    end: Annotated[int, Meta(ge=0)] | None = None
    ids: dict[str, str] = {}
    halved: tuple[int, int] | None = None
    window: tuple[int, int] | None = None
    found: list[str] | None = None
    scanned: int | None = None
    next: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether what belongs together is there, and the file is one of a pull."""
        page = (self.window, self.found, self.scanned, self.next)
        is_named = self.file is not None and _ANSWERS.fullmatch(self.file) is not None
        return (is_named if self.end is not None else self.file is None) and len({part is None for part in page}) == 1


_decoded = msgspec.json.Decoder(_Entry).decode


def _parsed(line: bytes) -> _Entry | None:
    """Return a line of the journal, None for one that is damaged or has no end."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = _decoded(line)
    except (ValueError, RecursionError):
        return None
    return entry if entry.is_whole else None


def read_lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of a file of answers."""
    with zstd.open(file, "rb") as lines:
        yield from lines
