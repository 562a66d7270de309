"""The place of a step in a sequence of outcomes: where it is known, how often its limits contain it."""

import numpy as np
import pytest
from calibration import Row, count

from tracekit.stats.onset import onset_limits


def test_a_clear_step_is_found_where_it_is():
    found = onset_limits(np.repeat([False, True], 40), 0.01)
    assert found == (40, 40, 40)


def test_events_from_the_first_outcome_on():
    assert onset_limits(np.ones(50, bool), 0.05) == (0, 0, 1)  # one event alone may be chance


def test_the_factor_is_that_of_the_walk():
    """Each outcome of a sure event before the step costs log(usual share): the limit is the first that costs enough."""
    usual, confidence = 0.2, 0.95
    allowed = int(-np.log(1 - np.sqrt(confidence)) / -np.log(usual))
    assert onset_limits(np.ones(1_000, bool), usual, confidence=confidence).high == allowed


@pytest.mark.parametrize("ratio", [0, 1, -0.1, float("nan")])
def test_a_share_has_to_be_between_0_and_1(ratio):
    with pytest.raises(ValueError, match=r"expected outcomes and a share between 0 and 1, found 3 and"):
        onset_limits(np.ones(3, bool), ratio)


def test_no_outcomes():
    with pytest.raises(ValueError, match=r"found 0 and 0\.5"):
        onset_limits(np.ones(0, bool), 0.5)


def test_the_limits_contain_the_step():
    rng = np.random.default_rng(5)
    for usual, then in ((0.05, 0.5), (0.05, 0.25), (0.01, 0.1), (0.05, 1.0)):
        inside, width = [], []
        for _ in range(400):
            step = int(rng.integers(0, 150))
            found = onset_limits(rng.random(200) < np.where(np.arange(200) < step, usual, then), usual)
            inside.append(found.low <= step <= found.high)
            width.append(found.high - found.low)
        assert Row(f"{usual} to {then}", *count(inside), 0.95, 1.0).is_right, (usual, then, np.mean(inside))
        assert np.median(width) < 120
