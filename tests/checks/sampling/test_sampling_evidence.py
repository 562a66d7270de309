"""S11 to S16: what went unseen, truncation, paths, calibration, ids; each with a case in which it must not speak."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import (
    EPOCH_NS,
    counter_ids,
    millisecond_ids,
    random_ids,
    repeated_ids,
    said,
    status,
    thinned_ids,
    traces_of,
    xray_ids,
)
from checks.test_checks_of_stores import agree

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.checks.case import build_case
from tracekit.checks.registry import CHECKS, run_check
from tracekit.checks.sampling.unseen_paths import path_numbers
from tracekit.stats.second_reservoir import SECOND_NS

RNG = np.random.default_rng(60)


# ------------------------------------------------------------------ S11


@pytest.mark.parametrize(
    ("rate", "incident", "wanted", "text"),
    [
        (
            0.05,
            20,
            "warning",
            "incident of 20 requests: 64.2% (at least 1 trace at 5.0% sampling; 95% needs 13.9% sampling)",
        ),
        (
            0.14,
            20,
            "ok",
            "95.1% (at least 1 trace at 14.0% sampling). An incident without any recorded trace may have up to 24",
        ),
        (
            0.05,
            (200, 3),
            "ok",
            "99.8% (at least 3 traces at 5.0% sampling). An incident without any recorded trace may have up to 71",
        ),
        (0.05, None, "measured", "an incident of 20 requests: 64.2% (at least 1 trace"),
    ],
)
def test_an_incident_may_be_unrecorded(rate, incident, wanted, text):
    found = tk.sampling(traces_of(RNG, 10), rules=rate, expected={"incident": incident} if incident else None)
    assert status(found, "evidence.loss") == [wanted]
    assert text in said(found, "evidence.loss")


def test_unequal_weights_give_the_mean_probability_of_a_request():
    """Requests by probability 1 and 1/20 in equal numbers of traces: a request is kept with 200 / 2100."""
    traces = traces_of(RNG, 200).with_weights(np.repeat([1.0, 20.0], 100))
    (found,) = [f for f in tk.sampling(traces) if f.check == "evidence.loss"]
    assert found.evidence["rate"].iloc[0] == pytest.approx(200 / 2100)
    assert status(tk.sampling(traces_of(RNG, 20)), "evidence.loss") == ["not_assessable"]


def test_a_reservoir_keeps_what_its_rule_should_keep_of_the_counted_requests():
    """One a second and 5% of 40 a minute: of 40 requests in 60 seconds most are the first of theirs."""
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.arange(60), unit="min")
    counts = pd.DataFrame({"time": times, "count": 40})
    local = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}
    (found,) = [
        f
        for f in tk.sampling(traces_of(np.random.default_rng(1), 1800), rules=local, requests=counts)
        if f.check[-5:] == ".loss"
    ]
    first = 60 * (1 - (59 / 60) ** 40)
    assert found.evidence["rate"].iloc[0] == pytest.approx((first + 0.05 * (40 - first)) / 40)
    assert status(tk.sampling(traces_of(np.random.default_rng(1), 1800), rules=local), "evidence.loss") == [
        "not_assessable"
    ]


# ------------------------------------------------------------------ S12

WAIT = {"policies": [{"name": "all", "type": "always_sample"}], "decision_wait": "30s"}


def _long(rng, *, cut):
    took = rng.lognormal(np.log(12), 0.7, 4000) * 1000
    return traces_of(rng, took_ms=took[took < 30_000] if cut else took, n=int((took < 30_000).sum()) if cut else 4000)


def test_traces_that_stop_at_the_decision_are_found_and_others_are_not():
    cut = tk.sampling(_long(np.random.default_rng(1), cut=True), rules=WAIT)
    assert status(cut, "tail.truncation") == ["failed"]
    assert "at the decision after 30 s durations stop" in said(cut, "tail.truncation")
    whole = tk.sampling(_long(np.random.default_rng(1), cut=False), rules=WAIT)
    assert status(whole, "tail.truncation") == ["ok"]
    assert "no sign that longer traces are missing" in said(whole, "tail.truncation")


@pytest.mark.parametrize(("column", "unit"), [("duration_ms", 1.0), ("duration_s", 1e-3), ("duration_ns", 1e6)])
def test_a_time_out_of_clients_is_not_blamed_on_the_sampler(column, unit):
    rng = np.random.default_rng(2)
    took = np.minimum(rng.lognormal(np.log(12), 0.7, 20_000) * 1000, 30_000.0)
    log = pd.DataFrame({column: took * unit, "status": 200})
    traces = _long(np.random.default_rng(1), cut=True)
    found = tk.sampling(traces, rules=WAIT, log=log)
    assert status(found, "tail.truncation") == ["ok"]
    assert "clients time out" in said(found, "tail.truncation")
    longer = pd.DataFrame({column: rng.lognormal(np.log(12), 0.7, 20_000) * 1000 * unit, "status": 200})
    assert status(tk.sampling(traces, rules=WAIT, log=longer), "tail.truncation") == ["failed"]
    other = pd.DataFrame({"status": [200]})
    assert status(tk.sampling(traces, rules=WAIT, log=other), "tail.truncation") == ["failed"]


def test_cut_traces_are_counted():
    frame = pd.DataFrame({"trace_id": [f"{n // 2 + 1:032x}" for n in range(200)], "span_id": ["1", "2"] * 100})
    frame["parent_span_id"] = [None, "1"] * 100
    frame["start_ns"] = [0, 31 * SECOND_NS] * 10 + [0, 5] * 90
    frame = frame.assign(name="x", end_ns=frame["start_ns"] + 10)
    found = tk.sampling(tk.TraceSet.from_spans(frame), rules=WAIT)
    assert status(found, "tail.truncation") == ["warning"]
    assert said(found, "tail.truncation").startswith(
        "Tail sampling: 10 traces of 100 truncated (10.0%, 95% CI 5.5–17.4%) at the decision"
    )
    rootless = tk.TraceSet.from_spans(frame.assign(parent_span_id=["9", "1"] * 100))
    assert "100 traces of 100" in said(tk.sampling(rootless, rules=WAIT), "tail.truncation")


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("kind", ["cut", "whole", "some cut"])
def test_cut_traces_of_parts_are_those_in_memory(kind, count, tmp_path):
    traces = _long(np.random.default_rng(1), cut=kind == "cut").head(3000)
    if kind == "some cut":
        frame = traces.spans.assign(start_ns=traces.columns.spans.start_ns, end_ns=traces.columns.spans.end_ns)
        late = frame.iloc[:80].assign(parent_span_id=frame["span_id"], start_ns=frame["start_ns"] + 31 * SECOND_NS)
        late["span_id"], late["end_ns"] = [f"{at + 1:016x}" for at in range(80)], late["start_ns"] + 5
        names = ["trace_id", "span_id", "parent_span_id", "name", "start_ns", "end_ns"]
        traces = tk.TraceSet.from_spans(pd.concat([frame, late])[names])
    (check,) = (check for check in CHECKS if check.name == "tail.truncation")
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    found, expected = (run_check(check, build_case(each, rules=WAIT)) for each in (store, traces))
    agree(found, expected)
    assert found[0].status == {"cut": "failed", "whole": "ok", "some cut": "warning"}[kind]
    assert len(found[0].exemplars) == (5 if kind == "some cut" else 0)


def test_short_traces_are_not_assessable_or_clean():
    near = traces_of(RNG, 10, took_ms=20_000)
    assert status(tk.sampling(near, rules=WAIT), "tail.truncation") == ["inconclusive"]
    assert status(tk.sampling(traces_of(RNG, 30), rules=WAIT), "tail.truncation") == ["ok"]
    assert status(tk.sampling(traces_of(RNG, 30), rules=0.1), "tail.truncation") == ["not_assessable"]
    empty = traces_of(RNG, 3).where("name == 'y'")
    assert status(tk.sampling(empty, rules=WAIT), "tail.truncation") == ["not_assessable"]


_TAIL = "otelcol_processor_tail_sampling_"
_EVICTED, _RECEIVED = f"{_TAIL}sampling_trace_dropped_too_early", f"{_TAIL}new_trace_id_received"
_LATE = f"{_TAIL}sampling_late_span_age_count"


def _collector(rules=None, **counted):
    """What S12 says of a collector's counters, the first finding."""
    found = tk.sampling(traces_of(RNG, 30), rules=rules, expected={"collector": counted})
    return next(one for one in found if one.check == "tail.truncation" and "evictions" in one.headline)


