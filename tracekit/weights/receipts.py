"""When traces could be found: exactly, or between two polls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

AFTER, BY = "after", "by"
NEVER = -(2**62)
"""Where nobody looked before."""


class Receipts(NamedTuple):
    """Of every trace, the last moment at which it could not be found (``after_ns``) and the first at which it could.

    Both are the same where the moment is known, ``after_ns`` is ``NEVER`` where nobody looked before, and ``by_ns`` 0
    where nothing is known.  ``now_ns`` is when the traces were taken, ``before_ns`` the poll before.
    """

    after_ns: Array
    by_ns: Array
    now_ns: int
    before_ns: int

    @property
    def is_polled(self) -> bool:
        """Whether receipts are known only as between two polls."""
        return bool((self.after_ns != self.by_ns).any())


def moment_ns(now: Any) -> int:
    """Return a time in ns since the epoch; UTC unless it says otherwise."""
    moment = pd.Timestamp(now)
    if pd.isna(moment):
        raise ValueError(f"expected a time such as 2026-11-21T14:00Z as now, found {now!r}")
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    return int(moment.as_unit("ns").value)


def read_receipts(traces: TraceSet, received: pd.Series | pd.DataFrame | str, now: Any = None) -> Receipts:
    """Return when every trace could be found."""
    if isinstance(received, str):
        by = after = _of_attribute(traces, received)
    elif isinstance(received, pd.DataFrame):
        by, after = _of_polls(traces, received)
    else:
        by = after = _by_trace(traces, _nanoseconds(_once(received), "received"), received.index)
    known = by > 0
    last = int(by.max(initial=0)) if now is None else moment_ns(now)
    looked = np.concatenate((by[known], after[known & (after > 0)]))
    earlier = looked[looked < last]
    is_exact = bool((after == by).all())
    return Receipts(after, by, last, last if is_exact else int(earlier.max(initial=0)))


def _of_attribute(traces: TraceSet, key: str) -> Array:
    """Return the latest time that an attribute of the spans of each trace holds, 0 without any."""
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
            raise ValueError(f"expected {AFTER!r} before {BY!r}, found row {row!r} in which it is not")
    else:
        polls = np.unique(by)
        after = np.append(NEVER, polls)[np.searchsorted(polls, by)]
    found, before = (_by_trace(traces, column, received.index) for column in (by, after))
    return found, np.where(found > 0, before, 0)


def _once(column: pd.Series) -> pd.Series:
    """Return receipts by trace; ValueError where a trace has two."""
    if column.index.has_duplicates:
        twice = column.index[column.index.duplicated()][0]
        raise ValueError(f"expected one time of receipt a trace, found several for trace {twice!r}; keep the last")
    return column


def _by_trace(traces: TraceSet, ns: Array, index: pd.Index) -> Array:
    """Return times in the order of the traces, 0 where there is none."""
    at = pd.Index(index).get_indexer(pd.Index(traces.trace_ids))
    return np.asarray(np.append(ns, 0)[at])


def _nanoseconds(column: pd.Series, name: str) -> Array:
    """Return times in ns since the epoch; numbers are taken as such, texts without a zone as UTC."""
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all() and not pd.api.types.is_datetime64_any_dtype(column):
        return numbers.to_numpy(np.int64)
    moments = pd.to_datetime(column, utc=True, errors="coerce", format="mixed" if column.dtype == object else None)
    if moments.isna().any():
        at = int(np.flatnonzero(moments.isna())[0])
        text = str(column.iloc[at])
        shown = f"{text[:2]}...{text[-2:]} ({len(text)} signs)"  # it may be anything, also somebody's secret
        raise ValueError(f"expected times of receipt in {name!r}, found {shown!r} in row {column.index[at]!r}")
    return moments.astype("datetime64[ns, UTC]").astype(np.int64).to_numpy()
