"""OTLP in every dialect: each loads the same spans as the specification's own, and is counted by its name."""

import base64
import copy
import json
import re

import pandas as pd
import pytest
from otlp_made import (
    SPAN,
    START,
    TRACE,
    attribute,
    counts,
    ids,
    line,
    lines,
    pretty,
    request,
    resource,
    span,
    text,
    told,
)

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.schema import Quality

pytestmark = pytest.mark.usefixtures("lane")  # every test in both lanes

PARENT = "00f067aa0ba902b8"
CHILD = span(
    parentSpanId=PARENT,
    traceState="ot=th:8",
    flags=769,
    attributes=[
        text("http.route", "/cart/{id}"),
        attribute("n", {"intValue": "5"}),
        attribute("d", {"doubleValue": 0.5}),
        attribute("b", {"boolValue": True}),
        attribute("list", {"arrayValue": {"values": [{"stringValue": "q"}, {"intValue": "1"}, {}]}}),
        attribute("map", {"kvlistValue": {"values": [{"key": "z", "value": {"boolValue": False}}]}}),
        attribute("bytes", {"bytesValue": "AAEC"}),
        attribute("empty", {}),
    ],
    events=[
        {
            "timeUnixNano": str(START + 5),
            "name": "exception",
            "attributes": [text("exception.type", "E")],
            "droppedAttributesCount": 1,
        }
    ],
    links=[
        {
            "traceId": TRACE,
            "spanId": PARENT,
            "traceState": "a=b",
            "flags": 1,
            "attributes": [text("why", "q")],
            "droppedAttributesCount": 2,
        }
    ],
    status={"code": 2, "message": "broke"},
    droppedAttributesCount=3,
    droppedEventsCount=4,
    droppedLinksCount=5,
)
ROOT = span(spanId=PARENT, kind=3, status={})
SCOPE = {"name": "lib", "version": "1.0", "attributes": [text("s", "t")], "droppedAttributesCount": 6}
PLAIN = request(
    ROOT,
    CHILD,
    resource=resource("shop", droppedAttributesCount=7),
    scope=SCOPE,
    schemaUrl="https://r",
)
PLAIN["resourceSpans"][0]["scopeSpans"][0]["schemaUrl"] = "https://s"

VOLATILE = {"source_id", "record_number", "byte_offset", "time_resolution_ns"}


def snake(name):
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), name)


def walked(value, key=lambda name: name, pair=lambda name, item: item):  # noqa: ARG005 - the defaults change nothing
    """A copy with other names of members, and other values of some."""
    if isinstance(value, dict):
        return {key(name): pair(name, walked(item, key, pair)) for name, item in value.items()}
    return [walked(item, key, pair) for item in value] if isinstance(value, list) else value


def base64_ids(name, item):
    is_id = name in {"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"}
    return base64.b64encode(bytes.fromhex(item)).decode() if is_id else item


def ids_as_text_in_base64(name, item):
    return base64.b64encode(item.encode()).decode() if name in {"traceId", "spanId", "parentSpanId"} else item


def enum_names(name, item):
    kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
    if name == "kind":
        return f"SPAN_KIND_{kinds[item]}"
    return f"STATUS_CODE_{['UNSET', 'OK', 'ERROR'][item]}" if name == "code" else item


def go_values(name, item):
    """``encoding/json`` of Go's structs: the oneof is a member of its own."""
    if name != "value" or not isinstance(item, dict):
        return item
    if not item:
        return {"Value": None}
    [(member, content)] = item.items()
    if member == "arrayValue":
        content = {"values": [go_values("value", one) for one in content["values"]]}
    return {"Value": {member[:1].upper() + member[1:]: content}}


def numbers(name, item):
    return int(item) if name.endswith("UnixNano") or name == "intValue" else item


def legacy(record, name="instrumentationLibrarySpans"):
    record = copy.deepcopy(record)
    for group in record["resourceSpans"]:
        group[name] = group.pop("scopeSpans")
        for part in group[name]:
            part["instrumentationLibrary"] = part.pop("scope")
    return record


