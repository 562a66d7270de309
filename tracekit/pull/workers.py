"""Parallel jobs with a limit; results are handled in the calling thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PATIENCE_S = 5.0
Job = TypeVar("Job")
Result = TypeVar("Result")


def run(
    jobs: Iterable[Job],
    work: Callable[[Job], Result],
    on_answer: Callable[[Job, Result], Iterable[Job] | None],
    *,
    at_once: int,
    stopped: threading.Event,
) -> None:
    """Run jobs until none is left; threads and queues, as futures would cost as much as the jobs."""
    queue: SimpleQueue[Job | None] = SimpleQueue()
    done: SimpleQueue[tuple[Job, Result | None, BaseException | None]] = SimpleQueue()

    def worker() -> None:
        while (job := queue.get()) is not None and not stopped.is_set():
            try:
                done.put((job, work(job), None))
            except BaseException as error:  # noqa: BLE001 - raised in the calling thread
                done.put((job, None, error))

    patience = threading.TIMEOUT_MAX
    workers = [threading.Thread(target=worker, daemon=True) for _ in range(at_once)]
    try:
        for one in workers:
            one.start()
        _dispatch(jobs, queue, done, on_answer, 2 * at_once)
    except BaseException:
        stopped.set()
        patience = _PATIENCE_S
        raise
    finally:
        for _ in workers:
            queue.put(None)
        end = time.monotonic() + patience
        for one in filter(threading.Thread.is_alive, workers):
            one.join(max(0.0, min(patience, end - time.monotonic())))


def _dispatch(
    jobs: Iterable[Job],
    queue: SimpleQueue[Job | None],
    done: SimpleQueue[tuple[Job, Result | None, BaseException | None]],
    on_answer: Callable[[Job, Result], Iterable[Job] | None],
    ahead: int,
) -> None:
    """Hand out jobs ahead of the results, so that no worker waits for the calling thread."""
    waiting, more, running = deque[Job](), iter(jobs), 0
    while True:
        while running < ahead and (job := waiting.popleft() if waiting else next(more, None)) is not None:
            queue.put(job)
            running += 1
        if not running:
            return
        job, result, error = done.get()
        running -= 1
        if error is not None:
            raise error
        waiting.extend(on_answer(job, cast("Result", result)) or ())
