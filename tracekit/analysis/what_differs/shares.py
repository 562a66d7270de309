"""Shares of traces with a value on both sides, their difference with limits, and q values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.differences import Limited, difference_limits, p_value_of_limits
from tracekit.stats.grouping import sum_by
from tracekit.stats.mover import WEIGHT_CLASS
from tracekit.stats.weighted_rates import rates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.stats.aggregates import Aggregate


class Counted(NamedTuple):
    """How many traces of one side have each value.

    Parameters
    ----------
    trace_count
        Recorded traces, one per value.
    sums
        Sums over traces by value and weight class, as ``intervals.cluster_sums`` names them.
    owner
        Value of each entry of ``sums``.
    """

    trace_count: Array
    sums: dict[str, Array]
    owner: Array

    def share(self, confidence: float, chosen: Array | None = None) -> Limited:
        """Return the weighted share of traces with each value, or with some of them."""
        values = len(self.trace_count)
        keep = np.ones(values, bool) if chosen is None else chosen
        inside = keep[self.owner]
        owner = (np.cumsum(keep) - 1)[self.owner[inside]]
        sums = {name: column[inside] for name, column in self.sums.items()}
        found = rates(sums, owner, int(keep.sum()), confidence=confidence)
        return Limited(found.ratio, found.low, found.high)


def counted_sums(own: Aggregate, value: Array, values: int, totals: Aggregate) -> Counted:
    """Return how many traces have each value, from sums by weight class: ``count``, ``weight`` and ``square``.

    ``own``: those with a value, the number of which is ``value`` (-1: of none); ``totals``: all traces.
    """
    labels = [label for label in totals.keys[WEIGHT_CLASS] if label is not None]
    number, classes = {label: at for at, label in enumerate(labels)}, max(len(labels), 1)
    code = np.array([number.get(label, -1) for label in own.keys[WEIGHT_CLASS]], np.int64)
    inside = (code >= 0) & (value >= 0)
    cell, used = (
        (value * classes + code)[inside],
        np.array([label in number for label in totals.keys[WEIGHT_CLASS]], bool),
    )
    every = {name: column[used] if labels else np.zeros(1) for name, column in totals.sums.items()}
    count, weight, square = (np.tile(every[name], values) for name in ("count", "weight", "square"))
    heavy, squares = (sum_by(cell, own.sums[name][inside], values * classes) for name in ("weight", "square"))
    sums = presence((count, weight, square), heavy, squares)
    traces = np.zeros(values, np.int64)
    np.add.at(traces, value[value >= 0], own.sums["count"][value >= 0])
    return Counted(traces, sums, np.repeat(np.arange(values), classes))


def presence(totals: Sequence[Array], weight: Array, square: Array) -> dict[str, Array]:
    """Return the sums of traces that have a value or not, as ``intervals.cluster_sums`` names them.

    ``totals``: number, weight and squared weight of all traces; ``weight`` and ``square``: of those with the value.
    """
    number, heavy, squares = totals
    return {
        "cluster_count": number,
        "trial_count": number,
        "trial_sum": heavy,
        "event_sum": weight,
        "weight_square": squares,
        "trial_square": squares,
        "trial_event": square,
        "event_square": square,
    }


class Shares(NamedTuple):
    """Shares of traces on both sides, one entry per value: the difference is selection minus baseline."""

    selection: Array
    baseline: Array
    difference: Limited
    p_value: Array


def shares(selection: Counted, baseline: Counted, *, confidence: float) -> Shares:
    """Return the shares of both sides with limits of their difference, and p values."""
    sides = [each.share(confidence) for each in (selection, baseline)]
    change = difference_limits(sides[1], sides[0])
    p_value = np.ones(len(selection.trace_count))
    is_candidate = np.asarray((np.asarray(change.low) > 0) | (np.asarray(change.high) < 0))
    if is_candidate.any():
        p_value[is_candidate] = p_value_of_limits(
            lambda level: difference_limits(baseline.share(level, is_candidate), selection.share(level, is_candidate)),
            confidence=confidence,
            steps=_STEPS,
        )
    unknown = np.isnan(np.asarray(change.low)) & np.isnan(np.asarray(change.high))
    return Shares(np.asarray(sides[0].value), np.asarray(sides[1].value), change, np.where(unknown, np.nan, p_value))


_STEPS = 14  # levels of significance: down to 7e-10, for thousands of values
