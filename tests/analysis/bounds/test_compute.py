"""Bounds whatever was lost: drawn by hand, by source of doubt and by what is known; what decides a claim; refusals."""

import math

import numpy as np
import pandas as pd
import pytest
from analysis.bounds.worlds import ADVERSARIES, MINUTE, MS, START, complete
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.registry import run_checks
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.stats.worst_case import Figure, Masses

TIMES = pd.to_datetime(START + np.arange(3) * MINUTE, utc=True)


def requests(took_ms, *, failed=(), minute=None, route="/pay", method="POST", open_at=(), rootless=()):
    """One request a millisecond: a root and a call that takes half as long."""
    n = len(took_ms)
    at = np.arange(n)
    start = START + np.broadcast_to(0 if minute is None else minute, n) * MINUTE + at * MS
    took = (np.asarray(took_ms) * MS).astype(np.int64)
    route, method = np.broadcast_to(route, n), np.broadcast_to(method, n)
    ids = {"trace_id": [f"{k + 1:032x}" for k in at], "start_ns": start}
    root = pd.DataFrame(ids).assign(
        span_id=[f"{2 * k + 1:016x}" for k in at], service_name="shop", kind="SERVER",
        name=[f"{m} {r}" for m, r in zip(method, route, strict=True)],
        end_ns=pd.array(start + took, "Int64"), status_code=np.where(np.isin(at, failed), "ERROR", "UNSET"),
    )  # fmt: skip
    root["attributes.http.route"], root["attributes.http.request.method"] = route, method
    root.loc[np.isin(at, open_at), "end_ns"] = pd.NA
    call = pd.DataFrame(ids).assign(
        span_id=[f"{2 * k + 2:016x}" for k in at], parent_span_id=root["span_id"], service_name="ledger",
        kind="SERVER", name="charge", end_ns=pd.array(start + took // 2, "Int64"),
    )  # fmt: skip
    return tk.TraceSet.from_spans(pd.concat([root[~np.isin(at, rootless)], call]))


TEN = requests(np.arange(10, 101, 10), failed=[9])
TOTAL = pd.DataFrame({"count": [12]})


@pytest.mark.parametrize(
    ("claim", "low", "high"),
    [
        ("p50", 40 * MS, 60 * MS),  # the sixth of twelve: of 0, 0, 10 ... and of 10 ... 100, unknown, unknown
        ("p90", 90 * MS, math.inf),
        ("mean", 550 / 12 * MS, math.inf),
        ("error rate", 1 / 12, 3 / 12),
        ("slower than 85 ms", 2 / 12, 4 / 12),
    ],
)
def test_two_of_twelve_are_lost(claim, low, high):
    found = tk.bounds(TEN, claim, requests=TOTAL)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict == "bounded"
    assert found.knowledge == ("12 requests counted",)


def test_what_is_stated_narrows_the_bounds():
    said = {"requests": TOTAL}
    assert tk.bounds(TEN, "p90", **said, longest_ms=150).high == 150 * MS
    assert tk.bounds(TEN, "mean", **said, longest_ms=150).high == pytest.approx(850 / 12 * MS)
    kept = tk.bounds(TEN, "p90", **said, always_recorded="slower than 95 ms")
    assert kept.high == 95 * MS
    assert tk.bounds(TEN, "error rate", **said, always_recorded="failed").high == pytest.approx(1 / 12)
    assert "every request slower than 95 ms has a trace, except in windows without traces" in kept.knowledge


def test_what_a_sampler_keeps_says_nothing_of_a_window_without_traces():
    traces = requests([10, 20], minute=[0, 2])
    counts = pd.DataFrame({"time": TIMES, "count": [1, 1, 1]})
    found = tk.bounds(traces, "error rate", requests=counts, always_recorded="failed")
    assert found.high == pytest.approx(1 / 3)
    assert found.sources["source"].tolist() == ["requests in windows without traces"]


def test_requests_without_an_outcome_are_in_doubt():
    traces = requests([10, 20, 30, 40], open_at=[3]).with_weights(1)
    found = tk.bounds(traces, "error rate")
    assert (found.value, found.low, found.high) == (0, 0, 0.25)
    assert found.sources["source"].tolist() == ["unfinished requests"]
    assert tk.bounds(traces, "p50").low == 10 * MS  # of 0, 10, 20, 30
    assert tk.bounds(traces, "p99", ends_last=True).low == 30 * MS
    assert tk.bounds(traces, "mean", ends_last=True).low == 20 * MS  # its call took 20 ms
    headless = requests([10, 20, 30, 40], rootless=[3]).with_weights(1)
    found = tk.bounds(headless, "error rate")
    assert (found.high, found.sources["source"].tolist()) == (0.25, ["traces without a root span"])
    own = tk.bounds(headless, "error rate of POST /pay")  # it may be one of them
    assert (own.low, own.high) == (0, 0.25)


def test_a_request_that_was_recorded_without_an_outcome_is_counted_once():
    traces = requests([10, 20, 30, 40], open_at=[3])
    found = tk.bounds(traces, "error rate", requests=pd.DataFrame({"count": [5]}))
    assert found.high == pytest.approx(2 / 5)
    assert found.sources.set_index("source")["request_count"].to_dict() == {
        "unfinished requests": 1,
        "other requests without a trace": 1,
    }


def test_an_unfinished_request_may_have_any_of_the_counted_statuses():
    traces = requests([10, 20, 30, 40], open_at=[3])
    found = tk.bounds(traces, "error rate", requests=pd.DataFrame({"status": ["2xx", "5xx"], "count": [4, 1]}))
    assert (found.low, found.high) == pytest.approx((1 / 5, 2 / 5))
    assert found.sources.set_index("source")["request_count"].to_dict() == {
        "unfinished requests": 1,
        "other requests without a trace": 1,
    }


def test_counts_by_endpoint_leave_other_losses_out():
    traces = requests([10, 20, 30], route=["/pay", "/pay", "/cart"])
    by_route = pd.DataFrame({"route": ["/pay", "/cart"], "method": "POST", "count": [2, 9]})
    assert tk.bounds(traces, "error rate of POST /pay", requests=by_route).range_words() == "exactly 0%"
    total = tk.bounds(traces, "error rate of POST /pay", requests=pd.DataFrame({"count": [11]}))
    assert total.high == pytest.approx(8 / 10)
    assert tk.bounds(traces, "error rate of shop POST /pay", requests=by_route).high == 0


def test_status_5xx_failed_and_others_may_have():
    traces = requests([10, 20], failed=[1])
    counts = pd.DataFrame({"status": ["2xx", "5xx"], "count": [3, 2]})
    found = tk.bounds(traces, "error rate", requests=counts)
    assert (found.low, found.high) == pytest.approx((2 / 5, 4 / 5))
    only = tk.bounds(traces, "error rate", requests=counts, only_5xx_failed=True)
    assert (only.low, only.high) == pytest.approx((2 / 5, 2 / 5))


def test_without_request_counts_nothing_is_bounded_but_it_says_what_would_be():
    found = tk.bounds(TEN, "error rate < 15%")
    assert (found.verdict, found.is_estimable) == ("not estimable", False)
    assert math.isnan(found.low)
    assert "pass requests= (request counts, see tk.read_requests), or traces.with_weights(1)" in found.needs
    assert found.tolerated_count == 0  # one more failure of eleven is 18%
    assert tk.bounds(TEN, "error rate < 50%").tolerated_count == 7  # 8 of 17, but 9 of 18
    assert tk.bounds(TEN, "p50 < 60 ms").tolerated_count == 0
    assert len(found.sources) == len(found.plan()) == 0


def test_sampling_weights_give_an_interval_and_no_bounds():
    found = tk.bounds(TEN.with_weights(4), "error rate")
    assert not found.is_estimable
    assert found.estimate.low < 0.1 < found.estimate.high
    assert math.isnan(tk.bounds(TEN, "error rate", requests=TOTAL).estimate.value)
    for claim, value in (("p50", 50 * MS), ("mean", 55 * MS), ("slower than 85 ms", 0.2)):
        assert tk.bounds(TEN.with_weights(4), claim).estimate.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("p50 < 61 ms", "true"),
        ("p50 < 60 ms", "undecided"),
        ("p50 <= 60 ms", "true"),
        ("p50 < 40 ms", "false"),
        ("p50 > 60 ms", "false"),
        ("p50 >= 40 ms", "true"),
        ("p50 is 50 ms", "undecided"),
        ("p50 is 70 ms", "false"),
        ("mean of POST /pay > 0.04 s", "true"),
        ("8% failed", "undecided"),
        ("30% of POST /pay failed", "false"),
        ("25% slower than 85 ms", "undecided"),
        ("error rate = 0%", "false"),
        ("error_rate < 26%", "true"),
    ],
)
def test_claims_are_decided(claim, verdict):
    assert tk.bounds(TEN, claim, requests=TOTAL).verdict == verdict


