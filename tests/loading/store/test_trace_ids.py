"""Ids of traces: which of many are wanted, and what is none."""

import numpy as np
import pytest

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.loading.store.trace_ids import is_among


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


def test_ids_are_compared_in_both_halves():
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 4, (200, 2)).astype(np.uint64) << np.uint64(62)
    wanted = np.array(sorted({tuple(one) for one in ids[:5].tolist()}), np.uint64)
    expected = [tuple(one) in {tuple(other) for other in wanted.tolist()} for one in ids.tolist()]
    assert is_among(ids[:, 0], ids[:, 1], wanted).tolist() == expected


def test_memory_and_time_of_a_choice_by_ids_are_linear():
    count = 100_000  # pairs of all would be 10 GB
    ids = np.stack([np.arange(count, dtype=np.uint64), np.arange(count, dtype=np.uint64)[::-1]], axis=1)
    assert is_among(ids[:, 0], ids[:, 1], ids[::2]).tolist() == [True, False] * (count // 2)


def test_what_is_no_text_is_no_id(during, tmp_path):
    store = split(during.head(20), tmp_path / "a.parquet", 2)
    for wrong in (5, None):
        with pytest.raises(TypeError, match=r"expected the id of a trace as text, found (int|NoneType)"):
            store.trace(wrong)
    with pytest.raises(TypeError, match="expected the id of a trace as text, found int"):
        store.traces([5])
    with pytest.raises(TypeError, match="expected several trace ids, found the text 'abc'"):
        store.traces("abc")
