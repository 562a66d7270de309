"""What all tasks of a pass are asked for: a large one goes to each process once, in a file, and not with every task.

What earlier passes found, and a later one needs, may be tens of megabytes.
"""

from __future__ import annotations

import pickle
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracekit.traces import TraceSet

_LARGE: Final = 1 << 18  # bytes; fewer are sent with a task sooner than read from a file


@contextmanager
def sent_once(state: Callable[[TraceSet], Any]) -> Iterator[Callable[[TraceSet], Any]]:
    """Yield what returns the same states and is small, for processes of this machine.

    Examples
    --------
    >>> with sent_once(len) as same:
    ...     same(shop)
    5
    """
    from loky.backend.reduction import dumps  # noqa: PLC0415 - as the tasks: functions of a notebook, too

    data = dumps(state)
    if len(data) < _LARGE:
        yield state
        return
    with TemporaryDirectory(prefix="tracekit-") as folder:
        path = Path(folder) / "state.pickle"
        path.write_bytes(data)
        del data
        yield _InFile(str(path))


@dataclass(frozen=True)
class _InFile:
    """Returns the states that a function in a file returns."""

    path: str

    def __call__(self, traces: TraceSet) -> Any:
        """Return the state of some traces."""
        return _read(self.path)(traces)


@lru_cache(maxsize=1)
def _read(path: str) -> Callable[[TraceSet], Any]:
    """Return the function in a file, which is kept until another one is read."""
    found: Callable[[TraceSet], Any] = pickle.loads(Path(path).read_bytes())  # noqa: S301 - written by this program
    return found
