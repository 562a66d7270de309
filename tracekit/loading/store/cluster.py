"""A Dask cluster that reads the parts of a store: one task a part, and a tree of tasks that merge neighbours.

What all parts are asked for goes through the scheduler once, and from one worker to the others; with a task goes only
what names its part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from tracekit.errors import LoadError
from tracekit.loading.memory import blocks_kept
from tracekit.loading.store.execution import Job, apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracekit.loading.store.execution import Group, Task

_FAN_IN: Final = 2  # states merged at once: those of neighbours while other parts are read


def on_cluster(
    tasks: Sequence[Task],
    state: Callable[[Any], Any],
    merge: Callable[[Any, Any], Any],
    client: Any,
    group: Group = apart,
) -> Any:
    """Return the merged state of all tasks, computed by the workers of a Dask cluster; see ``over_tasks``."""
    try:
        from dask import bag, delayed  # noqa: PLC0415 - optional
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
            return on_cluster(tasks, state, merge, connected, group)
    if not isinstance(client, Client):
        found = type(client).__name__
        raise TypeError(f"expected on to be None, a number of processes, a Dask client or its address, found {found}")
    asked = delayed(_Packed.of(state), traverse=False)
    tasks = group(tasks, max(1, sum(client.nthreads().values())))
    packed = [_Packed.of(task) for task in tasks]  # Dask would look for tasks of its own in the steps of a part
    states = bag.from_sequence(packed, partition_size=1).map(_Read(name_of(state)), asked)
    future = client.compute(states.reduction(_only, _Merge(merge), split_every=_FAN_IN))
    try:
        return future.result().value()
    except BaseException:
        future.cancel()
        raise


@dataclass(frozen=True)
class _Read:
    """Computes the state of a part; a cluster shows the task by its name."""

    __name__: str

    def __call__(self, task: _Packed, asked: _Packed) -> _Packed:
        """Return the state."""
        with blocks_kept():
            return _Packed.of(Job(task.value(), asked.value())())


@dataclass(frozen=True)
class _Merge:
    """Merges the states of neighbours."""

    merge: Callable[[Any, Any], Any]

    def __call__(self, states: Iterable[_Packed]) -> _Packed:
        """Return the state of all."""
        with blocks_kept():
            return _Packed.of(reduce(self.merge, (state.value() for state in states)))


def _only(states: Iterable[_Packed]) -> _Packed:
    """Return the one state of a partition."""
    (found,) = states
    return found


@dataclass(frozen=True)
class _Packed:
    """A pickled value, which a task cannot change for others; between processes it travels compressed.

    Parameters
    ----------
    data
        The pickled value.
    """

    data: bytes

    @classmethod
    def of(cls, value: Any) -> _Packed:
        """Return a value as bytes; Dask's pickling knows the functions of notebooks, too."""
        from distributed.protocol import pickle  # noqa: PLC0415 - optional

        return cls(pickle.dumps(value))

    def value(self) -> Any:
        """Return the value."""
        from distributed.protocol import pickle  # noqa: PLC0415 - optional

        return pickle.loads(self.data)

    def __sizeof__(self) -> int:
        """Return the length, by which Dask decides what to move or to write to disk."""
        return object.__sizeof__(self) + len(self.data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the compressed bytes: a fifth of the length."""
        return _unpacked, (pa.compress(self.data, codec="zstd", asbytes=True), len(self.data))


def _unpacked(data: bytes, byte_count: int) -> _Packed:
    """Return a value whose bytes were compressed."""
    return _Packed(pa.decompress(data, byte_count, codec="zstd", asbytes=True))


def name_of(state: Any) -> str:
    """Return the module and name of a function behind wrappers, such as ``latency.tabulate``."""
    while (inner := getattr(state, "func", getattr(state, "state", None))) is not None:
        state = inner
    name = getattr(state, "__qualname__", type(state).__qualname__)
    return f"{getattr(state, '__module__', '').rpartition('.')[2]}.{name}"
