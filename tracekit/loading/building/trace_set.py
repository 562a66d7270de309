"""From the columns of the builder to a TraceSet: sort, merge duplicates, resolve parents, flag irregularities.

Nothing is repaired: times and spans are kept, except copies of the same record, which are merged and counted.
"""

from __future__ import annotations

import time
from dataclasses import fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from tracekit.columns import (
    Array,
    Columns,
    EventColumns,
    LinkColumns,
    SpanColumns,
)
from tracekit.forest import Forest, blocks, build_forest
from tracekit.frames import hexes
from tracekit.loading.building.catalogue import CATALOGUE
from tracekit.loading.building.finish import in_order, in_threads, look_up, may_have_copies, order
from tracekit.loading.building.ledger import NOWHERE, Ledger, Position, frames_later
from tracekit.loading.building.pending import with_owners
from tracekit.loading.building.pool import mix
from tracekit.loading.building.time_units import UnitVote, rows_in_other_units, scaled
from tracekit.on_demand import first_use, on_demand
from tracekit.ragged import Ragged
from tracekit.schema import ParentState, Quality
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import KeyValues, Work
    from tracekit.loading.building.batches import Batch
    from tracekit.loading.building.builder import Builder

    Tests = Callable[[slice], list[Array]]
    Run = Callable[[list[Work]], list[Any]]

_DAY_NS = 86_400 * 10**9
_ABSURD_NS = 30 * _DAY_NS
_APART = np.uint64(0x9E3779B97F4A7C15)
_NO_FRAMES: Final[dict[str, Any]] = {"sources": None, "issues": None}
"""The frames about the sources before ``finalise``."""

Part = TypeVar("Part", SpanColumns, EventColumns, LinkColumns)


def to_trace_set(builder: Builder, time_unit: str | None = None, threads: int = 1) -> TraceSet:
    """Return the spans of a builder as a TraceSet."""
    batch = builder.take_columns()
    rows, (kv, new_code) = _order_and_attributes(builder, batch.spans, threads)
    columns = [with_owners(_columns(builder, batch, kv, new_code))]
    del batch  # so that each column is released when it is in order
    return finalise(columns.pop(), builder.ledgers, time_unit, threads=threads, rows=rows)


def _order_and_attributes(builder: Builder, spans: SpanColumns, threads: int) -> list[Any]:
    """Return the order of the spans, and the table of attributes: with several threads at the same time."""
    work: list[Work] = [lambda: partial(order, spans), lambda: builder.attributes.table]
    return in_threads(threads, len(spans))(work)


def gather(builder: Builder) -> Columns:
    """Return the builder's content as columns in order of arrival, with equal attributes merged."""
    return _columns(builder, builder.take_columns(), *builder.attributes.table())


def _columns(builder: Builder, batch: Batch, kv: KeyValues, new_code: Array | None) -> Columns:
    """Return spans and the tables of their builder as columns."""
    resources, resource_attributes = builder.resource_tables()
    scopes, scope_attributes = builder.scope_tables()
    columns = Columns(
        spans=batch.spans,
        attributes=batch.attributes,
        events=batch.events,
        event_attributes=batch.event_attributes,
        links=batch.links,
        link_attributes=batch.link_attributes,
        resources=resources,
        resource_attributes=resource_attributes,
        scopes=scopes,
        scope_attributes=scope_attributes,
        kv=kv,
        names=builder.names.list(),
        texts=builder.texts.list(),
        facts=builder.trace_facts(),
        **_NO_FRAMES,
    )
    return columns if new_code is None else recoded(columns, new_code)


def recoded(columns: Columns, new_code: Array) -> Columns:
    """Return the columns with other attribute codes, in the tables of all owners."""

    def moved(table: Ragged) -> Ragged:
        return Ragged(table.offsets, new_code[table.codes] if len(table.codes) else table.codes)

    return replace(
        columns,
        attributes=moved(columns.attributes),
        event_attributes=moved(columns.event_attributes),
        link_attributes=moved(columns.link_attributes),
        resource_attributes=moved(columns.resource_attributes),
        scope_attributes=moved(columns.scope_attributes),
    )


