"""Checks of large stores keep some of the spans, the same in any number of parts, and count all of them."""

import functools

import pytest
from checks.quality.test_clocks import hosts
from checks.quality.test_completeness import attempts, gateway_traces
from checks.quality.worlds import MS
from checks.test_checks_of_stores import agree

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.checks.case import Case
from tracekit.checks.quality.clocks import kept_calls
from tracekit.checks.quality.clocks.host_pairs import CLOCK_CALLS
from tracekit.checks.quality.propagation import ends
from tracekit.checks.quality.propagation.ends import ENDS

CLOCKS = ["clock.offset", "clock.drift", "clock.cycle"]


def by_check(findings):
    return {one.check: one for one in findings}


def in_parts(traces, folder, checks):
    """The findings of a store, the same from one part and from seven."""
    stores = [split(traces, folder.with_name(f"{folder.name}-{n}"), n, seed=n) for n in (1, 7)]
    found = [tk.quality(store, checks=checks, on=1) for store in stores]
    agree(*found)
    return by_check(found[1])


@pytest.mark.parametrize(
    ("moved", "check"),
    [
        ({}, None),
        ({"offset_ns": 12 * MS}, "clock.offset"),
        ({"drift_ppm": 100}, "clock.drift"),
        ({"step_ns": 20 * MS}, "clock.drift"),
    ],
)
def test_clocks_are_judged_by_some_calls_of_each_pair(moved, check, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_calls, "MOST", 500)
    traces = hosts(2_000, unawaited=0.02, **moved)
    found, expected = in_parts(traces, tmp_path, CLOCKS), by_check(tk.quality(traces, checks=CLOCKS))
    assert {name: one.status for name, one in found.items()} == {name: one.status for name, one in expected.items()}
    assert check is None or found[check].status == "warning"
    row, whole = (each["clock.offset"].evidence.iloc[0] for each in (found, expected))
    counted = ["host", "peer_host", "call_count", "dropped_count"]
    assert row[counted].tolist() == whole[counted].tolist()
    if check != "clock.drift":  # else no single offset fits
        assert row["low_ns"] <= moved.get("offset_ns", 0) <= row["high_ns"]
    assert any(
        "of 2,000 calls, chosen by a hash of the trace ids" in text for text in found["clock.offset"].assumptions
    )
    assert not any("hash" in text for text in expected["clock.offset"].assumptions)


@pytest.mark.parametrize("moved", [{}, {"offset_ns": 12 * MS}])
def test_one_trace_with_more_calls_than_are_kept_is_judged_by_some_of_them(moved, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_calls, "MOST", 500)
    frame = hosts(2_000, **moved).spans
    call = frame["trace_id"].astype(str).str[-15:]
    frame = frame.assign(span_id=call + frame["span_id"].astype(str).str[-1])
    frame["parent_span_id"] = (call + "1").where(frame["parent_span_id"].notna())
    one = tk.TraceSet.from_spans(frame.assign(trace_id=frame["trace_id"].iloc[0]))
    found, (expected,) = in_parts(one, tmp_path, CLOCKS[:1])["clock.offset"], tk.quality(one, checks=CLOCKS[:1])
    assert len(one) == 1
    assert found.status == expected.status == "ok"  # one trace proves no skew
    row, whole = found.evidence.iloc[0], expected.evidence.iloc[0]
    assert row["call_count"] == whole["call_count"] == 2_000
    assert row["low_ns"] <= moved.get("offset_ns", 0) <= row["high_ns"]
    assert any("31 of 2,000 calls" in text for text in found.assumptions)


def test_calls_that_are_kept_do_not_depend_on_the_order_of_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_calls, "MOST", 100)
    store = split(hosts(900), tmp_path / "a", 6)
    parts = [CLOCK_CALLS.limit(CLOCK_CALLS.state(Case(part, known={}))) for part in store.parts()]
    one, other = (functools.reduce(CLOCK_CALLS.merge, order) for order in (parts, parts[::-1]))
    assert one.pairs == other.pairs
    assert sorted(one.every.trace_lo.tolist()) == sorted(other.every.trace_lo.tolist())
    assert 50 <= len(one.every.calls) <= 100


@pytest.fixture
def few_ends(monkeypatch):
    """At most a few hundred calls or roots are kept."""
    monkeypatch.setattr(ends, "MOST", 400)
    monkeypatch.setattr(ends, "_LEAST", 100)


