"""Traces that a declared tail policy dropped are not lost: the funnel names the policies, and what was lost beside."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.test_sampling_recording import ROUTES

import tracekit as tk


@pytest.fixture(scope="module")
def world():
    names = ("tail", "collector", "access-log")
    tail, collector, log = tk.load_sample("tail-sampled", *names)
    read = tk.read_requests(log, routes=ROUTES, window="60s")
    return tail, collector, read


def funnel(traces, **given):
    (found,) = [finding for finding in tk.sampling(traces, **given) if finding.check == "coverage.funnel"]
    return found


@pytest.mark.parametrize("stages", [{}, {"sampled": 5000}])
def test_what_the_policies_dropped_is_not_lost_at_recording(world, stages):
    tail, collector, read = world
    given = {"requests": read.counts, "rules": collector, "expected": {"stages": stages}}
    seen = tk.coverage(tail, **given)
    assert seen.loses_most == "tail policies"
    assert (
        seen.summary
        == "10.9% of 5,000 requests have a searchable trace; most are dropped by the declared tail policies"
    )
    table = seen.funnel.set_index("stage")
    assert list(table.index) == ["requests", *stages, "delivered", "tail policies"]
    assert table.loc["delivered", "estimate_low"] < 1 < table.loc["delivered", "estimate_high"], (
        "all 5,000 reached the policies"
    )
    assert table.loc["tail policies", "status"] == "ok"
    assert np.prod(table["estimate"].to_numpy()[1:]) == pytest.approx(547 / 5000)
    said = funnel(tail, **given).headline
    assert "dropped before storage" not in said
    assert ("Without the tail policies it would be 101.8% (89.9–113.6%)" in said) == (not stages)


def test_other_losses_are_still_found(world):
    tail, collector, read = world
    kept = np.random.default_rng(1).random(len(tail)) < 0.5
    half = tail.where(kept[tail.forest.trace])
    given = {"requests": read.counts, "rules": collector, "expected": {"stages": {"sampled": 5000}}}
    seen = tk.coverage(half, **given)
    assert seen.loses_most == "delivered"
    assert "most are lost at delivery" in seen.summary
    text = funnel(half, **given).headline
    assert "dropped before storage, in addition to those that the tail policies drop" in text


def test_without_the_weights_of_the_policies_both_are_one_stage(world):
    tail, collector, read = world
    seen = tk.coverage(tail, log=read.log, rules=collector)
    assert seen.funnel["stage"].tolist() == ["requests", "tail policies"]
    assert seen.funnel["status"].tolist() == ["measured", "measured"]
    said = funnel(tail, log=read.log, rules=collector).headline
    assert "only the policies' weights distinguish the two" in said


def test_without_a_declared_policy_the_stage_is_recording(world):
    tail, _, read = world
    seen = tk.coverage(tail, requests=read.counts)
    assert seen.funnel["stage"].tolist() == ["requests", "recorded"]
    assert "lost at recording" in seen.summary


def test_where_all_reached_the_policies_nothing_is_broken():
    """Every trace is kept by a policy that keeps every second one; no weight is in doubt."""
    ids = [f"{n:032x}" for n in range(1, 4001)]
    frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": 1, "end_ns": 6})
    rules = {"processors": {"tail_sampling": {"policies": [{"name": "all", "type": "always_sample"}]}}}
    said = funnel(tk.TraceSet.from_spans(frame), requests=pd.DataFrame({"count": [4000]}), rules=rules)
    assert said.severity == "info"
    assert "no unexpected loss" in said.headline
