"""The unit of recorded times, by majority of each source's start times.

A start time is a date from 2000 to 2100 in one unit at most.  A source whose times are dates in another unit is
refused, spans that disagree with their source are quarantined.  Nothing is converted unless the caller names the unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from tracekit.errors import LoadError
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array, Columns, SpanColumns
    from tracekit.loading.building.ledger import Ledger

TIME_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}

_YEAR_2000, _YEAR_2100 = 946_684_800, 4_102_444_800
_NAMES = ("s", "ms", "us", "ns")
_NANOSECONDS, _NO_DATE = 3, 4


def check_time_unit(time_unit: str | None) -> None:
    """Raise ValueError for an unknown unit."""
    if time_unit is not None and time_unit not in TIME_UNITS:
        message = f"expected time_unit ns, us, ms or s, found {time_unit!r}"
        raise ValueError(message)


def unit_of(start_ns: Array) -> Array:
    """Return the only unit in which each time is a plausible date: 0 to 3 for s, ms, us, ns; 4 for none."""
    unit = np.full(len(start_ns), _NO_DATE, np.int8)
    for at, factor in enumerate((1, 10**3, 10**6, 10**9)):
        unit[(start_ns >= _YEAR_2000 * factor) & (start_ns < _YEAR_2100 * factor)] = at
    return unit


@dataclass
class UnitVote:
    """Counts of start times by unit for every source, over any number of pieces."""

    _votes: Array = field(default_factory=lambda: np.zeros((0, _NO_DATE + 1), np.int64))
    _sources: Array = field(default_factory=lambda: np.zeros(0, bool))
    _examples: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, spans: SpanColumns) -> None:
        """Count the start times of some spans."""
        if _are_dates(spans):
            votes = np.zeros((int(spans.source.max()) + 1, _NO_DATE + 1), np.int64)
            votes[:, _NANOSECONDS] = np.bincount(spans.source)
            self._votes = _sum_of_rows(self._votes, votes)
            self._sources = _sum_of_rows(self._sources, np.asarray(votes.any(axis=1)))
            return
        voters = np.flatnonzero((spans.quality & Quality.NO_START) == 0)
        ballot = spans.source[voters].astype(np.int64) * (_NO_DATE + 1) + unit_of(spans.start_ns[voters])
        spread = np.bincount(ballot).astype(np.int64)
        self._votes = _sum_of_rows(self._votes, _in_rows(spread))
        self._sources = _sum_of_rows(self._sources, np.bincount(spans.source) > 0)
        other = np.flatnonzero(ballot % (_NO_DATE + 1) < _NANOSECONDS)
        for vote, at in zip(*np.unique(ballot[other], return_index=True), strict=True):
            source, unit = divmod(int(vote), _NO_DATE + 1)
            self._examples.setdefault((source, unit), int(spans.start_ns[voters[other[at]]]))

    def minorities(self, ledgers: Sequence[Ledger]) -> Array:
        """Return the sources with some times in another unit.

        A source with a majority of them is marked incomplete, or raises LoadError if it is the only one.
        """
        mixed, refused = [], []
        for source in np.flatnonzero(self._votes[:, :_NANOSECONDS].any(axis=1)).tolist():
            votes = self._votes[source]
            common = int(votes[:_NO_DATE].argmax())
            if common < _NANOSECONDS:
                uri, name = ledgers[source].uri, _NAMES[common]
                message = (
                    f"TIME_UNIT {uri}: expected nanoseconds since the epoch, found {votes[common]:,} start times"
                    f" that are plausible dates only in {name}, e.g. {self._examples[source, common]};"
                    f" nothing was converted; read it with time_unit={name!r}"
                )
                refused.append(LoadError(message, source=uri, code="TIME_UNIT"))
                if ledgers[source].strict:
                    raise refused[0]
                ledgers[source].incomplete(message)
            mixed.append(source)
        if refused and len(refused) == np.count_nonzero(self._sources):
            raise refused[0]
        return np.array(mixed, np.int64)


def _are_dates(spans: SpanColumns) -> bool:
    """Return whether there are spans, and all have a start that is a plausible date in nanoseconds."""
    if not len(spans) or (spans.quality & Quality.NO_START).any():
        return False
    low, high = int(spans.start_ns.min()), int(spans.start_ns.max())
    return low >= _YEAR_2000 * 10**9 and high < _YEAR_2100 * 10**9


def _in_rows(votes: Array) -> Array:
    """Return counts by source and unit as a row for each source."""
    return np.pad(votes, (0, -len(votes) % (_NO_DATE + 1))).reshape(-1, _NO_DATE + 1)


def _sum_of_rows(these: Array, those: Array) -> Array:
    """Return the sum of two arrays; the shorter one has nothing in its missing rows."""
    longer, shorter = (these, those) if len(these) >= len(those) else (those, these)
    total = longer.copy()
    total[: len(shorter)] += shorter
    return total


def rows_in_other_units(spans: SpanColumns, minorities: Array) -> Array:
    """Return the rows of these sources with a start time in another unit than nanoseconds."""
    present = (spans.quality & Quality.NO_START) == 0
    if not len(minorities):
        return np.zeros(0, np.int64)
    return np.flatnonzero(present & np.isin(spans.source, minorities) & (unit_of(spans.start_ns) < _NANOSECONDS))


def scaled(columns: Columns, time_unit: str) -> Columns:
    """Return the columns with times of this unit in nanoseconds."""
    factor = TIME_UNITS[time_unit]
    if factor == 1:
        return columns
    spans, events = columns.spans, columns.events
    times = (spans.start_ns, spans.end_ns, events.time_ns)
    lowest, highest = (int(pick([pick(column, initial=0) for column in times])) for pick in (np.min, np.max))
    if highest - lowest > np.iinfo(np.int64).max // factor:  # the durations would not fit either
        message = (
            f"TIME_UNIT: expected times that fit 64 bits after multiplying by {factor:,}, found {lowest} to {highest};"
            " they look like nanoseconds (times of Jaeger, Zipkin and X-Ray are converted on reading): omit time_unit"
        )
        raise LoadError(message, code="TIME_UNIT")
    return replace(
        columns,
        spans=replace(
            spans,
            start_ns=spans.start_ns * factor,
            end_ns=spans.end_ns * factor,
            resolution_ns=np.maximum(spans.resolution_ns, factor).astype(np.int32),
        ),
        events=replace(events, time_ns=events.time_ns * factor),
    )
