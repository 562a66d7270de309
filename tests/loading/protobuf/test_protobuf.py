"""OTLP protobuf: the same frames as from JSON, by both lanes; damage, cut files, other signals and formats."""

import gzip
import io
import os

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading.otlp.test_fast import REQUESTS
from loading.protobuf.mutated_messages import GOOD, RICH
from made_sets import assert_same_content
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from otlp_made import counts, ids, lines, request, resource, span, text, told
from protobuf_made import field, framed, protobuf

from tracekit.errors import LoadError
from tracekit.loading import native, read
from tracekit.loading.logs.read import read_lines
from tracekit.loading.opening.decoders import zstd
from tracekit.loading.protobuf.messages import message_chunks
from tracekit.loading.protobuf.recognise import is_protobuf
from tracekit.loading.records import LineChunk

VIEWS = ("spans", "attributes", "events", "links", "resources", "scopes", "summary")
PLACE = {"record_number", "byte_offset"}  # where a span is in its file
FIVE = [request(span(**ids(n), attributes=[text("n", str(n))]), resource=resource(f"s{n % 2}")) for n in range(5)]
NEW = field(99, b"new")


@pytest.fixture(params=native.LANES, autouse=True)
def lane(request, monkeypatch):
    if request.param == "compiled" and native.extension is None:
        pytest.skip("the compiled lane was not built")
    monkeypatch.setenv(native.SWITCH, request.param)
    return request.param


def in_lane(lane, data, **options):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, lane)
        return read(data, **options)


def assert_same_frames(found, expected):
    for view in VIEWS:
        both = [getattr(traces, view) for traces in (found, expected)]
        both = [frame.drop(columns=list(PLACE & set(frame))) for frame in both]
        both = [frame.astype(dict.fromkeys(frame.select_dtypes("category"), object)) for frame in both]
        pd.testing.assert_frame_equal(*both, obj=view)


def wrapped(*records, **members):
    """An answer of Tempo: a Trace in field 1."""
    status = field(3, members["status"]) if "status" in members else b""
    return field(1, protobuf(*records)) + field(2, field(1, 7)) + status


# ------------------------------------------------------------------ the same as JSON


@settings(max_examples=60)
@given(st.lists(REQUESTS, min_size=1, max_size=3))
def test_frames_are_those_of_json(records):
    records.append(RICH)
    assert_same_frames(*(read(data, time_unit="ns") for data in (protobuf(RICH, *records), lines(RICH, *records))))


