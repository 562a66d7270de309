"""Table ``distributed_signoz_index_v3`` of SigNoz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.loading.tables import layout
from tracekit.loading.tables.layout import Layout, attributes, hexadecimal, nanoseconds, pairs, text, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_REQUIRED = ("timestamp", "trace_id", "span_id", "parent_span_id", "name", "duration_nano")
_SPAN = (*_REQUIRED, "trace_state", "flags", "kind", "kind_string", "status_message", "status_code_string")
_GROUPS = ("attributes_string", "attributes_number", "attributes_bool", "resources_string")


def requests(columns: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return a request per row."""
    rows = zip(layout.cells(columns, _SPAN), layout.cells(columns, _GROUPS), strict=True)
    for (at, trace, span, parent, name, took, state, flags, kind, word, message, code), groups in rows:
        texts, numbers, switches, resource = groups
        start, duration = nanoseconds(at), nanoseconds(took)
        integers = {key: whole(value) for key, value in pairs(numbers).items()}
        yield layout.request(
            attributes(resource),
            {},
            {
                "traceId": hexadecimal(trace),
                "spanId": hexadecimal(span),
                "parentSpanId": hexadecimal(parent),
                "traceState": text(state),
                "flags": flags or 0,
                "name": text(name),
                "kind": layout.kind(word if text(word) else kind),
                **layout.interval(start, None if start is None or duration is None else start + duration),
                "attributes": attributes(texts, integers, switches),
                "status": layout.status(code, message),
            },
        )


LAYOUT = Layout(
    "SigNoz",
    frozenset({*_REQUIRED, "resources_string"}),
    requests,
    "scopes, events, links and dropped counts; numbers went through 64-bit floats, so integers above 2^53 are rounded",
)
