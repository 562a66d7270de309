"""Many lines of X-Ray at once mean exactly what each means alone: same spans, same order, same remarks."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading import read
from tracekit.loading.formats import LOADERS
from tracekit.loading.xray import blocks as xray_blocks
from tracekit.loading.xray import fast as xray_fast
from tracekit.loading.xray.segment import Part, exact_times
from tracekit.loading.xray.times import nanoseconds
from tracekit.loading.xray.tree import DEEPEST, flat
from tracekit.pull.folder import read_lines

pytestmark = pytest.mark.usefixtures("lane")  # every test in both lanes

RECORDING = Path(__file__).parents[3] / "datasets" / "checkout-xray" / "traces.jsonl.zst"
TRACE = "1-58406520-a006649127e371903a2de979"
OTHER = "1-58406520-a006649127e371903a2de97a"
TABLES = ("spans", "attributes", "events", "links", "resources", "scopes", "sources", "issues", "summary")


def careful(data, **options):
    """Read line by line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tracekit.loading.formats.LOADERS", tuple(replace(loader, scanner=None) for loader in LOADERS))
        return read(data, **options)


def same(data, **options):
    """Read both ways, compare everything, and return what was read."""
    scanner, slow = read(data, **options), careful(data, **options)
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(scanner, table), getattr(slow, table), check_categorical=False, obj=table)
    [counts] = (
        scanner.sources[["span_count", "accepted_count", "merged_count", "quarantined_count"]].to_numpy().tolist()
    )
    assert counts[0] == sum(counts[1:])
    return scanner


def alone(monkeypatch):
    """Return the list of the lines that go the careful way from here on."""
    went = []
    real = xray_fast.Scanner._read_tolerantly
    monkeypatch.setattr(
        xray_fast.Scanner, "_read_tolerantly", lambda self, line: (went.append(line.at.record), real(self, line))
    )
    return went


def segment(number=1, **members):
    times = {"start_time": 1480615200.01, "end_time": 1480615200.5}
    return {"id": f"{number:016x}", "name": "shop", **times, **members}


def line(*documents, trace=TRACE, **members):
    entries = [
        document if "Document" in document else {"Id": document["id"], "Document": json.dumps(document)}
        for document in documents
    ]
    return json.dumps({"Traces": [{"Id": trace, "Segments": entries}], **members}).encode() + b"\n"


# ---------------------------------------------------------------------- laws

TEXTS = st.sampled_from(["", "shop", "cart", "\u00e9\U0001f600", '"}\\', "\n", "opentelemetry"])
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats(0, 9)
    | TEXTS
    | st.lists(st.integers(0, 3), max_size=2)
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "otel.resource.host.name", "xray"]), VALUES, max_size=2)
AWS = st.fixed_dictionaries(
    {},
    optional={
        "operation": st.sampled_from(["GetItem", "Put"]),
        "request_id": st.sampled_from(["R1", "", "R\u00e9", 'R"', None, 7]),
        "table_name": st.just("users"),
        "table_names": st.just(["users"]),
        "nested": st.fixed_dictionaries({}, optional={"request_id": st.just("R2")}),
        "ec2": st.just({"instance_id": "i-1"}),
        "xray": st.sampled_from([{"sdk": "opentelemetry"}, {"sdk": "X-Ray for Go"}]),
    },
)
HTTP = st.fixed_dictionaries({}, optional={"request": st.just({"method": "GET"}), "response": st.just({"status": 404})})
EXCEPTIONS = st.lists(
    st.fixed_dictionaries({}, optional={"id": st.sampled_from(["e1", "e2"]), "type": TEXTS, "cause": st.just("e3")}),
    max_size=2,
)
CAUSES = st.sampled_from(["e1", "e2", "e9", ""]) | st.fixed_dictionaries(
    {"exceptions": EXCEPTIONS}, optional={"paths": VALUES}
)
LINKS = st.lists(st.just({"trace_id": OTHER, "id": "c" * 16, "attributes": {"kind": "x"}}) | st.none(), max_size=2)
TIMES = st.floats(1.4e9, 1.9e9)
IDS = st.integers(1, 40).map("{:016x}".format)
MEMBERS = {
    "namespace": st.sampled_from(["aws", "remote", "local", None, ""]),
    "in_progress": st.booleans(),
    "inferred": st.booleans(),
    "error": st.booleans(),
    "fault": st.booleans(),
    "throttle": st.booleans(),
    "http": HTTP,
    "aws": AWS,
    "annotations": OBJECTS,
    "metadata": st.fixed_dictionaries({}, optional={"default": OBJECTS, "own": OBJECTS, "flat": VALUES}),
    "cause": CAUSES,
    "sql": st.fixed_dictionaries({}, optional={"url": st.just("postgresql://u:p@db/shop"), "user": TEXTS}),
    "links": LINKS,
    "user": TEXTS,
    "precursor_ids": st.just(["a"]),
    "traced": st.booleans(),
}
ODD = {  # each of these sends its line the careful way
    "id": st.sampled_from(["", "zz", "0" * 16]),
    "trace_id": st.sampled_from([OTHER, "x"]),
    "parent_id": st.sampled_from(["zz", "0x" + "1" * 16, "0" * 16]),
    "type": st.sampled_from(["segment", "super"]),
    "namespace": st.just("gcp"),
    "start_time": st.sampled_from([None, "2016-12-01T18:00:00Z", "1480615200.1", -1, 1e300, 1480615200010]),
    "end_time": st.sampled_from([None, 1.0, "x", [1, 2]]),
    "http": st.sampled_from(["GET", [1]]),
    "aws": st.just("us-east-1"),
    "cause": st.sampled_from([7, [1]]),
    "links": st.just([{"trace_id": "x"}]),
    "colour": st.just(3),
    "subsegments": st.sampled_from([[7], "none"]),
}


