import numpy as np

from tracekit.stats.aggregates import Aggregate
from tracekit.stats.histograms import Histogram


def table(names, counts):
    group = np.arange(len(names))
    histogram = Histogram.of(group, np.array(counts), np.ones(len(names)))
    keys = {"name": np.array(names, object), "kind": np.full(len(names), "k", object)}
    return Aggregate(keys, {"n": np.array(counts, int)}, histogram)


def test_tables_merge_by_label_whatever_their_order():
    one, two = table(["b", "a"], [1, 2]), table(["a", None], [30, 400])
    for parts in ([one, two], [two, one]):
        merged = Aggregate.concatenate(parts).by(["name"])
        assert merged.keys["name"].tolist() == [None, "a", "b"]
        assert merged.sums["n"].tolist() == [400, 32, 1]
        assert merged.histogram.weights(3).tolist() == [1, 2, 1]


def test_many_tables_end_to_end():
    parts = [table(["b", "a"], [1, 2]), table(["c"], [30]), table([], []), table(["a", "d", "b"], [400, 5, 6])]
    merged = Aggregate.concatenate(parts).by(["name"])
    assert merged.sums["n"].tolist() == [402, 7, 30, 5]
    assert merged.histogram.weights(4).tolist() == [2, 2, 1, 1]


def test_by_nothing_adds_everything():
    assert table(["b", "a"], [1, 2]).by([]).sums["n"].tolist() == [3]


def test_some_groups_alone():
    chosen = table(["a", "b", "c"], [1, 2, 3]).where(np.array([True, False, True]))
    assert chosen.keys["name"].tolist() == ["a", "c"]
    assert chosen.histogram.maxima(2).tolist() == [1, 3]


def test_an_empty_table_stays_empty():
    assert len(table([], []).by(["name"])) == 0
    assert len(table([], []).by([])) == 0
