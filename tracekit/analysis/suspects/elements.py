"""What became slower: self times, gaps of calls, and numbers of calls, by service and operation, one value per trace.

Calls of one trace are not independent, so an element has one value per trace: the mean over its calls, or their number
times the mean duration of such a call in the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.analysis.suspects.calls import CALL, KINDS, times
from tracekit.stats.exceedance import Sample, larger, quantiles_by, time_blocks
from tracekit.stats.grouping import dense_codes, sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.calls import Times
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

MIN_BASELINE, MIN_CURRENT = 5, 3  # traces with an element, for it to be tested
_FLOOR_NS: Final = 500_000  # added to both sides of a ratio: shorter changes are no multiples
_FULL_EFFECT: Final = 1.2  # log ratio from which an element counts fully
_TAIL_SHARE: Final = 0.7  # what a change of the mean counts compared with one of the median
_CAP: Final = 0.98  # quantile at which means are capped: one outlier says nothing
_LEAST_LOG_P, _LOG_P_RANGE = 1.3, 2.5  # an element counts from p = 0.05 on, and fully from p = 0.00016 on


@dataclass(frozen=True, slots=True)
class PerTrace:
    """Values of elements of both sides, one entry per element and trace.

    Parameters
    ----------
    element
        Its number.
    trace
        Ordinal of the trace on its side.
    is_current
        Side.
    weight
        Sampling weight of the trace.
    call_count
        Calls in the trace.
    time_ns, there_ns, back_ns
        Means over the calls.
    row, client
        Rows of the call that took longest.
    """

    element: Array
    trace: Array
    is_current: Array
    weight: Array
    call_count: Array
    time_ns: Array
    there_ns: Array
    back_ns: Array
    row: Array
    client: Array

    def take(self, rows: Array) -> PerTrace:
        """Return some of the entries."""
        return PerTrace(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Elements:
    """Self times, gaps and numbers of calls that both sides have, one entry each.

    Parameters
    ----------
    kind
        ``calls.OWN``, ``calls.GAP`` or ``calls.CALL``.
    service, callee, operation
        Codes; ``callee`` is ``NO_SERVICE`` for self times.
    baseline_count, current_count
        Traces.
    call_sum
        Calls of the current side (weighted); for numbers of calls, traces.
    baseline_ns, current_ns
        Weighted means, capped at the 98th percentile or the second largest value.
    growth_ns
        Growth of the median or of the capped mean, whichever is larger; at least 0.
    there_ns, back_ns
        The same for the two ways of a call.
    p_value
        For the current values being larger.
    moved_ratio
        Share of the current traces in which it must have become larger.
    weight
        0 to 1: how clearly the element became slower.
    values
        By trace.
    """

    kind: Array
    service: Array
    callee: Array
    operation: Array
    baseline_count: Array
    current_count: Array
    call_sum: Array
    baseline_ns: Array
    current_ns: Array
    growth_ns: Array
    there_ns: Array
    back_ns: Array
    p_value: Array
    moved_ratio: Array
    weight: Array
    values: PerTrace

    def __len__(self) -> int:
        return len(self.service)

    @property
    def mass_ns(self) -> Array:
        """Excess of all calls together, as far as the element counts."""
        return np.asarray(self.growth_ns * self.call_sum * self.weight)


def elements(before: Window, now: Window) -> Elements:
    """Return the elements that enough traces of both sides have."""
    sides = times(before), times(now)
    number, keys = _numbers(sides, before)
    split = len(sides[0].row)
    values = [
        _per_trace(side, window, number[part], is_current=is_current)
        for side, window, part, is_current in (
            (sides[0], before, slice(split), False),
            (sides[1], now, slice(split, None), True),
        )
    ]
    both = PerTrace(*(np.concatenate([getattr(side, name) for side in values]) for name in PerTrace.__slots__))
    counts = [np.bincount(both.element[both.is_current == side], minlength=len(keys[0])) for side in (False, True)]
    is_tested = (counts[0] >= MIN_BASELINE) & (counts[1] >= MIN_CURRENT)
    kept = both.take(np.flatnonzero(is_tested[both.element]))
    kept.element[:] = (np.cumsum(is_tested) - 1)[kept.element]
    block = time_blocks(before.start_ns, len(now.weight))
    keys = [key[is_tested] for key in keys]
    return _tested(_counted(kept, keys[0] == CALL), block, keys)


def _numbers(sides: tuple[Times, Times], window: Window) -> tuple[Array, list[Array]]:
    """Return the number of the element of every time, and kind, service, callee and operation of every element."""
    services, operations = len(window.names.service) + 1, len(window.names.operation)
    kind, service, callee, operation = (
        np.concatenate([getattr(side, name) for side in sides]) for name in ("kind", "service", "callee", "operation")
    )
    key = ((kind * services + service) * services + callee + 1) * operations + operation
    number, found = dense_codes(key, len(KINDS) * services * services * operations)
    rest, operation = np.divmod(found, operations)
    rest, callee = np.divmod(rest, services)
    kind, service = np.divmod(rest, services)
    return number, [kind, service, callee - 1, operation]


def _counted(values: PerTrace, is_count: Array) -> PerTrace:
    """Return the values with numbers of calls in place of durations: times their mean duration in the baseline."""
    n = len(is_count)
    usual = _centres(values, values.time_ns, False, n)[1]  # noqa: FBT003 - the baseline
    mine = is_count[values.element]
    time = np.where(mine, values.call_count * usual[values.element], values.time_ns)
    return replace(values, time_ns=time, call_count=np.where(mine, 1, values.call_count))


def _per_trace(side: Times, window: Window, number: Array, *, is_current: bool) -> PerTrace:
    """Return the values of one side by element and trace."""
    traces = max(len(window.weight), 1)
    key = number * traces + window.trace[side.row]
    order = np.lexsort((side.time_ns, key))
    cell, keys = dense_codes(key, int(key.max(initial=0)) + 1)
    element, trace = np.divmod(keys, traces)
    count = np.bincount(cell, minlength=len(keys))
    longest = order[np.cumsum(count) - 1]
    time, there, back = (
        sum_by(cell, column, len(keys)) / count for column in (side.time_ns, side.there_ns, side.back_ns)
    )
    return PerTrace(
        element=element,
        trace=trace,
        is_current=np.full(len(keys), is_current),
        weight=window.weight[trace],
        call_count=count,
        time_ns=time,
        there_ns=there,
        back_ns=back,
        row=side.row[longest],
        client=side.client[longest],
    )


def _tested(values: PerTrace, block: Array, keys: list[Array]) -> Elements:
    """Return the elements with their growth and how clear it is."""
    n = len(keys[0])
    is_used = values.weight > 0
    of_block = (
        np.where(values.is_current, 0, block[np.where(values.is_current, 0, values.trace)]) if n else values.trace
    )
    test = larger(Sample(values.element, values.time_ns, values.is_current, values.weight, of_block, n))
    (median0, mean0), (median1, mean1) = (_centres(values, values.time_ns, side, n) for side in (False, True))
    effect = np.maximum(
        np.log((median1 + _FLOOR_NS) / (median0 + _FLOOR_NS)),
        _TAIL_SHARE * np.log((mean1 + _FLOOR_NS) / (mean0 + _FLOOR_NS)),
    )
    log_p = -np.log10(np.maximum(test.p_value, np.finfo(float).tiny))
    clear = np.clip(effect / _FULL_EFFECT, 0, 1) * np.clip((log_p - _LEAST_LOG_P) / _LOG_P_RANGE, 0, 1)
    now = np.flatnonzero(values.is_current)
    counts = [np.bincount(values.element[is_used & (values.is_current == side)], minlength=n) for side in (False, True)]
    kind, service, callee, operation = keys
    return Elements(
        kind=kind,
        service=service,
        callee=callee,
        operation=operation,
        baseline_count=counts[0],
        current_count=counts[1],
        call_sum=sum_by(values.element[now], values.weight[now] * values.call_count[now], n),
        baseline_ns=mean0,
        current_ns=mean1,
        growth_ns=_growth(values, values.time_ns, n),
        there_ns=_growth(values, values.there_ns, n),
        back_ns=_growth(values, values.back_ns, n),
        p_value=test.p_value,
        moved_ratio=test.moved_ratio,
        weight=np.nan_to_num(clear),
        values=values,
    )


def _centres(values: PerTrace, time_ns: Array, side: bool, n: int) -> tuple[Array, Array]:
    """Return weighted medians and capped means of one side."""
    rows = np.flatnonzero((values.is_current == side) & (values.weight > 0))
    element, time, weight = values.element[rows], time_ns[rows], values.weight[rows]
    median = quantiles_by(element, time, weight, n, (0.5,))[:, 0]
    capped = np.minimum(time, _caps(element, time, n)[element])
    total = sum_by(element, weight, n)
    return median, np.divide(sum_by(element, weight * capped, n), total, out=np.full(n, np.nan), where=total > 0)


def _caps(element: Array, time: Array, n: int) -> Array:
    """Return by element the 98th percentile, at most the second largest value."""
    size = np.bincount(element, minlength=n)
    first = np.cumsum(size) - size
    rank = np.minimum(np.ceil(_CAP * size).astype(np.int64), size - 1)
    ordered = time[np.lexsort((time, element))]
    at = np.minimum(first + np.maximum(rank - 1, 0), max(len(time) - 1, 0))
    return np.where(size > 0, ordered[at], np.nan) if len(time) else np.full(n, np.nan)


def _growth(values: PerTrace, time_ns: Array, n: int) -> Array:
    """Return the growth of the median or of the capped mean, whichever is larger; at least 0."""
    (median0, mean0), (median1, mean1) = (_centres(values, time_ns, side, n) for side in (False, True))
    return np.asarray(np.nan_to_num(np.maximum(np.maximum(median1 - median0, mean1 - mean0), 0.0)))
