"""Files read by several processes at once: each makes columns, and they are put together like the runs of ``convert``.

A processor reads some hundred thousand spans in a second and there are several of them, but Python uses one.  The
helpers are started as programs, not forked and not by ``multiprocessing``: a notebook's kernel has threads, and a
script that reads traces at its top level must not be run again in every helper.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, NamedTuple

from tracekit.errors import LoadError
from tracekit.loading import chosen, read_each
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.finish import gather, settle
from tracekit.loading.building.merge import merge
from tracekit.loading.building.pending import with_owners
from tracekit.loading.opening.opening import from_file
from tracekit.loading.reading import SourceReader, collector_paused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracekit.columns import Columns
    from tracekit.loading.building.ledger import Ledger
    from tracekit.loading.opening.opening import Source
    from tracekit.loading.progress import Watcher
    from tracekit.traces import TraceSet

MOST = 8  # helpers beyond that wait for the one process that puts everything together
WORTH_IT = 256 << 20  # bytes of JSON: a second or two of reading, where starting a helper takes half of one
_PACKED = re.compile(r"\.(?:gz|zst|zstd|bz2|xz)$")
_UNPACKED = 10  # times as long as it is stored
_SECONDS = 0.1  # between two looks at how far the helpers are
_PROGRAM = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from tracekit.loading.side_by_side import help_out
help_out(sys.stdin.buffer)
"""


def shares(sources: Sequence[Source], workers: int | None) -> list[list[Source]]:
    """Return what each process is to read: neighbouring files of about the same length in all.

    Parameters
    ----------
    sources
        In their order.
    workers
        How many processes; None for as many as there are processors, where it is worth it.

    Returns
    -------
    list of list of Source
        One list where there is nothing to share: archives, streams and bytes are read by one process.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = [Path(folder, name) for name in "abc"]
    ...     _ = [file.write_bytes(bytes(size)) for file, size in zip(files, (2000, 1000, 900))]
    ...     found = shares([from_file(file) for file in files], 2)
    >>> [[source.path.name for source in share] for share in found]
    [['a'], ['b', 'c']]
    """
    sizes = [_length(source) for source in sources]
    total = sum(sizes)
    count = min(len(sources), workers or (min(processors(), MOST) if total >= WORTH_IT else 1))
    if count == 1 or not sys.executable or any(source.kind != "file" for source in sources):
        return [list(sources)]
    found: dict[int, list[Source]] = {}
    before = 0
    for source, size in zip(sources, sizes, strict=True):
        middle = (2 * before + size) * count // (2 * total or 1)
        found.setdefault(min(middle, count - 1), []).append(source)
        before += size
    return list(found.values())


def _length(source: Source) -> int:
    """Return about how long a file is when it is unpacked."""
    return (source.byte_count or 0) * (_UNPACKED if _PACKED.search(source.uri) else 1)


