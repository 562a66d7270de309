"""Comparability of two sets of traces, given how each was sampled."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from tracekit.text import number, plural
from tracekit.traces import TraceSet
from tracekit.weights.known import UNKNOWN_WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.weights.known import WeightTotals

_ALIKE: Final = 1.25  # rates with a smaller ratio count as equal
_ANY: Final = 2.0**62  # refused weights may have any value
_FIGURES: Final = re.compile(r"\d[\d.,]*(?:e-?\d+)?%?")
_READ: Final[WeakKeyDictionary[TraceSet | Parts, dict[str, float]]] = WeakKeyDictionary()
_TOTALS: Final[WeakKeyDictionary[Parts, WeightTotals]] = WeakKeyDictionary()
_Sums: TypeAlias = dict[str, tuple[float, int]]  # sum of the weights, and number of traces
SIDES: Final = ("baseline", "current")
Basis = Literal["all traffic", "requests of one kind", "recorded traces", "not comparable"]


class Comparability(NamedTuple):
    """What a comparison of two sets of traces describes.

    Parameters
    ----------
    basis
        ``all traffic`` (all weights are known), ``requests of one kind`` (both sides were selected by outcome, such as
        failed), ``recorded traces`` (no weights are known), or ``not comparable``.
    statement
        The same as a clause, with the reason.

    Examples
    --------
    >>> for current in (shop, shop.with_weights(20)):
    ...     print(comparability(baseline, current).basis)
    recorded traces
    not comparable
    """

    basis: Basis
    statement: str

    @property
    def is_comparable(self) -> bool:
        """Whether a difference may have other causes than the sampling."""
        return self.basis != "not comparable"


def comparability(
    baseline: TraceSet | Parts, current: TraceSet | Parts, names: tuple[str, str] = SIDES
) -> Comparability:
    """Return what a comparison of two sets of traces describes; its statement uses these different names."""
    sides = dict(zip(names, (_totals(baseline), _totals(current)), strict=True))
    for name, side in sides.items():
        if 0 < side.unknown_count < side.trace_count:
            missing, total = side.unknown_count, side.trace_count
            return _refused(f"the sampling weight of {missing:,} of {total:,} {name} traces is unknown")
    if not all(side.trace_count for side in sides.values()):
        return Comparability("recorded traces", "one side has no traces")
    known = [name for name, side in sides.items() if not side.unknown_count]
    if not known:
        return _unweighted(baseline, current, names)
    if len(known) == 1:
        return _refused(
            f"sampling weights are known for the {known[0]} traces only, so any difference may be caused by sampling"
        )
    certain = [name for name, side in sides.items() if side.is_one_kind]
    if len(certain) == 1:
        other = next(name for name in sides if name != certain[0])
        return _refused(f"all {certain[0]} traces were selected by outcome, the {other} traces were sampled")
    if certain:
        statement = "all traces were selected by outcome: this compares such requests, not all traffic"
        return Comparability("requests of one kind", statement)
    return Comparability("all traffic", "sampling weights known on both sides: this compares all traffic")


def shared_count(first: TraceSet | Parts, second: TraceSet | Parts) -> int:
    """Return how many traces are in both; of a store, the ids of all are kept for it: 16 bytes a trace."""
    return shared_ids(*map(_all_ids, (first, second)))


def _all_ids(traces: TraceSet | Parts) -> Array:
    """Return the ids of a set or a store."""
    return packed_ids(traces) if isinstance(traces, TraceSet) else traces.reduce(packed_ids, _joined)


def shared_ids(first: Array, second: Array) -> int:
    """Return how many ids are in both, each as ``packed_ids`` returns them."""
    return len(np.intersect1d(first, second))


def packed_ids(traces: TraceSet) -> Array:
    """Return the ids of the traces as 16 bytes each."""
    spans, at = traces.columns.spans, traces.forest.starts[:-1]
    return np.asarray(np.column_stack((spans.trace_hi[at], spans.trace_lo[at])).view("S16").ravel())


def _joined(first: Array, second: Array) -> Array:
    """Return the ids of two parts."""
    return np.concatenate([first, second])


def on_both_sides(shared: int, counts: Sequence[int]) -> str:
    """Return in words how many traces are on both sides; empty for none."""
    same = "the same " if shared == max(counts) else ""
    return f"{same}{plural(shared, 'trace')} on both sides" if shared else ""


def side_names(names: Sequence[str]) -> tuple[str, str]:
    """Return the names of two sides; ValueError unless there are two different ones."""
    texts = [] if isinstance(names, str) else [str(name) for name in names]
    if len(texts) != len(SIDES) or len(set(texts)) != len(SIDES) or not all(texts):
        raise ValueError(f'expected two different names of the sides, such as ("1.4.0", "1.5.0"), found {names!r}')
    return str(names[0]), str(names[1])


def _refused(why: str) -> Comparability:
    """Return that the sides are not comparable."""
    return Comparability("not comparable", f"not comparable: {why}")


def _unweighted(baseline: TraceSet | Parts, current: TraceSet | Parts, names: tuple[str, str]) -> Comparability:
    """Return the comparability of two sides without weights, which may show different samplers."""
    shown = [_samplers(side) for side in (baseline, current)]
    samplers = [", ".join(side) or "no sampler" for side in shown]
    for name in dict.fromkeys([*shown[0], *shown[1]]):
        weights = [side.get(name, 1.0) for side in shown]  # ids of unsampled traces show weights near 1 by chance
        if 1 / _ALIKE < weights[0] / weights[1] < _ALIKE:
            continue
        if set(shown[0]) != set(shown[1]):
            return _refused(f"sampled differently: {names[0]} by {samplers[0]}, {names[1]} by {samplers[1]}")
        rates = " and ".join(f"one in {number(weight)} ({side})" for weight, side in zip(weights, names, strict=True))
        return _refused(f"sampled at different rates: {name}, {rates}")
    statement = f"{UNKNOWN_WEIGHTS}: this compares recorded traces, and differences may be caused by sampling"
    return Comparability("recorded traces", statement)


def read_sampling(traces: TraceSet | Parts) -> None:
    """Read what ``comparability`` needs of one side, so that a store is read for both sides at once."""
    if _totals(traces).unknown_count:
        _samplers(traces)


def _totals(traces: TraceSet | Parts) -> WeightTotals:
    """Return the weights of a set or a store in numbers; a store is read once for them."""
    if isinstance(traces, TraceSet):
        return traces.weights.totals
    if traces not in _TOTALS:
        _TOTALS[traces] = traces.reduce(_totals, operator.add)
    return _TOTALS[traces]


def _samplers(traces: TraceSet | Parts) -> dict[str, float]:
    """Return the mean weight by sampler, as shown by the traces alone; read once for each set."""
    if traces not in _READ:
        found = _read_samplers(traces) if isinstance(traces, TraceSet) else traces.reduce(_read_samplers, _both)
        _READ[traces] = {name: total / count for name, (total, count) in found.items()}
    return _READ[traces]


def _read_samplers(traces: TraceSet) -> _Sums:
    """Return the sum of the weights and the traces by sampler; this takes half a second for 1,000,000 spans."""
    from tracekit.weights.resolve import Evidence, resolve_weights  # noqa: PLC0415 - loads scipy

    found = resolve_weights(traces, Evidence())[0]
    if found.refusal:  # its figures are estimates, which differ between two samples of one sampler
        return {_FIGURES.sub("...", found.refusal): (_ANY, 1)}
    used = found.known & (found.value > 0)
    labels = np.array(found.source.labels, object)[found.source.codes[used]]
    values = [(str(name), found.value[used][labels == name]) for name in np.unique(labels.astype(str))]
    return {name: (float(some.sum()), len(some)) for name, some in values}


def _both(first: _Sums, second: _Sums) -> _Sums:
    """Return the sums of two parts."""
    none = (0.0, 0)
    pairs = {name: (first.get(name, none), second.get(name, none)) for name in {**first, **second}}
    return {name: (one[0] + other[0], one[1] + other[1]) for name, (one, other) in pairs.items()}
