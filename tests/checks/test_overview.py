import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from checks.first_screen import findings_of
from shop_traces import no_traces, shop_frame, shop_traces

from tracekit import TraceSet
from tracekit.attributes import Codes
from tracekit.checks.overview import Overview
from tracekit.report.page import render
from tracekit.report.standard import Standard
from tracekit.text import duration
from tracekit.weights import Weights


@pytest.fixture
def shop():
    return shop_traces()


@pytest.fixture
def empty():
    return no_traces()


def said(traces):
    return {finding.check: finding for finding in findings_of(traces)}


def test_the_built_in_fault_is_the_first_finding(shop):
    first = said(shop)["tail"]
    assert first.headline == (
        "Tail latency: the slowest 11.3% of recorded front POST /checkout requests spend 300 ms in pricing SELECT "
        "discount, vs 10.0 ms in the faster half (99.3% of the latency difference; calls per request 30.0 vs 1.0)."
    )
    assert first.severity == "notice"  # five slow requests limit nothing
    assert np.isnan(first.estimate.low)
    assert first.estimate.value == pytest.approx(290e6)
    slowest = shop.summary["root_duration_ns"].idxmax()
    assert first.exemplars == (slowest,)


def test_the_slowest_requests_are_named_with_their_quantiles(shop):
    finding = said(shop)["slowest"]
    took = shop.summary.loc[shop.summary["root_name"] == "POST /checkout", "root_duration_ns"].to_numpy(float)
    assert finding.headline.startswith("Slowest endpoint: front POST /checkout, p50 4")
    assert re.search(r"\(95% CI ≥ [\d.]+ ms; n = 40 recorded requests\)\.$", finding.headline)
    assert finding.estimate.value == pytest.approx(np.quantile(took, 0.95, method="inverted_cdf"), rel=0.02)


def test_failures_are_counted_and_followed_to_where_they_begin(shop):
    finding = said(shop)["failures"]
    assert finding.headline == (
        "Error rate of recorded requests 5.0% (4 of 80; 95% CI 1.4–12.4%). "
        "All originate in payments POST /charge (4 error spans)."
    )
    assert finding.severity == "warning"
    assert finding.estimate.low < 0.05 < finding.estimate.high


def test_a_failure_begins_in_the_deepest_failed_span_even_if_that_has_healthy_children():
    frame = shop_frame()
    frame.loc[frame["name"] == "POST /charge", "status_code"] = "UNSET"
    finding = said(TraceSet.from_spans(frame))["failures"]
    assert finding.headline.endswith("All originate in pricing POST /v1/quote (4 error spans).")


def test_without_failures_it_reports_the_upper_bound():
    fine = TraceSet.from_spans(shop_frame().assign(status_code="UNSET"))
    finding = said(fine)["failures"]
    assert finding.severity == "info"
    assert finding.headline == "No errors in 80 recorded requests (error rate 95% CI 0–4.5%)."


def test_a_tail_that_is_hardly_slower_is_not_explained():
    frame = shop_frame()
    frame = frame[frame["name"].isin(["GET /items", "GET", "GET /v1/items"])]
    assert "tail" not in said(TraceSet.from_spans(frame))


def test_orphans_and_open_spans_are_counted(shop):
    frame = shop_frame(20).astype({"end_ns": "Int64"})
    frame.loc[frame["name"] == "GET", "parent_span_id"] = "ffffffffffffffff"
    frame.loc[0, "end_ns"] = frame.loc[0, "start_ns"] - 5
    finding = said(TraceSet.from_spans(frame))["incomplete"]
    assert finding.headline == ("10 of 20 traces are incomplete: 10 orphan spans. 1 span ends before it starts.")
    assert "incomplete" not in said(shop)


