"""A store read part by part: the same numbers as in memory, however the traces are split; what it reads and refuses."""

import functools
import json
import operator

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError
from tracekit.loading.store import read_write
from tracekit.loading.store.read_write import writing


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


def span_line(number, tier, event):
    """A trace of one span as a line of OTLP JSON, with an attribute, and with another of an event."""
    attribute = {"key": "tier", "value": {"stringValue": "gold"}}
    span = {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": "GET /",
        "startTimeUnixNano": "1800000000000000000",
        "endTimeUnixNano": "1800000000001000000",
        "attributes": [attribute] if tier else [],
        "events": [{"timeUnixNano": "1800000000000000000", "name": "e", "attributes": [attribute]}] if event else [],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}).encode()


@pytest.mark.parametrize("count", [1, 7, 64])
@pytest.mark.parametrize("weights", [None, "equal", "mixed"])
def test_results_are_those_of_the_whole(during, tmp_path, count, weights):
    if weights:
        values = np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during))
        during = during.with_weights(4 if weights == "equal" else values)
    store = split(during, tmp_path / "a.parquet", count)
    assert store.part_count <= count
    for by, roots in ((("service_name", "operation"), False), ("http_request_method", True), ((), False)):
        found, expected = tk.latency(store, by, roots=roots), tk.latency(during, by, roots=roots)
        same(found.table, expected.table)
        same(found.histogram, expected.histogram)
        assert found.statement == expected.statement
        assert set(found.recorded_services) == set(expected.recorded_services)
    found, expected = tk.service_graph(store), tk.service_graph(during)
    same(found.services, expected.services)
    same(found.calls, expected.calls)
    assert found.unnamed_count == pytest.approx(expected.unnamed_count)


def test_an_attribute_that_some_parts_lack_is_missing_there(tmp_path):
    recorded = [
        tk.read([span_line(number, tier="gold" if number == 3 else "", event="tier" if number == 1 else "")])
        for number in range(5)
    ]
    whole = functools.reduce(operator.add, recorded)
    with writing(tmp_path / "a.parquet") as new:
        for part in recorded:
            new.part(part)
        new.finish(whole.columns.sources, whole.columns.issues)
    store = tk.open(tmp_path / "a.parquet")
    assert store.keys == ["service.name", "tier"]
    same(tk.latency(store, "tier").table, tk.latency(whole, "tier").table)
    with pytest.raises(ValueError, match="found 'tire'; did you mean tier"):
        tk.latency(store, "tire")
    assert store.part(3).attribute("tier").tolist() == ["gold"]
    assert store.part(0).steps == ('tk.open("a.parquet")', ".part(0)")
    with pytest.raises(IndexError, match="expected the number of a part, from 0 to 4, found 5"):
        store.part(5)


def test_one_trace_is_found_in_its_part(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 5)
    for trace_id in during.trace_ids[::100]:
        found = store.trace(trace_id)
        assert found.trace_ids == [trace_id]
        assert len(found.spans) == len(during.trace(trace_id).spans)
        assert store.trace(trace_id[:20]).trace_ids == [trace_id]
    with pytest.raises(ValueError, match="expected the id of one trace, found 'ffffffffffff' for 0; nearest: "):
        store.trace("ffffffffffff")
    with pytest.raises(ValueError, match="expected the id of one trace, found '' for 0"):
        store.trace("")


def test_the_whole_can_be_loaded(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 4)
    assert store.load().trace_ids == during.trace_ids
    assert sum(len(part) for part in store.parts()) == len(during)
    for count in (0, 5, 400):
        few = store.head(count)
        assert len(few) == count
        assert set(few.trace_ids) <= set(during.trace_ids)
    nobody = store.where("service_name == 'nobody'")
    assert len(nobody.head()) == len(nobody.load()) == 0
    assert nobody.period_ns is None


def test_a_damaged_part_is_named_when_it_is_read(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 2)
    file = tmp_path / "a.parquet" / "part-00001" / "spans.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*part-00001/spans.parquet"):
        tk.latency(store)


def test_only_the_columns_in_use_are_read(during, tmp_path):
    part = next(split(during, tmp_path / "a.parquet", 1).parts())
    tk.latency(part)
    for table, column in (("events", "time_ns"), ("links", "flags"), ("spans", "byte_offset")):
        with pytest.raises(AttributeError):
            object.__getattribute__(getattr(part.columns, table), column)


def test_a_store_larger_than_memory_is_not_loaded(during, tmp_path, monkeypatch):
    store = split(during, tmp_path / "a.parquet", 2)
    monkeypatch.setattr(read_write, "free_bytes", lambda: 1_000_000)
    with pytest.raises(LoadError, match=r"STORE_TOO_LARGE .*expected about .* found 1.0 MB; open it with tk.open"):
        tk.read(tmp_path / "a.parquet")
    with pytest.raises(LoadError, match="STORE_TOO_LARGE"):
        store.load()
    assert len(tk.latency(store).table) == len(tk.latency(during).table)
    monkeypatch.setattr(read_write, "free_bytes", lambda: None)
    assert len(tk.read(tmp_path / "a.parquet")) == len(during)


def test_free_memory_is_what_the_system_says():
    found = read_write.free_bytes()
    assert found is None or 1 << 20 < found < 1 << 50


def test_without_the_file_of_linux_free_memory_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(read_write, "Path", lambda _: tmp_path / "meminfo")
    assert read_write.free_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2 kB\n")
    assert read_write.free_bytes() == 2048


def test_what_is_loaded_has_the_sources_of_the_store_once(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 4).where("duration_ns >= 0")
    for found in (store.load(), store.head(9), store.only([0, 2]).load()):
        pd.testing.assert_frame_equal(found.sources, during.sources)
        assert len(found.issues) == len(during.issues)
    assert store.load().trace_ids == during.trace_ids


def test_some_traces_are_fetched_whole_by_their_ids(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 5)
    ids = [during.trace_ids[at] for at in (3, 500, 999)]
    found = store.traces([*ids, ids[0].upper(), "f" * 32])
    assert found.trace_ids == ids
    wanted = during.where(np.isin(np.array(during.trace_ids, object)[during.forest.trace], ids))
    assert found.spans["span_id"].tolist() == wanted.spans["span_id"].tolist()
    assert len(store.traces([])) == 0
    with pytest.raises(ValueError, match="expected the id of a trace, up to 32 hexadecimal digits, found 'xyz'"):
        store.traces(["xyz"])
