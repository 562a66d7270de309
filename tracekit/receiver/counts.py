"""What a receiver has received so far, as numbers that stay small however much comes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from tracekit.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.receiver.intake import Intake

Key = TypeVar("Key", int, str)

MOST_KEYS = 1 << 18  # trace ids and service names that are counted separately
_REASON = 160  # characters
_MORE = "+"  # behind a number that has reached it


@dataclass(frozen=True)
class Counts:
    """Numbers of what was received.

    Parameters
    ----------
    request_count, refused_count
        Requests of traces that were stored, and requests that were answered with an error.
    span_count, rejected_count, error_count
        Spans that can be read, spans that cannot, and spans with an error status.
    trace_count, service_count
        Distinct ones, up to ``MOST_KEYS``.
    refused_reason
        Why the last of the refused requests was refused.
    """

    request_count: int = 0
    refused_count: int = 0
    span_count: int = 0
    rejected_count: int = 0
    error_count: int = 0
    trace_count: int = 0
    service_count: int = 0
    refused_reason: str = ""

    def __str__(self) -> str:
        more = _MORE * (self.trace_count >= MOST_KEYS)
        parts = [
            plural(self.span_count, "span"),
            plural(self.trace_count, "trace").replace(" ", f"{more} ", 1),
            plural(self.service_count, "service"),
            plural(self.error_count, "error"),
        ]
        if self.rejected_count:
            parts.append(f"{plural(self.rejected_count, 'span')} rejected")
        if self.refused_count:
            parts.append(f"{plural(self.refused_count, 'request')} refused (last: {self.refused_reason})")
        return ", ".join(parts)


@dataclass
class Tally:
    """Adds up requests; any thread may add."""

    now: Counts = field(default_factory=Counts)
    _traces: set[int] = field(default_factory=set)
    _services: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def add(self, intake: Intake) -> None:
        """Add a request that was stored."""
        with self._lock:
            _add_up_to(MOST_KEYS, self._traces, intake.trace_keys.tolist())
            _add_up_to(MOST_KEYS, self._services, intake.service_names)
            self.now = replace(
                self.now,
                request_count=self.now.request_count + 1,
                span_count=self.now.span_count + intake.span_count,
                rejected_count=self.now.rejected_count + intake.rejected_count,
                error_count=self.now.error_count + intake.error_count,
                trace_count=len(self._traces),
                service_count=len(self._services),
            )

    def refuse(self, reason: str) -> None:
        """Add a request that was answered with an error."""
        short = clean(reason, limit=_REASON)
        with self._lock:
            self.now = replace(self.now, refused_count=self.now.refused_count + 1, refused_reason=short)


def _add_up_to(most: int, known: set[Key], keys: Iterable[Key]) -> None:
    """Add keys to a set until it is full."""
    if len(known) < most:
        known.update(keys)
