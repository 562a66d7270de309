"""What varies between stretches of time is no regression."""

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import EPOCH, MS
from scipy import stats

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.changes.affected import Band
from tracekit.checks.changes.variation import P_VALUE, dispersion_of, p_of_variation, weighed
from tracekit.checks.comparison import Changes
from tracekit.checks.overview import Overview
from tracekit.findings import Finding
from tracekit.stats.stretches import p_value_of_rise

LATER = EPOCH + 3_600_000 * MS


def requests(took_ms):
    """Requests of one span, one a second."""
    begin = EPOCH + np.arange(len(took_ms)) * 1000 * MS
    ids = [f"{k + 1:x}" for k in range(len(took_ms))]
    spans = {"trace_id": [one.rjust(32, "0") for one in ids], "span_id": ids, "name": "GET /", "service_name": "front"}
    end = begin + (np.asarray(took_ms) * MS).astype(np.int64)
    return TraceSet.from_spans(pd.DataFrame({**spans, "start_ns": begin, "end_ns": end})).with_weights(1)


def changes(before, now):
    return Changes(Overview(requests(before)), Overview(requests(now)))


def band(before, now, limit_ms=100):
    was, current = requests(before), requests(now)
    condition = f"depth == 0 and duration_ns > {limit_ms * MS}"
    return Band("", condition, current, was, "requests", ("slow", "the rest"), ("are slow", "are slow"), "request")


def test_the_p_value_is_that_of_the_stretches():
    rng = np.random.default_rng(1)
    before, now = rng.gamma(5, 10, 200), rng.gamma(5, 10.5, 100)
    assert p_of_variation(changes(before, now), None) == pytest.approx(p_value_of_rise(before, now), rel=1e-6)
    wanted = p_value_of_rise(before > 80, now > 80)
    assert p_of_variation(changes(before, now), band(before, now, 80)) == pytest.approx(wanted, rel=1e-6)


def test_a_clear_regression_and_an_improvement():
    rng = np.random.default_rng(2)
    slow, fast = rng.gamma(50, 4, 200), rng.gamma(50, 1, 200)
    assert p_of_variation(changes(fast, slow), None) < 1e-6
    assert p_of_variation(changes(slow, fast), None) > 0.999
    assert p_of_variation(changes(fast, slow), band(fast, slow)) < 1e-6


@pytest.mark.parametrize("n", [0, 1, 39])
def test_with_few_requests_the_variation_is_not_known(n):
    assert p_of_variation(changes(np.full(n, 10.0), np.full(100, 50.0)), None) == 0


def test_a_baseline_that_never_varies():
    assert p_of_variation(changes(np.full(100, 10.0), np.full(100, 50.0)), None) == 0
    assert p_of_variation(changes(np.full(100, 10.0), np.full(100, 10.0)), None) == 1


def test_load_in_bursts_is_called_a_regression_as_seldom_as_the_level_says():
    rng = np.random.default_rng(3)

    def bursty():
        return 50 * np.repeat(np.exp(rng.normal(0, 0.3, 20)), 20) * rng.lognormal(0, 0.3, 400)

    means, shares = [], []
    for _ in range(150):
        before, now = bursty(), bursty()
        both = changes(before, now)
        means.append(p_of_variation(both, None))
        shares.append(p_of_variation(both, band(before, now, int(np.quantile(before, 0.95)))))
    for found in (means, shares):
        assert stats.binom.sf((np.array(found) <= 0.025).sum() - 1, 150, 0.025) > 0.001


def test_bursts_make_no_warning_and_a_regression_under_bursts_does():
    rng = np.random.default_rng(5)

    def bursty(factor=1.0):
        took_ms = 50 * factor * np.repeat(np.exp(rng.normal(0, 0.3, 20)), 20) * rng.lognormal(0, 0.3, 400)
        return requests(took_ms)

    def alarms(factor):
        found = tk.investigate(bursty(factor), bursty(), steps=["changes"]).findings
        return {one.check for one in found if one.severity in {"warning", "critical"}}

    assert stats.binom.sf(sum(bool(alarms(1)) for _ in range(30)) - 1, 30, 0.05) > 0.001
    assert sum({"slower", "change"} <= alarms(2) for _ in range(5)) == 5


def test_a_change_that_varies_as_much_is_a_notice_that_says_so():
    before, now = (np.tile(np.repeat([10.0, slow], 20), 10) for slow in (60, 66))
    case = Case(requests(now), baseline=Case(requests(before)))
    finding = Finding("change", "warning", "Mean latency regressed.", remedy="Roll back.")
    (found,) = weighed(lambda _: [finding])(case)
    assert (found.severity, found.status, found.remedy) == ("notice", "inconclusive", "")
    assert found.headline == "Mean latency regressed. It varies as much from one stretch of time to the next."
    changes_ = Changes(Overview(requests(before)), Overview(requests(now)))
    assert dict(found.values)[P_VALUE] == p_of_variation(changes_, None) > 0.025
    (kept,) = weighed(lambda _: [finding])(Case(requests(now + 100), baseline=Case(requests(before))))
    assert (kept.severity, kept.headline, kept.remedy) == ("warning", finding.headline, finding.remedy)


def test_outcomes_in_bursts_are_dispersed():
    rng = np.random.default_rng(4)
    independent = np.where(rng.random(2_000) < 0.1, 200.0, 10.0)
    bursts = np.where(np.repeat(rng.random(20) < 0.2, 100) & (rng.random(2_000) < 0.5), 200.0, 10.0)
    assert dispersion_of(band(independent, independent)) < 2
    assert dispersion_of(band(bursts, bursts)) > 10
    assert dispersion_of(band(np.full(500, 10.0), np.full(500, 10.0))) == 1


def test_a_group_that_is_affected_is_tested_by_itself():
    """One request in ten is of the group, and slow now: of all requests that is no more than chance makes of some."""
    rng = np.random.default_rng(7)
    of_group = np.arange(400) % 10 == 0
    before = np.where(np.repeat(rng.random(20) < 0.4, 20) & (rng.random(400) < 0.3), 200.0, 10.0)
    now = np.where(of_group & (np.arange(400) > 200), 200.0, before)
    both = changes(before, now), band(before, now)
    assert p_of_variation(*both) > 0.05
    group = of_group, of_group & (np.arange(400) < 400)
    assert p_of_variation(*both, (group[0], np.ones(400, bool))) < p_of_variation(*both)
