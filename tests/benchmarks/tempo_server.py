"""A Tempo with all answers ready, 50 spans a trace: nearly all of the time is the client's.

With an argument, each answer takes that many seconds, as reading a trace from storage does.
"""

import json
import re
import socket
import sys
import threading
import time

SPANS = 50
BEGUN_NS = 1_760_000_000 * 10**9
_PATH = re.compile(rb"GET ([^ ?]*)\??([^ ]*) ")


def trace_id(number):
    return f"{number + 1:032x}"


def body():
    """One trace as JSON, with a mark where its id belongs."""
    attributes = [{"key": f"app.key.{n}", "value": {"stringValue": f"value {n}"}} for n in range(9)]
    spans = [
        {
            "traceId": "@" * 32,
            "spanId": f"{n + 1:016x}",
            "parentSpanId": "" if n == 0 else f"{1:016x}",
            "name": "GET /",
            "kind": 2,
            "startTimeUnixNano": str(BEGUN_NS),
            "endTimeUnixNano": str(BEGUN_NS + 10**6),
            "attributes": attributes,
        }
        for n in range(SPANS)
    ]
    groups = [{"resource": {"attributes": []}, "scopeSpans": [{"spans": spans}]}]
    return json.dumps({"trace": {"resourceSpans": groups}}, separators=(",", ":")).encode()


READY = body()
DELAY_S = float(sys.argv[1]) if __name__ == "__main__" and len(sys.argv) > 1 else 0.0


def answer(path):
    if path.startswith(b"/api/v2/traces/"):
        return READY.replace(b"@" * 32, path[-32:])
    return b'{"version":"2.8.1"}'


def serve(connection):
    """Answer the requests of one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    while True:
        while b"\r\n\r\n" not in held:
            got = connection.recv(65536)
            if not got:
                return
            held += got
        request, _, held = held.partition(b"\r\n\r\n")
        if DELAY_S:
            time.sleep(DELAY_S)
        content = answer(_PATH.match(request)[1])
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        connection.sendall(head + content)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
