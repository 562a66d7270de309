import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.histograms import BASE, Histogram
from tracekit.stats.intervals import cluster_sums, effective_clusters
from tracekit.stats.mover import class_cells, weight_classes
from tracekit.stats.quantiles import histogram_limits, quantile_limits, weighted_quantiles

values = st.lists(st.tuples(st.integers(0, 50), st.sampled_from([0.5, 1.0, 3.0, 20.0])), min_size=1, max_size=30)


@settings(deadline=None)
@given(values, st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99, 1.0]))
def test_the_quantile_is_the_smallest_value_that_reaches_the_share(rows, share):
    x, w = (np.array(column, float) for column in zip(*rows, strict=True))
    wanted = min(v for v in x if w[x <= v].sum() >= share * w.sum() - 1e-9)
    assert weighted_quantiles(x, w, (share,))[0] == wanted


def test_whole_weights_are_repetitions():
    x, w = np.array([7.0, 3.0, 9.0]), np.array([2, 5, 1])
    shares = (0.1, 0.5, 0.8, 0.95)
    repeated = weighted_quantiles(np.repeat(x, w), np.ones(8), shares)
    assert weighted_quantiles(x, w, shares).tolist() == repeated.tolist()


def test_no_weight_no_quantile():
    assert np.isnan(weighted_quantiles(np.array([5.0]), np.array([0.0]), (0.5,)))[0]


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="expected quantile shares between 0 and 1, found"):
        weighted_quantiles(np.ones(2), np.ones(2), (50,))
    with pytest.raises(ValueError, match="expected weights of 0 or more, found -1"):
        weighted_quantiles(np.ones(2), np.array([-1.0, 1.0]), (0.5,))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=60))
def test_the_point_is_the_weighted_quantile_and_lies_between_its_limits(rows):
    values, steps = np.array(rows).T
    pi = 0.5**steps
    for one in quantile_limits(pi, values, (0.1, 0.5, 0.95)):
        assert one.value == weighted_quantiles(values, 1 / pi, (one.share,))[0]
        assert not one.low > one.value
        assert not one.high < one.value


def test_a_complete_record_has_exact_quantiles_of_its_window():
    values = np.random.default_rng(2).permutation(200)
    for one in quantile_limits(np.ones(200), values, (0.5, 0.99)):
        assert one.low == one.value == one.high
    p99 = quantile_limits(np.ones(200), values, (0.99,), target="process")[0]
    assert p99.low < p99.value
    assert np.isnan(p99.high)


def test_neither_side_is_invented():
    low, high = quantile_limits(np.full(20, 0.1), np.arange(20), (0.01, 0.99))
    assert np.isnan(low.low)
    assert np.isnan(high.high)
    assert "(not estimable to " in str(low)
    assert "to not estimable;" in str(high)


def test_the_limits_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(4)
    values, pi = rng.lognormal(4, 1, 500), 2.0 ** -rng.integers(0, 5, 500)
    order = rng.permutation(500)
    assert quantile_limits(pi, values, (0.5, 0.95)) == quantile_limits(pi[order], values[order], (0.5, 0.95))


def test_an_empty_group_between_others_has_no_limits_however_many_weight_classes_they_have():
    cells = Histogram.of(np.repeat([0, 1, 2], 50), np.arange(150), np.repeat([1.0, 5.0, 1.0], 50))
    owner = np.array([0, 0, 2])  # three classes, as many as groups
    low, high = histogram_limits(cells, owner, np.full(3, 50.0), (0.5,), 3)
    assert np.isnan(low[:, 0]).tolist() == np.isnan(high[:, 0]).tolist() == [False, True, False]
    assert high[0, 0] <= 100 <= low[2, 0]


def test_an_empty_group_has_no_quantile():
    assert np.isnan(quantile_limits(np.zeros(0), np.zeros(0), (0.5,))[0].value)


