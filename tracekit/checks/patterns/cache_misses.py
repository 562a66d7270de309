"""Cache misses: requests that read a cache and then, only in some cases, another source as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import join
from tracekit.checks.patterns.occurrences import MATTERS, Pattern, call_of, caller_of, kinds
from tracekit.checks.patterns.paths import path_ns
from tracekit.checks.patterns.repeated import neighbours, repeated
from tracekit.checks.patterns.sums import Occurrences, pairs_of
from tracekit.stats.grouping import dense_codes, sum_by
from tracekit.text import clean, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_FEWEST: Final = 5  # spans with and without a miss
_ALWAYS: Final = 0.98  # of the spans that read the cache also call the other source: that is no miss
_CACHE: Final = re.compile(r"(?i)redis|valkey|memcache|keydb|dragonfly|hazelcast|infinispan|elasticache|\bcache\b")
_WRITES: Final = re.compile(
    r"(?i)\b(?:m?set(?:ex|nx)?|h?m?set|del|unlink|expire|incr\w*|decr\w*|[lrzs](?:push|add|rem)|publish|flush\w*"
    r"|insert|update|delete|merge|replace|put|patch|add|evict|invalidate)\b"
)


class _Misses(NamedTuple):
    """Misses, one entry each: the span that reads, its call of the cache and the one after it, and the hit ratio."""

    caller: Array
    cache: Array
    other: Array
    hit_ratio: Array


def _detect(case: Case) -> Occurrences:
    """Return the calls after a miss; the cost is their time on the critical path."""
    found, took = case.result(_misses), case.traces.duration_ns
    cost = path_ns(case)[found.other]
    return Occurrences(found.caller, found.other, took[found.other], cost, _reads(case, found))


def _reads(case: Case, found: _Misses) -> Codes:
    """Return the reads of the cache in words: operation and callee."""
    names = (case.traces.codes("operation"), case.result(repeated).callee)
    return join([one.take(found.cache) for one in names])


def _misses(case: Case) -> _Misses:
    """Return the reads of a cache after which a slower read follows, in some spans and not in others."""
    is_cache, is_read = _kinds(case)
    pairs = case.result(neighbours)
    at = is_cache[pairs.first] & is_read[pairs.first] & ~is_cache[pairs.second] & is_read[pairs.second]
    caller, cache, other = (one[at] for one in pairs)
    if not len(caller):  # most recordings: the rest is expensive
        return _Misses(caller, cache, other, np.zeros(0))
    found, kind = case.result(repeated), case.result(kinds)
    size = len(kind.names)
    way, names = dense_codes(kind.by_row[cache] * size + kind.by_row[other], size**2)
    count, reads, others = np.bincount(way), names // size, names % size
    took = pd.DataFrame({"cache": case.traces.duration_ns[cache], "other": case.traces.duration_ns[other]})
    median = took.groupby(way).median()
    readers = np.bincount(kind.by_group, minlength=size)[reads]
    both = _with_both(found.parent, kind.by_group, reads, others, count >= _FEWEST)
    is_miss = (count >= _FEWEST) & (readers - both >= _FEWEST) & (both <= _ALWAYS * readers)
    is_miss &= (median["other"] > median["cache"]).to_numpy()
    hit_ratio = 1 - count / sum_by(kind.by_group, found.call_count, size)[reads]
    is_miss = is_miss[way]
    return _Misses(caller[is_miss], cache[is_miss], other[is_miss], hit_ratio[way][is_miss])


def _with_both(parent: Array, kind: Array, reads: Array, others: Array, wanted: Array) -> Array:
    """Return how many spans make both of two calls, for each pair of wanted calls."""
    calls = pd.DataFrame({"parent": parent, "kind": kind})
    first = calls[np.isin(kind, reads[wanted])].merge(calls[np.isin(kind, others[wanted])], on="parent")
    size = first.groupby(["kind_x", "kind_y"]).size()
    return size.reindex(pd.MultiIndex.from_arrays([reads, others]), fill_value=0).to_numpy()


def _kinds(case: Case) -> tuple[Array, Array]:
    """Return which spans call a cache, by its system or name, and which read, by their operation."""
    traces = case.traces
    is_cache = np.zeros(len(traces.columns.spans), bool)
    for codes in (traces.codes("db_system_name"), case.result(repeated).callee):
        is_cache |= _matching(codes, _CACHE)[codes.codes]
    operation = traces.codes("operation")
    return is_cache, ~_matching(operation, _WRITES)[operation.codes]


def _matching(codes: Codes, pattern: re.Pattern[str]) -> Array:
    """Return which labels match; false for missing."""
    return np.array([pattern.search(label) is not None for label in codes.labels] + [False])


def _with_hits(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of hits: ``hit_ratio``."""
    found = case.result(_misses)
    group, keys = pairs_of(case, found.caller, found.other, _reads(case, found))
    first = np.unique(group, return_index=True)[1]
    return table.merge(keys.assign(hit_ratio=found.hit_ratio[first]), how="left")


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which cache misses, and what is called then."""
    return (
        f"Cache misses: {caller_of(row)} reads {clean(row['detail'], limit=80)} with a hit ratio of "
        f"{ratio(row['hit_ratio'])}, and calls {call_of(row)} after a miss ({duration(row['size_p50'])}, median),"
    )


CACHE_MISSES: Final = Pattern(
    "patterns.cache_misses",
    _detect,
    _say,
    remedy="Raise the hit ratio: a longer time to live, a larger cache, warming, one request for equal misses at once.",
    method=(
        "A read of a cache (by db.system.name or the name of the callee) and a slower read after it, in some spans of"
        " an operation and not in others; cost: the calls after misses on the critical path."
    ),
    complete=_with_hits,
    matters=lambda table: table["cost_ratio"] >= MATTERS,
    whole="it needs the medians of all reads",
)
