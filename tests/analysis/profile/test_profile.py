"""The critical path by function: it adds up, it equals an oracle, and noise is no change."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.analysis.profile.allot import allotted

EPOCH = 1_747_231_200_000_000_000
NAMES = ("f", "g", "h")


def shop(latencies, first=1):
    """Requests of a root and a child that takes half of it."""
    rows = [
        {
            "trace_id": f"{k:032x}",
            "span_id": f"{k:08x}{depth + 1:08x}",
            "parent_span_id": f"{k:08x}{depth:08x}" if depth else None,
            "service_name": ("front", "ledger")[depth],
            "name": ("GET /", "SELECT")[depth],
            "kind": ("SERVER", "INTERNAL")[depth],
            "start_ns": EPOCH + k * 10**9,
            "end_ns": EPOCH + k * 10**9 + (took // 2 if depth else took),
            "status_code": "UNSET",
        }
        for k, took in enumerate(latencies, first)
        for depth in range(2)
    ]
    return tk.TraceSet.from_spans(pd.DataFrame(rows))


def stacks(rows):
    return "".join(f"span_id={span:016x};main;{name} {weight}\n" for span, name, weight in rows).encode()


def span(trace, depth=0):
    return (trace << 32) + depth + 1


def by_hand(total, weights):
    """Largest remainder in fractions."""
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(one) for one in exact]
    order = sorted(range(len(parts)), key=lambda k: (parts[k] - exact[k], k))
    for k in order[: total - sum(parts)]:
        parts[k] += 1
    return parts


@given(st.lists(st.tuples(st.integers(0, 2**61), st.lists(st.integers(1, 2**40), min_size=1, max_size=6)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_parts_are_those_of_exact_fractions(owners):
    owner = np.repeat(np.arange(len(owners)), [len(weights) for _, weights in owners])
    weight = np.array([one for _, weights in owners for one in weights], np.int64)
    found = allotted(np.array([total for total, _ in owners], np.int64), owner, weight)
    assert found.tolist() == [part for total, weights in owners for part in by_hand(total, weights)]


def test_a_hand_drawn_request():
    traces = shop([100])  # 50 ns in the child, 50 ns of its own
    rows = [(span(1), "f", 2), (span(1), "g", 1), (span(1, 1), "g", 5), (span(9), "f", 7)]
    found = tk.profile(traces, stacks(rows) + f"local_root_span_id={span(1):016x};main;gc 4\nmain;x 1\n".encode())
    assert found.functions.set_index("function")["path_time_ns"].to_dict() == {"g": 67, "f": 33}
    assert found.operations[["operation", "function", "path_time_ns"]].to_numpy().tolist() == [
        ["SELECT", "g", 50],
        ["GET /", "f", 33],
        ["GET /", "g", 17],
    ]
    assert found.endpoints.to_numpy().tolist() == [["front", "GET /", "gc", 1, 4]]
    counts = found.matching.set_index("samples")["sample_count"]
    assert counts["on the critical path"] == 3
    assert counts["the span is in no trace"] == 1
    assert counts["without a span id"] == 1
    assert counts.sum() == len(found.samples)


def test_spans_without_samples_are_a_named_remainder():
    found = tk.profile(shop([100]), stacks([(span(1, 1), "f", 2)]))
    assert found.functions.set_index("function")["path_time_ns"].to_dict() == {"(no samples)": 50, "f": 50}
    assert "50.0% of the critical path sampled" in repr(found)


def test_a_sample_of_another_trace_is_not_that_of_the_span():
    found = tk.profile(shop([100]), f"trace_id={2:032x};span_id={span(1):016x};f 1\n".encode())
    assert found.sampled_ns == 0
    assert found.matching.set_index("samples")["sample_count"]["the span is in no trace"] == 1


def test_the_lower_half_of_a_trace_id_is_enough():
    both = tk.TraceSet.from_spans(shop([100]).spans.assign(trace_id=f"{(5 << 64) + 1:032x}"))
    assert tk.profile(both, f"trace_id=1;span_id={span(1):016x};f 1\n".encode()).sampled_ns == 50


def test_a_function_named_like_the_remainder_is_not_part_of_it():
    found = tk.profile(shop([100]), stacks([(span(1, 1), "(no samples)", 2)]))
    assert set(found.functions["function"]) == {"(no samples)", "(no samples) (function)"}


def oracle(traces, rows):
    """Self time of each span by its samples, in fractions of a dict."""
    path = tk.critical_path(traces)
    weights = defaultdict(lambda: defaultdict(int))
    for one, name, weight in rows:
        weights[f"{one:016x}"][name] += weight
    found = defaultdict(int)
    for row in path.spans.itertuples():
        seen = dict(sorted(weights[row.span_id].items())) or {"(no samples)": 1}
        for name, part in zip(seen, by_hand(row.path_time_ns, list(seen.values())), strict=True):
            found[name] += part
    return {name: time for name, time in found.items() if time}


SAMPLES = st.tuples(st.builds(span, st.integers(1, 6), st.integers(0, 1)), st.sampled_from(NAMES), st.integers(1, 9))


@given(st.lists(st.integers(2, 10**7), min_size=1, max_size=5), st.lists(SAMPLES, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_functions_sum_to_the_latency_and_equal_the_oracle(latencies, rows):
    traces = shop(latencies)
    found = tk.profile(traces, stacks(rows))
    times = found.functions.set_index("function")["path_time_ns"]
    assert int(times.sum()) == sum(latencies) == int(found.operations["path_time_ns"].sum())
    assert times[times > 0].to_dict() == oracle(traces, rows)
    assert found.requests.groupby("request")["path_time_ns"].sum().tolist() == latencies
    assert int(found.flame().table["path_time_ns"].sum()) == sum(latencies)
    pd.testing.assert_frame_equal(found.functions, tk.profile(traces, stacks(rows[::-1])).functions)


def test_a_function_named_like_a_call_stays_a_function_in_the_flame_graph():
    data = f"span_id={span(1):016x};SELECT 1\n".encode()
    table = tk.profile(tk.TraceSet.from_spans(shop([100]).spans.assign(service_name="one")), data).flame().table
    assert table.set_index("operation")["path_time_ns"].to_dict() == {"GET /": 0, "SELECT": 50, "SELECT (function)": 50}


def test_no_samples_of_any_span_leave_the_whole_path():
    found = tk.profile(shop([100, 60]), b"main;f 3")
    assert found.functions["path_time_ns"].tolist() == [160]
    assert int(found.flame().table["path_time_ns"].sum()) == 160


def recording(rng, slower=1.0, count=60):
    """Requests with clustered samples: a request has a preference for one function."""
    latencies = (rng.lognormal(0, 0.4, count) * 10**7).astype(int)
    rows = []
    for k in range(1, count + 1):
        share = rng.dirichlet((2 * slower, 1, 1)) * rng.gamma(2)
        rows += [(span(k), name, int(n)) for name, n in zip(NAMES, rng.poisson(8 * share), strict=True) if n]
    return shop((latencies * slower).astype(int)), stacks(rows)


@pytest.mark.slow
def test_two_recordings_of_one_process_differ_in_at_most_one_of_twenty():
    claims = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        traces, samples = recording(rng)
        claims += tk.profile(*recording(rng), baseline=(traces, samples)).table["is_significant"].any()
    assert claims <= 10


def test_a_function_that_became_slower_is_found():
    rng = np.random.default_rng(1)
    before, after = recording(rng, count=300), recording(rng, slower=2.5, count=300)
    found = tk.profile(*after, baseline=before)
    top = found.table[found.table["function"] == "f"].iloc[0]
    assert top["is_significant"]
    assert top["change_ns"] > 0
    latency = [tk.critical_path(side[0]).latency_ns.mean() for side in (before, after)]
    assert abs(found.table["change_ns"].sum() - (latency[1] - latency[0])) < 1
    widget = tk.plot(found)
    assert len(widget._shown) == len(found.baseline.flame().compare(found.current.flame()))


def test_denser_samples_are_no_change_of_functions():
    rng = np.random.default_rng(2)
    traces, samples = recording(rng, count=300)
    kept = b"".join(line for k, line in enumerate(samples.splitlines(keepends=True)) if k > len(samples) // 60)
    found = tk.profile(traces, samples, baseline=(traces, kept)).table.set_index("function")
    assert found.loc["(no samples)", "is_significant"]
    assert not found.loc[list(NAMES), "is_significant"].any()


def test_samples_of_different_kinds_are_not_compared():
    traces = shop([100])
    one, other = (tk.read_profile(b"f 1", value=value) for value in ("cpu", "wall"))
    with pytest.raises(ValueError, match="expected samples of one type on both sides"):
        tk.profile(traces, one, baseline=(traces, other))


def test_a_baseline_is_traces_and_profiles():
    with pytest.raises(TypeError, match=r"expected baseline=\(traces, profiles\), found TraceSet"):
        tk.profile(shop([100]), b"f 1", baseline=shop([100]))
