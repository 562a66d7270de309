"""The fast path takes what the specification says, exactly as the tolerant reader would, and hands back all else."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_made import START, TRACE, attribute, counts, ids, line, lines, request, resource, span, text, told

from tracekit.loading import ahead, read
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.formats import LOADERS
from tracekit.loading.opening.sources import expand
from tracekit.loading.otlp.fast import Scanner
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader
from tracekit.loading.records import Lines
from tracekit.loading.records.lines import line_chunks

pytestmark = pytest.mark.usefixtures("python_lane")

# ------------------------------------------------------------------ the same, both ways

HEX = "0123456789abcdefABCDEF"
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")  # NUL is worth a remark, and goes back
TEXTS = st.text(CHARACTERS, max_size=6) | st.sampled_from(["", "shop", "\u202egpj", "\U0001f600", '"\\', "\u2028"])
SCALARS = st.one_of(
    TEXTS.map(lambda value: {"stringValue": value}),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: {"intValue": str(value)}),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: {"intValue": value}),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: {"doubleValue": value}),
    st.sampled_from(["NaN", "Infinity", "-Infinity"]).map(lambda value: {"doubleValue": value}),
    st.booleans().map(lambda value: {"boolValue": value}),
    st.sampled_from(["", "AAEC", "/w=="]).map(lambda value: {"bytesValue": value}),
    st.just({}),
)


def containers(inner):
    pairs = st.lists(st.builds(attribute, st.text(CHARACTERS, min_size=1, max_size=3), inner), max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda values: {"arrayValue": {"values": values}}),
        pairs.map(lambda values: {"kvlistValue": {"values": values}}),
    )


ATTRIBUTES = st.lists(
    st.builds(
        attribute, st.sampled_from(["a", "b", "http.route", "\u00e9"]), st.recursive(SCALARS, containers, max_leaves=4)
    ),
    max_size=4,
)
U32 = st.integers(0, 2**32 - 1)
TIMES = st.integers(0, 2**63 - 1).map(str)
TRACE_IDS = st.text(HEX, min_size=32, max_size=32).filter(lambda digits: int(digits, 16))
SPAN_IDS = st.text(HEX, min_size=16, max_size=16).filter(lambda digits: int(digits, 16))


def members(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


EVENTS = members({}, {"timeUnixNano": TIMES, "name": TEXTS, "attributes": ATTRIBUTES, "droppedAttributesCount": U32})
LINKS = members(
    {"traceId": TRACE_IDS, "spanId": SPAN_IDS},
    {"traceState": TEXTS, "attributes": ATTRIBUTES, "droppedAttributesCount": U32, "flags": U32},
)
SPANS = members(
    {"traceId": TRACE_IDS, "spanId": SPAN_IDS, "startTimeUnixNano": TIMES, "endTimeUnixNano": TIMES},
    {
        "parentSpanId": SPAN_IDS | st.sampled_from(["", "0" * 16]),
        "name": TEXTS,
        "kind": st.integers(0, 5),
        "attributes": ATTRIBUTES,
        "events": st.lists(EVENTS, max_size=2),
        "links": st.lists(LINKS, max_size=2),
        "status": members({}, {"code": st.integers(0, 2), "message": TEXTS}) | st.none(),
        "flags": U32,
        "traceState": TEXTS,
        "droppedAttributesCount": U32,
        "droppedEventsCount": U32,
        "droppedLinksCount": U32,
    },
)
SCOPES = members({}, {"name": TEXTS, "version": TEXTS, "attributes": ATTRIBUTES, "droppedAttributesCount": U32})
RESOURCES = members({}, {"attributes": ATTRIBUTES, "droppedAttributesCount": U32})
GROUPS = members(
    {
        "scopeSpans": st.lists(
            members({"spans": st.lists(SPANS, max_size=3)}, {"scope": SCOPES, "schemaUrl": TEXTS}), max_size=2
        )
    },
    {"resource": RESOURCES, "schemaUrl": TEXTS},
)
REQUESTS = members({"resourceSpans": st.lists(GROUPS, max_size=2)}, {})


def tolerantly(data, time_unit=None):
    """Read without the scanners."""
    builder = Builder()
    loaders = [replace(loader, scanner=None) for loader in LOADERS]
    reader = SourceReader(builder, loaders, Meter(None, show=False))
    [source] = expand(data)
    reader.read(source)
    return to_trace_set(builder, time_unit)


def frames(traces):
    names = ("spans", "attributes", "events", "links", "resources", "scopes", "sources", "issues")
    return {name: getattr(traces, name) for name in names}


def same(one, other):
    for name, frame in frames(one).items():
        pd.testing.assert_frame_equal(frame, frames(other)[name], check_categorical=False, obj=name)


@settings(max_examples=40)
@given(st.lists(REQUESTS, min_size=1, max_size=4), st.booleans())
def test_lines_true_to_the_specification_mean_the_same_to_both_readers(records, is_ascii):
    made = [json.dumps(record, ensure_ascii=is_ascii).encode() for record in records]
    data = b"\n".join(made) + b"\n"
    builder = Builder()
    builder.open_source("fast")
    left = list(Scanner(builder).scan(Lines(data, 1, 0)))
    assert left == [], "the fast path takes them all"
    same(read(data, time_unit="ns"), tolerantly(data, "ns"))


# ------------------------------------------------------------------ what goes back


def scanned(*records):
    builder = Builder()
    builder.open_source("fast")
    left = list(Scanner(builder).scan(Lines(lines(*records), 1, 0)))
    return builder, left


DEEP = json.dumps(request(span(attributes=[attribute("k", "DEEP")]))).encode()
HANDED_BACK = {
    "snake case": request(span(parent_span_id="00f067aa0ba902b8")),
    "a member nobody knows": request(span(newField=5)),
    "a member of the request": {**request(span()), "batches": []},
    "legacy": request(span(), ilSpans=[]),
    "a scope of old": {"resourceSpans": [{"scopeSpans": [{"instrumentationLibrary": {}, "spans": []}]}]},
    "a number for a time": request(span(startTimeUnixNano=START)),
    "a time with underscores": request(span(startTimeUnixNano="1_0")),
    "a time with a sign": request(span(startTimeUnixNano="+10")),
    "a negative time": request(span(startTimeUnixNano="-10")),
    "a time in other digits": request(span(startTimeUnixNano="\u0661\u0662")),
    "an empty time": request(span(startTimeUnixNano="")),
    "no time": request(span(startTimeUnixNano=None)),
    "a time beyond 64 bits": request(span(endTimeUnixNano=str(2**63))),
    "5000 digits": request(span(endTimeUnixNano="9" * 5000)),
    "a kind by name": request(span(kind="SPAN_KIND_SERVER")),
    "a kind that there is not": request(span(kind=6)),
    "a negative kind": request(span(kind=-1)),
    "a status that there is not": request(span(status={"code": 3})),
    "flags beyond 32 bits": request(span(flags=2**32)),
    "negative flags": request(span(flags=-1)),
    "a negative count": request(span(droppedLinksCount=-1)),
    "short id": request(span(traceId="ab")),
    "zeros": request(span(spanId="0" * 16)),
    "white space in an id": request(span(traceId=" " * 2 + "a" * 30)),
    "base64": request(span(traceId="W47/95gDgQPSabYzgT/GDA==")),
    "a parent that is no id": request(span(parentSpanId="xyz")),
    "null": request(span(attributes=None, name=None) | {"attributes": None}),
    **{
        f"a NUL in {place}": request(*made[:1], **dict(made[1:]))
        for place, made in {
            "a name": [span(name="a\0b")],
            "a message": [span(status={"message": "\0"})],
            "a state": [span(traceState="\0")],
            "an event": [span(events=[{"name": "\0"}])],
            "a key": [span(attributes=[text("\0", "x")])],
            "a value": [span(attributes=[text("k", "x\0")])],
            "an array": [span(attributes=[attribute("k", {"arrayValue": {"values": [{"stringValue": "\0"}]}})])],
            "a resource": [span(), ("resource", resource("\0"))],
            "a scope": [span(), ("scope", {"name": "\0"})],
            "a schema": [span(), ("schemaUrl", "\0")],
        }.items()
    },
    "a lone surrogate": line(request(span())).replace(b"GET /cart", b"\\ud800"),
    "bytes that are not UTF-8": line(request(span())).replace(b"GET /cart", b"\xff"),
    "bytes that are not UTF-8 in an attribute": line(request(span(attributes=[text("k", "XY")]))).replace(
        b"XY", b"\xff"
    ),
    "bytes that are not UTF-8 in a resource": line(request(span(), resource=resource("XY"))).replace(b"XY", b"\xff"),
    "200 levels": DEEP.replace(b'"DEEP"', b'{"arrayValue":{"values":[' * 100 + b"{}" + b"]}}" * 100),
    "100,000 levels": DEEP.replace(b'"DEEP"', b'{"arrayValue":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "deep beside": DEEP.replace(b'"resourceSpans"', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"resourceSpans"'),
    "a resource that is a list": request(span(), resource=[1]),
    "a resource with more": request(span(), resource={"attributes": [], "colour": 1}),
    "a count of a resource": request(span(), resource={"droppedAttributesCount": -1}),
    "a scope that is a text": request(span(), scope="lib"),
    "a scope with a number for a name": request(span(), scope={"name": 5}),
    "an event beyond 64 bits": request(span(events=[{"timeUnixNano": str(2**63)}])),
    "an event at a date": request(span(events=[{"timeUnixNano": "2024-01-01"}])),
    "a count of an event": request(span(events=[{"droppedAttributesCount": -1}])),
    "flags of a link": request(span(links=[{"traceId": TRACE, "spanId": "a" * 16, "flags": -1}])),
    "an id of a link": request(span(links=[{"traceId": TRACE, "spanId": "a"}])),
    "two members of a value": request(span(attributes=[attribute("k", {"intValue": 5, "stringValue": "x"})])),
    "a plain and a nested member": request(span(attributes=[attribute("k", {"intValue": 5, "arrayValue": {}})])),
    "a member nobody knows of a value": request(span(attributes=[attribute("k", {"colour": 5})])),
    "true in quotes": request(span(attributes=[attribute("k", {"boolValue": "true"})])),
    "a number in a string": request(span(attributes=[attribute("k", {"stringValue": 5})])),
    "an integer beyond 64 bits": request(span(attributes=[attribute("k", {"intValue": str(2**63)})])),
    "an integer of 5000 digits": DEEP.replace(b'"DEEP"', b'{"intValue":' + b"9" * 5000 + b"}"),
    "bytes that are no base64": request(span(attributes=[attribute("k", {"bytesValue": "?"})])),
    "an array that is none": request(span(attributes=[attribute("k", {"arrayValue": {"values": 5}})])),
    "an empty key": request(span(attributes=[text("", "x")])),
    "no key": request(span(attributes=[{"value": {}}])),
    "a key that is a number": request(span(attributes=[{"key": 5, "value": {}}])),
    "an attribute that is a number": request(span(attributes=[5])),
    "an odd attribute of a resource": request(span(), resource={"attributes": [text("", "x")]}),
    "an odd attribute of a scope": request(span(), scope={"attributes": [5]}),
    "an odd attribute of an event": request(span(events=[{"attributes": [text("", "x")]}])),
    "an odd attribute of a link": request(span(links=[{"traceId": TRACE, "spanId": "a" * 16, "attributes": [5]}])),
    "not JSON": b'{"resourceSpans": nonsense}',
    "no spans at all": {"resourceMetrics": []},
    "an array": [request(span())],
}


@pytest.mark.parametrize("name", HANDED_BACK)
def test_a_line_of_another_shape_is_passed_on_unchanged(name):
    good = [request(span(**ids(1), attributes=[text("k", "good")])), request(span(**ids(2)))]
    odd = line(HANDED_BACK[name])
    builder, left = scanned(good[0], odd, good[1])
    assert [(item.number, item.data) for item in left] == [(2, odd)]
    assert left[0].offset == len(line(good[0])) + 1
    assert (builder.ledger.seen, builder.ledger.record_count, builder.ledger.is_silent) == (2, 2, True)
    assert builder.ledger.formats == {"otlp": 2}
    assert to_trace_set(builder).spans["span_id"].tolist() == [f"{0xABC0 + n:016x}" for n in (1, 2)]


@pytest.mark.parametrize("name", HANDED_BACK)
def test_the_whole_reader_equals_the_tolerant_one(name):
    data = lines(request(span(**ids(1))), HANDED_BACK[name], request(span(**ids(2))))
    same(read(data), tolerantly(data))


def test_an_odd_attribute_known_from_an_earlier_chunk_sends_its_line_back_again():
    builder = Builder()
    builder.open_source("fast")
    scanner = Scanner(builder)
    odd = line(request(span(attributes=[text("", "x")])))
    for _ in range(3):
        assert [item.data for item in scanner.scan(Lines(odd + b"\n", 1, 0))] == [odd]
        assert list(scanner.scan(Lines(lines(request(span(**ids(3)))), 1, 0))) == []
    assert (builder.ledger.seen, builder.ledger.record_count) == (3, 3)


def test_blank_lines_are_passed_over_and_lines_counted():
    good = line(request(span()))
    builder = Builder()
    builder.open_source("fast")
    data = b"\n \r\n" + good + b"\r\n\n" + good
    assert list(Scanner(builder).scan(Lines(data, 10, 1000))) == []
    spans = builder.take_columns().spans
    assert spans.record_number.tolist() == [12, 14]
    assert spans.byte_offset.tolist() == [1004, 1000 + data.rindex(good)]


def test_nothing_is_scanned_to_nothing():
    builder, left = scanned()
    assert (left, builder.ledger.record_count, dict(builder.ledger.formats)) == ([], 0, {})


def test_an_empty_request_is_a_record_of_the_format():
    builder, left = scanned({"resourceSpans": []})
    assert (left, builder.ledger.record_count, builder.ledger.formats) == ([], 1, {"otlp": 1})


def test_equal_resources_of_many_lines_are_one():
    records = [request(span(**ids(n)), resource=resource(f"s{n % 2}"), scope={"name": "lib"}) for n in range(10)]
    traces = read(lines(*records))
    assert traces.resources["service_name"].tolist() == ["s0", "s1"]
    assert len(traces.scopes) == 1


def test_attributes_are_learned_once_and_mean_the_same_in_every_chunk(monkeypatch):
    monkeypatch.setattr(ahead, "line_chunks", small_chunks)
    records = [
        request(span(**ids(n), attributes=[text("k", f"v{n % 3}"), attribute("n", {"intValue": n % 2})]))
        for n in range(40)
    ]
    traces = read(lines(*records))
    assert counts(traces) == (40, 40, 0, 0)
    order = traces.spans["record_number"].argsort()
    assert traces.attribute("k").iloc[order].tolist() == [f"v{n % 3}" for n in range(40)]
    assert traces.attribute("n").iloc[order].tolist() == [str(n % 2) for n in range(40)]
    assert len(traces.columns.kv) == 6


def small_chunks(stream, *, views):
    return line_chunks(stream, size=700, views=views)


# ------------------------------------------------------------------ legal, or nearly so

SHARED = Path(__file__).parents[4] / "shared" / "prototypes" / "ingest" / "lenient_cases.py"
CASES = runpy.run_path(str(SHARED))["cases"]() if SHARED.exists() else {}


@pytest.mark.skipif(not CASES, reason="the cases lie in a folder beside the repository that is not here")
@pytest.mark.parametrize("name", CASES or ["none"])
def test_the_cases_of_the_tolerant_readers(name):
    data, (spans, attributes, events, bad), about = CASES[name]
    traces = read(data)
    own = traces.attributes["owner"].isin(["span"]).sum()
    quarantined = counts(traces)[3]
    assert (len(traces.spans), own, len(traces.events), quarantined) == (spans, attributes, events, bad), about
    assert traces.sources["complete"].all()


def test_the_use_of_snake_case_is_reported():
    record = json.loads(json.dumps(request(span())).replace("startTimeUnixNano", "start_time_unix_nano"))
    traces = read(lines(request(span(**ids(1))), record))
    assert counts(traces) == (2, 2, 0, 0)
    assert "snake_case" in told(traces, "DIALECT")["message"].iloc[0]
