"""The young edge of a sample: what had not arrived when it was taken, and every check without it."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, random_ids, said, status, traces_of

import tracekit as tk
from tracekit.checks.case import build_case
from tracekit.stats.second_reservoir import SECOND_NS

MINUTE_NS = 60 * SECOND_NS


def in_order(n):
    """Ids in the order of the traces, which is that of their ids."""
    return np.arange(1, n + 1, dtype=np.uint64) << np.uint64(32), random_ids(np.random.default_rng(8), n)[1]


def world(rng, *, seconds=600, rate=10, lag=(3.0, 0.8), sampled=0.5):
    """Ten requests a second, half of them sampled; a twentieth takes half a minute and mostly fails."""
    n = rng.poisson(rate * seconds)
    start = EPOCH_NS + np.sort(rng.integers(0, seconds * SECOND_NS, n))
    slow = rng.random(n) < 0.05
    took_ms = np.where(slow, rng.normal(30_000, 2_000, n), rng.lognormal(6, 0.5, n))
    failed = np.where(slow, rng.random(n) < 0.8, rng.random(n) < 0.01)
    by = start + (took_ms * 1e6 + rng.lognormal(*lag, n) * 1e9).astype(np.int64)
    now = EPOCH_NS + seconds * SECOND_NS
    kept = (rng.random(n) < sampled) & (by <= now)
    traces = traces_of(rng, ids=in_order(kept.sum()), start_ns=start[kept], took_ms=took_ms[kept], failed=failed[kept])
    received = pd.Series(by[kept], index=traces.trace_ids)
    begin = pd.to_datetime(EPOCH_NS + np.arange(seconds // 60) * MINUTE_NS, utc=True)
    counts = pd.DataFrame({"time": begin, "count": np.bincount((start - EPOCH_NS) // MINUTE_NS)})
    return traces, received, counts, pd.Timestamp(now, unit="ns", tz="UTC")


def the(found, check):
    (one,) = [finding for finding in found if finding.check == check]
    return one


def test_late_traces_are_reported_and_left_out_of_the_rate():
    traces, received, counts, now = world(np.random.default_rng(1))
    naive = the(tk.sampling(traces, requests=counts), "rate.observed")
    assert naive.estimate.value < 0.48, "the guard of the scenario: as it is, the rate is too low"
    found = tk.sampling(traces, requests=counts, received=received, now=now)
    rate = the(found, "rate.observed")
    assert rate.estimate.low < 0.5 < rate.estimate.high
    assert abs(rate.estimate.value - 0.5) < 0.015
    edge = the(found, "ingest.horizon")
    assert edge.severity == "warning"
    assert "Rates fall at the end of the recording and slow requests are missing there" in edge.headline
    missing = 0.5 * counts["count"].sum() - len(traces)
    assert edge.estimate.value == pytest.approx(missing / (len(traces) + missing), abs=0.01)
    assert edge.estimate.low < edge.estimate.value < edge.estimate.high
    kept = eval(edge.remedy.removeprefix("Use ").removesuffix(" for rates and latencies."))
    assert abs(len(kept) - (len(traces) - edge.evidence["late_traces"].iloc[0])) < 15
    assert "received=received" in found[0].code


def test_a_complete_recording_is_reported():
    traces, received, counts, now = world(np.random.default_rng(2), lag=(-3.0, 0.3), seconds=1800)
    quick = traces.where("duration_ns < 5e9")
    found = tk.sampling(quick, requests=counts, received=received.reindex(quick.trace_ids), now=now)
    assert status(found, "ingest.horizon") == ["ok"]
    assert "are excluded from all checks" in said(found, "ingest.horizon")
    assert "Rates fall" not in said(found, "ingest.horizon")


def test_few_receipts_and_none_are_not_assessable():
    traces, received, _, now = world(np.random.default_rng(3), seconds=120)
    assert said(tk.sampling(traces), "ingest.horizon") == ("Late-arriving traces not assessable: needs arrival times.")
    few = tk.sampling(traces, received=received.iloc[:9], now=now)
    assert "needs arrival times of at least 20 traces" in said(few, "ingest.horizon")
    assert len(build_case(traces, received=received.iloc[:9], now=now).complete.traces) == len(traces)


def test_late_traces_alone_do_not_describe_all_traffic():
    traces = traces_of(
        np.random.default_rng(4), ids=in_order(100), start_ns=EPOCH_NS + 1 + np.arange(100) * SECOND_NS // 100
    )
    received = pd.Series(EPOCH_NS + 60 * SECOND_NS, index=traces.trace_ids)
    found = tk.sampling(traces, rules=0.5, requests=pd.DataFrame({"count": [200]}), received=received)
    assert "They do not represent all traffic" in said(found, "ingest.horizon")
    assert status(found, "rate.observed") == ["not_assessable"]
    assert status(found, "bias.tail") == ["not_assessable"]


def test_a_log_and_stages_are_cut_with_the_traces():
    rng = np.random.default_rng(5)
    traces, received, counts, now = world(rng)
    stages = {"instrumented": float(counts["count"].sum()), "sampled": 0.5 * float(counts["count"].sum())}
    given = {"requests": counts, "rules": 0.5, "expected": {"stages": stages}}
    naive = the(tk.sampling(traces, **given), "coverage.funnel")
    assert "Sampled traces are dropped before storage" in naive.headline
    right = the(tk.sampling(traces, **given, received=received, now=now), "coverage.funnel")
    assert "dropped" not in right.headline
    starts = pd.to_datetime(traces.columns.spans.start_ns[traces.forest.root_row], unit="ns", utc=True)
    others = pd.date_range(starts.min(), now, periods=len(traces) + 700)
    ids = [*traces.trace_ids, *[f"{n:032x}" for n in range(1, len(others) + 1)]]
    log = pd.DataFrame({"trace_id": ids, "time": [*starts, *others], "route": "/a"})
    case = build_case(traces, log=log, received=received, now=now, count_log=True).complete.weighted
    assert case.traces.weights.known.all()
    assert case.traces.weights.value.sum() == pytest.approx(len(case.log))
    assert len(case.log) < len(log)


def test_stages_are_cut_with_their_log():
    rng = np.random.default_rng(5)
    n, now = 6000, EPOCH_NS + 600 * SECOND_NS
    start = EPOCH_NS + np.sort(rng.integers(0, 600 * SECOND_NS, n))
    by = start + (rng.lognormal(3, 0.8, n) * 1e9).astype(np.int64)
    sampled = rng.random(n) < 0.5
    everyone = traces_of(rng, ids=in_order(n), start_ns=start)
    ids = np.array(everyone.trace_ids)
    traces = everyone.where(lambda spans: spans["trace_id"].isin(ids[sampled & (by <= now)]))
    log = pd.DataFrame({"trace_id": ids, "time": pd.to_datetime(start, unit="ns", utc=True)})
    stages = {"instrumented": n, "sampled": int(sampled.sum())}
    found = tk.sampling(
        traces, log=log, rules=0.5, expected={"stages": stages}, received=pd.Series(by, ids),
        now=pd.Timestamp(now, unit="ns"),
    )  # fmt: skip
    assert the(found, "coverage.funnel").severity == "info"
    assert "Sampling explains it" in said(found, "coverage.funnel")
    assert found[0].code.endswith("received=received, now=now)")


def test_one_start_long_before_the_others_does_not_thin_what_was_due():
    traces, received, _, now = world(np.random.default_rng(1))
    plain = the(tk.sampling(traces, received=received, now=now), "ingest.horizon")
    frame = traces.spans.assign(start_ns=traces.columns.spans.start_ns, end_ns=traces.columns.spans.end_ns)
    frame.loc[frame.index[0], "start_ns"] -= 86400 * SECOND_NS
    early = tk.TraceSet.from_spans(frame[["trace_id", "span_id", "name", "start_ns", "end_ns"]])
    found = the(tk.sampling(early, received=received, now=now), "ingest.horizon")
    assert found.estimate.value == pytest.approx(plain.estimate.value, abs=0.002)
    assert found.severity == "warning"


def test_a_log_with_late_requests_only_is_no_count():
    traces, received, _, now = world(np.random.default_rng(6))
    log = pd.DataFrame({"trace_id": ["f" * 32], "time": [now]})
    assert build_case(traces, log=log, received=received, now=now, count_log=True).complete.weighted.counts is None


def test_coverage_counts_what_is_whole_and_the_lag_of_all():
    traces, received, counts, now = world(np.random.default_rng(7))
    seen = tk.coverage(traces, requests=counts, received=received, now=now, success="duration_ns < 5e9")
    whole = seen.metrics[seen.metrics["service_name"].isna()].set_index("metric")
    assert whole.loc["M1", "low"] < 0.5 < whole.loc["M1", "high"]
    assert whole.loc["M6", "n"] == len(traces)
    assert whole.loc["M10", "low"] < 0.95 < whole.loc["M10", "high"]
