"""Zipkin: v1 and v2 in every shape, shared spans, missing times, and every issue that the loader can raise."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.zipkin.v1 import halves
from tracekit.schema import Quality

TRACE = "58406520a006649127e371903a2de979"
START = 1_485_467_191_639_875


def span(number, **members):
    base = {"traceId": TRACE, "id": f"{number:016x}", "name": f"op{number}"}
    return base | {"timestamp": START + number, "duration": 10, "localEndpoint": {"serviceName": "shop"}} | members


def load(value, **options):
    return read(value if isinstance(value, bytes) else json.dumps(value).encode(), **options)


def one(**members):
    return load([span(1, **members)])


def issues(traces):
    return {code for code in traces.issues["code"] if code != "DIALECT"}


def message(traces, code):
    return traces.issues.set_index("code").loc[code, "message"]


def values(traces, owner="span"):
    frame = traces.attributes[traces.attributes["owner"] == owner]
    found = {}
    for row in frame.itertuples():
        cells = (row.value_str, row.value_int, row.value_bool, row.value_json, row.value_double)
        found[row.key] = next((cell for cell in cells if not pd.isna(cell)), None)
    return found


# ---------------------------------------------------------------------- shapes

SPANS = [span(1, kind="SERVER", duration=100), span(2, parentId=f"{1:016x}", kind="CLIENT")]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(SPANS),
        json.dumps(SPANS, indent=2),
        json.dumps([SPANS]),
        json.dumps([[SPANS[0]], [SPANS[1]], []], indent=1),
        "\n".join(map(json.dumps, SPANS)),
        "\n".join(json.dumps([one_span]) for one_span in SPANS),
    ],
    ids=["list", "indented", "list of lists", "indented list of lists", "lines", "lists, one a line"],
)
def test_every_shape_gives_the_same_spans(data):
    traces = read(data.encode())
    assert traces.spans["name"].tolist() == ["op1", "op2"]
    assert traces.spans["parent_row"].tolist() == [-1, 0]
    assert traces.spans["kind"].tolist() == ["SERVER", "CLIENT"]
    assert traces.spans["start_ns"].tolist() == [(START + 1) * 1000, (START + 2) * 1000]
    assert traces.spans["duration_ns"].tolist() == [100_000, 10_000]
    assert traces.spans["time_resolution_ns"].tolist() == [1000, 1000]
    assert set(traces.spans["service_name"]) == {"shop"}
    assert "zipkin" in traces.sources["format"][0].split("+")
    assert issues(traces) == set()


@pytest.mark.parametrize("record", [{"traceId": TRACE}, [[{"id": "1"}]], [{"traceId": TRACE, "name": "x"}]])
def test_what_is_no_span_is_refused(record):
    with pytest.raises(LoadError, match="FORMAT_UNKNOWN"):
        load(record)


def test_items_that_are_none_are_quarantined():
    traces = read(json.dumps([[span(1), 5, None]]).encode() + b"\n{}\n")
    assert traces.sources[["span_count", "quarantined_count"]].to_numpy().tolist() == [[4, 3]]
    assert "expected a span, found 5; skipped" in message(traces, "FORMAT_UNKNOWN").iloc[0]


def test_a_list_of_spans_and_other_objects_is_separated():
    traces = load([span(1), 5, span(2)])
    assert traces.sources[["span_count", "quarantined_count"]].to_numpy().tolist() == [[3, 1]]


# ---------------------------------------------------------------------- ids


def test_64_bit_trace_ids_are_padded_and_reported():
    traces = load([span(number, traceId="00f067aa0ba902b7") for number in (1, 2)])
    assert set(traces.spans["trace_id"]) == {"00f067aa0ba902b7".zfill(32)}
    assert traces.issues.set_index("code").loc["ID_64BIT", "issue_count"] == 2


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"id": "span-1"}, "ID_NOT_HEX"),
        ({"id": ""}, "ID_BAD_LENGTH"),
        ({"id": "0"}, "ID_ZERO"),
        ({"id": 7}, "ID_NOT_HEX"),
        ({"traceId": "a" * 33}, "ID_BAD_LENGTH"),
        ({"traceId": None}, "ID_BAD_LENGTH"),
    ],
)
def test_ids_that_cannot_be_used_cost_their_span(members, code):
    traces = load([span(1), span(2, **members)])
    assert traces.spans["name"].tolist() == ["op1"]
    assert traces.sources[["span_count", "quarantined_count"]].to_numpy().tolist() == [[2, 1]]
    assert "; span skipped" in message(traces, code)


def test_parents():
    assert one(parentId="0000000000000000").spans["parent_state"].tolist() == ["root"]
    assert load([span(1), span(2, parentId="1")]).spans["parent_row"].tolist() == [-1, 0]
    traces = one(parentId="shop")
    assert traces.spans["parent_state"].tolist() == ["missing"]
    row = traces.issues.set_index("code").loc["ID_NOT_HEX"]
    assert row["severity"] == "warn"
    assert "expected hex digits in parentId, found 'shop'; parent treated as missing" in row["message"]


def test_a_shared_server_is_the_child_of_its_client():
    client = span(2, kind="CLIENT", parentId=f"{1:016x}")
    server = span(2, kind="SERVER", parentId=f"{1:016x}", shared=True, timestamp=START + 4, duration=5)
    server["localEndpoint"] = {"serviceName": "cart"}
    below = span(3, parentId=f"{2:016x}", timestamp=START + 5, duration=2, localEndpoint={"serviceName": "cart"})
    traces = load([below, server, span(1, duration=30), client])
    assert traces.spans["name"].tolist() == ["op1", "op2", "op2", "op3"]
    assert traces.spans["kind"].tolist() == ["INTERNAL", "CLIENT", "SERVER", "INTERNAL"]
    assert traces.spans["parent_row"].tolist() == [-1, 0, 1, 2]
    assert [bool(bits & Quality.SHARED) for bits in traces.spans["quality"]] == [False, False, True, False]
    assert traces.sources[["span_count", "accepted_count"]].to_numpy().tolist() == [[4, 4]]
    assert issues(traces) == set()


# ---------------------------------------------------------------------- kind, times, endpoints


def test_kinds():
    kinds = ["CLIENT", "SERVER", "PRODUCER", "CONSUMER", "client", None]
    traces = load([span(number, kind=kind) for number, kind in enumerate(kinds, 1)])
    assert traces.spans["kind"].tolist() == ["CLIENT", "SERVER", "PRODUCER", "CONSUMER", "CLIENT", "INTERNAL"]
    assert traces.spans["kind_inferred"].tolist() == [False] * 5 + [True]


def test_an_unknown_kind_is_reported_and_kept():
    traces = one(kind="PROXY")
    assert traces.spans["kind"].tolist() == ["INTERNAL"]
    assert values(traces) == {"zipkin.kind": "PROXY"}
    assert "expected kind to be one of" in message(traces, "ENUM_BAD")


@pytest.mark.parametrize(
    ("members", "start", "duration", "attributes", "codes"),
    [
        ({"timestamp": None, "duration": None}, None, None, {}, {"TIME_ZERO", "TIME_MISSING_END"}),
        ({"timestamp": 0}, None, None, {"zipkin.duration_us": 10}, {"TIME_ZERO", "TIME_MISSING_END"}),
        ({"duration": None}, (START + 1) * 1000, None, {}, {"TIME_MISSING_END"}),
        ({"duration": 0}, (START + 1) * 1000, 0, {}, {"DUR_ZERO"}),
        ({"timestamp": str(START)}, START * 1000, 10_000, {}, set()),
    ],
)
def test_times_that_are_not_there_are_missing(members, start, duration, attributes, codes):
    traces = one(**members)
    row = traces.spans.iloc[0]
    assert (None if pd.isna(row["start_ns"]) else row["start_ns"]) == start
    assert (None if pd.isna(row["duration_ns"]) else row["duration_ns"]) == duration
    assert values(traces) == attributes
    assert issues(traces) == codes


def test_invalid_times_are_reported():
    assert "expected microseconds in timestamp, found 'soon'; treated as missing" in message(
        one(timestamp="soon"), "TIME_STRING"
    )


REMOTE = {"serviceName": "cart", "ipv4": "192.0.2.9", "ipv6": "::9", "port": 8080}


@pytest.mark.parametrize(("kind", "side"), [("CLIENT", "server"), ("SERVER", "client"), ("CONSUMER", "client")])
def test_endpoints(kind, side):
    local = {"serviceName": "shop", "ipv6": "::1", "port": 0}
    traces = one(kind=kind, localEndpoint=local, remoteEndpoint=REMOTE)
    assert values(traces) == {
        "network.local.address": "::1",
        f"{side}.address": "192.0.2.9",
        "zipkin.remote.ipv6": "::9",
        f"{side}.port": 8080,
        "peer.service": "cart",
    }
    row = traces.spans.iloc[0]
    assert (row["peer_service_name"], row["peer_address"], row["peer_port"]) == ("cart", "192.0.2.9", 8080)
    assert values(traces, "resource") == {"service.name": "shop"}


@pytest.mark.parametrize("endpoint", [None, {}, {"serviceName": ""}, 5, {"ipv4": "192.0.2.1"}])
def test_without_a_service_it_is_unknown(endpoint):
    assert one(localEndpoint=endpoint).spans["service_name"].tolist() == ["unknown_service"]


# ---------------------------------------------------------------------- tags, annotations, debug


@pytest.mark.parametrize(
    ("value", "said"),
    [("", None), ("true", None), ("false", None), ("500", "500"), ("connection refused", "connection refused")],
)
def test_the_tag_error_means_failure_with_any_value(value, said):
    traces = one(tags={"error": value, "http.status_code": "500", "http.method": "GET"})
    row = traces.spans.iloc[0]
    assert row["status_code"] == "ERROR"
    assert row["status_message"] == said if said else pd.isna(row["status_message"])
    assert (row["http_response_status_code"], row["http_request_method"]) == (500, "GET")
    assert values(traces) == {"http.status_code": "500", "http.method": "GET"}


def test_what_opentelemetry_wrote_is_consumed():
    traces = one(
        tags={"otel.status_code": "OK", "otel.scope.name": "lib", "otel.scope.version": "2", "w3c.tracestate": "a=b"}
    )
    row = traces.spans.iloc[0]
    assert (row["status_code"], row["trace_state"]) == ("OK", "a=b")
    assert traces.scopes.loc[row["scope_id"], "name"] == "lib"
    assert values(traces) == {}


def test_tags_that_are_no_map_are_reported():
    assert "expected a map of tags, found [1]; skipped" in message(one(tags=[1]), "ATTR_BAD")


def test_annotations_are_events():
    traces = one(annotations=[{"timestamp": START + 3, "value": "retry"}, {"timestamp": START + 2, "value": "wait"}, 5])
    assert traces.events["name"].tolist() == ["retry", "wait"]
    assert traces.events["time_ns"].tolist() == [(START + 3) * 1000, (START + 2) * 1000]
    assert "expected an annotation with timestamp and value, found 5; skipped" in message(traces, "ATTR_BAD")


def test_debug_is_an_attribute():
    assert values(one(debug=True)) == {"zipkin.debug": True}


# ---------------------------------------------------------------------- v1


def endpoint(name):
    return {"serviceName": name, "ipv4": "192.0.2.1", "port": 0}


def note(value, at, service="shop"):
    return {"timestamp": START + at, "value": value, "endpoint": endpoint(service)}


def v1(*annotations, **members):
    return {"traceId": TRACE, "id": f"{1:016x}", "name": "get", "annotations": list(annotations), **members}


@pytest.mark.parametrize(
    ("begin", "end", "kind", "is_shared"),
    [("cs", "cr", "CLIENT", False), ("sr", "ss", "SERVER", True), ("ms", "ws", "PRODUCER", False)],
)
def test_v1_times_kind_and_service_come_from_the_annotations(begin, end, kind, is_shared):
    traces = load([v1(note(end, 40), note("custom", 20), note(begin, 10))])
    row = traces.spans.iloc[0]
    assert (row["kind"], row["kind_inferred"], row["service_name"]) == (kind, False, "shop")
    assert (row["start_ns"], row["duration_ns"]) == ((START + 10) * 1000, 30_000)
    assert bool(row["quality"] & Quality.SHARED) is is_shared
    assert traces.events["name"].tolist() == ["custom"]
    assert traces.sources["dialects"].tolist() == ["zipkin_v1=1"]


def test_v1_times_of_the_span_itself_win():
    traces = load([v1(note("sr", 10), note("ss", 40), timestamp=START, duration=100)])
    row = traces.spans.iloc[0]
    assert (row["start_ns"], row["duration_ns"]) == (START * 1000, 100_000)
    assert not row["quality"] & Quality.SHARED


def test_both_halves_of_a_v1_call_are_two_spans():
    called = v1(
        note("cs", 0, "shop"),
        note("sr", 10, "cart"),
        note("locked", 15, "cart"),
        note("ss", 30, "cart"),
        note("cr", 50, "shop"),
        timestamp=START,
        duration=51,
        binaryAnnotations=[
            {"key": "http.method", "value": "GET", "endpoint": endpoint("shop")},
            {"key": "items", "value": "3", "endpoint": endpoint("cart")},
            {"key": "sa", "value": True, "endpoint": endpoint("cart")},
        ],
    )
    traces = load([called])
    assert traces.spans["kind"].tolist() == ["CLIENT", "SERVER"]
    assert traces.spans["service_name"].tolist() == ["shop", "cart"]
    assert traces.spans["parent_row"].tolist() == [-1, 0]
    assert traces.spans["start_ns"].tolist() == [START * 1000, (START + 10) * 1000]
    assert traces.spans["duration_ns"].tolist() == [51_000, 20_000]
    assert traces.spans["peer_service_name"].tolist()[0] == "cart"
    assert traces.attribute("http.method").notna().tolist() == [True, False]
    assert traces.attribute("items").notna().tolist() == [False, True]
    assert traces.events["span_row"].tolist() == [1]
    assert issues(traces) == set()


def test_a_v1_span_without_a_call_is_local():
    traces = load(
        [
            v1(
                timestamp=START,
                duration=7,
                binaryAnnotations=[{"key": "lc", "value": "job", "endpoint": endpoint("shop")}],
            )
        ]
    )
    row = traces.spans.iloc[0]
    assert (row["kind"], row["kind_inferred"], row["service_name"]) == ("INTERNAL", True, "shop")
    assert values(traces) == {"network.local.address": "192.0.2.1", "lc": "job"}


def test_an_address_alone_determines_the_kind():
    address = {"key": "sa", "value": True, "endpoint": endpoint("db")}
    traces = load([v1(timestamp=START, duration=7, binaryAnnotations=[address])])
    row = traces.spans.iloc[0]
    assert (row["kind"], row["peer_service_name"], row["service_name"]) == ("CLIENT", "db", "unknown_service")


def test_a_second_core_annotation_is_an_event():
    traces = load([v1(note("sr", 10), note("sr", 12), note("ss", 20))])
    assert traces.spans["start_ns"].tolist() == [(START + 10) * 1000]
    assert traces.events["name"].tolist() == ["sr"]


def test_invalid_v1_annotations_are_reported():
    traces = load([v1(note("sr", 10), 5, binaryAnnotations="x")])
    assert traces.issues["code"].tolist().count("ATTR_BAD") == 2


CORE = st.sampled_from(["cs", "cr", "sr", "ss", "ms", "mr", "ws", "wr", "x", "y"])


@given(
    st.lists(st.tuples(CORE, st.integers(1, 99), st.sampled_from(["a", "b"]))),
    st.lists(st.sampled_from("klm"), unique=True),
)
def test_halves_keep_every_annotation_and_tag(notes, keys):
    annotations = [{"value": value, "timestamp": at, "endpoint": {"serviceName": name}} for value, at, name in notes]
    found = halves(v1(*annotations, binaryAnnotations=[{"key": key, "value": "1"} for key in keys]))
    assert sorted(key for half in found for key in half["tags"]) == sorted(keys)
    kept = [item for half in found for item in half["annotations"]]
    core = {value for value, _, _ in notes if len(value) == 2}
    assert len(kept) == len(annotations) - len(core)
    assert len({half["id"] for half in found}) == 1