def documents(*, is_root):
    """Documents: one oddness among many at the most."""
    base = {"id": IDS, "name": TEXTS, "start_time": TIMES, "end_time": TIMES}
    more = {
        "origin": st.sampled_from(["AWS::Lambda::Function", "AWS::EC2::Instance"]),
        "service": st.just({"version": "2"}),
    }
    more |= {"trace_id": st.just(TRACE), "parent_id": IDS, "type": st.sampled_from([None, "segment", "subsegment"])}
    own = more if is_root else {"type": st.just("subsegment"), "trace_id": st.just(TRACE)}
    return st.fixed_dictionaries(base, optional=own | MEMBERS)


@st.composite
def trees(draw, *, oddness):
    """A document with subsegments in it, and perhaps something odd somewhere."""
    root = draw(documents(is_root=True))
    parts = [root]
    for child in draw(st.lists(documents(is_root=False), max_size=4)):
        parent = draw(st.sampled_from(parts))
        parent.setdefault("subsegments", []).append(child)
        if draw(st.booleans()):
            child["parent_id"] = parent["id"]
        parts.append(child)
    for part in parts:
        if part.get("in_progress") and draw(st.booleans()):
            del part["end_time"]
    if not draw(st.integers(0, oddness)):
        draw(st.sampled_from(parts)).update(
            draw(st.sampled_from(sorted(ODD)).flatmap(lambda key: st.fixed_dictionaries({key: ODD[key]})))
        )
    return root


def lines_of(roots):
    """An answer; an entry names its document, or nothing."""
    answers = st.fixed_dictionaries(
        {
            "roots": st.lists(roots, max_size=3),
            "is_named": st.booleans(),
            "trace": st.sampled_from([TRACE] * 9 + ["x"]),
        },
    )
    more = st.fixed_dictionaries(
        {},
        optional={"UnprocessedTraceIds": st.lists(st.just(OTHER), max_size=1), "NextToken": st.none() | st.just("t")},
    )

    def made(answer, further):
        entries = [
            {"Id": root["id"] if answer["is_named"] else "", "Document": json.dumps(root)} for root in answer["roots"]
        ]
        return line(*entries, trace=answer["trace"], **further)

    return st.builds(made, answers, more)


@settings(max_examples=40, deadline=None)
@given(st.lists(lines_of(trees(oddness=6)), min_size=1, max_size=5))
def test_many_lines_mean_what_each_means_alone(made):
    same(b"".join(made), time_unit="ns")