@pytest.mark.parametrize("share", [0, 1, 99])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"expected quantile shares strictly between 0 and 1, such as 0\.99, found"):
        quantile_limits(np.ones(3), np.ones(3), (share,))


def test_a_trace_counts_once_however_many_values_it_has():
    values = np.repeat(np.arange(200), 5)
    once = quantile_limits(np.full(200, 0.1), np.arange(200), (0.5, 0.99), target="process")
    often = quantile_limits(np.full(1000, 0.1), values, (0.5, 0.99), clusters=values, target="process")
    for one, other in zip(once, often, strict=True):
        assert [one.low, one.high] == pytest.approx([other.low, other.high], nan_ok=True)


# -------------------------------------------------------------------- histograms of many groups


def of_histogram(group, trace, values, weights, shares, groups):
    """Limits by way of a histogram by group and weight class."""
    codes, labels = weight_classes(weights)
    cell, owner, _ = class_cells(group, codes[trace], len(labels))
    n = effective_clusters(cluster_sums(cell, trace, np.zeros(len(trace), bool), weights, len(owner)))
    return histogram_limits(Histogram.of(cell, values, weights[trace]), owner, n, shares, groups)


def test_a_histogram_gives_the_limits_of_the_values_within_a_bucket():
    rng, shares = np.random.default_rng(7), (0.5, 0.9, 0.99)
    group, weights = rng.integers(0, 6, 4000), 2.0 ** rng.integers(0, 5, 4000)
    values = rng.lognormal(12, 1, 4000).astype(np.int64)
    weights[group == 5] = 8.0
    low, high = of_histogram(group, np.arange(4000), values, weights, shares, 7)
    for g in range(6):
        mine = group == g
        exact = quantile_limits(1 / weights[mine], values[mine], shares, target="process")
        for at, one in enumerate(exact):
            assert low[g, at] <= one.low * 1.0001
            assert low[g, at] >= one.low / BASE**2
            assert np.isnan(high[g, at]) == np.isnan(one.high)
            assert not high[g, at] < one.high * 0.9999
            assert not high[g, at] > one.high * BASE**2
    assert np.isnan(low[6]).all(), "a group without values"


def test_classes_that_share_no_bucket_are_put_in_order():
    values, weights = (1000 * 1.05 ** np.arange(100)).astype(np.int64), np.tile([1.0, 8.0], 50)
    low, high = of_histogram(np.zeros(100, int), np.arange(100), values, weights, (0.5,), 1)
    (exact,) = quantile_limits(1 / weights, values, (0.5,), target="process")
    assert [low[0, 0], high[0, 0]] == pytest.approx([exact.low, exact.high], rel=0.021)


def test_a_histogram_of_nothing_has_no_limits():
    low, high = of_histogram(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.ones(1), (0.5,), 2)
    assert low.shape == high.shape == (2, 1)
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_no_quantile_is_estimable_where_one_trace_has_most_of_the_weight():
    weights = np.repeat([1.0, 5000.0], [99, 1])
    found = of_histogram(np.zeros(100, int), np.arange(100), np.arange(100), weights, (0.5, 0.9), 1)
    assert np.isnan(found).all()


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_limits_cover_the_true_quantile_of_clustered_durations(share):
    rng, hits, runs = np.random.default_rng(5), 0, 200
    truth = np.quantile(rng.lognormal(10, 0.8, 200_000) * np.exp(rng.normal(0, 0.3, 200_000)), share)
    for _ in range(runs):
        values = np.repeat(rng.lognormal(10, 0.8, 150), 4) * np.exp(rng.normal(0, 0.3, 600))
        trace = np.repeat(np.arange(150), 4)
        low, high = of_histogram(np.zeros(600, int), trace, values.astype(np.int64), np.ones(150), (share,), 1)
        hits += low[0, 0] <= truth <= high[0, 0]
    assert hits >= 0.905 * runs  # binomial(200, 0.95) falls below this once in 500
