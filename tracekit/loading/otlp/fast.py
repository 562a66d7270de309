"""Fast reader of OTLP JSON Lines: typed decoding, with each distinct attribute decoded only once.

It loads only lines that follow the specification exactly.  All other lines are returned unchanged, for the
tolerant reader (``loading/otlp/tolerant.py``) to load or quarantine, with their position: lines with an
unknown field (a typed decoder would lose it), with numbers out of range, or with a malformed
attribute.
"""

from __future__ import annotations

from array import array
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from tracekit.loading.building.ledger import Ledger
from tracekit.loading.building.pool import HIGHEST, LOWEST
from tracekit.loading.ids import packed
from tracekit.loading.otlp.messages import Attribute, Request, Resource, Scope
from tracekit.loading.otlp.rows import Rows
from tracekit.loading.otlp.values import attribute_list
from tracekit.loading.records.depth import MAX_DEPTH, nests_deeper
from tracekit.schema import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from msgspec import Raw

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.otlp.messages import Event, Link, ResourceSpans, ScopeSpans, Span
    from tracekit.loading.records import Line

_NO_PARENT = "0" * 16
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_KINDS, _STATUSES = frozenset(range(6)), frozenset(range(3))
_MARK = b'"resourceSpans"'
_NUL, _NUL_IN_JSON = "\0", b"\\u0000"  # reported by the tolerant reader


