"""What requests wait for: the time on their critical paths, by operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    trace_cell,
)
from tracekit.views.text import duration

if TYPE_CHECKING:
    from tracekit.report.overview import Overview
    from tracekit.views.colours import Colours


def path_table(seen: Overview, colours: Colours, shown: set[str]) -> Table:
    """Return what requests wait for by operation.

    Parameters
    ----------
    seen
        Traces and results.
    colours
        Slots of services.
    shown
        Ids of the traces whose waterfall is in the page.

    Returns
    -------
    Table
        The longest first; the shares add up to all time that requests took.
    """
    columns = (
        Column("service"), Column("operation"), number("share", "of all time that requests took", is_sorted=True),
        number("a request", "mean over all requests", unit="ns"), Column("95 % limits"),
        number("requests", "that wait for it"), number("of requests"), Column("the longest"),
    )  # fmt: skip
    if not len(seen.path.latency_ns):
        return Table("What requests wait for", columns, ())
    table = seen.path.by(["service_name", "operation"])
    table = table[table["path_time_ns"] > 0]
    rows = [
        (
            service_cell(row["service_name"], colours),
            name_cell(row["operation"]),
            share_cell(row["share_ratio"]),
            time_cell(row["mean_ns"]),
            Cell(f"{duration(row['mean_low_ns'])} to {duration(row['mean_high_ns'])}", None, "mute"),
            count_cell(row["trace_count"]),
            share_cell(row["presence_ratio"]),
            trace_cell(str(row["largest_trace_id"]), shown),
        )
        for row in records(table)
    ]
    return Table("What requests wait for", columns, rows, 10, rest_note(len(table), "operations"))
