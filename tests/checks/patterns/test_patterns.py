"""Patterns: costs by hand, the baseline, hostile names; the tables say how often planted patterns are named."""

from itertools import pairwise

import pandas as pd
import pytest
from checks.patterns.pattern_worlds import COLUMNS, MS, PLANTED, START

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.registry import CHECKS

DETECTORS = [check.name for check in CHECKS if check.topic == "patterns"]


def drawn(*spans, traces=1):
    """Traces of the same spans: id, parent, service, name, kind, begin and end in ms, and whether it failed."""
    rows = [
        (
            *(f"{k + 1:032x}", f"{k:x}{span}", parent and f"{k:x}{parent}", service, name, kind),
            *(START + k * 10_000 * MS + int(at * MS) for at in (begin, end)),
            "ERROR" if failed else "UNSET",
        )
        for k in range(traces)
        for span, parent, service, name, kind, begin, end, failed in spans
    ]
    return TraceSet.from_spans(pd.DataFrame(rows, columns=COLUMNS))


def rooted(*calls, end=200):
    """A root from 0 to ``end`` ms, and calls below it: name, begin, end, failed."""
    spans = [("01", None, "shop", "POST /pay", "SERVER", 0, end, False)]
    for k, (name, begin, stop, failed) in enumerate(calls):
        spans.append((f"{k + 2:02d}", "01", "shop", name, "CLIENT", begin, stop, failed))
    return spans


def only(traces, check, baseline=None):
    """The one finding of a detector."""
    (finding,) = [f for f in tk.patterns(traces, baseline) if f.check == check]
    return finding


def test_every_detector_has_a_planted_world():
    assert sorted(PLANTED) == sorted(DETECTORS)


#  shop  |----------------| 0..200     five calls of 10, 20, 30, 20, 20 ms in a row from 50 ms on
#  db        |-|--|---|--|--|          one of average length takes 20 of the 100 ms
def test_n_plus_one_costs_all_calls_but_one():
    times = [50, 60, 80, 110, 130, 150]
    calls = [("SELECT", begin, end, False) for begin, end in pairwise(times)]
    found = only(drawn(*rooted(*calls), traces=30), "patterns.n_plus_one")
    assert found.estimate.value == pytest.approx(80 * MS)
    row = found.evidence.iloc[0]
    assert row["affected_ratio"] == pytest.approx(0.4)
    assert (row["size_p50"], row["trace_count"]) == (5, 30)
    assert found.headline == (
        "N+1 calls: shop POST /pay calls shop SELECT 5 times in a row in 30 traces (100%): "
        "mean cost 80.0 ms (95% CI 80.0–80.0 ms), 40.0% of the latency of these traces."
    )
    assert not len(tk.patterns(drawn(*rooted(*calls[:4]))))


def test_a_single_trace_has_patterns_too():
    calls = [("SELECT", 10 * k, 10 * k + 10, False) for k in range(6)]
    found = only(drawn(*rooted(*calls)), "patterns.n_plus_one")
    assert "in 1 trace (100%): cost 50.0 ms, 25.0% of the latency of this trace." in found.headline
    assert found.exemplars[0] == f"{1:032x}"


#  shop  |----------------| 0..200     two attempts of 20 ms fail; pauses of 5 and 15 ms; the third succeeds
#  bank     |--x  |--x    |--|
def test_retries_cost_failed_attempts_and_pauses():
    calls = [("charge", 10, 30, True), ("charge", 35, 55, True), ("charge", 70, 90, False)]
    found = only(drawn(*rooted(*calls), traces=20), "patterns.retries")
    assert found.estimate.value == pytest.approx((20 + 5 + 20 + 15) * MS)
    assert found.evidence["attempt_ratio"].tolist() == [3]
    assert found.severity == "warning"


def test_attempts_per_call_include_the_calls_that_succeed_at_once():
    good = drawn(*rooted(("charge", 10, 30, False)), traces=9)
    ids = [f"{k + 100:032x}" for k in range(1)]
    frame = drawn(*rooted(("charge", 10, 60, True), ("charge", 70, 90, False))).spans.assign(trace_id=ids[0])
    both = TraceSet.from_spans(pd.concat([good.spans, frame])[[*COLUMNS]])
    assert only(both, "patterns.retries").evidence["attempt_ratio"].tolist() == pytest.approx([1.1])


