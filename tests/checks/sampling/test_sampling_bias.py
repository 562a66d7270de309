"""S06 to S10: mix, attributes, tail, reservoir, weights; each with a case in which it must not speak."""

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import (
    EPOCH_NS,
    classic_reservoir,
    hour,
    population,
    random_ids,
    said,
    status,
    thinned_ids,
    traces_of,
)

import tracekit as tk
from tracekit.checks.sampling.token_bucket import bucket_spacing
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.id_maps import ID_MAPS

RNG = np.random.default_rng(50)
LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}
TAIL = {
    "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "slow", "type": "latency", "latency": {"threshold_ms": 1000}},
        {"name": "some", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}},
    ]
}


def only(findings, check):
    (found,) = [finding for finding in findings if finding.check == check]
    return found


# ------------------------------------------------------------------ S06


def _routes(rates, requests=(100_000, 20_000, 5_000)):
    kept = RNG.binomial(requests, rates)
    names = [f"/r{n}" for n in range(len(kept))]
    counts = pd.DataFrame({"route": names, "count": requests})
    return traces_of(RNG, int(kept.sum()), http_route=np.repeat(names, kept)), counts


def test_a_route_at_half_the_rate_is_named_with_its_ratio():
    traces, counts = _routes([0.05, 0.025, 0.05])
    found = only(tk.sampling(traces, requests=counts), "mix.head")
    assert found.severity == "warning"
    row = found.evidence.set_index("scope").loc["/r1"]
    assert row["status"] == "failed"
    assert row["estimate_low"] < 0.5 < row["estimate_high"]
    assert found.headline.startswith("Sampling bias: `/r1` kept at 0.")
    assert "Unweighted statistics under-count it" in found.headline


def test_an_even_sample_is_not_called_biased():
    traces, counts = _routes([0.05, 0.05, 0.05])
    assert "failed" not in set(only(tk.sampling(traces, requests=counts), "mix.head").evidence["status"])
    traces, counts = _routes([0.5, 0.5], (200_00, 200_00))
    even = tk.sampling(traces, requests=counts)
    assert status(even, "mix.head") == ["ok"]
    assert "all 2 strata are sampled at the same rate within 10%" in said(even, "mix.head")
    traces, counts = _routes([0.05, 0.05], (2000, 2000))
    few = tk.sampling(traces, requests=counts)
    assert status(few, "mix.head") == ["inconclusive"]
    assert "requests are needed for all strata" in said(few, "mix.head")


@pytest.mark.parametrize(("factor", "is_told"), [(0.5, True), (1.0, False)])
def test_the_mix_may_be_tested_repeatedly(factor, is_told):
    rng = np.random.default_rng(6)
    kept = rng.binomial(500, np.tile([0.1, 0.1 * factor], (60, 1)))
    start = EPOCH_NS + np.repeat(np.repeat(np.arange(60), 2), kept.ravel()) * 60 * SECOND_NS
    route = np.repeat(np.tile(["/a", "/b"], 60), kept.ravel())
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(np.repeat(np.arange(60), 2), unit="min")
    counts = pd.DataFrame({"time": times, "route": np.tile(["/a", "/b"], 60), "count": 500})
    found = tk.sampling(traces_of(rng, start_ns=start, http_route=route), requests=counts)
    strata = next(f for f in found if f.check == "mix.head")
    assert (strata.evidence["chance_any_time"].iloc[0] < 1e-6) == is_told
    assert any("under repeated testing" in text for text in strata.assumptions) == is_told


def test_hours_are_an_axis_of_their_own():
    start = EPOCH_NS // (3600 * SECOND_NS) * 3600 * SECOND_NS
    times = pd.to_datetime(start, utc=True) + pd.to_timedelta([0, 1, 2], unit="h")
    counts = pd.DataFrame({"time": times, "count": 20_000})
    traces = traces_of(RNG, start_ns=start + np.repeat([0, 1, 2], [2000, 2000, 500]) * 3600 * SECOND_NS)
    found = only(tk.sampling(traces, requests=counts), "mix.head")
    assert found.evidence["status"].tolist()[2] == "failed"
    assert "over-count" in found.headline or "under-count" in found.headline


def test_services_that_never_begin_a_trace_are_no_strata_of_the_mix():
    traces = traces_of(RNG, 2000)
    counts = pd.DataFrame({"service": ["web", "billing"], "count": [40_000, 900]})
    assert status(tk.sampling(traces, requests=counts), "mix.head") == ["not_assessable"]
    assert "by service, route, method, status or hour" in said(
        tk.sampling(traces, requests=pd.DataFrame({"count": [9000]})), "mix.head"
    )


