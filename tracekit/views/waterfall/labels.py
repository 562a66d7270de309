"""Labels of the rows of a waterfall, for images and texts written by Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.text import duration, from_to
from tracekit.views.waterfall.compare import State
from tracekit.views.waterfall.payload import Flag

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.views.tkw1 import Payload


def end_of(payload: Payload) -> float:
    """Return the end of the time axis in ns; of a comparison that of both traces."""
    columns = payload.columns
    sides = [("start", "dur")] + [("start2", "dur2")] * ("state" in columns)
    return max(1.0, *(float((columns[a] + np.maximum(columns[b], 0)).max(initial=0)) for a, b in sides))


def names_of(payload: Payload, index: int) -> tuple[str, str]:
    """Return the service and the operation of a row."""
    columns = payload.columns
    return str(payload.meta["services"][columns["svc"][index]]), payload.strings[int(columns["name"][index])]


def is_gone(payload: Payload, rows: Array) -> Array:
    """Return which rows exist only in the baseline trace of a comparison."""
    state = payload.columns.get("state")
    return np.zeros(len(rows), bool) if state is None else state[rows] == State.MISSING


def time_words(payload: Payload, index: int) -> str:
    """Return the duration of a row, or which time is missing; in a comparison baseline and current."""
    columns, flags = payload.columns, Flag(int(payload.columns["flags"][index]))
    if Flag.NO_START in flags:
        return "no start"
    if Flag.NO_END in flags:
        return "no end"
    current = float(columns["dur"][index])
    if "state" not in columns:
        return duration(current)
    baseline = float(columns["dur2"][index])
    missing = f"missing, {payload.meta['names'][0]} {duration(baseline)}"
    return {State.ADDED: f"{duration(current)}, added", State.MISSING: missing}.get(
        State(int(columns["state"][index])), from_to(baseline, current)
    )
