"""What calls of all backends share: counted attempts, backoff with jitter, a stop that interrupts waiting, errors."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

from tracekit.errors import PullError

_MAX_BACKOFF_S = 20.0


class RejectedError(PullError):
    """The backend rejected the call; a retry does not help."""

    def __init__(self, message: str, *, code: str, reason: str = "", operation: str = "", request_id: str = "") -> None:
        super().__init__(message, operation=operation, request_id=request_id)
        self.code = code
        self.reason = reason


class NoAnswerError(PullError):
    """A call got no usable answer after all attempts; a later one may."""


class StoppedError(Exception):
    """The pull was stopped while a worker was waiting."""


class Backoff:
    """Waits between attempts, for all workers of a pull.

    Parameters
    ----------
    backoff_s
        First backoff in seconds, doubled each time up to 20 s, with jitter.
    """

    def __init__(self, backoff_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self.stopped = threading.Event()
        self._backoff_s = backoff_s
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._random = random.Random()  # noqa: S311 - jitter

    def sleep(self, seconds: float) -> None:
        """Sleep; raise StoppedError if the pull was stopped meanwhile."""
        if self.stopped.wait(seconds) if seconds > 0 else self.stopped.is_set():
            raise StoppedError

    def _pause(self, attempt: int) -> float:
        """Return the backoff after an attempt, in seconds."""
        return min(_MAX_BACKOFF_S, self._backoff_s * 2.0**attempt) * self._random.uniform(0.5, 1.0)

    def pause(self, attempt: int) -> None:
        """Sleep for the backoff after an attempt."""
        self.sleep(self._pause(attempt))

    def wait(self, attempt: int) -> None:
        """Sleep before an attempt: the backoff, and while the backend throttles."""
        self.sleep(self._pause(attempt - 1) if attempt else 0)
        self.sleep(max(0.0, self._not_before - time.monotonic()))

    def throttle(self, attempt: int, least_s: float = 0.0) -> None:
        """Make all workers wait for the backoff after an attempt, and for at least ``least_s`` seconds."""
        self.counts["throttled"] += 1
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + max(least_s, self._pause(attempt)))
