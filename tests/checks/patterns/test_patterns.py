"""Patterns: planted ones are named with caller, callee and cost; healthy shops have none."""

import numpy as np
import pytest
from checks.patterns.pattern_worlds import PLANTED, Shop, healthy_call
from checks.quality.clean_worlds import CASES, recording

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.registry import CHECKS

DETECTORS = [check.name for check in CHECKS if check.topic == "patterns"]


def test_every_detector_has_a_planted_world():
    assert sorted(PLANTED) == sorted(DETECTORS)


@pytest.mark.parametrize("check", PLANTED)
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_pattern_is_named_and_no_other(check, seed):
    plant, share = PLANTED[check]
    traces = Shop(np.random.default_rng(seed)).traces(plant, share)
    found = tk.patterns(traces)
    assert {finding.check for finding in found} == {check}
    first = found[0]
    trace_id, span_id = first.exemplars
    assert span_id in set(traces.trace(trace_id).spans["span_id"])
    assert first.estimate.value > 0
    assert first.values["trace_count"] == pytest.approx(share * len(traces), rel=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_shop_has_no_pattern(seed):
    assert not len(tk.patterns(Shop(np.random.default_rng(seed)).traces(healthy_call)))


@pytest.mark.parametrize("case", CASES)
def test_a_clean_world_has_no_pattern(case):
    frame, _ = recording(np.random.default_rng(7), case, n=200)
    assert not [f for f in tk.patterns(TraceSet.from_spans(frame)) if f.severity != "info"]
