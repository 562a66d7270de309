"""Comparison of two traces in one waterfall: spans at the same position in the call tree share a row.

A position is the path of services and operations from the root, numbered where a parent makes the same call several
times.  Spans of the current trace only are ``added``, spans of the baseline only are ``missing``.
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracekit.self_description import source_names
from tracekit.text import clean, from_to, plural
from tracekit.traces import TraceSet
from tracekit.views.details import Strings, detail_columns
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.path import is_among, longest_stretch, path_columns, shift_columns
from tracekit.views.waterfall.payload import row_payload
from tracekit.views.waterfall.rows import TraceRows, trace_rows
from tracekit.weights.comparability import SIDES, side_names

if TYPE_CHECKING:
    from tracekit.analysis.clock_skew.result import ClockSkew
    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.columns import Array
    from tracekit.views.colours import Colours

WORTH_OF_SPAN: Final = 0.1  # a change counts from a tenth of the baseline duration of the span ...
WORTH_OF_TRACE: Final = 0.01  # ... and a hundredth of the longer trace
_NAME: Final = 40  # characters of the name of a side
Pair = tuple[TraceSet, TraceRows]


class State(IntEnum):
    """Change of a row from the baseline; the column ``state``."""

    MATCHED = 0
    ADDED = 1
    MISSING = 2
    SLOWER = 3
    FASTER = 4


def other_trace(
    traces: TraceSet, trace_id: str, compare: str | TraceSet | tuple[TraceSet, str]
) -> tuple[TraceSet, str]:
    """Return the set and the id of the trace to compare with."""
    if isinstance(compare, str):
        return traces, compare
    if not isinstance(compare, TraceSet):
        return compare
    service, operation = (_of_roots(traces, column)[traces.find(trace_id)] for column in ("service_name", "operation"))
    same = (_of_roots(compare, "service_name") == service) & (_of_roots(compare, "operation") == operation)
    took = compare.summary["root_duration_ns"]
    ranked = took[same & took.notna().to_numpy()].sort_values(kind="stable").index
    if ranked.empty:
        raise ValueError(
            f"expected a trace with root {service} {operation} to compare with, found none in "
            f"{plural(len(compare), 'trace')}: pass one as (traces, trace_id)"
        )
    return compare, str(ranked[(len(ranked) - 1) // 2])


def _of_roots(traces: TraceSet, column: str) -> Array:
    """Return a category column of every trace's root."""
    codes, labels = traces.codes(column).take(traces.forest.root_row)
    return np.array([*labels, ""], object)[codes]


def compared_payload(
    traces: TraceSet,
    trace_id: str,
    other: TraceSet,
    other_id: str,
    *,
    with_details: bool = True,
    colours: Colours | None = None,
    path: CriticalPath | None = None,
    skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None = None,
    names: tuple[str, str] = SIDES,
) -> tuple[Payload, Array]:
    """Return the columns of the waterfall of two traces, and their rows of ``spans``."""
    strings, named = Strings(), [clean(name, limit=_NAME) for name in side_names(names)]
    pair = (traces, trace_rows(traces, trace_id)), (other, trace_rows(other, other_id))
    mine, theirs = (row_payload(*side, strings, colours) for side in pair)
    services = list(dict.fromkeys([*mine.meta["services"], *theirs.meta["services"]]))
    place, parent, start = _places(mine, theirs, services)
    order, position = _preorder(parent, start)
    at = [np.append(found, -1)[order] for found in place]  # row of either trace, by row of the view
    columns = _merged(mine, theirs, services, at)
    columns["parent"] = np.where(parent[order] >= 0, position[parent[order]], -1).astype(np.int32)
    columns |= _shape(columns["parent"])
    if path is not None:
        columns |= _placed(path_columns(path, *pair[0]), at[0])
    moves, remark = _moves(pair, at, path, skew)
    columns |= moves
    sources: list[str] = []
    if with_details:
        lost = at[1][at[0] < 0]
        columns |= _details(pair, lost, strings)
        columns["det"] = np.where(at[0] >= 0, at[0], len(mine.columns["start"]) + np.cumsum(at[0] < 0) - 1)
        sources = [*source_names(traces), *source_names(other)]
    slots = dict(
        zip(
            [*mine.meta["services"], *theirs.meta["services"]],
            [*mine.meta["slots"], *theirs.meta["slots"]],
            strict=True,
        )
    )
    meta = mine.meta | {
        "services": services,
        "slots": [slots[name] for name in services],
        "sources": sources,
        "names": named,
        "note": "; ".join(filter(None, [_note(mine, theirs, columns["state"], named[0]), remark])),
    }
    if path is not None:
        meta["focus"] = longest_stretch(columns)
    spans = [np.where(found >= 0, shown.rows[found], -1) for (_, shown), found in zip(pair, at, strict=True)]
    return Payload(columns, strings.texts, meta), np.stack(spans)


