import numpy as np
import pytest
from scipy.stats import binom

from tracekit.stats.thinned import (
    absence_probability,
    capture_probability,
    requests_needed,
    required_rate,
    thinned_count,
    unseen_mass,
)


@pytest.mark.parametrize("pi", [0.01, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("happened", [0, 1, 5, 20, 100, 1000])
def test_the_thinned_count_covers_at_least_its_level(happened, pi):
    captured = np.arange(happened + 1)
    chance = binom.pmf(captured, happened, pi)
    likely = captured[chance > 1e-9]
    inside = [low <= happened <= high for low, high in (thinned_count(int(k), pi) for k in likely)]
    assert chance[likely][inside].sum() >= 0.95 - 1e-6  # exact, no simulation


def test_everything_captured_leaves_nothing_open():
    assert thinned_count(7, 1.0) == (7, 7)


def test_the_required_rate_gives_the_requested_capture_probability():
    for occurrences, at_least in [(1, 1), (20, 1), (20, 3), (5, 5)]:
        rate = required_rate(occurrences, at_least)
        assert capture_probability(occurrences, rate, at_least) == pytest.approx(0.95)
    assert required_rate(2, 3) == 1
    assert np.isnan(required_rate(0))


def test_capture_is_what_simulation_counts():
    rng = np.random.default_rng(9)
    assert capture_probability(20, 0.05, 2) == pytest.approx((rng.binomial(20, 0.05, 200_000) >= 2).mean(), abs=0.005)


def test_absence_proves_something_after_enough_requests():
    for pi in (0.01, 0.05, 0.5):
        enough = requests_needed(pi)
        assert absence_probability(enough, pi) <= 0.01 < absence_probability(enough - 1, pi)
    assert requests_needed(1.0) == 1
    assert (absence_probability(0, 1.0), absence_probability(1, 1.0)) == (1, 0)


@pytest.mark.parametrize("wrong", [0, -1, 1.1])
def test_a_probability_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="expected a probability above 0 and up to 1, found"):
        thinned_count(1, wrong)


@pytest.mark.parametrize(("kinds", "n"), [(200, 2000), (5000, 2000)])
def test_the_unseen_mass_covers_the_truth(kinds, n):
    rng = np.random.default_rng(6)
    share = 1 / np.arange(1, kinds + 1)
    share /= share.sum()
    hits = 0
    for counts in rng.multinomial(n, share, 400):
        found = unseen_mass(counts)
        hits += found.low <= share[counts == 0].sum() <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_no_singletons_leave_the_rule_of_three():
    found = unseen_mass(np.array([50, 50]))
    assert (found.mass, found.low, found.kinds) == (0, 0, 2)
    assert found.high == pytest.approx(3 / 100, rel=0.02)
    with pytest.raises(ValueError, match="expected counts of kinds that were seen, found none"):
        unseen_mass(np.zeros(3, int))


def test_unseen_mass_from_a_share_of_the_kinds():
    """10,000 draws of 20,000 equal kinds, a quarter of which is kept: unbiased, and 93 to 98% of the limits hold."""
    rng = np.random.default_rng(12)
    held, values, kinds = [], [], []
    for _ in range(400):
        counts = np.bincount(rng.integers(0, 20_000, 10_000), minlength=20_000)
        truth = float((counts == 0).mean())
        found = unseen_mass(counts[rng.random(20_000) < 0.25], kept_ratio=0.25, draws=10_000)
        held.append(found.low <= truth <= found.high)
        values.append(found.mass - truth)
        kinds.append(found.kinds)
    assert 0.93 <= np.mean(held) <= 0.985
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert np.mean(kinds) == pytest.approx(20_000, rel=0.03)
    every = np.array([60, 28, 1, 1])
    assert unseen_mass(every, kept_ratio=1.0, draws=90) == unseen_mass(every)
