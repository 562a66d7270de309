"""A frame of spans as a TraceSet: the way back from ``traces.spans``, and the way in for hand-drawn traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit import schema, semconv
from tracekit.errors import SchemaError
from tracekit.loading.builder import Builder
from tracekit.loading.finish import finish
from tracekit.loading.ids import Id, parse_span_id, parse_trace_id
from tracekit.loading.ledger import Position
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from tracekit.traces import TraceSet

REQUIRED = ("trace_id", "span_id", "name", "start_ns", "end_ns")
_KEPT_BITS = Quality.SHARED | Quality.INFERRED | Quality.IN_PROGRESS | Quality.KIND_INFERRED | Quality.ID_PADDED
_SPAN_KEYS = {column: keys[0] for column, keys in {**semconv.SPAN_KEYS, **semconv.NUMBER_KEYS}.items()}
_RESOURCE_KEYS = {"service_name": "service.name"} | {c: k[0] for c, k in semconv.RESOURCE_KEYS.items()}


def from_frame(frame: pd.DataFrame) -> TraceSet:
    """Return the traces of a frame of spans; see ``TraceSet.from_spans``."""
    missing = [column for column in REQUIRED if column not in frame]
    if missing:
        message = (
            f"expected a frame of spans with {', '.join(REQUIRED)}; missing: {', '.join(missing)};"
            f" found: {', '.join(map(str, frame.columns)) or 'no columns'}"
        )
        raise SchemaError(message, missing=missing, found=[str(column) for column in frame.columns])
    builder = Builder()
    builder.open_source("frame").formats["frame"] += 1
    builder.ledger.record_count = len(frame)
    on_span = _named(frame, _SPAN_KEYS, "attributes.")
    on_resource = _named(frame, _RESOURCE_KEYS, "resource.")
    for number, row in enumerate(_rows(frame), 1):
        _span(builder, row, Position(number, 0), on_span, on_resource)
    return finish(builder)


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows as plain dicts, missing cells left out."""
    plain = frame.astype(object)
    cells = {str(column): plain[column].tolist() for column in plain}
    known = {str(column): frame[column].notna().tolist() for column in frame}
    for at in range(len(frame)):
        yield {column: values[at] for column, values in cells.items() if known[column][at]}


def _named(frame: pd.DataFrame, promoted: dict[str, str], prefix: str) -> dict[str, str]:
    """Return which columns become which attribute keys; a column with the prefix beats the promoted one."""
    wide = {str(c): str(c).removeprefix(prefix) for c in frame.columns if str(c).startswith(prefix)}
    return {c: key for c, key in promoted.items() if c in frame and key not in wide.values()} | wide


def _span(
    builder: Builder, row: dict[str, Any], at: Position, on_span: dict[str, str], on_resource: dict[str, str]
) -> None:
    """Give one row to the builder, or quarantine it."""
    trace, span = _id(builder, row, "trace_id", parse_trace_id, at), _id(builder, row, "span_id", parse_span_id, at)
    if trace is None or span is None:
        return
    parent = parse_span_id(row["parent_span_id"], pad=True) if "parent_span_id" in row else Id(0)
    quality = int(row.get("quality", 0)) & _KEPT_BITS | (Quality.PARENT_ID_BAD if parent.problem else 0)
    builder.span(
        at=at,
        trace_id=trace,
        span_id=span,
        parent_id=parent.value,
        name=str(row.get("name", "")),
        kind=_word(row.get("kind"), schema.KINDS),
        start_ns=None if "start_ns" not in row else int(row["start_ns"]),
        end_ns=None if "end_ns" not in row else int(row["end_ns"]),
        status_code=_word(row.get("status_code"), schema.STATUS_CODES),
        status_message=str(row.get("status_message", "")),
        trace_state=str(row.get("trace_state", "")),
        flags=int(row.get("trace_flags", 0)),
        record_kind=_word(row.get("record_kind"), schema.RECORD_KINDS),
        resolution_ns=int(row.get("time_resolution_ns", 1)),
        resource=builder.resource([builder.kv(key, _plain(row[c])) for c, key in on_resource.items() if c in row]),
        attributes=[builder.kv(key, _plain(row[c])) for c, key in on_span.items() if c in row],
        dropped_attributes=int(row.get("dropped_attributes_count", 0)),
        dropped_events=int(row.get("dropped_events_count", 0)),
        dropped_links=int(row.get("dropped_links_count", 0)),
        quality=quality,
    )


def _id(builder: Builder, row: dict[str, Any], column: str, parse: Callable[..., Id], at: Position) -> int | None:
    """Return the id, or quarantine the row."""
    found = parse(row.get(column, ""), pad=True)
    if found.value:
        return found.value
    message = f"expected hex digits in column {column!r}, found {row.get(column)!r}; the row is left out"
    builder.ledger.quarantine(found.problem, message, at=at, field=column)
    return None


def _word(value: Any, words: tuple[str, ...]) -> int:
    """Return the number of a word of the schema; ValueError names the words."""
    if value is None:
        return 0
    if value not in words:
        message = f"expected one of {', '.join(words)}, found {value!r}"
        raise ValueError(message)
    return words.index(value)


def _plain(value: Any) -> Any:
    """Return numpy scalars as Python numbers."""
    return value.item() if hasattr(value, "item") else value