def test_the_baseline_is_named():
    one = drawn(*rooted(*(("SELECT", 10 * k, 10 * k + 10, False) for k in range(8))), traces=3)
    none = drawn(*rooted(("SELECT", 0, 10, False)), traces=3)
    assert only(one, "patterns.n_plus_one", none).headline.endswith(" Not in the baseline.")
    assert only(one, "patterns.n_plus_one", one).headline.endswith(" In the baseline: 3 traces, 70.0 ms.")


#  parallel: four calls of 10, 10, 20 and 50 ms at once; without the slowest 30 ms less
def test_a_straggler_costs_its_time_beyond_the_second_slowest():
    calls = [("shard", 10, 10 + took, False) for took in (10, 10, 20, 50)]
    assert only(drawn(*rooted(*calls)), "patterns.stragglers").estimate.value == 30 * MS


def test_a_time_out_is_named_and_a_slow_failure_is_not():
    calls = [drawn(*rooted(("charge", 0, 100, True), end=120), traces=6)]
    assert "fail after 100 ms in 6 traces" in only(calls[0], "patterns.time_outs").headline
    frames = [drawn(*rooted(("charge", 0, 20 * 1.3**k, True), end=300)).spans for k in range(9)]
    spread = pd.concat([frame.assign(trace_id=f"{k + 1:032x}") for k, frame in enumerate(frames)])
    assert not [f for f in tk.patterns(TraceSet.from_spans(spread[[*COLUMNS]])) if f.check == "patterns.time_outs"]


def test_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match=r"expected checks among patterns\.n_plus_one, .* found 'n_plus_one'"):
        tk.patterns(drawn(*rooted()), checks=["n_plus_one"])


def test_hostile_names_are_cleaned():
    calls = [("<b>\x1b[31m SELECT", 10 * k, 10 * k + 10, False) for k in range(6)]
    headline = only(drawn(*rooted(*calls)), "patterns.n_plus_one").headline
    assert "\x1b" not in headline
    assert tk.patterns(drawn(*rooted(*calls)))._repr_html_().count("<b>") == 0


def test_no_traces_have_no_pattern():
    assert not len(tk.patterns(drawn(*rooted()).where("service_name == 'nobody'")))


def test_a_healthy_recording_has_no_pattern():
    assert not len(tk.patterns(tk.load_sample("checkout-regression")[0]))


@pytest.mark.parametrize("sample", [("checkout-xray",), ("tail-sampled", "population"), ("checkout-regression",)])
def test_queries_in_a_row_are_the_only_pattern_of_the_recorded_shops(sample):
    found = tk.load_sample(*sample)
    traces = found[-1] if isinstance(found, tuple) else found
    assert [finding.check for finding in tk.patterns(traces)] == ["patterns.n_plus_one"]


def test_what_is_as_in_the_baseline_is_no_warning():
    calls = [("SELECT", 10 * k, 10 * k + 10, False) for k in range(8)]
    one, two = drawn(*rooted(*calls), traces=3), drawn(*rooted(*calls), traces=5)
    assert only(one, "patterns.n_plus_one").severity == "warning"
    assert only(one, "patterns.n_plus_one", two).severity == "info"


#  four hosts: h3 takes 60 ms of self time, the others 20 ms; a request on h3 would have taken 40 ms less
def test_a_slow_instance_costs_its_time_beyond_that_of_the_others():
    frame = drawn(*rooted(end=20), traces=80).spans[[*COLUMNS]].assign(host_name=[f"h{k % 4}" for k in range(80)])
    slow = frame["host_name"] == "h3"
    frame.loc[slow, "end_ns"] += 40 * MS
    found = only(TraceSet.from_spans(frame), "patterns.slow_instances")
    assert found.estimate.value == pytest.approx(40 * MS, rel=1e-3)
    assert found.evidence["detail"].tolist() == ["host h3"]
    assert "takes 60.0 ms of self time (median)" in found.headline


