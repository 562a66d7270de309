"""Weights found from the spans that decide are those found from all spans."""

import functools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weights.test_resolve import LOCAL

import tracekit as tk
from tracekit.weights.deciding_spans import deciding_rows
from tracekit.weights.resolve import Evidence, resolve_weights
from tracekit.weights.rule_formats import sampling_rules

POLICIES = {
    "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": 300}},
        {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 30}},
    ]
}


@functools.cache
def recorded():
    """Spans of some requests."""
    return tk.load_sample("checkout-regression")[1].head(40).spans


def damaged(seed):
    """Requests without some spans, roots among them; marks, flags and times that only some spans have."""
    frame = recorded()
    rng = np.random.default_rng(seed)
    frame = frame[rng.random(len(frame)) > 0.2].copy()
    columns = {"name": frame["name"], "start_ns": frame["start_time"].astype("int64")}
    columns["end_ns"] = frame["end_time"].astype("int64").where(rng.random(len(frame)) > 0.05, 0)
    columns["trace_flags"] = (rng.random(len(frame)) < 0.4).astype(int)
    columns["trace_state"] = rng.choice(["ot=th:8", "ot=th:c", None], len(frame), p=[0.1, 0.1, 0.8])
    columns["attributes.SampleRate"] = rng.choice([7, None], len(frame), p=[0.2, 0.8])
    names = ["trace_id", "span_id", "parent_span_id", "kind", "service_name", "status_code", "service_instance_id"]
    return tk.TraceSet.from_spans(frame[names].assign(**columns))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), rules=st.sampled_from([None, 0.25, LOCAL, POLICIES]))
def test_weights_depend_on_these_spans_only(seed, rules):
    traces = damaged(seed)
    rules = None if rules is None else sampling_rules(rules)
    has_policies = rules is not None and bool(rules.tail)
    rows = deciding_rows(traces, has_policies=has_policies)
    some = tk.TraceSet(traces.columns.take(rows))
    assert some.trace_ids == traces.trace_ids
    assert len(rows) < len(traces.columns.spans)
    (found, obstacles), (expected, others) = (resolve_weights(each, Evidence(rules)) for each in (some, traces))
    assert obstacles == others
    assert found.refusal == expected.refusal
    assert np.array_equal(found.value, expected.value)
    assert found.source.series().tolist() == expected.source.series().tolist()
    for one, other in zip(found.source.labels, expected.source.labels, strict=True):
        assert one == other


@pytest.mark.parametrize("flags", [1, 0])
def test_a_resource_that_sets_the_bit_in_a_child_only_sets_it(flags):
    """Two traces of one resource, each a root and a child: without a bit anywhere, no root is captured unsampled."""
    spans = [f"{at:016x}" for at in (1, 2, 3, 4)]
    frame = pd.DataFrame({"trace_id": [*"abab"], "span_id": spans, "parent_span_id": [None, None, *spans[:2]]})
    frame = frame.assign(trace_id=frame["trace_id"] * 32, name="a", start_ns=10**18, end_ns=10**18 + 9)
    traces = tk.TraceSet.from_spans(frame.assign(service_name="web", trace_flags=[0, 0, 0, flags]))
    some = tk.TraceSet(traces.columns.take(deciding_rows(traces, has_policies=False)))
    for each in (some, traces):
        assert set(each.with_weights(1).weights.value) == {1.0}
        assert resolve_weights(each, Evidence())[0].sources == ({"not sampled": 2} if flags else {"unknown": 2})
    assert len(some.columns.spans) == 2 + flags
