"""OTLP JSON in every dialect, one parsed record at a time.

The dialects of ``spec/formats.md`` section 5.3: the specification's own, protobuf JSON (base64 ids, enum names),
snake_case, Go structs, numbers for times, the legacy ``instrumentationLibrarySpans``, Tempo's ``batches`` and
``trace``, Jaeger's ``result``.  Each spelling is counted in ``traces.sources``; ``aws/spans`` records are in
``flat``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from tracekit.loading.building.builder import Event, Link
from tracekit.loading.ids import Id, parse_span_id, parse_trace_id
from tracekit.loading.numbers import whole
from tracekit.loading.otlp.times import is_naive, moment
from tracekit.loading.otlp.values import attribute_list
from tracekit.schema import KINDS, STATUS_CODES, Quality

if TYPE_CHECKING:
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

GROUPS = ("resourceSpans", "resource_spans", "batches", "ResourceSpans")
SCOPES = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
    "ilSpans",
    "deprecatedScopeSpans",
    "ScopeSpans",
)
WRAPPERS = ("trace", "result")
_SCHEMA_URL = ("schemaUrl", "schema_url", "SchemaUrl")
OF_GROUP = frozenset({"resource", "Resource", *_SCHEMA_URL})
_LEGACY = frozenset(SCOPES[2:6])
_SCOPE = ("scope", "instrumentationLibrary", "instrumentation_library", "Scope")
_REMOTE_KNOWN, _REMOTE = 1 << 8, 1 << 9
_U32 = 2**32


def recognises(record: Any) -> bool:
    """Return whether a parsed record is OTLP."""
    if not isinstance(record, dict):
        return False
    if any(isinstance(record.get(group), (list, dict)) for group in GROUPS):
        return True
    if any(group in record and record[group] is None for group in GROUPS[:2]):  # null: an empty request
        return True
    if _is_group(record):
        return True
    return any(isinstance(record.get(w), dict) and recognises(record[w]) for w in WRAPPERS)


def load(record: dict[str, Any], at: Position, builder: Builder) -> None:
    """Load the spans of a request, of a response that wraps one, or of a single ResourceSpans."""
    note_wrapper(record, builder)
    if _is_group(record):
        builder.ledger.dialect("bare_resource_spans")
        _group(record, at, builder)
    for wrapper in WRAPPERS:
        if isinstance(record.get(wrapper), dict):
            builder.ledger.dialect(f"wrapped_in_{wrapper}")
            load(record[wrapper], at, builder)
    for key in GROUPS:
        groups = record.get(key)
        if groups is None:
            continue
        if key != GROUPS[0]:
            builder.ledger.dialect(key)
        for group in groups if isinstance(groups, list) else [groups]:
            _group(group, at, builder)


def _is_group(record: dict[str, Any]) -> bool:
    """Return whether an object is a ResourceSpans on its own, as the logging exporter for Java writes it."""
    return any(isinstance(record.get(key), (list, dict)) for key in SCOPES)


def note_wrapper(record: dict[str, Any], builder: Builder) -> None:
    """Mark the source incomplete if a response is partial (Tempo)."""
    status = record.get("status")
    if status == 1 or (isinstance(status, str) and "PARTIAL" in status.upper()):
        builder.ledger.incomplete(f"the server returned a PARTIAL response: {record.get('message') or ''}".strip(": "))


def _group(group: Any, at: Position, builder: Builder) -> None:
    """Load the spans of one ResourceSpans."""
    if not isinstance(group, dict):
        builder.ledger.quarantine(
            "FORMAT_UNKNOWN", f"expected an object in resourceSpans, found {group!r:.80}", at=at, raw=repr(group)
        )
        return
    resource = resource_of_group(group, at, builder)
    for key in SCOPES:
        load_scopes(key, group.get(key), resource, at, builder)


def load_scopes(key: str, parts: Any, resource: int, at: Position, builder: Builder) -> None:
    """Load the spans of the ScopeSpans of one resource."""
    if parts is None:
        return
    note_scopes(key, builder)
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, dict):
            scope = scope_of(part, at, builder)
            load_spans(part.get("spans", part.get("Spans")), resource, scope, at, builder)
        else:
            message = f"expected an object in {key}, found {part!r:.80}"
            builder.ledger.quarantine("FORMAT_UNKNOWN", message, at=at, raw=repr(part))


def resource_of_group(group: dict[str, Any], at: Position, builder: Builder) -> int:
    """Return the number of the resource of a ResourceSpans in JSON."""
    found = group.get("resource", group.get("Resource"))
    return resource_of(found, schema_url(group, at, builder), at, builder)


def schema_url(holder: dict[str, Any], at: Position, builder: Builder) -> str:
    """Return the schema URL of a ResourceSpans or ScopeSpans in any spelling."""
    key = next((key for key in _SCHEMA_URL if key in holder), _SCHEMA_URL[0])
    return _text(holder, key, at, builder)


def note_scopes(key: str, builder: Builder) -> None:
    """Count a legacy spelling of scopeSpans."""
    if key in _LEGACY:
        builder.ledger.dialect("instrumentationLibrarySpans")


def resource_of(resource: Any, schema: str, at: Position, builder: Builder) -> int:
    """Return the number of a resource in JSON."""
    resource = _object(resource, "resource", at, builder)
    pairs = attribute_list(resource.get("attributes"), builder.ledger, at)
    dropped = _number(resource.get("droppedAttributesCount"), "droppedAttributesCount", at, builder)
    return builder.resource([builder.kv(key, value) for key, value in pairs], schema, dropped)


def scope_of(part: dict[str, Any], at: Position, builder: Builder) -> int:
    """Return the number of the scope of a ScopeSpans in JSON."""
    scope = _object(next((part[key] for key in _SCOPE if part.get(key) is not None), None), "scope", at, builder)
    return builder.scope(
        _text(scope, "name", at, builder),
        _text(scope, "version", at, builder),
        [builder.kv(key, value) for key, value in attribute_list(scope.get("attributes"), builder.ledger, at)],
        schema_url(part, at, builder),
        _number(scope.get("droppedAttributesCount"), "droppedAttributesCount", at, builder),
    )


def load_spans(spans: Any, resource: int, scope: int, at: Position, builder: Builder) -> None:
    """Load a list of spans of one resource and scope."""
    for span in spans if isinstance(spans, list) else [spans] if spans is not None else []:
        load_span(span, resource, scope, at, builder)


def load_span(span: Any, resource: int, scope: int, at: Position, builder: Builder) -> None:
    """Load one span, or quarantine it."""
    ledger = builder.ledger
    if not isinstance(span, dict):
        ledger.quarantine("FORMAT_UNKNOWN", f"expected a span, found {span!r:.80}", at=at, raw=repr(span))
        return
    span = camel(span, builder)
    ids = span_ids(span, at, builder)
    if ids is None:
        return
    trace_id, span_id, parent_id, quality = ids
    start, start_grain = moment(span.get("startTimeUnixNano"), "startTimeUnixNano", at, builder)
    end, end_grain = moment(span.get("endTimeUnixNano"), "endTimeUnixNano", at, builder)
    if is_naive(span.get("startTimeUnixNano")) or is_naive(span.get("endTimeUnixNano")):
        quality |= Quality.TIME_ZONE_ASSUMED
    attributes = [builder.kv(key, value) for key, value in attribute_list(span.get("attributes"), ledger, at)]
    kind = _enum(span.get("kind"), KINDS, "SPAN_KIND_", "kind", attributes, at, builder)
    status = span.get("status")
    status = camel(status, builder) if isinstance(status, dict) else {"code": status}
    flags = _number(span.get("flags"), "flags", at, builder)
    if flags & _REMOTE_KNOWN:
        quality |= Quality.PARENT_REMOTE_KNOWN | (Quality.PARENT_REMOTE if flags & _REMOTE else 0)
    builder.span(
        at=at,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=_text(span, "name", at, builder),
        kind=kind,
        start_ns=start,
        end_ns=end,
        status_code=_enum(status.get("code"), STATUS_CODES, "STATUS_CODE_", "status.code", attributes, at, builder),
        status_message=_text(status, "message", at, builder),
        trace_state=_text(span, "traceState", at, builder),
        flags=flags,
        resolution_ns=max(start_grain, end_grain),
        resource=resource,
        scope=scope,
        attributes=attributes,
        events=[_event(event, at, builder) for event in _objects(span, "events", at, builder)],
        links=[_link(link, at, builder) for link in _objects(span, "links", at, builder)],
        dropped_attributes=_number(span.get("droppedAttributesCount"), "droppedAttributesCount", at, builder),
        dropped_events=_number(span.get("droppedEventsCount"), "droppedEventsCount", at, builder),
        dropped_links=_number(span.get("droppedLinksCount"), "droppedLinksCount", at, builder),
        quality=quality,
    )


def span_ids(span: dict[str, Any], at: Position, builder: Builder) -> tuple[int, int, int, int] | None:
    """Return (trace id, span id, parent id, quality), or quarantine the span."""
    ledger = builder.ledger
    found: list[Id] = []
    for field, parse in (("traceId", parse_trace_id), ("spanId", parse_span_id)):
        text = span.get(field, "")
        one = parse(text)
        if not one.value:
            digits = 32 if field == "traceId" else 16
            message = f"expected {digits} hex digits in {field}, found {text!r:.80}; span skipped"
            trace = f"{found[0].value:032x}" if found else ""
            ledger.quarantine(one.problem, message, at=at, trace_id=trace, field=field, raw=repr(span))
            return None
        _tally(one, field, at, builder)
        found.append(one)
    text = span.get("parentSpanId") or ""
    parent = parse_span_id(text) if text else Id(0)
    quality = found[0].bits
    if parent.problem and not parent.value and parent.problem != "ID_ZERO":  # zeros mean no parent
        quality |= Quality.PARENT_ID_BAD
        message = f"expected 16 hex digits in parentSpanId, found {text!r:.80}; parent unknown"
        trace, own = f"{found[0].value:032x}", f"{found[1].value:016x}"
        ledger.issue(parent.problem, message, at=at, field="parentSpanId", severity="warn", trace_id=trace, span_id=own)
    return found[0].value, found[1].value, parent.value, quality


def _tally(one: Id, field: str, at: Position, builder: Builder) -> None:
    """Count the spelling of an id."""
    if one.dialect:
        builder.ledger.dialect(one.dialect)
    if one.problem:
        done = "padded with zeros" if one.problem == "ID_64BIT" else "converted back to hex"
        builder.ledger.tally(one.problem, f"{field} {done}", at, action="repaired")


def _event(event: dict[str, Any], at: Position, builder: Builder) -> Event:
    """Return an event for the builder."""
    event = camel(event, builder)
    time_ns, _ = moment(event.get("timeUnixNano"), "timeUnixNano", at, builder)
    pairs = attribute_list(event.get("attributes"), builder.ledger, at)
    codes = [builder.kv(key, value) for key, value in pairs]
    dropped = _number(event.get("droppedAttributesCount"), "droppedAttributesCount", at, builder)
    return Event(time_ns, _text(event, "name", at, builder), codes, dropped)


def _link(link: dict[str, Any], at: Position, builder: Builder) -> Link:
    """Return a link for the builder; an invalid id becomes 0 and is kept as an attribute."""
    link = camel(link, builder)
    codes = [builder.kv(key, value) for key, value in attribute_list(link.get("attributes"), builder.ledger, at)]
    ids = []
    for field, parse in (("traceId", parse_trace_id), ("spanId", parse_span_id)):
        found = link.get(field, "")
        one = parse(found)
        ids.append(one.value)
        if not one.value:
            message = f"expected an id in {field} of a link, found {found!r:.80}; kept as otlp.link.{field}"
            builder.ledger.issue(one.problem, message, at=at, field=f"links.{field}", severity="warn")
            codes.append(builder.kv(f"otlp.link.{field}", found))
    flags = _number(link.get("flags"), "links.flags", at, builder)
    dropped = _number(link.get("droppedAttributesCount"), "droppedAttributesCount", at, builder)
    return Link(ids[0], ids[1], 0, codes, _text(link, "traceState", at, builder), flags, dropped)


def _object(value: Any, field: str, at: Position, builder: Builder) -> dict[str, Any]:
    """Return an object field with keys in lowerCamelCase; any other value becomes {}, with an issue."""
    if isinstance(value, dict):
        return camel(value, builder)
    if value is not None:
        message = f"expected an object in {field}, found {value!r:.80}; skipped"
        builder.ledger.issue("ATTR_BAD", message, at=at, field=field)
    return {}


def _objects(span: dict[str, Any], field: str, at: Position, builder: Builder) -> list[dict[str, Any]]:
    """Return a field that is a list of objects; other items are skipped, with an issue."""
    value = span.get(field)
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, dict):
            message = f"expected a list of objects in {field}, found {item!r:.80}; skipped"
            builder.ledger.issue("ATTR_BAD", message, at=at, field=field)
    return [item for item in items if isinstance(item, dict)]


def _enum(
    value: Any, words: tuple[str, ...], prefix: str, field: str, attributes: list[int], at: Position, builder: Builder
) -> int:
    """Return an enumeration value from a number, digits or name; others become 0 and are kept as an attribute."""
    if value is None:
        return 0
    if isinstance(value, str):
        name = value.upper().removeprefix(prefix)
        if name in words:
            builder.ledger.dialect("enum_names")
            return words.index(name)
    number = whole(value)
    if number is not None and 0 <= number < len(words):
        return number
    message = f"expected {field} 0 to {len(words) - 1} or a name, found {value!r:.80}; read as 0, kept as otlp.{field}"
    builder.ledger.issue("ENUM_BAD", message, at=at, field=field)
    attributes.append(builder.kv(f"otlp.{field}", value))
    return 0


def _number(value: Any, field: str, at: Position, builder: Builder) -> int:
    """Return an unsigned 32-bit number; other values become 0, with an issue."""
    if value is None:
        return 0
    number = whole(value)
    if number is not None and 0 <= number < _U32:
        return number
    message = f"expected an unsigned 32-bit number in {field}, found {value!r:.80}; read as 0"
    builder.ledger.issue("ENUM_BAD", message, at=at, field=field)
    return 0


def _text(holder: dict[str, Any], field: str, at: Position, builder: Builder) -> str:
    """Return a text field, empty if it is missing; other values become text, with an issue."""
    value = holder.get(field)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    builder.ledger.issue(
        "ATTR_BAD", f"expected text in {field}, found {value!r:.80}; converted to text", at=at, field=field
    )
    return str(value)


def camel(holder: dict[str, Any], builder: Builder) -> dict[str, Any]:
    """Return the object with keys in lowerCamelCase; other spellings are counted as dialects."""
    spelled = {key: _camel(key) for key in holder}
    if all(key == name for key, name in spelled.items()):
        return holder
    builder.ledger.dialect("snake_case" if any("_" in key for key in holder) else "go_struct_names")
    return {spelled[key]: value for key, value in holder.items()}


@lru_cache(maxsize=4096)
def _camel(key: str) -> str:
    """Return trace_id as traceId, TraceId as traceId."""
    first, *rest = key.split("_")
    first = first[:1].lower() + first[1:]
    return first + "".join(part[:1].upper() + part[1:] for part in rest) if first or not rest else key
