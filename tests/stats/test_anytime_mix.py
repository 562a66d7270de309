"""A test of the mix that may be asked again and again."""

import numpy as np
import pytest

from tracekit.stats.anytime_mix import anytime_mix


def day(rng, factor=1.0, windows=120):
    """Minutes of five strata whose shares change with time; the first is sampled at its own factor."""
    share = rng.dirichlet(np.full(5, 3.0))
    load = 400 * (1.5 + np.sin(np.arange(windows)[:, None] / 20 + np.arange(5))) * share
    requests = rng.poisson(load)
    return rng.binomial(requests, 0.1 * np.array([factor, 1, 1, 1, 1])), requests


def test_looking_after_every_window_raises_no_false_alarm():
    rng = np.random.default_rng(1)
    ever = [anytime_mix(*day(rng))[-1] < 0.05 for _ in range(300)]
    assert np.mean(ever) <= 0.05


def test_a_stratum_at_another_rate_is_found_before_the_day_is_over():
    rng = np.random.default_rng(2)
    for factor in (0.5, 2.0):
        chance = [anytime_mix(*day(rng, factor)) for _ in range(40)]
        assert np.mean([one[-1] < 0.05 for one in chance]) >= 0.9
        assert all((np.diff(one) <= 0).all() for one in chance)


def test_empty_windows_and_strata_change_nothing():
    sampled, requests = np.array([[9, 1], [0, 0], [5, 0]]), np.array([[90, 10], [0, 0], [50, 0]])
    chance = anytime_mix(sampled, requests)
    assert chance.tolist() == pytest.approx([1.0, 1.0, 1.0], abs=0.05)
    assert chance[0] == chance[1] == chance[2]
    assert anytime_mix(np.zeros((0, 2)), np.zeros((0, 2))).tolist() == []
    with pytest.raises(ValueError, match=r"expected two arrays of windows x strata, found \(1, 2\) and \(1, 3\)"):
        anytime_mix(np.ones(2), np.ones(3))


def test_the_wealth_is_a_bet_that_is_fair_on_average():
    """Over all outcomes of two windows of two traces each, the expected wealth is 1."""
    requests = np.array([[30, 10], [10, 30]])
    total = 0.0
    for first in range(3):
        for second in range(3):
            sampled = np.array([[first, 2 - first], [second, 2 - second]])
            one, other = (np.array([1, 2, 1]) * p ** np.arange(3) * (1 - p) ** (2 - np.arange(3)) for p in (0.75, 0.25))
            total += one[first] * other[second] * wealth_of(sampled, requests)
    assert total == pytest.approx(1)


def wealth_of(sampled, requests):
    """The last wealth by hand; 1 / the largest on the way is the chance."""
    from math import exp, lgamma, log  # noqa: PLC0415 - an oracle of its own

    wealth, largest, before, due = 0.0, 0.0, np.zeros(2), np.zeros(2)
    for kept, asked in zip(sampled, requests, strict=True):
        share = asked / asked.sum()
        rate = share * (10 + before) / (10 + due)
        belief = (100 + before.sum()) * rate / rate.sum()
        wealth += lgamma(belief.sum()) - lgamma(belief.sum() + kept.sum())
        wealth += sum(lgamma(b + k) - lgamma(b) - k * log(s) for b, k, s in zip(belief, kept, share, strict=True))
        largest = max(largest, wealth)
        before, due = before + kept, due + kept.sum() * share
    assert anytime_mix(sampled, requests)[-1] == pytest.approx(exp(-largest))
    return exp(wealth)
