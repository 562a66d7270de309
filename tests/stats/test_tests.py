"""``stats.tests``: many hypotheses at once."""

import numpy as np
import pytest

from tracekit.stats.tests import false_discovery


def test_benjamini_and_hochbergs_own_example():
    p = np.array(
        [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    )
    p = np.append(p, [0.7590, 1.0])
    assert (false_discovery(p) < 0.05).sum() == 4  # of the paper's table: four rejected


def test_what_was_not_tested_is_left_out():
    assert np.isnan(false_discovery(np.array([np.nan]))).all()
    assert false_discovery(np.array([0.02, np.nan])).tolist()[0] == 0.02
    with pytest.raises(ValueError, match="expected p-values between 0 and 1, found"):
        false_discovery(np.array([1.2]))
