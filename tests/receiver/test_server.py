"""The receiver as exporters, browsers and broken clients meet it."""

import http.client
import json
import random
import re
import threading

import pytest
from otlp_client import BODIES, JSON, PACKED, PROTOBUF, in_json, in_protobuf, partial, port_of, post, raw
from protobuf_status import status_of

import tracekit as tk
from tracekit.receiver import body, server

HOST = b"Host: 127.0.0.1\r\n"
HEAD = b"POST /v1/traces HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-protobuf\r\n"


@pytest.fixture
def run():
    with tk.listen(port=0) as run:
        yield run


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("content_type", BODIES)
def test_both_encodings_and_every_packing_are_accepted(run, content_type, packing):
    sent = PACKED[packing](BODIES[content_type]([(1, 1), (1, 2), (2, 3)]))
    status, answer, headers = post(run, sent, content_type, Content_Encoding=packing)
    assert (status, headers["Content-Type"], partial(answer, content_type)) == (200, content_type, (0, ""))
    assert sorted(run.traces.spans["span_id"]) == [f"{number:016x}" for number in (1, 2, 3)]
    assert (run.counts.span_count, run.counts.trace_count, run.counts.service_count) == (3, 2, 1)


@pytest.mark.parametrize(
    ("content_type", "empty"), [(PROTOBUF, b""), (JSON, b"{}"), (JSON, b' {"resourceSpans": []} ')]
)
def test_an_empty_request_is_a_success(run, content_type, empty):
    status, answer, _ = post(run, empty, content_type)
    assert (status, partial(answer or b"", content_type)) == (200, (0, ""))
    assert len(run.traces) == 0


@pytest.mark.parametrize("content_type", BODIES)
def test_spans_that_cannot_be_read_are_a_partial_success(run, content_type):
    status, answer, _ = post(run, BODIES[content_type]([(1, 1), (0, 2), (1, 0)]), content_type)
    rejected, message = partial(answer, content_type)
    assert (status, rejected) == (200, 2)
    assert message.startswith("ID_ZERO: expected 32 hex digits in traceId, found '000")
    assert (run.counts.span_count, run.counts.rejected_count) == (1, 2)
    assert run.traces.sources["quarantined_count"].sum() == 2


@pytest.mark.parametrize(
    ("content_type", "garbage", "told"),
    [
        (PROTOBUF, b"garbage", "wire type"),
        (PROTOBUF, in_protobuf([(1, 1)])[:-3], "expected .* bytes of field 1"),
        (PROTOBUF, b"\x0a\x03abc", "ResourceSpans skipped"),
        (PROTOBUF, b"\x0a\x00" * 70_000, "more than 65,536 ResourceSpans"),
        (JSON, in_json([(1, 1)])[:-3], "JSON"),
        (JSON, b"[]", r"found '\[\]'"),
        (JSON, b"\xff{}", "not UTF-8 at byte 0"),
        (JSON, b"{\0}", "found"),
        (JSON, b'{"resourceMetrics": [{}]}', "found metrics"),
        (JSON, in_json([(1, 1)]) + b"\n" + in_json([(1, 2)]), "JSON"),
        (JSON, b'{"a": 1}', "no trace data"),
    ],
)
def test_a_broken_body_is_refused_with_a_status_and_not_stored(run, content_type, garbage, told):
    status, answer, headers = post(run, garbage, content_type)
    code, message = status_of(answer, content_type)
    assert (status, headers["Content-Type"], code) == (400, content_type, 3)
    assert message.startswith("expected an ExportTraceServiceRequest; ")
    assert re.search(told, message), message
    assert (run.counts.request_count, run.counts.refused_count) == (0, 1)
    post(run, in_protobuf([(9, 9)]))
    assert run.traces.spans["span_id"].tolist() == [f"{9:016x}"], "what follows is read"
    assert (run.traces.sources["quarantined_count"] == 0).all()


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_never_spoil_what_follows(run, seed):
    chance = random.Random(seed)
    content_type = PROTOBUF if seed % 2 else JSON
    sent = bytearray(BODIES[content_type]([(1, number) for number in range(1, 6)]))
    for _ in range(chance.randint(1, 6)):
        sent[chance.randrange(len(sent))] = chance.randrange(256)
    status, answer, _ = post(run, bytes(sent), content_type)
    assert status in {200, 400}
    rejected = partial(answer, content_type)[0] if status == 200 else 0
    post(run, BODIES[content_type]([(77, 77)]), content_type)
    sources = run.traces.sources
    assert sources["complete"].all()
    assert f"{77:016x}" in run.traces.spans["span_id"].tolist()
    assert sources["quarantined_count"].sum() == rejected == run.counts.rejected_count
    assert sources["span_count"].sum() - rejected == run.counts.span_count