#  30 calls of 20 ms, of which 2 ms are between caller and callee; in 6 of them 102 ms: 100 ms more than usual
def test_a_wait_costs_what_is_beyond_the_usual():
    frames = []
    for k in range(30):
        wait = 102 if k < 6 else 2
        spans = [
            *rooted(("call bank", 0, 18 + wait, False)),
            ("03", "02", "bank", "POST /pay", "SERVER", wait - 1, 17 + wait, False),
        ]
        frames.append(drawn(*spans).spans[[*COLUMNS]].assign(trace_id=f"{k + 1:032x}"))
    found = only(TraceSet.from_spans(pd.concat(frames)), "patterns.waits")
    assert found.estimate.value == pytest.approx(100 * MS)
    assert found.evidence["size_max"].tolist() == [102 * MS]


#  stock takes 30 ms and price 20 ms, in either order: made at once, they take 20 ms less
def test_calls_in_either_order_cost_the_shorter_one():
    one = [("GET stock", 10, 40, False), ("GET price", 40, 60, False)]
    other = [("GET price", 10, 30, False), ("GET stock", 30, 60, False)]
    frames = [drawn(*rooted(*(one if k % 2 else other), end=70)).spans[[*COLUMNS]] for k in range(12)]
    both = pd.concat([frame.assign(trace_id=f"{k + 1:032x}") for k, frame in enumerate(frames)])
    assert only(TraceSet.from_spans(both), "patterns.sequential_calls").estimate.value == pytest.approx(20 * MS)


#  warm requests take 20 ms, the cold one 320 ms
def test_a_cold_start_costs_its_time_beyond_the_warm_median():
    frame = drawn(*rooted(end=20), traces=10).spans[[*COLUMNS]]
    frame["attributes.faas.coldstart"] = frame.index == 0
    frame.loc[0, "end_ns"] += 300 * MS
    assert only(TraceSet.from_spans(frame), "patterns.cold_starts").estimate.value == pytest.approx(300 * MS)


def several(spans_of, count):
    """The traces of a function of their number."""
    frames = [drawn(*spans_of(k)).spans.assign(trace_id=f"{k + 1:032x}") for k in range(count)]
    for k, frame in enumerate(frames):
        frame["start_ns"] += k * 10_000 * MS
        frame["end_ns"] += k * 10_000 * MS
    return pd.concat(frames)[[*COLUMNS]]


#  shop call bank |------x           fails after 100 ms, while the bank works for 180 ms
#  bank POST /pay |-----------|      whose call of the vault fails after 160 ms, while the vault works for 400 ms
#  vault             |-------x.....
def cascade(_):
    return [
        *rooted(("call bank", 10, 110, True)),
        ("03", "02", "bank", "POST /pay", "SERVER", 15, 195, True),
        ("04", "03", "bank", "retry", "INTERNAL", 16, 190, True),
        ("05", "04", "bank", "call vault", "CLIENT", 20, 180, True),
        ("06", "05", "vault", "GET /key", "SERVER", 25, 425, False),
    ]


def test_a_cascade_costs_its_outermost_call():
    found = only(TraceSet.from_spans(several(cascade, 4)), "patterns.time_out_cascades")
    assert found.estimate.value == 100 * MS
    assert found.evidence["size_p50"].tolist() == [2]
    assert found.headline.startswith(
        "Time-out cascades: bank call vault times out, and its callers up to shop call bank give up "
    )


def test_an_error_that_travels_upwards_is_no_cascade():
    def answered(_):
        return [
            *rooted(("call bank", 10, 200, True)),
            ("03", "02", "bank", "POST /pay", "SERVER", 15, 195, True),
            ("05", "03", "bank", "call vault", "CLIENT", 20, 180, True),
            ("06", "05", "vault", "GET /key", "SERVER", 25, 425, False),
        ]

    checks = {finding.check for finding in tk.patterns(TraceSet.from_spans(several(answered, 9)))}
    assert checks == {"patterns.abandoned_calls", "patterns.time_outs"}


#  ten requests read the cache for 5 ms; four of them then read the database for 40 ms
def cached(k, *, misses=4):
    calls = [("GET", 10, 15, False), *([("SELECT", 20, 60, False)] if k < misses else [])]
    return rooted(*calls, end=100)


def of_systems(frame):
    """The same spans with the systems that they call."""
    return TraceSet.from_spans(
        frame.assign(**{"attributes.db.system": frame["name"].map({"GET": "redis", "SELECT": "mysql"})})
    )


