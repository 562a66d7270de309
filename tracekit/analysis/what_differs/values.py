"""Who is affected: the share of the traces with each value of one key that are selected."""

from __future__ import annotations

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
    owned,
    values_of,
)
from tracekit.semconv import NUMBER_KEYS, RESOURCE_KEYS, SPAN_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracekit.analysis.what_differs.selection import Side
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet

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
        from tracekit.stats.weighted_rates import clustered_rates  # noqa: PLC0415 - loads scipy

        selection, baseline = self.sides
        among, count = selection.chosen | baseline.chosen, len(self.found.keys)
        inside = among[self.found.trace]
        value, trace = self.found.value[inside], self.found.trace[inside]
        is_chosen = selection.chosen[trace]
        ratio = clustered_rates(value, trace, is_chosen, selection.roots.weight, count, confidence=confidence)
        table = pd.DataFrame(
            {
                "value": self.found.texts,
                "trace_count": np.bincount(value, minlength=count),
                "selection_count": np.bincount(value[is_chosen], minlength=count),
                "selected_ratio": ratio.ratio,
                "selected_low_ratio": ratio.low,
                "selected_high_ratio": ratio.high,
            }
        )
        table = table[table["trace_count"] > 0]
        order = ["selection_count", "trace_count"]
        return table.sort_values(order, ascending=False, kind="stable", ignore_index=True)

    def has_any(self, values: Collection[str]) -> Array:
        """Return which traces of the recording have any of these values."""
        wanted = np.array([text in values for text in self.found.texts], bool)
        has = np.zeros(len(self.sides[0].chosen), bool)
        has[self.found.trace[wanted[self.found.value]]] = True
        return has


class _Had(NamedTuple):
    """The values of one key in some parts, by the ids of the traces."""

    texts: tuple[str, ...]
    value: Array
    trace: Array
    hi: Array
    lo: Array

    def with_(self, other: _Had) -> _Had:
        """Return the values of both."""
        place = {text: at for at, text in enumerate(self.texts)}
        number = np.array([place.setdefault(text, len(place)) for text in other.texts], np.int64)
        return _Had(
            tuple(place),
            np.append(self.value, number[other.value]),
            np.append(self.trace, other.trace + len(self.hi)),
            np.append(self.hi, other.hi),
            np.append(self.lo, other.lo),
        )

    def membership(self, key: str) -> Membership:
        """Return the values in the order of their texts, and the traces in the order of their ids."""
        place, row = (np.empty(len(each), np.int64) for each in (self.texts, self.hi))
        place[np.array(sorted(range(len(self.texts)), key=self.texts.__getitem__), np.int64)] = np.arange(len(place))
        row[np.lexsort((self.lo, self.hi))] = np.arange(len(row))
        value, trace = place[self.value], row[self.trace]
        order = np.lexsort((trace, value))
        return Membership([key] * len(place), sorted(self.texts), value[order], trace[order])


def value_shares(sides: tuple[Side, Side], key: str, on: On = None) -> ValueShares:
    """Return which traces have which value of a key, or of the attribute of a column of ``spans``."""
    return ValueShares(sides, values_by_trace(sides[0].traces, _KEYS.get(key, current(key)), on))


def values_by_trace(traces: TraceSet | Parts, key: str, on: On = None) -> Membership:
    """Return which traces, in the order of their ids, have which value of a key."""
    return over_parts(traces, partial(_had, key=key), _Had.with_, on=on).state.membership(key)


def _had(traces: TraceSet, key: str) -> _Had:
    """Return the values of one key of a set."""
    entries, kv = owned(traces), traces.columns.kv
    wanted = has_key(kv, {key})
    used = np.zeros(len(kv), bool)
    for each in entries:
        used[each.code] = True
    wanted &= used
    texts = values_of(kv, np.flatnonzero(wanted))
    names = list(texts)
    if key in DERIVED:
        names += [(key, label) for label in _used(derived_of(traces)[key])]
    found = membership(traces, entries, wanted, in_order(names), texts)
    spans, start = traces.columns.spans, traces.forest.starts[:-1]
    return _Had(tuple(found.texts), found.value, found.trace, spans.trace_hi[start], spans.trace_lo[start])


def _used(found: Codes) -> list[str]:
    """Return the labels that occur."""
    return [found.labels[at] for at in np.unique(found.codes[found.codes >= 0]).tolist()]
