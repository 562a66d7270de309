"""Columns spilled to disk by a hash of the trace id, until the last span of every trace is read.

A long stream is read in runs.  Each run is cut into buckets, each bucket appended to a file of its own with just the
names and attributes that it needs; so a few buckets of all runs together hold whole traces, and are all that has to be
in memory at once.
"""

from __future__ import annotations

import pickle
import shutil
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tracekit.columns import Columns, take
from tracekit.loading.building.ledger import issues_frame, sources_frame
from tracekit.loading.building.merge import compact, merge
from tracekit.loading.building.pool import mix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from tracekit.columns import Array

BUCKETS = 128  # at 500,000 spans a part, memory is flat up to 64 million spans
_FRAMES = ("sources", "issues")


class Spill:
    """A folder of buckets.

    Parameters
    ----------
    folder
        Made when the first columns come, removed with everything in it on leaving.
    buckets
        How many.

    Attributes
    ----------
    is_empty : bool
        Whether nothing was set aside.
    """

    def __init__(self, folder: Path, buckets: int = BUCKETS) -> None:
        self._folder = folder
        self._counts = np.zeros(buckets, np.int64)
        self.is_empty = True
        self._frames: dict[str, Any] = {"sources": sources_frame([]), "issues": issues_frame([])}

    def add(self, columns: Columns) -> None:
        """Spill the columns of a run; runs are in order of arrival."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.is_empty = False
        buckets = len(self._counts)
        bucket = _bucket(columns.spans.trace_hi, columns.spans.trace_lo, buckets)
        of_fact = _bucket(columns.facts.trace_hi, columns.facts.trace_lo, buckets)
        columns = columns.take_in_order(np.argsort(bucket, kind="stable"))
        ends = np.cumsum(np.bincount(bucket, minlength=buckets)).tolist()
        for number, (low, high) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            facts = take(columns.facts, np.flatnonzero(of_fact == number))
            if high > low or len(facts):
                self._append(number, compact(replace(columns.part(low, high), facts=facts)))
                self._counts[number] += high - low

    def _append(self, number: int, columns: Columns) -> None:
        """Append columns to those of earlier runs."""
        content = {
            column.name: getattr(columns, column.name) for column in fields(Columns) if column.name not in _FRAMES
        }
        with self._file(number).open("ab") as file:
            pickle.dump(content, file, protocol=5)

    def parts(self, span_count: int) -> Iterator[Columns]:
        """Yield everything in equal parts of at most about this many spans; no trace is in two parts."""
        middles = np.cumsum(self._counts) - self._counts / 2
        total = int(self._counts.sum())
        part = np.floor(middles * -(-total // span_count) / max(total, 1))
        for one in np.unique(part):
            numbers = [number for number in np.flatnonzero(part == one).tolist() if self._file(number).exists()]
            if numbers:
                yield merge([columns for number in numbers for columns in self._read(number)])

    def _read(self, number: int) -> Iterator[Columns]:
        """Yield the columns of a bucket, run by run, and remove its file."""
        with self._file(number).open("rb") as file:
            end = file.seek(0, 2)
            file.seek(0)
            while file.tell() < end:
                content: dict[str, Any] = pickle.load(file)  # noqa: S301 - see the import
                yield Columns(**content, **self._frames)
        self._file(number).unlink()

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:04d}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _bucket(trace_hi: Array, trace_lo: Array, buckets: int) -> Array:
    """Return the bucket of every trace id."""
    return np.asarray(mix([trace_hi, trace_lo]) % np.uint64(buckets)).astype(np.uint16)
