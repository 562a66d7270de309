"""Delays of which only those that are over were seen, exactly or between two looks."""

import numpy as np
import pytest

from tracekit.stats.truncated_lags import lag_bounds, truncated_lags


def test_without_truncation_it_is_the_plain_distribution():
    rng = np.random.default_rng(14)
    lag = rng.exponential(5, 500)
    found = truncated_lags(lag, np.full(500, 1e9))
    assert np.allclose(found.share, (np.arange(500) + 1) / 500)
    assert ((found.low <= found.share + 1e-12) & (found.share <= found.high + 1e-12)).all()


def test_ends_that_are_known_have_bounds_that_agree():
    rng = np.random.default_rng(1)
    begun, lag = rng.random(400) * 100, rng.exponential(5, 400)
    seen = begun + lag <= 100
    over = (begun + lag)[seen]
    bounds = lag_bounds(begun[seen], over, over, now=100, before=100)
    least, most, low, high = bounds.quantile(0.9)
    assert least == most
    assert low < least < high
    assert bounds.least.share.tolist() == bounds.most.share.tolist()


def test_bounds_differ_by_one_poll_and_are_never_negative():
    rng = np.random.default_rng(2)
    begun = rng.random(5000) * 1000
    by = np.ceil((begun + 3) / 10) * 10
    seen = by <= 1000
    bounds = lag_bounds(begun[seen], by[seen] - 10, by[seen], now=1000, before=990)
    assert bounds.quantile(0.5)[0] == 0.0
    least, most, *_ = bounds.quantile(0.95)
    assert least < 3 < most
    assert most - least == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("age", "wanted"), [(10.0, 0.4), (2.0, 1.0), (4.0, 1.0), (8.0, 0.5)])
def test_what_is_not_over_yet_of_an_even_stream(age, wanted):
    """All take 4: of what began in the last 10, the last 4 are not over."""
    lags = truncated_lags(np.full(30, 4.0), np.full(30, 99.0))
    assert lags.missing_within(age) == pytest.approx((wanted,) * 3)


def test_a_single_straggler_or_a_wrong_clock_does_not_take_all_delays_for_its_own():
    """The first of 6,000 took the whole recording, or began an hour before it: nothing else could show such a lag."""
    rng = np.random.default_rng(0)
    begun, lag = np.sort(rng.random(6000) * 600), rng.exponential(3, 6000)
    for first, took in ((0.1, 599.0), (-3600.0, 3601.0)):
        begun[0], lag[0] = first, took
        seen = begun + lag <= 600
        found = truncated_lags(lag[seen], 600 - begun[seen])
        assert found.beyond == 1
        assert found.quantile(0.99)[0] == pytest.approx(3 * np.log(100), rel=0.1)


def test_of_few_delays_half_must_have_had_the_time_to_show_them():
    lag = np.array([1.0, 2, 1, 2, 9])
    most = np.array([60.0, 8, 8, 8, 9])
    found = truncated_lags(lag, most)
    assert found.beyond == 1
    assert found.value.tolist() == [1, 2]
    assert found.share.tolist() == [0.5, 1.0]
