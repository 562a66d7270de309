"""Hand-drawn traces: one line a span."""

from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import KINDS, Quality, Relation, Status

KEYS = {
    "peer": ("peer.service",),
    "db": ("db.system.name",),
    "topic": ("messaging.destination.name", "messaging.system"),
    "code": ("http.response.status_code",),
    "http": ("http.request.method",),
    "tenant": ("app.tenant",),
}


def _number(text):
    return None if text == "-" else int(text)


def _event(builder, text, end):
    kind, _, message = text.partition(":")
    codes = [builder.kv("exception.type", kind), builder.kv("exception.message", message.replace("_", " "))]
    return Event(end, "exception", codes)


def _line(builder, number, line):
    trace, span, parent, service, kind, start, end, *extras = line.split()
    words = dict(extra.split("=", 1) if "=" in extra else (extra, "") for extra in extras)
    attributes = [
        builder.kv(key, int(words[word]) if word == "code" else words[word])
        for word, keys in KEYS.items()
        if word in words
        for key in keys
    ]
    links = [tuple(int(part, 16) for part in link.split("/")) for link in words.get("link", "").split(",") if link]
    builder.span(
        at=Position(number, 0),
        trace_id=int(trace, 16),
        span_id=int(span, 16),
        parent_id=0 if parent == "-" else int(parent, 16),
        name=words.get("name", "work"),
        kind=KINDS.index(kind),
        start_ns=_number(start),
        end_ns=_number(end),
        status_code=Status.ERROR if "error" in words else Status.UNSET,
        resource=builder.resource([builder.kv("service.name", service)]),
        attributes=attributes,
        events=[_event(builder, words["exception"], _number(end))] if "exception" in words else [],
        links=[Link(*link, Relation.XRAY_LINK if "xray" in words else Relation.LINK) for link in links],
        quality=Quality.INFERRED if "inferred" in words else 0,
    )


def draw(text):
    """Return traces drawn as ``trace span parent service KIND start end extras``, one line a span."""
    builder = Builder()
    builder.open_source("drawn")
    for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
        _line(builder, number, line)
    return to_trace_set(builder)