def processors() -> int:
    """Return how many processors this process may use.

    Examples
    --------
    >>> processors() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Made(NamedTuple):
    """What came of some sources: columns in order of arrival, a ledger each, and the errors of those not read."""

    columns: Columns
    ledgers: list[Ledger]
    failures: list[LoadError]


def _made(sources: Sequence[Source], name: str | None, meter: Watcher) -> Made:
    """Read some sources."""
    builder = Builder()
    failures = read_each(SourceReader(builder, chosen(name), meter), sources)
    return Made(gather(builder, keep_pending=True), builder.ledgers, failures)


def read_side_by_side(
    parts: Sequence[Sequence[Source]], name: str | None, unit: str | None, meter: Watcher
) -> TraceSet:
    """Read files by as many processes as there are parts, this one among them.

    Parameters
    ----------
    parts
        What each is to read, of ``shares``.
    name, unit
        The format, and the unit of the times, as ``read`` takes them.
    meter
        Is told how far all of them are.

    Returns
    -------
    TraceSet
        As if the files were read one after another.

    Raises
    ------
    LoadError
        No file could be read, or a helper ended before it was done.
    """
    helpers: list[Helper] = []
    try:
        helpers += [Helper(part, name) for part in parts[1:]]
        together = _Together(meter, helpers)
        made = [_made(parts[0], name, together), *(helper.wait(together) for helper in helpers)]
    finally:
        for helper in helpers:
            helper.end()
    failures = [failure for one in made for failure in one.failures]
    if len(failures) == sum(map(len, parts)):
        raise failures[0]
    ledgers = [ledger for one in made for ledger in one.ledgers]
    columns = [one.columns for one in made]
    del made
    before = 0
    for at, part in enumerate(parts):
        columns[at].spans.source[:] += before
        before += len(part)
    return settle(with_owners(merge(columns)), ledgers, unit)


class Helper:
    """A process that reads some files.

    Parameters
    ----------
    sources
        Files.
    name
        Their format, where it is given.

    Attributes
    ----------
    byte_count, span_count
        How far it is.
    """

    def __init__(self, sources: Sequence[Source], name: str | None) -> None:
        self.byte_count = self.span_count = 0
        self._count = len(sources)
        self._made: Made | None = None
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and a program of ours
            [sys.executable, "-I", "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._listener = threading.Thread(
            target=self._talk, args=([(s.path, s.uri) for s in sources], name), daemon=True
        )
        self._listener.start()

    def _talk(self, files: list[tuple[Path, str]], name: str | None) -> None:
        """Say what to read, and take what comes back."""
        asked, answers = self._process.stdin, self._process.stdout
        if asked is None or answers is None:
            return
        try:
            with asked:
                pickle.dump(sys.path, asked)
                pickle.dump((files, name), asked)
            while (line := answers.readline()) not in {b"", b"\n"}:
                self.byte_count, self.span_count = map(int, line.split())
            self._made = pickle.load(answers)  # noqa: S301 - of a process of ours
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            pass  # it is gone: ``wait`` says so

    def wait(self, meter: _Together) -> Made:
        """Return what it made."""
        while self._listener.is_alive():
            self._listener.join(_SECONDS)
            meter.show()
        if self._made is None:
            message = (
                f"expected a process to read {self._count} of the files, found that it ended with"
                f" {self._process.wait()} before it was done (out of memory?); read with workers=1, or convert"
            )
            raise LoadError(message)
        return self._made

    def end(self) -> None:
        """End the process, wherever it is."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class _Together:
    """How far this process and its helpers are."""

    def __init__(self, meter: Watcher, helpers: Sequence[Helper]) -> None:
        self._meter = meter
        self._helpers = helpers
        self._own = 0, 0

    def at(self, byte_count: int, span_count: int) -> None:
        """Say how far this process is."""
        self._own = byte_count, span_count
        self.show()

    def show(self) -> None:
        """Show how far all are."""
        byte_count, span_count = self._own
        self._meter.at(
            byte_count + sum(helper.byte_count for helper in self._helpers),
            span_count + sum(helper.span_count for helper in self._helpers),
        )


# -------------------------------------------------------------------- in the helper


class _Teller:
    """Tells the other process how far this one is."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers = answers

    def at(self, byte_count: int, span_count: int) -> None:
        """Write a line."""
        self._answers.write(b"%d %d\n" % (byte_count, span_count))
        self._answers.flush()


def help_out(asked: IO[bytes], answers: IO[bytes] | None = None) -> None:
    """Be a helper: read what is asked for and answer with what was made of it.

    Parameters
    ----------
    asked
        The files and their format, pickled.
    answers
        Takes the lines of progress, an empty one, and a pickled ``Made``; by default what standard output was, which
        nothing else may write to from here on.
    """
    if answers is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever is interrupted ends this process
        answers = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
    files, name = pickle.load(asked)  # noqa: S301 - of a process of ours
    with collector_paused():
        made = _made([from_file(path, uri) for path, uri in files], name, _Teller(answers))
        answers.write(b"\n")
        pickle.dump(made, answers, protocol=5)
    answers.flush()
