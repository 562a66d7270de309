"""Zipkin: parameters in its units, ids of 64 bits."""

import pytest
from fake_backends import Trace

import tracekit as tk

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0}


def test_conditions_arrive(serve, tmp_path):
    server = serve("zipkin", [Trace(1)])
    conditions = {
        "service": "Web",
        "operation": "GET /",
        "query": "error and a=b",
        "min_duration": "1.5ms",
        "max_duration": "2s",
    }
    tk.pull("zipkin", server.url, folder=tmp_path / "a", **conditions, **PERIOD)
    query = next(query for path, query in server.requests if path == "/api/v2/traces")
    names = ("serviceName", "spanName", "annotationQuery", "minDuration", "maxDuration")
    assert [query[name] for name in names] == ["web", "get /", "error and a=b", "1500", "2000000"]


def test_ids_of_64_bits_are_sent_as_such(serve, tmp_path):
    server = serve("zipkin", [Trace(1), Trace(2)])
    assert tk.pull("zipkin", server.url, folder=tmp_path / "a", trace_ids=["2"], backoff_s=0).counts == {"returned": 1}
    assert server.requests[-1][0] == "/api/v2/trace/0000000000000002"
    tk.pull("zipkin", server.url, folder=tmp_path / "b", trace_ids=["2", "3"])
    assert server.requests[-1][1]["traceIds"] == "0000000000000002,0000000000000003"


def test_an_invalid_duration(tmp_path):
    with pytest.raises(ValueError, match="expected a duration such as 250ms, found 'long'"):
        tk.pull("zipkin", "http://localhost:1", folder=tmp_path / "a", min_duration="long", **PERIOD)