# ------------------------------------------------------------------ S07


def _tenants(rng, *, keep_slow):
    """Twenty thousand requests of three tenants; the first is slow, and slow ones may be kept."""
    ids = random_ids(rng, 20_000)
    tenant = rng.choice(["acme", "blue", "coral"], 20_000, p=[0.1, 0.5, 0.4])
    took = np.where((tenant == "acme") & (rng.random(20_000) < 0.5), 1500.0, 20.0)
    kept = ID_MAPS["collector tail_sampling"](*ids) <= 0.05
    kept |= keep_slow & (took >= 1000)
    return traces_of(
        rng, ids=tuple(half[kept] for half in ids), took_ms=took[kept], **{"attributes.tenant.id": tenant[kept]}
    )


def test_a_tenant_kept_for_being_slow_is_over_seen():
    found = only(tk.sampling(_tenants(np.random.default_rng(1), keep_slow=True), rules=TAIL), "bias.attribute")
    table = found.evidence.set_index("value")
    assert table.loc["acme", "status"] == "failed"
    assert table.loc["acme", "traffic_low"] < 0.10 < table.loc["acme", "traffic_high"]
    assert table.loc["acme", "estimate"] > 2
    apart = (table["trace_share"] - table["traffic_share"]).abs().sum() / 2
    assert table["distance"].tolist() == pytest.approx([apart] * 3)
    assert "tenant.id `acme` is " in found.headline
    assert "of the traces, but an estimated " in found.headline


def test_power_and_false_positives_of_the_attribute_check():
    over = [
        status(tk.sampling(_tenants(np.random.default_rng(seed), keep_slow=True), rules=TAIL), "bias.attribute")
        for seed in range(6)
    ]
    assert over == [["failed"]] * 6
    rng = np.random.default_rng(9)
    for _ in range(5):
        weight = 2.0 ** rng.integers(0, 4, 3000)
        traces = traces_of(rng, 3000, **{"attributes.tenant.id": rng.choice(["a", "b"], 3000)}).with_weights(weight)
        assert status(tk.sampling(traces), "bias.attribute") != ["failed"]


def test_where_all_weigh_the_same_no_value_is_favoured():
    traces = traces_of(RNG, 300, **{"attributes.tenant.id": np.repeat(["a", "b"], 150)})
    assert status(tk.sampling(traces, rules=0.05), "bias.attribute") == ["ok"]
    assert status(tk.sampling(traces), "bias.attribute") == ["not_assessable"]
    bare = traces_of(RNG, 300).with_weights(np.repeat([1.0, 20.0], 150))
    assert "an attribute with two values or more" in said(tk.sampling(bare), "bias.attribute")


def test_attributes_may_be_requested_and_values_are_masked():
    columns = {
        "attributes.buyer": np.repeat(["jo@example.org", "b"], 300),
        "attributes.customer": [f"c{n}" for n in range(600)],
        "service_version": np.where(np.arange(600) % 20 < 19, "v1", np.char.add("v", np.arange(600).astype(str))),
    }
    traces = traces_of(RNG, 600, **columns).with_weights(np.where(np.arange(600) % 2, 1.0, 9.0))
    found = only(tk.sampling(traces, expected={"attributes": ["buyer"]}), "bias.attribute")
    assert {"buyer", "service.version"} == set(found.evidence["key"])
    assert "(rare values)" in set(found.evidence["value"])
    assert "example.org" not in found.headline
    assert "not examined because of more than 200 values: customer" in found.assumptions


