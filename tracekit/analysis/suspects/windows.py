"""Two sets of traces as arrays: names coded alike on both sides, and spans joined into service-local components.

A span enters its service if its parent belongs to another service or if it has no parent.  It and everything below it
in the same service are one component.  A client span is a span all of whose children are in other services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.forest import visible_parents

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Names(NamedTuple):
    """Names of services and operations, by code on both sides."""

    service: list[str]
    operation: list[str]


@dataclass(frozen=True, slots=True)
class Window:
    """One side; one entry per span unless stated otherwise.

    Parameters
    ----------
    traces
        The traces.
    names
        What the codes mean.
    service, operation
        Codes.
    parent
        Row of the parent, skipping spans inferred by a backend; -1 without one.
    component
        Row of the span with which the component of the span begins; -1 for inferred spans.
    is_entry, is_client
        Whether the span begins a component; whether it is a client span.
    weight
        One per trace: the sampling weight.
    start_ns
        One per trace: start of its root.
    took_ns
        One per trace: float64, duration of its root; NaN where unknown.
    """

    traces: TraceSet
    names: Names
    service: Array
    operation: Array
    parent: Array
    component: Array
    is_entry: Array
    is_client: Array
    weight: Array
    start_ns: Array
    took_ns: Array

    @property
    def trace(self) -> Array:
        """Ordinal of the trace of every span."""
        return self.traces.forest.trace

    @property
    def is_live(self) -> Array:
        """Whether the span was recorded, not inferred by a backend."""
        return np.asarray(self.component >= 0)


def windows(baseline: TraceSet, current: TraceSet) -> tuple[Window, Window]:
    """Return both sides with the same codes."""
    services, *service = _joint(baseline, current, "service_name")
    operations, *operation = _joint(baseline, current, "operation")
    names = Names(services, operations)
    return _window(baseline, names, service[0], operation[0]), _window(current, names, service[1], operation[1])


def _joint(baseline: TraceSet, current: TraceSet, column: str) -> tuple[list[str], Array, Array]:
    """Return the sorted names of both sides, and the codes of each side into them."""
    sides = [traces.codes(column) for traces in (baseline, current)]
    names = sorted({"", *sides[0].labels, *sides[1].labels})
    place = {name: at for at, name in enumerate(names)}
    before, now = (np.array([place[name] for name in (*side.labels, "")], np.int64)[side.codes] for side in sides)
    return names, before, now


def _window(traces: TraceSet, names: Names, service: Array, operation: Array) -> Window:
    """Return one side."""
    live = ~traces.is_inferred
    parent = visible_parents(traces.forest.parent_row, traces.is_inferred).astype(np.int64)
    parent[~live] = -1
    above = np.maximum(parent, 0)
    is_entry = live & ((parent < 0) | (service != service[above]))
    rows = np.arange(len(parent))
    component = _followed(np.where(is_entry | ~live, rows, parent))
    component[~live] = -1
    children = np.bincount(parent[parent >= 0], minlength=len(parent))
    calls = np.bincount(parent[is_entry & (parent >= 0)], minlength=len(parent))
    root = traces.forest.root_row
    took = np.where(traces.has_duration[root], traces.duration_ns[root].astype(np.float64), np.nan)
    return Window(
        traces,
        names,
        service,
        operation,
        parent,
        component,
        is_entry,
        (calls > 0) & (calls == children),
        traces.weights.value.astype(np.float64),
        traces.columns.spans.start_ns[root],
        took,
    )


def _followed(to: Array) -> Array:
    """Return where each row ends up if the pointers are followed until they stay."""
    while not np.array_equal(further := to[to], to):
        to = further
    return to