class Scanner:
    """Loads lines into a builder.

    Parameters
    ----------
    builder
        Receives the spans; the scanner uses its attribute codes.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._decode = msgspec.json.Decoder(Request).decode
        self._decode_attributes = msgspec.json.Decoder(list[Attribute], strict=False).decode
        self._known: dict[bytes, int] = {}  # raw attribute -> its code, -1 for a malformed one
        self._resources: dict[tuple[bytes, str], int] = {}
        self._scopes: dict[tuple[bytes, str], int] = {}

    takes = None
    work_ahead = None

    def scan(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Load the lines that follow the specification, all at once; then yield the others."""
        lines = list(lines)
        rows, others = self._rows(lines, frozenset())
        kv = self._learn(rows.raw)
        if bad := rows.numbers_of(kv < 0):
            rows, others = self._rows(lines, bad)
            kv = self._learn(rows.raw)
        self._builder.ledger.record_count += rows.line_count
        if rows.line_count:
            self._builder.ledger.formats["otlp"] += rows.line_count
        if rows.span_id:
            self._builder.batch(rows.batch(self._builder.source, kv))
        yield from others

    def _rows(self, lines: Iterable[Line], excluded: frozenset[int]) -> tuple[Rows, list[Line]]:
        """Return the columns of the lines that can be loaded, and the other lines."""
        rows = Rows()
        others = []
        for line in lines:
            number, offset, data = line
            if number not in excluded and _MARK in data:
                try:
                    self._line(rows, self._decode(data), number, offset)
                except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
                    others.append(line)
            else:
                others.append(line)
        return rows, others

    def _line(self, rows: Rows, request: Request, number: int, offset: int) -> None:
        """Add the spans of one request; everything that can fail is done before the first change."""
        spans, owners = self._spans(request)
        if not spans:
            rows.line_count += 1
            return
        (trace, span, start, end, parent, name, kind, attributes, events, links, status, *rest) = zip(
            *map(msgspec.structs.astuple, spans), strict=True
        )
        ids = packed(trace, _TRACE_DIGITS), packed(span, _SPAN_DIGITS)
        parents = packed([p or _NO_PARENT for p in parent], _SPAN_DIGITS, may_be_zero=True)
        begun, ended = _times(start), _times(end)
        codes = bytes([0 if s is None else s.code for s in status])
        if not (_KINDS.issuperset(kind) and _STATUSES.issuperset(codes)):
            raise ValueError
        flags, states, *dropped = rest
        messages = ["" if s is None else s.message for s in status]
        if _NUL in "".join(chain(name, states, messages, (event.name for group in events for event in group))):
            raise ValueError
        numbers = [_unsigned(flags), *map(_unsigned, dropped)]
        event_columns, link_columns = _events(events), _links(links)
        rows.add(ids, parents, begun, ended, codes, kind, numbers, number, offset, owners)
        rows.names.extend(map(self._builder.names.code, name))
        rows.states.extend(self._texts(states))
        rows.messages.extend(self._texts(messages))
        rows.attributes.add(attributes)
        if event_columns is not None:
            names = self._texts(event_columns.names)
            columns = (event_columns.times, names, event_columns.dropped)
            rows.add_events(map(len, events), columns, event_columns.attributes)
        if link_columns is not None:
            link_ids, link_states, link_attributes, link_dropped, link_flags = link_columns
            details = (*link_ids, self._texts(link_states), link_flags, link_dropped, bytes(len(link_states)))
            rows.add_links(map(len, links), details, link_attributes)

    def _spans(self, request: Request) -> tuple[list[Span], list[tuple[int, int, int]]]:
        """Return the spans of a request, and the number of spans of every resource and scope, with their codes."""
        spans: list[Span] = []
        owners: list[tuple[int, int, int]] = []
        for group in request.resourceSpans:
            resource = self._resource(group)
            for part in group.scopeSpans:
                owners.append((len(part.spans), resource, self._scope(part)))
                spans += part.spans
        return spans, owners

    def _texts(self, texts: Sequence[str]) -> Iterable[int]:
        """Return the codes of texts, most of which are empty."""
        return map(self._builder.texts.optional, texts) if any(texts) else repeat(-1, len(texts))

    # ---------------------------------------------------------------- interning

    def _learn(self, raw: Iterable[bytes]) -> Array:
        """Return the codes of distinct attributes; new ones are decoded together."""
        raw = list(raw)
        codes = list(map(self._known.get, raw))
        if None in codes:
            fresh = [text for text, code in zip(raw, codes, strict=True) if code is None]
            decoded = self._decoded(fresh)
            self._known.update(zip(fresh, decoded, strict=True))
            rest = iter(decoded)
            codes = [next(rest) if code is None else code for code in codes]
        return np.array(codes, np.int32)

    def _decoded(self, fresh: list[bytes]) -> list[int]:
        """Return the codes of new attributes; strings, integers and doubles column by column."""
        try:
            attributes = self._decode_attributes(b"[" + b",".join(fresh) + b"]")
        except (msgspec.MsgspecError, ValueError):
            attributes = []
        if len(attributes) != len(fresh):
            return list(map(self._alone, fresh))
        keys = [attribute.key for attribute in attributes]
        text, integer, _, double, *_ = columns = list(
            zip(*[msgspec.structs.astuple(attribute.value) for attribute in attributes], strict=True)
        )
        kinds = _kinds(keys, columns)
        plain = kinds > 0
        codes: list[int] = self._builder.attributes.extend(keys, kinds, text, integer, double).tolist()
        for at in np.flatnonzero(~plain).tolist():
            codes[at] = self._alone(fresh[at])
        return codes

    def _alone(self, raw: bytes) -> int:
        """Return the code of any attribute; -1 for a malformed one or one that must be reported."""
        try:
            [attribute] = self._decode_attributes(b"[" + raw + b"]")
            if (
                nests_deeper(raw, MAX_DEPTH // 2)
                or _NUL_IN_JSON in raw
                or bytes(attribute.value.boolValue) not in _TRUTHS
            ):
                raise ValueError  # noqa: TRY301 - like all that the tolerant reader has to see
            scratch = Ledger("")
            [(key, value)] = attribute_list([msgspec.json.decode(raw)], scratch)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return -1
        if not scratch.is_silent:
            return -1
        return self._builder.kv(key, value)

    def _codes(self, attributes: list[Raw]) -> list[int]:
        """Return the codes of a list of attributes; ValueError where one attribute."""
        codes = list(map(self._alone, map(bytes, attributes)))
        if -1 in codes:
            raise ValueError
        return codes

    def _resource(self, group: ResourceSpans) -> int:
        """Return the number of a resource; each distinct JSON text is decoded once."""
        key = (bytes(group.resource), group.schemaUrl)
        if key not in self._resources:
            if _NUL_IN_JSON in key[0] or _NUL in key[1]:
                raise ValueError
            resource = msgspec.json.decode(group.resource, type=Resource | None) or Resource()
            codes = self._codes(resource.attributes)
            dropped = _unsigned([resource.droppedAttributesCount])[0]
            self._resources[key] = self._builder.resource(codes, group.schemaUrl, dropped)
        return self._resources[key]

    def _scope(self, part: ScopeSpans) -> int:
        """Return the number of a scope; each distinct JSON text is decoded once."""
        key = (bytes(part.scope), part.schemaUrl)
        if key not in self._scopes:
            if _NUL_IN_JSON in key[0] or _NUL in key[1]:
                raise ValueError
            scope = msgspec.json.decode(part.scope, type=Scope | None) or Scope()
            codes = self._codes(scope.attributes)
            dropped = _unsigned([scope.droppedAttributesCount])[0]
            self._scopes[key] = self._builder.scope(scope.name, scope.version, codes, part.schemaUrl, dropped)
        return self._scopes[key]


_TRUTHS = frozenset({b"", b"null", b"true", b"false"})


class _Events(NamedTuple):
    """The events of one line, column by column."""

    times: array[int]
    names: Sequence[str]
    attributes: Sequence[list[Raw]]
    dropped: array[int]


class _Links(NamedTuple):
    """The links of one line, column by column; the ids are the columns' first three."""

    ids: tuple[Iterable[int], Iterable[int], Iterable[int]]
    states: Sequence[str]
    attributes: Sequence[list[Raw]]
    dropped: array[int]
    flags: array[int]


def _kinds(keys: list[str], columns: list[tuple[Any, ...]]) -> Array:
    """Return the type of each string, double or 64-bit integer; 0 for any other value."""
    text, integer, truth, double, *others = columns
    is_text, is_integer, is_double = (np.array([v is not None for v in column]) for column in (text, integer, double))
    kinds = (
        is_text * np.int8(ValueType.STR) + is_integer * np.int8(ValueType.INT) + is_double * np.int8(ValueType.DOUBLE)
    )
    kinds[(is_text & is_integer) | ((is_text | is_integer) & is_double)] = 0
    if not all(keys):
        kinds[[not key for key in keys]] = 0
    for column in (truth, *others):
        if any(column):
            kinds[list(map(bool, column))] = 0
    try:
        array("q", filter(None, integer))
    except OverflowError:
        kinds[[value is not None and not LOWEST <= value <= HIGHEST for value in integer]] = 0
    if _NUL in "".join(chain(keys, filter(None, text))):
        kinds[[_NUL in key or _NUL in (value or "") for key, value in zip(keys, text, strict=True)]] = 0
    return kinds


def _times(texts: Sequence[str]) -> array[int]:
    """Return nanoseconds from digits; ValueError for other text, OverflowError beyond 64 bits."""
    digits = "".join(texts)
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError
    return array("q", map(int, texts))


def _unsigned(numbers: Sequence[int]) -> array[int]:
    """Return unsigned 32-bit numbers; OverflowError for others."""
    return array("I", numbers)


def _events(events: Sequence[list[Event]]) -> _Events | None:
    """Return the events of a line, None if there are none; ValueError or OverflowError for invalid ones."""
    flat = list(chain.from_iterable(events))
    if not flat:
        return None
    times, names, attributes, dropped = zip(*map(msgspec.structs.astuple, flat), strict=True)
    return _Events(_times(times), names, attributes, _unsigned(dropped))


def _links(links: Sequence[list[Link]]) -> _Links | None:
    """Return the links of a line, None if there are none; ValueError or OverflowError for invalid ones."""
    flat = list(chain.from_iterable(links))
    if not flat:
        return None
    trace, span, states, attributes, dropped, flags = zip(*map(msgspec.structs.astuple, flat), strict=True)
    if _NUL in "".join(states):
        raise ValueError
    traces = np.frombuffer(packed(trace, _TRACE_DIGITS), ">u8").reshape(-1, 2)
    spans = np.frombuffer(packed(span, _SPAN_DIGITS), ">u8")
    ids = traces[:, 0].tolist(), traces[:, 1].tolist(), spans.tolist()
    return _Links(ids, states, attributes, _unsigned(dropped), _unsigned(flags))
