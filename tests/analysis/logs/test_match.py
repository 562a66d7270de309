"""Joining of log lines: hand-drawn lines with known answers, and the fallback against a search through all spans."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit import TraceSet

START, MS = 1_764_000_000_000_000_000, 1_000_000


def traces_of(*spans, weight=None):
    """Spans as (trace, span, parent, service, host, start ms, end ms)."""
    rows = [
        {
            "trace_id": f"{trace:032x}",
            "span_id": f"{span:016x}",
            "parent_span_id": None if parent is None else f"{parent:016x}",
            "service_name": service,
            "name": f"work {span}",
            "kind": "SERVER",
            "start_ns": START + int(begin * MS),
            "end_ns": START + int(end * MS),
            "resource.host.name": host,
        }
        for trace, span, parent, service, host, begin, end in spans
    ]
    found = TraceSet.from_spans(pd.DataFrame(rows))
    return found if weight is None else found.with_weights(weight)


def joined(traces, *lines, **options):
    """Lines as (ms, dict of further fields)."""
    frame = pd.DataFrame([{"time": START + int(at * MS), "message": "x", **more} for at, more in lines])
    return tk.logs(traces, frame.astype(object).where(frame.notna(), None), **options).lines


def facts(lines):
    ids = ([None if pd.isna(one) else int(one, 16) for one in lines[name]] for name in ("trace_id", "span_id"))
    return list(zip(lines["match"], *ids, lines["candidate_count"], strict=True))


#  trace 1  cart  a |--------------| 0..100
#             cart  a  |----| 10..50
#             cart  a        |---| 60..90
#  trace 2  cart  b      |----| 40..80
#  trace 3  pay   a      |----| 40..80
DRAWN = (
    (1, 1, None, "cart", "a", 0, 100),
    (1, 2, 1, "cart", "a", 10, 50),
    (1, 3, 1, "cart", "a", 60, 90),
    (2, 4, None, "cart", "b", 40, 80),
    (3, 5, None, "pay", "a", 40, 80),
)


@pytest.mark.parametrize(
    ("at", "line", "expected"),
    [
        (20, {"trace_id": f"{1:032x}", "span_id": f"{2:016x}"}, ("span_id", 1, 2, 1)),
        (20, {"trace_id": f"{1:032x}"}, ("trace_id", 1, None, 1)),
        (20, {"trace_id": f"{1:032x}", "span_id": f"{9:016x}"}, ("trace_id", 1, None, 1)),
        (20, {"trace_id": f"{9:032x}", "service": "pay"}, ("other_trace", None, None, 0)),
        (20, {"span_id": f"{3:016x}"}, ("span_id", 1, 3, 1)),
        (20, {"dd.trace_id": "2"}, ("trace_id", 2, None, 1)),
        (5, {"service": "cart"}, ("time", 1, 1, 1)),
        (20, {"service": "cart"}, ("time", 1, 2, 1)),
        (55, {"service": "cart"}, ("ambiguous", None, None, 2)),
        (55, {"service": "cart", "host": "a"}, ("time", 1, 1, 1)),
        (55, {"service": "cart", "host": "b"}, ("time", 2, 4, 1)),
        (55, {"host": "a"}, ("ambiguous", None, None, 2)),
        (55, {"service": "pay"}, ("time", 3, 5, 1)),
        (55, {"service": "cart", "host": "z"}, ("none", None, None, 0)),
        (55, {}, ("none", None, None, 0)),
        (500, {"service": "cart"}, ("none", None, None, 0)),
        (-5, {"service": "cart"}, ("none", None, None, 0)),
    ],
)
def test_a_line_is_joined_as_drawn(at, line, expected):
    exact = (1000.000001, {})  # so that times have a resolution of 1 ns
    found = joined(traces_of(*DRAWN), (at, line), exact, tolerance_ms=0)
    assert facts(found)[0] == expected


def test_spans_side_by_side_give_the_trace_without_a_span():
    traces = traces_of(
        (1, 1, None, "cart", "a", 0, 100), (1, 2, 1, "cart", "a", 10, 50), (1, 3, 1, "cart", "a", 40, 90)
    )
    found = joined(traces, (45, {"service": "cart"}), (20.000001, {"service": "cart"}), tolerance_ms=0)
    assert facts(found) == [("time", 1, None, 1), ("time", 1, 2, 1)]


def test_an_id_of_64_bits_is_the_lower_half_if_only_one_trace_has_it():
    spans = [(k, k, None, "cart", "a", 0, 10) for k in (5, (7 << 64) + 9, (8 << 64) + 9)]
    lines = [(1, {"trace_id": f"{low:016x}"}) for low in (5, 9)]
    assert [one[0] for one in facts(joined(traces_of(*spans), *lines))] == ["trace_id", "other_trace"]


def test_the_score_is_one_over_the_requests_that_were_open():
    lines = (20, {"service": "cart"}), (55, {"service": "cart"})
    assert joined(traces_of(*DRAWN), *lines)["score"].tolist() == [1.0, 0.5]
    assert joined(traces_of(*DRAWN, weight=1), *lines)["score"].tolist() == [1.0, 0.5]
    sampled = joined(traces_of(*DRAWN, weight=10), *lines)
    assert sampled["score"].tolist() == [0.1, 0.05]
    assert sampled["match"].tolist() == ["ambiguous", "ambiguous"], "nine of ten requests were not recorded"
    assert joined(traces_of(*DRAWN, weight=10), *lines, min_score=0.1)["match"].tolist() == ["time", "ambiguous"]


def test_times_are_as_coarse_as_they_were_recorded():
    traces = traces_of((1, 1, None, "cart", "a", 1000, 1400), (2, 2, None, "cart", "a", 1600, 1900))
    whole_seconds = joined(traces, (1000, {"service": "cart"}), (9000, {"service": "cart"}), tolerance_ms=0)
    assert whole_seconds["match"].tolist() == ["ambiguous", "none"]
    exact = joined(traces, (1000, {"service": "cart"}), (9000.000001, {"service": "cart"}), tolerance_ms=0)
    assert exact["match"].tolist() == ["time", "none"]


def test_a_clock_that_ids_show_to_be_apart_makes_lines_ambiguous_and_not_wrong():
    """The log of host a is 2 s ahead: the line without ids is of trace 1, and at its own time only trace 9 is open."""
    spans = [(k, k, None, "cart", "a", k * 1000, k * 1000 + 100) for k in range(1, 12)]
    lines = [
        (k * 1000 + 2050.000001, {"service": "cart", "host": "a", "trace_id": f"{k:032x}", "span_id": f"{k:016x}"})
        for k in range(2, 12)
    ]
    alone = (3050, {"service": "cart", "host": "a"})
    found = tk.logs(
        traces_of(*spans),
        pd.DataFrame([{"time": START + int(at * MS), "message": "x", **more} for at, more in [*lines, alone]]).astype(
            object
        ),
    )
    assert found.lines["match"].iloc[-1] == "ambiguous"
    assert found.clocks[["line_count", "outside_count"]].to_numpy().tolist() == [[10, 10]]
    assert found.clocks["outside_p50_ns"].iloc[0] == pytest.approx(1950 * MS, rel=1e-6)
    assert joined(traces_of(*spans), alone, (1.000001, {}))["match"].iloc[0] == "time", "without ids nothing shows it"


SPANS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 30), st.integers(0, 15)),
    min_size=1,
    max_size=12,
)
LINES = st.lists(
    st.tuples(st.integers(-5, 50), st.sampled_from(["a", "b", "c", None]), st.sampled_from(["x", "y", "z", None])),
    min_size=1,
    max_size=12,
)


@given(SPANS, LINES, st.sampled_from([0, 3]))
def test_the_fallback_equals_a_search_through_all_spans(drawn, lines, tolerance):
    spans = [
        (trace + 1, number + 1, None, service, host, begin, begin + took)
        for number, (trace, service, host, begin, took) in enumerate(drawn)
    ]
    exact = (1000.000001, {"trace_id": "0"})
    asked = [(at, {"service": service, "host": host}) for at, service, host in lines]
    found = facts(joined(traces_of(*spans), *asked, exact, tolerance_ms=tolerance))
    margin = tolerance + 1e-6  # the resolution of the times
    for (at, service, host), (match, trace, span, count) in zip(lines, found, strict=False):
        fitting = [
            one
            for one in spans
            if (service or host)
            and service in (None, one[3])
            and host in (None, one[4])
            and one[5] - margin <= at <= one[6] + margin
        ]
        open_traces = {one[0] for one in fitting}
        assert count == len(open_traces)
        assert match == ("none", "time")[len(open_traces)] if len(open_traces) < 2 else match == "ambiguous"
        assert trace == (next(iter(open_traces)) if len(open_traces) == 1 else None)
        if len(open_traces) == 1:
            assert span == (fitting[0][1] if len(fitting) == 1 else None), "all spans here are side by side"


def test_many_places_and_shuffled_lines_have_the_same_answer():
    rng = np.random.default_rng(1)
    spans = [
        (k, k, None, f"s{k % 7}", f"h{k % 5}", int(at), int(at) + 5)
        for k, at in enumerate(rng.integers(0, 3000, 400), 1)
    ]
    lines = [
        (float(at), {"service": f"s{k % 8}", "host": f"h{k % 5}" if k % 3 else None})
        for k, at in enumerate(rng.integers(0, 3000, 500))
    ]
    traces = traces_of(*spans)
    order = rng.permutation(len(lines))
    straight, mixed = facts(joined(traces, *lines)), facts(joined(traces, *(lines[k] for k in order)))
    assert [straight[k] for k in order] == mixed
    assert {"time", "ambiguous", "none"} <= {one[0] for one in straight}
