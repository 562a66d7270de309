"""Errors: operations by error class, and exceptions by message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from tracekit.text import NO_FIGURE, clean, moment, ratio_range
from tracekit.views.service_graph.map import FAILING

if TYPE_CHECKING:
    from tracekit.checks.overview import Overview
    from tracekit.views.colours import Colours

_TEMPLATE: Final = "with numbers replaced by <n> and quoted text by <text>"


def failing_table(seen: Overview, colours: Colours) -> Table:
    """Return the operations with error spans."""
    columns = (
        Column("service"), Column("operation"), number("spans"), number("error spans", is_sorted=True),
        number("error rate"), Column("95% CI"), number("fault (5xx)"), number("client (4xx)"),
        number("throttled (429)"), number("unclassified"),
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
            Cell(ratio_range(row["error_ratio_low"], row["error_ratio_high"]), None, "mute"),
            *(count_cell(row[name], "" if row[name] else "mute") for name in classes),
        )
        for row in records(failing)
    ]
    return Table("Operations with errors", columns, rows, note=rest_note(len(failing), "operations"))


def exceptions_table(seen: Overview, colours: Colours, shown: set[str]) -> Table:
    """Return the exceptions by service, type and message."""
    columns = (
        Column("service"), Column("exception"), Column("message", note=_TEMPLATE), number("events", is_sorted=True),
        number("traces"), Column("first, UTC"), Column("last, UTC"), Column("exemplar trace"),
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
    return Table("Exceptions", columns, rows, note=rest_note(len(seen.errors.exceptions), "groups of exceptions"))


def _moment_cell(time: pd.Timestamp) -> Cell:
    """Return a time in UTC; an en dash for a missing one."""
    if pd.isna(time):
        return Cell(NO_FIGURE, None, "mute")
    return Cell(moment(time.value), float(time.value), "mute")
