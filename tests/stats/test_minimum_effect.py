import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact, hypergeom

from tracekit.stats.minimum_effect import compare_mix, judge, n_needed


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.95, 1.05, "ok"),
        (1.01, 1.05, "ok"),
        (0.5, 0.8, "failed"),
        (1.2, 9.0, "failed"),
        (1.05, 1.2, "inconclusive"),
        (0.5, 2.0, "inconclusive"),
        (0.85, 0.95, "inconclusive"),
        (np.nan, np.nan, "inconclusive"),
    ],
)
def test_the_verdict_needs_interval_and_margin(low, high, verdict):
    assert judge(low, high, 0.1) == verdict


def test_the_needed_n_is_sufficient():
    rng = np.random.default_rng(4)
    n = n_needed(100, np.exp(-0.3), np.exp(0.3), 0.1)
    spread = 0.3 / 1.96 * np.sqrt(100 / n)
    centre = rng.normal(0, spread, 2000)
    settled = [judge(np.exp(c - 1.96 * spread), np.exp(c + 1.96 * spread), 0.1) == "ok" for c in centre]
    assert np.mean(settled) == pytest.approx(0.9, abs=0.02)
    assert n_needed(100, 1.0, 1.0, 0.1) == 0
    assert n_needed(100, 0.0, 2.0, 0.1) == 0


def test_the_omnibus_is_the_g_test_of_scipy_and_pearsons_where_cells_are_sparse():
    sampled, requests = np.array([40, 60, 90]), np.array([1000, 1000, 2000])
    table = [sampled, requests - sampled]
    assert compare_mix(sampled, requests).p == pytest.approx(
        chi2_contingency(table, correction=False, lambda_="log-likelihood").pvalue
    )
    sparse, few = np.array([1, 3, 96]), np.array([20, 40, 2000])
    assert compare_mix(sparse, few).p == pytest.approx(
        chi2_contingency([sparse, few - sparse], correction=False).pvalue
    )


def test_residuals_of_two_strata_mirror_each_other_and_square_to_pearson():
    sampled, requests = np.array([400, 500]), np.array([10_000, 10_000])
    mix = compare_mix(sampled, requests)
    assert mix.residual[0] == pytest.approx(-mix.residual[1])
    pearson = chi2_contingency([sampled, requests - sampled], correction=False).statistic
    assert mix.residual[1] ** 2 == pytest.approx(pearson)


def test_small_strata_use_the_exact_distribution():
    mix = compare_mix(np.array([3, 57]), np.array([20, 1180]))
    exact = fisher_exact([[3, 57], [17, 1123]]).pvalue
    tail = hypergeom(1200, 20, 60)
    assert mix.q[0] == pytest.approx(2 * (tail.sf(3) + 0.5 * tail.pmf(3)))
    assert mix.q[0] == pytest.approx(exact, rel=0.3)


def test_a_sample_of_everything_has_no_bias():
    mix = compare_mix(np.array([700, 800]), np.array([700, 800]))
    assert mix.p == 1
    assert mix.distance == pytest.approx(0)
    assert mix.residual.tolist() == [0, 0]


def test_half_the_rate_is_found_and_equal_rates_are_shown_to_be_equal():
    mix = compare_mix(np.array([2500, 25_000, 25_000]), np.array([100_000, 500_000, 500_000]))
    assert mix.verdict.tolist()[0] == "failed"
    assert mix.ratio[0] == pytest.approx(0.5, rel=0.01)
    even = compare_mix(np.array([25_000, 25_000]), np.array([500_000, 500_000]))
    assert even.verdict.tolist() == ["ok", "ok"]
    assert even.needed.tolist() == [0, 0]
    few = compare_mix(np.array([5, 5]), np.array([100, 100]))
    assert few.verdict.tolist() == ["inconclusive"] * 2
    assert (few.needed > 10_000).all()


@pytest.mark.parametrize(
    ("sampled", "requests", "text"),
    [
        ([1], [10], "expected counts of the same two or more strata, found 1 and 1"),
        ([1, 2], [10, 10, 10], "found 2 and 3"),
        ([1, 11], [10, 10], "expected 0 to N sampled of N requests, found 11 of 10 in stratum 1"),
        ([0, 1], [0, 10], "found 0 of 0 in stratum 0"),
        ([-1, 1], [10, 10], "found -1 of 10"),
        ([0, 0], [10, 10], "expected a sample, found none"),
    ],
)
def test_counts_that_cannot_be_are_refused(sampled, requests, text):
    with pytest.raises(ValueError, match=text):
        compare_mix(np.array(sampled), np.array(requests))