def test_unknown_weights_are_reported_and_known_ones_not(shop):
    assert (
        said(shop)["weights"].headline
        == "Sampling weights not set: figures describe these 80 recorded traces, not all requests."
    )
    assert said(shop)["weights"].severity == "warning"
    known = said(shop.with_weights(20))
    assert known["weights"].severity == "info"
    assert known["weights"].headline.startswith("Weights from given: figures describe all traffic")
    assert "of 80 recorded requests;" in known["failures"].headline  # counts are of what is in hand
    assert not [finding for finding in said(shop.with_weights(1)).values() if "recorded" in finding.headline]


def test_weights_count(shop):
    heavy = shop.with_weights(pd.Series(np.where(shop.summary["is_error"], 1.0, 19.0), index=shop.summary.index))
    share = 4 / (4 + 76 * 19)
    assert said(heavy)["failures"].estimate.value == pytest.approx(share)


def test_an_empty_set_has_a_sentence_too(empty):
    assert said(empty)["empty"].headline == "The data contain no traces."


def test_lost_records_come_first(shop):
    columns = shop.columns
    sources = columns.sources.assign(span_count=260, quarantined_count=20, complete=False)
    lost = TraceSet(dataclasses.replace(columns, sources=sources))
    finding = said(lost)["lost"]
    assert finding.headline == (
        "20 of 260 spans could not be used and 1 source was not read to the end; figures describe the rest."
    )
    assert [finding.check for finding in findings_of(lost)][:2] == ["weights", "lost"]


def standing_for(shop, chance):
    """The shop with weight 1 where `chance` is, and traces beside the sample elsewhere."""
    codes = np.where(chance, 0, 1).astype(np.int32)
    return TraceSet(shop.columns, weights=Weights(chance.astype(float), Codes(codes, ["given", "not sampled"])))


def test_traces_that_all_have_weight_zero_are_reported(shop):
    nothing = standing_for(shop, np.zeros(len(shop), bool))
    found = said(nothing)
    assert found["weights"].severity == "warning"
    assert found["weights"].headline.startswith("All 80 traces are outside the probability sample and count as 0: ")
    assert found["failures"].headline == (
        "The error rate is not estimable: all sampling weights are 0; 4 of 80 recorded requests failed."
    )
    assert found["failures"].estimate is None
    assert {"tail", "slowest"}.isdisjoint(found)
    for traces, baseline in ((nothing, None), (nothing, shop), (shop, nothing)):
        page = render(traces, baseline=baseline)
        assert ("No comparison: one side has no requests" in page) is (baseline is not None)


def test_slow_traces_outside_the_sample_do_not_describe_requests(shop):
    took = shop.summary["root_duration_ns"].to_numpy(float)
    found = said(standing_for(shop, took < 2e8))
    assert "tail" not in found  # the slow ones alone were slow, and stand for none
    assert found["weights"].severity == "notice"
    assert "10 traces outside the probability sample count as 0" in found["weights"].headline
    assert found["failures"].headline.startswith("Error rate 5.7% (weighted; 95% CI 1.6–14.1%).")
    assert found["failures"].estimate.value == pytest.approx(4 / 70)


def test_ordinary_traces_outside_the_sample_do_not_define_the_tail(shop):
    took = shop.summary["root_duration_ns"].to_numpy(float)
    finding = said(standing_for(shop, took >= 46e6))["tail"]
    assert finding.headline.startswith(
        "Tail latency: the slowest 13.2% of front POST /checkout requests spend 300 ms in pricing SELECT discount, "
    )
    assert finding.estimate.n == 5


def test_equal_durations_have_no_tail():
    frame = shop_frame()
    frame = frame[frame["parent_span_id"].isna()]
    same = TraceSet.from_spans(frame.assign(end_ns=frame["start_ns"] + 98_765_433))
    assert "tail" not in said(same)


def test_how_a_number_was_obtained_is_its_method_and_what_to_do_its_remedy(shop):
    first = said(shop)["tail"]
    assert first.method == "Mean critical-path time: slowest 5 requests vs the faster half."
    assert first.remedy == ""
    assert first.method in render(shop)