def _places(mine: Payload, theirs: Payload, services: list[str]) -> tuple[list[Array], Array, Array]:
    """Return rows of both traces by position in the call tree, the parent position, and the start."""
    known: dict[tuple[int, int, int, int], int] = {}
    rows = []
    for side in (mine, theirs):
        parent, name = side.columns["parent"].tolist(), side.columns["name"].tolist()
        number = [services.index(service) for service in side.meta["services"]]
        service = [number[code] for code in side.columns["svc"].tolist()]
        turns: Counter[tuple[int, int, int]] = Counter()
        places: list[int] = []
        for row, above in enumerate(parent):
            called = (places[above] if above >= 0 else -1, service[row], name[row])
            places.append(known.setdefault((*called, turns[called]), len(known)))
            turns[called] += 1
        rows.append(np.array(places))
    found = [np.full(len(known), -1) for _ in rows]
    for by_place, places_ in zip(found, rows, strict=True):
        by_place[places_] = np.arange(len(places_))
    parent_place = np.array([key[0] for key in known])
    start = np.where(found[0] >= 0, mine.columns["start"][found[0]], theirs.columns["start"][found[1]])
    return found, parent_place, start


def _preorder(parent: Array, start: Array) -> tuple[Array, Array]:
    """Return the positions in preorder, children sorted by start, and the row of each position."""
    children: dict[int, list[int]] = {}
    for place in np.lexsort((np.arange(len(start)), start)).tolist():
        children.setdefault(int(parent[place]), []).append(place)
    order, waiting = [], children.get(-1, [])[::-1]
    while waiting:
        place = waiting.pop()
        order.append(place)
        waiting += children.get(place, [])[::-1]
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return np.array(order), position


def _merged(mine: Payload, theirs: Payload, services: list[str], at: list[Array]) -> dict[str, Array]:
    """Return the columns of the rows: of the current trace where it has them, else of the baseline."""
    is_mine, is_theirs = at[0] >= 0, at[1] >= 0
    renamed = np.array([services.index(service) for service in theirs.meta["services"]], np.uint32)
    other = theirs.columns | {"svc": renamed[theirs.columns["svc"]]}
    columns = {
        name: np.where(is_mine, mine.columns[name][at[0]], other[name][at[1]])
        for name in ("start", "dur", "svc", "name", "kind", "flags")
    }
    columns["start2"], columns["dur2"] = (np.where(is_theirs, other[name][at[1]], 0.0) for name in ("start", "dur"))
    columns["state"] = _states(columns, is_mine, is_theirs)
    columns["dur"] = np.where(is_mine, columns["dur"], 0.0)
    return {**columns, "svc": columns["svc"].astype(np.uint32)}


def _states(columns: dict[str, Array], is_mine: Array, is_theirs: Array) -> Array:
    """Return the ``State`` of each row."""
    length = max(float((columns[a] + columns[b]).max(initial=1.0)) for a, b in (("start", "dur"), ("start2", "dur2")))
    more = columns["dur"] - columns["dur2"]
    is_changed = np.abs(more) >= np.maximum(WORTH_OF_SPAN * np.abs(columns["dur2"]), WORTH_OF_TRACE * length)
    changed = np.where(is_changed, np.where(more > 0, State.SLOWER, State.FASTER), State.MATCHED)
    return np.where(~is_theirs, State.ADDED, np.where(~is_mine, State.MISSING, changed)).astype(np.uint8)


