"""Edges that move with time, and edges that do not."""

import numpy as np
import pytest

from tracekit.stats.step_slices import step_slices


def kept(rng, rates, other=0.0):
    """Numbers below a rate of their own, a share of them from another way."""
    n = len(rates)
    return np.where(rng.random(n) < other, rng.random(n), rng.random(n) * rates)


@pytest.mark.parametrize("other", [0.0, 0.2, np.repeat([0.05, 0.6, 0.1], [500, 500, 500])])
def test_one_edge_is_never_split_whatever_comes_another_way(other):
    rng = np.random.default_rng(1)
    assert [len(step_slices(kept(rng, np.full(1500, 0.05), other))) for _ in range(40)] == [1] * 40
    assert [len(step_slices(rng.random(1500))) for _ in range(20)] == [1] * 20


@pytest.mark.parametrize("other", [0.0, 0.2])
def test_a_rate_that_is_raised_and_comes_back_is_two_edges(other):
    rng = np.random.default_rng(2)
    rates = np.repeat([0.05, 0.15, 0.05], [800, 400, 800])
    for _ in range(20):
        first, second = step_slices(kept(rng, rates, other))
        assert sorted(first.at.tolist()) == [*range(800), *range(1200, 2000)]
        assert sorted(second.at.tolist()) == list(range(800, 1200))
        assert first.step.low <= 0.05 * 1.02
        assert first.step.threshold == pytest.approx(0.05, rel=0.1)
        assert second.step.threshold == pytest.approx(0.15, rel=0.1)


def test_every_position_is_in_one_part_and_few_numbers_are_one():
    rng = np.random.default_rng(3)
    parts = step_slices(kept(rng, np.repeat([0.5, 0.1, 0.02], 310)))
    assert sorted(np.concatenate([part.at for part in parts]).tolist()) == list(range(930))
    assert len(step_slices(kept(rng, np.repeat([0.5, 0.01], 40)))) == 1
    with pytest.raises(ValueError, match="expected at least 10 numbers"):
        step_slices(np.zeros(5))
