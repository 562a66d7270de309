"""The parts of a store in random order, dealt to groups, for results that are shown while it is read."""

from __future__ import annotations

import itertools
import operator
import os
import pickle
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.loading.store.execution import over_tasks
from tracekit.loading.store.reading import period_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.store.part_task import PartTask
    from tracekit.loading.store.trace_store import TraceStore
    from tracekit.parts import On

GROUPS: Final = 20


class Deal:
    """The parts of a store in random order, dealt to groups, with the states of each group.

    An analysis reads a store in one or more passes, numbered from 0.  The states of a pass are kept as long as it
    computes the same function of a part.
    """

    def __init__(self, store: TraceStore, seed: int) -> None:
        self._store = store
        self._order: list[int] = np.random.default_rng(seed).permutation(store.part_count).tolist()
        self._passes: list[_Pass] = []
        self._first = store

    @property
    def part_count(self) -> int:
        """Number of all parts."""
        return len(self._order)

    def sizes(self, count: int) -> Array:
        """Return the number of parts of each group after so many parts."""
        return np.bincount(np.arange(count) % GROUPS)

    def first(self, count: int) -> TraceStore:
        """Return the store of the first parts; states of parts that were read before are reused."""
        numbers = itertools.count()

        def read(_: Any, state: Callable[[Any], Any], merge: Callable[[Any, Any], Any], on: On) -> Any:
            return reduce(merge, self._pass(next(numbers), state).after(self._parts(count), state, merge, on))

        self._first = self._store.only(self._order[:count], reader=read)
        return self._first

    def group(self, count: int, group: int) -> TraceStore:
        """Return the store of those of them that are in a group.

        States that ``first`` has just computed are reused; a later pass, which depends on the results of the first one,
        reads the parts of the group again.
        """
        numbers = itertools.count()

        def read(tasks: Any, state: Any, merge: Callable[[Any, Any], Any], on: On) -> Any:
            number = next(numbers)
            if number >= len(self._passes):  # a group may need a pass that all parts together did not
                return over_tasks(tasks, state, merge, on)
            done = self._passes[number]
            if state is period_of:  # one period, and so one set of time steps
                return reduce(merge, done.states)
            return done.states[group] if _name(state) == done.name else over_tasks(tasks, state, merge, on)

        found = self._store.only(self._order[group:count:GROUPS], reader=read)
        if not self._first.is_chosen:
            found.period_ns = self._first.period_ns
        return found

    def _parts(self, count: int) -> list[PartTask]:
        """Return the first parts."""
        return self._store.only(self._order[:count]).tasks

    def _pass(self, number: int, state: Callable[[Any], Any]) -> _Pass:
        """Return the states of a pass so far: none if it now computes something else, or if that is not known."""
        name = _name(state)
        if number == len(self._passes):
            self._passes.append(_Pass(name))
        if self._passes[number].name != name:
            self._passes[number] = _Pass(name)
        return self._passes[number]


def _name(state: Callable[[Any], Any]) -> bytes:
    """Return what identifies a function of a part; something new each time for one that cannot be pickled."""
    try:
        return pickle.dumps(state)
    except (pickle.PicklingError, AttributeError, TypeError):  # a function of a notebook
        return os.urandom(16)


class _Pass:
    """The states of the groups in one pass of an analysis."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.states: list[Any] = []
        self._count = 0

    def after(self, tasks: Sequence[PartTask], state: Callable[[Any], Any], merge: Any, on: On) -> list[Any]:
        """Return the states after reading these parts, of which the first may have been read before."""
        if self._count < len(tasks):
            states, made = list(self.states), over_tasks(tasks[self._count :], _Listed(state), operator.add, on)
            groups = [at % GROUPS for at in range(self._count, len(tasks)) for _ in tasks[at].pieces]
            for group, one in zip(groups, made, strict=True):
                if group == len(states):
                    states.append(one)
                else:
                    states[group] = merge(states[group], one)
            self.states, self._count = states, len(tasks)
        return self.states


@dataclass(frozen=True)
class _Listed:
    """Returns the state of a part, or of a piece, as a list, so that those of several are joined and not merged."""

    partial: Callable[[Any], Any]

    def __call__(self, traces: Any) -> list[Any]:
        """Return the state in a list."""
        return [self.partial(traces)]
