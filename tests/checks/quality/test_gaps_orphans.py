"""Collection gaps without counts: traces that lack parents, clustered in time and in one zone."""

import numpy as np
import pandas as pd
import pytest
from checks.quality.clean_worlds import START, recording
from checks.quality.worlds import MINUTE, spans

import tracekit as tk
from tracekit import TraceSet
from tracekit.stats.cluster_scan import cluster_scan


def check(frame):
    (found,) = tk.quality(TraceSet.from_spans(frame), checks=["gap.orphans"])
    return found


def shop(seed=1):
    frame, _ = recording(np.random.default_rng(seed), "even")
    return frame, (frame["start_ns"] - START) // MINUTE


def test_a_zone_whose_spans_were_not_collected_is_named_with_its_time():
    frame, minute = shop()
    is_down = minute.between(20, 29) & (frame["attributes.cloud.availability_zone"] == "eu-1b")
    found = check(frame[~is_down])
    assert found.severity == "warning"
    assert "Spans of `zone eu-1b` fell by" in found.headline
    begin = pd.Timestamp(START + 20 * MINUTE, unit="ns", tz="UTC")
    row = found.evidence.iloc[0]
    assert abs(row["start_time"] - begin) < pd.Timedelta("1min")
    assert abs(row["end_time"] - begin - pd.Timedelta("10min")) < pd.Timedelta("1min")
    assert found.estimate.low < 0.5 < found.estimate.high, "half of the traces pass the zone"
    assert row["loss_ratio"] > 0.9
    assert found.exemplars


def test_one_instance_is_named_where_its_zone_has_another():
    frame, minute = shop()
    is_down = minute.between(20, 29) & (frame["service_instance_id"] == "shop-1")
    found = check(frame[~is_down])
    assert "Spans of `host shop-host-1` fell by" in found.headline


def test_a_time_in_which_parents_are_missing_everywhere_has_no_place():
    frame, minute = shop()
    found = check(frame[~(minute.between(20, 29) & (frame["span_id"] == "2"))])
    assert found.severity == "warning"
    assert "fell by" not in found.headline


@pytest.mark.parametrize("seed", range(4))
def test_a_steady_loss_and_a_recording_that_begins_in_the_middle_are_no_gap(seed):
    frame, _ = shop(seed)
    rng = np.random.default_rng(seed)
    assert check(frame).severity == "info"
    assert check(frame[rng.random(len(frame)) < 0.95]).severity == "info"
    first = frame["trace_id"].isin(frame.sort_values("start_ns")["trace_id"].head(10))
    assert check(frame[~(first & (frame["span_id"] == "1"))]).severity == "info"


def test_few_traces_are_not_assessable():
    assert "needs at least 120 traces" in check(spans(40)).headline


def test_marks_in_any_order_are_no_cluster():
    rng = np.random.default_rng(2)
    p = [cluster_scan(rng.random(500) < share, replicates=99).p for share in (0.01, 0.2, 0.9) for _ in range(60)]
    assert 0 < np.mean(np.array(p) <= 0.05) <= 0.10
    assert cluster_scan(np.zeros(50, bool)) == cluster_scan(np.ones(50, bool)) == (0, 0, 1.0)
