"""The simulation without the first suspect saves what the planted fault cost."""

import pytest
from analysis.suspects.planted import sides

from tracekit.analysis.suspects.compute import compute


@pytest.mark.parametrize("fault", ["own", "way in", "way out", "starved"])
def test_the_recovery_is_what_the_fault_cost(fault):
    baseline, current = sides(fault, "stock", baseline=300, current=200)
    before, now = (side.summary["root_duration_ns"].mean() for side in (baseline, current))
    saved = compute(baseline, current, with_recovery=True).recovery
    assert saved.value == pytest.approx(now - before, rel=0.15)
    assert 0 < saved.low < saved.value < saved.high
    assert (saved.unit, saved.n) == ("ns", 200)


@pytest.mark.parametrize("fault", ["failing", "early return", "more calls"])
def test_what_cannot_be_replayed_has_no_recovery(fault):
    assert compute(*sides(fault, "stock"), with_recovery=True).recovery is None


def test_a_recovery_is_only_simulated_if_asked_for():
    assert compute(*sides("own", "stock")).recovery is None


def test_nothing_to_undo_has_no_recovery():
    baseline, _ = sides()
    assert compute(baseline, baseline, with_recovery=True).recovery is None
