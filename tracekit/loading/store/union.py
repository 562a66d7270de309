"""Parts of stores, or two sets, as one set: traces sorted, and the pieces of a trace in several merged.

Within a store no trace is in two parts.  Two stores may share traces (one file cut in two at midnight, say, or the same
file converted twice): then parents are resolved anew and copies merged, as if the sources had been read together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.columns import Columns, trace_starts
from tracekit.loading.building.issue_totals import IssueTotals
from tracekit.loading.building.ledger import Issue, Ledger
from tracekit.loading.building.merge import compact, merge
from tracekit.loading.building.trace_set import finalise
from tracekit.loading.store.tables import frame_of
from tracekit.redaction.apply import joined_notes
from tracekit.schema import Quality
from tracekit.self_description import made_of
from tracekit.traces import TraceSet
from tracekit.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from tracekit.columns import Array, SpanColumns

_FOUND_BY_FINALISE = np.uint32(
    Quality.DUPLICATE
    | Quality.DURATION_NEGATIVE
    | Quality.DURATION_ZERO
    | Quality.DURATION_ABSURD
    | Quality.TIME_FUTURE
    | Quality.OUTSIDE_PARENT
)
_REMOVED = {"TIME_UNIT", "DUP_IDENTICAL", "DUP_SUPERSEDED"}  # about removed spans, so not found again


_CONTRADICTION = "the added sets have different weights for the same trace"


class Piece(NamedTuple):
    """A part of a store; its source 0 is source ``first_source`` of all."""

    columns: Columns
    weights: Weights
    first_source: int


class Rows(NamedTuple):
    """Rows of ``sources`` and ``issues`` of several stores."""

    sources: list[dict[str, Any]]
    issues: list[dict[str, Any]]


def union(
    pieces: list[Piece], sources: list[dict[str, Any]], issues: list[dict[str, Any]], notes: dict[str, str]
) -> TraceSet:
    """Return the traces of all pieces; the list is emptied."""
    if len(pieces) == 1:
        columns, weights, _ = pieces.pop()
        return TraceSet(_with_frames(columns, sources, issues, notes), weights=weights)
    columns, weights, is_shared = joined(pieces)
    if not is_shared:
        return TraceSet(_with_frames(columns, sources, issues, notes), weights=weights)
    ledgers = [Ledger(row["uri"]) for row in sources]
    again = finalised_again(columns, weights, ledgers)
    totals = [Ledger(row["uri"]) for row in sources]
    sums = IssueTotals(totals)
    sums.add(ledgers)
    rows = recounted(Rows(sources, issues), totals, sums)
    columns = _with_frames(again.columns, *rows, notes)
    return TraceSet(columns, forest=again.forest, weights=weights)


def joined(pieces: list[Piece]) -> tuple[Columns, Weights, bool]:
    """Return the columns and weights of all pieces, and whether one trace is in several; the list is emptied."""
    trace_count = sum(len(piece.weights.value) for piece in pieces)
    ids, weights = joined_weights(pieces)
    parts = [_moved(piece) for piece in pieces]
    pieces.clear()
    columns = merge(parts)
    if len(ids) == trace_count and not _is_sorted(columns.spans):
        columns = columns.take_in_order(np.lexsort((columns.spans.trace_lo, columns.spans.trace_hi)))
    return columns, weights, len(ids) != trace_count


def add(first: TraceSet, second: TraceSet) -> TraceSet:
    """Return the traces of both sets; see ``TraceSet.__add__``."""
    sources, issues = (_rows(getattr(first.columns, name)) for name in ("sources", "issues"))
    _, of_first, of_second = np.intersect1d(_ids(first), _ids(second), assume_unique=True, return_indices=True)
    weights = _not_contradicting(first.weights, second.weights, of_first, of_second)
    if first.columns.sources is second.columns.sources:  # parts of the same recording: a trace is the same in both
        is_left = weights[0].known[of_first] | ~weights[1].known[of_second]
        pieces = [
            _without(first, weights[0], of_first[~is_left], 0),
            _without(second, weights[1], of_second[is_left], 0),
        ]
    else:
        none = np.zeros(0, np.int64)
        pieces = [_without(first, weights[0], none, 0), _without(second, weights[1], none, len(sources))]
        issues += [{**row, "source_id": row["source_id"] + len(sources)} for row in _rows(second.columns.issues)]
        sources += _rows(second.columns.sources)
    both = union(pieces, sources, issues, joined_notes([*second.columns.notes.items(), *first.columns.notes.items()]))
    return TraceSet(both.columns, forest=both.forest, weights=both.weights, steps=made_of(first, second))


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of ``sources`` or ``issues``, None for missing cells."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(name): cell for name, cell in row.items()} for row in plain.to_dict("records")]


def _ids(traces: TraceSet) -> Array:
    """Return the ids of traces as text, in the order of the traces."""
    return np.array(traces.trace_ids, "U32")


def _not_contradicting(first: Weights, second: Weights, of_first: Array, of_second: Array) -> tuple[Weights, Weights]:
    """Return the weights of both sets, unknown where both sets know the weight of a trace and differ."""
    differ = first.known[of_first] & second.known[of_second] & (first.value[of_first] != second.value[of_second])
    refused = []
    for weights, rows in ((first, of_first), (second, of_second)):
        mask = np.zeros(len(weights.value), bool)
        mask[rows[differ]] = True
        refused.append(weights.refused(mask, _CONTRADICTION))
    return refused[0], refused[1]


def _without(traces: TraceSet, weights: Weights, omitted: Array, first_source: int) -> Piece:
    """Return a set without some traces (positions), with only the texts and attributes in use."""
    kept = np.ones(len(traces), bool)
    kept[omitted] = False
    return piece_of(traces, weights, kept, first_source)


def piece_of(traces: TraceSet, weights: Weights, kept: Array, first_source: int) -> Piece:
    """Return some traces of a set (a mask), with only the texts and attributes in use."""
    trace = np.repeat(kept, np.diff(trace_starts(traces.columns.spans)))
    return Piece(compact(traces.columns.take(np.flatnonzero(trace))), weights.take(kept), first_source)


def _with_frames(
    columns: Columns, sources: list[dict[str, Any]], issues: list[dict[str, Any]], notes: dict[str, str]
) -> Columns:
    """Return the columns with sources, issues and notes."""
    return replace(columns, sources=frame_of(sources, "sources"), issues=frame_of(issues, "issues"), notes=notes)


def _moved(piece: Piece) -> Columns:
    """Return a piece's columns with the source numbers of the union."""
    spans = piece.columns.spans
    if not piece.first_source:
        return piece.columns
    return replace(piece.columns, spans=replace(spans, source=spans.source + np.int32(piece.first_source)))


