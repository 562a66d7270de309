"""Sampling that is unknown: nothing is critical where both sides were recorded at clearly different rates."""

import numpy as np
import pytest
from investigation.worlds import incident, quiet, twice_the_traffic

import tracekit as tk


def unweighted(traces):
    """The same traces, of which nobody says how they were sampled."""
    return tk.TraceSet.from_spans(traces.spans)


def thinned(traces, share):
    """What a sampler keeps that leaves no mark."""
    kept = np.random.default_rng(0).random(len(traces)) < share
    return traces.where(kept[traces.forest.trace])


@pytest.fixture(scope="module")
def sides():
    before, now, _ = incident(np.random.default_rng(1), "slow service")
    return before, now


@pytest.mark.parametrize("share", [0.3, 0.5])
@pytest.mark.parametrize("is_baseline", [True, False])
def test_rates_that_differ_come_first_and_nothing_is_critical(sides, share, is_baseline):
    before, now = map(unweighted, sides)
    before, now = (thinned(before, share), now) if is_baseline else (before, thinned(now, share))
    first, headline = tk.investigate(now, before).first_screen[:2]
    assert (first.check, first.severity) == ("screen.caveat", "warning")
    assert first.headline.startswith("Sampling unknown: ")
    assert first.headline.endswith(
        " traces per second are recorded, in the baseline and now. What is below may be a difference in sampling."
    )
    assert first.remedy
    rates = first.values
    low, high = sorted((rates["baseline_rate_per_s"], rates["current_rate_per_s"]))
    assert low / high == pytest.approx(share, rel=0.2)
    assert (headline.check, headline.severity) == ("screen.headline", "warning")


@pytest.mark.parametrize("share", [1, 0.9])
def test_rates_that_are_alike_leave_the_severity(sides, share):
    before, now = map(unweighted, sides)
    first = tk.investigate(thinned(now, share), before).first_screen[0]
    assert (first.check, first.severity) == ("screen.headline", "critical")


def test_known_weights_leave_the_severity(sides):
    before, now = sides
    found = tk.investigate(thinned(unweighted(now), 0.3).with_weights(1), before)
    assert found.first_screen[0].check == "screen.headline"
    assert found.severity == "critical"


@pytest.mark.parametrize("world", [quiet, twice_the_traffic])
def test_healthy_recordings_have_no_such_line(world):
    for seed in range(6):
        before, now = map(unweighted, world(np.random.default_rng(seed)))
        lines = tk.investigate(now, before).first_screen
        assert "screen.caveat" not in {line.check for line in lines}
        assert lines.severity in {"info", "notice"}
