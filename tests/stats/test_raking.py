import numpy as np
import pytest

from tracekit.stats.raking import rake


def test_one_margin_is_post_stratification():
    cell = np.array([0, 0, 0, 1])
    raked = rake(np.ones(4), [(cell, np.array([30.0, 50.0]))], bounds=None)
    assert raked.weights.tolist() == pytest.approx([10, 10, 10, 50])


def test_two_margins_are_both_met():
    rng = np.random.default_rng(7)
    route, zone = rng.integers(0, 4, 500), rng.integers(0, 3, 500)
    true_route, true_zone = np.array([100.0, 400, 300, 200]), np.array([500.0, 300, 200])
    raked = rake(rng.uniform(1, 3, 500), [(route, true_route), (zone, true_zone)])
    assert np.bincount(route, raked.weights) == pytest.approx(true_route)
    assert np.bincount(zone, raked.weights) == pytest.approx(true_zone)
    assert raked.imbalance < 1e-6
    assert raked.at_bound == 0


def test_a_bound_is_kept_and_the_remaining_imbalance_reported():
    raked = rake(np.ones(101), [(np.repeat([0, 1], [100, 1]), np.array([100.0, 100.0]))])
    assert raked.at_bound >= 1
    assert raked.imbalance > 0.5
    assert raked.factor.max() <= 5 * 200 / 101 + 1e-9


@pytest.mark.parametrize(
    ("margins", "text"),
    [
        ([([0, 0], [5.0, 3.0])], "found 0 observations and a total of 3 in cell 1; merge it with another"),
        ([([0, 1], [5.0, 0.0])], "found 1 observations and a total of 0 in cell 1"),
        ([([0], [5.0])], "expected a cell with a total for each of 2 observations in margin 0"),
        ([([0, 1], [5.0])], "expected a cell with a total for each of 2 observations"),
        ([([0, 0], [5.0]), ([0, 1], [1.0, 1.0])], "expected margins of the same total, found 5, 2"),
    ],
)
def test_margins_that_cannot_be_met_are_refused(margins, text):
    with pytest.raises(ValueError, match=text):
        rake(np.ones(2), [(np.array(c), np.array(t)) for c, t in margins])
