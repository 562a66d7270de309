"""Jaeger: responses of its query API, traces and spans saved from its UI, span documents of its Elasticsearch storage.

======================================  ==========================================================================
shape                                   how it is recognised
======================================  ==========================================================================
response of the API                     ``{"data": [trace, ...]}``
a trace from the UI                     ``{"data": {trace}}``
traces, alone or in a list              ``spans``, with ``traceID`` or ``processes``
spans, alone or in a list               ``spanID``, with ``operationName`` or ``startTime``
documents and hits of Elasticsearch     the same, inside ``_source`` or ``hits.hits[]._source``
======================================  ==========================================================================

- A search's answer on a line of its own is one record; of one that is indented, or too large for that, each hit is one.
- Times are microseconds.  In a trace none of whose spans has a date, times count from zero, and 0 is a time.
- The first CHILD_OF of the same trace is the parent; a single FOLLOWS_FROM is the parent and a link; all other
  references are links.
- Ids whose leading zeros were stripped are padded.  Ids that are not hex (``"span-1"``) are hashed to an id, the same
  text always to the same one, and kept as the attributes ``jaeger.trace_id`` and ``jaeger.span_id``.
- Tags are typed by their ``type``; binary is base64, in Elasticsearch hex.  Which tags are consumed: ``loading.tags``.
- Fields computed by the UI (``depth``, ``relativeStartTime``, ``hasChildren``, ...) are ignored.

What the format loses: nanoseconds, scope attributes, schema addresses, link attributes and states, dropped counts;
events are named by a field.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from tracekit.loading import native
from tracekit.loading.building.builder import Event
from tracekit.loading.ids import shown_id
from tracekit.loading.jaeger import compiled
from tracekit.loading.jaeger.ids import Ids, references
from tracekit.loading.jaeger.search import walk
from tracekit.loading.loader import Loader
from tracekit.loading.microseconds import NO_DATE, RESOLUTION_NS, nanoseconds
from tracekit.loading.numbers import real, whole
from tracekit.loading.tags import meaning
from tracekit.schema import Origin

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position
    from tracekit.loading.loader import Scanner

_TRACE = frozenset({"traceID", "processes"})
_SPAN = frozenset({"operationName", "startTime"})
_U32 = 2**32
_TRUTHS = {"true": True, "false": False}


def recognises(value: Any) -> bool:
    """Return whether a parsed record has one of Jaeger's shapes."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) and _is_item(item) for item in value[:3])
    return isinstance(value, dict) and (_is_item(value) or _is_answer(value) or bool(_hits(value)))


def _is_item(value: dict[str, Any]) -> bool:
    """Return whether an object is a trace or a span, plain or as Elasticsearch wraps it."""
    inner = value.get("_source")
    value = inner if isinstance(inner, dict) else value
    return ("spans" in value and not _TRACE.isdisjoint(value)) or ("spanID" in value and not _SPAN.isdisjoint(value))


def _is_answer(value: dict[str, Any]) -> bool:
    """Return whether an object is a response of the query API, including an empty one."""
    data = value.get("data", 0)
    if isinstance(data, dict):
        return "spans" in data
    if isinstance(data, list) and data:
        return recognises(data)
    return data in ([], None) and (data == [] or "errors" in value)


def _hits(value: dict[str, Any]) -> list[Any]:
    """Return the hits of an Elasticsearch response that are span documents."""
    hits = value.get("hits")
    found = hits.get("hits") if isinstance(hits, dict) else None
    return found if isinstance(found, list) and recognises(found) else []


def load(value: Any, at: Position, builder: Builder) -> None:
    """Load the spans of one parsed record."""
    ids = Ids(builder, at)
    if isinstance(value, dict) and "data" in value:
        builder.ledger.dialect("jaeger_api")
        _errors(value.get("errors"), at, builder)
        value = value["data"]
    elif isinstance(value, dict) and (hits := _hits(value)):
        builder.ledger.dialect("elasticsearch_hits")
        value = hits
    for item in value if isinstance(value, list) else [] if value is None else [value]:
        content = item["_source"] if isinstance(item, dict) and isinstance(item.get("_source"), dict) else item
        if isinstance(content, dict) and "spans" in content:
            _trace(content, at, builder, ids)
        else:
            _span(content, at, builder, ids, {}, "", keeps_zero=False)
    ids.tell()


def _errors(errors: Any, at: Position, builder: Builder) -> None:
    """Add an issue for each error in a response."""
    for error in errors if isinstance(errors, list) else [errors] if errors else []:
        message = f"Jaeger returned an error: {str(error)[:200]}"
        builder.ledger.issue("API_ERROR_JSON", message, at=at, field="errors", raw=str(error))
        builder.ledger.incomplete("Jaeger returned an error")


