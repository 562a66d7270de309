"""OTLP JSON Lines at speed: typed decoding, attributes interned as raw bytes, each distinct one decoded once.

Takes only lines that are exactly what the specification says.  Everything else is handed back untouched, for the
tolerant reader (``loading/otlp.py``) to take or to quarantine; a typed decoder ignores members that it does not know,
so a line with a legacy or foreign member is handed back as well.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import chain, count, islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Raw, Struct

from tracekit.columns import EventColumns, LinkColumns, Ragged, SpanColumns
from tracekit.loading.builder import EVENT_DTYPES, LINK_DTYPES, Batch
from tracekit.loading.otlp_values import attribute_list
from tracekit.loading.pool import HIGHEST, LOWEST
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.loading.builder import Builder

_NO_PARENT = "0" * 16
_TRACE_DIGITS, _SPAN_DIGITS = {32}, {16}
_KINDS, _STATUSES = frozenset(range(6)), frozenset(range(3))
_REMOTE_KNOWN, _REMOTE = 1 << 8, 1 << 9
_MARK = b'"resourceSpans"'


class _Event(Struct, gc=False):
    timeUnixNano: str = "0"  # noqa: N815 - OTLP's own names
    name: str = ""
    attributes: list[Raw] = []
    droppedAttributesCount: int = 0  # noqa: N815


class _Link(Struct, gc=False):
    traceId: str  # noqa: N815
    spanId: str  # noqa: N815
    traceState: str = ""  # noqa: N815
    attributes: list[Raw] = []
    droppedAttributesCount: int = 0  # noqa: N815
    flags: int = 0


class _Status(Struct, gc=False):
    code: int = 0
    message: str = ""


class _Span(Struct, gc=False):
    traceId: str  # noqa: N815
    spanId: str  # noqa: N815
    startTimeUnixNano: str  # noqa: N815 - a JSON number has lost its last digits: the tolerant reader says so
    endTimeUnixNano: str  # noqa: N815
    parentSpanId: str = ""  # noqa: N815
    name: str = ""
    kind: int = 0
    attributes: list[Raw] = []
    events: list[_Event] = []
    links: list[_Link] = []
    status: _Status | None = None
    flags: int = 0
    traceState: str = ""  # noqa: N815
    droppedAttributesCount: int = 0  # noqa: N815
    droppedEventsCount: int = 0  # noqa: N815
    droppedLinksCount: int = 0  # noqa: N815


class _ScopeSpans(Struct, gc=False):
    spans: list[_Span] = []
    scope: Raw = Raw(b"{}")
    schemaUrl: str = ""  # noqa: N815


class _ResourceSpans(Struct, gc=False):
    scopeSpans: list[_ScopeSpans]  # noqa: N815
    resource: Raw = Raw(b"{}")
    schemaUrl: str = ""  # noqa: N815
    instrumentationLibrarySpans: Raw = Raw(b"")  # noqa: N815 - legacy: declared so that it is seen
    deprecatedScopeSpans: Raw = Raw(b"")  # noqa: N815 - likewise


class _Request(Struct, gc=False):
    resourceSpans: list[_ResourceSpans]  # noqa: N815


class _Value(Struct, gc=False, forbid_unknown_fields=True):
    stringValue: str | None = None  # noqa: N815
    intValue: int | None = None  # noqa: N815
    boolValue: bool | None = None  # noqa: N815
    doubleValue: float | None = None  # noqa: N815
    arrayValue: Raw = Raw(b"")  # noqa: N815
    kvlistValue: Raw = Raw(b"")  # noqa: N815
    bytesValue: Raw = Raw(b"")  # noqa: N815


class _Attribute(Struct, gc=False, forbid_unknown_fields=True):
    key: str
    value: _Value


class Untaken(NamedTuple):
    """A line for the tolerant reader."""

    line: int
    offset: int
    data: bytes


class Scanner:
    r"""Scans chunks of whole lines into a builder.

    Parameters
    ----------
    builder
        Takes the spans; the scanner's codes are the builder's.

    Examples
    --------
    >>> from tracekit.loading.builder import Builder
    >>> builder = Builder()
    >>> _ = builder.open_source("memory")
    >>> line = (
    ...     b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"000000000000000000000000000000a1",'
    ...     b'"spanId":"00000000000000b2","name":"GET /","startTimeUnixNano":"5","endTimeUnixNano":"9"}]}]}]}'
    ... )
    >>> Scanner(builder).scan(line + b"\nnoise\n", 1, 0)
    [Untaken(line=2, offset=155, data=b'noise')]
    >>> builder.ledger.accepted
    1
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._decode = msgspec.json.Decoder(_Request).decode
        self._decode_attributes = msgspec.json.Decoder(list[_Attribute], strict=False).decode
        self._raw: defaultdict[bytes, int] = defaultdict(count().__next__)
        self._kv = array("i")  # raw code -> attribute code
        self._resources: dict[tuple[bytes, str], int] = {}
        self._scopes: dict[tuple[bytes, str], int] = {}

    def scan(self, data: bytes, first_line: int, first_offset: int) -> list[Untaken]:
        """Take what can be taken from a chunk of whole lines.

        Parameters
        ----------
        data
            Lines; the last may lack its newline.
        first_line, first_offset
            Number and byte offset of the first one.

        Returns
        -------
        list of Untaken
            The other lines, blank ones left out.
        """
        rows = _Rows()
        untaken = []
        offset = first_offset
        for number, line in enumerate(data.split(b"\n"), first_line):
            if _MARK in line:
                try:
                    self._line(rows, self._decode(line), number, offset)
                except (msgspec.MsgspecError, ValueError, OverflowError):
                    untaken.append(Untaken(number, offset, line))
            elif line and not line.isspace():
                untaken.append(Untaken(number, offset, line))
            offset += len(line) + 1
        if rows.span_id:
            self._learn()
            self._builder.batch(rows.batch(self._builder.source, np.array(self._kv, np.int32)))
        return untaken

    def _line(self, rows: _Rows, request: _Request, number: int, offset: int) -> None:
        """Add the spans of one request; everything that can fail comes before the first change."""
        spans: list[_Span] = []
        owners: list[tuple[int, int, int]] = []
        for group in request.resourceSpans:
            if group.instrumentationLibrarySpans or group.deprecatedScopeSpans:
                raise ValueError
            resource = self._resource(group)
            for part in group.scopeSpans:
                owners.append((len(part.spans), resource, self._scope(part)))
                spans += part.spans
        self._builder.ledger.record_count += 1
        if not spans:
            return
        (trace, span, start, end, parent, name, kind, attributes, events, links, status, *rest) = zip(
            *map(msgspec.structs.astuple, spans), strict=True
        )
        ids = _binary(trace, _TRACE_DIGITS, 2), _binary(span, _SPAN_DIGITS, 1)
        parents = _binary([p or _NO_PARENT for p in parent], _SPAN_DIGITS, 0)
        begun, ended = array("q", map(int, start)), array("q", map(int, end))
        codes = bytes([0 if s is None else s.code for s in status])
        if not (_KINDS.issuperset(kind) and _STATUSES.issuperset(codes)):
            raise ValueError
        flags, states, *dropped = rest
        numbers = [array("I", flags), *(array("I", column) for column in dropped)]
        first = len(rows.start)
        told = _told(first, events, links, self._builder, self._raw)
        rows.add(ids, parents, begun, ended, codes, kind, numbers, number, offset, owners)
        text = self._builder.texts.optional
        rows.names.extend(map(self._builder.names.code, name))
        rows.states.extend(map(text, states))
        rows.messages.extend([-1 if s is None else text(s.message) for s in status])
        rows.counts.extend(map(len, attributes))
        rows.codes.extend(map(self._raw.__getitem__, map(bytes, chain.from_iterable(attributes))))
        rows.events += told[0]
        rows.links += told[1]

    # ---------------------------------------------------------------- interning

    def _learn(self) -> None:
        """Decode the attributes that are new since the last time; strings and integers column by column."""
        fresh = list(islice(reversed(self._raw), len(self._raw) - len(self._kv)))[::-1]
        try:
            attributes = self._decode_attributes(b"[" + b",".join(fresh) + b"]")
        except (msgspec.MsgspecError, ValueError):
            self._kv.extend(map(self._odd, fresh))
            return
        values = [attribute.value for attribute in attributes]
        codes = self._builder.attributes.extend(
            [attribute.key for attribute in attributes],
            [value.stringValue for value in values],
            [_fitting(value.intValue) for value in values],
            [value.doubleValue for value in values],
        )
        for at in np.flatnonzero(codes < 0):
            codes[at] = self._odd(fresh[at])
        self._kv.extend(codes.tolist())

    def _odd(self, raw: bytes) -> int:
        """Return the code of an attribute that is no string, double or 64-bit integer, or not well formed."""
        [(key, value)] = attribute_list([msgspec.json.decode(raw)], self._builder.ledger) or [("", None)]
        return self._builder.kv(key, value)

    def _codes(self, attributes: Any) -> list[int]:
        """Return the codes of a JSON list of attributes."""
        return [self._builder.kv(key, value) for key, value in attribute_list(attributes, self._builder.ledger)]

    def _resource(self, group: _ResourceSpans) -> int:
        """Return the number of a resource; each spelling is decoded once."""
        key = (bytes(group.resource), group.schemaUrl)
        if key not in self._resources:
            resource = msgspec.json.decode(group.resource) or {}
            if not resource.keys() <= {"attributes", "droppedAttributesCount", "entityRefs"}:
                raise ValueError
            self._resources[key] = self._builder.resource(
                self._codes(resource.get("attributes") or ()),
                group.schemaUrl,
                resource.get("droppedAttributesCount", 0),
            )
        return self._resources[key]

    def _scope(self, part: _ScopeSpans) -> int:
        """Return the number of a scope; each spelling is decoded once."""
        key = (bytes(part.scope), part.schemaUrl)
        if key not in self._scopes:
            scope = msgspec.json.decode(part.scope) or {}
            if not scope.keys() <= {"name", "version", "attributes", "droppedAttributesCount"}:
                raise ValueError
            self._scopes[key] = self._builder.scope(
                scope.get("name") or "",
                scope.get("version") or "",
                self._codes(scope.get("attributes") or ()),
                part.schemaUrl,
                scope.get("droppedAttributesCount", 0),
            )
        return self._scopes[key]


