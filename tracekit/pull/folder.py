"""The folder of a pull: answers and a journal of completed requests, so that an interrupted pull resumes.

::

    <folder>/traces-000001.jsonl.zst       complete answers of the backend, one per line; tracekit.read reads the folder
    <folder>/.traces-000002.jsonl.zst.part still being written; ignored by readers
    <folder>/objects/0123456789abcdef      an answer that is not text
    <folder>/.pull/plan.json               the options of the pull
    <folder>/.pull/summaries-000001...     answers of X-Ray's GetTraceSummaries
    <folder>/.pull/journal.jsonl           completed requests, and the file and byte offset of their answers

Every answer is a separate zstd frame, written before its line in the journal.  On reopening, data without a journal
line is truncated and requested again; a file is renamed when complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from tracekit.errors import PullError
from tracekit.expressions.tokens import shortened

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

_LARGEST = 8 << 20  # bytes, about 100 MB of JSON: several files, so that several processes can read a large pull
_FORMAT = 1
_ANSWERS = re.compile(r"(?:traces|summaries)-\d{6,}\.jsonl\.zst")


class PullFolder:
    """A folder that several threads write answers to.

    Parameters
    ----------
    path
        Created if missing.
    fields
        The required fields of its plan.
    largest
        Bytes after which the next file is started.
    """

    def __init__(self, path: Path, fields: type[Struct] = Struct, largest: int = _LARGEST) -> None:
        self.path = path
        self._fields = fields
        self._hidden = path / ".pull"
        self._largest = largest
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        self._open: dict[str, FileIO] = {}
        self._valid_sizes: dict[str, int] = {}
        self._failure = ""
        self._next: dict[str, int] = {}
        try:
            self._hidden.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"expected a writable folder, found {path}: {error.strerror}; choose another one"
            raise PullError(message) from error
        self._journal_path = self._hidden / "journal.jsonl"
        self._lock_file = (self._hidden / "lock").open("ab")
        self._acquire()
        self._recover()
        self._journal = self._journal_path.open("ab", buffering=0)
        self._known = self._journal_path.stat().st_size
        self._valid_sizes["journal"] = self._known

    def _acquire(self) -> None:
        """Lock the folder against other pulls; the system releases the lock when the process ends."""
        try:
            if sys.platform == "win32":
                import msvcrt  # noqa: PLC0415 - Windows only

                msvcrt.locking(self._lock_file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl  # noqa: PLC0415 - not on Windows

                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            message = f"expected exclusive use of {self.path}, found another pull running in it; wait until it ends"
            raise PullError(message) from None

    # ---------------------------------------------------------------- the plan

    def plan(self, options: dict[str, Any], derived: dict[str, Any]) -> dict[str, Any]:
        """Return the options of the pull: those of its first run, else the given ones."""
        file = self._hidden / "plan.json"
        plan = self._saved_plan(file) if file.exists() else {}
        for name, value in options.items():
            if plan and value is not None and plan.get(name) != value:
                message = (
                    f"expected the pull that was started in {self.path} with {name} {plan.get(name)!r}, found"
                    f" {value!r}; choose another folder, or omit the options to resume that pull"
                )
                raise PullError(message)
        if not plan:
            plan = {**options, **derived, "format": _FORMAT}
            whole = file.with_name(".plan.json.part")
            try:
                whole.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
                whole.replace(file)
            except OSError as error:
                raise self._write_error(error) from None
        return plan

    def _saved_plan(self, file: Path) -> dict[str, Any]:
        """Return the options of the first run."""
        try:
            plan: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            msgspec.convert(plan, self._fields)
        except (ValueError, RecursionError) as error:
            message = f"expected the options of a pull in {file}, found {shortened(str(error))}; choose another folder"
            raise PullError(message) from error
        return plan

    # ---------------------------------------------------------------- writing

    def append(self, kind: str, lines: list[bytes], entry: dict[str, Any] | None = None) -> None:
        """Write answers, then their journal entry."""
        frame = self._frame(b"".join(line + b"\n" for line in lines)) if lines else b""
        with self._lock:
            if self._failure:
                raise PullError(self._failure)
            try:
                self._append(kind, frame, entry)
            except OSError as error:
                self._failure = str(self._write_error(error))
        if self._failure:
            raise PullError(self._failure)

    def write_object(self, name: str, content: bytes) -> None:
        """Write an answer that is not text into a file of its own, before the journal entry that mentions it."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]  # names of the backend are no paths
        folder = self.path / "objects"
        whole = folder / f".{digest}.part"
        try:
            folder.mkdir(exist_ok=True)
            whole.write_bytes(content)
            whole.replace(folder / digest)
        except OSError as error:
            raise self._write_error(error) from None

    def _write_error(self, error: OSError) -> PullError:
        """Return the error about a failed write."""
        found = f"expected to write answers to {self.path}, found: {error.strerror}"
        return PullError(f"{found}; free disk space, then rerun with the same folder to resume")

    def _append(self, kind: str, frame: bytes, entry: dict[str, Any] | None) -> None:
        """Write a frame, and an entry about it."""
        if frame:
            _write(self._open.get(kind) or self._begin(kind), frame)
        if entry is not None:
            self._note(kind, entry)
        if kind in self._open and self._open[kind].tell() >= self._largest:
            self._note(kind, {})  # else incomplete requests would be truncated
            self._finish(kind)

    def _frame(self, text: bytes) -> bytes:
        """Return a text as a zstd frame, with one compressor per thread, as creating one is slow."""
        if not hasattr(self._of_thread, "compressor"):
            self._of_thread.compressor = zstd.ZstdCompressor(1)
        frame: bytes = self._of_thread.compressor.compress(text, zstd.ZstdCompressor.FLUSH_FRAME)
        return frame

    def _note(self, kind: str, entry: dict[str, Any]) -> None:
        """Write a journal entry with the file and the byte offset that it covers."""
        if kind in self._open:
            entry = {**entry, "file": self._name(kind, self._next[kind]), "end": self._open[kind].tell()}
        _write(self._journal, json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        self._valid_sizes["journal"] = self._journal.tell()
        self._valid_sizes |= {kind: self._open[kind].tell()} if kind in self._open else {}

    def _final(self, name: str) -> Path:
        """Return the path of a complete file."""
        return (self.path if name.startswith("traces") else self._hidden) / name

    def _name(self, kind: str, number: int) -> str:
        """Return the name of a file of answers."""
        return f"{kind}-{number:06}.jsonl.zst"

    def _part(self, name: str) -> Path:
        """Return the path of a file that is being written."""
        return self._final(name).with_name(f".{name}.part")

    def _begin(self, kind: str) -> FileIO:
        """Open the next file of a kind."""
        taken = [int(file.name.split("-")[1].split(".")[0]) for file in self.files(kind)]
        self._next[kind] = max(taken, default=0) + 1
        self._open[kind] = self._part(self._name(kind, self._next[kind])).open("wb", buffering=0)
        self._valid_sizes[kind] = 0
        return self._open[kind]

    def _finish(self, kind: str) -> None:
        """Close a file and rename it, or delete it if empty."""
        name = self._name(kind, self._next[kind])
        with self._open.pop(kind) as file:
            os.fsync(file.fileno())
            is_empty = not os.fstat(file.fileno()).st_size
        if is_empty:
            self._part(name).unlink()
        else:
            self._part(name).replace(self._final(name))

    def close(self) -> None:
        """Complete all files and accept no more answers."""
        with self._lock, self._lock_file, self._journal:
            if self._failure:  # partial writes are useless
                for kind, file in [*self._open.items(), ("journal", self._journal)]:
                    file.truncate(self._valid_sizes[kind])
            for kind in list(self._open):
                self._finish(kind)
            os.fsync(self._journal.fileno())
            self._failure = self._failure or f"expected {self.path} to be open, found it closed: this pull has ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- reading

    def files(self, kind: str) -> list[Path]:
        """Return the complete files of a kind, in order."""
        return sorted(self._final(f"{kind}-").parent.glob(f"{kind}-*.jsonl.zst"))

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the journal entries from when the folder was opened, without file names and offsets."""
        with self._journal_path.open("rb") as lines:
            while lines.tell() < self._known:
                entry = json.loads(lines.readline())
                yield {name: value for name, value in entry.items() if name not in {"file", "end"}}

    def _recover(self) -> None:
        """Drop journal entries that the files do not contain, and truncate data without a journal entry."""
        for name, end in self._recover_journal().items():
            path = next(path for path in self._both(name) if path.exists())
            if path.stat().st_size > end:
                os.truncate(path, end)
            path.replace(self._final(name))
        for path in [*self.path.glob(".*.part"), *self._hidden.glob(".*.part")]:
            path.unlink()

    def _recover_journal(self) -> dict[str, int]:
        """Drop journal entries that the files do not contain; return the bytes of each file that the others cover."""
        known: dict[str, int] = {}
        sizes: dict[str, int] = {}
        whole = self._journal_path.with_name(".journal.jsonl.part")
        self._journal_path.touch()
        with self._journal_path.open("rb") as lines, whole.open("wb") as kept:
            for line in lines:
                entry = _parsed(line)
                name = entry.file if entry else None
                if name is not None and name not in sizes:
                    sizes[name] = max((path.stat().st_size for path in self._both(name) if path.exists()), default=0)
                if entry is not None and (name is None or (entry.end or 0) <= sizes[name]):
                    kept.write(line)
                    if name is not None:
                        known[name] = max(known.get(name, 0), entry.end or 0)
            is_damaged = kept.tell() < lines.tell()
            kept.flush()
            os.fsync(kept.fileno())
        if is_damaged:  # else it is deleted with the other parts
            whole.replace(self._journal_path)
        return known

    def _both(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a file when complete, and while it is being written."""
        return self._final(name), self._part(name)


def _write(file: FileIO, content: bytes) -> None:
    """Write all bytes; one call may write only a part."""
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


class _Entry(Struct, kw_only=True):
    """The fields of a journal entry; validated, as they name files to truncate."""

    file: str | None = None
    end: Annotated[int, Meta(ge=0)] | None = None
    ids: dict[str, str] = {}
    halved: tuple[int, int] | None = None
    window: tuple[int, int] | None = None
    found: list[str] | None = None
    scanned: int | None = None
    next: str | None = None
    split: tuple[int, int] | None = None
    searched: tuple[int, int] | None = None
    traces: list[str] = []
    ledger: dict[str, str | int | float | None] = {}

    @property
    def is_whole(self) -> bool:
        """Whether related fields are all present, and the file is one of a pull."""
        page = (self.window, self.found, self.scanned, self.next)
        is_named = self.file is not None and _ANSWERS.fullmatch(self.file) is not None
        is_searched = (self.searched is None) == (not self.ledger)
        return (
            is_searched
            and (is_named if self.end is not None else self.file is None)
            and len({part is None for part in page}) == 1
        )


_decoded = msgspec.json.Decoder(_Entry).decode


def _parsed(line: bytes) -> _Entry | None:
    """Return a journal entry, or None for a damaged or incomplete line."""
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
