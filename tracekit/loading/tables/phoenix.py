"""Frames of spans as Arize Phoenix exports them, with the OpenInference conventions (``get_spans_dataframe``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.tables import layout
from tracekit.loading.tables.layout import Layout, attributes, hexadecimal, listed, nanoseconds, text

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUIRED = ("context.trace_id", "context.span_id", "parent_id", "name", "start_time", "end_time")
_SPAN = (*_REQUIRED, "status_code", "status_message", "span_kind", "events")
_PREFIX = "attributes."


def requests(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return a request per row."""
    named = [name for name in columns if name.startswith(_PREFIX)]
    keys = [name.removeprefix(_PREFIX) for name in named]
    rows = zip(layout.cells(columns, _SPAN), layout.cells(columns, named) if named else _nothing(columns), strict=True)
    for (trace, span, parent, name, start, end, code, message, sort, happened), values in rows:
        own = {key: value for key, value in zip(keys, values, strict=True) if text(value) != ""}
        resource = {"service.name": own.pop("service.name", None)}
        own.setdefault("openinference.span.kind", text(sort) or None)
        yield layout.request(
            attributes(resource),
            {},
            {
                "traceId": hexadecimal(trace),
                "spanId": hexadecimal(span),
                "parentSpanId": hexadecimal(parent),
                "name": text(name),
                **layout.interval(nanoseconds(start), nanoseconds(end)),
                "attributes": attributes(own),
                "events": [
                    {
                        "timeUnixNano": str(nanoseconds(event.get("timestamp")) or 0),
                        "name": text(event.get("name")),
                        "attributes": attributes(event.get("attributes")),
                    }
                    for event in listed(happened)
                    if isinstance(event, dict)
                ],
                "status": layout.status(code, message),
            },
        )


def _nothing(columns: dict[str, list[Any]]) -> list[tuple[()]]:
    """Return an empty tuple per row."""
    return [()] * len(columns[_REQUIRED[0]])


LAYOUT = Layout(
    "Phoenix", frozenset(_REQUIRED), requests, "OpenTelemetry kinds, resources, scopes, links, flags and dropped counts"
)
