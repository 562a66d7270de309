"""Answers with documents of OpenTelemetry are taken by the compiled lane, and give what the documents alone give."""

import json

import pytest
from loading.native.compared import narrow
from loading.native.flat_spans import FLAT
from loading.xray.mutated_retrieved import PLAIN, STATUS, retrieved, trace
from loading.xray.test_compiled import same
from loading.xray.test_fast import TRACE, segment
from otlp_made import ids, request
from otlp_made import span as otlp_span

from tracekit.loading import native, read, reading
from tracekit.loading.xray import loader

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

REQUEST = request(*(otlp_span(**ids(n)) for n in range(50, 53)))
SPAN_COUNT = len(PLAIN) + 3


@pytest.fixture
def careful(monkeypatch):
    """The numbers of the records that the Python lane reads from here on."""
    given = []
    real = loader._Reader.load
    monkeypatch.setattr(
        loader._Reader, "load", lambda self, value, at: (given.append(at.record), real(self, value, at))[1]
    )
    monkeypatch.setenv(native.SWITCH, "compiled")
    return given


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


TRACES = [trace(*PLAIN[:20]), trace(*PLAIN[20:], LimitExceeded=True), trace(REQUEST)]
SHAPES = {
    "an answer": ([retrieved(*TRACES)], "retrieved_traces=1"),
    "pages": ([retrieved(one, NextToken="t") for one in TRACES[:2]] + [retrieved(TRACES[2])], "retrieved_traces=3"),
    "without a status": ([{"Traces": [one]} for one in TRACES], "batch_get_traces=3"),
    "traces alone": (TRACES, ""),
    "indented documents": ([retrieved(*TRACES[:2], trace(json.dumps(REQUEST, indent=1)))], "retrieved_traces=1"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_documents_on_lines_are_taken(name, careful):
    records, dialects = SHAPES[name]
    traces = same(lines(*records))
    python, careful[:] = len(careful), []
    assert python == len(records)  # what ``same`` read in the other lane
    assert set(dialects.split()) <= set(traces.sources["dialects"][0].split())
    assert len(read(lines(*records), progress=False).spans) == SPAN_COUNT
    assert careful == []


def test_spans_are_those_of_the_documents_alone():
    named = [one | {"Id": FLAT["traceId"]} for one in TRACES]
    inside, alone = read(lines(retrieved(*named)), progress=False), read(lines(*PLAIN, REQUEST), progress=False)
    kept = inside.spans.columns.difference(["record_number", "byte_offset", "scope_id"])
    assert inside.spans[kept].equals(alone.spans[kept])
    scopes = (one.scopes.loc[one.spans["scope_id"]].reset_index(drop=True) for one in (inside, alone))
    assert next(scopes).equals(next(scopes))
    assert inside.attributes.equals(alone.attributes)
    assert inside.summary["reported_duration_ns"].max() == 1_500_000_000
    assert inside.sources["format"].tolist() == ["xray"]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [3000, 1 << 20])
def test_one_document(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    some = [trace(PLAIN[n % 30] | {"name": f"caf\u00e9 {n}"}) for n in range(60)]
    some[30:30] = [trace(FLAT | {"kind": "QUEUE"}), trace(segment(3)), trace("{"), 7]
    data = json.dumps(STATUS | {"Traces": some, "NextToken": None}, indent=indent, ensure_ascii=False).encode()
    made = same(data, time_unit="ns")
    assert made.sources["record_count"].tolist() == [len(some)]
    careful.clear()
    read(data, progress=False, time_unit="ns")
    assert 3 <= len(careful) < 20


ODD = {
    "a remark on a document": trace(FLAT | {"kind": "QUEUE"}),
    "a document of X-Ray": trace(FLAT, segment(3, trace_id=TRACE)),
    "a document that is not JSON": trace("{"),
    "an empty document": trace(FLAT, " \n"),
    "a list in a text": trace(json.dumps(PLAIN[:2])),
    "two documents in a text": trace(json.dumps(FLAT) + "\n" + json.dumps(FLAT)),
    "a newline in a text of a document": trace(json.dumps(FLAT).replace("GET", "G\nT")),
    "an object": {"Id": TRACE, "Spans": [{"Id": "", "Document": FLAT}]},
    "an id that is none": trace(FLAT, Id="x"),
}


@pytest.mark.parametrize("name", ODD)
def test_one_oddity_hands_back_its_own_line_only(name, careful):
    data = lines(retrieved(trace(PLAIN[0])), retrieved(ODD[name]), retrieved(trace(PLAIN[1])), retrieved(trace(FLAT)))
    read(data, progress=False)
    assert careful == [2]
    same(data)


@pytest.mark.parametrize("status", ["RUNNING", "", None, 5])
def test_a_retrieval_that_is_not_complete_is_reported(status, careful):
    data = lines(retrieved(trace(PLAIN[0])), retrieved(trace(PLAIN[1]), RetrievalStatus=status))
    read(data, progress=False)
    assert careful == [2]
    same(data)


def test_answers_with_documents_of_x_ray_are_taken_too(careful):
    whole = trace(Spans=[{"Id": "", "Document": json.dumps(segment(3))}])
    data = lines(*(retrieved(whole, TraceFormat="XRAY") for _ in range(3)), {"Traces": [whole]})
    traces = read(data, progress=False)
    assert careful == []
    assert traces.sources["dialects"].tolist() == ["batch_get_traces=1 retrieved_traces=3"]
    same(data)
