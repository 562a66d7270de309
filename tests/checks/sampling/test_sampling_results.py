"""What the figures of a sample stand on: latency curves, shares, collection over time, places in the second."""

import math

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, hour, traces_of
from scipy.stats import binom

import tracekit as tk
from tracekit import TraceSet
from tracekit.stats.second_reservoir import SECOND_NS

RNG = np.random.default_rng(80)
MINUTE = 60 * SECOND_NS
LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}


def timed(took_ns, **columns):
    """One trace a duration."""
    ids = [f"{n:032x}" for n in range(1, len(took_ns) + 1)]
    frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "service_name": "web", "name": "GET /", "start_ns": 0})
    return TraceSet.from_spans(frame.assign(end_ns=took_ns, **columns))


# ------------------------------------------------------------------ latency


def test_the_corrected_curve_is_that_of_the_represented_requests():
    took, weight = RNG.permutation(np.arange(1, 301)) * 1000, RNG.integers(1, 30, 300)
    seen = tk.latency_bias(timed(took).with_weights(weight.astype(float).tolist()))
    for column, requests in (("estimate_ns", np.sort(np.repeat(took, weight))), ("raw_ns", np.sort(took))):
        reached = [-(-round(1000 * share) * len(requests) // 1000) - 1 for share in seen.curve["quantile"]]
        assert seen.curve[column].tolist() == requests[reached].tolist()
    assert (seen.curve["low_ns"].dropna() <= seen.curve["estimate_ns"][seen.curve["low_ns"].notna()]).all()
    assert (seen.curve["high_ns"].dropna() >= seen.curve["estimate_ns"][seen.curve["high_ns"].notna()]).all()
    assert seen.trace_count == 300
    assert seen.n_effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())


def test_the_limits_of_the_raw_curve_are_those_of_a_fair_sample():
    row = tk.latency_bias(timed(np.arange(1, 101) * 1000)).curve.set_index("quantile").loc[0.5]
    low, high = binom.ppf([0.025, 0.975], 100, 0.5)
    assert (row["raw_low_ns"], row["raw_high_ns"]) == (1000 * low, 1000 * (high + 1))


def test_a_complete_recording_leaves_no_doubt_about_the_window_but_about_the_process():
    traces = timed(np.arange(1, 101) * 1000).with_weights(1.0)
    curve = tk.latency_bias(traces).curve
    assert (curve["low_ns"] == curve["estimate_ns"]).all()
    assert (curve["high_ns"] == curve["estimate_ns"]).all()
    process = tk.latency_bias(traces, target="process").curve
    assert process["low_ns"].equals(process["raw_low_ns"])
    assert math.isnan(process["high_ns"].iloc[-1]), "100 traces do not limit p99.9 from above"


def test_the_curve_of_the_log_is_drawn_as_the_truth():
    log = pd.DataFrame({"trace_id": "x", "duration_ns": np.arange(1, 1001) * 10})
    seen = tk.latency_bias(timed(np.arange(1, 101) * 1000), log=log)
    assert seen.curve.set_index("quantile").loc[0.95, "logged_ns"] == 9500
    assert tk.latency_bias(timed([5]), log=log.drop(columns="duration_ns")).curve["logged_ns"].isna().all()
    assert tk.latency_bias(timed([5]), log=log.assign(duration_ns=None)).curve["logged_ns"].isna().all()


def test_without_probabilities_nothing_is_corrected_and_the_input_is_named():
    seen = tk.latency_bias(timed([5_000_000] * 20))
    assert seen.curve[["estimate_ns", "low_ns", "high_ns"]].isna().all(axis=None)
    assert repr(seen).startswith("LatencyBias(p95 5.00 ms in the sample; not corrected: needs sampling weights")
    assert "not corrected" in seen._repr_html_()
    ruled = tk.latency_bias(timed([5_000_000] * 20), rules=0.05)
    assert (
        ruled.summary == "p95 5.00 ms in the sample, 5.00 ms for all requests "
        "(≥ 5.00 ms; n = 20, effective sample size 20)"
    )
    assert "rule" in ruled.weights_source


def test_no_durations_show_a_message():
    nothing = timed([5]).where("service_name == 'nobody'")
    assert repr(tk.latency_bias(nothing)) == "LatencyBias(no root span has a duration)"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"target": "universe"}, "expected window or process as target, found 'universe'"),
        ({"confidence": 1.5}, "level"),
    ],
)
def test_wrong_wishes_for_a_latency_curve_are_refused(wish, message):
    with pytest.raises(ValueError, match=message):
        tk.latency_bias(timed([5, 6, 7]), **wish)


