"""The compiled lane of X-Ray takes segment documents outside of answers, and gives the same as the Python lane."""

import json

import pytest
from loading.native.compared import narrow
from loading.xray import mutated_documents
from loading.xray.test_compiled import same
from loading.xray.test_fast import ALONE, PLAIN, TRACE, segment

from tracekit.loading import native, read, reading
from tracekit.loading.records import JsonPull
from tracekit.loading.xray import compiled, loader

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

DOCUMENTS = mutated_documents.DOCUMENTS
COUNT = len(DOCUMENTS)


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def own(number, **members):
    """A document that names its trace."""
    return segment(number, trace_id=TRACE, **members)


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


SHAPES = {
    "documents": (DOCUMENTS, f"segment_documents={COUNT}"),
    "a list on a line": ([DOCUMENTS, own(5)], f"segment_documents={COUNT + 1}"),
    "what the daemon receives": (
        [one for document in DOCUMENTS for one in (mutated_documents.HEADER, document)],
        f"daemon={COUNT} segment_documents={COUNT}",
    ),
    "bodies of PutTraceSegments": (
        [{"TraceSegmentDocuments": list(map(json.dumps, DOCUMENTS))}, {"TraceSegmentDocuments": []}],
        "put_trace_segments=2",
    ),
    "objects in traces": (
        [{"Id": TRACE, "Segments": [{"Id": "", "Document": one} for one in DOCUMENTS]}],
        f"document_objects={COUNT}",
    ),
    "texts in retrieved traces": ([{"Id": TRACE, "Spans": [{"Id": "", "Document": json.dumps(own(5))}]}], ""),
}


@pytest.mark.parametrize("name", SHAPES)
def test_other_shapes_are_taken(name, careful):
    records, dialects = SHAPES[name]
    traces = same(lines(*records))
    python, careful[:] = len(careful), []
    assert python == len(records)  # what ``same`` read in the other lane
    assert read(lines(*records), progress=False).sources["dialects"].tolist() == [dialects]
    assert careful == []
    assert len(traces.spans)


def test_shapes_may_be_mixed(careful):
    data = lines(*(record for records, _ in SHAPES.values() for record in records[:2]), *PLAIN.values())
    read(data, progress=False)
    assert careful[0] > 2 * len(SHAPES) - 2  # only those without a trace
    same(data)


@pytest.mark.parametrize(
    "odd",
    [
        *(one | {"trace_id": TRACE} for one in ALONE.values() if isinstance(one, dict)),
        segment(3),
        own(3) | {"trace_id": "x"},
        [own(3), 7],
        [],
        {"format": "json", "version": "1"},
        {"TraceSegmentDocuments": [own(3)]},
        own(3, aws={"xray": {"sdk": "openTelemetry"}}, metadata={"a": '\\u0022"'}),
    ],
    ids=str,
)
def test_one_oddity_hands_back_its_own_line_only(odd, careful):
    data = lines(own(5), odd, own(6, cause="e1"), own(7)).replace(b"openTelemetry", b"open\\u0054elemetry")
    read(data, progress=False)
    assert careful in ([2], [])  # a list without items is of no format
    same(data)
    same(data.replace(b"\n", b"\n\n"))


@pytest.mark.parametrize("window", [700, 1 << 20])
@pytest.mark.parametrize("shape", ["[%s]", "%s"])
def test_one_document(shape, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    some = [*DOCUMENTS, own(3, colour=3), *(own(n) for n in range(20, 60))]
    between = "," if shape == "[%s]" else "\n"
    data = (shape % between.join(json.dumps(one, indent=1) for one in some)).encode()
    made = same(data, time_unit="ns")
    assert made.sources["record_count"].tolist() == [len(some)]
    careful.clear()
    read(data, progress=False, time_unit="ns")
    assert 1 <= len(careful) < len(some) / (1 if window == 700 else 8)


def test_irregular_documents_do_not_keep_others_from_the_compiled_lane(careful, monkeypatch):
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    some = [own(n, **({"http": "GET"} if n == 40 else {})) for n in range(1, 60)]
    data = json.dumps(some).encode()
    same(data)
    careful.clear()
    read(data, progress=False)
    assert len(careful) < 20


def test_the_items_of_other_lists_are_not_scanned_for_documents(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "compiled")
    asked = []
    real = JsonPull.run
    monkeypatch.setattr(JsonPull, "run", lambda *given: (found := real(*given), asked.append(found))[0])
    monkeypatch.setattr(compiled.Scanner, "_items", None)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    span = {"traceId": "a" * 32, "id": "b" * 16, "timestamp": 1_700_000_000_000_000, "duration": 5}
    read(json.dumps([span | {"tags": {"start_time": "5"}}] * 3).encode(), progress=False)
    assert asked == [True]


def test_words_are_found_however_they_are_written():
    function = own(3, origin="AWS::Lambda::Function", subsegments=[segment(4, name="Initialization")])
    spelled = lines(function).replace(b"Initialization", b"Initializat\\u0069on").replace(b"Lambda", b"\\u004cambda")
    traces = same(lines(function) + spelled.replace(b"0003", b"0005").replace(b"0004", b"0006"))
    assert traces.attributes["key"].tolist().count("faas.coldstart") == 2


def test_mutated_documents_are_read_alike_in_both_lanes(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "")
    assert mutated_documents.main(0, 1000) == 0