# ------------------------------------------------------------------ requests that are not exports


@pytest.mark.parametrize(
    ("expected", "told", "options"),
    [
        (404, "traces at /v1/traces only; set OTEL_METRICS_EXPORTER=none", {"path": "/v1/metrics"}),
        (404, "OTEL_LOGS_EXPORTER=none", {"path": "/v1/logs"}),
        (404, "found '/etc/passwd'", {"path": "/etc/passwd"}),
        (404, "expected POST, found GET", {"path": "/", "method": "GET"}),
        (405, "expected POST, found GET", {"method": "GET"}),
        (405, "expected POST, found OPTIONS", {"method": "OPTIONS"}),
        (415, "found 'text/plain'", {"content_type": "text/plain"}),
        (415, "found 'none'", {"content_type": ""}),
        (415, "found 'zstd'", {"Content_Encoding": "zstd"}),
        (403, "a page in a browser", {"Origin": "https://evil.example"}),
        (403, "a page in a browser", {"Sec_Fetch_Site": "cross-site"}),
        (403, "Host header of loopback, found 'evil.example:4318'", {"Host": "evil.example:4318"}),
        (400, "damaged data", {"Content_Encoding": "gzip"}),
    ],
)
def test_what_is_not_an_export_by_a_program_is_refused(run, expected, told, options):
    status, answer, headers = post(run, in_protobuf([(1, 1)]), **{"content_type": PROTOBUF} | options)
    assert status == expected
    _, message = status_of(answer, headers["Content-Type"])
    assert told in message
    assert "Access-Control-Allow-Origin" not in headers
    assert ("Allow" in headers) == (expected == 405)
    assert (run.counts.span_count, run.counts.refused_count) == (0, 1)


