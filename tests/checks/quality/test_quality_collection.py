"""Collection: gaps, silence, lag, cut traces, and whether counts and traces cover the same requests."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, MINUTE, MS, SECOND, otlp, said, spans, status, trace_ids, traffic

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.case import Case, build_case

START = EPOCH_NS // MINUTE * MINUTE


def minutes_of(rng, *, minutes=60, mean=40, share=0.5, lost=slice(0, 0), loss=1.0, service="web"):
    """Counts of every minute, and the traces of a share of the requests but for an outage."""
    requests = rng.poisson(mean, minutes) + 1
    chance = np.full(minutes, share)
    chance[lost] *= 1 - loss
    kept = rng.binomial(requests, chance)
    begun = START + np.repeat(np.arange(minutes), kept) * MINUTE + rng.integers(0, MINUTE, kept.sum())
    times = pd.to_datetime(START + np.arange(minutes) * MINUTE, unit="ns", utc=True)
    counts = pd.DataFrame({"time": times, "service": service, "count": requests})
    return spans(len(begun), service_name=service, start_ns=begun, end_ns=begun + MS), counts


def test_an_outage_is_found_with_its_time_loss_and_meaning():
    frame, counts = minutes_of(np.random.default_rng(1), lost=slice(30, 40))
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, checks=["gap.scan"])
    assert status(found, "gap.scan") == "failed"
    row = found[0].evidence[found[0].evidence["status"] == "failed"].iloc[0]
    begin = pd.Timestamp(START, unit="ns", tz="UTC") + pd.Timedelta("30min")
    assert abs(row["start_time"] - begin) <= pd.Timedelta("2min")
    assert row["loss_ratio"] > 0.9
    assert row["low"] <= row["loss_ratio"] <= row["high"]
    assert "Fewer traces in this window do not mean less traffic" in found[0].headline
    assert "Check collectors and exporters" in found[0].remedy


def test_a_lull_of_traffic_is_no_outage():
    rng = np.random.default_rng(2)
    frame, counts = minutes_of(rng)
    calm = counts["time"].between(counts["time"].iloc[30], counts["time"].iloc[39])
    begun = pd.to_datetime(frame["start_ns"], unit="ns", utc=True).dt.floor("min")
    quiet = frame[~begun.isin(counts.loc[calm, "time"])]
    counts.loc[calm, "count"] = 0
    found = tk.quality(TraceSet.from_spans(quiet), requests=counts, checks=["gap.scan"])
    assert status(found, "gap.scan") == "ok"
    assert "a total loss of 20 expected traces would have been detected" in said(found, "gap.scan")


def test_one_service_down_is_named_and_two_gaps_are_two_findings():
    rng = np.random.default_rng(3)
    web, web_counts = minutes_of(rng, mean=300, minutes=90)
    pay, pay_counts = minutes_of(rng, mean=40, minutes=90, lost=slice(20, 30), service="pay")
    pay = pay[~((pay["start_ns"] >= START + 60 * MINUTE) & (pay["start_ns"] < START + 70 * MINUTE))]
    frame = pd.concat([web, pay]).assign(trace_id=trace_ids(len(web) + len(pay)))
    counts = pd.concat([web_counts, pay_counts])
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, checks=["gap.scan"])
    assert [finding.headline[:30] for finding in found if "`pay` traces" in finding.headline]
    gaps = found[0].evidence[(found[0].evidence["scope"] == "pay") & (found[0].evidence["status"] == "failed")]
    assert len(gaps) == 2
    assert not (found[0].evidence.loc[found[0].evidence["scope"] == "web", "status"] == "failed").any()


def test_traces_that_end_before_the_counts_are_reported_and_no_gap():
    frame, counts = minutes_of(np.random.default_rng(4), lost=slice(45, 60))
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, checks=["gap.scan"])
    assert status(found, "gap.scan") == "ok"
    assert "more traces were expected before the first and after the last trace" in said(found, "gap.scan")


@pytest.mark.parametrize(
    ("requests", "needs"),
    [
        (None, "needs request counts with times"),
        (pd.DataFrame({"count": [100]}), "needs request counts with times"),
        (pd.DataFrame({"time": ["1999-01-01", "1999-01-02"], "count": [1, 2]}), "needs request counts of the period"),
        (
            pd.DataFrame({"time": [pd.Timestamp(START, unit="ns")], "count": [1000]}),
            "needs request counts in at least 12",
        ),
    ],
)
def test_gaps_need_counts_with_times(requests, needs):
    frame, _ = minutes_of(np.random.default_rng(5), minutes=20)
    found = tk.quality(TraceSet.from_spans(frame), requests=requests, checks=["gap.scan"])
    assert status(found, "gap.scan") == "not_assessable"
    assert needs in said(found, "gap.scan")


# -------------------------------------------------------------------- counts


def test_counts_of_the_same_requests_give_no_warning():
    frame, counts = minutes_of(np.random.default_rng(6))
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, checks=["counts.join"])
    assert status(found, "counts.join") == "ok"


def test_more_traces_than_requests_and_other_strata_are_named():
    frame, counts = minutes_of(np.random.default_rng(7))
    counts["count"] = 2
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, checks=["counts.join"])
    assert status(found, "counts.join") == "warning"
    assert "with more traces than requests (first:" in said(found, "counts.join")
    other = counts.assign(service="ledger", count=900)
    found = tk.quality(TraceSet.from_spans(frame), requests=other, checks=["counts.join"])
    assert "of a service_name that was not counted" in said(found, "counts.join")


def test_windows_of_another_zone_are_reported():
    frame, counts = minutes_of(np.random.default_rng(8))
    late = counts.assign(time=counts["time"].dt.tz_localize(None) + pd.Timedelta("30min"))
    found = tk.quality(TraceSet.from_spans(frame), requests=late, checks=["counts.join"])
    assert status(found, "counts.join") == "warning"
    assert "outside the counted windows" in said(found, "counts.join")
    assert "times without a time zone were read as UTC" in said(found, "counts.join")
    assert status(tk.quality(TraceSet.from_spans(frame), checks=["counts.join"]), "counts.join") == "not_assessable"


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        (pd.DataFrame({"count": [5, -1]}), "found -1"),
        (pd.DataFrame({"time": ["2026-01-01", "2026-01-01"], "count": [1, 2]}), "rows 0 and 1"),
        (pd.DataFrame({"hits": [5]}), "expected rows with a column 'count'"),
    ],
)
def test_counts_that_cannot_be_are_refused_by_row(requests, message):
    with pytest.raises(ValueError, match=message):
        tk.quality(TraceSet.from_spans(spans(3)), requests=requests)


# -------------------------------------------------------------------- silence


def test_a_silence_is_reported_with_the_expected_count_as_a_possible_lull():
    rng = np.random.default_rng(9)
    begun = START + np.cumsum(rng.exponential(10, 600) * 1e9).astype(np.int64)
    begun[300:] += 300 * SECOND
    found = tk.quality(TraceSet.from_spans(spans(600, start_ns=begun, end_ns=begun + MS)), checks=["gap.silence"])
    assert status(found, "gap.silence") == "warning"
    assert "Without request counts this may also be a period of low traffic" in said(found, "gap.silence")
    assert found[0].estimate.low < found[0].estimate.value < found[0].estimate.high


def test_the_lull_of_a_night_is_no_gap():
    """Two days of few traces, twenty times as many at noon as at midnight."""
    rng, alarms = np.random.default_rng(4), 0
    for _ in range(12):
        t = np.sort(rng.random(1150)) * 2
        t = t[rng.random(len(t)) < (1 + 0.9 * np.sin(2 * np.pi * t)) / 1.9]
        begun = START + (t * 86_400e9).astype(np.int64)
        nights = TraceSet.from_spans(spans(len(t), start_ns=begun, end_ns=begun + MS))
        alarms += status(tk.quality(nights, checks=["gap.silence"]), "gap.silence") == "warning"
    assert alarms <= 1


def test_even_traffic_is_not_silent_and_bursts_and_few_are_refused():
    rng = np.random.default_rng(10)
    begun = START + np.cumsum(rng.exponential(10, 600) * 1e9).astype(np.int64)
    even = TraceSet.from_spans(spans(600, start_ns=begun, end_ns=begun + MS))
    assert status(tk.quality(even, checks=["gap.silence"]), "gap.silence") == "ok"
    burst = np.repeat(begun[:120], 6)
    found = tk.quality(TraceSet.from_spans(spans(720, start_ns=burst, end_ns=burst + MS)), checks=["gap.silence"])
    assert "arrivals are bursty" in said(found, "gap.silence")
    few = tk.quality(TraceSet.from_spans(spans(10)), checks=["gap.silence"])
    assert status(few, "gap.silence") == "not_assessable"


# -------------------------------------------------------------------- lag


def lagging(lag_s, n=1200, now_s=None):
    traces = TraceSet.from_spans(spans(n))
    end = EPOCH_NS + np.arange(n) * SECOND + 5 * MS
    receipt = end + (np.broadcast_to(lag_s, n) * 1e9).astype(np.int64)
    seen = receipt <= EPOCH_NS + now_s * SECOND if now_s else np.ones(n, bool)
    now = None if now_s is None else pd.Timestamp(EPOCH_NS + now_s * SECOND, unit="ns")
    received = pd.Series(receipt[seen], index=np.array(trace_ids(n), object)[seen])
    return tk.quality(traces, received=received, now=now, checks=["ingest.lag"])


def test_a_fast_backend_is_ok_and_a_slow_one_is_not():
    rng = np.random.default_rng(11)
    quick = lagging(rng.lognormal(1.5, 0.5, 1200))
    assert status(quick, "ingest.lag") == "ok"
    assert quick[0].estimate.low < np.exp(1.5 + 1.645 * 0.5) * 1e9 < quick[0].estimate.high
    slow = lagging(rng.lognormal(3.5, 0.5, 1200))
    assert status(slow, "ingest.lag") == "warning"
    assert "are excluded from the other checks" in said(slow, "ingest.lag")


def test_a_backlog_that_grows_is_reported_with_its_slope():
    rng = np.random.default_rng(12)
    n = 4800
    found = lagging(2 + rng.random(n) + np.arange(n) / n * 18, n=n)
    assert status(found, "ingest.lag") == "warning"
    assert "growing by 13" in said(found, "ingest.lag")


def test_slow_traces_that_have_not_arrived_are_allowed_for():
    rng = np.random.default_rng(13)
    lag = np.where(rng.random(1200) < 0.5, 1.0, 100.0)
    found = lagging(lag, now_s=1200)
    assert found[0].estimate.value == pytest.approx(100e9)


def test_times_of_receipt_may_be_an_attribute():
    frame = spans(100)
    frame["attributes.received"] = [
        pd.Timestamp(at + 3 * SECOND, unit="ns", tz="UTC").isoformat() for at in frame["end_ns"]
    ]
    found = tk.quality(TraceSet.from_spans(frame), received="received", checks=["ingest.lag"])
    assert found[0].estimate.value == pytest.approx(3e9)


def test_impossible_receipts_are_reported_or_refused():
    traces = TraceSet.from_spans(spans(100))
    early = pd.Series(EPOCH_NS - SECOND, index=trace_ids(100))
    found = tk.quality(traces, received=early, checks=["ingest.lag"])
    assert "100 arrived before their end" in said(found, "ingest.lag")
    with pytest.raises(ValueError, match=r"arrival times in 'received', found 'so...on \(4 characters\)' in row 'a'"):
        tk.quality(traces, received=pd.Series({"a": "soon"}), checks=["ingest.lag"])
    with pytest.raises(ValueError, match="found several for trace 'a'"):
        tk.quality(traces, received=pd.Series([1, 2], index=["a", "a"]), checks=["ingest.lag"])
    with pytest.raises(ValueError, match="expected a time such as 2026-11-21T14:00Z as now"):
        tk.quality(traces, received=early, now="NaT", checks=["ingest.lag"])
    assert status(tk.quality(traces, checks=["ingest.lag"]), "ingest.lag") == "not_assessable"


def polls_of(by, step_s=15, **columns):
    """The poll that found each trace, by id; every so many seconds one."""
    found = -(-(by - EPOCH_NS) // (step_s * SECOND)) * step_s * SECOND + EPOCH_NS
    return pd.DataFrame({"by": found, **columns}, index=trace_ids(len(by)))


def test_polls_give_an_interval_that_contains_the_truth():
    lag_s = np.random.default_rng(15).lognormal(2.0, 0.8, 3000)
    end = EPOCH_NS + np.arange(3000) * SECOND + 5 * MS
    polls = polls_of(end + (lag_s * 1e9).astype(np.int64))
    (found,) = tk.quality(TraceSet.from_spans(spans(3000)), received=polls, checks=["ingest.lag"])
    truth = float(np.exp(2 + 1.6449 * 0.8)) * 1e9
    assert found.estimate.low < truth < found.estimate.value + 2 * SECOND
    assert truth < found.estimate.high
    assert 14 * SECOND < found.estimate.value - found.estimate.low < 22 * SECOND, "a step of the polls, and chance"
    assert "from polls" in found.headline
    assert "polls are about evenly spaced" in found.assumptions
    naive = tk.quality(TraceSet.from_spans(spans(3000)), received=polls["by"], checks=["ingest.lag"])[0]
    assert naive.estimate.low > truth, "taken for exact, polls are late"


def test_a_verdict_about_polls_needs_both_ends():
    traces, end = TraceSet.from_spans(spans(2000)), EPOCH_NS + np.arange(2000) * SECOND + 5 * MS
    for step_s, wanted in ((10, "ok"), (60, "inconclusive")):
        polls = polls_of(end + 5 * SECOND, step_s)
        assert status(tk.quality(traces, received=polls, checks=["ingest.lag"]), "ingest.lag") == wanted
    late = polls_of(end + 100 * SECOND, 60)
    assert status(tk.quality(traces, received=late, checks=["ingest.lag"]), "ingest.lag") == "warning"


def test_traces_before_the_first_poll_are_not_used():
    """The first poll finds an hour of traces; that they took an hour is not said."""
    end = EPOCH_NS + np.arange(4000) * SECOND + 5 * MS
    polls = polls_of(np.maximum(end + 2 * SECOND, EPOCH_NS + 3600 * SECOND))
    (found,) = tk.quality(TraceSet.from_spans(spans(4000)), received=polls, checks=["ingest.lag"])
    assert found.estimate.high < 20e9
    assert found.estimate.n == 400


# -------------------------------------------------------------------- the young edge


def test_the_sentence_of_the_lag_names_what_the_other_checks_leave_out():
    """Traces take a minute and arrive 2 s after that: what began in the last minute is left out, not what ended."""
    frame = spans(1200).assign(end_ns=lambda rows: rows["start_ns"] + 60 * 10**9)
    received = pd.Series((frame["end_ns"] + 2 * 10**9).to_numpy(), index=frame["trace_id"])
    found = tk.quality(TraceSet.from_spans(frame), received=received, checks=["ingest.lag"])
    assert "p95 2.00 s" in said(found, "ingest.lag")
    assert "Traces that started in the last 62.0 s have not all arrived and are excluded from the other checks" in said(
        found, "ingest.lag"
    )


def test_lags_that_too_few_could_have_shown_are_left_out_and_reported():
    frame = spans(1200)
    received = pd.Series((frame["end_ns"] + 2 * 10**9).to_numpy(), index=frame["trace_id"])
    received.iloc[0] = received.max()
    found = tk.quality(TraceSet.from_spans(frame), received=received, checks=["ingest.lag"])
    assert status(found, "ingest.lag") == "ok"
    assert "Excluded: 1 longer lag (too few traces are old enough to show them)" in said(found, "ingest.lag")


def test_only_the_lag_check_uses_late_traces():
    """Collection is fine; the last minutes had not arrived, which without receipts is a gap."""
    rng = np.random.default_rng(16)
    frame, counts = minutes_of(rng, minutes=60, mean=40)
    lag_ns = (rng.lognormal(4.5, 0.6, len(frame)) * 1e9).astype(np.int64)
    now = START + 60 * MINUTE
    seen = (frame["start_ns"] + lag_ns <= now).to_numpy()
    received = pd.Series((frame["start_ns"] + lag_ns).to_numpy(), index=frame["trace_id"])[seen]
    traces = TraceSet.from_spans(frame[seen])
    moment = pd.Timestamp(now, unit="ns", tz="UTC")
    naive = tk.quality(traces, requests=counts, checks=["gap.scan"])
    assert status(naive, "gap.scan") == "failed"
    right = tk.quality(traces, requests=counts, received=received, now=moment, checks=["gap.scan", "ingest.lag"])
    assert status(right, "gap.scan") == "ok"
    (lag,) = [finding for finding in right if finding.check == "ingest.lag"]
    assert lag.estimate.n == seen.sum(), "the lag itself is told by all of them"


def test_without_late_traces_nothing_is_left_out():
    traces = TraceSet.from_spans(spans(100))
    received = pd.Series(EPOCH_NS + np.arange(100) * SECOND + 6 * MS, index=trace_ids(100))
    case = build_case(traces, received=received, now=pd.Timestamp(EPOCH_NS + 200 * SECOND, unit="ns"))
    assert case.complete.traces is traces
    assert Case(traces).complete.traces is traces


# -------------------------------------------------------------------- cut traces


def test_without_truncation_nothing_is_reported():
    found = tk.quality(TraceSet.from_spans(spans(200)), checks=["partial"])
    assert status(found, "partial") == "ok"


def test_spans_without_an_end_make_a_trace_a_lower_limit():
    frame = spans(300)
    frame["in_progress"] = np.arange(300) < 60
    frame["end_ns"] = frame["end_ns"].astype("Int64").mask(frame["in_progress"])
    found = tk.quality(TraceSet.from_spans(frame), checks=["partial"])
    assert status(found, "partial") == "warning"
    assert found[0].estimate.value == pytest.approx(0.2)
    assert "traces are truncated or unfinished, most often with spans in progress" in found[0].headline


def test_a_pile_up_at_one_largest_size_is_a_limit():
    sizes = [60] * 20 + [10 + at % 40 for at in range(180)]
    rows = [
        ("web", "a", at + 1, i + 1, int(i > 0), "x", "INTERNAL", 0, 9) for at, n in enumerate(sizes) for i in range(n)
    ]
    found = tk.quality(otlp(rows), checks=["partial"])
    row = found[0].evidence.set_index("sign").loc["as many spans as a limit allows"]
    assert row["trace_count"] == 20
    even = [row for row in rows if row[2] > 20]
    assert tk.quality(otlp(even), checks=["partial"])[0].estimate.value == 0


def test_traffic_of_the_simulation_has_a_season():
    requests = traffic(np.random.default_rng(1))
    assert requests[:180].mean() > 2 * requests[180:].mean()


def test_a_trace_that_x_ray_cut_is_reported():
    def segment(at):
        trace_id = f"1-6a0ebb13-{at:024x}"
        told = {"id": f"{at:016x}", "trace_id": trace_id, "name": "web", "start_time": 1.795e9, "end_time": 1.795e9 + 1}
        answer = {"Id": trace_id, "Duration": 1.0, "LimitExceeded": at < 3, "Segments": []}
        return answer | {"Segments": [{"Id": told["id"], "Document": json.dumps(told)}]}

    traces = tk.read(json.dumps({"Traces": [segment(at) for at in range(1, 31)]}).encode())
    found = tk.quality(traces, checks=["partial"])
    row = found[0].evidence.set_index("sign").loc["X-Ray's limit exceeded"]
    assert row["trace_count"] == 2
    assert found[0].estimate.value == pytest.approx(2 / 30)
    assert set(found[0].exemplars) == {f"6a0ebb13{at:024x}" for at in (1, 2)}


def document(at, *, below=0, size=0):
    """A segment document of its own line, with subsegments, two of them one below the other."""
    start = {"start_time": 1.795e9, "end_time": 1.795e9 + 1}
    inner = [{"id": f"{at:08x}{i + 1:08x}", "name": "get", **start} for i in range(below)]
    if below > 1:
        inner[0]["subsegments"] = [inner.pop()]
    told = {"id": f"{at:08x}00000000", "trace_id": f"1-6a0ebb13-{at:024x}", "name": "web", **start}
    text = json.dumps(told | {"subsegments": inner, "metadata": {"default": {"rows": ""}}})
    return text.replace('"rows": ""', f'"rows": "{"." * max(size - len(text), 0)}"')


def signs_of(lines):
    found = tk.quality(tk.read("\n".join(lines).encode()), checks=["partial"])
    return found[0].evidence.set_index("sign")["trace_count"]


@pytest.mark.parametrize("last", [False, True])
def test_documents_near_the_largest_size_are_reported(last):
    lines = [document(at, size=200) for at in range(1, 30)]
    lines.insert(29 if last else 9, document(30, size=63_000))
    assert signs_of(lines)["a segment document near 64 kB"] == 1
    assert signs_of([document(at, size=61_000) for at in range(1, 9)])["a segment document near 64 kB"] == 0


def test_the_size_of_what_is_not_a_line_of_its_own_is_not_assessed():
    array = "[" + ",".join(document(at, size=10_000) for at in range(1, 9)) + "]"
    assert signs_of([array])["a segment document near 64 kB"] == 0
    lines = [document(1), '{"id": "broken", ' + "." * 64_000, document(2)]
    assert signs_of(lines)["a segment document near 64 kB"] == 0


def test_a_pile_up_of_subsegments_at_a_streaming_limit_is_reported():
    sizes = [100] * 12 + [60 + at % 40 for at in range(60)]
    sign = "as many subsegments as a streaming limit keeps"
    assert signs_of([document(at + 1, below=n) for at, n in enumerate(sizes)])[sign] == 12
    for other in ([99] * 12 + sizes[12:], [*sizes, 101], [100] * 12, [100] * 4 + sizes[12:], [100] * 12 + [99] * 60):
        assert signs_of([document(at + 1, below=n) for at, n in enumerate(other)])[sign] == 0


def test_a_source_that_was_not_read_to_its_end_is_reported():
    data = gzip.compress(b"\n".join(json.dumps(one).encode() for one in cut_lines()))
    found = tk.quality(tk.read(data[: len(data) * 2 // 3]), checks=["partial"])
    assert status(found, "partial") == "warning"
    assert "1 of 1 sources were not read to their end" in said(found, "partial")


def cut_lines():
    """Traces of one span a line, with ids that do not compress."""
    for trace_id in trace_ids(4000):
        times = {"startTimeUnixNano": str(EPOCH_NS), "endTimeUnixNano": str(EPOCH_NS + 5)}
        span = {"traceId": trace_id, "spanId": trace_id[:16], "name": "x", **times}
        yield {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


@pytest.mark.parametrize(("loss", "wanted"), [(-1.5, "warning"), (0.0, "measured"), (0.9, "measured")])
def test_a_runaway_of_traces_is_reported_with_its_cost(loss, wanted):
    frame, counts = minutes_of(np.random.default_rng(3), share=0.2, lost=slice(30, 40), loss=loss)
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, prices={"recorded": 5e6}, checks=["cost"])
    assert status(found, "cost") == wanted
    assert ("Sampling surge from" in said(found, "cost")) == (wanted == "warning")
    if wanted == "warning":
        cost = float(said(found, "cost").rpartition("$")[2].rstrip(".").replace(",", ""))
        due = counts["count"][30:40].sum()
        assert cost == pytest.approx(5 * 0.3 * due, rel=0.2)
        assert "raised the sampling rate" in found[0].remedy


def test_few_windows_show_no_runaway():
    frame, counts = minutes_of(np.random.default_rng(3), minutes=10, share=0.2, lost=slice(4, 6), loss=-1.5)
    found = tk.quality(TraceSet.from_spans(frame), requests=counts, prices={"recorded": 5.0}, checks=["cost"])
    assert status(found, "cost") == "measured"


def test_counts_without_traces_are_not_ok():
    none = TraceSet.from_spans(spans(1)).where("duration_ns < 0")
    found = tk.quality(none, requests=pd.DataFrame({"count": [9]}), checks=["counts.join"])
    assert status(found, "counts.join") == "not_assessable"
    assert "needs traces" in said(found, "counts.join")
