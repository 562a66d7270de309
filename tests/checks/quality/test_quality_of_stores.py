"""Data quality of a store with a known fault: the findings in memory, from any number of parts."""

import functools
import pickle

import numpy as np
import pytest
from checks.quality.test_clocks import fleet, hosts, ring
from checks.quality.test_completeness import attempts, gateway_traces
from checks.quality.test_completeness import gateway_and_partner as apart
from checks.quality.test_gaps_orphans import shop
from checks.quality.test_quality_collection import document, minutes_of
from checks.quality.test_quality_content import cards, functions, invocations, leaking
from checks.quality.test_quality_hostile_sets import SETS
from checks.quality.test_quality_no_raw_value import SECRETS, leaky
from checks.quality.worlds import EPOCH_NS, MS, SECOND, only, rpc, spans, trace_ids
from checks.test_checks_of_stores import agree

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.quality.distinct_values import VALUES, Place, some_texts
from tracekit.checks.quality.pii.search import FOUND


def cycle():
    return ring(np.random.default_rng(2), 10 * MS)


def late_hosts():
    """Spans of two SDKs on four hosts: those of one host end before they start, and some start in seconds."""
    frame = fleet()
    at = np.arange(len(frame))
    frame.loc[at % 4 == 3, "end_ns"] = frame.loc[at % 4 == 3, "start_ns"] - 5
    frame.loc[at % 40 == 0, "start_ns"] //= SECOND
    return TraceSet.from_spans(frame).with_weights(np.where(at % 3 == 0, 5.0, 1.0))


def lossy():
    """Calls, of which the server span was lost for every fifth, with weights of two kinds."""
    whole = rpc(600)
    at = np.arange(len(whole.columns.spans))
    kept = only(whole, (at % 3 != 2) | (at % 5 != 0))
    return kept.with_weights(np.where(np.arange(len(kept)) % 4 == 0, 9.0, 1.0))


def broken():
    return gateway_traces(0.3)[0]


def unnamed():
    return gateway_traces(0.3, peer="10.0.0.7")[0]


def zone_down():
    frame, minute = shop()
    return TraceSet.from_spans(
        frame[~(minute.between(20, 29) & (frame["attributes.cloud.availability_zone"] == "eu-1b"))]
    )


def unseen_parents():
    """Parents are missing everywhere for ten minutes; some traces start at the same time."""
    frame, minute = shop()
    kept = frame[~(minute.between(20, 29) & (frame["span_id"] == "2"))].copy()
    for name in ("start_ns", "end_ns"):
        kept[name] -= kept[name] % SECOND if name == "start_ns" else 0
    return TraceSet.from_spans(kept)


def silent():
    """Traces at random times, and none for five minutes."""
    begun = EPOCH_NS + np.cumsum(np.random.default_rng(9).exponential(10, 600) * 1e9).astype(np.int64)
    begun[300:] += 300 * SECOND
    return TraceSet.from_spans(spans(600, start_ns=begun, end_ns=begun + MS))


def cut_documents():
    """Segment documents of a line each: one near 64 kB, twelve with as many subsegments as an SDK keeps."""
    sizes = [100] * 12 + [60 + at % 40 for at in range(60)]
    lines = [document(at + 1, below=n) for at, n in enumerate(sizes)]
    return tk.read("\n".join([*lines, document(99, size=63_000), document(98, size=200)]).encode())


def cut_traces():
    """Traces that pile up at 60 spans, of which some are in progress."""
    sizes = np.array([60] * 20 + [10 + at % 40 for at in range(180)])
    at, place = np.repeat(np.arange(200), sizes), np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    frame = spans(
        len(at),
        trace_id=np.array(trace_ids(200))[at],
        start_ns=EPOCH_NS + at * SECOND,
        end_ns=EPOCH_NS + at * SECOND + MS,
    )
    frame["span_id"] = [f"{one + 1:016x}" for one in place]
    frame["parent_span_id"] = [f"{one:016x}" if one else None for one in place]
    frame["in_progress"] = (at % 20 == 3) & (place == 0)
    frame["end_ns"] = frame["end_ns"].astype("Int64").mask(frame["in_progress"])
    return TraceSet.from_spans(frame).with_weights(np.where(np.arange(200) % 3 == 0, 4.0, 1.0))


