"""Time-outs: failed calls that all last the same time, longer than almost all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.ranked import Kept, add_kept
from tracekit.checks.patterns.repeated import calls
from tracekit.checks.patterns.sums import Occurrences, labels_of, pairs_among, pairs_of
from tracekit.stats.counted_values import CountedValues
from tracekit.stats.grouping import positions
from tracekit.text import duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # failed calls that last the same
_WIDTH: Final = 1.05  # longest per shortest of calls that last the same
_SHARE: Final = 0.5  # of the failed calls last that long
_LONGER: Final = 0.02  # of all calls last longer, at most
_SUCCEEDED: Final = 0.2  # successful calls that last that long, per failed one, at most
_SHORTEST_NS: Final = 10_000_000  # no time-out is shorter


class _Failed(NamedTuple):
    """Failed calls, one entry each: rows of caller and call, the duration, the pair, and the names of the pairs."""

    caller: Array
    row: Array
    took: Array
    pair: Array
    keys: pd.DataFrame


class _Window(NamedTuple):
    """Times within which the failed calls of each pair end, with the number of these calls."""

    keys: dict[str, Array]
    low_ns: Array
    high_ns: Array
    number: Array

    def at(self, keys: pd.DataFrame) -> Array:
        """Return the position of each pair, -1 without a window."""
        own = labels_of(keys)
        return positions(self.keys, own, list(own))

    def is_inside(self, at: Array, took: Array) -> Array:
        """Return which durations are within the windows at these positions."""
        low, high = np.append(self.low_ns, np.inf)[at], np.append(self.high_ns, np.inf)[at]
        return np.asarray((took >= low) & (took <= high))


def _failed_calls(case: Case) -> _Failed:
    """Return the failed calls by caller and callee."""
    found, traces = case.result(calls), case.traces
    at = np.flatnonzero(traces.is_error[found.row])
    caller, row = found.parent[at], found.row[at]
    return _Failed(caller, row, traces.duration_ns[row], *pairs_of(case, caller, row))


def _failed(case: Case) -> Kept:
    """Return how long failed calls last: about 16 bytes for each of them."""
    failed = case.result(_failed_calls)
    return Kept(labels_of(failed.keys), CountedValues.of(failed.pair, failed.took, len(failed.keys)))


def _windows(_: Case, found: Kept) -> _Window:
    """Return the times of most failed calls of a pair, where these may be time-outs."""
    enough = np.flatnonzero(found.kept.totals() >= _FEWEST)
    windows = {group: window for group in enough.tolist() if (window := _window(found.kept, group)) is not None}
    rows, chosen = np.array([*windows.values()], np.float64).reshape(-1, 3), np.array([*windows], np.int64)
    return _Window({name: labels[chosen] for name, labels in found.keys.items()}, *rows.T)


def _window(values: CountedValues, group: int) -> tuple[float, float, int] | None:
    """Return low and high end, and the number, of the failed calls of a pair that last the same time."""
    first, last = np.searchsorted(values.group, [group, group + 1])
    ended, number = values.value[first:last], values.number[first:last]
    reached = np.append(0, np.cumsum(number))
    high = np.searchsorted(ended, ended * _WIDTH, "right")
    inside = reached[high] - reached[:-1]
    at = int(inside.argmax())
    if inside[at] < max(_FEWEST, _SHARE * reached[-1]) or ended[at] < _SHORTEST_NS:
        return None
    return float(ended[at]), float(ended[high[at] - 1]), int(inside[at])


_WINDOWS: Final[Merged[_Window]] = Merged(_failed, add_kept, _windows)


def _others(case: Case) -> Array:
    """Return by window how many calls there are, how many last longer, and how many succeed within it."""
    window, traces = case.result(_WINDOWS), case.traces
    count = len(window.number)
    if not count:
        return np.zeros((3, 0), np.int64)
    found = case.result(calls)
    of_pairs, at = pairs_among(case, found.parent, found.row, window.keys)
    row = found.row[of_pairs]
    took = traces.duration_ns[row]
    succeeded = window.is_inside(at, took) & ~traces.is_error[row]
    return np.array([np.bincount(one, minlength=count) for one in (at, at[took > window.high_ns[at]], at[succeeded])])


def _limits(case: Case, found: Array) -> _Window:
    """Return the windows that are time-outs."""
    window, (calls, longer, succeeded) = case.result(_WINDOWS), found
    is_time_out = (longer <= _LONGER * calls) & (succeeded <= _SUCCEEDED * window.number)
    keys = {name: labels[is_time_out] for name, labels in window.keys.items()}
    return _Window(keys, *(each[is_time_out] for each in window[1:]))


LIMITS: Final[Merged[_Window]] = Merged(_others, np.add, _limits, (_WINDOWS,))


def _detect(case: Case) -> Occurrences:
    """Return the failed calls that last as long as the time-out of their operation; the cost is their time."""
    limits = case.result(LIMITS)
    if not len(limits.number):
        return Occurrences.none()
    failed = case.result(_failed_calls)
    is_inside = limits.is_inside(limits.at(failed.keys)[failed.pair], failed.took)
    row, took = failed.row[is_inside], failed.took[is_inside]
    return Occurrences(failed.caller[is_inside], row, took, path_ns_of(case, row))


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which calls end after which time."""
    return f"Time-outs: calls of {caller_of(row)} to {call_of(row)} fail after {duration(row['size_p50'])}"


TIME_OUTS: Final = Pattern(
    "patterns.time_outs",
    _detect,
    _say,
    remedy="Find out why the callee does not answer in that time; the time-out limits the damage and is not its cause.",
    method="At least half of the failed calls last the same time (within 5%), and at most 2% of all calls longer.",
    needs=(LIMITS,),
)
