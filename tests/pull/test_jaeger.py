"""Jaeger: what is asked for, and what its answers may contain."""

import json

import pytest
from fake_backends import Trace

import tracekit as tk
from tracekit.pull.jaeger import _hits3

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0}


@pytest.mark.parametrize("without_v3", [None, True, "page"])
def test_conditions_arrive(serve, tmp_path, without_v3):
    server = serve("jaeger", [Trace(n) for n in range(3)], without_v3=without_v3)
    conditions = {
        "service": "web",
        "operation": "GET /",
        "query": 'a=1 b="x y"',
        "min_duration": "1ms",
        "max_duration": "2s",
    }
    pull = tk.pull("jaeger", server.url, folder=tmp_path / "a", **conditions, **PERIOD)
    assert pull.counts == {"returned": 3}
    query = next(query for path, query in server.requests if path.endswith("/traces"))
    names = ("service", "operation", "tags", "minDuration", "maxDuration")
    if not without_v3:
        names = tuple(
            f"query.{one}" for one in ("serviceName", "operationName", "attributes", "durationMin", "durationMax")
        )
    assert [query[name] for name in names] == ["web", "GET /", '{"a":"1","b":"x y"}', "1ms", "2s"]
    assert set(pull.ledger["version"]) == {"API v1" if without_v3 else "API v3"}


def test_a_page_for_every_path_is_not_a_jaeger(serve, tmp_path, monkeypatch):
    server = serve("jaeger")
    monkeypatch.setattr("fake_backends._Handler.jaeger", lambda *_: (200, b"<html>hello</html>"))
    with pytest.raises(tk.PullError, match="found an HTML page"):
        tk.pull("jaeger", server.url, folder=tmp_path / "a", **PERIOD)


def test_without_a_service_all_services_are_searched(serve, tmp_path):
    traces = [Trace(0, services=("web",)), Trace(1, services=("ledger",)), Trace(2, services=("web", "mail"))]
    server = serve("jaeger", traces)
    pull = tk.pull("jaeger", server.url, folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 3}
    assert len(pull.traces.spans) == 4


def test_resources_shared_by_traces_are_stored_once():
    one, two = Trace(0, services=("web",)), Trace(1, services=("web",))
    group = one.otlp()[0]
    group["scopeSpans"] += two.otlp()[0]["scopeSpans"]
    hits = _hits3(json.dumps({"result": {"resourceSpans": [group, *Trace(1).otlp()]}}).encode())
    assert [(hit.trace_id, hit.start_ns, hit.end_ns) for hit in hits] == [
        (trace.id, trace.start_ns, trace.start_ns + trace.duration_ns) for trace in (one, two)
    ]
    lines = [hit.body for hit in hits if hit.body]
    assert len(tk.read(b"\n".join(lines)).trace_ids) == 2


@pytest.mark.parametrize("text", ["a", "a=1 b", "=1"])
def test_a_query_that_is_no_list_of_attributes(tmp_path, text):
    with pytest.raises(ValueError, match=r"expected query as key=value pairs such as http.route=/cart"):
        tk.pull("jaeger", "http://localhost:1", folder=tmp_path / "a", query=text, **PERIOD)
    assert not (tmp_path / "a" / ".pull" / "plan.json").exists()
