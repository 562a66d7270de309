"""The values of both sides of ``what_differs``, and the tables made of them."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import on_side
from tracekit.analysis.what_differs.census import QUANTITY
from tracekit.analysis.what_differs.membership import in_order, numbers
from tracekit.analysis.what_differs.pairs import Together, pairs, table, together
from tracekit.analysis.what_differs.reading import Recording
from tracekit.analysis.what_differs.roots import tabulate
from tracekit.analysis.what_differs.shares import shares
from tracekit.analysis.what_differs.tally import LARGEST, SideTally, lesser, mixed, tallied
from tracekit.analysis.what_differs.thresholds import NumberTally, threshold
from tracekit.analysis.what_differs.thresholds import tallied as numbers_tallied
from tracekit.frames import hexes
from tracekit.stats.aggregates import steady

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.analysis.what_differs.census import Spread
    from tracekit.analysis.what_differs.membership import Value
    from tracekit.analysis.what_differs.pairs import Pairs
    from tracekit.analysis.what_differs.reading import View
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.analysis.what_differs.shares import Counted, Shares
    from tracekit.analysis.what_differs.thresholds import Threshold
    from tracekit.columns import Array
    from tracekit.parts import On

_FOR_PAIRS: Final = 60  # facts that are tried in pairs, those with the largest differences
_TIES: Final = 1e-6  # of a difference: of two values of all traces, the one that is more frequent in the selection
_NUMERIC_COLUMNS: Final = ["key", "operator", "threshold"]
_PAIR_COLUMNS: Final = ["key", "value", "other_key", "other_value"]
_COUNTS: Final = ["selection_count", "baseline_count"]
_SHARES: Final = [
    "selection_ratio", "baseline_ratio", "difference_ratio", "difference_low_ratio", "difference_high_ratio", "lift",
]  # fmt: skip


class _Tally(NamedTuple):
    """The values and numbers of the sides that are in one recording."""

    sides: tuple[SideTally, ...]
    numbers: dict[str, NumberTally]

    def with_(self, other: _Tally) -> _Tally:
        """Return the sums of both."""
        found = dict(self.numbers)
        for key, own in other.numbers.items():
            found[key] = found[key].with_(own) if key in found else own
        return _Tally(tuple(one.with_(more) for one, more in zip(self.sides, other.sides, strict=True)), found)


class Found:
    """The values of both sides.

    Parameters
    ----------
    sides
        Selection and baseline.
    min_traces
        Traces that a value needs.
    confidence
        Confidence level.
    on
        Where the parts of a store are read.
    """

    def __init__(self, sides: tuple[Side, Side], min_traces: int, confidence: float, on: On = None) -> None:
        self.sides, self.min_traces, self.confidence = sides, min_traces, confidence
        self.is_one_set = sides[0].traces is sides[1].traces
        fewest = min_traces if self.is_one_set else max(min_traces // 2, 1)
        groups = [sides] if self.is_one_set else [sides[:1], sides[1:]]
        self.recordings = [Recording(group, fewest, on_side(group[0].traces, on)) for group in groups]

    @cached_property
    def _values(self) -> tuple[list[Value], list[object]]:
        """The values that are compared, in the order of their numbers, and which attributes of each recording count."""
        hidden = {each.key for one in self.recordings for each in one.spreads if each.is_left_out}
        found = [one.values(hidden) for one in self.recordings]
        names = in_order(name for values, _ in found for name in values)
        if self.is_one_set:
            return names, [found[0][1]]
        keys = frozenset(key for key, _ in names)
        return names, [keys, keys]

    @property
    def names(self) -> list[Value]:
        """Key and text of each value."""
        return self._values[0]

    @cached_property
    def _tallies(self) -> list[_Tally]:
        """What is added up, of each recording."""
        names, wanted = self._values
        found = []
        for salt, (one, own) in enumerate(zip(self.recordings, wanted, strict=True)):
            keys = tuple(each.key for each in one.spreads if each.number_count >= QUANTITY)
            state = partial(_tally, names=tuple(names), keys=keys, salt=salt)
            found.append(one.read(state, _Tally.with_, own, keys))
        return found

    @cached_property
    def tallies(self) -> tuple[SideTally, SideTally]:
        """How many traces of each side have each value."""
        first, second = (side for each in self._tallies for side in each.sides)
        return first, second

    @cached_property
    def counts(self) -> tuple[Counted, Counted]:
        """The same, for shares."""
        return self.tallies[0].counted, self.tallies[1].counted

    @cached_property
    def marks(self) -> tuple[Array, int]:
        """A number per value for the set of its traces on both sides, and that of all traces."""
        first, second = self.tallies
        return first.mark ^ second.mark, first.whole ^ second.whole

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """Keys that are not compared, or only in part, and why."""
        spreads = [each for one in self.recordings for each in one.spreads]
        rows: list[tuple[Spread, str, int | None]]
        rows = [(each, "identifier", None) for each in spreads if each.is_identifier and not each.is_number]
        of_key = {each.key: each for each in self.recordings[0].spreads}
        numbers = self._tallies[0].numbers
        rows += [
            (of_key[key]._replace(trace_count=numbers[key].trace_count), "in the order of time", None)
            for key in self._in_order
        ]
        rows += [(each, "rare values", each.least(0)) for each in spreads if each.is_in_part]
        found = pd.DataFrame({
            "key": [each.key for each, _, _ in rows],
            "reason": [reason for _, reason, _ in rows],
            "least_count": pd.array([least for _, _, least in rows], "Int64"),
            "distinct_count": np.array([each.distinct_count for each, _, _ in rows], np.int64),
            "is_estimate": np.array([each.is_estimate for each, _, _ in rows], bool),
            "trace_count": np.array([each.trace_count for each, _, _ in rows], np.int64),
        })  # fmt: skip
        return found.drop_duplicates("key", ignore_index=True)

    @cached_property
    def _in_order(self) -> list[str]:
        """Keys of numbers in the order of time."""
        found = self._tallies[0].numbers
        return [key for key in sorted(found) if found[key].times.follow_time]

    @property
    def is_usual(self) -> Array:
        """Whether a value has enough traces and is not on all."""
        total = self.counts[0].trace_count + self.counts[1].trace_count
        mark, whole = self.marks
        return np.asarray((total >= self.min_traces) & (mark != np.uint64(whole)))

    def shares(self) -> Shares:
        """Return the shares of all values."""
        return shares(*self.counts, confidence=self.confidence)

    @staticmethod
    def surest(found: Shares) -> Array:
        """Return the limit of each difference nearest to 0, 0 where it is not sure."""
        value, low, high = (np.nan_to_num(np.asarray(part)) for part in found.difference)
        return steady(np.maximum(np.maximum(low, -high), 0.0) + _TIES * value)

    def thresholds(self) -> list[Threshold]:
        """Return the best threshold of each numeric attribute, the largest sure difference first."""
        hidden = set(self.skipped.loc[self.skipped["least_count"].isna(), "key"])
        first, last = self._tallies[0].numbers, self._tallies[-1].numbers
        keys = [key for key in sorted(first) if key in last and key not in hidden]
        found = [threshold(key, first[key].sides[0], last[key].sides[-1], confidence=self.confidence) for key in keys]
        return sorted((each for each in found if each is not None), key=lambda each: (-each.low, each.key))

    def pairs(self, shown: Array, singles: Shares) -> tuple[Array, Pairs | None]:
        """Return the facts with the largest differences, and the pairs of them."""
        size = steady(np.abs(np.nan_to_num(singles.difference.value))[shown])
        most = shown[np.argsort(-size, kind="stable")[:_FOR_PAIRS]]
        names = tuple(self.names[at] for at in most.tolist())
        found = self._over_sides(partial(_together, names=names))
        sizes = self.sides[0].trace_count, self.sides[1].trace_count
        keys = [key for key, _ in names]
        return most, pairs(keys, found, self.tallies, sizes, confidence=self.confidence)

    # ---------------------------------------------------------------- tables

    def table(self, shown: Array, also: list[list[str]], singles: Shares, q_value: Array, fdr: float) -> pd.DataFrame:
        """Return one row per fact."""
        frame = pd.DataFrame({
            "key": [self.names[at][0] for at in shown.tolist()],
            "value": [self.names[at][1] for at in shown.tolist()],
            "also_count": [len(names) for names in also],
                "also": ["; ".join(names) for names in also],
            **self._columns(shown, self.counts, singles),
        })  # fmt: skip
        frame["selected_ratio"] = self._selected(shown)
        frame["q_value"], frame["is_significant"] = q_value, q_value <= fdr
        frame["exemplar_trace_id"] = _ids(*self.tallies[0].first(shown))
        return frame

    def pair_table(self, most: Array, together: Pairs | None, q_value: Array, fdr: float) -> pd.DataFrame:
        """Return one row per significant pair of some values, the surest large difference first."""
        columns = [*_PAIR_COLUMNS, *_COUNTS, *_SHARES, "q_value", "is_significant", "exemplar_trace_id"]
        if together is None:
            return pd.DataFrame(columns=columns).astype({"is_significant": bool})
        order = np.argsort(-self.surest(together.shares), kind="stable")
        some = order[(q_value <= fdr)[order]]
        names = [self.names[at] for at in most.tolist()]
        first, second = together.first[some], together.second[some]
        ends = [[names[at] for at in own.tolist()] for own in (first, second)]
        texts = [[name[part] for name in end] for end in ends for part in (0, 1)]
        frame = pd.DataFrame(dict(zip(_PAIR_COLUMNS, texts, strict=True)))
        frame = pd.concat([frame, pd.DataFrame(self._columns(some, together.counts, together.shares))], axis=1)
        frame["q_value"], frame["is_significant"] = q_value[some], True
        frame["exemplar_trace_id"] = self._of_pairs(tuple(names), first, second)
        return frame

    def _of_pairs(self, names: tuple[Value, ...], first: Array, second: Array) -> list[str | None]:
        """Return the first selected trace with each pair of values."""
        if not len(first):
            return []
        state = partial(_first_of_pairs, names=names, first=first, second=second)
        hi, lo = self.recordings[0].read(state, lesser, self._values[1][0])
        return _ids(hi, lo)

    def _over_sides(self, state: Callable[[View], tuple[Together, ...]]) -> tuple[Together, Together]:
        """Return a state of each side."""
        merge = partial(_each_with, Together.with_)
        read = [one.read(state, merge, own) for one, own in zip(self.recordings, self._values[1], strict=True)]
        first, second = (each for found in read for each in found)
        return first, second

    @staticmethod
    def threshold_table(found: Sequence[Threshold], q_value: Array, fdr: float) -> pd.DataFrame:
        """Return one row per numeric attribute."""
        rows = [
            (
                each.key, each.operator, each.threshold, *each.counts, each.selection_ratio, each.baseline_ratio,
                each.selection_ratio - each.baseline_ratio, each.low, each.high,
                each.selection_ratio / each.baseline_ratio if each.baseline_ratio else np.inf,
            )
            for each in found
        ]  # fmt: skip
        frame = pd.DataFrame(rows, columns=[*_NUMERIC_COLUMNS, *_COUNTS, *_SHARES])
        return frame.assign(q_value=q_value, is_significant=q_value <= fdr)

    @staticmethod
    def _columns(some: Array, counts: tuple[Counted, Counted], found: Shares) -> dict[str, Array]:
        """Return counts and shares of both sides as columns."""
        first, second = found.selection[some], found.baseline[some]
        lift = np.divide(first, second, out=np.where(first > 0, np.inf, np.nan), where=second > 0)
        limits = (np.asarray(part)[some] for part in found.difference)
        shown = (counts[0].trace_count[some], counts[1].trace_count[some], first, second, *limits, lift)
        return dict(zip([*_COUNTS, *_SHARES], shown, strict=True))

    def _selected(self, some: Array) -> Array:
        """Return the weighted share of the traces with each value that are selected; NaN for two sets of traces."""
        if not self.is_one_set:
            return np.full(len(some), np.nan)
        sums = [
            np.bincount(each.owner, each.sums["event_sum"], minlength=len(each.trace_count))[some]
            for each in self.counts
        ]
        total = sums[0] + sums[1]
        return np.asarray(np.divide(sums[0], total, out=np.full(len(some), np.nan), where=total > 0))


def _tally(view: View, names: tuple[Value, ...], keys: tuple[str, ...], salt: int) -> _Tally:
    """Return the values and the numbers of some traces."""
    traces, found = view.traces, view.having(names)
    sides = tuple(tallied(traces, found, mask, salt=salt) for mask in view.masks)
    roots = tabulate(traces)
    marks = mixed(roots.hi, roots.lo, salt)
    every = {
        each.key: numbers_tallied(each, view.masks, roots.weight, roots.start_ns, marks)
        for each in numbers(traces, view.entries, keys)
    }
    return _Tally(sides, every)


def _together(view: View, names: tuple[Value, ...]) -> tuple[Together, ...]:
    """Return which traces of each side have two of some values."""
    found = view.having(names)
    return tuple(together(found, mask, view.traces.weights.value) for mask in view.masks)


def _each_with(
    merge: Callable[[Together, Together], Together], first: tuple[Together, ...], second: tuple[Together, ...]
) -> tuple[Together, ...]:
    """Return the states of both, side by side."""
    return tuple(merge(one, other) for one, other in zip(first, second, strict=True))


def _first_of_pairs(view: View, names: tuple[Value, ...], first: Array, second: Array) -> tuple[Array, Array]:
    """Return the smallest id of a selected trace with each pair of values, the largest number without one."""
    roots, has = tabulate(view.traces), table(view.having(names), len(view.traces)) & view.masks[0]
    hi, lo = (np.full(len(first), LARGEST) for _ in range(2))
    for at, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        both = has[one] & has[other]
        if both.any():
            row = int(both.argmax())  # traces are in the order of their ids
            hi[at], lo[at] = roots.hi[row], roots.lo[row]
    return hi, lo


def _ids(hi: Array, lo: Array) -> list[str | None]:
    """Return trace ids as text, None for the largest number."""
    is_one = (hi != LARGEST) | (lo != LARGEST)
    return [text if known else None for text, known in zip(hexes(hi, lo), is_one.tolist(), strict=True)]
