"""What users see: missing is missing, times are times, and changing a frame changes nothing inside."""

import numpy as np
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.frames import hexes
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import Kind, Origin, Quality, RecordKind, Relation, Status

START = 1_750_000_000_000_000_123


@pytest.fixture(scope="module")
def traces():
    """One trace with one of everything, and a second one that never ended."""
    builder = Builder()
    ledger = builder.open_source("made")
    ledger.formats["otlp"] += 1
    kv = builder.kv
    shop = builder.resource(
        [kv("service.name", "shop"), kv("host.name", "h"), kv("aws.xray.origin", "AWS::EC2::Instance")], "https://r", 2
    )
    lost = builder.resource([kv("cloud.region", "eu-1")])
    lib = builder.scope("lib", "1.0", [kv("scoped", value=True)], "https://s", 3)
    at = Position(7, 70)
    builder.span(
        at=at,
        trace_id=0xAB,
        span_id=1,
        name="root",
        kind=Kind.SERVER,
        start_ns=START,
        end_ns=START + 500,
        status_code=Status.ERROR,
        status_message="it broke",
        trace_state="ot=th:8",
        flags=769,
        record_kind=RecordKind.SEGMENT,
        resolution_ns=240,
        resource=shop,
        scope=lib,
        attributes=[
            kv("text", "t"),
            kv("int", -5),
            kv("double", 0.5),
            kv("yes", value=True),
            kv("no", value=False),
            kv("bytes", b"\x00\xff"),
            kv("list", [1, "a", None]),
            kv("map", {"b": 1, "a": {"c": []}}),
            kv("big", 2**64),
            kv("empty", None),
            kv("note", "n", Origin.METADATA, "default"),
            kv("label", "l", Origin.ANNOTATION, "", is_indexed=True),
        ],
        events=[
            Event(START + 5, "log", dropped=4),
            Event(
                None,
                "exception",
                [
                    kv("exception.type", "E"),
                    kv("exception.message", "m"),
                    kv("exception.stacktrace", "s"),
                    kv("exception.escaped", value=True),
                    kv("aws.xray.exception.remote", value=False),
                    kv("aws.xray.exception.id", "x1"),
                    kv("aws.xray.exception.cause", "x0"),
                ],
            ),
        ],
        links=[Link(0xCD, 0xEF, Relation.FOLLOWS_FROM, [kv("why", "q")], "a=b", 1, 6), Link(0, 0)],
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
        quality=int(Quality.PARENT_REMOTE_KNOWN),
    )
    builder.span(
        at=at,
        trace_id=0xAB,
        span_id=2,
        parent_id=1,
        name="inferred",
        start_ns=START + 10,
        end_ns=START + 20,
        status_code=Status.ERROR,
        resource=builder.resource([kv("service.name", "DynamoDB")]),
        quality=int(Quality.INFERRED | Quality.PARENT_REMOTE_KNOWN | Quality.PARENT_REMOTE | Quality.KIND_INFERRED),
    )
    builder.span(at=at, trace_id=0xAC, span_id=3, parent_id=9, name="open", start_ns=None, end_ns=None, resource=lost,
                 quality=int(Quality.IN_PROGRESS))  # fmt: skip
    builder.fact(0xAB, reported_duration_ns=600, limit_exceeded=True)
    ledger.close()
    return to_trace_set(builder)


