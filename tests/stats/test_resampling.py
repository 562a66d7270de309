"""``stats.tests``: many hypotheses, permutation and bootstrap by trace."""

import numpy as np
import pytest

from tracekit.stats.tests import bootstrap_limits, false_discovery, permutation_p


def test_benjamini_and_hochbergs_own_example():
    p = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    )
    p = np.append(p, [0.7590, 1.0])
    assert (false_discovery(p) < 0.05).sum() == 4  # of the paper's table: four rejected


def test_what_was_not_tested_is_left_out():
    assert np.isnan(false_discovery(np.array([np.nan]))).all()
    assert false_discovery(np.array([0.02, np.nan])).tolist()[0] == 0.02
    with pytest.raises(ValueError, match="expected p-values between 0 and 1, found"):
        false_discovery(np.array([1.2]))


def test_permutation_keeps_its_size():
    rng = np.random.default_rng(1)
    false = []
    for seed in range(200):
        took, new = rng.lognormal(0, 1, 30), np.arange(30) < 12
        false.append(permutation_p(lambda m, t=took: t[m].mean() - t[~m].mean(), new, repeats=99, seed=seed)[1] <= 0.05)
    assert np.mean(false) < 0.10


def test_permutation_agrees_with_all_orders():
    """Two of five are new; the difference 1 + 2 against the rest is the largest of ten: p is 1/10."""
    took, new = np.array([9.0, 8, 1, 2, 3]), np.array([True, True, False, False, False])
    observed, p = permutation_p(lambda m: took[m].mean() - took[~m].mean(), new, repeats=4000)
    assert observed == 6.5
    assert p == pytest.approx(0.1, abs=0.02)


def test_the_bootstrap_covers_a_mean_of_clusters():
    rng = np.random.default_rng(2)
    hits = []
    for seed in range(200):
        took = rng.normal(10, 3, 60)
        _, low, high = bootstrap_limits(lambda n, t=took: np.average(t, weights=n), 60, repeats=199, seed=seed)
        hits.append(low <= 10 <= high)
    assert 0.88 <= np.mean(hits) <= 0.985


def test_the_bootstrap_says_when_it_cannot():
    point, low, high = bootstrap_limits(lambda n: 1.0 if n.min() > 0 else np.nan, 50, repeats=50)
    assert point == 1
    assert np.isnan([low, high]).all()
    with pytest.raises(ValueError, match="expected at least one trace to draw from, found 0"):
        bootstrap_limits(np.sum, 0)
