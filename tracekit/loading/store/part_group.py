"""Neighbouring small parts that are read as one: a state has a fixed cost, also of few spans, and so has merging it.

Parts have whole traces, and no trace is in two of them, so the state of a group is that of its parts, merged.  Columns
of a group are read when they are first used, as those of a part.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.forest import build_forest
from tracekit.loading.building.finish import look_up
from tracekit.loading.store.joined_parts import JoinedParts
from tracekit.loading.store.tables import broken
from tracekit.loading.store.union import Piece, joined_weights
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.store.part_task import PartTask

SPANS: Final = 250_000
"""Spans of a group, at most: the fixed cost of its states is then a tenth of the whole."""
_KEPT_BYTES: Final = 48 << 20
"""Codes and rows that are kept for the next pass: those of 2,000,000 spans, about."""
_PER_WORKER: Final = 4  # groups, so that all workers end at about the same time


class _Kept:
    """What is kept of groups of parts between passes: of those that were read last, up to ``_KEPT_BYTES``."""

    def __init__(self) -> None:
        self._groups: dict[Any, dict[str, Any]] = {}
        self._lock = Lock()

    def of(self, group: Any) -> dict[str, Any]:
        """Return what is kept of a group, for its reader to fill."""
        with self._lock:  # a worker of Dask may have several threads
            found = self._groups.pop(group, {})
            while sum(map(_byte_count, self._groups.values())) + _byte_count(found) > _KEPT_BYTES and self._groups:
                del self._groups[next(iter(self._groups))]
            self._groups[group] = found
        return found


def _byte_count(kept: dict[str, Any]) -> int:
    """Return the bytes of the arrays that are kept of a group."""
    return sum(getattr(each, "nbytes", 0) for made in list(kept.values()) for each in made)


_KEPT: Final = _Kept()


class PartGroup(NamedTuple):
    """Parts of a store as one task.

    Parameters
    ----------
    tasks
        The parts, at least two, to which the same calls are applied.
    """

    tasks: tuple[PartTask, ...]

    @property
    def span_count(self) -> int:
        """Number of spans of the parts."""
        return sum(task.span_count for task in self.tasks)

    @property
    def byte_count(self) -> int:
        """Length of the files of the parts."""
        return sum(task.byte_count for task in self.tasks)

    @property
    def _kept(self) -> dict[str, Any]:
        """What is kept of the parts from one reading to the next; of chosen traces, which few passes read, nothing."""
        if any(task.steps for task in self.tasks):
            return {}
        files = tuple((task.number, *(mark.crc32 for mark in task.mark.files.values())) for task in self.tasks)
        return _KEPT.of((str(self.tasks[0].path), files))

    def read(self) -> TraceSet:
        """Return the traces of all parts after the calls, described as those of the first part."""
        parts = [task.read() for task in self.tasks]
        some = [part for part in parts if len(part)] or parts[:1]
        ids, weights = joined_weights([Piece(part.columns, part.weights, 0) for part in some])
        if len(ids) < sum(map(len, some)):
            numbers = f"parts {self.tasks[0].number} to {self.tasks[-1].number}"
            raise broken(self.tasks[0].path, "each trace in one part", f"traces that are in several of {numbers}")
        columns = JoinedParts([part.columns for part in some], self._kept).columns
        forest = build_forest(columns.spans, look_up())
        return TraceSet(columns, forest=forest, weights=weights, steps=parts[0].steps)


def grouped(tasks: Sequence[PartTask], workers: int) -> list[PartTask | PartGroup]:
    """Return neighbouring parts together, up to ``SPANS``, and others alone.

    Parameters
    ----------
    tasks
        Parts of a store in their order.
    workers
        Processes or threads that read them.
    """
    spans = sum(task.span_count for task in tasks)
    most = SPANS if workers == 1 else min(SPANS, spans // (_PER_WORKER * workers))
    found: list[list[PartTask]] = []
    count = 0
    for task in tasks:
        count += task.span_count
        if not found or count > most:
            found.append([])
            count = task.span_count
        found[-1].append(task)
    return [several[0] if len(several) == 1 else PartGroup(tuple(several)) for several in found]
