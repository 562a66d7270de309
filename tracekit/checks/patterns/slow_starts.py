"""Slow starts: the first requests of instances that were started during the recording take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.patterns.occurrences import Occurrences, Pattern
from tracekit.checks.patterns.one_at_a_time import instances
from tracekit.checks.patterns.process_times import avoidable_ns, process_times
from tracekit.stats.grouping import group_rows
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_LATER: Final = 0.05  # of the recording before the first request of an instance: it is new
_FIRST: Final = 5  # requests of an instance that may be slow
_FEWEST: Final = 20  # later requests of the new instances of a service
_SLOWER: Final = 2.0  # times the later ones
_P: Final = 0.001  # for all services together
_GRAIN_NS: Final = 1000  # added before logarithms: shorter times are alike


def _detect(case: Case) -> Occurrences:
    """Return the first requests of new instances; the cost is the part of their self time beyond later ones."""
    own = case.result(process_times)
    instance = instances(case)
    row = np.flatnonzero((own > 0) & (instance.codes >= 0))
    frame = _requests(case, own, row, instance.codes[row])
    found, factors = [np.zeros(0, np.int64)], [np.zeros(0)]
    services = frame[frame["is_new"]].groupby("service")
    for _, mine in services:
        factor = _factor(mine, _P / max(len(services), 1))
        if factor >= _SLOWER:
            first = mine.loc[mine["rank"] < _FIRST, "row"].to_numpy(np.int64)
            found.append(first)
            factors.append(np.full(len(first), factor))
    at, times = np.concatenate(found), np.concatenate(factors)
    return Occurrences(at, at, own[at], avoidable_ns(case, at, times))


def _requests(case: Case, own: Array, row: Array, instance: Array) -> pd.DataFrame:
    """Return the spans with the rank of their request on their instance, and whether the instance is new."""
    traces, spans = case.traces, case.traces.columns.spans
    operation, _ = group_rows({name: traces.codes(name).take(row) for name in OPERATION}, len(row))
    took = pd.Series(np.log(own[row] + _GRAIN_NS))
    frame = pd.DataFrame(
        {
            "row": row,
            "service": traces.codes("service_name").codes[row],
            "instance": instance,
            "trace": traces.forest.trace[row],
            "start": spans.start_ns[row],
            "took": took - took.groupby(operation).transform("median"),
        }
    ).sort_values(["start", "row"], kind="stable")
    by = ["service", "instance"]
    begun = frame.groupby(by)["start"].transform("min")
    low, high = (frame["start"].min(), frame["start"].max()) if len(frame) else (0, 0)
    first_of_trace = ~frame.duplicated([*by, "trace"])
    rank = first_of_trace.groupby([frame[name] for name in by]).cumsum() - 1
    return frame.assign(is_new=begun > low + _LATER * (high - low), rank=rank)


def _factor(mine: pd.DataFrame, level: float) -> float:
    """Return how many times as long the first requests of new instances take as later ones; 0 if that is chance."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - slow to import, and needed only here

    each = mine.groupby(["instance", "trace"]).agg(took=("took", "mean"), rank=("rank", "min"))
    first, later = each.loc[each["rank"] < _FIRST, "took"], each.loc[each["rank"] >= _FIRST, "took"]
    if len(later) < _FEWEST or len(first) < _FIRST:
        return 0.0
    is_slow = mannwhitneyu(first, later, alternative="greater").pvalue <= level
    return float(np.exp(first.median() - later.median())) if is_slow else 0.0


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which service starts slowly."""
    return (
        f"Slow starts: the first requests of new instances of {clean(row['service_name'], limit=80)} take longer, "
        f"{clean(row['operation'], limit=80)} {duration(row['size_p50'])} of self time (median),"
    )


SLOW_STARTS: Final = Pattern(
    "patterns.slow_starts",
    _detect,
    _say,
    remedy="Warm instances up before they receive traffic (readiness, caches, connections), or shift traffic slowly.",
    method=(
        "Self times of the first five requests of instances that begin during the recording, tested by ranks against"
        " their later ones at p <= 0.001 for all services together, at least twice as long; cost: the part beyond."
    ),
)