def test_a_figure_is_what_it_rounds_to():
    five = requests([10, 20, 30, 40, 100]).with_weights(1)
    assert tk.bounds(five, "p50 is 30 ms").verdict == "true"
    assert tk.bounds(five, "mean is 0.04 s").verdict == "true"
    assert tk.bounds(five, "mean is 0.040 s").verdict == "true"
    assert tk.bounds(five, "mean is 0.041 s").verdict == "false"
    assert tk.bounds(five, "0% failed").verdict == "true"


def test_the_finding_on_the_error_rate_is_a_claim():
    traces = TEN.with_weights(1)
    (finding,) = run_checks(Case(traces), ["errors"], ["failures"])
    found = tk.bounds(traces, finding)
    assert (found.claim.condition, found.verdict) == ("is 10%", "true")


def test_the_sources_of_doubt_share_the_width():
    world = ADVERSARIES["all of it"](rng := np.random.default_rng(3), complete(rng, 300, only_5xx=False), 0.5)
    found = tk.bounds(world.traces(), "error rate", requests=world.counts("time"))
    assert len(found.sources) == 4 - (not world.is_unfinished[world.is_kept].any())
    assert found.sources["width_ratio"].sum() == pytest.approx(1)
    assert (found.sources["width_ratio"] > 0).all()
    assert (found.sources["low"] >= found.low).all()
    assert (found.sources["high"] <= found.high).all()
    alone = found.sources["high"] - found.sources["low"]
    without = found.sources["high_without"] - found.sources["low_without"]
    assert (alone + without).to_numpy() == pytest.approx(found.high - found.low, rel=0.05)  # shares are additive
    unlimited = tk.bounds(world.traces(), "mean", requests=world.counts("time")).sources
    assert unlimited["width_ratio"].isna().all()
    assert np.isinf(unlimited["high"]).all()


