import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.intervals import (
    cluster_sums,
    effective_clusters,
    effective_n,
    normal_quantile,
    wilson,
)


@pytest.mark.parametrize(
    ("events", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (50, 100, 0.4038, 0.5962), (10, 10, 0.7225, 1.0)],
)
def test_wilson_gives_the_textbook_limits(events, n, low, high):
    found = wilson(events / n, n)
    assert np.round(found, 4).tolist() == [low, high]


def test_wilson_is_the_set_of_ratios_that_the_score_test_does_not_reject():
    low, high = wilson(0.3, 37.5)
    z = normal_quantile(0.95)
    for limit in (low, high):
        assert abs(0.3 - limit) == pytest.approx(z * np.sqrt(limit * (1 - limit) / 37.5))


def test_wilson_without_trials_is_missing():
    assert np.isnan(wilson(np.array([0.0, np.nan]), np.array([0, 5]))).all()


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_level_outside_zero_and_one_is_refused(confidence):
    with pytest.raises(ValueError, match=r"expected a confidence level between 0 and 1, such as 0\.95, found"):
        normal_quantile(confidence)


def test_equal_weights_cost_nothing_and_no_weights_count_zero():
    assert effective_n(np.full(7, 3.5)) == pytest.approx(7)
    assert effective_n(np.zeros(0)) == 0


trials = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 4), st.booleans()),
    max_size=40,
)


def _brute_sums(rows, weights, group):
    """The same sums with dicts and loops."""
    x, y = {}, {}
    for g, c, event in rows:
        if g == group:
            x[c] = x.get(c, 0) + 1
            y[c] = y.get(c, 0) + event
    w = weights
    return {
        "cluster_count": len(x),
        "trial_count": sum(x.values()),
        "trial_sum": sum(w[c] * x[c] for c in x),
        "event_sum": sum(w[c] * y[c] for c in x),
        "weight_square": sum(w[c] ** 2 * x[c] for c in x),
        "trial_square": sum((w[c] * x[c]) ** 2 for c in x),
        "trial_event": sum(w[c] ** 2 * x[c] * y[c] for c in x),
        "event_square": sum((w[c] * y[c]) ** 2 for c in x),
    }


@settings(deadline=None)
@given(trials, st.sampled_from([3, 3000]))
def test_sums_over_clusters_are_those_of_a_plain_loop(rows, groups):
    weights = np.array([1.0, 2.0, 0.5, 20.0, 3.0])
    group, cluster, event = (np.array(column) for column in (zip(*rows, strict=True) if rows else ([], [], [])))
    sums = cluster_sums(group.astype(int), cluster.astype(int), event.astype(bool), weights, groups)
    for g in range(3):
        assert {name: values[g] for name, values in sums.items()} == pytest.approx(_brute_sums(rows, weights, g))


@settings(deadline=None)
@given(trials)
def test_sums_of_disjoint_clusters_add(rows):
    weights = np.arange(1.0, 6.0)
    group, cluster, event = (np.array(column, int) for column in (zip(*rows, strict=True) if rows else ([], [], [])))
    parts = [
        cluster_sums(group[chosen], cluster[chosen], event[chosen] > 0, weights, 3)
        for chosen in (cluster < 2, cluster >= 2)
    ]
    whole = cluster_sums(group, cluster, event > 0, weights, 3)
    for name, values in whole.items():
        assert (parts[0][name] + parts[1][name]).tolist() == pytest.approx(values.tolist())


def test_effective_clusters_fall_with_unequal_sizes():
    sums = cluster_sums(np.zeros(12, int), np.array([0] * 10 + [1, 2]), np.zeros(12, bool), np.ones(3), 1)
    assert effective_clusters(sums)[0] == pytest.approx(144 / 102)
