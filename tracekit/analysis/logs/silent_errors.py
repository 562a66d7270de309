"""Error spans without a log line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

KEYS = ["service_name", "operation"]


def silent_errors(traces: TraceSet, service: pd.Categorical, trace: Array, span: Array) -> pd.DataFrame:
    """Return the error spans by operation, and how many of them have no log line.

    Parameters
    ----------
    traces
        The traces.
    service, trace, span
        Service of each line, and the trace and span that it was joined to (-1 = none).  A line that names only the
        trace counts for all spans of its service in it.

    Returns
    -------
    pandas.DataFrame
        One row per service and operation with error spans, those with most spans without a line first:
        ``error_span_count``, ``without_log_count``, ``has_lines`` (the service has any line), ``exemplar_trace_id`` and
        ``exemplar_span_id`` of the first span without a line.
    """
    rows = np.flatnonzero(traces.is_error & ~traces.is_inferred)
    names = traces.codes("service_name")
    owner = traces.forest.trace.astype(np.int64)
    has_line = np.zeros(len(traces.columns.spans), bool)
    has_line[span[span >= 0]] = True
    known = {label: code for code, label in enumerate(names.labels)}
    of_line = np.array([*(known.get(str(label), -1) for label in service.categories), -1], np.int64)[service.codes]
    wide = np.flatnonzero((trace >= 0) & (span < 0) & (of_line >= 0))
    pairs = np.unique(trace[wide] * len(names.labels) + of_line[wide])
    mine = owner[rows] * max(len(names.labels), 1) + names.codes[rows]
    is_logged = has_line[rows] | np.isin(mine, pairs)
    logging = np.union1d(of_line[of_line >= 0], names.codes[span[span >= 0]])
    table = pd.DataFrame({name: traces.codes(name).take(rows).series().astype(object) for name in KEYS})
    table = table.assign(without=~is_logged, row=rows, has_lines=np.isin(names.codes[rows], logging))
    groups = table.groupby(KEYS, dropna=False, sort=True)
    found = groups.agg(
        error_span_count=("row", "size"), without_log_count=("without", "sum"), has_lines=("has_lines", "any")
    )
    first = table[table["without"]].groupby(KEYS, dropna=False, sort=True)["row"].first()
    found = found.join(first.rename("row")).reset_index()
    at = found.pop("row").fillna(-1).astype(np.int64)
    found["exemplar_trace_id"] = [traces.trace_ids[owner[one]] if one >= 0 else None for one in at]
    found["exemplar_span_id"] = [f"{int(traces.columns.spans.span_id[one]):016x}" if one >= 0 else None for one in at]
    return found.sort_values("without_log_count", ascending=False, kind="stable", ignore_index=True)