CONTAINERS = {
    "one message": protobuf(*FIVE),
    "gzip": gzip.compress(protobuf(*FIVE)),
    "zstd": zstd.compress(protobuf(*FIVE)),
    "framed": framed(*map(protobuf, FIVE)),
    "framed, one message": framed(protobuf(*FIVE)),
    "framed, each zstd": framed(*(zstd.compress(protobuf(record)) for record in FIVE)),
    "gzip of framed": gzip.compress(framed(*map(protobuf, FIVE))),
    "Tempo, version 1": protobuf({"resourceSpans": [group for one in FIVE for group in one["resourceSpans"]]}),
    "Tempo, version 2": wrapped(*FIVE),
    "two answers of Tempo": wrapped(*FIVE[:2]) + wrapped(*FIVE[2:]),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("file", ["traces.json", "traces.jsonl", "traces.binpb", "traces", "traces.txt"])
def test_containers_are_told_by_content(name, file, tmp_path):
    path = tmp_path / file
    path.write_bytes(CONTAINERS[name])
    traces = read(path)
    assert_same_frames(traces, read(lines(*FIVE)))
    assert counts(traces) == (5, 5, 0, 0)
    assert traces.sources.loc[0, ["format", "complete"]].tolist() == ["otlp", True]


def test_text_is_never_taken_for_protobuf():
    for data in (b"\n" + lines(*FIVE), b"\n{\n" + b'"a": 1,\n' * 20, b"\n\n\n\n", b"\n\x0b\n", b"\n" * 100):
        assert not is_protobuf(data)


@settings(max_examples=300)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t\r"), max_size=200))
def test_no_text_is_taken_for_protobuf(letters):
    assert not is_protobuf(("\n" + letters).encode())


@given(st.lists(REQUESTS, min_size=1, max_size=2))
@settings(max_examples=60)
def test_every_request_with_spans_is_recognised(records):
    data = protobuf(FIVE[0], *records)
    assert is_protobuf(data)
    assert TracesData.FromString(data).ByteSize() == len(data)


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_the_size_of_blocks_changes_nothing(size):
    class Trickling(io.BytesIO):
        offset = 0

    data = protobuf(RICH, *FIVE) + NEW + protobuf(*FIVE)
    parts = list(message_chunks(Trickling(data), size))
    assert b"".join(part.data for part in parts) == data
    starts = [part.first_offset if isinstance(part, LineChunk) else part.at.offset for part in parts]
    assert [data[start : start + len(part.data)] for start, part in zip(starts, parts, strict=True)] == [
        part.data for part in parts
    ]


# ------------------------------------------------------------------ what is unknown, damaged or cut


def test_unknown_fields_are_counted():
    one = TracesData.FromString(protobuf(RICH))
    parts = [one.resource_spans[0], one.resource_spans[0].scope_spans[0], *one.resource_spans[0].scope_spans[0].spans]
    parts += [parts[2].status, parts[2].events[0], parts[2].links[0], parts[2].attributes[0], parts[0].resource]
    for part in parts:
        part.MergeFromString(NEW)
    traces = read(one.SerializeToString() + field(99, 5))
    assert traces.sources.loc[0, "dialects"] == f"unknown_fields_skipped={len(parts) + 1}"
    assert_same_frames(traces, read(lines(RICH)))


def test_a_field_that_occurs_again_is_merged_as_protobuf_does():
    one = FIVE[0]["resourceSpans"][0]
    again = protobuf({"resourceSpans": [{"resource": {"attributes": [text("zone", "b")]}, "schemaUrl": "u"}]})
    group = protobuf({"resourceSpans": [one]})[2:] + again[2:]
    data = field(1, group)
    judge = TracesData.FromString(data).resource_spans[0]
    assert len(judge.resource.attributes) == 2
    resources = read(data).resources
    assert resources.loc[0, "schema_url"] == "u"
    assert len(read(data).attributes) == 2 + 1


def test_a_damaged_span_is_lost_alone():
    good = protobuf(*FIVE)
    bad = field(1, field(2, field(2, b"\x0a\x10" + bytes(3)) + field(2, field(1, b"\1" * 16) + field(2, b"\2" * 8))))
    traces = read(good + bad + good)
    [row] = told(traces, "PROTOBUF_DAMAGED").to_dict("records")
    assert row["record_number"] == 6
    assert row["byte_offset"] == len(good) + 6
    assert "expected 18 bytes of field 1, found 5; Span skipped" in row["message"]
    assert counts(traces)[3] == 1
    assert counts(traces)[0] == 12


@pytest.mark.parametrize(
    ("inside", "text_"),
    [
        (b"\x00\x00", "expected the number of a field, found 0"),
        (b"\x0b", "expected wire type 0, 1, 2 or 5, found 3"),
        (b"\x30" + b"\xff" * 11, "expected a number of at most 64 bits, found a larger one"),
        (field(9, field(1, b"k") + field(2, field(5, b"\x0a\x09"))), "expected 11 bytes of field 1, found 2"),
    ],
)
def test_damage_is_described(inside, text_):
    traces = read(GOOD + field(1, field(2, field(2, inside))))
    assert text_ in told(traces, "PROTOBUF_DAMAGED")["message"].iloc[0]


def test_text_that_is_not_utf8_is_reported():
    bad = field(1, field(2, field(2, field(1, b"\1" * 16) + field(2, b"\2" * 8) + field(5, b"a\xff"))))
    traces = read(GOOD + bad)
    assert (
        "expected UTF-8, found bytes that are not; Span skipped" in told(traces, "ENC_INVALID_UTF8")["message"].iloc[0]
    )


def test_values_nested_too_deeply_are_refused():
    value = field(1, b"x")
    for _ in range(120):
        value = field(5, field(1, value))
    whole = field(1, b"\1" * 16) + field(2, b"\2" * 8) + field(9, field(1, b"k") + field(2, value))
    traces = read(GOOD + field(1, field(2, field(2, whole))))
    assert "expected at most 100 messages in one another" in told(traces, "PROTOBUF_DAMAGED")["message"].iloc[0]


def test_damage_between_messages_ends_the_source():
    traces = read(protobuf(*FIVE) + b"\x00\x01" + protobuf(*FIVE))
    assert counts(traces) == (6, 5, 0, 1)
    assert not traces.sources.loc[0, "complete"]
    assert "found 0; the rest of the source was not read" in told(traces, "PROTOBUF_DAMAGED")["message"].iloc[0]


def test_a_damaged_message_of_a_framed_file_leaves_the_next_readable():
    good = [protobuf(record) for record in FIVE]
    traces = read(framed(*good[:2], good[2][:-5] + b"\xff\xff\xff\xff\xff", good[2] + b"\x0a\x7f", *good[3:]))
    assert counts(traces)[1] >= 5
    assert (
        "message 4: expected 129 bytes of field 1, found 2 at byte"
        in told(traces, "CONTAINER_DAMAGED")["message"].iloc[0]
    )


@pytest.mark.parametrize("form", ["plain", "framed", "Tempo"])
def test_a_cut_file_keeps_whole_spans(form):
    many = request(*(span(**ids(n)) for n in range(9)))
    data = {"plain": protobuf(*FIVE, many), "framed": framed(protobuf(*FIVE), protobuf(many))}.get(form) or wrapped(
        *FIVE, many
    )
    sizes = []
    for stop in range(len(protobuf(*FIVE)) + 20, len(data), 37):
        traces = read(data[:stop])
        sizes.append(len(traces.columns.spans))
        assert not traces.sources.loc[0, "complete"]
    assert sizes == sorted(sizes)
    assert sizes[0] in {4, 5}
    assert sizes[-1] >= 12
    assert "the spans before the cut were read" in told(traces, "PROTOBUF_TRUNCATED")["message"].iloc[0]


def test_a_partial_answer_is_incomplete():
    assert not read(wrapped(*FIVE, status=1)).sources.loc[0, "complete"]
    assert read(wrapped(*FIVE, status=0)).sources.loc[0, "complete"]


# ------------------------------------------------------------------ what is not traces

METRICS = MetricsData()
_metric = METRICS.resource_metrics.add().scope_metrics.add().metrics.add(name="a" * 16, description="b" * 9)
_metric.gauge.data_points.add(as_int=5)
METRICS.resource_metrics[0].resource.attributes.add(key="service.name").value.string_value = "shop"
LOGS = LogsData()
LOGS.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5, severity_number=9)
LOGS.resource_logs[0].resource.attributes.add(key="service.name").value.string_value = "shop"


