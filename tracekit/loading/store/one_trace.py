"""One trace of a store: ids are compared first, then the row group of the trace is read."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from tracekit.columns import trace_starts
from tracekit.filters import plain_id
from tracekit.frames import hexes
from tracekit.loading.store.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracekit.loading.store.part_task import PartTask
    from tracekit.traces import TraceSet


class _Near(NamedTuple):
    """A trace whose id is near the one that is wanted: the id, its part, and its position there."""

    trace_id: str
    task: PartTask
    position: int


def one_trace(tasks: Sequence[PartTask], trace_id: str, *, is_chosen: bool) -> TraceSet:
    """Return the trace with an id or a prefix of it; ``is_chosen``: conditions may exclude traces of the parts."""
    wanted = plain_id(trace_id)
    near = [one for task in tasks for one in _near(task, wanted, is_chosen=is_chosen)]
    matches = [one for one in near if one.trace_id.startswith(wanted) and wanted]
    matches = [one for one in matches if one.trace_id == wanted] or matches
    if len(matches) == 1:
        found, task, position = matches[0]
        part = task.read() if is_chosen else task.applied(task.opened(Reach(traces=[position], by_range=True)))
        return part.trace(found)
    texts = ", ".join(sorted(one.trace_id for one in near)[:3]) or "none: the store is empty"
    raise ValueError(f"expected the id of one trace, found {trace_id!r} for {len(matches)}; nearest: {texts}")


def _near(task: PartTask, wanted: str, *, is_chosen: bool) -> Iterator[_Near]:
    """Yield the traces of a part around the place of an id."""
    spans = (task.read() if is_chosen else task.opened(Reach(by_range=True))).columns.spans
    first = trace_starts(spans)[:-1]
    ids = list(hexes(spans.trace_hi[first], spans.trace_lo[first]))
    at = bisect_left(ids, wanted)
    for position in range(max(0, at - 1), min(at + 2, len(ids))):
        yield _Near(ids[position], task, position)
