"""Analyses of traces in parts: the state of each part, merged, gives the result of the whole.

An analysis that can be computed so is written once, as ``partial(traces) -> state``, ``merge(state, state) -> state``
and a last step that makes the result.  A TraceSet is the special case of one part.  States can be pickled, are limited
in size, and the order of merging does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from tracekit.on_demand import pd
from tracekit.stats.aggregates import steady
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.grouping import By
    from tracekit.parts import On, Parts
    from tracekit.weights.known import WeightTotals

State = TypeVar("State")


class Part(NamedTuple, Generic[State]):
    """The state of a part.

    Parameters
    ----------
    state
        Of the analysis.
    weights
        What the sampling weights describe.
    services
        All services of the recording, which views give their colours.
    """

    state: State
    weights: WeightTotals
    services: tuple[str, ...]


@dataclass(frozen=True)
class _Partial(Generic[State]):
    """Returns the state of a part, with what every result says."""

    state: Callable[[TraceSet], State]

    def __call__(self, traces: TraceSet) -> Part[State]:
        """Return the state of some traces."""
        return Part(self.state(traces), traces.weights.totals, tuple(traces.codes("service_name").labels))


@dataclass(frozen=True)
class _Merge(Generic[State]):
    """Merges the states of two parts."""

    state: Callable[[State, State], State]

    def __call__(self, first: Part[State], second: Part[State]) -> Part[State]:
        """Return the state of both."""
        services = tuple(dict.fromkeys(first.services + second.services))
        return Part(self.state(first.state, second.state), first.weights + second.weights, services)


def over_parts(
    traces: TraceSet | Parts,
    state: Callable[[TraceSet], State],
    merge: Callable[[State, State], State],
    *,
    on: On = None,
) -> Part[State]:
    """Return the state of all traces: of a TraceSet at once, of a store part by part.

    ``on``: where the parts are read; see ``TraceStore.reduce``.

    Examples
    --------
    >>> found = over_parts(shop, len, int.__add__)
    >>> found.state, found.services
    (5, ('shop', 'cart', 'ledger'))
    """
    partial = _Partial(state)
    check_on(on, traces)
    return partial(traces) if isinstance(traces, TraceSet) else traces.reduce(partial, _Merge(merge), on=on)


def in_memory(traces: TraceSet | Parts) -> TraceSet:
    """Return traces that are in memory; TypeError for a store.

    Examples
    --------
    >>> in_memory(shop) is shop
    True
    """
    if isinstance(traces, TraceSet):
        return traces
    raise TypeError("expected traces in memory, found a store, which is read part by part; use load() or sample()")


def kept(traces: TraceSet | Parts, choose: Callable[[TraceSet], TraceSet]) -> TraceSet | Parts:
    """Return the traces that a function chooses, of a store when a part is read; see ``TraceStore.kept``.

    Examples
    --------
    >>> len(kept(shop, lambda traces: traces.head(2)))
    2
    """
    return choose(traces) if isinstance(traces, TraceSet) else traces.kept(choose)


def check_on(on: On, *sides: TraceSet | Parts) -> None:
    """Raise ValueError for a place to read parts where there are none."""
    if on is not None and all(isinstance(side, TraceSet) for side in sides):
        raise ValueError("expected a TraceStore with on=, found a TraceSet, which is in memory; tk.open opens a store")


def on_side(traces: TraceSet | Parts, on: On) -> On:
    """Return where the parts of one of two sides are read: nowhere else than here if it is in memory."""
    return None if isinstance(traces, TraceSet) else on


def placed(traces: TraceSet | Parts, on: On) -> TraceSet | Parts:
    """Return the traces, those of a store read elsewhere."""
    return traces if on is None or isinstance(traces, TraceSet) else traces.placed(on)


def largest_first(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the rows with the largest sums first; the order of equal ones does not depend on the parts.

    Examples
    --------
    >>> largest_first(pd.DataFrame({"n": [0.3, 0.1 + 0.2, 1.0]}), "n").index.tolist()
    [0, 1, 2]
    >>> largest_first(pd.DataFrame({"n": [0.3, 0.1 + 0.2, 1.0]}), "n")["n"].round(1).tolist()
    [1.0, 0.3, 0.3]
    """
    order = np.lexsort([-steady(table[name].to_numpy(np.float64)) for name in reversed(columns)])
    return table.take(order).reset_index(drop=True)


def check_names(traces: Any, by: By) -> None:
    """Raise ValueError for a column of values to group a store by, which fits no part."""
    given = by if isinstance(by, (list, tuple)) else [by]
    if not isinstance(traces, TraceSet) and any(isinstance(one, pd.Series) for one in given):
        raise ValueError("expected names to group a store by, found a Series; use load() first, or an attribute")
