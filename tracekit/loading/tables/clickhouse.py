"""Table ``otel_traces`` of the OpenTelemetry collector's exporter for ClickHouse, also as ClickStack writes it."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tracekit.loading.tables import layout
from tracekit.loading.tables.layout import Layout, attributes, hexadecimal, listed, nanoseconds, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUIRED = ("Timestamp", "TraceId", "SpanId", "ParentSpanId", "SpanName", "Duration")
_SPAN = (*_REQUIRED, "TraceState", "SpanKind", "StatusCode", "StatusMessage", "SpanAttributes")
_AROUND = ("ServiceName", "ResourceAttributes", "ScopeName", "ScopeVersion")
_EVENTS = ("Timestamp", "Name", "Attributes")
_LINKS = ("TraceId", "SpanId", "TraceState", "Attributes")


def requests(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return a request per row."""
    events, links = _nested(columns, "Events", _EVENTS), _nested(columns, "Links", _LINKS)
    rows = zip(layout.cells(columns, _SPAN), layout.cells(columns, _AROUND), events, links, strict=True)
    for (at, trace, span, parent, name, took, state, kind, code, message, own), around, happened, linked in rows:
        service, resource, scope, version = around
        start, duration = nanoseconds(at), nanoseconds(took)
        yield layout.request(
            attributes({"service.name": text(service) or None}, resource),
            {"name": text(scope), "version": text(version)},
            {
                "traceId": hexadecimal(trace),
                "spanId": hexadecimal(span),
                "parentSpanId": hexadecimal(parent),
                "traceState": text(state),
                "name": text(name),
                "kind": layout.kind(kind),
                **layout.interval(start, None if start is None or duration is None else start + duration),
                "attributes": attributes(own),
                "events": [
                    {"timeUnixNano": str(nanoseconds(when) or 0), "name": text(what), "attributes": attributes(more)}
                    for when, what, more in happened
                ],
                "links": [
                    {
                        "traceId": hexadecimal(to),
                        "spanId": hexadecimal(other),
                        "traceState": text(their_state),
                        "attributes": attributes(more),
                    }
                    for to, other, their_state, more in linked
                ],
                "status": layout.status(code, message),
            },
        )


def _nested(columns: dict[str, list[Any]], name: str, fields: tuple[str, ...]) -> Iterator[list[tuple[Any, ...]]]:
    """Return for every row the entries of a nested column, which is one column of records or one column a field."""
    if name in columns:
        for records in columns[name]:
            yield [tuple(map(record.get, fields)) for record in listed(records) if isinstance(record, dict)]
        return
    for lists in layout.cells(columns, [f"{name}.{field}" for field in fields]):
        yield list(zip_longest(*map(listed, lists)))


LAYOUT = Layout(
    "the collector's ClickHouse exporter",
    frozenset(_REQUIRED),
    requests,
    "types of attributes (all are texts), flags, dropped counts and schema addresses",
)