def ids_in_names():
    """Span names with an id each, two services, and values that look like personal data."""
    frame = spans(1600, service_name=np.where(np.arange(1600) % 4 == 0, "cart", "shop"))
    frame["name"] = [f"GET /orders/{1_000_000 + at}" if at % 2 else "GET /" for at in range(1600)]
    frame["attributes.user.id"] = [f"u-{at * 7919 % 900}" for at in range(1600)]
    frame["attributes.mail"] = [f"jo{at % 300}@example.org" for at in range(1600)]
    return TraceSet.from_spans(frame)


def growing_operation():
    """One of ten operations has a new value of a key in every span."""
    at = np.arange(4000)
    frame = spans(4000, name=[f"GET /{'abcdefghij'[one % 10]}" for one in at])
    frame["attributes.http.route"] = [f"/{'abcdefghij'[one % 10]}" for one in at]
    frame["attributes.http.request.method"] = "GET"
    frame["attributes.app.cart"] = [f"c{one}" if one % 10 == 3 else "same" for one in at]
    return TraceSet.from_spans(frame)


def private():
    """Private values in every place, most of them in traces of several parts, with weights of two kinds."""
    traces = leaky(300)
    return traces.with_weights(np.where(np.arange(300) % 3 == 0, 8.0, 1.0))


def numbered(genuine):
    """A key with card numbers among random digits, some of them integers; another with the same digits in texts."""
    values = cards(np.random.default_rng(5), 600, genuine)
    frame = spans(600, **{"attributes.note": values, "attributes.path": [f"/v/{one}?n={one}" for one in values]})
    frame["attributes.account"] = [int(one) for one in values]
    return TraceSet.from_spans(frame)


WORLDS = {
    "clocks that agree": (hosts, {"clock.offset": "ok", "clock.drift": "ok", "time.order": "ok"}),
    "an offset": (functools.partial(hosts, offset_ns=12 * MS), {"clock.offset": "warning", "time.order": "ok"}),
    "a drift": (functools.partial(hosts, drift_ppm=100), {"clock.drift": "warning"}),
    "a step": (functools.partial(hosts, step_ns=20 * MS), {"clock.drift": "warning"}),
    "a cycle of hosts": (cycle, {"clock.cycle": "warning"}),
    "late hosts": (late_hosts, {"time.order": "failed"}),
    "lost server spans": (lossy, {"complete.rpc": "warning"}),
    "lost context": (broken, {"propagation.break": "failed", "complete.rpc": "warning", "propagation.retry": "ok"}),
    "an unnamed peer": (unnamed, {"propagation.break": "failed"}),
    "skewed clocks": (
        functools.partial(apart, {"gw": 0, "svc": 30 * MS, "far": 2 * SECOND}),
        {"propagation.break": "ok"},
    ),
    "retries": (attempts, {"propagation.retry": "warning", "propagation.break": "not_assessable"}),
    "a zone that is down": (zone_down, {"gap.orphans": "warning", "gap.silence": "ok"}),
    "parents missing everywhere": (unseen_parents, {"gap.orphans": "warning"}),
    "a whole recording": (lambda: TraceSet.from_spans(shop()[0]), {"gap.orphans": "ok", "gap.silence": "ok"}),
    "a silence": (silent, {"gap.silence": "warning", "gap.orphans": "not_assessable"}),
    "documents cut by X-Ray": (cut_documents, {"partial": "warning"}),
    "traces cut by a limit": (cut_traces, {"partial": "warning"}),
    "span names with ids": (ids_in_names, {"cardinality": "warning"}),
    "names of one operation": (growing_operation, {"cardinality": "warning"}),
    "few names": (lambda: TraceSet.from_spans(spans(1500)), {"cardinality": "ok"}),
    "private values": (private, {"pii": "failed"}),
    "leaks in a sample": (lambda: TraceSet.from_spans(leaking()).with_weights(20), {"pii": "warning"}),
    "card numbers": (functools.partial(numbered, 0.4), {"pii": "failed"}),
    "random digits": (functools.partial(numbered, 0.0), {"pii": "ok"}),
    "nothing private": (lambda: TraceSet.from_spans(spans(400)).with_weights(20), {"pii": "ok"}),
    "failures": (functools.partial(attempts, again=False), {"propagation.retry": "ok"}),
}


