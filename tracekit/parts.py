"""What analyses need of a recording that is read part by part; ``tracekit.TraceStore`` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.traces import TraceSet

State = TypeVar("State")


class Parts(Protocol):
    """Traces in parts; each trace is whole, and in one part."""

    def reduce(self, partial: Callable[[TraceSet], State], merge: Callable[[State, State], State]) -> State:
        """Return the state of all parts: ``partial`` of each, merged."""
