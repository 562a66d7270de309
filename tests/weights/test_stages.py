"""Several samplers in a row: what they recorded, what the ids show, the product, and every refusal by its words."""

import numpy as np
import pytest
from checks.sampling.simulators import (
    EPOCH_NS,
    classic_reservoir,
    hour,
    id_formats,
    random_ids,
    said,
    status,
    thinned_ids,
    traces_of,
)

import tracekit as tk
from tracekit.stats.second_reservoir import SECOND_NS, order_agreement
from tracekit.weights.forensics import SdkIds, read_ids
from tracekit.weights.id_maps import ID_MAPS

RNG = np.random.default_rng(70)
CONSISTENT = "OpenTelemetry consistent sampling"
POLICIES = {
    "policies": [
        {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
        {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}},
    ]
}


def few(**columns):
    """As many traces as the columns have rows: too few for their ids to show anything."""
    n = len(next(iter(columns.values())))
    ids = np.arange(1, n + 1, dtype=np.uint64)
    return traces_of(RNG, ids=(ids, ids), start_ns=EPOCH_NS + np.arange(n), **columns)


def two_stages(seed=1, n=12_000, state="ot=th:8", **columns):
    """Half by the SDK, then errors and 5 % by the collector."""
    rng = np.random.default_rng(seed)
    ids, failed = random_ids(rng, n), rng.random(n) < 0.02
    head = ID_MAPS[CONSISTENT](*ids) <= 0.5
    kept = head & (failed | (ID_MAPS["collector tail_sampling"](*ids) <= 0.05))
    return failed, traces_of(
        rng, ids=tuple(half[kept] for half in ids), failed=failed[kept], trace_state=state, **columns
    )


@pytest.mark.parametrize(
    ("columns", "wanted", "why"),
    [
        ({"trace_state": ["ot=th:c"], "attributes.SampleRate": [99]}, None, "ot=th and SampleRate record different"),
        ({"trace_state": ["ot=th:c"], "attributes.SampleRate": [4]}, 4.0, ""),
        ({"trace_state": ["ot=th:0"], "attributes.SampleRate": [20]}, 20.0, ""),
        ({"trace_state": ["ot=th:8;p:3"]}, None, "ot=th and tracestate ot=p record different"),
        (
            {
                "attributes.sampler.type": ["probabilistic"],
                "attributes.sampler.param": [0.1],
                "attributes.meta.refinery.final_sample_rate": [50],
            },
            None,
            "SampleRate and jaeger sampler record different rates; choose the one that includes both",
        ),
        ({"trace_state": ["ot=th:8"], "attributes.tailsampling.policy": ["errors"]}, None, "a tail sampler after the"),
    ],
)
def test_what_two_samplers_recorded(columns, wanted, why):
    for source in ("auto", None):
        traces = few(**columns)
        if source is None and "trace_state" not in columns:
            continue
        weights = (traces if source is None else traces.with_weights(source)).weights
        assert weights.known.tolist() == [wanted is not None]
        assert weights.value.tolist() == [wanted or 1.0]
        assert why in weights.statement
        assert weights.statement.startswith("sampling weights unknown: " if why else "weights from")


def test_the_user_may_choose_the_record_that_includes_both():
    traces = few(**{"trace_state": ["ot=th:8"], "attributes.SampleRate": [20]})
    assert traces.with_weights("SampleRate").weights.value.tolist() == [20.0]
    named = few(**{"trace_state": ["ot=th:8"], "attributes.tailsampling.policy": ["errors"]})
    assert named.with_weights("recorded").weights.value.tolist() == [2.0]


def test_a_second_stage_in_the_ids_is_refused_and_both_are_named():
    failed, traces = two_stages()
    for weights in (traces.weights, traces.with_weights("auto").weights, traces.with_weights("recorded").weights):
        assert not weights.known.any()
        text = "sampling weights unknown: tracestate ot=th says how web was sampled, and its ids show another sampler"
        assert weights.statement.startswith(text)
        assert "(collector tail_sampling at 5" in weights.statement or "tail_sampling at 4.9" in weights.statement
    assert "pass the rules of both" in said(tk.sampling(traces), "bias.tail")
    assert not traces.where(np.arange(len(traces)) < 50).weights.known.any(), "a part of it is no better known"
    both = traces.with_weights(POLICIES).weights
    assert set(np.unique(both.value)) == {2.0, 40.0}
    assert both.value.sum() == pytest.approx(len(failed), rel=0.15)
    assert set(both.sources) == {"tracestate ot=th, tail policy, drawn", "tracestate ot=th, tail policy, certain"}
    (errors, _) = (f for f in tk.sampling(traces, rules=POLICIES) if f.check == "bias.tail")
    assert errors.estimate.low <= failed.mean() <= errors.estimate.high


