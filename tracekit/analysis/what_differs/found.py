"""The values of both sides of ``what_differs``, and the tables made of them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.facts import marks
from tracekit.analysis.what_differs.membership import Membership, membership, numbers, owned, same_values, spreads
from tracekit.analysis.what_differs.pairs import pairs
from tracekit.analysis.what_differs.shares import counted, shares
from tracekit.analysis.what_differs.thresholds import follows_time, threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.what_differs.membership import Numbers, Owned, Spread
    from tracekit.analysis.what_differs.pairs import Pairs
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.analysis.what_differs.shares import Counted, Shares
    from tracekit.analysis.what_differs.thresholds import Threshold
    from tracekit.columns import Array

_FOR_PAIRS: Final = 60  # facts that are tried in pairs, those with the largest differences
_NUMBERS: Final = 10  # different numbers from which an attribute is a quantity
_MANY: Final = 50  # values from which a key may be an identifier, ...
_MOSTLY: Final = 0.5  # ... which it is with one value for two traces or fewer
_TIES: Final = 1e-6  # of a difference: of two values of all traces, the one that is more frequent in the selection
_NUMERIC_COLUMNS: Final = ["key", "operator", "threshold"]
_PAIR_COLUMNS: Final = ["key", "value", "other_key", "other_value"]
_COUNTS: Final = ["selection_count", "baseline_count"]
_SHARES: Final = [
    "selection_ratio", "baseline_ratio", "difference_ratio", "difference_low_ratio", "difference_high_ratio", "lift",
]  # fmt: skip


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
    """

    def __init__(self, sides: tuple[Side, Side], min_traces: int, confidence: float) -> None:
        self.sides, self.min_traces, self.confidence = sides, min_traces, confidence
        self.is_one_set = sides[0].traces is sides[1].traces

    @cached_property
    def entries(self) -> tuple[list[Owned], list[Owned]]:
        """The attributes of both sides by trace."""
        first = owned(self.sides[0].traces)
        return first, first if self.is_one_set else owned(self.sides[1].traces)

    @cached_property
    def joint(self) -> tuple[Membership, Membership]:
        """The values of both sides in one numbering."""
        first, second = (side.traces for side in self.sides)
        if self.is_one_set:
            found = membership(first, self.entries[0], least=self.min_traces, without=self._not_as_values)
            return found, found
        half = max(self.min_traces // 2, 1)
        own = [
            membership(*pair, least=half, without=self._not_as_values)
            for pair in zip((first, second), self.entries, strict=True)
        ]
        pairs_of = dict.fromkeys(pair for each in own for pair in zip(each.keys, each.texts, strict=True))
        empty = np.zeros(0, np.int64)
        every = Membership([key for key, _ in pairs_of], [text for _, text in pairs_of], empty, empty)
        return same_values(first, self.entries[0], every), same_values(second, self.entries[1], every)

    @cached_property
    def counts(self) -> tuple[Counted, Counted]:
        """How many traces of each side have each value."""
        first, second = (
            counted(side, found.value, found.trace, len(found.keys))
            for side, found in zip(self.sides, self.joint, strict=True)
        )
        return first, second

    @cached_property
    def marks(self) -> tuple[Array, int]:
        """A number per value for the set of its traces on both sides, and that of all traces."""
        if self.is_one_set:
            return marks(self.joint[0], self.sides[0].chosen | self.sides[1].chosen, seed=0)
        own = [
            marks(found, side.chosen, seed=seed)
            for seed, (found, side) in enumerate(zip(self.joint, self.sides, strict=True))
        ]
        return own[0][0] ^ own[1][0], own[0][1] ^ own[1][1]

    @cached_property
    def _spreads(self) -> list[Spread]:
        """The keys with many values, of either side."""
        sides = zip(self.sides[: 2 - self.is_one_set], self.entries, strict=False)
        return [each for side, entries in sides for each in spreads(side.traces, entries, most=_MANY)]

    @cached_property
    def _not_as_values(self) -> set[str]:
        """Keys whose values are not compared one by one: identifiers and quantities."""
        return {each.key for each in self._spreads if each.is_number or _is_identifier(each)}

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """Keys that are not compared, and why."""
        rows = [
            (each.key, "identifier", each.distinct_count, each.trace_count)
            for each in self._spreads
            if _is_identifier(each) and not each.is_number
        ]
        rows += [(each.key, "in the order of time", each.distinct_count, len(each.trace)) for each in self._in_order]
        return pd.DataFrame(rows, columns=["key", "reason", "distinct_count", "trace_count"]).drop_duplicates("key")

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
        return np.asarray(np.maximum(np.maximum(low, -high), 0.0) + _TIES * value)

    @cached_property
    def _numbers(self) -> list[dict[str, Numbers]]:
        """The numeric attributes of both sides by key."""
        found = []
        for side, entries in zip(self.sides, self.entries, strict=True):
            found.append({each.key: each for each in numbers(side.traces, entries, fewest=_NUMBERS)})
            if self.is_one_set:
                return [found[0], found[0]]
        return found

    @cached_property
    def _in_order(self) -> list[Numbers]:
        """The numeric attributes in the order of time."""
        traces = self.sides[0].traces
        start = traces.columns.spans.start_ns[traces.forest.root_row]
        return [each for each in self._numbers[0].values() if follows_time(each, start[each.trace])]

    def thresholds(self) -> list[Threshold]:
        """Return the best threshold of each numeric attribute, the largest sure difference first."""
        hidden = set(self.skipped["key"])
        keys = [key for key in self._numbers[0] if key in self._numbers[1] and key not in hidden]
        sides = zip(self.sides, self._numbers, strict=True)
        pair = [[(side, own[key]) for side, own in sides_of] for sides_of in [list(sides)] for key in keys]
        found = [threshold(first, second, confidence=self.confidence) for first, second in pair]
        return sorted((each for each in found if each is not None), key=lambda each: -each.low)

    def pairs(self, shown: Array, singles: Shares) -> Pairs | None:
        """Return the pairs of the facts with the largest differences."""
        size = np.abs(np.nan_to_num(singles.difference.value))[shown]
        most = shown[np.argsort(-size, kind="stable")[:_FOR_PAIRS]]
        return pairs(self.sides, self.joint, most, confidence=self.confidence)

    # ---------------------------------------------------------------- tables

    def table(self, shown: Array, also: list[list[str]], singles: Shares, q_value: Array, fdr: float) -> pd.DataFrame:
        """Return one row per fact."""
        found = self.joint[0]
        frame = pd.DataFrame({
            "key": [found.keys[at] for at in shown.tolist()],
            "value": [found.texts[at] for at in shown.tolist()],
            "also_count": [len(names) for names in also],
                "also": ["; ".join(names) for names in also],
            **self._columns(shown, self.counts, singles),
        })  # fmt: skip
        frame["selected_ratio"] = self._selected(shown)
        frame["q_value"], frame["is_significant"] = q_value, q_value <= fdr
        frame["exemplar_trace_id"] = self._exemplars(found, shown)
        return frame

    def pair_table(self, together: Pairs | None, q_value: Array, fdr: float) -> pd.DataFrame:
        """Return one row per significant pair, the surest large difference first."""
        columns = [*_PAIR_COLUMNS, *_COUNTS, *_SHARES, "q_value", "is_significant", "exemplar_trace_id"]
        if together is None:
            return pd.DataFrame(columns=columns).astype({"is_significant": bool})
        found, every = self.joint[0], np.arange(len(together.first))
        ends = {("key", "value"): together.first, ("other_key", "other_value"): together.second}
        names = {
            name: [texts[at] for at in own.tolist()]
            for pair, own in ends.items()
            for name, texts in zip(pair, (found.keys, found.texts), strict=True)
        }
        frame = pd.DataFrame(names | self._columns(every, together.counts, together.shares))
        frame["q_value"], frame["is_significant"] = q_value, q_value <= fdr
        frame["exemplar_trace_id"] = self._exemplars(together.both, every)
        order = np.argsort(-self.surest(together.shares), kind="stable")
        frame = frame.iloc[order]
        return frame[frame["is_significant"]].reset_index(drop=True)

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

    def _exemplars(self, found: Membership, some: Array) -> list[str | None]:
        """Return the first selected trace with each value."""
        ids = self.sides[0].traces.trace_ids
        mine = self.sides[0].chosen[found.trace]
        value, trace = found.value[mine], found.trace[mine]
        at = np.searchsorted(value, some)
        is_there = (at < len(value)) & (value[np.minimum(at, max(len(value) - 1, 0))] == some) if len(value) else at < 0
        return [ids[trace[row]] if there else None for row, there in zip(at.tolist(), is_there.tolist(), strict=True)]


def _is_identifier(spread: Spread) -> bool:
    """Return whether most values of a key are of few traces."""
    return spread.distinct_count > _MOSTLY * spread.trace_count
