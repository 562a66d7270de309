"""Identical reads that a cache could have answered, and what they cost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.attributes import Codes, join, pick
from tracekit.forest import visible_parents
from tracekit.schema import Kind, Quality
from tracekit.stats.grouping import dense_codes, group_rows, sum_by

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.analysis.siblings import Siblings
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_SECOND_NS: Final = 1_000_000_000
_STATEMENT: Final = ("db.query.text", "db.statement")
_READS: Final = re.compile(r"(?is)^\s*(?:select|get|mget|hget\w*|hmget|find|query|scan|exists)\b(?!.*\bfor\s+update\b)")
_HOLES: Final = re.compile(r"\?|\$\d|%s|%\(|(?<![\w:]):[a-z_]|<\w+>|@p?\d")  # values that the text leaves out
_METHODS: Final = ("GET", "HEAD")


def cacheable(traces: TraceSet, found: Siblings, usd: Array, ttl_s: float) -> pd.DataFrame:
    """Return the reads that were made with equal arguments within some time, and what a cache would have saved.

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
    pandas.DataFrame
        One row per caller and callee with such reads, the largest saving first; see ``Cost.cacheable``.

    Notes
    -----
    Reads are equal if their full text is: the statement of a query without placeholders, or the URL of a GET or HEAD.
    The cache is shared by all instances, and emptied every ``ttl_s``, so that the first read in each such period is a
    miss.

    Examples
    --------
    >>> from tracekit.analysis.siblings import siblings
    >>> len(cacheable(shop, siblings(shop), np.zeros(len(shop.spans)), 60))
    0
    """
    text = _texts(traces)
    spans = traces.columns.spans
    known = (text.codes >= 0) & ~traces.is_error & ((spans.quality & Quality.NO_START) == 0)
    row = np.sort(found.row[known[found.row]])
    names = {name: traces.codes(name).take(row) for name in ("service_name", "operation")}
    names["callee_service"] = found.callee.take(row)
    group, keys = group_rows(names, len(row))
    period = spans.start_ns[row] // max(int(ttl_s * _SECOND_NS), 1)
    read, reads = dense_codes(group * max(len(text.labels), 1) + text.codes[row], max(len(keys) * len(text.labels), 1))
    order = np.lexsort((spans.start_ns[row], period, read))
    is_hit = np.zeros(len(row), bool)
    is_hit[order[1:]] = (np.diff(read[order]) == 0) & (np.diff(period[order]) == 0)
    weight = traces.weights.value[traces.forest.trace[row]]
    calls, hits, cost, saved = (
        sum_by(group, weight * value, len(keys)) for value in (1.0, is_hit, usd[row], usd[row] * is_hit)
    )
    table = keys.assign(
        call_count=calls,
        distinct_count=np.bincount(reads // max(len(text.labels), 1), minlength=len(keys)),
        hit_ratio=np.divide(hits, calls, out=np.zeros(len(keys)), where=calls > 0),
        usd=cost,
        saved_usd=saved,
    )
    table = table[table["saved_usd"] > 0]
    return table.sort_values("saved_usd", ascending=False, kind="stable", ignore_index=True)


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
