"""What analyses need of a recording that is read part by part; ``tracekit.TraceStore`` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.traces import TraceSet

State = TypeVar("State")
On: TypeAlias = Any
"""Where parts are read: None, a number of processes, a Dask client or the address of its scheduler."""


class Parts(Protocol):
    """Traces in parts; each trace is whole, and in one part."""

    @property
    def period_ns(self) -> tuple[int, int] | None:
        """First and last start of a request, in ns; None without any."""

    def reduce(
        self, partial: Callable[[TraceSet], State], merge: Callable[[State, State], State], *, on: On = None
    ) -> State:
        """Return the state of all parts: ``partial`` of each, merged."""
