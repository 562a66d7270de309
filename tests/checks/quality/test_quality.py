"""``quality`` as a whole: every check speaks, none says ok without its inputs, and nothing is touched."""

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import rpc, said, spans, status, trace_ids

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks import registry
from tracekit.findings import finding as build_finding

NEEDY = {
    "counts.join": "needs request counts",
    "gap.scan": "needs request counts with times",
    "ingest.lag": "needs arrival times",
    "cost": "needs prices",
    "coldstart.bias": "needs traces of functions",
    "gap.silence": "needs request counts",
    "clock.offset": "calls between two hosts",
    "clock.drift": "calls between two hosts",
    "clock.cycle": "needs calls around a cycle of hosts",
}

CHECKS = [check.name for check in registry.CHECKS if check.topic == "quality"]


def checks_of(findings):
    return {name for name in CHECKS if any(finding.check.startswith(name) for finding in findings)}


@pytest.mark.parametrize("n", [0, 1, 3, 200])
def test_every_check_returns_a_finding_whatever_is_known(n):
    traces = TraceSet.from_spans(spans(max(n, 1)))
    found = tk.quality(traces if n else traces.where("duration_ns < 0"))
    assert checks_of(found) == set(CHECKS)
    for finding in found:
        assert finding.headline.endswith(".")
        assert finding.code.startswith("tk.quality(traces")
        assert "p =" not in finding.headline
        assert "nan" not in finding.headline
        assert set(finding.evidence["status"]) <= {
            "ok",
            "measured",
            "warning",
            "failed",
            "inconclusive",
            "not_assessable",
        }


def test_nothing_is_ok_without_its_inputs():
    found = tk.quality(TraceSet.from_spans(spans(3)))
    for name, needs in NEEDY.items():
        assert status(found, name) == "not_assessable"
        assert needs in said(found, name)
        assert all(finding.severity == "notice" for finding in found if finding.check == name)


def test_numbers_come_with_interval_and_n():
    for finding in tk.quality(rpc(200), prices={"recorded": 5.0}):
        if finding.estimate is not None:
            assert finding.estimate.low <= finding.estimate.value <= finding.estimate.high
            assert finding.estimate.n > 0


def test_the_call_gives_the_findings_again():
    counts = pd.DataFrame({"count": [10_000]})
    found = tk.quality(rpc(20), requests=counts, prices={"recorded": 5.0})
    assert {finding.code for finding in found} == {"tk.quality(traces, requests=requests, prices=prices)"}


def test_the_order_of_rows_is_no_matter_and_the_input_stays():
    frame = rpc(60).spans[
        ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
    ]
    counts = pd.DataFrame({"count": [600]})
    before = frame.copy(), counts.copy()
    first = tk.quality(TraceSet.from_spans(frame), requests=counts)
    second = tk.quality(TraceSet.from_spans(frame.sample(frac=1, random_state=1)), requests=counts)
    assert [finding.headline for finding in first] == [finding.headline for finding in second]
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_frame_equal(counts, before[1])


def test_the_most_severe_come_first_and_are_shown_in_a_notebook():
    frame = pd.concat([spans(60), spans(60, span_id="2", parent_span_id="9")])
    frame["attributes.key"] = "AKIAIOSFODNN7EXAMPLE"
    found = tk.quality(TraceSet.from_spans(frame))
    assert [finding.check for finding in found[:2]] == ["complete.spans", "pii"]
    assert found.worst == "critical"
    assert "<table" in found._repr_html_()
    assert found[1].status == "failed"


def test_samples_are_assessed_without_a_fault():
    for traces in tk.load_sample("checkout-regression"):
        found = tk.quality(traces)
        assert checks_of(found) == set(CHECKS)
        assert status(found, "complete.spans") == "ok"
        assert status(found, "duplicates.ids") == "ok"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"checks": ["clock"]}, "expected checks among complete.spans, .* found 'clock'"),
        ({"prices": {"euro": 1.0}}, "expected prices among recorded, scanned, budget, incident, found euro"),
        ({"tolerance": 0.5}, "expected a tolerance from 0 to below 0.5, found 0.5"),
        ({"confidence": 95}, "expected a confidence level between 0 and 1, such as 0.95, found 95"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        tk.quality(TraceSet.from_spans(spans(1)), **given)


def test_a_finding_without_rows_still_has_its_status():
    assert build_finding("x", "ok", "Fine.", pd.DataFrame({"a": []})).evidence["status"].tolist() == ["ok"]


def test_levels_widen_intervals():
    whole = pd.concat([spans(300), spans(300, span_id="2", parent_span_id="1")])
    lost = TraceSet.from_spans(whole[~((whole["span_id"] == "1") & whole["trace_id"].isin(trace_ids(30)))])
    narrow, wide = (
        tk.quality(lost, confidence=confidence, checks=["complete.spans"])[0].estimate for confidence in (0.8, 0.99)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert np.isclose(narrow.value, wide.value)
