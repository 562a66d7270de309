"""The compiled lane of Zipkin takes what the Python lane takes, and gives the same."""

import json

import pytest
from loading.native.compared import EXPORTS, differ, narrow
from loading.zipkin.mutated_spans import CORPUS, RICH, V1, V1_BOTH
from loading.zipkin.test_zipkin import SPANS, span, values

from tracekit.loading import dispatch, native, read, reading
from tracekit.loading.records import JsonPull
from tracekit.loading.zipkin import compiled, loader

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

EXPORTED = sorted(EXPORTS.glob("zipkin*.json"))


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

    loaders = dispatch.formats.LOADERS
    changed = [one if one.name != "zipkin" else loader.Loader(**{**vars(one), "load": load}) for one in loaders]
    monkeypatch.setattr(dispatch.formats, "LOADERS", tuple(changed))
    monkeypatch.setenv(native.SWITCH, "compiled")
    return given


TAKEN = {
    "everything": RICH,
    "a span": SPANS[0],
    "a list": SPANS,
    "lists in a list": [SPANS, [], [RICH[0]]],
    "an error with a text": span(1, tags={"error": 'the "disk" is full'}),
    "no kind": span(1, annotations=[{"timestamp": 5, "value": "retry"}]),
    "no end": span(1, duration=None),
    "a client's address": span(1, kind="SERVER", remoteEndpoint={"ipv4": "10.0.0.1", "ipv6": "::1", "port": 5}),
    "v1": V1,
    "v1 by its annotations": {k: v for k, v in V1.items() if k != "binaryAnnotations"},
    "both halves of a call in v1": V1_BOTH,
    "v1 and v2": [V1, RICH[0], V1_BOTH],
    "v1 without a call": V1 | {"timestamp": 5, "annotations": [], "binaryAnnotations": [{"key": "lc", "value": ""}]},
    "v1 by an address": V1
    | {
        "timestamp": 5,
        "annotations": None,
        "binaryAnnotations": [{"key": "ca", "value": True, "endpoint": {"serviceName": "web"}}],
    },
    "an endpoint beside a kind": span(
        1, kind="CLIENT", annotations=[{"timestamp": 5, "value": "x", "endpoint": {"ipv4": "1.1.1.1"}}]
    ),
    "members that are null": span(
        1, parentId=None, kind=None, tags=None, annotations=None, remoteEndpoint=None, shared=None
    ),
}
ODD = {
    "v1 with the endpoint of v2": span(1, annotations=[{"timestamp": 5, "value": "sr"}]),
    "v1 with a number as tag": V1 | {"binaryAnnotations": [{"key": "n", "value": 5}]},
    "v1 with a tag twice": V1 | {"binaryAnnotations": [{"key": "n", "value": "x"}] * 2},
    "v1 that begins twice": V1 | {"annotations": V1["annotations"] * 2},
    "v1 that ends before it begins": V1
    | {"annotations": [{"timestamp": 9, "value": "cs"}, {"timestamp": 5, "value": "cr"}]},
    "v1 without a time": V1 | {"annotations": []} | {"duration": 5},
    "v1 with an address of no half": V1
    | {"binaryAnnotations": [{"key": "ca", "value": True, "endpoint": {"serviceName": "web"}}]},
    "an id that is not hex": span(1, id="x"),
    "a tag that is a number": span(1, tags={"n": 5}),
    "a kind twice": span(1, kind="CLIENT", tags={"span.kind": "server"}),
    "an unknown kind": span(1, kind="WRONG"),
    "an unknown member": span(1, more=1),
    "a time as text": span(1, timestamp="2024-01-01"),
    "debug": span(1, debug=True),
    "a port as text": span(1, localEndpoint={"port": "80"}),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_zipkin_writes_is_taken(name, careful):
    data = lines(TAKEN[name], span(4))
    assert len(read(data, progress=False).spans) >= 2
    assert careful == []
    assert not differ(data)


def test_lines_are_read_at_once_or_line_by_line(monkeypatch):
    taken = []
    real = compiled.Scanner.scan_whole
    monkeypatch.setattr(
        compiled.Scanner, "scan_whole", lambda self, lines: taken.append(real(self, lines)) or taken[-1]
    )
    monkeypatch.setenv(native.SWITCH, "compiled")
    whole = lines(*(span(n) for n in range(1, 9)))
    short = whole.replace(b'"traceId": "', b'"traceId": "1', 1)
    for data, is_whole in ((whole, True), (b"\n" + whole, False), (whole + b" \n", False), (whole + b"[]\n", False)):
        taken.clear()
        read(data, progress=False)
        assert taken == [is_whole]
        assert not differ(data)
    assert not differ(short)
    assert not differ(b"  " + whole[:-1])


@pytest.mark.parametrize("name", ODD)
def test_one_oddity_hands_back_its_own_line_only(name, careful):
    data = lines(span(5), ODD[name], span(6))
    read(data, progress=False)
    assert careful == [2]
    assert not differ(data)


def test_the_same_tag_twice_is_handed_back(careful):
    odd = lines(span(1, tags={"k": "v"})).replace(b'{"k": "v"}', b'{"k": "v", "k": "w"}')
    traces = read(lines(span(2)) + odd, progress=False)
    assert careful == [2]
    assert values(traces) == {"k": "w"}


@pytest.mark.skipif(not EXPORTED, reason="the folder shared/data/exports is not beside the repository")
def test_exports():
    for path in EXPORTED:
        assert not differ(path), path.name
    assert not differ(EXPORTED)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [700, 1 << 20])
def test_one_list(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    spans = [span(n, name=f"caf\u00e9 {n}") for n in range(1, 60)]
    spans[3:3] = [7, {}, *ODD.values(), SPANS, [], {"Traces": [span(1)]}]
    data = json.dumps(spans, indent=indent, ensure_ascii=False).encode()
    made = read(data, progress=False)
    assert made.sources["record_count"].tolist() == [len(spans)]
    assert len(ODD) <= len(careful) < len(spans)
    assert not differ(data, as_document=True)


def test_a_list_of_another_format_is_tried_seldom(monkeypatch):
    tried = []
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    monkeypatch.setattr(JsonPull, "run", lambda *_: bool(tried.append(1)))
    monkeypatch.setenv(native.SWITCH, "compiled")
    read(json.dumps([span(n, debug=True) for n in range(1, 200)]).encode(), progress=False)
    assert 1 < len(tried) <= 10


def test_every_shape_is_read_the_same():
    for record in CORPUS:
        assert not differ(record)
        assert not differ(record, as_document=True)


def test_the_extension_refuses_ends_outside_its_data():
    with pytest.raises(ValueError, match="expected ascending ends inside the data, found others"):
        native.extension.scan_zipkin(b"{}{}", (9).to_bytes(8, "little"))