@functools.cache
def world(name):
    return WORLDS[name][0]()


@pytest.mark.parametrize("name", WORLDS)
def test_a_fault_is_found_in_parts_as_in_memory(name, tmp_path):
    traces, wanted = world(name), WORLDS[name][1]
    store = split(traces, tmp_path / "a.parquet", 5, seed=5)
    checks = list(wanted)
    found, expected = (tk.quality(each, checks=checks) for each in (store, traces))
    agree(found, expected)
    assert {one.check: one.status for one in found} == wanted


@pytest.mark.parametrize("count", [1, 5])
def test_collection_gaps_of_parts_are_those_of_the_whole(count, tmp_path):
    traces = world("a silence")
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (tk.collection_gaps(each) for each in (store, traces))
    same(found.table, expected.table)
    same(found.gaps, expected.gaps)
    assert found.gaps["kind"].tolist() == ["silence"]
    assert found.headlines == expected.headlines


@pytest.mark.parametrize(
    "name", [name for name in SETS if name not in {"empty", "wide trace", "deep trace", "beyond all durations"}]
)
def test_hostile_sets_are_answered_as_in_memory(name, tmp_path):
    traces = SETS[name]()
    store = split(traces, tmp_path / "a.parquet", 3)
    agree(tk.quality(store, on=1), tk.quality(traces))
    split_requests = ["patterns.missing_spans", "patterns.lost_context"]
    agree(*(tk.patterns(each, checks=split_requests) for each in (store, traces)))


def test_parts_without_a_trace_are_answered_as_in_memory(tmp_path):
    """Conditions leave traces in one part, or in none."""
    traces = world("lost context")
    store = split(traces, tmp_path / "a.parquet", 5)
    for condition in (f"trace_id == '{traces.trace_ids[0]}'", "duration_ns < 0"):
        agree(tk.quality(store.where(condition), on=1), tk.quality(traces.where(condition)))


@pytest.mark.parametrize("count", [1, 5])
def test_costs_of_parts_are_those_of_the_whole(count, tmp_path):
    frame, requests = minutes_of(np.random.default_rng(3), share=0.2, lost=slice(30, 40), loss=-1.5)
    traces = TraceSet.from_spans(frame)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    prices = {"recorded": 5e6, "budget": 1e9, "incident": 20}
    for given in ({"requests": requests}, {}):
        found, expected = (tk.quality(each, prices=prices, checks=["cost"], **given) for each in (store, traces))
        agree(found, expected)
        assert ("Sampling surge from" in found[0].headline) == bool(given)
        assert "incident" in found[0].headline


@pytest.mark.parametrize("count", [1, 5])
def test_cold_starts_of_parts_are_compared_with_the_log(count, tmp_path):
    traces = functions(400, 60).with_weights(np.where(np.arange(400) < 60, 1.0, 4.0))
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (
        tk.quality(each, log=invocations(4000, 120), checks=["coldstart.bias"]) for each in (store, traces)
    )
    agree(found, expected)
    assert found[0].status == "warning"
    assert "with weights" in found[0].headline