@pytest.mark.parametrize(
    ("sent", "expected", "told"),
    [
        (HEAD + b"\r\n", 411, "expected a Content-Length"),
        (HEAD + b"Content-Length: 10\r\n\r\nabc", 400, "found the end of the connection after 3"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "expected a Content-Length in bytes, found '-1'"),
        (HEAD + b"Content-Length: ten\r\n\r\n", 400, "found 'ten'"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "found '1, 2'"),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413, "at most 64 MiB"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "found both"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "expected chunked"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "expected the size of a chunk"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 400, "found the end"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400, "expected the end of a chunk"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 99, 400, "empty line after the last chunk"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffff0\r\n", 413, "at most 64 MiB"),
        (b"POST /v1/traces HTTP/1.1\r\n\r\n", 403, "found 'none'"),
        (b"not HTTP at all\r\n\r\n", 400, "Bad request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "for an exporter of gRPC, set OTEL_EXPORTER_OTLP_PROTOCOL=http"),
        (b"BREW /v1/traces HTTP/1.1\r\n" + HOST + b"\r\n", 501, "Unsupported method"),
        (b"POST /v1/traces HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "Too many headers"),
    ],
)
def test_a_client_that_breaks_http_is_told_and_disconnected(run, sent, expected, told):
    head, _, answer = raw(run, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % expected), head
    assert b"Connection: close" in head
    is_protobuf = b"Content-Type: application/x-protobuf" in head
    assert told in status_of(answer, PROTOBUF if is_protobuf else JSON)[1]
    assert post(run, in_protobuf([(1, 1)]))[0] == 200, "others are answered"


def test_a_body_in_chunks_is_read(run):
    sent = in_protobuf([(1, 1), (1, 2)])
    pieces = b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in (sent[:7], sent[7:]))
    answer = raw(run, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\nTrailer: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert run.counts.span_count == 2


def test_a_bomb_is_refused_before_it_has_grown(run, monkeypatch):
    monkeypatch.setattr(body, "MAX_BODY", 1 << 20)
    for packing in ("gzip", "deflate"):
        status, answer, _ = post(run, PACKED[packing](bytes(8 << 20)), Content_Encoding=packing)
        assert (status, status_of(answer)[1]) == (
            413,
            "expected a body of at most 1 MiB, found more; send smaller batches",
        )
    many = PACKED["gzip"](b"") * 100
    assert "at most 64 members" in status_of(post(run, many, Content_Encoding="gzip")[1])[1]
    cut = PACKED["gzip"](in_protobuf([(1, 1)]))[:-4]
    assert "found the end inside of it" in status_of(post(run, cut, Content_Encoding="gzip")[1])[1]


def test_bodies_beyond_the_memory_are_asked_to_come_again(run):
    run._server.memory = body.Memory(1000)
    status, answer, headers = post(run, bytes(2000))
    assert (status, headers["Retry-After"], status_of(answer)[0]) == (503, "1", 14)
    assert post(run, in_protobuf([(1, 1)]))[0] == 200, "what was reserved is given back"


def test_a_slow_client_is_disconnected(run, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.2)
    assert raw(run, HEAD + b"Content-Length: 10\r\n\r\nabc", ends=False).startswith(b"HTTP/1.1 408 ")
    assert raw(run, HEAD, ends=False) == b""
    monkeypatch.setattr(server, "IDLE_S", 0.2)
    assert raw(run, b"", ends=False) == b""


def test_connections_beyond_the_most_are_asked_to_come_again(run, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    held = http.client.HTTPConnection("127.0.0.1", port_of(run), timeout=20)
    held.request("POST", "/v1/traces", in_protobuf([(1, 1)]), {"Content-Type": PROTOBUF})
    held.getresponse().read()
    assert b"503 Service Unavailable\r\nRetry-After: 1" in raw(run, b"")
    held.close()


def test_a_connection_is_kept_for_the_next_request(run):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(run), timeout=20)
    connection.connect()
    first = connection.sock
    for number in range(1, 4):
        connection.request("POST", "/v1/traces", in_protobuf([(1, number)]), {"Content-Type": PROTOBUF})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
        assert connection.sock is first
    connection.close()
    assert run.counts.span_count == 3


def test_a_thousand_connections_one_after_another(run):
    for number in range(1, 1001):
        assert post(run, in_protobuf([(number, number)]))[0] == 200
    assert len(run.traces) == 1000


def test_concurrent_requests_are_all_stored_once(run):
    def send(worker):
        for number in range(25):
            first = worker * 1000 + number * 10 + 1
            spans = [(worker + 1, first + k) for k in range(10)]
            content_type = PROTOBUF if number % 2 else JSON
            statuses.append(post(run, BODIES[content_type](spans), content_type)[0])

    statuses = []
    threads = [threading.Thread(target=send, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 200
    expected = {f"{w * 1000 + n * 10 + 1 + k:016x}" for w in range(8) for n in range(25) for k in range(10)}
    spans = run.traces.spans["span_id"]
    assert len(spans) == len(expected) == run.counts.span_count
    assert set(spans) == expected
    assert run.traces.sources["merged_count"].sum() == 0


def test_answers_are_json_for_json(run):
    assert json.loads(post(run, in_json([(1, 1)]), JSON)[1]) == {}


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(run):
    sent = in_protobuf([(1, 1)])
    answer = raw(run, HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_a_large_request_is_read_and_so_is_what_follows(run):
    bodies = {
        JSON: in_json([(1, n) for n in range(1, 90_001)]),
        PROTOBUF: in_protobuf([(2, n) for n in range(1, 90_001)]),
    }
    assert len(bodies[JSON]) > 16 << 20, "longer than a line that is kept in memory"
    pretty = json.dumps(json.loads(in_json([(3, 5)])), indent=1).replace("\n", "\r\n").encode()
    for content_type, sent in [*bodies.items(), (JSON, pretty), (PROTOBUF, in_protobuf([(4, 6)]))]:
        assert post(run, sent, content_type)[0] == 200
    assert run.traces.summary["span_count"].tolist() == [90_000, 90_000, 1, 1]
    assert run.traces.sources["complete"].all()
    assert run.traces.sources["quarantined_count"].sum() == 0