# ------------------------------------------------------------------ mix


def routed(kept):
    return timed([5] * sum(kept.values()), http_route=np.repeat(list(kept), list(kept.values())))


def test_limits_of_a_share_are_those_of_the_ratio_as_odds():
    requests = pd.DataFrame({"route": ["/a", "/b", "/c"], "count": [60_000, 30_000, 10_000]})
    table = tk.sample_mix(routed({"/a": 3000, "/b": 900, "/c": 500}), requests=requests).table.set_index("stratum")
    assert table["request_share"].to_dict() == {"/a": 0.6, "/b": 0.3, "/c": 0.1}
    assert table["trace_share"].tolist() == pytest.approx([3000 / 4400, 900 / 4400, 500 / 4400])
    odds = table["request_share"] / (1 - table["request_share"])
    for share, ratio, close in (("", "ratio", 2e-3), ("_low", "low", 1e-9), ("_high", "high", 1e-9)):
        held = table[f"trace_share{share}"]
        assert (held / (1 - held)).tolist() == pytest.approx((odds * table[ratio]).tolist(), rel=close)
    assert table.loc["/b", "verdict"] == "failed"
    assert table.loc["/b", "trace_share_high"] < table.loc["/b", "request_share"]
    assert repr(tk.sample_mix(routed({"/a": 3000, "/b": 900, "/c": 500}), requests=requests)).startswith("SampleMix(")


def test_strata_and_hours_are_two_axes():
    start = EPOCH_NS // (3600 * SECOND_NS) * 3600 * SECOND_NS
    times = pd.to_datetime(start, utc=True) + pd.to_timedelta([0, 1], unit="h")
    counts = pd.DataFrame({"time": times, "service": "web", "count": 20_000})
    traces = traces_of(RNG, start_ns=start + np.repeat([0, 1], [2000, 500]) * 3600 * SECOND_NS)
    table = tk.sample_mix(traces, requests=counts).table
    assert table["axis"].tolist() == ["hours", "hours"], "one service alone is no mix"
    assert table["trace_count"].tolist() == [2000, 500]
    both = pd.concat([counts, counts.assign(service="billing")])
    assert set(tk.sample_mix(traces, requests=both).table["axis"]) == {"hours"}


def test_a_stratum_without_traces_is_there():
    requests = pd.DataFrame({"route": ["/a", "/b"], "count": [60_000, 6_000]})
    row = tk.sample_mix(routed({"/a": 3000}), requests=requests).table.set_index("stratum").loc["/b"]
    assert (row["trace_share"], row["trace_share_low"]) == (0, 0)
    assert 0 < row["trace_share_high"] < 0.01


def test_a_mix_that_cannot_be_assessed_names_the_missing_input():
    mix = tk.sample_mix(routed({"/a": 30}))
    assert mix.table.empty
    assert mix.headlines == ("Sampling bias by stratum not assessable: needs request counts.",)
    assert "needs request counts" in mix._repr_html_()


# ------------------------------------------------------------------ collection


