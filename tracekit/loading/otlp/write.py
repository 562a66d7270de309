"""Files of OTLP JSON Lines, written a block of whole traces at a time; each line is a request with whole traces."""

from __future__ import annotations

import gzip
import re
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from tracekit.columns import trace_starts
from tracekit.loading.otlp.json_lines import Texts, lines
from tracekit.loading.paths import shown
from tracekit.loading.progress import Meter
from tracekit.loading.store.place import beside, clear, resolved

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracekit.traces import TraceSet

ROWS = 65_536  # of a block, more only for a larger trace
_NAME = re.compile(r".+\.jsonl(\.gz|\.zst)?")
_EMPTY = b'{"resourceSpans":[]}\n'


def is_otlp_name(path: Path) -> bool:
    """Return whether a file of this name would be OTLP JSON Lines, perhaps compressed."""
    return _NAME.fullmatch(path.name) is not None


def write(traces: TraceSet, path: Path, progress: bool | None = None) -> Path:
    """Write a set as OTLP; see ``TraceSet.to_otlp``."""
    with Meter(None, progress, "writing") as meter, writing(path) as file:
        file.part(traces, meter)
    return path


class OtlpWriter:
    """A file of OTLP JSON Lines while it is written; see ``writing``.

    Parameters
    ----------
    file
        Receives the lines.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._byte_count = 0

    def part(self, traces: TraceSet, meter: Meter | None = None) -> None:
        """Write complete traces."""
        columns = traces.columns
        texts = Texts(columns)
        starts = trace_starts(columns.spans)
        low = 0
        while low < len(columns.spans):
            fits, least = np.searchsorted(starts, (low + ROWS, low), side="right").tolist()
            high = int(starts[max(fits - 1, least)])
            data = lines(columns.part(low, high), texts)
            self._file.write(memoryview(data))
            self._byte_count += data.size
            low = high
            if meter is not None:
                meter.at(self._byte_count, high)

    def finish(self, *_: Any) -> None:
        """Do nothing: sources and issues are not part of the file."""

    def end(self) -> None:
        """Write an empty request if there was no span: a file of no bytes is not OTLP, and readers refuse it."""
        if not self._byte_count:
            self._file.write(_EMPTY)


@contextmanager
def writing(path: Path) -> Iterator[OtlpWriter]:
    """Yield a file to write to; it is renamed to the path when complete, and removed otherwise."""
    with beside(place_for(path), "new") as folder:
        new = folder / path.name
        with _opened(new) as file:
            written = OtlpWriter(file)
            yield written
            written.end()
        new.replace(place_for(path))


def _opened(path: Path) -> IO[bytes]:
    """Open a file that compresses as its name says."""
    if path.suffix == ".zst":
        return cast("IO[bytes]", zstd.open(path, "wb"))
    return cast("IO[bytes]", gzip.open(path, "wb", compresslevel=6)) if path.suffix == ".gz" else path.open("wb")


def place_for(path: Path) -> Path:
    """Return the path of a file with links resolved, after removing leftovers; FileExistsError for other things."""
    if not is_otlp_name(path):
        message = f"expected a file name that ends in .jsonl, .jsonl.gz or .jsonl.zst, found {path.name}; rename it"
        raise ValueError(message)
    place = resolved(path)
    clear(place)
    if place.is_dir():
        message = f"cannot write {shown(path)}: expected a file name, found a folder; choose another path"
        raise FileExistsError(message)
    if place.exists() and not _is_lines(place):
        message = f"cannot replace {shown(path)}, which is not a file of JSON Lines; choose another path, or move it"
        raise FileExistsError(message)
    return place


def _is_lines(place: Path) -> bool:
    """Return whether an existing file begins like JSON Lines, or like the container of its name."""
    with place.open("rb") as file:
        head = file.read(16)
    return not head or head.startswith((b"{", b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
