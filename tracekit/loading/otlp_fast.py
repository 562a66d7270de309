"""OTLP JSON Lines at speed: typed decoding, attributes interned as raw bytes, each distinct one decoded once.

Takes only lines that are exactly what the specification says.  Everything else is handed back untouched, for the
tolerant reader (``loading/otlp.py``) to take or to quarantine, with its place in the file: lines with a member that the
specification does not know (a typed decoder would lose it), with numbers out of range, with an attribute that is not
well formed.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from tracekit.loading.json_depth import MAX_DEPTH, nests_deeper
from tracekit.loading.ledger import Ledger
from tracekit.loading.otlp_messages import Attribute, Request, Resource, Scope, Value
from tracekit.loading.otlp_rows import Rows
from tracekit.loading.otlp_values import attribute_list
from tracekit.loading.pool import HIGHEST, LOWEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from tracekit.loading.builder import Builder
    from tracekit.loading.otlp_messages import Event, Link, ResourceSpans, ScopeSpans, Span

_NO_PARENT = "0" * 16
_TRACE_DIGITS, _SPAN_DIGITS = {32}, {16}
_KINDS, _STATUSES = frozenset(range(6)), frozenset(range(3))
_MARK = b'"resourceSpans"'
_NUL, _NUL_IN_JSON = "\0", b"\\u0000"  # worth a remark, which the tolerant reader makes


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
    [Untaken(line=2, offset=185, data=b'noise')]
    >>> builder.ledger.accepted
    1
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._decode = msgspec.json.Decoder(Request).decode
        self._decode_attributes = msgspec.json.Decoder(list[Attribute], strict=False).decode
        self._raw: defaultdict[bytes, int] = defaultdict(count().__next__)
        self._kv = array("i")  # raw code -> attribute code, -1 for what is not well formed
        self._any_bad = False
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
        lines = data.split(b"\n")
        rows, untaken = self._rows(lines, first_line, first_offset, frozenset())
        self._learn()
        if self._any_bad and (bad := rows.numbers_of(np.array(self._kv, np.int32) < 0)):
            rows, untaken = self._rows(lines, first_line, first_offset, bad)
        self._builder.ledger.record_count += rows.line_count
        if rows.line_count:
            self._builder.ledger.formats["otlp"] += rows.line_count
        if rows.span_id:
            self._builder.batch(rows.batch(self._builder.source, np.array(self._kv, np.int32)))
        return untaken

    def _rows(
        self, lines: list[bytes], first_line: int, offset: int, left_out: frozenset[int]
    ) -> tuple[Rows, list[Untaken]]:
        """Return the columns of the lines that can be taken, and the others."""
        rows = Rows()
        untaken = []
        for number, line in enumerate(lines, first_line):
            if _MARK in line and number not in left_out:
                try:
                    self._line(rows, self._decode(line), number, offset)
                except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
                    untaken.append(Untaken(number, offset, line))
            elif line and not line.isspace():
                untaken.append(Untaken(number, offset, line))
            offset += len(line) + 1
        return rows, untaken

    def _line(self, rows: Rows, request: Request, number: int, offset: int) -> None:
        """Add the spans of one request; everything that can fail comes before the first change."""
        spans: list[Span] = []
        owners: list[tuple[int, int, int]] = []
        for group in request.resourceSpans:
            resource = self._resource(group)
            for part in group.scopeSpans:
                owners.append((len(part.spans), resource, self._scope(part)))
                spans += part.spans
        if not spans:
            rows.line_count += 1
            return
        (trace, span, start, end, parent, name, kind, attributes, events, links, status, *rest) = zip(
            *map(msgspec.structs.astuple, spans), strict=True
        )
        ids = _binary(trace, _TRACE_DIGITS, 2), _binary(span, _SPAN_DIGITS, 1)
        parents = _binary([p or _NO_PARENT for p in parent], _SPAN_DIGITS, 0)
        begun, ended = _times(start), _times(end)
        codes = bytes([0 if s is None else s.code for s in status])
        if not (_KINDS.issuperset(kind) and _STATUSES.issuperset(codes)):
            raise ValueError
        flags, states, *dropped = rest
        messages = ["" if s is None else s.message for s in status]
        if _NUL in "".join(chain(name, states, messages, (e.name for told in events for e in told))):
            raise ValueError
        numbers = [_unsigned(flags), *map(_unsigned, dropped)]
        first = len(rows.start)
        told = _told(first, events, links, self._builder, self._raw)
        rows.add(ids, parents, begun, ended, codes, kind, numbers, number, offset, owners)
        text = self._builder.texts.optional
        rows.names.extend(map(self._builder.names.code, name))
        rows.states.extend(map(text, states))
        rows.messages.extend(map(text, messages))
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
            attributes = []
        if len(attributes) != len(fresh):
            self._kv.extend(map(self._alone, fresh))
            return
        values = [a.value if a.key and _NUL not in a.key and _is_plain(a.value) else _ODD for a in attributes]
        codes = self._builder.attributes.extend(
            [attribute.key for attribute in attributes],
            [value.stringValue for value in values],
            [value.intValue for value in values],
            [value.doubleValue for value in values],
        )
        for at in np.flatnonzero(codes < 0):
            codes[at] = self._alone(fresh[at])
        self._kv.extend(codes.tolist())

    def _alone(self, raw: bytes) -> int:
        """Return the code of any attribute; -1 for one that is not well formed or needs a remark."""
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
            self._any_bad = True
            return -1
        if not scratch.is_silent:
            self._any_bad = True
            return -1
        return self._builder.kv(key, value)

    def _codes(self, attributes: list[Raw]) -> list[int]:
        """Return the codes of a list of attributes; ValueError where one is not well formed."""
        codes = list(map(self._alone, map(bytes, attributes)))
        if -1 in codes:
            raise ValueError
        return codes

    def _resource(self, group: ResourceSpans) -> int:
        """Return the number of a resource; each spelling is decoded once."""
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
        """Return the number of a scope; each spelling is decoded once."""
        key = (bytes(part.scope), part.schemaUrl)
        if key not in self._scopes:
            if _NUL_IN_JSON in key[0] or _NUL in key[1]:
                raise ValueError
            scope = msgspec.json.decode(part.scope, type=Scope | None) or Scope()
            codes = self._codes(scope.attributes)
            dropped = _unsigned([scope.droppedAttributesCount])[0]
            self._scopes[key] = self._builder.scope(scope.name, scope.version, codes, part.schemaUrl, dropped)
        return self._scopes[key]


_ODD = Value()
_TRUTHS = frozenset({b"", b"null", b"true", b"false"})


def _is_plain(value: Value) -> bool:
    """Return whether a value is one string, one double, or one integer that fits 64 bits, and nothing else."""
    integer = value.intValue
    if integer is not None and not LOWEST <= integer <= HIGHEST:
        return False
    text = value.stringValue
    if text is not None and _NUL in text:
        return False
    members = (text is not None) + (integer is not None) + (value.doubleValue is not None)
    others = value.boolValue or value.arrayValue or value.kvlistValue or value.bytesValue
    return members == 1 and not others


def _times(texts: Sequence[str]) -> array[int]:
    """Return nanoseconds given as digits; ValueError for other spellings, OverflowError beyond 64 bits."""
    digits = "".join(texts)
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError
    return array("q", map(int, texts))


def _unsigned(numbers: Sequence[int]) -> array[int]:
    """Return unsigned 32-bit numbers; OverflowError for others."""
    return array("I", numbers)


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
    events: Sequence[list[Event]],
    links: Sequence[list[Link]],
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
    if told_events:
        _times([e.timeUnixNano for told in events for e in told])
        _unsigned([e[3] for e in told_events])
    for k in told_links:
        _unsigned(k[5:7])
    return told_events, told_links
