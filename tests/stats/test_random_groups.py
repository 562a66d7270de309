"""Intervals from random groups of a finite number of parts."""

import numpy as np
import pytest
from scipy import stats

from tracekit.stats.random_groups import group_limits


def test_groups_of_one_part_give_the_interval_of_their_mean():
    values = np.random.default_rng(0).normal(10, 2, 12)
    expected = stats.t.interval(0.9, 11, loc=values.mean(), scale=stats.sem(values) * np.sqrt(1 - 12 / 40))
    found = group_limits(np.array([values.mean()]), values[:, None], np.ones(12), 40, confidence=0.9)
    assert (found.low[0], found.high[0]) == pytest.approx(expected, rel=1e-12)


def test_nothing_is_uncertain_after_the_last_part():
    low, high = group_limits(np.array([3.0]), np.array([[1.0], [5.0]]), np.array([2, 2]), 4)
    assert low == high == 3.0


@pytest.mark.parametrize("groups", [np.array([[1.0]]), np.array([[1.0], [np.nan]])])
def test_one_group_or_an_empty_one_is_not_enough(groups):
    found = group_limits(np.array([1.0]), groups, np.ones(len(groups)), 9)
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()


def test_groups_of_unequal_size_hold_the_mean_as_often_as_stated():
    """Six parts in four groups (2, 2, 1, 1) of 30, 4,000 times."""
    generator = np.random.default_rng(1)
    sizes, hits = np.array([2, 2, 1, 1]), 0
    for _ in range(4_000):
        parts = generator.gamma(4, size=30)
        drawn = generator.permutation(30)[:6]
        groups = [parts[drawn[at::4]].mean() for at in range(4)]
        low, high = group_limits(np.array([parts[drawn].mean()]), np.array(groups)[:, None], sizes, 30)
        hits += low[0] <= parts.mean() <= high[0]
    assert 0.94 <= hits / 4_000 <= 0.97
