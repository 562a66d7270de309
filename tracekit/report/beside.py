"""Tasks shared with a copy of this process: one Python process computes on one processor.

A copy made by ``os.fork`` has all that this process has read, without copying it.  Both take tasks from one list, this
process from its beginning and the copy from its end, until they meet.  The copy sends back what its tasks return, and
ends.  What it could not do or send is done here: an error is raised here with its own traceback, and the results are
those of one process.

Only a program of its own asks for it, such as the command line: a notebook's kernel has threads, and locks that they
hold would stay locked in the copy.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import warnings
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from tracekit.loading.parallel import processors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SPANS: Final = 50_000  # fewer spans are analysed sooner than a copy is made
_IS_ALLOWED: Final = ContextVar("is_allowed", default=False)
_EXPENDABLE: Final = "1000"  # the system ends the copy first if memory runs out


@contextmanager
def second_process() -> Iterator[None]:
    """Allow that tasks of this block are shared with a copy of this process."""
    before = _IS_ALLOWED.set(True)
    try:
        yield
    finally:
        _IS_ALLOWED.reset(before)


def shared(
    tasks: Sequence[Callable[[], Any]], span_count: int, *, meanwhile: Callable[[], None] | None = None
) -> list[Any]:
    """Return what tasks return, in their order; where it is allowed and of use, a copy of this process does some.

    What a task changes may stay in the copy, so that only its result counts.

    Parameters
    ----------
    tasks
        Those at the beginning are done here.
    span_count
        Of how many spans they are.
    meanwhile
        Called here before the first task if there is a copy.
    """
    if span_count < _SPANS or not _is_possible():
        return [task() for task in tasks]
    done: dict[int, Any] = {}
    tickets = _tickets(len(tasks))
    try:
        with _Copy(tasks, tickets) as copy:
            if meanwhile is not None:
                meanwhile()
            while os.read(tickets, 1):
                done[len(done)] = tasks[len(done)]()
            done |= copy.results()
    finally:
        os.close(tickets)
    return [done[at] if at in done else task() for at, task in enumerate(tasks)]


def _is_possible() -> bool:
    """Return whether a copy is allowed, safe, and has a processor; macOS has libraries that fail in copies."""
    is_safe = sys.platform == "linux" and threading.active_count() == 1
    return _IS_ALLOWED.get() and is_safe and processors() > 1


def _tickets(count: int) -> int:
    """Return a pipe to read one byte from before each task, by either process; it ends after so many."""
    tickets, issued = os.pipe()
    with os.fdopen(issued, "wb") as file:
        file.write(bytes(count))
    return tickets


class _Copy:
    """A copy of this process that does the last tasks; none, where the system allows no further process."""

    def __init__(self, tasks: Sequence[Callable[[], Any]], tickets: int) -> None:
        answers, sent = os.pipe()
        own = os.getpid()
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until the copy ignores it
        try:
            self._id = _fork()
            if self._id == 0:
                _work(tasks, tickets, sent, own)
        finally:
            os.close(sent)
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self._answers = os.fdopen(answers, "rb")

    def __enter__(self) -> Self:
        return self

    def results(self) -> dict[int, Any]:
        """Wait for the copy, and return what it has done; nothing if it was ended."""
        sent = self._answers.read()
        if self._id is None:
            return {}
        _, status = os.waitpid(self._id, 0)
        self._id = None
        return {at: _received(*one) for at, one in pickle.loads(sent).items()} if status == 0 else {}  # noqa: S301 - of a process of ours

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        if self._id is not None:
            os.kill(self._id, signal.SIGKILL)
            os.waitpid(self._id, 0)


def _fork() -> int | None:
    """Return the id of a copy, 0 in the copy; None where the system allows no further process."""
    with warnings.catch_warnings():
        # of the idle threads of Arrow and BLAS, which both replace in a copy
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return os.fork()
        except OSError:
            return None


def _received(result: bytes, said: list[tuple[Any, ...]]) -> Any:
    """Return the result of a task, after repeating its warnings."""
    for one in said:
        warnings.warn_explicit(*one)
    return pickle.loads(result)  # noqa: S301 - of a process of ours


# -------------------------------------------------------------------- in the copy


def _work(tasks: Sequence[Callable[[], Any]], tickets: int, sent: int, original: int) -> NoReturn:
    """Do tasks, send their results, and end without anything that the original does when it ends."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the original handles interrupts
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE, encoding="ascii")
        done: dict[int, tuple[bytes, list[tuple[Any, ...]]]] = {}
        at = len(tasks)
        while os.getppid() == original and os.read(tickets, 1):
            at -= 1
            with suppress(Exception):  # the original does the task, and raises its error
                done[at] = _done(tasks[at])
        with os.fdopen(sent, "wb") as file:
            pickle.dump(done, file, protocol=5)
        status = 0
    finally:
        os._exit(status)


def _done(task: Callable[[], Any]) -> tuple[bytes, list[tuple[Any, ...]]]:
    """Return the result of a task as it is sent, and its warnings."""
    with warnings.catch_warnings(record=True) as said:
        found = pickle.dumps(task(), protocol=5)
    return found, [(one.message, one.category, one.filename, one.lineno) for one in said]
