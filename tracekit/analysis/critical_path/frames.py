"""The tables of a critical path: spans, segments of self time, requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit import frames
from tracekit.analysis.clock_skew.result import offsets_table
from tracekit.analysis.critical_path.hops import hops_of, resting_ns, unexplained_ns
from tracekit.analysis.critical_path.kernel import segments
from tracekit.analysis.critical_path.keys import MISSING, NO_SPAN
from tracekit.analysis.critical_path.tree import walks
from tracekit.analysis.waiting import Waiting
from tracekit.completeness import orphan_counts, root_counts
from tracekit.on_demand import pd

if TYPE_CHECKING:
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array


def spans_of(path: CriticalPath) -> pd.DataFrame:
    """Return one row per span and one per missing-parent node; see ``CriticalPath.spans``."""
    tree, look, forest = path.tree, path.source.lookup, path.source.forest
    wanted = ["trace_id", "span_id", "service_name", "operation"]
    columns = pd.DataFrame({name: frames.span_column(look, forest, name) for name in wanted})
    if len(tree) > tree.span_count:
        missing = np.where(tree.is_virtual, NO_SPAN, MISSING)
        names = frames.hexes(tree.behind_id).astype(object)
        names[tree.is_virtual] = ""
        behind = {
            "trace_id": np.array(path.source.trace_ids, object)[tree.trace[tree.span_count :]],
            "span_id": names,
            "service_name": missing,
            "operation": missing,
        }
        columns = pd.concat([columns.astype(object), pd.DataFrame(behind)], ignore_index=True)
        columns = columns.astype({"service_name": "category", "operation": "category"})
    reasons = pd.Index([reason.name.lower() for reason in Waiting])
    table = columns.assign(
        path_time_ns=path.own_ns,
        path_total_ns=path.total_ns,
        on_path=path.on_path,
        waiting=pd.Categorical.from_codes(tree.waiting, reasons),
        unexplained_ns=unexplained_ns(path),
    )
    table.index.name = "span_row"
    return table


def segments_of(path: CriticalPath, trace: int | None = None) -> pd.DataFrame:
    """Return one row per segment of self time on the path, of one trace or all; see ``CriticalPath.segments``."""
    parts = []
    for nodes, rows in walks(path.source, path.tree, touching=path.is_touching, trace=trace):
        span, low, high = segments(rows)
        parts.append((nodes[span], low, high))
    span, low, high = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else (_NONE,) * 3
    request = path.request[span]
    order = np.lexsort((low, request))
    table = {"request": request[order], "span_row": span[order], "start_ns": low[order], "end_ns": high[order]}
    return pd.DataFrame(table)


def requests_of(path: CriticalPath) -> pd.DataFrame:
    """Return one row per request; see ``CriticalPath.traces``."""
    tree, trace = path.tree, path.tree.trace[path.tree.root]
    moved, largest = np.zeros(len(path.source), np.int64), np.zeros(len(path.source), np.int64)
    if path.clocks is not None:
        moved = np.bincount(path.clocks.trace[path.clocks.offset_ns != 0], minlength=len(moved))
        np.maximum.at(largest, path.clocks.trace, np.abs(path.clocks.offset_ns))
    heads = path.spans.loc[tree.root, ["trace_id", "service_name", "operation"]].reset_index(drop=True)
    return pd.DataFrame(
        {
            "trace_id": heads["trace_id"],
            "root_row": tree.root,
            "root_service_name": heads["service_name"],
            "root_operation": heads["operation"],
            "start_ns": tree.start[tree.root],
            "latency_ns": path.latency_ns,
            "is_partial": path.is_partial,
            "orphan_count": orphan_counts(path.source.lookup, path.source.forest)[trace],
            "root_count": root_counts(path.source.forest)[trace],
            "moved_clock_count": moved[trace],
            "largest_offset_ns": largest[trace],
            "ambiguous_ns": resting_ns(path, hops_of(path)),
            "weight": path.weight,
        }
    )


def offsets_of(path: CriticalPath) -> pd.DataFrame:
    """Return the clocks that were corrected; see ``CriticalPath.offsets``."""
    names = ["trace_id", "host", "offset_ns", "low_ns", "high_ns", "evidence"]
    if path.clocks is None:
        return pd.DataFrame({name: pd.Series(dtype=object if name in names[:2] else "Int64") for name in names})
    return offsets_table(np.array(path.source.trace_ids, object), path.clocks.moved)


def slack_of(path: CriticalPath) -> pd.Series:
    """Return the slack of every span: how much later it could end without delaying its request.

    Order and gaps of all other spans are unchanged, as in ``what_if``. The slacks of two spans of one request cannot be
    used at the same time.
    """
    return series_of_awaited(path, "slack_ns", path.rerun.plan.slack(len(path.tree)))


def series_of_awaited(path: CriticalPath, name: str, value: Array) -> pd.Series:
    """Return one number per node as Int64, one row per row of ``spans``, missing for asynchronous spans."""
    outside = np.ones(len(path.tree), bool)
    outside[path.rerun.plan.node] = False
    found = pd.Series(value, dtype="Int64", name=name).mask(outside)
    found.index.name = "span_row"
    return found


_NONE = np.zeros(0, np.int64)
