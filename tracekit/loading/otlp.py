"""OTLP JSON in every dialect, one parsed record at a time.

The dialects of ``spec/formats.md`` section 5.3: the specification's own, protobuf JSON (base64 ids, enum names),
snake_case, Go structs, numbers for times, the legacy ``instrumentationLibrarySpans``, Tempo's ``batches`` and
``trace``, Jaeger's ``result``.  Each spelling is counted in ``traces.sources``; ``aws/spans`` records are in
``otlp_flat``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from tracekit.loading.builder import Event, Link
from tracekit.loading.ids import Id, parse_span_id, parse_trace_id
from tracekit.loading.loader import Loader
from tracekit.loading.otlp_values import attribute_list
from tracekit.schema import KINDS, STATUS_CODES, Quality

if TYPE_CHECKING:
    from tracekit.loading.builder import Builder
    from tracekit.loading.ledger import Position

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
_LEGACY = frozenset(SCOPES[2:6])
_SCOPE = ("scope", "instrumentationLibrary", "instrumentation_library", "Scope")
_EXACT = 2**53
_REMOTE_KNOWN, _REMOTE = 1 << 8, 1 << 9
_U32 = 2**32


def recognises(record: Any) -> bool:
    """Return whether a parsed record is OTLP."""
    return isinstance(record, dict) and (
        any(isinstance(record.get(group), list) for group in GROUPS)
        or any(isinstance(record.get(w), dict) and recognises(record[w]) for w in WRAPPERS)
    )


def load(record: dict[str, Any], at: Position, builder: Builder) -> None:
    """Give the spans of one request, or of one answer that wraps it, to the builder."""
    note_wrapper(record, builder)
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


def note_wrapper(record: dict[str, Any], builder: Builder) -> None:
    """Note what an answer says about itself: Tempo's PARTIAL."""
    status = record.get("status")
    if isinstance(status, str) and "PARTIAL" in status.upper():
        builder.ledger.incomplete(f"the server answered {status}: {record.get('message', '')}".strip(": "))


def _group(group: Any, at: Position, builder: Builder) -> None:
    """Give the spans of one ResourceSpans to the builder."""
    if not isinstance(group, dict):
        builder.ledger.quarantine(
            "FORMAT_UNKNOWN", f"expected an object in resourceSpans, found {group!r:.80}", at=at, raw=repr(group)
        )
        return
    resource = resource_of(group.get("resource", group.get("Resource")), _text(group, "schemaUrl"), at, builder)
    for key in SCOPES:
        parts = group.get(key)
        if parts is None:
            continue
        note_scopes(key, builder)
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, dict):
                scope = scope_of(part, at, builder)
                load_spans(part.get("spans", part.get("Spans")), resource, scope, at, builder)
            else:
                builder.ledger.quarantine(
                    "FORMAT_UNKNOWN", f"expected an object in {key}, found {part!r:.80}", at=at, raw=repr(part)
                )


def note_scopes(key: str, builder: Builder) -> None:
    """Count a spelling of scopeSpans that is not today's."""
    if key in _LEGACY:
        builder.ledger.dialect("instrumentationLibrarySpans")


def resource_of(resource: Any, schema_url: str, at: Position, builder: Builder) -> int:
    """Return the number of a resource given as JSON."""
    resource = camel(resource, builder) if isinstance(resource, dict) else {}
    pairs = attribute_list(resource.get("attributes"), builder.ledger, at)
    return builder.resource(
        [builder.kv(key, value) for key, value in pairs], schema_url, _count(resource, "droppedAttributesCount")
    )


def scope_of(part: dict[str, Any], at: Position, builder: Builder) -> int:
    """Return the number of the scope of a ScopeSpans given as JSON."""
    found: dict[str, Any] = next((part[key] for key in _SCOPE if isinstance(part.get(key), dict)), {})
    scope = camel(found, builder)
    return builder.scope(
        _text(scope, "name"),
        _text(scope, "version"),
        [builder.kv(key, value) for key, value in attribute_list(scope.get("attributes"), builder.ledger, at)],
        _text(part, "schemaUrl"),
        _count(scope, "droppedAttributesCount"),
    )


