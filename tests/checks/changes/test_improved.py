"""What is better than in the baseline is said where it is beyond what varies, and never beside a regression."""

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import EPOCH, MS
from scipy import stats

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.changes.improved import improved


def requests(took_ms, failed=None, operation="GET /", *, begin):
    """Requests of one span, one a second."""
    n = len(took_ms)
    start = begin + np.arange(n) * 1000 * MS
    ids = [f"{k + 1:x}" for k in range(n)]
    spans = {
        "trace_id": [f"{begin + k:032x}" for k in range(n)],
        "span_id": ids,
        "name": operation,
        "kind": "SERVER",
        "service_name": "front",
        "status_code": np.where(np.zeros(n, bool) if failed is None else failed, "ERROR", "UNSET"),
    }
    end = start + (np.asarray(took_ms) * MS).astype(np.int64)
    return TraceSet.from_spans(pd.DataFrame({**spans, "start_ns": start, "end_ns": end})).with_weights(1)


def pair(now, before):
    """Current requests, an hour after those of the baseline."""
    return requests(*now, begin=EPOCH + 3_600_000 * MS), requests(*before, begin=EPOCH)


def found_in(now, before):
    current, baseline = pair(now, before)
    return improved(Case(current, baseline=Case(baseline)))


def numbers(found):
    return dict(found.values)


def bursty(rng, mean=50.0):
    """Latency of requests of which 20 in a row are slow together."""
    return mean * np.repeat(np.exp(rng.normal(0, 0.3, 20)), 20) * rng.lognormal(0, 0.3, 400)


def test_the_bundled_incident_after_its_end_is_an_improvement():
    before, during = tk.load_sample("checkout-regression")
    found = tk.investigate(before, during)
    headline = found.first_screen["headline"]
    text = "storefront POST /checkout p95 improved 256 \N{RIGHTWARDS ARROW} 100 ms"
    assert headline.headline.startswith(f"No significant regression. {text}")
    assert (headline.severity, found.severity) == ("info", "info")
    names = [line.check.removeprefix("screen.") for line in found.first_screen]
    assert not {"cause", "actions", "affected", "started"} & set(names)


def test_a_regression_is_the_headline_whatever_improved():
    rng = np.random.default_rng(1)
    slow, fast = rng.gamma(50, 4, 300), rng.gamma(50, 1, 300)
    names = np.repeat(["GET /", "PUT /"], 300)
    now, before = (np.r_[fast, slow], None, names), (np.r_[slow, fast], None, names)
    (found,) = found_in(now, before)
    assert (numbers(found)["operation"], found.severity) == ("GET /", "info")
    assert numbers(found)["baseline"] == pytest.approx(np.quantile(slow, 0.95) * MS, rel=0.03)
    assert numbers(found)["current"] == pytest.approx(np.quantile(fast, 0.95) * MS, rel=0.03)
    screen = tk.investigate(*pair(now, before)).first_screen
    assert screen["headline"].headline.startswith("front PUT / p95 regressed")


def test_fewer_errors():
    rng = np.random.default_rng(2)
    took = rng.gamma(50, 1, (2, 400))
    (found,) = found_in((took[0],), (took[1], rng.random(400) < 0.2))
    assert found.headline.startswith("Error rate fell ")
    assert numbers(found)["current_error_ratio"] == 0
    assert numbers(found)["baseline_error_ratio"] == pytest.approx(0.2, abs=0.06)
    assert "operation" not in numbers(found)


def test_errors_in_bursts_are_no_improvement():
    took = np.full(400, 50.0)
    failed = np.zeros(400, bool)
    failed[100:160] = True
    assert found_in((took,), (took, failed)) == []
    rng = np.random.default_rng(3)
    assert found_in((took,), (took, rng.permutation(failed)))


def test_equal_pairs_are_called_improved_as_seldom_as_the_level_says():
    rng = np.random.default_rng(4)
    steady = sum(bool(found_in(*((rng.lognormal(4, 0.3, 400),) for _ in "ab"))) for _ in range(100))
    bursts = sum(bool(found_in(*((bursty(rng),) for _ in "ab"))) for _ in range(100))
    for found in (steady, bursts):
        assert stats.binom.sf(found - 1, 100, 0.025) > 0.001


def test_planted_improvements_are_found():
    rng = np.random.default_rng(5)
    assert sum(bool(found_in((bursty(rng, 25),), (bursty(rng),))) for _ in range(20)) >= 18


@pytest.mark.parametrize("n", [0, 1, 19])
def test_few_requests_are_not_compared(n):
    assert found_in((np.full(n, 10.0),), (np.full(100, 50.0),)) == []
