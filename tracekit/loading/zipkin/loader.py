"""Zipkin: v2 spans alone, in a list, in a list of lists (API responses), one per line; v1 spans in the same shapes.

- Times are microseconds; one that is not there is missing, never 0.
- A span with ``shared`` has the id of its client: both rows are kept (``Quality.SHARED``), and the forest makes the
  server's the child of the client's.
- No ``kind`` means INTERNAL, inferred.
- The tag ``error`` means failure with any value; a text in it is the status message.  Which other tags are
  consumed: ``loading.tags``.
- ``localEndpoint``: ``service.name``, ``network.local.address``, ``network.local.port``; ``remoteEndpoint``:
  ``peer.service`` and ``server.address``, ``server.port`` (of a SERVER or CONSUMER: ``client.``).
  An IPv6 address in addition to an IPv4 one is ``zipkin.local.ipv6`` or ``zipkin.remote.ipv6``.
- v1 (``loading.zipkin.v1``): times, kind and service come from the annotations.

What the format loses: nanoseconds, the types of attributes, event attributes, links, scope attributes, resource
attributes other than the service, dropped counts, the case of names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading import native
from tracekit.loading.building.builder import Event
from tracekit.loading.ids import PADDED, Id, parse_span_id, parse_trace_id
from tracekit.loading.loader import Loader
from tracekit.loading.microseconds import RESOLUTION_NS, nanoseconds
from tracekit.loading.tags import bad_word, meaning
from tracekit.loading.zipkin import compiled
from tracekit.loading.zipkin import v1 as zipkin_v1
from tracekit.schema import KINDS, Kind, Origin, Quality

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.loader import Scanner

_INBOUND = frozenset({Kind.SERVER, Kind.CONSUMER})


def recognises(value: Any) -> bool:
    """Return whether a parsed record has one of Zipkin's shapes."""
    if isinstance(value, list):
        return bool(value) and all(_is_item(item) for item in value[:3])
    return _is_span(value)


def _is_item(item: Any) -> bool:
    """Return whether an item is a span, an empty list, or a list with a span among its first items."""
    return _is_span(item) or (isinstance(item, list) and (not item or any(map(_is_span, item[:3]))))


def _is_span(value: Any) -> bool:
    """Return whether an object is a span."""
    return isinstance(value, dict) and "traceId" in value and "id" in value and "spanId" not in value


def load(value: Any, at: Position, builder: Builder) -> None:
    """Load the spans of one parsed record."""
    for item in value if isinstance(value, list) else [value]:
        for span in item if isinstance(item, list) else [item]:
            if not isinstance(span, dict):
                message = f"expected a span, found {span!r:.80}; skipped"
                builder.ledger.quarantine("FORMAT_UNKNOWN", message, at=at, raw=str(span))
            elif zipkin_v1.is_v1(span):
                builder.ledger.dialect("zipkin_v1")
                for odd in zipkin_v1.odd_items(span):
                    _bad_annotation(odd, at, builder)
                for half in zipkin_v1.halves(span):
                    _span(half, at, builder)
            else:
                _span(span, at, builder)


def _span(span: dict[str, Any], at: Position, builder: Builder) -> None:
    """Load one span, or quarantine it."""
    ids = _ids(span, at, builder)
    if ids is None:
        return
    trace_id, span_id, parent_id, bits = ids
    kind, attributes = _kind(span, at, builder)
    service, addresses = _endpoints(span, kind, builder)
    parsed = meaning(_tags(span.get("tags"), at, builder), at, builder, kind=kind, any_error=True)
    start = nanoseconds(span.get("timestamp") or None, "timestamp", at, builder)
    length = nanoseconds(span.get("duration"), "duration", at, builder)
    if start is None and length is not None:
        attributes.append(builder.kv("zipkin.duration_us", span["duration"], Origin.TAG))
    if span.get("debug"):
        attributes.append(builder.kv("zipkin.debug", span["debug"]))
    builder.span(
        at=at,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=str(span.get("name") or ""),
        kind=parsed.kind,
        start_ns=start,
        end_ns=None if start is None or length is None else start + length,
        status_code=parsed.status_code,
        status_message=parsed.status_message,
        trace_state=parsed.trace_state,
        resolution_ns=RESOLUTION_NS,
        resource=builder.resource(service),
        scope=parsed.scope,
        attributes=[*attributes, *addresses, *parsed.attributes],
        events=_events(span.get("annotations"), at, builder),
        quality=bits | parsed.quality | (int(Quality.SHARED) if span.get("shared") is True else 0),
    )


