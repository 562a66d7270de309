"""The compiled lane of OTLP JSON: what the extension scans becomes a batch; other lines and items are handed back.

The extension gives columns with codes of the distinct strings, attributes, resources and scopes of a chunk.  Each
distinct one is decoded once: strings, numbers and booleans of attributes by the extension, everything else here, by the
tolerant reader, whose remark on one sends all its lines back.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit.loading.building.ledger import NOWHERE, Ledger, Position
from tracekit.loading.building.scanned import ATTRIBUTES, HANDED_BACK, Distinct, Found, lines_with
from tracekit.loading.loader import Taken
from tracekit.loading.otlp import tolerant
from tracekit.loading.otlp.rows import quality_of
from tracekit.loading.otlp.times import ROUNDED_NS, note_rounded
from tracekit.loading.otlp.values import attribute_list
from tracekit.loading.records import Line, Lines, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from tracekit.columns import Array
    from tracekit.loading.building.batches import Batch
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Place

REQUESTS, _GROUPS, _SPANS, DOCUMENTS = range(4)  # what the items of a list are, as in native/otlp.h
_MOST = 2**62  # items
COLUMNS: dict[str, Any] = {
    "span_place": np.int64,
    **dict.fromkeys(("group_resource", "group_scope"), np.int32),
    **dict.fromkeys(("group_line", "group_spans"), np.int64),
    "group_is_first": np.bool_,
}


class Scanner(Distinct):
    """Loads lines into a builder.

    Parameters
    ----------
    builder
        Receives the spans; the scanner uses its attribute codes.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    takes = None
    notation = "otlp"

    def __init__(self, builder: Builder, extension: Any) -> None:
        super().__init__(builder, extension, self.notation)
        self._attribute_dialects: dict[int, Counter[str]] = {}
        self._resources: dict[tuple[bytes, bytes], tuple[int, Counter[str]]] = {}
        self._scopes: dict[tuple[bytes, bytes], tuple[int, Counter[str]]] = {}
        self._begun: tuple[Lines, Future[dict[str, Any] | None]] | None = None  # the chunk that is learned ahead

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load the lines that need no remark, all at once; then yield the others."""
        for part in (
            [lines] if isinstance(lines, Lines) else [Lines(data, number, offset) for number, offset, data in lines]
        ):
            yield from self._chunk(part)

    def scan_each(self, lines: Sequence[Line]) -> set[int]:
        """Load lines that are not adjacent in their source; return those that are handed back, from 0."""
        places = np.array([(line.number, line.offset) for line in lines], np.int64)
        part = Lines(b"\n".join([line.data for line in lines]), 0, 0)
        return {line.number for line in self._chunk(part, places)}

    # ---------------------------------------------------------------- lines inside of other records

    def inside(self, data: bytes, count: int) -> tuple[Found, Known] | None:
        """Return the columns of so many lines, and what their codes mean; None if one of the lines is handed back."""
        found = Found(self._scanned(data, b""), COLUMNS)
        if len(found["line_number"]) < count:
            return None
        known = self._known(found, Lines(data, 0, 0))
        return None if len(known.bad_lines(found)) else (found, known)

    def give_inside(self, found: Found, known: Known, places: Array) -> None:
        """Give the spans of lines to the builder; ``places`` has the number and the offset of the record of each."""
        record, offset = np.repeat(places, found["line_spans"], axis=0).T.copy()
        self._rows(found, known, record, offset)

    # ---------------------------------------------------------------- items of lists in documents

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first requests in some bytes, as many as it can."""
        return self._load_items(data, place, REQUESTS)

    def load_documents(self, data: bytes, place: Place) -> Taken:
        """Load the first documents in some bytes, as many as it can: each is a request."""
        return self._load_items(data, place, DOCUMENTS)

    def load_groups(self, data: bytes, place: Place) -> Taken:
        """Load the first ResourceSpans in some bytes, as many as it can."""
        return self._load_items(data, place, _GROUPS)

    def load_spans(self, resource: int, scope: int, data: bytes, place: Place) -> Taken:
        """Load the first spans of a ScopeSpans in some bytes, as many as it can."""
        return self._load_items(data, place, _SPANS, resource, scope)

    def _load_items(self, data: bytes, place: Place, kind: int, *owners: int) -> Taken:
        """Load items up to one that is cut off, odd, or has to be reported."""
        part = Lines(data, 0, 0)
        found = Found(self._scanned_items(data, kind, _MOST), COLUMNS)
        may_be_cut: bool = found.made["is_cut"]
        known = self._known(found, part)
        bad = known.bad_lines(found)
        if len(bad):
            may_be_cut = False
            found = Found(self._scanned_items(data, kind, int(bad[0])), COLUMNS)
            known = self._known(found, part)
        if not len(found["line_number"]):
            return Taken(may_be_cut=may_be_cut)
        records = self._give(found, known, place, kind, owners)
        return Taken(int(found["line_stop"][-1]), records, items=len(found["line_number"]))

    def _scanned_items(self, data: bytes, kind: int, most: int) -> dict[str, Any]:
        """Return the columns of the first items of a list, at most so many."""
        columns: dict[str, Any] = self._extension.scan_items(data, kind, most)
        return columns

    def _give(self, found: Found, known: Known, place: Place, kind: int, owners: Sequence[int]) -> int:
        """Give the spans of items to the builder, and count them; return how many records they are."""
        ledger = self._builder.ledger
        ledger.formats["otlp"] += len(found["line_number"]) if kind in {REQUESTS, DOCUMENTS} else 0
        spans_of_group = found["group_spans"]
        if kind == _SPANS:
            known.resource, known.scope = (np.full(len(spans_of_group), owner, np.int32) for owner in owners)
            first, records = place.record - 1, np.zeros(len(spans_of_group), np.int64)
            count = 0
        else:
            first, records = place.record, np.cumsum(found["group_is_first"]) - 1
            count = int(np.count_nonzero(found["group_is_first"]))
        ledger.record_count += count
        record = np.repeat(np.full(len(records), place.line) if place.line else first + 1 + records, spans_of_group)
        self._rows(found, known, record, place.offset + found["span_place"])
        return count

    # ---------------------------------------------------------------- lines

    def work_ahead(self, data: bytes | memoryview) -> dict[str, Any]:
        """Return the columns of a chunk; it needs nothing of the builder."""
        return self._scanned(data, b"")

    def _scanned(self, data: bytes | memoryview, excluded: bytes) -> dict[str, Any]:
        """Return the columns of a chunk without some of its lines."""
        columns: dict[str, Any] = self._extension.scan(data, excluded)
        return columns

    def _chunk(self, part: Lines, places: Array | None = None) -> Iterator[Line]:
        """Load the lines of a chunk; yield those that are handed back.

        ``places`` are the numbers and offsets of all its lines if these are not adjacent.
        """
        found = Found(self._scanned(part.data, b"") if part.ahead is None else part.ahead.result(), COLUMNS)
        known = self._known(found, part)
        bad = known.bad_lines(found)
        if len(bad):
            found = Found(self._scanned(part.data, bad.tobytes()), COLUMNS)
            known = self._known(found, part)
        if not len(found["other_number"]):
            self._learn_ahead(part.following)
        self._load(found, known, part, places)
        for number, start, stop in zip(
            *(found[f"other_{name}"].tolist() for name in ("number", "start", "stop")), strict=True
        ):
            yield Line(part.first_line + number, part.first_offset + start, bytes(part.data[start:stop]))

    def _learn_ahead(self, part: Lines | None) -> None:
        """Let another thread learn the attributes of the next chunk, when nothing before it is left to learn."""
        if part is not None and part.ahead is not None and part.submit is not None:
            self._begun = part, part.submit(self._learned_of, part.data, part.ahead)

    def _learned_of(self, data: bytes | memoryview, ahead: Future[dict[str, Any]]) -> dict[str, Any] | None:
        """Return what is learned of a chunk that another thread scans; None if it has lines that may be another's."""
        made = ahead.result()
        is_own = not made["other_number"]
        return self._learned(data, made["distinct_attributes"], made["shapes"]) if is_own else None

    def _known(self, found: Found, part: Lines) -> Known:
        """Return what the codes of a chunk mean to the builder."""
        resources, scopes = self._owners(found, "resource"), self._owners(found, "scope")
        begun, self._begun = self._begun, None
        learned = None if begun is None else begun[1].result()
        codes = None if learned is None else self._learn(learned)
        if codes is None or begun is None or begun[0] is not part:
            codes = self._learn(self._learned(part.data, found.made["distinct_attributes"], found.made["shapes"]))
        kv = np.frombuffer(self._kv, np.int32)[codes] if len(codes) else codes
        return Known(codes, kv, resources, scopes)

    def _load(self, found: Found, known: Known, part: Lines, places: Array | None) -> None:
        """Give the spans of a chunk to the builder, and count its records: each line is one."""
        ledger = self._builder.ledger
        record_count = len(found["line_number"])
        if not record_count:
            return
        ledger.record_count += record_count
        ledger.formats["otlp"] += record_count
        number, start = (np.repeat(found[f"line_{name}"], found["line_spans"]) for name in ("number", "start"))
        record, offset = (
            (part.first_line + number, part.first_offset + start) if places is None else places[number].T.copy()
        )
        self._rows(found, known, record, offset)

    def _rows(self, found: Found, known: Known, record: Array, offset: Array) -> None:
        """Give spans to the builder, and count in which dialects they are, and the times that lost digits."""
        dialects = {name: count for name, count in self._dialects(found, known).items() if count}
        self._builder.ledger.dialects.update(dialects)
        self._note_rounded(found, record, offset)
        if len(record):
            self._builder.batch(self._batch(found, known, record, offset))

    def _batch(self, found: Found, known: Known, record: Array, offset: Array) -> Batch:
        """Return the columns of a chunk with the builder's codes."""
        spans_of_group = found["group_spans"]
        own = {
            "resolution_ns": np.where(found["rounded"], np.int32(ROUNDED_NS), np.int32(1)),
            "resource": np.repeat(known.resource, spans_of_group),
            "scope": np.repeat(known.scope, spans_of_group),
            "quality": quality_of(found["start_ns"], found["end_ns"], found["flags"]),
        }
        return self._batch_of(found, known.kv, own=own, record=record, offset=offset)

    def _note_rounded(self, found: Found, record: Array, offset: Array) -> None:
        """Count the times that lost digits."""
        rows = {
            "startTimeUnixNano": np.flatnonzero(found["rounded"] & 1),
            "endTimeUnixNano": np.flatnonzero(found["rounded"] & 2),
            "timeUnixNano": found["event_span_row"][found["event_rounded"] != 0],
        }
        for field, lost in rows.items():
            if len(lost):
                at = Position(int(record[lost[0]]), int(offset[lost[0]]))
                note_rounded(field, at, self._builder, len(lost))

    def _dialects(self, found: Found, known: Known) -> Counter[str]:
        """Return how often each spelling other than the specification's was used."""
        total: Counter[str] = Counter(found.made["dialects"])
        is_go = np.frombuffer(self._is_go, np.bool_)
        if self._attribute_dialects or is_go.any():
            used = np.bincount(np.concatenate([known.codes[found[name]] for name in ATTRIBUTES]), minlength=len(is_go))
            total["go_struct_values"] += int(used[is_go].sum())
            for code, counted in self._attribute_dialects.items():
                total.update({name: count * int(used[code]) for name, count in counted.items()})
        for counts, uses in known.owner_dialects:
            total.update({name: count * uses for name, count in counts.items()})
        return total

    # ---------------------------------------------------------------- how texts and values are written

    def _parsed(self, raw: bytes, name: str, ledger: Ledger) -> tuple[Any, bool]:  # noqa: ARG002 - for other formats
        """Return a value as the tolerant reader has it, and whether it can be read without a remark."""
        parsed = parse(raw or b"null")
        return parsed.value, parsed.failure is None and not parsed.notes

    # ---------------------------------------------------------------- attributes

    def _alone(self, raw: bytes, code: int) -> int:
        """Return the builder's code of any attribute; -1 for one that has to be reported."""
        scratch = Ledger("")
        is_member = self.notation == "otlp" and raw.startswith(b'"')  # of attributes that are a map
        value, is_whole = self._parsed(b"{%b}" % raw if is_member else raw, "KeyValue", scratch)
        pairs = attribute_list(value if is_member else [value], scratch) if is_whole else []
        if not pairs or scratch.has_remarks:
            return HANDED_BACK
        scratch.dialects.pop("attribute_map", None)  # counted with the map
        if scratch.dialects:
            self._attribute_dialects[code] = scratch.dialects
        [(key, value)] = pairs
        return self._builder.kv(key, value)

    # ---------------------------------------------------------------- resources and scopes

    def _owners(self, found: Found, name: str) -> _Owners:
        """Return the builder's number of the resource or scope of every group."""
        which, texts = found[f"group_{name}"], found.made["owner_texts"]
        uses = np.bincount(which[found["group_is_first"] if name == "resource" else which >= 0]).tolist()
        load = self._resource if name == "resource" else self._scope
        pairs = np.frombuffer(b"".join(found.made[f"{name}s"]), np.int32).reshape(-1, 2).tolist()
        made = [load((texts[text], texts[url])) for text, url in pairs]
        numbers = np.array([number for number, _ in made] + [0], np.int32)  # the last for -1, a group without a scope
        return _Owners(
            numbers[which], [(counted, used) for (_, counted), used in zip(made, uses, strict=True) if counted]
        )

    def _resource(self, key: tuple[bytes, bytes]) -> tuple[int, Counter[str]]:
        """Return the number of a resource, -1 for one that has to be reported, and its dialects."""
        if key not in self._resources:
            builder = self._builder
            self._resources[key] = self._aside(
                key, "Resource", lambda value, url: tolerant.resource_of(value, url, NOWHERE, builder)
            )
        return self._resources[key]

    def _scope(self, key: tuple[bytes, bytes]) -> tuple[int, Counter[str]]:
        """Return the number of a scope, -1 for one that has to be reported, and its dialects."""
        if key not in self._scopes:
            builder = self._builder
            self._scopes[key] = self._aside(
                key, "Scope", lambda value, url: tolerant.scope_of({"scope": value, "schemaUrl": url}, NOWHERE, builder)
            )
        return self._scopes[key]

    def _aside(self, key: tuple[bytes, bytes], name: str, load: Callable[[Any, str], int]) -> tuple[int, Counter[str]]:
        """Load a resource or scope with a ledger of its own."""
        scratch = Ledger("")
        value, is_whole = self._parsed(key[0], name, scratch)
        [url] = self._decoded([key[1]])
        if not is_whole:
            return HANDED_BACK, Counter()
        builder = self._builder
        own, builder.ledger = builder.ledger, scratch
        try:
            number = load(value, url)
            return (HANDED_BACK, Counter()) if builder.ledger.has_remarks else (number, builder.ledger.dialects)
        finally:
            builder.ledger = own


class _Owners:
    """The resource or scope of every group, and how often each of their dialects was used."""

    def __init__(self, numbers: Array, dialects: list[tuple[Counter[str], int]]) -> None:
        self.numbers = numbers
        self.dialects = dialects


class Known:
    """What the codes of a chunk mean: ``codes`` in the table of attributes, the others in the builder."""

    def __init__(self, codes: Array, kv: Array, resources: _Owners, scopes: _Owners) -> None:
        self.codes, self.kv = codes, kv
        self.resource, self.scope = resources.numbers, scopes.numbers
        self.owner_dialects = resources.dialects + scopes.dialects

    def bad_lines(self, found: Found) -> Array:
        """Return the lines, from 0 within the chunk, with something that has to be reported."""
        groups = (self.resource < 0) | (self.scope < 0)
        bad = self.kv < 0
        if not (groups.any() or bad.any()):
            return np.zeros(0, np.int64)
        of_groups = found["line_number"][found["group_line"][groups]]
        return np.unique(np.concatenate([lines_with(found, bad), of_groups]))
