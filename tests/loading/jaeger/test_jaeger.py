"""Jaeger: every shape, the field map, ids that are not hex, and every issue that the loader can raise."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.ledger import NOWHERE
from tracekit.loading.jaeger.ids import Ids

TRACE = "58406520a006649127e371903a2de979"
START = 1_485_467_191_639_875
PROCESSES = {"p1": {"serviceName": "shop", "tags": [{"key": "host.name", "type": "string", "value": "h1"}]}}


def span(number, **members):
    return {
        "traceID": TRACE,
        "spanID": f"{number:016x}",
        "operationName": f"op{number}",
        "startTime": START + number,
        "duration": 10 - 2 * number,
        "processID": "p1",
        **members,
    }


def trace(*spans, **members):
    return {"traceID": TRACE, "spans": list(spans), "processes": PROCESSES, **members}


def child_of(number, trace_id=TRACE, kind="CHILD_OF"):
    return {"refType": kind, "traceID": trace_id, "spanID": f"{number:016x}"}


def tag(key, value, kind="string"):
    return {"key": key, "type": kind, "value": value}


def load(value, **options):
    return read(value if isinstance(value, bytes) else json.dumps(value).encode(), **options)


def one(**members):
    return load(trace(span(1, **members)))


def issues(traces):
    return {code for code in traces.issues["code"] if code != "DIALECT"}


def message(traces, code):
    return traces.issues.set_index("code").loc[code, "message"]


def values(traces, owner="span"):
    frame = traces.attributes[traces.attributes["owner"] == owner]
    found = {}
    for row in frame.itertuples():
        cells = (row.value_str, row.value_int, row.value_bool, row.value_json, row.value_double, row.value_bytes)
        found[row.key] = next((cell for cell in cells if isinstance(cell, bytes) or not pd.isna(cell)), None)
    return found


# ---------------------------------------------------------------------- shapes

SPANS = [span(1), span(2, references=[child_of(1)])]
EMBEDDED = [{**one_span, "process": PROCESSES["p1"]} for one_span in SPANS]
ELASTIC = [{**one_span, "startTimeMillis": START // 1000} for one_span in EMBEDDED]
SHAPES = {
    "answer": {"data": [trace(*SPANS)], "total": 0, "limit": 0, "offset": 0, "errors": None},
    "what the UI holds": {"data": trace(*EMBEDDED, services=[{"name": "shop"}], duration=7)},
    "one trace": trace(*SPANS),
    "list of traces": [trace(SPANS[0]), trace(SPANS[1])],
    "list of spans": EMBEDDED,
    "answer with bare spans": {"data": EMBEDDED},
    "elasticsearch documents": ELASTIC,
    "elasticsearch hits": [{"_index": "jaeger", "_source": one_span} for one_span in ELASTIC],
    "elasticsearch answer": {"took": 1, "hits": {"hits": [{"_source": one_span} for one_span in ELASTIC]}},
}


@pytest.mark.parametrize("layout", ["compact", "indented", "lines"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_the_same_spans(shape, layout):
    value = SHAPES[shape]
    items = value if isinstance(value, list) else [value]
    data = {
        "compact": json.dumps(value),
        "indented": json.dumps(value, indent=2),
        "lines": "".join(json.dumps(item) + "\n" for item in items),
    }[layout]
    traces = read(data.encode())
    assert traces.spans["trace_id"].tolist() == [TRACE] * 2
    assert traces.spans["name"].tolist() == ["op1", "op2"]
    assert traces.spans["parent_row"].tolist() == [-1, 0]
    assert traces.spans["start_ns"].tolist() == [(START + 1) * 1000, (START + 2) * 1000]
    assert traces.spans["duration_ns"].tolist() == [8000, 6000]
    assert traces.spans["time_resolution_ns"].tolist() == [1000, 1000]
    assert set(traces.spans["service_name"]) == {"shop"}
    assert set(traces.spans["host_name"]) == {"h1"}
    assert "jaeger" in traces.sources["format"][0].split("+")
    assert issues(traces) <= {"JSON_CONCAT"}


def test_flat_maps_of_tags_are_read():
    document = ELASTIC[0] | {"tag": {"http@method": "GET", "n": 3}, "process": {"serviceName": "s", "tag": {"a@b": 1}}}
    traces = load(document)
    assert values(traces) == {"http.method": "GET", "n": 3}
    assert values(traces, "resource") == {"service.name": "s", "a.b": 1}


def test_an_answer_without_traces():
    assert len(load({"data": []})) == 0
    with pytest.raises(LoadError, match=r"API_ERROR_JSON.*Jaeger returned an error.*trace not found"):
        load({"data": None, "errors": [{"code": 404, "msg": "trace not found"}]})


def test_errors_among_traces_leave_the_source_incomplete():
    traces = load({"data": [trace(span(1))], "errors": [{"msg": "storage timed out"}]})
    assert traces.sources["complete"].tolist() == [False]
    assert "storage timed out" in message(traces, "API_ERROR_JSON")


@pytest.mark.parametrize(
    "record", [{"data": [{"x": 1}]}, {"data": 5}, {"hits": {"hits": [{"_source": {"x": 1}}]}}, {"spans": []}]
)
def test_what_is_no_trace_is_refused_by_name(record):
    with pytest.raises(LoadError, match="FORMAT_UNKNOWN"):
        load(record)


# ---------------------------------------------------------------------- ids


def test_stripped_zeros_are_padded():
    traces = load(trace(span(1, traceID="ab", spanID="c"), traceID="ab"))
    assert traces.spans["trace_id"].tolist() == ["ab".zfill(32)]
    assert traces.spans["span_id"].tolist() == ["c".zfill(16)]
    assert issues(traces) == set()


def test_64_bit_trace_ids_are_padded_and_reported():
    traces = load([span(number, traceID="00f067aa0ba902b7") for number in (1, 2)])
    assert set(traces.spans["trace_id"]) == {"00f067aa0ba902b7".zfill(32)}
    assert traces.issues.set_index("code").loc["ID_64BIT", "issue_count"] == 2


def test_ids_that_are_not_hex_are_hashed_and_kept():
    spans = [
        span(1, traceID="trace-123", spanID="span-1"),
        span(
            2,
            traceID="trace-123",
            spanID="span-2",
            references=[{"refType": "CHILD_OF", "traceID": "trace-123", "spanID": "span-1"}],
        ),
        span(3, traceID="trace-123", spanID="b"),
    ]
    traces = load(trace(*spans, traceID="trace-123"))
    assert traces.spans["parent_row"].tolist() == [-1, 0, -1]
    assert traces.attribute("jaeger.span_id").tolist()[:2] == ["span-1", "span-2"]
    assert set(traces.attribute("jaeger.trace_id")) == {"trace-123"}
    row = traces.issues.set_index("code").loc["ID_NOT_HEX"]
    assert (row["severity"], row["action"], row["issue_count"]) == ("warn", "repaired", 3)
    assert "expected hex ids, found 3 strings such as 'trace-123'; each was hashed to an id" in row["message"]
    assert load(trace(*spans, traceID="trace-123")).spans["trace_id"].equals(traces.spans["trace_id"])
    assert load(trace(*spans, traceID="trace-123"), strict=True).spans.shape == traces.spans.shape


@given(st.lists(st.text(), unique=True))
def test_hashed_ids_differ_where_their_texts_do(texts):
    builder = Builder()
    builder.open_source("memory")
    ids = Ids(builder, NOWHERE)
    found = [ids.trace(text) for text in texts]
    hashed = [one.value for one in found if one.hashed]
    assert len(set(hashed)) == len(hashed)
    assert [ids.trace(text) for text in texts] == found


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"spanID": ""}, "ID_BAD_LENGTH"),
        ({"spanID": None}, "ID_BAD_LENGTH"),
        ({"spanID": "0" * 16}, "ID_ZERO"),
        ({"spanID": "a" * 17}, "ID_BAD_LENGTH"),
        ({"spanID": 17}, "ID_NOT_HEX"),
        ({"traceID": "0"}, "ID_ZERO"),
        ({"traceID": "a" * 33}, "ID_BAD_LENGTH"),
    ],
)
def test_ids_that_cannot_be_used_cost_their_span(members, code):
    traces = load(trace(span(1), span(2, **members)))
    assert traces.spans["name"].tolist() == ["op1"]
    assert traces.sources[["span_count", "accepted_count", "quarantined_count"]].to_numpy().tolist() == [[2, 1, 1]]
    field = next(iter(members))
    assert f"expected an id in {field}, found {members[field]!r}; span skipped" in message(traces, code)


def test_the_trace_id_of_the_trace_serves_spans_without_one():
    bare = span(1)
    del bare["traceID"]
    assert load(trace(bare)).spans["trace_id"].tolist() == [TRACE]


def test_what_is_no_span_is_quarantined():
    traces = load(trace(span(1), "x", None))
    assert traces.sources["quarantined_count"].tolist() == [2]
    assert issues(traces) == {"FORMAT_UNKNOWN"}


# ---------------------------------------------------------------------- references

OTHER = "0" * 31 + "1"


@pytest.mark.parametrize(
    ("members", "parent", "links"),
    [
        ({}, None, []),
        ({"references": None}, None, []),
        ({"references": [child_of(9)]}, 9, []),
        ({"references": [child_of(9), child_of(8)]}, 9, [(8, "child_of_extra")]),
        ({"references": [child_of(7, OTHER), child_of(9)]}, 9, [(7, "child_of_extra")]),
        ({"references": [child_of(7, OTHER)]}, None, [(7, "child_of_extra")]),
        ({"references": [child_of(9, kind="FOLLOWS_FROM")]}, 9, [(9, "follows_from")]),
        ({"references": [child_of(7, OTHER, "FOLLOWS_FROM")]}, None, [(7, "follows_from")]),
        ({"references": [child_of(8, kind="FOLLOWS_FROM"), child_of(9)]}, 9, [(8, "follows_from")]),
        (
            {"references": [child_of(8, kind="FOLLOWS_FROM"), child_of(9, kind="FOLLOWS_FROM")]},
            None,
            [(8, "follows_from"), (9, "follows_from")],
        ),
        ({"parentSpanID": f"{9:016x}"}, 9, []),
        ({"parentSpanID": ""}, None, []),
        ({"parentSpanID": "0"}, None, []),
        ({"parentSpanID": f"{9:016x}", "references": [child_of(8, kind="FOLLOWS_FROM")]}, 9, [(8, "follows_from")]),
        ({"parentSpanID": f"{9:016x}", "references": [child_of(8)]}, 8, []),
    ],
)
def test_references_become_parent_and_links(members, parent, links):
    traces = one(**members)
    assert traces.spans["parent_span_id"].fillna("").tolist() == [f"{parent:016x}" if parent else ""]
    found = [(int(row.span_id, 16), row.relation) for row in traces.links.itertuples()]
    assert found == links
    assert issues(traces) <= {"PARENT_MISSING", "NO_ROOT"}


@pytest.mark.parametrize(
    "reference",
    [5, {"refType": "COUSIN_OF", "traceID": TRACE, "spanID": "1"}, {"refType": "CHILD_OF", "traceID": TRACE}],
)
def test_odd_references_are_reported_and_kept(reference):
    traces = one(references=[reference])
    assert "expected references with refType, traceID and spanID" in message(traces, "ID_NOT_HEX")
    assert json.loads(values(traces)["jaeger.references"]) == [reference]


def test_a_bad_deprecated_parent_leaves_an_orphan():
    traces = one(parentSpanID="a" * 40)
    assert traces.spans["parent_state"].tolist() == ["missing"]
    assert "ID_NOT_HEX" in issues(traces)


# ---------------------------------------------------------------------- tags, logs, process


def test_tags_are_typed_by_their_type():
    tags = [
        tag("text", "5"),
        tag("number as text", 5),
        tag("truth", "true", "bool"),
        tag("plain truth", value=False, kind="bool"),
        tag("long", "9223372036854775222", "int64"),
        tag("short", 7, "int64"),
        tag("whole", 7.0, "int64"),
        tag("double", 72, "float64"),
        tag("double as text", "72.5", "float64"),
        tag("infinite", "-Inf", "float64"),
        tag("blob", "AAAwOQ==", "binary"),
        {"key": "untyped", "value": 2.5},
    ]
    assert values(one(tags=tags)) == {
        "text": "5",
        "number as text": "5",
        "truth": True,
        "plain truth": False,
        "long": 9223372036854775222,
        "short": 7,
        "whole": 7,
        "double": 72.0,
        "double as text": 72.5,
        "infinite": float("-inf"),
        "blob": b"\x00\x000\x39",
        "untyped": 2.5,
    }
    frame = one(tags=tags).attributes
    assert set(frame[frame["owner"] == "span"]["origin"]) == {"tag"}


def test_a_span_may_have_a_member_called_hits():
    traces = load(ELASTIC[0] | {"hits": 5})
    assert traces.spans["name"].tolist() == ["op1"]
    assert traces.sources["dialects"].tolist() == [""]


def test_binary_in_elasticsearch_is_hex():
    assert values(load(ELASTIC[0] | {"tags": [tag("blob", "00003039", "binary")]})) == {"blob": b"\x00\x00\x30\x39"}


@pytest.mark.parametrize(
    "bad", [tag("k", "perhaps", "bool"), tag("k", "x", "int64"), tag("k", 1.5, "int64"), tag("k", "%", "binary")]
)
def test_values_of_another_type_are_kept_and_reported(bad):
    traces = one(tags=[bad])
    assert values(traces) == {"k": bad["value"]}
    assert f"tag 'k': expected a {bad['type']}, found {bad['value']!r}; kept unchanged" in message(traces, "ATTR_BAD")


def test_invalid_tags_are_left_out_and_reported():
    traces = one(tags=[5, {"value": 1}, tag("k", "v")])
    assert values(traces) == {"k": "v"}
    assert traces.issues["code"].tolist().count("ATTR_BAD") == 2


SPECIAL = [
    ([], ("INTERNAL", True, "UNSET", None, None)),
    ([tag("span.kind", "server")], ("SERVER", False, "UNSET", None, None)),
    ([tag("span.kind", "CLIENT"), tag("error", value=True, kind="bool")], ("CLIENT", False, "ERROR", None, None)),
    ([tag("span.kind", "consumer"), tag("error", "true", "bool")], ("CONSUMER", False, "ERROR", None, None)),
    ([tag("error", value=False, kind="bool")], ("INTERNAL", True, "UNSET", None, None)),
    ([tag("error", value=True, kind="bool"), tag("otel.status_code", "OK")], ("INTERNAL", True, "OK", None, None)),
    (
        [tag("otel.status_code", "ERROR"), tag("otel.status_description", "boom"), tag("w3c.tracestate", "a=b")],
        ("INTERNAL", True, "ERROR", "boom", "a=b"),
    ),
]


@pytest.mark.parametrize(("tags", "expected"), SPECIAL)
def test_special_tags_are_consumed(tags, expected):
    traces = one(tags=tags)
    row = traces.spans.iloc[0]
    found = tuple(
        None if pd.isna(row[name]) else row[name]
        for name in ("kind", "kind_inferred", "status_code", "status_message", "trace_state")
    )
    assert found == expected
    assert values(traces) == {}


def test_scope_tags_old_and_new():
    for prefix in ("otel.scope", "otel.library"):
        traces = one(tags=[tag(f"{prefix}.name", "lib"), tag(f"{prefix}.version", "1.1")])
        row = traces.scopes.loc[traces.spans["scope_id"][0]]
        assert (row["name"], row["version"]) == ("lib", "1.1")
        assert values(traces) == {}


def test_an_error_that_says_more_stays():
    traces = one(tags=[tag("error", "connection refused")])
    assert traces.spans["status_code"].tolist() == ["ERROR"]
    assert values(traces) == {"error": "connection refused"}


@pytest.mark.parametrize("bad", [tag("span.kind", "sever"), tag("otel.status_code", "FINE")])
def test_values_outside_their_enumeration_are_kept_and_reported(bad):
    traces = one(tags=[bad])
    assert values(traces) == {bad["key"]: bad["value"]}
    assert f"expected {bad['key']} to be one of" in message(traces, "ENUM_BAD")


def test_logs_are_events():
    logs = [
        {"timestamp": START + 2, "fields": [tag("event", "retry"), tag("n", 2, "int64")]},
        {"timestamp": START + 3, "fields": [tag("message", "done"), tag("level", "info")]},
        {"timestamp": START + 4, "fields": [tag("x", "y")]},
    ]
    traces = one(logs=logs)
    assert traces.events["name"].astype(object).fillna("").tolist() == ["retry", "done", ""]
    assert traces.events["time_ns"].tolist() == [(START + n) * 1000 for n in (2, 3, 4)]
    assert values(traces, "event") == {"n": 2, "message": "done", "level": "info", "x": "y"}


def test_exceptions_in_logs_are_promoted():
    fields = [tag("event", "exception"), tag("exception.type", "KeyError"), tag("exception.message", "x")]
    traces = one(logs=[{"timestamp": START, "fields": fields}])
    assert traces.spans["error_type"].tolist() == ["KeyError"]


def test_files_other_than_logs_are_left_out_and_reported():
    traces = one(logs=[5])
    assert "expected a log with fields, found 5; skipped" in message(traces, "ATTR_BAD")


@pytest.mark.parametrize("members", [{"processID": "p9"}, {"processID": None}, {"processID": None, "process": "shop"}])
def test_a_span_without_its_process_has_no_service(members):
    traces = one(**members)
    assert traces.spans["service_name"].tolist() == ["unknown_service"]
    assert "expected the process of the span, found none; service unknown" in message(traces, "ATTR_BAD")


def test_warnings_are_issues():
    traces = load(trace(span(1, warnings=["clock skew adjustment disabled"]), warnings=["trace too long"]))
    found = traces.issues[traces.issues["code"] == "SOURCE_WARNING"]
    assert found["severity"].tolist() == ["info", "info"]
    assert "Jaeger warns: trace too long" in found["message"].iloc[0]
    assert "clock skew adjustment disabled; the server changed the times" in found["message"].iloc[1]
    assert found["span_id"].tolist() == ["", f"{1:016x}"]
    assert set(found["trace_id"]) == set(traces.trace_ids)


def test_flags():
    assert one(flags=1).spans["trace_flags"].tolist() == [1]
    traces = one(flags="sampled")
    assert traces.spans["trace_flags"].tolist() == [0]
    assert "expected flags as an unsigned 32-bit number, found 'sampled'; read as 0" in message(traces, "ENUM_BAD")


# ---------------------------------------------------------------------- times


@pytest.mark.parametrize("start", [START, float(START), str(START)])
def test_microseconds_in_every_spelling(start):
    traces = load([span(1, startTime=start, duration="5", process=PROCESSES["p1"])])
    assert traces.spans["start_ns"].tolist() == [START * 1000]
    assert traces.spans["duration_ns"].tolist() == [5000]


def test_a_start_of_zero_among_dates_is_missing():
    traces = load(trace(span(1), span(2, startTime=0)))
    assert traces.spans["start_ns"].isna().tolist() == [True, False]
    assert values(traces) == {"jaeger.duration_us": 6}
    assert "TIME_ZERO" in issues(traces)


def test_times_that_count_from_zero_are_times():
    traces = load(trace(span(1, startTime=0, duration=100), span(2, startTime=10, duration=20)))
    assert traces.spans["start_ns"].tolist() == [0, 10_000]
    assert traces.spans["duration_ns"].tolist() == [100_000, 20_000]
    row = traces.issues.set_index("code").loc["TIME_ZERO"]
    assert row["severity"] == "info"
    assert "found times that start at zero; kept, and 0 is a valid time" in row["message"]


@pytest.mark.parametrize("value", [True, [], "soon", float("nan"), 1e30, "9" * 30])
def test_invalid_times_are_missing_and_reported(value):
    traces = one(duration=value)
    assert traces.spans["end_ns"].isna().all()
    assert "expected microseconds in duration, found" in message(traces, "TIME_STRING")


def test_dates_as_text():
    traces = load([span(1, startTime="2017-01-26T21:46:31.639875Z"), span(2, startTime="2017-01-26T21:46:31.639875")])
    assert traces.spans["start_ns"].tolist() == [START * 1000] * 2
    told = traces.issues[traces.issues["code"] == "TIME_STRING"]["message"].str.cat()
    assert "found a date as text; converted" in told
    assert "no time zone, UTC assumed" in told


def test_a_time_beyond_64_bits_costs_its_span():
    traces = load(trace(span(1), span(2, startTime=2**60)))
    assert traces.sources["quarantined_count"].tolist() == [1]
    assert "TIME_UNIT" in issues(traces)
