"""Requests that were counted elsewhere and have no usable trace: how many, by what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.stats.grouping import group_codes
from tracekit.text import clean, count, plural
from tracekit.weights.counts import COUNT
from tracekit.weights.tally import stratum_codes, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.bounds.claims import Claim
    from tracekit.analysis.bounds.recorded import Recorded
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.counts import Counts

PLACE: Final = ("service_name", "http_route", "http_request_method")
STATUS: Final = "status_class"
FAILED: Final = "5xx"
_NOT_COUNTED: Final = -2  # the row of a trace of a stratum or window that was not counted
_NO_REQUESTS: Final = -1  # ... of a counted stratum without requests in its window
_DETERMINED: Final = {"http_route", "http_request_method"}


class Counted(NamedTuple):
    """One frame of request counts beside the traces.

    Parameters
    ----------
    rows
        One row per stratum and window: the dimensions, ``start_ns``, ``end_ns`` (if windows are known),
        ``request_count``, ``trace_count`` (usable ones), ``unseen_count`` (all others); flags:
        ``may_be_in_place`` and, by dimension of the endpoint, ``is_<dimension>``; ``is_failed`` (status 5xx),
        ``is_empty`` (no trace starts in the window).
    dimensions
        The dimensions.
    is_determined
        Whether the dimensions say for certain that a request is of the endpoint.
    notes
        Assumptions of the counts.
    """

    rows: pd.DataFrame
    dimensions: tuple[str, ...]
    is_determined: bool
    notes: tuple[str, ...]

    @property
    def has_time(self) -> bool:
        """Whether windows are known."""
        return "end_ns" in self.rows

    @property
    def has_status(self) -> bool:
        """Whether requests were counted by status."""
        return STATUS in self.dimensions


class Unseen(NamedTuple):
    """All frames of request counts beside the traces.

    Parameters
    ----------
    frames
        One per frame of counts.
    is_counted
        bool, one per trace: within the windows and strata of all frames; traces without a root span as well.
    """

    frames: tuple[Counted, ...]
    is_counted: Array


def unseen(traces: TraceSet, found: Recorded, claim: Claim, frames: Sequence[Counts]) -> Unseen:
    """Return the requests without a usable trace."""
    places = [_rows_of(traces, found, counts) for counts in frames]
    counted = np.logical_and.reduce([place.row >= _NO_REQUESTS for place in places])
    counted &= found.has_root
    is_seen = counted & found.is_known
    if not any(STATUS in counts.dimensions for counts in frames):
        is_seen |= counted & found.is_unfinished  # a request whose endpoint is known, and which no status counts
    tables = [_counted(traces, found, claim, each, is_seen) for each in places]
    return Unseen(tuple(tables), counted | ~found.has_root)


class _Rows(NamedTuple):
    """The row of counts of every trace: -1 without requests of its stratum in its window, -2 if it was not counted."""

    counts: Counts
    row: Array
    codes: dict[str, Codes]
    is_empty: Array


def _rows_of(traces: TraceSet, found: Recorded, counts: Counts) -> _Rows:
    """Return the row of each trace, and which rows are of windows in which no trace starts."""
    codes = {name: stratum_codes(traces, name, counts).take(found.root) for name in counts.dimensions}
    window, starts = window_of(traces.columns.spans.start_ns[found.root], counts)
    numbers = Codes(window, [str(number) for number in range(len(starts))])
    columns = {name: (column.codes, column.labels) for name, column in (codes | {"window": numbers}).items()}
    group, labels = group_codes(columns, len(window))
    seen = pd.DataFrame(labels, index=pd.RangeIndex(len(labels["window"])))
    seen["window"] = pd.to_numeric(seen["window"]).fillna(-1).astype(np.int64)
    own = (
        np.searchsorted(starts, counts.frame["start_ns"]) if counts.has_time else np.zeros(len(counts.frame), np.int64)
    )
    is_empty = np.bincount(window[window >= 0], minlength=len(starts))[own] == 0
    return _Rows(counts, _row_of_group(seen, counts, own)[group], codes, is_empty)


def _row_of_group(seen: pd.DataFrame, counts: Counts, window: Array) -> Array:
    """Return the row of counts for each group of traces: their labels and the number of their window."""
    keys = list(counts.dimensions)
    rows = counts.frame[keys].assign(window=window, row=np.arange(len(counts.frame)))
    row = seen.merge(rows, on=[*keys, "window"], how="left")["row"].fillna(_NOT_COUNTED).to_numpy(np.int64)
    is_stratum = np.ones(len(seen), bool)
    if keys:
        known = counts.frame[keys].drop_duplicates().assign(known=True)
        is_stratum = seen.merge(known, on=keys, how="left")["known"].notna().to_numpy(bool)
    row = np.where((row == _NOT_COUNTED) & is_stratum, _NO_REQUESTS, row)
    return np.where(seen["window"] < 0, _NOT_COUNTED, row)


def _counted(traces: TraceSet, found: Recorded, claim: Claim, place: _Rows, is_seen: Array) -> Counted:
    """Return one frame of counts beside the traces that are seen."""
    counts, frame = place.counts, place.counts.frame
    recorded = np.bincount(place.row[is_seen & (place.row >= 0)], minlength=len(frame))
    own = is_seen & (place.row == _NO_REQUESTS)
    table = frame.rename(columns={COUNT: "request_count"}).assign(trace_count=recorded)
    table["unseen_count"] = np.maximum(table["request_count"] - recorded, 0.0)
    table["is_empty"] = place.is_empty
    flags = [_fits(place, found, claim, name) for name in PLACE if name in counts.dimensions]
    for name, fits in zip([name for name in PLACE if name in counts.dimensions], flags, strict=True):
        table[f"is_{name}"] = fits
    table["may_be_in_place"] = np.logical_and.reduce(flags) if flags else True
    table["is_failed"] = (frame[STATUS] == FAILED).to_numpy(bool) if STATUS in counts.dimensions else False
    inner = _inner(traces, found, counts)
    notes = list(counts.notes)
    if inner:
        is_inner = table["service_name"].isin(inner).to_numpy(bool)
        table = table[~is_inner].reset_index(drop=True)
        named = ", ".join(clean(name, limit=40) for name in sorted(inner)[:4])
        notes.append(f"requests counted at {named} are calls within requests and are left out")
    excess = float(np.maximum(recorded - frame[COUNT].to_numpy(), 0).sum() + own.sum())
    if excess:
        notes.append(
            f"{plural(excess, 'trace')} more than requests counted: the counts are not of these requests alone"
        )
    return Counted(table, counts.dimensions, _is_determined(found, claim, place), tuple(notes))


def _fits(place: _Rows, found: Recorded, claim: Claim, name: str) -> Array:
    """Return which rows may be of the endpoint as far as one dimension says: the label is one of its traces."""
    labels = place.counts.frame[name]
    if claim.place is None:
        return np.ones(len(labels), bool)
    if name == "service_name" and not found.is_qualified:
        return np.ones(len(labels), bool)
    codes = place.codes[name]
    own = {codes.labels[code] for code in np.unique(codes.codes[found.in_place]) if code >= 0}
    return (labels.isna() | labels.isin({*own, claim.place})).to_numpy(bool)


def _is_determined(found: Recorded, claim: Claim, place: _Rows) -> bool:
    """Return whether the dimensions decide if a request is of the endpoint, and no recorded request contradicts it."""
    if claim.place is None:
        return True
    dimensions = set(place.counts.dimensions)
    if found.is_qualified and "service_name" not in dimensions:
        return False
    is_named = "http_route" in dimensions and place.counts.frame["http_route"].eq(claim.place).any()
    if not (dimensions >= _DETERMINED or is_named):
        return False
    fits = np.logical_and.reduce([_fits(place, found, claim, name) for name in PLACE if name in dimensions])
    others = found.has_root & ~found.in_place & (place.row >= 0)
    return not fits[place.row[others]].any() and not place.counts.frame[list(dimensions & set(PLACE))][fits].isna().any(
        axis=None
    )


def _inner(traces: TraceSet, found: Recorded, counts: Counts) -> set[str]:
    """Return the counted services that no recorded request enters first, but that others call."""
    if "service_name" not in counts.dimensions:
        return set()
    service = traces.codes("service_name")
    first, every = (
        {service.labels[code] for code in np.unique(service.codes[rows]) if code >= 0}
        for rows in (found.root[found.has_root], slice(None))
    )
    return (every - first) & set(counts.frame["service_name"].dropna())


def totals_of(frames: Sequence[Counted]) -> str:
    """Return the requests without a usable trace in words: ``10,000 by http_route and 9,998 by status_class``."""
    parts = [
        f"{count(frame.rows['unseen_count'].sum())} by {', '.join(frame.dimensions) or 'no dimension'}"
        f"{' and time' * frame.has_time}"
        for frame in frames
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
