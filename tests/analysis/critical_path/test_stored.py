"""Critical paths of a store: the same numbers as in memory, however the traces are split, also with skewed clocks."""

import json

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.analysis.clock_skew import parts as skew_parts
from tracekit.analysis.critical_path.stored import _IN_MEMORY
from tracekit.loading.store.read_write import writing

BY = ["service_name", "operation"]


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("checkout-regression")


def weighted(traces, kind):
    if kind is None:
        return traces
    values = np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(traces))
    return traces.with_weights(4 if kind == "equal" else values)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_results_are_those_of_the_whole(sides, tmp_path, count, weights):
    during = weighted(sides[1], weights)
    stored, whole = tk.critical_path(split(during, tmp_path / "a.parquet", count)), tk.critical_path(during)
    for by in ("service_name", BY, "call_path", ["request.operation", "callee_service"]):
        same(stored.by(by), whole.by(by))
    found, expected = stored.bands(BY), whole.bands(BY)
    same(found.table, expected.table)
    same(found.bands, expected.bands)
    assert set(found.recorded_services) == set(expected.recorded_services)
    found, expected = stored.flame(), whole.flame()
    same(found.table, expected.table)
    assert found.request_count == expected.request_count
    assert stored.folded() == whole.folded()
    same(stored.issues, whole.issues)
    assert stored.counts == pytest.approx(whole.counts, rel=1e-12)
    assert stored.statement == whole.statement
    assert repr(stored).startswith("StoredPaths(TraceStore(a.parquet: ")


@pytest.mark.parametrize("weights", [None, "equal", "mixed"])
def test_a_comparison_of_stores_is_that_of_the_whole(sides, tmp_path, weights):
    before, during = (weighted(side, weights) for side in sides)
    stores = split(before, tmp_path / "a.parquet", 5), split(during, tmp_path / "b.parquet", 8, seed=1)
    expected = tk.critical_path(before).compare(tk.critical_path(during), by=[*BY, "app.customer.tier"])
    stored = [tk.critical_path(store) for store in stores]
    for sides_compared in ((stored[0], stored[1]), (tk.critical_path(before), stored[1])):
        found = sides_compared[0].compare(sides_compared[1], by=[*BY, "app.customer.tier"])
        same(found.table, expected.table)
        same(found.parts, expected.parts)
        same(found.sides, expected.sides)
        assert found.change == pytest.approx(expected.change) or str(found.change) == str(expected.change)
        assert found.comparability == expected.comparability
        assert found.shared_trace_count == expected.shared_trace_count
    with pytest.raises(ValueError, match=r"expected a column of spans, .* found 'nothing'"):
        stored[0].compare(stored[1], by="nothing")


def test_a_column_that_one_side_lacks_is_missing_there(tmp_path):
    def line(number, tier):
        span = {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "name": "GET /",
            "startTimeUnixNano": "1800000000000000000",
            "endTimeUnixNano": str(1_800_000_000_001_000_000 + number),
            "attributes": [{"key": "tier", "value": {"stringValue": tier}}] if tier else [],
        }
        return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode() + b"\n"

    before = tk.read([b"".join(line(number, "") for number in range(1, 40))])
    after = tk.read([b"".join(line(number, "gold" if number == 45 else "") for number in range(40, 80))])
    expected = tk.critical_path(before).compare(tk.critical_path(after), by="tier")
    stores = split(before, tmp_path / "a.parquet", 3), split(after, tmp_path / "b.parquet", 3)
    found = tk.critical_path(stores[0]).compare(tk.critical_path(stores[1]), by="tier")
    same(found.table, expected.table)
    assert found.table["tier"].tolist() == expected.table["tier"].tolist()


@pytest.mark.parametrize("change", [0.5, tk.CapSelfTime(ns=2_000_000)])
def test_what_if_is_that_of_the_whole(sides, tmp_path, change):
    during = sides[1]
    stored = tk.critical_path(split(during, tmp_path / "a.parquet", 7))
    changes = {"service_name == 'ledger'": change}
    found, expected = stored.what_if(changes), tk.critical_path(during).what_if(changes)
    same(found.table, expected.table)
    same(found.traces, expected.traces)
    assert found.changed_count == expected.changed_count


