"""S01 to S05: rates, funnel, captured errors, absence; each with a case in which it must not speak."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, hour, random_ids, said, status, traces_of

import tracekit as tk
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.trace_state import rule_hash

RNG = np.random.default_rng(40)


def minutes(count):
    """Requests by minute of the hour that ``traces_of`` covers."""
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.arange(60), unit="min")
    return pd.DataFrame({"time": times, "count": count})


# ------------------------------------------------------------------ S01


def test_the_observed_rate_is_counted_by_stratum():
    traces = traces_of(RNG, 300, http_route=np.repeat(["/a", "/b"], 150))
    requests = pd.DataFrame({"route": ["/a", "/b", "/c"], "count": [3000, 1500, 40]})
    (found,) = [f for f in tk.sampling(traces, requests=requests) if f.check == "rate.observed"]
    table = found.evidence.set_index("scope")
    assert table["estimate"].round(4).to_dict() == {"all requests": 0.0661, "/a": 0.05, "/b": 0.1, "/c": 0.0}
    assert table.loc["/c", "estimate_high"] == pytest.approx(1 - 0.025 ** (1 / 40))
    assert set(table["status"]) == {"measured"}
    assert found.headline.startswith("Trace coverage: 6.6% (95% CI ")
    assert "300 of 4,540 requests" in found.headline
    assert (found.estimate.low, found.estimate.high) == tuple(table.iloc[0][["estimate_low", "estimate_high"]])


def test_more_traces_than_requests_are_no_rate():
    requests = pd.DataFrame({"route": ["/a", "/b"], "count": [10, 4000]})
    traces = traces_of(RNG, 200, http_route=np.repeat(["/a", "/b"], 100))
    found = tk.sampling(traces, requests=requests)
    assert "More traces than requests in /a (100 of 10)" in said(found, "rate.observed")
    (finding,) = [f for f in found if f.check == "rate.observed"]
    assert finding.severity == "warning"
    assert finding.evidence.set_index("scope")["status"].to_dict() == {
        "all requests": "measured", "/a": "failed", "/b": "measured",
    }  # fmt: skip


@pytest.mark.parametrize(("rate", "wanted"), [(0.05, "ok"), (0.10, "failed"), (0.0505, "ok")])
def test_a_target_is_assessed_only_if_given(rate, wanted):
    traces = traces_of(RNG, 5000)
    requests = pd.DataFrame({"count": [100_000]})
    assert status(tk.sampling(traces, requests=requests), "rate.observed") == ["measured"]
    found = tk.sampling(traces, requests=requests, expected={"rate": rate})
    assert status(found, "rate.observed") == [wanted]


def test_a_restless_share_has_a_wider_interval():
    start = EPOCH_NS + np.repeat(np.arange(60), np.repeat([2, 38], 30)) * 60 * SECOND_NS
    restless = tk.sampling(traces_of(RNG, start_ns=start), requests=minutes(400))
    calm = tk.sampling(traces_of(RNG, 1200), requests=minutes(400))
    widths = [f.estimate.high - f.estimate.low for g in (restless, calm) for f in g if f.check == "rate.observed"]
    assert widths[0] > 3 * widths[1]


def test_counts_of_another_time_or_of_other_strata_are_not_compared():
    traces = traces_of(RNG, 50, http_route="/a")
    later = minutes(40).assign(time=lambda t: t["time"] + pd.Timedelta("1D"))
    found = tk.sampling(traces, requests=later)
    assert "not assessable: needs request counts of the same period: they cover 20" in said(found, "rate.observed")
    naive = tk.sampling(traces, requests=later.assign(time=lambda t: t["time"].dt.tz_localize(None)))
    assert "(times without a time zone were read as UTC)" in said(naive, "rate.observed")
    strange = tk.sampling(traces, requests=pd.DataFrame({"route": ["/z"], "count": [9]}))
    assert "of the same http_route: counts have /z, traces /a, none in both" in said(strange, "mix.head")
    assert status(strange, "rate.observed") == ["not_assessable"]


def test_a_clock_that_is_a_minute_late_is_within_the_interval():
    """Traffic doubles every 12 minutes; the balancer counts a minute later than the services."""
    asked = np.round(200 * 2 ** (np.arange(61) / 12)).astype(int)
    rng = np.random.default_rng(3)
    kept = rng.binomial(asked[:60], 0.2)
    start = EPOCH_NS + np.repeat(np.arange(60), kept) * 60 * SECOND_NS + rng.integers(0, 60 * SECOND_NS, kept.sum())
    late = minutes(asked[1:])
    (found,) = [f for f in tk.sampling(traces_of(rng, start_ns=start), requests=late) if f.check == "rate.observed"]
    plain = kept.sum() / asked[1:].sum()
    assert abs(plain / 0.2 - 1) > 0.03, "the guard of the scenario: unshifted, the rate is off"
    assert found.estimate.low <= 0.2 <= found.estimate.high
    assert found.estimate.value == pytest.approx(plain)
    assert "the clocks of counts and traces differ by no more than a window" in found.assumptions


def test_windows_of_an_hour_and_counts_without_time_are_not_shifted():
    start = EPOCH_NS // (3600 * SECOND_NS) * 3600 * SECOND_NS
    times = pd.to_datetime(start, utc=True) + pd.to_timedelta(np.arange(4), unit="h")
    traces = traces_of(RNG, start_ns=start + np.repeat(np.arange(4), [10, 20, 40, 80]) * 3600 * SECOND_NS)
    hours = pd.DataFrame({"time": times, "count": [100, 200, 400, 800]})
    for requests in (hours, pd.DataFrame({"count": [1500]})):
        (found,) = [f for f in tk.sampling(traces, requests=requests) if f.check == "rate.observed"]
        assert (found.estimate.low, found.estimate.high) == pytest.approx((0.0858, 0.1162), abs=2e-4)
        assert not any("clocks" in text for text in found.assumptions)


def test_every_stratum_has_its_own_restlessness():
    start = EPOCH_NS + np.repeat(np.arange(60), np.repeat([2, 38], 30)) * 60 * SECOND_NS
    calm = EPOCH_NS + np.repeat(np.arange(60), 20) * 60 * SECOND_NS
    traces = traces_of(RNG, start_ns=np.concatenate([start, calm]), http_route=np.repeat(["/restless", "/calm"], 1200))
    counts = pd.concat([minutes(400).assign(route=route) for route in ("/restless", "/calm")], ignore_index=True)
    (found,) = [f for f in tk.sampling(traces, requests=counts) if f.check == "rate.observed"]
    table = found.evidence.set_index("scope")
    width = table["estimate_high"] - table["estimate_low"]
    assert table.loc["/restless", "dispersion"] > 10
    assert table.loc["/calm", "dispersion"] < 1.5
    assert width["/restless"] > 3 * width["/calm"]
    assert table["traces"].tolist() == [2400, 1200, 1200]


def _logged(n=4000, kept=200):
    """Requests of which the first so many were kept; the log names paths, the traces patterns."""
    high, low = random_ids(np.random.default_rng(9), n)
    traces = traces_of(RNG, ids=(high[:kept], low[:kept]), http_route="/cart/{id}")
    ids = [f"{h:016x}{b:016x}" for h, b in zip(high.tolist(), low.tolist(), strict=True)]
    return traces, pd.DataFrame({"trace_id": ids, "route": np.where(np.arange(n) % 4 == 0, "/cart/7", "/cart/8")})


@pytest.mark.parametrize("as_xray", [False, True])
def test_a_log_is_joined_by_trace_id_with_any_route(as_xray):
    traces, log = _logged()
    if as_xray:
        log["trace_id"] = "1-" + log["trace_id"].str[:8] + "-" + log["trace_id"].str[8:].str.upper()
    found = tk.sampling(traces, log=log, rules=0.05)
    (rate,) = [f for f in found if f.check == "rate.observed"]
    table = rate.evidence.set_index("scope")
    assert table["requests"].to_dict() == {"all requests": 4000, "/cart/7": 1000, "/cart/8": 3000}
    assert table["traces"].to_dict() == {"all requests": 200, "/cart/7": 50, "/cart/8": 150}
    assert rate.headline.startswith("Trace coverage: 5.0% (")
    assert "every request is in the log with its trace ID" in rate.assumptions
    assert not any("excluded" in text or "clocks" in text for text in rate.assumptions)
    (whole,) = [f for f in found if f.check == "coverage.funnel"]
    assert whole.evidence["count"].tolist() == [4000, 200]
    assert whole.estimate.value == 0.05


def test_traces_that_are_not_in_the_log_make_no_rate():
    """By stratum 400 traces of 1,000 requests would be 40%; only 100 of the requests left one."""
    traces, log = _logged(1300, 400)
    found = tk.sampling(traces.with_weights(10), log=log.iloc[300:].assign(route="/cart/{id}"))
    for name in ("rate.observed", "coverage.funnel"):
        (one,) = [f for f in found if f.check == name]
        assert (one.estimate.value, one.estimate.n) == (0.1, 100)
        assert one.assumptions[-1] == "300 traces are not in the log and are excluded"


def test_a_log_of_other_requests_or_without_ids_is_not_joined():
    traces, log = _logged()
    other = tk.sampling(traces, log=log.iloc[200:])
    for name in ("rate.observed", "coverage.funnel"):
        assert status(other, name) == ["not_assessable"]
        assert "needs a log of the same requests: none of its 3,800 trace IDs is among the traces" in said(other, name)
    plain = log.drop(columns="trace_id").assign(route="/cart/{id}")
    (by_stratum,) = [f for f in tk.sampling(traces, log=plain) if f.check == "rate.observed"]
    assert by_stratum.assumptions == ("counts and traces cover the same requests",)
    counts = pd.DataFrame({"count": [8000]})
    (counted,) = [f for f in tk.sampling(traces, log=log, requests=counts) if f.check == "rate.observed"]
    assert counted.estimate.value == 0.025


def test_what_the_load_balancer_answered_by_itself_is_no_request_of_the_join():
    traces, log = _logged()
    log["status"], log["target_status"] = 200, np.where(np.arange(4000) < 3000, 200.0, np.nan)
    found = tk.sampling(traces, log=log)
    (rate,) = [f for f in found if f.check == "rate.observed"]
    assert rate.evidence["requests"].iloc[0] == 3000
    assert any("1,000 requests answered by the load balancer itself" in text for text in rate.assumptions)
    (whole,) = [f for f in found if f.check == "coverage.funnel"]
    assert whole.evidence["count"].tolist() == [4000, 3000, 200]


# ------------------------------------------------------------------ S02


def test_a_rule_that_is_kept_and_one_whose_traces_are_lost():
    good = tk.sampling(traces_of(RNG, 5000), rules=0.05, requests=pd.DataFrame({"count": [100_000]}))
    assert status(good, "rate.configured") == ["ok"]
    lost = tk.sampling(traces_of(RNG, 3500), rules=0.05, requests=pd.DataFrame({"count": [100_000]}))
    assert status(lost, "rate.configured") == ["failed"]
    assert (
        "Rule fixed rate: 0.70\N{MULTIPLICATION SIGN} the expected traces (95% CI 0.67–0.73\N{MULTIPLICATION SIGN}; 5%;"
        in said(lost, "rate.configured")
    )
    assert "lost after the sampling decision" in said(lost, "rate.configured")
    more = tk.sampling(traces_of(RNG, 7000), rules=0.05, requests=pd.DataFrame({"count": [100_000]}))
    assert "adds traces" in said(more, "rate.configured")
    few = tk.sampling(traces_of(RNG, 50), rules=0.05, requests=pd.DataFrame({"count": [1000]}))
    assert status(few, "rate.configured") == ["inconclusive"]
    assert "requests are needed" in said(few, "rate.configured")


LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}


def _reservoir(keep=1.0):
    rng = np.random.default_rng(7)
    world = hour(rng)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 1, 0.05)
    kept &= rng.random(len(kept)) < keep
    columns = {"resource.telemetry.sdk.name": "X-Ray for Java", "service_instance_id": "i-1"}
    traces = traces_of(rng, start_ns=world.start_ns[kept], took_ms=world.took_ms[kept], **columns)
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.arange(0, 3600, 10), unit="s")
    return traces, pd.DataFrame({"time": times, "count": world.requests.reshape(-1, 10).sum(1)})


def test_a_reservoir_is_expected_by_windows_of_ten_seconds():
    traces, requests = _reservoir()
    good = tk.sampling(traces, rules=LOCAL, requests=requests)
    assert status(good, "rate.configured") == ["ok"], said(good, "rate.configured")
    assert "reservoir 1 + 5%" in said(good, "rate.configured")
    traces, requests = _reservoir(keep=0.8)
    assert status(tk.sampling(traces, rules=LOCAL, requests=requests), "rate.configured") == ["failed"]
    sums = pd.DataFrame({"count": [requests["count"].sum()]})
    assert "in windows of 60 s or shorter" in said(tk.sampling(traces, rules=LOCAL, requests=sums), "rate.configured")


def test_a_token_bucket_of_several_is_expected_too():
    """Two tokens a second: requests that come evenly at 30 a second, each let through by hand."""
    rng = np.random.default_rng(11)
    start = np.sort(rng.random(rng.poisson(30 * 3600))) * 3600
    stock, last, kept = 2.0, 0.0, np.zeros(len(start), bool)
    for n, at in enumerate(start):
        stock, last = min(2.0, stock + 2 * (at - last)), at
        kept[n] = stock >= 1
        stock -= kept[n]
    kept |= rng.random(len(start)) < 0.05
    columns = {"resource.telemetry.sdk.name": "opentelemetry", "service_instance_id": "i-1"}
    traces = traces_of(rng, start_ns=EPOCH_NS + (start[kept] * SECOND_NS).astype(np.int64), **columns)
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.arange(0, 3600, 10), unit="s")
    requests = pd.DataFrame({"time": times, "count": np.bincount(start.astype(int) // 10, minlength=360)})
    two = {"version": 2, "rules": [], "default": {"fixed_target": 2, "rate": 0.05}}
    found = tk.sampling(traces, rules=two, requests=requests)
    assert status(found, "rate.configured") == ["ok"], said(found, "rate.configured")
    one = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}
    assert status(tk.sampling(traces, rules=one, requests=requests), "rate.configured") == ["failed"]


def test_a_tail_sampler_and_missing_inputs_leave_no_expectation():
    columns = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "python"}
    traces, requests = traces_of(RNG, 200, **columns), minutes(100)
    tail = {"policies": [{"name": "all", "type": "always_sample"}]}
    assert status(tk.sampling(traces, rules=tail, requests=requests), "rate.configured") == ["not_assessable"]
    assert status(tk.sampling(traces, requests=requests), "rate.configured") == ["not_assessable"]
    assert status(tk.sampling(traces, rules=0.05), "rate.configured") == ["not_assessable"]
    nothing = tk.sampling(traces, rules=0.0, requests=pd.DataFrame({"count": [5000]}))
    assert "a rule that keeps anything" in said(nothing, "rate.configured")


def test_each_rule_is_judged_by_the_requests_it_decides_about():
    rules = [
        {"RuleName": "pay", "Priority": 1, "FixedRate": 0.5, "URLPath": "/pay"},
        {"RuleName": "host", "Priority": 2, "FixedRate": 0.5, "Host": "inner", "URLPath": "/in"},
        {"RuleName": "Default", "Priority": 9, "FixedRate": 0.1},
    ]
    traces = traces_of(RNG, 6000, http_route=np.repeat(["/pay", "/cart", "/in"], [2500, 3000, 500]))
    requests = pd.DataFrame({"route": ["/pay", "/cart", "/in"], "count": [5000, 30_000, 1000]})
    found = [f for f in tk.sampling(traces, rules=rules, requests=requests) if f.check == "rate.configured"]
    verdicts = {f.evidence["rule"].iloc[0]: f.evidence["status"].iloc[0] for f in found if "rule" in f.evidence}
    assert verdicts == {"pay": "ok", "Default": "ok"}
    assert "for 1,000 requests not assessable: needs counts by the dimensions that the rules match" in " ".join(
        f.headline for f in found
    )


def test_the_sampling_statistics_of_x_ray_count_by_rule():
    """As GetSamplingStatisticSummaries gives them: rule, time and requests, whatever the routes."""
    rng = np.random.default_rng(12)
    rules = [
        {"RuleName": "pay", "Priority": 1, "FixedRate": 0.5, "URLPath": "/pay", "ServiceName": "shop"},
        {"RuleName": "Default", "Priority": 9, "FixedRate": 0.1},
    ]
    names = np.repeat(["pay", "Default"], [2500, 3000])
    traces = traces_of(rng, 5500, **{"attributes.aws.xray.sampling_rule_name": names})
    told = pd.DataFrame({"RuleName": ["pay", "Default"], "RequestCount": [5000, 40_000]})
    found = tk.sampling(traces, rules=rules, requests=told)
    verdicts = {f.evidence["rule"].iloc[0]: f.evidence["status"].iloc[0] for f in found if f.check == "rate.configured"}
    assert verdicts == {"pay": "ok", "Default": "failed"}
    scopes = next(f for f in found if f.check == "rate.observed").evidence.set_index("scope")["estimate"]
    assert scopes.to_dict() == {"all requests": 5500 / 45_000, "pay": 0.5, "Default": 0.075}
    other = tk.sampling(traces, rules=rules, requests=told.assign(RuleName=["pay", "gone"]))
    assert "for 40,000 requests not assessable" in said(other, "rate.configured")


def test_rules_that_traces_name_by_hash_alone_are_counted_too():
    """Two rules by their hash, one by name, and hashes of a rule that nobody counted."""
    rules = [
        {"RuleName": "pay", "Priority": 1, "FixedRate": 0.5, "URLPath": "/pay"},
        {"RuleName": "Default", "Priority": 9, "FixedRate": 0.1},
    ]
    states = [f"xrsr={rule_hash(name)}" for name in ("pay", "Default", "gone")]
    named = np.repeat([None, "pay", None], [5000, 500, 100])
    columns = {"trace_state": np.repeat([states[0], states[1], None, states[2]], [2000, 3000, 500, 100])}
    traces = traces_of(RNG, 5600, **columns, **{"attributes.aws.xray.sampling_rule_name": named})
    told = pd.DataFrame({"RuleName": ["pay", "Default"], "RequestCount": [5000, 40_000]})
    found = tk.sampling(traces, rules=rules, requests=told)
    (rate,) = [f for f in found if f.check == "rate.observed"]
    assert rate.evidence.set_index("scope")["traces"].to_dict() == {"all requests": 5500, "pay": 2500, "Default": 3000}
    assert rate.assumptions[-1] == "100 traces belong to strata that were not counted and are excluded"
    verdicts = {f.evidence["rule"].iloc[0]: f.evidence["status"].iloc[0] for f in found if f.check == "rate.configured"}
    assert verdicts == {"pay": "ok", "Default": "failed"}
    weights = next(f for f in found if f.check == "calibrate").evidence.set_index("scope")["weight"]
    assert weights.round(3).to_dict() == {"pay": 2.0, "Default": 13.333}


def test_instances_are_a_stratum_too():
    traces = traces_of(RNG, 300, service_instance_id=np.repeat(["i-1", "i-2"], [100, 200]))
    found = tk.sampling(traces, requests=pd.DataFrame({"instance": ["i-1", "i-2"], "count": [1000, 1000]}))
    scopes = next(f for f in found if f.check == "rate.observed").evidence.set_index("scope")["estimate"]
    assert scopes.to_dict() == {"all requests": 0.15, "i-1": 0.1, "i-2": 0.2}


# ------------------------------------------------------------------ S03


def test_the_funnel_names_the_stage_that_loses_most():
    traces = traces_of(RNG, 4000)
    requests = pd.DataFrame({"count": [100_000]})
    whole = tk.sampling(
        traces, rules=0.04, requests=requests, expected={"stages": {"instrumented": 100_000, "sampled": 4010}}
    )
    assert status(whole, "coverage.funnel") == ["measured"]
    (finding,) = [f for f in whole if f.check == "coverage.funnel"]
    assert finding.evidence["status"].tolist()[1:] == ["ok", "ok", "ok"]
    assert "Sampling explains it" in finding.headline
    lost = tk.sampling(
        traces, rules=0.05, requests=requests, expected={"stages": {"instrumented": 100_000, "sampled": 5000}}
    )
    text = said(lost, "coverage.funnel")
    assert "Sampled traces are dropped before storage: 80.0% (78.9–81.1%) arrive" in text
    blind = tk.sampling(
        traces, rules=0.05, requests=requests, expected={"stages": {"instrumented": 80_000, "sampled": 4010}}
    )
    assert "Requests do not reach instrumented code: 80.0%" in said(blind, "coverage.funnel")
    unindexed = tk.sampling(traces, rules=0.04, requests=requests, expected={"stages": {"indexed": 40}})
    assert "The backend does not index them: 1.0%" in said(unindexed, "coverage.funnel")


def test_the_funnel_does_not_guess():
    traces, requests = traces_of(RNG, 4000), pd.DataFrame({"count": [100_000]})
    assert "The stage that loses the others is unknown" in said(
        tk.sampling(traces, requests=requests), "coverage.funnel"
    )
    more = tk.sampling(traces, rules=0.02, requests=requests)
    assert "More than the sampling rules explain" in said(more, "coverage.funnel")
    wrong = tk.sampling(traces, requests=requests, expected={"stages": {"sampled": 3000}})
    assert "4,000 recorded, more than the 3,000 sampled before" in said(wrong, "coverage.funnel")
    few = tk.sampling(traces_of(RNG, 3), rules=0.04, requests=pd.DataFrame({"count": [100]}))
    assert "too few requests" in said(few, "coverage.funnel")
    assert status(tk.sampling(traces), "coverage.funnel") == ["not_assessable"]


def test_the_dominant_stage_is_right():
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(200):
        instrumented = rng.binomial(100_000, 0.999)
        sampled = rng.binomial(instrumented, 0.11)
        n = rng.binomial(sampled, 0.97)
        shares = np.log([instrumented / 100_000, sampled / instrumented / 0.11, n / sampled])
        right += int(np.argmin(shares) == 2)
    assert right >= 198


# ------------------------------------------------------------------ S04


def test_errors_are_joined_with_a_log_exactly():
    ids = random_ids(RNG, 100)
    traces = traces_of(RNG, ids=ids, failed=np.arange(100) < 20)
    log = pd.DataFrame({"trace_id": [*traces.trace_ids[:20], *(f"{n:032x}" for n in range(60))]})
    log["status"] = [500] * 50 + [200] * 30
    (found,) = [f for f in tk.sampling(traces, log=log) if f.check == "capture.errors"]
    assert (found.estimate.value, found.estimate.low, found.estimate.high) == (0.4, 0.4, 0.4)
    assert found.headline.startswith("Error capture: 20 of 50 failing requests have a trace (40.0%, counted)")
    assert len(found.exemplars) == 5
    calm = tk.sampling(traces, log=log.assign(status=200))
    assert said(calm, "capture.errors") == "Error capture: none of 80 logged requests failed."


def test_errors_are_counted_by_status():
    traces = traces_of(RNG, 1000, failed=np.arange(1000) < 95)
    requests = pd.DataFrame({"status": [200, 500], "count": [20_000, 100]})
    assert status(tk.sampling(traces, requests=requests), "capture.errors") == ["inconclusive"]
    lax = tk.sampling(traces, requests=requests, expected={"capture": 0.8})
    assert status(lax, "capture.errors") == ["ok"]
    few = tk.sampling(traces, requests=requests.assign(count=[20_000, 1000]))
    assert status(few, "capture.errors") == ["failed"]
    assert "The others cannot be investigated" in said(few, "capture.errors")
    wrong = tk.sampling(traces, requests=requests.assign(count=[20_000, 10]))
    assert "95 failing traces, but only 10 failing requests counted" in said(wrong, "capture.errors")
    none = tk.sampling(traces_of(RNG, 50), requests=requests.assign(count=[20_000, 0]))
    assert "counted requests failed" in said(none, "capture.errors")


def test_errors_are_estimated_from_the_traces_alone():
    traces = traces_of(RNG, 1000, failed=np.arange(1000) < 50)
    even = tk.sampling(traces, rules=0.1)
    assert "50 of an estimated 500 failing requests have a trace (10.0%, 95% CI 7." in said(even, "capture.errors")
    uneven = tk.sampling(traces.with_weights(np.where(np.arange(1000) % 2, 5.0, 1.0)))
    assert status(uneven, "capture.errors") == ["failed"]
    whole = tk.sampling(traces.with_weights(1.0))
    assert status(whole, "capture.errors") == ["ok"]
    quiet = tk.sampling(traces_of(RNG, 50), rules=0.1)
    assert (
        said(quiet, "capture.errors") == "Error capture: no failing request in 50 traces; up to 35 may be unrecorded."
    )
    assert "not assessable: needs request counts by status, a log, or sampling weights" in said(
        tk.sampling(traces), "capture.errors"
    )


# ------------------------------------------------------------------ S05


@pytest.mark.parametrize(
    ("requests", "rules", "wanted", "text"),
    [
        (40, 0.05, "inconclusive", "probability of that is 12.9%; 90 requests are needed"),
        (400, 0.05, "failed", "it is not instrumented, or its traces are lost"),
        (1, LOCAL, "failed", "At reservoir 1 + 5% sampling the probability of that is practically 0"),
        (40, 0.0, "inconclusive", "samples none"),
        (40, None, "not_assessable", "needs the sampling rule that applies to it"),
    ],
)
def test_absence_proves_something_only_where_chance_does_not_explain_it(requests, rules, wanted, text):
    counts = pd.DataFrame({"service": ["web", "billing"], "count": [1000, requests]})
    found = tk.sampling(traces_of(RNG, 50), rules=rules, requests=counts)
    assert status(found, "absence") == [wanted]
    assert "`billing`" in said(found, "absence")
    assert text in said(found, "absence")


def test_absence_reports_nothing_if_every_service_has_traces():
    counts = pd.DataFrame({"service": ["web"], "count": [1000]})
    assert status(tk.sampling(traces_of(RNG, 50), requests=counts), "absence") == ["ok"]
    routes = pd.DataFrame({"route": ["/a"], "count": [1000]})
    assert status(tk.sampling(traces_of(RNG, 50, http_route="/a"), requests=routes), "absence") == ["ok"]
    assert "by service or route" in said(tk.sampling(traces_of(RNG, 5), requests=minutes(3)), "absence")
    assert status(tk.sampling(traces_of(RNG, 5)), "absence") == ["not_assessable"]


def test_no_false_not_instrumented():
    rng = np.random.default_rng(1)
    for n in (10, 100, 1000):
        empty = rng.binomial(n, 0.01, 4000) == 0
        assert not ((0.99**n < 0.01) & empty).mean() > 0.01


def test_a_reservoir_is_part_of_what_the_funnel_expects():
    traces, requests = _reservoir()
    text = said(tk.sampling(traces, rules=LOCAL, requests=requests), "coverage.funnel")
    assert "Sampling explains it" in text
    sums = pd.DataFrame({"count": [requests["count"].sum()]})
    assert "The stage that loses the others is unknown" in said(
        tk.sampling(traces, rules=LOCAL, requests=sums), "coverage.funnel"
    )


def test_what_is_left_out_is_reported():
    traces = traces_of(RNG, 300, http_route=np.tile(["/a", "/b", "/c"], 100))
    half = minutes(100).iloc[:30]
    requests = pd.concat([half.assign(route="/a"), half.assign(route="/b")], ignore_index=True)
    (found,) = [f for f in tk.sampling(traces, requests=requests) if f.check == "rate.observed"]
    outside, strange = found.assumptions[2:]
    assert outside.endswith("traces start outside the counted windows and are excluded")
    assert strange.endswith("traces belong to strata that were not counted and are excluded")
    count = [int(text.split()[0]) for text in (outside, strange)]
    assert sum(count) + found.estimate.n == 300


def test_services_behind_the_one_that_was_counted_are_no_forgotten_strata():
    """A load balancer counts what reaches the front door; the traces go on to other services."""
    rows = [
        (f"{n:032x}", str(k), None if k == 1 else "1", name)
        for n in range(1, 41)
        for k, name in ((1, "web"), (2, "db"))
    ]
    frame = pd.DataFrame(rows, columns=["trace_id", "span_id", "parent_span_id", "service_name"])
    traces = tk.TraceSet.from_spans(frame.assign(name="x", start_ns=EPOCH_NS, end_ns=EPOCH_NS + 5))
    found = tk.sampling(traces, requests=pd.DataFrame({"service": ["web"], "count": [800]}))
    (rate,) = [f for f in found if f.check == "rate.observed"]
    assert rate.assumptions[-1] == "requests to db were not counted and are excluded"
    assert said(found, "absence") == "`web` has traces; nothing else was counted."
    joined = tk.quality(traces, requests=pd.DataFrame({"service": ["web"], "count": [800]}), checks=["counts.join"])
    assert status(joined, "counts.join") == ["ok"]
    assert said(joined, "counts.join").endswith("of 800 counted requests: requests to db were not counted.")


def _boosted(rates, requests=2000, seed=5):
    """An hour of minutes, each kept at its own rate."""
    rng = np.random.default_rng(seed)
    kept = rng.binomial(requests, rates)
    start = EPOCH_NS + np.repeat(np.arange(60), kept) * 60 * SECOND_NS + rng.integers(0, 60 * SECOND_NS, kept.sum())
    return traces_of(rng, start_ns=start), minutes(requests)


BOOST = [{"RuleName": "b", "FixedRate": 0.05, "SamplingRateBoost": {"MaxRate": 0.5, "CooldownWindowMinutes": 5}}]


def test_a_boosted_rule_is_assessed_outside_its_boosts():
    rates = np.full(60, 0.05)
    rates[[20, 40]] = 0.4
    traces, requests = _boosted(rates)
    (found,) = [f for f in tk.sampling(traces, rules=BOOST, requests=requests) if f.check == "rate.configured"]
    table = found.evidence
    assert table["status"].tolist() == ["ok", "measured", "measured"]
    assert table["start_time"].dropna().dt.minute.tolist() == [
        pd.Timestamp(EPOCH_NS, unit="ns").minute + n - 60 * (pd.Timestamp(EPOCH_NS, unit="ns").minute + n >= 60)
        for n in (20, 40)
    ]
    assert (table["estimate_low"].iloc[1:] < 0.4).all()
    assert (table["estimate_high"].iloc[1:] > 0.4).all()
    assert table["requests"].tolist() == [2000 * 54, 2000, 2000], "a boost may reach into the minutes beside it"
    assert "outside 2 boosts, which kept " in found.headline
    assert "50% are allowed. OK (matches sampling rule)." in found.headline


def test_a_boost_may_not_keep_more_than_it_is_allowed():
    rates = np.full(60, 0.05)
    rates[20] = 0.8
    traces, requests = _boosted(rates)
    found = tk.sampling(traces, rules=BOOST, requests=requests)
    assert status(found, "rate.configured") == ["ok"] or "more than the boost allows" in said(found, "rate.configured")
    (finding,) = [f for f in found if f.check == "rate.configured"]
    assert finding.severity == "warning"
    assert finding.evidence["status"].tolist() == ["failed", "failed"]
    assert "more than the boost allows" in finding.headline


def test_without_a_boost_the_fixed_rate_is_expected_and_traces_lost_are_found():
    calm, requests = _boosted(np.full(60, 0.05))
    found = tk.sampling(calm, rules=BOOST, requests=requests)
    assert status(found, "rate.configured") == ["ok"]
    assert ", without a boost. OK (matches sampling rule)." in said(found, "rate.configured")
    lost, requests = _boosted(np.full(60, 0.035))
    assert status(tk.sampling(lost, rules=BOOST, requests=requests), "rate.configured") == ["failed"]
    always, requests = _boosted(np.full(60, 0.3))
    text = said(tk.sampling(always, rules=BOOST, requests=requests), "rate.configured")
    assert "not assessable: needs windows without a boost" in text


def test_a_boosted_rule_gives_no_weights_and_needs_counts_by_time():
    counts = pd.DataFrame({"service": ["web", "billing"], "count": [4000, 400]})
    found = tk.sampling(traces_of(RNG, 200), rules=BOOST, requests=counts)
    assert "(b) not assessable: needs request counts by time, in windows of 60 s or shorter, for a rule with a" in said(
        found, "rate.configured"
    )
    assert status(found, "absence") == ["failed"], "a boost makes absence less likely still"
    assert "rule b has no fixed rate (200)" in said(found, "bias.tail")
    assert "configured" not in said(found, "id.forensic")
    assert status(found, "evidence.loss") == ["not_assessable"]
    limit = {"default_strategy": {"type": "ratelimiting", "param": 10}}
    assert "needs a rule with a fixed rate" in said(
        tk.sampling(traces_of(RNG, 200), rules=limit, requests=counts), "rate.configured"
    )


def test_a_stage_is_whole_only_where_its_lower_limit_is():
    requests, stages = pd.DataFrame({"count": [10_000]}), {"instrumented": 9905, "sampled": 9905}
    found = tk.sampling(traces_of(RNG, 9905), rules=1.0, requests=requests, expected={"stages": stages})
    (funnel,) = [f for f in found if f.check == "coverage.funnel"]
    assert funnel.evidence["status"].tolist() == ["measured", "inconclusive", "ok", "ok"]


def test_a_local_reservoir_is_each_processes_own_and_a_central_one_is_shared():
    rng = np.random.default_rng(8)
    world = hour(rng)
    process = rng.integers(0, 4, len(world.start_ns))
    kept = classic_reservoir(rng, world.start_ns, process, 1, 0.05)
    columns = {"resource.telemetry.sdk.name": "X-Ray for Java"}
    columns["service_instance_id"] = np.char.add("i-", process[kept].astype(str))
    traces = traces_of(rng, start_ns=world.start_ns[kept], **columns)
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.arange(0, 3600, 10), unit="s")
    requests = pd.DataFrame({"time": times, "count": world.requests.reshape(-1, 10).sum(1)})
    assert status(tk.sampling(traces, rules=LOCAL, requests=requests), "rate.configured") == ["ok"]
    central = [{"RuleName": "Default", "FixedRate": 0.05, "ReservoirSize": 1}]
    assert status(tk.sampling(traces, rules=central, requests=requests), "rate.configured") == ["failed"]
    one = {"processes": 1}
    assert status(tk.sampling(traces, rules=LOCAL, requests=requests, expected=one), "rate.configured") == ["failed"]


# ------------------------------------------------------------------ who answered: the load balancer or a service


def test_errors_of_the_load_balancer_are_not_errors_of_a_service():
    traces = traces_of(RNG, ids=random_ids(RNG, 100), failed=np.arange(100) < 20)
    others = [f"{n:032x}" for n in range(1, 61)]
    log = pd.DataFrame({"trace_id": [*traces.trace_ids[:22], *others]})
    log["status"] = [500] * 20 + [504] * 2 + [500] * 20 + [503] * 40
    log["target_status"] = [500.0] * 20 + [None] * 2 + [500.0] * 20 + [None] * 40
    log["is_dispatched"] = log["status"] != 503
    (found,) = [f for f in tk.sampling(traces, log=log) if f.check == "capture.errors"]
    assert found.headline.startswith("Error capture: 20 of 40 failing requests have a trace (50.0%, counted)")
    assert found.headline.endswith(
        " The load balancer failed 42 more itself; 2 of them were forwarded, 2 of those have a trace."
    )
    assert found.evidence[["balancer_errors", "balancer_passed_on"]].to_numpy().tolist() == [[42, 2]]
    whole = tk.sampling(traces, log=log.drop(columns=["target_status", "is_dispatched"]))
    assert "22 of 82 failing requests have a trace" in said(whole, "capture.errors"), "without it nobody can tell"


def test_counts_distinguish_both_kinds_of_failing_requests():
    status_of = ["2xx", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"]
    traces = traces_of(RNG, 1000, failed=np.arange(1000) < 95)
    requests = pd.DataFrame({"status": status_of, "count": [9900, 100, 300]})
    found = tk.sampling(traces, requests=requests, rules=0.1)
    assert "95 of 100 failing requests have a trace" in said(found, "capture.errors")
    assert "The load balancer failed 300 more itself, which no service can trace" in said(found, "capture.errors")
    assert "1,000 of 10,000 requests" in said(found, "rate.observed")
    assert status(found, "rate.configured") == ["ok"], "requests that reach no service are not expected to be sampled"
    for check in ("mix.head", "calibrate"):
        (finding,) = [f for f in found if f.check == check]
        assert not finding.evidence["scope"].str.contains("elb").any()
        assert any("300 requests answered by the load balancer itself" in text for text in finding.assumptions)
    quiet = tk.sampling(traces_of(RNG, 50), requests=requests.assign(count=[9900, 0, 300]))
    assert "none of the 9,900 counted requests failed in a service; the load balancer failed 300 itself" in said(
        quiet, "capture.errors"
    )


def test_the_funnel_shows_what_the_load_balancer_keeps():
    requests = pd.DataFrame({"status": ["2xx", "elb 5xx"], "count": [10_000, 2500]})
    (found,) = [f for f in tk.sampling(traces_of(RNG, 1000), rules=0.1, requests=requests) if f.check[-6:] == "funnel"]
    assert found.evidence["stage"].tolist() == ["requests", "forwarded", "recorded"]
    assert found.evidence["count"].tolist() == [12_500, 10_000, 1000]
    assert found.evidence["status"].tolist() == ["measured", "ok", "ok"]
    assert found.headline.startswith(
        "Trace coverage: 8.0% (95% CI 7.5–8.5%; 1,000 of 12,500 requests). Sampling explains it"
    )