def _is_sorted(spans: SpanColumns) -> bool:
    """Return whether trace ids are in ascending order."""
    hi, lo = spans.trace_hi, spans.trace_lo
    return bool(((hi[1:] > hi[:-1]) | ((hi[1:] == hi[:-1]) & (lo[1:] >= lo[:-1]))).all())


def joined_weights(pieces: Sequence[Piece]) -> tuple[Array, Weights]:
    """Return the ids of all traces, sorted, and their weights: of several the known one, none if they contradict."""
    first = [trace_starts(piece.columns.spans)[:-1] for piece in pieces]
    spans = [piece.columns.spans for piece in pieces]
    hi = np.concatenate([one.trace_hi[rows] for one, rows in zip(spans, first, strict=True)])
    lo = np.concatenate([one.trace_lo[rows] for one, rows in zip(spans, first, strict=True)])
    labels: dict[str, int] = {}
    codes = [
        np.array([labels.setdefault(label, len(labels)) for label in piece.weights.source.labels], np.int32)
        for piece in pieces
    ]
    source = np.concatenate([own[piece.weights.source.codes] for own, piece in zip(codes, pieces, strict=True)])
    value = np.concatenate([piece.weights.value for piece in pieces])
    known = np.concatenate([piece.weights.known for piece in pieces])
    order = np.lexsort((~known, lo, hi))
    again = (hi[order][1:] == hi[order][:-1]) & (lo[order][1:] == lo[order][:-1])
    kept = order[~np.append(False, again)[: len(order)]]
    ids = np.stack([hi[kept], lo[kept]], axis=1)
    refusal = "; ".join(dict.fromkeys(piece.weights.refusal for piece in pieces if piece.weights.refusal))
    weights = Weights(value[kept], Codes(source[kept], list(labels)), refusal)
    trace = np.cumsum(~np.append(False, again)[: len(order)]) - 1
    differs = known[order] & (value[order] != value[kept][trace]) & known[kept][trace]
    is_refused = np.bincount(trace, differs, minlength=len(kept)) > 0
    return ids, weights.refused(is_refused, _CONTRADICTION)


def finalised_again(columns: Columns, weights: Weights, ledgers: list[Ledger]) -> TraceSet:
    """Return traces that several stores share as if their sources had been read together; ledgers say what was found.

    ``ledgers``: one per source, empty.
    """
    fresh = replace(columns.spans, quality=columns.spans.quality & ~_FOUND_BY_FINALISE)
    finalised = finalise(replace(columns, spans=fresh), ledgers, "ns")
    return TraceSet(finalised.columns, forest=finalised.forest, weights=weights)


def recounted(rows: Rows, ledgers: list[Ledger], totals: IssueTotals) -> Rows:
    """Return sources and issues after their traces were finalised again; ``totals`` has what was found, per source."""
    counted = [
        {
            **row,
            "accepted_count": row["accepted_count"] - ledger.merged,
            "merged_count": row["merged_count"] + ledger.merged,
        }
        for row, ledger in zip(rows.sources, ledgers, strict=True)
    ]
    kept = []
    for row in rows.issues:
        issue = Issue(**{name: row[name] for name in Issue._fields})
        if not issue.is_total:
            kept.append(row)
        elif issue.code in _REMOVED:
            totals.add_issue(row["source_id"], issue)
    totals.write()
    for source, ledger in enumerate(ledgers):
        kept += [{**issue._asdict(), "source_id": source} for issue in ledger.issues]
    kept.sort(key=lambda row: row["source_id"])
    return Rows(counted, kept)
