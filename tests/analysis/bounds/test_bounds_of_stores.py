"""Bounds of a store: those of the whole, however the traces are split, and verdicts that rounding does not change."""

import pickle

import numpy as np
import pandas as pd
import pytest
from analysis.bounds.test_compute import TEN, TIMES, TOTAL, many, requests
from analysis.bounds.worlds import ADVERSARIES, claim_text, complete, knowledge
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.analysis.bounds.claims import claim_of
from tracekit.analysis.bounds.limits import limits_of
from tracekit.analysis.bounds.sums import RequestSumsOf
from tracekit.analysis.trace_rows import OFTEN
from tracekit.loading.store.trace_store import TraceStore
from tracekit.weights.counts import read_counts

NUMBERS = ("value", "low", "high", "tolerated_count", "request_count", "span_ns")


def agree(found, expected):
    """Every field of two bounds."""
    assert [getattr(found, name) for name in NUMBERS] == pytest.approx(
        [getattr(expected, name) for name in NUMBERS], rel=1e-9, nan_ok=True
    )
    for name in ("verdict", "knowledge", "needs", "statement", "claim"):
        assert getattr(found, name) == getattr(expected, name)
    assert repr(found) == repr(expected)
    same(found.sources, expected.sources)
    same(found.strata, expected.strata)
    same(found.plan(), expected.plan())
    estimates = [(one.value, one.low, one.high, one.n) for one in (found.estimate, expected.estimate)]
    assert estimates[0] == pytest.approx(estimates[1], rel=1e-9, nan_ok=True)
    assert found.requests[OFTEN].sum() == expected.requests[OFTEN].sum()


def answer(traces, claim, said):
    """The bounds, or the words of the refusal."""
    try:
        return tk.bounds(traces, claim, **said)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(("count", "claims"), [(1, 6), (7, 3), (64, 1)])
def test_bounds_of_a_store_are_those_of_the_whole(tmp_path, count, claims):
    for seed, name in enumerate(["root spans, ends", "all of it"][-claims:]):
        rng = np.random.default_rng(seed)
        world = ADVERSARIES[name](rng, complete(rng, 120, only_5xx=False), 0.3)
        traces = world.traces()
        traces = traces.with_weights(rng.choice([1.0, 4.0, 9.0], len(traces))) if seed else traces
        store = split(traces, tmp_path / f"{seed}.parquet", count, seed)
        for _ in range(claims):
            said, claim = knowledge(rng, world, name, only_5xx=False), str(claim_text(rng))
            found, expected = answer(store, claim, said), answer(traces, claim, said)
            if isinstance(expected, str):
                assert found == expected
            else:
                agree(found, expected)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    rng = np.random.default_rng(5)
    world = ADVERSARIES["all of it"](rng, complete(rng, 150, only_5xx=False), 0.4)
    folder = tmp_path_factory.mktemp("bounds")
    traces = world.traces()
    return world, traces, [split(traces, folder / f"{seed}.parquet", 6, seed) for seed in range(3)]


def test_parts_can_be_read_elsewhere():
    asked, counts = claim_of("p90 of POST /pay"), [read_counts(TOTAL)]
    for is_part in (True, False):
        sums = pickle.loads(pickle.dumps(RequestSumsOf(asked, limits_of(None, (), only_5xx_failed=False), counts,
                                                       ends_last=True, is_part=is_part)))(TEN)  # fmt: skip
        assert pickle.loads(pickle.dumps(sums)).figure(asked).known.tolist() == [k * 10**7 for k in range(1, 11)]


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_neither_the_split_nor_the_order_of_the_parts_makes_a_difference(stored, data):
    world, traces, stores = stored
    store = data.draw(st.sampled_from(stores))
    order = tuple(data.draw(st.permutations(range(store.part_count))))
    claim = data.draw(st.sampled_from(["p90 < 1 s", "error rate < 20%", "mean", "10% slower than 300 ms"]))
    said = {"requests": world.counts("time", "route"), "ends_last": data.draw(st.booleans())}
    agree(tk.bounds(TraceStore(store.path, store._marker, order, store._steps), claim, **said),
          tk.bounds(traces, claim, **said))  # fmt: skip


def test_plans_of_a_store_are_those_of_the_whole(tmp_path):
    traces, counts = many(40, n=120)
    store = split(traces, tmp_path / "a.parquet", 5)
    found, expected = (tk.bounds(each, "error rate < 15%", requests=counts) for each in (store, traces))
    agree(found, expected)
    assert len(expected.plan()) > 1


def test_a_verdict_does_not_depend_on_rounded_latencies(tmp_path):
    took = 100 + np.arange(6000) / 1e6 * 20  # ms: all within 1/512, 20 ns apart
    traces = requests(took).with_weights(1)
    store = split(traces, tmp_path / "a.parquet", 2)
    exact = 100_000_000 + 20 * 2999  # the median
    for claim in (f"p50 < {exact} ns", f"p50 <= {exact} ns", f"p50 > {exact - 1} ns", f"p50 > {exact} ns",
                  f"p50 is {exact} ns", "p99.99 < 100.2 ms", "mean is 100.05999 ms"):  # fmt: skip
        found, expected = tk.bounds(store, claim), tk.bounds(traces, claim)
        assert (found.verdict, found.request_count) == (expected.verdict, 6000)
        assert found.value == pytest.approx(expected.value, rel=1 / 512)
    rate = tk.bounds(store, "mean", requests=pd.DataFrame({"count": [6500]}))
    assert rate.low == tk.bounds(traces, "mean", requests=pd.DataFrame({"count": [6500]})).low  # sums are exact
    assert tk.bounds(store, "p99").hidden.figure.known[-1] == tk.bounds(traces, "p99").hidden.figure.known[-1]


def test_least_durations_are_rounded_down(tmp_path):
    took = 100 + np.arange(6000) / 1e6 * 20
    traces = requests(took, open_at=np.arange(5000)).with_weights(1)
    store = split(traces, tmp_path / "a.parquet", 2)
    found, expected = (tk.bounds(each, "mean > 40 ms", ends_last=True) for each in (store, traces))
    assert expected.low * (1 - 1 / 256) < found.low <= expected.low
    assert found.high == expected.high == np.inf


@pytest.mark.parametrize(
    ("claim", "said", "message"),
    [
        ("p99 of GET /nowhere", {}, r"found 'GET /nowhere'; 1 endpoint: shop POST /pay"),
        ("mean", {"longest_ms": 85}, r"longer than 85 ms \(longest_ms\), found 2: trace 0+a took 100 ms"),
    ],
)
def test_contradictions_are_found_in_all_parts(tmp_path, claim, said, message):
    with pytest.raises(ValueError, match=message):
        tk.bounds(split(TEN, tmp_path / "a.parquet", 4), claim, **said)


def test_a_store_without_traces_has_no_bounds(tmp_path):
    nobody = split(TEN, tmp_path / "a.parquet", 2).where("service_name == 'nobody'")
    counts = pd.DataFrame({"time": TIMES, "count": [1, 2, 3]})
    for said in (TOTAL, counts):
        found = tk.bounds(nobody, "error rate", requests=said)
        assert (found.needs, len(found.plan())) == ("no recorded request has a known outcome", 0)
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet"):
        tk.bounds(TEN, "mean", on=2)
