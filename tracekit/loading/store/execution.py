"""Where the parts of a store are read: in this process, in processes of this machine, or on a Dask cluster.

Every task reads one part and returns its state; states are merged in the order of the parts, so that the result does
not depend on which process was faster.  Nothing else knows which of the three is used.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import pyarrow as pa

from tracekit.errors import LoadError
from tracekit.loading.memory import return_freed
from tracekit.loading.parallel import processors
from tracekit.loading.progress import Meter
from tracekit.loading.store.read_write import BYTES_PER_SPAN, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracekit.parts import On
    from tracekit.traces import TraceSet

State = TypeVar("State")

_SPANS: Final = 3_000_000  # fewer spans are read sooner by this process than others are started
_IDLE_S: Final = 120  # a process without work ends after this time
_AHEAD: Final = 2  # tasks per process that have begun or wait
_FAN_IN: Final = 8  # states merged at once on a cluster


class Task(Protocol):
    """A part that any process can read."""

    @property
    def span_count(self) -> int:
        """Number of its spans."""

    @property
    def byte_count(self) -> int:
        """Length of its files."""

    def read(self) -> TraceSet:
        """Return the part."""


@dataclass(frozen=True)
class _Job:
    """The state of one part, to be computed."""

    task: Task
    state: Callable[[TraceSet], Any]

    def __call__(self) -> Any:
        """Return the state; the part is freed, and its memory returned to the system."""
        found = self.state(self.task.read())
        return_freed()
        return found


def over_tasks(
    tasks: Sequence[Task], state: Callable[[TraceSet], State], merge: Callable[[State, State], State], on: On = None
) -> State:
    """Return the merged state of all tasks.

    Parameters
    ----------
    tasks
        At least one.
    state
        Returns the state of a part.
    merge
        Returns the state of two.
    on
        See ``TraceStore.reduce``.
    """
    jobs = [_Job(task, state) for task in tasks]
    if on is not None and not isinstance(on, int):
        found: State = _on_cluster(jobs, merge, on)
        return found
    count = _process_count(tasks, on)
    made: Iterable[State] = (job() for job in jobs) if count == 1 else _in_processes(jobs, count)
    return reduce(merge, _with_progress(made, tasks))


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


def _in_processes(jobs: Sequence[_Job], count: int) -> Iterator[Any]:
    """Yield the states in order from processes of this machine, which later calls use again."""
    from loky import BrokenProcessPool, get_reusable_executor  # noqa: PLC0415 - only stores of several parts need it

    pool = get_reusable_executor(max_workers=count, timeout=_IDLE_S)
    waiting = iter(jobs)
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


def _on_cluster(jobs: Sequence[_Job], merge: Callable[[Any, Any], Any], client: Any) -> Any:
    """Return the merged state, computed by the workers of a Dask cluster."""
    try:
        from dask import bag  # noqa: PLC0415 - optional
        from distributed import Client  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise ImportError(
            f"expected dask and distributed to run on {client!r}, found neither; install them with"
            " pip install 'tracekit-notebook[dask]', or leave out on="
        ) from error
    if isinstance(client, str):
        try:
            connected = Client(client)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            message = (
                f"expected a Dask scheduler at {client}, found none ({reason:.200}); check the address, or leave out"
            )
            raise LoadError(f"{message} on= (--dask)", source=client) from error
        with connected:
            return _on_cluster(jobs, merge, connected)
    if not isinstance(client, Client):
        found = type(client).__name__
        raise TypeError(f"expected on to be None, a number of processes, a Dask client or its address, found {found}")
    states = bag.from_sequence(jobs, partition_size=1).map(_Read(_name(jobs[0].state)))
    future = client.compute(states.fold(_MergePacked(merge), split_every=_FAN_IN))
    try:
        return future.result().state()
    except BaseException:
        future.cancel()
        raise


@dataclass(frozen=True)
class _Read:
    """Computes the state of a part; a cluster shows the task by its name."""

    __name__: str

    def __call__(self, job: _Job) -> _Packed:
        """Return the state."""
        return _Packed.of(job())


@dataclass(frozen=True)
class _MergePacked:
    """Merges the states of two parts."""

    merge: Callable[[Any, Any], Any]

    def __call__(self, first: _Packed, second: _Packed) -> _Packed:
        """Return the state of both."""
        return _Packed.of(self.merge(first.state(), second.state()))


@dataclass(frozen=True)
class _Packed:
    """A compressed state: between workers a fifth of the bytes; the last one goes through the scheduler.

    Parameters
    ----------
    data
        The pickled state, compressed.
    byte_count
        Length of the pickled state.
    """

    data: bytes
    byte_count: int

    @classmethod
    def of(cls, state: Any) -> _Packed:
        """Return a state as bytes; Dask's pickling knows the functions of notebooks, too."""
        from distributed.protocol import pickle  # noqa: PLC0415 - optional

        found = pickle.dumps(state)
        return cls(pa.compress(found, codec="zstd", asbytes=True), len(found))

    def state(self) -> Any:
        """Return the state."""
        from distributed.protocol import pickle  # noqa: PLC0415 - optional

        return pickle.loads(pa.decompress(self.data, self.byte_count, codec="zstd", asbytes=True))


def _name(state: Any) -> str:
    """Return the module and name of a function behind wrappers, such as ``latency.tabulate``."""
    while (inner := getattr(state, "func", getattr(state, "state", None))) is not None:
        state = inner
    name = getattr(state, "__qualname__", type(state).__qualname__)
    return f"{getattr(state, '__module__', '').rpartition('.')[2]}.{name}"
