"""Tempo: TraceQL, partial traces, limits of the server."""

import pytest
from fake_backends import Trace

import tracekit as tk
from tracekit.pull.backend import Query
from tracekit.pull.tempo import _traceql

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0}


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(), "{}"),
        (Query(query="{ status = error }"), "{ status = error }"),
        (
            Query(service='a"b', operation="GET /", min_duration="10ms", max_duration="2s"),
            '{ resource.service.name = "a\\"b" && name = "GET /" && duration >= 10ms && duration <= 2s }',
        ),
    ],
)
def test_the_query_as_sent(query, text):
    assert _traceql(query) == text


def test_a_query_and_a_service_are_one_too_many(tmp_path):
    with pytest.raises(ValueError, match=r"found both; write all conditions into the query: { resource.service.name"):
        tk.pull("tempo", "http://localhost:1", folder=tmp_path / "a", query="{}", service="web", **PERIOD)


def test_the_newest_are_asked_for(serve, tmp_path):
    server = serve("tempo", [Trace(1)])
    pull = tk.pull("tempo", server.url, folder=tmp_path / "a", query="{} with (most_recent = true)", **PERIOD)
    assert set(pull.ledger["selection"]) == {"newest"}


def test_partial_traces_are_kept_as_such(serve, tmp_path):
    server = serve("tempo", [Trace(n, partial=n == 1) for n in range(3)])
    pull = tk.pull("tempo", server.url, folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 2, "partial": 1}
    assert len(pull.traces) == 3
    finding = next(one for one in tk.sampling(pull.traces) if one.check == "pull.truncation")
    assert finding.headline == "Pull incomplete: 1 trace is partial."


def test_traces_are_asked_for_with_a_wide_period(serve, tmp_path):
    trace = Trace(5)
    server = serve("tempo", [trace])
    tk.pull("tempo", server.url, folder=tmp_path / "a", **PERIOD)
    query = next(query for path, query in server.requests if path.startswith("/api/v2/traces/"))
    assert int(query["start"]) * 10**9 == trace.start_ns - 3600 * 10**9
    assert int(query["end"]) * 10**9 >= trace.start_ns + trace.duration_ns + 3600 * 10**9


def test_a_period_longer_than_the_server_allows_is_halved(serve, tmp_path):
    server = serve("tempo", [Trace(n) for n in range(5)], max_duration_s=600)
    pull = tk.pull(
        "tempo", server.url, folder=tmp_path / "a", start="2025-10-09T00:00", end="2025-10-10T00:00", backoff_s=0
    )
    assert pull.counts == {"returned": 5}


def test_a_limit_above_that_of_the_server_leaves_truncation_open(serve, tmp_path):
    server = serve("tempo", [Trace(n, 1_760_000_000_000_000_500) for n in range(20)], max_limit=10)
    pull = tk.pull("tempo", server.url, folder=tmp_path / "a", limit=10, **PERIOD)
    assert pull.counts == {"returned": 10}
    assert "unknown" in set(pull.ledger["truncation"])
