"""Who is affected: the share of the traces with each value of one key that are selected."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.analysis.what_differs.membership import (
    DERIVED,
    Membership,
    current,
    derived_of,
    has_key,
    in_order,
    membership,
    owned_of,
    values_of,
)
from tracekit.semconv import NUMBER_KEYS, RESOURCE_KEYS, SPAN_KEYS
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from tracekit.analysis.what_differs.membership import Owned
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.parts import On, Parts

_PAIRS: Final = 1 << 20  # values and traces that have them, of which shares are worked out at once
_KEYS: Final = {"service_name": "service.name"} | {
    column: keys[0] for names in (SPAN_KEYS, NUMBER_KEYS, RESOURCE_KEYS) for column, keys in names.items()
}


class ValueShares(NamedTuple):
    """Which traces have which value of one key, and which of them are selected.

    Parameters
    ----------
    sides
        The selected traces of one recording, and those that they are compared with.
    found
        The values of the key, and the roots of the traces that have them.
    """

    sides: tuple[Side, Side]
    found: Membership

    def table(self, confidence: float) -> pd.DataFrame:
        """Return the table of ``Differences.values``."""
        found = [self._of_values(low, high, confidence) for low, high in self._blocks]
        table = pd.concat(found or [self._of_values(0, 0, confidence)], ignore_index=True)
        table = table[table["trace_count"] > 0]
        order = ["selection_count", "trace_count"]
        return table.sort_values(order, ascending=False, kind="stable", ignore_index=True)

    @property
    def _blocks(self) -> list[tuple[int, int]]:
        """The first value and the one behind the last of blocks with about so many entries, or one value of more."""
        count = len(self.found.keys)
        ends = np.cumsum(np.bincount(self.found.value, minlength=count))
        lows = np.flatnonzero(np.diff(ends // _PAIRS, prepend=-1)).tolist()
        return list(itertools.pairwise([*lows, count])) if lows else []

    def _of_values(self, low: int, high: int, confidence: float) -> pd.DataFrame:
        """Return the rows of some values, which depend on no others."""
        from tracekit.stats.weighted_rates import clustered_rates  # noqa: PLC0415 - loads scipy

        selection, baseline = self.sides
        rows = slice(*np.searchsorted(self.found.value, [low, high]).tolist())
        trace = self.found.trace[rows]
        inside = (selection.chosen | baseline.chosen)[trace]
        value, trace, count = self.found.value[rows][inside].astype(np.int64) - low, trace[inside], high - low
        is_chosen = selection.chosen[trace]
        ratio = clustered_rates(value, trace, is_chosen, selection.roots.weight, count, confidence=confidence)
        return pd.DataFrame(
            {
                "value": self.found.texts[low:high],
                "trace_count": np.bincount(value, minlength=count),
                "selection_count": np.bincount(value[is_chosen], minlength=count),
                "selected_ratio": ratio.ratio,
                "selected_low_ratio": ratio.low,
                "selected_high_ratio": ratio.high,
            }
        )

    def has_any(self, values: Collection[str]) -> Array:
        """Return which traces of the recording have any of these values."""
        wanted = np.array([text in values for text in self.found.texts], bool)
        has = np.zeros(len(self.sides[0].chosen), bool)
        has[self.found.trace[wanted[self.found.value]]] = True
        return has


class _Had(NamedTuple):
    """The values of some keys in some parts, each with the traces that have it, by the ids of the traces.

    Numbers of values and traces are uint32: half as many bytes as int64, of which there are millions.
    """

    texts: tuple[tuple[str, ...], ...]
    value: tuple[Array, ...]
    trace: tuple[Array, ...]
    hi: Array
    lo: Array

    def with_(self, other: _Had) -> _Had:
        """Return the values of both."""
        texts, value, trace = [], [], []
        for at, own in enumerate(self.texts):
            place = {text: number for number, text in enumerate(own)}
            number = np.array([place.setdefault(text, len(place)) for text in other.texts[at]], np.uint32)
            texts.append(tuple(place))
            value.append(np.append(self.value[at], number[other.value[at]]))
            trace.append(np.append(self.trace[at], other.trace[at] + np.uint32(len(self.hi))))
        ids = np.append(self.hi, other.hi), np.append(self.lo, other.lo)
        return _Had(tuple(texts), tuple(value), tuple(trace), *ids)

    def memberships(self, keys: Sequence[str]) -> Iterator[Membership]:
        """Yield the values of each key in the order of their texts, and the traces in the order of their ids."""
        row = np.empty(len(self.hi), np.uint32)
        row[np.lexsort((self.lo, self.hi))] = np.arange(len(row))
        for key, texts, own, traces in zip(keys, self.texts, self.value, self.trace, strict=True):
            place = np.empty(len(texts), np.uint32)
            place[np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)] = np.arange(len(texts))
            value, trace = place[own], row[traces]
            order = np.lexsort((trace, value))
            yield Membership([key] * len(texts), sorted(texts), value[order], trace[order])


def value_shares(sides: tuple[Side, Side], keys: Sequence[str], on: On = None) -> Iterator[ValueShares]:
    """Return which traces have which value of each key, or of the attribute of a column of ``spans``."""
    names = [_KEYS.get(key, current(key)) for key in keys]
    return (ValueShares(sides, found) for found in values_by_trace(sides[0].traces, names, on))


def values_by_trace(traces: TraceSet | Parts, keys: Sequence[str], on: On = None) -> Iterator[Membership]:
    """Return which traces, in the order of their ids, have which value of each key.

    A store is read once for all of them; of traces in memory, each is looked up when it is asked for.
    """
    if isinstance(traces, TraceSet):
        return _one_by_one(traces, keys)
    if not keys:
        return iter(())
    return over_parts(traces, partial(_had, keys=tuple(keys)), _Had.with_, on=on).state.memberships(keys)


def _one_by_one(traces: TraceSet, keys: Sequence[str]) -> Iterator[Membership]:
    """Yield which traces of a set have which value of each key."""
    entries = owned_of(traces, keys) if keys else []
    for key in keys:
        yield from _having_each(traces, entries, (key,)).memberships([key])


def _had(traces: TraceSet, keys: tuple[str, ...]) -> _Had:
    """Return the values of some keys of a set."""
    return _having_each(traces, owned_of(traces, keys), keys)


def _having_each(traces: TraceSet, entries: Sequence[Owned], keys: tuple[str, ...]) -> _Had:
    """Return the values of some keys of a set, given the attributes with these."""
    spans, start = traces.columns.spans, traces.forest.starts[:-1]
    used = np.zeros(len(traces.columns.kv), bool)
    for each in entries:
        used[each.code] = True
    found = [_having(traces, entries, used, key) for key in keys]
    texts = tuple(tuple(own.texts) for own in found)
    value, trace = (tuple(getattr(own, name).astype(np.uint32) for own in found) for name in ("value", "trace"))
    return _Had(texts, value, trace, spans.trace_hi[start], spans.trace_lo[start])


def _having(traces: TraceSet, entries: Sequence[Owned], used: Array, key: str) -> Membership:
    """Return which traces have which value of one key, given which distinct attributes are used."""
    kv = traces.columns.kv
    wanted = has_key(kv, {key}) & used
    texts = values_of(kv, np.flatnonzero(wanted))
    names = list(texts)
    if key in DERIVED:
        names += [(key, label) for label in _used(derived_of(traces)[key])]
    return membership(traces, entries, wanted, in_order(names), texts)


def _used(found: Codes) -> list[str]:
    """Return the labels that occur."""
    return [found.labels[at] for at in np.unique(found.codes[found.codes >= 0]).tolist()]
