"""Log lines: the templates of failing requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.redaction.texts import redacted
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
    trace_cell,
)
from tracekit.text import NO_FIGURE, clean

if TYPE_CHECKING:
    import pandas as pd

    from tracekit.checks.logs.result import Logs
    from tracekit.views.colours import Colours

_SEVERE: Final = frozenset({"WARN", "ERROR", "FATAL"})
_TEMPLATE: Final = "with numbers replaced by <n> and quoted text by <text>; PII and secrets masked"


def telling(logs: Logs | None) -> pd.DataFrame | None:
    """Return the templates that say something of failures: new ones, warnings and errors; None without any."""
    if logs is None:
        return None
    table = logs.templates
    is_telling = table["level"].isin(_SEVERE)
    is_telling |= table.get("is_new", is_telling)
    chosen = table[(table["failed_count"] > 0) & is_telling]
    order = [name for name in ("is_new", "failed_count", "trace_count") if name in chosen]
    found = chosen.sort_values(order, ascending=False, kind="stable")
    return found if len(found) else None


def logs_table(logs: Logs | None, colours: Colours, shown: set[str]) -> Table | None:
    """Return the templates of failing requests, new ones first; None if there is nothing to say."""
    table = telling(logs)
    if table is None:
        return None
    compared = "baseline_trace_count" in table
    columns = (
        Column("service"), Column("level"), Column("template", note=_TEMPLATE), number("lines"),
        number("failing traces", is_sorted=not compared), number("all traces"),
        *([number("baseline traces")] if compared else []), Column("exemplar trace"),
    )  # fmt: skip
    rows = []
    found = records(table)
    for row, text in zip(found, redacted([str(row["template"]) for row in found]), strict=True):
        level = clean(row["level"], limit=20) if isinstance(row["level"], str) else NO_FIGURE
        service = row["service_name"]
        rows.append(
            (
                service_cell(service, colours) if isinstance(service, str) else Cell(NO_FIGURE, None, "mute"),
                Cell(level, level),
                name_cell(text),
                count_cell(row["line_count"]),
                count_cell(row["failed_count"]),
                count_cell(row["trace_count"]),
                *([count_cell(row["baseline_trace_count"])] if compared else []),
                trace_cell(str(row["exemplar_trace_id"]), shown),
            )
        )
    return Table("Log templates of failing requests", columns, rows, note=rest_note(len(table), "templates"))
