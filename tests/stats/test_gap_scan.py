"""The scan for gaps finds drops that were made, where they were made, and imagines none."""

import numpy as np
import pytest
from scipy.signal import lfilter

from tracekit.stats.gap_scan import gap_scan, window_lengths

DAY = 24


def wave(bins=168, mean=800):
    """Requests an hour, with days and nights."""
    return mean * (1 + 0.8 * np.sin(np.arange(bins) / DAY * 2 * np.pi))


def is_alarm(gap):
    return gap.p < 0.01 and gap.loss >= 0.2


def test_a_gap_is_found_where_it_is():
    requests = np.full(168, 1000)
    traced = np.random.default_rng(5).binomial(1000, 0.1, 168)
    traced[60:66] //= 4
    gap = gap_scan(traced, requests)
    assert (gap.start, gap.end) == (60, 66)
    assert gap.p < 1e-6
    assert gap.loss == pytest.approx(0.75, abs=0.05)
    assert gap.traced == traced[60:66].sum()
    assert gap.expected == pytest.approx(600, rel=0.05)
    assert gap.loss == pytest.approx(1 - gap.traced / gap.expected)


def test_a_gap_longer_than_any_window_is_found_whole():
    traced = np.full(168, 100)
    traced[60:100] = 20
    gap = gap_scan(traced, np.full(168, 1000))
    assert max(window_lengths(24)) < 40
    assert (gap.start, gap.end) == (60, 100)


def test_a_rise_is_no_gap():
    traced = np.full(120, 30)
    traced[50:59] = 60
    gap = gap_scan(traced, np.full(120, 600))
    assert not is_alarm(gap)
    assert not 50 <= gap.start < 59


def test_a_share_that_rules_change_is_no_gap():
    """A reservoir of one a second keeps much of the night and little of the day; what it lets expect explains that."""
    requests = np.random.default_rng(3).poisson(wave(mean=20_000))
    due = np.minimum(requests, 3600) + 0.05 * np.maximum(requests - 3600, 0)
    traced = np.random.default_rng(4).binomial(requests, 0.7 * due / requests)
    gap = gap_scan(traced, requests, expected=due)
    assert not is_alarm(gap)
    assert gap.share == pytest.approx(0.7, rel=0.02)
    traced[70:74] //= 3
    gap = gap_scan(traced, requests, expected=due)
    assert is_alarm(gap)
    assert (gap.start, gap.end) == (70, 74)
    assert not is_alarm(gap_scan(traced, requests)), "the guard: by requests alone the share varies too much to tell"
    assert gap_scan(traced, requests, expected=7 * due).loss == pytest.approx(gap.loss), "up to a factor"


@pytest.mark.parametrize(("rate", "wander"), [(0.05, 0.0), (0.9, 0.0), (0.5, 0.15)])
def test_no_false_gaps(rate, wander):
    """Days and nights, and shares that vary: false alarms of 100 weeks stay within the binomial limit of 2 %."""
    rng, alarms = np.random.default_rng(11), 0
    for seed in range(100):
        requests = rng.poisson(wave())
        share = np.clip(rate * np.exp(wander * rng.standard_normal(168)), 0, 1)
        alarms += is_alarm(gap_scan(rng.binomial(requests, share), requests, seed=seed))
    assert alarms <= 5


def test_a_share_that_wanders_is_no_gap():
    rng, alarms = np.random.default_rng(15), 0
    for seed in range(20):
        requests = rng.poisson(wave(bins=480, mean=600))
        share = 0.05 * np.exp(lfilter([1], [1, -0.8], rng.normal(0, 0.1, 480)))
        alarms += is_alarm(gap_scan(rng.binomial(requests, share), requests, seed=seed))
    assert alarms <= 2


def test_real_gaps_are_found():
    rng, found = np.random.default_rng(12), 0
    for seed in range(40):
        requests = rng.poisson(800, 168)
        traced = rng.binomial(requests, 0.05)
        traced[70:74] = rng.binomial(traced[70:74], 0.3)
        gap = gap_scan(traced, requests, seed=seed)
        found += gap.p < 0.01 and gap.start <= 72 < gap.end
    assert found >= 38


def test_an_outage_does_not_drag_the_usual_share():
    rng = np.random.default_rng(16)
    share = np.full(480, 0.05)
    share[200:260] = 0.01
    requests = rng.poisson(wave(bins=480, mean=600))
    gap = gap_scan(rng.binomial(requests, share), requests)
    assert gap.share == pytest.approx(0.05, rel=0.05)
    assert gap.loss == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("traced", [30, 600, 0])
def test_constant_shares_have_no_gap(traced):
    gap = gap_scan(np.full(60, traced), np.full(60, 600))
    assert (gap.start, gap.end, gap.loss) == (0, 0, 0.0)
    assert gap.p > 0.5


def test_bins_without_requests_hold_no_gap():
    requests = np.full(60, 600)
    requests[20:30] = 0
    gap = gap_scan(requests // 20, requests)
    assert (gap.start, gap.end) == (0, 0)
    assert gap_scan(np.zeros(60), np.zeros(60)).end == 0


def test_everything_in_one_bin_is_no_fault():
    requests = np.zeros(60)
    requests[30] = 1000
    assert gap_scan(requests / 10, requests).p > 0.5


@pytest.mark.parametrize("each", [0.1, 0.5])
def test_a_loss_of_thirty_traces_is_found_where_most_bins_are_empty(each):
    """A day of minutes with a trace every two or ten: at one trace in ten minutes the usual share was taken for 0."""
    rng, long, found, alarms = np.random.default_rng(21), int(30 / each), 0, 0
    for seed in range(12):
        requests = rng.poisson(50, 1440)
        traced = rng.binomial(requests, each / 50)
        alarms += is_alarm(gap_scan(traced, requests, seed=seed))
        at = int(rng.integers(20, 1420 - long))
        traced[at : at + long] = 0
        gap = gap_scan(traced, requests, seed=seed)
        right = min(gap.end, at + long) - max(gap.start, at)
        found += is_alarm(gap) and right > 0.8 * (max(gap.end, at + long) - min(gap.start, at))
    assert alarms <= 1
    assert found >= 10


def test_bins_with_enough_traces_stay_as_they_are():
    traced, requests = np.full(60, 30), np.full(60, 600)
    traced[20:25] = 0
    gap = gap_scan(traced, requests)
    assert (gap.start, gap.end, gap.traced, gap.loss) == (20, 25, 0.0, 1.0)


def test_a_gap_between_two_scanned_lengths_has_its_length_and_depth():
    """Fifteen bins, of which sixty in a hundred are lost; windows of twelve and sixteen are tried."""
    rng, errors, exact = np.random.default_rng(31), [], 0
    for seed in range(30):
        requests, share = rng.poisson(400, 240), np.full(240, 0.2)
        share[100:115] *= 0.4
        gap = gap_scan(rng.binomial(requests, share), requests, seed=seed)
        exact += (gap.start, gap.end) == (100, 115)
        errors.append(gap.loss - 0.6)
    assert exact >= 28
    assert abs(np.mean(errors)) < 0.01
