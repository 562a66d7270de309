"""Statements of one side of a comparison: how many traces run each how often, of all parts together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.query_texts import KEYS, query_texts
from tracekit.checks.merged import Merged
from tracekit.frames import hexes

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.analysis.query_texts import QueryTexts
    from tracekit.checks.case import Case

_ROW: Final = [*KEYS, "call_count"]


class Statements(NamedTuple):
    """The SQL statements of some traces, in a table that grows with the number of different ones.

    Parameters
    ----------
    calls
        One row per ``service_name``, ``operation``, ``statement`` and ``call_count``, the calls of one trace:
        ``trace_count``, the sum ``weight`` of their sampling weights, and that of the squares (``square``).
    recorded
        One row per ``service_name``: database spans (``span_count``), and those with a text (``text_count``).
    weight_sum, largest_weight
        Of all traces.
    """

    calls: pd.DataFrame
    recorded: pd.DataFrame
    weight_sum: float
    largest_weight: float

    def plus(self, other: Statements) -> Statements:
        """Return those of two parts."""
        calls = pd.concat([self.calls, other.calls]).groupby(_ROW, sort=True).sum().reset_index()
        recorded = pd.concat([self.recorded, other.recorded]).groupby(level=0, sort=True).sum()
        largest = max(self.largest_weight, other.largest_weight)
        return Statements(calls, recorded, self.weight_sum + other.weight_sum, largest)

    @property
    def recorded_ratio(self) -> pd.Series:
        """By service, the share of the database spans that have a text."""
        return self.recorded["text_count"] / self.recorded["span_count"]

    @property
    def n_at_lowest_rate(self) -> float:
        """Number of traces if all were sampled at the lowest rate."""
        return self.weight_sum / self.largest_weight if self.largest_weight else 0.0


def _texts(case: Case) -> QueryTexts:
    """Return the statements of a part by trace."""
    return query_texts(case.traces)


def _statements(case: Case) -> Statements:
    """Return the statements of a part."""
    found, value = case.result(_texts), case.traces.weights.value
    weight = value[found.calls["trace"].to_numpy(np.int64)]
    rows = found.calls.assign(trace_count=1, weight=weight, square=weight**2).drop(columns="trace")
    calls = rows.groupby(_ROW, sort=True).sum().reset_index()
    return Statements(calls, found.recorded, float(value.sum()), float(value.max(initial=0.0)))


STATEMENTS: Final[Merged[Statements]] = Merged(_statements, Statements.plus)


@dataclass(frozen=True)
class _CallsOf:
    """Returns the calls of one statement by trace, for the traces of a part that run it."""

    keys: tuple[Any, ...]

    def __call__(self, case: Case) -> dict[str, int]:
        """Return them by trace id."""
        calls = case.result(_texts).calls
        mine = calls[(calls[list(KEYS)] == list(self.keys)).all(axis=1)]
        spans, first = case.traces.columns.spans, case.traces.forest.starts[mine["trace"].to_numpy(np.int64)]
        ids = hexes(spans.trace_hi[first], spans.trace_lo[first])
        return dict(zip(ids, mine["call_count"].tolist(), strict=True))


def _either(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    """Return the calls of the traces of two parts."""
    return first | second


def calls_by_trace(case: Case, row: Mapping[Hashable, Any]) -> dict[str, int]:
    """Return how often each trace that runs a statement does, by id; of a store in a pass of its own."""
    merged: Merged[dict[str, int]] = Merged(_CallsOf(tuple(row[key] for key in KEYS)), _either)
    return case.result(merged)
