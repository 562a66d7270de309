"""Calls that are applied to each part of a store when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracekit.schema import Quality
from tracekit.self_description import step
from tracekit.traces import reweighted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.store.weighing import WeightsById
    from tracekit.traces import TraceSet


WEIGHED: Final = "_weighed"
"""The method of a step whose argument differs between parts: their weights, by the number of the part."""


class Step(NamedTuple):
    """A call that is applied to each part when it is read: a method, and its arguments.

    Of weights by part, the second argument is the call that found them, as code.
    """

    method: str
    arguments: tuple[Any, ...]

    @property
    def call(self) -> str:
        """The call as code; nothing if it is not one of the user."""
        if self.method == WEIGHED:
            return str(self.arguments[1])
        return "" if self.method.startswith("_") else step(self.method, *self.arguments)

    def of_part(self, number: int) -> Step:
        """Return the call for one part: of weights by part, its own."""
        return Step(WEIGHED, (self.arguments[0][number],)) if self.method == WEIGHED else self

    @property
    def key(self) -> Any:
        """What distinguishes the call for one part from others: of weights their digest, as they are many."""
        return (WEIGHED, self.arguments[0].digest) if self.method == WEIGHED else self


def applied(found: TraceSet, steps: tuple[Step, ...]) -> TraceSet:
    """Return traces of a part after some calls."""
    for method, arguments in steps:
        found = _OWN[method](found, *arguments) if method in _OWN else getattr(found, method)(*arguments)
    return found


def _begun_between(traces: TraceSet, low: int, high: int) -> TraceSet:
    """Return the traces of a part whose root starts in a window, which may contain none of them."""
    root = traces.forest.root_row
    begun, is_known = traces.columns.spans.start_ns[root], (traces.columns.spans.quality[root] & Quality.NO_START) == 0
    return traces.where((is_known & (begun >= low) & (begun < high))[traces.forest.trace])


def _scaled(traces: TraceSet, factor: float) -> TraceSet:
    """Return traces with their known weights multiplied."""
    return reweighted(traces, traces.weights.scaled(factor), traces.steps)


def _weighed(traces: TraceSet, weights: WeightsById) -> TraceSet:
    """Return traces of a part with their weights."""
    return weights.of(traces)


def _kept(traces: TraceSet, choose: Callable[[TraceSet], TraceSet]) -> TraceSet:
    """Return the traces that a function chooses."""
    return choose(traces)


def _with_weights(traces: TraceSet, source: Any) -> TraceSet:
    """Return traces of a part with other weights; of none, no root says whether it has the attribute."""
    return traces.with_weights(source) if len(traces) else traces


_OWN: Final[dict[str, Callable[..., TraceSet]]] = {
    "with_weights": _with_weights,
    "between": _begun_between,
    "_scaled": _scaled,
    "_kept": _kept,
    WEIGHED: _weighed,
}
