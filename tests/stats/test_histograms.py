import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.histograms import BASE, Histogram, bucket_edges, buckets
from tracekit.stats.quantiles import weighted_quantiles

durations = st.integers(0, 2**62)


@settings(deadline=None)
@given(st.lists(durations, min_size=1, max_size=50))
def test_every_value_lies_between_the_edges_of_its_bucket(xs):
    x = np.array(xs)
    low, high = bucket_edges(buckets(x))
    assert (low <= x * (1 + 1e-12)).all()
    assert (x < high * (1 + 1e-12)).all()


def test_zero_has_a_bucket_of_its_own_and_negative_values_none():
    assert buckets(np.array([0, 1])).tolist() == [-1, 0]
    with pytest.raises(
        ValueError, match="expected values of 0 or more, found -5; exclude spans without a duration first"
    ):
        buckets(np.array([3, -5]))


numbers = st.integers(0, 10**12) | st.integers(10_000, 10_500)  # the second kind meet in their buckets
rows = st.lists(st.tuples(st.integers(0, 3), numbers, st.sampled_from([0.5, 1.0, 7.0])), max_size=60)


def _histogram(cells):
    group, value, weight = zip(*cells, strict=True) if cells else ((), (), ())
    return Histogram.of(np.array(group, int), np.array(value, np.int64), np.array(weight, float))


@settings(deadline=None)
@given(rows)
def test_quantiles_are_those_of_the_values_within_a_bucket(cells):
    shares = (0.0, 0.25, 0.5, 0.9, 1.0)
    found = _histogram(cells).quantiles(shares, 4)
    for g in range(4):
        mine = [(v, w) for group, v, w in cells if group == g]
        exact = weighted_quantiles(np.array([v for v, _ in mine]), np.array([w for _, w in mine]), shares)
        assert np.isnan(found[g]).all() == (not mine)
        if mine:
            assert np.all(found[g] <= exact * BASE * (1 + 1e-9) + 1e-9)
            assert np.all(found[g] >= exact / BASE * (1 - 1e-9) - 1e-9)
            assert np.all(np.diff(found[g]) >= 0)


@settings(deadline=None)
@given(rows)
def test_means_and_maxima_are_exact(cells):
    histogram = _histogram(cells)
    means, maxima = histogram.means(4), histogram.maxima(4)
    for g in range(4):
        mine = [(v, w) for group, v, w in cells if group == g]
        if mine:
            assert maxima[g] == max(v for v, _ in mine)
            assert means[g] == pytest.approx(sum(v * w for v, w in mine) / sum(w for _, w in mine))
        else:
            assert np.isnan([means[g], maxima[g]]).all()


@settings(deadline=None)
@given(rows, rows)
def test_histograms_of_two_blocks_add_up_to_that_of_both(first, second):
    parts = [_histogram(first), _histogram(second)]
    merged = Histogram.concatenate(parts, [0, 4]).regroup(np.arange(8) % 4)
    whole = _histogram(first + second)
    for column in ("group", "bucket", "low", "high"):
        assert getattr(merged, column).tolist() == getattr(whole, column).tolist()
    assert merged.weight.tolist() == pytest.approx(whole.weight.tolist())
    assert merged.total.tolist() == pytest.approx(whole.total.tolist())


def test_a_distinct_value_is_restored_exactly():
    assert _histogram([(0, 123_456_789, 1.0)] * 5).quantiles((0.5, 0.99), 1).tolist() == [[123_456_789.0] * 2]


def test_a_group_can_be_left_out():
    histogram = _histogram([(0, 5, 1.0), (1, 9, 1.0)]).regroup(np.array([-1, 0]))
    assert histogram.maxima(1).tolist() == [9.0]


def test_a_share_reached_up_to_rounding_is_reached():
    value, weight = np.arange(1, 21) * 1000, np.full(20, 1 / 3)
    found = Histogram.of(np.repeat([0, 1], 10), np.tile(value[:10], 2), weight)
    for tenth in range(1, 11):
        assert found.quantiles((tenth / 10,), 2).tolist() == [[tenth * 1000.0]] * 2


def test_a_thousand_groups_of_unequal_weight_do_not_blur_each_other():
    light, heavy = np.arange(500) * 2, np.arange(500) * 2 + 1
    group = np.concatenate([light, heavy])
    value = np.concatenate([np.full(500, 10), np.full(500, 20)])
    weight = np.concatenate([np.full(500, 1e-6), np.full(500, 1e9)])
    found = Histogram.of(group, value, weight).quantiles((0.01, 0.99), 1000)
    assert (found[light] == 10).all()
    assert (found[heavy] == 20).all()
