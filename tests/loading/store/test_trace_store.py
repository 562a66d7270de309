"""A store read part by part: the same numbers as in memory, however the traces are split; what it refuses."""

import functools
import json
import operator

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError
from tracekit.loading.store import part as store_part
from tracekit.loading.store import read_write
from tracekit.loading.store.read_write import writing
from tracekit.loading.store.trace_store import _is_among


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


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


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


def test_what_is_in_it_is_known_without_reading_spans(during, tmp_path, monkeypatch):
    split(during, tmp_path / "a.parquet", 5)
    monkeypatch.setattr(store_part, "open_table", None)
    store = tk.open(tmp_path / "a.parquet")
    assert (len(store), store.span_count, store.part_count) == (len(during), len(during.spans), 5)
    assert store.services == sorted(during.codes("service_name").labels)
    begun = during.columns.spans.start_ns[during.forest.root_row]
    assert store.period_ns == (begun.min(), begun.max())
    assert repr(store).startswith(f"TraceStore(a.parquet: 5 parts, {len(during.spans):,} spans, ")
    assert "TraceStore(" in store._repr_html_()


def test_conditions_are_those_of_a_trace_set(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 6)
    failed = store.where("is_error")
    assert len(failed) == len(during.where("is_error"))
    assert sorted(failed.load().trace_ids) == sorted(during.where("is_error").trace_ids)
    same(tk.latency(failed).table, tk.latency(during.where("is_error")).table)
    low, high = store.period_ns
    middle = pd.Timestamp((low + high) // 2)
    part = store.between(middle)
    assert sorted(part.load().trace_ids) == sorted(during.between(middle).trace_ids)
    assert repr(part).endswith(f".between({middle.value}, {high + 1})")
    assert len(store.where(lambda spans: spans["is_error"])) == len(failed)


def test_parts_outside_a_window_are_not_read(during, tmp_path):
    begun = during.columns.spans.start_ns[during.forest.root_row]
    middle = int(np.median(begun))
    with writing(tmp_path / "a.parquet") as new:
        for is_late in (False, True):
            new.part(during.where(((begun >= middle) == is_late)[during.forest.trace]))
        new.finish(during.columns.sources, during.columns.issues)
    store = tk.open(tmp_path / "a.parquet").between(pd.Timestamp(middle))
    assert store.part_count == 1
    assert len(store) == (begun >= middle).sum()


def test_weights_by_number_attribute_and_id(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 3)
    assert tk.latency(store.with_weights(5)).statement == tk.latency(during.with_weights(5)).statement
    by_id = pd.Series(np.arange(1.0, len(during) + 1), during.trace_ids)
    same(tk.latency(store.with_weights(by_id)).table, tk.latency(during.with_weights(by_id)).table)
    for source in ("auto", "recorded", [1, 2]):
        with pytest.raises(TypeError, match="expected a number, an attribute, or weights by trace id for a store"):
            store.with_weights(source)


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


def test_sampled_parts_carry_their_weight(during, tmp_path):
    store = split(during.with_weights(2), tmp_path / "a.parquet", 8)
    some = store.sample(2, seed=1)
    assert some.part_count == 2
    assert set(some.load().weights.value) == {8.0}
    assert not next(split(during, tmp_path / "b.parquet", 4).sample(2).parts()).weights.known.any()
    with pytest.raises(ValueError, match="expected parts from 1 to 8, their number, found 9"):
        store.sample(9)


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


def test_a_store_is_refused_where_it_does_not_fit(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 2)
    with pytest.raises(
        TypeError, match=r"expected a TraceSet for tk.coverage, found TraceStore; .*tk.coverage\(store.load"
    ):
        tk.coverage(store)
    with pytest.raises(TypeError, match="expected an expression or a callable for a store, found ndarray"):
        store.where(np.zeros(3, bool))
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        tk.latency(store, pd.Series([1]))
    with pytest.raises(LoadError, match=r"expected a store .* found none at .*nowhere; write one with tk.convert"):
        tk.open(tmp_path / "nowhere")


def test_a_damaged_part_is_named_when_it_is_read(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 2)
    file = tmp_path / "a.parquet" / "part-00001" / "spans.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*part-00001/spans.parquet"):
        tk.latency(store)


