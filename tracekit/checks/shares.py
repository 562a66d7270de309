"""Shares of events that add up over parts, with intervals clustered by trace, and the first traces with an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.latency import class_column
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes
from tracekit.stats.histograms import Histogram
from tracekit.stats.intervals import cluster_sums
from tracekit.stats.weighted_rates import rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.stats.intervals import Ratio

_EXAMPLES = 5


class Shares(NamedTuple):
    """Weighted shares of events by group, with the recorded numbers of trials and events."""

    keys: dict[str, Array]
    ratio: Ratio
    trial_count: Array
    event_count: Array


class Events(NamedTuple):
    """Trials and events of all groups together and by group, and the first traces with an event.

    Parameters
    ----------
    whole, by_group
        As ``share_sums`` returns them.  A trace may be in several groups, so that these do not add up to the whole.
    examples
        Ids of traces with an event.
    """

    whole: Aggregate
    by_group: Aggregate
    examples: tuple[str, ...]

    def plus(self, other: Events) -> Events:
        """Return those of two parts."""
        return Events(
            added(self.whole, other.whole),
            added(self.by_group, other.by_group),
            first_of(self.examples, other.examples),
        )

    @property
    def trial_count(self) -> int:
        """Number of all trials."""
        return int(self.whole.sums["trial_count"].sum())

    @property
    def event_count(self) -> int:
        """Number of all events."""
        return int(self.whole.sums["event_count"].sum())


def events_of(case: Case, trace: Array, is_event: Array, columns: Mapping[str, tuple[Array, Sequence[Any]]]) -> Events:
    """Return trials and events of a part by some columns of the trials."""
    return Events(
        share_sums(case, trace, is_event, {}),
        share_sums(case, trace, is_event, columns),
        first_traces(case, trace[is_event]),
    )


def share_sums(
    case: Case, trace: Array, is_event: Array, columns: Mapping[str, tuple[Array, Sequence[Any]]]
) -> Aggregate:
    """Return sums over the traces of a part, by some columns of the trials and by weight class."""
    group, keys = group_codes({**columns, **class_column(case.traces, trace)}, len(trace))
    groups = int(group.max(initial=-1)) + 1
    sums = cluster_sums(group, trace, is_event, case.traces.weights.value, groups)
    sums["event_count"] = np.bincount(group[is_event], minlength=groups)
    return Aggregate(keys, sums, Histogram.empty()).by(list(keys))


def added(first: Aggregate, second: Aggregate) -> Aggregate:
    """Return the sums of two tables by their keys."""
    return Aggregate.concatenate([first, second]).by(list(first.keys))


def shares_of(case: Case, sums: Aggregate, by: Sequence[str] = ()) -> Shares:
    """Return the shares of ``share_sums`` by the same columns, with the confidence level of the case."""
    total = sums.by(list(by))
    ratio = rates(sums.sums, sums.groups(list(by))[0], len(total), confidence=case.confidence)
    counts = (total.sums[name].astype(np.int64) for name in ("trial_count", "event_count"))
    return Shares(total.keys, ratio, *counts)


def first_traces(case: Case, trace: Array) -> tuple[str, ...]:
    """Return the ids of the first few of these traces of a part."""
    return case.exemplars(trace, _EXAMPLES)


def first_of(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first few ids of two parts, by id."""
    return tuple(sorted({*first, *second})[:_EXAMPLES])
