"""Arrival times of traces: exact, or between two polls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.weights.trace_times import TraceTimes

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

AFTER, BY = "after", "by"
NEVER = -(2**62)
"""Value of ``after_ns`` without an earlier poll."""


class Receipts(NamedTuple):
    """For every trace, the last time it could not be found (``after_ns``) and the first time it could (``by_ns``).

    Both are equal if the arrival time is known; ``after_ns`` is ``NEVER`` without an earlier poll, and ``by_ns`` is 0
    if nothing is known. ``now_ns`` is when the traces were read, ``before_ns`` the poll before. ``unmatched_count``:
    given arrival times of other traces.
    """

    traces: TraceTimes
    after_ns: Array
    by_ns: Array
    now_ns: int
    before_ns: int
    unmatched_count: int = 0

    @property
    def is_polled(self) -> bool:
        """Whether arrival times are known only as intervals between polls."""
        return bool((self.after_ns != self.by_ns).any())


def moment_ns(now: Any) -> int:
    """Return a time in ns since the epoch; UTC if it has no time zone."""
    moment = pd.Timestamp(now)
    if pd.isna(moment):
        raise ValueError(f"expected a time such as 2026-11-21T14:00Z as now, found {now!r}")
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return int(moment.as_unit("ns").value)


@dataclass(frozen=True)
class Received:
    """Arrival times as they were given.

    Parameters
    ----------
    key
        Of the attribute that has them; empty if they are given by trace id.
    ids, after_ns, by_ns
        Trace ids, the last time each could not be found, and the first time it could.
    now_ns
        When the traces were read; None for the latest arrival.
    """

    key: str
    ids: pd.Index
    after_ns: Array
    by_ns: Array
    now_ns: int | None

    def receipts(self, found: Arrived) -> Receipts:
        """Return the arrival time of every trace, in the order of their ids."""
        order = found.times.order
        times = found.times.take(order)
        if self.key:
            by = after = found.by_ns[order]
            return self._until_now(times, after, by, 0)
        at = times.found_in(self.ids)
        by, after = (np.append(column, 0)[at] for column in (self.by_ns, self.after_ns))
        return self._until_now(times, after, by, len(self.ids) - int((at >= 0).sum()))

    def _until_now(self, times: TraceTimes, after: Array, by: Array, unmatched: int) -> Receipts:
        """Return the receipts with the last poll and the one before."""
        known = by > 0
        last = int(by.max(initial=0)) if self.now_ns is None else self.now_ns
        polls = np.concatenate((by[known], after[known & (after > 0)]))
        earlier = polls[polls < last]
        is_exact = bool((after == by).all())
        return Receipts(times, after, by, last, last if is_exact else int(earlier.max(initial=0)), unmatched)


def read_received(received: pd.Series | pd.DataFrame | str, now: Any = None) -> Received:
    """Return given arrival times; ValueError if they are none, or not one for each trace."""
    now_ns = None if now is None else moment_ns(now)
    none = np.zeros(0, np.int64)
    if isinstance(received, str):
        return Received(received, pd.Index([]), none, none, now_ns)
    if isinstance(received, pd.DataFrame):
        after, by = _of_polls(received)
    else:
        after = by = _nanoseconds(_once(received), "received")
    return Received("", received.index, after, by, now_ns)


@dataclass(frozen=True)
class Arrived:
    """Times of traces, and those of arrival in an attribute: 8 bytes each, 0 where it is missing; empty without one."""

    times: TraceTimes
    by_ns: Array

    def plus(self, other: Arrived) -> Arrived:
        """Return those of two parts."""
        return Arrived(self.times.plus(other.times), np.append(self.by_ns, other.by_ns))


@dataclass(frozen=True)
class ArrivedOf:
    """Returns what a part says of arrivals, with those in an attribute; an empty key for none."""

    key: str

    def __call__(self, traces: TraceSet) -> Arrived:
        """Return that of some traces."""
        by = _of_attribute(traces, self.key) if self.key else np.zeros(0, np.int64)
        return Arrived(TraceTimes.of(traces), by)


def _of_attribute(traces: TraceSet, key: str) -> Array:
    """Return the latest time in an attribute of the spans of each trace, 0 without any."""
    texts = traces.attribute(key)
    moments = pd.Series(_nanoseconds(pd.Series(texts.cat.categories), key), dtype=np.int64).to_numpy()
    receipt = np.zeros(len(traces), np.int64)
    np.maximum.at(receipt, traces.forest.trace, np.append(moments, 0)[texts.cat.codes.to_numpy()])
    return receipt


def _of_polls(received: pd.DataFrame) -> tuple[Array, Array]:
    """Return the poll before the one that found each trace, and that one."""
    if BY not in received:
        raise ValueError(f"expected a column {BY!r}, the poll that found a trace, found {list(received.columns)}")
    by = _nanoseconds(_once(received[BY]), BY)
    if AFTER not in received:
        polls = np.unique(by)
        return np.append(NEVER, polls)[np.searchsorted(polls, by)], by
    first = received[AFTER].isna().to_numpy()
    after = np.full(len(received), NEVER)
    after[~first] = _nanoseconds(received.loc[~first, AFTER], AFTER)
    if len(wrong := np.flatnonzero(after >= by)):
        row = received.index[wrong[0]]
        raise ValueError(f"expected {AFTER!r} before {BY!r}, found it later in row {row!r}")
    return after, by


def _once(column: pd.Series) -> pd.Series:
    """Return arrival times by trace; ValueError if a trace has two."""
    if column.index.has_duplicates:
        twice = column.index[column.index.duplicated()][0]
        raise ValueError(f"expected one arrival time per trace, found several for trace {twice!r}; keep the last")
    return column


def _nanoseconds(column: pd.Series, name: str) -> Array:
    """Return times in ns since the epoch; numbers are ns, texts without a time zone are UTC."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all() and not pd.api.types.is_datetime64_any_dtype(column):
        return numbers.to_numpy(np.int64)
    moments = pd.to_datetime(column, utc=True, errors="coerce", format="mixed" if column.dtype == object else None)
    if moments.isna().any():
        at = int(np.flatnonzero(moments.isna())[0])
        text = str(column.iloc[at])
        shown = f"{text[:2]}...{text[-2:]} ({len(text)} characters)"  # it may be a secret
        raise ValueError(f"expected arrival times in {name!r}, found {shown!r} in row {column.index[at]!r}")
    return moments.astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()
