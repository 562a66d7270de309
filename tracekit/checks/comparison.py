"""Traces and their baseline: whether they are comparable, and the comparisons that several checks share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tracekit.analysis.critical_path.compare import PathComparison, compare, same_clocks
from tracekit.analysis.latency import latency
from tracekit.analysis.paths.compute import paths
from tracekit.checks.names import KEYS, WAITS
from tracekit.checks.overview import ENOUGH, Overview, overview
from tracekit.stats.differences import Limited, difference_limits
from tracekit.weights.comparability import SIDES, comparability

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.analysis.paths.result import Paths
    from tracekit.checks.case import Case
    from tracekit.weights.comparability import Comparability

FDR: Final = 0.05
SURE: Final = 0.01  # one-sided, for each of five questions: mean, operations, endpoints, calls, error rate


@dataclass(frozen=True)
class Changes:
    """A set of traces and its baseline.

    Parameters
    ----------
    before, now
        Both with their results.
    """

    before: Overview
    now: Overview

    @cached_property
    def comparability(self) -> Comparability:
        """Whether the two sides were sampled alike, as far as is known."""
        return comparability(self.before.source, self.now.source)

    @property
    def recorded(self) -> str:
        """``of recorded requests`` where no sampling weights are known, for sentences."""
        return " of recorded requests" * (self.comparability.basis == "recorded traces")

    @cached_property
    def comparison(self) -> PathComparison | None:
        """Critical-path time by operation, baseline and current; None where one side has no request with a weight."""
        sides = self.before, self.now
        is_given = all(side.timed_count and side.weights.n_effective for side in sides)
        return compare(self.before.walked, self.now.walked, by=WAITS, fdr=FDR) if is_given else None

    @property
    def has_same_clocks(self) -> bool:
        """Whether about the same number of clocks per trace was corrected on each side."""
        return same_clocks(self.before.walked, self.now.walked)

    @cached_property
    def entries(self) -> pd.DataFrame:
        """Endpoints: the columns of ``latency`` with ``baseline_`` and ``current_``, most requests first.

        ``p95_change_low_ns`` and ``p95_change_high_ns`` limit the change of p95 (Bonferroni over the endpoints);
        missing where a side has fewer than ``ENOUGH`` traces.
        """
        sides = self.before, self.now
        both = _joined(*(side.entries.table for side in sides))
        total = both["baseline_span_count"] + both["current_span_count"]
        enough = (both[["baseline_span_count", "current_span_count"]] >= ENOUGH).all(axis=1)
        confidence = family_level(int(enough.sum()))
        strict = _joined(*(latency(side.source, roots=True, confidence=confidence).table for side in sides))
        change = difference_limits(*(_limited(strict, "p95_ns", side) for side in SIDES))
        both["p95_change_low_ns"] = np.where(enough, change.low, np.nan)
        both["p95_change_high_ns"] = np.where(enough, change.high, np.nan)
        return both.iloc[np.argsort(-total.to_numpy(float), kind="stable")].reset_index(drop=True)

    @cached_property
    def shapes(self) -> Paths:
        """Shapes of the traces of both sides."""
        return paths(self.now.source, self.before.source)

    @property
    def is_comparable(self) -> bool:
        """Whether any change may be claimed."""
        return self.comparability.is_comparable


def changes_of(case: Case) -> Changes | None:
    """Return the traces and their baseline; None without one, or where one side has no trace."""
    if case.baseline is None:
        return None
    return Changes(case.baseline.result(overview), case.result(overview))


def comparable_changes(case: Case) -> Changes | None:
    """Return the traces and their baseline; None where no change may be claimed."""
    changes = case.result(changes_of)
    return changes if changes is not None and changes.is_comparable else None


def family_level(count: int) -> float:
    """Return the confidence level of each of several comparisons for a joint one-sided error of ``SURE``."""
    return 1 - 2 * SURE / max(count, 1)


def side_by_side(
    before: pd.DataFrame, now: pd.DataFrame, keys: Sequence[str], *, how: Literal["inner", "outer"]
) -> pd.DataFrame:
    """Return two tables joined by their keys; the other columns start with ``baseline_`` or ``current_``."""
    named = [
        table.rename(columns={name: f"{side}_{name}" for name in table.columns.difference(list(keys))})
        for side, table in zip(SIDES, (before, now), strict=True)
    ]
    return named[0].merge(named[1], on=list(keys), how=how)


def _joined(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Return two tables of ``latency`` joined by service and operation; what one side lacks has a count of 0."""
    before, now = (table.astype(dict.fromkeys(KEYS, str)) for table in (before, now))
    both = side_by_side(before, now, KEYS, how="outer")
    counts = ["baseline_span_count", "current_span_count"]
    both[counts] = both[counts].fillna(0)
    return both


def _limited(table: pd.DataFrame, name: str, side: str) -> Limited:
    """Return a column of one side with its limits; ``p95_ns`` has ``p95_low_ns`` and ``p95_high_ns``."""
    stem = name.removesuffix("_ns")
    unit = name.removeprefix(stem)
    return Limited(
        *(table[f"{side}_{column}"].to_numpy(float) for column in (name, f"{stem}_low{unit}", f"{stem}_high{unit}"))
    )
