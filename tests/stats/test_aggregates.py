import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tracekit.stats.aggregates import Aggregate, group_rows, sum_by
from tracekit.stats.histograms import Histogram

cells = st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 1)), max_size=30)


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


def test_no_column_is_one_group():
    group, keys = group_rows({}, 3)
    assert group.tolist() == [0, 0, 0]
    assert keys.shape == (1, 0)


def test_nothing_is_no_group():
    group, keys = group_rows({"a": (np.zeros(0, int), ["x"])}, 0)
    assert len(group) == len(keys) == 0


def test_a_sum_is_a_float_even_of_nothing():
    assert sum_by(np.zeros(0, int), np.zeros(0), 2).dtype == np.float64


def table(names, counts):
    group = np.arange(len(names))
    histogram = Histogram.of(group, np.array(counts), np.ones(len(names)))
    return Aggregate(pd.DataFrame({"name": names, "kind": "k"}, dtype=object), pd.DataFrame({"n": counts}), histogram)


def test_tables_merge_by_label_whatever_their_order():
    one, two = table(["b", "a"], [1, 2]), table(["a", None], [30, 400])
    for parts in ([one, two], [two, one]):
        merged = Aggregate.concatenate(parts).by(["name"])
        assert merged.keys["name"].tolist()[:2] == ["a", "b"]
        assert merged.keys["name"].isna().tolist() == [False, False, True]
        assert merged.sums["n"].tolist() == [32, 1, 400]
        assert merged.histogram.weights(3).tolist() == [2, 1, 1]


def test_by_nothing_adds_everything():
    assert table(["b", "a"], [1, 2]).by([]).sums["n"].tolist() == [3]


def test_an_empty_table_stays_empty():
    assert len(table([], []).by(["name"])) == 0
    assert len(table([], []).by([])) == 0
