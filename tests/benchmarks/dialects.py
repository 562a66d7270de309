"""OTLP lines in every dialect that the project reads: functions that turn the lines of a file into another file's.

The last two dialects of the list in the specification of formats are printed for people to read; ``read`` refuses them.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Lines = Iterable[bytes]

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS = ("UNSET", "OK", "ERROR")
IDS = ("traceId", "spanId", "parentSpanId")


def changed(value: Any, change: Callable[[str, Any], Any], rename: Callable[[str], str] = str, name: str = "") -> Any:
    """Return a JSON value with scalars and objects changed and members renamed."""
    if isinstance(value, list):
        return [changed(one, change, rename, name) for one in value]
    if isinstance(value, dict):
        return change(name, {rename(key): changed(one, change, rename, key) for key, one in value.items()})
    return change(name, value)


def same(_: str, value: Any) -> Any:
    """Return the value."""
    return value


def base64_ids(name: str, value: Any) -> Any:
    """Ids as protobuf's JSON has them."""
    return b64encode(bytes.fromhex(value)).decode() if name in IDS and value else value


def base64_of_hex(name: str, value: Any) -> Any:
    """Ids as base64 of their hexadecimal digits."""
    return b64encode(value.encode()).decode() if name in IDS and value else value


def enum_names(name: str, value: Any) -> Any:
    """Enumerations as protobuf's JSON has them."""
    if name == "kind":
        return f"SPAN_KIND_{KINDS[value]}"
    return f"STATUS_CODE_{STATUS[value]}" if name == "code" else value


def protobuf_json(name: str, value: Any) -> Any:
    """Ids and enumerations as protobuf's JSON has them."""
    return enum_names(name, base64_ids(name, value))


def numbers(name: str, value: Any) -> Any:
    """64-bit integers as JSON numbers."""
    return int(value) if name.endswith("UnixNano") or name == "intValue" else value


def go_structs(name: str, value: Any) -> Any:
    """Values as Go's encoding/json writes them."""
    if name != "value" or not isinstance(value, dict):
        return value
    return {"Value": {key[0].upper() + key[1:]: one for key, one in value.items()}}


def unknown_members(_: str, value: Any) -> Any:
    """A span with members that are null or unknown."""
    is_span = isinstance(value, dict) and "spanId" in value
    return value | {"traceState": None, "links": None, "newMember": {"a": [1]}} if is_span else value


def snake(name: str) -> str:
    """Return a name in snake_case."""
    return re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)


def legacy(name: str) -> str:
    """Return the name that a member had before 2022."""
    return {"scopeSpans": "instrumentationLibrarySpans", "scope": "instrumentationLibrary"}.get(name, name)


def compact(value: Any) -> bytes:
    """Return JSON on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def each(*, change: Callable[[str, Any], Any] = same, rename: Callable[[str], str] = str) -> Any:
    """Return the dialect in which every line is changed."""
    return lambda lines: (compact(changed(json.loads(line), change, rename)) for line in lines)


def around(before: bytes, behind: bytes = b"", *, change: Callable[[str, Any], Any] | None = None) -> Any:
    """Return the dialect in which every line is inside of something else."""

    def made(lines: Lines) -> Iterator[bytes]:
        inner = lines if change is None else each(change=change)(lines)
        return (before + line + behind for line in inner)

    return made


def tempo(lines: Lines) -> Iterator[bytes]:
    """Answers of Tempo's first interface."""
    return (line.replace(b'"resourceSpans":', b'"batches":', 1) for line in each(change=protobuf_json)(lines))


def docker(lines: Lines) -> Iterator[bytes]:
    """Lines of a container's log as Docker keeps them."""
    return (json.dumps({"log": line.decode() + "\n", "stream": "stdout"}).encode() for line in lines)


def one_list(lines: Lines) -> Iterator[bytes]:
    """All requests in one list."""
    yield b"[" + b",\n".join(lines) + b"]"


def indented(lines: Lines) -> Iterator[bytes]:
    """All requests as one indented document."""
    groups = [group for line in lines for group in json.loads(line)["resourceSpans"]]
    yield json.dumps({"resourceSpans": groups}, indent=2).encode()


def flat(lines: Lines) -> Iterator[bytes]:
    """Records of the log group aws/spans: one span a line, attributes as a map."""
    for line in lines:
        for group in json.loads(line)["resourceSpans"]:
            resource = {"attributes": plain(group["resource"])}
            for part in group["scopeSpans"]:
                for span in part["spans"]:
                    yield compact(flat_span(span) | {"resource": resource, "scope": part["scope"]})


