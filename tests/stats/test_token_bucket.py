"""A token bucket, against one that is run request by request."""

import numpy as np
import pytest

from tracekit.stats.second_reservoir import expected_kept
from tracekit.stats.token_bucket import token_bucket


def through(rng, arrivals, quota, seconds):
    """Requests that a bucket of whole and part tokens lets through."""
    start = np.sort(rng.random(rng.poisson(arrivals * seconds))) * seconds
    stock, last, kept = float(quota), 0.0, 0
    for at in start:
        stock = min(quota, stock + (at - last) * quota)
        last = at
        if stock >= 1:
            stock -= 1
            kept += 1
    return kept


@pytest.mark.parametrize(("arrivals", "quota"), [(0.4, 1), (20, 1), (2, 2), (6, 5), (3, 10), (30, 5)])
def test_mean_and_variance_are_those_of_a_bucket_that_is_run(arrivals, quota):
    rng = np.random.default_rng(4)
    kept = np.array([through(rng, arrivals, quota, 200) for _ in range(300)])
    found = token_bucket(arrivals, quota)
    assert found.mean * 200 == pytest.approx(kept.mean(), abs=4 * kept.std() / 300**0.5 + quota)
    assert found.variance * 200 == pytest.approx(kept.var(), rel=0.35, abs=0.6)


@pytest.mark.parametrize("arrivals", [0.1, 1.0, 7.0])
def test_a_bucket_of_one_has_a_closed_form(arrivals):
    found = token_bucket(arrivals, 1)
    assert found.mean == pytest.approx(arrivals / (1 + arrivals))
    assert found.variance == pytest.approx(arrivals / (1 + arrivals) ** 3)


def test_no_requests_give_no_traces_and_a_burst_fills_the_quota():
    assert token_bucket(0.0, 3) == token_bucket(5.0, 0) == (0.0, 0.0)
    assert token_bucket(5000.0, 3).mean == pytest.approx(3, rel=1e-3)
    assert token_bucket(0.001, 3).mean == pytest.approx(0.001, rel=1e-3)
    means = [token_bucket(4.0, quota).mean for quota in (1, 2, 3, 5, 8, 20)]
    assert means == sorted(means)
    assert means[-1] == pytest.approx(4.0, rel=1e-3)


def test_processes_share_the_requests_and_the_rest_is_drawn():
    mean, variance = expected_kept(np.array([0, 400]), 2, 0.05, seconds=10, processes=4, kind="bucket")
    taken = 40 * token_bucket(10.0, 2).mean
    assert mean.tolist() == pytest.approx([0, taken + 0.05 * (400 - taken)])
    assert variance[0] == 0
    assert variance[1] > 0.05 * 0.95 * (400 - taken)