@pytest.mark.parametrize("other", [3.0, 3.2])
def test_shares_within_the_margin_do_no_harm_however_sure_the_difference(other):
    n = 40_000
    columns = {"attributes.tenant.id": np.where(np.arange(n) // 2 % 2, "a", "b")}
    traces = traces_of(RNG, start_ns=EPOCH_NS + np.arange(n) * 50_001, **columns)
    tenant = traces.attribute("tenant.id").to_numpy()
    weight = np.ones(n)
    for value in ("a", "b"):
        weight[np.flatnonzero(tenant == value)[::2]] = 3.0 if value == "a" else other
    assert status(tk.sampling(traces.with_weights(weight)), "bias.attribute") == ["ok"]


# ------------------------------------------------------------------ S08


def _tail_sampled(seed=3):
    rng = np.random.default_rng(seed)
    world = population(rng)
    ids = random_ids(rng, len(world.failed))
    kept = ID_MAPS["collector tail_sampling"](*ids) <= 0.05
    kept |= world.failed | (world.took_ms >= 1000)
    traces = traces_of(
        rng, ids=tuple(half[kept] for half in ids), took_ms=world.took_ms[kept], failed=world.failed[kept]
    )
    return world, traces


def test_the_artefact_of_keeping_every_error_is_reported_and_corrected():
    world, traces = _tail_sampled()
    found = tk.sampling(traces, rules=TAIL)
    errors, latency = [f for f in found if f.check == "bias.tail"]
    assert errors.severity == latency.severity == "critical"
    assert errors.headline.startswith("Estimated error rate of all requests: ")
    assert (
        f"The recorded error rate ({100 * world.failed.sum() / len(traces):.1f}%) is biased: every failing request was"
        " kept, but not every other request." in errors.headline
    )
    assert errors.estimate.low <= world.failed.mean() <= errors.estimate.high
    assert errors.estimate.high - errors.estimate.low < 0.002, "a declared policy narrows the interval"
    assert errors.estimate.n == len(traces)
    assert errors.estimate.n_effective < len(traces)
    table = latency.evidence.set_index("measure")
    for measure, q in (("p50 latency", 0.5), ("p95 latency", 0.95), ("p99 latency", 0.99)):
        assert (
            table.loc[measure, "estimate_low"]
            <= np.quantile(world.took_ms, q) * 1e6
            <= table.loc[measure, "estimate_high"]
        )
    assert table.loc["p95 latency", "raw"] > 2 * table.loc["p95 latency", "estimate"]
    assert "is biased: slow requests were sampled more often than other requests" in latency.headline
    assert {"process_low", "process_high"} <= set(errors.evidence), "both targets are named"


def test_an_undeclared_policy_keeps_the_interval_wide():
    _, traces = _tail_sampled()
    weights = traces.with_weights(TAIL).weights.value
    wide = tk.sampling(traces.with_weights(weights))
    narrow = tk.sampling(traces, rules=TAIL)
    widths = [next(f for f in g if f.check == "bias.tail").estimate for g in (wide, narrow)]
    assert widths[0].high - widths[0].low > 2 * (widths[1].high - widths[1].low)


def test_equal_weights_need_no_correction():
    traces = traces_of(RNG, 2000, failed=np.arange(2000) < 200)
    found = [f for f in tk.sampling(traces, rules=0.05) if f.check == "bias.tail"]
    assert [f.evidence["status"].iloc[0] for f in found] == ["ok", "ok"]
    assert "no sampling bias" in found[0].headline
    assert "Estimated error rate of all requests: 10.0%" in found[0].headline


def test_without_weights_nothing_is_estimated_about_all_traffic():
    found = tk.sampling(traces_of(RNG, 200))
    assert status(found, "bias.tail") == ["not_assessable"]
    assert "not assessable: needs sampling weights (pass rules= or log=" in said(found, "bias.tail")
    ids = thinned_ids(RNG, 200, "OpenTelemetry consistent sampling", 0.5)
    some = traces_of(RNG, ids=ids, trace_state=np.where(np.arange(200) < 20, None, "ot=th:8"))
    assert "the sampling weights of 20 of 200 traces" in said(tk.sampling(some), "bias.tail")


def test_unrelated_weights_are_no_bias_and_few_events_are_refused():
    rng = np.random.default_rng(12)
    weight = 2.0 ** rng.integers(0, 3, 20_000)
    traces = traces_of(rng, 20_000, failed=rng.random(20_000) < 0.3, took_ms=rng.lognormal(3, 0.5, 20_000))
    found = [f for f in tk.sampling(traces.with_weights(weight)) if f.check == "bias.tail"]
    assert [f.evidence["status"].iloc[0] for f in found] == ["ok", "ok"]
    few = traces_of(rng, 400, failed=np.arange(400) < 3).with_weights(2.0 ** rng.integers(0, 6, 400))
    table = next(f for f in tk.sampling(few) if f.check == "bias.tail").evidence.set_index("measure")
    assert table.loc["span error rate", "status"] == "not_assessable"
    assert table.loc["error rate", "status"] == "inconclusive"
    none = traces_of(rng, 400).with_weights(2.0 ** rng.integers(0, 6, 400))
    assert status(tk.sampling(none), "bias.tail")[0] == "inconclusive"


def test_errors_kept_less_often_are_too_low():
    weight = np.where(np.arange(3000) < 300, 20.0, 1.0)
    traces = traces_of(RNG, start_ns=EPOCH_NS + np.arange(3000) * 10**6 + 1, failed=False)
    order = np.array(traces.summary["start_ns"].rank().to_numpy(int)) - 1
    traces = tk.TraceSet.from_spans(
        traces.spans.drop(columns="status_code").assign(status_code=np.where(order < 300, "ERROR", "OK"))
    ).with_weights(weight[order])
    assert "failing requests were sampled less often than other requests" in said(tk.sampling(traces), "bias.tail")


def test_no_duration_is_no_latency():
    traces = traces_of(RNG, 50)
    open_ended = tk.TraceSet.from_spans(traces.spans.drop(columns="end_ns").assign(end_ns=None))
    found = [f.headline for f in tk.sampling(open_ended, rules=0.1) if f.check == "bias.tail"]
    assert any("needs root spans with a duration" in text for text in found)


# ------------------------------------------------------------------ S09


def _reservoir_sampled(seed=5, **columns):
    rng = np.random.default_rng(seed)
    world = hour(rng)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 1, 0.05)
    columns = {"resource.telemetry.sdk.name": "X-Ray for Python", "service_instance_id": "i-1"} | columns
    return world, traces_of(
        rng, start_ns=world.start_ns[kept], took_ms=world.took_ms[kept], failed=world.failed[kept], **columns
    )


def test_a_reservoir_biases_p95_and_order_weights_correct_it():
    world, traces = _reservoir_sampled()
    found = only(tk.sampling(traces, rules=LOCAL), "bias.reservoir")
    assert found.severity == "critical"
    p95 = found.evidence.set_index("measure").loc["p95 latency"]
    assert p95["raw"] / p95["estimate"] > 1.5, "the guard of the scenario"
    assert p95["estimate_low"] <= np.quantile(world.took_ms, 0.95) * 1e6 <= p95["estimate_high"]
    assert "of these traces are reservoir traces" in found.headline
    assert " is 2." in found.headline


def test_a_reservoir_is_refused_without_process_or_precise_starts():
    _, traces = _reservoir_sampled(service_instance_id=None)
    found = tk.sampling(traces, rules=LOCAL)
    assert "not assessable: needs more about the decisions: the sampling process is not recorded" in said(
        found, "bias.reservoir"
    )
    spans = _reservoir_sampled()[1].spans
    coarse = spans.assign(start_ns=spans["start_ns"] // 10**6 * 10**6)
    coarse = tk.TraceSet.from_spans(coarse.assign(**{"resource.telemetry.sdk.name": "X-Ray for Python"}))
    assert "whole milliseconds" in said(tk.sampling(coarse, rules=LOCAL), "bias.reservoir")


def test_without_rules_only_the_signature_is_reported():
    _, traces = _reservoir_sampled()
    found = tk.sampling(traces)
    assert status(found, "bias.reservoir") == ["warning"]
    assert "correction not assessable: needs sampling rules" in said(found, "bias.reservoir")
    assert status(tk.sampling(traces_of(RNG, 500)), "bias.reservoir") == ["not_assessable"]


def _by_second(world):
    """Requests of every second that had any."""
    had = np.flatnonzero(world.requests)
    times = pd.to_datetime(EPOCH_NS, utc=True) + pd.to_timedelta(had, unit="s")
    return pd.DataFrame({"time": times, "end": times + pd.Timedelta("1s"), "count": world.requests[had]})


def _log(world):
    return pd.DataFrame({"time": pd.to_datetime(world.start_ns, utc=True), "status": np.where(world.failed, 500, 200)})


@pytest.mark.parametrize("known", [lambda world: {"requests": _by_second(world)}, lambda world: {"log": _log(world)}])
def test_requests_by_the_second_identify_the_reservoir_without_rules(known):
    world, traces = _reservoir_sampled()
    found = only(tk.sampling(traces, **known(world)), "bias.reservoir")
    p95 = found.evidence.set_index("measure").loc["p95 latency"]
    assert (p95["quota_seen"], round(p95["rate_seen"], 2)) == (1, 0.05)
    assert p95["estimate_low"] <= np.quantile(world.took_ms, 0.95) * 1e6 <= p95["estimate_high"]
    assert any("inferred from the seconds: reservoir of 1 and " in text for text in found.assumptions)
    quiet = world.requests < 15
    share = world.requests[quiet].sum() / world.requests.sum()
    held = np.bincount((traces.columns.spans.start_ns - EPOCH_NS) // SECOND_NS, minlength=3600)
    assert p95["quiet_ratio"] == pytest.approx(held[quiet].sum() / held.sum() / share, rel=0.05)
    assert p95["quiet_ratio"] > 3
    assert "(periods of low traffic are over-sampled " in found.headline


def test_seconds_that_contradict_the_rules_refuse_the_correction():
    world, traces = _reservoir_sampled()
    two = {"version": 2, "rules": [], "default": {"fixed_target": 2, "rate": 0.05}}
    text = said(tk.sampling(traces, rules=two, requests=_by_second(world)), "bias.reservoir")
    assert "not assessable: needs starts in the order of the decisions: the rules keep 2 per second, the" in text
    assert text.endswith("seconds with requests show 1.")
    good = tk.sampling(traces, rules=LOCAL, requests=_by_second(world))
    assert " is 2." in said(good, "bias.reservoir")


def test_seconds_of_another_time_identify_nothing():
    world, traces = _reservoir_sampled()
    later = _log(world).assign(time=lambda log: log["time"] + pd.Timedelta("1D"))
    told = _by_second(world)
    other = told.assign(time=told["time"] + pd.Timedelta("1D"), end=told["end"] + pd.Timedelta("1D"))
    for known in ({"log": later}, {"requests": other}):
        assert " is 2." in said(tk.sampling(traces, rules=LOCAL, **known), "bias.reservoir")


def test_clients_locked_to_the_second_are_no_reservoir():
    rng = np.random.default_rng(4)
    second = rng.integers(0, 3600, 20_000) * SECOND_NS
    locked = EPOCH_NS + np.sort(second + rng.integers(0, 50_000_000, 20_000))
    kept = rng.random(20_000) < 0.1
    log = pd.DataFrame({"time": pd.to_datetime(locked, utc=True), "status": 200})
    traces = traces_of(rng, start_ns=locked[kept])
    found = tk.sampling(traces, log=log)
    assert status(found, "bias.reservoir") == ["ok"]
    assert "clients are synchronised to the second" in said(found, "bias.reservoir")
    assert "Reservoir, or clients" in said(tk.sampling(traces), "bias.reservoir")
    even = log.assign(time=pd.to_datetime(EPOCH_NS + rng.integers(0, 3600 * SECOND_NS, 20_000), utc=True))
    assert "those of all requests do not" in said(tk.sampling(traces, log=even), "bias.reservoir")


def test_rules_without_a_reservoir_and_reservoirs_without_harm():
    assert status(tk.sampling(traces_of(RNG, 50), rules=0.05), "bias.reservoir") == ["ok"]
    rng = np.random.default_rng(8)
    columns = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "python"}
    ids = thinned_ids(rng, 4000, "Python TraceIdRatio", 0.5, 0.1)
    half = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.5}}
    took = rng.lognormal(3, 0.2, 4000)
    harmless = traces_of(rng, ids=ids, failed=rng.random(4000) < 0.4, took_ms=took, **columns)
    assert status(tk.sampling(harmless, rules=half), "bias.reservoir") == ["ok"]
    few = harmless.where(np.arange(4000) < 60)
    assert status(tk.sampling(few, rules=half), "bias.reservoir") == ["inconclusive"]
    empty = harmless.where("service_name == 'nobody'")
    assert status(tk.sampling(empty, rules=half), "bias.reservoir") == ["not_assessable"]


