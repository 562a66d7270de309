"""The layouts that can be read."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tracekit.loading.tables.clickhouse import LAYOUT as CLICKHOUSE
from tracekit.loading.tables.phoenix import LAYOUT as PHOENIX
from tracekit.loading.tables.signoz import LAYOUT as SIGNOZ
from tracekit.loading.tables.tempo import LAYOUT as TEMPO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.tables.layout import Layout

LAYOUTS: tuple[Layout, ...] = (CLICKHOUSE, SIGNOZ, PHOENIX, TEMPO)
_OWN = frozenset({"trace_id", "span_id", "name", "start_ns", "end_ns"})
_SHOWN = 12  # columns


def layout_of(columns: Sequence[str]) -> Layout | None:
    """Return the layout with these columns, None if there is none."""
    found = set(columns)
    return next((layout for layout in LAYOUTS if layout.columns <= found), None)


def unknown(columns: Sequence[str]) -> str:
    """Say that a table has no known layout, what is missing for the most similar one, and what to do."""
    found = set(columns)
    if found >= _OWN:
        return (
            "expected a table of another tool, found columns of tracekit; "
            "use TraceSet.from_spans(pandas.read_parquet(FILE))"
        )
    nearest = max(LAYOUTS, key=lambda layout: len(layout.columns & found) / len(layout.columns))
    missing = sorted(nearest.columns - found)
    close = {name: get_close_matches(name, columns, 1) for name in missing}
    hints = "".join(f" ({name}: {match[0]}?)" for name, match in close.items() if match)
    shown = ", ".join(columns[:_SHOWN]) + f" and {len(columns) - _SHOWN} more" * (len(columns) > _SHOWN)
    wanted = f"; columns of {nearest.name} without {', '.join(missing)}{hints}" * bool(nearest.columns & found)
    return (
        f"expected a table of spans as {', '.join(layout.name for layout in LAYOUTS)} write it, found the columns "
        f"{shown or '(none)'}{wanted}; name the columns: tk.from_frame(frame, columns={{'trace_id': ..., ...}})"
    )
