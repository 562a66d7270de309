"""Records of the custom tracer of REL06-BP07 in DynamoDB exports, scans and Kinesis streams."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from tracekit.errors import MISSHAPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TYPES = {"S", "N", "B", "M", "L", "SS", "NS", "BS", "BOOL", "NULL"}
_OWN_ID = re.compile(r"(\d{9,11})-([0-9a-f]{16})")
_XRAY_ID = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_HEX_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
_KINDS = {"server", "client", "producer", "consumer", "internal"}
_GZIP = b"\x1f\x8b"
_MS = 1_000_000
_BEYOND_NS = 2**63


class Record(NamedTuple):
    """One record with its position, and its problem or an empty text."""

    value: Any
    source: str
    number: int
    problem: str = ""


def records_of(source: Any) -> Iterator[Record]:
    """Yield the records of files, folders, bytes or lists."""
    if isinstance(source, (str, Path)):
        path = Path(source)
        files = sorted(one for one in path.rglob("*") if one.is_file() and _is_data(one)) if path.is_dir() else [path]
        for file in files:
            yield from _of_text(file.read_bytes(), str(file))
    elif isinstance(source, bytes):
        yield from _of_text(source, "bytes")
    else:
        items = [source] if isinstance(source, dict) else list(source)
        yield from _numbered((inner for item in items for inner in _unwrapped(item)), "records")


def _is_data(path: Path) -> bool:
    """Return whether a file in a folder contains records."""
    hidden = any(part.startswith(".") for part in path.parts[-2:])
    return (
        not hidden and path.name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")) and "manifest" not in path.name
    )


def _of_text(content: bytes, source: str) -> Iterator[Record]:
    """Yield the records of a file of concatenated JSON values."""
    try:
        text = (gzip.decompress(content) if content.startswith(_GZIP) else content).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        yield Record(None, source, 1, f"expected JSON, found other bytes: {error}")
        return
    decoder, at, number = json.JSONDecoder(), 0, 0
    while at < len(text):
        if text[at].isspace() or text[at] == ",":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            number += 1
            yield Record(None, source, number, f"expected JSON at character {at}, found other text: {error}")
            at = text.find("\n", at) + 1 or len(text)  # the next line may be valid
            continue
        for inner in _unwrapped(value):
            number += 1
            yield Record(inner, source, number)


def _numbered(values: Iterator[Any], source: str) -> Iterator[Record]:
    """Yield values as records."""
    for number, value in enumerate(values, 1):
        yield Record(value, source, number)


def _unwrapped(value: Any) -> Iterator[Any]:
    """Yield the records in a value; lists, answers, exports and Kinesis records are unwrapped."""
    todo = [value]
    while todo:
        one = todo.pop()
        items = (one.get("Items") or one.get("Records")) if isinstance(one, dict) else one
        if isinstance(items, list):
            todo += items[::-1]
        elif not isinstance(one, dict):
            yield one
        elif isinstance(one.get("Item"), dict):
            todo.append(one["Item"])
        elif isinstance(one.get("kinesis"), dict):  # a Lambda event
            todo.append({"Data": one["kinesis"].get("data", "")})
        elif isinstance(one.get("Data"), (str, bytes)):
            yield from _of_kinesis(one["Data"])
        elif one and all(map(_is_typed, one.values())):
            yield _untyped(one)
        else:
            yield one


def _is_typed(cell: Any) -> bool:
    """Return whether a cell has DynamoDB's typed form: ``{"S": "text"}``."""
    return isinstance(cell, dict) and len(cell) == 1 and next(iter(cell)) in _TYPES