# ------------------------------------------------------------------ unfinished and incomplete


def running(shares, status="UNSET"):
    """Return one checkout a share: finished, with a root without an end, or with a call without an end."""
    frame = shop_frame(2 * len(shares)).astype({"end_ns": "Int64"})
    frame = frame[frame["trace_id"].map(lambda name: int(name, 16) % 2 == 0)]
    frame = frame.assign(status_code=status)
    for name, share in zip(frame["trace_id"].unique(), shares, strict=True):
        chosen = frame["trace_id"] == name
        at = frame.index[chosen & (frame["name"] == ("POST /checkout" if share == "open" else "POST /charge"))]
        if share != "finished":
            frame.loc[at, "end_ns"] = pd.NA
    return TraceSet.from_spans(frame)


def test_requests_that_have_not_ended_have_no_outcome():
    traces = running(["open"] * 60)
    found = findings_of(traces)
    assert [finding.check for finding in found][:2] == ["weights", "unfinished"]
    assert found[1].severity == "warning"
    assert found[1].headline == (
        "60 of 60 requests are unfinished (no end time) and excluded from latency, error rate and critical path."
    )
    failures = said(traces)["failures"]
    assert (failures.severity, failures.estimate) == ("notice", None)
    assert failures.headline == (
        "The error rate is not estimable: none of 60 requests has finished, so there are no outcomes."
    )
    assert said(running(["open"]))["failures"].headline == (
        "The error rate is not estimable: the only request has not finished, so there are no outcomes."
    )


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            "UNSET",
            "No errors in 30 recorded requests (error rate 95% CI 0–11.6%; 10 unfinished requests left out)",
        ),
        (
            "ERROR",
            "Error rate of recorded requests 100% (30 of 30; 95% CI 88.4–100%; 10 unfinished requests left out)",
        ),
    ],
)
def test_error_rates_are_over_finished_requests(status, sentence):
    traces = running(["finished"] * 30 + ["open"] * 10, status)
    finding = said(traces)["failures"]
    assert finding.headline.startswith(sentence)
    assert finding.estimate.n == 30
    assert "10 unfinished requests excluded." in render(traces)


def test_calls_without_an_end_are_reported_first_and_rare_ones_as_a_notice():
    finding = findings_of(running(["finished"] * 18 + ["call", "open"]))[1]
    assert (finding.check, finding.severity) == ("unfinished", "warning")
    assert finding.headline == (
        "1 of 20 requests is unfinished (no end time) and excluded from latency, error rate and critical path; "
        "1 of 20 requests has spans without an end time, whose critical-path time counts only as far as it is known."
    )
    assert finding.exemplars == (running(["finished"] * 18 + ["call", "open"]).trace_ids[18],)
    assert said(running(["finished"] * 119 + ["call"]))["unfinished"].severity == "notice"
    assert "unfinished" not in said(running(["finished"] * 5))


def test_negative_durations_alone_do_not_make_traces_incomplete():
    frame = shop_frame(6)
    at = frame.index[frame["name"] == "GET /v1/items"][:2]
    frame.loc[at, "end_ns"] = frame.loc[at, "start_ns"] - 5
    assert said(TraceSet.from_spans(frame))["incomplete"].headline == "2 spans end before they start."


def test_every_reason_for_an_incomplete_trace_is_named():
    frame = shop_frame(4).astype({"end_ns": "Int64"})
    frame.loc[frame["trace_id"] == frame["trace_id"].iloc[0], "parent_span_id"] = None
    frame.loc[frame["name"] == "POST", "end_ns"] = pd.NA
    frame.loc[frame["trace_id"] == frame["trace_id"].iloc[-1], "parent_span_id"] = "ffffffffffffffff"
    count = (frame["trace_id"] == frame["trace_id"].iloc[-1]).sum()
    assert said(TraceSet.from_spans(frame))["incomplete"].headline == (
        f"3 of 4 traces are incomplete: {count} orphan spans, 1 trace without a root span, "
        "1 trace with several root spans, 2 spans without an end time."
    )


