"""OTLP records for tests: plain dicts, one oddity at a time."""

import json

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
START = 1_750_000_000_000_000_000


def span(**members):
    """A span as the specification has it; members given as None are left out."""
    whole = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "GET /cart",
        "kind": 2,
        "startTimeUnixNano": str(START),
        "endTimeUnixNano": str(START + 1_000_000),
    }
    return {key: value for key, value in (whole | members).items() if value is not None}


def ids(number):
    """Members of the number-th of many spans."""
    return {"traceId": f"{number + 1:032x}", "spanId": f"{0xABC0 + number:016x}"}


def attribute(key, value):
    return {"key": key, "value": value}


def text(key, value):
    return attribute(key, {"stringValue": value})


def resource(name="shop", **members):
    return {"attributes": [text("service.name", name)]} | members


def request(*spans, resource=resource(), scope=None, **members):  # noqa: B008 - never changed
    """A request of one resource and scope."""
    part = {"spans": list(spans)} | ({"scope": scope} if scope is not None else {})
    group = {"scopeSpans": [part]} | ({"resource": resource} if resource is not None else {})
    return {"resourceSpans": [group | members]}


def lines(*records):
    """Records as JSON Lines; bytes and texts as they are."""
    return b"\n".join(line(record) for record in records) + b"\n"


def line(record):
    if isinstance(record, bytes):
        return record
    return (record if isinstance(record, str) else json.dumps(record)).encode()


def pretty(record):
    """A record over many lines: read as a document, never by the fast path."""
    return json.dumps(record, indent=1).encode()


def told(traces, code):
    """The rows of issues with this code."""
    return traces.issues[traces.issues["code"] == code]


def counts(traces):
    """(seen, accepted, merged, quarantined) over all sources, the law checked source by source."""
    sources = traces.sources
    law = sources["accepted_count"] + sources["merged_count"] + sources["quarantined_count"]
    assert (sources["span_count"] == law).all()
    assert sources["accepted_count"].sum() == len(traces.columns.spans)
    columns = ("span_count", "accepted_count", "merged_count", "quarantined_count")
    return tuple(int(sources[column].sum()) for column in columns)