def test_windows_need_not_begin_with_a_second():
    traces = requests([10, 20, 30], minute=[0, 1, 3])
    starts = START + 7 + np.arange(-1, 2) * MINUTE  # the third trace is in none
    counts = pd.DataFrame({"time": pd.to_datetime(starts, utc=True), "count": [2, 1, 4]})
    found = tk.bounds(traces, "error rate", requests=counts)
    assert found.strata[["request_count", "trace_count"]].to_numpy().tolist() == [[4, 1], [2, 1], [1, 0]]
    assert "1 trace outside the counted windows and strata left out" in found.knowledge


def test_strata_list_where_traces_are_missing():
    traces = requests([10, 20, 30], route=["/pay", "/pay", "/cart"], minute=[0, 1, 1])
    counts = pd.DataFrame({"time": [*TIMES[:2], TIMES[1]], "route": ["/pay", "/pay", "/cart"], "count": [5, 2, 8]})
    found = tk.bounds(traces, "error rate", requests=counts)
    columns = ["http_route", "request_count", "trace_count", "unseen_count"]
    assert found.strata[columns].to_numpy().tolist() == [["/cart", 8, 1, 7], ["/pay", 5, 1, 4], ["/pay", 2, 1, 1]]
    assert len(tk.bounds(traces, "error rate of POST /pay", requests=counts).strata) == 2


# ------------------------------------------------------------------ what decides


def many(lost, *, failed=2, n=400, **more):
    return requests(np.arange(n) % 100 + 1.0, failed=np.arange(failed), **more), pd.DataFrame({"count": [n + lost]})


def test_more_traces_that_would_decide():
    traces, counts = many(100)
    found = tk.bounds(traces, "error rate < 10%", requests=counts)
    plan = found.plan().iloc[0]
    assert (found.verdict, plan["verdict"]) == ("undecided", "true")
    k = int(plan["request_count"])
    assert plan["action"] == f"record {k} more of the 100 requests without a trace"
    assert plan["kept_ratio"] == pytest.approx((400 + k) / 500)
    for more, verdict in ((k, "true"), (k - 1, "undecided")):
        assert ((2 * (400 + more) / 400 + 100 - more) / 500 < 0.1) == (verdict == "true")


def test_a_plan_is_priced_as_plan_sampling_does():
    traces, counts = many(100)
    plan = tk.bounds(traces, "error rate < 10%", requests=counts).plan(usd_per_million=100.0)
    first = plan.iloc[0]
    priced = tk.plan_sampling(traces.with_weights(500 / 400), float(first["kept_ratio"]), usd_per_million=100.0)
    assert first["cost_usd"] == pytest.approx(priced.plans["cost_usd"].iloc[0])


def test_a_random_sample_decides_what_bounds_cannot():
    traces, counts = many(100_000)
    plan = tk.bounds(traces, "error rate < 2%", requests=counts).plan()
    row = plan[plan["action"].str.contains("at random")].iloc[0]
    assert row["verdict"] == "true"
    assert row["request_count"] < 2_000
    assert "95% CI, no bound" in row["action"]