_PYTHON = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "python"}


def _let_through(start, quota):
    """A token bucket by hand, in seconds."""
    stock, last, kept = float(quota), 0.0, np.zeros(len(start), bool)
    for n, at in enumerate(start):
        stock, last = min(float(quota), stock + quota * (at - last)), at
        kept[n] = stock >= 1
        stock -= kept[n]
    return kept


def _beside(rng, keep, *, rate=0.2, start=None, instance="i-1"):
    """An hour of requests at two a second, of which ids below a rate are kept and ``keep(start)`` besides."""
    start = np.sort(rng.random(7200)) * 3600 if start is None else start
    ids = random_ids(rng, len(start))
    kept = (ID_MAPS["Python TraceIdRatio"](*ids) < rate) | keep(start)
    at = EPOCH_NS + (start[kept] * SECOND_NS).astype(np.int64)
    columns = _PYTHON | {"service_instance_id": instance if isinstance(instance, str) else instance[kept]}
    return traces_of(rng, ids=tuple(half[kept] for half in ids), start_ns=at, **columns)


@pytest.mark.parametrize("quota", [1, 2])
def test_a_token_bucket_is_seen_in_the_distance_of_what_it_lets_through(quota):
    traces = _beside(np.random.default_rng(quota), lambda start: _let_through(start, quota))
    found = only(tk.sampling(traces), "bias.reservoir")
    assert found.evidence["status"].tolist() == ["warning"]
    assert found.evidence["quota_seen"].tolist() == [quota]
    assert found.evidence["expected_closer"].iloc[0] > 20
    assert f" have {quota + 1} starts within {'1 s' if quota == 1 else '500 ms'} (about " in found.headline
    assert f"Reservoir (token bucket) of {quota} trace{'s' * (quota > 1)} per second detected: " in found.headline
    rule = {"version": 2, "rules": [], "default": {"fixed_target": quota, "rate": 0.2}}
    assert "come closer" not in " ".join(only(tk.sampling(traces, rules=rule), "bias.reservoir").assumptions)


