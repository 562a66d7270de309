"""Service, and the call that handlers receive: parameters, random numbers, and a traced HTTP client."""

from __future__ import annotations

import contextvars
import http.client
import json
import random
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from access_log import ACCESS_LOG, AccessLog
from faults import fault_at
from opentelemetry.trace import SpanKind, Status, StatusCode
from telemetry import PROPAGATOR, SCHEMA_URL, record_exception, tracer_provider

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event
    from pathlib import Path

    from faults import Fault
    from opentelemetry.trace import Span, Tracer

Reply = tuple[int, dict[str, Any]]
DOMAIN = "shop.internal"
TIMEOUT_S = 30
WORKERS = 16
OUTLIERS = 0.01  # waits that take four times as long


class RefusedError(Exception):
    """Raised by a handler to respond with a status other than 200."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Shop:
    """Configuration of all services: ports, versions, and the folder for files."""

    ports: dict[str, int]
    releases: dict[str, str]
    folder: Path
    seed: int
    zones: dict[str, str] = field(default_factory=dict)
    zoned: str = ""  # the one service that runs in two zones
    deployed: Event | None = None  # set when the second zone gets its new version
    fault: Fault | None = None

    def port(self, callee: str, number: str) -> int:
        """Return the port of a service; the balancer of the zoned one picks a zone by the number of the request."""
        if callee != self.zoned or not is_in_second_zone(number):
            return self.ports[callee]
        is_new = self.deployed is not None and self.deployed.is_set() and f"{callee}/new" in self.ports
        return self.ports[f"{callee}/new" if is_new else f"{callee}/second"]


class Service:
    """One service: its routes, tracer and workers.  Subclasses set the name and define ``routes``."""

    name: ClassVar[str]
    stable: ClassVar[str]  # the version before an incident
    is_edge: ClassVar[bool] = False  # the entry point: starts the trace and sets the customer

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.version = shop.releases.get(self.name, self.stable)
        zone = shop.zones.get(self.name)
        self.provider = tracer_provider(self.name, self.version, shop.folder / f"{self.name}.jsonl", zone)
        self.tracer: Tracer = self.provider.get_tracer("shop.instrumentation", "1.0.0", schema_url=SCHEMA_URL)
        self.workers = ThreadPoolExecutor(WORKERS)
        self.access_log = AccessLog(shop.folder / ACCESS_LOG)

    def routes(self) -> dict[str, Callable[[Call], Reply]]:
        """Return the handlers by method and route, such as ``GET /v1/stock/{product_id}``."""
        return {}


@dataclass
class Call:
    """One request at one service, with methods for its handler."""

    service: Service
    number: str
    params: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def luck(self, purpose: str) -> random.Random:
        """Return a random number for this request and purpose, the same in every recording of a seed."""
        return random.Random(f"{self.service.shop.seed}/{self.number}/{self.service.name}/{purpose}")

    def wait(self, purpose: str, median_ms: float, spread: float = 0.3) -> None:
        """Simulate the wait for a disk or network: log-normal with a few outliers, seeded."""
        luck = self.luck(purpose)
        outlier = 4 if luck.random() < OUTLIERS else 1
        time.sleep(median_ms / 1e3 * outlier * luck.lognormvariate(0, spread))

    def together(self, *asks: Callable[[], Reply]) -> list[Reply]:
        """Call several services concurrently in this trace context; return the responses in the order of the calls."""
        waiting = [self.service.workers.submit(contextvars.copy_context().run, ask) for ask in asks]
        return [one.result() for one in waiting]

    def ask(
        self,
        callee: str,
        route: str,
        *,
        body: dict[str, Any] | None = None,
        query: str = "",
        resend: int = 0,
        **params: str,
    ) -> Reply:
        """Call another service in a CLIENT span and return status and response."""
        method, template = route.split(" ", 1)
        host = callee if "." in callee else f"{callee}.{DOMAIN}"
        target = template.format(**params) + query
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "url.full": f"http://{host}{target}",
            "url.template": template,
            "server.address": host,
            "server.port": 80,
        }
        if resend:
            attributes["http.request.resend_count"] = resend
        with self.span(route, SpanKind.CLIENT, attributes) as span:
            headers = {"Host": host, "X-Request-Id": self.number, "X-Attempt": str(resend)}
            PROPAGATOR.inject(headers)
            if delay_ms := fault_at(self, "slow network"):
                self.wait(f"network {host}", delay_ms)
            status, answer = send(self.service.shop.port(callee, self.number), method, target, headers, body)
            span.set_attribute("http.response.status_code", status)
            if status >= HTTPStatus.BAD_REQUEST:
                mark_failed(span, str(status))
        return status, answer

    def span(self, name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: dict[str, Any] | None = None) -> Any:
        """Start a span for a block of work."""
        return self.service.tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        )


def is_in_second_zone(number: str) -> bool:
    """Return the zone of a request, the same in every recording of a seed: half of them are in the second."""
    return bool(zlib.crc32(number.encode()) & 1)


def expect(reply: Reply) -> dict[str, Any]:
    """Return the response of a service; 4xx are passed on, 5xx become 502."""
    status, answer = reply
    if status >= HTTPStatus.BAD_REQUEST:
        refused = HTTPStatus.BAD_GATEWAY if status >= HTTPStatus.INTERNAL_SERVER_ERROR else status
        raise RefusedError(int(refused), answer["error"])
    return answer


def send(port: int, method: str, target: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> Reply:
    """Send one request over loopback and return the status and the JSON answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        payload = None if body is None else json.dumps(body).encode()
        connection.request(method, target, payload, headers | {"Connection": "close"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def mark_failed(span: Span, error_type: str, error: BaseException | None = None) -> None:
    """Give the span an error status, its ``error.type``, and the exception when there is one."""
    span.set_status(Status(StatusCode.ERROR, str(error) if error else None))
    span.set_attribute("error.type", error_type)
    if error is not None:
        record_exception(span, error)
