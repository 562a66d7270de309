"""Jaeger's ids, including those that are not hexadecimal, and references between spans."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.loading.building.builder import Link
from tracekit.loading.ids import PADDED, Id, parse_span_id, parse_trace_id
from tracekit.schema import Quality, Relation

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_TRACE_BYTES, _SPAN_BYTES = 16, 8


class Found(NamedTuple):
    """An id as a number (0 = unusable), its quality bits, its text where that was hashed, and what is wrong with it."""

    value: int
    bits: int = 0
    hashed: str = ""
    problem: str = ""


class Ids:
    """Reads the ids of one record, and finally reports how many were hashed.

    Parameters
    ----------
    builder
        Its ledger receives the issues.
    at
        The position of the record.
    """

    def __init__(self, builder: Builder, at: Position) -> None:
        self._builder = builder
        self._at = at
        self._hashed: dict[str, None] = {}

    def trace(self, text: Any) -> Found:
        """Return a trace id."""
        return self._found(text, parse_trace_id(text, pad=True), _TRACE_BYTES)

    def span(self, text: Any) -> Found:
        """Return a span id."""
        return self._found(text, parse_span_id(text, pad=True), _SPAN_BYTES)

    def _found(self, text: Any, read: Id, size: int) -> Found:
        """Return a parsed id, or the hash of its text if it is not hexadecimal."""
        ledger = self._builder.ledger
        if read.value:
            if read.problem:
                ledger.tally(read.problem, PADDED, self._at)
            if read.dialect:
                ledger.dialect(read.dialect)
            return Found(read.value, read.bits)
        if read.problem == "ID_NOT_HEX" and isinstance(text, str):
            self._hashed[text] = None
            digest = blake2b(text.encode("utf-8", "replace"), digest_size=size).digest()
            return Found(int.from_bytes(digest, "big"), 0, text)
        return Found(0, problem=read.problem)

    def tell(self) -> None:
        """Add an issue if ids were hashed."""
        if self._hashed:
            first = next(iter(self._hashed))
            message = (
                f"expected hex ids, found {len(self._hashed):,} strings such as {first!r:.60}; each was hashed to an id"
                " and kept as the attribute jaeger.trace_id or jaeger.span_id"
            )
            self._builder.ledger.issue(
                "ID_NOT_HEX", message, at=self._at, action="repaired", severity="warn", count=len(self._hashed)
            )


class References(NamedTuple):
    """A span's parent (0 = none), links, quality bits, and malformed references."""

    parent_id: int
    links: list[Link]
    bits: int
    malformed: list[Any]


def references(span: dict[str, Any], trace_id: int, ids: Ids) -> References:
    """Return the parent and links of a span.

    The first CHILD_OF of the same trace is the parent, else the deprecated ``parentSpanID``, else a FOLLOWS_FROM of
    the same trace that is the only reference; that one stays a link too.
    """
    parent, bits, malformed = 0, 0, []
    links: list[Link] = []
    items = span.get("references", [])
    if not isinstance(items, list):
        items = [items] if items is not None else []
    for item in items:
        link = _link(item, ids)
        if link is None:
            malformed.append(item)
        elif link.relation == Relation.CHILD_OF_EXTRA and not parent and link.trace_id == trace_id:
            parent = link.span_id
        else:
            links.append(link)
    deprecated = span.get("parentSpanID")
    if not parent and deprecated and str(deprecated).strip("0"):
        named = ids.span(deprecated)
        parent = named.value
        if not parent:
            bits = int(Quality.PARENT_ID_BAD)
            malformed.append({"parentSpanID": deprecated})
    if not parent and len(items) == len(links) == 1:
        parent = _followed(links[0], trace_id)
    return References(parent, links, bits, malformed)


def _followed(link: Link, trace_id: int) -> int:
    """Return the span that a FOLLOWS_FROM of the same trace names, 0 for another link."""
    return link.span_id if link.relation == Relation.FOLLOWS_FROM and link.trace_id == trace_id else 0


_RELATIONS = {"CHILD_OF": Relation.CHILD_OF_EXTRA, "FOLLOWS_FROM": Relation.FOLLOWS_FROM}


def _link(item: Any, ids: Ids) -> Link | None:
    """Return a reference as a link, None if its ids or type are invalid."""
    if not isinstance(item, dict):
        return None
    relation = _RELATIONS.get(str(item.get("refType", "")).upper())
    trace, span = ids.trace(item.get("traceID")), ids.span(item.get("spanID"))
    if relation is None or not (trace.value and span.value):
        return None
    return Link(trace.value, span.value, relation)