def test_many_distinct_values_are_counted_in_a_limited_state(tmp_path):
    """12,000 values: a random share of them is kept, the same in any number of parts."""
    frame = spans(20_000)
    frame["attributes.request.id"] = [f"r{at % 12_000}" for at in range(20_000)]
    traces = TraceSet.from_spans(frame)
    expected = tk.quality(traces, checks=["cardinality"])[0].evidence.iloc[0]
    assert expected[["row_count", "distinct_count"]].tolist() == [20_000, 12_000]
    stores = [split(traces, tmp_path / f"{count}.parquet", count, seed=count) for count in (1, 5)]
    one, seven = (tk.quality(store, checks=["cardinality"], on=1) for store in stores)
    agree(one, seven)
    row = seven[0].evidence.iloc[0]
    assert row["row_count"] == 20_000
    assert row["distinct_count"] == pytest.approx(12_000, rel=0.08)
    assert row["distinct_count"] != 12_000, "the guard: a share of the values is kept"
    assert row["low"] < expected["new_ratio"] < row["high"]
    assert row["high"] - row["low"] > expected["high"] - expected["low"]
    assert row["entropy_bits"] == pytest.approx(expected["entropy_bits"], rel=0.05)
    same_columns = ["key", "status", "id_ratio", "template"]
    assert row[same_columns].tolist() == expected[same_columns].tolist()
    state = VALUES.limit(VALUES.state(Case(traces, known={})))
    assert len(state.value) < 5_000


def test_some_texts_of_a_store_are_those_in_memory(tmp_path):
    """Those with the least hashes, also of an operation with more of them than a limited state keeps of it."""
    frame = spans(12_000)
    frame["attributes.request.id"] = [f"r{at}" for at in range(12_000)]
    frame["name"] = ["rare" if at % 20 == 0 else "usual" for at in range(12_000)]
    traces = TraceSet.from_spans(frame)
    values = VALUES.limit(VALUES.state(Case(traces, known={})))
    groups = {*zip(*(values.keys[name].tolist() for name in ("key", "service_name", "operation")), strict=True)}
    places = tuple(Place(*one, is_operation=True) for one in sorted(groups) if one[0] == "request.id")
    rare = next(place for place in places if "rare" in place.operation)
    of_rare = (values.keys["operation"] == rare.operation) & (values.keys["key"] == rare.key)
    assert (np.flatnonzero(of_rare)[:, None] == values.group).sum() < 300
    places += (places[0]._replace(operation=None, is_operation=False),)
    expected = some_texts(Case(traces), places)
    assert [len(texts) for texts in expected] == [300] * 3
    assert some_texts(Case(split(traces, tmp_path / "a.parquet", 3, seed=1).placed(1)), places) == expected


def test_many_private_values_are_counted_in_a_limited_state(tmp_path):
    """15,000 addresses and 9,000 numbers: hashes of a random share, the same in any number of parts."""
    frame = spans(15_000)
    frame["attributes.note"] = [f"jo{at}@example.org" for at in range(15_000)]
    numbers = cards(np.random.default_rng(5), 9_000, 0.3)
    frame["attributes.account"] = [numbers[at % 9_000] for at in range(15_000)]
    traces = TraceSet.from_spans(frame)
    stores = [split(traces, tmp_path / f"{count}.parquet", count, seed=count) for count in (1, 5)]
    one, seven = (tk.quality(store, checks=["pii"], on=1) for store in stores)
    agree(one, seven)
    expected = tk.quality(traces, checks=["pii"])[0].evidence.set_index("key")
    found = seven[0].evidence.set_index("key")
    exact = ["kind", "span_count", "example", "status", "trace_count"]
    same(found[exact], expected[exact])
    for name in ("value_count", "scanned_count"):
        assert found.loc["note", name] == pytest.approx(15_000, rel=0.08)
        assert found.loc["note", name] != 15_000, "the guard: a share of the values is kept"
    for key, name in (("account", "value_count"), ("note", "scanned_count")):
        assert found.loc[key, name] == pytest.approx(expected.loc[key, name], rel=0.08)
    assert found.loc["account", "genuine_low"] < 0.3 < found.loc["account", "genuine_high"]
    assert found.loc["account", "low"] < expected.loc["account", "low"] < expected.loc["account", "high"]
    assert expected.loc["account", "high"] < found.loc["account", "high"]


def test_a_state_has_no_private_value():
    state = pickle.dumps(FOUND.limit(FOUND.state(Case(leaky(50), known={}))))
    assert not [name for name, value in SECRETS.items() if value.encode() in state and name != "key"]
