"""Stragglers: parallel calls of one operation, of which one takes much longer than all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import MATTERS, Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.repeated import repeated
from tracekit.checks.patterns.sums import Occurrences, pairs_of, totals
from tracekit.checks.shares import added
from tracekit.stats.grouping import sum_by
from tracekit.text import factor, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.stats.aggregates import Aggregate

_FEWEST: Final = 3  # parallel calls
_IN_SEQUENCE: Final = 0.2  # of the calls start when all earlier ones have ended, at most
_SLOWER: Final = 2.0  # times the second slowest
_OFTEN: Final = 0.1  # of the spans that make such calls have a straggler


def _parallel(case: Case) -> Array:
    """Return the groups of ``repeated`` that are parallel calls."""
    found = case.result(repeated)
    return np.flatnonzero((found.call_count >= _FEWEST) & (found.sum(found.follows) <= _IN_SEQUENCE * found.call_count))


def _detect(case: Case) -> Occurrences:
    """Return the parallel calls with a straggler; the cost is its time beyond the second slowest."""
    found, took, groups = case.result(repeated), case.traces.duration_ns, _parallel(case)
    is_parallel = np.zeros(len(found.parent), bool)
    is_parallel[groups] = True
    row = found.row[np.repeat(is_parallel, found.call_count)]
    count = found.call_count[groups]
    ordered = row[np.lexsort((took[row], np.repeat(groups, count)))]
    last = np.cumsum(count) - 1
    slowest, second = ordered[last], took[ordered[last - 1]]
    slower = took[slowest] / np.maximum(second, 1)
    at = slower >= _SLOWER
    cost = np.minimum(path_ns_of(case, slowest), took[slowest] - second)
    return Occurrences(found.parent[groups][at], slowest[at], slower[at], cost[at])


def _parallel_by_pair(case: Case) -> Aggregate:
    """Return how many spans make parallel calls, by caller and callee."""
    found, groups = case.result(repeated), _parallel(case)
    pair, keys = pairs_of(case, found.parent[groups], found.row[found.first[groups]])
    return totals(keys, {"parallel_count": sum_by(pair, 1.0, len(keys))})


_PARALLEL: Final[Merged[Aggregate]] = Merged(_parallel_by_pair, added)


def _with_share(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of spans with parallel calls that have a straggler: ``straggler_ratio``."""
    every = case.result(_PARALLEL)
    merged = table.merge(pd.DataFrame(every.keys | every.sums), how="left")
    return merged.assign(straggler_ratio=merged["occurrence_count"] / merged["parallel_count"])


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return how often one of the calls is much slower."""
    return (
        f"Stragglers: of the parallel calls of {caller_of(row)} to {call_of(row)}, one takes "
        f"{factor(row['size_p50'])} as long as the second slowest in {ratio(row['straggler_ratio'])} of cases,"
    )


STRAGGLERS: Final = Pattern(
    "patterns.stragglers",
    _detect,
    _say,
    remedy="Find out what the slow calls have in common (shard, host, key); hedge requests or answer without the last.",
    method="At least 3 parallel calls, the slowest at least twice the second slowest; cost: the time beyond that.",
    complete=_with_share,
    asks=(_PARALLEL,),
    matters=lambda table: (table["affected_ratio"] >= MATTERS) & (table["straggler_ratio"] >= _OFTEN),
)
