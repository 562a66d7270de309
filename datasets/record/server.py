"""The traced HTTP server: finds the route, opens the SERVER span in the caller's context, sends the response."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from faults import CUSTOMER_ID, CUSTOMER_TIER, FaultyError, fault_at
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind
from telemetry import PROPAGATOR
from web import Call, RefusedError, Reply, Service, mark_failed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from opentelemetry.trace import Span


@dataclass(frozen=True)
class Route:
    """One route and its handler."""

    method: str
    template: str
    handle: Callable[[Call], Reply]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the parameters in the path, or None if the route does not match."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        found = re.fullmatch(pattern, path) if method == self.method else None
        return found.groupdict() if found else None


def listen(service: Service, listener: socket.socket) -> ThreadingHTTPServer:
    """Return the HTTP server of a service on a socket that already listens."""
    server = ThreadingHTTPServer(listener.getsockname(), _handler_of(service), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    return server


def _handler_of(service: Service) -> type[BaseHTTPRequestHandler]:
    """Return the request handler class of one service."""
    handlers = ((key.partition(" "), handle) for key, handle in service.routes().items())
    routes = [Route(method, template, handle) for (method, _, template), handle in handlers]

    class Handler(BaseHTTPRequestHandler):
        wbufsize = -1  # one packet per response
        disable_nagle_algorithm = True

        def answer(self) -> None:
            """Find the route, run its handler in a SERVER span, send the response."""
            url = urlsplit(self.path)
            for route in routes:
                params = route.match(self.command, url.path)
                if params is not None:
                    self._send(*_served(self._call(params, dict(parse_qsl(url.query))), route, url.path))
                    return
            self._send(404, {"error": f"no route for {self.command} {url.path}"})

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def _call(self, params: dict[str, str], query: dict[str, str]) -> Call:
            """Read the request."""
            length = int(self.headers.get("Content-Length") or 0)
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = json.loads(self.rfile.read(length)) if length else {}
            return Call(service, headers["x-request-id"], params, query, body, headers)

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            """Send the response as JSON."""
            payload = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Do not log."""

    return Handler


def _served(call: Call, route: Route, path: str) -> Reply:
    """Run a handler in its SERVER span, in the caller's context."""
    token, began_s = context.attach(_context_of(call)), time.time()
    try:
        with call.span(f"{route.method} {route.template}", SpanKind.SERVER, _attributes(call, route, path)) as span:
            status, answer = _handled(call, route.handle, span)
            span.set_attribute("http.response.status_code", status)
        if call.service.is_edge:
            call.service.access_log.note(
                span.get_span_context(), began_s, call.headers, f"{route.method} {path}", status
            )
        return status, answer
    finally:
        context.detach(token)


def _context_of(call: Call) -> context.Context:
    """Return the caller's trace context and baggage; the storefront adds the customer as baggage."""
    incoming = PROPAGATOR.extract(call.headers)
    if call.service.is_edge:
        incoming = baggage.set_baggage(CUSTOMER_ID, call.headers["x-customer-id"], incoming)
        incoming = baggage.set_baggage(CUSTOMER_TIER, call.headers["x-customer-tier"], incoming)
    return incoming


def _attributes(call: Call, route: Route, path: str) -> dict[str, str]:
    """Return the initial attributes of a SERVER span."""
    attributes = {
        "http.request.method": route.method,
        "http.route": route.template,
        "url.path": path,
        "url.scheme": "http",
        "server.address": call.headers["host"],
        "network.protocol.version": "1.1",
        CUSTOMER_TIER: str(baggage.get_baggage(CUSTOMER_TIER)),
    }
    if call.service.is_edge:
        attributes[CUSTOMER_ID] = str(baggage.get_baggage(CUSTOMER_ID))
        attributes["user_agent.original"] = call.headers["user-agent"]
    return attributes


def _failed(call: Call) -> Reply:
    """Raise the exception of a planted fault."""
    raise FaultyError(f"{call.service.name} failed")


def _handled(call: Call, handle: Callable[[Call], Reply], span: Span) -> Reply:
    """Run the handler; ``RefusedError`` sets the status, any other exception is recorded and sets 500."""
    try:
        if delay_ms := fault_at(call, "slow service"):
            call.wait("fault", delay_ms)
        if (one_of := fault_at(call, "failures")) and call.luck("fault").random() < 1 / one_of:
            return _failed(call)
        return handle(call)
    except RefusedError as refusal:
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            mark_failed(span, str(refusal.status), refusal.__cause__ or refusal)
        return refusal.status, {"error": str(refusal)}
    except Exception as error:  # noqa: BLE001 - a server answers 500, whatever went wrong
        mark_failed(span, type(error).__qualname__, error)
        return 500, {"error": "internal error"}