def _ids(span: dict[str, Any], at: Position, builder: Builder) -> tuple[int, int, int, int] | None:
    """Return (trace id, span id, parent id, quality), or quarantine the span."""
    ledger = builder.ledger
    trace, own = parse_trace_id(span.get("traceId"), pad=True), parse_span_id(span.get("id"), pad=True)
    for field, found in (("traceId", trace), ("id", own)):
        if not found.value:
            message = f"expected hex digits in {field}, found {span.get(field)!r:.80}; span skipped"
            ledger.quarantine(found.problem, message, at=at, field=field, raw=str(span))
            return None
    if trace.problem:
        ledger.tally(trace.problem, PADDED, at)
    named = span.get("parentId")
    parent = parse_span_id(named, pad=True) if named else Id(0)
    if not parent.problem or parent.value or parent.problem == "ID_ZERO":
        return trace.value, own.value, parent.value, trace.bits
    message = f"expected hex digits in parentId, found {named!r:.80}; parent treated as missing"
    ledger.issue(
        parent.problem,
        message,
        at=at,
        severity="warn",
        trace_id=f"{trace.value:032x}",
        span_id=f"{own.value:016x}",
        field="parentId",
        raw=str(named),
    )
    return trace.value, own.value, 0, trace.bits | int(Quality.PARENT_ID_BAD)


def _kind(span: dict[str, Any], at: Position, builder: Builder) -> tuple[int, list[int]]:
    """Return the kind, 0 if it is missing, and the attribute code of an invalid one."""
    named = span.get("kind")
    if named is None:
        return 0, []
    word = str(named).upper()
    if word in KINDS:
        return KINDS.index(word), []
    bad_word("kind", KINDS, named, at, builder)
    return 0, [builder.kv("zipkin.kind", named, Origin.TAG)]


def _endpoints(span: dict[str, Any], kind: int, builder: Builder) -> tuple[list[int], list[int]]:
    """Return the attributes of the resource, and the span's address and peer attributes."""
    kv = builder.kv
    local, remote = (_object(span.get(f"{side}Endpoint")) for side in ("local", "remote"))
    peer = "client" if kind in _INBOUND else "server"
    codes = [
        kv(key, value)
        for side, name, endpoint in (("local", "network.local", local), ("remote", peer, remote))
        for key, value in _address(side, name, endpoint)
    ]
    if remote.get("serviceName"):
        codes.append(kv("peer.service", remote["serviceName"]))
    service = local.get("serviceName")
    return [kv("service.name", str(service))] if service else [], codes


def _address(side: str, name: str, endpoint: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the address and port of an endpoint; of two addresses the first."""
    found = [endpoint[key] for key in ("ipv4", "ipv6") if endpoint.get(key)]
    pairs = [(f"{name}.address", address) for address in found[:1]]
    pairs += [(f"zipkin.{side}.ipv6", address) for address in found[1:]]
    return [*pairs, (f"{name}.port", endpoint["port"])] if endpoint.get("port") else pairs


def _object(value: Any) -> dict[str, Any]:
    """Return an object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def _tags(tags: Any, at: Position, builder: Builder) -> list[tuple[str, Any]]:
    """Return the tags of a span; a value that is not a map is skipped, with an issue."""
    if tags is None or isinstance(tags, dict):
        return list((tags or {}).items())
    builder.ledger.issue("ATTR_BAD", f"expected a map of tags, found {tags!r:.80}; skipped", at=at, field="tags")
    return []


def _events(annotations: Any, at: Position, builder: Builder) -> list[Event]:
    """Return annotations as events, named by their value."""
    events = []
    for item in annotations if isinstance(annotations, list) else [] if annotations is None else [annotations]:
        if isinstance(item, dict):
            time_ns = nanoseconds(item.get("timestamp"), "timestamp", at, builder)
            value = item.get("value")
            events.append(Event(time_ns, value if isinstance(value, str) else "" if value is None else str(value)))
        else:
            _bad_annotation(item, at, builder)
    return events


def _bad_annotation(found: Any, at: Position, builder: Builder) -> None:
    """Report a malformed annotation."""
    message = f"expected an annotation with timestamp and value, found {found!r:.80}; skipped"
    builder.ledger.issue("ATTR_BAD", message, at=at, field="annotations")


def scanner(builder: Builder) -> Scanner | None:
    """Return the scanner of lines where the compiled lane is to be used."""
    extension = native.compiled()
    return None if extension is None else compiled.Scanner(builder, _address, extension)


LOADER = Loader("zipkin", recognises, load, scanner=scanner)