def load_spans(spans: Any, resource: int, scope: int, at: Position, builder: Builder) -> None:
    """Give a list of spans of one resource and scope to the builder."""
    for span in spans if isinstance(spans, list) else [spans] if spans is not None else []:
        load_span(span, resource, scope, at, builder)


def load_span(span: Any, resource: int, scope: int, at: Position, builder: Builder) -> None:
    """Give one span to the builder, or quarantine it."""
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
    attributes = [builder.kv(key, value) for key, value in attribute_list(span.get("attributes"), ledger, at)]
    kind = _enum(span.get("kind"), KINDS, "SPAN_KIND_", "kind", attributes, at, builder)
    status = span.get("status") if isinstance(span.get("status"), dict) else {}
    flags = _number(span.get("flags"), "flags", at, builder)
    if flags & _REMOTE_KNOWN:
        quality |= Quality.PARENT_REMOTE_KNOWN | (Quality.PARENT_REMOTE if flags & _REMOTE else 0)
    builder.span(
        at=at,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=parent_id,
        name=_text(span, "name"),
        kind=kind,
        start_ns=start,
        end_ns=end,
        status_code=_enum(status.get("code"), STATUS_CODES, "STATUS_CODE_", "status.code", attributes, at, builder),
        status_message=_text(status, "message"),
        trace_state=_text(span, "traceState"),
        flags=flags,
        resolution_ns=max(start_grain, end_grain),
        resource=resource,
        scope=scope,
        attributes=attributes,
        events=[_event(e, at, builder) for e in span.get("events") or () if isinstance(e, dict)],
        links=[link for k in span.get("links") or () if (link := _link(k, at, builder)) is not None],
        dropped_attributes=_count(span, "droppedAttributesCount"),
        dropped_events=_count(span, "droppedEventsCount"),
        dropped_links=_count(span, "droppedLinksCount"),
        quality=quality,
    )


def span_ids(span: dict[str, Any], at: Position, builder: Builder) -> tuple[int, int, int, int] | None:
    """Return (trace id, span id, parent id, quality), or quarantine the span."""
    ledger = builder.ledger
    found = []
    for field, parse in (("traceId", parse_trace_id), ("spanId", parse_span_id)):
        text = span.get(field, "")
        one = parse(text)
        if not one.value:
            digits = 32 if field == "traceId" else 16
            message = f"expected {digits} hex digits in {field}, found {text!r:.80}; the span is left out"
            ledger.quarantine(one.problem, message, at=at, field=field, raw=repr(span))
            return None
        _tally(one, field, at, builder)
        found.append(one)
    text = span.get("parentSpanId") or ""
    parent = parse_span_id(text) if text and text != "0" * 16 else Id(0)
    quality = found[0].bits
    if parent.problem and not parent.value:
        quality |= Quality.PARENT_ID_BAD
        message = f"expected 16 hex digits in parentSpanId, found {text!r:.80}; the parent is unknown"
        ledger.issue(parent.problem, message, at=at, field="parentSpanId", severity="warn")
    return found[0].value, found[1].value, parent.value, quality


def _tally(one: Id, field: str, at: Position, builder: Builder) -> None:
    """Count the spelling of an id."""
    if one.dialect:
        builder.ledger.dialect(one.dialect)
    if one.problem:
        done = "padded on the left" if one.problem == "ID_64BIT" else "turned back into hex"
        builder.ledger.tally(one.problem, f"{field} {done}", at)


def moment(value: Any, field: str, at: Position, builder: Builder) -> tuple[int | None, int]:
    """Return (nanoseconds or None, grain in ns) of a time given as digits, number or ISO text."""
    ledger = builder.ledger
    if value is None or value in (0, "", "0"):
        return None, 1
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 4300:  # noqa: PLR2004 - what int() takes
            return int(value), 1
        return _from_text(value, field, at, builder), 1
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN
        ledger.issue(
            "TIME_STRING", f"expected nanoseconds in {field}, found {value!r:.80}; taken as missing", at=at, field=field
        )
        return None, 1
    if abs(value) > _EXACT:
        ledger.tally("TIME_PRECISION_LOST", f"expected text in {field}, found a JSON number beyond 2^53", at)
        return int(value), 256
    return int(value), 1


