"""Segments column by column: the parts of many documents at once, for lines without irregularities.

``SegmentColumns`` checks everything before it changes the builder: after a ``ValueError``, ``walk`` can read the line
as if this had not been tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.loading.ids import packed
from tracekit.loading.xray.blocks import plain, resource_key
from tracekit.loading.xray.segment import NOTHING
from tracekit.loading.xray.times import nanoseconds
from tracekit.loading.xray.tree import flat
from tracekit.loading.xray.walk import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from tracekit.loading.building.builder import Link
    from tracekit.loading.xray.segment import Part
    from tracekit.loading.xray.walk import Walk

_ID_DIGITS = 16
_NO_TIME = b"0" * 10
_ALONE = "subsegment"  # the type of one that came on its own
_SEGMENT, _SUBSEGMENT = frozenset({None, "segment"}), frozenset({None, _ALONE})
_KNOWN_NAMESPACES = NAMESPACES | {None, ""}
_CAUSES = frozenset({dict, str, type(None)})


@dataclass(slots=True)
class DocumentColumns:
    """Segment documents in the order of their lines, as columns.

    Parameters
    ----------
    roots
        The documents.
    entries
        Their ids in the response.
    traces, trace_ids
        Their trace ids, as in the response and as numbers.
    lines
        The line of each in the chunk.
    """

    roots: list[Part] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    trace_ids: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def add(self, roots: list[Part], entries: Iterable[str], trace: str, trace_id: int, line: int) -> None:
        """Add the documents of a trace."""
        count = len(roots)
        self.roots += roots
        self.entries += entries
        self.traces += [trace] * count
        self.trace_ids += [trace_id] * count
        self.lines += [line] * count


class Few(NamedTuple):
    """Attribute codes of the rows that have any."""

    rows: list[int]
    codes: list[Sequence[int]]


class SegmentColumns:
    """The parts of some documents; all columns have one row per part.

    Parameters
    ----------
    documents
        At least one.
    walk
        Has the tables that are read and filled.

    Attributes
    ----------
    parts, above, document, line
        The parts, which part embeds each (-1: none), and which document and line each is in.
    is_segment
        Whether a part is a segment.
    span_id, parent_id, has_caller
        The ids, and whether a document names its parent.
    start_ns, end_ns, has_end, in_progress
        The times.
    keys
        What the resource of each document depends on.
    calls, blocks
        Attribute codes: of the ``aws`` blocks of calls, and of the other blocks, sort by sort.
    links, causes
        Links and the values of causes, by row.

    Raises
    ------
    ValueError
        A part is not exactly as X-Ray writes it.
    """

    def __init__(self, documents: DocumentColumns, walk: Walk) -> None:
        self._walk = walk
        self.documents = documents
        tree = flat(documents.roots)
        self.line = np.array(documents.lines)[tree.document]
        self.causes = _values([part.cause for part in tree.parts])
        if late := [row for row, value in self.causes.items() if value and isinstance(value, str)]:
            key = 2 * self.line  # a part that waits for its cause comes at the end of its line
            key[late] += 1
            tree = tree.sorted(key)
            self.line = np.sort(self.line)
            self.causes = _values([part.cause for part in tree.parts])
        self.parts, self.above, self.document = tree.parts, tree.above, tree.document
        is_alone = np.array([root.type == _ALONE for root in documents.roots])
        self.is_root = self.above < 0
        self.is_segment = self.is_root & ~is_alone[self.document]
        self.keys = list(map(resource_key, documents.roots))
        self._check()
        self._ids()
        self._times()
        self.links = self._found_links()
        self.calls, self.blocks = self._calls(), self._blocks()
        walk.blocks.check_resources(*self._segments())

    # ---------------------------------------------------------------- checks

    def _check(self) -> None:
        """Check the texts; ValueError for an irregularity."""
        if not (self._agree() and self._are_plain()):
            raise ValueError("expected documents that agree with what they came in")

    def _agree(self) -> bool:
        """Return whether the documents have the ids of the entries and traces that contain them."""
        ids = [root.id for root in self.documents.roots]
        wrappers = np.array(self.documents.traces, object)[self.document].tolist()
        return [entry or own for entry, own in zip(self.documents.entries, ids, strict=True)] == ids and [
            part.trace_id or trace for part, trace in zip(self.parts, wrappers, strict=True)
        ] == wrappers

    def _are_plain(self) -> bool:
        """Return whether types, namespaces and causes are known, and only segments have an origin and a service."""
        inner = [self.parts[row] for row in np.flatnonzero(~self.is_segment).tolist()]
        return (
            _SEGMENT.issuperset([root.type for root in self.documents.roots if root.type != _ALONE])
            and _SUBSEGMENT.issuperset([part.type for part in inner])
            and not any(part.origin or part.resource_arn or part.service is not NOTHING for part in inner)
            and _KNOWN_NAMESPACES.issuperset([part.namespace for part in self.parts])
            and _CAUSES.issuperset(map(type, self.causes.values()))
        )

    def _segments(self) -> tuple[list[Part], list[Any]]:
        """Return the segments, and the keys of their resources."""
        kept = [at for at, root in enumerate(self.documents.roots) if root.type != _ALONE]
        return [self.documents.roots[at] for at in kept], [self.keys[at] for at in kept]

    def _ids(self) -> None:
        """Read the ids; ValueError if a subsegment has another parent than the enclosing part."""
        ids = [part.id for part in self.parts]
        named = [part.parent_id for part in self.parts]
        over = [ids[row] for row in self.above.tolist()]
        roots = np.flatnonzero(self.is_root).tolist()
        for row in roots:
            over[row] = named[row] or ""
        if [name or other for name, other in zip(named, over, strict=True)] != over:
            raise ValueError("expected subsegments that name the parent that embeds them")
        self.span_id = np.frombuffer(packed(ids, _ID_DIGITS), ">u8").astype(np.uint64)
        self.parent_id = np.where(self.is_root, np.uint64(0), self.span_id[self.above])
        callers = [row for row in roots if named[row]]
        self.has_caller = np.zeros(len(ids), bool)
        self.has_caller[callers] = True
        self.parent_id[callers] = np.frombuffer(packed([over[row] for row in callers], _ID_DIGITS), ">u8")

    def _times(self) -> None:
        """Read the times; ValueError for a part without an end that is not in progress."""
        starts, ends = [part.start_time for part in self.parts], [part.end_time for part in self.parts]
        self.in_progress = np.array([part.in_progress for part in self.parts])
        self.has_end = np.array([end is not NOTHING for end in ends])
        if not (self.has_end | self.in_progress).all():
            raise ValueError("expected an end, or in_progress")
        times = nanoseconds([*starts, *(_NO_TIME if end is NOTHING else end for end in ends)]).reshape(2, -1)
        self.start_ns, self.end_ns = times[0], np.where(self.has_end, times[1], 0)

    def _found_links(self) -> dict[int, list[Link]]:
        """Return the links of the parts that have any."""
        links: dict[int, list[Link]] = {}
        for row, value in _values([part.links for part in self.parts]).items():
            links[row] = found_links(value, self._walk)
        return links

    # ---------------------------------------------------------------- attributes

    def _blocks(self) -> list[Few]:
        """Return the attribute codes of the blocks, kind by kind."""
        parts, blocks = self.parts, self._walk.blocks
        rare = [row for row, part in enumerate(parts) if not part.user is part.precursor_ids is part.traced is NOTHING]
        return [
            _coded([part.http for part in parts], blocks.http.of),
            _coded([part.annotations for part in parts], blocks.annotations.of),
            *self._metadata([part.metadata for part in parts]),
            _coded([part.sql for part in parts], blocks.sql.of),
            Few(rare, [blocks.rest(parts[row], plain) for row in rare]),
        ]

    def _calls(self) -> Few:
        """Return the codes of the ``aws`` blocks of calls; those of segments belong to their resources."""
        is_call = (~self.is_segment).tolist()
        raws = [part.aws if call else NOTHING for part, call in zip(self.parts, is_call, strict=True)]
        return _coded(raws, self._walk.blocks.calls)

    def _metadata(self, raws: list[Raw]) -> list[Few]:
        """Return the codes of metadata; OpenTelemetry's metadata on a segment belongs to its resource."""
        blocks = self._walk.blocks
        by_otel = np.array([key.by_otel for key in self.keys])
        if not by_otel.any():
            return [_coded(raws, blocks.metadata.of)]
        is_otel = by_otel[self.document]
        is_left = ~is_otel | self.is_segment
        own = [NOTHING if other else raw for raw, other in zip(raws, is_otel.tolist(), strict=True)]
        otel = [NOTHING if left else raw for raw, left in zip(raws, is_left.tolist(), strict=True)]
        return [_coded(own, blocks.metadata.of), _coded(otel, blocks.otel_metadata.of)]


def found_links(value: Any, walk: Walk) -> list[Link]:
    """Return the links in a block; ValueError for an invalid one."""
    items = [item for item in (value if isinstance(value, list) else [value]) if item is not None]
    found = [link for item in items if (link := walk.problems.link(item))]
    if len(found) < len(items):
        raise ValueError("expected links with trace_id and id")
    return found


def _coded(blocks: Sequence[Raw], codes_of: Callable[[Sequence[bytes]], list[Any]]) -> Few:
    """Return the codes of the present blocks."""
    rows = [row for row, block in enumerate(blocks) if block is not NOTHING]
    return Few(rows, codes_of([bytes(blocks[row]) for row in rows]))


def _values(blocks: Sequence[Raw]) -> dict[int, Any]:
    """Return the values of the present blocks; ValueError for one that must be reported."""
    return {row: plain(block) for row, block in enumerate(blocks) if block is not NOTHING}
