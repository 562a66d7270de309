"""A frame of spans as a TraceSet: the inverse of ``traces.spans``, also for hand-written traces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tracekit import schema, semconv
from tracekit.errors import SchemaError
from tracekit.loading.building.builder import ROWS_PER_BATCH, Builder
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.frame_batch import CONCLUDED, EXACT, FrameBatch, Keys, plain
from tracekit.loading.ids import Id, parse_span_id, parse_trace_id
from tracekit.schema import Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from tracekit.traces import TraceSet

REQUIRED = ("trace_id", "span_id", "name", "start_ns", "end_ns")
_BITS = {
    "in_progress": Quality.IN_PROGRESS,
    "inferred": Quality.INFERRED,
    "kind_inferred": Quality.KIND_INFERRED,
    "parent_is_remote": Quality.PARENT_REMOTE,
}
_SPAN_KEYS = {column: keys[0] for column, keys in {**semconv.SPAN_KEYS, **semconv.NUMBER_KEYS}.items()} | {
    "rpc_method": "rpc.method",
    "faas_coldstart": "faas.coldstart",
    "peer_service_name": "service.peer.name",
    "error_type": "error.type",
}
_INBOUND = {"peer_address": semconv.CALLER_ADDRESS[0], "peer_port": semconv.CALLER_PORT[0]}
_OUTBOUND = {"peer_address": semconv.CALLEE_ADDRESS[0], "peer_port": semconv.CALLEE_PORT[0]}
_TORN = re.compile("[\ud800-\udfff]")
_OPERATIONS = frozenset({"aws.local.operation", "aws.operation"})  # attributes without a column of their own
_FLAGS = {"client": "aws.xray.error", "fault": "aws.xray.fault", "throttle": "aws.xray.throttle"}
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
    keys = Keys(on_span, on_resource, _INBOUND, _OUTBOUND, _BITS, _OPERATIONS, _FLAGS)
    named = frame.set_axis([str(column) for column in frame], axis=1)
    for begin in range(0, len(frame), ROWS_PER_BATCH):
        some = named.iloc[begin : begin + ROWS_PER_BATCH]
        odd = FrameBatch(some, np.arange(begin + 1, begin + 1 + len(some)), builder, keys).load()
        for number, row in zip((begin + 1 + odd).tolist(), _rows(some.iloc[odd]), strict=True):
            at = Position(number, 0)
            _span(builder, _repaired(builder, row, at), at, on_span, on_resource)
    builder.ledger.close()
    return to_trace_set(builder, "ns")  # the column names contain the unit


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows as dicts without missing cells."""
    plain = frame.astype(object)
    cells = {str(column): plain[column].tolist() for column in plain}
    known = {str(column): frame[column].notna().tolist() for column in frame}
    for at in range(len(frame)):
        yield {column: values[at] for column, values in cells.items() if known[column][at]}


def _repaired(builder: Builder, row: dict[str, Any], at: Position) -> dict[str, Any]:
    """Return a row with unpaired surrogates replaced by U+FFFD, as in every other format."""
    torn = [column for column, cell in row.items() if isinstance(cell, str) and _TORN.search(cell)]
    if not torn:
        return row
    message = f"expected surrogate pairs, found unpaired ones in {', '.join(torn)}; replaced by U+FFFD"
    builder.ledger.issue("ENC_SURROGATE", message, at=at, action="repaired", field=torn[0])
    return row | {c: row[c].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for c in torn}


def _named(frame: pd.DataFrame, promoted: dict[str, str], prefix: str) -> dict[str, str]:
    """Return the attribute key of each column; a column with the prefix takes precedence over the promoted one."""
    wide = {str(c): str(c).removeprefix(prefix) for c in frame.columns if str(c).startswith(prefix)}
    return {c: key for c, key in promoted.items() if c in frame and key not in wide.values()} | wide


