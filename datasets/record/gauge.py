"""How late a process is woken while a recording runs: a measure of other load, apart from the recording itself."""

from __future__ import annotations

import multiprocessing
import time
from statistics import mean
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import TracebackType

SLEEP_S = 0.005


class Gauge:
    """Measures from the beginning to the end of a block; ``delay_ms`` is the mean delay of waking up after a sleep."""

    delay_ms: float

    def __enter__(self) -> Self:
        """Start the process that sleeps."""
        processes = multiprocessing.get_context("spawn")
        self._here, there = processes.Pipe()
        self._process = processes.Process(target=_measure, args=(there,), daemon=True)
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, and hold what it measured."""
        self._here.send(None)
        self.delay_ms = self._here.recv()
        self._process.join()


def _measure(parent: Connection) -> None:
    """Sleep again and again until the parent says stop, then send it the mean delay."""
    delays = [0.0]
    while not parent.poll():
        before = time.monotonic()
        time.sleep(SLEEP_S)
        delays.append(time.monotonic() - before - SLEEP_S)
    parent.send(mean(delays) * 1e3)