@pytest.mark.parametrize(
    ("evicted", "wanted"),
    [(0, "ok"), (100, "ok"), (101, "warning"), (1000, "warning"), (1001, "failed"), (10_001, "failed")],
)
def test_evictions_are_assessed_by_their_share(evicted, wanted):
    found = _collector(**{_EVICTED: evicted, f"{_RECEIVED}_total": np.int64(10_000)})
    assert found.evidence["status"].tolist() == [wanted]
    assert found.severity == ("info" if wanted == "ok" else "warning")
    assert ("num_traces" in found.remedy) == (wanted != "ok")


def test_evictions_are_named_with_their_number():
    found = _collector(WAIT, **{_EVICTED: 1200, _RECEIVED: 24_000, _LATE: 310})
    assert found.headline.startswith(
        "Collector evictions: 1,200 of 24,000 traces (5.0%) before the sampling decision; these"
    )
    assert found.headline.endswith("no sampling weight represents them; 310 spans arrived after the decision.")
    assert (found.estimate.value, found.estimate.low, found.estimate.high, found.estimate.n) == (
        0.05,
        0.05,
        0.05,
        24_000,
    )
    calm = _collector(**{_EVICTED: 0, _RECEIVED: 24_000})
    assert calm.headline == "Collector evictions: none of 24,000 traces."
    both = tk.sampling(traces_of(RNG, 30), rules=WAIT, expected={"collector": {_EVICTED: 0, _RECEIVED: 24_000}})
    assert status(both, "tail.truncation") == ["ok", "ok"]
    assert "evictions" not in said(tk.sampling(traces_of(RNG, 30), rules=WAIT), "tail.truncation")


