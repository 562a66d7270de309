"""Span documents of OpenSearch in the compiled lane: which are scanned, and that they are read like in Python."""

import json

import pytest
from loading.native.compared import differ, narrow
from loading.otlp.test_prepper import DOTTED, NESTED
from otlp_made import line, lines, pretty, request, span

from tracekit.loading import native, read
from tracekit.loading.building.builder import Builder
from tracekit.loading.documents import DocumentReader
from tracekit.loading.otlp.prepper_compiled import Scanner
from tracekit.loading.records import Lines

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

HIT = {"_index": "otel-v1-apm-span-000006", "_id": "1", "_source": NESTED}
SEARCH = {"took": 1, "timed_out": False, "hits": {"total": {"value": 2}, "hits": [HIT, HIT | {"_source": DOTTED}]}}


def scanned(data):
    """Return how many spans of some lines are scanned, and how many lines are handed back."""
    builder = Builder()
    builder.open_source("here")
    rest = list(Scanner(builder, native.extension).scan(Lines(data, 1, 0)))
    return builder.span_count, len(rest)


def document(number, **members):
    """Return a document with an id of its own."""
    return NESTED | {"spanId": f"{number:016x}"} | members


def dotted(number, own, **members):
    """Return a document with other attributes of its resource."""
    made = {key: one for key, one in DOTTED.items() if not key.startswith("resource.")}
    return made | {"spanId": f"{number:016x}"} | {f"resource.attributes.{key}": own[key] for key in own} | members


@pytest.mark.parametrize(
    ("record", "spans"),
    [(DOTTED, 1), (NESTED, 1), (HIT, 1), ([HIT, DOTTED], 2), (SEARCH, 2), ({"hits": {"hits": [NESTED]}}, 1)],
)
def test_documents_are_scanned_in_every_shape_of_a_line(record, spans):
    data = lines(record, request(span()), record)
    assert scanned(data) == (2 * spans + 1, 0)
    assert not differ(data)


@pytest.mark.parametrize(
    "odd",
    [
        *({"startTime": "2021-05-18T18:58:44"}, {"startTime": "2023-02-29T00:00:00Z"}, {"endTime": 5}, {"kind": "odd"}),
        *({"traceId": "0" * 32}, {"time": "now"}, {"status.code": 1}, {"": "x"}),
        *({"unknown": 1}, {"attributes": {"opensearch.traceGroup": "twice"}}, {"attributes.http@method": "twice"}),
        *({"events": [{"time": "2021-05-18T18:58:44Z", "timeUnixNano": "5"}]}, {"resource.attributes.": {"a": 1}}),
        *({"{.a": 1}, {"serviceName": None}, {"scope": {"name": "x"}}),
    ],
    ids=str,
)
def test_what_has_to_be_decided_is_handed_back(odd):
    data = lines(document(1), document(2, **odd), document(3))
    assert scanned(data) == (2, 1)
    assert not differ(data)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"process@pid": 1}, {"process@pid": 12}),
        ({"process@pid": 1, "a": "x"}, {"process@pid": 1, "a": "xy"}),
        ({"a": "x", "process@pid": 1}, {"a": "x", "process@pid": 1.5}),
        ({"a": "x", "b": True}, {"a": "x", "b": True, "c": None}),
        ({"a": "x", "service@name": "y"}, {"service@name": "y", "a": "x"}),
        ({"a": {"b": 1}}, {"a": {"b": 10}}),
    ],
)
def test_a_resource_that_begins_like_another_is_its_own(first, second):
    data = lines(*(dotted(n, own) for n, own in enumerate([first, second, first, second], 1)))
    assert scanned(data) == (4, 0)
    for owned in (first, second):
        traces = read(lines(dotted(1, owned)), progress=False)
        assert not differ(lines(dotted(1, owned)))
        assert len(traces.columns.resources) == 1
    assert not differ(data)