def test_policies_multiply_where_the_ids_show_no_second_stage():
    """Only errors are kept, so no hash decides; the rules are the only word of the collector."""
    failed, traces = two_stages()
    only = traces.where("status_code == 'ERROR'")
    assert set(only.weights.sources) == {"unknown"}
    errors = {"policies": POLICIES["policies"][:1]}
    fresh = tk.TraceSet.from_spans(only.spans.drop(columns="sampling_ratio"))
    assert fresh.weights.known.all(), "nothing contradicts the trace state"
    kept = fresh.with_weights(errors).weights
    assert set(kept.value) == {2.0}
    assert kept.is_one_kind
    assert "needs traces of the other requests" in said(tk.sampling(fresh, rules=errors), "bias.tail")
    assert failed.any()


@pytest.mark.parametrize(
    ("columns", "rules", "why"),
    [
        (
            {"trace_state": ["ot=th:8", None]},
            POLICIES,
            "only some traces of a service record the rate of its first sampler",
        ),
        ({"attributes.SampleRate": [20, 20]}, POLICIES, "whether one includes the other is not recorded"),
        (
            {"trace_state": ["ot=th:8"] * 2},
            {"processors": {"probabilistic_sampler": {"sampling_percentage": 10}, "tail_sampling": POLICIES}},
            "probabilistic_sampler and tail_sampling are both configured",
        ),
    ],
)
def test_stages_whose_relation_is_not_recorded(columns, rules, why):
    weights = few(status_code=["ERROR"] * 2, **columns).with_weights(rules).weights
    assert why in weights.statement
    assert not weights.known.all()


def test_a_trace_that_no_policy_explains_has_no_product():
    weights = few(status_code=["ERROR", "OK"], trace_state=["ot=th:8"] * 2).with_weights(POLICIES).weights
    assert weights.value.tolist() == [2.0, 1.0]
    assert weights.statement.startswith("sampling weights unknown for 1 of 2 traces: no configured policy")


@pytest.mark.parametrize(
    ("rate", "state", "refused"),
    [(0.25, "ot=th:c", False), (0.25, "ot=th:8", True), (0.5, "ot=th:c", True), (1.0, "ot=th:8", True)],
)
def test_thresholds_that_the_ids_contradict(rate, state, refused):
    """A later consistent sampler that rewrote its threshold is one stage; one that did not, or a stale one, is not."""
    traces = traces_of(RNG, ids=thinned_ids(np.random.default_rng(3), 400, CONSISTENT, rate), trace_state=state)
    assert traces.weights.known.all() != refused
    assert ("beyond the recorded thresholds" in traces.weights.refusal) == (refused and rate > 0.25)


def test_explicit_randomness_is_not_compared_with_the_id():
    states = "ot=th:8;rv:f0000000000000"
    assert traces_of(RNG, 300, trace_state=states).weights.known.all()


@pytest.mark.parametrize("name", id_formats())
def test_no_format_of_ids_contradicts_what_one_sampler_recorded(name):
    start = EPOCH_NS + np.sort(RNG.integers(0, 3600 * SECOND_NS, 400))
    traces = traces_of(RNG, ids=id_formats()[name](RNG, start), start_ns=start, **{"attributes.SampleRate": 7})
    assert traces.with_weights("auto").weights.sources == {"SampleRate": 400}
    found = tk.sampling(traces_of(RNG, ids=id_formats()[name](RNG, start), start_ns=start))
    assert "kept by" not in said(found, "id.forensic")


def test_an_xray_rule_before_a_collector_that_samples_too():
    rng = np.random.default_rng(5)
    world = hour(rng, seconds=600)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 1, 0.5)
    ids = thinned_ids(rng, int(kept.sum()), "collector tail_sampling", 0.1)
    columns = {"resource.telemetry.sdk.name": "X-Ray for Go", "service_instance_id": "i-1"}
    rule = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.5}}
    traces = traces_of(rng, ids=ids, start_ns=world.start_ns[kept], **columns)
    text = traces.with_weights(rule).weights.statement
    assert text.startswith("sampling weights unknown: x-ray rule says how web was sampled, and its ids show another")
    assert "collector tail_sampling at 10.0%" in text or "collector tail_sampling at 9.9" in text


def test_a_declared_rate_that_the_ids_do_not_show():
    traces = traces_of(RNG, ids=thinned_ids(np.random.default_rng(6), 400, "Java TraceIdRatio", 0.05))
    assert traces.with_weights({"FixedRate": 0.05}).weights.known.all()
    assert "Java TraceIdRatio at 5.0%" in traces.with_weights({"FixedRate": 0.2}).weights.refusal
    assert "declared" not in said(tk.sampling(traces), "id.forensic")
    assert "no other ids use the rest of the id space" in said(tk.sampling(traces), "id.forensic")
    assert "kept by Java TraceIdRatio at 5.0%" in said(tk.sampling(traces, rules=0.05), "id.forensic")
    assert "kept by" in said(tk.sampling(traces.with_weights(20)), "id.forensic")


