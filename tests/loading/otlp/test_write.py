"""Writing OTLP: what was read from OTLP comes back as it was; names, replacing, interrupts; the command."""

import gzip
import json
import os

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading.otlp.test_fast import REQUESTS
from made_sets import content, sets
from otlp_made import START, attribute, ids, lines, request, resource, span, text
from protobuf_made import message
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.loading import convert as converting
from tracekit.loading import read
from tracekit.loading.opening.decoders import zstd
from tracekit.loading.otlp import json_lines
from tracekit.loading.otlp import write as writing

OF_THE_FILE = {"frames", "spans.record_number", "spans.byte_offset", "spans.source"}


def assert_round_trip(traces, folder):
    """Written and read, every column is the same bit for bit, up to the numbers of resources, scopes and texts."""
    again = read(traces.to_otlp(folder / "a.jsonl", redact=None), time_unit="ns", progress=False)
    found, expected = content(again), content(traces)
    for name in expected.keys() - OF_THE_FILE:
        assert found[name] == expected[name], name
    return again


@settings(max_examples=60)
@given(st.lists(REQUESTS, min_size=1, max_size=3))
def test_otlp_comes_back_as_it_was(tmp_path_factory, records):
    records.append(request(span()))
    traces = read(lines(*records), time_unit="ns")
    assert_round_trip(traces, tmp_path_factory.mktemp("out"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_set_without_spans_comes_back(name, tmp_path):
    nothing = read(lines(request(span()))).where("duration_ns < 0")
    path = nothing.to_otlp(tmp_path / name)
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 0
    assert_round_trip(read(path), tmp_path)
    assert read(path).sources[["format", "record_count", "complete"]].to_numpy().tolist() == [["otlp", 1, True]]
    nothing.to_otlp(path)  # replaces it


def test_numbers_for_times_come_back(tmp_path):
    again = assert_round_trip(
        read(lines(request(span(startTimeUnixNano=START, endTimeUnixNano=START + 256)))), tmp_path
    )
    assert again.columns.spans.resolution_ns.tolist() == [256]


VALUES = [
    *({"stringValue": one} for one in ('"\\\n\x01é\u2028', "", "x" * 5000)),
    *({"intValue": str(one)} for one in (0, -(2**63), 2**63 - 1, 2**70)),
    *({"doubleValue": one} for one in (0.0, 1e300, 0.1, -5.0, "NaN", "Infinity", "-Infinity")),
    *({"boolValue": one} for one in (True, False)),
    {"bytesValue": "AAEC"},
    {},
    {"arrayValue": {"values": [{}, {"boolValue": True}, {"intValue": "5"}, {"doubleValue": 5.0}, {"arrayValue": {}}]}},
    {"kvlistValue": {"values": [text('a"', "b"), attribute("n", {"doubleValue": "NaN"})]}},
]


def test_values_of_every_type_come_back(tmp_path):
    attributes = [attribute(f"k{n}", value) for n, value in enumerate(VALUES)]
    scope = {"name": "lib", "version": "1", "attributes": attributes, "droppedAttributesCount": 4}
    event = {"timeUnixNano": "5", "attributes": attributes}
    link = {"traceId": "a" * 32, "spanId": "b" * 16, "attributes": attributes, "flags": 3, "traceState": "a=b"}
    one = span(attributes=attributes, events=[event], links=[link], traceState="ot=th:8", droppedEventsCount=2)
    traces = read(lines(request(one, resource=resource(attributes=attributes), scope=scope, schemaUrl="u")))
    assert len(traces.attributes) >= len(VALUES)
    assert_round_trip(traces, tmp_path)


def test_the_library_of_opentelemetry_reads_it(tmp_path):
    records = [request(span(**ids(n), attributes=[attribute(f"k{n}", VALUES[n])])) for n in range(6)]
    made = [
        json.loads(line)
        for line in read(lines(*records)).to_otlp(tmp_path / "a.jsonl", redact=None).read_bytes().splitlines()
    ]
    judged = [one for record in made for one in message(record).resource_spans]
    names = [one.name for group in judged for part in group.scope_spans for one in part.spans]
    assert names == ["GET /cart"] * 6


def test_spans_that_begin_together_keep_their_order(tmp_path):
    """Three resources in turn: sorted by resource the spans would change places."""
    records = [
        request(span(traceId="a" * 32, spanId=f"{n + 1:016x}"), resource=resource(f"s{n % 3}")) for n in range(30)
    ]
    traces = assert_round_trip(read(lines(*records)), tmp_path)
    assert traces.columns.spans.span_id.tolist() == list(range(1, 31))


def test_many_traces_are_written_in_blocks_of_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS", 40)
    monkeypatch.setattr(json_lines, "SPANS_PER_LINE", 10)
    one_large = request(*(span(traceId="f" * 32, spanId=f"{n + 1:016x}") for n in range(100)))
    traces = read(lines(*(request(span(**ids(n))) for n in range(95)), one_large))
    assert_round_trip(traces, tmp_path)
    sizes = [line.count('"spanId"') for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert sum(sizes) == 195
    assert max(sizes) == 100


@settings(max_examples=40)
@given(sets())
def test_any_set_comes_back_up_to_the_documented_losses(tmp_path_factory, traces):
    """Times with another unit, the origin of attributes and kinds of links and spans are not of OTLP."""
    path = tmp_path_factory.mktemp("out") / "a.jsonl.zst"
    traces.to_otlp(path)
    if len(traces.columns.spans):
        again = read(path, time_unit="ns", progress=False)
        same = ["trace_id", "span_id", "parent_span_id", "name", "kind", "start_time", "end_time", "status_code"]
        assert len(again.columns.spans) + again.sources["merged_count"].sum() == len(traces.columns.spans)
        if len(again.columns.spans) == len(traces.columns.spans):
            same = [name for name in same if name in traces.spans]
            both = [one.spans[same].astype(object) for one in (traces, again)]
            pd.testing.assert_frame_equal(*both)


@pytest.mark.parametrize(
    ("name", "unpack"), [("a.jsonl", bytes), ("a.otlp.jsonl.gz", gzip.decompress), ("a.jsonl.zst", zstd.decompress)]
)
def test_the_name_chooses_the_compression(name, unpack, tmp_path):
    path = read(lines(request(span()))).to_otlp(tmp_path / name)
    assert json.loads(unpack(path.read_bytes()))["resourceSpans"]
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208 - names only


def test_other_names_and_files_are_refused(tmp_path):
    traces = read(lines(request(span())))
    with pytest.raises(ValueError, match=r"expected a file name that ends in .jsonl, .* found a.parquet; rename it"):
        traces.to_otlp(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("my notes")
    with pytest.raises(FileExistsError, match=r"cannot replace .*a.jsonl, which is not a file of JSON Lines; choose"):
        traces.to_otlp(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(FileExistsError, match="expected a file name, found a folder; choose another path"):
        traces.to_otlp(tmp_path / "b.jsonl")
    with pytest.raises(ValueError, match=r"expected the name of a Parquet file with flat, found c.jsonl; omit flat"):
        tk.convert(lines(request(span())), tmp_path / "c.jsonl", flat=True)


def test_an_interrupt_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    read(lines(request(span()))).to_otlp(path)
    before = path.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "lines", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(lines(request(span(**ids(1))))).to_otlp(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.jsonl"]  # noqa: PTH208 - names only


def test_sources_larger_than_memory_are_converted(tmp_path):
    data = lines(*(request(span(**ids(n % 7), name=f"n{n}", startTimeUnixNano=str(START + n))) for n in range(50)))
    path = converting.convert(data, tmp_path / "a.jsonl.zst", spans_at_once=10)
    found, expected = read(path), read(data)
    assert found.spans["name"].tolist() == expected.spans["name"].tolist()


def test_the_command_writes_otlp(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines(request(span(), span(**ids(3)))))
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.otlp.jsonl.zst")])
    assert done.exit_code == 0, done.output
    assert "0 records quarantined" in done.output
    assert len(read(tmp_path / "out.otlp.jsonl.zst").columns.spans) == 2
