"""Where the parts of a store are read: in this process, in processes of this machine, or on a Dask cluster.

Every task reads a part, or a piece of a large one, and returns its state; states are merged in the order of the parts,
so that the result does not depend on which process was faster: those of as many tasks with each other, as on a cluster.
Nothing else knows which of the three is used.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from tracekit.errors import LoadError
from tracekit.loading.memory import return_freed
from tracekit.loading.parallel import processors
from tracekit.loading.progress import Meter
from tracekit.loading.store.read_write import BYTES_PER_SPAN, free_bytes
from tracekit.loading.store.sent_once import sent_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.parts import On
    from tracekit.traces import TraceSet

State = TypeVar("State")
Group: TypeAlias = "Callable[[Sequence[Any], int], Sequence[Task]]"

_SPANS: Final = 3_000_000  # fewer spans are read sooner by this process than others are started
_IDLE_S: Final = 120  # a process without work ends after this time
_FEW: Final = 50_000  # spans: what fewer leave behind is little, and returning it takes some milliseconds
_KEPT: Final = 768 << 20  # bytes of a process that is small: it keeps the memory of a part for the next one
_KEPT_BY_WORKER: Final = 400 << 20  # the same of a worker: loky ends one that has grown by 300 MB since its first task
_AHEAD: Final = 2  # tasks per process that have begun or wait


class Task(Protocol):
    """Traces that any process can read: a part, a piece of one, or several parts."""

    @property
    def span_count(self) -> int:
        """Number of its spans."""

    @property
    def byte_count(self) -> int:
        """Length of its files."""

    def read(self) -> TraceSet:
        """Return the traces."""


class Part(Task, Protocol):
    """A part of a store."""

    @property
    def pieces(self) -> Sequence[Task]:
        """The part in pieces, if it is large; else the part."""


@dataclass(frozen=True)
class Job:
    """The state of one part, to be computed."""

    task: Task
    state: Callable[[TraceSet], Any]
    kept: int = _KEPT

    def __call__(self) -> Any:
        """Return the state; the memory of a large part, and of merges before, goes back unless the process is small."""
        if self.task.span_count < _FEW:
            return self.state(self.task.read())
        return_freed(beyond=self.kept)
        found = self.state(self.task.read())
        return_freed(beyond=self.kept)
        return found


def apart(tasks: Sequence[Task], workers: int) -> Sequence[Task]:  # noqa: ARG001 - as other ways to group them
    """Return each task by itself."""
    return tasks


def over_tasks(
    tasks: Sequence[Part],
    state: Callable[[TraceSet], State],
    merge: Callable[[State, State], State],
    on: On = None,
    group: Group = apart,
) -> State:
    """Return the merged state of all tasks, of large parts piece by piece.

    Parameters
    ----------
    tasks
        At least one.
    state
        Returns the state of a part, or of a piece of it.
    merge
        Returns the state of two.
    on
        See ``TraceStore.reduce``.
    group
        Joins tasks, given the number of workers, where the state of several is that of each, merged.
    """
    pieces = [piece for task in tasks for piece in task.pieces]
    if on is not None and not isinstance(on, int):
        from tracekit.loading.store.cluster import on_cluster  # noqa: PLC0415 - execution is imported by it

        found: State = on_cluster(pieces, state, merge, on, group)
        return found
    count = _process_count(pieces, on)
    together = group(pieces, count)
    jobs = [Job(task, state) for task in together]
    made: Iterable[State] = (
        (job() for job in jobs)
        if count == 1
        else _in_processes([replace(job, kept=_KEPT_BY_WORKER) for job in jobs], count)
    )
    whole = merged(_with_progress(made, together), merge)
    if sum(task.span_count for task in together) >= _FEW:
        return_freed()
    return whole


def merged(states: Iterable[State], merge: Callable[[State, State], State]) -> State:
    """Return the state of all, each merged as often as the number of states has binary digits.

    One after the other, each state would be merged with that of all before it, which grows.  A state waits for the next
    one of as many tasks, so that there is at most one for each digit.

    Parameters
    ----------
    states
        At least one; neighbours are merged, in their order.
    merge
        Returns the state of two.

    Examples
    --------
    >>> merged("abcde", lambda first, second: f"({first}{second})")
    '(((ab)(cd))e)'
    """
    waiting: list[tuple[int, State]] = []
    for state in states:
        whole, count = state, 1
        while waiting and waiting[-1][0] == count:
            _, first = waiting.pop()
            whole, count = merge(first, whole), 2 * count
        waiting.append((count, whole))
    whole = waiting.pop()[1]
    while waiting:
        whole = merge(waiting.pop()[1], whole)
    return whole


def _process_count(tasks: Sequence[Task], wanted: int | None) -> int:
    """Return the number of processes: those wanted, else as many as there are processors and room for parts."""
    if wanted is not None:
        if isinstance(wanted, bool) or wanted < 1:
            message = "expected on to be None, a number of processes from 1, or a Dask client"
            raise ValueError(f"{message}, found {wanted!r}")
        return min(wanted, len(tasks))
    if sum(task.span_count for task in tasks) < _SPANS:
        return 1
    free, largest = free_bytes(), max(task.span_count for task in tasks) * BYTES_PER_SPAN
    room = len(tasks) if free is None else free // max(largest, 1)
    return max(1, min(processors(), len(tasks), room))


def _with_progress(states: Iterable[State], tasks: Sequence[Task]) -> Iterator[State]:
    """Yield the states in order, and show how many bytes and spans they stand for."""
    byte_count = span_count = 0
    with Meter(sum(task.byte_count for task in tasks)) as meter:
        for state, task in zip(states, tasks, strict=True):
            byte_count, span_count = byte_count + task.byte_count, span_count + task.span_count
            meter.at(byte_count, span_count)
            yield state


def _in_processes(jobs: Sequence[Job], count: int) -> Iterator[Any]:
    """Yield the states in order from processes of this machine, which later calls use again."""
    from loky import BrokenProcessPool, get_reusable_executor  # noqa: PLC0415 - only stores of several parts need it

    pool = get_reusable_executor(max_workers=count, timeout=_IDLE_S)
    with sent_once(jobs[0].state) as state:
        waiting = iter([replace(job, state=state) for job in jobs])
        begun = deque(pool.submit(job) for job in islice(waiting, _AHEAD * count))
        try:
            while begun:
                made = begun.popleft().result()
                begun.extend(pool.submit(job) for job in islice(waiting, 1))
                yield made
        except BrokenProcessPool as error:
            message = "expected a process to read a part of the store, found that it ended (out of memory?)"
            raise LoadError(f"{message}; read with on=1, or convert to smaller parts with spans_at_once=") from error
        except BaseException:
            for job in begun:
                job.cancel()
            pool.shutdown(wait=True, kill_workers=True)  # an interrupt must not wait for parts that nobody needs
            raise
