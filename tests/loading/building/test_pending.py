"""X-Ray in many runs: what one record says about the spans of another."""

import gc
import json
import weakref

import pytest
from made_sets import assert_same_meaning

from tracekit.loading import read
from tracekit.loading.building.builder import PENDING, Builder
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.pending import with_owners
from tracekit.loading.building.trace_set import gather
from tracekit.loading.convert import convert
from tracekit.loading.xray import loader as xray
from tracekit.schema import RecordKind

TRACE = "1-58406520-a006649127e371903a2de979"


def documents(*parts):
    return b"".join(json.dumps(part).encode() + b"\n" for part in parts)


def segment(number, trace=TRACE, **members):
    return {
        "trace_id": trace,
        "id": f"{number:016x}",
        "name": f"n{number}",
        "start_time": 1.7e9,
        "end_time": 1.7e9 + 1,
    } | members


def subsegment(number, parent, **members):
    return segment(number, type="subsegment", parent_id=f"{parent:016x}", **members)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 3, 1, 4)])
@pytest.mark.parametrize("spans_at_once", [1, 2, 3])
def test_subsegments_sent_apart_find_their_segment_in_another_run(tmp_path, order, spans_at_once):
    embedded = {"id": f"{9:016x}", "name": "embedded", "start_time": 1.7e9, "end_time": 1.7e9 + 1}
    parts = [
        segment(1, service={"version": "7"}),
        subsegment(2, 1),
        subsegment(3, 2, subsegments=[embedded]),
        subsegment(4, 9),
        subsegment(5, 77),
    ]
    blobs = [documents(parts[number]) for number in order]
    convert(blobs, tmp_path / "a.parquet", spans_at_once=spans_at_once)
    found = read(tmp_path / "a.parquet")
    services = found.spans.set_index("span_id")["service_name"].to_dict()
    assert {int(key, 16): service for key, service in services.items()} == {
        **dict.fromkeys([1, 2, 3, 4, 9], "n1"),
        5: "unknown_service",
    }
    assert_same_meaning(found, read(blobs))


def answer(*parts, **members):
    entries = [{"Id": part["id"], "Document": json.dumps(part)} for part in parts]
    return json.dumps({"Traces": [{"Id": TRACE, "Segments": entries, **members}]}).encode()


@pytest.mark.parametrize("wrapped", [answer, documents])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_segment_is_found_in_another_answer(tmp_path, wrapped, order):
    blobs = [wrapped(segment(1)), wrapped(subsegment(2, 1))]
    found = read([blobs[number] for number in order])
    assert found.spans["service_name"].tolist() == ["n1", "n1"]
    convert([blobs[number] for number in order], tmp_path / "a.parquet", spans_at_once=1)
    assert_same_meaning(read(tmp_path / "a.parquet"), found)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_the_finished_segment_equals_its_subsegments(order):
    begun = segment(1, in_progress=True)
    del begun["end_time"]
    parts = [begun, subsegment(2, 1), segment(1, service={"version": "7"})]
    found = read(documents(*(parts[number] for number in order)))
    assert found.attribute("service.version").tolist() == ["7", "7"]


def test_outcomes_of_a_trace_in_several_runs_are_combined(tmp_path):
    told = [{"Duration": 0.5}, {"Duration": 2.5, "LimitExceeded": True}, {"Duration": 1.5}]
    blobs = [answer(segment(number), **members) for number, members in enumerate(told, 1)]
    convert(blobs, tmp_path / "a.parquet", spans_at_once=1)
    found = read(tmp_path / "a.parquet")
    assert found.summary["reported_duration_ns"].tolist() == [2_500_000_000]
    assert found.summary["limit_exceeded"].tolist() == [True]
    assert_same_meaning(found, read(blobs))


def test_a_chain_of_parts_without_owner_is_followed_and_a_circle_is_not():
    builder = Builder()
    builder.open_source("x")
    shop = builder.resource([builder.kv("service.name", "shop")])
    count = 5000
    for number in range(1, count + 1):
        resource = shop if number == 1 else PENDING
        _add(builder, number, number - 1, resource)
    for number, parent in ((count + 1, count + 2), (count + 2, count + 1)):
        _add(builder, number, parent, PENDING)
    columns = with_owners(gather(builder))
    assert columns.spans.resource.tolist() == [shop] * count + [1, 1]
    assert columns.resource_attributes.counts.tolist() == [1, 0]


def test_only_parts_of_documents_have_their_parents_resource():
    builder = Builder()
    builder.open_source("x")
    shop, empty = builder.resource([builder.kv("service.name", "shop")]), builder.resource([])
    _add(builder, 1, 0, shop)
    _add(builder, 2, 1, PENDING, RecordKind.INFERRED)
    _add(builder, 3, 1, PENDING, RecordKind.SPAN)
    columns = with_owners(gather(builder))
    assert columns.spans.resource.tolist() == [shop, shop, empty]
    assert len(columns.resources) == 2


def test_a_copy_with_a_resource_counts_as_the_parent():
    builder = Builder()
    builder.open_source("x")
    shop = builder.resource([builder.kv("service.name", "shop")])
    for number, parent, resource in ((1, 0, PENDING), (2, 1, PENDING), (1, 0, shop)):
        _add(builder, number, parent, resource)
    columns = with_owners(gather(builder))
    assert columns.spans.resource.tolist()[1:] == [shop, shop]


def _add(builder, number, parent, resource, record_kind=RecordKind.SUBSEGMENT):
    builder.span(
        at=Position(1, 0),
        trace_id=1,
        span_id=number,
        parent_id=parent,
        name="x",
        start_ns=1,
        end_ns=2,
        record_kind=record_kind,
        resource=resource,
    )


def test_what_loaders_remember_goes_with_its_builder():
    builder = Builder()
    builder.open_source("x")
    xray.LOADER.load(segment(1), Position(1, 0), builder)
    assert builder.span_count == 1
    gone = weakref.ref(builder)
    del builder
    gc.collect()
    assert gone() is None
