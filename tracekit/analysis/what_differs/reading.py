"""One recording of a comparison of values: a set at once, or a store part by part."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

from tracekit.analysis.partials import over_parts
from tracekit.analysis.what_differs.census import Census, Spread, census, having, occurrences, spreads, text_in
from tracekit.analysis.what_differs.membership import (
    DERIVED,
    Membership,
    Owned,
    Value,
    current,
    derived_of,
    has_key,
    membership,
    owned,
    owned_of,
    shown,
    values_of,
)
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tracekit.analysis.what_differs.selection import Rule, Side
    from tracekit.columns import Array, KeyValues
    from tracekit.parts import On

State = TypeVar("State")


@dataclass(frozen=True, eq=False)
class View:
    """Some traces as they are counted.

    Parameters
    ----------
    traces
        A set, or a part.
    entries
        Their attributes; of a part, those of the keys that count.
    masks
        The traces of each side of this recording.
    wanted
        Which distinct attributes count.
    texts
        ``values_of`` them, if known.
    """

    traces: TraceSet
    entries: list[Owned]
    masks: tuple[Array, ...]
    wanted: Array
    texts: list[Value] | None = None
    _known: dict[Value, int] = field(default_factory=dict, init=False)
    _having: list[Membership] = field(default_factory=list, init=False)

    def having(self, names: Sequence[Value]) -> Membership:
        """Return which traces have some values."""
        if self._having and all(name in self._known for name in names):
            return self._having[0].only([self._known[name] for name in names])
        found = membership(self.traces, self.entries, self.wanted, names, self.texts)
        self._having[:] = [found]
        self._known.clear()
        self._known.update({name: at for at, name in enumerate(names)})
        return found


class Wanted(NamedTuple):
    """Which distinct attributes count: by recorded key and value, or, as a set, by key alone."""

    values: Mapping[str, frozenset[str]]
    keys: frozenset[str] = frozenset()

    def named(self, also: Collection[str]) -> set[str]:
        """Return the keys of these attributes, and others, in the names of the current conventions."""
        return {current(key) for key in (*self.values, *self.keys, *also)}

    def of(self, kv: KeyValues) -> Array:
        """Return which of the attributes of a part count."""
        found = has_key(kv, self.keys)
        for at, key in enumerate(kv.keys):
            if key in self.values:
                codes = np.flatnonzero(kv.key == at)
                found[codes] = having(kv, codes, self.values[key])
        return found


@dataclass(frozen=True)
class _OfPart(Generic[State]):
    """Returns a state of a part, of which only the attributes of some keys are read."""

    state: Callable[[View], State]
    rule: Rule
    side_count: int
    wanted: Wanted
    also: tuple[str, ...] = ()

    def __call__(self, traces: TraceSet) -> State:
        """Return the state of some traces."""
        masks = self.rule.split(traces)[: self.side_count]
        entries = owned_of(traces, self.wanted.named(self.also))
        return self.state(View(traces, entries, masks, self.wanted.of(traces.columns.kv)))


class Recording:
    """A recording with the sides that are part of it.

    Parameters
    ----------
    sides
        One side or both.
    fewest
        Occurrences that a value needs.
    on
        Where parts are read.
    """

    def __init__(self, sides: Sequence[Side], fewest: int, on: On = None) -> None:
        self.sides, self.fewest, self.on = tuple(sides), fewest, on
        self.source = sides[0].traces
        self._views: dict[int, View] = {}
        self._texts: list[Value] | None = None

    @cached_property
    def spreads(self) -> list[Spread]:
        """How many values each key has."""
        found = self._census.spreads if self._memory is None else spreads(*self._memory)
        return sorted(found, key=lambda each: each.key)

    @cached_property
    def _memory(self) -> tuple[TraceSet, list[Owned], Array] | None:
        """Traces in memory, their attributes, and how often each occurs; None for a store."""
        if not isinstance(self.source, TraceSet):
            return None
        entries = owned(self.source)
        return self.source, entries, occurrences(self.source, entries)

    @cached_property
    def _census(self) -> Census:
        """The values of all parts."""
        return over_parts(self.source, census, Census.with_, on=self.on).state

    def values(self, left_out: set[str]) -> tuple[list[Value], Any]:
        """Return the values that occur often enough, of all keys but some, and which attributes have them."""
        hidden = set(map(current, left_out))
        least = {each.key: each.least(self.fewest) for each in self.spreads if current(each.key) not in hidden}
        return self._of_parts(least) if self._memory is None else self._in_memory(least)

    def _in_memory(self, least: Mapping[str, int]) -> tuple[list[Value], Array]:
        """Return the same of traces in memory."""
        assert self._memory is not None
        traces, _, often = self._memory
        kv = traces.columns.kv
        needed = np.array([least.get(key, np.iinfo(np.int64).max) for key in kv.keys], np.int64)
        wanted = often >= needed[kv.key] if len(kv) else np.zeros(0, bool)
        names = values_of(kv, np.flatnonzero(wanted))
        self._texts = list(names)
        for key, column in derived_of(traces).items():
            count = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
            names += [(key, column.labels[at]) for at in np.flatnonzero(count >= self.fewest).tolist()]
        return names, wanted

    def _of_parts(self, least: Mapping[str, int]) -> tuple[list[Value], Wanted]:
        """Return the same of a store."""
        values = {
            key: frozenset(value for value, count in self._census.keys[key].counts.items() if count >= fewest)
            for key, fewest in least.items()
        }
        names = [
            (current(key), shown(current(key), text_in(one))) for key, several in values.items() for one in several
        ]
        for key in DERIVED:
            if key in self._census.derived:
                often = self._census.derived[key].counts.items()
                names += [(key, label) for label, count in often if count >= self.fewest]
        return names, Wanted({key: several for key, several in values.items() if several})

    def read(
        self,
        state: Callable[[View], State],
        merge: Callable[[State, State], State],
        wanted: Any,
        also: tuple[str, ...] = (),
    ) -> State:
        """Return a state of all traces, given which attributes count: as ``values`` returns it, or a set of keys.

        ``also``: keys of further attributes that the state needs.
        """
        if self._memory is None:
            chosen = Wanted({}, wanted) if isinstance(wanted, frozenset) else wanted
            partial = _OfPart(state, self.sides[0].rule, len(self.sides), chosen, also)
            return over_parts(self.source, partial, merge, on=self.on).state
        return state(self._view(wanted))

    def _view(self, wanted: Any) -> View:
        """Return the traces in memory; what is worked out of them is kept for the same attributes."""
        assert self._memory is not None
        traces, entries, _ = self._memory
        if id(wanted) not in self._views:
            masks = tuple(side.chosen for side in self.sides)
            is_set = isinstance(wanted, frozenset)
            mask = has_key(traces.columns.kv, wanted) if is_set else wanted
            self._views[id(wanted)] = View(traces, entries, masks, mask, None if is_set else self._texts)
        return self._views[id(wanted)]
