"""Ranks of counts in bins: as of the values themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tracekit.stats.binned_ranks import WIDTH, Binned, bins, greater

VALUES = st.lists(st.integers(0, 12), min_size=9, max_size=60)


def counted(values, size=13):
    """How many values are in each bin."""
    return np.bincount(values, minlength=size)


@settings(max_examples=60, deadline=None)
@given(first=VALUES, second=VALUES)
def test_the_test_is_that_of_the_values(first, second):
    if len({*first, *second}) == 1:
        assert greater(counted(first), counted(second)) == 1.0
        return
    expected = mannwhitneyu(first, second, alternative="greater", method="asymptotic").pvalue
    assert greater(counted(first), counted(second)) == pytest.approx(expected, rel=1e-9)


def test_few_values_are_tested_exactly():
    first, second = np.array([10, 11, 12]), np.arange(10)
    expected = mannwhitneyu(first, second, alternative="greater", method="exact").pvalue
    assert greater(counted(first), counted(second)) == pytest.approx(expected)
    assert expected == pytest.approx(1 / 286)  # 3 of 13 are the largest in one way


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(-20, 20), min_size=1, max_size=80))
def test_medians_are_within_their_bin(values):
    place, at = np.unique(bins(np.array(values)), return_inverse=True)
    found = Binned(np.bincount(at), np.bincount(at, values)).median
    assert found == pytest.approx(np.median(values), abs=WIDTH + 1e-12)
    assert len(place) == len(np.bincount(at))


def test_the_median_of_equal_values_is_exact():
    assert Binned(np.array([3]), np.array([3 * 0.123])).median == pytest.approx(0.123, rel=1e-15)