def test_outcomes_windows_and_strata_that_would_decide():
    traces = requests(np.full(100, 10.0), minute=np.arange(100) % 2 * 2, open_at=np.arange(10))
    counts = pd.DataFrame({"time": TIMES, "count": [50, 30, 52]})
    found = tk.bounds(traces, "error rate < 27%", requests=counts)
    actions = found.plan()["action"].tolist()
    assert "recover the traces of the windows without any (30)" in actions
    assert any(action.startswith("record every request of 2025-11-24 16:01:00") for action in actions)
    found = tk.bounds(traces, "error rate < 25%", requests=counts)
    assert (
        "read the outcomes of requests that are unfinished or have no root span (10)" in found.plan()["action"].tolist()
    )


def test_statements_that_would_decide():
    traces = requests(np.full(100, 10.0), failed=[0])
    mean = tk.bounds(traces, "mean < 20 ms", requests=pd.DataFrame({"count": [110]})).plan()
    row = mean[mean["action"].str.contains("longest_ms")].iloc[0]
    assert row["action"] == "show that no request takes longer than 119 ms (longest_ms)"
    assert tk.bounds(traces, "mean < 20 ms", requests=pd.DataFrame({"count": [110]}), longest_ms=119).verdict == "true"
    counts = pd.DataFrame({"status": ["2xx", "5xx"], "count": [109, 1]})
    rate = tk.bounds(traces, "error rate < 5%", requests=counts).plan()
    assert "show that exactly the requests with status 5xx failed (only_5xx_failed)" in rate["action"].tolist()


def test_counts_of_the_endpoint_would_decide():
    traces = requests(np.full(100, 10.0), route=["/pay", "/cart"] * 50)
    claim = "error rate of POST /pay < 10%"
    for said in ({}, {"requests": pd.DataFrame({"count": [120]})}):
        row = tk.bounds(traces, claim, **said).plan().iloc[-1]
        assert row["action"] == "count the requests of the endpoint: decided if at most 5 were lost"  # 5 of 55, 6 of 56
        assert (row["high"], row["verdict"]) == (pytest.approx(5 / 55), "true")
    by_route = pd.DataFrame({"route": ["/pay", "/cart"], "method": "POST", "count": [55, 65]})
    assert tk.bounds(traces, claim, requests=by_route).verdict == "true"


def test_a_decided_claim_needs_no_plan():
    assert not len(tk.bounds(TEN, "p50 < 61 ms", requests=TOTAL).plan())


# ------------------------------------------------------------------ laws


def test_the_answer_does_not_depend_on_order_and_changes_nothing():
    frame = TEN.spans
    shuffled = tk.TraceSet.from_spans(frame.sample(frac=1, random_state=2))
    one, other = (tk.bounds(each, "p90 < 1 s", requests=TOTAL) for each in (TEN, shuffled))
    assert repr(one) == repr(other) == repr(tk.bounds(TEN, "p90 < 1 s", requests=TOTAL))
    pd.testing.assert_frame_equal(one.sources, other.sources)


def test_hostile_names_are_inert():
    evil = "<b>bold</b>\u202e"
    traces = requests([10, 20], route=evil)
    found = tk.bounds(
        traces, f"error rate of POST {evil} < 90%", requests=pd.DataFrame({"route": [evil], "count": [9]})
    )
    page = found._repr_html_() + tk.readable(found.plan()).to_html()
    assert "<b>bold" not in page
    assert "\u202e" not in page + repr(found)


def test_no_traces_have_no_bounds():
    none = TEN.where("service_name == 'nobody'")
    found = tk.bounds(none, "error rate", requests=TOTAL)
    assert found.needs == "no recorded request has a known outcome"
    assert (
        repr(found)
        == "Bounds(error rate: none recorded, bounds not estimable: no recorded request has a known outcome)"
    )
    assert found._repr_html_()


def test_counts_of_another_time_have_no_traces():
    counts = pd.DataFrame({"time": [pd.Timestamp("2001-01-01", tz="UTC")], "count": [5]})
    assert "no trace is within the windows" in tk.bounds(TEN, "error rate", requests=counts).needs


