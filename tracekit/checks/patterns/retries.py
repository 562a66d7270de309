"""Retries: failed calls that the same span makes again, and retry storms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import HEAVY, MATTERS, Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.repeated import repeated, retried
from tracekit.checks.patterns.sums import KEYS, Occurrences, pairs_among, pairs_of, totals
from tracekit.checks.shares import added
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import positions, sum_by
from tracekit.stats.histograms import Histogram
from tracekit.stats.proportions import clopper_pearson
from tracekit.text import count, factor

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from tracekit.checks.case import Case

_AMPLIFIED: Final = 1.2  # attempts per call at least (95%): worth reporting whatever they cost
_OFTEN: Final = 0.05  # of the traces: rare retries are what retries are for
_STORM: Final = 1.5  # attempts per call at least (95%): a warning


def _detect(case: Case) -> Occurrences:
    """Return the calls with retries; the cost is that of failed attempts and of the pauses after them."""
    found, spans, again = case.result(repeated), case.traces.columns.spans, case.result(retried)
    failed = found.sum(again)
    group = np.flatnonzero(failed > 0)
    call = np.flatnonzero(np.repeat(failed > 0, found.call_count))
    row, owner = found.row[call], np.repeat(np.arange(len(group)), found.call_count[group])
    pause = np.zeros(len(row), np.int64)
    pause[:-1] = np.maximum(spans.start_ns[row[1:]] - spans.end_ns[row[:-1]], 0)
    on_path = path_ns_of(case, row)
    wasted = sum_by(owner, np.where(again[call] & (on_path > 0), on_path + pause, 0), len(group))
    return Occurrences(found.parent[group], found.row[found.first[group]], failed[group] + 1, wasted)


def _retried_pairs(case: Case) -> Aggregate:
    """Return the callers and callees with retries, and how many of their calls have some."""
    found = case.result(repeated)
    group = np.flatnonzero(found.sum(case.result(retried)) > 0)
    pair, keys = pairs_of(case, found.parent[group], found.row[found.first[group]])
    return totals(keys, {"retried": np.bincount(pair, minlength=len(keys))})


_RETRIED: Final[Merged[Aggregate]] = Merged(_retried_pairs, added)


def _attempts_by_pair(case: Case) -> Aggregate:
    """Return attempts and retries by caller and callee where there are retries, including the calls without one."""
    found, again, known = case.result(repeated), case.result(retried), case.result(_RETRIED).keys
    at, pair = pairs_among(case, found.parent, found.row[found.first[:-1]], known)
    weight = case.traces.weights.value[case.traces.forest.trace[found.parent[at]]]
    calls, failed = found.call_count[at], found.sum(again)[at]
    values = {"calls": calls, "failed": failed, "weighted_calls": weight * calls, "weighted_failed": weight * failed}
    sums = {name: sum_by(pair, each, len(known[KEYS[0]])) for name, each in values.items()}
    return Aggregate(known, sums, Histogram.empty())


_ATTEMPTS: Final[Merged[Aggregate]] = Merged(_attempts_by_pair, added, needs=(_RETRIED,))


def _with_attempts(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add attempts per call, including the calls without a retry: ``attempt_ratio``, and its lower 95% limit."""
    found = case.result(_ATTEMPTS)
    at = positions(found.keys, {name: table[name].to_numpy(object) for name in KEYS}, KEYS)
    sums = {name: each[at] for name, each in found.sums.items()}
    return table.assign(
        attempt_ratio=sums["weighted_calls"] / np.maximum(sums["weighted_calls"] - sums["weighted_failed"], 1e-300),
        attempt_ratio_low=1 / (1 - clopper_pearson(sums["failed"], sums["calls"]).low),
    )


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return who repeats which call how often."""
    return (
        f"Retries: {caller_of(row)} repeats failed calls of {call_of(row)}, {factor(row['attempt_ratio'])} as many "
        f"attempts as calls (at most {count(row['size_max'])} in one call),"
    )


RETRIES: Final = Pattern(
    "patterns.retries",
    _detect,
    _say,
    remedy="Limit retries (a budget, back-off with jitter, a circuit breaker), and fix the failing callee.",
    method="A failed call, and the same call by the same span after it; cost: failed attempts and pauses after them.",
    complete=_with_attempts,
    asks=(_ATTEMPTS,),
    matters=lambda table: (
        ((table["affected_ratio"] >= MATTERS) & (table["trace_ratio"] >= _OFTEN))
        | (table["attempt_ratio_low"] >= _AMPLIFIED)
    ),
    is_heavy=lambda table: (table["cost_ratio"] >= HEAVY) | (table["attempt_ratio_low"] >= _STORM),
)
