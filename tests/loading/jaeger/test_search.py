"""Answers of a search as documents: each hit is a record, in both lanes, whatever is beside the hits or among them."""

import json
from itertools import pairwise

import pytest
from loading.jaeger.mutated_answers import ELASTIC, HIT
from loading.jaeger.test_jaeger import span, trace
from loading.otlp.test_prepper import DOTTED

from tracekit.errors import LoadError
from tracekit.loading import native, read, reading

COUNT = 60
LANES = native.LANES if native.extension is not None else ("python",)


@pytest.fixture(autouse=True, params=LANES)
def lane(request, monkeypatch):
    """Read everything as a document, in each lane."""
    monkeypatch.setenv(native.SWITCH, request.param)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")


def hits(count=COUNT):
    sources = (ELASTIC | {"spanID": f"{n:016x}", "references": []} for n in range(1, count + 1))
    return [HIT | {"_id": f"{n}", "_source": one} for n, one in enumerate(sources, 1)]


def search(found, **members):
    return {"took": 5, "hits": {"total": {"value": 9}, "hits": found, "max_score": None}, **members}


def load(value, indent=1):
    return read(json.dumps(value, indent=indent).encode(), progress=False)


@pytest.mark.parametrize("indent", [None, 1])
def test_each_hit_is_a_record_where_it_begins(indent):
    data = json.dumps(search(hits(), aggregations={"a": [1]}), indent=indent).encode()
    traces = read(data, progress=False)
    source = traces.sources.iloc[0]
    assert (source["record_count"], source["dialects"]) == (COUNT, f"elasticsearch_hits={COUNT}")
    spans = traces.spans.sort_values("record_number")
    assert spans["record_number"].tolist() == list(range(1, COUNT + 1))
    found = [json.loads(data[a:b].rstrip().removesuffix(b",")) for a, b in pairwise(spans["byte_offset"])]
    assert [f"{int(one['_id']):016x}" for one in found] == spans["span_id"].tolist()[:-1]
    assert set(traces.issues["code"]) == {"DIALECT", "MULTI_ROOT"}


def test_a_hit_that_is_no_span_costs_itself_only():
    some = hits(5)
    some[2:2] = [7, {"_source": {"x": 1}}, HIT | {"_source": ELASTIC | {"spanID": None}}]
    traces = load(search(some))
    assert len(traces.spans) == 5
    codes = traces.issues.set_index("record_number")["code"]
    assert [codes[record] for record in (3, 4, 5)] == ["FORMAT_UNKNOWN", "FORMAT_UNKNOWN", "ID_BAD_LENGTH"]
    assert traces.sources["quarantined_count"].tolist() == [3]


def test_hits_may_be_of_several_formats():
    traces = load(search([*hits(2), {"_index": "otel", "_source": DOTTED}, trace(span(9))]))
    assert sorted(traces.spans["name"]) == sorted([ELASTIC["operationName"]] * 2 + [DOTTED["name"], "op9"])
    assert {"data_prepper=1", "elasticsearch_hits=3", "opensearch_hits=1"} <= set(traces.sources["dialects"][0].split())
    assert traces.sources["format"].tolist() == ["jaeger+otlp"]


def test_pages_of_a_scroll_one_after_the_other():
    pages = [search(hits()[at : at + 20], _scroll_id="x") for at in range(0, COUNT, 20)]
    traces = read("\n".join(json.dumps(page, indent=1) for page in pages).encode(), progress=False)
    assert (len(traces.spans), traces.sources["record_count"].tolist()) == (COUNT, [COUNT])
    assert "JSON_CONCAT" in set(traces.issues["code"])


@pytest.mark.parametrize("found", [[], None, {"hits": 5}])
def test_an_answer_without_hits_is_refused_as_on_a_line(found):
    with pytest.raises(LoadError, match=r"FORMAT_UNKNOWN.*found a JSON object with 'took', '_scroll_id', 'hits'"):
        load(search(found, _scroll_id="x"))
    traces = read(json.dumps([search(found), search(hits(2))]).encode(), progress=False)
    assert len(traces.spans) == 2
    assert traces.issues["code"].tolist().count("FORMAT_UNKNOWN") == 1


def test_a_document_that_is_cut_off_keeps_the_hits_before():
    data = json.dumps(search(hits(9)), indent=1).encode()
    traces = read(data[: data.index(b'"_id": "7"')], progress=False)
    assert (len(traces.spans), traces.sources["complete"].tolist()) == (6, [False])


def test_a_span_may_have_an_object_called_hits():
    traces = load(ELASTIC | {"hits": {"a": 1}})
    assert traces.spans["span_id"].tolist() == [ELASTIC["spanID"]]
