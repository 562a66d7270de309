import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.quantiles import weighted_quantiles

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
