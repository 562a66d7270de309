"""Cache misses: requests that read a cache and then, only in some cases, another source as well."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import join
from tracekit.checks.merged import Merged
from tracekit.checks.patterns.occurrences import MATTERS, Pattern, call_of, caller_of
from tracekit.checks.patterns.paths import path_ns_of
from tracekit.checks.patterns.ranked import Valued, ranked
from tracekit.checks.patterns.repeated import called, neighbours, repeated
from tracekit.checks.patterns.sums import KEYS, Occurrences, labels_of, pairs_of, totals
from tracekit.checks.shares import added
from tracekit.stats.grouping import group_labels, positions, sum_by
from tracekit.text import clean, duration, ratio

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.stats.aggregates import Aggregate

_FEWEST: Final = 5  # spans with and without a miss
_ALWAYS: Final = 0.98  # of the spans that read the cache also call the other source: that is no miss
_NAMES: Final = [*KEYS, "detail"]
_READ: Final = ("caller_service", "caller_operation", "detail")
_CACHE: Final = re.compile(r"(?i)redis|valkey|memcache|keydb|dragonfly|hazelcast|infinispan|elasticache|\bcache\b")
_WRITES: Final = re.compile(
    r"(?i)\b(?:m?set(?:ex|nx)?|h?m?set|del|unlink|expire|incr\w*|decr\w*|[lrzs](?:push|add|rem)|publish|flush\w*"
    r"|insert|update|delete|merge|replace|put|patch|add|evict|invalidate)\b"
)


class _Reads(NamedTuple):
    """Reads of a cache with a read of another source after them, one entry each: rows, and what is read by whom.

    Parameters
    ----------
    caller, cache, other
        Rows of the span that reads, of its call of the cache, and of the one after it.
    way
        Number of the caller, the call of the cache and the call after it.
    keys
        Names of each of these: ``KEYS`` of caller and call after it, and ``detail``, the read of the cache.
    """

    caller: Array
    cache: Array
    other: Array
    way: Array
    keys: pd.DataFrame


def _reads(case: Case) -> _Reads:
    """Return the reads of a cache after which another read follows."""
    is_cache, is_read = _kinds(case)
    pairs = case.result(neighbours)
    at = is_cache[pairs.first] & is_read[pairs.first] & ~is_cache[pairs.second] & is_read[pairs.second]
    caller, cache, other = (one[at] for one in pairs)
    return _Reads(caller, cache, other, *pairs_of(case, caller, other, _names(case, cache)))


def _names(case: Case, row: Array) -> Codes:
    """Return calls in words: operation and callee."""
    return join([one.take(row) for one in (case.traces.codes("operation"), case.result(called))])


def _counted(case: Case) -> Aggregate:
    """Return how often each other read follows a read of a cache."""
    found = case.result(_reads)
    return totals(found.keys, {"count": np.bincount(found.way, minlength=len(found.keys))})


def _frequent(_: Case, found: Aggregate) -> pd.DataFrame:
    """Return those that are frequent enough."""
    table = pd.DataFrame({name: pd.Series(labels, dtype=object) for name, labels in found.keys.items()} | found.sums)
    return table[table["count"] >= _FEWEST].reset_index(drop=True)


_FREQUENT: Final[Merged[pd.DataFrame]] = Merged(_counted, added, _frequent)


def _uses(case: Case) -> Array:
    """Return calls of the cache, spans that read it, and those that also make the other call; a column of each way."""
    ways = case.result(_FREQUENT)
    if ways.empty:  # most recordings: the rest is expensive
        return np.zeros((3, 0))
    asked = labels_of(ways[_NAMES])
    (read, reads), (other, others) = (group_labels(asked, columns, len(ways)) for columns in (_READ, KEYS))
    calls = _calls(case, reads, others)
    made = calls[calls["read"] >= 0]
    readers = made[["parent", "read"]].drop_duplicates()
    both = readers.merge(calls.loc[calls["other"] >= 0, ["parent", "other"]].drop_duplicates(), on="parent")
    size, several = int(read.max()) + 1, int(other.max()) + 1
    number = sum_by(made["read"].to_numpy(), made["count"].to_numpy(), size)[read]
    reader = sum_by(readers["read"].to_numpy(), 1.0, size)[read]
    with_both = sum_by((both["read"] * several + both["other"]).to_numpy(), 1.0, size * several)
    return np.stack([number, reader, with_both[read * several + other]])


def _calls(case: Case, reads: dict[str, Array], others: dict[str, Array]) -> pd.DataFrame:
    """Return groups of equal calls: ``parent``, ``count``, and the numbers ``read`` and ``other`` (-1 for neither)."""
    found = case.result(repeated)
    first = found.row[found.first[:-1]]
    kind, keys = pairs_of(case, found.parent, first, _names(case, first))
    own = labels_of(keys)
    read, other = (positions(known, own, list(known))[kind] for known in (reads, others))
    return pd.DataFrame({"parent": found.parent, "read": read, "other": other, "count": found.call_count})


_USES: Final[Merged[Array]] = Merged(_uses, np.add, needs=(_FREQUENT,))


def _times_of_cache(case: Case) -> Valued:
    """Return how long the reads of the cache take."""
    found = case.result(_reads)
    return Valued(found.keys, found.way, np.maximum(case.traces.duration_ns[found.cache], 0))


def _times_after(case: Case) -> Valued:
    """Return how long the reads after them take."""
    found = case.result(_reads)
    return Valued(found.keys, found.way, np.maximum(case.traces.duration_ns[found.other], 0))


_CACHE_NS: Final = ranked(_times_of_cache, 0.5)
_OTHER_NS: Final = ranked(_times_after, 0.5)


def _misses(case: Case) -> pd.DataFrame:
    """Return which slower reads follow a read of a cache in some spans and not in others, with the ``hit_ratio``."""
    ways, (number, readers, both) = case.result(_FREQUENT), case.result(_USES)
    cache_ns, other_ns = (case.result(one).of(ways[_NAMES])[0] for one in (_CACHE_NS, _OTHER_NS))
    is_miss = (readers - both >= _FEWEST) & (both <= _ALWAYS * readers) & (other_ns > cache_ns)
    missed: pd.DataFrame = ways[_NAMES].assign(hit_ratio=1 - ways["count"] / number)[is_miss]
    return missed


def _detect(case: Case) -> Occurrences:
    """Return the calls after a miss; the cost is their time on the critical path."""
    found, known = case.result(_reads), labels_of(case.result(_misses)[_NAMES])
    at = (positions(known, labels_of(found.keys), _NAMES) >= 0)[found.way]
    caller, cache, other = found.caller[at], found.cache[at], found.other[at]
    return Occurrences(caller, other, case.traces.duration_ns[other], path_ns_of(case, other), _names(case, cache))


def _kinds(case: Case) -> tuple[Array, Array]:
    """Return which spans call a cache, by its system or name, and which read, by their operation."""
    traces = case.traces
    is_cache = np.zeros(len(traces.columns.spans), bool)
    for codes in (traces.codes("db_system_name"), case.result(called)):
        is_cache |= _matching(codes, _CACHE)[codes.codes]
    operation = traces.codes("operation")
    return is_cache, ~_matching(operation, _WRITES)[operation.codes]


def _matching(codes: Codes, pattern: re.Pattern[str]) -> Array:
    """Return which labels match; false for missing."""
    return np.array([pattern.search(label) is not None for label in codes.labels] + [False])


def _with_hits(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Add the share of hits: ``hit_ratio``."""
    return table.merge(case.result(_misses), how="left")


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
    needs=(_FREQUENT, _USES, _CACHE_NS, _OTHER_NS),
)
