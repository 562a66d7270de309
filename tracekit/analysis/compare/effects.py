"""Changes between two sides, by group and metric, with intervals, q values and a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.compare.figures import SHARES
from tracekit.stats.differences import Limited, difference_limits, p_value_of_limits, weighted_absence_probability
from tracekit.stats.tests import false_discovery
from tracekit.stats.weighted_means import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.compare.figures import Figures
    from tracekit.columns import Array

Verdict = Literal[
    "new", "gone", "more errors", "slower", "more", "faster", "fewer", "fewer errors", "no significant change",
    "too few", "not comparable",
]  # fmt: skip
METRICS: Final = {"calls_per_request": "count", "error_ratio": "ratio", "mean_ns": "ns"} | dict.fromkeys(SHARES, "ns")
"""Unit of each metric that is tested."""
_CALLS, _ERRORS, _DURATIONS = 0, 1, slice(2, None)
_ROUNDING: Final = 1e-13  # of a value: a change that is none
_STEPS: Final = 14  # levels of significance: down to 7e-10, for thousands of groups


class Settings(NamedTuple):
    """How changes are tested.

    Parameters
    ----------
    confidence
        Confidence level of the intervals.
    fdr
        False discovery rate.
    min_traces
        Traces that both sides of a group need.
    is_comparable
        Whether the sides were sampled alike.
    """

    confidence: float
    fdr: float
    min_traces: int
    is_comparable: bool


class Effects(NamedTuple):
    """Changes of all metrics, groups by ``METRICS``, and the presence of each group.

    Parameters
    ----------
    before, now
        Values of the metrics, with limits, float64[groups, metrics].
    low, high, p_value, q_value
        Of the changes; NaN where not estimable or not tested.
    absence_p_value, absence_q_value
        float64[groups]: of groups that only one side has, that this is by chance; 1 for others.
    trace_counts
        int64[groups, 2]: recorded traces with the group on each side.
    settings
        How they were tested.
    """

    before: Limited
    now: Limited
    low: Array
    high: Array
    p_value: Array
    q_value: Array
    absence_p_value: Array
    absence_q_value: Array
    trace_counts: Array
    settings: Settings

    @property
    def is_significant(self) -> Array:
        """bool[groups, metrics]."""
        return np.asarray(self.q_value <= self.settings.fdr)

    def verdicts(self, path_parts: Array) -> list[Verdict]:
        """Return one verdict per group.

        ``path_parts`` are the changes of critical-path time because of more calls and because of slower ones: where
        both are significant the larger part decides.
        """
        found = np.full(len(self.low), "no significant change", object)
        count = self.trace_counts.T
        found[(count < self.settings.min_traces).any(axis=0)] = "too few"
        change, sure = _change(self.before.value, self.now.value), self.is_significant
        slower = (sure & (change > 0))[:, _DURATIONS].any(axis=1)
        faster = (sure & (change < 0))[:, _DURATIONS].any(axis=1)
        more, fewer = sure[:, _CALLS] & (change[:, _CALLS] > 0), sure[:, _CALLS] & (change[:, _CALLS] < 0)
        by_calls = np.abs(path_parts[0]) > np.abs(path_parts[1])
        ordered = {
            "fewer errors": sure[:, _ERRORS] & (change[:, _ERRORS] < 0),
            "fewer": fewer,
            "faster": faster & ~(fewer & by_calls),
            "more": more,
            "slower": slower & ~(more & by_calls),
            "more errors": sure[:, _ERRORS] & (change[:, _ERRORS] > 0),
            "gone": (self.absence_q_value <= self.settings.fdr) & (count[1] == 0),
            "new": (self.absence_q_value <= self.settings.fdr) & (count[0] == 0),
        }
        for name, applies in ordered.items():  # the last one that applies
            found[applies] = name
        if not self.settings.is_comparable:
            found[:] = "not comparable"
        return found.tolist()

    def long(self, level: str, names: list[str]) -> pd.DataFrame:
        """Return one row per group and metric."""
        groups, metrics = self.low.shape
        sides = {"baseline": self.before, "current": self.now}
        return pd.DataFrame(
            {
                "level": np.full(groups * metrics, level, object),
                "row": np.repeat(np.arange(groups), metrics),
                "name": np.repeat(np.array(names, object), metrics),
                "metric": np.tile(np.array(list(METRICS), object), groups),
                "unit": np.tile(np.array(list(METRICS.values()), object), groups),
                **{
                    f"{side}_{part}": np.ravel(getattr(values, part))
                    for side, values in sides.items()
                    for part in Limited._fields
                },
                "change": _change(self.before.value, self.now.value).ravel(),
                "change_low": self.low.ravel(),
                "change_high": self.high.ravel(),
                "p_value": self.p_value.ravel(),
                "q_value": self.q_value.ravel(),
                "is_significant": self.is_significant.ravel(),
                **{
                    f"{name}_trace_count": np.repeat(count, metrics)
                    for name, count in zip(sides, self.trace_counts.T, strict=True)
                },
            }
        )

    def take(self, order: Array) -> Effects:
        """Return the groups in another order."""
        before, now = (Limited(*(np.asarray(part)[order] for part in side)) for side in (self.before, self.now))
        rest = (self.low, self.high, self.p_value, self.q_value, self.absence_p_value, self.absence_q_value)
        low, high, p_value, q_value, absence_p, absence_q = (values[order] for values in rest)
        counts = self.trace_counts[order]
        return Effects(before, now, low, high, p_value, q_value, absence_p, absence_q, counts, self.settings)


def effects(before: Figures, now: Figures, settings: Settings) -> Effects:
    """Return the changes of all groups."""
    values = before.limits(settings.confidence), now.limits(settings.confidence)
    counts: Array = np.stack([before.trace_count, now.trace_count])
    is_enough: Array = counts >= settings.min_traces
    both = np.asarray(is_enough.all(axis=0))
    calls, means = (
        difference(change, first, second, confidence=settings.confidence)
        for change, first, second in (
            (_change(before.frequency, now.frequency), before.frequency_moments, now.frequency_moments),
            (_change(before.mean, now.mean), before.mean_moments, now.mean_moments),
        )
    )
    rest = _ranked(before, now, settings.confidence)
    p_rest = p_value_of_limits(lambda level: _ranked(before, now, level), confidence=settings.confidence, steps=_STEPS)
    p_rest = np.where(np.isnan(rest.low) & np.isnan(rest.high), np.nan, np.broadcast_to(p_rest, np.shape(rest.value)))
    low, high, p_value = (
        _columns(*parts)
        for parts in ((calls.low, rest.low, means.low), (calls.high, rest.high, means.high),
                      (calls.p_value, p_rest, means.p_value))
    )  # fmt: skip
    is_tested = np.repeat(both[:, None], len(METRICS), axis=1)
    is_tested[:, _CALLS] = is_enough.any(axis=0) & (counts > 0).all(axis=0)
    is_tested &= settings.is_comparable
    low, high, p_value = (np.where(is_tested, found, np.nan) for found in (low, high, p_value))
    absent = _absence(before, now) if settings.is_comparable else np.full(len(both), np.nan)
    unknown = np.full(p_value.shape, np.nan), np.full(len(both), np.nan)
    return Effects(values[0], values[1], low, high, p_value, unknown[0], absent, unknown[1], counts.T, settings)


def adjusted(levels: Sequence[Effects]) -> list[Effects]:
    """Return the effects with q values over all levels, metrics and groups together.

    One family, so that two samples of the same traffic have any significant change in at most ``fdr`` of comparisons.
    """
    parts = [part for each in levels for part in (each.p_value.ravel(), each.absence_p_value)]
    q_value = np.split(false_discovery(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1])
    return [
        each._replace(q_value=found.reshape(each.p_value.shape), absence_q_value=absent)
        for each, found, absent in zip(levels, q_value[::2], q_value[1::2], strict=True)
    ]


def _change(before: Array | float, now: Array | float) -> Array:
    """Return the changes; 0 where only rounding makes a difference."""
    first, second = np.asarray(before), np.asarray(now)
    is_none = np.abs(second - first) <= _ROUNDING * np.maximum(np.abs(first), np.abs(second))
    return np.where(is_none, 0.0, second - first)


def _columns(calls: Array, ranked: Array | float, mean: Array) -> Array:
    """Return the metrics in their order."""
    rest = np.asarray(ranked)
    return np.column_stack((calls, rest[:, 0], mean, rest[:, 1:]))


def _ranked(before: Figures, now: Figures, confidence: float) -> Limited:
    """Return the changes of the error rate and of the percentiles, with limits, one column each."""
    ratios = difference_limits(before.error_ratio(confidence), now.error_ratio(confidence))
    quantiles = difference_limits(before.quantiles(confidence), now.quantiles(confidence))
    return Limited(*(np.column_stack(pair) for pair in zip(ratios, quantiles, strict=True)))


def _absence(before: Figures, now: Figures) -> Array:
    """Return p values of groups that only one side has; 1 for others."""
    p_value = np.ones(before.groups)
    for side, other in ((before, now), (now, before)):
        only = (side.trace_count > 0) & (other.trace_count == 0)
        p_value[only] = weighted_absence_probability(
            side.weight[only], side.square[only], side.total_weight, other.n_at_lowest_rate
        )
    return p_value