def concat(table: type[Part], kinds: Sequence[type], parts: list[Part]) -> Part:
    """Return tables concatenated; the list is emptied so that no column is in memory twice."""
    columns: list[list[Array]] = [[np.zeros(0, kind)] for kind in kinds]
    for part in parts:
        for pieces, column in zip(columns, fields(part), strict=True):
            pieces.append(getattr(part, column.name))
    parts.clear()
    columns.reverse()
    return table(*(np.concatenate(columns.pop(), dtype=kind, casting="unsafe") for kind in kinds))


def finalise(
    columns: Columns,
    ledgers: list[Ledger],
    time_unit: str | None = None,
    minorities: Array | None = None,
    threads: int = 1,
    rows: Array | None = None,
) -> TraceSet:
    """Return columns in order of arrival as a TraceSet; issues go to the ledgers; ``rows`` is the order, if known."""
    if time_unit is not None:
        columns = scaled(columns, time_unit)
    elif minorities is None:
        vote = UnitVote()
        vote.add(columns.spans)
        minorities = vote.minorities(ledgers)
    rows, unsorted = order(columns.spans) if rows is None else rows, [columns]
    del columns
    columns = in_order(unsorted, rows, threads)
    del rows
    if time_unit is None and minorities is not None:
        columns = _without_other_units(columns, minorities, ledgers)
    columns = _without_copies(columns, ledgers)
    run = in_threads(threads, len(columns.spans))
    forest = build_forest(columns.spans, look_up(), run)
    columns = replace(columns, spans=replace(columns.spans, quality=_durations(columns.spans, forest, ledgers, run)))
    columns = replace(columns, spans=replace(columns.spans, quality=_outside(columns.spans, forest, ledgers, run)))
    _tell_parents(columns.spans, forest, ledgers)
    return TraceSet(_with_frames(columns, frames_later(ledgers)), forest=forest)


class _ReadColumns(Columns):
    """Columns whose frames about the sources are made when they are first used."""

    __slots__ = ("read",)
    __getattr__ = first_use


def _with_frames(columns: Columns, read: Callable[[str], Any]) -> Columns:
    """Return the columns with frames about the sources that are made on first use."""
    made = on_demand(_ReadColumns, read)
    for member in fields(columns):
        if member.name not in _NO_FRAMES:
            object.__setattr__(made, member.name, getattr(columns, member.name))
    return made


def add_totals(ledgers: list[Ledger], spans: SpanColumns, rows: Array, code: str, action: str = "accepted") -> None:
    """Add one issue per source that counts these spans, with the span of the lowest ids as its exemplar."""
    if not len(rows):
        return
    sources, counts = np.unique(spans.source[rows], return_counts=True)
    first = _lowest(spans, rows) if len(sources) == 1 else _lowest_of_each_source(spans, rows)
    ids = zip(hexes(spans.trace_hi[first], spans.trace_lo[first]), hexes(spans.span_id[first]), strict=True)
    places = zip(spans.record_number[first].tolist(), spans.byte_offset[first].tolist(), strict=True)
    for source, count, (trace_id, span_id), place in zip(sources.tolist(), counts.tolist(), ids, places, strict=True):
        add_total(ledgers[source], code, count, trace_id, span_id, action, Position(*place))


def _lowest(spans: SpanColumns, rows: Array) -> Array:
    """Return the row with the lowest trace id, span id, record number and byte offset, in this order."""
    for column in _ids_and_place(spans):
        values = column[rows]
        rows = rows[values == values.min()]
    return rows[:1]


def _lowest_of_each_source(spans: SpanColumns, rows: Array) -> Array:
    """Return the lowest row of every source, in the order of the sources."""
    rows = rows[np.lexsort([column[rows] for column in (*reversed(_ids_and_place(spans)), spans.source)])]
    return np.asarray(rows[np.diff(spans.source[rows], prepend=-1) != 0])


def _ids_and_place(spans: SpanColumns) -> tuple[Array, ...]:
    """Return the columns that choose the exemplar of an issue."""
    return spans.trace_hi, spans.trace_lo, spans.span_id, spans.record_number, spans.byte_offset


def add_total(
    ledger: Ledger, code: str, count: int, trace_id: str, span_id: str, action: str, at: Position = NOWHERE
) -> None:
    """Add one issue that counts spans or traces, with one of them as its exemplar."""
    what = "trace" if code in {"MULTI_ROOT", "NO_ROOT"} else "span"
    message = f"{count:,} {what}{'s' * (count != 1)}: {CATALOGUE[code].meaning}"
    ledger.issue(code, message, at=at, action=action, trace_id=trace_id, span_id=span_id, count=count)