def shifted(shift_ns, count=300):
    """Traces of a call between two hosts, the clock of the second ahead."""
    rows = []
    for number in range(count):
        begun = 1_800_000_000_000_000_000 + number * 50_000_000
        trace = {"trace_id": f"{number * 7919 % 100_003 + 1:032x}"}
        rows += [
            {**trace, "span_id": "01", "service_name": "shop", "host_name": "a", "kind": "SERVER"}
            | {"start_ns": begun, "end_ns": begun + 20_000_000},
            {**trace, "span_id": "02", "parent_span_id": "01", "service_name": "shop", "host_name": "a"}
            | {"kind": "CLIENT", "start_ns": begun + 1_000_000, "end_ns": begun + 11_000_000 + number * 1000},
            {**trace, "span_id": "03", "parent_span_id": "02", "service_name": "ledger", "host_name": "b"}
            | {"kind": "SERVER", "start_ns": begun + 2_000_000 + shift_ns, "end_ns": begun + 10_000_000 + shift_ns},
        ]
    return tk.TraceSet.from_spans(pd.DataFrame(rows).assign(name="x"))


def test_skewed_clocks_are_corrected_by_the_calls_of_all_parts(tmp_path):
    traces = shifted(40_000_000)
    whole = tk.critical_path(traces)
    assert len(whole.offsets)
    stored = tk.critical_path(split(traces, tmp_path / "a.parquet", 30))  # ten traces a part: too few to prove it alone
    assert not any(len(tk.critical_path(part).offsets) for part in stored.source.parts())
    same(stored.by("service_name"), whole.by("service_name"))
    same(stored.issues, whole.issues)
    assert "CLOCK_MOVED" in stored.issues["code"].tolist()
    for part in stored.source.parts():
        own = stored.offsets.of(part)
        expected = whole.offsets[whole.offsets["trace_id"].isin(part.trace_ids)]
        assert own.offset_ns[own.offset_ns != 0].tolist() == expected["offset_ns"].tolist()
    raw = tk.critical_path(stored.source, skew="off")
    same(raw.by("service_name"), tk.critical_path(traces, skew="off").by("service_name"))
    assert raw.offsets is None


def test_clocks_that_do_not_seem_skewed_cost_one_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(skew_parts, "part_calls", None)
    stored = tk.critical_path(split(shifted(0), tmp_path / "a.parquet", 3))
    assert stored.offsets is None


def test_what_needs_all_spans_at_once_is_refused(sides, tmp_path):
    store = split(sides[1], tmp_path / "a.parquet", 2)
    path = tk.critical_path(store)
    for name in _IN_MEMORY:
        assert hasattr(tk.critical_path(sides[0]), name)
        with pytest.raises(AttributeError, match=f"works part by part, found .{name} of a store; load the traces in"):
            getattr(path, name)
    with pytest.raises(AttributeError, match="'StoredPaths' object has no attribute 'nothing'"):
        path.nothing  # noqa: B018
    for change in (tk.CapSelfTime(quantile=0.5), tk.MatchDistribution([1.0])):
        with pytest.raises(ValueError, match=r"expected a factor or CapSelfTime\(ns=\) for a store"):
            path.what_if({"is_error": change})
    with pytest.raises(ValueError, match="expected causal=None for a store, found 'strict'"):
        tk.critical_path(store, causal="strict")
    with pytest.raises(ValueError, match="expected skew to be 'auto' or 'off' for a store, found ClockSkew"):
        tk.critical_path(store, skew=tk.clock_skew(sides[1]))
    with pytest.raises(TypeError, match="a callable as the scope for a store, found ndarray"):
        tk.critical_path(store, scope=np.zeros(3, bool))
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        path.by(pd.Series([1]))


def test_an_empty_part_and_an_empty_store(sides, tmp_path):
    during = sides[1]
    with writing(tmp_path / "a.parquet") as new:
        new.part(during.where("service_name == 'nobody'"))
        new.part(during)
        new.finish(during.columns.sources, during.columns.issues)
    stored = tk.critical_path(tk.open(tmp_path / "a.parquet"))
    same(stored.by(BY), tk.critical_path(during).by(BY))
    nobody = tk.critical_path(tk.open(tmp_path / "a.parquet").where("service_name == 'nobody'"))
    assert nobody.by("service_name").empty
    assert nobody.issues.empty
    assert nobody.counts.request_count == 0
    same(stored.issues, tk.critical_path(during).issues)
    assert nobody.flame().table.empty


def test_a_scope_is_applied_in_each_part(sides, tmp_path):
    store = split(sides[1], tmp_path / "a.parquet", 4)
    for options in ({"scope": "service_name == 'ledger'"}, {"scope": "trace"}, {"overflow": "clip"}):
        same(tk.critical_path(store, **options).by(BY), tk.critical_path(sides[1], **options).by(BY))


def test_traces_in_memory_are_read_nowhere_else():
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet, which is in memory"):
        tk.critical_path(tk.load_sample("small-shop")[1], on=2)