def tempo_v1(record):
    protobuf = walked(record, pair=lambda name, item: enum_names(name, base64_ids(name, item)))
    return {"batches": protobuf["resourceSpans"]}


DIALECTS = {
    "1 specification": (PLAIN, {}),
    "2 protobuf": (
        walked(PLAIN, pair=lambda name, item: enum_names(name, base64_ids(name, item))),
        {"base64_ids", "enum_names"},
    ),
    "3 snake case": (walked(PLAIN, key=snake), {"snake_case", "resource_spans"}),
    "3 snake case of protobuf": (
        walked(walked(PLAIN, pair=lambda name, item: enum_names(name, base64_ids(name, item))), key=snake),
        {"snake_case", "resource_spans", "base64_ids", "enum_names"},
    ),
    "4 Go structs": (walked(PLAIN, pair=go_values), {"go_struct_values"}),
    "4 Go names": (
        walked(PLAIN, key=lambda name: name[:1].upper() + name[1:]),
        {"go_struct_names", "ResourceSpans"},
    ),
    "5 numbers": (walked(PLAIN, pair=numbers), {}),
    "6 legacy": (legacy(PLAIN), {"instrumentationLibrarySpans"}),
    "6 legacy ilSpans": (legacy(PLAIN, "ilSpans"), {"instrumentationLibrarySpans"}),
    "7 Tempo v1": (tempo_v1(PLAIN), {"batches", "base64_ids", "enum_names"}),
    "8 Tempo v2": ({"trace": PLAIN, "metrics": {}}, {"wrapped_in_trace"}),
    "9 ids as text in base64": (walked(PLAIN, pair=ids_as_text_in_base64), {"base64_of_hex_ids"}),
    "13 array": ([PLAIN], {"json_array"}),
    "Jaeger's result": ({"result": PLAIN}, {"wrapped_in_result"}),
}
FORMS = {"line": lines, "document": pretty}


def frames(traces):
    spans = traces.spans.drop(columns=list(VOLATILE & set(traces.spans)))
    return {
        "spans": spans,
        "attributes": traces.attributes,
        "events": traces.events,
        "links": traces.links,
        "resources": traces.resources,
        "scopes": traces.scopes,
    }


