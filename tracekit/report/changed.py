"""The tables of a comparison: what requests wait for now and before, and how long each kind of them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.report.changes import KEYS, more
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
from tracekit.views.markup import element
from tracekit.views.service_graph import FAILING
from tracekit.views.svg import LINE, picture
from tracekit.views.text import NO_FIGURE

if TYPE_CHECKING:
    from tracekit.report.changes import Changes
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_WIDE: Final = 120
_TALL: Final = 14
_BAR: Final = 8


def waits_table(changes: Changes, colours: Colours, shown: set[str]) -> Table:
    """Return what requests wait for by operation, now and before.

    Parameters
    ----------
    changes
        The comparison.
    colours
        Slots of services.
    shown
        Ids of the traces whose waterfall is in the page.

    Returns
    -------
    Table
        The largest change first; the column of changes adds up to that of the mean request.
    """
    columns = (
        Column("service"), Column("operation"), number("before", "mean time a request waits for it", unit="ns"),
        number("now", unit="ns"),
        number("change", "the column adds up to the change of the mean", unit="ns"),
        number("size", "of the change; to the right if requests wait longer", unit="ns", is_sorted=True),
        Column("95 % limits"), number("calls before", "by requests that call it"), number("calls now"),
        number("a call before", unit="ns"), number("a call now", unit="ns"), Column("for example"),
    )  # fmt: skip
    compared = changes.comparison
    if compared is None:
        return Table("What requests wait for, now and before", columns, ())
    most = float(compared.table["change_ns"].abs().max())
    factors = compared.parts.pivot_table(
        index=list(KEYS), columns="factor", values=["value", "other_value"], sort=False, dropna=False, observed=True
    )
    rows = []
    for row in records(compared.table):
        key = (row["service_name"], row["operation"])
        parts = factors.loc[key]
        is_sure = bool(row["is_significant"])
        rows.append(
            (
                service_cell(row["service_name"], colours),
                name_cell(row["operation"]),
                time_cell(row["mean_ns"]),
                time_cell(row["other_mean_ns"]),
                Cell(more(row["change_ns"]), float(row["change_ns"]), "" if is_sure else "mute"),
                Cell(_bar(float(row["change_ns"]), most), abs(float(row["change_ns"]))),
                Cell(
                    f"{more(row['low_ns'])} to {more(row['high_ns'])}" + ("" if is_sure else ", chance"), None, "mute"
                ),
                *(_calls_cell(float(parts[side, "frequency"])) for side in ("value", "other_value")),
                *(time_cell(float(parts[side, "duration"])) for side in ("value", "other_value")),
                trace_cell(str(row["exemplar_trace_id"]), shown) if row["exemplar_trace_id"] else Cell(NO_FIGURE),
            )
        )
    note = "Changes marked chance would be seen so without any cause; of the others at most 5 % are false."
    return Table(
        "What requests wait for, now and before",
        columns,
        rows,
        10,
        f"{note} {rest_note(len(compared.table), 'operations')}".strip(),
    )


def entries_table(changes: Changes, colours: Colours) -> Table:
    """Return how long each kind of request takes, now and before.

    Parameters
    ----------
    changes
        The comparison.
    colours
        Slots of services.

    Returns
    -------
    Table
        Those with most requests first.
    """
    columns = (
        Column("service"), Column("request"), number("traces before"), number("traces now", is_sorted=True),
        number("p50 before", unit="ns"), number("p50 now", unit="ns"), number("p95 before", unit="ns"),
        number("p95 now", unit="ns"), number("change of p95", unit="ns"), number("failed before"), number("failed now"),
    )  # fmt: skip
    rows = []
    for row in records(changes.entries):
        change = _number(row["p95_ns_now"]) - _number(row["p95_ns_before"])
        is_clear = _number(row["p95_low_ns_now"]) > _number(row["p95_high_ns_before"])
        rows.append(
            (
                service_cell(row["service_name"], colours),
                name_cell(row["operation"]),
                count_cell(row["span_count_before"]),
                count_cell(row["span_count_now"]),
                *(
                    time_cell(_number(row[f"{name}_ns_{side}"]))
                    for name in ("p50", "p95")
                    for side in ("before", "now")
                ),
                Cell(more(change) if np.isfinite(change) else NO_FIGURE, change, "bad" if is_clear else ""),
                *(share_cell(_number(row[f"error_ratio_{side}"]), bad_from=FAILING) for side in ("before", "now")),
            )
        )
    return Table("Kinds of request, now and before", columns, rows, note=rest_note(len(changes.entries), "kinds"))


def _number(value: Any) -> float:
    """Return a figure that may be missing."""
    return float("nan") if value is None or value != value else float(value)  # noqa: PLR0124 - NaN


def _calls_cell(calls: float) -> Cell:
    """Return how often something is called."""
    return Cell(f"{calls:.1f}" if np.isfinite(calls) else NO_FIGURE, calls)


def _bar(change: float, most: float) -> Markup:
    """Return a bar from the middle: to the right, in red, where requests wait longer."""
    middle = _WIDE / 2
    long = abs(change) / most * middle if most else 0.0
    axis = element("line", {"x1": middle, "x2": middle, "y1": 0, "y2": _TALL, "stroke": LINE, "class": "tk-line"})
    bar = {"x": middle if change > 0 else middle - long, "y": 3, "width": max(long, 0.5), "height": _BAR}
    kind = "tk-failed-bar" if change > 0 else "tk-bar"
    return picture(_WIDE, _TALL, more(change), [axis, element("rect", {**bar, "class": kind})])
