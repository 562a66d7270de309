"""Backends on loopback that behave as documented: limits, partial answers, and faults on demand."""

import base64
import contextlib
import datetime as dt
import gzip
import json
import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit

import pyarrow as pa

BEGUN_NS = 1_760_000_000 * 10**9
HTML = b"<!doctype html><html><body>Please sign in</body></html>"
SECRET = "Bearer marker-secret-4711"


class Trace:
    """What a server knows about a trace: a root span and a child of another service."""

    def __init__(self, number, start_ns=None, *, services=("web", "ledger"), duration_ns=5_000_000, partial=False):
        self.id = f"{number + 1:032x}"
        self.start_ns = BEGUN_NS + number * 1_000_000_000 if start_ns is None else start_ns
        self.duration_ns = duration_ns
        self.services = services
        self.partial = partial
        self.spans = [(f"{number * 8 + n + 1:016x}", service) for n, service in enumerate(services)]

    def touches(self, low, high):
        return self.start_ns < high and self.start_ns + self.duration_ns >= low

    def otlp(self, encode=str):
        root = self.spans[0][0]
        return [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": encode(self.id),
                                "spanId": encode(span_id),
                                "parentSpanId": "" if span_id == root else encode(root),
                                "name": "GET /",
                                "kind": 2,
                                "startTimeUnixNano": str(self.start_ns),
                                "endTimeUnixNano": str(self.start_ns + self.duration_ns),
                            }
                        ]
                    }
                ],
            }
            for span_id, service in self.spans
        ]

    def jaeger(self):
        root = self.spans[0][0]
        spans = [
            {
                "traceID": self.id,
                "spanID": span_id,
                "operationName": "GET /",
                "references": [] if span_id == root else [{"refType": "CHILD_OF", "traceID": self.id, "spanID": root}],
                "startTime": self.start_ns // 1000,
                "duration": self.duration_ns // 1000,
                "tags": [],
                "logs": [],
                "processID": f"p{n}",
            }
            for n, (span_id, _) in enumerate(self.spans)
        ]
        processes = {f"p{n}": {"serviceName": service, "tags": []} for n, (_, service) in enumerate(self.spans)}
        return {"traceID": self.id, "spans": spans, "processes": processes, "warnings": None}

    def zipkin(self):
        root = self.spans[0][0]
        return [
            {
                "traceId": self.id,
                "id": span_id,
                **({} if span_id == root else {"parentId": root}),
                "name": "get /",
                "timestamp": self.start_ns // 1000,
                "duration": self.duration_ns // 1000,
                "localEndpoint": {"serviceName": service},
            }
            for span_id, service in self.spans
        ]

    def exported(self):
        """Rows of the collector's ClickHouse exporter."""
        root = self.spans[0][0]
        return [
            {
                "Timestamp": self.start_ns,
                "TraceId": self.id,
                "SpanId": span_id,
                "ParentSpanId": "" if span_id == root else root,
                "SpanName": "GET /",
                "SpanKind": "Server",
                "ServiceName": service,
                "ResourceAttributes": [("service.name", service)],
                "SpanAttributes": [],
                "Duration": self.duration_ns,
                "StatusCode": "Unset",
                "StatusMessage": "",
            }
            for span_id, service in self.spans
        ]

    def documents(self):
        """Documents of Jaeger's Elasticsearch storage."""
        whole = self.jaeger()
        return [
            {
                **{name: value for name, value in span.items() if name != "processID"},
                "startTimeMillis": self.start_ns // 10**6,
                "process": {"serviceName": service, "tags": []},
                "tag": {"http@method": "GET"},
            }
            for span, (_, service) in zip(whole["spans"], self.spans, strict=True)
        ]


