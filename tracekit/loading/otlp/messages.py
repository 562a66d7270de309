"""OTLP messages exactly as in the specification, for a typed decoder: an unknown field is an error.

Attributes stay raw bytes: equal ones are decoded once (``loading/otlp/fast.py``).
"""

# ruff: noqa: N815 - field names of OTLP

from __future__ import annotations

from msgspec import Raw, Struct


class Event(Struct, gc=False, forbid_unknown_fields=True):
    """A span event."""

    timeUnixNano: str = "0"
    name: str = ""
    attributes: list[Raw] = []
    droppedAttributesCount: int = 0


class Link(Struct, gc=False, forbid_unknown_fields=True):
    """A span link."""

    traceId: str
    spanId: str
    traceState: str = ""
    attributes: list[Raw] = []
    droppedAttributesCount: int = 0
    flags: int = 0


class Status(Struct, gc=False, forbid_unknown_fields=True):
    """A span's status."""

    code: int = 0
    message: str = ""


class Span(Struct, gc=False, forbid_unknown_fields=True):
    """A span."""

    traceId: str
    spanId: str
    startTimeUnixNano: str  # the tolerant reader reports the lost digits of a JSON number
    endTimeUnixNano: str
    parentSpanId: str = ""
    name: str = ""
    kind: int = 0
    attributes: list[Raw] = []
    events: list[Event] = []
    links: list[Link] = []
    status: Status | None = None
    flags: int = 0
    traceState: str = ""
    droppedAttributesCount: int = 0
    droppedEventsCount: int = 0
    droppedLinksCount: int = 0


class ScopeSpans(Struct, gc=False, forbid_unknown_fields=True):
    """The spans of one scope; ``scope`` is decoded once for each spelling."""

    spans: list[Span] = []
    scope: Raw = Raw(b"{}")
    schemaUrl: str = ""


class ResourceSpans(Struct, gc=False, forbid_unknown_fields=True):
    """The spans of one resource; ``resource`` is decoded once for each spelling."""

    scopeSpans: list[ScopeSpans]
    resource: Raw = Raw(b"{}")
    schemaUrl: str = ""


class Request(Struct, gc=False, forbid_unknown_fields=True):
    """One line: an ExportTraceServiceRequest."""

    resourceSpans: list[ResourceSpans]


class Resource(Struct, gc=False, forbid_unknown_fields=True):
    """What made the spans."""

    attributes: list[Raw] = []
    droppedAttributesCount: int = 0
    entityRefs: Raw = Raw(b"")


class Scope(Struct, gc=False, forbid_unknown_fields=True):
    """The instrumentation that made the spans."""

    name: str = ""
    version: str = ""
    attributes: list[Raw] = []
    droppedAttributesCount: int = 0


class Value(Struct, gc=False, forbid_unknown_fields=True):
    """An AnyValue with at most one field."""

    stringValue: str | None = None
    intValue: int | None = None
    boolValue: Raw = Raw(b"")  # "true" in quotes is not the specification's
    doubleValue: float | None = None
    arrayValue: Raw = Raw(b"")
    kvlistValue: Raw = Raw(b"")
    bytesValue: Raw = Raw(b"")


class Attribute(Struct, gc=False, forbid_unknown_fields=True):
    """A key and its value."""

    key: str
    value: Value