@pytest.mark.parametrize(("data", "signal"), [(METRICS, "metrics"), (LOGS, "logs")], ids=["metrics", "logs"])
def test_other_signals_are_refused(data, signal):
    data = data.SerializeToString()
    for stored in (data, framed(data), gzip.compress(data)):
        with pytest.raises(
            LoadError, match=f"SIGNAL_MIXED .*contains only {signal} .1 record., no traces; pass the file"
        ):
            read(stored)
    traces = read(GOOD + data)
    assert f"found 1 record of {signal}" in told(traces, "SIGNAL_MIXED")["message"].iloc[0]


def test_another_format_is_refused():
    with pytest.raises(LoadError, match=r"this is otlp data, not jaeger; skipped; omit the format"):
        read(GOOD, format="jaeger")


def test_logs_are_not_read_from_protobuf():
    with pytest.raises(LoadError, match="found OTLP protobuf, of which only traces are read; configure the collector"):
        read_lines(LOGS.SerializeToString())


# ------------------------------------------------------------------ both lanes


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_lanes_and_threads_are_the_same(monkeypatch):
    data = protobuf(
        *(RICH | {"resourceSpans": RICH["resourceSpans"] + FIVE[n % 5]["resourceSpans"]} for n in range(90))
    )
    monkeypatch.setattr("tracekit.loading.protobuf.messages.message_chunks.__defaults__", (4000,))
    found = [in_lane("python", data), in_lane("compiled", data, workers=1), in_lane("compiled", data, workers=3)]
    assert_same_content(found[0], found[1])
    assert_same_content(found[1], found[2])


def test_the_whole_file_stays_in_the_compiled_lane(lane, monkeypatch):
    if lane == "python":
        pytest.skip("about the compiled lane")
    seen = []
    monkeypatch.setattr("tracekit.loading.dispatch.load_message", lambda *_: seen.append(1))
    assert len(read(protobuf(RICH, *FIVE)).columns.spans) == 8
    assert not seen
