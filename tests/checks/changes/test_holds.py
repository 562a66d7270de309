"""Whether a regression is also found without bad traces: losses at random, losses that cause it, impossible times."""

import numpy as np
import pytest
from investigation.worlds import incident, quiet

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.changes.holds import holds

MS = 10**6


def found(before, now):
    return holds(Case(now, baseline=Case(before)))


def recorded(traces):
    """The spans as a frame that can be damaged."""
    columns = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns"]
    return traces.spans[[*columns, "status_code"]].copy()


def damaged(traces, rng, share, damage):
    """The traces, a share of them damaged."""
    frame = recorded(traces)
    names = frame["trace_id"].unique()
    chosen = frame["trace_id"].isin(rng.choice(names, int(share * len(names)), replace=False))
    return TraceSet.from_spans(damage(frame, chosen)).with_weights(1)


def without_a_span(frame, chosen):
    """Spans in the middle are lost: their children have no parent."""
    lost = chosen & (frame["service_name"] == "cart") & (frame["kind"] == "SERVER")
    return frame[~lost].reset_index(drop=True)


def slower_and_without_a_span(frame, chosen):
    """Traces that lose a span also seem to take much longer."""
    is_root = chosen & frame["parent_span_id"].isna()
    frame.loc[is_root, "end_ns"] += 300 * MS
    return without_a_span(frame, chosen)


def ending_before_they_start(frame, chosen):
    inner = chosen & (frame["service_name"] == "mail") & (frame["kind"] == "SERVER")
    frame.loc[inner, "end_ns"] = frame.loc[inner, "start_ns"] - MS
    return frame


@pytest.mark.parametrize("damage", [without_a_span, ending_before_they_start])
def test_a_regression_holds_without_traces_that_were_damaged_at_random(damage):
    rng = np.random.default_rng(5)
    before, now, _ = incident(rng, "slow service")
    now = damaged(now, rng, 0.1, damage)
    (one,) = found(TraceSet.from_spans(recorded(before)).with_weights(1), now)
    assert one.severity == "info"
    assert one.values == {"holds": True}
    assert one.headline.startswith(
        "Without the 40 of 800 traces that are incomplete or have impossible times: front GET /"
    )
    assert one.headline.endswith("regressed as well.")


def test_a_regression_that_only_damaged_traces_show_does_not_hold():
    rng = np.random.default_rng(6)
    before, now = quiet(rng, bursts=0)
    now = damaged(now, rng, 0.2, slower_and_without_a_span)
    case = tk.investigate(now, TraceSet.from_spans(recorded(before)).with_weights(1))
    (one,) = [finding for finding in case.findings if finding.check == "holds"]
    assert one.severity == "warning"
    assert one.headline.startswith("Without the 80 of 800 traces")
    assert one.headline.endswith("no significant change.")
    assert "no significant change." in case.first_screen["weakened"].headline


def test_too_few_complete_traces_decide_nothing():
    rng = np.random.default_rng(7)
    before, now, _ = incident(rng, "slow service")
    now = damaged(now, rng, 0.97, without_a_span)
    (one,) = found(TraceSet.from_spans(recorded(before)).with_weights(1), now)
    assert one.status == "inconclusive"
    assert "too few to compare (n = 400 → 12 traces)" in one.headline


def test_failures_hold_too():
    rng = np.random.default_rng(8)
    before, now, _ = incident(rng, "failures")
    now = damaged(now, rng, 0.1, without_a_span)
    (one,) = found(TraceSet.from_spans(recorded(before)).with_weights(1), now)
    assert "error rate 0% → " in one.headline
    assert "risen as well" in one.headline


def test_nothing_is_said_of_complete_traces_or_without_a_regression():
    rng = np.random.default_rng(9)
    before, now, _ = incident(rng, "slow service")
    assert not found(before, now)
    before, now = quiet(rng)
    assert not found(before, damaged(now, rng, 0.1, without_a_span))
    assert not holds(Case(now))