def test_evictions_of_an_unknown_total_are_not_called_few_or_many():
    assert _collector(**{_EVICTED: 3}).evidence["status"].tolist() == ["inconclusive"]
    assert f"evictions: 3 traces (share unknown, needs {_RECEIVED}) before the" in _collector(**{_EVICTED: 3}).headline
    assert _collector(**{_EVICTED: 0}).headline == "Collector evictions: none of its traces."
    wrong = tk.sampling(traces_of(RNG, 3), expected={"collector": {_EVICTED: 30, _RECEIVED: 20}})
    assert "30 traces of 20 received; the counters cover different periods" in said(wrong, "tail.truncation")
    assert status(wrong, "tail.truncation")[0] == "failed"
    blind = tk.sampling(traces_of(RNG, 3), expected={"collector": {"otelcol_processor_dropped_spans": 0}})
    assert said(blind, "tail.truncation").startswith(f"Collector evictions not assessable: needs {_EVICTED}.")
    assert status(blind, "tail.truncation")[0] == "not_assessable"


def test_lost_spans_are_a_part_of_those_that_came_or_went():
    counted = {
        _EVICTED: 0,
        _RECEIVED: 50,
        "otelcol_receiver_accepted_spans": 900,
        "otelcol_receiver_refused_spans": 100,
    }
    counted |= {"otelcol_processor_dropped_spans": 9, "otelcol_exporter_sent_spans": 95}
    counted |= {"otelcol_exporter_send_failed_spans": 5, "otelcol_exporter_enqueue_failed_spans": 0}
    found = _collector(**counted)
    table = found.evidence.set_index("loss")
    assert table["estimate"].round(4).tolist() == [0, 0.1, 0.01, 0, 0.05]
    assert table["status"].tolist() == ["ok", "warning", "ok", "ok", "warning"]
    assert found.headline.endswith(
        "traces; 100 spans were refused on arrival (10.0%); 9 spans were dropped by processors (1.0%);"
        " 5 spans could not be sent (5.0%)."
    )
    assert found.remedy == "Increase the memory of the collector and the queue of its exporter."


