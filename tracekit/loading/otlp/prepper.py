"""Span documents of OpenSearch, as Data Prepper writes them into ``otel-v1-apm-span-*``.

Two generations: field names with dots, where ``@`` in an attribute name replaces a dot
(``span.attributes.http@method``, ``resource.attributes.service@name``, ``status.code``), and nested objects
(``attributes``, ``resource``, ``instrumentationScope``, ``status``).  Alone, in a list, as hits, or as the answer of a
search.  Times are dates as text.  Members that OTLP does not have, such as ``traceGroup``, are kept as attributes under
``opensearch.``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.loader import Loader
from tracekit.loading.otlp.flat import load_flat_span
from tracekit.loading.otlp.times import instant

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

_DROPPED = ("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount")
_SAME = frozenset({"traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "links", *_DROPPED})
_TIMES = {"startTime": "startTimeUnixNano", "endTime": "endTimeUnixNano", "durationInNanos": "durationNano"}
_GROUPS = {
    "span.attributes": "attributes",
    "attributes": "attributes",
    "resource.attributes": "resource.attributes",
    "resource": "resource",
    "status": "status",
    "scope": "scope",
    "instrumentationScope": "scope",
    "instrumentationLibrary": "scope",
}
_OTHERS = "opensearch."  # in front of the names of members that OTLP does not have
_COPIES = frozenset({"@timestamp", "time"})  # of startTime


def recognises(record: Any) -> bool:
    """Return whether a parsed record is a span document, a list of them, or the answer of a search."""
    if isinstance(record, list):
        return bool(record) and all(isinstance(item, dict) and _is_span(_content(item)) for item in record[:3])
    return isinstance(record, dict) and (_is_span(_content(record)) or bool(_hits(record)))


def _is_span(document: dict[str, Any]) -> bool:
    """Return whether an object is a span document."""
    return (
        isinstance(document.get("traceId"), str)
        and isinstance(document.get("spanId"), str)
        and isinstance(document.get("startTime"), str)
        and ("durationInNanos" in document or "endTime" in document)
    )


def _content(item: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a hit, anything else as it is."""
    inner = item.get("_source")
    return inner if isinstance(inner, dict) else item


def _hits(record: dict[str, Any]) -> list[Any]:
    """Return the hits of a search that are span documents."""
    hits = record.get("hits")
    found = hits.get("hits") if isinstance(hits, dict) else None
    return found if isinstance(found, list) and recognises(found) else []


def load(record: Any, at: Position, builder: Builder) -> None:
    """Load the spans of one parsed record."""
    hits = _hits(record) if isinstance(record, dict) else []
    if hits:
        builder.ledger.dialect("opensearch_hits")
    for item in hits or (record if isinstance(record, list) else [record]):
        if isinstance(item, dict):
            builder.ledger.dialect("data_prepper")
        load_flat_span(_flat(_content(item)) if isinstance(item, dict) else item, at, builder)


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as a flat span of OTLP."""
    span: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {name: {} for name in _GROUPS.values()}
    for member, value in document.items():
        group, key = _place(member)
        if member in _SAME:
            span[member] = value
        elif member in _TIMES:
            span[_TIMES[member]] = _nanoseconds(value)
        elif member == "events":
            span["events"] = _events(value)
        elif key:
            groups[group][_with_points(group, key)] = value
        elif group and isinstance(value, dict):
            groups[group] |= value
        elif member == "serviceName" and isinstance(value, str):
            groups["resource.attributes"].setdefault("service.name", value)
        elif member not in _COPIES or value != document.get("startTime"):
            groups["attributes"][f"{_OTHERS}{member}"] = value
    odd = _join_resource(groups["resource"], groups.pop("resource.attributes"))
    groups["attributes"] |= odd
    return span | groups


def _join_resource(resource: dict[str, Any], dotted: dict[str, Any]) -> dict[str, Any]:
    """Put the attributes of a resource together; return those that are no object, as an attribute of the span."""
    nested = resource.get("attributes")
    resource["attributes"] = dotted | (nested if isinstance(nested, dict) else {})
    return {} if nested is None or isinstance(nested, dict) else {f"{_OTHERS}resource.attributes": nested}


def _place(member: str) -> tuple[str, str]:
    """Return the group of a field and the field's name in it, "" for the group itself or for none."""
    if member in _GROUPS:
        return _GROUPS[member], ""
    for prefix, group in _GROUPS.items():
        if member.startswith(f"{prefix}."):
            return group, member[len(prefix) + 1 :]
    return "", ""


def _with_points(group: str, key: str) -> str:
    """Return the name of a field in its group, where "@" in that of an attribute replaces a point."""
    return key.replace("@", ".") if group.endswith("attributes") else key


def attribute_name(member: str) -> str:
    """Return the name of an attribute of the span that is a member of a document."""
    group, key = _place(member)
    return _with_points(group, key) if group == "attributes" and key else f"{_OTHERS}{member}"


def _events(events: Any) -> Any:
    """Return the events of OTLP; unchanged if they are no list, to be reported later."""
    return [_event(event) for event in events] if isinstance(events, list) else events


def _event(event: Any) -> Any:
    """Return an event of OTLP."""
    if not isinstance(event, dict) or "time" not in event:
        return event
    rest = {key: value for key, value in event.items() if key != "time"}
    return rest | {"timeUnixNano": _nanoseconds(event["time"])}


def _nanoseconds(value: Any) -> Any:
    """Return a date with a time zone as nanoseconds; other values unchanged, to be reported later."""
    found = instant(value) if isinstance(value, str) else None
    return value if found is None else str(found)


LOADER = Loader("otlp", recognises, load)