def test_instants_take_no_time_and_there_is_no_share_of_it():
    frame = shop_frame(60)
    instants = TraceSet.from_spans(frame.assign(end_ns=frame["start_ns"]))
    assert "tail" not in said(instants)
    page = render(instants)
    assert "All requests have a duration of 0 ns." in page
    assert "has a start and an end" not in page


def test_one_latency_in_the_findings_the_table_and_the_title_of_a_waterfall():
    frame = shop_frame(3)
    late = frame["name"] == "GET /v1/items"
    frame.loc[late, "end_ns"] += 5_000_000_000  # work that goes on after the answer
    traces = TraceSet.from_spans(frame)
    seen = Overview(traces)
    took = traces.summary["root_duration_ns"].sort_values(ascending=False)
    assert (
        seen.slowest_traces["root_duration_ns"].tolist() == took.tolist() == sorted(seen.path.latency_ns, reverse=True)
    )
    page = render(traces)
    titles = [part.split("<")[0] for part in page.split('<span class="took">')[1:]]
    assert titles == [duration(value) for value in took]


def test_the_error_rate_is_that_of_the_roots_with_the_same_limits():
    rng = np.random.default_rng(3)
    ids = [f"{at + 1:x}" for at in range(300)]
    frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "service_name": "shop", "name": "GET /", "start_ns": 0})
    frame = frame.assign(end_ns=9, status_code=np.where(rng.random(300) < 0.1, "ERROR", "OK"))
    seen = Overview(TraceSet.from_spans(frame).with_weights(2.0 ** rng.integers(0, 5, 300)))
    row = seen.requests.table.iloc[0]
    wanted = row[["error_ratio", "error_ratio_low", "error_ratio_high"]].to_numpy(float)
    found = seen.failed
    assert [found.value, found.low, found.high] == pytest.approx(wanted)


def test_one_trace_with_nearly_all_weight_has_no_limits():
    frame = pd.DataFrame({"trace_id": [f"{at + 1:x}" for at in range(60)], "span_id": "1", "service_name": "shop"})
    frame = frame.assign(name="GET /", start_ns=0, end_ns=9)
    traces = TraceSet.from_spans(frame).with_weights(np.repeat([1.0, 1e5], [59, 1]))
    finding = said(traces)["failures"]
    assert finding.headline == "No errors in 60 recorded requests (error rate 95% CI not estimable)."
    assert str(finding.estimate) == "0 ratio (not estimable, n = 60)"
    assert "not estimable" in render(traces)


def test_what_weakens_the_conclusions_is_on_the_first_screen():
    whole = shop_frame(60)
    assert not {finding.check for finding in Standard.of(TraceSet.from_spans(whole)).findings} & {"complete.spans"}
    gone = (whole["name"] == "POST /v1/items") | (whole["parent_span_id"].isna() & (np.arange(len(whole)) % 2 == 0))
    seen = Standard.of(TraceSet.from_spans(whole[~gone]))
    (found,) = [finding for finding in seen.findings if finding.check == "complete.spans"]
    assert found.status in {"warning", "failed"}
    assert found.headline.startswith("Orphans") or "parent" in found.headline
    assert found.code == "tk.quality(traces)"
    assert 'id="finding-complete-spans"' in render(seen.case.traces)


def test_several_checks_ask_the_same_traces_of_the_slowest_endpoint(shop):
    seen = Overview(shop)
    assert seen.slowest_condition == "depth == 0 and service_name == 'front' and operation == 'POST /checkout'"
    assert seen.slowest_requests.trace_ids == shop.where(seen.slowest_condition).trace_ids
    assert len(seen.slowest_requests) == 40
    assert seen.slowest_requests is seen.slowest_requests
