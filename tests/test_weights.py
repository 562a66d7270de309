"""Inclusion probabilities: OpenTelemetry's examples, and every way to give weights."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit import TraceSet
from tracekit.attributes import Codes
from tracekit.weights import Weights, probability

FRAME = pd.DataFrame(
    {
        "trace_id": ["a1", "a1", "b2", "c3"],
        "span_id": ["1", "2", "3", "4"],
        "parent_span_id": [None, "1", None, None],
        "name": "x",
        "start_ns": [0, 1, 2, 3],
        "end_ns": 9,
        "trace_state": ["ot=th:8", "ot=th:c", None, "vendor=x"],
    }
)
TRACES = TraceSet.from_spans(FRAME)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        ("ot=th:0", 1.0),
        ("ot=th:8", 0.5),
        ("ot=th:c", 0.25),
        ("ot=th:fd70a4", 1 - 0xFD70A4 / 2**24),  # one in a hundred, as the specification rounds it
        ("ot=th:ffffffffffffff", 2.0**-56),
        ("ot=rv:6e6d1a75832a2f;th:8", 0.5),
        ("vendor=x , ot=th:c ,other=y", 0.25),
        ("vendor=th:8", None),
        ("ot=rv:6e6d1a75832a2f", None),
        ("ot=th:", None),
        ("ot=th:xyz", None),
        ("ot=th:-8", None),
        ("ot=th:" + "0" * 15, None),
        ("ot", None),
        ("", None),
        (",,=,;:", None),
    ],
)
def test_a_threshold_is_a_probability(state, wanted):
    assert probability(state) == wanted


@given(st.integers(0, 2**56 - 1))
def test_the_threshold_is_padded_on_the_right(threshold):
    digits = f"{threshold:014x}"
    short = digits.rstrip("0") or "0"
    assert probability(f"ot=th:{short}") == probability(f"ot=th:{digits}") == (2**56 - threshold) / 2**56


@given(st.text())
def test_no_tracestate_is_a_crash(state):
    found = probability("ot=th:" + state)
    assert found is None or 0 < found <= 1


def test_sets_that_differ_in_their_weights_share_what_is_derived_from_columns():
    weighted = TRACES.with_weights(20)
    assert weighted.lookup is TRACES.lookup
    assert weighted.spans is not TRACES.spans
    assert weighted.summary["weight"].tolist() == [20.0] * 3


def test_the_root_decides_and_unknown_weights_are_one_and_reported():
    assert TRACES.weights.value.tolist() == [2.0, 1.0, 1.0]
    assert TRACES.weights.known.tolist() == [True, False, False]
    assert TRACES.summary["weight_source"].tolist() == ["tracestate ot=th", "unknown", "unknown"]
    ratios = TRACES.spans["sampling_ratio"]
    assert ratios[:2].tolist() == [0.5, 0.25]
    assert ratios[2:].isna().all()
    assert repr(TRACES) == "TraceSet(3 traces, 4 spans, 1 service, 1970-01-01 00:00:00 to 00:00:00 UTC)"


@pytest.mark.parametrize(
    "weights",
    [
        [4, 5, 6],
        (4, 5, 6),
        np.array([4, 5, 6]),
        {f"{'c3':0>32}": 6, f"{'a1':0>32}": 4, f"{'b2':0>32}": 5},
        pd.Series([5.0, 4.0, 6.0], index=[f"{i:0>32}" for i in ("b2", "a1", "c3")]),
    ],
)
def test_weights_are_given_in_order_or_by_trace_id(weights):
    weighted = TRACES.with_weights(weights)
    assert weighted.summary["weight"].tolist() == [4.0, 5.0, 6.0]
    assert set(weighted.summary["weight_source"]) == {"given"}
    assert repr(weighted).endswith(", weighted)")
    assert weighted.where("span_id == '0000000000000003'").weights.value.tolist() == [5.0]
    assert weighted.with_weights("recorded").weights.value.tolist() == [2.0, 1.0, 1.0]
    assert TRACES.weights.value.tolist() == [2.0, 1.0, 1.0], "the first set stays as it was"


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([1, 2], "expected one weight for each of 3 traces, found 2"),
        ([1, 0, 1], r"weights must be from 1 to 2\^63; found 0.0 for trace 0+b2; pass"),
        ([1, -1, -1], "found -1.0 for trace 0+b2 and 1 other trace;"),
        (float("nan"), "found nan for trace 0+a1 and 2 other traces; pass 1 / sampling probability, indexed by"),
        ({f"{'a1':0>32}": 1}, "found nan for trace 0+b2"),
        (float("inf"), "found inf"),
        (0.5, "found 0.5"),
        (1e300, "found 1e.300"),
        ("twice", "unknown source of weights 'twice'; use 1 / sampling probability, .* or one of auto, "),
    ],
)
def test_weights_that_are_none_are_refused(weights, text):
    with pytest.raises(ValueError, match=text):
        TRACES.with_weights(weights)


def test_the_effective_number_is_kishs():
    def effective(*values):
        return Weights(np.array(values, float), Codes(np.zeros(len(values), np.int32), ["given"])).n_effective

    assert effective(3, 3, 3) == pytest.approx(3)
    assert effective(1, 3) == pytest.approx(16 / 10)
    assert effective() == 0.0


def test_no_traces_have_no_weights():
    empty = TraceSet.from_spans(FRAME[:0])
    assert empty.weights.value.tolist() == []
    assert empty.with_weights(2).weights.value.tolist() == []
