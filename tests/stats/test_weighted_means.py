"""``stats.weighted_means``: against dense sums, jackknife, Welch, and simulated worlds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tracekit.stats import influences
from tracekit.stats.influences import LEAST, Denominator, Moments, influence
from tracekit.stats.weighted_means import difference, mean_limits

numbers = st.integers(0, 2**32 - 1)


def sparse(rng, clusters, groups, *, cells=60):
    """Random cells, several of one group and cluster among them, and sizes."""
    group, cluster = np.sort(rng.integers(0, groups, cells)), rng.integers(0, clusters, cells)
    return group, cluster, rng.normal(5, 3, cells), rng.uniform(0.5, 4, clusters)


def table(group, cluster, value, clusters, groups):
    """The same, one cell for every group and cluster."""
    dense = np.zeros((groups, clusters))
    np.add.at(dense, (group, cluster), value)
    return dense


@settings(deadline=None, max_examples=60)
@given(numbers, st.integers(2, 30), st.integers(1, 6), st.booleans())
def test_influences_are_those_of_leaving_a_cluster_out(seed, clusters, groups, has_edges):
    """Of a mean with fixed ends: exactly how far it moves; with ends that move, what those add."""
    rng = np.random.default_rng(seed)
    group, cluster, value, size = sparse(rng, clusters, groups)
    dense, total = table(group, cluster, value, clusters, groups), size.sum()
    edges = ((rng.normal(0, 1, groups), rng.normal(0, 1, clusters)),) if has_edges else ()
    found = influence(group, cluster, value, Denominator.of(size), groups, edges=edges).moments()
    mean = dense.sum(axis=1) / total
    without = (dense.sum(axis=1)[:, None] - dense) / (total - size)
    moved = mean[:, None] - without + sum(np.outer(there, far) / (total - size) for there, far in edges)
    for power, sums in zip((2, 3, 4), found, strict=False):
        assert sums == pytest.approx((moved**power).sum(axis=1), rel=1e-6, abs=1e-9)
    assert found.n == clusters


@settings(deadline=None, max_examples=30)
@given(numbers)
def test_a_difference_of_means_of_the_same_traces_moves_by_the_difference(seed):
    rng = np.random.default_rng(seed)
    group, cluster, value, size = sparse(rng, 25, 4)
    about = Denominator.of(size)
    one, two = (influence(group, cluster, each, about, 4) for each in (value, value**2))
    found, wanted = two.minus(one).moments(), influence(group, cluster, value**2 - value, about, 4).moments()
    for sums, right in zip(found[:3], wanted[:3], strict=True):
        assert sums == pytest.approx(right, rel=1e-6, abs=1e-9)
    nothing = one.minus(one).moments()
    assert [sums.tolist() for sums in nothing[:3]] == [[0.0] * 4] * 3


def test_many_clusters_are_summed_in_parts(monkeypatch):
    rng = np.random.default_rng(4)
    group, cluster, value, size = sparse(rng, 90, 3)
    found = influence(group, cluster, value, Denominator.of(size), 3).moments()
    monkeypatch.setattr(influences, "_ROWS", 7)
    again = influence(group, cluster, value, Denominator.of(size), 3).moments()
    for sums, right in zip(again[:3], found[:3], strict=True):
        assert sums == pytest.approx(right)


@settings(deadline=None, max_examples=60)
@given(numbers, st.integers(1, 4), st.booleans())
def test_the_clusters_behind_a_variance_are_counted_by_weight_class(seed, classes, has_edges):
    """Whether most clusters or few have something of a group, and with ends that move: as from the whole table."""
    rng = np.random.default_rng(seed)
    clusters, groups = 40, 4
    group = np.sort(np.where(rng.random(150) < 0.6, 0, rng.integers(0, groups, 150)))
    cluster, value = rng.integers(0, clusters, 150), rng.normal(5, 3, 150)
    weight = 4.0 ** rng.integers(0, classes, clusters) * (rng.random(clusters) < 0.9)
    edges = ((rng.normal(0, 1, groups), weight * rng.normal(0, 1, clusters)),) if has_edges else ()
    about = Denominator.of(weight * rng.integers(1, 4, clusters), weight=weight)
    found = influence(group, cluster, value * weight[cluster], about, groups, edges=edges)
    size, part = about.size, about.part
    mean = table(group, cluster, value * weight[cluster], clusters, groups).sum(axis=1) / size.sum()
    moved = table(group, cluster, value * weight[cluster], clusters, groups) - np.outer(mean, size)
    moved = (moved + sum(np.outer(there, far) for there, far in edges)) / (size.sum() * (1 - part))
    in_class = [weight == each for each in np.unique(weight[weight > 0])]
    doubt = sum((moved[:, mine] ** 2).sum(axis=1) ** 2 / mine.sum() for mine in in_class)
    assert found.moments().behind == pytest.approx((moved**2).sum(axis=1) ** 2 / doubt, rel=1e-6)


def of_values(values, weights=None):
    """The mean of values with its moments."""
    weights = np.ones(len(values)) if weights is None else weights
    zero = np.zeros(len(values), np.int64)
    about = Denominator.of(weights)
    found = influence(zero, np.arange(len(values)), weights * values, about, 1).moments()
    return np.array([np.average(values, weights=weights)]), found


def test_without_skewness_it_is_students_interval():
    values = np.repeat([-1.0, 1.0], 50)
    mean, moments = of_values(values)
    low, high = mean_limits(mean, moments)
    half = stats.t.ppf(0.975, 99) * np.sqrt(moments.square[0])
    assert [low[0], high[0]] == pytest.approx([-half, half], rel=1e-3)
    assert moments.square[0] == pytest.approx(values.var(ddof=1) / 99)


def test_a_long_tail_has_its_farther_limit_on_its_own_side():
    mean, moments = of_values(np.random.default_rng(3).lognormal(0, 1, 40))
    low, high = mean_limits(mean, moments)
    assert high[0] - mean[0] > 1.5 * (mean[0] - low[0]) > 0


@pytest.mark.parametrize(
    ("weights", "is_enough"),
    [
        (np.ones(LEAST), True),
        (np.ones(LEAST - 1), False),
        (np.repeat([1.0, 1e6], [500, 1]), False),
        (np.repeat([1.0, 100.0], [500, LEAST // 2]), False),
        (np.repeat([1.0, 100.0], [500, LEAST]), True),
        (np.zeros(50), False),
        (np.ones(0), False),
    ],
)
def test_a_few_traces_with_most_weight_have_no_limits(weights, is_enough):
    values = np.arange(len(weights), dtype=float)
    zero, about = np.zeros(len(weights), np.int64), Denominator.of(weights)
    moments = influence(zero, np.arange(len(weights)), weights * values, about, 1).moments()
    low, high = mean_limits(np.zeros(1), moments)
    assert np.isfinite([low[0], high[0]]).all() == is_enough
    other = of_values(np.arange(300.0))[1]
    for found in (difference(np.ones(1), moments, other), difference(np.ones(1), other, moments)):
        assert np.isfinite([found.low[0], found.high[0], found.p_value[0]]).all() == is_enough


def test_a_heavy_class_with_much_of_the_variance_needs_twenty_traces():
    """The same weights, of which the heavy ones have the same values as the others, or far larger ones."""
    weights = np.repeat([1.0, 8.0], [3000, 15])
    ordinary = np.tile([10.0, 20.0, 30.0], 1005)
    _, alike = of_values(ordinary, weights)
    _, slower = of_values(ordinary + 200 * (weights > 1), weights)
    assert alike.behind[0] > 80
    assert slower.behind[0] == pytest.approx(15, rel=0.2)
    assert [Denominator.of(weights).is_enough, bool(alike.is_enough[0]), bool(slower.is_enough[0])] == [
        True,
        True,
        False,
    ]


def test_no_weight_is_heavier_than_equal_ones():
    values = np.random.default_rng(5).lognormal(0, 1, 40)
    _, moments = of_values(values, np.full(40, 3.3))
    fourth = (moments.fourth / moments.square**2).item()
    assert moments.behind.tolist() == [40.0]
    assert moments.freedom.item() == pytest.approx(2 / max(fourth - 1 / 40, 2 / 39))


def test_a_difference_of_two_large_samples_is_that_of_welch():
    rng = np.random.default_rng(8)
    one, two = rng.normal(10, 3, 2000), rng.normal(10.3, 3, 2000)
    (this, first), (other, second) = of_values(one), of_values(two)
    found = difference(other - this, first, second)
    welch = stats.ttest_ind(two, one, equal_var=False)
    assert found.p_value[0] == pytest.approx(welch.pvalue, rel=0.1)
    assert [found.low[0], found.high[0]] == pytest.approx([*welch.confidence_interval(0.95)], rel=0.02)


def test_a_small_sample_without_the_tail_has_the_spread_of_both():
    """Twenty-five alike and a thousand of which one in fifty is a hundred times as long: no difference is known."""
    few, many = np.full(25, 1.0) + np.arange(25) / 1e4, np.where(np.arange(1000) % 50 == 0, 100.0, 1.0)
    (this, first), (other, second) = of_values(few), of_values(many)
    assert difference(other - this, first, second).p_value[0] > 0.3
    assert stats.ttest_ind(many, few, equal_var=False).pvalue < 0.01


def test_nothing_that_differs_is_no_difference():
    (_, one), (_, two) = of_values(np.full(30, 7.0)), of_values(np.full(40, 7.0))
    found = difference(np.zeros(1), one, two)
    assert (found.low[0], found.high[0], found.p_value[0]) == (0, 0, 1)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_level_outside_zero_and_one_is_refused(confidence):
    one = Moments(np.ones(1), np.zeros(1), np.ones(1), np.full(1, 50.0), 50, 50.0, is_even=True)
    with pytest.raises(ValueError, match=r"expected a confidence level between 0 and 1, such as 0\.95, found"):
        mean_limits(np.ones(1), one, confidence=confidence)
    with pytest.raises(ValueError, match=r"expected a confidence level between 0 and 1, such as 0\.95, found"):
        difference(np.ones(1), one, one, confidence=confidence)


def test_the_unit_of_the_weights_does_not_matter():
    rng = np.random.default_rng(6)
    values, weights = rng.lognormal(0, 1, 80), rng.uniform(1, 20, 80)
    once, twice = (mean_limits(*of_values(values, weights * unit)) for unit in (1.0, 1000.0))
    assert np.ravel(once) == pytest.approx(np.ravel(twice))


def slow_are_heavy(rng, n):
    """Latencies of kept traces and their weights, 1 to 64: the slower a request, the less often it is kept."""
    took = rng.lognormal(3.7, 0.8, 40 * n)
    pi = 0.5 ** np.clip(np.round(2 * np.log2(took / 20)), 0, 6)
    kept = np.flatnonzero(rng.random(len(took)) < pi)[:n]
    return took[kept], 1 / pi[kept]


def test_a_sample_that_may_lack_its_heaviest_class_has_no_limits():
    """Of 300 traces one in two samples has none of the heaviest class, which has an eighth of the mean."""
    rng, truth, wrong = np.random.default_rng(12), np.exp(3.7 + 0.32), 0
    for _ in range(200):
        low, high = mean_limits(*of_values(*slow_are_heavy(rng, 300)))
        wrong += bool(low[0] > truth or high[0] < truth)
    assert wrong <= 10


@pytest.mark.parametrize(
    ("draw", "truth", "n"),
    [
        (lambda rng, n: rng.gamma(4.0, 25.0, n), 100, 60),
        (lambda rng, n: rng.lognormal(0.0, 1.0, n), np.exp(0.5), 30),
        (lambda rng, n: (rng.random(n) < 0.1) * rng.lognormal(1.0, 0.5, n), 0.1 * np.exp(1.125), 60),
    ],
)
def test_limits_contain_the_mean_at_the_nominal_rate(draw, truth, n):
    """Student's own limits of 30 log-normal traces contain their mean in 88 % of samples."""
    rng, inside = np.random.default_rng(7), []
    for _ in range(400):
        low, high = mean_limits(*of_values(draw(rng, n)))
        inside.append(low[0] <= truth <= high[0])
    assert 0.92 <= np.mean(inside) <= 0.995