def test_a_collectors_rate_that_is_not_the_configured_one():
    traces = traces_of(RNG, ids=thinned_ids(np.random.default_rng(7), 400, "collector tail_sampling", 0.02))
    assert "collector tail_sampling at " in traces.with_weights(POLICIES).weights.refusal


def test_two_samplers_in_the_ids_alone_give_no_weights():
    rng = np.random.default_rng(8)
    high, low = thinned_ids(rng, 9000, "collector tail_sampling", 0.2)
    kept = ID_MAPS["Java TraceIdRatio"](high, low) < 0.1
    weights = traces_of(rng, ids=(high[kept], low[kept])).with_weights("auto").weights
    assert weights.statement.startswith("sampling weights unknown: the ids of web show two samplers, ")


@pytest.mark.parametrize(
    ("language", "family", "weighted"),
    [("go", "Go TraceIdRatio", True), ("python", "Python TraceIdRatio", True), ("java", "Python TraceIdRatio", False)],
)
def test_the_recorded_language_determines_the_sampler(language, family, weighted):
    ids = thinned_ids(np.random.default_rng(9), 600, family, 0.1, 0.2)
    traces = traces_of(RNG, ids=ids, **{"resource.telemetry.sdk.language": language})
    reading = read_ids(SdkIds.of(traces), np.arange(600))
    assert reading.is_sampler == weighted
    assert reading.edges[0].name == family
    assert weighted or reading.doubt == "the recorded SDK samples differently"


def test_an_edge_at_a_power_of_two_needs_roots_of_the_same_sdk():
    rng = np.random.default_rng(10)
    ids = thinned_ids(rng, 500, "Java TraceIdRatio", 0.25, 0.3)
    sdk = {"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": "java"}
    assert read_ids(SdkIds.of(traces_of(rng, ids=ids, **sdk)), np.arange(500)).is_sampler
    mixed = sdk | {"resource.telemetry.sdk.version": np.where(np.arange(500) < 250, "1.1", "1.2")}
    for columns in ({}, mixed):
        assert not read_ids(SdkIds.of(traces_of(rng, ids=ids, **columns)), np.arange(500)).is_sampler


# ------------------------------------------------------------------ starts and the reservoir's rule


def test_starts_that_contradict_the_rule_refuse_it():
    rng = np.random.default_rng(11)
    world = hour(rng, seconds=900)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 2, 0.05)
    columns = {"service_instance_id": "i-1", "resource.telemetry.sdk.name": "X-Ray for Go"}
    traces = traces_of(rng, start_ns=world.start_ns[kept], took_ms=world.took_ms[kept], **columns)
    right, wrong = ({"version": 2, "rules": [], "default": {"fixed_target": n, "rate": 0.05}} for n in (2, 1))
    assert traces.with_weights(right).weights.known.all()
    text = "the starts contradict rule default (1 per second and 5%): quota or rate were different"
    assert traces.with_weights(wrong).weights.statement.startswith(f"sampling weights unknown: {text}")
    assert status(tk.sampling(traces, rules=wrong), "bias.reservoir") == ["not_assessable"]
    assert text in said(tk.sampling(traces, rules=wrong), "bias.reservoir")


def test_the_expected_share_is_that_of_coxs_likelihood():
    """Four seconds of one block; by hand: at 0.9 s one of ten has used its quota, and so on."""
    start = np.array([0.9, 1.2, 1.7, 2.1, 2.5, 3.0]) * SECOND_NS
    found = order_agreement(start.astype(np.int64), np.zeros(6), 1, 0.5)
    assert found.z == 0.0, "too few to say"
    place, used = np.array([0.9, 0.2, 0.7, 0.1, 0.5, 0.0]), np.array([0.9, 0.2, 0.1, 0.0])
    n1 = (used < place[:, None]).sum(1)
    at = 0.5 * found.ratio
    assert (at * n1 / (10 - n1 + at * n1)).sum() == pytest.approx(2, abs=1e-6)
    assert order_agreement(np.zeros(0, np.int64), np.zeros(0), 1, 0.5).ratio == 1.0


@pytest.mark.parametrize("gap_s", [1 / 30, 1 / 3, 1.0])
def test_evenly_spaced_requests_contradict_nothing(gap_s):
    rng = np.random.default_rng(12)
    start = EPOCH_NS + (np.cumsum(rng.normal(gap_s, gap_s / 10, int(900 / gap_s))) * SECOND_NS).astype(np.int64)
    kept = start[classic_reservoir(rng, start, np.zeros(len(start), int), 1, 0.05)]
    assert not order_agreement(kept, np.zeros(len(kept)), 1, 0.05).contradicts