@settings(max_examples=25, deadline=None)
@given(st.lists(lines_of(trees(oddness=50)), min_size=2, max_size=4), st.data())
def test_damaged_lines_cost_neither_more_nor_less(made, data):
    text = bytearray(b"".join(made))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, 2))
        text[at : at + cut] = data.draw(st.binary(max_size=2))
    same(line(segment(99)) + bytes(text), time_unit="ns")


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(
    st.integers(1_000_000_000_000_000_000, 9_223_372_035_999_999_999),
    st.integers(0, 9),
    st.sampled_from(["{}", "exponent"]),
)
def test_times_are_those_of_exact_decimals(count, digits, spelling):
    seconds = Decimal(count - count % 10 ** (9 - digits)).scaleb(-9)
    text = f"{seconds:.{digits}f}"
    if spelling == "exponent":
        text = f"{text[0]}.{text[1:].replace('.', '')}E9"
    exact = exact_times(Decimal(text), Decimal(text))
    assert nanoseconds([text.encode(), b"1480615200"]).tolist() == [exact[0], 1_480_615_200_000_000_000]


@pytest.mark.parametrize(
    "text",
    [
        "-1480615200",
        "999999999.5",
        "14806152000",
        "9300000000.1",
        "1480615200.1234567891",
        "1.4806152E9",
        "null",
        '"x"',
        "1.5",
        "[1,\n2]",
        "1e9999999",
    ],
)
def test_times_that_are_spelled_otherwise_are_refused(text):
    with pytest.raises(ValueError, match="expected"):
        nanoseconds([b"1480615200.5", text.encode()])


def test_floats_of_seconds_are_read_digit_by_digit():
    texts = [repr(value) for value in np.linspace(1.4e9, 1.9e9, 5000).tolist()]
    assert nanoseconds([text.encode() for text in texts]).tolist() == [int(Decimal(text) * 10**9) for text in texts]


# ---------------------------------------------------------------------- what is taken, and in which order


def test_the_recording_is_taken_whole_and_means_the_same(monkeypatch):
    data = b"".join(read_lines(RECORDING))
    went = alone(monkeypatch)
    traces = same(data)
    assert went == []
    assert traces.sources["format"].tolist() == ["xray"]
    assert len(traces.spans) > 3_000


