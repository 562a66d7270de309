"""Partial states of every analysis: the same numbers in whatever order parts are merged, and in other processes."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.loading.store.trace_store import TraceStore

PRICES = (tk.Price("ledger", "service_name == 'ledger'", usd_per_million=900), "aws-lambda")


def analyses(baseline):
    """What is asked of a recording, by name."""
    return {
        "errors": lambda traces, **on: tk.errors(traces, baseline=baseline, customer="app.customer.tier", **on),
        "paths": lambda traces, **on: tk.paths(traces, baseline, **on),
        "slo": lambda traces, **on: tk.slo(traces, objective=0.99, latency_ms=200, **on),
        "cost": lambda traces, **on: tk.cost(traces, PRICES, **on),
        "compare": lambda traces, **on: tk.compare(baseline, traces, **on),
    }


def frames(result):
    """The tables of a result."""
    return {name: value for name, value in vars(result).items() if isinstance(value, pd.DataFrame)}


@pytest.fixture(scope="module")
def sides():
    before, during = tk.load_sample("checkout-regression")
    rng = np.random.default_rng(4)
    return before.with_weights(3.0), during.with_weights(rng.uniform(1, 30, len(during)))


@pytest.mark.parametrize("name", list(analyses(None)))
@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_parts_makes_no_difference(sides, tmp_path, name, seed):
    before, during = sides
    ask = analyses(before)[name]
    store = split(during, tmp_path / "a.parquet", 11, seed)
    order = tuple(np.random.default_rng(seed).permutation(store.part_count).tolist())
    shuffled = TraceStore(store.path, store._marker, order, store._steps)
    expected = frames(ask(during))
    assert expected
    for found in (frames(ask(store)), frames(ask(shuffled))):
        assert found.keys() == expected.keys()
        for table, frame in expected.items():
            same(found[table], frame)


@pytest.mark.parametrize("name", list(analyses(None)))
def test_parts_can_be_read_in_other_processes(sides, tmp_path, name):
    before, during = sides
    ask = analyses(before)[name]
    found, expected = frames(ask(split(during, tmp_path / "a.parquet", 3), on=2)), frames(ask(during))
    for table, frame in expected.items():
        same(found[table], frame)


@pytest.mark.parametrize("name", list(analyses(None)))
def test_traces_in_memory_are_read_nowhere_else(sides, name):
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet, which is in memory"):
        analyses(sides[0])[name](sides[1], on=2)
