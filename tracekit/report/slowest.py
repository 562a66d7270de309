"""The slowest traces: a table, and waterfalls of the slowest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tracekit.report.policy import packed
from tracekit.report.tables import (
    Cell,
    Column,
    Table,
    count_cell,
    name_cell,
    number,
    service_cell,
    time_cell,
    trace_cell,
)
from tracekit.text import clean, duration, moment, plural
from tracekit.views.waterfall.compare import compared_payload, other_trace
from tracekit.views.waterfall.payload import encoded, trace_payload
from tracekit.views.waterfall.picture import fitting_rows, waterfall_picture

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.checks.overview import Overview
    from tracekit.traces import TraceSet
    from tracekit.views.colours import Colours
    from tracekit.views.tkw1 import Payload

HEIGHTS: Final = (240, 320, 400, 480, 620)  # heights of views in pixels; the style sheet has a class for each
_AROUND: Final = 150  # pixels of the toolbar, overview and axis of a waterfall
_NOTE: Final = 40  # pixels of the note
_ROW: Final = 22


def traces_table(seen: Overview, colours: Colours, shown: set[str], *, limit: int = 25) -> Table:
    """Return the slowest traces."""
    columns = (
        Column("trace"), Column("service"), Column("root span"), Column("start, UTC"),
        number("duration", unit="ns", is_sorted=True), number("spans"), number("services"), number("errors"),
    )  # fmt: skip
    rows = []
    for trace_id, row in seen.slowest_traces.head(limit).iterrows():
        rows.append(
            (
                trace_cell(str(trace_id), shown),
                service_cell(row["root_service_name"], colours),
                name_cell(row["root_name"]),
                Cell(moment(row["start_ns"], decimals=3), float(row["start_ns"]), "mute"),
                time_cell(row["root_duration_ns"]),
                count_cell(row["span_count"]),
                count_cell(row["service_count"]),
                count_cell(row["error_count"], "bad" if row["error_count"] else "mute"),
            )
        )
    return Table("Slowest traces", columns, rows, short=10)


def waterfall_view(
    path: CriticalPath,
    trace_id: str,
    colours: Colours,
    baseline: TraceSet | None = None,
    *,
    pool: Executor,
    with_picture: bool = True,
) -> dict[str, Any]:
    """Return one waterfall with its title and facts; its data are compressed in the pool, and are its future result."""
    payload = _payload(path, trace_id, colours, baseline)
    row = path.source.summary.loc[[trace_id]].to_dict("records")[0]
    most = HEIGHTS[-1] if baseline is not None else HEIGHTS[-2]
    height = fitting_height(
        _AROUND + (_NOTE if payload.meta["note"] else 0) + _ROW * len(payload.columns["start"]), most
    )
    facts = [
        "no start recorded" if pd.isna(row["start_ns"]) else f"{moment(row['start_ns'], decimals=3)} UTC",
        plural(row["span_count"], "span"),
        plural(row["service_count"], "service"),
        plural(row["error_count"], "error") if row["error_count"] else "no errors",
    ]
    return {
        "id": trace_id,
        "title": " ".join(dict.fromkeys(clean(row[f"root_{key}"], limit=120) for key in ("service_name", "name"))),
        "duration": "unknown" if pd.isna(row["root_duration_ns"]) else duration(row["root_duration_ns"]),
        "facts": " · ".join(facts),
        "height": height,
        "picture": waterfall_picture(payload, row_count=fitting_rows(height), paper=False) if with_picture else None,
        "data": pool.submit(packed, encoded(payload, is_packed=True)),
    }


def _payload(path: CriticalPath, trace_id: str, colours: Colours, baseline: TraceSet | None) -> Payload:
    """Return the trace with its critical path, compared with a baseline trace of the same endpoint if there is one."""
    if baseline is not None:
        try:
            other = other_trace(path.source, trace_id, baseline)
        except ValueError:  # the baseline does not have this endpoint
            other = None
        if other is not None:
            return compared_payload(path.source, trace_id, *other, colours=colours, path=path)[0]
    return trace_payload(path.source, trace_id, colours=colours, path=path)


def fitting_height(wanted: float, most: int = HEIGHTS[-2]) -> int:
    """Return the smallest height in ``HEIGHTS`` that fits the content, at most ``most``."""
    return next((height for height in HEIGHTS if height >= min(wanted, most)), most)