def minutes(share, *, service="web", first=1):
    """A thousand requests a minute, of which a share leaves a trace each."""
    kept = np.rint(1000 * np.asarray(share)).astype(int)
    begun = np.repeat(EPOCH_NS + np.arange(len(kept)) * MINUTE, kept)
    begun = begun + np.concatenate([np.arange(n) * (MINUTE // 1000) for n in kept])
    frame = pd.DataFrame({"span_id": "1", "service_name": service, "name": "x", "start_ns": begun, "end_ns": begun})
    frame["trace_id"] = [f"{n + first:032x}" for n in range(len(frame))]
    times = pd.to_datetime(EPOCH_NS + np.arange(len(kept)) * MINUTE, utc=True)
    return frame, pd.DataFrame({"time": times, "service": service, "count": 1000})


def test_what_was_due_is_what_the_requests_leave_outside_the_gaps():
    share = np.full(120, 0.05)
    share[40:50] = 0.01
    frame, counts = minutes(share)
    seen = tk.collection_gaps(TraceSet.from_spans(frame), requests=counts.drop(columns="service"))
    (gap,) = seen.gaps.to_dict("records")
    assert (gap["kind"], gap["trace_count"], gap["expected_count"]) == ("gap", 100, pytest.approx(500))
    assert gap["start_time"] == pd.Timestamp(EPOCH_NS + 40 * MINUTE, tz="UTC")
    assert gap["end_time"] == pd.Timestamp(EPOCH_NS + 50 * MINUTE, tz="UTC")
    assert (gap["low"], gap["high"]) == (pytest.approx(0.8, abs=0.05), pytest.approx(0.8, abs=0.05))
    assert seen.table["expected_count"].tolist() == pytest.approx([50.0] * 120)
    assert seen.table["trace_count"].tolist() == (share * 1000).round().astype(int).tolist()
    assert (seen.table["end_time"] - seen.table["start_time"]).unique() == [pd.Timedelta("1min")]
    assert "Collection(5,600 traces in 120 windows, 1 gap)" in repr(seen)
    assert "Collection gap: 80.0%" in seen._repr_html_()


def test_every_service_that_is_counted_apart_has_its_own_gaps():
    share = np.full(120, 0.05)
    share[40:50] = 0
    one, one_counts = minutes(share, service="pay")
    other, other_counts = minutes(np.full(120, 0.2), first=10**6)
    counts = pd.concat([one_counts, other_counts])
    seen = tk.collection_gaps(TraceSet.from_spans(pd.concat([one, other])), requests=counts)
    assert set(seen.table["scope"]) == {"all", "pay", "web"}
    assert "pay" in set(seen.gaps["scope"])
    assert "web" not in set(seen.gaps["scope"])
    due = seen.table[seen.table["scope"] == "pay"]["expected_count"]
    assert due.tolist() == pytest.approx([50.0] * 120)


def test_without_counts_only_silences_are_reported():
    begun = EPOCH_NS + np.cumsum(np.random.default_rng(1).exponential(10, 600) * 1e9).astype(np.int64)
    begun[300:] += 400 * SECOND_NS
    seen = tk.collection_gaps(traces_of(RNG, start_ns=begun))
    (silence,) = seen.gaps.to_dict("records")
    assert (silence["kind"], silence["trace_count"], silence["loss_ratio"]) == ("silence", 0, 1.0)
    assert silence["start_time"] == pd.Timestamp(begun[299], tz="UTC")
    assert silence["end_time"] == pd.Timestamp(begun[300], tz="UTC")
    assert seen.table["expected_count"].isna().all()
    assert seen.table["trace_count"].sum() == 600
    assert len(tk.collection_gaps(traces_of(RNG, 20)).gaps) == 0, "too few to tell"


def test_counts_of_another_time_and_no_traces_are_no_gap():
    frame, counts = minutes(np.full(20, 0.05))
    late = counts.assign(time=counts["time"] + pd.Timedelta("1D")).drop(columns="service")
    seen = tk.collection_gaps(TraceSet.from_spans(frame), requests=late)
    assert len(seen.gaps) == 0
    assert "needs request counts of the period of the traces" in seen.headlines[0]
    assert seen.table["expected_count"].tolist() == [0.0] * 20
    nobody = TraceSet.from_spans(frame).where("service_name == 'nobody'")
    assert tk.collection_gaps(nobody).table["trace_count"].sum() == 0


# ------------------------------------------------------------------ phases


def test_starts_are_counted_by_their_place_in_the_second():
    begun = [0, 999_999, 500_000_000, 7 * SECOND_NS + 999_999_999, 8 * SECOND_NS]
    seen = tk.start_phases(traces_of(RNG, start_ns=EPOCH_NS + np.array(begun)), parts=4)
    assert seen.table["trace_count"].tolist() == [3, 0, 1, 1]
    assert seen.table["start_ms"].tolist() == [0, 250, 500, 750]
    assert seen.table["even_count"].tolist() == [1.25] * 4
    assert seen.missing == "sampling rules"
    assert seen.table["reservoir_count"].isna().all()
    assert math.isnan(seen.reservoir_ratio)


def test_a_reservoir_is_distinguished_from_the_rate_and_from_start_times():
    rng = np.random.default_rng(4)
    all_requests = hour(rng, seconds=600, cron=0.0)
    process = np.zeros(len(all_requests.start_ns), int)
    kept = classic_reservoir(rng, all_requests.start_ns, process, 1, 0.05)
    start = all_requests.start_ns[kept]
    told = {"service_instance_id": "i-1", "attributes.aws.xray.sdk": "X-Ray for Python"}
    traces = traces_of(rng, start_ns=start, **told)
    log = pd.DataFrame({"trace_id": "x", "time": pd.to_datetime(all_requests.start_ns, utc=True)})
    seen = tk.start_phases(traces, rules=LOCAL, log=log)
    firsts = len(np.unique(start // SECOND_NS))  # one of every second is the reservoir's
    assert seen.table["reservoir_count"].sum() == firsts
    assert seen.reservoir_ratio == pytest.approx(firsts / len(start))
    assert seen.table["request_count"].sum() == len(all_requests.start_ns)
    assert not seen.is_even
    assert seen.table["reservoir_count"].iloc[0] > seen.table["even_high"].iloc[0]
    assert "begin unevenly" in repr(seen)
    bare = tk.start_phases(traces_of(rng, start_ns=start), rules=LOCAL)
    assert bare.missing.startswith("more about the decisions: the sampling SDK is not recorded")
    none = tk.start_phases(traces, rules=0.05)
    assert none.reservoir_ratio == 0


def test_even_starts_stay_within_their_limits_together():
    begun = EPOCH_NS + np.arange(1000) * 1_001_000
    table = tk.start_phases(traces_of(RNG, start_ns=begun)).table
    drawn = np.random.default_rng(5).multinomial(1000, [1 / 50] * 50, 4000)
    inside = ((drawn >= table["even_low"].to_numpy()) & (drawn <= table["even_high"].to_numpy())).all(axis=1).mean()
    assert 0.93 < inside < 0.99, "discrete, so a little more than 95%"
    assert "begin evenly over the second" in repr(tk.start_phases(traces_of(RNG, start_ns=begun)))


def test_few_traces_and_wrong_parts():
    one = tk.start_phases(traces_of(RNG, 1))
    assert math.isnan(one.strength)
    assert one.is_even
    assert "1 traces" in one._repr_html_()
    with pytest.raises(ValueError, match="expected at least 2 parts of a second, found 1"):
        tk.start_phases(traces_of(RNG, 3), parts=1)
    empty = tk.start_phases(timed([5]).where("service_name == 'nobody'"), log=pd.DataFrame({"trace_id": ["x"]}))
    assert empty.table["trace_count"].sum() == 0
    assert empty.table["request_count"].isna().all()
