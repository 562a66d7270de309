"""What the extension scanned of X-Ray: the columns of parts become a batch, and what answers say is reported.

The extension gives the members of blocks as they are written, each distinct one once; here they become attributes, by
the functions of the Python lane (``blocks.py``, ``fields.py``).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw

from tracekit.columns import EventColumns, LinkColumns, SpanColumns
from tracekit.loading.building.batches import EVENT_DTYPES, LINK_DTYPES, Batch, ragged, transposed
from tracekit.loading.building.builder import PENDING
from tracekit.loading.xray.answer import Answer, Trace
from tracekit.loading.xray.batch import link_row
from tracekit.loading.xray.blocks import plain, resource_key
from tracekit.loading.xray.cause import Reference
from tracekit.loading.xray.columns import found_links
from tracekit.loading.xray.segment import NOTHING, Part
from tracekit.loading.xray.times import duration_ns
from tracekit.loading.xray.walk import (
    CHILD_BITS,
    IN_PROGRESS,
    INFERRED,
    REMOTE_PARENT,
    RESOLUTION_NS,
    SEGMENT_BITS,
)
from tracekit.ragged import Ragged
from tracekit.schema import Kind, Quality, RecordKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder, Event, Link
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.xray.walk import Walk

_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(("trace_hi", "trace_lo", "span_id", "parent_id", "id_hi", "id_lo"), np.uint64),
    **dict.fromkeys(("start_ns", "end_ns", "line", "piece_row", "trace_count", "text_count"), np.int64),
    **dict.fromkeys(("others", "line_start", "line_stop"), np.int64),
    **dict.fromkeys(("name", "owner", "piece_slot", "piece_code", "duration", "unprocessed", "token"), np.int32),
    "bits": np.uint16,
    **dict.fromkeys(("is_limited", "is_retrieved"), np.bool_),
}
# as in native/xray.h
_IS_SEGMENT, _HAS_CALLER, _HAS_END, _IS_IN_PROGRESS, _IS_INFERRED, _ERROR, _FAULT, _THROTTLE, _CALLS = (
    1 << bit for bit in range(9)
)
_RESOURCE, _COLD_START, _CALL, _CALLEE, _REQUEST, _RESPONSE, _HTTP, _ANNOTATIONS, _METADATA = range(9)
_OTEL_METADATA, _SQL, _USER, _PRECURSORS, _TRACED, _FLAGS, _CAUSE, _LINKS = range(9, 17)
_NAMESPACES = ("aws", "remote", "local")
_SERVER, _CLIENT, _INTERNAL = int(Kind.SERVER), int(Kind.CLIENT), int(Kind.INTERNAL)
_number = msgspec.json.Decoder(int | float).decode
_ids = msgspec.json.Decoder(list[str] | None).decode
_text = msgspec.json.Decoder(str | None).decode
_decoded_texts = msgspec.json.Decoder(list[str]).decode


class Found:
    """The columns of some lines.

    Parameters
    ----------
    made
        What the extension returns: bytes of columns, and lists of distinct strings.
    """

    def __init__(self, made: dict[str, Any]) -> None:
        self.made = made

    def __getitem__(self, name: str) -> Array:
        return np.frombuffer(self.made[name], _COLUMNS[name])


class Said:
    """What answers say apart from their documents; ValueError if it is not of the right types."""

    def __init__(self, found: Found) -> None:
        texts = [*found.made["texts"], b"null"]  # the last for -1, a missing one
        self._durations = {code: duration_ns(_number(texts[code])) for code in _used(found["duration"])}
        self._durations[-1] = -1
        self._unprocessed = {code: _ids(texts[code]) for code in _used(found["unprocessed"])}
        self._tokens = {code: _text(texts[code]) for code in _used(found["token"])}
        self._found, self._retrieved = found, found["is_retrieved"]
        self._pages = list(zip(found["unprocessed"].tolist(), found["token"].tolist(), strict=True))
        self._limited: dict[int, list[Trace]] = {}
        for trace in np.flatnonzero(found["is_limited"]).tolist():
            line = int(np.searchsorted(np.cumsum(found["trace_count"]), trace, side="right"))
            name = f"{int(found['id_hi'][trace]):016x}{int(found['id_lo'][trace]):016x}"
            self._limited.setdefault(line, []).append(Trace(name, [], LimitExceeded=True))

    @property
    def limited(self) -> set[int]:
        """The lines with traces that X-Ray did not return whole."""
        return set(self._limited)

    @property
    def lines(self) -> set[int]:
        """The lines of answers that say anything, and those that may complete a source: behind a token, or first."""
        pages = np.flatnonzero(self._found["token"] >= 0)
        unprocessed = np.flatnonzero(self._found["unprocessed"] >= 0)
        behind = pages[pages + 1 < len(self._pages)] + 1
        return {*pages.tolist(), *behind.tolist(), *unprocessed.tolist(), *self._limited, 0}

    def is_retrieved(self, line: int) -> bool:
        """Return whether a line is an answer of ListRetrievedTraces."""
        return bool(self._retrieved[line])

    def plain(self, lines: slice, builder: Builder) -> None:
        """Count answers with nothing to report."""
        some = self._retrieved[lines]
        retrieved = int(np.count_nonzero(some))
        for name, count in (("retrieved_traces", retrieved), ("batch_get_traces", len(some) - retrieved)):
            if count:
                builder.ledger.dialect(name, count)

    def dialects(self, builder: Builder) -> None:
        """Count the other ways in which documents were written."""
        for name, count in self._found.made["dialects"].items():
            if count:
                builder.ledger.dialect(name, count)

    def facts(self, builder: Builder) -> None:
        """Record the durations of the traces."""
        columns = (self._found[name].tolist() for name in ("id_hi", "id_lo", "duration"))
        for high, low, duration in zip(*columns, strict=True):
            builder.fact(high << 64 | low, reported_duration_ns=self._durations[duration])

    def answer(self, line: int) -> Answer:
        """Return an answer without documents, and without the traces that are complete."""
        unprocessed, token = self._pages[line]
        return Answer(self._limited.get(line, []), self._unprocessed.get(unprocessed), self._tokens.get(token))


class _Owner(NamedTuple):
    """A resource, and the codes about the call from the same blocks."""

    resource: int
    codes: Sequence[int]


class Rows:
    """The parts of some lines; ValueError, before the builder has any of them, if one has to be reported."""

    def __init__(self, found: Found, walk: Walk) -> None:
        self._found = found
        self._walk = walk
        self._count = len(found["bits"])
        slots = found["piece_slot"]
        self._links = {
            row: found_links(value, walk) for row, value in self._values(_LINKS, np.flatnonzero(slots == _LINKS))
        }
        self._causes: dict[int, list[tuple[int, Any]]] = {}
        lines = found["line"]
        for row, value in self._values(_CAUSE, np.flatnonzero(slots == _CAUSE)):
            if value:
                self._causes.setdefault(int(lines[row]), []).append((row, value))
        self.lines = set(self._causes)
        self._roots = list(map(self._root, found.made["owners"]))
        keys = list(map(resource_key, self._roots))
        walk.blocks.check_resources(self._roots, keys)
        self._tables = {slot: self._codes(slot, raws) for slot, raws in enumerate(found.made["blocks"]) if raws}
        self._tables[_CALLEE] = self._callees()
        self._tables[_FLAGS] = self._flags(_used(found["piece_code"][slots == _FLAGS]))
        self._tables[_COLD_START] = [[walk.cold()]] if (slots == _COLD_START).any() else []
        self._keys = keys
        self._events: dict[int, list[Event]] = {}
        self._cause_codes: dict[int, Sequence[int]] = {}

    def _values(self, slot: int, pieces: Array) -> list[tuple[int, Any]]:
        """Return the rows and values of rare blocks."""
        if not len(pieces):
            return []
        values = list(map(plain, self._found.made["blocks"][slot]))
        rows, codes = self._found["piece_row"][pieces].tolist(), self._found["piece_code"][pieces].tolist()
        return [(row, values[code]) for row, code in zip(rows, codes, strict=True)]

    # ---------------------------------------------------------------- distinct texts

    def _root(self, codes: bytes) -> Part:
        """Return a segment with the fields that determine its resource."""
        texts = self._found.made["texts"]
        name, origin, arn, *raws = [None if at < 0 else texts[at] for at in np.frombuffer(codes, np.int32).tolist()]
        aws, service, metadata = [NOTHING if raw is None else Raw(raw) for raw in raws]
        own, origin, arn = [None if raw is None else _text(b'"' + raw + b'"') for raw in (name, origin, arn)]
        return Part("", own or "", origin=origin, resource_arn=arn, aws=aws, service=service, metadata=metadata)

    def _codes(self, slot: int, raws: Sequence[bytes]) -> Sequence[Sequence[int]]:
        """Return the attribute codes of members or blocks as they are written; ValueError for an irregular one."""
        blocks = self._walk.blocks
        if slot in {_CAUSE, _LINKS}:
            return []
        if slot in _RARE:
            members: list[dict[str, Any]] = [{_RARE[slot]: Raw(raw)} for raw in raws]
            return [blocks.rest(Part("", "", **one), plain) for one in members]
        if slot == _CALL:
            return blocks.members_of_calls(raws)
        written = [_WRAPPED.get(slot, b"{%b}") % raw if raw.startswith(b'"') else raw for raw in raws]
        tables: dict[int, Callable[[Sequence[bytes]], Sequence[Sequence[int]]]] = {
            _REQUEST: blocks.http.of,
            _RESPONSE: blocks.http.of,
            _HTTP: blocks.http.of,
            _ANNOTATIONS: blocks.annotations.of,
            _METADATA: blocks.metadata.of,
            _OTEL_METADATA: blocks.otel_metadata.of,
            _SQL: blocks.sql.of,
        }
        return tables[slot](written)

    def _callees(self) -> list[Sequence[int]]:
        """Return the codes of a namespace and, for a call, of the callee."""
        names = _decoded(self._found.made["names"])
        made: list[Sequence[int]] = []
        for raw in self._found.made["callees"]:
            kind, name = np.frombuffer(raw, np.int32).tolist()
            known = self._walk.callee(_NAMESPACES[kind >> 1], names[name])
            made.append(known if kind & 1 else known[:1])
        return made

    def _flags(self, used: Iterable[int]) -> list[Sequence[int]]:
        """Return the codes of each combination of error, fault and throttle that is used."""
        made: list[Sequence[int]] = [()] * 8
        for code in used:
            made[code] = self._walk.flags(bool(code & 1), bool(code & 2), bool(code & 4))
        return made

    # ---------------------------------------------------------------- causes

    def explain(self, line: int, at: Position) -> None:
        """Convert the causes in a line to exceptions; lines must be in order."""
        found, causes = self._causes.get(line), self._walk.causes
        if found is None:
            return
        for row, value in found:
            trace_id = int(self._found["trace_hi"][row]) << 64 | int(self._found["trace_lo"][row])
            who = Reference(trace_id, "", int(self._found["span_id"][row]), at)
            if isinstance(value, dict):
                self._events[row], self._cause_codes[row] = causes.of_object(value, who)
            else:  # the exceptions of its line come before it
                self._events[row] = [causes.of_reference(who._replace(exception_id=value))]
        causes.resolve()

    # ---------------------------------------------------------------- the batch

    def give(self, builder: Builder, places: Array) -> None:
        """Give the parts to the builder; ``places`` has the number and the offset of each line."""
        if self._count:
            builder.batch(self._batch(builder, places))

    def _batch(self, builder: Builder, places: Array) -> Batch:
        """Return the batch."""
        blocks = self._walk.blocks
        owners = [_Owner(*blocks.resource(root, key)) for root, key in zip(self._roots, self._keys, strict=True)]
        self._tables[_RESOURCE] = [owner.codes for owner in owners]
        resources = np.array([owner.resource for owner in owners] + [PENDING], np.int32)  # the last for -1
        found = [(row, event) for row in sorted(self._events) for event in self._events[row]]
        linked: list[tuple[int, Link]] = [(row, link) for row in sorted(self._links) for link in self._links[row]]
        name = builder.texts.optional
        return Batch(
            self._spans(builder, places, resources),
            self._attributes(),
            EventColumns(*transposed([(row, 0, name(e.name), e.dropped) for row, e in found], EVENT_DTYPES)),
            ragged([event.attributes for _, event in found]),
            LinkColumns(*transposed([link_row(row, link) for row, link in linked], LINK_DTYPES)),
            ragged([link.attributes for _, link in linked]),
        )

    def _spans(self, builder: Builder, places: Array, resources: Array) -> SpanColumns:
        """Return the spans' own columns."""
        found, count = self._found, self._count
        bits = found["bits"]
        is_segment, inferred, calls = (bits & bit != 0 for bit in (_IS_SEGMENT, _IS_INFERRED, _CALLS))
        is_server = is_segment & ~calls | inferred
        kind = np.where(is_server, _SERVER, np.where(calls, _CLIENT, _INTERNAL))
        record = np.where(is_segment, int(RecordKind.SEGMENT), int(RecordKind.SUBSEGMENT))
        failed = (bits & _FAULT != 0) | ((bits & _ERROR != 0) & (kind != _SERVER))
        failed[[row for row, events in self._events.items() if events]] = True
        quality = np.where(is_segment, SEGMENT_BITS | np.where(bits & _HAS_CALLER, REMOTE_PARENT, 0), CHILD_BITS)
        quality |= np.where(inferred, INFERRED, 0) | np.where(bits & _IS_IN_PROGRESS, IN_PROGRESS, 0)
        quality |= np.where(bits & _HAS_END, 0, int(Quality.NO_END))
        names = np.array(list(map(builder.names.code, _decoded(found.made["names"]))), np.int32)
        place = places[found["line"]]
        zero, missing = np.zeros(count, np.uint32), np.full(count, -1, np.int32)
        return SpanColumns(
            **{column: found[column] for column in ("trace_hi", "trace_lo", "span_id", "parent_id")},
            **{column: found[column] for column in ("start_ns", "end_ns")},
            name=names[found["name"]],
            kind=kind.astype(np.int8),
            status_code=np.where(failed, int(Status.ERROR), int(Status.UNSET)).astype(np.int8),
            status_message=missing,
            trace_state=missing,
            flags=zero,
            record_kind=np.where(inferred, int(RecordKind.INFERRED), record).astype(np.int8),
            resolution_ns=np.full(count, RESOLUTION_NS, np.int32),
            resource=resources[found["owner"]],
            scope=np.full(count, self._walk.scope, np.int32),
            source=np.full(count, builder.source, np.int32),
            record_number=place[:, 0],
            byte_offset=place[:, 1],
            dropped_attributes=zero,
            dropped_events=zero,
            dropped_links=zero,
            quality=quality.astype(np.uint32),
        )

    def _attributes(self) -> Ragged:
        """Return the attributes of all parts, in the order of the tolerant reader."""
        first, tables, size = np.zeros(_FLAGS + 1, np.int64), [], 0
        for slot in range(_FLAGS + 1):
            first[slot] = size
            tables.append(self._tables.get(slot, []))
            size += len(tables[-1])
        tables.append(list(self._cause_codes.values()))
        sizes = np.fromiter((len(codes) for codes in chain.from_iterable(tables)), np.int64)
        every = np.fromiter(chain.from_iterable(chain.from_iterable(tables)), np.int32, int(sizes.sum()))
        begins = np.cumsum(sizes) - sizes
        rows, slots = self._found["piece_row"], self._found["piece_slot"]
        is_own = slots <= _FLAGS
        rows, entries = rows[is_own], first[slots[is_own]] + self._found["piece_code"][is_own]
        if self._cause_codes:
            rows = np.append(rows, np.fromiter(self._cause_codes, np.int64))
            entries = np.append(entries, size + np.arange(len(self._cause_codes)))
            order = np.argsort(rows, kind="stable")
            rows, entries = rows[order], entries[order]
        counts = sizes[entries]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        codes = every[np.repeat(begins[entries] - ends + counts, counts) + np.arange(total)]
        return Ragged.from_counts(np.bincount(np.repeat(rows, counts), minlength=self._count), codes)


_RARE = {_USER: "user", _PRECURSORS: "precursor_ids", _TRACED: "traced"}
_WRAPPED = {_REQUEST: b'{"request":{%b}}', _RESPONSE: b'{"response":{%b}}'}  # others: in braces


def _used(codes: Array) -> list[int]:
    """Return the distinct codes of what is present."""
    return [code for code in np.unique(codes).tolist() if code >= 0]


def _decoded(raws: Sequence[bytes]) -> list[str]:
    """Return texts that are known to be valid JSON strings without their quotes."""
    return _decoded_texts(b'["' + b'","'.join(raws) + b'"]') if raws else []