# ------------------------------------------------------------------ S13


def words(n):
    """Names of endpoints, all different and none with an ID."""
    return [f"GET /{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(n)]


def test_paths_never_seen():
    names = np.repeat(words(103), [900, *[1] * 100, 2, 2])
    found = tk.sampling(traces_of(RNG, 1004, name=names), rules=0.05)
    assert status(found, "paths.unseen") == ["warning"]
    assert said(found, "paths.unseen").startswith("Unrecorded call paths: an estimated 10.0% of requests (95% CI 8.")
    even = tk.sampling(traces_of(RNG, 1000), rules=0.05)
    assert status(even, "paths.unseen") == ["ok"]
    some = np.repeat(["a", "b", "c", "d"], [60, 1, 1, 1])
    assert status(tk.sampling(traces_of(RNG, 63, name=some), rules=0.05), "paths.unseen") == ["inconclusive"]


def test_two_traces_do_not_prove_that_all_traffic_takes_other_paths():
    text = said(tk.sampling(traces_of(RNG, 2, name=["a", "b"]), rules=0.05), "paths.unseen")
    assert text.endswith("not assessable: needs at least 20 traces with equal probability (found 2).")


def test_paths_that_only_a_certain_policy_kept_are_thinned_too():
    """One request in ten fails, each on a path of its own: all of them are in hand, and one in twenty of the rest."""
    names = [*words(400), *["GET /"] * 180]
    traces = traces_of(RNG, 580, name=names, **{"attributes.kept_one_in": np.repeat([1.0, 20.0], [400, 180])})
    found = tk.sampling(traces.with_weights("kept_one_in"))
    (row,) = (one.evidence.iloc[0] for one in found if one.check == "paths.unseen")
    assert row["estimate_low"] <= 0.1 <= row["estimate_high"]
    assert 180 + 5 < row["trace_count"] < 180 + 40
    even = tk.sampling(traces.with_weights(20))
    assert next(one.evidence["trace_count"].iloc[0] for one in even if one.check == "paths.unseen") == 580


def test_names_that_are_always_new_and_unknown_weights_are_refused():
    new = said(tk.sampling(traces_of(RNG, 200, name=words(200)), rules=0.05), "paths.unseen")
    assert "operation names contain IDs" in new
    ids = [f"GET /{n}" for n in range(200)]
    assert status(tk.sampling(traces_of(RNG, 200, name=ids), rules=0.05), "paths.unseen") == ["ok"]
    assert status(tk.sampling(traces_of(RNG, 200)), "paths.unseen") == ["not_assessable"]


def test_of_unequal_weights_the_lighter_traces_are_thinned_and_counted():
    traces = traces_of(RNG, 500).with_weights(np.repeat([1.0, 20.0], [300, 200]))
    (found,) = [f for f in tk.sampling(traces) if f.check == "paths.unseen"]
    n = found.evidence["trace_count"].iloc[0]
    assert 200 + 3 < n < 200 + 35
    assert f"{500 - n} traces are excluded, so that all have equal probability" in found.assumptions


def test_a_path_is_a_root_and_a_set_of_services():
    rows = [
        ("a", "web", "x"),
        ("a", "db", "y"),
        ("b", "web", "x"),
        ("c", "web", "z"),
        ("d", "web", "x"),
        ("d", "db", "q"),
    ]
    frame = pd.DataFrame(rows, columns=["trace_id", "service_name", "name"])
    frame = frame.assign(span_id=[str(n + 1) for n in range(6)], start_ns=[0, 1, 0, 0, 0, 1], end_ns=9)
    frame["parent_span_id"] = [None, "1", None, None, None, "5"]
    assert pd.factorize(path_numbers(tk.TraceSet.from_spans(frame)))[0].tolist() == [0, 1, 2, 0]


# ------------------------------------------------------------------ S14


def test_calibration_reports_what_it_changes():
    failed = np.repeat([True, False, False], [40, 60, 300])
    traces = traces_of(RNG, 400, http_route=np.repeat(["/pay", "/cart"], [100, 300]), failed=failed)
    counts = pd.DataFrame({"route": ["/pay", "/cart"], "count": [1000, 9000]})
    (found,) = [f for f in tk.sampling(traces, requests=counts) if f.check == "calibrate"]
    assert found.estimate.value == pytest.approx(0.04)
    assert "the error rate changes from 10.0% to 4.0%" in found.headline
    assert "Differences inside a stratum are not corrected" in found.headline
    assert found.evidence["weight"].tolist() == [30.0, 10.0]
    assert found.evidence["status"].tolist() == ["measured"] * 2


def test_bounds_empty_strata_and_costly_weights_are_reported():
    traces = traces_of(RNG, 402, http_route=np.repeat(["/pay", "/cart"], [2, 400]))
    counts = pd.DataFrame({"route": ["/pay", "/cart", "/none"], "count": [5000, 5000, 77]})
    found = tk.sampling(traces, requests=counts)
    assert status(found, "calibrate") == ["warning"]
    text = said(found, "calibrate")
    assert "at a bound" in text
    assert "77 requests in strata without a trace" in text


def test_calibration_needs_counts_of_the_roots():
    assert status(tk.sampling(traces_of(RNG, 50)), "calibrate") == ["not_assessable"]
    plain = tk.sampling(traces_of(RNG, 50), requests=pd.DataFrame({"count": [500]}))
    assert "Calibrated to the totals of 1 stratum" in said(plain, "calibrate")
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2"], "parent_span_id": [None, "1"], "name": "x"})
    inner = tk.TraceSet.from_spans(frame.assign(service_name=["web", "db"], start_ns=0, end_ns=5))
    text = said(tk.sampling(inner, requests=pd.DataFrame({"service": ["db"], "count": [9]})), "calibrate")
    assert "needs counts of the strata that the roots of traces belong to" in text
    two = pd.DataFrame({"route": ["/a", "/b"], "method": ["GET", "GET"], "count": [50, 50]})
    both = traces_of(RNG, 20, http_route=np.repeat(["/a", "/b"], 10), **{"attributes.http.request.method": "GET"})
    assert "2 strata" in said(tk.sampling(both, requests=two), "calibrate")


def test_margins_are_raked_where_strata_are_without_traces():
    """Routes 50:50 and methods 80:20, independent; traces 3:1 and nobody saw a POST of /b."""
    route, method = np.repeat(["/a", "/a", "/b"], [200, 100, 100]), np.repeat(["GET", "POST", "GET"], [200, 100, 100])
    failed = np.arange(400) % 200 < 20
    columns = {"http_route": route, "attributes.http.request.method": method, "failed": failed}
    counts = pd.DataFrame({"route": ["/a", "/a", "/b", "/b"], "method": ["GET", "POST"] * 2})
    counts["count"] = [4000, 1000, 4500, 500]
    start = EPOCH_NS + np.arange(400) * SECOND_NS
    (found,) = [
        f
        for f in tk.sampling(traces_of(np.random.default_rng(2), start_ns=start, **columns), requests=counts)
        if f.check == "calibrate"
    ]
    assert "to the totals of 2 of http_route and 2 of http_request_method, separately" in found.headline
    assert "without a trace" not in found.headline
    # by hand: weights a for GET /a, b for POST /a, c for GET /b meet 200 a + 100 b = 5000, 100 b = 1500, 100 c = 5000
    weights = {"GET /a": 17.5, "POST /a": 15.0, "GET /b": 50.0}
    own = np.char.add(np.char.add(method, " "), route)
    wanted = sum(weights[name] for name in own[failed]) / 10_000
    assert found.estimate.value == pytest.approx(wanted, rel=1e-6)
    assert found.evidence["imbalance"].iloc[0] < 1e-6


def test_a_margin_without_a_trace_is_not_raked():
    counts = pd.DataFrame({"route": ["/a", "/b"], "method": ["GET", "GET"], "count": [50, 50]})
    some = traces_of(np.random.default_rng(2), 20, http_route="/a", **{"attributes.http.request.method": "GET"})
    text = said(tk.sampling(some, requests=counts), "calibrate")
    assert "Problems: 50 requests in strata without a trace" in text


# ------------------------------------------------------------------ S15


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (millisecond_ids, "bytes 1"),
        (counter_ids, "bytes 12, 13, 14"),
        (repeated_ids, "repeated IDs"),
    ],
)
def test_ids_that_are_not_random_are_found(make, text):
    ids = make(np.random.default_rng(5), 1500)
    traces = traces_of(RNG, ids=ids, start_ns=EPOCH_NS + np.arange(1500) * 10**6)
    found = tk.sampling(traces, rules=0.5)
    assert status(found, "id.random")[0] in {"failed", "ok"}
    assert text in said(found, "id.random")
    assert "keep or drop consecutive traces" in said(found, "id.random")
    alone = [f for f in tk.sampling(traces) if f.check == "id.random"]
    assert [f.severity for f in alone] == ["info"], "no sampler is known that ids like these would mislead"


