import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.stats.quantile_limits import quantile_limits
from tracekit.stats.quantiles import weighted_quantiles


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=60))
def test_the_point_is_the_weighted_quantile_and_lies_between_its_limits(rows):
    values, steps = np.array(rows).T
    pi = 0.5**steps
    for one in quantile_limits(pi, values, (0.1, 0.5, 0.95)):
        assert one.value == weighted_quantiles(values, 1 / pi, (one.share,))[0]
        assert not one.low > one.value
        assert not one.high < one.value


def test_a_complete_record_knows_its_window_exactly():
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


def test_nobody_has_no_quantile():
    assert np.isnan(quantile_limits(np.zeros(0), np.zeros(0), (0.5,))[0].value)


@pytest.mark.parametrize("share", [0, 1, 99])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"expected quantile shares strictly between 0 and 1, such as 0\.99, found"):
        quantile_limits(np.ones(3), np.ones(3), (share,))
