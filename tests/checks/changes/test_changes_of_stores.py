"""What changed between two stores, or a store and traces in memory: the same findings from any parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import COUNTS, split
from tracekit.checks.case import Case
from tracekit.checks.registry import CHECKS, readings, run_check
from tracekit.checks.together import read_by
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore

MADE = [check for check in CHECKS if check.topic == "changes"]
OF_BOTH = [check for check in MADE if check.needs]


def damaged(traces, seed):
    """The traces, some of them incomplete, some failed, with weights."""
    frame = traces.spans
    rng = np.random.default_rng(seed)
    is_root = frame["parent_span_id"].isna()
    chosen = frame["trace_id"].isin(rng.choice(frame["trace_id"].unique(), len(traces) // 40, replace=False))
    frame = frame[~(chosen & (rng.random(len(frame)) < 0.1) & ~is_root)].copy()
    is_root = frame["parent_span_id"].isna()
    frame.loc[is_root & (rng.random(len(frame)) < 0.004 * seed), "status_code"] = "ERROR"
    found = tk.TraceSet.from_spans(frame)
    return found.with_weights(rng.uniform(1, 3, len(found)))


@pytest.fixture(scope="module")
def sides():
    """A baseline and the traces of a regression."""
    before, during = tk.load_sample("checkout-regression")
    return damaged(before, 1), damaged(during, 9)


def findings(before, now, checks=OF_BOTH):
    """What the checks find, by their names."""
    case = Case(now, baseline=Case(before))
    return {check.name: run_check(check, case) for check in checks}


def together(before, now):
    """What the checks find in stores that all of them read at once."""
    rounds = Rounds()
    case = read_by(rounds, Case(now, baseline=Case(before)))
    rounds.run(readings(case, OF_BOTH))
    return {check.name: run_check(check, case) for check in OF_BOTH}


def alike(found, expected):
    """The same findings of each check."""
    assert found.keys() == expected.keys()
    for name, own in expected.items():
        close(found[name], own)


@pytest.mark.parametrize("count", COUNTS)
def test_checks_of_two_stores_find_the_same(sides, tmp_path, count):
    before, now = (side.head(300) for side in sides) if count > 7 else sides
    stores = [split(side, tmp_path / f"{at}.parquet", count, seed=at) for at, side in enumerate((before, now))]
    expected = findings(before, now)
    some = {"change", "failing", *["slower", "holds"] * (count <= 7)}
    assert {name for name, own in expected.items() if own} >= some
    alike(together(*stores), expected)


def test_either_side_may_be_in_memory(sides, tmp_path):
    before, now = (side.head(400) for side in sides)
    stores = [split(side, tmp_path / f"{at}.parquet", 3) for at, side in enumerate((before, now))]
    expected = findings(before, now)
    alike(findings(stores[0], now), expected)
    alike(findings(before, stores[1]), expected)


def test_stores_without_a_change_say_the_same_as_traces_in_memory(sides, tmp_path):
    before = sides[0]
    half = len(before) // 2
    parts = before.head(half), before.where(~np.isin(before.forest.trace, np.arange(half)))
    stores = [split(side, tmp_path / f"{at}.parquet", 5) for at, side in enumerate(parts)]
    expected = findings(*parts)
    alike(together(*stores), expected)
    assert not [one for own in expected.values() for one in own if one.severity in {"warning", "critical"}]


@pytest.fixture(scope="module")
def few(sides):
    """Some traces of both sides, and what is found in them in memory."""
    traces = [side.head(120) for side in sides]
    return traces, findings(*traces)


@settings(max_examples=4, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_any_parts_in_any_order_give_the_same(few, tmp_path_factory, count, seed, order):
    traces, expected = few
    folder = tmp_path_factory.mktemp("any")
    stores = []
    for at, side in enumerate(traces):
        store = split(side, folder / f"{at}.parquet", count, seed + at)
        numbers = list(range(store.part_count))
        order.shuffle(numbers)
        stores.append(TraceStore(store.path, store._marker, tuple(numbers)))
    alike(together(*stores), expected)
