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
    """

    frames: tuple[Counted, ...]


class Seen(NamedTuple):
    """What the traces say of one frame of request counts; those of parts add.

    Parameters
    ----------
    by_window
        int64: traces that start in each window.
    by_row
        int64: usable traces of each row.
    extra_count
        Usable traces of counted strata without requests in their window.
    has_others
        bool, one per row: a recorded request of another endpoint is counted there.
    labels
        Labels of the requests of the endpoint, by dimension of the endpoint.
    first_services, services
        Services that requests begin with, and all; empty unless requests were counted by service.
    """

    by_window: Array
    by_row: Array
    extra_count: int
    has_others: Array
    labels: dict[str, frozenset[str]]
    first_services: frozenset[str]
    services: frozenset[str]

    def plus(self, other: Seen) -> Seen:
        """Return what the traces of two parts say."""
        return Seen(
            self.by_window + other.by_window,
            self.by_row + other.by_row,
            self.extra_count + other.extra_count,
            self.has_others | other.has_others,
            {name: labels | other.labels[name] for name, labels in self.labels.items()},
            self.first_services | other.first_services,
            self.services | other.services,
        )


def seen(traces: TraceSet, found: Recorded, frames: Sequence[Counts]) -> tuple[tuple[Seen, ...], Array]:
    """Return what traces say of each frame of counts, and which traces (bool) are within all of them.

    Traces without a root span are, too.
    """
    if not frames:
        return (), np.ones(len(traces), bool)
    places = [_rows_of(traces, found, counts) for counts in frames]
    counted = np.logical_and.reduce([place.row >= _NO_REQUESTS for place in places])
    counted &= found.has_root
    is_seen = counted & found.is_known
    if not any(STATUS in counts.dimensions for counts in frames):
        is_seen |= counted & found.is_unfinished  # a request whose endpoint is known, and which no status counts
    return tuple(_seen(traces, found, each, is_seen) for each in places), counted | ~found.has_root


def unseen(frames: Sequence[Counts], found: Sequence[Seen], claim: Claim, *, is_qualified: bool) -> Unseen:
    """Return the requests without a usable trace, from what all traces say.

    Parameters
    ----------
    frames
        Request counts.
    found
        What the traces say of each frame.
    claim
        The claim.
    is_qualified
        Whether it names the endpoint with its service.
    """
    both = zip(frames, found, strict=True)
    return Unseen(tuple(_counted(counts, one, claim, is_qualified=is_qualified) for counts, one in both))


class _Rows(NamedTuple):
    """The row of counts of every trace: -1 without requests of its stratum in its window, -2 if it was not counted."""

    counts: Counts
    row: Array
    codes: dict[str, Codes]
    by_window: Array


def _rows_of(traces: TraceSet, found: Recorded, counts: Counts) -> _Rows:
    """Return the row of each trace, and how many traces start in each window."""
    codes = {name: stratum_codes(traces, name, counts).take(found.root) for name in counts.dimensions}
    window, starts = window_of(traces.columns.spans.start_ns[found.root], counts)
    numbers = Codes(window, [str(number) for number in range(len(starts))])
    columns = {name: (column.codes, column.labels) for name, column in (codes | {"window": numbers}).items()}
    group, labels = group_codes(columns, len(window))
    seen = pd.DataFrame(labels, index=pd.RangeIndex(len(labels["window"])))
    seen["window"] = pd.to_numeric(seen["window"]).fillna(-1).astype(np.int64)
    by_window = np.bincount(window[window >= 0], minlength=len(starts))
    return _Rows(counts, _row_of_group(seen, counts, _own_window(counts, starts))[group], codes, by_window)


def _own_window(counts: Counts, starts: Array) -> Array:
    """Return the number of the window of each row of counts."""
    if not counts.has_time:
        return np.zeros(len(counts.frame), np.int64)
    return np.asarray(np.searchsorted(starts, counts.frame["start_ns"]))


def _seen(traces: TraceSet, found: Recorded, place: _Rows, is_seen: Array) -> Seen:
    """Return what traces say of one frame of counts."""
    counts, size = place.counts, len(place.counts.frame)
    has_others = np.zeros(size, bool)
    has_others[place.row[found.has_root & ~found.in_place & (place.row >= 0)]] = True
    service = traces.codes("service_name")
    first, every = frozenset[str](), frozenset[str]()
    if "service_name" in counts.dimensions:
        first, every = (_texts(service, rows) for rows in (found.root[found.has_root], slice(None)))
    return Seen(
        place.by_window,
        np.bincount(place.row[is_seen & (place.row >= 0)], minlength=size),
        int((is_seen & (place.row == _NO_REQUESTS)).sum()),
        has_others,
        {name: _texts(codes, found.in_place) for name, codes in place.codes.items() if name in PLACE},
        first,
        every,
    )


def _texts(codes: Codes, rows: Array | slice) -> frozenset[str]:
    """Return the labels of some rows."""
    return frozenset(codes.labels[code] for code in np.unique(codes.codes[rows]) if code >= 0)


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


def _counted(counts: Counts, found: Seen, claim: Claim, *, is_qualified: bool) -> Counted:
    """Return one frame of counts beside the traces that are seen."""
    frame = counts.frame
    table = frame.rename(columns={COUNT: "request_count"}).assign(trace_count=found.by_row)
    table["unseen_count"] = np.maximum(table["request_count"] - found.by_row, 0.0)
    starts = np.unique(frame["start_ns"]) if counts.has_time else np.zeros(1, np.int64)
    table["is_empty"] = found.by_window[_own_window(counts, starts)] == 0
    names = [name for name in PLACE if name in counts.dimensions]
    flags = [_fits(counts, found, claim, name, is_qualified=is_qualified) for name in names]
    for name, fits in zip(names, flags, strict=True):
        table[f"is_{name}"] = fits
    table["may_be_in_place"] = np.logical_and.reduce(flags) if flags else True
    table["is_failed"] = (frame[STATUS] == FAILED).to_numpy(bool) if STATUS in counts.dimensions else False
    notes = list(counts.notes)
    inner = _inner(found, counts)
    if inner:
        is_inner = table["service_name"].isin(inner).to_numpy(bool)
        table = table[~is_inner].reset_index(drop=True)
        named = ", ".join(clean(name, limit=40) for name in sorted(inner)[:4])
        notes.append(f"requests counted at {named} are calls within requests and are left out")
    excess = float(np.maximum(found.by_row - frame[COUNT].to_numpy(), 0).sum() + found.extra_count)
    if excess:
        notes.append(
            f"{plural(excess, 'trace')} more than requests counted: the counts are not of these requests alone"
        )
    is_determined = _is_determined(counts, found, claim, np.logical_and.reduce(flags), is_qualified=is_qualified)
    return Counted(table, counts.dimensions, is_determined, tuple(notes))


def _fits(counts: Counts, found: Seen, claim: Claim, name: str, *, is_qualified: bool) -> Array:
    """Return which rows may be of the endpoint as far as one dimension says: the label is one of its traces."""
    labels = counts.frame[name]
    if claim.place is None or (name == "service_name" and not is_qualified):
        return np.ones(len(labels), bool)
    return (labels.isna() | labels.isin({*found.labels[name], claim.place})).to_numpy(bool)


def _is_determined(counts: Counts, found: Seen, claim: Claim, fits: Array, *, is_qualified: bool) -> bool:
    """Return whether the dimensions decide if a request is of the endpoint, and no recorded request contradicts it."""
    if claim.place is None:
        return True
    dimensions = set(counts.dimensions)
    if is_qualified and "service_name" not in dimensions:
        return False
    is_named = "http_route" in dimensions and counts.frame["http_route"].eq(claim.place).any()
    if not (dimensions >= _DETERMINED or is_named):
        return False
    is_unknown = counts.frame[list(dimensions & set(PLACE))][fits].isna().any(axis=None)
    return not (fits & found.has_others).any() and not is_unknown


def _inner(found: Seen, counts: Counts) -> set[str]:
    """Return the counted services that no recorded request enters first, but that others call."""
    if "service_name" not in counts.dimensions:
        return set()
    return set(found.services - found.first_services) & set(counts.frame["service_name"].dropna())


def totals_of(frames: Sequence[Counted]) -> str:
    """Return the requests without a usable trace in words: ``10,000 by http_route and 9,998 by status_class``."""
    parts = [
        f"{count(frame.rows['unseen_count'].sum())} by {', '.join(frame.dimensions) or 'no dimension'}"
        f"{' and time' * frame.has_time}"
        for frame in frames
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
