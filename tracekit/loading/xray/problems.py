"""Issues of irregular segments, and the values used instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.building.builder import Link
from tracekit.loading.building.pool import canonical_json
from tracekit.loading.ids import parse_span_id, parse_trace_id, shown_id
from tracekit.loading.xray.segment import LATEST_S, NS_DIGITS, OddSegment, Segment
from tracekit.schema import Origin, Quality, Relation

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_LINK = frozenset({"trace_id", "id", "attributes"})


class Problems:
    """Reports irregular segments.

    Parameters
    ----------
    builder
        Its ledger receives the issues.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._kv = builder.kv

    # ---------------------------------------------------------------- ids

    def mismatch(self, at: Position, part: Segment, field: str, expected: str, found: str) -> None:
        """Report a document that disagrees with its entry or trace; the document's value is used."""
        message = f"expected {expected}, found {found[:40]}; the document's value is used"
        self._builder.ledger.issue(
            "XR_TRACE_MISMATCH", message, at=at, trace_id=shown_id(part.trace_id), span_id=part.id[:16], field=field
        )

    def parent(self, root: Segment, at: Position) -> tuple[int, int]:
        """Return the parent id of a document, and quality bits."""
        found = parse_span_id(root.parent_id)
        if found.value:
            return found.value, 0
        message = f"expected 16 hex digits, found {root.parent_id!r:.80}; parent treated as missing"
        ledger, span = self._builder.ledger, root.id[:16]
        ledger.issue(
            found.problem, message, at=at, severity="warn", span_id=span, field="parent_id", raw=root.parent_id or ""
        )
        return 0, int(Quality.PARENT_ID_BAD)

    def no_id(self, at: Position, trace_id: int, part: Segment) -> None:
        """Quarantine a part without a usable id; its subsegments are kept."""
        problem = parse_span_id(part.id).problem or "ID_NOT_HEX"
        message = f"expected 16 hex digits, found {part.id!r:.80}; {part.name!r:.80} skipped, its subsegments are kept"
        self._builder.ledger.quarantine(problem, message, at=at, trace_id=f"{trace_id:032x}", field="id", raw=part.id)

    def embedded(self, at: Position, trace_id: int, part: Segment, parent: int) -> None:
        """Report an embedded subsegment with another parent or trace id; the enclosing part's ids are used."""
        named = parse_span_id(part.parent_id).value if part.parent_id else parent
        if named != parent:
            self._elsewhere(at, trace_id, part, "parent_id", f"the parent {parent:016x}", str(part.parent_id))
        if part.trace_id and parse_trace_id(part.trace_id).value != trace_id:
            self._elsewhere(at, trace_id, part, "trace_id", f"the trace {trace_id:032x}", part.trace_id)

    def _elsewhere(self, at: Position, trace_id: int, part: Segment, field: str, expected: str, found: str) -> None:
        message = f"expected {expected} that embeds the subsegment, found {found[:40]}; the enclosing part's id is used"
        span = part.id[:16]
        self._builder.ledger.issue(
            "XR_TRACE_MISMATCH", message, at=at, trace_id=f"{trace_id:032x}", span_id=span, field=field
        )

    # ---------------------------------------------------------------- times

    def times(self, at: Position, trace_id: int, part: Segment) -> tuple[int, int, int] | None:
        """Return irregular times, 0 for a missing one, and their quality bits.

        None if they exceed 64 bits; then the part is quarantined.
        """
        trace, span = f"{trace_id:032x}", part.id[:16]
        ledger = self._builder.ledger
        found = []
        for field, seconds in (("start_time", part.start_time), ("end_time", part.end_time)):
            if seconds is not None and not (seconds.is_finite() and -LATEST_S < seconds < LATEST_S):
                message = (
                    f"expected seconds since the epoch, found {seconds!s:.40}; {part.name!r:.80} skipped"
                    " (milliseconds? X-Ray uses seconds)"
                )
                ledger.quarantine("TIME_UNIT", message, at=at, trace_id=trace, span_id=span, field=field)
                return None
            found.append(0 if seconds is None else int(seconds.scaleb(NS_DIGITS)))
        if part.end_time is None and not part.in_progress:
            message = "expected end_time or in_progress, found neither; treated as still open"
            ledger.issue("XR_NO_END", message, at=at, trace_id=trace, span_id=span, field="end_time")
        bits = Quality.NO_START * (part.start_time is None) | Quality.NO_END * (part.end_time is None)
        return found[0], found[1], int(bits)

    # ---------------------------------------------------------------- fields

    def type(self, root: Segment, at: Position) -> int:
        """Return the attribute code of an invalid type."""
        message = f"expected type subsegment or none, found {root.type!r:.80}; read as a segment, kept as aws.xray.type"
        self._builder.ledger.issue("ENUM_BAD", message, at=at, span_id=root.id[:16], field="type")
        return self._kv("aws.xray.type", root.type, Origin.AWS)

    def namespace(self, at: Position, trace_id: int, part: Segment) -> None:
        """Report a namespace other than aws, remote and local."""
        message = (
            f"expected the namespace aws, remote or local, found {part.namespace!r:.80}; kept as aws.xray.namespace"
        )
        trace, span = f"{trace_id:032x}", part.id[:16]
        self._builder.ledger.issue(
            "XR_NAMESPACE_UNKNOWN", message, at=at, trace_id=trace, span_id=span, field="namespace"
        )

    def cause(self, at: Position, trace_id: int, part: Segment, cause: Any) -> int:
        """Return the attribute code of a cause that is neither exceptions nor a reference."""
        message = f"expected exceptions or an exception id, found {cause!r:.80}; kept as the attribute aws.xray.cause"
        self._bad(at, trace_id, part, "cause", message)
        return self._kv("aws.xray.cause", cause)

    def links(self, at: Position, part: Segment, codes: list[int], found: Any) -> list[Link]:
        """Return the links of a part; invalid ones are kept as the attribute ``aws.xray.links``."""
        links, odd = [], []
        for item in found if isinstance(found, list) else [found]:
            link = self.link(item)
            if link is not None:
                links.append(link)
            elif item is not None:
                odd.append(item)
        if odd:
            codes.append(self._kv("aws.xray.links", odd, Origin.AWS))
            message = (
                f"expected links with trace_id and id, found {canonical_json(odd[0])[:80]}; kept as aws.xray.links"
            )
            self._builder.ledger.issue(
                "ID_NOT_HEX",
                message,
                at=at,
                severity="warn",
                trace_id=part.trace_id or "",
                span_id=part.id[:16],
                field="links",
                raw=canonical_json(odd[0]),
            )
        return links

    def link(self, item: Any) -> Link | None:
        """Return one link, None if its ids are invalid."""
        if not isinstance(item, dict):
            return None
        trace, span = parse_trace_id(item.get("trace_id")), parse_span_id(item.get("id"))
        if not (trace.value and span.value):
            return None
        facts = item.get("attributes") or {}
        pairs = list(facts.items()) if isinstance(facts, dict) else [("aws.xray.link.attributes", facts)]
        pairs += [(f"aws.xray.link.{key}", value) for key, value in item.items() if key not in _LINK]
        return Link(trace.value, span.value, Relation.XRAY_LINK, [self._kv(key, value) for key, value in pairs])

    def report(self, at: Position, trace_id: int, part: Segment) -> list[int]:
        """Report the problems of a converted part, and return the codes of its unknown fields."""
        if not isinstance(part, OddSegment):
            return []
        trace, span = f"{trace_id:032x}", part.id[:16]
        for problem in part.problems:
            say = self._builder.ledger.quarantine if problem.is_lost else self._builder.ledger.issue
            say(problem.code, problem.message, at=at, trace_id=trace, span_id=span, field=problem.field)
        return [self._kv(f"aws.xray.{key}", value, Origin.AWS) for key, value in part.unknown.items()]

    def _bad(self, at: Position, trace_id: int, part: Segment, field: str, message: str) -> None:
        trace, span = f"{trace_id:032x}", part.id[:16]
        self._builder.ledger.issue("ATTR_BAD", message, at=at, trace_id=trace, span_id=span, field=field)
