from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.intervals import (
    cluster_sums,
    clustered_ratio,
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


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_outside_zero_and_one_is_refused(level):
    with pytest.raises(ValueError, match=r"expected a confidence level between 0 and 1, such as 0\.95, found"):
        normal_quantile(level)


def test_equal_weights_cost_nothing_and_no_weights_are_nobody():
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
@given(trials)
def test_sums_over_clusters_are_those_of_a_plain_loop(rows):
    weights = np.array([1.0, 2.0, 0.5, 20.0, 3.0])
    group, cluster, event = (np.array(column) for column in (zip(*rows, strict=True) if rows else ([], [], [])))
    sums = cluster_sums(group.astype(int), cluster.astype(int), event.astype(bool), weights, 3)
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


def test_one_trial_a_cluster_is_the_plain_wilson_interval_up_to_one_degree_of_freedom():
    event = np.arange(200) < 30
    ratio = clustered_ratio(cluster_sums(np.zeros(200, int), np.arange(200), event, np.ones(200), 1))
    assert ratio.n_effective[0] == pytest.approx(199)
    assert [ratio.low[0], ratio.high[0]] == pytest.approx([*np.ravel(wilson(0.15, 199))])


def test_spans_that_fail_together_count_as_one():
    event = np.repeat(np.arange(50) < 10, 20)
    ratio = clustered_ratio(cluster_sums(np.zeros(1000, int), np.repeat(np.arange(50), 20), event, np.ones(50), 1))
    assert ratio.ratio[0] == pytest.approx(0.2)
    assert ratio.n_effective[0] == pytest.approx(49)


def test_where_nothing_happened_the_traces_count_and_not_the_spans():
    nothing = cluster_sums(np.zeros(1000, int), np.repeat(np.arange(10), 100), np.zeros(1000, bool), np.ones(10), 1)
    ratio = clustered_ratio(nothing)
    assert ratio.low[0] == 0
    assert ratio.high[0] == pytest.approx(wilson(0.0, 10)[1])


def test_a_single_cluster_is_one_observation():
    ratio = clustered_ratio(cluster_sums(np.zeros(9, int), np.zeros(9, int), np.arange(9) < 3, np.ones(1), 1))
    assert ratio.n_effective[0] == pytest.approx(1)


def test_an_empty_group_has_no_ratio():
    ratio = clustered_ratio(cluster_sums(np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool), np.ones(1), 1))
    assert np.isnan([ratio.ratio[0], ratio.low[0], ratio.high[0]]).all()


def test_doubling_all_weights_changes_neither_the_ratio_nor_its_limits():
    rng = np.random.default_rng(3)
    cluster, event, weights = rng.integers(0, 60, 300), rng.random(300) < 0.1, rng.uniform(1, 9, 60)
    once, twice = (
        clustered_ratio(cluster_sums(np.zeros(300, int), cluster, event, weights * factor, 1)) for factor in (1, 2)
    )
    assert np.ravel(once) == pytest.approx(np.ravel(twice))


def test_effective_clusters_fall_with_unequal_sizes():
    sums = cluster_sums(np.zeros(12, int), np.array([0] * 10 + [1, 2]), np.zeros(12, bool), np.ones(3), 1)
    assert effective_clusters(sums)[0] == pytest.approx(144 / 102)


# -------------------------------------------------------------------- calibration


def acceptance(runs, share, tail=0.0005):
    """Fewest hits that a fair interval of this coverage may have: the binomial's lower 0.05 % point."""
    total = 0.0
    for hits in range(runs + 1):
        total += comb(runs, hits) * share**hits * (1 - share) ** (runs - hits)
        if total > tail:
            return hits
    return runs


def _covers(rng, weights_of, runs=200, clusters=300):
    """Count how often the interval holds the true ratio, 0.08; spans of a trace share their luck."""
    hits = 0
    for _ in range(runs):
        size = rng.integers(1, 8, clusters)
        luck = rng.beta(0.4, 4.6, clusters)
        cluster = np.repeat(np.arange(clusters), size)
        event = rng.random(len(cluster)) < luck[cluster]
        sums = cluster_sums(np.zeros(len(cluster), int), cluster, event, weights_of(rng, clusters), 1)
        ratio = clustered_ratio(sums)
        hits += ratio.low[0] <= 0.08 <= ratio.high[0]
    return hits


def test_the_95_percent_interval_of_clustered_spans_covers_the_truth():
    hits = _covers(np.random.default_rng(11), lambda _, n: np.ones(n))
    assert acceptance(200, 0.95) <= hits


def test_it_covers_under_moderate_weights_too():
    hits = _covers(np.random.default_rng(12), lambda rng, n: rng.choice([1.0, 4.0], n))
    assert acceptance(200, 0.95) <= hits


def test_counting_spans_as_independent_would_not_cover():
    rng, hits = np.random.default_rng(13), 0
    for _ in range(200):
        luck = rng.beta(0.4, 4.6, 300)
        event = rng.random((300, 8)) < luck[:, None]
        low, high = wilson(event.mean(), event.size)
        hits += low <= 0.08 <= high
    assert hits < acceptance(200, 0.95)
