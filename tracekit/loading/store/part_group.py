"""Neighbouring small parts that are read as one: a state has a fixed cost, also of few spans, and so has merging it.

Parts have whole traces, and no trace is in two of them, so the state of a group is that of its parts, merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tracekit.loading.store.tables import broken
from tracekit.loading.store.union import Piece, joined
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.store.part_task import PartTask

SPANS: Final = 250_000
"""Spans of a group, at most: the fixed cost of its states is then a tenth of the whole."""
_PER_WORKER: Final = 4  # groups, so that all workers end at about the same time


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

    def read(self) -> TraceSet:
        """Return the traces of all parts after the calls, described as those of the first part."""
        parts = [task.read() for task in self.tasks]
        some = [part for part in parts if len(part)] or parts[:1]
        columns, weights, is_shared = joined([Piece(part.columns, part.weights, 0) for part in some])
        if is_shared:
            numbers = f"parts {self.tasks[0].number} to {self.tasks[-1].number}"
            raise broken(self.tasks[0].path, "each trace in one part", f"traces that are in several of {numbers}")
        return TraceSet(columns, weights=weights, steps=parts[0].steps)


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
