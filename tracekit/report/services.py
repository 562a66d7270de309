"""Tables of services and operations, and charts of their latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.report.tables import (
    Cell,
    Column,
    Table,
    count_cell,
    name_cell,
    number,
    records,
    rest_note,
    service_cell,
    share_cell,
    time_cell,
)
from tracekit.text import NO_FIGURE, clean, duration, interval, plural
from tracekit.views.latency_picture import latency_picture, strip_picture
from tracekit.views.service_graph.map import FAILING

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.overview import Overview
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup


def services_table(seen: Overview, colours: Colours) -> Table:
    """Return one row per service or inferred peer."""
    columns = (
        Column("service"), number("requests", "calls received plus root spans", is_sorted=True), number("error rate"),
        number("p50", unit="ns"), number("p95", unit="ns"), number("p99", unit="ns"),
        number("self time", "share of total span time, excluding children"), number("spans"), number("traces"),
    )  # fmt: skip
    total = float(seen.graph.services["self_time_ns"].sum())
    rows = []
    for row in records(seen.graph.services):
        inferred = bool(row["is_inferred"])
        own = Cell(NO_FIGURE, None, "mute") if inferred or not total else share_cell(float(row["self_time_ns"]) / total)
        rows.append(
            (
                service_cell(row["service_name"], colours, inferred=inferred),
                count_cell(row["request_count"]),
                share_cell(row["error_ratio"], bad_from=FAILING),
                *(time_cell(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")),
                own,
                count_cell(row["span_count"]),
                count_cell(row["trace_count"]),
            )
        )
    return Table("Services", columns, rows, note=rest_note(len(seen.graph.services), "services"))


def operations_table(seen: Overview, colours: Colours) -> Table:
    """Return one row per service and operation."""
    columns = (
        Column("service"), Column("operation"), number("spans", is_sorted=True), number("error rate"),
        number("p50", unit="ns"), number("p95", unit="ns"), Column("95% CI of p95"), number("p99", unit="ns"),
        number("spread", "bar: p50, p95 and p99; sorts by p99 / p50"),
    )  # fmt: skip
    table = seen.operations.table
    low, high = float(table["p50_ns"].min()), float(table["p99_ns"].max())
    rows = [
        (
            service_cell(row["service_name"], colours),
            name_cell(row["operation"]),
            count_cell(row["span_count"]),
            share_cell(row["error_ratio"], bad_from=FAILING),
            time_cell(row["p50_ns"]),
            time_cell(row["p95_ns"]),
            _interval_cell(row["p95_low_ns"], row["p95_high_ns"]),
            time_cell(row["p99_ns"]),
            Cell(
                strip_picture(row, low, high, slot=colours.slot(str(row["service_name"]))),
                row["p99_ns"] / max(row["p50_ns"], 1.0),
            ),
        )
        for row in records(table)
    ]
    excluded = int(table["excluded_count"].sum()) if len(table) else 0
    note = f"{plural(excluded, 'span')} without a valid start and end excluded from latency." if excluded else ""
    return Table("Operations", columns, rows, note=f"{rest_note(len(table), 'operations')} {note}".strip())


def _interval_cell(low: float, high: float) -> Cell:
    """Return an interval of durations."""
    return Cell(interval(low, high, duration, confidence=""), None, "mute")


def latency_pictures(seen: Overview, before: Overview | None, names: tuple[str, str]) -> list[tuple[str, str, Markup]]:
    """Return the latency distributions of all requests and of the four slowest endpoints, with the baseline."""
    if seen.requests.table.empty or not seen.requests.table["span_count"].iloc[0]:
        return []
    whole = seen.requests.table.iloc[0]
    both: dict[str, Any] = {"baseline": before.requests.histogram if before else None, "names": names}
    cells, marks, subject = seen.requests.histogram, _marks(whole), "All requests"
    drawn = latency_picture(cells, marks, width=1000, height=200, subject=subject, **both)
    out = [(subject, f"root spans of {plural(whole['span_count'], 'trace')}", drawn)]
    if len(seen.slowest_entries) < 2:  # noqa: PLR2004 - a single endpoint equals all requests
        return out
    for _, row in seen.slowest_entries.head(4).iterrows():
        own = _of_endpoint(seen, row)
        both["baseline"] = _of_endpoint(before, row) if before else None
        title = f"{clean(row['service_name'], limit=40)} {clean(row['operation'], limit=60)}"
        sample = plural(row["span_count"], "trace")
        out.append((title, sample, latency_picture(own, _marks(row), width=490, height=150, subject=title, **both)))
    return out


def _of_endpoint(seen: Overview, row: pd.Series) -> pd.DataFrame:
    """Return the histogram of one endpoint."""
    cells: pd.DataFrame = seen.entries.histogram
    own: pd.DataFrame = cells[(cells["service_name"] == row["service_name"]) & (cells["operation"] == row["operation"])]
    return own


def _marks(row: pd.Series) -> dict[str, float]:
    """Return the quantiles to mark, in ns."""
    return {name: float(row[f"{name}_ns"]) for name in ("p50", "p95", "p99")}
