"""Change of latency: per endpoint, and of the mean per operation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.analysis.timeline.compute import started_between, timeline
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
from tracekit.text import cell, signed_duration
from tracekit.traces import TraceSet
from tracekit.views.plot import plot
from tracekit.views.service_graph.map import FAILING
from tracekit.weights.comparability import SIDES

if TYPE_CHECKING:
    from tracekit.analysis.timeline.result import Timeline
    from tracekit.checks.comparison import Changes
    from tracekit.checks.screen.lines import FirstScreen
    from tracekit.parts import Parts
    from tracekit.report.sides import Sides
    from tracekit.views.colours import Colours
    from tracekit.views.markup import Markup

_STEPS = 6  # operations with a bar of their own


def timeline_of(sides: Sides) -> Timeline:
    """Return requests, durations and errors over time, of both sides."""
    return timeline(_both(sides))


def timeline_picture(found: Timeline, sides: Sides, screen: FirstScreen) -> Markup | None:
    """Return a timeline with its deployments, the start of a split, and the onset; None if all weights are 0."""
    if not found.table["weight_sum"].any():
        return None
    marks = dict(zip(found.deployment_names, found.deployments["first_time"], strict=True))
    is_split = sides.names[0].startswith("before ")
    if is_split:
        start_ns, _ = started_between(sides.traces) or (0, 0)
        marks[sides.names[1]] = pd.Timestamp(start_ns, tz="UTC")
    is_one = not _is_near(sides)
    picture: Markup = plot(found, deployments=marks, onset=_onset(screen), is_one_recording=is_one).picture()
    return picture


def _onset(screen: FirstScreen) -> tuple[int, int] | None:
    """Return the limits of the onset that the first screen states; None without both, or if they are a step's own."""
    line = next((one for one in screen if one.check == "screen.started"), None)
    if line is None:
        return None
    stated = line.values  # noqa: PD011 - not a frame
    if stated["onset_ns"] is not None or stated["low_ns"] is None or stated["high_ns"] is None:
        return None
    return int(stated["low_ns"]), int(stated["high_ns"])


def _both(sides: Sides) -> TraceSet | Parts:
    """Return the traces and a baseline that was recorded shortly before; otherwise the recording."""
    before, now = sides.baseline, sides.traces
    if isinstance(before, TraceSet) and isinstance(now, TraceSet) and _is_near(sides):
        return before + now
    return sides.recording


def _is_near(sides: Sides) -> bool:
    """Return whether the baseline is an earlier recording that is no further away than both last."""
    before, now = sides.baseline, sides.traces
    if sides.recording is not now or not isinstance(now, TraceSet) or not isinstance(before, TraceSet):
        return False
    edges = [side.summary[["start_ns", "end_ns"]].dropna() for side in (before, now)]
    if any(edge.empty for edge in edges):
        return False
    first, last = ((int(edge["start_ns"].min()), int(edge["end_ns"].max())) for edge in edges)
    gap = last[0] - first[1]
    return 0 <= gap <= (first[1] - first[0]) + (last[1] - last[0])


def change_picture(changes: Changes, names: tuple[str, str]) -> Markup | None:
    """Return a chart of the change in mean latency, with one bar per operation."""
    if changes.comparison is None:
        return None
    figure = plot(replace(changes.comparison, names=names), groups=_STEPS)
    picture: Markup = figure.picture()
    return picture


def entries_table(changes: Changes, colours: Colours) -> Table:
    """Return latency and error rate per endpoint, baseline and current."""
    columns = (
        Column("service"), Column("endpoint"), number("n (baseline)", "traces"),
        number("n (current)", "traces", is_sorted=True), number("p50 (baseline)", unit="ns"),
        number("p50 (current)", unit="ns"), number("p95 (baseline)", unit="ns"), number("p95 (current)", unit="ns"),
        number("p95 change", unit="ns", is_lead=True), number("error rate (baseline)"), number("error rate (current)"),
    )  # fmt: skip
    rows = []
    for row in records(changes.entries):
        change = _number(row["current_p95_ns"]) - _number(row["baseline_p95_ns"])
        is_regressed = _number(row["current_p95_low_ns"]) > _number(row["baseline_p95_high_ns"])
        rows.append(
            (
                service_cell(row["service_name"], colours),
                name_cell(row["operation"]),
                count_cell(row["baseline_span_count"]),
                count_cell(row["current_span_count"]),
                *(time_cell(_number(row[f"{side}_{name}_ns"])) for name in ("p50", "p95") for side in SIDES),
                Cell(cell(signed_duration, change), change, "bad" if is_regressed else ""),
                *(share_cell(_number(row[f"{side}_error_ratio"]), bad_from=FAILING) for side in SIDES),
            )
        )
    return Table("Endpoints, baseline and current", columns, rows, note=rest_note(len(changes.entries), "endpoints"))


def _number(value: Any) -> float:
    """Return a number; NaN for a missing one."""
    return float("nan") if value is None or value != value else float(value)  # noqa: PLR0124 - NaN
