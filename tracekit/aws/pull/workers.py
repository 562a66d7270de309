"""Jobs side by side, a bounded number at once; the caller's thread hears of each as it ends."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(
    jobs: Iterable[Job],
    work: Callable[[Job], Result],
    heard: Callable[[Job, Result], Iterable[Job] | None],
    *,
    at_once: int,
    stopped: threading.Event,
) -> None:
    """Do jobs until none is left.

    Parameters
    ----------
    jobs
        Taken as they are needed.
    work
        Does one, in a thread.
    heard
        Called in this thread with every job and its result; returns jobs that follow from it.
    at_once
        How many run at the same time.
    stopped
        Set when something raises, here or in a job, so that waiting jobs leave; what raised goes on to the caller
        after all have left.

    Examples
    --------
    >>> import threading
    >>> sums = []
    >>> run([1, 2], lambda n: n * 10, lambda _, tens: sums.append(tens), at_once=2, stopped=threading.Event())
    >>> sorted(sums)
    [10, 20]
    """
    waiting, more = deque[Job](), iter(jobs)
    ahead = 2 * at_once  # a worker that is done need not wait for this thread to hear of it
    running: dict[Future[Result], Job] = {}
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            while True:
                while len(running) < ahead and (job := waiting.popleft() if waiting else next(more, None)) is not None:
                    future = pool.submit(work, job)
                    running[future] = job
                    future.add_done_callback(done.put)
                if not running:
                    return
                future = done.get()
                waiting.extend(heard(running.pop(future), future.result()) or ())
        except BaseException:
            stopped.set()
            for future in running:
                future.cancel()
            raise
