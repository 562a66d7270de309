"""Segments to spans: one walk over a document, without recursion, into the builder.

``Walk`` holds what outlives a document: the attribute codes of blocks already seen, the resources of segments, the
exceptions that causes refer to.  Whose resource a subsegment on its own has is found when all is read
(``loading/building/pending.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracekit.loading.building.builder import PENDING
from tracekit.loading.ids import parse_trace_id
from tracekit.loading.xray.blocks import Blocks, Interned, resource_key
from tracekit.loading.xray.cause import Causes, Reference
from tracekit.loading.xray.problems import Problems
from tracekit.loading.xray.segment import NOTHING, Segment, count_parts, exact_times, span_id_of
from tracekit.schema import Kind, Origin, Quality, RecordKind, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.loading.building.builder import Builder, Event, Link
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.xray.segment import Part

RESOLUTION_NS = 240  # resolution of seconds as float64 in this century

_FUNCTION = "AWS::Lambda::Function"
CALLS = frozenset({"aws", "remote"})
NAMESPACES = CALLS | {"local"}  # written by the Python SDK for parts that call nothing
_SUBSEGMENT = frozenset({None, "subsegment"})
_FLAGS = ("error", "fault", "throttle")
# plain integers: the operators of IntFlag are slow
_SERVER, _CLIENT, _INTERNAL = int(Kind.SERVER), int(Kind.CLIENT), int(Kind.INTERNAL)
SEGMENT_BITS = int(Quality.KIND_INFERRED)
CHILD_BITS = int(Quality.KIND_INFERRED | Quality.PARENT_REMOTE_KNOWN)
REMOTE_PARENT = int(Quality.PARENT_REMOTE_KNOWN | Quality.PARENT_REMOTE)
_NO_PARENT = int(Quality.PARENT_ID_BAD)
INFERRED, IN_PROGRESS = int(Quality.INFERRED), int(Quality.IN_PROGRESS)
_SORTS = {
    False: (_INTERNAL, int(RecordKind.SUBSEGMENT)),
    True: (_SERVER, int(RecordKind.SEGMENT)),
}
_STATUS = (int(Status.UNSET), int(Status.ERROR))


@dataclass(slots=True)
class Share:
    """The values that all parts of a document share."""

    at: Position
    trace_id: int
    resource: int
    metadata: Interned  # metadata of its subsegments
    segment_metadata: Interned | None  # None for OpenTelemetry's, which belongs to the resource


class Walk:
    """Loads segment documents into a builder.

    Parameters
    ----------
    builder
        Receives the spans; its ledger receives the issues.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._kv = builder.kv
        self._span = builder.span
        self.scope = builder.scope()
        self.blocks = Blocks(builder)
        self.problems = Problems(builder)
        self._callees: dict[tuple[str, str], tuple[int, int]] = {}
        self.causes = Causes(builder)

    def document(self, root: Segment, at: Position, *, wrapper: str = "", entry: str = "") -> None:
        """Load one document."""
        self.blocks.at = at
        trace_id = self._trace_id(root, at, wrapper)
        if not trace_id:
            return
        if entry and root.id and entry.lower() != root.id.lower():
            self.problems.mismatch(at, root, "Id", f"the segment {entry[:40]} that the entry names", root.id)
        key = resource_key(root)
        parent, bits = self.problems.parent(root, at) if root.parent_id else (0, 0)
        if root.type == "subsegment":
            resource, codes = PENDING, self._about_call(root)
            bits |= CHILD_BITS
        else:
            resource, own = self.blocks.resource(root, key)
            codes = [*own, *self._about_segment(root, at)]
            bits |= SEGMENT_BITS | (REMOTE_PARENT if root.parent_id else 0)
        blocks = self.blocks
        tables = (blocks.otel_metadata, None) if key.by_otel else (blocks.metadata, blocks.metadata)
        self._tree(Share(at, trace_id, resource, *tables), root, parent, bits, codes)

    def _trace_id(self, root: Segment, at: Position, wrapper: str) -> int:
        """Return the trace id of a document; 0 if it has none, with all of its parts quarantined."""
        own = root.trace_id or wrapper
        found = parse_trace_id(own)
        if not found.value:
            parts = count_parts(root)
            message = (
                f"expected a trace id such as 1-58406520-a006649127e371903a2de979, found {own!r:.80};"
                f" the document with {parts} (sub)segments is skipped"
            )
            self._builder.ledger.quarantine(
                found.problem, message, at=at, span_id=root.id[:16], field="trace_id", count=parts
            )
        elif wrapper and own != wrapper and parse_trace_id(wrapper).value != found.value:
            self.problems.mismatch(at, root, "trace_id", f"the trace {wrapper[:40]} that it came in", own)
        return found.value

    def _about_segment(self, root: Segment, at: Position) -> list[int]:
        """Return the codes that only a segment has: a cold start, an invalid type."""
        codes = self.cold_start(root)
        if root.type not in {None, "segment"}:
            codes.append(self.problems.type(root, at))
        return codes

    def cold_start(self, root: Segment | Part) -> list[int]:
        """Return the code of a cold start if the segment is of a function that was initialised for it."""
        is_cold = root.origin == _FUNCTION and any(child.name == "Initialization" for child in root.subsegments or ())
        return [self.cold()] if is_cold else []

    def cold(self) -> int:
        """Return the code of a cold start."""
        return self._kv("faas.coldstart", True, Origin.DERIVED)  # noqa: FBT003 - an attribute's value

    def _about_call(self, part: Segment) -> list[int]:
        """Return the codes of a subsegment's call; fields that belong to segments become its attributes."""
        codes = self.blocks.call(part)
        if part.origin or part.resource_arn or part.service is not NOTHING or part.type not in _SUBSEGMENT:
            codes += self.blocks.misplaced(part)
        return codes

    def _tree(self, share: Share, root: Segment, parent: int, bits: int, codes: list[int]) -> None:
        """Load a document with its subsegments."""
        about_call = self._about_call
        todo = [(root, parent, "")]
        while todo:
            part, parent, embedding = todo.pop()
            span_id = span_id_of(part.id)
            if part.subsegments:
                todo += [(child, span_id, part.id) for child in reversed(part.subsegments)]
            if part is not root:
                bits = CHILD_BITS if parent else CHILD_BITS | _NO_PARENT
                codes = about_call(part)
                if (part.parent_id or embedding) != embedding or (part.trace_id or root.trace_id) != root.trace_id:
                    self.problems.embedded(share.at, share.trace_id, part, parent)
            if part.__class__ is not Segment:
                codes += self.problems.report(share.at, share.trace_id, part)
            if span_id:
                self._part(share, part, span_id, parent, bits, codes, part is root and part.type != "subsegment")
            else:
                self.problems.no_id(share.at, share.trace_id, part)

    def _part(
        self, share: Share, part: Segment, span_id: int, parent: int, bits: int, codes: list[int], is_segment: bool
    ) -> None:
        """Load one segment or subsegment."""
        times = exact_times(part.start_time, part.end_time)
        if times is None:
            irregular = self.problems.times(share.at, share.trace_id, part)
            if irregular is None:
                return
            times, bits = irregular[:2], bits | irregular[2]
        kind, record_kind = _SORTS[is_segment]
        if part.inferred:
            kind, record_kind, bits = _SERVER, int(RecordKind.INFERRED), bits | INFERRED
        if part.namespace:
            kind = self._callee(share, part, kind, codes)
        if part.in_progress:
            bits |= IN_PROGRESS
        codes += self.blocks.attributes(part, share.segment_metadata if is_segment else share.metadata)
        has_failed = part.fault or (part.error and kind != _SERVER)
        if part.error or part.fault or part.throttle:
            codes += self.flags(part.error, part.fault, part.throttle)
        events: Sequence[Event] = ()
        links: Sequence[Link] = ()
        give = self._span
        if not part.cause is part.links is NOTHING:
            links = self._links(share, part, codes)
            events, give = self._cause(share, part, span_id, codes)
            has_failed = has_failed or bool(events) or give is not self._span
        give(
            at=share.at,
            trace_id=share.trace_id,
            span_id=span_id,
            parent_id=parent,
            name=part.name,
            kind=kind,
            start_ns=times[0],
            end_ns=times[1],
            status_code=_STATUS[has_failed],
            record_kind=record_kind,
            resolution_ns=RESOLUTION_NS,
            resource=share.resource,
            scope=self.scope,
            attributes=codes,
            events=events,
            links=links,
            quality=bits,
        )

    def _callee(self, share: Share, part: Segment, kind: int, codes: list[int]) -> int:
        """Return the kind of a part with a namespace, and add its callee."""
        known = self.callee(str(part.namespace), part.name)
        if part.namespace in CALLS and not part.inferred:
            codes += known
            return _CLIENT
        if part.namespace not in NAMESPACES:
            self.problems.namespace(share.at, share.trace_id, part)
        codes.append(known[0])
        return kind

    def callee(self, namespace: str, name: str) -> tuple[int, int]:
        """Return the codes of a namespace and of the callee."""
        known = self._callees.get((namespace, name))
        if known is None:
            codes = (
                self._kv("aws.xray.namespace", namespace, Origin.AWS),
                self._kv("peer.service", name, Origin.DERIVED),
            )
            known = self._callees[namespace, name] = codes
        return known

    def flags(self, *are_true: bool) -> list[int]:
        """Return the codes of error, fault and throttle that are true."""
        return [
            self._kv(f"aws.xray.{flag}", is_true, Origin.AWS)
            for flag, is_true in zip(_FLAGS, are_true, strict=True)
            if is_true
        ]

    def _links(self, share: Share, part: Segment, codes: list[int]) -> Sequence[Link]:
        """Return the links of a part."""
        if part.links is NOTHING:
            return ()
        return self.problems.links(share.at, part, codes, self.blocks.open(part.links)[0])

    def _cause(
        self, share: Share, part: Segment, span_id: int, codes: list[int]
    ) -> tuple[Sequence[Event], Callable[..., None]]:
        """Return the exceptions of a part, and the function that receives its span now or when the cause is known."""
        cause = self.blocks.open(part.cause)[0] if part.cause is not NOTHING else None
        who = Reference(share.trace_id, "", span_id, share.at)
        if isinstance(cause, dict):
            events, more = self.causes.of_object(cause, who)
            codes += more
            return events, self._span
        if isinstance(cause, str) and cause:
            return (), self.causes.later(who._replace(exception_id=cause))
        if cause:
            codes.append(self.problems.cause(share.at, share.trace_id, part, cause))
        return (), self._span
