"""Files from public repositories, each with its known number of spans, or with the error that it deserves."""

import json
import re
from pathlib import Path

import pytest

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.schema import Quality

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "exports"
CRISP = EXPORTS / "crisp_critical_path"

pytestmark = pytest.mark.skipif(
    not EXPORTS.is_dir(), reason="the folder shared/data/exports is not beside the repository"
)

# file: (spans seen, accepted, merged, quarantined), format, issues without those about dialects
KNOWN = {
    "otlp_spec_example.json": ((1, 1, 0, 0), "otlp", {"PARENT_MISSING", "NO_ROOT"}),
    "otlp_jaeger_example_trace.json": ((5, 5, 0, 0), "otlp", {"MULTI_ROOT"}),
    "otlp_jaeger_links_attrs.json": ((1, 1, 0, 0), "otlp", set()),
    "otlp_jaeger_scope_attrs.json": ((1, 1, 0, 0), "otlp", set()),
    "otlp_jaeger_apiv3_findtraces.json": ((1, 1, 0, 0), "otlp", {"TIME_ZERO", "TIME_MISSING_END"}),
    "otlp_jaegerui_multi.jsonl": ((4, 4, 0, 0), "otlp", set()),
    "otlp_jaegerui_in.json": ((2, 1, 1, 0), "otlp", {"DUP_IDENTICAL", "PARENT_MISSING", "NO_ROOT"}),
    "otlp_jaegerui_in.expected_jaeger.json": ((2, 1, 1, 0), "jaeger", {"DUP_IDENTICAL", "PARENT_MISSING", "NO_ROOT"}),
    "otlp_jaegerui_in_error.json": ((1, 1, 0, 0), "otlp", {"PARENT_MISSING", "NO_ROOT"}),
    "otlp_ottl_playground.json": ((2, 2, 0, 0), "otlp", {"PARENT_SELF", "NO_ROOT"}),
    "otlp_scalyr_dataset.json": ((2, 2, 0, 0), "otlp", {"TIME_PRECISION_LOST"}),
    "otlp_old_instrumentationLibrarySpans.jsonl": ((2, 0, 0, 2), "otlp", {"ID_BAD_LENGTH"}),
    "jaeger_ui_flamegraph_testTrace.json": ((4, 4, 0, 0), "jaeger", set()),
    "jaeger_ui_statistics_testTrace.json": ((11, 11, 0, 0), "jaeger", {"ID_NOT_HEX", "CHILD_OUTSIDE_PARENT"}),
    "jaeger_ui_overlapping_children_longer_than_parent.json": (
        (4, 4, 0, 0),
        "jaeger",
        {"TIME_ZERO", "ID_64BIT", "CHILD_OUTSIDE_PARENT"},
    ),
    "jaeger_quickwit.json": ((5, 5, 0, 0), "jaeger", {"SOURCE_WARNING", "ID_64BIT", "MULTI_ROOT"}),
    "jaeger_es_span.json": ((1, 1, 0, 0), "jaeger", {"PARENT_MISSING", "NO_ROOT"}),
    "zipkin_smartthings_mobile_install.json": (
        (1041, 1041, 0, 0),
        "zipkin",
        {"ID_64BIT", "DUP_CONFLICT", "TIME_ZERO", "TIME_MISSING_END", "CHILD_OUTSIDE_PARENT"},
    ),
    "zipkin_yelp.json": ((16, 16, 0, 0), "zipkin", {"ID_64BIT"}),
    "zipkin_ascend.json": ((8, 8, 0, 0), "zipkin", {"ID_64BIT", "CHILD_OUTSIDE_PARENT"}),
    "zipkin_kafka.json": ((28, 28, 0, 0), "zipkin", {"ID_64BIT", "CHILD_OUTSIDE_PARENT"}),
    "zipkin_skew.json": ((4, 4, 0, 0), "zipkin", {"ID_64BIT", "CHILD_OUTSIDE_PARENT"}),
    "zipkin_envoy.json": ((1, 1, 0, 0), "zipkin", {"ID_64BIT"}),
    "zipkin_v2_contrib_sample1.json": ((9, 1, 8, 0), "zipkin", {"DUP_IDENTICAL", "PARENT_MISSING", "NO_ROOT"}),
    "zipkin_v2_notimestamp.json": ((1, 1, 0, 0), "zipkin", {"ID_64BIT", "PARENT_MISSING", "NO_ROOT"}),
    "zipkin_v1_multiple_batches.json": ((5, 5, 0, 0), "zipkin", {"ID_64BIT", "CHILD_OUTSIDE_PARENT"}),
    "xray_segment_server.json": ((1, 1, 0, 0), "xray", set()),
    "xray_indep_subsegment_sql.json": ((1, 1, 0, 0), "xray", {"PARENT_MISSING", "NO_ROOT"}),
    "xray_in_progress.json": ((1, 1, 0, 0), "xray", set()),
    "xray_batchgettraces.json": ((3, 3, 0, 0), "xray", set()),
}
COUNTS = ["span_count", "accepted_count", "merged_count", "quarantined_count"]


