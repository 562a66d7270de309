import numpy as np
import pytest

from tracekit.stats.second_reservoir import (
    SECOND_NS,
    expected_kept,
    infer_quota,
    order_probabilities,
    phase_in_second,
    rank_in_second,
)


def test_ranks_are_counted_by_process_and_epoch_second():
    start = np.array([5, 3, SECOND_NS, SECOND_NS - 1, 4, 5])
    process = np.array([0, 0, 0, 0, 1, 0])
    assert rank_in_second(start, process).tolist() == [1, 0, 0, 3, 0, 2], "ties keep their order"
    assert rank_in_second(np.zeros(0, np.int64), np.zeros(0, int)).tolist() == []


def test_the_first_of_a_second_are_the_reservoirs():
    start = np.array([0, 1, 2, SECOND_NS])
    assert order_probabilities(start, np.zeros(4, int), 2, 0.1).tolist() == [1, 1, 0.1, 1]
    assert order_probabilities(start, np.zeros(4, int), 0, 0.1).tolist() == [0.1] * 4


@pytest.mark.parametrize("quota", [0, 1, 3])
def test_quota_and_rate_are_read_off_counts_by_second(quota):
    rng = np.random.default_rng(quota)
    requests = rng.poisson(20, 3000)
    taken = np.minimum(requests, quota)
    kept = taken + rng.binomial(requests - taken, 0.05)
    found = infer_quota(kept, requests)
    assert found.quota == quota
    assert found.low <= 0.05 <= found.high
    assert found.rate == pytest.approx(0.05, rel=0.1)


def test_a_reservoir_that_takes_all_leaves_no_rate():
    found = infer_quota(np.ones(100, int), np.ones(100, int))
    assert found.quota == 1
    assert np.isnan(found.rate)


@pytest.mark.parametrize(("requests", "quota", "processes"), [(4, 1, 1), (100, 1, 1), (300, 2, 4), (50, 0, 1)])
def test_mean_and_variance_are_those_of_simulated_seconds(requests, quota, processes):
    rng = np.random.default_rng(1)
    cells = rng.multinomial(requests, np.full(10 * processes, 1 / (10 * processes)), 20_000)
    taken = np.minimum(cells, quota)
    kept = taken.sum(1) + rng.binomial(requests - taken.sum(1), 0.05)
    mean, variance = expected_kept(np.array([requests]), quota, 0.05, seconds=10, processes=processes)
    assert mean[0] == pytest.approx(kept.mean(), rel=0.01)
    assert variance[0] == pytest.approx(kept.var(), rel=0.05)


def test_a_bucket_of_one_is_a_renewal_process():
    rng = np.random.default_rng(2)
    start = np.sort(rng.random(60_000)) * 3000  # 20 a second
    free_at, kept = 0.0, 0
    for t in start:
        if t >= free_at:
            kept, free_at = kept + 1, t + 1
    mean, _ = expected_kept(np.full(300, 200), 1, 0.0, seconds=10, kind="bucket")
    assert mean.sum() == pytest.approx(kept, rel=0.01)
    assert expected_kept(np.array([200]), 0, 0.05, seconds=10, kind="bucket")[0][0] == pytest.approx(10)


def test_phase_tests_keep_their_size_and_see_a_reservoir():
    rng = np.random.default_rng(3)
    even = [phase_in_second((rng.random(500) * 900 * SECOND_NS).astype(np.int64)) for _ in range(400)]
    assert 0.02 < np.mean([one.p_rayleigh < 0.05 for one in even]) < 0.085
    assert 0.02 < np.mean([one.p_kuiper < 0.05 for one in even]) < 0.085
    first = rng.random(500) * np.where(rng.random(500) < 0.3, 0.02, 1)
    found = phase_in_second((first * SECOND_NS).astype(np.int64) + np.arange(500) * SECOND_NS)
    assert found.p_kuiper < 1e-6
    assert found.p_rayleigh < 1e-6
    assert found.peak < 0.1 or found.peak > 0.95
    assert found.strength > 0.2


def test_exactly_even_starts_have_no_phase_and_one_start_has_none():
    even = phase_in_second((np.arange(100) + 0.5).astype(np.int64) * SECOND_NS // 100)
    assert even.p_kuiper == 1
    with pytest.raises(ValueError, match="expected two starts or more, found 1"):
        phase_in_second(np.zeros(1, np.int64))
