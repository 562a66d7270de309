"""What part of the requests the traces show: metrics and funnel against a world whose numbers are known."""

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, MS, SECOND, spans, trace_ids

import tracekit as tk
from tracekit import TraceSet

RATE = 0.1


def shop(n=1000, seed=3):
    """A tenth of the requests of two routes; /pay fails in a fifth of its traces and takes ten times as long."""
    rng = np.random.default_rng(seed)
    is_pay = np.arange(n) % 4 == 0
    failed = is_pay & (rng.random(n) < 0.2)
    took = np.where(is_pay, 100, 10) * MS
    frame = spans(n, name=np.where(is_pay, "POST /pay", "GET /cart"), service_name=np.where(is_pay, "pay", "cart"))
    frame["attributes.http.route"] = np.where(is_pay, "/pay", "/cart")
    frame["status_code"] = np.where(failed, "ERROR", "OK")
    frame["end_ns"] = frame["start_ns"] + took
    return TraceSet.from_spans(frame), is_pay, failed


def counts(n=1000):
    return pd.DataFrame(
        {"service": ["cart", "pay", "pay"], "status": ["2xx", "2xx", "5xx"], "count": [7.5 * n, 2 * n, 0.5 * n]}
    )


def value(seen, metric, service=None):
    rows = seen.metrics[seen.metrics["metric"] == metric]
    rows = rows[rows["service_name"].isna()] if service is None else rows[rows["service_name"] == service]
    return rows.iloc[0]


def test_every_metric_is_there_once_for_the_whole_whatever_is_known():
    for given in ({}, {"requests": counts()}, {"rules": RATE}):
        seen = tk.coverage(shop(40)[0], **given)
        whole = seen.metrics[seen.metrics["service_name"].isna()]
        assert whole["metric"].tolist() == ["M1", "M2a", "M2b", "M3", "M4", "M5", "M6", "M7", "M8", "M9", "M10"]


def test_shares_of_requests_by_service_add_up_to_the_whole():
    seen = tk.coverage(shop()[0], requests=counts())
    assert value(seen, "M1")["value"] == pytest.approx(0.1)
    assert value(seen, "M1", "cart")["value"] == pytest.approx(0.1)
    rows = seen.metrics[(seen.metrics["metric"] == "M1") & seen.metrics["service_name"].notna()]
    assert (rows["value"] * rows["n"]).sum() == pytest.approx(1000)
    assert value(seen, "M1")["low"] < 0.1 < value(seen, "M1")["high"]


def test_routes_that_are_counted_are_distinguished():
    by_route = pd.DataFrame({"route": ["/pay", "/cart"], "count": [2500, 15000]})
    seen = tk.coverage(shop()[0], requests=by_route)
    rows = seen.metrics[(seen.metrics["metric"] == "M1")].set_index("http_route")["value"]
    assert rows["/pay"] == pytest.approx(0.1)
    assert rows["/cart"] == pytest.approx(0.05)


def test_errors_latency_and_success_by_service_and_route():
    traces, is_pay, failed = shop()
    seen = tk.coverage(traces)
    assert value(seen, "M2a")["value"] == pytest.approx(failed.mean())
    assert value(seen, "M2a", "pay")["value"] == pytest.approx(failed[is_pay].mean())
    assert value(seen, "M2a", "cart")["value"] == 0
    assert value(seen, "M3", "pay")["value"] == 100 * MS
    assert value(seen, "M3", "cart")["value"] == 10 * MS
    assert value(seen, "M5", "pay")["value"] == pytest.approx(failed[is_pay].mean())
    assert value(seen, "M10")["value"] == pytest.approx(1 - failed.mean())
    assert "of the recorded traces; weights are unknown" in value(seen, "M3")["meaning"]


def test_weights_change_the_statement_about_all_traffic():
    traces, _, failed = shop()
    kept = np.where(failed, 1.0, 0.05)
    seen = tk.coverage(traces.with_weights(pd.Series(1 / kept, trace_ids(1000))))
    wanted = failed.sum() / (1 / kept).sum()
    row = value(seen, "M2a")
    assert row["value"] == pytest.approx(wanted)
    assert row["low"] < wanted < row["high"]
    assert "of all traffic in this window" in row["meaning"]


def test_the_condition_of_success_may_be_given():
    traces, is_pay, _ = shop()
    seen = tk.coverage(traces, success="duration_ns < 50000000", targets={"M10": 0.9})
    assert value(seen, "M10")["value"] == pytest.approx((~is_pay).mean())
    assert value(seen, "M10")["verdict"] == "failed"
    assert value(seen, "M10", "cart")["verdict"] == "ok"


def test_captured_errors_cost_lag_and_completeness():
    traces, _, failed = shop()
    received = pd.Series(EPOCH_NS + np.arange(1000) * SECOND + 4 * SECOND, index=trace_ids(1000))
    seen = tk.coverage(traces, requests=counts(), received=received, prices={"recorded": 5.0})
    assert value(seen, "M2b")["value"] == pytest.approx(failed.sum() / 500)
    assert value(seen, "M2b")["verdict"] == "failed"
    assert value(seen, "M6")["value"] == pytest.approx(3.99e9, rel=0.01)
    assert value(seen, "M6")["verdict"] == "ok"
    assert value(seen, "M8")["value"] == 5.0
    assert "per month" in value(seen, "M8")["meaning"]
    assert value(seen, "M9")["verdict"] == "not_assessable"