def test_random_ids_are_left_alone():
    for make in (random_ids, xray_ids, lambda r, n: thinned_ids(r, n, "OpenTelemetry consistent sampling", 0.1)):
        found = tk.sampling(traces_of(RNG, ids=make(np.random.default_rng(11), 1500)))
        assert "The low bits of trace IDs are random" in said(found, "id.random")
    assert status(tk.sampling(traces_of(RNG, 150)), "id.random") == ["not_assessable"]
    high, low = random_ids(np.random.default_rng(2), 300)
    assert "64-bit IDs" in said(tk.sampling(traces_of(RNG, ids=(high * np.uint64(0), low))), "id.random")


# ------------------------------------------------------------------ S16


def test_the_sampler_is_named_with_its_rate_and_exceptions():
    ids = thinned_ids(np.random.default_rng(6), 800, "Java TraceIdRatio", 0.05, 0.2)
    traces = traces_of(RNG, ids=ids)
    (found,) = [f for f in tk.sampling(traces) if f.check == "id.forensic"]
    assert found.estimate.low <= 0.05 <= found.estimate.high
    assert "Trace-ID sampling of `web`: kept by Java TraceIdRatio at 5.0% (" in found.headline
    assert "of the traces were kept by another method" in found.headline
    assert "as configured" in said(tk.sampling(traces, rules=0.05), "id.forensic")
    other = tk.sampling(traces, rules=0.2)
    assert status(other, "id.forensic") == ["warning"]
    assert "; 20% is configured" in said(other, "id.forensic")
    near = tk.sampling(traces, rules=0.048)
    assert status(near, "id.forensic") == ["measured"]
    assert "; 4.8% is configured" in said(near, "id.forensic")
    tail = {"policies": [{"name": "p", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}}]}
    assert "as configured" in said(tk.sampling(traces, rules=tail), "id.forensic")


