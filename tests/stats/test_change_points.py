"""Scan for an episode against a plain oracle, its false alarms, and the limits of a step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tracekit.stats.change_points import (
    block_count,
    chance_of_events,
    episode_scan,
    inflation,
    searched_parts,
    step_limits,
)
from tracekit.stats.tests import holm


def cumulative(part):
    """Sum of squares of the cumulative deviations from the mean, and what it is on average for a variance of 1."""
    size = len(part)
    return (np.cumsum(part - part.mean()) ** 2).sum() if size else 0, max(size**2 - 1, 0) / 6


def plain_scan(values):
    """The part with the largest statistic, part by part."""
    count = len(values)
    least = max(2, count // 12)
    found = {}
    for start in range(least, count):
        for end in range(start + least, count + 1):
            if least <= count - end or end == count:
                inside, outside = values[start:end], np.concatenate([values[:start], values[end:]])
                parts = [cumulative(part) for part in (values[:start], inside, values[end:])]
                variance = sum(each for each, _ in parts) / sum(each for _, each in parts)
                size = 1 / len(inside) + 1 / len(outside)
                found[start, end] = (inside.mean() - outside.mean()) ** 2 / size / variance
    return max(found, key=found.get), len(found)


@pytest.mark.parametrize("count", [20, 30, 60])
@pytest.mark.parametrize("step", [0, 3])
def test_the_part_is_that_of_a_plain_scan(count, step):
    rng = np.random.default_rng(count + step)
    for _ in range(5):
        values = rng.normal(0, 1, count)
        values[count // 3 : count // 2] += step
        (start, end), searched = plain_scan(values)
        found = episode_scan(values)
        assert (found.start, found.end) == (start, end)
        assert searched == searched_parts(count)


@given(st.integers(0, 10**6), st.floats(-1e9, 1e9), st.floats(1e-3, 1e6), st.sampled_from([-1, 1]))
@settings(max_examples=20, deadline=None)
def test_neither_unit_nor_origin_matters(seed, origin, unit, sign):
    values = np.random.default_rng(seed).integers(0, 100, 40).astype(float)
    values[10:20] += 200
    found, other = episode_scan(values), episode_scan(origin + sign * unit * values)
    assert other[:2] == found[:2]
    assert other.p == pytest.approx(found.p, abs=0.01)


@pytest.mark.parametrize("values", [np.zeros(20), np.full(60, 1e18), np.full(30, -3.5)])
def test_a_constant_series_has_no_episode(values):
    assert episode_scan(values).p == 1


def test_an_exact_step_has_the_smallest_p():
    found = episode_scan(np.repeat([1.0, 5.0], [25, 15]))
    assert (found.start, found.end) == (25, 40)
    assert found.p < 0.001


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize(
    "shape", [lambda t: t, lambda t: t**2, lambda t: np.sin(np.pi * t), lambda t: np.cos(2 * np.pi * t)]
)
def test_a_smooth_swing_is_no_episode(shape, noise):
    values = 10 * shape(np.linspace(0, 1, 60)) + noise * np.random.default_rng(1).normal(0, 1, 60)
    assert episode_scan(values).p == 1


@pytest.mark.parametrize("dependence", [0.0, 0.6])
def test_correlated_noise_is_rarely_an_episode(dependence):
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(300):
        values = rng.normal(0, 1, 40)
        values[1:] *= np.sqrt(1 - dependence**2)
        for at in range(1, 40):
            values[at] += dependence * values[at - 1]
        false += episode_scan(values).p <= 0.05
    assert false <= stats.binom.ppf(0.999, 300, 0.05)


def test_blocks_have_at_least_ten_observations():
    assert [block_count(n) for n in (0, 199, 200, 299, 300, 10**9)] == [0, 0, 20, 20, 30, 60]


@pytest.mark.parametrize("noise", ["normal", "binomial", "poisson"])
def test_a_step_is_within_its_limits_as_often_as_stated(noise):
    rng = np.random.default_rng(3)
    draw = {
        "normal": lambda mean: rng.normal(mean, 0.2),
        "binomial": lambda mean: (rng.random(len(mean)) < mean).astype(float),
        "poisson": lambda mean: rng.poisson(5 * mean).astype(float),
    }[noise]
    covered = []
    for _ in range(400):
        at = int(rng.integers(40, 160))
        limits = step_limits(
            draw(np.where(np.arange(200) < at, 0.1, 0.4)), np.ones(200), noise, variance={"normal": 0.04}.get(noise, 1)
        )
        assert limits.low <= limits.best <= limits.high
        covered.append(limits.low <= at <= limits.high)
    assert np.mean(covered) >= 0.94


def test_limits_widen_with_the_variance_and_the_confidence():
    values = np.random.default_rng(1).normal(np.repeat([0.0, 1.0], 100), 1)
    widths = [
        np.diff(step_limits(values, np.ones(200), "normal", variance=variance, confidence=confidence)[1:])[0]
        for variance, confidence in ((1, 0.8), (1, 0.95), (4, 0.95))
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_inflation_is_that_of_the_long_run_variance():
    rng = np.random.default_rng(1)
    white = np.mean([inflation(rng.normal(0, 1, 60), np.ones(60), 20, 40) for _ in range(200)])
    assert 1.3 < white < 2  # an upper limit: 1 is true
    series = rng.normal(0, 1, (60, 200))
    for at in range(1, 60):
        series[at] += 0.5 * series[at - 1]
    correlated = np.mean([inflation(each, np.ones(60), 20, 40) for each in series.T])
    assert 4 < correlated < 12  # 1 / (1 - 0.5)^2 = 4 is true
    assert inflation(np.zeros(60), np.ones(60), 20, 40) == 1


def test_the_bound_of_chance_is_above_the_share_of_equal_samples():
    rng = np.random.default_rng(2)
    events = rng.binomial(40, 0.1, 4000), rng.binomial(400, 0.1, 4000)
    bound = np.array([chance_of_events((a, 40), (b, 400), 1) for a, b in zip(*events, strict=True)])
    for level in (0.05, 0.01):
        assert (bound <= level).mean() <= level


def test_holm_is_bonferroni_step_by_step():
    p = np.array([0.03, np.nan, 0.001, 0.02, 0.5])
    assert holm(p).tolist() == pytest.approx([0.06, np.nan, 0.004, 0.06, 0.5], nan_ok=True)
    assert holm(np.array([0.9, 0.9])).tolist() == [1, 1]
    assert len(holm(np.zeros(0))) == 0