def test_the_name_of_a_service_has_the_place_of_the_first_and_the_value_of_the_last():
    own = {"attributes": {"host.name": "h", "service.name": "nested"}}
    made = [document(1, resource=own), dotted(2, {"host@name": "h", "service@name": "own"})]
    assert scanned(lines(*made)) == (2, 0)
    assert not differ(lines(made[0]))
    assert not differ(lines(made[1]))
    assert read(lines(*made), progress=False).spans["service_name"].tolist() == ["nested", "own"]


VALUES = {
    "text": ["GET", "", 'q"t', "é", "a\\b"],
    "number": [1, 12, -3, 0, 10**17, 2**63 - 1, 2**63, 1.5, 1e300],
    "mixed": ["GET", 1, 1.5, True, None, "GET", {"a": 1}, [1]],
    "list": [[], ["a", 1, None], [1.5], [["a"]], [[[[[1]]]]], ['q"t']],
    "map": [{}, {"b": 1, "a": [True]}, {"a": {"é": "ü", "b": -1}}, {"a": 1.5}, {"a": 10**18}, {"": 1}],
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("own", ["attributes", "span.attributes.k@y", "opensearch"])
def test_values_of_attributes(kind, own):
    value_of = {"attributes": lambda one: {"attributes": {"k.y": one}}, "opensearch": lambda one: {"k.y": one}}
    place = value_of.get(own, lambda one: {own: one})
    plain = {key: one for key, one in NESTED.items() if key != "attributes"}
    made = [plain | {"spanId": f"{n:016x}"} | place(one) for n, one in enumerate(VALUES[kind] * 2, 1)]
    data = b"\n".join(json.dumps(one, ensure_ascii=False).encode() for one in made)
    assert scanned(data)[0] >= len(made) - 2
    assert not differ(data)


def test_maps_are_kept_as_the_python_lane_keeps_them():
    fields = {"statusCode": 0, "endTime": "2021-05-18T18:58:44.983Z", "a": [{"z": None, "b": True}]}
    traces = read(pretty(document(1, traceGroupFields=fields)), progress=False)
    text = '{"a":[{"b":true,"z":null}],"endTime":"2021-05-18T18:58:44.983Z","statusCode":0}'
    assert traces.attribute("opensearch.traceGroupFields").tolist() == [text]


def test_a_map_with_a_name_twice_has_the_last_value():
    data = line(document(1, traceGroupFields={"x": 1})).replace(b'"x": 1', b'"x": 1, "x": 2')
    assert scanned(data) == (1, 0)
    assert read(data, progress=False).attribute("opensearch.traceGroupFields").tolist() == ['{"x":2}']


@pytest.mark.parametrize("window", [300, 5000])
def test_documents_in_a_list_and_one_after_the_other(window, monkeypatch):
    made = [document(n) if n % 3 else dotted(n, {"process@pid": n % 2}) for n in range(1, 40)]
    made[20] |= {"status.code": 7}
    narrow(monkeypatch, window)
    assert not differ(pretty(made), as_document=True)
    assert not differ(b"\n".join(map(pretty, made)), as_document=True)


@pytest.mark.parametrize("window", [300, 5000])
def test_an_indented_answer_of_a_search_is_read_hit_by_hit(window, monkeypatch):
    made = [document(n) if n % 3 else dotted(n, {"process@pid": n % 2}) for n in range(1, 40)]
    made[20] |= {"status.code": 7}
    answer = {"took": 1, "hits": {"total": {"value": 39}, "hits": [HIT | {"_source": one} for one in made]}}
    narrow(monkeypatch, window)
    assert not differ(pretty(answer), as_document=True)
    assert "opensearch_hits=39" in read(pretty(answer), progress=False).sources["dialects"].iloc[0]


def test_the_hits_of_an_indented_answer_are_scanned(monkeypatch):
    one_by_one = []
    monkeypatch.setattr(DocumentReader, "load_item", lambda *given: one_by_one.append(given))
    monkeypatch.setenv(native.SWITCH, "compiled")
    answer = {
        "took": 1,
        "hits": {"total": {"value": 9}, "hits": [HIT | {"_source": document(n)} for n in range(1, 10)]},
    }
    assert len(read(pretty(answer), progress=False).columns.spans) == 9
    assert not one_by_one
