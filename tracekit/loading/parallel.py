"""Reading files in several processes at once: each builds columns, which are merged like the runs of ``convert``.

A processor reads several hundred thousand spans per second, but one Python process uses only one processor.  The
workers are started as programs, not forked and not by ``multiprocessing``: a notebook's kernel has threads, and a
script that reads traces at its top level must not be run again in every worker.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.errors import LoadError
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.merge import merge
from tracekit.loading.building.pending import with_owners
from tracekit.loading.building.trace_set import finalise, gather
from tracekit.loading.formats import loaders_of
from tracekit.loading.reading import SourceReader, collector_paused, read_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Columns
    from tracekit.loading.building.ledger import Ledger
    from tracekit.loading.opening.source import Source
    from tracekit.loading.progress import Watcher
    from tracekit.traces import TraceSet

MAX_WORKERS = 8  # more workers would wait for the process that merges the columns
PARALLEL_BYTES = 256 << 20  # bytes of JSON: one or two seconds of reading; starting a worker takes half a second
_PACKED = re.compile(r"\.(?:gz|zst|zstd|bz2|xz)$")
_COMPRESSION_RATIO = 10  # assumed compression ratio
_SECONDS = 0.1  # between two updates of the progress
_PROGRAM = """
import os, pickle, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles interrupts
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
except EOFError:
    os._exit(1)  # the parent process has ended
from tracekit.loading.parallel import start
start()
"""


def shares(sources: Sequence[Source], workers: int | None) -> list[list[Source]]:
    """Return the files for each process: adjacent files of about the same total length."""
    sizes = [_length(source) for source in sources]
    total = sum(sizes)
    count = min(len(sources), workers or (min(processors(), MAX_WORKERS) if total >= PARALLEL_BYTES else 1))
    if count == 1 or not _is_python() or any(source.kind != "file" for source in sources):
        return [list(sources)]
    found: dict[int, list[Source]] = {}
    before = 0
    for source, size in zip(sources, sizes, strict=True):
        middle = (2 * before + size) * count // (2 * total or 1)
        found.setdefault(min(middle, count - 1), []).append(source)
        before += size
    return list(found.values())


def _length(source: Source) -> int:
    """Return the approximate length of a file after decompression, in bytes."""
    return (source.byte_count or 0) * (_COMPRESSION_RATIO if _PACKED.search(source.uri) else 1)


def _is_python() -> bool:
    """Return whether ``sys.executable`` is a Python interpreter, not a frozen program or one that embeds Python."""
    name = os.path.basename(sys.executable or "").lower()  # noqa: PTH119 - a Path of nothing is the working directory
    return name.startswith(("python", "pypy")) and not hasattr(sys, "frozen")


def processors() -> int:
    """Return the number of processors available to this process."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Result(NamedTuple):
    """The result of reading some sources: columns in order of arrival, one ledger per source, and errors."""

    columns: Columns
    ledgers: list[Ledger]
    failures: list[LoadError]


def _read_part(sources: Sequence[Source], name: str | None, meter: Watcher) -> Result:
    """Read some sources."""
    builder = Builder()
    failures = read_each(SourceReader(builder, loaders_of(name), meter), sources)
    return Result(gather(builder), builder.ledgers, failures)


def read_parallel(parts: Sequence[Sequence[Source]], name: str | None, unit: str | None, meter: Watcher) -> TraceSet:
    """Read files in one process per part, including this one."""
    progress = _Progress(meter)
    try:
        for part in parts[1:]:
            progress.workers.append(Worker(part, name, progress))
        made = [_read_part(parts[0], name, progress), *(worker.wait() for worker in progress.workers)]
    finally:
        for worker in progress.workers:
            worker.end()
    failures = [failure for one in made for failure in one.failures]
    if len(failures) == sum(map(len, parts)):
        raise failures[0]
    ledgers = [ledger for one in made for ledger in one.ledgers]
    columns = [one.columns for one in made]
    del made
    before = 0
    for at, part in enumerate(parts):
        spans = columns[at].spans
        columns[at] = replace(columns[at], spans=replace(spans, source=spans.source + np.int32(before)))
        before += len(part)
    return finalise(with_owners(merge(columns)), ledgers, unit, threads=len(parts))