def test_a_span_has_everything_that_was_recorded(traces):
    row = traces.spans.iloc[0]
    wanted = {
        "trace_id": "0" * 30 + "ab",
        "span_id": "0" * 15 + "1",
        "parent_row": -1,
        "parent_state": "root",
        "parent_is_remote": False,
        "depth": 0,
        "name": "root",
        "kind": "SERVER",
        "kind_inferred": False,
        "start_ns": START,
        "end_ns": START + 500,
        "duration_ns": 500,
        "time_resolution_ns": 240,
        "status_code": "ERROR",
        "status_message": "it broke",
        "is_error": True,
        "error_type": "E",
        "exception_message": "m",
        "service_name": "shop",
        "host_name": "h",
        "record_kind": "segment",
        "in_progress": False,
        "inferred": False,
        "trace_state": "ot=th:8",
        "trace_flags": 769,
        "sampling_ratio": 0.5,
        "dropped_attributes_count": 1,
        "dropped_events_count": 2,
        "dropped_links_count": 3,
        "source_id": 0,
        "record_number": 7,
        "byte_offset": 70,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert row["start_time"] == pd.Timestamp(START, tz="UTC")
    assert row["start_time"].nanosecond == 123, "not a digit is lost"
    assert pd.isna(row["parent_span_id"])


def test_what_is_missing_is_missing_and_never_zero(traces):
    row = traces.spans.iloc[2]
    assert row[["start_ns", "end_ns", "duration_ns", "start_time", "end_time"]].isna().all()
    assert row[["status_message", "trace_state", "http_route", "sampling_ratio", "parent_is_remote"]].isna().all()
    assert row["in_progress"]
    assert row["parent_span_id"] == "0" * 15 + "9"
    assert row["service_name"] == "unknown_service"
    assert [traces.spans["parent_is_remote"].iloc[1], traces.spans["kind_inferred"].iloc[1]] == [True, True]


def test_attributes_keep_their_types(traces):
    frame = traces.attributes
    own = frame[(frame["owner"] == "span") & (frame["owner_id"] == 0)].set_index("key")
    values = {
        ("text", "str"): ("value_str", "t"),
        ("int", "int"): ("value_int", -5),
        ("double", "double"): ("value_double", 0.5),
        ("yes", "bool"): ("value_bool", True),
        ("no", "bool"): ("value_bool", False),
        ("bytes", "bytes"): ("value_bytes", b"\x00\xff"),
        ("list", "array"): ("value_json", '[1,"a",null]'),
        ("map", "map"): ("value_json", '{"a":{"c":[]},"b":1}'),
        ("big", "int"): ("value_json", str(2**64)),
        ("empty", "empty"): (None, None),
    }
    columns = ["value_str", "value_int", "value_double", "value_bool", "value_bytes", "value_json"]
    for (key, kind), (column, value) in values.items():
        row = own.loc[key]
        assert row["value_type"] == kind
        assert {c for c in columns if not (row[c] is None or pd.isna(row[c]))} == ({column} if column else set())
        assert column is None or row[column] == value
    assert own.loc["note", ["origin", "namespace", "is_indexed"]].tolist() == ["metadata", "default", False]
    assert own.loc["label", ["origin", "is_indexed"]].tolist() == ["annotation", True]


def test_attributes_of_all_owners_are_there(traces):
    owners = traces.attributes.groupby("owner", observed=True)["key"].agg(set).to_dict()
    assert owners["resource"] >= {"service.name", "host.name", "cloud.region"}
    assert owners["scope"] == {"scoped"}
    assert owners["event"] >= {"exception.type"}
    assert owners["link"] == {"why"}


def test_events(traces):
    log, exception = traces.events.to_dict("records")
    assert (log["span_row"], log["time_ns"], log["name"], log["dropped_attributes_count"]) == (0, START + 5, "log", 4)
    assert pd.isna(log["exception_escaped"])
    assert pd.isna(exception["time_ns"])
    given = ["type", "message", "stacktrace", "escaped", "remote", "id"]
    assert [exception[f"exception_{name}"] for name in given] == ["E", "m", "s", True, False, "x1"]
    assert exception["cause_id"] == "x0"


def test_links(traces):
    link, nowhere = traces.links.to_dict("records")
    assert (link["trace_id"][-2:], link["span_id"][-2:], link["relation"]) == ("cd", "ef", "follows_from")
    assert (link["trace_state"], link["trace_flags"], link["dropped_attributes_count"]) == ("a=b", 1, 6)
    assert pd.isna(nowhere["trace_id"])
    assert pd.isna(nowhere["span_id"])


def test_resources_and_scopes(traces):
    first = traces.resources.iloc[0]
    names = ["service_name", "host_name", "schema_url", "dropped_attributes_count", "xray_origin"]
    assert first[names].tolist() == ["shop", "h", "https://r", 2, "AWS::EC2::Instance"]
    assert traces.resources["service_name"].tolist() == ["shop", "unknown_service", "DynamoDB"]
    assert traces.scopes.iloc[0].tolist() == ["lib", "1.0", "https://s"]
    keyed = traces.spans.merge(traces.resources, left_on="resource_id", right_index=True)
    assert keyed["service_name_y"].tolist() == keyed["service_name_x"].tolist()


def test_the_summary_counts_what_was_sent_and_not_what_was_inferred(traces):
    first, second = traces.summary.to_dict("records")
    assert (first["span_count"], first["error_count"], first["service_count"]) == (1, 1, 1)
    assert (first["root_row"], first["root_service_name"], first["root_name"]) == (0, "shop", "root")
    assert (first["start_ns"], first["end_ns"], first["duration_ns"]) == (START, START + 500, 500)
    assert (first["root_duration_ns"], first["reported_duration_ns"]) == (500, 600)
    assert (first["limit_exceeded"], first["partial"], first["is_error"]) == (True, True, True)
    assert (first["weight"], first["weight_source"]) == (2.0, "tracestate ot=th")
    assert all(pd.isna(second[name]) for name in ("start_ns", "end_ns", "duration_ns", "root_duration_ns"))
    assert (second["orphan_count"], second["root_count"], second["in_progress_count"]) == (1, 0, 1)
    assert pd.isna(second["reported_duration_ns"])
    assert traces.summary.index.tolist() == traces.trace_ids


def test_summary_against_a_plain_loop():
    rng = np.random.default_rng(0)
    n = 300
    trace = rng.integers(1, 40, n)
    spans = pd.DataFrame(
        {
            "trace_id": [f"{t:x}" for t in trace],
            "span_id": [f"{s:x}" for s in rng.permutation(n) + 1],
            "parent_span_id": None,
            "name": "x",
            "service_name": rng.choice(list("abc"), n),
            "status_code": rng.choice(["UNSET", "ERROR"], n),
            "start_ns": rng.integers(1, 1000, n),
            "end_ns": rng.integers(1000, 2000, n),
        }
    )
    ids = dict(enumerate(spans["span_id"]))
    spans["parent_span_id"] = [None if rng.random() < 0.4 else ids[rng.integers(n)] for _ in range(n)]
    summary = TraceSet.from_spans(spans).summary
    for key, group in spans.groupby("trace_id"):
        row = summary.loc[f"{key:0>32}"]
        known = set(group["span_id"])
        assert row["span_count"] == len(group)
        assert row["error_count"] == (group["status_code"] == "ERROR").sum()
        assert row["service_count"] == group["service_name"].nunique()
        assert row["start_ns"] == group["start_ns"].min()
        assert row["end_ns"] == group["end_ns"].max()
        assert row["duration_ns"] == group["end_ns"].max() - group["start_ns"].min()
        assert row["root_count"] == group["parent_span_id"].isna().sum()
        lost = group["parent_span_id"].notna() & ~group["parent_span_id"].isin(known)
        assert row["orphan_count"] >= lost.sum()
    assert (summary["span_count"].sum(), len(summary)) == (n, len(set(trace)))


def test_a_trace_that_is_longer_than_64_bits_or_ends_before_it_starts_has_no_duration():
    far = 2**63 - 1
    times = {"a1": (-far, far), "b2": (-1, far), "c3": (0, far), "d4": (-far - 1, -1), "e5": (9, 4)}
    spans = [
        {"trace_id": key, "span_id": at, "name": "x", "start_ns": time, "end_ns": time}
        for key, ends in times.items()
        for at, time in zip("12", ends, strict=True)
    ]
    spans[-2:] = [spans[-2] | {"end_ns": 4}]
    summary = TraceSet.from_spans(pd.DataFrame(spans)).summary
    assert summary["duration_ns"].fillna(-1).tolist() == [-1, -1, far, far, -1]
    assert summary["root_duration_ns"].fillna(-1).tolist() == [0, 0, 0, 0, -1]


@pytest.mark.parametrize("table", ["spans", "attributes", "events", "links", "resources", "summary", "issues"])
def test_changing_a_frame_changes_nothing_inside(traces, table):
    fresh = TraceSet(traces.columns)
    frame = getattr(fresh, table)
    before = getattr(TraceSet(traces.columns), table).copy(deep=True)
    for at in range(frame.shape[1]):
        frame.iloc[0, at] = frame.iloc[-1, at]
        values = frame.iloc[:, at].to_numpy(copy=False)
        if values.flags.writeable and values.dtype.kind in "iuf":
            values[:] = 1
    pd.testing.assert_frame_equal(getattr(TraceSet(traces.columns), table), before)


def test_frames_are_made_once(traces):
    assert traces.spans is traces.spans
    assert traces.summary is traces.summary


def test_ids_as_text():
    assert hexes(np.zeros(0, np.uint64)).tolist() == []
    assert hexes(np.array([2**64 - 1, 1], np.uint64)).tolist() == ["f" * 16, "0" * 15 + "1"]
