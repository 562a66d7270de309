import numpy as np
import pytest

from tracekit.stats.step_scan import step_scan, step_slices, uniform_p


@pytest.mark.parametrize("n", [100, 1000])
def test_numbers_without_an_edge_rarely_look_like_one(n):
    rng = np.random.default_rng(n)
    false = np.mean([step_scan(rng.random(n)).p < 0.05 for _ in range(400)])
    assert false <= 0.08


@pytest.mark.parametrize(("threshold", "other"), [(0.1, 0.0), (0.05, 0.2), (0.25, 0.3), (0.01, 0.5)])
def test_an_edge_is_found_with_its_place_and_exceptions(threshold, other):
    rng = np.random.default_rng(17)
    covered, strangers = [], []
    for _ in range(200):
        values = rng.random(500) * np.where(rng.random(500) < other, 1, threshold)
        edge = step_scan(values)
        assert edge.p < 1e-6
        covered.append(edge.low <= threshold <= edge.high)
        strangers.append(edge.other)
    assert np.mean(covered) >= 0.92
    assert np.mean(strangers) == pytest.approx(other, abs=0.01)


def test_a_pure_threshold_has_the_exact_interval():
    values = np.linspace(0.001, 0.05, 200)
    edge = step_scan(values)
    assert (edge.low, edge.high) == (0.05, pytest.approx(0.05 * 0.05 ** (-1 / 200)))
    assert edge.other == 0
    assert edge.inside == 1


def test_too_few_numbers_are_refused():
    with pytest.raises(ValueError, match="expected at least 10 numbers to look for an edge, found 9"):
        step_scan(np.zeros(9))


def test_uniform_numbers_are_uniform():
    rng = np.random.default_rng(5)
    assert np.mean([uniform_p(rng.random(200)) < 0.05 for _ in range(300)]) < 0.09
    assert uniform_p(rng.random(500) ** 2) < 1e-6
    assert uniform_p(np.zeros(0)) == 1


def kept(rng, rates, other=0.0):
    """Numbers below a rate of their own, a share of them from another way."""
    n = len(rates)
    return np.where(rng.random(n) < other, rng.random(n), rng.random(n) * rates)


@pytest.mark.parametrize("other", [0.0, 0.2, np.repeat([0.05, 0.6, 0.1], [500, 500, 500])])
def test_one_edge_is_never_split_by_other_traces(other):
    rng = np.random.default_rng(1)
    assert [len(step_slices(kept(rng, np.full(1500, 0.05), other))) for _ in range(40)] == [1] * 40
    assert [len(step_slices(rng.random(1500))) for _ in range(20)] == [1] * 20


@pytest.mark.parametrize("other", [0.0, 0.2])
def test_a_rate_that_is_raised_and_restored_is_two_edges(other):
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
