"""The compiled lane of Jaeger takes what the Python lane takes, and gives the same."""

import json

import pytest
from loading.jaeger.mutated_answers import CORPUS, ELASTIC, HIT, OLD, RICH, SEARCH
from loading.jaeger.test_jaeger import SHAPES, TRACE, child_of, span, tag, trace
from loading.native.compared import EXPORTS, content_in, differ, narrow

from tracekit.loading import dispatch, native, read, reading
from tracekit.loading.jaeger import compiled, loader

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

FROM_ZERO = 5
EXPORTED = sorted(EXPORTS.glob("jaeger*.json")) + sorted(EXPORTS.glob("crisp*/*.json"))


def answer(*spans, **members):
    return {"data": [trace(*spans, **members)], "total": 0, "limit": 0, "offset": 0, "errors": None}


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture
def careful(monkeypatch):
    """The numbers of the records that the Python lane is given from here on."""
    given = []
    real = loader.load

    def load(value, at, builder):
        given.append(at.record)
        real(value, at, builder)

    changed = [one if one.name != "jaeger" else loader.Loader(**{**vars(one), "load": load}) for one in loader_list()]
    monkeypatch.setattr(dispatch.formats, "LOADERS", tuple(changed))
    monkeypatch.setenv(native.SWITCH, "compiled")
    return given


def loader_list():
    return dispatch.formats.LOADERS


TAKEN = {
    "everything": RICH,
    "64-bit trace ids": OLD,
    "an answer": SHAPES["answer"],
    "a trace": SHAPES["one trace"],
    "a list of traces": SHAPES["list of traces"],
    "what the UI holds": SHAPES["what the UI holds"],
    "members of the UI": answer(span(1, depth=1, hasChildren=False, relativeStartTime=0, childSpanIds=["2"])),
    "a text as error": answer(span(1, tags=[tag("error", "boom"), tag("span.kind", "client")])),
    "tags that only Python decodes": answer(span(1, tags=[tag("n", "7", "int64"), tag("b", "aGk=", "binary")])),
    "a document of Elasticsearch": ELASTIC,
    "a list of documents": [ELASTIC, HIT, trace(span(1))],
    "a hit": HIT,
    "an answer of Elasticsearch": SEARCH,
    "a page of a scroll": {"_scroll_id": "x", **SEARCH},
    "members in another order": dict(sorted(ELASTIC.items())),
    "a map that only Python decodes": ELASTIC | {"tag": {"l": [1], "z": None, "n": 2**63}},
    "a map in place of a list": ELASTIC | {"tags": None, "tag": {"span@kind": "client", "error": "boom", "a@b": 5}},
    "spans with their processes": SHAPES["list of spans"],
    "binary in base64": SHAPES["list of spans"][0] | {"tags": [tag("b", "aGk=", "binary")]},
    "a reference with its span": answer(span(1), span(2, references=[child_of(1) | {"span": {"spanID": "1"}}])),
}
ODD = {
    "ids that are not hex": answer(span(1, spanID="span-1")),
    "times from zero": answer(span(1, startTime=FROM_ZERO)),
    "no start": answer(span(1, startTime=None)),
    "a tag of the wrong type": answer(span(1, tags=[tag("n", "x", "int64")])),
    "an unknown kind": answer(span(1, tags=[tag("span.kind", "queue")])),
    "a warning": answer(span(1, warnings=["clock skew"])),
    "an unknown process": answer(span(1, processID="p7")),
    "a bad tag of a process": answer(span(1), processes={"p1": {"serviceName": "s", "tags": [5]}}),
    "binary in hex": ELASTIC | {"tags": [tag("b", "0a", "binary")]},
    "a document without a process": {key: one for key, one in ELASTIC.items() if key != "process"},
    "a bad tag of its process": ELASTIC | {"process": {"serviceName": "s", "tags": [5]}},
    "an unknown member": ELASTIC | {"more": 1},
    "an unknown member of a hit": HIT | {"more": 1},
    "a tag twice": ELASTIC | {"tag": {"span@kind": "server"}},
    "many tags": ELASTIC | {"tag": {f"k{n}": n for n in range(70)}},
    "another document in a hit": {"hits": {"hits": [HIT, HIT, HIT, {"_source": {"x": 1}}]}},
    "errors": {"data": [trace(span(1))], "errors": [{"msg": "x"}]},
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_jaeger_writes_is_taken(name, careful):
    data = lines(TAKEN[name], answer(span(4)))
    assert len(read(data, progress=False).spans) >= 2
    assert careful == []
    assert not differ(data)


@pytest.mark.parametrize("name", ODD)
def test_one_oddity_hands_back_its_own_line_only(name, careful):
    data = lines(answer(span(4)), ODD[name], answer(span(5)))
    read(data, progress=False)
    assert set(careful) == {2}
    assert not differ(data)


@pytest.mark.skipif(not EXPORTED, reason="the folder shared/data/exports is not beside the repository")
def test_exports():
    for path in EXPORTED:
        assert not differ(path), path.name
    assert not differ(EXPORTED)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [700, 1 << 20])
def test_one_document(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    traces = [trace(span(4, operationName=f"caf\u00e9 {n}"), traceID=f"{n:032x}") for n in range(1, 60)]
    traces[3:3] = [7, {"traceID": TRACE}, trace(span(1, spanID="x")), *SHAPES["list of spans"]]
    data = json.dumps({"data": traces, "total": 0}, indent=indent, ensure_ascii=False).encode()
    made = read(data, progress=False)
    assert made.sources["record_count"].tolist() == [len(traces)]
    assert 3 <= len(careful) < len(traces)
    assert not differ(data, as_document=True)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [700, 1 << 20])
