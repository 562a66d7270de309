"""The HTTP server: one thread a connection, on loopback only, for exporters and not for browsers."""

from __future__ import annotations

import errno
import io
import ipaddress
import socket
import socketserver
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final

from tracekit.errors import TracekitError
from tracekit.receiver.answers import JSON, PROTOBUF, Answer, RefusedError
from tracekit.receiver.body import Memory, read_body

if TYPE_CHECKING:
    from collections.abc import Callable

HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 128
IDLE_S: Final = 65.0  # between two requests: metrics, the slowest signal, come once a minute
REQUEST_S: Final = 30.0  # from the first byte of a request to its last
_DRAIN_S: Final = 1.0  # reading what a refused client still sends, so that it sees the answer
_CLOSE_S: Final = 5.0
_TRACES: Final = "/v1/traces"
_OTHERS: Final = {"/v1/metrics": "METRICS", "/v1/logs": "LOGS"}
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server(ThreadingHTTPServer):
    """Listens on a port of loopback from the beginning; ``start`` answers and ``close`` ends.

    Parameters
    ----------
    port
        0 for a free one.
    receive
        Called with the body and content type of a request of traces; returns the answer or raises RefusedError.
    on_refused
        Called with the reason for every request that is answered with an error.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, receive: Callable[[bytes, str], Answer], on_refused: Callable[[str], object]) -> None:
        self.receive, self.on_refused = receive, on_refused
        self.memory = Memory()
        self.closing = False
        self._connections: dict[socket.socket, Thread] = {}
        self._lock = Lock()
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise _cannot_listen(port, error) from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without looking up the name of the host, which may ask the network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.port

    def start(self) -> None:
        """Answer requests in the background."""
        self._thread.name = f"tracekit-listen-{self.port}"
        self._thread.start()

    def close(self) -> None:
        """Finish the requests that have come, and close every connection; a second call does nothing."""
        if self.closing:
            return
        self.closing = True
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            open_now = dict(self._connections)
        for connection in open_now:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + _CLOSE_S
        for thread in open_now.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, unless there are too many."""
        with self._lock:
            is_full = len(self._connections) >= MAX_CONNECTIONS
        if is_full:
            with suppress(OSError):
                request.sendall(_BUSY)
            self.on_refused(f"more than {MAX_CONNECTIONS} connections at once")
            self.shutdown_request(request)
            return
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._lock:
            self._connections[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        super().shutdown_request(request)
        with self._lock:
            self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print unexpected errors, but not that a connection breaks off: exporters end at any time."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _cannot_listen(port: int, error: OSError) -> TracekitError:
    """Return the error for a port that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        message = f"port {port} of {HOST} is in use, perhaps by a collector or another tracekit listen"
        return TracekitError(f"{message}; end that program, or choose another port (port=0: any free one)")
    reason = error.strerror or error
    return TracekitError(
        f"cannot listen on port {port} of {HOST}: {reason}; choose another port (port=0: any free one)"
    )


class _Patient(io.RawIOBase):
    """A connection that waits long for a request to begin, and not as long for it to end.

    Parameters
    ----------
    connection
        To read from.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deadline: float | None = None

    def rest(self) -> None:
        """Wait for the next request."""
        self._deadline = None

    def limit(self, seconds: float) -> None:
        """Wait so long at most from now on."""
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        """Return whether it can be read from."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what has come; raise TimeoutError if nothing comes in time."""
        patience = IDLE_S if self._deadline is None else self._deadline - time.monotonic()
        if patience <= 0:
            raise TimeoutError
        self._connection.settimeout(patience)
        count = self._connection.recv_into(buffer)
        if self._deadline is None:
            self.limit(REQUEST_S)
        self._connection.settimeout(REQUEST_S)  # of what is written
        return count


_OTHER_METHODS: Final = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    wbufsize = -1  # one packet an answer
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Replace the file to read from by one with a deadline."""
        super().setup()
        self.rfile.close()
        self._patient = _Patient(self.connection)
        self.rfile = io.BufferedReader(self._patient, 1 << 16)

    def finish(self) -> None:
        """Read what is left for a moment: closing at once could lose the answer."""
        with suppress(OSError, ValueError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self._patient.limit(0 if self.server.closing else _DRAIN_S)
            while self.rfile.read(1 << 16):
                pass
        with suppress(OSError):
            super().finish()

    def handle_one_request(self) -> None:
        """Answer a request, unless the server ends."""
        self._patient.rest()
        super().handle_one_request()
        self.close_connection = self.close_connection or self.server.closing

    def do_POST(self) -> None:
        """Answer an export."""
        content_type = self.headers.get_content_type() if "Content-Type" in self.headers else ""
        try:
            self._check(content_type)
            with self.server.memory.share() as reserve:
                body = read_body(self.headers, self.rfile, reserve)
                answer = self.server.receive(body, content_type)
        except RefusedError as refused:
            self._refuse(refused, content_type)
        except TimeoutError:
            message = f"expected the whole request within {REQUEST_S:.0f} s, found a part of it"
            self._refuse(RefusedError(HTTPStatus.REQUEST_TIMEOUT, message), content_type)
        else:
            self._send(answer)

    def refuse_method(self) -> None:
        """Refuse another method."""
        message = f"expected POST, found {self.command}"
        headers = (("Allow", "POST"),) if self.path == _TRACES else ()
        status = HTTPStatus.METHOD_NOT_ALLOWED if self.path == _TRACES else HTTPStatus.NOT_FOUND
        self._refuse(RefusedError(status, message, headers=headers), "")

    def _check(self, content_type: str) -> None:
        """Raise RefusedError for a request that is not an export of traces to this server by a program."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not is_loopback(hosts[0]):
            found = ", ".join(hosts) or "none"
            raise RefusedError(HTTPStatus.FORBIDDEN, f"expected a Host header of loopback, found {found!r:.80}")
        if "Origin" in self.headers or self.headers.get("Sec-Fetch-Site", "none") != "none":
            raise RefusedError(HTTPStatus.FORBIDDEN, "expected an exporter, found a page in a browser (Origin header)")
        path = self.path.partition("?")[0]
        if path in _OTHERS:
            hint = f"set OTEL_{_OTHERS[path]}_EXPORTER=none"
            raise RefusedError(HTTPStatus.NOT_FOUND, f"tracekit listens for traces at {_TRACES} only; {hint}")
        if path != _TRACES:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"expected a request to {_TRACES}, found {path!r:.80}")
        if content_type not in {PROTOBUF, JSON}:
            message = f"expected Content-Type {PROTOBUF} or {JSON}, found {content_type or 'none'!r:.80}"
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)

    def _refuse(self, refused: RefusedError, content_type: str) -> None:
        """Answer with an error."""
        self.server.on_refused(refused.message)
        self._send(refused.answer(PROTOBUF if content_type == PROTOBUF else JSON))

    def _send(self, answer: Answer) -> None:
        """Write an answer."""
        self.close_connection = self.close_connection or answer.closes or self.server.closing
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - of the base class
        """Answer a request that is not HTTP, or of an unknown method."""
        self.close_connection = True
        self.command, self.request_version = self.command or "", self.protocol_version  # HTTP/0.9 has no status line
        if code == HTTPStatus.HTTP_VERSION_NOT_SUPPORTED:
            message = (
                f"{message}: expected HTTP/1.1; for an exporter of gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            )
        self._refuse(RefusedError(code, message or HTTPStatus(code).phrase), "")

    def version_string(self) -> str:
        """Return the value of the Server header."""
        return "tracekit"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - of the base class
        """Write no log: the counts and the answers say what happens."""


for _method in _OTHER_METHODS:
    setattr(_Handler, f"do_{_method}", _Handler.refuse_method)


def is_loopback(host: str) -> bool:
    """Return whether a Host header names this machine: another name is a page that had its name resolved to here.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1:4318", "localhost", "[::1]:4318", "evil.example:4318")]
    [True, True, True, False]
    """
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