class Worker:
    """A process that reads some files; if it cannot be started, this process reads them.

    Parameters
    ----------
    sources
        Files.
    name
        Their format, where it is given.
    progress
        Shows how far all are.

    Attributes
    ----------
    byte_count, span_count
        How far it is.
    """

    def __init__(self, sources: Sequence[Source], name: str | None, progress: _Progress) -> None:
        self.byte_count = self.span_count = 0
        self._sources, self._name, self._progress = list(sources), name, progress
        self._has_begun = False
        self._result: Result | None = None
        self._failure: Exception | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and a program of ours
                [sys.executable, *_flags(), "-P", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL if sys.stderr is None else None,
                env=_environment(),
                process_group=0,  # Ctrl-C must reach this process only
            )
        except OSError:
            return  # too many processes, or not supported: ``wait`` reads
        self._listener = threading.Thread(target=self._talk, args=(self._process,), daemon=True)
        self._listener.start()

    def _talk(self, process: subprocess.Popen[bytes]) -> None:
        """Send the files to read, and receive progress and result."""
        requests, responses = process.stdin, process.stdout
        if requests is None or responses is None:
            return
        try:
            with responses:
                with requests:
                    pickle.dump(_module_path(), requests)
                    pickle.dump((self._sources, self._name), requests)
                while (line := responses.readline()) not in {b"", b"\n"}:
                    self.byte_count, self.span_count = map(int, line.split())
                    self._has_begun = True
                self._result = pickle.load(responses)  # noqa: S301 - of a process of ours
        except Exception as error:  # noqa: BLE001 - of a thread: ``wait`` raises it, or does without the worker
            self._failure = error

    def at(self, byte_count: int, span_count: int) -> None:
        """Report the progress of this process in place of the worker."""
        self.byte_count, self.span_count = byte_count, span_count
        self._progress.show()

    def wait(self) -> Result:
        """Return the result, once."""
        while self._process is not None and self._listener.is_alive():
            self._listener.join(_SECONDS)
            self._progress.show()
        made, self._result = self._result, None
        if made is not None:
            return made
        if self._process is None or not self._has_begun:
            return _read_part(self._sources, self._name, self)
        message = (
            f"expected a process to read {len(self._sources)} of the files, found that it ended with"
            f" {self._process.wait()} before it was done (out of memory?); see what it wrote to standard error, and"
            " read with workers=1, or convert"
        )
        raise LoadError(message) from self._failure

    def end(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._listener.join()


def _module_path() -> list[str]:
    """Return ``sys.path`` with relative entries replaced by this package's folder."""
    own = str(Path(__file__).resolve().parents[2])
    places = [entry if os.path.isabs(entry) else own for entry in sys.path if isinstance(entry, str)]  # noqa: PTH117
    return places if own in places else [*places, own]


def _environment() -> dict[str, str]:
    """Return the environment variables, without relative entries of PYTHONPATH."""
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = os.pathsep.join(place for place in places if os.path.isabs(place))  # noqa: PTH117
    return {**os.environ, "PYTHONPATH": kept}


def _flags() -> list[str]:
    """Return the command-line options of this Python interpreter."""
    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
    return found


class _Progress:
    """The progress of this process and its workers."""

    def __init__(self, meter: Watcher) -> None:
        self.workers: list[Worker] = []
        self._meter = meter
        self._own = 0, 0

    def at(self, byte_count: int, span_count: int) -> None:
        """Report the progress of this process."""
        self._own = byte_count, span_count
        self.show()

    def show(self) -> None:
        """Show the progress of all processes."""
        byte_count, span_count = self._own
        self._meter.at(
            byte_count + sum(worker.byte_count for worker in self.workers),
            span_count + sum(worker.span_count for worker in self.workers),
        )


# -------------------------------------------------------------------- in the worker


class _Reporter:
    """Reports progress to the parent process."""

    def __init__(self, responses: IO[bytes]) -> None:
        self._answers = responses

    def at(self, byte_count: int, span_count: int) -> None:
        """Write a line."""
        self._answers.write(b"%d %d\n" % (byte_count, span_count))
        self._answers.flush()


def serve(requests: IO[bytes], responses: IO[bytes]) -> None:
    """Read the requested files and send the result."""
    reporter = _Reporter(responses)
    reporter.at(0, 0)  # it has begun
    sources, name = pickle.load(requests)  # noqa: S301 - of a process of ours
    with collector_paused():
        made = _read_part(sources, name, reporter)
        responses.write(b"\n")
        pickle.dump(made, responses, protocol=5)
    responses.flush()


def start() -> None:
    """Work for the parent process over standard input and output; other output goes to standard error."""
    try:
        with os.fdopen(os.dup(1), "wb") as responses:
            os.dup2(2, 1)
            serve(sys.stdin.buffer, responses)
    except BrokenPipeError:
        os._exit(1)  # the parent process has ended