def _fitting(integer: int | None) -> int | None:
    """Return an integer that fits 64 bits, None for others."""
    return integer if integer is not None and LOWEST <= integer <= HIGHEST else None


def _binary(texts: Sequence[str], digits: set[int], words: int) -> bytes:
    """Return hex ids as bytes; ValueError for other lengths or alphabets, and, if ``words`` is given, for zeros."""
    if set(map(len, texts)) != digits:
        raise ValueError
    binary = bytes.fromhex("".join(texts))
    if len(binary) != len(texts) * next(iter(digits)) // 2:  # fromhex passes over white space
        raise ValueError
    if words and not np.frombuffer(binary, np.uint64).reshape(-1, words).any(axis=1).all():
        raise ValueError
    return binary


def _told(
    first: int,
    events: Sequence[list[_Event]],
    links: Sequence[list[_Link]],
    builder: Builder,
    raw: defaultdict[bytes, int],
) -> tuple[list[Any], list[Any]]:
    """Return the events and links of a line as rows of numbers with the raw codes of their attributes behind."""
    text = builder.texts.optional
    told_events = [
        (row, int(e.timeUnixNano), text(e.name), e.droppedAttributesCount, [raw[bytes(a)] for a in e.attributes])
        for row, told in enumerate(events, first)
        if told
        for e in told
    ]
    told_links = [
        (
            row,
            *np.frombuffer(_binary([k.traceId], _TRACE_DIGITS, 2), ">u8").tolist(),
            int.from_bytes(_binary([k.spanId], _SPAN_DIGITS, 1)),
            text(k.traceState),
            k.flags,
            k.droppedAttributesCount,
            0,
            [raw[bytes(a)] for a in k.attributes],
        )
        for row, told in enumerate(links, first)
        if told
        for k in told
    ]
    return told_events, told_links