def test_two_processes_have_a_bucket_each():
    rng = np.random.default_rng(3)
    start = np.sort(rng.random(7200)) * 3600
    instance = np.where(rng.random(7200) < 0.5, "i-1", "i-2")
    kept = np.zeros(7200, bool)
    for one in ("i-1", "i-2"):
        kept[instance == one] = _let_through(start[instance == one], 1)
    traces = _beside(rng, lambda _: kept, start=start, instance=instance)
    assert only(tk.sampling(traces), "bias.reservoir").evidence["quota_seen"].tolist() == [1]
    pooled = _beside(rng, lambda _: kept, start=start)
    assert only(tk.sampling(pooled), "bias.reservoir").evidence.get("quota_seen", pd.Series([0])).iloc[0] != 1


def test_what_was_kept_by_chance_or_comes_evenly_is_no_bucket():
    rng = np.random.default_rng(4)
    coin = _beside(rng, lambda start: rng.random(len(start)) < 0.2)
    even = _beside(rng, lambda start: rng.random(len(start)) < 0.2, start=np.arange(2400) * 1.5 + 0.0001)
    for traces in (coin, even, _beside(rng, lambda start: np.zeros(len(start), bool))):
        found = only(tk.sampling(traces), "bias.reservoir")
        assert "bucket" not in found.headline
        assert "quota_seen" not in found.evidence
    told = only(tk.sampling(coin, rules=LOCAL | {"default": {"fixed_target": 1, "rate": 0.2}}), "bias.reservoir")
    assert any("are closer than a token bucket of 1 per second allows" in text for text in told.assumptions)


