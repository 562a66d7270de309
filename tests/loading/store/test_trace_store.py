"""Choosing traces of a store: conditions, windows, weights and samples; where it is refused."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError
from tracekit.loading.store.read_write import writing


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


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


def test_sampled_parts_carry_their_weight(during, tmp_path):
    store = split(during.with_weights(2), tmp_path / "a.parquet", 8)
    some = store.sample(2, seed=1)
    assert some.part_count == 2
    assert set(some.load().weights.value) == {8.0}
    assert not next(split(during, tmp_path / "b.parquet", 4).sample(2).parts()).weights.known.any()
    with pytest.raises(ValueError, match="expected parts from 1 to 8, their number, found 9"):
        store.sample(9)


def test_a_store_is_refused_where_it_does_not_fit(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 2)
    with pytest.raises(TypeError, match="expected an expression or a callable for a store, found ndarray"):
        store.where(np.zeros(3, bool))
    with pytest.raises(ValueError, match="expected names to group a store by, found a Series"):
        tk.latency(store, pd.Series([1]))
    with pytest.raises(LoadError, match=r"expected a store .* found none at .*nowhere; write one with tk.convert"):
        tk.open(tmp_path / "nowhere")


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


def test_weights_of_a_sample_are_scaled_whenever_they_are_set(during, tmp_path):
    store = split(during, tmp_path / "a.parquet", 4)
    for some in (store.sample(2).with_weights(1), store.with_weights(1).sample(2)):
        assert set(some.load().weights.value) == {2.0}
    late = store.sample(2).load().with_weights(1)
    (said,) = [one for one in tk.investigate(late, steps=["data"]).findings if one.check == "sample_of_store"]
    assert "weights were set after sampling, so weighted figures are those of the sample" in said.headline
