"""Spans for where ``shared/tools`` is not there: OTLP lines and Jaeger traces of about the same size as its own."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("gateway", "frontend", "checkout", "cart", "catalog", "pricing", "inventory", "payment", "shipping")
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0", "okhttp/4.12.0")
START_NS = 1_750_000_000_000_000_000
PER_LINE = 120


def otlp_lines(count: int, seed: int = 1) -> Iterator[str]:
    """Yield requests with so many spans in all."""
    random_ = random.Random(seed)
    waiting: list[tuple[str, dict[str, Any]]] = []
    made = 0
    while made < count:
        size = min(int(random_.lognormvariate(2.6, 1.25)) + 1, 10_000, count - made)
        waiting += trace(random_, size, START_NS + made * 3_000_000)
        made += size
        while len(waiting) >= PER_LINE or (waiting and made == count):
            yield line(waiting[:PER_LINE])
            del waiting[:PER_LINE]


def trace(random_: random.Random, size: int, start: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield service and span of one trace; every child is inside of its parent."""
    trace_id = f"{random_.getrandbits(128):032x}"
    tree: list[tuple[str, int, int]] = []
    for number in range(size):
        parent, begin, end = (
            random_.choice(tree[-20:]) if tree else ("", start, start + random_.randrange(10**8, 10**9))
        )
        if tree:
            low, high = sorted(random_.randrange(begin, end) for _ in range(2))
            begin, end = low, high + 1
        span_id = f"{random_.getrandbits(64):016x}"
        tree.append((span_id, begin, end))
        yield SERVICES[number % len(SERVICES)], span(random_, trace_id, span_id, parent, begin, end)


def span(random_: random.Random, trace_id: str, span_id: str, parent: str, begin: int, end: int) -> dict[str, Any]:
    """Return a span with nine attributes, sometimes failed."""
    service = random_.choice(SERVICES)
    failed = random_.random() < 0.02
    texts = {
        "http.request.method": random_.choice(("GET", "POST", "PUT")), "http.route": f"/api/{service}/items/{{id}}",
        "url.full": f"https://{service}.prod.svc.cluster.local/api/{service}?id={random_.randrange(10**5)}",
        "tenant.id": f"tenant-{random_.randrange(40)}", "user.id": f"u-{random_.randrange(50_000):05d}",
        "user_agent.original": random_.choice(AGENTS), "network.protocol.version": "1.1",
    }  # fmt: skip
    whole = {"http.response.status_code": 503 if failed else 200, "server.port": 8080}
    event = {"timeUnixNano": str(end), "name": "exception", "attributes": attributes({"exception.type": "Timeout"}, {})}
    return {
        "traceId": trace_id, "spanId": span_id, "parentSpanId": parent, "flags": 257, "name": f"GET /api/{service}",
        "kind": random_.choice((1, 2, 3)), "startTimeUnixNano": str(begin), "endTimeUnixNano": str(end),
        "attributes": attributes(texts, whole), **({"events": [event]} if failed else {}),
        "status": {"code": 2, "message": "upstream failure"} if failed else {},
    }  # fmt: skip


def attributes(texts: dict[str, str], whole: dict[str, int]) -> list[dict[str, Any]]:
    """Return attributes as OTLP writes them."""
    values = {key: {"stringValue": text} for key, text in texts.items()}
    values |= {key: {"intValue": str(number)} for key, number in whole.items()}
    return [{"key": key, "value": value} for key, value in values.items()]


def line(spans: list[tuple[str, dict[str, Any]]]) -> str:
    """Return spans as a request, grouped by service."""
    groups = []
    for service in dict.fromkeys(service for service, _ in spans):
        resource = {"service.name": service, "service.version": "1.4.0", "k8s.pod.name": f"{service}-7d9f02-d8f16"}
        part = {
            "scope": {"name": "io.opentelemetry", "version": "1.28.0"},
            "spans": [s for o, s in spans if o == service],
        }
        groups.append({"resource": {"attributes": attributes(resource, {"process.pid": 1})}, "scopeSpans": [part]})
    return json.dumps({"resourceSpans": groups}, separators=(",", ":"))


def jaeger_trace(size: int, seed: int) -> dict[str, Any]:
    """Return a trace of Jaeger."""
    random_ = random.Random(seed)
    spans = list(trace(random_, size, START_NS + seed * 10**9))
    kinds = {1: "internal", 2: "server", 3: "client"}
    return {
        "traceID": spans[0][1]["traceId"],
        "spans": [
            {
                "traceID": one["traceId"], "spanID": one["spanId"], "operationName": one["name"],
                "references": [{"refType": "CHILD_OF", "traceID": one["traceId"], "spanID": one["parentSpanId"]}]
                if one["parentSpanId"] else [],
                "startTime": int(one["startTimeUnixNano"]) // 1000, "processID": f"p{SERVICES.index(service)}",
                "duration": (int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"])) // 1000,
                "tags": [{"key": "span.kind", "type": "string", "value": kinds[one["kind"]]},
                         {"key": "http.status_code", "type": "int64", "value": 200}], "logs": [], "warnings": None,
            }
            for service, one in spans
        ],
        "processes": {f"p{at}": {"serviceName": name, "tags": []} for at, name in enumerate(SERVICES)},
        "warnings": None,
    }  # fmt: skip


def zipkin_span(span_: dict[str, Any], processes: dict[str, Any]) -> dict[str, Any]:
    """Return a span of Jaeger as Zipkin writes it."""
    tags = {tag["key"]: str(tag["value"]) for tag in span_["tags"]}
    kind = tags.pop("span.kind").upper()
    return {
        "traceId": span_["traceID"],
        "id": span_["spanID"],
        "name": span_["operationName"],
        "timestamp": span_["startTime"],
        "duration": span_["duration"],
        "localEndpoint": {"serviceName": processes[span_["processID"]]["serviceName"], "ipv4": "10.0.0.7"},
        "tags": tags,
        **({"parentId": span_["references"][0]["spanID"]} if span_["references"] else {}),
        **({} if kind == "INTERNAL" else {"kind": kind}),
    }
