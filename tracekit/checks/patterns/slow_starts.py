"""Slow starts: the first requests of instances that were started during the recording take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.one_at_a_time import instances
from tracekit.checks.patterns.process_times import avoidable_ns, process_times
from tracekit.checks.patterns.sums import Occurrences
from tracekit.stats.grouping import dense_codes, group_rows
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
    """Return the spans of services with new instances: the rank of their request, and whether the instance is new."""
    traces, start = case.traces, case.traces.columns.spans.start_ns[row]
    service = traces.codes("service_name").codes[row]
    is_new = _new(start, service, instance)
    has_new = np.isin(service, service[is_new])
    row, start, is_new = row[has_new], start[has_new], is_new[has_new]
    operation, _ = group_rows({name: traces.codes(name).take(row) for name in OPERATION}, len(row))
    took = pd.Series(np.log(own[row] + _GRAIN_NS))
    frame = pd.DataFrame(
        {
            "row": row,
            "service": service[has_new],
            "instance": instance[has_new],
            "trace": traces.forest.trace[row],
            "start": start,
            "took": took - took.groupby(operation).transform("median"),
            "is_new": is_new,
        }
    ).sort_values(["start", "row"], kind="stable")
    by = ["service", "instance"]
    first_of_trace = ~frame.duplicated([*by, "trace"])
    return frame.assign(rank=first_of_trace.groupby([frame[name] for name in by]).cumsum() - 1)


def _new(start: Array, service: Array, instance: Array) -> Array:
    """Return which spans are of an instance whose first one begins after the beginning of the recording."""
    if not len(start):
        return np.zeros(0, bool)
    low, high = int(start.min()), int(start.max())
    instances = int(instance.max()) + 1
    place, found = dense_codes(
        (service.astype(np.int64) + 1) * instances + instance, (int(service.max()) + 2) * instances
    )
    begun = np.full(len(found), high)
    np.minimum.at(begun, place, start)
    return np.asarray((begun > low + _LATER * (high - low))[place])


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
    whole="it ranks the first requests of an instance, in the order of their times",
)