REFERENCE = frames(read(lines(PLAIN)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_what_the_specification_gives(name, form):
    record, spelled = DIALECTS[name]
    traces = read(FORMS[form](record))
    assert counts(traces) == (2, 2, 0, 0)
    for table, frame in frames(traces).items():
        pd.testing.assert_frame_equal(frame, REFERENCE[table], check_categorical=False)
    assert traces.sources["format"].tolist() == ["otlp"]
    found = {part.partition("=")[0] for part in traces.sources["dialects"].iloc[0].split()}
    assert found - {"json_array"} == set(spelled) - {"json_array"}
    assert len(told(traces, "DIALECT")) == bool(found)


def test_the_reference_equals_the_record():
    row = REFERENCE["spans"].iloc[1]
    assert row[["name", "kind", "status_code", "status_message"]].tolist() == ["GET /cart", "SERVER", "ERROR", "broke"]
    assert row[["parent_row", "trace_state", "trace_flags", "parent_is_remote"]].tolist() == [0, "ot=th:8", 769, True]
    assert row[["start_ns", "end_ns"]].tolist() == [START, START + 1_000_000]
    dropped = ["dropped_attributes_count", "dropped_events_count", "dropped_links_count"]
    assert row[dropped].tolist() == [3, 4, 5]
    values = REFERENCE["attributes"].set_index("key")
    assert values.loc["list", "value_json"] == '["q",1,null]'
    assert values.loc["map", "value_json"] == '{"z":false}'
    assert values.loc["bytes", "value_bytes"] == b"\x00\x01\x02"
    assert REFERENCE["scopes"].iloc[-1].tolist() == ["lib", "1.0", "https://s"]
    assert REFERENCE["resources"][["schema_url", "dropped_attributes_count"]].iloc[0].tolist() == ["https://r", 7]


def test_float_times_that_lost_digits_are_reported():
    traces = read(lines(walked(PLAIN, pair=numbers)))
    assert set(traces.spans["time_resolution_ns"]) == {256}
    issues = told(traces, "TIME_PRECISION_LOST")
    assert set(issues["severity"]) == {"info"}
    fields = ["endTimeUnixNano", "startTimeUnixNano", "timeUnixNano"]
    assert [next(f for f in fields if f in message) for message in issues["message"]] == fields
    assert issues["issue_count"].tolist() == [2, 2, 1]
    exact = read(lines(request(span(startTimeUnixNano=5, endTimeUnixNano=7))))
    assert exact.spans[["start_ns", "end_ns", "time_resolution_ns"]].iloc[0].tolist() == [5, 7, 1]


def test_the_older_half_of_a_record_is_kept_with_the_newer():
    both = request(span(**ids(1)))
    both["resourceSpans"][0]["instrumentationLibrarySpans"] = [{"spans": [span(**ids(2))]}]
    both["resource_spans"] = request(span(**ids(3)))["resourceSpans"]
    for form in FORMS.values():
        assert counts(read(form(both))) == (3, 3, 0, 0)


# ------------------------------------------------------------------ 8: a partial answer


@pytest.mark.parametrize("status", ["PARTIAL", "partial", 1])
@pytest.mark.parametrize("form", FORMS)
def test_a_partial_answer_makes_the_source_incomplete(status, form):
    traces = read(FORMS[form]({"trace": PLAIN, "status": status, "message": "trace exceeds max size"}))
    assert not traces.sources["complete"].iloc[0]
    assert traces.sources["stop_reason"].iloc[0] == "the server returned a PARTIAL response: trace exceeds max size"
    assert repr(traces).endswith(", 1 of 1 sources incomplete)")


# ------------------------------------------------------------------ 10: flat spans

FLAT = {
    "resource": {"attributes": {"service.name": "shop"}},
    "scope": {"name": "lib", "version": "1"},
    "traceId": TRACE,
    "spanId": SPAN,
    "parentSpanId": "",
    "flags": 256,
    "name": "GET",
    "kind": "SERVER",
    "startTimeUnixNano": START,
    "endTimeUnixNano": START + 50,
    "durationNano": 50,
    "attributes": {"aws.local.service": "shop", "http.response.status_code": 503, "nested": {"a": 1}},
    "events": [{"timeUnixNano": START + 1, "name": "exception", "attributes": {"exception.type": "E"}}],
    "status": {"code": "ERROR"},
}


@pytest.mark.parametrize(
    "record", [FLAT, [FLAT], walked(FLAT, key=lambda name: snake(name) if "." not in name else name)]
)
@pytest.mark.parametrize("form", FORMS)
def test_a_flat_span(record, form):
    traces = read(FORMS[form](record))
    assert counts(traces) == (1, 1, 0, 0)
    row = traces.spans.iloc[0]
    assert row[["service_name", "name", "kind", "status_code"]].tolist() == ["shop", "GET", "SERVER", "ERROR"]
    assert row[["duration_ns", "http_response_status_code", "error_type"]].tolist() == [50, 503, "E"]
    assert "flat_span=1" in traces.sources["dialects"].iloc[0]


def test_a_flat_span_without_an_end_ends_after_its_duration():
    members = {**FLAT, "endTimeUnixNano": None, "startTimeUnixNano": str(START)}
    assert read(lines(members)).spans["end_ns"].tolist() == [START + 50]
    assert read(lines({**members, "durationNano": None})).spans["end_ns"].isna().all()
    assert read(lines({**members, "startTimeUnixNano": None})).spans["end_ns"].isna().all()


def test_what_is_no_span_among_flat_ones_is_left_out_and_counted():
    traces = read(lines([FLAT, FLAT, FLAT, 5, None]))
    assert counts(traces) == (5, 1, 2, 2)
    assert told(traces, "FORMAT_UNKNOWN")["message"].str.contains("expected a span, found").all()


# ------------------------------------------------------------------ 11, 12: made for reading by eye


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (
            {
                "name": "x",
                "context": {"trace_id": "0x1"},
                "kind": "SpanKind.SERVER",
                "start_time": "2024-01-01T00:00:00Z",
            },
            "the Python SDK's ConsoleSpanExporter",
        ),
        (
            {"Name": "x", "SpanContext": {"TraceID": TRACE}, "SpanKind": 2, "StartTime": "2024-01-01T00:00:00Z"},
            "Go's stdouttrace exporter",
        ),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_console_output_is_named_and_not_read(record, name, form):
    text = f"FORMAT_UNKNOWN .*found output of {name}, which is meant for human readers"
    with pytest.raises(LoadError, match=text):
        read(FORMS[form](record))


# ------------------------------------------------------------------ 13: around the JSON

PREFIXED = {
    "cri": b"2024-01-01T00:00:00.000000000Z stdout F " + line(PLAIN),
    "docker": json.dumps(
        {"log": json.dumps(PLAIN) + "\n", "stream": "stdout", "time": "2024-01-01T00:00:00Z"}
    ).encode(),
    "kubectl": b"[pod/collector-0/otel] " + line(PLAIN),
    "sse": b"data: " + line(PLAIN),
}


@pytest.mark.parametrize("name", PREFIXED)
def test_prefixes_of_log_collectors_are_skipped_and_reported(name):
    other = line(request(span(**ids(5))))
    traces = read(lines(PREFIXED[name], other, PREFIXED[name]))
    assert counts(traces) == (5, 3, 2, 0)
    [issue] = told(traces, "TEXT_PREFIX").itertuples()
    assert (issue.issue_count, issue.action, issue.severity) == (2, "repaired", "info")
    assert f"a {name} prefix before the JSON was skipped; 2 times" in issue.message


def test_an_array_of_requests_over_many_lines():
    array = b"[\n" + b",\n".join(line(request(span(**ids(n)))) for n in range(5)) + b"\n]\n"
    assert counts(read(array)) == (5, 5, 0, 0)


def test_dialects_are_reported_record_by_record():
    """One record in a dialect says nothing about the next."""
    records = [record for record, _ in DIALECTS.values() if isinstance(record, dict)]
    for at, record in enumerate(records):
        records[at] = json.loads(json.dumps(record).replace(TRACE, f"{at + 1:032x}"))
    traces = read(lines(*records, *records))
    seen, accepted, merged, quarantined = counts(traces)
    assert (seen, quarantined) == (4 * len(records), 0)
    assert accepted + merged == seen
    assert (accepted, merged) == (seen - merged, merged)
    assert "snake_case" in traces.sources["dialects"].iloc[0]


# ------------------------------------------------------------------ members that are not what they should be


def one(member, value, **more):
    """The only span of a record with one member changed."""
    return read(lines(request(span(**{member: value} | more))))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (2, "SERVER"),
        (2.0, "SERVER"),
        ("2", "SERVER"),
        ("SPAN_KIND_SERVER", "SERVER"),
        ("server", "SERVER"),
        (None, "UNSPECIFIED"),
        (0, "UNSPECIFIED"),
    ],
)
def test_kinds_in_every_spelling(value, wanted):
    traces = one("kind", value)
    assert traces.spans["kind"].tolist() == [wanted]
    assert "ENUM_BAD" not in set(traces.issues["code"])