def _trace(trace: dict[str, Any], at: Position, builder: Builder, ids: Ids) -> None:
    """Load one trace."""
    spans = trace["spans"] if isinstance(trace["spans"], list) else []
    processes = trace.get("processes")
    resources = {
        str(key): _resource(process, at, builder)
        for key, process in (processes.items() if isinstance(processes, dict) else ())
    }
    name = trace.get("traceID")
    trace_text = shown_id(name, pad=True)
    _warnings(trace.get("warnings"), at, builder, trace_text, "")
    starts = [span.get("startTime") for span in spans if isinstance(span, dict)]
    numbers = [start for start in starts if isinstance(start, (int, float))]
    counts_from_zero = bool(numbers) and max(numbers) < NO_DATE
    if counts_from_zero:
        message = "expected dates, found times that start at zero; kept, and 0 is a valid time"
        builder.ledger.issue("TIME_ZERO", message, at=at, severity="info", trace_id=trace_text, field="startTime")
    for span in spans:
        _span(span, at, builder, ids, resources, name, keeps_zero=counts_from_zero)


def _span(
    span: Any,
    at: Position,
    builder: Builder,
    ids: Ids,
    resources: dict[str, int],
    trace: Any,
    *,
    keeps_zero: bool,
) -> None:
    """Load one span, or quarantine it."""
    ledger = builder.ledger
    if not isinstance(span, dict):
        message = f"expected a span, found {span!r:.80}; skipped"
        ledger.quarantine("FORMAT_UNKNOWN", message, at=at, field="spans", raw=str(span))
        return
    trace_id, span_id = ids.trace(span.get("traceID") or trace), ids.span(span.get("spanID"))
    for field, found in (("traceID", trace_id), ("spanID", span_id)):
        if not found.value:
            message = f"expected an id in {field}, found {span.get(field)!r:.80}; span skipped"
            ledger.quarantine(found.problem, message, at=at, field=field, raw=str(span))
            return
    name = str(span.get("operationName") or "")
    trace_text, span_text = f"{trace_id.value:032x}", f"{span_id.value:016x}"
    is_elastic = "startTimeMillis" in span
    pairs = _tag_pairs(span.get("tags"), at, builder, field="tags", is_hex=is_elastic)
    pairs += _tag_pairs(span.get("tag"), at, builder, field="tag")
    tag_meaning = meaning(pairs, at, builder)
    attributes = tag_meaning.attributes
    for key, text in (("jaeger.trace_id", trace_id.hashed), ("jaeger.span_id", span_id.hashed)):
        if text:
            attributes.append(builder.kv(key, text, Origin.TAG))
    place = references(span, trace_id.value, ids)
    if place.malformed:
        message = (
            f"expected references with refType, traceID and spanID, found {place.malformed[0]!r:.80};"
            " kept as an attribute"
        )
        ledger.issue(
            "ID_NOT_HEX",
            message,
            at=at,
            severity="warn",
            field="references",
            raw=str(place.malformed),
            trace_id=trace_text,
            span_id=span_text,
        )
        attributes.append(builder.kv("jaeger.references", place.malformed, Origin.TAG))
    start = nanoseconds(span.get("startTime"), "startTime", at, builder)
    length = nanoseconds(span.get("duration"), "duration", at, builder)
    start = None if start == 0 and not keeps_zero else start
    if start is None and length is not None:
        attributes.append(builder.kv("jaeger.duration_us", span["duration"], Origin.TAG))
    _warnings(span.get("warnings"), at, builder, trace_text, span_text)
    builder.span(
        at=at,
        trace_id=trace_id.value,
        span_id=span_id.value,
        parent_id=place.parent_id,
        name=name,
        kind=tag_meaning.kind,
        start_ns=start,
        end_ns=None if start is None or length is None else start + length,
        status_code=tag_meaning.status_code,
        status_message=tag_meaning.status_message,
        trace_state=tag_meaning.trace_state,
        flags=_flags(span.get("flags"), at, builder),
        resolution_ns=RESOLUTION_NS,
        resource=_resource_of(span, resources, at, builder),
        scope=tag_meaning.scope,
        attributes=attributes,
        events=_events(span.get("logs"), at, builder, is_elastic=is_elastic),
        links=place.links,
        quality=trace_id.bits | place.bits | tag_meaning.quality,
    )


def _resource_of(span: dict[str, Any], resources: dict[str, int], at: Position, builder: Builder) -> int:
    """Return the resource of a span: its process by id, or its embedded one."""
    key = span.get("processID")
    if key is not None and str(key) in resources:
        return resources[str(key)]
    if isinstance(span.get("process"), dict):
        return _resource(span["process"], at, builder)
    builder.ledger.tally("ATTR_BAD", "expected the process of the span, found none; service unknown", at)
    return builder.resource(())


def _resource(process: Any, at: Position, builder: Builder) -> int:
    """Return a process as a resource."""
    return builder.resource(_described(process, at, builder))


