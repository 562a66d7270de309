"""Kendall's exact test, against all orders written out and another implementation."""

from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import kendalltau

from tracekit.stats.trend import growing


@pytest.mark.parametrize("values", [(1.5, 3, 2, 5, 4), (3, 2, 1), (7,), (), (2, 2, 1, 3), (1, 1, 1)])
def test_the_share_of_all_orders(values):
    def ascending(order):
        return sum(one < other for one, other in combinations(order, 2))

    orders = list(permutations(range(len(values))))
    assert growing(values) == sum(ascending(order) >= ascending(values) for order in orders) / len(orders)


def test_the_same_as_kendalltau():
    rng = np.random.default_rng(4)
    for size in [2, 5, 10, 20] * 20:
        values = np.arange(size) * rng.uniform(0, 1) + rng.normal(size=size)
        other = kendalltau(np.arange(size), values, alternative="greater", method="exact")
        assert growing(values) == pytest.approx(other.pvalue, rel=1e-9)


def test_many_values_are_refused():
    with pytest.raises(ValueError, match="expected at most 20 values, found 21; take medians of longer periods"):
        growing(range(21))
