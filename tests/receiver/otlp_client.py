"""Requests of traces in both encodings, and a client that sends them to a Listener."""

import gzip
import http.client
import json
import socket
import zlib
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
START_NS = 1_767_225_600_000_000_000


def request(spans, service="shop", status=0):
    """A request with one span for each (trace id, span id) of integers."""
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    attribute = group.resource.attributes.add()
    attribute.key, attribute.value.string_value = "service.name", service
    scope = group.scope_spans.add()
    for number, (trace_id, span_id) in enumerate(spans):
        span = scope.spans.add()
        span.trace_id, span.span_id = trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big")
        span.name, span.status.code = f"op {number % 7}", status
        span.start_time_unix_nano = START_NS + span_id * 1000
        span.end_time_unix_nano = span.start_time_unix_nano + 500
    return made


def in_protobuf(spans, **options):
    return request(spans, **options).SerializeToString()


def in_json(spans, service="shop", **options):
    scope = request(spans, **options).resource_spans[0].scope_spans[0]
    listed = [
        {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": span.name,
         "status": {"code": span.status.code},
         "startTimeUnixNano": str(span.start_time_unix_nano), "endTimeUnixNano": str(span.end_time_unix_nano)}
        for span in scope.spans
    ]  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": listed}]}]}).encode()


BODIES = {PROTOBUF: in_protobuf, JSON: in_json}
PACKED = {"identity": lambda body: body, "gzip": gzip.compress, "deflate": zlib.compress}


def port_of(run):
    return urlsplit(run.endpoint).port


def post(run, body, content_type=PROTOBUF, path="/v1/traces", method="POST", **headers):
    """Send one request on a connection of its own; return (status, body, headers) of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(run), timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type:
            named["Content-Type"] = content_type
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.headers)
    finally:
        connection.close()


def raw(run, data, *, ends=True):
    """Send bytes as they are; return everything that is answered until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port_of(run)), timeout=20) as connection:
        connection.sendall(data)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def partial(answer, content_type=PROTOBUF):
    """The rejected spans and the message of a partial success."""
    if content_type == PROTOBUF:
        found = ExportTraceServiceResponse.FromString(answer).partial_success
        return found.rejected_spans, found.error_message
    found = json.loads(answer).get("partialSuccess", {})
    return int(found.get("rejectedSpans", 0)), found.get("errorMessage", "")