def test_one_list(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    some = [ELASTIC | {"operationName": f"caf\u00e9 {n}"} for n in range(1, 60)]
    some[20:20] = [HIT, trace(span(1)), ELASTIC | {"spanID": "x"}, 7, ELASTIC | {"tag": {"n": "7"}}, answer(span(1))]
    some.insert(50, ELASTIC | {"process": {"serviceName": "s", "tags": [5]}})  # only Python sees that it is bad
    data = json.dumps(some, indent=indent, ensure_ascii=False).encode()
    made = read(data, progress=False)
    assert made.sources["record_count"].tolist() == [len(some)]
    assert 3 <= len(careful) < (len(some) if window == 700 else 12)
    assert not differ(data, as_document=True)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [700, 1 << 20])
def test_one_search(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    some = [HIT | {"_source": ELASTIC | {"operationName": f"caf\u00e9 {n}"}} for n in range(1, 60)]
    some[20:20] = [ELASTIC, trace(span(1)), HIT | {"more": 1}, 7, {"_source": {"x": 1}}, answer(span(1))]
    some.insert(50, HIT | {"_source": ELASTIC | {"process": {"serviceName": "s", "tags": [5]}}})
    data = json.dumps({"took": 5, "hits": {"total": 9, "hits": some}}, indent=indent, ensure_ascii=False).encode()
    made = read(data, progress=False)
    assert made.sources["record_count"].tolist() == [len(some)]
    assert made.sources["dialects"].tolist() == [f"elasticsearch_hits={len(some) - 3}"]
    assert 2 <= len(careful) < (len(some) if window == 700 else 12)
    assert not differ(data, as_document=True)


def test_lines_are_read_at_once_or_line_by_line(monkeypatch):
    taken = []
    real = compiled.Scanner.scan_whole
    monkeypatch.setattr(
        compiled.Scanner, "scan_whole", lambda self, lines: taken.append(real(self, lines)) or taken[-1]
    )
    monkeypatch.setenv(native.SWITCH, "compiled")
    whole = lines(*(ELASTIC | {"spanID": f"{n:016x}"} for n in range(1, 9)), HIT, SEARCH, RICH)
    bad = lines(ELASTIC | {"process": {"serviceName": "s", "tags": [5]}})
    for data, is_whole in ((whole, True), (b"\n" + whole, False), (whole + bad, False), (whole + b"[]\n", False)):
        taken.clear()
        read(data, progress=False)
        assert taken == [is_whole]
        assert not differ(data)
    assert read(whole, progress=False).sources["dialects"].tolist() == ["elasticsearch_hits=1 jaeger_api=1"]


@pytest.mark.parametrize("depth", [150, 190, 191, 192, 193, 194, 195, 198, 200, 205])
@pytest.mark.parametrize("as_document", [False, True])
def test_nesting_is_limited_as_in_the_python_lane(depth, as_document):
    value = json.loads("[" * depth + "]" * depth)
    assert not differ(
        lines(answer(span(1, tags=[{"key": "k", "value": value}])), answer(span(2))), as_document=as_document
    )


@pytest.mark.parametrize("exact", [False, True])
def test_numbers_of_a_document_that_mentions_x_ray(exact):
    tags = [tag("a", 1.50), tag("b", 2.50, "float64"), {"key": "c", "value": 0.1}, tag("d", 1e400, "float64")]
    data = json.dumps({"data": [trace(span(1, tags=tags)), trace(span(2))], "start_time" * exact: 1}).encode()
    assert not differ(data, as_document=True)


def test_a_number_whose_text_depends_on_the_source_is_handed_back(careful):
    odd = lines(answer(span(1, tags=[tag("n", 7)]))).replace(b'"value": 7', b'"value": 7.50')
    data = lines(answer(span(2))) + odd
    read(data, progress=False)
    assert careful == [2]
    assert not differ(data)


def test_lines_of_several_formats_are_read_in_their_order():
    zipkin = {"traceId": TRACE, "id": f"{1:016x}", "timestamp": 1, "duration": 5, "kind": "WRONG"}
    x_ray = {"Traces": [{"Id": "1-58406520-a006649127e371903a2de979", "Segments": [{"Id": "x", "Document": "{}"}]}]}
    records = [RICH, x_ray, answer(span(1, warnings=["w"])), zipkin, x_ray, OLD, 5, RICH, answer(span(1))]
    assert not differ(lines(*records))
    assert content_in("compiled", lines(*records)) == content_in("python", lines(*records))


def test_every_shape_is_read_the_same():
    for record in CORPUS:
        assert not differ(record)
        assert not differ(record, as_document=True)


def test_the_extension_refuses_ends_outside_its_data():
    for ends in ((2, 1), (1, 9), (-1, 2)):
        packed = b"".join(end.to_bytes(8, "little", signed=True) for end in ends)
        with pytest.raises(ValueError, match="expected ascending ends inside the data, found others"):
            native.extension.scan_jaeger(b"{}{}", packed)
    with pytest.raises(ValueError, match="expected the notation otlp, protobuf, jaeger or zipkin, found another"):
        native.extension.attributes("thrift")
