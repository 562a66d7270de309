"""Clocks: offsets, drift, steps, and times that cannot be."""

import json

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, MS, SECOND, said, spans, status, trace_ids

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.quality.clocks.cycles import contradiction

HOSTS = ["clock.offset", "clock.drift", "time.order"]


def hosts(n=300, *, offset_ns=0, drift_ppm=0.0, step_ns=0, seconds=600.0, seed=1, unawaited=0.0):
    """Calls from api-1 to ledger-2, whose clock is ahead."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.random(n)) * seconds * 1e9
    there, back = 3e5 + rng.exponential(5e5, n), 6e5 + rng.exponential(5e5, n)
    served = rng.lognormal(-4, 1, n) * 1e9
    ahead = offset_ns + drift_ppm * 1e-6 * start + step_ns * (start > seconds * 5e8)
    end = np.where(rng.random(n) < unawaited, start + 1e5, start + there + served + back)
    frame = pd.DataFrame({"trace_id": trace_ids(n), "span_id": "1", "service_name": "api", "host_name": "api-1"})
    frame = frame.assign(
        name="POST", kind="CLIENT", start_ns=EPOCH_NS + start.astype(int), end_ns=EPOCH_NS + end.astype(int)
    )
    below = frame.assign(span_id="2", parent_span_id="1", service_name="ledger", host_name="ledger-2", kind="SERVER")
    below["start_ns"] = EPOCH_NS + (start + there + ahead).astype(int)
    below["end_ns"] = EPOCH_NS + (start + there + served + ahead).astype(int)
    return TraceSet.from_spans(pd.concat([frame, below]))


def test_clocks_that_agree_are_left_alone():
    found = tk.quality(hosts(), checks=HOSTS)
    assert [status(found, name) for name in HOSTS] == ["ok", "ok", "ok"]
    assert "do not order events closer than that" in said(found, "clock.offset")


def test_spans_that_start_at_a_whole_millisecond_are_up_to_one_early():
    """As those of the SDK of JavaScript, on the host of services with finer clocks; then another is two early."""
    frame = hosts().spans.assign(host_name="one")
    early = (frame["start_ns"] % MS).where(frame["service_name"] == "ledger", 0)
    frame["start_ns"], frame["end_ns"] = frame["start_ns"] - early, frame["end_ns"] - early
    (found,) = tk.quality(TraceSet.from_spans(frame), checks=["time.order"])
    assert found.status == "ok"
    frame.loc[frame["service_name"] == "ledger", "start_ns"] -= 3 * MS
    (found,) = tk.quality(TraceSet.from_spans(frame), checks=["time.order"])
    assert found.evidence["sign"].tolist() == ["started before their parents"]


@pytest.mark.parametrize("offset", [12 * MS, -12 * MS])
def test_clock_offset_has_limits_and_sign(offset):
    found = tk.quality(hosts(offset_ns=offset), checks=["clock.offset"])
    assert status(found, "clock.offset") == "warning"
    row = found[0].evidence.iloc[0]
    assert row["low_ns"] <= offset <= row["high_ns"]
    ahead = "`ledger-2` runs" if offset > 0 else "`api-1` runs"
    assert found[0].headline.startswith(f"Clock skew: {ahead}")
    assert found[0].estimate.low <= abs(offset) <= found[0].estimate.high


@pytest.mark.parametrize("offset", [12 * MS, -12 * MS])
def test_the_direction_of_calls_is_no_matter(offset):
    """The ledger calls back: pairs are told in the order in which hosts were first met."""
    first = hosts(offset_ns=offset).spans
    columns = [
        "trace_id",
        "span_id",
        "parent_span_id",
        "service_name",
        "host_name",
        "name",
        "kind",
        "start_ns",
        "end_ns",
    ]
    swapped = first[columns].assign(host_name=first["host_name"].map({"api-1": "ledger-2", "ledger-2": "api-1"}))
    met = spans(1, trace_id="0" * 31 + "1", host_name="api-1", start_ns=EPOCH_NS - SECOND, end_ns=EPOCH_NS)
    found = tk.quality(TraceSet.from_spans(pd.concat([met, swapped])), checks=["clock.offset"])
    row = found[0].evidence.iloc[0]
    ahead = offset if row["peer_host"] == "api-1" else -offset
    assert row["low_ns"] <= ahead <= row["high_ns"]
    assert row["low_ns"] * row["high_ns"] > 0
    both = tk.quality(TraceSet.from_spans(pd.concat([met, first[columns]])), checks=["clock.offset"])
    assert both[0].estimate.low == found[0].estimate.low


def test_the_same_calls_give_the_offsets_of_clock_skew():
    traces = hosts(offset_ns=5 * MS)
    found = tk.quality(traces, checks=["clock.offset"])[0].evidence.iloc[0]
    offsets = tk.clock_skew(traces).offsets
    ledger = offsets[offsets["host"] == "ledger-2"]
    assert (ledger["low_ns"] <= found["high_ns"]).all()
    assert (ledger["high_ns"] >= found["low_ns"]).all()


def test_unawaited_calls_are_dropped_and_counted():
    found = tk.quality(hosts(unawaited=0.04), checks=["clock.offset"])
    assert found[0].evidence["dropped_count"].iloc[0] > 0
    assert status(found, "clock.offset") == "ok"


def test_a_drift_is_reported_in_ppm():
    found = tk.quality(hosts(drift_ppm=100), checks=["clock.offset", "clock.drift"])
    assert status(found, "clock.offset") == "warning"
    assert status(found, "clock.drift") == "warning"
    row = found[1].evidence.iloc[0]
    assert row["kind"] == "drift"
    assert row["low"] < 100 < row["high"]
    assert "ppm" in said(found, "clock.drift")


@pytest.mark.parametrize(
    ("offset", "moves", "said"),
    [
        (200 * MS, {"drift_ppm": 100}, "Clock skew: `ledger-2` runs 20"),
        (-200 * MS, {"drift_ppm": -100}, "Clock skew: `api-1` runs 200"),
        (-30 * MS, {"drift_ppm": 100}, "Clock skew: `ledger-2` runs up to 29"),
        (0, {"step_ns": 300 * MS}, "Clock skew: `ledger-2` runs up to 300 ms ahead of `api-1` (n = "),
    ],
)
def test_the_skew_of_a_clock_that_moves_is_a_range_over_the_period(offset, moves, said):
    traces = hosts(offset_ns=offset, **moves)
    skew, order = tk.quality(traces, checks=["clock.offset", "time.order"])
    moved = 600 * moves.get("drift_ppm", 0) * 1000 + moves.get("step_ns", 0)
    ends = sorted((offset, offset + moved))
    row = skew.evidence.iloc[0]
    assert row["low_ns"] <= ends[0] + 2 * MS
    assert row["high_ns"] >= ends[1] - 2 * MS
    assert row["high_ns"] - row["low_ns"] < abs(moved) + 4 * MS
    assert skew.headline.startswith(said)
    assert skew.estimate.high == max(-row["low_ns"], row["high_ns"])
    assert order.status == "ok"


def test_limits_that_read_the_same_are_said_once():
    (found,) = tk.quality(hosts(offset_ns=12_345 * MS), checks=["clock.offset"])
    assert "`ledger-2` runs 12.3 s ahead of `api-1`" in found.headline


def test_a_step_is_reported_with_its_time():
    found = tk.quality(hosts(step_ns=20 * MS), checks=["clock.drift"])
    row = found[0].evidence.iloc[0]
    assert row["kind"] == "step"
    assert row["low"] <= 20 * MS <= row["high"]
    assert abs((row["time"] - pd.Timestamp(EPOCH_NS, unit="ns", tz="UTC")).total_seconds() - 300) < 15
    assert "jumped by" in said(found, "clock.drift")


def test_two_machines_under_one_name_contradict_each_other():
    one, other = hosts(200, seed=1), hosts(200, offset_ns=40 * MS, seed=2)
    columns = ["span_id", "parent_span_id", "service_name", "host_name", "name", "kind", "start_ns", "end_ns"]
    ids = iter(trace_ids(400))
    frames = []
    for traces in (one, other):
        part = traces.spans[["trace_id", *columns]].copy()
        new = {old: next(ids) for old in part["trace_id"].unique()}
        frames.append(part.assign(trace_id=part["trace_id"].map(new)))
    found = tk.quality(TraceSet.from_spans(pd.concat(frames)), checks=["clock.drift"])
    assert status(found, "clock.drift") == "inconclusive"
    assert "fit neither a drift nor a step" in said(found, "clock.drift")


def test_one_host_has_no_offset():
    found = tk.quality(TraceSet.from_spans(spans(20)), checks=["clock.offset", "clock.drift"])
    assert {status(found, name) for name in ("clock.offset", "clock.drift")} == {"not_assessable"}


# -------------------------------------------------------------------- impossible times


def test_sound_times_are_not_blamed():
    found = tk.quality(TraceSet.from_spans(spans(50)), checks=["time.order"])
    assert status(found, "time.order") == "ok"


def planted(n=400, **changes):
    frame = spans(n)
    for column, (rows, values) in changes.items():
        frame.loc[frame.index[:rows], column] = values(frame.iloc[:rows])
    return TraceSet.from_spans(frame)


@pytest.mark.parametrize(
    ("changes", "sign", "verdict"),
    [
        ({"end_ns": (20, lambda f: f["start_ns"] - 5)}, "with a negative duration", "warning"),
        ({"start_ns": (20, lambda f: f["start_ns"] // 1_000_000)}, "in milliseconds instead of nanoseconds", "failed"),
        ({"start_ns": (1, lambda f: f["start_ns"] // 1_000)}, "in microseconds instead of nanoseconds", "failed"),
        ({"start_ns": (1, lambda f: f["start_ns"] // 10**9)}, "in seconds instead of nanoseconds", "failed"),
        (
            {"start_ns": (20, lambda f: f["start_ns"] * 0)},
            "implausibly long (one end at the epoch, or in another unit)",
            "warning",
        ),
    ],
)
def test_impossible_times_are_named_by_service(changes, sign, verdict):
    found = tk.quality(planted(**changes), checks=["time.order"])
    assert status(found, "time.order") == verdict
    row = found[0].evidence.set_index("sign").loc[sign]
    (rows, _), *_ = changes.values()
    assert row["span_count"] == rows
    assert row["service_name"] == "web"


def test_the_future_is_what_is_after_now():
    now = pd.Timestamp(EPOCH_NS + 199 * SECOND, unit="ns")
    found = tk.quality(TraceSet.from_spans(spans(400)), now=now, checks=["time.order"])
    assert found[0].evidence.set_index("sign").loc["in the future", "span_count"] == 200


def test_children_before_parents_count_on_one_clock_and_beyond_what_clocks_allow():
    frame = spans(200, host_name="a", end_ns=EPOCH_NS + np.arange(200) * SECOND + 100 * MS)
    early = frame.assign(span_id="2", parent_span_id="1", name="ask", kind="INTERNAL")
    early["start_ns"] -= np.where(np.arange(200) < 10, 3 * MS, -MS)
    found = tk.quality(TraceSet.from_spans(pd.concat([frame, early])), checks=["time.order"])
    assert found[0].evidence.set_index("sign").loc["started before their parents", "span_count"] == 10
    skewed = tk.quality(hosts(offset_ns=-20 * MS), checks=["time.order"])
    assert status(skewed, "time.order") == "ok"


def fleet(n=400, **columns):
    """Spans of one service on four hosts, every second one of them written by an older SDK."""
    at = np.arange(n)
    sdk = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "java"}
    frame = spans(n, host_name=[f"web-{row % 4}" for row in at], **sdk)
    return frame.assign(**{"resource.telemetry.sdk.version": np.where(at % 2 == 0, "1.2.0", "1.40.0")}, **columns)


def test_impossible_times_are_laid_to_the_sdk_that_writes_them():
    frame = fleet()
    frame["start_ns"] = np.where(np.arange(400) % 2 == 0, frame["start_ns"] // 10**6, frame["start_ns"])
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["time.order"])
    told = finding.evidence[finding.evidence["sign"] == "in milliseconds instead of nanoseconds"]
    assert set(told["sdk"]) == {"opentelemetry java 1.2.0"}
    assert dict(zip(told["host"], told["span_count"], strict=True)) == {"web-0": 100, "web-2": 100}
    assert told["all_count"].tolist() == [100, 100]
    assert told["ratio"].tolist() == [1.0, 1.0]
    assert "(200 spans of `web`, all written by `opentelemetry java 1.2.0`, on 2 hosts)" in finding.headline


def test_impossible_times_are_attributed_to_the_host_whose_clock_is_wrong():
    frame = fleet()
    late = np.flatnonzero(np.arange(400) % 4 == 3)[:40]
    frame.loc[late, "end_ns"] = frame.loc[late, "start_ns"] - 5
    heavy = pd.Series(np.where(np.isin(np.arange(400), late), 6.0, 1.0), frame["trace_id"])
    (finding,) = tk.quality(TraceSet.from_spans(frame).with_weights(heavy), checks=["time.order"])
    assert len(finding.evidence) == 1
    row = finding.evidence.iloc[0]
    assert (row["host"], row["span_count"], row["all_count"]) == ("web-3", 40, 100)
    assert row["ratio"] == pytest.approx(40 * 6 / (40 * 6 + 60))
    assert row["low"] < row["ratio"] < row["high"]
    assert "all written by `opentelemetry java 1.40.0`, all on `web-3`)" in finding.headline


def test_unrecorded_origins_are_not_reported():
    (finding,) = tk.quality(planted(end_ns=(20, lambda f: f["start_ns"] - 5)), checks=["time.order"])
    assert finding.evidence[["sdk", "host"]].isna().all(axis=None)
    assert "(20 spans of `web`)." in finding.headline
    sound = tk.quality(TraceSet.from_spans(fleet()), checks=["time.order"])
    assert status(sound, "time.order") == "ok"
    assert "web-" not in said(sound, "time.order")


def test_the_instance_replaces_an_unnamed_host_and_is_masked_if_private():
    frame = spans(40, service_instance_id="jo@example.org")
    frame["end_ns"] = frame["start_ns"] - 5
    frame["resource.telemetry.sdk.name"] = np.where(np.arange(40) % 2 == 0, "otel", "zipkin")
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["time.order"])
    assert finding.evidence["host"].str.startswith("jo...rg").all()
    assert "written by 2 SDKs" in finding.headline
    assert "jo@example.org" not in str(finding) + finding.evidence.to_csv()


def test_spans_of_another_unit_that_reading_set_aside_are_reported():
    def span(at, start):
        times = {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5)}
        return {"traceId": f"{at + 1:032x}", "spanId": f"{at + 1:016x}", "name": "x", **times}

    good = [span(at, EPOCH_NS + at) for at in range(30)]
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [*good, span(99, EPOCH_NS // 10**6)]}]}]})
    found = tk.quality(tk.read(line.encode()), checks=["time.order"])
    assert status(found, "time.order") == "failed"


# -------------------------------------------------------------------- going round


def ring(rng, ahead_ns, *, n=40):
    """Calls round three hosts; ``ahead_ns`` says how far the third seems ahead to the first, beyond what is true."""
    true = {"a": 0, "b": 5 * MS, "c": -7 * MS}
    frames = []
    for caller, callee, extra in (("a", "b", 0), ("b", "c", 0), ("a", "c", ahead_ns)):
        start = EPOCH_NS + np.arange(n) * SECOND
        there, back = 3e5 + rng.exponential(3e5, n), 3e5 + rng.exponential(3e5, n)
        ids = [f"{rng.integers(1, 2**62):016x}{rng.integers(1, 2**62):016x}" for _ in range(n)]
        top = pd.DataFrame({"trace_id": ids, "span_id": "1", "service_name": caller, "host_name": caller, "name": "x"})
        top = top.assign(kind="CLIENT", start_ns=start + true[caller])
        top["end_ns"] = top["start_ns"] + (there + back).astype(int) + 4 * MS
        low = top.assign(span_id="2", parent_span_id="1", service_name=callee, host_name=callee, kind="SERVER")
        low["start_ns"] = start + there.astype(int) + true[callee] + extra
        low["end_ns"] = low["start_ns"] + 4 * MS
        frames += [top, low]
    return TraceSet.from_spans(pd.concat(frames))


def test_offsets_that_can_all_be_true_are_not_blamed():
    found = tk.quality(ring(np.random.default_rng(1), 0), checks=["clock.cycle"])
    assert status(found, "clock.cycle") == "ok"


@pytest.mark.parametrize("extra", [10 * MS, -10 * MS])
def test_a_mislabelled_host_shows_in_cycles(extra):
    found = tk.quality(ring(np.random.default_rng(2), extra), checks=["clock.cycle"])
    assert status(found, "clock.cycle") == "warning"
    assert set(found[0].evidence["host"]) == {"a", "b", "c"}
    assert 6 * MS < found[0].estimate.value < 10 * MS


def test_clock_cycles_need_a_cycle_of_hosts():
    assert status(tk.quality(hosts(), checks=["clock.cycle"]), "clock.cycle") == "not_assessable"


def test_cycles_of_any_length_are_found():
    """One of fifteen pairs of six hosts mislabelled by 10 ms: always found; none mislabelled: never."""
    rng = np.random.default_rng(3)
    first, second = np.triu_indices(6, 1)
    for repeat in range(200):
        theta = rng.normal(0, 50 * MS, 6)
        half = rng.uniform(0.3 * MS, 0.8 * MS, (2, 15))
        truth = theta[second] - theta[first]
        assert contradiction(6, first, second, truth - half[0], truth + half[1]) is None
        truth[repeat % 15] += 10 * MS
        cycle = contradiction(6, first, second, truth - half[0], truth + half[1])
        assert cycle is not None
        assert {first[repeat % 15], second[repeat % 15]} <= set(cycle.clocks)
