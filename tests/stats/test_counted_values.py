"""Counted values: exact medians of few distinct values, near ones of many, in whatever order parts are added."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.stats.counted_values import MOST, CountedValues


def merged(parts):
    """The values of some parts in one group, added one after the other, limited as the states of a store are."""
    whole = parts[0].limited()
    for part in parts[1:]:
        both = CountedValues.concatenate(whole, part.limited())
        whole = both.regroup(np.zeros(2, np.int64), 1).limited()
    return whole


def of(values):
    return CountedValues.of(np.zeros(len(values), np.int64), values, 1)


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 3000), distinct=st.sampled_from([3, MOST, MOST + 1, 10**9]), cuts=st.integers(1, 9),
    seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_medians_do_not_depend_on_the_parts(size, distinct, cuts, seed, order):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, distinct, size)
    parts = [of(values[at::cuts]) for at in range(min(cuts, size))]
    expected = merged(parts)
    order.shuffle(parts)
    found = merged(parts)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    is_exact = len(np.unique(values)) <= MOST
    assert found.is_coarse.tolist() == [not is_exact]
    assert found.totals().tolist() == [size]
    np.testing.assert_allclose(found.medians(), np.median(values), rtol=0 if is_exact else 0.01, atol=0)
    assert of(values).medians().tolist() == [np.median(values)]
    assert len(found.value) <= 1200


def test_an_empty_group_has_no_median():
    found = CountedValues.of(np.array([1]), np.array([4]), 3)
    assert np.isnan(found.medians()).tolist() == [True, False, True]


def test_some_groups_are_chosen():
    rng = np.random.default_rng(2)
    group, values = rng.integers(0, 6, 400), rng.integers(0, 300, 400)
    chosen = np.array([True, False, True, True, False, False])
    counted = CountedValues.of(group, values, 6).limited(most=50)
    found = counted.where(chosen)
    kept = chosen[group]
    expected = CountedValues.of((np.cumsum(chosen) - 1)[group[kept]], values[kept], 3).limited(most=50)
    assert counted.is_coarse.any()
    assert [each.tolist() for each in found] == [each.tolist() for each in expected]