PLAIN = {
    "an exponent": segment(start_time=1.480615200010e9),
    "in progress, without an end": {k: v for k, v in segment(in_progress=True).items() if k != "end_time"},
    "an end before the start": segment(end_time=1480615199.5),
    "a subsegment alone": segment(type="subsegment", parent_id="00000000000000b2", trace_id=TRACE),
    "exceptions elsewhere": segment(
        cause="e1", subsegments=[segment(2, cause={"exceptions": [{"id": "e1", "type": "T"}]})]
    ),
    "links": segment(links=[{"trace_id": OTHER, "id": "c" * 16}]),
    "opentelemetry": segment(
        metadata={"default": {"otel.resource.host.name": "h", "k": 1}},
        subsegments=[segment(2, metadata={"default": {"k": 2}})],
    ),
    "a request id": segment(
        subsegments=[segment(2, namespace="aws", aws={"operation": "Get", "request_id": "R1", "region": "x"})]
    ),
    "a request id inside a member": segment(subsegments=[segment(2, aws={"inner": {"request_id": "R1"}})]),
    "a request id and tables": segment(subsegments=[segment(2, aws={"table_names": ["t"], "request_id": "R1"})]),
    "no blocks": segment(http=None, annotations=None),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_sdks_write_is_taken_at_once(name, monkeypatch):
    went = alone(monkeypatch)
    same(line(PLAIN[name]) + line(segment(7)))
    assert went == []


DEEP = segment(metadata={"x": "DEEP"})
AT_BOUND = segment()
for _ in range(DEEPEST + 1):
    AT_BOUND = segment(subsegments=[AT_BOUND])
ALONE = {
    "a name that is no text": segment(name=7),
    "an unknown member": segment(colour=3),
    "no end": {k: v for k, v in segment().items() if k != "end_time"},
    "another trace": segment(trace_id=OTHER),
    "a subsegment of another parent": segment(subsegments=[segment(2, parent_id="0" * 15 + "9")]),
    "a subsegment of another trace": segment(subsegments=[segment(2, trace_id=OTHER)]),
    "a subsegment with an origin": segment(subsegments=[segment(2, origin="AWS::EC2::Instance")]),
    "a short id": segment() | {"id": "a1"},
    "zeros": segment() | {"id": "0" * 16},
    "a parent that is none": segment(parent_id="0" * 16),
    "an unknown namespace": segment(namespace="gcp"),
    "an unknown type": segment(type="super"),
    "a block that is no object": segment(http="GET"),
    "a call's block that is no object": segment(subsegments=[segment(2, aws=[1])]),
    "a resource that is no object": segment(service="4.0"),
    "a link that is none": segment(links=[{"id": "x"}]),
    "a cause that is none": segment(cause=7),
    "milliseconds": segment(start_time=1480615200010),
    "an integer of 5,000 digits": json.dumps(segment(annotations={"k": "N"})).replace('"N"', "9" * 5000),
    "a block 150 levels deep": json.dumps(DEEP).replace('"DEEP"', "[" * 150 + "]" * 150),
    "a block 300 levels deep": json.dumps(DEEP).replace('"DEEP"', "[" * 300 + "]" * 300),
    "subsegments too deep": AT_BOUND,
    "a document that is cut": '{"id":"00000000000000a1","name":',
}


@pytest.mark.parametrize("name", ALONE)
def test_records_of_another_shape_are_read_alone_in_their_order(name, monkeypatch):
    odd = ALONE[name]
    document = odd if isinstance(odd, str) else json.dumps(odd)
    entry = {"Id": "", "Document": document}
    went = alone(monkeypatch)
    same(line(segment(5)) + line(segment(6), entry) + line(segment(7), segment(6, name="again")))
    assert went == [2], "the lines around it are taken"


def test_the_entry_and_the_trace_decide(monkeypatch):
    went = alone(monkeypatch)
    text = json.dumps(segment(5))
    same(
        line({"Id": "00000000000000ff", "Document": text})
        + line({"Id": "", "Document": text}, trace="x")
        + line(segment(8))
    )
    assert went == [1, 2]


def test_lines_of_any_other_shape_keep_their_position():
    bare = json.dumps(segment(3, trace_id=TRACE, name="bare")).encode() + b"\n"
    data = line(segment(3, name="first")) + bare + line(segment(3, name="third")) + b"noise\n" + line(segment(4))
    traces = same(data)
    assert traces.spans["name"].tolist() == ["first", "bare", "third", "shop"]
    assert traces.sources["quarantined_count"].tolist() == [1]


def test_lines_of_many_megabytes_are_taken_in_pieces(monkeypatch):
    monkeypatch.setattr(xray_fast, "AT_ONCE", 2000)
    went = alone(monkeypatch)
    traces = same(b"".join(line(segment(number, annotations={"n": number})) for number in range(1, 60)))
    assert (len(traces.spans), went) == (59, [])


def test_blocks_that_were_forgotten_are_opened_again(monkeypatch):
    monkeypatch.setattr(xray_blocks, "BLOCKS_KEPT", 1)
    went = alone(monkeypatch)
    parts = [
        segment(n, name=f"n{n}", http={"response": {"status": n % 2}}, annotations={"a": n % 3}) for n in range(2, 8)
    ]
    calls = [segment(n, aws={"operation": f"op{n % 2}", "request_id": f"R{n}"}) for n in range(8, 12)]
    same(line(segment(1, subsegments=parts + calls)) + line(segment(20, name="cart", service={"version": "1"})))
    assert went == []


def test_levels_come_in_the_order_of_the_documents():
    leaf = Part("4", "leaf")
    roots = [Part("1", "a", subsegments=[Part("2", "b"), Part("3", "c", subsegments=[leaf])]), Part("5", "d")]
    tree = flat(roots)
    assert "".join(part.id for part in tree.parts) == "12345"
    assert tree.above.tolist() == [-1, 0, 0, 2, -1]
    chain = leaf
    for _ in range(DEEPEST + 1):
        chain = Part("6", "e", subsegments=[chain])
    with pytest.raises(ValueError, match="nest less deep"):
        flat([chain])
