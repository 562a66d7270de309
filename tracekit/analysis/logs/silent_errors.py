"""Error spans without a log line; the counts of parts add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.analysis.logs.match import found_in
from tracekit.attributes import Codes
from tracekit.frames import hexes

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracekit.analysis.logs.match import Matched
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

KEYS = ["service_name", "operation"]
_EXEMPLARS = ["exemplar_trace_id", "exemplar_span_id"]


@dataclass(frozen=True, eq=False)
class JoinedLines:
    """What log lines were joined to: error spans, and traces; 28 bytes each.

    Parameters
    ----------
    trace_hi, trace_lo, span_id
        Ids of the trace and the span; ``span_id`` 0 for no span.
    service
        Service of a line without a span.
    """

    trace_hi: Array
    trace_lo: Array
    span_id: Array
    service: Codes

    @classmethod
    def of(cls, traces: TraceSet, match: Matched, service: Codes) -> JoinedLines:
        """Return what lines with these services were joined to, each once, but for spans that are no errors."""
        spans, has_span = traces.columns.spans, match.span >= 0
        span_id = np.append(spans.span_id, np.uint64(0))[match.span]
        is_told = np.where(has_span, np.isin(span_id, spans.span_id[traces.is_error]), service.codes >= 0)
        rows = np.flatnonzero(is_told & (match.trace >= 0))
        keys = np.where(has_span, -1, service.codes)[rows], span_id[rows], match.trace[rows]
        order = np.lexsort(keys)
        is_new = np.ones(len(rows), bool)
        is_new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
        code, span_id, trace = (key[order][is_new] for key in keys)
        first = traces.forest.starts[trace]
        return cls(spans.trace_hi[first], spans.trace_lo[first], span_id, Codes(code.astype(np.int32), service.labels))

    def __call__(self, traces: TraceSet) -> pd.DataFrame:
        """Return the error spans of some traces: those of a part."""
        return error_spans(traces, self)


def error_spans(traces: TraceSet, lines: JoinedLines) -> pd.DataFrame:
    """Return the error spans by operation, and how many of them have no log line.

    Parameters
    ----------
    traces
        The traces.
    lines
        What lines were joined to, in these or other traces.  A line without a span counts for all spans of its service
        in the trace.

    Returns
    -------
    pandas.DataFrame
        One row per service and operation with error spans: ``error_span_count``, ``without_log_count``,
        ``exemplar_trace_id`` and ``exemplar_span_id`` of the first span without a line.
    """
    spans, starts = traces.columns.spans, traces.forest.starts[:-1]
    inferred, owner = traces.is_inferred, traces.forest.trace.astype(np.int64)
    rows = np.flatnonzero(traces.is_error & ~inferred)
    names = traces.codes("service_name")
    trace = found_in((spans.trace_hi[starts], spans.trace_lo[starts]), (lines.trace_hi, lines.trace_lo))
    mine = trace >= 0
    trace, span_id = trace[mine], lines.span_id[mine]
    known = np.flatnonzero(~inferred)
    named = span_id != 0
    wanted = trace[named].astype(np.uint64), span_id[named]
    at = found_in((owner[known].astype(np.uint64), spans.span_id[known]), wanted)
    has_line = np.zeros(len(spans), bool)
    has_line[known[at[at >= 0]]] = True
    number = {label: code for code, label in enumerate(names.labels)}
    codes = np.array([*(number.get(label, -1) for label in lines.service.labels), -1], np.int64)
    code = codes[lines.service.codes[mine][~named]]
    pairs = np.unique((trace[~named] * len(names.labels) + code)[code >= 0])
    own = owner[rows] * max(len(names.labels), 1) + names.codes[rows]
    is_logged = has_line[rows] | np.isin(own, pairs)
    table = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(object) for name in KEYS})
    first = spans.trace_hi[rows], spans.trace_lo[rows]
    table = table.assign(error_span_count=1, without_log_count=(~is_logged).astype(np.int64))
    ids = {"exemplar_trace_id": hexes(*first), "exemplar_span_id": hexes(spans.span_id[rows])}
    return added(table.assign(**{name: pd.Series(each, dtype=object).mask(is_logged) for name, each in ids.items()}))


def added(*tables: pd.DataFrame) -> pd.DataFrame:
    """Return the sums of ``error_spans`` of parts, with the exemplar of the first trace."""
    table = pd.concat([one for one in tables if len(one)] or [tables[0]], ignore_index=True)
    table = table.sort_values("exemplar_trace_id", kind="stable")
    groups = table.groupby(KEYS, dropna=False, sort=True)
    sums = groups[["error_span_count", "without_log_count"]].sum().astype(np.int64)
    found = sums.join(groups[_EXEMPLARS].first()).reset_index()
    return found.astype(dict.fromkeys([*KEYS, *_EXEMPLARS], object))


def silent_errors(table: pd.DataFrame, logging: Collection[str | None]) -> pd.DataFrame:
    """Return the error spans of all traces by operation, those with most spans without a line first.

    Parameters
    ----------
    table
        The result of ``error_spans``, or of ``added``.
    logging
        Services with any line.

    Returns
    -------
    pandas.DataFrame
        The same with ``has_lines``: the service has any line.
    """
    named = [name if isinstance(name, str) else None for name in table["service_name"]]
    exemplars = {name: table[name].astype(object).where(table[name].notna(), None) for name in _EXEMPLARS}
    found = table.drop(columns=_EXEMPLARS).assign(has_lines=np.array([name in logging for name in named], bool))
    found = found.assign(**exemplars)
    return found.sort_values("without_log_count", ascending=False, kind="stable", ignore_index=True)
