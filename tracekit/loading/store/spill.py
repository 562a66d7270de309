"""Columns spilled to disk by a hash of the trace id, until the last span of every trace is read.

A long stream is read in runs.  Each run is cut into buckets, each bucket appended to a file of its own with just the
names and attributes that it needs; so a few buckets of all runs together hold whole traces, and are all that has to be
in memory at once.  A bucket that belongs to several parts is cut once more, into one file a part.
"""

from __future__ import annotations

import itertools
import pickle
import shutil
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, Self

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

BUCKETS: Final = 128  # files that a run is appended to
SLOTS: Final = 1 << 17  # ranges of the hash, each in one part: as many parts as there can be
_FRAMES = ("sources", "issues")


def slots_of(trace_hi: Array, trace_lo: Array) -> Array:
    """Return the slot of every trace id: the highest bits of a hash."""
    return np.asarray(mix([trace_hi, trace_lo]) >> np.uint64(64 - SLOTS.bit_length() + 1)).astype(np.int64)


def parts_of_slots(counts: Array, span_count: int) -> Array:
    """Return the part of every slot: equal parts of about at most so many spans, without gaps.

    Parameters
    ----------
    counts
        Number of spans of each slot.
    span_count
        Spans of a part.

    Examples
    --------
    >>> parts_of_slots(np.array([2, 2, 2, 2, 0, 2]), 4).tolist()
    [0, 0, 1, 2, 2, 2]
    """
    total = int(counts.sum())
    number = -(-total // span_count) or 1
    part = np.floor((np.cumsum(counts) - counts / 2) * number / max(total, 1)).astype(np.int64)
    used = np.zeros(number, bool)
    used[np.minimum(part, number - 1)[counts > 0]] = True
    return np.asarray(np.maximum(np.cumsum(used) - 1, 0)[np.minimum(part, number - 1)])


class Spill:
    """A folder of buckets.

    Parameters
    ----------
    folder
        Made when the first columns come, removed with everything in it on leaving.
    buckets
        How many, a power of 2.

    Attributes
    ----------
    is_empty : bool
        Whether nothing was set aside.
    """

    def __init__(self, folder: Path, buckets: int = BUCKETS) -> None:
        self._folder = folder
        self._buckets = buckets
        self._counts = np.zeros(SLOTS, np.int64)
        self.is_empty = True
        self._frames: dict[str, Any] = {"sources": sources_frame([]), "issues": issues_frame([])}

    def add(self, columns: Columns) -> None:
        """Spill the columns of a run; runs are in order of arrival."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.is_empty = False
        slots = slots_of(columns.spans.trace_hi, columns.spans.trace_lo)
        np.add.at(self._counts, slots, 1)
        of_fact = slots_of(columns.facts.trace_hi, columns.facts.trace_lo)
        size = SLOTS // self._buckets
        for number, piece in _dealt(columns, slots // size, of_fact // size):
            self._append(self._file(number), piece)

    def _append(self, file: Path, columns: Columns) -> None:
        """Append columns to those of earlier runs."""
        content = {
            column.name: getattr(columns, column.name) for column in fields(Columns) if column.name not in _FRAMES
        }
        with file.open("ab") as opened:
            pickle.dump(content, opened, protocol=5)

    def parts(self, span_count: int) -> Iterator[Columns]:
        """Yield everything in equal parts of about at most this many spans; no trace is in two parts."""
        part_of_slot = parts_of_slots(self._counts, span_count)
        in_bucket = part_of_slot.reshape(self._buckets, -1)
        waiting: list[Path] = []  # files of the part that is not yet whole
        for number, (first, last) in enumerate(zip(in_bucket[:, 0], in_bucket[:, -1], strict=True)):
            if self._file(number).exists():
                own = self._cut(number, part_of_slot) if last > first else {int(first): self._file(number)}
            else:
                own = {}
            waiting += [own[first]] if first in own else []
            for part in range(int(first), int(last)):
                if waiting:
                    yield self._merged(waiting)
                waiting = [own[part + 1]] if part + 1 in own else []
            following = in_bucket[number + 1, 0] if number + 1 < self._buckets else -1
            if waiting and following != last:
                yield self._merged(waiting)
                waiting = []

    def _cut(self, number: int, part_of_slot: Array) -> dict[int, Path]:
        """Cut a bucket into one file a part, and return them by part."""
        found: dict[int, Path] = {}
        for columns in self._read(self._file(number)):
            spans, facts = (slots_of(table.trace_hi, table.trace_lo) for table in (columns.spans, columns.facts))
            for part, piece in _dealt(columns, part_of_slot[spans], part_of_slot[facts]):
                found[part] = self._folder / f"{number:04d}-{part:07d}"
                self._append(found[part], piece)
        return found

    def _merged(self, files: list[Path]) -> Columns:
        """Return the columns of files, and remove them."""
        return merge([columns for file in files for columns in self._read(file)])

    def _read(self, path: Path) -> Iterator[Columns]:
        """Yield the columns of a file, run by run, and remove it."""
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(0)
            while file.tell() < end:
                content: dict[str, Any] = pickle.load(file)  # noqa: S301 - see the import
                yield Columns(**content, **self._frames)
        path.unlink()

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:04d}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _dealt(columns: Columns, place: Array, of_fact: Array) -> Iterator[tuple[int, Columns]]:
    """Yield the spans and facts of each place, with just the names and attributes that they need."""
    columns = columns.take_in_order(np.argsort(place, kind="stable"))
    places = np.unique(np.concatenate([place, of_fact]))
    ends = np.searchsorted(np.sort(place), places, side="right").tolist()
    for number, (low, high) in zip(places.tolist(), itertools.pairwise([0, *ends]), strict=True):
        facts = take(columns.facts, np.flatnonzero(of_fact == number))
        yield number, compact(replace(columns.part(low, high), facts=facts))