def test_completeness_counts_the_parents_that_never_came():
    frame = spans(600).assign(parent_span_id=None)
    below = frame.assign(span_id="2", parent_span_id="1", name="ask", kind="INTERNAL")
    frame = pd.concat([frame.iloc[60:], below])
    seen = tk.coverage(TraceSet.from_spans(frame))
    row = value(seen, "M9")
    assert row["value"] == pytest.approx(0.9)
    assert row["low"] < 0.9 < row["high"]
    assert row["verdict"] == "ok"
    assert value(seen, "M9", "web")["value"] == pytest.approx(0.9)


def test_usual_paths():
    words = [f"odd {chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(400)]
    names = np.where(np.arange(400) < 380, "usual", words)
    seen = tk.coverage(TraceSet.from_spans(spans(400, name=names)))
    assert value(seen, "M4")["value"] == pytest.approx((380 + 19) / 400)
    assert value(seen, "M4")["verdict"] == "ok", "the twenty usual paths cover most"
    odd = tk.coverage(TraceSet.from_spans(spans(400, name=words)))
    assert (value(odd, "M4")["value"], value(odd, "M4")["verdict"]) == (0.05, "failed")


def test_usual_is_what_the_traffic_does_and_not_the_sample():
    """Of 30 paths ten were kept whole and twenty at a tenth: these are the usual ones."""
    path = np.repeat(np.arange(30), np.where(np.arange(30) < 10, 12, 8))
    weights = pd.Series(np.where(path < 10, 1.0, 10.0), trace_ids(len(path)))
    traces = TraceSet.from_spans(spans(len(path), name=[f"path {at}" for at in path])).with_weights(weights)
    assert value(tk.coverage(traces), "M4")["value"] == pytest.approx(1600 / 1720)


STAGES = {"instrumented": 9_900, "sampled": 2_000, "indexed": 990}


def test_the_funnel_names_the_stage_that_loses_most():
    seen = tk.coverage(shop()[0], requests=pd.DataFrame({"count": [10_000]}), rules=0.2, expected={"stages": STAGES})
    assert seen.funnel["stage"].tolist() == ["requests", "instrumented", "sampled", "recorded", "indexed"]
    assert seen.loses_most == "recorded"
    assert seen.summary == "9.9% of 10,000 requests have a searchable trace; most are lost at recording"
    assert value(seen, "M7")["value"] == pytest.approx(2_000 / 9_900)


def test_where_nothing_is_broken_the_largest_loss_is_sampling():
    stages = {"instrumented": 10_000, "sampled": 1_000}
    seen = tk.coverage(shop()[0], requests=pd.DataFrame({"count": [10_000]}), rules=RATE, expected={"stages": stages})
    assert seen.loses_most == "sampled"


def test_the_funnel_passes_on_what_arrives_and_never_more():
    seen = tk.coverage(shop()[0], requests=pd.DataFrame({"count": [10_000]}), rules=0.2, expected={"stages": STAGES})
    passed = seen.funnel["count"].to_numpy()
    assert np.prod(seen.funnel["estimate"].to_numpy(float)[1:]) == pytest.approx(passed[-1] / passed[0])


def test_without_counts_nothing_is_ok():
    seen = tk.coverage(shop(40)[0])
    assert value(seen, "M1")["verdict"] == "not_assessable"
    assert value(seen, "M1")["meaning"].startswith("not assessable: needs request counts")
    assert seen.loses_most is None
    assert not len(seen.funnel)
    assert repr(seen).startswith("Coverage(no request counts to compare with; ")
    assert "<table" in seen._repr_html_()


def test_more_traces_than_requests_are_no_coverage():
    seen = tk.coverage(shop()[0], requests=pd.DataFrame({"service": ["cart", "pay"], "count": [700, 5000]}))
    row = value(seen, "M1", "cart")
    assert row["verdict"] == "not_assessable"
    assert "750 traces of 700 requests" in row["meaning"]


@pytest.mark.parametrize(
    ("target", "verdict"), [(0.05, "ok"), (0.5, "failed"), (0.1, "inconclusive"), (None, "measured")]
)
def test_a_target_is_met_or_missed_by_the_whole_interval(target, verdict):
    targets = {} if target is None else {"M1": target}
    seen = tk.coverage(shop()[0], requests=pd.DataFrame({"count": [10_000]}), targets=targets)
    assert value(seen, "M1")["verdict"] == verdict


@pytest.mark.parametrize(("target", "verdict"), [(1 * SECOND, "ok"), (1 * MS, "failed")])
def test_less_is_better_of_latency(target, verdict):
    assert value(tk.coverage(shop()[0], targets={"M3": target}), "M3")["verdict"] == verdict


def test_targets_of_no_metric_are_refused():
    with pytest.raises(ValueError, match=r"expected targets of M1, M2a, .* found M11"):
        tk.coverage(shop(40)[0], targets={"M11": 1})


def test_no_traces_at_all():
    seen = tk.coverage(shop(40)[0].where("duration_ns < 0"), requests=counts(40))
    verdicts = seen.metrics.loc[seen.metrics["metric"] != "M7", "verdict"]
    assert set(verdicts) == {"not_assessable"}