def as_base64(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def trimmed(hexadecimal):
    """As Tempo writes ids into search results."""
    return hexadecimal.lstrip("0")


class FakeBackend(ThreadingHTTPServer):
    """A server; ``faults`` are taken one per request: a status, a name of a fault, or None."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, kind, traces=(), *, faults=(), **traits):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kind = kind
        self.traces = {trace.id: trace for trace in traces}
        self.traits = traits
        self.faults = list(faults)
        self.calls = Counter()
        self.requests = []
        self.sent_headers = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """Stay silent: clients hang up on purpose."""

    def next_fault(self):
        with self.lock:
            return self.faults.pop(0) if self.faults else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):  # noqa: ARG002 - of the base class
        offset = self.server.traits.get("clock_offset_s", 0)
        moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=offset)
        return f"{moment:%a, %d %b %Y %H:%M:%S} GMT"

    def do_POST(self):
        self.posted = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def do_DELETE(self):
        self.do_POST()

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        server = self.server
        with server.lock:
            server.calls[parts.path] += 1
            server.requests.append((parts.path, query))
            server.sent_headers.append(dict(self.headers))
        fault = server.next_fault()
        if target := server.traits.get("redirect"):
            return self.answer(302, b"", {"Location": target + self.path})
        if server.traits.get("secret") and self.headers.get("Authorization") != server.traits["secret"]:
            return self.answer(401, f"bad token {self.headers.get('Authorization')}".encode())
        status, body = getattr(self, server.kind)(parts.path.removeprefix(server.traits.get("base", "")), query)
        return self.with_fault(fault, status, body)

    def with_fault(self, fault, status, body):
        if fault is None:
            return self.answer(status, body)
        if isinstance(fault, int):
            return self.answer(fault, b'{"error":"busy"}', {"Retry-After": "0"} if fault == 429 else {})
        if fault == "reset":
            self.close_connection = True
            return self.connection.close()
        if fault == "cut":
            return self.answer(status, body, length=len(body) + 10)
        if fault == "broken":
            return self.answer(200, body[: len(body) // 2] + b"}")
        if fault == "no end":
            return self.answer(status, body[:-8])
        assert fault == "html"
        return self.answer(502, HTML, {"Content-Type": "text/html"})

    def answer(self, status, body, more=None, length=None):
        if "gzip" in self.headers.get("Accept-Encoding", "") and length is None and len(body) > 500:
            body, more = gzip.compress(body, 1), {**(more or {}), "Content-Encoding": "gzip"}
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(more or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    # ------------------------------------------------------------ what the servers have in common

    def matching(self, low, high, limit, service=None):
        """The traces of a window, cut at the limit in the way of the server."""
        server = self.server
        if server.traits.get("ignores_window"):
            low, high = 0, 2**63
        found = [
            trace
            for trace in server.traces.values()
            if trace.touches(low, high) and (service is None or service in trace.services)
        ]
        most = min(limit, server.traits.get("silent_limit", limit))
        if server.kind == "tempo":
            random.Random(f"{low}{high}{limit}").shuffle(found)
        else:
            found.sort(key=lambda trace: -trace.start_ns)
        return found[:most]

    # ------------------------------------------------------------ the servers

    def s3(self, path, query):
        objects = self.server.traits["objects"]
        if query.get("list-type") != "2":
            key = unquote(path.removeprefix("/archive/"))
            missing = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
            return (200, objects[key]) if key in objects else (404, missing)
        keys = sorted(key for key in objects if key.startswith(query["prefix"]))
        begin = int(query.get("continuation-token", "0"))
        shown = keys[begin : begin + self.server.traits.get("page", 1000)]
        rows = "".join(f"<Contents><Key>{quote_plus(key, safe='/')}</Key><Size>1</Size></Contents>" for key in shown)
        more = begin + len(shown)
        rows += f"<NextContinuationToken>{more}</NextContinuationToken>" if more < len(keys) else ""
        text = f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</ListBucketResult>'
        return 200, b'<?xml version="1.0"?>' + text.encode()

    def jaeger(self, path, query):
        services = sorted({service for trace in self.server.traces.values() for service in trace.services})
        if path.startswith("/api/v3/"):
            if generation := self.server.traits.get("without_v3"):
                return (200, HTML) if generation == "page" else (404, b"404 page not found")
            return self.jaeger3(path.removeprefix("/api/v3/"), query, services)
        if path == "/api/services":
            return 200, json.dumps({"data": services, "total": len(services)}).encode()
        assert query["raw"] == "true", "otherwise clocks arrive adjusted"
        if path == "/api/traces":
            low, high = int(query["start"]) * 1000, int(query["end"]) * 1000 + 1
            found = self.matching(low, high, int(query["limit"]), query["service"])
        else:
            one = self.server.traces.get(path.rpartition("/")[2].zfill(32))
            if one is None:
                return 404, b'{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}'
            found = [one]
        return 200, json.dumps({"data": [one.jaeger() for one in found], "total": 0, "errors": None}).encode()

    def jaeger3(self, path, query, services):
        if path == "services":
            return 200, json.dumps({"services": services}).encode()
        if path == "traces":
            assert query["query.rawTraces"] == "true", "otherwise clocks arrive adjusted"
            low, high = nanoseconds(query["query.startTimeMin"]), nanoseconds(query["query.startTimeMax"])
            assert low < high
            found = self.matching(low, high, int(query["query.searchDepth"]), query["query.serviceName"])
        else:
            assert query["rawTraces"] == "true", "otherwise clocks arrive adjusted"
            found = [one for one in [self.server.traces.get(path.rpartition("/")[2].zfill(32))] if one]
        if not found:
            return 404, b'{"error":{"httpCode":404,"message":"No traces found"}}'
        groups = [group for one in found for group in one.otlp()]
        return 200, json.dumps({"result": {"resourceSpans": groups}}).encode()

    def tempo(self, path, query):
        if path == "/api/status/buildinfo":
            return 200, b'{"version":"2.8.1"}'
        if path == "/api/search":
            limit = int(query["limit"])
            if limit > self.server.traits.get("max_limit", 262_144):
                return 400, b"limit exceeds the maximum"
            if int(query["end"]) - int(query["start"]) > self.server.traits.get("max_duration_s", 168 * 3600):
                return 400, b"range specified by start and end exceeds max_duration"
            low, high = int(query["start"]) * 10**9, int(query["end"]) * 10**9
            traces = [
                {
                    "traceID": trimmed(one.id),
                    "rootServiceName": one.services[0],
                    "startTimeUnixNano": str(one.start_ns),
                    "durationMs": one.duration_ns // 10**6,
                }
                for one in self.matching(low, high, limit)
            ]
            return 200, json.dumps({"traces": traces, "metrics": {}}).encode()
        assert query["span_pruning"] == "false"
        one = self.server.traces.get(path.rpartition("/")[2].zfill(32))
        if one is None:
            return 404, b"trace not found"
        answer = {"trace": {"resourceSpans": one.otlp(as_base64)}, "metrics": {}}
        return 200, json.dumps(answer | ({"status": "PARTIAL"} if one.partial else {})).encode()

    def zipkin(self, path, query):
        if path == "/info":
            return 200, b'{"zipkin":{"version":"3.4.1"}}'
        if path == "/api/v2/traces":
            high = int(query["endTs"]) * 10**6
            found = self.matching(high - int(query["lookback"]) * 10**6, high, int(query["limit"]))
        elif path == "/api/v2/traceMany":
            ids = query["traceIds"].split(",")
            assert len(ids) > 1
            found = [self.server.traces[one.zfill(32)] for one in ids if one.zfill(32) in self.server.traces]
        else:
            one = self.server.traces.get(path.rpartition("/")[2].zfill(32))
            return (404, b"not found") if one is None else (200, json.dumps(one.zipkin()).encode())
        return 200, json.dumps([one.zipkin() for one in found]).encode()

    def clickhouse(self, path, query):
        """A table of the collector's exporter, and the statements that are sent to it."""
        assert path == "/"
        assert query["wait_end_of_query"] == "1"
        assert query["result_overflow_mode"] == "throw"
        sql, known = query["query"], self.server.traces
        if "system.tables" in sql:
            return 200, json.dumps(
                {"data": self.server.traits.get("tables", [["26.9", "db", "otel_traces", 1]])}
            ).encode()
        if "system.columns" in sql:
            return 200, json.dumps({"data": self.server.traits.get("columns", list(EXPORTER.items()))}).encode()
        if "GROUP BY" in sql:
            limit = int(sql.partition("LIMIT ")[2].split()[0])
            low, high = int(query["param_start"]), int(query["param_end"])
            found = [one for one in known.values() if low <= one.start_ns < high]
            found = [one for one in found if query.get("param_service") in {None, *one.services}]
            rows = [[one.id, str(one.start_ns), one.start_ns] for one in sorted(found, key=lambda one: one.id)[:limit]]
            return 200, json.dumps({"data": rows}).encode()
        ids = query["param_ids"].strip("[]").replace("'", "").split(",")
        return 200, stream([row for one in ids if one in known for row in known[one].exported()])

    def elasticsearch(self, path, query):
        """The indices of Jaeger; ``search_after`` counts documents."""
        if path == "/":
            number = {"number": "9.1.0"} | (
                {"distribution": "opensearch"} if "opensearch" in self.server.traits else {}
            )
            return 200, json.dumps({"version": number}).encode()
        if path.endswith(("/_pit", "/point_in_time")):
            if self.command == "DELETE":
                return 200, b'{"succeeded":true}'
            assert query["keep_alive"]
            return 200, json.dumps({"pit_id" if "opensearch" in self.server.traits else "id": "point"}).encode()
        asked = json.loads(self.posted)
        conditions = {}
        for one in asked["query"]["bool"]["filter"]:
            for name, fields in one.items():
                conditions.setdefault(name, {}).update(fields)
        answer = {"timed_out": False, "_shards": {"total": 5, "failed": 0}} | self.server.traits.get("answer", {})
        traces = sorted(self.server.traces.values(), key=lambda one: one.id)
        if "aggs" in asked:
            times = conditions["range"]["startTimeMillis"]
            found = [one for one in traces if times["gte"] <= one.start_ns // 10**6 < times["lt"]]
            wanted = conditions.get("term", {}).get("process.serviceName")
            found = [one for one in found if wanted is None or wanted in one.services]
            composite = asked["aggs"]["traces"]["composite"]
            after = composite.get("after", {"id": ""})["id"]
            page = [one for one in found if one.id > after][: self.server.traits.get("page", composite["size"])]
            buckets = [
                {"key": {"id": one.id}, "first": {"value": one.start_ns / 1e3}, "last": {"value": one.start_ns / 1e3}}
                for one in page
            ]
            more = {"after_key": {"id": page[-1].id}} if page else {}
            return 200, json.dumps({**answer, "aggregations": {"traces": {"buckets": buckets, **more}}}).encode()
        if asked["pit"]["id"] != "point":
            return 404, b'{"error":{"type":"search_context_missing_exception"}}'
        ids = {one.zfill(32) for one in conditions["terms"]["traceID"]}
        rows = [row for one in traces if one.id in ids for row in one.documents()]
        first = asked.get("search_after", [0])[0]
        hits = [{"_source": row, "sort": [first + n + 1]} for n, row in enumerate(rows[first : first + asked["size"]])]
        return 200, json.dumps({**answer, "hits": {"hits": hits}}).encode()


EXPORTER = {
    "Timestamp": "DateTime64(9)",
    "TraceId": "String",
    "SpanId": "String",
    "ParentSpanId": "String",
    "SpanName": "LowCardinality(String)",
    "SpanKind": "LowCardinality(String)",
    "ServiceName": "LowCardinality(String)",
    "ResourceAttributes": "Map(LowCardinality(String), String)",
    "SpanAttributes": "Map(LowCardinality(String), String)",
    "Duration": "UInt64",
    "StatusCode": "LowCardinality(String)",
    "StatusMessage": "String",
}
ARROW = {"Timestamp": pa.timestamp("ns", "UTC"), "Duration": pa.uint64()}


def stream(rows):
    """Rows as an Arrow stream, as ClickHouse answers with FORMAT ArrowStream."""
    fields = [
        (n, pa.map_(pa.string(), pa.string()) if "Map" in EXPORTER[n] else ARROW.get(n, pa.string())) for n in EXPORTER
    ]
    table = pa.Table.from_pylist(rows, pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def nanoseconds(text):
    """RFC 3339 with nanoseconds."""
    moment, _, rest = text.removesuffix("Z").partition(".")
    return int(dt.datetime.fromisoformat(f"{moment}+00:00").timestamp()) * 10**9 + int(rest.ljust(9, "0"))
