"""Occurrences by group: how many, when the first and the last one were, and the ids of the first; additive over parts.

The first of several at the same time is the one with the lowest trace id, so that it does not depend on the parts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.frames import hexes
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet

LATER: Final = int(np.iinfo(np.int64).max)
"""A time after all others: that of an occurrence without one."""
_NO_TIME: Final = int(np.iinfo(np.int64).min)  # pandas' NaT


@dataclass(frozen=True, slots=True)
class Firsts:
    """The first and the last occurrence of each group, one entry each.

    Parameters
    ----------
    order_ns
        int64: time by which the first one is chosen.
    trace_hi, trace_lo, place, span_id
        Its trace, the number of its span within the trace, and its span.
    first_ns, last_ns
        int64: first and last known time of all; ``first_ns`` is ``LATER`` if none is known.
    """

    order_ns: Array
    trace_hi: Array
    trace_lo: Array
    place: Array
    span_id: Array
    first_ns: Array
    last_ns: Array

    @classmethod
    def of(
        cls, traces: TraceSet, group: Array, row: Array, groups: int, time_ns: Array, is_known: Array | None = None
    ) -> Firsts:
        """Return those of spans (rows) by group; times that are not known count only for the choice of the first."""
        spans, forest = traces.columns.spans, traces.forest
        place = row - forest.starts[forest.trace[row]]
        known = np.ones(len(row), bool) if is_known is None else is_known
        limits = np.where(known, time_ns, LATER), np.where(known, time_ns, _NO_TIME)
        ids = spans.trace_hi[row], spans.trace_lo[row], place.astype(np.int64), spans.span_id[row]
        return cls(np.asarray(time_ns, np.int64), *ids, limits[0], limits[1]).regroup(group, groups)

    def regroup(self, group: Array, groups: int) -> Firsts:
        """Return the first of each group of groups; each has one."""
        order = np.lexsort((self.place, self.trace_lo, self.trace_hi, self.order_ns, group))
        chosen = order[np.flatnonzero(np.diff(group[order], prepend=-1))]
        first, last = np.full(groups, LATER), np.full(groups, _NO_TIME)
        np.minimum.at(first, group, self.first_ns)
        np.maximum.at(last, group, self.last_ns)
        order_ns, hi, lo, place, span_id = (getattr(self, field.name)[chosen] for field in fields(self)[:5])
        return Firsts(order_ns, hi, lo, place, span_id, first, last)

    @property
    def times(self) -> dict[str, pd.DatetimeIndex]:
        """The times as columns ``first_time`` and ``last_time`` (UTC), missing where none is known."""
        first = np.where(self.first_ns == LATER, _NO_TIME, self.first_ns)
        return {
            "first_time": pd.to_datetime(first, utc=True),
            "last_time": pd.to_datetime(self.last_ns, utc=True),
        }

    @property
    def exemplars(self) -> dict[str, Array]:
        """The ids of the first ones as columns ``exemplar_trace_id`` and ``exemplar_span_id``."""
        return {
            "exemplar_trace_id": hexes(self.trace_hi, self.trace_lo),
            "exemplar_span_id": hexes(self.span_id),
        }

    @property
    def by_id(self) -> tuple[Array, Array, Array]:
        """Sort keys of the first ones in the order of their traces and spans, the least important first."""
        return self.place, self.trace_lo, self.trace_hi


@dataclass(frozen=True, slots=True)
class Occurrences:
    """Occurrences by group.

    Parameters
    ----------
    table
        Keys and sums.
    firsts
        The first and last of each of the same groups.
    """

    table: Aggregate
    firsts: Firsts

    @classmethod
    def of(cls, keys: dict[str, Array], sums: dict[str, Array], firsts: Firsts) -> Occurrences:
        """Return groups with these keys and sums, in the order of their labels."""
        return cls(Aggregate(keys, sums, Histogram.empty()), firsts).by(list(keys))

    def by(self, columns: Sequence[str]) -> Occurrences:
        """Return the groups merged by these key columns, in the order of their labels, missing ones first."""
        group, _ = self.table.groups(columns)
        return Occurrences(self.table.by(columns), self.firsts.regroup(group, int(group.max(initial=-1)) + 1))

    def __add__(self, other: Occurrences) -> Occurrences:
        """Return the groups of both."""
        table = Aggregate.concatenate([self.table, other.table])
        pairs = ((getattr(self.firsts, one.name), getattr(other.firsts, one.name)) for one in fields(Firsts))
        firsts = Firsts(*(np.concatenate(pair) for pair in pairs))
        return Occurrences(table, firsts).by(list(table.keys))
