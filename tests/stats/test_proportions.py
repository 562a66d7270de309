import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tracekit.stats.proportions import clopper_pearson, overdispersion, share_interval, widened

CASES = [(0, 10), (1, 10), (4, 50), (5, 50), (25, 50), (46, 50), (49, 50), (50, 50)]


@pytest.mark.parametrize(("k", "n"), CASES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_is_scipys(k, n, confidence):
    wanted = binomtest(k, n).proportion_ci(confidence, "exact")
    assert np.allclose(clopper_pearson(k, n, confidence=confidence), wanted)


@pytest.mark.parametrize(("k", "n"), CASES)
def test_few_events_are_counted_exactly_and_many_by_wilson(k, n):
    method = "exact" if min(k, n - k) < 5 else "wilson"
    assert np.allclose(share_interval(k, n), binomtest(k, n).proportion_ci(0.95, method))


def test_more_events_than_trials_and_no_trials_are_no_share():
    for make in (share_interval, clopper_pearson):
        assert np.isnan(make(np.array([0.0]), np.array([0.0]))).all()
    assert np.isnan(share_interval(11, 10)).all()


@pytest.mark.parametrize("make", [clopper_pearson, share_interval])
def test_a_level_that_is_none_is_refused(make):
    with pytest.raises(ValueError, match="expected a confidence level between 0 and 1"):
        make(3, 10, confidence=95)


@pytest.mark.parametrize(("p", "n"), [(0.01, 200), (0.05, 200), (0.5, 200), (0.01, 5000), (0.05, 5000)])
def test_the_share_interval_covers_the_truth(p, n):
    k = np.arange(n + 1)
    low, high = share_interval(k, np.full(n + 1, n))
    covered = binom.pmf(k, n, p)[(low <= p) & (p <= high)].sum()  # exact, no simulation
    assert covered > 0.93


def test_nothing_of_n_has_the_known_upper_limit():
    assert share_interval(0, 40)[1] == pytest.approx(1 - 0.025 ** (1 / 40))


def test_independent_bins_are_not_overdispersed_and_bursts_are():
    rng = np.random.default_rng(5)
    trials = np.full(400, 200)
    assert overdispersion(rng.binomial(200, 0.1, 400), trials) == pytest.approx(1, abs=0.25)
    assert overdispersion(rng.binomial(200, rng.beta(2, 18, 400)), trials) > 5
    assert overdispersion(np.array([3]), np.array([10])) == 1
    assert overdispersion(np.array([0, 0]), np.array([10, 10])) == 1
    assert overdispersion(np.array([3, 9]), np.array([10, 0])) == 1, "a bin without trials is no bin"


def test_dispersion_widens_by_its_root_on_the_logit():
    one, four = (np.log(np.array(i) / (1 - np.array(i))) for i in (widened(30, 100, 1.0), widened(30, 100, 4.0)))
    assert four[1] - four[0] == pytest.approx(2 * (one[1] - one[0]))
    assert widened(30, 100, 1.0) == pytest.approx(binomtest(30, 100).proportion_ci(0.95, "wilson"), abs=0.01)
