"""Patterns of a store: the same findings as in memory, however the traces are split and in whatever order."""

import pickle
from functools import cache

import numpy as np
import pytest
from checks.patterns.pattern_worlds import MS, PLANTED, Shop, steady_queue
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.checks.case import Case
from tracekit.checks.patterns import one_at_a_time
from tracekit.checks.patterns.instances import SEVERAL
from tracekit.checks.patterns.relative_times import relative_times
from tracekit.checks.patterns.sums import sums_of
from tracekit.checks.registry import PATTERNS
from tracekit.loading.store.trace_store import TraceStore


@cache
def planted(name, seed=3):
    """A recording with one pattern, and weights of two kinds."""
    plant, share = PLANTED[name]
    rng = np.random.default_rng(seed)
    few = 250 if name != "patterns.lost_context" else None  # medians of up to 256 distinct sizes are exact
    found = Shop(rng).traces(plant, share)
    found = found.head(few or len(found))
    return found.with_weights(rng.choice([1.0, 7.5], len(found)))


def agree(found, expected):
    """Findings: equal words, counts and rows, floats to 1e-9."""
    for one, other in zip(found, expected, strict=True):
        assert (one.check, one.severity, one.headline, one.exemplars) == (
            other.check,
            other.severity,
            other.headline,
            other.exemplars,
        )
        same(one.evidence, other.evidence)
        assert one.values.keys() == other.values.keys()
        assert list(one.values.values()) == [
            pytest.approx(value, rel=1e-9, nan_ok=True) if isinstance(value, float) else value
            for value in other.values.values()
        ]
        assert one.estimate.n == other.estimate.n


def mixed(kinds, sides, folder):
    """The current traces and the baseline, each in memory or as a store."""
    return [
        split(side, folder / f"{at}.parquet", 4 - at) if kind == "store" else side
        for at, (kind, side) in enumerate(zip(kinds.split(", "), sides, strict=True))
    ]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.check)
def test_every_pattern_is_found_in_parts(pattern, count, tmp_path):
    traces = planted(pattern.check)
    expected = tk.patterns(traces, checks=[pattern.check])
    assert len(expected)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    agree(tk.patterns(store, checks=[pattern.check], on=1), expected)


@pytest.mark.parametrize("kinds", ["store, store", "store, memory", "memory, store"])
def test_a_baseline_is_compared(kinds, tmp_path):
    traces, before = planted("patterns.n_plus_one"), planted("patterns.n_plus_one", seed=3).head(200)
    expected = tk.patterns(traces, before, checks=["patterns.n_plus_one"])
    assert "In the baseline" in expected[0].headline
    sides = mixed(kinds, (traces, before), tmp_path)
    agree(tk.patterns(*sides, checks=["patterns.n_plus_one"], on=1), expected)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.check)
