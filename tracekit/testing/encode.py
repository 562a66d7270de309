"""Spans of opentelemetry-sdk as an OTLP request, which ``read`` reads like any other."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link, SpanContext

_IS_REMOTE_KNOWN, _IS_REMOTE = 0x100, 0x200  # flags


def request_of(spans: Iterable[ReadableSpan]) -> bytes:
    """Return finished spans as one line of OTLP JSON."""
    groups: dict[tuple[int, Any], tuple[dict[str, Any], dict[str, Any], list[Any]]] = {}
    for span in spans:
        key = (id(span.resource), span.instrumentation_scope)
        if key not in groups:
            groups[key] = (_resource(span), _scope(span), [])
        groups[key][2].append(_span(span))
    listed = [
        {"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}
        for resource, scope, spans in groups.values()
    ]
    return msgspec.json.encode({"resourceSpans": listed}) + b"\n"


def _resource(span: ReadableSpan) -> dict[str, Any]:
    return {"attributes": _attributes(span.resource.attributes)}


def _scope(span: ReadableSpan) -> dict[str, Any]:
    scope = span.instrumentation_scope
    if scope is None:
        return {}
    return {"name": scope.name, "version": scope.version or "", "attributes": _attributes(scope.attributes)}


def _span(span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    assert context is not None, "a finished span has a context"
    parent = span.parent
    return {
        **_ids(context),
        "traceState": context.trace_state.to_header(),
        "parentSpanId": "" if parent is None else f"{parent.span_id:016x}",
        "flags": _flags(context, is_remote=parent is not None and parent.is_remote),
        "name": span.name,
        "kind": span.kind.value + 1,  # OTLP begins with UNSPECIFIED
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes),
        "droppedAttributesCount": span.dropped_attributes,
        "events": [_event(event) for event in span.events],
        "droppedEventsCount": span.dropped_events,
        "links": [_link(link) for link in span.links],
        "droppedLinksCount": span.dropped_links,
        "status": {"code": span.status.status_code.value, "message": span.status.description or ""},
    }


def _ids(context: SpanContext) -> dict[str, str]:
    return {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}


def _flags(context: SpanContext, *, is_remote: bool) -> int:
    """Return the flags of a span or link; those of a span say whether its parent is remote."""
    return int(context.trace_flags) | _IS_REMOTE_KNOWN | (_IS_REMOTE if is_remote else 0)


def _event(event: Event) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.timestamp),
        "name": event.name,
        "attributes": _attributes(event.attributes),
        "droppedAttributesCount": event.dropped_attributes,
    }


def _link(link: Link) -> dict[str, Any]:
    return {
        **_ids(link.context),
        "traceState": link.context.trace_state.to_header(),
        "flags": _flags(link.context, is_remote=link.context.is_remote),
        "attributes": _attributes(link.attributes),
        "droppedAttributesCount": link.dropped_attributes,
    }


def _attributes(attributes: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: Any) -> dict[str, Any]:
    """Return an attribute's value as AnyValue."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _not_finite(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _attributes(value)}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {} if value is None else {"stringValue": str(value)}


def _not_finite(value: float) -> str:
    """Return what JSON of protobuf writes for a number that JSON does not have."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