@pytest.mark.parametrize("name", KNOWN)
def test_every_export_loads_with_the_spans_it_holds(name):
    counts, form, codes = KNOWN[name]
    traces = read(EXPORTS / name)
    source = traces.sources.iloc[0]
    assert tuple(source[COUNTS]) == counts
    assert len(traces.spans) == counts[1]
    assert form in source["format"].split("+")
    assert set(traces.issues["code"]) - {"DIALECT"} == codes
    assert source["complete"]


def test_the_search_request_of_elasticsearch_is_refused_by_its_content():
    with pytest.raises(LoadError, match=r"FORMAT_UNKNOWN.*'method', 'path', 'query', 'body'"):
        read(EXPORTS / "jaeger_es_search_hits.json")


def test_the_counts_are_those_of_the_index():
    rows = re.findall(r"^\| (\S+\.jsonl?) \| \d+ \| (\d+)", (EXPORTS / "index.md").read_text(), re.MULTILINE)
    assert {name: int(count) for name, count in rows} == {
        **{name: counts[0] for name, (counts, _, _) in KNOWN.items()},
        "jaeger_es_search_hits.json": 0,
    }
    assert {path.name for path in EXPORTS.glob("*.json*")} == {name for name, _ in rows}


@pytest.mark.parametrize("path", sorted(CRISP.glob("*.json")), ids=lambda path: path.stem)
def test_critical_path_cases_count_from_zero(path):
    spans = json.loads(path.read_text())["data"][0]["spans"]
    frame = read(path).spans
    assert sorted(frame["start_ns"]) == sorted(one["startTime"] * 1000 for one in spans)
    assert sorted(frame["duration_ns"]) == sorted(one["duration"] * 1000 for one in spans)
    assert set(frame["parent_state"]) <= {"root", "resolved"}


def test_the_whole_folder_loads_but_for_one_file():
    traces = read(EXPORTS / "*.json*")
    held = sum(counts[0] for counts, _, _ in KNOWN.values())
    assert traces.sources["span_count"].sum() == held + 1  # the search request is one quarantined record
    assert (traces.sources[COUNTS[1:]].sum(axis=1) == traces.sources["span_count"]).sum() == len(traces.sources)


# ---------------------------------------------------------------------- what the files are known to say


def test_the_translation_of_jaegers_own_example_agrees():
    ours, theirs = (read(EXPORTS / f"otlp_jaegerui_in{end}").spans for end in (".json", ".expected_jaeger.json"))
    columns = [
        "trace_id",
        "span_id",
        "parent_span_id",
        "name",
        "kind",
        "duration_ns",
        "service_name",
        "peer_service_name",
    ]
    assert ours[columns].astype(str).equals(theirs[columns].astype(str))
    assert (ours["start_ns"] - theirs["start_ns"]).abs().max() < 1000


def test_the_real_zipkin_trace_of_sixteen_services():
    spans = read(EXPORTS / "zipkin_smartthings_mobile_install.json").spans
    raw = json.loads((EXPORTS / "zipkin_smartthings_mobile_install.json").read_text())
    assert spans["service_name"].nunique() == 16
    assert (spans["quality"] & int(Quality.SHARED)).astype(bool).sum() == 294
    assert spans["start_ns"].isna().sum() == 84
    assert spans["duration_ns"].isna().sum() == 175
    assert spans["duration_ns"].sum() == sum(one.get("duration", 0) * 1000 for one in raw if "timestamp" in one)


def test_the_real_x_ray_trace():
    traces = read(EXPORTS / "xray_batchgettraces.json")
    assert traces.spans["parent_row"].tolist() == [-1, 0, 1]
    assert traces.spans["record_kind"].tolist() == ["segment", "subsegment", "inferred"]
    assert traces.spans["start_ns"].tolist() == [1568835610_432000000, *[1568835610_658000000] * 2]
    assert traces.summary["reported_duration_ns"].tolist() == [232_000_000]
    assert traces.summary["span_count"].tolist() == [2]
    assert traces.spans["peer_service_name"].astype(object).fillna("").tolist() == ["", "DynamoDB", ""]
    assert traces.spans["db_collection_name"].astype(object).fillna("").tolist() == [
        "",
        "scorekeep-user",
        "scorekeep-user",
    ]


def test_v1_halves_of_one_call_meet():
    spans = read(EXPORTS / "zipkin_v1_multiple_batches.json").spans
    assert spans["kind"].tolist() == ["CLIENT", "SERVER", "CLIENT", "INTERNAL", "SERVER"]
    assert spans["service_name"].tolist() == ["front-proxy", "service1", "service1", "unknown_service", "service2"]
    assert spans["parent_row"].tolist() == [-1, 0, 1, 1, 2]
