"""Differences of two samples against exact answers and simulation."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from tracekit.stats.differences import (
    Limited,
    absence_probability,
    difference_limits,
    weighted_absence_probability,
)
from tracekit.stats.proportions import clopper_pearson


def test_limits_are_those_of_newcombe_for_two_rates():
    # Newcombe 1998, method 10 is this recipe on Wilson limits: 56/70 and 48/80, table II (a)
    first, second = Limited(48 / 80, 0.4904, 0.7005), Limited(56 / 70, 0.6918, 0.8768)
    found = difference_limits(first, second)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-3)


def test_a_limit_that_is_not_estimable_leaves_the_side_that_needs_it_open():
    found = difference_limits(Limited(10.0, 8.0, np.nan), Limited(20.0, 18.0, 23.0))
    assert np.isnan(found.low)
    assert found.high == pytest.approx(10 + np.hypot(3, 2))


def test_swapping_the_sides_mirrors_the_limits():
    one, two = Limited(3.0, 1.0, 7.0), Limited(4.0, 3.5, 9.0)
    there, back = difference_limits(one, two), difference_limits(two, one)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_limits_of_equal_rates_hold_zero_as_often_as_they_should():
    random = np.random.default_rng(7)
    for n, m, share in ((300, 300, 0.05), (60, 1000, 0.1), (1000, 60, 0.3)):
        first, second = random.binomial(n, share, 4000), random.binomial(m, share, 4000)
        sides = (Limited(k / of, *clopper_pearson(k, of)) for k, of in ((first, n), (second, m)))
        found = difference_limits(*sides)
        assert np.mean((found.low <= 0) & (found.high >= 0)) > 0.935


def test_absence_is_the_hypergeometric_probability():
    count = np.array([0, 1, 5, 40, 100])
    exact = hypergeom.pmf(count, 350, count, 100)  # all of them among the 100 of 350
    assert absence_probability(count, 100, 250) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("kept", "other_kept"),
    [  # shares kept of requests with the kind, and of all others
        ((1.0, 0.05), (0.05, 0.05)),  # tail sampling of failures, and head sampling
        ((1.0, 1.0), (0.01, 1.0)),  # all, and another endpoint at a low rate
        ((0.2, 1.0), (0.02, 0.5)),
    ],
)
def test_a_kind_is_rarely_absent_from_a_sample_of_the_same_traffic_by_chance(kept, other_kept):
    random = np.random.default_rng(3)
    claimed, runs = 0, 3000
    for _ in range(runs):
        kinds, rest = random.binomial(2000, [0.02, 0.02]), 2000
        seen, other_seen = random.binomial(kinds[0], kept[0]), random.binomial(kinds[1], other_kept[0])
        if not seen or other_seen:
            continue
        weight, total = 1 / kept[0], kinds[0] + rest
        other_n = (random.binomial(rest, other_kept[1]) / other_kept[1]) * min(other_kept)
        sums = np.array([seen * weight]), np.array([seen * weight**2])
        claimed += weighted_absence_probability(*sums, total, other_n)[0] <= 0.05
    assert claimed / runs <= 0.06