@pytest.mark.parametrize("value", [99, -1, 2.5, True, "SERVER ", "SpanKind.SERVER", "\u00b2", [2], {"kind": 2}])
def test_an_unknown_kind_is_unspecified_reported_and_kept(value):
    traces = one("kind", value)
    assert traces.spans["kind"].tolist() == ["UNSPECIFIED"]
    [issue] = told(traces, "ENUM_BAD").itertuples()
    assert "expected kind 0 to 5 or a name, found" in issue.message
    assert (issue.severity, issue.field, issue.record_number) == ("warn", "kind", 1)
    assert traces.attributes.query("key == 'otlp.kind'")["value_type"].notna().all()
    assert len(traces.attributes.query("key == 'otlp.kind'")) == 1


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ({"code": 2, "message": "m"}, "ERROR", "m"),
        ({"code": "STATUS_CODE_ERROR"}, "ERROR", None),
        ({"Code": 2, "Message": "m"}, "ERROR", "m"),
        ("STATUS_CODE_ERROR", "ERROR", None),
        (1, "OK", None),
        ({}, "UNSET", None),
        (None, "UNSET", None),
    ],
)
def test_a_status_in_every_spelling(status, code, message):
    row = one("status", status).spans.iloc[0]
    assert row["status_code"] == code
    assert (None if pd.isna(row["status_message"]) else row["status_message"]) == message


