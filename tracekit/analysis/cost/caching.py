"""Identical reads that a cache could have answered, and what they cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import largest_first
from tracekit.attributes import Codes, join, pick, text_hashes
from tracekit.forest import visible_parents
from tracekit.schema import Kind, Quality
from tracekit.stats.aggregates import Aggregate
from tracekit.stats.grouping import group_codes, sum_by
from tracekit.stats.histograms import Histogram

if TYPE_CHECKING:
    from tracekit.analysis.siblings import Siblings
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_SECOND_NS: Final = 1_000_000_000
_ROUNDING: Final = 1e-12  # of the cost: a saving that is none
_STATEMENT: Final = ("db.query.text", "db.statement")
_READS: Final = re.compile(r"(?is)^\s*(?:select|get|mget|hget\w*|hmget|find|query|scan|exists)\b(?!.*\bfor\s+update\b)")
_HOLES: Final = re.compile(r"\?|\$\d|%s|%\(|(?<![\w:]):[a-z_]|<\w+>|@p?\d")  # values that the text leaves out
_METHODS: Final = ("GET", "HEAD")


class Reads(NamedTuple):
    """Outgoing reads in sums, and the first one of each text and period: the misses of a cache.

    Parameters
    ----------
    groups
        By caller and callee: weighted ``call_count`` and ``usd``.
    group, text, period
        Group, hash of the full text, and period of each miss; sorted.
    start_ns, trace_hi, trace_lo, place
        When it was and in which trace, by which the first one is chosen.
    weight, usd
        Its weight, and what it costs with all spans below it, weighted.
    """

    groups: Aggregate
    group: Array
    text: Array
    period: Array
    start_ns: Array
    trace_hi: Array
    trace_lo: Array
    place: Array
    weight: Array
    usd: Array

    def __add__(self, other: Reads) -> Reads:  # type: ignore[override]  # not that of a tuple
        """Return the reads of both."""
        both = Aggregate.concatenate([self.groups, other.groups])
        number, _ = both.groups(list(both.keys))
        group = np.concatenate([number[self.group], number[len(self.groups) + other.group]])
        columns = (np.concatenate(pair) for pair in zip(self[2:], other[2:], strict=True))
        return _first_of_each(both.by(list(both.keys)), group, *columns)


def _first_of_each(
    groups: Aggregate, group: Array, text: Array, period: Array, *more: Array, is_by_id: bool = False
) -> Reads:
    """Return the first read of each group, text and period; ``is_by_id``: they are in the order of trace and span."""
    start, hi, lo, place = more[:4]
    order = np.lexsort((*(() if is_by_id else (place, lo, hi)), start, period, text, group))
    is_first = np.zeros(len(order), bool)
    is_first[:1] = True
    for key in (group, text, period):
        is_first[1:] |= key[order][1:] != key[order][:-1]
    chosen = order[is_first]
    return Reads(groups, *(column[chosen] for column in (group, text, period, *more)))


def tabulate_reads(traces: TraceSet, found: Siblings, usd: Array, ttl_s: float) -> Reads:
    """Return the additive tables behind ``Cost.cacheable`` for whole traces.

    Parameters
    ----------
    traces
        Any traces.
    found
        Their calls, by ``siblings``.
    usd
        What each span costs with all spans below it.
    ttl_s
        How long an answer is kept, in seconds.

    Returns
    -------
    Reads
        As many entries as there are texts and periods.

    Notes
    -----
    Reads are equal if their full text is: the statement of a query without placeholders, or the URL of a GET or HEAD.
    The cache is shared by all instances, and emptied every ``ttl_s``, so that the first read in each such period is a
    miss.

    Examples
    --------
    >>> from tracekit.analysis.siblings import siblings
    >>> len(cacheable(tabulate_reads(shop, siblings(shop), np.zeros(len(shop.spans)), 60)))
    0
    """
    text, spans = _texts(traces), traces.columns.spans
    known = (text.codes >= 0) & ~traces.is_error & ((spans.quality & Quality.NO_START) == 0)
    row = np.sort(found.row[known[found.row]])
    names = {name: traces.codes(name).take(row) for name in ("service_name", "operation")}
    names["callee_service"] = found.callee.take(row)
    group, keys = group_codes(names, len(row))
    count, trace = int(group.max(initial=-1)) + 1, traces.forest.trace[row]
    weight = traces.weights.value[trace]
    sums = {"call_count": sum_by(group, weight, count), "usd": sum_by(group, weight * usd[row], count)}
    table = Aggregate(keys, sums, Histogram.empty())
    number, _ = table.groups(list(keys))
    return _first_of_each(
        table.by(list(keys)),
        number[group],
        text_hashes(text)[row],
        spans.start_ns[row] // max(int(ttl_s * _SECOND_NS), 1),
        spans.start_ns[row],
        spans.trace_hi[row],
        spans.trace_lo[row],
        row - traces.forest.starts[trace],
        weight,
        weight * usd[row],
        is_by_id=True,
    )


def cacheable(reads: Reads) -> pd.DataFrame:
    """Return ``Cost.cacheable``: one row per caller and callee whose reads a cache could have answered."""
    groups, sums = len(reads.groups), reads.groups.sums
    calls, cost = sums["call_count"], sums["usd"]
    hits, saved = calls - sum_by(reads.group, reads.weight, groups), cost - sum_by(reads.group, reads.usd, groups)
    saved[saved <= _ROUNDING * cost] = 0.0
    is_new = np.ones(len(reads.group), bool)
    is_new[1:] = (np.diff(reads.group) != 0) | (reads.text[1:] != reads.text[:-1])
    table = pd.DataFrame(reads.groups.keys, index=pd.RangeIndex(groups), dtype=object).assign(
        call_count=calls,
        distinct_count=np.bincount(reads.group[is_new], minlength=groups),
        hit_ratio=np.divide(hits, calls, out=np.zeros(groups), where=calls > 0),
        usd=cost,
        saved_usd=saved,
    )
    table = table[table["saved_usd"] > 0]
    return largest_first(table, "saved_usd")


def _texts(traces: TraceSet) -> Codes:
    """Return the full text of every outgoing read; missing for other spans and for texts without their values."""
    look = traces.lookup
    statement = look.by_key.codes_of(_STATEMENT)
    is_full = [_READS.search(label) is not None and _HOLES.search(label) is None for label in statement.labels]
    statement = _only(statement, np.array([*is_full, False])[statement.codes])
    method, url = traces.codes("http_request_method"), traces.codes("url_full")
    is_read = np.array([label.upper() in _METHODS for label in method.labels] + [False])[method.codes]
    above = visible_parents(traces.forest.parent_row, traces.is_inferred)
    is_call = (traces.columns.spans.kind == Kind.CLIENT) & (above >= 0)
    database = join([statement, traces.codes("db_namespace")], " in ")
    text = pick([database, _only(url, is_read)])[0]
    return _only(text, is_call)


def _only(codes: Codes, where: Array) -> Codes:
    """Return the codes with missing ones elsewhere."""
    return Codes(np.where(where, codes.codes, -1), codes.labels)
