"""ClickHouse's own engine behind its HTTP interface, as a program: prints its port and serves until it is ended.

The tables are those of the collector's exporter (its default DDL) and of SigNoz, with two traces of two spans each.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

BEGUN_NS = 1_760_000_000 * 10**9
EXPORTER = """
CREATE TABLE otel.otel_traces (
    Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String,
    SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String), ScopeName String, ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String), Duration UInt64,
    StatusCode LowCardinality(String), StatusMessage String,
    Events Nested (
        Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)
    ),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)),
    Hour DateTime MATERIALIZED toStartOfHour(Timestamp)
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, Timestamp)
"""
SIGNOZ = """
CREATE TABLE signoz_traces.distributed_signoz_index_v3 (
    ts_bucket_start UInt64, timestamp DateTime64(9), trace_id FixedString(32), span_id String, trace_state String,
    parent_span_id String, flags UInt32, name LowCardinality(String), kind Int8, kind_string String,
    duration_nano UInt64, status_message String, status_code_string String,
    attributes_string Map(LowCardinality(String), String), attributes_number Map(LowCardinality(String), Float64),
    attributes_bool Map(LowCardinality(String), Bool), resources_string Map(LowCardinality(String), String),
    resource JSON
) ENGINE = MergeTree ORDER BY (ts_bucket_start, timestamp)
"""


def rows():
    """Trace, span, parent, service, start and duration of each span."""
    for number in (1, 2):
        start = BEGUN_NS + number * 10**9
        yield f"{number:032x}", f"{number * 2:016x}", "", "web", start, 5_000_001
        yield f"{number:032x}", f"{number * 2 + 1:016x}", f"{number * 2:016x}", "ledger", start + 1_000_003, 2_000_000


def fill(database):
    """Make the table of a database."""
    for name in ("otel", "signoz_traces"):
        if database == name:
            SERVER.query(f"CREATE DATABASE {name}")
    if database == "otel":
        SERVER.query(EXPORTER)
        for trace, span, parent, service, start, took in rows():
            SERVER.query(
                "INSERT INTO otel.otel_traces VALUES "
                f"(fromUnixTimestamp64Nano({start}), '{trace}', '{span}', '{parent}', '', "
                f"'it''s \\\\ {service}', 'Server', '{service}', {{'service.name':'{service}'}}, '', '', "
                f"{{'http.route':'/a'}}, {took}, 'Error', 'broken', "
                f"[fromUnixTimestamp64Nano({start} + 7)], ['exception'], [{{'exception.type':'E'}}], [], [], [], [])"
            )
    if database == "signoz_traces":
        SERVER.query(SIGNOZ)
        for trace, span, parent, service, start, took in rows():
            bucket = start // 10**9 // 1800 * 1800
            SERVER.query(
                "INSERT INTO signoz_traces.distributed_signoz_index_v3 VALUES "
                f"({bucket}, fromUnixTimestamp64Nano({start}), '{trace}', '{span}', '', '{parent}', 0, 'GET /', 2, "
                f"'Server', {took}, '', 'Ok', {{'a':'b'}}, {{'n':3}}, {{'c':true}}, {{'service.name':'{service}'}}, "
                f'\'{{"service.name":"{service}"}}\')'
            )


class Handler(BaseHTTPRequestHandler):
    """Executes the statement of a request, with its parameters and settings."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Stay silent."""

    def do_GET(self):
        """Answer as ClickHouse does: an error is a status with its text."""
        given = dict(parse_qsl(urlsplit(self.path).query))
        sql = given.pop("query")
        given.pop("wait_end_of_query")
        with LOCK:
            status, body = self.answer(sql, given)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, sql, given):
        """Return status and body."""
        try:
            for name, value in given.items():
                text = value.replace("\\", "\\\\").replace("'", "\\'")
                SERVER.query(
                    f"SET {name} = {value}" if value.isdigit() and "param" not in name else f"SET {name} = '{text}'"
                )
            return 200, SERVER.query(sql).bytes()
        except RuntimeError as error:
            return 404, str(error).encode()


LOCK = threading.Lock()

if __name__ == "__main__":
    from chdb import session

    SERVER = session.Session()
    fill(sys.argv[1])
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{http.server_port}\n")
    sys.stdout.flush()
    http.serve_forever()