@pytest.mark.parametrize(
    ("value", "wanted", "code"),
    [
        (str(START), START, None),
        ("0", None, "TIME_ZERO"),
        ("000", None, "TIME_ZERO"),
        (0, None, "TIME_ZERO"),
        ("", None, "TIME_ZERO"),
        (None, None, "TIME_ZERO"),
        ("2025-06-15T15:06:40Z", 1_750_000_000_000_000_000, "TIME_STRING"),
        ("2025-06-15 17:06:40.000000001+02:00", 1_750_000_000_000_000_001, "TIME_STRING"),
        ("2025-06-15T15:06:40", 1_750_000_000_000_000_000, "TIME_STRING"),
        ("2025-06-31T15:06:40Z", None, "TIME_STRING"),
        ("9999-01-01T00:00:00Z", None, "TIME_STRING"),
        ("now", None, "TIME_STRING"),
        ("today", None, "TIME_STRING"),
        ("NaT", None, "TIME_STRING"),
        ("3 May", None, "TIME_STRING"),
        ("1_750_000_000_000_000_000", None, "TIME_STRING"),
        ("+1750000000000000000", None, "TIME_STRING"),
        ("\u0661\u0662", None, "TIME_STRING"),
        ("9" * 5000, None, "TIME_STRING"),
        ([START], None, "TIME_STRING"),
        ({}, None, "TIME_STRING"),
        (True, None, "TIME_STRING"),
    ],
)
def test_times_in_every_spelling_and_none_guessed(value, wanted, code):
    traces = one("startTimeUnixNano", value, endTimeUnixNano=None)
    found = traces.spans["start_ns"].iloc[0]
    assert (None if pd.isna(found) else found) == wanted
    assert code is None or code in set(traces.issues["code"])
    naive = Quality.TIME_ZONE_ASSUMED in Quality(int(traces.spans["quality"].iloc[0]))
    assert naive == (value == "2025-06-15T15:06:40")


@pytest.mark.parametrize("value", ["9" * 30, 1e300, -1e300, "-" + "9" * 30])
def test_a_time_beyond_64_bits_costs_the_span(value):
    traces = read(lines(request(span(startTimeUnixNano=value)), request(span(**ids(1)))))
    assert counts(traces) == (2, 1, 0, 1)
    assert told(traces, "TIME_UNIT")["action"].tolist() == ["quarantined"]


@pytest.mark.parametrize("field", ["traceId", "spanId"])
@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "ID_BAD_LENGTH"),
        (None, "ID_BAD_LENGTH"),
        ("0" * 32, "ID_ZERO"),
        ("zz" * 8, "ID_NOT_HEX"),
        (17, "ID_NOT_HEX"),
    ],
)
def test_a_span_without_an_id_is_left_out_and_counted(field, value, code):
    zeros = "0" * (32 if field == "traceId" else 16)
    bad = span(**{field: zeros if code == "ID_ZERO" else value})
    traces = read(lines(request(bad, span(**ids(1)))))
    assert counts(traces) == (2, 1, 0, 1)
    [issue] = told(traces, code).itertuples()
    assert (issue.action, issue.field, issue.record_number) == ("quarantined", field, 1)
    assert f"hex digits in {field}, found" in issue.message
    assert "GET /cart" in issue.raw_excerpt


@pytest.mark.parametrize("value", ["", None, "0" * 16, base64.b64encode(bytes(8)).decode()])
def test_a_root_is_recognised_in_every_spelling(value):
    traces = one("parentSpanId", value)
    assert traces.spans["parent_state"].tolist() == ["root"]
    assert len(traces.issues[traces.issues["severity"] != "info"]) == 0