def test_cache_misses_cost_the_reads_after_them():
    found = only(of_systems(several(lambda k: cached(k, misses=6), 12)), "patterns.cache_misses")
    assert found.estimate.value == 40 * MS
    assert found.evidence["hit_ratio"].tolist() == [0.5]
    assert "reads GET redis with a hit ratio of 50.0%, and calls shop SELECT (calling mysql) after" in found.headline


@pytest.mark.parametrize("misses", [4, 12])
def test_few_reads_after_a_cache_or_reads_after_all_are_no_misses(misses):
    assert not len(tk.patterns(of_systems(several(lambda k: cached(k, misses=misses), 12))))


#  message k is sent at 0 ms and received after so many ms; requests start 10 s apart
def mailed(lag, count=40):
    def spans(k):
        return [
            ("01", None, "shop", "POST /pay", "SERVER", 0, 20, False),
            ("02", "01", "shop", "send mail", "PRODUCER", 0, 10, False),
            ("03", "02", "mailer", "receive mail", "CONSUMER", 10 + lag(k), 40 + lag(k), False),
        ]

    return TraceSet.from_spans(several(spans, count))


def test_growing_lag_is_compared_with_the_first_messages():
    found = only(mailed(lambda k: 100 + 500 * k), "patterns.consumer_lag")
    assert found.evidence["usual_lag_ns"].tolist() == [1100 * MS]
    assert found.evidence["size_max"].tolist() == [(100 + 500 * 39) * MS]
    assert found.headline.endswith("compared with 1.10 s at first, in 35 traces (87.5%): no cost on the critical path.")


def test_constant_lag_is_none_unless_the_baseline_had_less():
    slow, fast = mailed(lambda k: 5000 + 10 * (k % 7)), mailed(lambda k: 50 + 10 * (k % 7))
    assert not len(tk.patterns(slow))
    assert not len(tk.patterns(slow, slow))
    assert "compared with 80.0 ms in the baseline" in only(slow, "patterns.consumer_lag", fast).headline


def test_a_drifting_clock_is_no_growing_lag():
    assert not len(tk.patterns(mailed(lambda k: 10 + 0.9 * k, 150)))  # 90 ppm
    assert len(tk.patterns(mailed(lambda k: 10 + 1.5 * k, 150)))


#  calls of 100 ms, half of them without a span of the bank
def test_time_without_spans_of_an_instrumented_callee_is_unexplained():
    def half(k):
        spans = rooted(("call bank", 10, 110, False))
        return spans if k % 2 else [*spans, ("03", "02", "bank", "POST /pay", "SERVER", 15, 105, False)]

    found = only(TraceSet.from_spans(several(half, 30)), "patterns.missing_spans")
    assert found.estimate.value == 100 * MS
    assert found.headline == (
        "Missing instrumentation: 50.0% of the calls of shop call bank to bank (100 ms, median) have no span of it, in "
        "15 traces (50.0%): mean unexplained time 100 ms, 50.0% of the latency of these traces."
    )


def test_failed_calls_have_no_span_of_the_callee():
    def refused(k):
        spans = rooted(("call bank", 10, 110, bool(k % 2)))
        return spans if k % 2 else [*spans, ("03", "02", "bank", "POST /pay", "SERVER", 15, 105, False)]

    checks = {finding.check for finding in tk.patterns(TraceSet.from_spans(several(refused, 30)))}
    assert "patterns.missing_spans" not in checks


def test_calls_that_continue_in_other_traces_lost_their_context():
    frame = several(lambda _: rooted(("call bank", 10, 110, False)), 40).assign(**{"attributes.server.address": "bank"})
    servers = several(lambda _: [("09", None, "bank", "POST /pay", "SERVER", 15, 105, False)], 40)
    servers["trace_id"] = [f"{k + 1000:032x}" for k in range(40)]
    found = only(TraceSet.from_spans(pd.concat([frame, servers])), "patterns.lost_context")
    assert found.estimate.value == 100 * MS
    assert found.evidence["detail"].tolist() == ["bank"]
    assert "patterns.missing_spans" not in {
        f.check for f in tk.patterns(TraceSet.from_spans(pd.concat([frame, servers])))
    }
