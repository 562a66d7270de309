"""Critical-path time by operation: current, and compared with a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

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
from tracekit.text import NO_FIGURE, cell, duration, interval, mean_count, plural, signed_duration
from tracekit.views.markup import element
from tracekit.views.svg import LINE, picture

if TYPE_CHECKING:
    from tracekit.checks.comparison import Changes
    from tracekit.checks.overview import Overview
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_WIDE: Final = 120
_TALL: Final = 14
_BAR: Final = 8
_TO_THE_CHANGE: Final = "contribution to the change in mean latency; bars to the right are regressions"
_SHORT: Final = 10  # rows that are shown at first
_WHO: Final = (
    Column("service"),
    Column("operation"),
    Column("callee", note="the service or database that the operation calls"),
)


def path_table(seen: Overview, colours: Colours, shown: set[str]) -> Table:
    """Return critical-path time by operation."""
    caption = "Critical-path time by operation"
    columns = (
        *_WHO, number("share", "share of total latency", is_sorted=True),
        number("per request", "mean over all requests", unit="ns"), Column("95% CI"),
        number("requests", "requests with this operation on the critical path"), number("requests affected"),
        Column("exemplar trace"),
    )  # fmt: skip
    if not seen.timed_count:
        return Table(caption, columns, ())
    table = seen.waits
    table = table[table["path_time_ns"] > 0]
    rows = [
        (
            *_who(row, colours),
            share_cell(row["share_ratio"]),
            time_cell(row["mean_ns"]),
            Cell(interval(row["mean_low_ns"], row["mean_high_ns"], duration, confidence=""), None, "mute"),
            count_cell(row["trace_count"]),
            share_cell(row["presence_ratio"]),
            trace_cell(str(row["largest_trace_id"]), shown),
        )
        for row in records(table)
    ]
    left_out = seen.trace_count - seen.timed_count
    unfinished = f"{plural(left_out, 'unfinished request')} excluded." if left_out else ""
    note = f"{unfinished} {rest_note(len(table), 'operations')}".strip()
    return Table(caption, columns, rows, _SHORT, note)


def waits_table(changes: Changes, colours: Colours, shown: set[str]) -> Table:
    """Return critical-path time by operation, baseline and current."""
    caption = "Critical-path time by operation, baseline and current"
    columns = (
        *_WHO, number("baseline", "mean critical-path time per request", unit="ns"), number("current", unit="ns"),
        number("change", "the column sums to the change in mean latency", unit="ns", is_lead=True),
        number("contribution", _TO_THE_CHANGE, unit="ns", is_sorted=True), Column("95% CI"),
        number("calls/request (baseline)", "mean over requests with this operation"), number("calls/request (current)"),
        number("time/call (baseline)", unit="ns"), number("time/call (current)", unit="ns"), Column("exemplar trace"),
    )  # fmt: skip
    compared = changes.comparison
    if compared is None:
        return Table(caption, columns, ())
    most = float(compared.table["change_ns"].abs().max())
    calls, times = (records(compared.parts[compared.parts["factor"] == name]) for name in ("frequency", "duration"))
    rows = [
        (*_who(row, colours), *_change_cells(row, most), *_call_cells(call, time),
         trace_cell(str(row["exemplar_trace_id"]), shown) if row["exemplar_trace_id"] else Cell(NO_FIGURE))
        for row, call, time in zip(records(compared.table), calls, times, strict=True)
    ]  # fmt: skip
    note = "n.s. = not significant (not distinguishable from noise). Changes without n.s.: false discovery rate 5%."
    return Table(caption, columns, rows, _SHORT, f"{note} {rest_note(len(compared.table), 'operations')}".strip())


def _who(row: dict[str, Any], colours: Colours) -> tuple[Cell, Cell, Cell]:
    """Return the cells of service, operation and callee."""
    return (
        service_cell(row["service_name"], colours),
        name_cell(row["operation"]),
        name_cell(row["callee_service"] or ""),
    )


def _change_cells(row: dict[str, Any], most: float) -> tuple[Cell, ...]:
    """Return the cells of both times, the change as text and as a bar, and its interval."""
    change, is_significant = float(row["change_ns"]), bool(row["is_significant"])
    limits = interval(row["change_low_ns"], row["change_high_ns"], signed_duration, confidence="")
    return (
        time_cell(row["baseline_mean_ns"]),
        time_cell(row["current_mean_ns"]),
        Cell(signed_duration(change), change, "" if is_significant else "mute"),
        Cell(_bar(change, most), abs(change)),
        Cell(limits if is_significant else f"{limits}, n.s.", None, "mute"),
    )


def _call_cells(frequency: dict[str, Any], time: dict[str, Any]) -> tuple[Cell, ...]:
    """Return the cells of calls per request and time per call, each baseline and current."""
    calls, times = ([float(part[side]) for side in ("baseline_value", "current_value")] for part in (frequency, time))
    shown = [Cell(cell(mean_count, call), call) for call in calls]
    return (*shown, *map(time_cell, times))


def _bar(change: float, most: float) -> Markup:
    """Return a bar that starts in the middle: to the right and red for a slowdown."""
    middle = _WIDE / 2
    long = abs(change) / most * middle if most else 0.0
    axis = element("line", {"x1": middle, "x2": middle, "y1": 0, "y2": _TALL, "stroke": LINE, "class": "tk-line"})
    bar = {"x": middle if change > 0 else middle - long, "y": 3, "width": max(long, 0.5), "height": _BAR}
    kind = "tk-failed-bar" if change > 0 else "tk-bar"
    return picture(_WIDE, _TALL, signed_duration(change), [axis, element("rect", {**bar, "class": kind})])
