"""Arrival times of traces: exact, or between two polls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

AFTER, BY = "after", "by"
NEVER = -(2**62)
"""Value of ``after_ns`` without an earlier poll."""


class Receipts(NamedTuple):
    """For every trace, the last time it could not be found (``after_ns``) and the first time it could (``by_ns``).

    Both are equal if the arrival time is known; ``after_ns`` is ``NEVER`` without an earlier poll, and ``by_ns`` is 0
    if nothing is known. ``now_ns`` is when the traces were read, ``before_ns`` the poll before.
    """

    after_ns: Array
    by_ns: Array
    now_ns: int
    before_ns: int

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


def read_receipts(traces: TraceSet, received: pd.Series | pd.DataFrame | str, now: Any = None) -> Receipts:
    """Return the arrival time of every trace."""
    if isinstance(received, str):
        by = after = _of_attribute(traces, received)
    elif isinstance(received, pd.DataFrame):
        by, after = _of_polls(traces, received)
    else:
        by = after = _by_trace(traces, _nanoseconds(_once(received), "received"), received.index)
    known = by > 0
    last = int(by.max(initial=0)) if now is None else moment_ns(now)
    polls = np.concatenate((by[known], after[known & (after > 0)]))
    earlier = polls[polls < last]
    is_exact = bool((after == by).all())
    return Receipts(after, by, last, last if is_exact else int(earlier.max(initial=0)))


def _of_attribute(traces: TraceSet, key: str) -> Array:
    """Return the latest time in an attribute of the spans of each trace, 0 without any."""
    texts = traces.attribute(key)
    moments = pd.Series(_nanoseconds(pd.Series(texts.cat.categories), key), dtype=np.int64).to_numpy()
    receipt = np.zeros(len(traces), np.int64)
    np.maximum.at(receipt, traces.forest.trace, np.append(moments, 0)[texts.cat.codes.to_numpy()])
    return receipt


def _of_polls(traces: TraceSet, received: pd.DataFrame) -> tuple[Array, Array]:
    """Return the poll that found each trace, and the one before it."""
    if BY not in received:
        raise ValueError(f"expected a column {BY!r}, the poll that found a trace, found {list(received.columns)}")
    by = _nanoseconds(_once(received[BY]), BY)
    if AFTER in received:
        first = received[AFTER].isna().to_numpy()
        after = np.full(len(received), NEVER)
        after[~first] = _nanoseconds(received.loc[~first, AFTER], AFTER)
        if len(wrong := np.flatnonzero(after >= by)):
            row = received.index[wrong[0]]
            raise ValueError(f"expected {AFTER!r} before {BY!r}, found it later in row {row!r}")
    else:
        polls = np.unique(by)
        after = np.append(NEVER, polls)[np.searchsorted(polls, by)]
    found, before = (_by_trace(traces, column, received.index) for column in (by, after))
    return found, np.where(found > 0, before, 0)


def _once(column: pd.Series) -> pd.Series:
    """Return arrival times by trace; ValueError if a trace has two."""
    if column.index.has_duplicates:
        twice = column.index[column.index.duplicated()][0]
        raise ValueError(f"expected one arrival time per trace, found several for trace {twice!r}; keep the last")
    return column


def _by_trace(traces: TraceSet, ns: Array, index: pd.Index) -> Array:
    """Return times in the order of the traces, 0 if there is none."""
    at = pd.Index(index).get_indexer(pd.Index(traces.trace_ids))
    return np.asarray(np.append(ns, 0)[at])


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