def test_no_sampler_is_named_where_none_decides_by_id():
    for make in (random_ids, xray_ids):
        found = tk.sampling(traces_of(RNG, ids=make(np.random.default_rng(21), 800)), rules=0.05)
        assert status(found, "id.forensic") == ["measured"]
        assert "No trace-ID-based sampling detected" in said(found, "id.forensic")
    assert status(tk.sampling(traces_of(RNG, 50)), "id.forensic") == ["not_assessable"]


def test_services_are_looked_at_one_by_one():
    rng = np.random.default_rng(7)
    a, b = thinned_ids(rng, 300, "Python TraceIdRatio", 0.1), random_ids(rng, 300)
    ids = tuple(np.concatenate(pair) for pair in zip(a, b, strict=True))
    found = tk.sampling(traces_of(RNG, ids=ids, service=np.repeat(["cart", "mail"], 300)))
    text = said(found, "id.forensic")
    assert "Trace-ID sampling of `cart`: kept by " in text
    assert "No trace-ID-based sampling detected for `mail`" in text


def test_calibration_starts_from_the_known_weights():
    """Ten failed and stand for one each, ten did not and stand for nine: a tenth failed, whatever the total."""
    traces = traces_of(RNG, 20)
    order = np.argsort(traces.columns.spans.start_ns)
    weight, failed = np.empty(20), np.zeros(20, bool)
    weight[order], failed[order[:10]] = np.repeat([1.0, 9.0], 10), True
    frame = traces.spans.drop(columns="status_code").assign(status_code=np.where(failed, "ERROR", "OK"))
    weighted = tk.TraceSet.from_spans(frame).with_weights(weight)
    (found,) = [f for f in tk.sampling(weighted, requests=pd.DataFrame({"count": [400]})) if f.check == "calibrate"]
    assert found.estimate.value == pytest.approx(0.1)


