"""Onset, peak and recovery: planted steps are found in their intervals, and nothing is claimed without one."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit import TraceSet

EPOCH, SECOND = 1_700_000_000_000_000_000, 1_000_000_000
BEGAN, ENDED, LENGTH = 500, 740, 1200  # s


def recorded(rng, *, factor=1.0, failing=0.02, surge=1, n=1000, until=ENDED):
    """Requests of one service; latency, errors or the request rate change from BEGAN to ``until``."""
    at = np.sort(rng.uniform(0, LENGTH, n * surge))
    during = (at >= BEGAN) & (at < until)
    kept = during | (rng.random(len(at)) < 1 / surge)
    at, during = at[kept], during[kept]
    took = rng.lognormal(17, 0.5, len(at)) * np.where(during, factor, 1)
    start = EPOCH + (at * SECOND).astype(np.int64)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:032x}" for k in range(len(at))],
            "span_id": [f"{k + 1:016x}" for k in range(len(at))],
            "parent_span_id": "",
            "name": "GET /",
            "service_name": "web",
            "start_ns": start,
            "end_ns": start + took.astype(np.int64),
            "status_code": np.where(rng.random(len(at)) < np.where(during, failing, 0.02), "ERROR", "OK"),
        }
    )
    return TraceSet.from_spans(frame)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("metric", "planted", "before", "during"),
    [
        ("latency", {"factor": 2}, 2.74e7, 5.5e7),  # mean of a log-normal: exp(17 + 0.5^2 / 2)
        ("critical_path_time", {"factor": 2}, 2.74e7, 5.5e7),
        ("error_rate", {"failing": 0.3}, 0.02, 0.3),
        ("request_rate", {"surge": 3}, 0.833, 2.5),
    ],
)
def test_a_planted_change_is_in_its_interval_with_its_means(rng, metric, planted, before, during):
    found = tk.timeline(recorded(rng, **planted)).changes
    rows = found[found["metric"] == metric].set_index("kind")
    for kind, second in {"onset": BEGAN, "recovery": ENDED}.items():
        assert rows.loc[kind, "low_ns"] <= EPOCH + second * SECOND <= rows.loc[kind, "high_ns"]
    assert rows.loc["onset", ["before_value", "after_value"]].tolist() == pytest.approx([before, during], rel=0.2)
    assert rows.loc["recovery", ["before_value", "after_value"]].tolist() == pytest.approx([during, before], rel=0.3)
    assert rows.loc["onset", "time_ns"] <= rows.loc["peak", "low_ns"] <= rows.loc["peak", "time_ns"]
    assert rows.loc["peak", "time_ns"] <= rows.loc["peak", "high_ns"] <= rows.loc["recovery", "time_ns"]
    assert rows.loc["peak", "after_value"] >= rows.loc["onset", "after_value"]
    assert set(found["metric"]) <= {metric, "latency", "critical_path_time"}


def test_a_change_that_lasts_to_the_end_has_no_recovery(rng):
    seen = tk.timeline(recorded(rng, factor=2, until=LENGTH))
    assert set(seen.changes["kind"]) == {"onset", "peak"}
    before, during, after = seen.cohorts()
    assert (len(before) + len(during), len(after)) == (1000, 0)


def test_cohorts_contain_every_trace_once_in_the_order_of_time(rng):
    traces = recorded(rng, factor=2)
    cohorts = tk.timeline(traces).cohorts()
    assert [trace for cohort in cohorts for trace in cohort.trace_ids] == traces.trace_ids
    during = cohorts.during.summary["start_ns"]
    assert during.min() == pytest.approx(EPOCH + BEGAN * SECOND, abs=20 * SECOND)
    assert during.max() == pytest.approx(EPOCH + ENDED * SECOND, abs=20 * SECOND)


@pytest.mark.parametrize("n", [1, 50, 1000])
def test_nothing_is_claimed_without_a_change(n):
    seen = tk.timeline(recorded(np.random.default_rng(3), n=n))
    assert seen.changes.empty
    assert seen.affected.empty
    with pytest.raises(ValueError, match=f"expected a change, found none in {n:,} requests; choose the periods"):
        seen.cohorts()