def prepper(lines: Lines, *, dotted: bool) -> Iterator[bytes]:
    """Span documents of OpenSearch Data Prepper, with dots in the names of fields or nested."""
    for line in lines:
        for group in json.loads(line)["resourceSpans"]:
            resource = plain(group["resource"])
            for part in group["scopeSpans"]:
                for span in part["spans"]:
                    made = span_document(span, resource["service.name"])
                    groups = {"span.attributes": plain(span), "resource.attributes": resource}
                    if dotted:
                        made |= {f"{name}.{at(key)}": one for name, some in groups.items() for key, one in some.items()}
                        made["instrumentationLibrary.name"] = part["scope"]["name"]
                    else:
                        made |= {"attributes": groups["span.attributes"], "resource": {"attributes": resource}}
                        made["instrumentationScope"] = {"name": part["scope"]["name"]}
                    yield compact(made)


def at(name: str) -> str:
    """Return a name as a field of OpenSearch."""
    return name.replace(".", "@")


def date(nanoseconds: int) -> str:
    """Return a time as text."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def span_document(span: dict[str, Any], service: str) -> dict[str, Any]:
    """Return the members that a span has in OpenSearch in either form."""
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    events = [
        {"name": event["name"], "time": date(int(event["timeUnixNano"])), "attributes": plain(event)}
        for event in span.get("events", [])
    ]
    whole = int(span["traceId"][-6:], 16)  # of the trace, in nanoseconds
    return {
        **{key: span.get(key, "") for key in ("traceId", "spanId", "traceState", "parentSpanId", "name")},
        "kind": f"SPAN_KIND_{KINDS[span['kind']]}",
        "startTime": date(start),
        "endTime": date(end),
        "durationInNanos": end - start,
        "serviceName": service,
        "events": events,
        "links": [],
        "droppedAttributesCount": 0,
        "droppedEventsCount": 0,
        "droppedLinksCount": 0,
        "traceGroup": "/cart",
        "traceGroupFields": {"endTime": date(1_750_000_000 * 10**9 + whole), "durationInNanos": whole, "statusCode": 0},
        "status.code": span.get("status", {}).get("code", 0),
    }


def plain(owner: dict[str, Any]) -> dict[str, Any]:
    """Return attributes as a map."""
    return {one["key"]: value_of(one["value"]) for one in owner.get("attributes", [])}


def value_of(value: dict[str, Any]) -> Any:
    """Return a value without its type."""
    kind, content = next(iter(value.items()))
    if kind == "arrayValue":
        return [value_of(one) for one in content["values"]]
    return int(content) if kind == "intValue" else content


def flat_span(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span as aws/spans has it."""
    start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    times = {"startTimeUnixNano": start, "endTimeUnixNano": end, "durationNano": end - start}
    events = [
        {"timeUnixNano": int(event["timeUnixNano"]), "name": event["name"], "attributes": plain(event)}
        for event in span.get("events", [])
    ]
    status = {"code": STATUS[span.get("status", {}).get("code", 0)]}
    return span | times | {"kind": KINDS[span["kind"]], "attributes": plain(span), "events": events, "status": status}


DIALECTS: dict[str, Any] = {
    "protobuf JSON: base64 ids, enum names": each(change=protobuf_json),
    "enum names": each(change=enum_names),
    "snake_case": each(rename=snake),
    "base64 ids, enum names, snake_case": each(change=protobuf_json, rename=snake),
    "Go structs": each(change=go_structs),
    "numbers for 64-bit integers": each(change=numbers),
    "instrumentationLibrarySpans": each(rename=legacy),
    "Tempo, batches": tempo,
    "Tempo, trace": around(b'{"trace":', b',"metrics":{}}', change=protobuf_json),
    "Jaeger v3, result": around(b'{"result":', b"}"),
    "base64 of hexadecimal ids": each(change=base64_of_hex),
    "flat records of aws/spans": flat,
    "OpenSearch Data Prepper, fields with dots": partial(prepper, dotted=True),
    "OpenSearch Data Prepper, nested": partial(prepper, dotted=False),
    "one list of requests": one_list,
    "lines of a Kubernetes log": around(b"2026-01-01T00:00:00.000000000Z stdout F "),
    "lines of a Docker log": docker,
    "server-sent events": around(b"data: "),
    "null and unknown members": each(change=unknown_members),
    "one indented document": indented,
}
"""By name: from the lines of a file in the plain dialect to those of another."""