def _without_other_units(columns: Columns, minorities: Array, ledgers: list[Ledger]) -> Columns:
    """Quarantine the spans of these sources with times in another unit than the rest."""
    rows = rows_in_other_units(columns.spans, minorities)
    if not len(rows):
        return columns
    add_totals(ledgers, columns.spans, rows, "TIME_UNIT", "quarantined")
    for source, count in zip(*np.unique(columns.spans.source[rows], return_counts=True), strict=True):
        ledgers[source].quarantined += int(count)
    return columns.take(np.delete(np.arange(len(columns.spans)), rows))


# -------------------------------------------------------------------- duplicates


def _without_copies(columns: Columns, ledgers: list[Ledger]) -> Columns:
    """Merge identical copies, drop superseded unfinished records, flag different spans with the same ids."""
    spans = columns.spans
    if not may_have_copies(spans):
        return columns
    key = mix([spans.trace_hi, spans.trace_lo, spans.span_id, spans.quality & Quality.SHARED])
    arranged = np.sort(key)
    twice = np.unique(arranged[1:][arranged[1:] == arranged[:-1]])
    if not len(twice):
        return columns
    rows = np.flatnonzero(np.isin(key, twice))
    group = np.unique(key[rows], return_inverse=True)[1]
    content = _content(columns, rows)
    copies = _later_of_equal(np.stack([group.astype(np.uint64), content]))
    unfinished = (spans.quality[rows] & Quality.IN_PROGRESS) != 0
    finished = np.zeros(int(group.max()) + 1, bool)
    finished[group[~unfinished]] = True
    superseded = unfinished & finished[group] & ~copies
    kept_group = group[~copies & ~superseded]
    conflict = np.bincount(kept_group, minlength=len(finished))[group] > 1
    for dropped, code in ((rows[copies], "DUP_IDENTICAL"), (rows[superseded], "DUP_SUPERSEDED")):
        add_totals(ledgers, spans, dropped, code, "merged")
        for source, count in zip(*np.unique(spans.source[dropped], return_counts=True), strict=True):
            ledgers[source].merged += int(count)
    clash = rows[conflict & ~copies & ~superseded]
    add_totals(ledgers, spans, clash, "DUP_CONFLICT")
    quality = spans.quality.copy()
    quality[clash] |= np.uint32(Quality.DUPLICATE)
    keep = np.ones(len(spans), bool)
    keep[rows[copies | superseded]] = False
    return replace(columns, spans=replace(spans, quality=quality)).take(np.flatnonzero(keep))


def _later_of_equal(pairs: Array) -> Array:
    """Return which columns of a two-row array repeat an earlier one."""
    order = np.lexsort((np.arange(pairs.shape[1]), pairs[1], pairs[0]))
    same = np.zeros(pairs.shape[1], bool)
    same[order[1:]] = (pairs[:, order[1:]] == pairs[:, order[:-1]]).all(axis=0)
    return same


def _content(columns: Columns, rows: Array) -> Array:
    """Return a 64-bit hash of a span's content, with attributes in any order and without provenance."""
    part = columns.take(rows)
    provenance = {"source", "record_number", "byte_offset", "quality"}
    own = [getattr(part.spans, column.name) for column in fields(SpanColumns) if column.name not in provenance]
    quality = part.spans.quality & ~np.uint32(Quality.DUPLICATE)
    one_event, one_link = (
        np.ones(len(table), np.int64) for table in (part.events, part.links)
    )  # the mix of zeros is 0
    events = mix([one_event, part.events.time_ns, part.events.name, _bag(part.event_attributes)])
    ids_of_links = [part.links.trace_hi, part.links.trace_lo, part.links.span_id]
    links = mix([one_link, *ids_of_links, part.links.relation, _bag(part.link_attributes)])
    sums = [_bag(part.attributes)]
    for hashes, owner in ((events, part.events.span_row), (links, part.links.span_row)):
        total = np.zeros(len(rows), np.uint64)
        with np.errstate(over="ignore"):
            np.add.at(total, owner, hashes)
        sums.append(total)
    return mix([*own, quality, *sums])


