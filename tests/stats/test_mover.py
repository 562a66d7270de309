from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tracekit.stats.mover import (
    SharesBelow,
    WeightClasses,
    class_cells,
    plain_shares,
    quantile_positions,
    weight_classes,
)


def test_classes_are_half_powers_of_two_in_any_data():
    codes, labels = weight_classes(np.array([1, 2, 2.1, 4, 1.4, 0]))
    assert [labels[code] if code >= 0 else None for code in codes] == [0, 2, 2, 4, 1, None]
    assert weight_classes(np.full(3, 20.0))[1] == weight_classes(np.array([20.0, 1.0]))[1][1:]
    assert weight_classes(np.zeros(2))[0].tolist() == [-1, -1]
    assert weight_classes(np.zeros(0))[1] == []


def test_cells_are_the_pairs_that_occur():
    cell, owner, code = class_cells(np.array([5, 0, 5, 0]), np.array([-1, 2, 2, 2]), 3)
    assert cell.tolist() == [1, 0, 2, 0]
    assert owner.tolist() == [0, 5, 5]
    assert code.tolist() == [2, -1, 2]


def _one(p, n):
    return WeightClasses(np.zeros(1, int), 1, np.array([7.0 * n]), np.array([n])), np.array([[p]]), np.array([[n]])


@pytest.mark.parametrize(("k", "n"), [(0, 9), (3, 20), (20, 20), (50, 1000)])
def test_one_class_is_the_clopper_pearson_interval(k, n):
    classes, p, trials = _one(k / n, n)
    found = [float(limit[0, 0]) for limit in classes.limits(p, trials)]
    assert found == pytest.approx(binomtest(k, n).proportion_ci(0.95, "exact"))


def test_a_group_without_weight_has_no_limits():
    classes = WeightClasses(np.array([1, 2]), 4, np.array([0.0, 5.0]), np.array([0.0, 5.0]))
    low, high = classes.limits(np.zeros((2, 1)), np.array([[0.0], [5.0]]))
    assert np.isnan(low[[0, 1, 3], 0]).all()
    assert (low[2, 0], high[2, 0]) == (0.0, pytest.approx(1 - 0.025**0.2))


def test_a_few_traces_with_most_of_the_weight_are_not_estimable():
    """One trace of weight 1000 and 99 of weight 1: the rate hangs on the one."""
    for n, answer in ((1.0, True), (2.0, True), (3.0, False)):
        classes = WeightClasses(np.zeros(2, int), 1, np.array([99.0, 1000.0 * n]), np.array([99.0, n]))
        limits = classes.limits(np.array([[0.1], [0.0]]), np.array([[99.0], [n]]))
        assert np.isnan(limits).all() == answer
    light = WeightClasses(np.zeros(2, int), 1, np.array([99.0, 50.0]), np.array([99.0, 1.0]))
    assert light.is_estimable.all(), "a third of the weight on one trace widens the limits"


def test_limits_are_those_of_a_plain_loop():
    rng = np.random.default_rng(4)
    owner, p = np.array([0, 0, 0, 2, 2]), rng.random((5, 1))
    total, n = rng.uniform(50, 900, 5), rng.uniform(5, 90, 5)
    low, high = WeightClasses(owner, 3, total, n).limits(p, n[:, None])
    for group in (0, 2):
        mine = np.flatnonzero(owner == group)
        r = (total[mine] * p[mine, 0]).sum() / total[mine].sum()
        down = up = 0.0
        for c in mine:
            from scipy.stats import beta, chi2  # noqa: PLC0415 - an oracle of its own

            k, share = p[c, 0] * n[c], total[c] / total[mine].sum()
            down += (share * (p[c, 0] - beta.ppf(0.025, k, n[c] - k + 1))) ** 2
            up += (share * (beta.ppf(0.975, k + 1, n[c] - k) - p[c, 0])) ** 2
            for times in (chi2.ppf(0.025, 2 * n[c]) / 2 / n[c], chi2.ppf(0.975, 2 * n[c] + 2) / 2 / n[c]):
                other = [total[d] * (times if d == c else 1) for d in mine]
                moved = np.average(p[mine, 0], weights=other) - r
                down, up = down + min(moved, 0) ** 2, up + max(moved, 0) ** 2
        assert low[group, 0] == pytest.approx(max(r - down**0.5, 0))
        assert high[group, 0] == pytest.approx(min(r + up**0.5, 1))
    assert np.isnan(low[1, 0])


