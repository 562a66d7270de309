from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.quantiles import share_limits, weighted_quantiles

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
    with pytest.raises(ValueError, match=r"expected a quantile share strictly between 0 and 1, such as 0\.99, found 1"):
        share_limits(1, np.ones(1))


def _below(n, q, k):
    """P(Binomial(n, q) < k), exactly."""
    return sum(comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k))


@pytest.mark.parametrize("q", [0.5, 0.9, 0.95, 0.99])
def test_the_limits_are_order_statistics_with_at_least_the_level(q):
    sizes = np.array([4, 6, 10, 30, 59, 100, 200, 299, 368, 400, 700])
    low, high = share_limits(q, sizes)
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
        low, high = share_limits(q, np.array([n]))
        assert _below(n, q, round(low[0] * n) + 2) > 0.025
        assert 1 - _below(n, q, round(high[0] * n) - 2) > 0.025


def test_nobody_limits_nothing():
    low, high = share_limits(0.5, np.zeros(1))
    assert np.isnan([low[0], high[0]]).all()