def _bag(table: Ragged) -> Array:
    """Return a hash of each row's attribute codes that does not depend on their order.

    Codes are small, and the hash of twice a small number may be twice its hash: [14, 14] would be equal to [29].
    """
    if not len(table.codes):
        return np.zeros(len(table), np.uint64)
    with np.errstate(over="ignore"):
        hashes = mix([table.codes.astype(np.uint64) + _APART])
        running = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)))
        return np.asarray(running[table.offsets[1:]] - running[table.offsets[:-1]])


# -------------------------------------------------------------------- irregularities


def _durations(spans: SpanColumns, forest: Forest, ledgers: list[Ledger], run: Run) -> Array:
    """Return the quality bits with those about the span's times."""
    quality = spans.quality.copy()
    tomorrow = time.time_ns() + _DAY_NS
    bits = (Quality.DURATION_NEGATIVE, Quality.DURATION_ZERO, Quality.DURATION_ABSURD, Quality.TIME_FUTURE)

    def tests(rows: slice) -> list[Array]:
        start = spans.start_ns[rows]
        duration = spans.end_ns[rows] - start
        timed = (quality[rows] & (Quality.NO_START | Quality.NO_END)) == 0
        ranges = (duration < 0, duration == 0, duration > _ABSURD_NS)
        return [*(timed & one for one in ranges), start > tomorrow]

    codes = ("DUR_NEGATIVE", "DUR_ZERO", "DUR_ABSURD", "TIME_FUTURE")
    for bit, code, rows in zip(bits, codes, _rows_by_test(tests, forest, run), strict=True):
        quality[rows] |= np.uint32(bit)
        add_totals(ledgers, spans, rows, code)
    add_totals(ledgers, spans, np.flatnonzero(quality & Quality.NO_START), "TIME_ZERO")
    open_end = (quality & Quality.NO_END) != 0
    add_totals(ledgers, spans, np.flatnonzero(open_end & ((quality & Quality.IN_PROGRESS) == 0)), "TIME_MISSING_END")
    return quality


def _outside(spans: SpanColumns, forest: Forest, ledgers: list[Ledger], run: Run) -> Array:
    """Return the quality bits with the one for child spans outside the parent's interval."""
    quality = spans.quality.copy()
    parents = forest.parent_row  # found here: the tests run in several threads

    def tests(rows: slice) -> list[Array]:
        parent = parents[rows]
        timed = ((quality[rows] | quality[parent]) & (Quality.NO_START | Quality.NO_END)) == 0
        out = (spans.start_ns[rows] < spans.start_ns[parent]) | (spans.end_ns[rows] > spans.end_ns[parent])
        return [(parent >= 0) & timed & out]

    (rows,) = _rows_by_test(tests, forest, run)
    quality[rows] |= np.uint32(Quality.OUTSIDE_PARENT)
    add_totals(ledgers, spans, rows, "CHILD_OUTSIDE_PARENT")
    return quality


def _rows_by_test(tests: Tests, forest: Forest, run: Run) -> list[Array]:
    """Return the rows that pass each test: block by block, as what a block needs stays in the processor's cache."""

    def passed(low: int, high: int) -> list[Array]:
        return [np.flatnonzero(one) + low for one in tests(slice(low, high))]

    found = run([partial(partial, passed, low, high) for low, high in (*blocks(forest.starts), (0, 0))])
    return [np.concatenate(rows) for rows in zip(*found, strict=True)]


def _tell_parents(spans: SpanColumns, forest: Forest, ledgers: list[Ledger]) -> None:
    """Add the issues about parents and roots."""
    for state, code in (
        (ParentState.MISSING, "PARENT_MISSING"),
        (ParentState.SELF, "PARENT_SELF"),
        (ParentState.CYCLE, "PARENT_CYCLE"),
    ):
        add_totals(ledgers, spans, np.flatnonzero(forest.state == state), code)
    roots = np.bincount(forest.trace[forest.state == ParentState.ROOT], minlength=len(forest.starts) - 1)
    add_totals(ledgers, spans, forest.root_row[roots > 1], "MULTI_ROOT")
    add_totals(ledgers, spans, forest.root_row[roots == 0], "NO_ROOT")