def _from_text(value: str, field: str, at: Position, builder: Builder) -> int | None:
    """Return nanoseconds of an ISO time; a naive one is UTC, with a warning."""
    try:
        instant = pd.Timestamp(value)
        zone = "UTC assumed" if instant.tzinfo is None else "converted"
        nanoseconds = int((instant.tz_localize("UTC") if instant.tzinfo is None else instant).as_unit("ns").value)
    except (ValueError, TypeError, OverflowError):
        message = f"expected nanoseconds in {field}, found {value!r:.80}; taken as missing"
        builder.ledger.issue("TIME_STRING", message, at=at, field=field)
        return None
    builder.ledger.tally("TIME_STRING", f"expected nanoseconds in {field}, found a date as text; {zone}", at)
    return nanoseconds


def _event(event: dict[str, Any], at: Position, builder: Builder) -> Event:
    """Return an event of the builder."""
    event = camel(event, builder)
    time_ns, _ = moment(event.get("timeUnixNano"), "timeUnixNano", at, builder)
    pairs = attribute_list(event.get("attributes"), builder.ledger, at)
    codes = [builder.kv(key, value) for key, value in pairs]
    return Event(time_ns, _text(event, "name"), codes, _count(event, "droppedAttributesCount"))


def _link(link: Any, at: Position, builder: Builder) -> Link | None:
    """Return a link of the builder; None, and an issue, where its ids are no ids."""
    link = camel(link, builder) if isinstance(link, dict) else {}
    trace, span = parse_trace_id(link.get("traceId", "")), parse_span_id(link.get("spanId", ""))
    if not (trace.value and span.value):
        message = f"expected a link with traceId and spanId, found {link!r:.80}; the link is left out"
        builder.ledger.issue(
            trace.problem or span.problem, message, at=at, field="links", severity="warn", raw=repr(link)
        )
        return None
    codes = [builder.kv(key, value) for key, value in attribute_list(link.get("attributes"), builder.ledger, at)]
    flags = _number(link.get("flags"), "links.flags", at, builder)
    state, dropped = _text(link, "traceState"), _count(link, "droppedAttributesCount")
    return Link(trace.value, span.value, 0, codes, state, flags, dropped)


def _enum(
    value: Any, words: tuple[str, ...], prefix: str, field: str, attributes: list[int], at: Position, builder: Builder
) -> int:
    """Return the number of an enumeration given as number, digits or name; others are 0 and kept as an attribute."""
    if value is None:
        return 0
    if isinstance(value, str):
        name = value.upper().removeprefix(prefix)
        if name in words:
            builder.ledger.dialect("enum_names")
            return words.index(name)
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 3 else value  # noqa: PLR2004
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value in range(len(words)):
        return int(value)
    message = f"expected {field} 0 to {len(words) - 1} or a name, found {value!r:.80}; taken as 0, kept as otlp.{field}"
    builder.ledger.issue("ENUM_BAD", message, at=at, field=field)
    attributes.append(builder.kv(f"otlp.{field}", value))
    return 0


def _number(value: Any, field: str, at: Position, builder: Builder) -> int:
    """Return an unsigned 32-bit number; others are 0, with an issue."""
    if value is None:
        return 0
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11  # noqa: PLR2004
    number = int(value) if digits or (isinstance(value, int) and not isinstance(value, bool)) else -1
    if 0 <= number < _U32:
        return number
    message = f"expected an unsigned 32-bit number in {field}, found {value!r:.80}; taken as 0"
    builder.ledger.issue("ENUM_BAD", message, at=at, field=field)
    return 0


def _count(holder: dict[str, Any], field: str) -> int:
    """Return a dropped count; what is none is 0."""
    value = holder.get(field, 0)
    value = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11 else value  # noqa: PLR2004
    return value if isinstance(value, int) and 0 <= value < _U32 else 0


def _text(holder: dict[str, Any], field: str) -> str:
    """Return a text member; empty where it is absent or no text."""
    value = holder.get(field, "")
    return value if isinstance(value, str) else "" if value is None else str(value)


def camel(holder: dict[str, Any], builder: Builder) -> dict[str, Any]:
    """Return the object with members in lowerCamelCase; other spellings are counted."""
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


LOADER = Loader("otlp", recognises, load)
