"""What to see in the waterfall of a trace: what its request waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from tracekit.analysis.clock_skew.parts import OffsetsById
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.checks.names import WAITS, place_of
from tracekit.findings import Finding
from tracekit.text import duration, plural, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.result import CriticalPath

_COLUMNS: Final = [*WAITS, "call_count", "path_time_ns", "share_ratio"]


def request_figures(path: CriticalPath, trace_ids: Sequence[str]) -> dict[str, Finding]:
    """Return the largest part of the critical path of each of these traces, by trace id; without a path, none."""
    if not trace_ids:
        return {}
    ids = pd.Index(path.source.trace_ids, name="trace_id")
    chosen = path.source.where(pd.Series(ids.isin(trace_ids), ids))
    table = critical_path(chosen.with_weights(1), skew=_offsets(path) or "off").by(["trace_id", *WAITS])
    table = table[table["path_time_ns"] > 0].assign(call_count=lambda rows: rows["calls_per_request"])
    found = {}
    for trace_id, rows in table.groupby("trace_id", sort=False):
        total = float(rows["path_time_ns"].sum())
        own = rows.assign(share_ratio=rows["path_time_ns"] / total).sort_values(
            "path_time_ns", ascending=False, kind="stable"
        )
        found[str(trace_id)] = _finding(str(trace_id), own, total)
    return found


def _offsets(path: CriticalPath) -> OffsetsById | None:
    """Return the clock offsets that the whole recording proves, by trace id; None without any."""
    if path.clocks is None:
        return None
    spans, first = path.source.columns.spans, path.source.forest.starts[:-1]
    return OffsetsById(list(path.clocks.clock.labels), spans.trace_hi[first], spans.trace_lo[first], path.clocks)


def _finding(trace_id: str, rows: pd.DataFrame, total: float) -> Finding:
    """Return the sentence on one trace."""
    first = rows.iloc[0]
    text = (
        f"Largest part of the critical path: {place_of(first)}, {duration(first['path_time_ns'])} of "
        f"{duration(total)} ({ratio(first['share_ratio'])}) in {plural(first['call_count'], 'span')}; "
        f"{plural(len(rows), 'operation')} in all."
    )
    values = {"trace_id": trace_id, "path_time_ns": float(first["path_time_ns"]), "latency_ns": total}
    by = "['trace_id', 'service_name', 'operation', 'callee_service']"
    code = f"waits = tk.critical_path(traces).by({by})\nwaits[waits['trace_id'] == {trace_id!r}]"
    shown = rows[_COLUMNS].rename(columns={"callee_service": "callee"}).reset_index(drop=True)
    return Finding("figure.waterfall", "info", text, evidence=shown, values=values,
                   exemplars=(trace_id,), code=code)  # fmt: skip
