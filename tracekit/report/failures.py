"""What failed: operations by whose mistake it was, and exceptions by message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

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
    trace_cell,
)
from tracekit.text import NO_FIGURE, clean, moment
from tracekit.views.service_graph.service_graph import FAILING

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview
    from tracekit.views.colours import Colours


def failing_table(seen: Overview, colours: Colours) -> Table:
    """Return the operations that failed."""
    columns = (
        Column("service"), Column("operation"), number("spans"), number("errors", is_sorted=True), number("share"),
        Column("95 % limits"), number("faults", "the callee's mistake"),
        number("client errors", "the caller's mistake"), number("throttled"), number("not said"),
    )  # fmt: skip
    table = seen.errors.operations
    classes = ["fault_count", "client_count", "throttle_count", "unspecified_count"]
    failing = table[(table["error_count"] > 0) | (table[classes].sum(axis=1) > 0)]
    rows = [
        (
            service_cell(row["service_name"], colours),
            name_cell(row["operation"]),
            count_cell(row["span_count"]),
            count_cell(row["error_count"]),
            share_cell(row["error_ratio"], bad_from=FAILING),
            Cell(f"{100 * row['error_ratio_low']:.1f} to {100 * row['error_ratio_high']:.1f} %", None, "mute"),
            *(count_cell(row[name], "" if row[name] else "mute") for name in classes),
        )
        for row in records(failing)
    ]
    return Table("Operations with errors", columns, rows, note=rest_note(len(failing), "operations"))


def exceptions_table(seen: Overview, colours: Colours, shown: set[str]) -> Table:
    """Return the exceptions by service, type and message."""
    columns = (
        Column("service"), Column("exception"), Column("message"), number("events", is_sorted=True), number("traces"),
        Column("first"), Column("last"), Column("for example"),
    )  # fmt: skip
    rows = []
    for row in records(seen.errors.exceptions):
        times = [_moment_cell(row[name]) for name in ("first_time", "last_time")]
        rows.append(
            (
                service_cell(row["service_name"], colours),
                Cell(clean(row["exception_type"], limit=120), clean(row["exception_type"], limit=120), "code"),
                name_cell(row["exception_message"]),
                count_cell(row["event_count"]),
                count_cell(row["trace_count"]),
                *times,
                trace_cell(str(row["exemplar_trace_id"]), shown),
            )
        )
    return Table("Exceptions", columns, rows, note=rest_note(len(seen.errors.exceptions), "kinds of exception"))


def _moment_cell(time: pd.Timestamp) -> Cell:
    """Return a moment in UTC; a dash where it is not known."""
    if pd.isna(time):
        return Cell(NO_FIGURE, None, "mute")
    return Cell(moment(time.value), float(time.value), "mute")
