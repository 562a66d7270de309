"""Larger values by group: against scipy, under the null hypothesis, in bursts, and with weights."""

import numpy as np
import pytest
from scipy import stats

from tracekit.stats.exceedance import Sample, exceeds, hypergeometric_tail, larger, quantiles_by, time_blocks


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def sample(values, before, *, weight=None, block=None, groups=1):
    """Values of ``groups`` groups one after the other, of each the first ``before`` are the baseline's."""
    size = len(values) // groups
    side = np.tile(np.arange(size) >= before, groups)
    usual = time_blocks(np.arange(before), size - before)
    blocks = np.tile(np.concatenate([usual if block is None else block, np.zeros(size - before, int)]), groups)
    weights = np.ones(len(values)) if weight is None else weight
    return Sample(np.repeat(np.arange(groups), size), values, side, weights, blocks, groups)


def test_the_tail_is_that_of_scipy(rng):
    total = rng.integers(2, 80, 3000)
    marked, drawn = ((rng.random(3000) * total).astype(int) for _ in range(2))
    least = np.minimum(rng.integers(0, 40, 3000), drawn)
    found = hypergeometric_tail(least, drawn, marked, total)
    assert found == pytest.approx(stats.hypergeom.sf(least - 1, total, marked, drawn), abs=1e-12)


def test_the_tail_has_the_shape_of_its_arguments():
    assert hypergeometric_tail(np.ones((2, 3), int), *(np.full((2, 3), n) for n in (2, 2, 4))).shape == (2, 3)


@pytest.mark.parametrize(("before", "now"), [(300, 100), (20, 20), (40, 400), (200, 5)])
def test_equal_sides_are_rarely_called_different(rng, before, now):
    groups = 2000
    p = larger(sample(rng.lognormal(size=(before + now) * groups), before, groups=groups)).p_value
    for level in (0.05, 0.01):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / groups)


def test_bursts_of_the_baseline_widen_the_test(rng):
    """A third of the stretches is slow: where the current side is one of them, nothing has changed."""
    found = {}
    for guarded in (True, False):
        p = []
        for _ in range(100):
            is_slow = np.repeat(rng.random(11) < 0.3, 40)
            values = rng.lognormal(size=440) * np.where(is_slow, 3.0, 1.0)
            block = None if guarded else np.zeros(400, int)
            p.append(larger(sample(values, 400, block=block)).p_value[0])
        found[guarded] = float((np.array(p) <= 0.01).mean())
    assert found[False] >= 0.12
    assert found[True] <= 0.05


def test_equal_weights_change_nothing(rng):
    values = rng.lognormal(size=300)
    plain, weighted = (larger(sample(values, 200, weight=weight)) for weight in (None, np.full(300, 7.0)))
    assert weighted.p_value == pytest.approx(plain.p_value)
    assert weighted.moved_ratio == pytest.approx(plain.moved_ratio)


def test_uneven_weights_make_the_test_weaker(rng):
    values = np.concatenate([rng.lognormal(size=200), 2 * rng.lognormal(size=100)])
    uneven = np.where(rng.random(300) < 0.1, 50.0, 1.0)
    plain, weighted = (larger(sample(values, 200, weight=weight)).p_value[0] for weight in (None, uneven))
    assert plain < weighted


def test_the_share_that_moved_is_found(rng):
    values = rng.normal(10, 1, 2000)
    values[1000:1300] += 100
    assert larger(sample(values, 1000)).moved_ratio[0] == pytest.approx(0.3, abs=0.05)


def test_a_group_with_one_side_is_never_larger():
    lonely = Sample(np.zeros(9, int), np.arange(9.0), np.ones(9, bool), np.ones(9), np.zeros(9, int), 2)
    assert larger(lonely).p_value.tolist() == [1.0, 1.0]


def test_events_of_equal_frequency_are_not_more():
    side = np.repeat([False, True], 50)
    event = np.tile(np.arange(50) < 5, 2)[:, None]
    assert exceeds(Sample(np.zeros(100, int), np.zeros(100), side, np.ones(100), np.zeros(100, int), 1), event)[0] > 0.4


def test_quantiles_are_those_of_numpy(rng):
    values, group = rng.normal(size=400), rng.integers(0, 4, 400)
    found = quantiles_by(group, values, np.ones(400), 5, (0.1, 0.5, 0.9))
    wanted = [np.quantile(values[group == k], (0.1, 0.5, 0.9), method="inverted_cdf") for k in range(4)]
    assert found[:4] == pytest.approx(np.array(wanted))
    assert np.isnan(found[4]).all()


@pytest.mark.parametrize(
    ("n", "other", "blocks"), [(1000, 100, 10), (1000, 1000, 8), (1000, 1, 50), (0, 5, 0), (3, 3, 3)]
)
def test_blocks_are_as_long_as_the_other_side(n, other, blocks):
    assert len(np.unique(time_blocks(np.arange(n), other))) == blocks
