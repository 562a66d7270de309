"""Write the dataset ``small-shop``: ten small hand-made traces with figures that are easy to check."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

import publish

NAME = "small-shop"
KINDS = {"SERVER": 2, "CLIENT": 3}
HOSTS = {"shop": "shop-1", "cart": "shop-2", "ledger": "shop-3"}
REQUEST = {"http.request.method": "POST"}
FAILED = {"error.type": "500", "http.response.status_code": 500}
EXCEPTION = {"exception.type": "BudgetExceeded", "exception.message": "no budget left"}


class Drawn(NamedTuple):
    """One span: its times in ms after the start of the request, and the index of its parent in the trace."""

    service: str
    kind: str
    name: str
    start_ms: int
    end_ms: int
    parent: int | None
    attributes: dict[str, Any]
    is_error: bool = False


def route(method: str, path: str, **more: Any) -> dict[str, Any]:
    """Return the attributes of a server span."""
    return {"http.request.method": method, "http.route": path} | more


def browse() -> list[Drawn]:
    """``GET /cart``, 40 ms: one call."""
    return [
        Drawn("shop", "SERVER", "GET /cart", 0, 40, None, route("GET", "/cart")),
        Drawn("shop", "CLIENT", "GET", 5, 35, 0, {"http.request.method": "GET"}),
        Drawn("cart", "SERVER", "GET /items", 10, 30, 1, route("GET", "/items")),
    ]


def reserve(end_ms: int, *, is_error: bool = False) -> list[Drawn]:
    """Return the first half of ``POST /pay``: the request itself, and the call to cart, 10-40 ms."""
    failed = FAILED if is_error else {}
    return [
        Drawn("shop", "SERVER", "POST /pay", 0, end_ms, None, route("POST", "/pay") | failed, is_error),
        Drawn("shop", "CLIENT", "POST", 10, 40, 0, REQUEST),
        Drawn("cart", "SERVER", "POST /lock", 15, 35, 1, route("POST", "/lock")),
    ]


def charge(start_ms: int, end_ms: int, call: int, query_ms: tuple[int, int], **resent: int) -> list[Drawn]:
    """Return a call to ledger, which queries its database; ``call`` is the index of the client span in the trace."""
    count = {f"http.request.{name}": value for name, value in resent.items()}
    query = {"db.system.name": "postgresql", "db.operation.name": "SELECT", "db.collection.name": "entries"}
    return [
        Drawn("shop", "CLIENT", "POST", start_ms, end_ms, 0, REQUEST | count),
        Drawn("ledger", "SERVER", "POST /charge", start_ms + 10, end_ms - 10, call, route("POST", "/charge")),
        Drawn("ledger", "CLIENT", "SELECT entries", *query_ms, call + 1, query),
    ]


def refuse(start_ms: int, end_ms: int, call: int) -> list[Drawn]:
    """Return a call to ledger that fails before any query."""
    failed = route("POST", "/charge") | FAILED
    return [
        Drawn("shop", "CLIENT", "POST", start_ms, end_ms, 0, REQUEST | FAILED, is_error=True),
        Drawn("ledger", "SERVER", "POST /charge", start_ms + 5, end_ms - 5, call, failed, is_error=True),
    ]


PAY = reserve(100) + charge(30, 90, 3, (50, 70))
SLOW = reserve(400) + charge(30, 390, 3, (50, 370))
RETRY = reserve(160) + refuse(30, 80, 3) + charge(90, 150, 5, (110, 130), resend_count=1)
ERROR = reserve(60, is_error=True) + refuse(30, 50, 3)
HALVES = {
    "baseline": (datetime(2026, 1, 1, 11, tzinfo=UTC), [browse(), PAY, PAY, PAY, PAY], ["1.4.0"] * 5),
    "current": (
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        [browse(), PAY, SLOW, RETRY, ERROR],
        ["1.4.0"] * 2 + ["1.5.0"] * 3,
    ),
}
"""When the first request starts (the others follow a second apart), the traces, and the release of ledger in each."""


def typed(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as in OTLP JSON."""
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]


def line(drawn: list[Drawn], number: int, start_ns: int, prefix: str, ledger: str) -> str:
    """Return a trace as one OTLP JSON request, with the ids ``a1...``, ``b2...`` and so on."""
    label = f"{'abcde'[number]}{number + 1}"
    by_service = defaultdict(list)
    for place, one in enumerate(drawn):
        times = [str(start_ns + ms * 1_000_000) for ms in (one.start_ms, one.end_ms)]
        span = {
            "traceId": f"{label}{prefix}".ljust(32, "0"),
            "spanId": f"{label}{prefix}{place + 1:0>10}",
            "name": one.name,
            "kind": KINDS[one.kind],
            "startTimeUnixNano": times[0],
            "endTimeUnixNano": times[1],
            "attributes": typed(one.attributes),
        }
        if one.parent is not None:
            span["parentSpanId"] = f"{label}{prefix}{one.parent + 1:0>10}"
        if one.is_error:
            span["status"] = {"code": 2}
        if one.is_error and one.service == "ledger":
            event = {"timeUnixNano": times[1], "name": "exception", "attributes": typed(EXCEPTION)}
            span["events"] = [event]
        by_service[one.service].append(span)
    releases = {"shop": "1.0.0", "cart": "1.0.0", "ledger": ledger}
    resources = []
    for service, spans in by_service.items():
        resource = {"service.name": service, "service.version": releases[service], "host.name": HOSTS[service]}
        resources.append({"resource": {"attributes": typed(resource)}, "scopeSpans": [{"spans": spans}]})
    return json.dumps({"resourceSpans": resources}, separators=(",", ":"))


def lines(role: str) -> list[str]:
    """Return the traces of ``baseline`` or ``current``, one per line."""
    start, drawn, releases = HALVES[role]
    first_ns = int(start.timestamp()) * 1_000_000_000
    prefix = {"baseline": "ba5e", "current": "c0de"}[role]
    return [
        line(one, number, first_ns + number * 1_000_000_000, prefix, release)
        for number, (one, release) in enumerate(zip(drawn, releases, strict=True))
    ]


def main() -> None:
    """Write both files and the entry in the index."""
    files = []
    for role, (_, drawn, _) in HALVES.items():
        path = publish.DATASETS / NAME / f"{role}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{one}\n" for one in lines(role)), encoding="utf-8")
        counts = {"span_count": sum(map(len, drawn)), "trace_count": len(drawn)}
        files.append(publish.file_entry(path, role, "otlp-json", compression=None, **counts))
    entry = {
        "name": NAME,
        "title": "Ten small hand-made traces with figures that are easy to check",
        "description": "Demo shop of three services: five requests, and the same five after a release.",
        "licence": "MIT",
        "made": {"command": "python datasets/record/small_shop.py"},
        "files": files,
        "truth": {
            "summary": "after the release of ledger 1.5.0, one request is slow, one has a retry and one fails",
            "mean_ms": {"baseline": 88, "current": 152},
        },
    }
    publish.enter(publish.DATASETS / "index.json", entry)


if __name__ == "__main__":
    main()
