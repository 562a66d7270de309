"""The compiled lane gives what the Python lane gives: for lines of every dialect, for damaged ones, for real files."""

import base64
import json
import os
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading.native.compared import differ, narrow
from loading.native.flat_spans import FLAT, FLATS
from loading.otlp.test_fast import HANDED_BACK, REQUESTS
from loading.test_loading_fuzz import damaged
from made_sets import assert_identical, assert_same_content, content
from otlp_made import START, TRACE, attribute, ids, line, lines, request, resource, span, text

import tracekit as tk
from tracekit.errors import LoadError
from tracekit.loading import native, read
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.otlp import fast, tolerant
from tracekit.loading.otlp.compiled import Scanner
from tracekit.loading.records import Lines

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

EXPORTS = Path(__file__).parents[4] / "shared" / "data" / "exports"
BUNDLED = Path(__file__).parents[3] / "datasets"


def in_lane(lane, data, **options):
    """Read in one lane; return the error if there are no traces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, lane)
        try:
            return read(data, **options)
        except LoadError as error:
            return str(error)


def compare(data, **options):
    """Read in both lanes."""
    compiled, python = (in_lane(lane, data, **options) for lane in native.LANES)
    if isinstance(python, str):
        assert compiled == python
    else:
        assert_same_content(compiled, python)
    return compiled


def scanned(data, scanner=None):
    """Scan the lines of some bytes; return the builder and the lines that were handed back."""
    builder = Builder()
    builder.open_source("here")
    make = scanner or (lambda builder: Scanner(builder, native.extension))
    return builder, list(make(builder).scan(Lines(data, 1, 0)))


# ------------------------------------------------------------------ the same lines as the Python lane


@settings(max_examples=40)
@given(st.lists(REQUESTS, min_size=1, max_size=4), st.booleans())
def test_lines_true_to_the_specification_are_the_same_bit_for_bit(records, is_ascii):
    data = b"\n".join(json.dumps(record, ensure_ascii=is_ascii).encode() for record in records) + b"\n"
    both = [scanned(data), scanned(data, fast.Scanner)]
    assert [left for _, left in both] == [[], []]
    assert_same_content(*(to_trace_set(builder, "ns") for builder, _ in both))


def test_plain_lines_get_the_same_codes():
    records = [
        request(
            span(**ids(n), name=f"n{n % 7}", attributes=[text("k", f"v{n % 5}"), text("u", str(n))]),
            resource=resource(f"s{n % 3}"),
        )
        for n in range(200)
    ]
    builder, python = scanned(lines(*records))[0], scanned(lines(*records), fast.Scanner)[0]
    assert_identical(to_trace_set(builder), to_trace_set(python))


@pytest.mark.parametrize("name", HANDED_BACK)
def test_lines_of_another_shape_are_read_like_in_the_python_lane(name):
    compare(lines(request(span(**ids(1))), HANDED_BACK[name], request(span(**ids(2)))))


@pytest.mark.parametrize("number", range(0, 600, 3))
def test_damaged_files_are_read_like_in_the_python_lane(number):
    compare(damaged(number))


@pytest.mark.parametrize("path", sorted(BUNDLED.rglob("*.jsonl*")), ids=lambda path: path.name)
def test_bundled_recordings_are_the_same(path):
    compare(path)


EXPORTED = sorted(path for path in EXPORTS.glob("*.json*")) if EXPORTS.is_dir() else []


@pytest.mark.skipif(not EXPORTED, reason="the folder shared/data/exports is not beside the repository")
@pytest.mark.parametrize("path", EXPORTED, ids=lambda path: path.name)
def test_exports_of_other_tools_are_the_same(path):
    compare(path)
    one_line = b"\n".join(
        json.dumps(json.loads(part)).encode() for part in _documents(path.read_text(encoding="utf-8"))
    )
    compare(one_line + b"\n")


def _documents(text_):
    """The JSON documents of a file, which may be lines."""
    try:
        json.loads(text_)
    except json.JSONDecodeError:
        return [part for part in text_.splitlines() if part.strip()]
    return [text_]


# ------------------------------------------------------------------ what stays in the compiled lane


def snake(record):
    """The record with members in snake case."""
    return re.sub(r"(?<=[a-z])([A-Z])(?=\w*\":)", lambda found: "_" + found[1].lower(), json.dumps(record))


HEX_TRACE, HEX_SPAN = (base64.b64encode(b"5B8efff7" * n).decode() for n in (4, 2))
B64_TRACE, B64_SPAN = "W47/95gDgQPSabYzgT/GDA==", "APBnqgupArc="
STAYS = {
    "snake case": snake(
        request(
            span(
                attributes=[text("k", "v")],
                status={"code": 2},
                events=[{"timeUnixNano": "5", "droppedAttributesCount": 1}],
                links=[{"traceId": TRACE, "spanId": "a" * 16}],
            )
        )
    ),
    "snake case in two objects": json.dumps(request(span(status={"code": 1, "new_member": 5}, unknown_member={}))),
    "enum names": request(span(kind="SPAN_KIND_SERVER", status={"code": "STATUS_CODE_ERROR", "message": "x"})),
    "short enum names": request(span(kind="CLIENT", status={"code": "OK"})),
    "base64 ids": request(span(traceId=B64_TRACE, spanId=B64_SPAN, parentSpanId=B64_SPAN)),
    "base64 of hexadecimal ids": request(span(traceId=HEX_TRACE, spanId=HEX_SPAN, parentSpanId=HEX_SPAN)),
    "base64 ids of a link": request(span(links=[{"traceId": B64_TRACE, "spanId": B64_SPAN}])),
    "numbers for times": request(
        span(startTimeUnixNano=START + 1, endTimeUnixNano=START, events=[{"timeUnixNano": START + 3}])
    ),
    "small numbers for times": request(span(startTimeUnixNano=5, endTimeUnixNano=2**53)),
    "null everywhere": json.dumps(
        request(
            span(
                **dict.fromkeys(
                    (
                        "parentSpanId",
                        "name",
                        "kind",
                        "attributes",
                        "events",
                        "links",
                        "status",
                        "flags",
                        "traceState",
                        "droppedLinksCount",
                        "startTimeUnixNano",
                    ),
                    "NULL",
                )
            ),
            scope="NULL",
        )
    ).replace('"NULL"', "null"),
    "no times": request(span(startTimeUnixNano=None, endTimeUnixNano=None)),
    "empty times": request(span(startTimeUnixNano="", endTimeUnixNano="")),
    "unknown members": {
        "resourceSpans": [
            {"new": [1, {"a": None}], "scopeSpans": [{"new": -1.5e9, "spans": [span(new={"a": [True, "\u00e9"]})]}]}
        ]
    },
    "legacy": {
        "resourceSpans": [
            {"instrumentationLibrarySpans": [{"instrumentationLibrary": {"name": "lib"}, "spans": [span()]}]}
        ]
    },
    "batches": {"batches": request(span())["resourceSpans"]},
    "resource_spans": {"resource_spans": [{"scope_spans": [{"spans": [span()]}]}]},
    "white space": json.dumps(request(span(attributes=[text("k", "v")]))).replace(":", " :\t").replace(",", " , "),
    "escapes": request(span(name='a"\\/\b\f\n\r\t\u00e9\U0001f600', attributes=[text('k"\n', 'v\u20ac\U0001f600"')])),
    "raw UTF-8": json.dumps(
        request(span(name="h\u00e9 \u20ac \U0001f600", attributes=[text("k", "\u00e9\u20ac")])), ensure_ascii=False
    ),
    "values of every type": request(
        span(
            attributes=[
                attribute("a", {"arrayValue": {"values": [{"intValue": "5"}]}}),
                attribute("b", {"kvlistValue": {"values": [text("x", "y")]}}),
                attribute("c", {"bytesValue": "AAEC"}),
                attribute("d", {}),
                attribute("e", {"doubleValue": "NaN"}),
                attribute("f", {"doubleValue": -1.5e-7}),
                attribute("g", {"boolValue": False}),
                attribute("h", {"int_value": -5}),
            ]
        )
    ),
    "values as Go writes them": request(
        span(
            attributes=[
                attribute("a", {"Value": {"StringValue": "x"}}),
                attribute("b", {"Value": {"StringValue": "x"}}),
                attribute("c", {"Value": {"IntValue": 5}}),
                attribute("d", {"Value": {"DoubleValue": 0.5}}),
                attribute("e", {"Value": {"BoolValue": True}}),
                attribute("f", {"Value": {"ArrayValue": {"values": [{"Value": {"IntValue": 5}}]}}}),
                attribute("g", {"Value": None}),
                attribute("h", {"StringValue": "x"}),
            ]
            * 2
        )
    ),
    "a resource in snake case": request(span(), resource={"attributes": [], "dropped_attributes_count": 3}),
    "a resource with more": request(span(), resource={"attributes": [], "colour": 1, "entityRefs": []}),
    "snake case inside and outside": request(span(trace_state="x"), resource={"dropped_attributes_count": 3}),
}


@pytest.mark.parametrize("name", STAYS)
def test_a_line_of_this_dialect_is_not_handed_back(name):
    data = lines(request(span(**ids(1))), STAYS[name], STAYS[name], request(span(**ids(2))))
    builder, left = scanned(data)
    assert left == []
    assert builder.ledger.record_count == 4
    compare(data)


ODD = {
    "two underscores": {"trace__id": TRACE, "span_id": "cd" * 8, "start_time_unix_nano": "17", "end_time_unix_nano": 0},
    "base64 of what is no id": request(
        span(traceId=base64.b64encode(b"5B8efffg" * 4).decode(), spanId=base64.b64encode(b"0" * 16).decode())
    ),
    "two values as Go writes them": request(
        span(attributes=[attribute("k", {"Value": {"IntValue": 1, "StringValue": "x"}}), attribute("k", {"Value": 5})])
    ),
    "a member twice": line(request(span())).replace(b'"name"', b'"kind":2,"name"'),
    "a member in two spellings": line(request(span())).replace(b'"name"', b'"trace_id":"aa","name"'),
    "a name with an escape": line(request(span())).replace(b'"name"', b'"n\\u0061me"'),
    "names of Go": line(request(span())).replace(b'"name"', b'"Name"'),
    "a leading zero": line(request(span())).replace(b'"kind": 2', b'"kind": 02'),
    "a half number": line(request(span())).replace(b'"kind": 2', b'"kind": 2.'),
    "NaN": line(request(span(new=5))).replace(b"5", b"NaN"),
    "a control character": line(request(span())).replace(b"GET /cart", b"GET\x01"),
    "an escaped control character": line(request(span())).replace(b"GET /cart", b"GET\\\x01"),
    "an unknown escape": line(request(span())).replace(b"GET /cart", b"\\x"),
    "a high surrogate alone": line(request(span(new="XY"))).replace(b"XY", b"\\ud83d\\u0041"),
    "an overlong sequence": line(request(span())).replace(b"GET /cart", b"\xc0\xaf"),
    "a surrogate in UTF-8": line(request(span())).replace(b"GET /cart", b"\xed\xa0\x80"),
    "beyond Unicode": line(request(span())).replace(b"GET /cart", b"\xf4\x90\x80\x80"),
    "text behind": line(request(span())) + b" x",
    "two requests": line(request(span())) * 2,
    "a comma too many": line(request(span())).replace(b"}]}]}]}", b"},]}]}]}"),
    "a byte order mark": b"\xef\xbb\xbf" + line(request(span())),
    "a list of attributes that is a map": request(span(attributes={"k": "v"})),
    "two lists of scopes": {"resourceSpans": [{"scopeSpans": [], "scope_spans": [{"spans": [span()]}]}]},
    "a negative zero": line(request(span(attributes=[attribute("k", {"doubleValue": 5})]))).replace(b": 5}", b": -0}"),
    "a partial answer": {"batches": [], "status": "PARTIAL"},
    "cut": line(request(span()))[:-40],
    **{f"cut at {n}": line(request(span(attributes=[text("k", "v")])))[:n] for n in range(0, 300, 7)},
}


@pytest.mark.parametrize("name", ODD)
def test_odd_lines_are_read_like_in_the_python_lane(name):
    good = line(request(span(**ids(1), attributes=[text("k", "good")])))
    compare(b"\n".join([good, line(ODD[name]), good]))
    compare(good + b"\n" + line(ODD[name]))


def test_a_line_with_a_bad_attribute_leaves_nothing_behind():
    bad = line(request(span(**ids(5), attributes=[text("k", "v"), attribute("n", {"arrayValue": {"values": 5}})])))
    good = line(request(span(**ids(1), attributes=[text("k", "v")])))
    builder, left = scanned(b"\n".join([good, bad, good, bad]))
    assert [(item.number, item.offset, item.data) for item in left] == [
        (2, len(good) + 1, bad),
        (4, 2 * len(good) + len(bad) + 3, bad),
    ]
    assert (builder.ledger.seen, builder.ledger.record_count) == (2, 2)


def test_attributes_known_from_an_earlier_chunk_keep_their_code():
    builder = Builder()
    builder.open_source("here")
    scanner = Scanner(builder, native.extension)
    for n in range(4):
        data = lines(request(span(**ids(n), attributes=[text("k", f"v{n % 2}"), attribute("n", {"intValue": n % 2})])))
        assert list(scanner.scan(Lines(data, n + 1, 0))) == []
    traces = to_trace_set(builder)
    assert len(traces.columns.kv) == 5
    assert traces.attribute("k").tolist() == ["v0", "v1", "v0", "v1"]


def test_single_lines_are_scanned_as_well():
    good = lines(request(span(**ids(1))), request(span(**ids(2))))
    builder = Builder()
    builder.open_source("here")
    assert list(Scanner(builder, native.extension).scan(iter(Lines(good, 7, 100)))) == []
    assert builder.take_columns().spans.record_number.tolist() == [7, 8]


def test_spans_of_one_record_stay_in_their_order_in_mixed_files():
    """Regular lines arrive before irregular ones; spans with equal times are ordered by record."""
    records = [request(span(traceId=TRACE, spanId=f"{n + 1:016x}", kind=2 if n % 2 else "server")) for n in range(10)]
    for lane in native.LANES:
        assert in_lane(lane, lines(*records)).spans["record_number"].tolist() == list(range(1, 11))


SPELLINGS = (
    '{"key":"k","value":{"stringValue":"%s"}}',
    '{"key": "k", "value": {"stringValue": "%s"}}',
    '{ "key":"k","value":{"stringValue":"%s" } }',
    '{"key":"k","value":{"stringValue":"%s"} }',
    '{"value":{"stringValue":"%s"},"key":"k"}',
    '{"key":"k","value":{"string_value":"%s"}}',
    '{"key":"k","value":{"Value":{"StringValue":"%s"}}}',
    '{"key":"k","value":{"stringValue":"\\u0061%s"}}',
    '{"key":"\u00e9","value":{"stringValue":"%s"}}',
    '{"key":"n","value":{"intValue":"1%s"}}',
    '{"key":"n","value":{"intValue":1%s}}',
    '{"key":"d","value":{"doubleValue":1%s.5}}',
    '{"key":"%s","value":{"boolValue":true}}',
    '{"key":"%s","value":{}}',
    '{"key":"a","value":{"arrayValue":{"values":[{"intValue":"%s"}]}}}',
)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_what_is_around_values_may_change_from_span_to_span(step):
    """The scanner expects what it read before: here the order, the spelling and the white space of members change."""
    members = ['"traceId":"{0:032x}"', '"span_id": "{0:016x}"', '"name":"x"', '"kind":{1}', '"flags":257']
    made = []
    for n in range(1, 91):
        order = [members[(n // step + k * (1 + n % 4)) % 5] for k in range(5)]
        spelled = (SPELLINGS[(n // step * k + k) % len(SPELLINGS)] % (n % 4) for k in range(1 + n % 6))
        own = [one.format(n, n % 6) for one in dict.fromkeys([*order, *members])]
        own.insert(n % 5, f'"startTimeUnixNano":"{START + n}"')
        own.insert(n % 3, f'"attributes":[{", ".join(spelled)}]')
        joined = (", " if n % 2 else ",").join(own)
        made.append(f"{{{joined}}}")
    spans = ",".join(made)
    data = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}\n'.encode()
    assert scanned(data)[1] == []
    assert len(compare(data, time_unit="ns").spans) == 90


# ------------------------------------------------------------------ the extension itself


def test_the_extension_refuses_what_is_not_bytes():
    with pytest.raises(TypeError, match="bytes-like object is required"):
        native.extension.scan("text", b"")
    with pytest.raises(ValueError, match="expected places inside the data, found one outside"):
        native.extension.learn(native.extension.attributes("otlp"), b"abc", b"\xff" * 24)
    place = struct.pack("<qIiQ", 1, 1, 0, 7)
    for shapes in (b"", struct.pack("<qIIII", 0, 2, 1, 0, 0), struct.pack("<qIIII", 0, 1, 1, 2, 0)):
        with pytest.raises(ValueError, match="expected places inside the data, found one outside"):
            native.extension.learn(native.extension.attributes("otlp"), b"abc", place, shapes)


def test_equal_attributes_of_both_kinds_of_readers_are_one():
    """One line is read by the extension, one by the tolerant reader: the attribute is the same."""
    odd = line(request(span(**ids(2), attributes=[text("k", "v")], kind="server")))
    traces = in_lane("compiled", lines(request(span(**ids(1), attributes=[text("k", "v")])), odd))
    assert len(traces.columns.kv) == 2
    assert content(traces)["attributes"][1][0] == content(traces)["attributes"][1][1]


def test_the_message_about_a_number_does_not_depend_on_the_lines_before():
    """An X-Ray line has exact decimals; in the compiled lane no other line comes between it and the number."""
    response = {"Traces": [], "UnprocessedTraceIds": []}
    traces = compare(lines(response, request(span(kind="SERVER")), "1E5"))
    unknown = traces.issues[traces.issues["code"] == "FORMAT_UNKNOWN"]
    assert "found a bare float: 100000.0" in unknown["message"].iloc[0]


def test_traces_says_nothing_of_the_lane():
    assert (
        tk.read(lines(request(span()))).sources.columns.tolist()
        == tk.load_sample("small-shop")[0].sources.columns.tolist()
    )


# ------------------------------------------------------------------ documents


GROUPS = [
    made["resourceSpans"][0]
    for made in (request(*(span(**ids(10 * n + k)) for k in range(8)), scope={"name": "caf\u00e9"}) for n in range(40))
]
ODD_GROUPS = [
    7,
    {},
    {"resource": {"attributes": [text("service.name", "empty")]}},
    {"scopeSpans": [{"spans": [7, span(**ids(900)), {"spanId": "bad"}]}]},
    {"scopeSpans": [{"spans": [span(**ids(901), attributes=[{"key": "k", "value": {"intValue": "x"}}])]}]},
    {"scopeSpans": [{"spans": [span(**ids(902), startTimeUnixNano=1_601_839_169_774_235_401)]}]},
    {"scopeSpans": [{"spans": [span(**ids(903))]}], "resource": resource(droppedAttributesCount=3)},
    {"instrumentationLibrarySpans": [{"spans": [span(**ids(904), start_time_unix_nano=None, new=[1])]}]},
]
DOCUMENTS = {
    "one request": {"resourceSpans": [*GROUPS[:5], *ODD_GROUPS, *GROUPS[5:]]},
    "of Tempo": {"batches": GROUPS},
    "of Tempo with a status": {"status": "PARTIAL", "trace": {"resourceSpans": GROUPS}, "metrics": {}},
    "of Jaeger": {"result": {"resourceSpans": GROUPS}},
    "a list": [{"resourceSpans": [group]} for group in [*GROUPS[:5], *ODD_GROUPS, *GROUPS[5:]]],
    "a list of answers": [{"trace": {"resource_spans": [group]}, "metrics": {"a": [1]}} for group in GROUPS],
    "a list of everything": [{"batches": []}, 7, {"resourceSpans": GROUPS}, {"data": []}, {"resourceSpans": None}],
    "one large group": {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            *(s for group in GROUPS for s in group["scopeSpans"][0]["spans"]),
                            span(**ids(905), kind="odd"),
                            span(**ids(906)),
                        ],
                        "scope": {"name": "behind"},
                    }
                ],
                "resource": resource(),
            },
            GROUPS[0],
        ]
    },
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("window", [900, 10_000, 1 << 20])
def test_a_document_is_read_like_in_the_python_lane(name, indent, window, monkeypatch):
    narrow(monkeypatch, window)
    data = json.dumps(DOCUMENTS[name], indent=indent, ensure_ascii=False).encode()
    assert not differ(data, as_document=True)
    assert not differ(data[: len(data) * 2 // 3], as_document=True)


@pytest.mark.parametrize(
    ("name", "window"), [("one request", 1 << 20), ("a list", 1 << 20), ("one large group", 4_000)]
)
def test_the_items_of_a_document_are_scanned(name, window, monkeypatch):
    one_by_one = []
    real = tolerant.load_span
    monkeypatch.setattr(tolerant, "load_span", lambda *given: (one_by_one.append(given), real(*given))[1])
    monkeypatch.setenv(native.SWITCH, "compiled")
    narrow(monkeypatch, window)
    traces = read(json.dumps(DOCUMENTS[name], indent=1).encode(), progress=False)
    assert len(one_by_one) < 20
    assert len(traces.spans) > 300


def test_documents_one_after_the_other_are_scanned(monkeypatch):
    one_by_one = []
    real = tolerant.load_span
    monkeypatch.setattr(tolerant, "load_span", lambda *given: (one_by_one.append(given), real(*given))[1])
    monkeypatch.setenv(native.SWITCH, "compiled")
    made = [{"resourceSpans": [group]} for group in [*GROUPS[:5], *ODD_GROUPS, *GROUPS[5:]]]
    data = "\n".join(json.dumps(one, indent=2) for one in [*made, FLAT, {"batches": []}]).encode()
    traces = read(data, progress=False)
    assert len(one_by_one) < 20
    assert len(traces.spans) > 300
    assert traces.issues.set_index("code").loc["JSON_CONCAT", "issue_count"] == len(made) + 1
    assert not differ(data, as_document=True)


def test_numbers_in_a_document_are_those_of_the_python_lane():
    odd = span(**ids(1), attributes=[{"key": "start_time", "value": 1.5}, {"key": "other", "value": 2.5}])
    assert not differ(json.dumps(request(odd), indent=1).encode(), as_document=True)


def test_answers_in_lines_are_scanned():
    made = [{"trace": request(span(**ids(n))), "status": "COMPLETE", "metrics": {}, "message": ""} for n in range(1, 4)]
    made.append({"result": request(span(**ids(9)))})
    builder, rest = scanned(lines(*made))
    assert (builder.span_count, rest) == (4, [])
    partial = {"trace": request(span(**ids(5))), "status": "PARTIAL", "message": "too many"}
    assert scanned(lines(partial))[0].span_count == 0
    assert not compare(lines(*made, partial)).sources["complete"].all()


def test_flat_spans_are_scanned():
    made = [FLAT | ids(n) for n in range(1, 4)]
    builder, rest = scanned(lines(*made))
    assert (builder.span_count, rest) == (3, [])
    assert builder.ledger.dialects["attribute_map"] == 9
    assert not differ(lines(*made))
    assert not differ(json.dumps([*made, 7, *FLATS, *made], indent=1).encode(), as_document=True)


@pytest.mark.parametrize("flat", FLATS)
def test_a_flat_span_is_read_like_in_the_python_lane(flat):
    assert not differ(lines(FLAT, flat, FLAT | ids(3)))


def test_a_map_with_a_name_twice_has_the_last_value():
    twice = line(FLAT).replace(b'"i": 7', b'"i": 7, "i": 8')
    assert twice != line(FLAT)
    assert len(scanned(twice)[1]) == 1
    assert read(twice, progress=False).attribute("i").tolist() == ["8"]


# ------------------------------------------------------------------ lines behind a prefix


def test_lines_of_log_collectors_are_scanned(monkeypatch):
    one_by_one = []
    real = tolerant.load_span
    monkeypatch.setattr(tolerant, "load_span", lambda *given: (one_by_one.append(given), real(*given))[1])
    monkeypatch.setenv(native.SWITCH, "compiled")
    made = [line(request(span(**ids(n)))) for n in range(1, 9)]
    odd = line(request(span(**ids(99), kind="odd")))
    data = b"\n".join(
        [
            b"2026-07-01T10:00:00Z stdout F " + made[0],
            made[1],
            b"data: " + odd,
            b"2026-07-01T10:00:00Z stdout F ready",
            b"data: " + made[2],
            b"[pod/shop-1] " + made[3],
            json.dumps({"log": made[4].decode() + "\n"}).encode(),
            *made[5:],
        ]
    )
    traces = read(data, progress=False)
    assert len(traces.spans) == len(made) + 1
    assert len(one_by_one) == 1
    assert sorted(traces.spans["record_number"]) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    prefixes = traces.issues[traces.issues["code"] == "TEXT_PREFIX"]
    assert sorted(prefixes["issue_count"]) == [1, 1, 2, 2]
    assert not differ(data)


DOCKER = {
    "plain": {"log": "GOOD\n", "stream": "stdout", "time": "t"},
    "spaces": {"log": " \u2003GOOD \t\r\n"},
    "nothing": {"log": ""},
    "another line": {"log": 'no JSON \u00e9\U0001f600 \\ "\n'},
    "members that are no text": {"log": "GOOD", "attrs": {"a": [1, -2.5e3, None, True, {}, []]}},
}
DOCKER_TEXTS = [
    b'{"log":"GOOD","log":"x"}',
    b'{"log":5}',
    b'{"log":"GOOD"} x',
    b'{"log":"GOOD","n":NaN}',
    b'{"log":"GOOD","s":"\xff"}',
    b'{"log":"\\ud800 GOOD"}',
    b'{"log":"GOOD","\\u006cog":"x"}',
    b'{"log":"GOOD","a":' + b"[" * 210 + b"]" * 210 + b"}",
    b'{"log":"GOOD"',
    b'{"log":"a\\u0000b"}',
]


@pytest.mark.parametrize("name", [*DOCKER, *range(len(DOCKER_TEXTS))])
def test_lines_of_docker_are_read_alike(name):
    good = json.dumps(line(request(span(**ids(1)))).decode()).strip('"').encode()
    data = DOCKER_TEXTS[name] if isinstance(name, int) else json.dumps(DOCKER[name]).encode()
    wrapped = b'{"log":"%b\\n"}' % good
    compare(b"\n".join([wrapped, data.replace(b"GOOD", good.replace(b"00000001", b"00000002")), wrapped]))


def test_items_around_odd_ones_are_not_scanned_again_and_again(monkeypatch):
    """Of groups of which every second one has to be reported, few bytes are scanned more than once."""
    scanned = []
    real = Scanner.load_groups
    monkeypatch.setattr(
        Scanner, "load_groups", lambda self, data, place: (scanned.append(len(data)), real(self, data, place))[1]
    )
    monkeypatch.setenv(native.SWITCH, "compiled")
    beyond = {"key": "k", "value": {"intValue": str(2**64)}}
    groups = [request(span(**ids(n + 1), attributes=[beyond] * (n % 2)))["resourceSpans"][0] for n in range(2000)]
    data = json.dumps({"resourceSpans": groups}, indent=0).encode()
    traces = read(data, progress=False)
    assert len(traces.spans) == 2000
    assert 0 < sum(scanned) < 2 * len(data)


@pytest.mark.parametrize("wrapper", ["trace", "result"])
@pytest.mark.parametrize("levels", [195, 196, 197, 198])
def test_levels_of_nesting_count_from_the_outermost_object(wrapper, levels):
    deep = {"zzz": "@", **GROUPS[0]}
    text = json.dumps({wrapper: {"resourceSpans": [deep]}}).replace('"@"', "[" * levels + "]" * levels)
    logged = json.dumps({"log": f"{text}\n", "stream": "stdout"})
    assert not differ(f"data: {lines(request(span())).decode()}data: {text}\n".encode())
    assert not differ(f"{logged}\n{text}\n".encode())


@pytest.mark.parametrize("key", ["traceId_", "trace_Id", "spanId_", "span_Id", "trace_id", "span_id"])
def test_the_ids_of_a_flat_span_have_two_spellings(key):
    text = json.dumps(FLAT)
    known = "traceId" if key.startswith("trace") else "spanId"
    assert known in text
    assert not differ(f"{text}\n{text.replace(known, key)}\n".encode())