# -------------------------------------------------------------------- quantiles


def _below(n, q, k):
    """P(Binomial(n, q) < k), exactly."""
    return sum(comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k))


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
def test_the_limits_are_order_statistics_with_at_least_the_level(q):
    sizes = np.array([4, 6, 10, 30, 59, 100, 200, 299, 368, 400, 700])
    low, high = plain_shares(np.array(q), sizes)
    for n, l_share, h_share in zip(sizes.tolist(), low, high, strict=True):
        if np.isnan(l_share):
            assert (1 - q) ** n > 0.025
        else:
            assert _below(n, q, round(l_share * n)) <= 0.025 + 1e-12
        if np.isnan(h_share):
            assert q**n > 0.025
        else:
            assert 1 - _below(n, q, round(h_share * n)) <= 0.025 + 1e-12


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_and_not_much_wider_than_needed(q):
    for n in (400, 1000):
        low, high = plain_shares(np.array(q), np.array([n]))
        assert _below(n, q, round(low[0] * n) + 2) > 0.025
        assert 1 - _below(n, q, round(high[0] * n) - 2) > 0.025


def test_an_empty_group_has_no_limits():
    low, high = plain_shares(np.array(0.5), np.zeros(1))
    assert np.isnan([low[0], high[0]]).all()


def _positions(n, classes, below, shares):
    return quantile_positions(classes, below, shares, (np.array([0]), np.array([n])))


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 400), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_search_finds_the_order_statistics_of_one_class(n, share):
    """The doubt given as an array takes the way of several classes; normal ranks may be one off the exact ones."""
    plain = WeightClasses(np.zeros(1, int), 1, np.array([float(n)]), np.array([float(n)]))
    searched = plain._replace(inside=np.ones(1), across=np.ones(1))
    below = SharesBelow(plain, np.zeros(n, int), np.arange(n), np.ones(n))
    for one, other in zip(_positions(n, plain, below, (share,)), _positions(n, searched, below, (share,)), strict=True):
        assert (one[0, 0] < 0) == (other[0, 0] < 0)
        assert abs(one[0, 0] - other[0, 0]) <= 1


def test_groups_of_one_class_and_of_several_parallel():
    rng = np.random.default_rng(2)
    own, owner = np.sort(rng.integers(0, 3, 900)), np.array([0, 1, 1])
    group = owner[own]
    position = np.concatenate([np.arange((group == 0).sum()), (group == 0).sum() + rng.permutation((group == 1).sum())])
    order = np.lexsort((position, own))
    weight, n = np.array([5.0, 1.0, 30.0]), np.bincount(own).astype(float)
    classes = WeightClasses(owner, 2, n * weight, n)
    below = SharesBelow(classes, own, position[order], weight[own])
    ends = np.array([0, (group == 0).sum()]), np.array([(group == 0).sum(), 900])
    both = quantile_positions(classes, below, (0.5, 0.95), ends)
    for at, mine in enumerate(([0], [1, 2])):
        some = np.isin(own, mine)
        alone = classes.only(np.array(mine), np.zeros(len(mine), int), 1)
        own_below = SharesBelow(alone, own[some] - mine[0], position[order][some], weight[own[some]])
        single = quantile_positions(alone, own_below, (0.5, 0.95), (ends[0][[at]], ends[1][[at]]))
        assert [side[at].tolist() for side in both] == [side[0].tolist() for side in single]