def test_files_that_all_parts_share_are_read_again_only_after_a_change(during, tmp_path, monkeypatch):
    store = split(during, tmp_path / "s.parquet", 3)
    first = store.part(0)
    with monkeypatch.context() as patch:
        patch.setattr(read_write, "read_frames", None)
        again = store.part(1)
    pd.testing.assert_frame_equal(again.sources, first.sources)
    pd.testing.assert_frame_equal(again.issues, first.issues)
    again.columns.sources["uri"] = "another"
    assert store.part(2).sources["uri"].tolist() == first.sources["uri"].tolist() != ["another"]
    file = tmp_path / "s.parquet" / "sources.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*sources.parquet: expected the bytes that were written"):
        store.part(1)
    file.unlink()
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*sources.parquet: expected a file of .* bytes, found none"):
        store.part(1)


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


def test_a_sample_has_about_so_many_spans_and_says_what_it_is(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 10)
    some = store.sample(spans=len(during.spans) // 3)
    assert some.part_count == 3
    found = some.load()
    (said,) = [one for one in tk.investigate(found, steps=["data"]).findings if one.check == "sample_of_store"]
    assert said.headline.startswith(
        f"A random sample of a store: 3 of 10 parts, {len(found):,} of {len(during):,} traces."
    )
    assert "weights are unknown, so no figure is scaled up" in said.headline
    known = store.with_weights(1).sample(3).load()
    assert (known.weights.value == 10 / 3).all()
    (said,) = [one for one in tk.investigate(known, steps=["data"]).findings if one.check == "sample_of_store"]
    assert "weighted figures estimate the whole store" in said.headline


def test_a_sample_of_all_parts_is_the_store(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 2)
    assert store.sample(spans=10**9) is store
    assert "sample_of_store" not in {one.check for one in tk.investigate(store.load(), steps=["data"]).findings}
    assert store.sample(spans=1).part_count == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "expected either parts or spans, found neither"),
        ({"parts": 1, "spans": 9}, TypeError, "expected either parts or spans, found both"),
        ({"spans": 0}, ValueError, "expected spans of 1 or more, found 0"),
    ],
)
def test_a_sample_of_no_size_is_refused(during, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        split(during, tmp_path / "a.parquet", 2).sample(**arguments)


def test_what_is_loaded_has_the_sources_of_the_store_once(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 4).where("duration_ns >= 0")
    for found in (store.load(), store.head(9), store.only([0, 2]).load()):
        pd.testing.assert_frame_equal(found.sources, during.sources)
        assert len(found.issues) == len(during.issues)
    assert store.load().trace_ids == during.trace_ids


def test_weights_of_a_sample_are_scaled_whenever_they_are_set(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 4)
    for some in (store.sample(2).with_weights(1), store.with_weights(1).sample(2)):
        assert set(some.load().weights.value) == {2.0}
    late = store.sample(2).load().with_weights(1)
    (said,) = [one for one in tk.investigate(late, steps=["data"]).findings if one.check == "sample_of_store"]
    assert "weights were set after sampling, so weighted figures are those of the sample" in said.headline


def test_ids_are_compared_in_both_halves():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 4, (200, 2)).astype(np.uint64) << np.uint64(62)
    wanted = np.array(sorted({tuple(one) for one in ids[:5].tolist()}), np.uint64)
    expected = [tuple(one) in {tuple(other) for other in wanted.tolist()} for one in ids.tolist()]
    assert _is_among(ids[:, 0], ids[:, 1], wanted).tolist() == expected


def test_memory_and_time_of_a_choice_by_ids_are_linear():
    count = 100_000  # pairs of all would be 10 GB
    ids = np.stack([np.arange(count, dtype=np.uint64), np.arange(count, dtype=np.uint64)[::-1]], axis=1)
    assert _is_among(ids[:, 0], ids[:, 1], ids[::2]).tolist() == [True, False] * (count // 2)


def test_what_is_no_text_is_no_id(during, tmp_path):
    store = split(during.head(20), tmp_path / "a.parquet", 2)
    for wrong in (5, None):
        with pytest.raises(TypeError, match=r"expected the id of a trace as text, found (int|NoneType)"):
            store.trace(wrong)
    with pytest.raises(TypeError, match="expected the id of a trace as text, found int"):
        store.traces([5])
    with pytest.raises(TypeError, match="expected several trace ids, found the text 'abc'"):
        store.traces("abc")


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