class _Rows:
    """The columns of one chunk while they grow."""

    def __init__(self) -> None:
        self.trace: list[bytes] = []
        self.span_id: list[bytes] = []
        self.parent: list[bytes] = []
        self.names, self.states, self.messages = array("i"), array("i"), array("i")
        self.kind, self.status = bytearray(), bytearray()
        self.start, self.end = array("q"), array("q")
        self.resource, self.scope = array("i"), array("i")
        self.number, self.offset = array("q"), array("q")
        self.numbers = [array("I") for _ in range(4)]  # flags and the three dropped counts
        self.counts, self.codes = array("i"), array("i")
        self.events: list[Any] = []
        self.links: list[Any] = []

    def add(
        self,
        ids: tuple[bytes, bytes],
        parents: bytes,
        begun: array[int],
        ended: array[int],
        status: bytes,
        kind: Sequence[int],
        numbers: list[array[int]],
        number: int,
        offset: int,
        owners: list[tuple[int, int, int]],
    ) -> None:
        """Add the columns of one line."""
        self.trace.append(ids[0])
        self.span_id.append(ids[1])
        self.parent.append(parents)
        self.start += begun
        self.end += ended
        self.status += status
        self.kind += bytes(kind)
        for column, more in zip(self.numbers, numbers, strict=True):
            column.extend(more)
        for size, resource, scope in owners:
            self.resource.extend(repeat(resource, size))
            self.scope.extend(repeat(scope, size))
        self.number.extend(repeat(number, len(begun)))
        self.offset.extend(repeat(offset, len(begun)))

    def batch(self, source: int, kv: Any) -> Batch:
        """Return the chunk's columns; ``kv`` turns raw codes into attribute codes."""
        trace = np.frombuffer(b"".join(self.trace), ">u8").astype(np.uint64).reshape(-1, 2)
        n = len(trace)
        flags, *dropped = (np.array(column, np.uint32) for column in self.numbers)
        start, end = np.array(self.start, np.int64), np.array(self.end, np.int64)
        quality = np.where(start == 0, int(Quality.NO_START), 0) | np.where(end == 0, int(Quality.NO_END), 0)
        quality |= np.where(flags & _REMOTE_KNOWN, int(Quality.PARENT_REMOTE_KNOWN), 0)
        quality |= np.where(flags & (_REMOTE_KNOWN | _REMOTE) == _REMOTE_KNOWN | _REMOTE, int(Quality.PARENT_REMOTE), 0)
        spans = SpanColumns(
            trace_hi=trace[:, 0].copy(),
            trace_lo=trace[:, 1].copy(),
            span_id=np.frombuffer(b"".join(self.span_id), ">u8").astype(np.uint64),
            parent_id=np.frombuffer(b"".join(self.parent), ">u8").astype(np.uint64),
            name=np.array(self.names, np.int32),
            kind=np.frombuffer(self.kind, np.int8),
            start_ns=start,
            end_ns=end,
            status_code=np.frombuffer(self.status, np.int8),
            status_message=np.array(self.messages, np.int32),
            trace_state=np.array(self.states, np.int32),
            flags=flags,
            record_kind=np.zeros(n, np.int8),
            resolution_ns=np.ones(n, np.int32),
            resource=np.array(self.resource, np.int32),
            scope=np.array(self.scope, np.int32),
            source=np.full(n, source, np.int32),
            record_number=np.array(self.number, np.int64),
            byte_offset=np.array(self.offset, np.int64),
            dropped_attributes=dropped[0],
            dropped_events=dropped[1],
            dropped_links=dropped[2],
            quality=quality.astype(np.uint32),
        )
        events, event_codes = _table(self.events, EVENT_DTYPES, kv)
        links, link_codes = _table(self.links, LINK_DTYPES, kv)
        codes = kv[np.array(self.codes, np.int32)] if len(self.codes) else np.zeros(0, np.int32)
        own = Ragged.from_counts(np.array(self.counts, np.int64), codes)
        return Batch(spans, own, EventColumns(*events), event_codes, LinkColumns(*links), link_codes)


def _table(rows: list[Any], kinds: Sequence[Any], kv: Any) -> tuple[list[Any], Ragged]:
    """Return rows whose last member is a list of raw codes as columns and an attribute table."""
    if not rows:
        return [np.zeros(0, kind) for kind in kinds], Ragged.empty()
    *columns, lists = zip(*rows, strict=True)
    counts = np.fromiter(map(len, lists), np.int64, len(lists))
    raw = np.fromiter(chain.from_iterable(lists), np.int64, int(counts.sum()))
    codes = kv[raw] if len(raw) else np.zeros(0, np.int32)
    return [np.array(c, kind) for c, kind in zip(columns, kinds, strict=True)], Ragged.from_counts(counts, codes)