def _described(process: Any, at: Position, builder: Builder) -> list[int]:
    """Return the attributes of a process."""
    process = process if isinstance(process, dict) else {}
    name = process.get("serviceName")
    pairs = [("service.name", str(name))] if name else []
    pairs += _tag_pairs(process.get("tags"), at, builder, field="process.tags")
    pairs += _tag_pairs(process.get("tag"), at, builder, field="process.tag")
    return [builder.kv(key, value, Origin.TAG) for key, value in pairs]


def _events(logs: Any, at: Position, builder: Builder, *, is_elastic: bool) -> list[Event]:
    """Return logs as events: named by the field ``event``, which is removed, or by ``message``, which is kept."""
    events = []
    for log in logs if isinstance(logs, list) else []:
        if not isinstance(log, dict):
            builder.ledger.issue(
                "ATTR_BAD", f"expected a log with fields, found {log!r:.80}; skipped", at=at, field="logs"
            )
            continue
        time_ns = nanoseconds(log.get("timestamp"), "timestamp", at, builder)
        pairs = _tag_pairs(log.get("fields"), at, builder, field="logs.fields", is_hex=is_elastic)
        fields = dict(pairs)
        name = fields.get("event", fields.get("message", ""))
        codes = [builder.kv(key, value, Origin.TAG) for key, value in pairs if key != "event"]
        events.append(Event(time_ns, str(name), codes))
    return events


def _flags(flags: Any, at: Position, builder: Builder) -> int:
    """Return the flags of a span."""
    if flags is None or (isinstance(flags, int) and 0 <= flags < _U32):
        return int(flags or 0)
    message = f"expected flags as an unsigned 32-bit number, found {flags!r:.80}; read as 0"
    builder.ledger.issue("ENUM_BAD", message, at=at, field="flags")
    return 0


def _warnings(warnings: Any, at: Position, builder: Builder, trace_id: str, span_id: str) -> None:
    """Write down the warnings that Jaeger gave a trace or span."""
    for warning in warnings if isinstance(warnings, list) else [warnings] if warnings else []:
        text = str(warning)
        altered = "; the server changed the times" if "skew" in text.lower() else ""
        message = f"Jaeger warns: {text[:200]}{altered}"
        builder.ledger.issue("SOURCE_WARNING", message, at=at, trace_id=trace_id, span_id=span_id, field="warnings")


def _tag_pairs(tags: Any, at: Position, builder: Builder, *, field: str, is_hex: bool = False) -> list[tuple[str, Any]]:
    """Return (key, value) of a list of tags, or of a flat map as in Elasticsearch."""
    if isinstance(tags, dict):
        return [(str(key).replace("@", "."), value) for key, value in tags.items()]
    pairs: list[tuple[str, Any]] = []
    for tag in tags if isinstance(tags, list) else [] if tags is None else [tags]:
        if not isinstance(tag, dict) or not isinstance(tag.get("key"), str):
            _bad(builder, at, field, f"expected a tag with key, type and value, found {tag!r:.80}; skipped")
            continue
        value, kind = tag.get("value"), str(tag.get("type") or "").lower()
        try:
            pairs.append((tag["key"], _typed(value, kind, is_hex=is_hex)))
        except (ValueError, KeyError, binascii.Error):
            _bad(builder, at, field, f"tag {tag['key']!r:.60}: expected a {kind}, found {value!r:.60}; kept unchanged")
            pairs.append((tag["key"], value))
    return pairs


def _typed(value: Any, kind: str, *, is_hex: bool) -> Any:
    """Return a value converted to its declared type."""
    if kind == "bool" and not isinstance(value, bool):
        return _TRUTHS[str(value).lower()]
    if kind in {"int64", "int"} and (isinstance(value, bool) or not isinstance(value, int)):
        return _integer(value)
    if kind in {"float64", "double", "float"} and not isinstance(value, float):
        return real(value)
    if kind == "binary" and isinstance(value, str):
        return bytes.fromhex(value) if is_hex else base64.b64decode(value, validate=True)
    if kind == "string" and value is not None and not isinstance(value, str):
        return str(value) if not isinstance(value, bool) else str(value).lower()
    return value


def _integer(value: Any) -> int:
    """Return an integer given as digits or as a number without fraction."""
    number = whole(value)
    if number is None:
        raise ValueError
    return number


def _bad(builder: Builder, at: Position, field: str, message: str) -> None:
    """Add an issue about a tag."""
    builder.ledger.issue("ATTR_BAD", message, at=at, field=field)


def _attributes(tags: list[Any] | dict[str, Any], at: Position, builder: Builder) -> list[int]:
    """Return the attributes of tags in an answer, or of a map of them."""
    return [builder.kv(key, value, Origin.TAG) for key, value in _tag_pairs(tags, at, builder, field="tags")]


def scanner(builder: Builder) -> Scanner | None:
    """Return the scanner of lines where the compiled lane is to be used."""
    extension = native.compiled()
    return None if extension is None else compiled.Scanner(builder, compiled.Decode(_attributes, _described), extension)


LOADER = Loader("jaeger", recognises, load, streams=("data",), walk=walk, scanned=("data",), scanner=scanner)