def _shape(parent: Array) -> dict[str, Array]:
    """Return the depth and subtree end of each row, from parents in preorder."""
    above = parent.tolist()
    depth, end = [0] * len(above), list(range(1, len(above) + 1))
    for row, up in enumerate(above):
        depth[row] = depth[up] + 1 if up >= 0 else 0
    for row in range(len(above) - 1, -1, -1):
        if above[row] >= 0:
            end[above[row]] = max(end[above[row]], end[row])
    return {"depth": np.array(depth, np.uint32), "subEnd": np.array(end, np.int32)}


def _placed(path: dict[str, Array], rows: Array) -> dict[str, Array]:
    """Return the critical path with rows of the view instead of those of the trace."""
    place = np.full(int(rows.max(initial=0)) + 1, -1, np.int32)
    place[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    return path | {"critRow": np.where(path["critRow"] >= 0, place[path["critRow"]], -1).astype(np.int32)}


def _moves(
    pair: tuple[Pair, Pair],
    at: list[Array],
    path: CriticalPath | None,
    skew: ClockSkew | tuple[ClockSkew, ClockSkew] | None,
) -> tuple[dict[str, Array], str]:
    """Return the skew correction of both traces by row, in ns, and a remark."""
    ours, others = skew if isinstance(skew, tuple) else (path if skew is None else skew,) * 2
    if ours is None or others is None:
        return {}, ""
    if not is_among(others.source, *pair[1]):
        if skew is None:  # the critical path has the clocks of its own traces only
            moved = int(np.count_nonzero(shift_columns(ours, *pair[0])["shift"]))
            remark = "with clock skew not corrected: the skew of the other trace is unknown"
            return {}, f"{plural(moved, 'span')} {remark}" if moved else ""
        raise ValueError(
            f"expected the clock skew of both traces, found none of trace {pair[1][1].trace_id}: pass both, "
            "skew=(clock_skew(traces), clock_skew(other))"
        )
    mine, theirs = shift_columns(ours, *pair[0]), shift_columns(others, *pair[1])
    columns = {}
    for name in ("shift", "doubt"):
        columns[f"{name}2"] = np.where(at[1] >= 0, theirs[name][at[1]], 0.0)
        columns[name] = np.where(at[0] >= 0, mine[name][at[0]], columns[f"{name}2"])
    is_alike = skew is not None and not columns["shift"].any() and not columns["shift2"].any()
    return columns, "no clock skew to correct" if is_alike else ""


def _details(pair: tuple[Pair, Pair], lost: Array, strings: Strings) -> dict[str, Array]:
    """Return the details of all spans of the current trace, then of spans in the baseline only."""
    (traces, shown), (other, other_shown) = pair
    mine = detail_columns(traces, shown.rows, shown.base_ns, strings)
    theirs = detail_columns(other, other_shown.rows[lost], other_shown.base_ns, strings)
    theirs["src"] = theirs["src"] + np.uint32(len(traces.columns.sources))
    theirs["res"] = theirs["res"] + np.uint32(len(mine["resN"]))
    return {name: np.concatenate((column, theirs[name])) for name, column in mine.items()}


def _note(mine: Payload, theirs: Payload, state: Array, baseline: str) -> str:
    """Return a summary of the comparison."""
    lengths = [float((side.columns["start"] + side.columns["dur"]).max(initial=0.0)) for side in (mine, theirs)]
    counts = [(int((state == kind).sum()), kind.name.lower()) for kind in State if kind != State.MATCHED]
    changes: list[Any] = [f"{plural(number, 'span')} {word}" for number, word in counts if number]
    head = f"{baseline} trace {theirs.meta['id']}: {from_to(lengths[1], lengths[0])}"
    return "; ".join([f"{head}, {', '.join(changes) or 'no differences'}", *filter(None, [mine.meta["note"]])])