@settings(max_examples=5, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_sums_do_not_depend_on_the_split_or_the_order(tmp_path_factory, pattern, count, seed, order):
    traces, expected = few(pattern)
    store = split(traces, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    shuffled = TraceStore(store.path, store._marker, tuple(numbers), on=1)
    same(pattern.table(Case(shuffled)), expected)


@cache
def few(pattern):
    """Some traces with a pattern, and its table in memory."""
    traces = planted(pattern.check).head(120)
    return traces, pattern.table(Case(traces))


def test_states_are_limited_in_size():
    traces = planted("patterns.n_plus_one")
    small, large = (pickle.dumps(_state(some)) for some in (traces.head(len(traces) // 4), traces))
    assert len(large) < 1.3 * len(small)
    assert len(large) < 40_000


def _state(traces):
    """The state of a part of a store."""
    merged = sums_of(next(one for one in PATTERNS if one.check == "patterns.n_plus_one").detect, ())
    return merged.limit(merged.state(Case(traces)))


def fanned_out(requests=200, hosts=6, seed=8):
    """Requests that call two of six hosts each, of which the last one takes three times as long."""
    shop = Shop(np.random.default_rng(seed), requests)

    def two_calls(shop, trace, parent, service, at):
        for host in shop.rng.choice(hosts, 2, replace=False).tolist():
            took = shop.time(40) * (3 if host == hosts - 1 else 1)
            shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took)
            bank = ("bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10)
            shop.span(trace, shop.rows[-1]["span_id"], *bank, host_name=f"bank-{host}")
            at += took
        return at

    return shop.traces(two_calls)


@pytest.mark.parametrize("count", COUNTS)
def test_instances_that_share_traces_are_compared_with_the_other_traces(count, tmp_path):
    traces = fanned_out()
    expected = tk.patterns(traces, checks=["patterns.slow_instances"])
    assert expected[0].evidence["detail"].tolist() == ["host bank-5"]
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    agree(tk.patterns(store, checks=["patterns.slow_instances"], on=1), expected)


def test_an_instance_in_all_traces_is_compared_with_nothing():
    shop = Shop(np.random.default_rng(8), 100)

    def one_after_the_other(shop, trace, parent, service, at):
        for host in range(2):
            took = shop.time(40) * (1 + 2 * host)
            shop.span(trace, parent, service, "call bank", "CLIENT", at, at + took)
            bank = ("bank", "POST /pay", "SERVER", at + MS // 10, at + took - MS // 10)
            shop.span(trace, shop.rows[-1]["span_id"], *bank, host_name=f"bank-{host}")
            at += took
        return at

    assert not len(tk.patterns(shop.traces(one_after_the_other), checks=["patterns.slow_instances"]))


@pytest.mark.parametrize("name", ["patterns.slow_instances", "patterns.slow_starts"])
def test_states_of_instances_are_limited_in_size(name):
    pattern = next(one for one in PATTERNS if one.check == name)
    (merged,) = pattern.needs
    plant, share = PLANTED[name]
    sizes = []
    for requests in (500, 4000):
        case = Case(Shop(np.random.default_rng(3), requests).traces(plant, share))
        sizes.append(len(pickle.dumps(merged.limit(merged.state(case)))))
    assert sizes[1] < 2 * sizes[0]  # more bins in the tails
    assert sizes[1] < 60_000


def mailed(requests, *, is_lagging=True):
    """Requests that send a mail each, for a mailer that is too slow or steady."""
    shop = Shop(np.random.default_rng(4), requests)
    return shop.traces(PLANTED["patterns.consumer_lag"][0] if is_lagging else steady_queue)


@pytest.mark.parametrize("kinds", ["store, store", "store, memory", "memory, store"])
def test_lag_is_compared_with_that_of_a_baseline(kinds, tmp_path):
    traces, before = mailed(240), mailed(200, is_lagging=False)
    expected = tk.patterns(traces, before, checks=["patterns.consumer_lag"])
    assert "in the baseline" in expected[0].headline
    sides = mixed(kinds, (traces, before), tmp_path)
    agree(tk.patterns(*sides, checks=["patterns.consumer_lag"], on=1), expected)


def test_lags_of_many_messages_are_those_of_a_random_sample(tmp_path):
    traces = mailed(6000)
    (expected,) = tk.patterns(traces, checks=["patterns.consumer_lag"])
    states = []
    for count in (1, 5):
        store = split(traces, tmp_path / f"{count}.parquet", count)
        (found,) = tk.patterns(store, checks=["patterns.consumer_lag"], on=1)
        usual = [one.evidence["usual_lag_ns"].iloc[0] for one in (found, expected)]
        assert usual[0] == pytest.approx(usual[1], rel=0.1)  # the median of 512 messages of the first period
        assert found.evidence["occurrence_count"].iloc[0] == pytest.approx(
            expected.evidence["occurrence_count"].iloc[0], rel=0.05
        )
        states.append(found.evidence)
    same(*states)


@pytest.mark.parametrize("count", [1, 5])
def test_workers_with_many_requests_are_judged_by_some_of_them(count, tmp_path, monkeypatch):
    monkeypatch.setattr(one_at_a_time, "_MOST", 100)
    traces = planted("patterns.one_at_a_time")
    (expected,) = tk.patterns(traces, checks=["patterns.one_at_a_time"])
    store = split(traces, tmp_path / "a.parquet", count)
    agree(tk.patterns(store, checks=["patterns.one_at_a_time"], on=1), [expected])
    (serial,) = next(one for one in PATTERNS if one.check == "patterns.one_at_a_time").needs
    assert 50 < len(serial.state(Case(traces)).start_ns) < 200 < len(traces)


@pytest.mark.parametrize("count", [1, 5])
def test_two_workers_of_an_instance_serve_at_once(count, tmp_path):
    frame = planted("patterns.one_at_a_time").spans
    served = (frame["service_instance_id"] == "bank-1").to_numpy()
    frame.loc[served, "start_ns"] -= (frame["duration_ns"][served] * 0.4).astype(np.int64)
    traces = tk.TraceSet.from_spans(frame.drop(columns=["duration_ns", "start_time"]))
    for one in (traces, split(traces, tmp_path / "a.parquet", count)):
        assert not len(tk.patterns(one, checks=["patterns.one_at_a_time"]))


def test_only_services_with_instances_to_compare_are_worked_out(tmp_path):
    """The bank has four hosts, some of which occur in one part only; others are not compared."""
    traces = planted("patterns.slow_instances")
    store = split(traces, tmp_path / "a.parquet", 7, seed=1)
    every = {("host_name", "bank")}
    assert Case(traces).result(SEVERAL) == Case(store).result(SEVERAL) == every
    row, _ = Case(traces).result(relative_times)
    assert {*traces.spans["service_name"].iloc[row]} == {"bank"}
    alone = traces.where("host.name == 'bank-0'")
    assert Case(alone).result(SEVERAL) == frozenset()
    assert not len(Case(alone).result(relative_times).row)


@pytest.mark.parametrize(
    ("name", "most"), [("patterns.retries", 2_000), ("patterns.sequential_calls", 1_000)], ids=["retries", "sequential"]
)
def test_states_do_not_have_calls_that_do_not_matter(name, most):
    """Calls of many names, of which none is made again and no two follow each other, take no room."""
    shop = Shop(np.random.default_rng(8), 300)

    def one_of_many(shop, trace, parent, service, at):
        took = shop.time(20)
        shop.span(trace, parent, service, f"GET {shop.rng.integers(0, 10_000)}", "CLIENT", at, at + took)
        return at + took

    case = Case(shop.traces(one_of_many))
    pattern = next(one for one in PATTERNS if one.check == name)
    (merged,) = (*pattern.needs, *pattern.asks)
    for one in (*merged.needs, merged):
        assert len(pickle.dumps(one.state(case))) < most
