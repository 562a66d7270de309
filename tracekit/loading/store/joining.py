"""Several stores made one in bounded memory: the traces of each new part are gathered from all parts that have some.

Traces are dealt to parts by a hash of their ids, as in ``loading/store/spill.py``, so a part that ``convert`` wrote is
read for one or two new parts only.  Meanwhile 8 bytes per trace are kept, which show whether two stores have the same
trace: then its pieces are merged, and all traces are finalised again.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from tracekit.columns import trace_starts
from tracekit.loading.building.issue_totals import IssueTotals
from tracekit.loading.building.ledger import Ledger
from tracekit.loading.building.pool import mix
from tracekit.loading.progress import Meter
from tracekit.loading.store.read_write import load_part, read_frames, read_marker
from tracekit.loading.store.spill import SLOTS, parts_of_slots
from tracekit.loading.store.tables import frame_of
from tracekit.loading.store.union import Piece, Rows, finalised_again, joined, piece_of, recounted
from tracekit.redaction.apply import joined_notes
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from tracekit.columns import Array
    from tracekit.loading.store.read_write import Marker


_SHIFT = np.uint64(64 - SLOTS.bit_length() + 1)  # of a hash, to the slot of ``loading/store/spill.py``


class Writer(Protocol):
    """What the new traces are written to: a store, a file of spans, or OTLP."""

    def part(self, traces: TraceSet) -> None:
        """Write whole traces."""

    def finish(self, sources: pd.DataFrame, issues: pd.DataFrame, notes: Mapping[str, str], /) -> None:
        """Write what all parts share."""


class _Part(NamedTuple):
    """A part of one of the stores; its source 0 is source ``first_source`` of all."""

    path: Path
    marker: Marker
    number: int
    first_source: int

    @property
    def byte_count(self) -> int:
        """Length of its files."""
        return sum(file.bytes for file in self.marker.parts[self.number].files.values())

    def read(self) -> TraceSet:
        """Return its traces."""
        return load_part(self.path, self.marker.parts[self.number], self.number, self.marker.files, ())


def join(paths: Sequence[Path], written: Writer, *, spans_at_once: int, progress: bool | None = None) -> None:
    """Write the traces of stores as one set, in parts of about so many spans.

    Parameters
    ----------
    paths
        The stores, in the order of their sources.
    written
        Receives the parts.
    spans_at_once
        Spans of a part; the larger parts of these stores also have to fit in memory.
    progress
        As for ``tracekit.read``.
    """
    rows, notes = Rows([], []), list[tuple[str, str]]()
    parts: list[_Part] = []
    for path in paths:
        marker, first = read_marker(path), len(rows.sources)
        frames = read_frames(path, marker.files)
        rows.sources.extend(frames["sources"])
        rows.issues.extend({**row, "source_id": row["source_id"] + first} for row in frames["issues"])
        notes += [(row["key"], row["value"]) for row in frames["notes"]]
        parts += [_Part(path, marker, number, first) for number in range(len(marker.parts))]
    counts = np.zeros(SLOTS, np.int64)
    hashes = [_ids(part, counts) for part in parts]
    ledgers = [Ledger(row["uri"]) for row in rows.sources] if _any_twice(hashes) else None
    totals = IssueTotals(ledgers or [])
    total = sum(part.byte_count for part in parts)
    new_part = parts_of_slots(counts, spans_at_once)
    slots = [(ids >> _SHIFT).astype(np.int32) for ids in hashes]
    del hashes
    count = int(new_part[-1]) + 1
    with Meter(total, progress, "joining") as meter:
        done = 0
        for new in range(count):
            pieces = [
                piece for part, own in zip(parts, slots, strict=True) for piece in _pieces(part, new_part[own] == new)
            ]
            if pieces:
                traces = _made_one(pieces, ledgers, totals)
                written.part(traces)
                done += len(traces.columns.spans)
                del traces
                gc.collect(1)
            meter.at(total * (new + 1) // count, done)
    sources, issues = rows if ledgers is None else recounted(rows, ledgers, totals)
    written.finish(frame_of(sources, "sources"), frame_of(issues, "issues"), joined_notes(notes))


def _ids(part: _Part, counts: Array) -> Array:
    """Return the hash of each trace id of a part, and add its spans to the counts of the slots."""
    spans = part.read().columns.spans
    starts = trace_starts(spans)
    found = mix([spans.trace_hi[starts[:-1]], spans.trace_lo[starts[:-1]]])
    np.add.at(counts, (found >> _SHIFT).astype(np.int64), np.diff(starts))
    return found


def _any_twice(hashes: Sequence[Array]) -> bool:
    """Return whether some trace is in two parts."""
    together = np.sort(np.concatenate(hashes))
    return bool((together[1:] == together[:-1]).any())


def _made_one(pieces: list[Piece], ledgers: list[Ledger] | None, totals: IssueTotals) -> TraceSet:
    """Return the traces of a new part; with ledgers they are finalised again, and what was found is added."""
    columns, weights, _ = joined(pieces)
    if ledgers is None:
        return TraceSet(columns, weights=weights)
    found = [Ledger(ledger.uri) for ledger in ledgers]
    traces = finalised_again(columns, weights, found)
    totals.add(found)
    return traces


def _pieces(part: _Part, kept: Array) -> list[Piece]:
    """Return the traces of a part that belong to a new part, if any."""
    if not kept.any():
        return []
    traces = part.read()
    return [piece_of(traces, traces.weights, kept, part.first_source)]
