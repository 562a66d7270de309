"""What analyses need of a recording that is read part by part; ``tracekit.TraceStore`` is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights import Weights

State = TypeVar("State")
Found = TypeVar("Found")
On: TypeAlias = Any
"""Where parts are read: None, a number of processes, a Dask client or the address of its scheduler."""


class Parts(Protocol):
    """Traces in parts; each trace is whole, and in one part."""

    def __len__(self) -> int:
        """Return the number of traces."""

    @property
    def span_count(self) -> int:
        """Number of spans."""

    @property
    def period_ns(self) -> tuple[int, int] | None:
        """First and last start of a request, in ns; None without any."""

    @property
    def sources(self) -> pd.DataFrame:
        """One row per source, as ``TraceSet.sources``."""

    @property
    def issues(self) -> pd.DataFrame:
        """One row per issue, as ``TraceSet.issues``."""

    @property
    def recorded_services(self) -> tuple[str, ...]:
        """All services, which views give their colours."""

    @property
    def redacted(self) -> pd.DataFrame:
        """What was removed from it, as ``TraceSet.redacted``."""

    @property
    def made(self) -> str:
        """The calls that open it."""

    @property
    def sampled(self) -> tuple[str, float] | None:
        """Which of the parts these are, and what weights were multiplied by; None unless they were chosen at random."""

    def where(self, condition: str) -> Parts:
        """Return the traces with a span that matches an expression."""

    def kept(self, choose: Callable[[TraceSet], TraceSet]) -> Parts:
        """Return the traces that a function chooses of each part."""

    def weighed(
        self, rows: Callable[[TraceSet], Array], weigh: Callable[[TraceSet], tuple[Weights, Found]]
    ) -> tuple[Parts, Found]:
        """Return the same traces with weights that need all at once, from some spans of each, and what came with."""

    def trace(self, trace_id: str) -> TraceSet:
        """Return one trace."""

    def traces(self, trace_ids: Iterable[str]) -> TraceSet:
        """Return some traces."""

    def chosen(self, choose: Callable[[TraceSet], TraceSet]) -> TraceSet:
        """Return in memory the traces that a function chooses of each part."""

    def sample(self, parts: int | None = None, *, spans: int | None = None) -> Parts:
        """Return some of the parts, chosen at random, with their weights."""

    def load(self) -> TraceSet:
        """Return all traces in memory."""

    def placed(self, on: On) -> Parts:
        """Return the same traces, read elsewhere."""

    def reduce(
        self, partial: Callable[[TraceSet], State], merge: Callable[[State, State], State], *, on: On = None
    ) -> State:
        """Return the state of all parts: ``partial`` of each, merged."""


class OfEachPart:
    """The base of states of which each part has its own, so that the parts must not be read as one."""


@dataclass(frozen=True)
class Prepared:
    """The state of a part, worked out from what is prepared of the part once for all states that need the same.

    Who asks for it keeps what is made of the state of all parts: read together with others, the state is not kept.

    Parameters
    ----------
    prepare
        Returns what is prepared of a part; equal ones are called once for each part, where states are read together.
    state
        Returns the state.
    """

    prepare: Callable[[TraceSet], Any]
    state: Callable[[Any], Any]

    def __call__(self, traces: TraceSet) -> Any:
        """Return the state of some traces."""
        return self.state(self.prepare(traces))
