"""Quantiles of Student's t, beside those of scipy."""

import numpy as np
import pytest
from scipy.special import stdtrit

from tracekit.stats.student import student_quantile

FREEDOM = np.concatenate([[0.5, 0.7, 1.0, 1.8, 2.999, 3.0, 3.001, 399.999, 400.0, 1e12], np.geomspace(1, 1e9, 500)])


@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.8, 0.95, 0.99])
def test_they_are_those_of_scipy(confidence):
    expected = stdtrit(FREEDOM, (1 + confidence) / 2)
    np.testing.assert_allclose(student_quantile(FREEDOM, confidence=confidence), expected, rtol=1e-10)


@pytest.mark.parametrize("confidence", [0.999, 0.9999])
def test_far_in_the_tail_they_are_those_of_scipy_up_to_rounding(confidence):
    many = FREEDOM[FREEDOM >= 10]
    expected = stdtrit(many, (1 + confidence) / 2)
    np.testing.assert_allclose(student_quantile(many, confidence=confidence), expected, rtol=1e-9)


def test_one_degree_of_freedom_is_the_cauchy_distribution():
    level = np.array([0.5, 0.9, 0.95])
    found = [student_quantile(1.0, confidence=one).item() for one in level]
    assert found == pytest.approx(np.tan(np.pi / 2 * level), rel=1e-12)


def test_the_shape_stays_and_what_is_no_number_of_degrees_has_no_quantile():
    found = student_quantile(np.array([[np.nan, 0.0, np.inf], [-1.0, 0.4, 9.0]]))
    np.testing.assert_array_equal(np.isnan(found), [[True, True, True], [True, True, False]])
    assert student_quantile(np.empty(0)).shape == (0,)


def test_what_is_no_level_is_refused():
    with pytest.raises(ValueError, match=r"expected a confidence level between 0 and 1, such as 0\.95, found 95"):
        student_quantile(np.array([9.0]), confidence=95)