def _span(
    builder: Builder, row: dict[str, Any], at: Position, on_span: dict[str, str], on_resource: dict[str, str]
) -> None:
    """Load one row, or quarantine it."""
    trace, span = _id(builder, row, "trace_id", parse_trace_id, at), _id(builder, row, "span_id", parse_span_id, at)
    if trace is None or span is None:
        return
    parent = _parent(builder, row, at)
    bad = Quality.PARENT_ID_BAD if parent.problem and parent.problem != "ID_ZERO" else 0
    kind = _word(row, "kind", schema.KINDS, at)
    peer = _INBOUND if kind in {schema.Kind.SERVER, schema.Kind.CONSUMER} else _OUTBOUND
    given = {**on_span, **{c: key for c, key in peer.items() if key not in on_span.values()}}
    builder.span(
        at=at,
        trace_id=trace,
        span_id=span,
        parent_id=parent.value,
        name=str(row.get("name", "")),
        kind=kind,
        start_ns=_time(builder, row, "start_ns", at),
        end_ns=_time(builder, row, "end_ns", at),
        status_code=_word(row, "status_code", schema.STATUS_CODES, at),
        status_message=str(row.get("status_message", "")),
        trace_state=str(row.get("trace_state", "")),
        flags=int(row.get("trace_flags", 0)),
        record_kind=_word(row, "record_kind", schema.RECORD_KINDS, at),
        resolution_ns=int(row.get("time_resolution_ns", 1)),
        resource=builder.resource([builder.kv(key, plain(row[c])) for c, key in on_resource.items() if c in row]),
        attributes=[
            *(builder.kv(key, plain(row[c])) for c, key in given.items() if c in row),
            *(builder.kv(key, value) for key, value in _concluded(row) if f"attributes.{key}" not in row),
        ],
        dropped_attributes=int(row.get("dropped_attributes_count", 0)),
        dropped_events=int(row.get("dropped_events_count", 0)),
        dropped_links=int(row.get("dropped_links_count", 0)),
        quality=_quality(row) | bad,
    )


def _concluded(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield attributes that a frame has only as derived columns: the operation and the error class."""
    source, error_class = row.get("operation_source"), row.get("error_class")
    if source in _OPERATIONS and "operation" in row:
        yield source, row["operation"]
    is_http = row.get("record_kind", "span") == "span" and "http_response_status_code" in row
    if error_class in _FLAGS and not is_http and (error_class != "throttle" or row.get("is_error")):
        yield _FLAGS[error_class], True


def _id(builder: Builder, row: dict[str, Any], column: str, parse: Callable[..., Id], at: Position) -> int | None:
    """Return the id, or quarantine the row."""
    found = parse(row.get(column, ""), pad=True)
    if found.value:
        return found.value
    message = f"expected hex digits in column {column!r}, found {row.get(column)!r}; row skipped"
    builder.ledger.quarantine(found.problem, message, at=at, field=column)
    return None


def _parent(builder: Builder, row: dict[str, Any], at: Position) -> Id:
    """Return the parent's id; empty text and zeros mean none, an invalid id is an issue."""
    found = row.get("parent_span_id", "")
    parent = parse_span_id(found, pad=True) if found != "" else Id(0)
    if parent.problem and parent.problem != "ID_ZERO":
        message = f"expected hex digits in column 'parent_span_id', found {found!r:.80}; parent unknown"
        builder.ledger.issue(parent.problem, message, at=at, field="parent_span_id", severity="warn")
    return parent


def _quality(row: dict[str, Any]) -> int:
    """Return the quality bits that are not derived again."""
    bits = int(row.get("quality", 0)) & ~int(CONCLUDED)
    for column, bit in _BITS.items():
        if column in row:
            bits = bits | bit if row[column] else bits & ~int(bit)
    return bits | (Quality.PARENT_REMOTE_KNOWN if "parent_is_remote" in row else 0)


def _time(builder: Builder, row: dict[str, Any], column: str, at: Position) -> int | None:
    """Return nanoseconds; SchemaError for a value that is not an integer."""
    value = row.get(column)
    if value is None:
        return None
    try:
        nanoseconds = int(value)
    except (TypeError, ValueError, OverflowError):
        nanoseconds = None
    if nanoseconds is None or nanoseconds != value:
        message = f"expected whole nanoseconds in column {column!r}, found {value!r} in row {at.record}"
        raise SchemaError(
            f"{message}; a time is converted by .astype('datetime64[ns]').astype('int64')", found=[column]
        )
    if isinstance(value, float) and abs(value) > EXACT:
        message = f"expected integers (Int64) in column {column!r}, found floats beyond 2^53"
        builder.ledger.tally("TIME_PRECISION_LOST", message, at)
    return nanoseconds


def _word(row: dict[str, Any], column: str, words: tuple[str, ...], at: Position) -> int:
    """Return the number of an enumeration value; SchemaError lists the values."""
    value = row.get(column)
    if value is None:
        return 0
    if value not in words:
        message = f"expected one of {', '.join(words)} in column {column!r}, found {value!r} in row {at.record}"
        raise SchemaError(message, found=[column])
    return words.index(value)
