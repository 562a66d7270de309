"""Clock skew of a store: the calls between clocks of all parts together, and the offsets of each part.

Adjacent traces prove a skew, and these are in different parts.  So the offsets need a pass of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from tracekit.analysis.clock_skew.calls import Calls, calls_between_clocks, clocks
from tracekit.analysis.clock_skew.offsets import Offsets, offsets_of
from tracekit.attributes import Codes
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_SEEM_SKEWED: Final[WeakKeyDictionary[TraceSet, bool]] = WeakKeyDictionary()
"""Whether any call of a set seems skewed: several analyses of one part ask for it."""


class PartCalls(NamedTuple):
    """The calls between the clocks of a part.

    Parameters
    ----------
    calls
        The calls; their clocks are numbers of ``clocks``.
    clocks
        Names of the clocks.
    root_clock
        Clock of the root of every trace, -1 if unknown.
    trace_hi, trace_lo
        uint64, one per trace: its id.
    """

    calls: Calls
    clocks: list[str]
    root_clock: Array
    trace_hi: Array
    trace_lo: Array


def seem_skewed(traces: TraceSet) -> bool:
    """Return whether any call is not within its caller, by the clocks as recorded."""
    if traces not in _SEEM_SKEWED:
        _SEEM_SKEWED[traces] = bool(calls_between_clocks(traces, clocks(traces)).seem_skewed.any())
    return _SEEM_SKEWED[traces]


def part_calls(traces: TraceSet, *, any_kind: bool = False) -> list[PartCalls]:
    """Return the calls of a part."""
    clock, spans, first = clocks(traces), traces.columns.spans, traces.forest.starts[:-1]
    roots = clock.codes[traces.forest.root_row]
    calls = calls_between_clocks(traces, clock, any_kind=any_kind)
    return [PartCalls(calls, list(clock.labels), roots, spans.trace_hi[first], spans.trace_lo[first])]


class OffsetsById(NamedTuple):
    """Offsets of the clocks of all parts, by trace id.

    Parameters
    ----------
    clocks
        Names of the clocks.
    trace_hi, trace_lo
        uint64, one per trace of the store: its id, sorted.
    found
        The offsets; their traces are rows of these, their clocks are numbers of ``clocks``.
    """

    clocks: list[str]
    trace_hi: Array
    trace_lo: Array
    found: Offsets

    def of(self, traces: TraceSet) -> Offsets | None:
        """Return the offsets of a part; None without any."""
        clock, spans, first = clocks(traces), traces.columns.spans, traces.forest.starts[:-1]
        used, entry = np.unique(self.found.trace, return_inverse=True)
        known = pd.MultiIndex.from_arrays([spans.trace_hi[first], spans.trace_lo[first]])
        wanted = pd.MultiIndex.from_arrays([self.trace_hi[used], self.trace_lo[used]])
        trace = known.get_indexer(wanted)[entry]
        number = {name: code for code, name in enumerate(clock.labels)}
        code = np.array([number.get(name, -1) for name in self.clocks], np.int64)[self.found.code]
        mine = np.flatnonzero((trace >= 0) & (code >= 0))
        mine = mine[np.lexsort((code[mine], trace[mine]))]
        if not len(mine):
            return None
        limits = (self.found.offset_ns, self.found.low_ns, self.found.high_ns, self.found.evidence)
        return Offsets(clock, trace[mine], code[mine], *(column[mine] for column in limits))


class AllCalls(NamedTuple):
    """The calls between the clocks of all parts, by trace, as they are in memory.

    Parameters
    ----------
    calls
        The calls; their clocks are numbers of ``clocks``, their traces rows of the ids.
    clocks
        Names of the clocks, sorted.
    root_clock
        Clock of the root of every trace, -1 if unknown.
    trace_hi, trace_lo
        uint64, one per trace: its id, sorted.
    """

    calls: Calls
    clocks: list[str]
    root_clock: Array
    trace_hi: Array
    trace_lo: Array


def all_calls(parts: Sequence[PartCalls | AllCalls]) -> AllCalls:
    """Return the calls of all parts together."""
    hi, lo = (np.concatenate([getattr(part, name) for part in parts]) for name in ("trace_hi", "trace_lo"))
    by_id = np.lexsort((lo, hi))
    rank = np.empty(len(by_id), np.int64)
    rank[by_id] = np.arange(len(by_id))
    names = sorted({name for part in parts for name in part.clocks})
    numbers = {name: number for number, name in enumerate(names)}
    codes = [np.array([*(numbers[name] for name in part.clocks), -1]) for part in parts]
    first = np.cumsum([0, *(len(part.root_clock) for part in parts)])
    calls = _together(parts, codes, [rank[at:] for at in first])
    root_clock = np.concatenate([code[part.root_clock] for part, code in zip(parts, codes, strict=True)])[by_id]
    return AllCalls(calls, names, root_clock, hi[by_id], lo[by_id])


def offsets_by_id(parts: Sequence[PartCalls]) -> OffsetsById | None:
    """Return the offsets that the calls of all parts prove, as in memory; None without any."""
    every = all_calls(parts)
    found = offsets_of(Codes(np.zeros(0, np.int64), every.clocks), every.calls, every.root_clock)
    return None if found is None else OffsetsById(every.clocks, every.trace_hi, every.trace_lo, found)


def _together(parts: Sequence[PartCalls | AllCalls], codes: Sequence[Array], ranks: Sequence[Array]) -> Calls:
    """Return the calls of all parts, by trace, as they are in memory."""
    columns: dict[str, list[Array]] = {name: [] for name in Calls.__slots__}
    for part, code, rank in zip(parts, codes, ranks, strict=False):
        moved = {"trace": rank[part.calls.trace], "caller": code[part.calls.caller], "callee": code[part.calls.callee]}
        for name, column in columns.items():
            column.append(moved.get(name, getattr(part.calls, name)))
    whole = Calls(**{name: np.concatenate(column) for name, column in columns.items()})
    return whole.take(np.lexsort((whole.row, whole.trace)))
