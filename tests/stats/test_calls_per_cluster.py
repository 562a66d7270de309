"""Means over all clusters in two passes over parts: the moments are those of all clusters at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.stats.calls_per_cluster import base_powers, cell_powers, frequency_moments
from tracekit.stats.influences import Denominator, influence
from tracekit.stats.ratio_means import Cells, mean_of, moments_of, ratio_means


def world(seed, clusters=60, groups=4):
    """Calls of clusters: of group 0 every cluster has the same number, of the last one few have any."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.0, 1.0, 1.5, 10.0, 100.0], clusters) if seed % 2 else np.full(clusters, 3.0)
    counts = rng.poisson(rng.choice([0.1, 1, 3], groups), (clusters, groups))
    counts[:, 0] = 2
    cluster, group = (np.repeat(at.ravel(), counts.ravel()) for at in np.indices(counts.shape))
    return group, cluster, weights, rng.integers(0, 5, clusters), rng.lognormal(0, 1, len(group))


def merged(parts):
    """The sums of parts by group and class."""
    totals = {}
    for owner, code, sums in parts:
        for at, key in enumerate(zip(owner.tolist(), code.tolist(), strict=True)):
            for name, values in sums.items():
                totals.setdefault(key, {}).setdefault(name, 0.0)
                totals[key][name] += values[at]
    keys = sorted(totals)
    names = list(parts[0][2])
    sums = {name: np.array([totals[key][name] for key in keys]) for name in names}
    return np.array([key[0] for key in keys]), np.array([key[1] for key in keys]), sums


def same_moments(found, expected):
    for name in ("square", "third", "fourth", "behind"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-15)
    assert np.array_equal(found.is_enough, expected.is_enough)
    assert found.freedom == pytest.approx(expected.freedom, rel=1e-9)


@given(st.integers(0, 200))
def test_calls_per_cluster_have_the_moments_of_the_influences(seed):
    group, cluster, weights, part, _ = world(seed)
    total, largest = weights.sum(), weights.max()
    mean = np.bincount(group, weights[cluster], 4) / total
    expected = influence(group, cluster, weights[cluster], Denominator.of(weights), 4).moments()
    cells, bases = [], []
    for number in range(5):
        mine, place = part == number, np.cumsum(part == number) - 1
        own = mine[cluster]
        cells.append(cell_powers(group[own], place[cluster[own]], weights[mine], mean, total, largest))
        classes, sums = base_powers(weights[mine], total, largest)
        bases.append((np.zeros(len(classes), np.int64), classes, sums))
    _, classes, base = merged(bases)
    powers = tuple((weights**power).sum() for power in (1, 2, 4))
    found = frequency_moments(mean, merged(cells), (classes, base), powers)
    same_moments(found, expected)
    assert found.square[0] == 0  # every cluster has as many
    assert (found.n, found.n_effective) == (expected.n, pytest.approx(expected.n_effective))


@given(st.integers(0, 200))
def test_means_of_observations_from_parts_are_those_of_all(seed):
    group, cluster, weights, part, value = world(seed)
    mean, expected = ratio_means(group, cluster, value, weights, 4)
    cells = []
    for number in range(5):
        mine, place = part == number, np.cumsum(part == number) - 1
        own = mine[cluster]
        cells.append(Cells.of(group[own], place[cluster[own]], value[own], weights[mine], 4))
    size, weighted, largest = zip(*(each.totals(4) for each in cells), strict=True)
    size, largest = sum(size), max(largest)
    found = mean_of(size, sum(weighted))
    assert found == pytest.approx(mean, rel=1e-12, nan_ok=True)
    owner, code, sums = merged([each.powers(found, size, largest) for each in cells])
    same_moments(moments_of(sums, owner, code <= 0, found, size), expected)
