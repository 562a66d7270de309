"""How long each kind of request takes now and before, and from which to which mean the whole went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.checks.names import more
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
from tracekit.text import NO_FIGURE
from tracekit.views.plot import plot
from tracekit.views.service_graph.service_graph import FAILING

if TYPE_CHECKING:
    from tracekit.checks.comparison import Changes
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_STEPS = 6  # operations that have a bar of their own


def change_picture(changes: Changes) -> Markup | None:
    """Return the way from the mean before to the mean now, a bar an operation."""
    if changes.comparison is None:
        return None
    figure = plot(changes.comparison, groups=_STEPS, names=("before", "now"))
    picture: Markup = figure.picture()
    return picture


def entries_table(changes: Changes, colours: Colours) -> Table:
    """Return how long each kind of request takes, now and before."""
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
