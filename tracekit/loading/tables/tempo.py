"""Blocks of Grafana Tempo (``vParquet4`` and ``vParquet5``): one row is one trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.tables import layout
from tracekit.loading.tables.layout import Layout, any_value, attributes, hexadecimal, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_RESOURCE = {
    "ServiceName": "service.name",
    "Cluster": "cluster",
    "Namespace": "namespace",
    "Pod": "pod",
    "Container": "container",
    "K8sClusterName": "k8s.cluster.name",
    "K8sNamespaceName": "k8s.namespace.name",
    "K8sPodName": "k8s.pod.name",
    "K8sContainerName": "k8s.container.name",
}
_OF_SPAN = {"HttpMethod": "http.method", "HttpUrl": "http.url", "HttpStatusCode": "http.status_code"}
_LISTS = ("Value", "ValueInt", "ValueDouble", "ValueBool")


def requests(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return a request per row, which is a whole trace."""
    for trace, groups in layout.cells(columns, ("TraceID", "rs")):
        yield {"resourceSpans": [_group(hexadecimal(trace), group) for group in groups or ()]}


def _group(trace: str, group: dict[str, Any]) -> dict[str, Any]:
    """Return the spans of one resource."""
    resource = group.get("Resource") or {}
    return {
        "resource": {
            "attributes": _attributes(resource, _OF_RESOURCE, "resource"),
            "droppedAttributesCount": resource.get("DroppedAttributesCount") or 0,
        },
        "scopeSpans": [
            {
                "scope": _scope(part.get("Scope") or {}),
                "spans": [_span(trace, span) for span in part.get("Spans") or ()],
            }
            for part in group.get("ss") or ()
        ],
    }


def _scope(scope: dict[str, Any]) -> dict[str, Any]:
    """Return an instrumentation scope."""
    return {
        "name": text(scope.get("Name")),
        "version": text(scope.get("Version")),
        "attributes": _attributes(scope, {}, "scope"),
        "droppedAttributesCount": scope.get("DroppedAttributesCount") or 0,
    }


def _span(trace: str, span: dict[str, Any]) -> dict[str, Any]:
    """Return one span; times of its events are stored relative to its start."""
    start = span.get("StartTimeUnixNano") or 0
    return {
        "traceId": trace,
        "spanId": hexadecimal(span.get("SpanID")),
        "parentSpanId": hexadecimal(span.get("ParentSpanID")),
        "traceState": text(span.get("TraceState")),
        "name": text(span.get("Name")),
        "kind": layout.kind(span.get("Kind")),
        **layout.interval(start, start + (span.get("DurationNano") or 0)),
        "attributes": _attributes(span, _OF_SPAN, "span"),
        "droppedAttributesCount": span.get("DroppedAttributesCount") or 0,
        "events": [
            {
                "timeUnixNano": str(start + (event.get("TimeSinceStartNano") or 0)),
                "name": text(event.get("Name")),
                "attributes": _attributes(event, {}, "event"),
                "droppedAttributesCount": event.get("DroppedAttributesCount") or 0,
            }
            for event in span.get("Events") or ()
        ],
        "droppedEventsCount": span.get("DroppedEventsCount") or 0,
        "links": [
            {
                "traceId": hexadecimal(link.get("TraceID")),
                "spanId": hexadecimal(link.get("SpanID")),
                "traceState": text(link.get("TraceState")),
                "attributes": _attributes(link, {}, "link"),
                "droppedAttributesCount": link.get("DroppedAttributesCount") or 0,
            }
            for link in span.get("Links") or ()
        ],
        "droppedLinksCount": span.get("DroppedLinksCount") or 0,
        "status": layout.status(span.get("StatusCode"), span.get("StatusMessage")),
    }


def _attributes(owner: dict[str, Any], own_columns: dict[str, str], level: str) -> list[dict[str, Any]]:
    """Return the attributes of the general column, of their own columns, and of the assignable ones.

    The keys of the assignable columns are in the block's ``meta.json``, which is not read: they become
    ``tempo.dedicated.span.String01`` and so on.
    """
    listed = [{"key": text(each.get("Key")), "value": _value(each)} for each in owner.get("Attrs") or ()]
    spare = {f"tempo.dedicated.{level}.{at}": value for at, value in (owner.get("DedicatedAttributes") or {}).items()}
    named = {key: owner.get(column) or None for column, key in own_columns.items()}
    return [*attributes(named, spare), *listed]


def _value(attribute: dict[str, Any]) -> dict[str, Any]:
    """Return the value of an attribute: the list that is not empty, whole or its only item."""
    odd = attribute.get("ValueUnsupported")
    if odd is not None:
        return {"stringValue": odd}
    found: list[Any] = next((attribute[name] for name in _LISTS if attribute.get(name)), [])
    return any_value(list(found) if attribute.get("IsArray") or len(found) != 1 else found[0])


LAYOUT = Layout(
    "Tempo", frozenset({"TraceID", "rs"}), requests, "flags and schema addresses; keys of dedicated columns"
)