def test_contradictions_of_the_counts_are_said():
    found = tk.bounds(TEN, "error rate", requests=pd.DataFrame({"count": [8]}))
    assert found.range_words() == "exactly 10.0%"
    assert any("2 traces more than requests counted" in one for one in found.knowledge)
    inner = pd.DataFrame({"service": ["shop", "ledger"], "count": [12, 500]})
    found = tk.bounds(TEN, "error rate", requests=inner)
    assert found.high == pytest.approx(3 / 12)
    assert any("requests counted at ledger are calls within requests" in one for one in found.knowledge)
    other = pd.DataFrame({"route": ["/other"], "count": [3]})
    assert not tk.bounds(TEN, "error rate", requests=other).is_estimable


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(-1, 10), st.integers(1, 4)), max_size=5),
    st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99]),
)
def test_the_quantile_of_masses_is_the_weighted_quantile(known, masses, share):
    rows = Masses.of([(float(value), float(many), 0) for value, many in masses])
    every = np.concatenate([np.array(known, float), rows.value])
    weights = np.concatenate([np.ones(len(known)), rows.size])
    assert Figure(np.sort(np.array(known, float)), share).at(rows) == weighted_quantiles(every, weights, [share])[0]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(-1, 10), st.integers(1, 3)), max_size=5),
    st.sampled_from([None, 0.3, 0.5, 0.9]),
    st.booleans(),
)
def test_the_worst_choice_of_masses_is_that_of_all_subsets(known, masses, share, highest):
    figure = Figure(np.sort(np.array(known, float)), share)
    rows = Masses.of([(float(value), float(many), 0) for value, many in masses])
    subsets = (np.flatnonzero([chosen >> k & 1 for k in range(len(masses))]) for chosen in range(1 << len(masses)))
    every = [figure.at(rows.take(some.astype(int))) for some in subsets]
    found = figure.at(figure.worst(Masses.of([]), rows, highest=highest))
    assert found == pytest.approx(max(every) if highest else min(every))


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("claim", "arguments", "message"),
    [
        ("p99 below 1 s", {}, r"expected a claim such as 'p99 of POST /checkout < 1.5 s'.*found 'p99 below 1 s'"),
        ("p100", {}, r"expected a quantile between p0 and p100, such as p99, found p100"),
        (
            "p99 of GET /nowhere",
            {},
            r"expected an endpoint of the traces, found 'GET /nowhere'; 1 endpoint: shop POST /pay",
        ),
        ("mean", {"longest_ms": 0}, r"expected longest_ms above 0, such as 30000, found 0"),
        ("mean", {"longest_ms": 85}, r"no request longer than 85 ms \(longest_ms\), found 2: trace 0+a took 100 ms"),
        ("mean", {"always_recorded": "slow"}, r"expected always_recorded 'failed' or 'slower than 1 s', found 'slow'"),
        ("mean", {"only_5xx_failed": True}, r"expected request counts with a status for only_5xx_failed, found none"),
        (
            "mean",
            {"only_5xx_failed": True, "requests": pd.DataFrame({"status": ["2xx", "5xx"], "count": [20, 1]})},
            None,
        ),
    ],
)
def test_arguments_that_contradict_are_refused(claim, arguments, message):
    if message is None:  # a failed request without a status counts as 5xx
        assert tk.bounds(TEN, claim, **arguments).is_estimable
        return
    with pytest.raises(ValueError, match=message):
        tk.bounds(TEN, claim, **arguments)


def test_a_failure_of_another_status_is_named():
    world = complete(np.random.default_rng(2), 200, only_5xx=False)
    message = r"exactly the requests with status 5xx failed.*found \d+ of 200 others: trace \w+ failed with status 2xx"
    with pytest.raises(ValueError, match=message):
        tk.bounds(world.traces(), "error rate", requests=world.counts("status"), only_5xx_failed=True)


def test_frames_of_different_requests_are_refused():
    frames = [pd.DataFrame({"count": [12]}), pd.DataFrame({"route": ["/pay"], "count": [15]})]
    message = r"expected counts of the same requests.*without a usable trace are 2 by no dimension and 5 by http_route"
    for claim in ("error rate", "p99"):
        with pytest.raises(ValueError, match=message):
            tk.bounds(TEN, claim, requests=frames)


def test_what_read_requests_returns_is_named():
    requests = tk.read_requests(b"time,route,count\n2026-01-01T12:00:00Z,/cart,4\n", format="csv")
    with pytest.raises(TypeError, match=r"expected a DataFrame of requests, found Requests; pass its \.counts"):
        tk.bounds(TEN, "p99", requests=requests)


@pytest.mark.parametrize("claim", [5, tk.Finding("tail", "info", "Slow.")])
def test_other_claims_are_refused(claim):
    with pytest.raises(TypeError, match="expected a claim"):
        tk.bounds(TEN, claim)


def test_traces_are_needed():
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.bounds, found DataFrame"):
        tk.bounds(TEN.spans, "p99")
