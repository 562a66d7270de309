"""Means with a denominator by group: against the jackknife done by hand."""

import numpy as np
import pytest

from tracekit.stats.ratio_means import ratio_means
from tracekit.stats.weighted_means import difference


def by_hand(cluster, value, weights):
    """Mean and jackknife variance of one group."""
    sums = {
        one: (weights[one] * value[cluster == one].sum(), weights[one] * (cluster == one).sum()) for one in set(cluster)
    }
    total, size = (sum(pair[at] for pair in sums.values()) for at in (0, 1))
    mean = total / size
    left = [(total - y) / (size - x) - mean for y, x in sums.values()]
    return mean, sum(np.square(left))


def test_mean_and_variance_are_those_of_the_jackknife():
    rng = np.random.default_rng(0)
    group, cluster, value = rng.integers(0, 3, 500), rng.integers(0, 60, 500), rng.exponential(5, 500)
    weights = rng.choice([1.0, 8.0], 60)
    mean, moments = ratio_means(group, cluster, value, weights, 3)
    for at in range(3):
        expected = by_hand(cluster[group == at], value[group == at], weights)
        assert (mean[at], moments.square[at]) == pytest.approx(expected)
        assert moments.n[at] == len(set(cluster[group == at]))
    assert (moments.behind < moments.n).all()


def test_a_group_without_observations_has_no_mean_and_no_limits():
    mean, moments = ratio_means(np.zeros(40, int), np.arange(40), np.ones(40), np.ones(40), 2)
    assert np.isnan(mean[1])
    assert moments.is_enough.tolist() == [True, False]
    assert moments.square.tolist() == [0, 0]


def test_differences_of_groups_of_different_sizes_are_those_of_each_group_alone():
    rng = np.random.default_rng(1)
    sides = []
    for _ in range(2):
        group = np.repeat([0, 1], [200, 50])
        sides.append((group, np.arange(250), rng.exponential(3, 250), np.ones(250)))
    means, moments = zip(*(ratio_means(*side, 2) for side in sides), strict=True)
    both = difference(means[1] - means[0], *moments)
    for at in range(2):
        alone = [
            ratio_means(
                np.zeros((side[0] == at).sum(), int), side[1][side[0] == at], side[2][side[0] == at], side[3], 1
            )
            for side in sides
        ]
        found = difference(alone[1][0] - alone[0][0], alone[0][1], alone[1][1])
        assert (both.low[at], both.p_value[at]) == pytest.approx((found.low[0], found.p_value[0]))