@pytest.mark.parametrize(("value", "code"), [("abc", "ID_BAD_LENGTH"), ("zz" * 8, "ID_NOT_HEX"), (5, "ID_NOT_HEX")])
def test_a_parent_that_is_no_id_makes_an_orphan(value, code):
    traces = one("parentSpanId", value)
    assert traces.spans["parent_state"].tolist() == ["missing"]
    assert traces.spans["parent_span_id"].isna().all()
    [issue] = told(traces, code).itertuples()
    assert (issue.severity, issue.action, issue.trace_id, issue.span_id) == ("warn", "accepted", TRACE, SPAN)


def test_links_with_bad_ids_are_kept_with_their_text():
    links = [{"traceId": "zz", "spanId": SPAN}, {"traceId": TRACE}, 5, {"traceId": TRACE, "spanId": SPAN}]
    traces = one("links", links)
    assert len(traces.links) == 3
    assert traces.links["trace_id"].isna().tolist() == [True, False, False]
    assert traces.links["span_id"].isna().tolist() == [False, True, False]
    assert set(traces.attributes.query("owner == 'link'")["key"]) == {"otlp.link.traceId", "otlp.link.spanId"}
    codes = set(traces.issues.query("severity == 'warn'")["code"])
    assert codes == {"ID_NOT_HEX", "ID_BAD_LENGTH", "ATTR_BAD"}
    assert counts(traces) == (1, 1, 0, 0)


@pytest.mark.parametrize("field", ["events", "links"])
@pytest.mark.parametrize("value", [5, "x", [5], [None], [[]]])
def test_invalid_events_and_links_are_left_out_and_reported(field, value):
    traces = one(field, value)
    assert counts(traces) == (1, 1, 0, 0)
    assert len(getattr(traces, field)) == 0
    assert f"expected a list of objects in {field}, found" in told(traces, "ATTR_BAD")["message"].iloc[0]


def test_one_event_that_is_not_in_a_list_is_taken():
    assert one("events", {"name": "e", "timeUnixNano": "5"}).events["time_ns"].tolist() == [5]


def test_an_event_beyond_64_bits_loses_its_time():
    traces = one("events", [{"name": "e", "timeUnixNano": "9" * 20}])
    assert traces.events["time_ns"].isna().all()
    assert told(traces, "TIME_UNIT")["severity"].tolist() == ["warn"]


@pytest.mark.parametrize("field", ["flags", "droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"])
@pytest.mark.parametrize(("value", "wanted"), [(5, 5), ("5", 5), (5.0, 5), (2**32 - 1, 2**32 - 1), (None, 0)])
def test_counts_in_every_spelling(field, value, wanted):
    columns = {"flags": "trace_flags", "droppedAttributesCount": "dropped_attributes_count"}
    column = columns.get(field, f"dropped_{field[7:-5].lower()}_count")
    traces = one(field, value)
    assert traces.spans[column].tolist() == [wanted]
    assert len(traces.issues) == 0


@pytest.mark.parametrize("value", [-1, 2**32, 5.5, "x", True, [5], "9" * 20])
def test_an_invalid_count_is_zero_and_reported(value):
    traces = one("droppedEventsCount", value)
    assert traces.spans["dropped_events_count"].tolist() == [0]
    assert "expected an unsigned 32-bit number in droppedEventsCount" in told(traces, "ENUM_BAD")["message"].iloc[0]


def test_invalid_texts_become_text_and_are_reported():
    traces = one("name", 17, traceState=["x"])
    assert traces.spans["name"].tolist() == ["17"]
    assert len(told(traces, "ATTR_BAD")) == 2
    assert one("name", None).spans["name"].tolist() == [""]


@pytest.mark.parametrize(
    ("changed", "quarantined"),
    [
        ({"resourceSpans": [5]}, 1),
        ({"resourceSpans": [None, "x"]}, 2),
        ({"resourceSpans": [{"scopeSpans": [7]}]}, 1),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [None, [], "x"]}]}]}, 3),
        ({"resourceSpans": [{"scopeSpans": [{"spans": 5}]}]}, 1),
        ({"resourceSpans": [{"scopeSpans": "x"}]}, 1),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_span_where_one_should_be_is_counted(changed, quarantined, form):
    traces = read(lines(changed, request(span())) if form == "line" else pretty([changed, request(span())]))
    assert counts(traces) == (quarantined + 1, 1, 0, quarantined)
    assert set(told(traces, "FORMAT_UNKNOWN")["action"]) == {"quarantined"}


