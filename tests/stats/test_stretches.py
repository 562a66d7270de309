"""Rises of a mean in bursts: against the formula, how often equal sides are called different, and what is found."""

import numpy as np
import pytest
from scipy import stats

from tracekit.stats.stretches import STRETCHES, p_value_of_rise, stretch_means

N = 400


def fixed(rng, n, length, spread):
    """Load of stretches of equal length."""
    return np.repeat(np.exp(rng.normal(0, spread, n // length + 1)), length)[:n]


def random_lengths(rng, n, length, spread):
    """Load of stretches of random length."""
    ends = np.cumsum(rng.geometric(1 / length, n))
    return np.exp(rng.normal(0, spread, n))[np.searchsorted(ends, np.arange(n), side="right")]


def rare(rng, n, length, _):
    """In a tenth of the stretches, twice the load."""
    return np.repeat(np.where(rng.random(n // length + 1) < 0.1, 2.0, 1.0), length)[:n]


LOADS = {"equal lengths": fixed, "random lengths": random_lengths, "rare": rare}


def times(rng, n, load, length=20, spread=0.3):
    """Latencies in ms."""
    return 35 * LOADS[load](rng, n, length, spread) * rng.lognormal(0, 0.2, n)


def of(values, kind, baseline):
    """The values, or whether they are above the p95 of the baseline."""
    return values if kind == "mean" else (values > np.quantile(baseline, 0.95)).astype(float)


def test_the_means_are_those_of_numpy():
    values = np.random.default_rng(1).gamma(2, 1, 333)
    for count in (7, 20):
        assert stretch_means(values, count) == pytest.approx([part.mean() for part in np.array_split(values, count)])
    assert len(stretch_means(values)) == STRETCHES
    assert len(stretch_means(values[:47])) == 5
    assert len(stretch_means(values[:7])) == 0


def test_the_p_value_of_stretches_that_alternate():
    """Known by hand: means of 9 and 11, no skewness, neighbours that are not alike."""
    before = np.repeat(np.tile([9.0, 11.0], 10), 20)
    variance = (20 / 19 + 2) / 2  # of the baseline; of the differences of neighbours
    freedom = 1 / ((1 / 4) / 19 + (1 / 4) / (2 / 3 * 19))
    for shift in (0.3, 1.0):
        score = shift / np.sqrt(variance * 2 / 20)
        assert p_value_of_rise(before, before + shift) == pytest.approx(stats.t.sf(score, freedom), rel=1e-9)


@pytest.mark.parametrize("n", [299, 300, 310])
def test_a_skewed_baseline_and_values_that_no_longer_vary(n):
    before = np.zeros(299)
    before[[20, 50, 95, 120, 140, 150, 165, 170, 185, 200, 215, 270]] = 1
    assert p_value_of_rise(before, np.ones(n)) < 1e-9


def test_both_sides_change_places_with_the_sign():
    rng = np.random.default_rng(2)
    one, other = rng.normal(10, 1, N), rng.normal(10.02, 1, N)
    assert p_value_of_rise(one, other) + p_value_of_rise(other, one) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("n", [0, 1, 39])
def test_few_values_say_nothing_of_variation(n):
    assert p_value_of_rise(np.full(n, 10.0), np.full(100, 50.0)) is None
    assert p_value_of_rise(np.full(100, 10.0), np.empty(0)) is None


@pytest.mark.parametrize("n", [1, 7, 8, 12, 100])
def test_values_that_never_vary(n):
    assert p_value_of_rise(np.full(100, 10.0), np.full(n, 50.0)) == 0
    assert p_value_of_rise(np.full(100, 10.0), np.full(n, 10.0)) == 1


@pytest.mark.parametrize("kind", ["mean", "share"])
@pytest.mark.parametrize(
    ("sizes", "load", "length", "most"),
    [
        ((N, N), "equal lengths", 20, 0.025),
        ((N, N), "rare", 20, 0.025),
        ((N, N), "random lengths", 20, 0.06),  # the longest last a fifth of each side
        ((1000, 200), "equal lengths", 20, 0.025),
        ((1000, 60), "equal lengths", 20, 0.04),
        ((200, 800), "equal lengths", 20, 0.025),
        ((N, N), "equal lengths", 80, 0.05),  # five on each side
    ],
)
def test_equal_sides_are_called_different_as_seldom_as_the_level_says(kind, sizes, load, length, most):
    rng, found = np.random.default_rng(20), []
    for _ in range(400):
        before, now = (times(rng, n, load, length) for n in sizes)
        found.append(p_value_of_rise(of(before, kind, before), of(now, kind, before)))
    assert stats.binom.sf(np.sum(np.array(found) <= 0.025) - 1, len(found), most) > 0.001


@pytest.mark.parametrize("kind", ["mean", "share"])
@pytest.mark.parametrize(("first", "factor"), [(0, 1.3), (160, 1.5), (240, 2), (320, 2)])
def test_what_begins_in_the_middle_is_found(kind, first, factor):
    """Latencies that are higher from a request on, although that makes the current side vary more."""
    rng, found = np.random.default_rng(21), []
    for _ in range(100):
        before, now = (times(rng, N, "equal lengths", spread=0.1) for _ in range(2))
        now[first:] *= factor
        found.append(p_value_of_rise(of(before, kind, before), of(now, kind, before)))
    assert np.mean(np.array(found) <= 0.025) >= 0.9


def test_a_short_incident_after_a_long_baseline_is_found():
    rng, found = np.random.default_rng(22), []
    for _ in range(100):
        before, now = (times(rng, n, "equal lengths", spread=0.1) for n in (1000, 100))
        found.append(p_value_of_rise(before, 1.3 * now))
    assert np.mean(np.array(found) <= 0.025) >= 0.9