def _untyped(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of DynamoDB with plain values."""
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415 - heavy

    try:
        plain = TypeDeserializer().deserialize({"M": item})
        return dict(json.loads(json.dumps(plain, default=_number)))
    except MISSHAPEN:
        return dict(item)  # unchanged; quarantined later


def _number(value: Any) -> Any:
    """Return a value that JSON lacks: decimals as numbers, sets as lists, bytes as text."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return int(number) if number.is_integer() else number


def _of_kinesis(data: str | bytes) -> Iterator[Any]:
    """Yield the value of a Kinesis record, or its data if it cannot be decoded."""
    try:
        yield json.loads(base64.b64decode(data, validate=True) if isinstance(data, str) else data)
    except (ValueError, RecursionError):
        yield data


def trace_id_of(text: Any) -> str:
    """Return a trace id as 32 hex digits, or an empty text if invalid."""
    lower = str(text).lower()
    if found := _OWN_ID.fullmatch(lower):
        return f"{int(found[1]):016x}{found[2]}"
    if found := _XRAY_ID.fullmatch(lower):
        return found[1] + found[2]
    return lower.rjust(32, "0") if _HEX_ID.fullmatch(lower) else ""


def span_of(value: Any) -> tuple[dict[str, Any], str]:
    """Return a record as a row of spans, or its problem."""
    if not isinstance(value, dict):
        return {}, f"expected a JSON object, found {type(value).__name__}"
    try:
        return _span(value)
    except MISSHAPEN as error:
        return {}, f"expected a span, found a malformed one ({type(error).__name__}: {error!s:.100})"


def _span(value: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a JSON object as a row of spans, or its problem."""
    trace, span = trace_id_of(value.get("trace_id")), str(value.get("span_id", "")).lower()
    if not trace or not trace.strip("0"):
        return {}, f"expected a trace id, found {value.get('trace_id')!r:.60}"
    if not re.fullmatch("[0-9a-f]{1,16}", span) or not span.strip("0"):
        return {}, f"expected a span id of up to 16 hex digits, found {value.get('span_id')!r:.60}"
    started = value.get("start_time") or value.get("timestamp")
    if not started:
        return {}, "expected start_time or timestamp, found neither"
    try:
        start = _ns(started)
        end = _end(value, start)
    except (ValueError, TypeError, OverflowError) as error:
        return {}, f"expected times such as 2026-11-21T14:00:00.123456, found {error!s:.100}"
    if not -_BEYOND_NS <= min(start, end or 0) <= max(start, end or 0) < _BEYOND_NS:
        return {}, f"expected times from 1677 to 2262, found a duration of {value.get('duration_ms')!r:.40} ms"
    row = {"trace_id": trace, "span_id": span, "name": str(value.get("operation_name") or ""), "start_ns": start}
    service = value.get("service_name")
    row |= {"end_ns": end, "service_name": None if service is None else str(service)}
    if value.get("parent_span_id"):
        row["parent_span_id"] = str(value["parent_span_id"]).lower()
    return _writable(row | _kind_and_status(value) | _attributes(value)), ""


def _writable(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without lone surrogates in names and texts."""
    texts = {name: without_surrogates(cell) for name, cell in row.items() if isinstance(cell, str)}
    return {without_surrogates(name): cell for name, cell in (row | texts).items()}


def without_surrogates(text: str) -> str:
    r"""Return a text with lone surrogates replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _ns(text: Any) -> int:
    """Return nanoseconds since the epoch; times without a zone are UTC."""
    stamp = pd.Timestamp(text)
    if pd.isna(stamp):
        raise ValueError(repr(text)[:60])
    return int((stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp).as_unit("ns").value)


def _end(value: Mapping[str, Any], start: int) -> int | None:
    """Return the recorded end of a span, else start plus duration; None for an unfinished one."""
    if value.get("end_time"):
        return _ns(value["end_time"])
    duration = value.get("duration_ms")
    return None if duration is None else start + round(float(duration) * _MS)


def _kind_and_status(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return kind and status as in OpenTelemetry; timeouts and cancellations become errors with a message."""
    kind = str(value.get("span_kind") or "").lower().rpartition(".")[2]
    status = str(value.get("status") or "").lower().rpartition(".")[2]
    row: dict[str, Any] = {"kind": kind.upper()} if kind in _KINDS else {}
    if status in {"error", "timeout", "cancelled"}:
        row |= {"status_code": "ERROR", "status_message": "" if status == "error" else status}
    elif status == "ok":
        row["status_code"] = "OK"
    return row


def _attributes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return tags, baggage, logs (as JSON) and the original trace id as attributes."""
    tags, baggage = value.get("tags") or {}, value.get("baggage") or {}
    found = {f"attributes.{key}": tag for key, tag in tags.items()} if isinstance(tags, dict) else {}
    found |= {f"attributes.baggage.{key}": item for key, item in baggage.items()} if isinstance(baggage, dict) else {}
    found |= {"attributes.tracer.logs": value["logs"]} if value.get("logs") else {}
    found["attributes.tracer.trace_id"] = str(value["trace_id"])
    plain = (str, int, float, bool, type(None))
    return {k: v if isinstance(v, plain) else json.dumps(v, default=str) for k, v in found.items() if v is not None}
