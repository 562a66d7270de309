"""Ids of traces of all parts together, and their times: what logs and arrival times are joined with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pandas as pd

from tracekit.frames import hexes

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_AT_ONCE: Final = 2**20  # ids that are texts at the same time


@dataclass(frozen=True)
class TraceIds:
    """Ids of traces, one entry each: 16 bytes.

    Parameters
    ----------
    high, low
        Halves of the id.

    Examples
    --------
    >>> ids = TraceIds.of(shop)
    >>> ids.held(pd.Index([shop.trace_ids[2], "f" * 32, shop.trace_ids[2]])).tolist()
    [2, -1, 2]
    """

    high: Array
    low: Array

    @classmethod
    def of(cls, traces: TraceSet) -> Self:
        """Return those of some traces."""
        spans, first = traces.columns.spans, traces.forest.starts[:-1]
        return cls(spans.trace_hi[first], spans.trace_lo[first])

    def plus(self, other: Self) -> Self:
        """Return those of two parts."""
        return type(self)(*(np.append(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)))

    def take(self, rows: Array) -> Self:
        """Return those of some traces, in this order."""
        return type(self)(*(getattr(self, one.name)[rows] for one in fields(self)))

    @property
    def order(self) -> Array:
        """Rows in the order of the ids, as traces in memory are."""
        return np.lexsort((self.low, self.high))

    def __len__(self) -> int:
        return len(self.low)

    def found_in(self, ids: pd.Index) -> Array:
        """Return the position of each trace among distinct ids, -1 if it is not there."""
        blocks = (slice(low, low + _AT_ONCE) for low in range(0, len(self), _AT_ONCE))
        found = [ids.get_indexer(pd.Index(hexes(self.high[block], self.low[block]))) for block in blocks]
        return np.concatenate([np.zeros(0, np.int64), *found])

    def held(self, ids: pd.Index) -> Array:
        """Return the row of the trace of each id, -1 if there is none."""
        number, distinct = pd.factorize(ids)
        at = self.found_in(pd.Index(distinct))
        rows = np.full(len(distinct) + 1, -1)
        rows[at[at >= 0]] = np.flatnonzero(at >= 0)
        return np.asarray(rows[number])


@dataclass(frozen=True)
class TraceTimes(TraceIds):
    """Times of traces, one entry each: 32 bytes with the ids.

    Parameters
    ----------
    high, low
        Halves of the id.
    start_ns, end_ns
        Start of the root, and last end of a span; 0 if unknown.
    """

    start_ns: Array
    end_ns: Array

    @classmethod
    def of(cls, traces: TraceSet) -> Self:
        """Return those of some traces."""
        ids, end = TraceIds.of(traces), np.zeros(len(traces), np.int64)
        np.maximum.at(end, traces.forest.trace, traces.columns.spans.end_ns)
        return cls(ids.high, ids.low, traces.columns.spans.start_ns[traces.forest.root_row], end)
