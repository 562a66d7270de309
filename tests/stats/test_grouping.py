import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.grouping import (
    counted,
    dense_codes,
    distinct,
    distinct_by,
    group_rows,
    key_counts,
    stable_order,
    sum_by,
    sum_runs,
)

cells = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 1)), max_size=30)


@settings(deadline=None)
@given(cells)
def test_rows_share_a_group_exactly_when_their_labels_are_equal(rows):
    a, b = (np.array(column, int) for column in (zip(*rows, strict=True) if rows else ((), ())))
    group, keys = group_rows({"a": (a, ["x", "y", "z"]), "b": (b, ["u", "v"])}, len(rows))
    labels = [(["x", "y", "z", None][i], ["u", "v", None][j]) for i, j in rows]
    assert [tuple(keys.iloc[g]) for g in group] == labels
    assert len(keys) == len(set(labels))


def test_many_wide_columns_do_not_overflow():
    wide = (np.array([0, 2**20 - 1, 0]), range(2**20))
    group, keys = group_rows({str(i): wide for i in range(5)}, 3)
    assert group.tolist() == [0, 1, 0]
    assert keys.iloc[1].tolist() == [2**20 - 1] * 5


def test_two_wide_columns_need_more_than_32_bits():
    wide = (np.array([0, 2**17 - 1, 5], np.int32), range(2**17))
    group, keys = group_rows({"a": wide, "b": wide}, 3)
    assert group.tolist() == [0, 2, 1]
    assert keys.to_numpy().tolist() == [[0, 0], [5, 5], [2**17 - 1] * 2]


def test_no_column_is_one_group():
    group, keys = group_rows({}, 3)
    assert group.tolist() == [0, 0, 0]
    assert keys.shape == (1, 0)


def test_nothing_is_no_group():
    group, keys = group_rows({"a": (np.zeros(0, int), ["x"])}, 0)
    assert len(group) == len(keys) == 0


def test_a_sum_is_a_float_even_of_nothing():
    assert sum_by(np.zeros(0, int), np.zeros(0), 2).dtype == np.float64


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30), st.sampled_from([0, 10**3, 10**9, 10**12])
)
def test_distinct_items_are_those_of_sets_however_large_their_numbers(rows, beyond):
    group, item = (np.array(column, np.int64) for column in (zip(*rows, strict=True) if rows else ((), ())))
    assert distinct_by(group, item + beyond, 4).tolist() == [len({i for g, i in rows if g == n}) for n in range(4)]


@pytest.mark.parametrize("size", [10**2, 10**12])
def test_keys_are_numbered_in_their_order_by_table_or_by_hash(size):
    key = np.array([size - 1, 3, size - 1, 50])
    codes, found = dense_codes(key, size)
    assert codes.tolist() == [2, 0, 2, 1]
    assert found.tolist() == [3, 50, size - 1]


@pytest.mark.parametrize("size", [10**6, 10**12, 2**62])
@pytest.mark.parametrize("different", [1, 40, 10**6])
@pytest.mark.parametrize("count", [0, 1, 300, 70_000])
def test_few_and_many_keys_are_numbered_as_by_numpy(size, different, count):
    rng = np.random.default_rng(count)
    key = rng.integers(0, size, different)[rng.integers(0, different, count)]
    codes, found = dense_codes(key, size)
    expected, number = np.unique(key, return_inverse=True)
    assert codes.tolist() == number.tolist()
    assert found.tolist() == distinct(key).tolist() == expected.tolist()


@pytest.mark.parametrize(("size", "kind"), [(60, np.int64), (2**32, np.uint32), (2**40, np.int64)])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_occurrences_of_keys_are_those_of_numpy(size, kind, count):
    rng = np.random.default_rng(count)
    key = rng.integers(0, size, 50, np.uint64)[rng.integers(0, 50, count)].astype(kind)
    expected, often = np.unique(key, return_counts=True)
    found = key_counts(key, size)
    assert [each.tolist() for each in found] == [expected.tolist(), often.tolist()]
    assert {each.dtype for each in found} == {np.dtype(np.int64)}


@given(st.lists(st.lists(st.integers(0, 1000), max_size=4), max_size=6))
def test_sums_of_runs_are_those_of_groups(runs):
    values = np.array([value for run in runs for value in run], np.float64)
    counts = np.array([len(run) for run in runs], np.int64)
    assert sum_runs(np.cumsum(counts) - counts, values).tolist() == [sum(run) for run in runs]


@given(st.lists(st.integers(0, 5), max_size=30), st.sampled_from([0, 2**61]))
def test_equal_keys_stay_in_their_order_packed_or_not(keys, beyond):
    key = np.array(keys, np.int64) + beyond
    assert stable_order(key, beyond + 6).tolist() == sorted(range(len(keys)), key=keys.__getitem__)


@pytest.mark.parametrize("size", [5, 9])
def test_keys_are_counted_in_steps(size, monkeypatch):
    monkeypatch.setattr("tracekit.stats.grouping._TABLE", 2)
    key = np.random.default_rng(size).integers(0, 5, 40).astype(np.int32)
    assert counted(key, size).tolist() == [key.tolist().count(one) for one in range(size)]
    assert counted(key[:0], size).tolist() == [0] * size