def test_the_distance_is_rarely_kept_by_chance():
    """Per quota: how often 60 starts without a bucket pass at 5%; a rate that doubles on the way does no harm."""
    rng = np.random.default_rng(5)
    for quota, gap in ((1, 30.0), (2, 3.0), (3, 1.0)):
        p = []
        for _ in range(300):
            start = np.cumsum(rng.exponential(gap, 60) * np.linspace(1, 2, 60))
            found = bucket_spacing((start * SECOND_NS).astype(np.int64), np.zeros(60, int), quota)
            p.append(found.p)
        assert np.mean(np.array(p) < 0.05) <= 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / 300)


def test_the_chance_of_coming_closer_is_that_of_points_at_random():
    rng = np.random.default_rng(6)
    for quota, width in ((1, 3.0), (2, 0.8), (3, 2.0)):
        inner = np.sort(rng.random((40_000, quota)), axis=1) * width
        least = 0.98 / quota
        wanted = ((inner[:, -1] < least) | (width - inner[:, 0] < least)).mean()
        ends = (np.concatenate(([0], np.full(quota, width / 2), [width])) * SECOND_NS).astype(np.int64)
        assert bucket_spacing(ends, np.zeros(quota + 2, int), quota).expected == pytest.approx(wanted, abs=0.01)


# ------------------------------------------------------------------ S10


def _thresholds(rng, rate_kept, state):
    """Ids kept by consistent sampling at a rate, all carrying one threshold."""
    return traces_of(rng, ids=thinned_ids(rng, 400, "OpenTelemetry consistent sampling", rate_kept), trace_state=state)