@pytest.mark.usefixtures("few_ends")
@pytest.mark.parametrize("peer", ["orders", "10.0.0.7"])
@pytest.mark.parametrize("broken", [0.3, 0.0])
def test_lost_context_is_estimated_from_stretches_of_time(peer, broken, tmp_path):
    traces, world = gateway_traces(broken, peer=peer)
    found = in_parts(traces, tmp_path, ["propagation.break"])["propagation.break"]
    (expected,) = tk.quality(traces, checks=["propagation.break"])
    counted = ["unanswered_count", "root_count"]
    assert found.evidence[counted].to_numpy().tolist() == expected.evidence[counted].to_numpy().tolist()
    assert found.status == ("failed" if broken else "ok")
    assert any("at the start of every 34" in text for text in found.assumptions)
    if broken:
        assert found.estimate.low <= world.broken <= found.estimate.high
        assert found.estimate.value == pytest.approx(world.broken, rel=0.15)


@pytest.mark.usefixtures("few_ends")
def test_context_that_is_lost_late_in_the_recording_is_found(tmp_path):
    traces, _ = gateway_traces(0.3)
    start = traces.summary["start_ns"]
    is_early = start < start.quantile(0.6)
    alone = traces.summary.index[is_early & (traces.summary["root_service_name"] == "orders")]
    late = traces.where(~traces.spans["trace_id"].isin(alone).to_numpy())
    (found,) = in_parts(late, tmp_path, ["propagation.break"]).values()
    (expected,) = tk.quality(late, checks=["propagation.break"])
    assert found.status == expected.status == "failed"
    assert found.estimate.low <= expected.estimate.value <= found.estimate.high
    assert found.evidence["root_count"].tolist() == expected.evidence["root_count"].tolist()


@pytest.mark.usefixtures("few_ends")
@pytest.mark.parametrize("again", [True, False])
def test_retries_are_estimated_from_stretches_of_time(again, tmp_path):
    traces = attempts(1_200, failing=120, again=again, seed=2)
    found = in_parts(traces, tmp_path, ["propagation.retry"])["propagation.retry"]
    row = found.evidence.iloc[0]
    assert row[["failed_count", "root_count"]].tolist() == [120, 1_320 if again else 1_200]
    assert found.status == ("warning" if again else "ok")
    if again:
        assert found.estimate.low <= 120 <= found.estimate.high
        assert found.estimate.value == pytest.approx(120, rel=0.25)


def at_one_time(traces):
    """The same spans of other services, all at one time."""
    frame = traces.spans.assign(
        trace_id=lambda spans: spans["trace_id"].str.replace("^.{8}", "0badc0de", regex=True),
        service_name=lambda spans: spans["service_name"].astype(str) + "-2",
    )
    begun = frame["start_ns"].min()
    return tk.TraceSet.from_spans(frame.assign(start_ns=begun, end_ns=begun + 50 * MS))


@pytest.mark.usefixtures("few_ends")
def test_a_pair_of_services_with_too_many_spans_at_one_time_is_not_called_ok(tmp_path):
    sure = gateway_traces(0.0, peer="10.0.0.7")[0]
    assert in_parts(sure, tmp_path / "sure", ["propagation.break"])["propagation.break"].status == "ok"
    found = in_parts(sure + at_one_time(sure), tmp_path / "both", ["propagation.break"])["propagation.break"]
    assert found.status == "inconclusive"
    unknown = found.evidence.set_index(["caller_service", "callee_service"]).loc[("gateway-2", "orders-2")]
    assert unknown["high"] == unknown["root_count"] > 400
    assert f"up to {unknown['root_count']:,} of {unknown['root_count']:,} root spans of `orders-2`" in found.headline


@pytest.mark.usefixtures("few_ends")
def test_an_operation_with_too_many_spans_at_one_time_is_not_called_ok(tmp_path):
    sure = attempts(1_200, failing=120, again=False, seed=2)
    dense = at_one_time(attempts(1_200, failing=130, again=False, seed=2))
    found = in_parts(sure + dense, tmp_path, ["propagation.retry"])["propagation.retry"]
    assert found.status == "inconclusive"
    assert found.evidence["status"].tolist() == ["inconclusive", "ok"]
    assert "130 failures of `orders-2 GET /` were retried" in found.headline
    assert "up to 130; n = 1,200 root spans" in found.headline


@pytest.mark.usefixtures("few_ends")
def test_ends_that_are_kept_do_not_depend_on_the_order_of_parts(tmp_path):
    store = split(gateway_traces(0.3)[0], tmp_path / "a", 6)
    known = {need: Case(store).result(need) for need in ENDS.needs}
    parts = [ENDS.limit(ENDS.state(Case(part, known=dict(known)))) for part in store.parts()]
    one, other = (functools.reduce(ENDS.merge, order) for order in (parts, parts[::-1]))
    for side in ("calls", "roots"):
        first, second = (getattr(each, side) for each in (one, other))
        assert first.level == second.level
        assert sorted(first.start_ns.tolist()) == sorted(second.start_ns.tolist())
        assert 0 < len(first) <= 400 * len(first.level)
    assert one.sampled == other.sampled