@pytest.mark.parametrize(
    "record",
    [
        {"resourceSpans": []},
        {"resourceSpans": None},
        {"resourceSpans": [{}]},
        {"resourceSpans": [{"scopeSpans": None}]},
        {"resourceSpans": [{"scopeSpans": [{}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": None}]}]},
        {"trace": {"resourceSpans": []}},
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_an_empty_request_is_legal_and_empty(record, form):
    traces = read(FORMS[form](record))
    assert counts(traces) == (0, 0, 0, 0)
    assert traces.sources["format"].tolist() == ["otlp"]
    assert set(traces.issues["code"]) <= {"DIALECT"}


def test_objects_where_lists_should_be_are_taken():
    single = {"resourceSpans": {"scopeSpans": {"spans": span()}}}
    for form in FORMS.values():
        assert counts(read(form(single))) == (1, 1, 0, 0)


@pytest.mark.parametrize("value", [[1], "shop", 5])
@pytest.mark.parametrize("form", FORMS)
def test_a_resource_or_scope_that_is_no_object_is_reported(value, form):
    record = request(span(), resource=value, scope=value)
    traces = read(FORMS[form](record))
    assert counts(traces) == (1, 1, 0, 0)
    assert traces.spans["service_name"].tolist() == ["unknown_service"]
    messages = told(traces, "ATTR_BAD")["message"]
    assert messages.str.contains("expected an object in resource, found").sum() == 1
    assert messages.str.contains("expected an object in scope, found").sum() == 1


# ------------------------------------------------------------------ attributes


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ({"stringValue": "5"}, "str", "5"),
        ({"intValue": "5"}, "int", 5),
        ({"intValue": 5}, "int", 5),
        ({"intValue": 5.0}, "int", 5),
        ({"intValue": "5e3"}, "int", 5000),
        ({"intValue": " -5 "}, "int", -5),
        ({"intValue": "9223372036854775807"}, "int", 2**63 - 1),
        ({"doubleValue": "1.5"}, "double", 1.5),
        ({"doubleValue": 1}, "double", 1.0),
        ({"doubleValue": "Infinity"}, "double", float("inf")),
        ({"boolValue": False}, "bool", False),
        ({"bytesValue": "AP8="}, "bytes", b"\x00\xff"),
        ({"bytesValue": "AP8"}, "bytes", b"\x00\xff"),
        ({"bytesValue": "-_-_"}, "bytes", b"\xfb\xff\xbf"),
        ({"stringValueStrindex": 3}, "empty", None),
        ({"stringValue": None}, "empty", None),
        (None, "empty", None),
        ("plain", "str", "plain"),
        (5, "int", 5),
        ([1, 2], "array", "[1,2]"),
    ],
)
def test_values_in_every_spelling(value, kind, wanted):
    traces = one("attributes", [{"key": "k", "value": value}])
    row = traces.attributes.query("key == 'k'").iloc[0]
    assert row["value_type"] == kind
    columns = {"array": "value_json", "map": "value_json", "empty": "value_str"}
    found = row[columns.get(kind, f"value_{kind}")]
    assert (None if wanted is None and pd.isna(found) else found) == wanted
    assert "ATTR_BAD" not in set(traces.issues["code"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"stringValue": 5}, "expected text in stringValue, found 5; kept as JSON"),
        ({"boolValue": "true"}, "expected true or false in boolValue, found 'true'; kept as JSON"),
        ({"intValue": "five"}, "expected a value of type int, found 'five'; kept as JSON"),
        ({"intValue": 5.5}, "expected a value of type int, found 5.5"),
        ({"intValue": True}, "expected a value of type int, found True"),
        ({"intValue": "1e999"}, "expected a value of type int, found '1e999'"),
        ({"intValue": "1_0"}, "expected a value of type int"),
        ({"intValue": "Infinity"}, "expected a value of type int"),
        ({"doubleValue": "much"}, "expected a value of type double, found 'much'"),
        ({"doubleValue": "1_0"}, "expected a value of type double, found '1_0'"),
        ({"doubleValue": True}, "expected a value of type double, found True"),
        ({"doubleValue": 10**400}, "expected a value of type double, found 1000"),
        ({"doubleValue": []}, "expected a value of type double, found []"),
        ({"bytesValue": "?"}, "expected a value of type bytes, found '?'"),
        ({"bytesValue": 5}, "expected a value of type bytes, found 5"),
        ({"arrayValue": {"values": 5}}, "expected a list of values, found int"),
        ({"kvlistValue": {"values": [5]}}, "expected {key, value} in a kvlistValue"),
        ({"kvlistValue": {"values": [{"key": 5}]}}, "expected {key, value} in a kvlistValue"),
        ({"colour": "blue"}, "expected one of stringValue, intValue, ..., found colour"),
        ({"Value": 5}, "expected one of stringValue, intValue, ..., found 5"),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_value_that_is_not_well_formed_is_kept_as_json_and_reported(value, message, form):
    traces = read(FORMS[form](request(span(attributes=[{"key": "k", "value": value}]))))
    [issue] = told(traces, "ATTR_BAD").itertuples()
    assert issue.message.startswith("ATTR_BAD <bytes>:1 (byte ")
    assert f"attribute 'k': {message}" in issue.message
    row = traces.attributes.query("key == 'k'").iloc[0]
    assert row["value_type"] == "map"
    assert counts(traces) == (1, 1, 0, 0)


def test_of_two_members_the_first_in_proto_order_is_taken():
    traces = one("attributes", [{"key": "k", "value": {"intValue": "5", "stringValue": "x"}}])
    assert traces.attribute("k").tolist() == ["x"]
    assert (
        "expected one value, found stringValue, intValue; the first was used"
        in told(traces, "ATTR_BAD")["message"].iloc[0]
    )


def test_keys_that_are_none():
    attributes = [{"value": {"stringValue": "x"}}, {"key": 5, "value": {}}, 7, text("", "y"), text("good", "z")]
    traces = one("attributes", attributes)
    assert traces.attributes.query("owner == 'span'")["key"].tolist() == ["", "", "good"]
    assert len(told(traces, "ATTR_BAD")) == 4


def test_attributes_as_a_map_are_a_dialect():
    traces = one("attributes", {"a": "x", "b": 5, "c": [1], "": 1})
    assert traces.attribute("a").tolist() == ["x"]
    assert "attribute_map=1" in traces.sources["dialects"].iloc[0]
    assert len(told(traces, "ATTR_BAD")) == 1, "the empty key"


@pytest.mark.parametrize("value", [5, "x", True])
def test_attributes_that_are_neither_list_nor_map_are_reported(value):
    message = told(one("attributes", value), "ATTR_BAD")["message"].iloc[0]
    assert "expected a list of attributes, found" in message


@pytest.mark.parametrize("digits", ["9" * 19, "-" + "9" * 30, "9" * 5000])
@pytest.mark.parametrize("quoted", [True, False])
def test_integers_beyond_64_bits_keep_their_digits(digits, quoted):
    record = json.dumps(request(span(attributes=[{"key": "k", "value": {"intValue": "DIGITS"}}])))
    data = record.replace('"DIGITS"', f'"{digits}"' if quoted else digits).encode()
    traces = read(data + b"\n")
    row = traces.attributes.query("key == 'k'").iloc[0]
    assert (row["value_type"], row["value_json"]) == ("int", digits)
    assert pd.isna(row["value_int"])
    assert "JSON_BIG_INT" in set(traces.issues["code"])
    assert counts(traces) == (1, 1, 0, 0)


def test_a_repeated_key_is_kept_twice_and_the_last_is_the_value():
    traces = one("attributes", [text("k", "first"), text("k", "last")])
    assert traces.attribute("k").tolist() == ["last"]
    assert traces.attributes.query("key == 'k'")["value_str"].tolist() == ["first", "last"]