def test_consistent_thresholds_violate_nothing():
    found = [f for f in tk.sampling(_thresholds(RNG, 0.25, "ot=th:c")) if f.check == "weights.sanity"]
    assert [f.evidence["status"].iloc[0] for f in found] == ["ok", "ok"]
    assert "All 400 sampling thresholds are consistent with the IDs." in found[0].headline


def test_every_violation_is_counted():
    """Kept at one in two, but the threshold says one in four: half of them could not have passed."""
    traces = _thresholds(RNG, 0.5, "ot=th:c")
    random = traces.columns.spans.trace_lo & np.uint64(2**56 - 1)
    wrong = int((random < np.uint64(0xC << 52)).sum())
    (found,) = [f for f in tk.sampling(traces) if f.check == "weights.sanity" and f.severity == "critical"]
    assert found.evidence["violations"].iloc[0] == wrong > 100
    assert found.headline.startswith(f"Wrong sampling thresholds: {wrong} of 400 spans (")
    assert found.estimate.low < wrong / 400 < found.estimate.high


def test_explicit_randomness_replaces_the_id():
    state = ["ot=th:8;rv:f0000000000000", "ot=th:8;rv:10000000000000"]
    traces = traces_of(RNG, ids=(np.array([1, 2], np.uint64), np.array([3, 4], np.uint64)), trace_state=state)
    (found,) = [f for f in tk.sampling(traces) if f.check == "weights.sanity" and "violations" in f.evidence]
    assert found.evidence["violations"].tolist() == [1]


def test_a_threshold_must_not_fall_from_parent_to_child():
    frame = pd.DataFrame({"trace_id": "f" * 32, "span_id": ["1", "2"], "parent_span_id": [None, "1"], "name": "x"})
    frame = frame.assign(start_ns=[0, 1], end_ns=5, trace_state=["ot=th:c", "ot=th:8"])
    found = tk.sampling(tk.TraceSet.from_spans(frame))
    assert "1 of 1 child span has a lower threshold than the parent" in said(found, "weights.sanity")
    rising = tk.TraceSet.from_spans(frame.assign(trace_state=["ot=th:8", "ot=th:c"]))
    assert "lower threshold" not in said(tk.sampling(rising), "weights.sanity")


def test_unknown_mixed_and_dominant_weights_are_reported():
    state = np.where(np.arange(100) < 30, None, "ot=th:8")
    rate = np.where(np.arange(100) < 10, 5, None)
    passed = thinned_ids(RNG, 100, "OpenTelemetry consistent sampling", 0.5)
    text = said(
        tk.sampling(traces_of(RNG, ids=passed, trace_state=state, **{"attributes.SampleRate": rate})), "weights.sanity"
    )
    assert "20 of 100 traces have an unknown weight" in text
    assert "several sources (tracestate ot=th, SampleRate)" in text
    tail = next(f for f in tk.sampling(_tail_sampled()[1], rules=TAIL) if f.check == "weights.sanity")
    assert tail.severity == "info", "certain and drawn by one policy are one source"
    heavy = traces_of(RNG, 100).with_weights(np.where(np.arange(100) == 5, 1e6, 1.0))
    text = said(tk.sampling(heavy), "weights.sanity")
    assert "one trace has >99.9% of the total weight" in text
    assert "effective sample size only 1" in text
    assert status(tk.sampling(traces_of(RNG, 100)), "weights.sanity") == ["not_assessable"]


@pytest.mark.parametrize(("count", "wanted"), [(20_000, "ok"), (40_000, "warning"), (21_500, "inconclusive")])
def test_weights_add_up_to_the_requests(count, wanted):
    found = tk.sampling(traces_of(RNG, 2000), rules=0.1, requests=pd.DataFrame({"count": [count]}))
    assert status(found, "weights.sanity") == [wanted]
    assert "the 20,000 counted requests" in said(found, "weights.sanity") or count != 20_000


def test_recorded_weights_of_one_are_doubted_where_rules_keep_less():
    traces = traces_of(RNG, 100, **{"attributes.SampleRate": 1})
    assert "all weights are 1, although the rules keep 5%" in said(
        tk.sampling(traces, rules=0.05), "weights.sanity"
    ).replace("Every", "every")
    assert "although the rules" not in said(tk.sampling(traces, rules=1.0), "weights.sanity")
    assert "although the rules" not in said(tk.sampling(traces), "weights.sanity")


