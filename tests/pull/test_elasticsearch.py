"""Elasticsearch and OpenSearch: conditions, pages, points in time, partial answers."""

import json
import sys

import pytest
from fake_backends import Trace, _Handler

import tracekit as tk
from tracekit.pull.backend import Calls, Query
from tracekit.pull.elasticsearch import Elasticsearch

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0}


@pytest.fixture
def posted(monkeypatch):
    """The bodies of the requests."""
    bodies, own = [], _Handler.elasticsearch

    def noted(self, path, query):
        bodies.append((self.command, path, json.loads(self.posted) if getattr(self, "posted", b"") else {}))
        return own(self, path, query)

    monkeypatch.setattr(_Handler, "elasticsearch", noted)
    return bodies


def test_conditions_arrive(serve, tmp_path, posted):
    server = serve("elasticsearch", [Trace(1)])
    conditions = {
        "service": "web",
        "operation": "GET /",
        "query": "tag.a:b",
        "min_duration": "1ms",
        "max_duration": "2s",
    }
    tk.pull("elasticsearch", server.url, folder=tmp_path / "a", **conditions, **PERIOD)
    asked = next(body for _, path, body in posted if "aggs" in body)["query"]["bool"]["filter"]
    assert asked[1:] == [
        {"term": {"process.serviceName": "web"}},
        {"term": {"operationName": "GET /"}},
        {"range": {"duration": {"gte": 1000, "lte": 2_000_000}}},
        {"query_string": {"query": "tag.a:b"}},
    ]


@pytest.mark.parametrize("traits", [{}, {"opensearch": True}])
def test_traces_come_whole_and_the_point_in_time_is_closed(serve, tmp_path, posted, traits):
    server = serve("elasticsearch", [Trace(n) for n in range(7)], page=3, **traits)
    pull = tk.pull("elasticsearch", server.url, folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 7}
    assert set(pull.ledger["truncation"]) == {"excluded"}
    assert set(pull.ledger["selection"]) == {"all"}
    assert pull.ledger["version"].iloc[0] == ("opensearch" if traits else "elasticsearch") + " 9.1.0"
    spans = pull.traces.spans
    assert len(spans) == 14
    assert set(pull.traces.attributes["key"]) == {"http.method", "service.name"}
    assert [command for command, path, _ in posted if "point" in path or "_pit" in path] == ["POST", "DELETE"]


def test_spans_are_read_in_pages(serve, tmp_path, posted, monkeypatch):
    monkeypatch.setattr(sys.modules["tracekit.pull.elasticsearch"], "_PAGE", 4)
    server = serve("elasticsearch", [Trace(n) for n in range(5)])
    pull = tk.pull("elasticsearch", server.url, folder=tmp_path / "a", **PERIOD)
    assert len(pull.traces.spans) == 10
    assert [body.get("search_after") for _, path, body in posted if path == "/_search"] == [None, [4], [8]]


def test_a_point_in_time_that_expired_is_opened_again(serve):
    server = serve("elasticsearch", [Trace(1)])
    backend = Elasticsearch(server.url, Query(), Calls(None, 2, 0.0, 1))
    backend._point = "expired"
    assert backend.fetch((Trace(1).id,)).outcomes == {Trace(1).id: "returned"}
    backend.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"_shards": {"total": 5, "failed": 2}}, "a partial answer: 2 of 5 shards failed"),
        ({"timed_out": True}, "a partial answer: a time-out"),
    ],
)
def test_a_partial_answer_is_not_used(serve, tmp_path, answer, message):
    server = serve("elasticsearch", [Trace(1)], answer=answer)
    with pytest.raises(tk.PullError, match=message):
        tk.pull("elasticsearch", server.url, folder=tmp_path / "a", attempts=2, **PERIOD)


def test_a_failure_to_close_the_point_in_time_hides_nothing(serve, tmp_path):
    server = serve("elasticsearch", [Trace(1)])
    backend = Elasticsearch(server.url, Query(), Calls(None, 2, 0.0, 1))
    backend.fetch((Trace(1).id,))
    backend.caller.stopped.set()
    backend.close()
    faults = [None, None, *[None] * 3, 500, 500, 500]
    server = serve("elasticsearch", [Trace(1)], faults=faults)
    pull = tk.pull("elasticsearch", server.url, folder=tmp_path / "a", attempts=3, concurrency=1, **PERIOD)
    assert pull.counts == {"returned": 1}
    assert not server.faults


def test_indices_are_named_by_the_url(serve, tmp_path):
    server = serve("elasticsearch", [Trace(1)])
    tk.pull("elasticsearch", f"{server.url}/prod-jaeger-span-*", folder=tmp_path / "a", **PERIOD)
    assert "/prod-jaeger-span-*/_search" in server.calls
    tk.pull("elasticsearch", server.url, folder=tmp_path / "b", **PERIOD)
    assert "/*jaeger-span-*,-*jaeger-span-archive*/_search" in server.calls


def test_a_limit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected no limit for elasticsearch, which returns all traces"):
        tk.pull("elasticsearch", "http://localhost:1", folder=tmp_path / "a", limit=3, **PERIOD)
