"""Flat span records: the ``aws/spans`` log group, and the OTEL format of list-retrieved-traces.

One JSON object a span, attributes as a plain map, kind and status by name, ``durationNano`` beside the times
(``spec/formats.md`` section 6.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.loader import Loader
from tracekit.loading.otlp.times import moment
from tracekit.loading.otlp.tolerant import camel, load_span, resource_of, schema_url, scope_of

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position


def recognises(record: Any) -> bool:
    """Return whether a parsed record is one flat span, or a list of them."""
    if isinstance(record, list):
        return bool(record) and all(map(recognises, record[:3]))
    return (
        isinstance(record, dict)
        and isinstance(record.get("traceId", record.get("trace_id")), str)
        and isinstance(record.get("spanId", record.get("span_id")), str)
        and any(
            key in record for key in ("startTimeUnixNano", "start_time_unix_nano", "endTimeUnixNano", "durationNano")
        )
    )


def load(record: Any, at: Position, builder: Builder) -> None:
    """Give one flat span, or a list of them, to the builder."""
    for span in record if isinstance(record, list) else [record]:
        load_flat_span(span, at, builder)


def load_flat_span(span: Any, at: Position, builder: Builder) -> None:
    """Give one flat span to the builder; an end that is missing is start + durationNano."""
    if not isinstance(span, dict):
        message = f"expected a span, found {span!r:.80}"
        builder.ledger.quarantine("FORMAT_UNKNOWN", message, at=at, raw=repr(span))
        return
    builder.ledger.dialect("flat_span")
    span = dict(camel(span, builder))
    resource = resource_of(span.pop("resource", None), schema_url(span, at, builder), at, builder)
    span.pop("schemaUrl", None)
    scope = scope_of(span, at, builder)
    if span.get("endTimeUnixNano") is None and span.get("durationNano") is not None:
        start, _ = moment(span.get("startTimeUnixNano"), "startTimeUnixNano", at, builder)
        length, _ = moment(span["durationNano"], "durationNano", at, builder)
        span["endTimeUnixNano"] = None if start is None else str(start + (length or 0))
    load_span(span, resource, scope, at, builder)


LOADER = Loader("otlp", recognises, load)