def test_an_attribute_of_rare_values_only_is_no_axis():
    columns = {"attributes.tenant.id": [f"t{n}" for n in range(100)]}
    traces = traces_of(RNG, 100, **columns).with_weights(np.repeat([1.0, 5.0], 50))
    assert status(tk.sampling(traces), "bias.attribute") == ["not_assessable"]


def test_a_declaration_that_the_traces_contradict_is_rejected():
    """The rules say that every error is kept, the weights that errors were thinned as well."""
    weight = np.where(np.arange(2000) % 2, 9.0, 4.0)
    traces = traces_of(RNG, 2000, failed=np.arange(2000) % 20 == 0).with_weights(weight)
    plain, declared = (only_errors(tk.sampling(traces, rules=rules)) for rules in (None, TAIL))
    assert (plain.low, plain.high) == (declared.low, declared.high)


def only_errors(findings):
    return next(f for f in findings if f.check == "bias.tail").estimate


def test_traces_outside_the_sample_do_not_describe_all_traffic():
    traces = traces_of(RNG, 50, **{"attributes.aws.trace.flag.sampled": False})
    text = said(tk.sampling(traces), "bias.tail")
    assert "not assessable: needs traces of a probability sample; none of these traces is part of one" in text


def test_strata_of_services_that_begin_traces_are_compared():
    traces = traces_of(RNG, 2000, http_route=np.tile(["/a", "/b"], 1000))
    counts = pd.DataFrame(
        {"service": ["web", "web", "billing"], "route": ["/a", "/b", "/in"], "count": [20_000, 20_000, 900]}
    )
    found = only(tk.sampling(traces, requests=counts), "mix.head")
    assert sorted(found.evidence["scope"]) == ["web /a", "web /b"]


# ------------------------------------------------------------------ traces that are there in part


def _partial(rng, n=3000):
    """Roots are kept at 1/4, failing children at 1/2 and others at 1/8, by the random bits of the id."""
    ids = random_ids(rng, n)
    r = (ids[1] & np.uint64(2**56 - 1)).astype(np.float64) / 2.0**56
    failing = rng.random(n) < 0.1
    rows = []
    for k, (high, low) in enumerate(zip(*(half.tolist() for half in ids), strict=True)):
        for span, parent, rate, th, failed in (
            ("1", None, 0.25, "c", False),
            ("2", "1", 0.5 if failing[k] else 0.125, "8" if failing[k] else "e", failing[k]),
        ):
            if r[k] >= 1 - rate:
                rows.append((f"{high:016x}{low:016x}", span, parent, f"ot=th:{th}", "ERROR" if failed else "OK"))
    frame = pd.DataFrame(rows, columns=["trace_id", "span_id", "parent_span_id", "trace_state", "status_code"])
    start = EPOCH_NS + np.arange(len(frame)) * 10**6
    return failing, tk.TraceSet.from_spans(frame.assign(name="x", start_ns=start, end_ns=start + 10**6))


def test_spans_with_thresholds_of_their_own_count_by_their_own():
    failing, traces = _partial(np.random.default_rng(8))
    found = tk.sampling(traces)
    table = next(f for f in found if f.check == "bias.tail").evidence.set_index("measure")
    assert (
        table.loc["span error rate", "estimate_low"]
        < failing.mean() / 2
        < table.loc["span error rate", "estimate_high"]
    )
    assert table.loc["span error rate", "raw"] > 1.8 * failing.mean() / 2, "the guard of the scenario"
    row = table.loc["traces with a failed span"]
    assert row["estimate_low"] < failing.mean() < row["estimate_high"]
    assert row["raw"] > 1.5 * failing.mean()
    text = said(found, "weights.sanity")
    assert "have different weights, and " in text
    assert "without a root represent no request" in text


def test_one_threshold_for_all_spans_of_a_trace_is_no_partial_trace():
    frame = pd.DataFrame({"trace_id": "f" * 32, "span_id": ["1", "2"], "parent_span_id": [None, "1"], "name": "x"})
    frame = frame.assign(start_ns=[0, 1], end_ns=5, trace_state=["ot=th:c", "ot=th:c"])
    for states in (["ot=th:c", "ot=th:c"], ["ot=th:c", None], [None, None]):
        found = tk.sampling(tk.TraceSet.from_spans(frame.assign(trace_state=states)))
        assert "different weights" not in said(found, "weights.sanity")