def test_ids_that_grow_with_time_resemble_the_one_before():
    """Every byte of sorted random numbers is even; only their order betrays them."""
    high, low = random_ids(np.random.default_rng(8), 1500)
    low = np.sort(low >> np.uint64(16)) | (low << np.uint64(48))
    traces = traces_of(RNG, ids=(high, low), start_ns=EPOCH_NS + np.arange(1500) * 10**6)
    text = said(tk.sampling(traces), "id.random")
    assert "The low bits of trace IDs are not random (each ID resembles the previous one;" in text


def test_exactly_the_tests_that_fail_are_named():
    even = random_ids(np.random.default_rng(9), 1500)[1] & np.uint64(0xFFFFFFFFFF00FFFF)
    traces = traces_of(RNG, ids=(random_ids(RNG, 1500)[0], even))
    assert "The low bits of trace IDs are not random (byte 13;" in said(tk.sampling(traces), "id.random")


def adaptive(rng, n=1500, family="Java TraceIdRatio"):
    """An hour in which the rate is 5%, and 20% in the middle."""
    parts = [thinned_ids(rng, k, family, rate, 0.1) for k, rate in ((n // 3, 0.05), (n // 3, 0.2), (n // 3, 0.05))]
    ids = tuple(np.concatenate(half) for half in zip(*parts, strict=True))
    return ids, EPOCH_NS + np.arange(n // 3 * 3) * 10**9


def test_a_rate_that_moves_is_reported_by_period():
    ids, start = adaptive(np.random.default_rng(3))
    traces = traces_of(RNG, ids=ids, start_ns=start)
    (found,) = [f for f in tk.sampling(traces) if f.check == "id.forensic"]
    table = found.evidence
    assert table["trace_count"].tolist() == [1000, 500]
    assert table["estimate_low"].iloc[0] < 0.05 < table["estimate_high"].iloc[0]
    assert table["estimate_low"].iloc[1] < 0.2 < table["estimate_high"].iloc[1]
    assert table["first_time"].iloc[1] == pd.Timestamp(EPOCH_NS + 500 * 10**9, tz="UTC")
    assert table["last_time"].iloc[1] == pd.Timestamp(EPOCH_NS + 999 * 10**9, tz="UTC")
    assert found.headline.startswith("Trace-ID sampling of `web`: kept by Java TraceIdRatio at 5.0% (")
    assert ", at other times at 19.8% (" in found.headline
    assert found.headline.endswith("The rate changed, so unweighted shares and totals are biased.")
    boost = [{"RuleName": "b", "FixedRate": 0.05, "SamplingRateBoost": {"MaxRate": 0.5}}]
    assert said(tk.sampling(traces, rules=boost), "id.forensic").endswith("biased. The rule has a boost.")
    fixed = tk.sampling(traces, rules=0.05)
    assert status(fixed, "id.forensic") == ["warning"]
    assert "5% is configured, without a boost" in said(fixed, "id.forensic")


def test_weights_of_a_rate_that_moves_are_those_of_its_period():
    ids, start = adaptive(np.random.default_rng(4))
    by_time = traces_of(RNG, ids=ids, start_ns=start)
    order = np.argsort(by_time.columns.spans.start_ns[by_time.forest.root_row])
    value = by_time.with_weights("trace IDs").weights.value[order]
    kept = [np.unique(np.round(value[a : a + 500])).tolist() for a in (0, 500, 1000)]
    assert kept == [[0, 20], [0, 5], [0, 20]]
