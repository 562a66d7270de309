"""Waterfall of one trace: the columns that the front end draws.

Data errors are shown, not corrected: a span without an end is drawn to the end of the trace and marked, a negative
duration keeps its sign, and an orphan span is marked.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.schema import KINDS, ParentState
from tracekit.self_description import source_names
from tracekit.text import clean, plural
from tracekit.views.colours import NO_SERVICE, Colours, colours_for
from tracekit.views.details import Strings, detail_columns, event_columns
from tracekit.views.tkw1 import Payload, compact, encode
from tracekit.views.waterfall.path import longest_stretch, path_columns, shift_columns
from tracekit.views.waterfall.rows import TraceRows, missing_times, trace_rows

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_DERIVED: Final = ("parent", "subEnd")  # the front end derives them from the depths
_SMALL: Final = np.iinfo(np.uint16).max


class Flag(IntFlag):
    """Marks of a row; the bits of the column ``flags``."""

    ERROR = 1
    NO_END = 2
    NO_START = 4
    INFERRED = 8
    ORPHAN = 16
    LINKED = 32


def trace_payload(
    traces: TraceSet,
    trace_id: str,
    *,
    with_details: bool = True,
    colours: Colours | None = None,
    path: CriticalPath | None = None,
    skew: ClockSkew | None = None,
) -> Payload:
    """Return the columns of the waterfall of a trace."""
    shown = trace_rows(traces, trace_id)
    strings = Strings()
    payload = row_payload(traces, shown, strings, colours)
    more = detail_columns if with_details else event_columns
    columns = payload.columns | more(traces, shown.rows, shown.base_ns, strings)
    if path is not None:
        columns |= path_columns(path, traces, shown) | shift_columns(path, traces, shown)
    notes = [payload.meta["note"]]
    if skew is not None:
        columns |= shift_columns(skew, traces, shown)
        notes += [] if columns["shift"].any() else ["no clock skew to correct"]
    sources = source_names(traces) if with_details else []
    meta: dict[str, Any] = {"sources": sources, "note": "; ".join(filter(None, notes))}
    if path is not None:
        meta["focus"] = longest_stretch(columns)
    return Payload(columns, strings.texts, payload.meta | meta)


def row_payload(traces: TraceSet, shown: TraceRows, strings: Strings, colours: Colours | None = None) -> Payload:
    """Return the columns of the rows of a waterfall, without details and overlays."""
    services, service = _services(traces, shown.rows)
    palette = colours_for(traces) if colours is None else colours
    columns = {
        **_times(traces, shown),
        **_tree(traces, shown.rows),
        "svc": service,
        "name": strings.add_codes(traces.columns.spans.name[shown.rows], traces.columns.names),
        "kind": traces.columns.spans.kind[shown.rows].astype(np.uint8),
        "flags": _flags(traces, shown.rows),
    }
    meta: dict[str, Any] = {
        "id": shown.trace_id,
        "services": [clean(name) for name in services],
        "slots": [palette.slot(name) for name in services],
        "kinds": list(KINDS),
        "note": _note(columns["flags"], columns["dur"]),
    }
    return Payload(columns, strings.texts, meta)


def encoded(payload: Payload, *, is_packed: bool = False) -> bytes:
    """Return the binary buffer for the front end, which derives parents and subtrees from the depths."""
    kept = {
        name: compact(column) for name, column in _resources_by_service(payload.columns).items() if name not in _DERIVED
    }
    return encode(Payload(kept, payload.strings, payload.meta), in_planes=is_packed)


def span_details(traces: TraceSet, row: int, base_ns: int) -> Payload:
    """Return the details of one span, as a payload with one entry."""
    strings = Strings()
    columns = detail_columns(traces, np.array([row]), base_ns, strings)
    parent = int(traces.columns.spans.parent_id[row])
    if parent:
        columns["parId"] = strings.add([f"{parent:016x}"])
    return Payload(columns, strings.texts, {"sources": source_names(traces)})


def _resources_by_service(columns: dict[str, Array]) -> dict[str, Array]:
    """Return the columns with ``resOf`` (by service) instead of ``res`` (by span) if each service has one resource."""
    if "res" not in columns or len(columns.get("svc", ())) != len(columns["res"]) or "det" in columns:
        return columns
    services, first = np.unique(columns["svc"], return_index=True)
    by_service = columns["res"][first]
    if not np.array_equal(services, np.arange(len(services))) or (by_service[columns["svc"]] != columns["res"]).any():
        return columns
    return {name: column for name, column in columns.items() if name != "res"} | {"resOf": by_service}


def _times(traces: TraceSet, shown: TraceRows) -> dict[str, Array]:
    """Return starts and durations in ns; missing starts and ends are those of the trace."""
    spans, rows = traces.columns.spans, shown.rows
    no_start, no_end = missing_times(traces, rows)
    start, end = spans.start_ns[rows] - shown.base_ns, spans.end_ns[rows] - shown.base_ns
    last = max(int(start[~no_start].max(initial=0)), int(end[~no_end].max(initial=0)))
    start = np.where(no_start, 0, start)
    end = np.where(no_end, last, end)
    return {"start": start.astype(np.float64), "dur": (end - start).astype(np.float64)}


def _tree(traces: TraceSet, rows: Array) -> dict[str, Array]:
    """Return depth, parent and subtree end of each row, as rows of the view."""
    forest = traces.forest
    first = int(rows.min())
    position = np.empty(len(rows), np.int32)
    position[rows - first] = np.arange(len(rows), dtype=np.int32)
    parent = forest.parent_row[rows]
    depth = forest.depth[rows]
    return {
        "depth": depth.astype(np.uint16 if depth.max() <= _SMALL else np.uint32),
        "parent": np.where(parent >= 0, position[np.maximum(parent - first, 0)], -1).astype(np.int32),
        "subEnd": (forest.subtree_end_of(int(forest.trace[first])) - first).astype(np.int32),
    }


def _services(traces: TraceSet, rows: Array) -> tuple[list[str], Array]:
    """Return the services of a trace in order of appearance, and the service of each row."""
    codes, labels = traces.codes("service_name")
    used, first, inverse = np.unique(codes[rows], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(used), np.int64)
    rank[order] = np.arange(len(used))
    names = [labels[code] if code >= 0 else NO_SERVICE for code in used[order]]
    return names, rank[inverse].astype(np.uint16 if len(used) <= _SMALL else np.uint32)


def _flags(traces: TraceSet, rows: Array) -> Array:
    """Return the bits of ``Flag`` of each row."""
    no_start, no_end = missing_times(traces, rows)
    state, parent = traces.forest.state[rows], traces.forest.parent_row[rows]
    bits = (
        (traces.is_error[rows], Flag.ERROR),
        (no_end, Flag.NO_END),
        (no_start, Flag.NO_START),
        (traces.is_inferred[rows], Flag.INFERRED),
        ((parent < 0) & (state != ParentState.ROOT), Flag.ORPHAN),
        (_is_linked(traces, rows), Flag.LINKED),
    )
    return sum((np.where(on, bit.value, 0) for on, bit in bits), np.zeros(len(rows), np.int64)).astype(np.uint8)


def _is_linked(traces: TraceSet, rows: Array) -> Array:
    """Return which spans have links."""
    owners = traces.columns.links.span_row
    return np.searchsorted(owners, rows, "left") < np.searchsorted(owners, rows, "right")


def _note(flags: Array, dur: Array) -> str:
    """Return a note on data errors in the trace."""

    def number_of(flag: Flag) -> int:
        return int(((flags & flag) != 0).sum())

    remarks = [
        (number_of(Flag.NO_END), "without an end, drawn to the end of the trace"),
        (number_of(Flag.NO_START), "without a start, drawn from its beginning"),
        (number_of(Flag.ORPHAN), "with a missing parent (orphan)"),
        (int((dur < 0).sum()), "with a negative duration"),
    ]
    return "; ".join(f"{plural(number, 'span')} {words}" for number, words in remarks if number)
