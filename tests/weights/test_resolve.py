"""The ladder: each rung by hand, their order, and what stays unknown."""

import json

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, classic_reservoir, hour, random_ids, thinned_ids, traces_of

import tracekit as tk
from tracekit import TraceSet
from tracekit.stats.second_reservoir import SECOND_NS
from tracekit.weights.id_maps import ID_MAPS
from tracekit.weights.resolve import WEIGHT_SOURCES, Evidence, resolve_weights
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.tail_policies import trace_duration_ns
from tracekit.weights.trace_state import legacy_probability, member, randomness, rule_hash, threshold
from tracekit.weights.xray_reservoir import is_otel, processes, rule_of, rule_weights

RNG = np.random.default_rng(20)
LOCAL = {"version": 2, "rules": [], "default": {"fixed_target": 1, "rate": 0.05}}


def one_each(**columns):
    """One single-span trace for each entry."""
    n = len(next(iter(columns.values())))
    ids = np.arange(1, n + 1, dtype=np.uint64)
    return traces_of(RNG, ids=(ids, ids), start_ns=EPOCH_NS + np.arange(n) * 1_000_001, **columns)


def numbered(numbers):
    """One single-span trace for each number, which is its id."""
    return traces_of(RNG, ids=(np.zeros(len(numbers), np.uint64), np.array(numbers, np.uint64)))


def weights(traces, source="auto"):
    found = traces.with_weights(source).weights
    return found.value.tolist(), [found.source.at(n) for n in range(len(found.value))]


@pytest.mark.parametrize(
    ("column", "texts", "wanted", "source"),
    [
        ("trace_state", ["ot=th:8", "ot=th:0"], [2.0, 1.0], "tracestate ot=th"),
        ("trace_state", ["ot=p:3;r:9", "ot=p:63"], [8.0, 0.0], "tracestate ot=p"),
        ("attributes.SampleRate", [64, 0], [64.0, 1.0], "SampleRate"),
        ("attributes.meta.refinery.final_sample_rate", ["7", 2.5], [7.0, 2.5], "SampleRate"),
    ],
)
def test_what_the_spans_record(column, texts, wanted, source):
    assert weights(one_each(**{column: texts})) == (wanted, [source] * 2)


def test_jaegers_tags_count_only_where_they_are_probabilities():
    kinds = ["probabilistic", "lowerbound", "ratelimiting", "const", "probabilistic", None]
    traces = one_each(**{"attributes.sampler.type": kinds, "attributes.sampler.param": [0.1, 0.1, 5, 1, 7, 0.1]})
    assert weights(traces) == ([10.0, 1, 1, 1, 1, 1], ["jaeger sampler", *["unknown"] * 5])


def test_a_sample_rate_that_is_none_is_unknown():
    traces = one_each(**{"attributes.SampleRate": [-4, 0.25, "inf", "many", 8]})
    assert weights(traces) == ([1.0, 1, 1, 1, 8], [*["unknown"] * 4, "SampleRate"])


def test_a_stronger_source_wins_and_mixed_sources_are_reported():
    traces = one_each(trace_state=["ot=th:c", None, None], **{"attributes.SampleRate": [4, 5, None]})
    assert weights(traces) == ([4.0, 5.0, 1.0], ["tracestate ot=th", "SampleRate", "unknown"])
    found = traces.with_weights("auto").weights
    assert found.sources == {"tracestate ot=th": 1, "SampleRate": 1, "unknown": 1}
    assert np.isnan(found.probability[2]), "unknown is not 1"
    assert "sampling weights unknown for 1 of 3 traces" in found.statement
    assert "describe all traffic" in one_each(trace_state=["ot=th:c"]).with_weights("auto").weights.statement
    assert "not all traffic" in one_each(trace_state=[None]).weights.statement


def test_one_source_of_weights_may_be_requested():
    traces = one_each(trace_state=["ot=th:c", None], **{"attributes.SampleRate": [99, 5]})
    assert weights(traces, "SampleRate") == ([99.0, 5.0], ["SampleRate"] * 2)
    assert weights(traces, "recorded") == ([4.0, 1.0], ["tracestate ot=th", "unknown"])
    assert len({rung.name for rung in WEIGHT_SOURCES}) == len(WEIGHT_SOURCES)


def test_traces_that_were_not_sampled_have_no_weight():
    told = one_each(**{"attributes.aws.trace.flag.sampled": [False, True, None]}, trace_state=["ot=th:8"] * 3)
    assert weights(told) == ([0.0, 2.0, 2.0], ["not sampled", "tracestate ot=th", "tracestate ot=th"])
    bit = one_each(trace_flags=[0x100, 0x101, 0x101], trace_state=["ot=th:8"] * 3)
    assert weights(bit)[0] == [0.0, 2.0, 2.0]


@pytest.mark.parametrize("flags", [0, 0x100, 0x300])
def test_an_exporter_that_never_fills_the_sampled_bit_drops_nothing(flags):
    """OpenTelemetry's exporter for Python writes 0x100 and never bit 0, sampled or not."""
    assert weights(one_each(trace_flags=[flags] * 2, trace_state=["ot=th:8"] * 2))[0] == [2.0, 2.0]


def test_a_log_gives_the_share_of_each_stratum():
    traces = one_each(http_route=["/a", "/a", "/b"])
    ids = traces.trace_ids
    xray = f"1-{ids[2][:8]}-{ids[2][8:]}"
    log = pd.DataFrame({"trace_id": [ids[0], ids[1], xray, *(f"{n:032x}" for n in range(900, 905))]})
    log["route"] = ["/a", "/a", "/b", "/a", "/a", "/b", "/b", "/b"]
    assert weights(traces, log) == ([2.0, 2.0, 4.0], ["log"] * 3)
    assert weights(traces, log[["trace_id"]])[0] == pytest.approx([8 / 3] * 3)


def test_counts_give_the_weight_of_their_cell():
    traces = one_each(http_route=["/a", "/a", "/b", "/c"])
    counts = pd.DataFrame({"route": ["/a", "/b"], "count": [40, 60]})
    assert weights(traces, counts) == ([20.0, 20.0, 60.0, 1.0], [*["calibration"] * 3, "unknown"])
    assert weights(traces, pd.DataFrame({"count": [40]}))[0] == [10.0] * 4
    fewer = pd.DataFrame({"route": ["/a", "/b"], "count": [1, 60]})
    assert weights(traces, fewer)[1] == ["unknown", "unknown", "calibration", "unknown"]
    _, obstacles = resolve_weights(traces, Evidence(counts=None), "calibration")
    assert obstacles == {}


def test_attributes_and_files_may_hold_weights(tmp_path):
    traces = one_each(**{"attributes.adjusted_count": ["3", 4]})
    assert weights(traces, "adjusted_count") == ([3.0, 4.0], ["attribute adjusted_count"] * 2)
    (tmp_path / "r.json").write_text('{"default_strategy": {"type": "probabilistic", "param": 0.25}}', encoding="utf-8")
    assert weights(traces, tmp_path / "r.json")[0] == weights(traces, str(tmp_path / "r.json"))[0] == [4.0, 4.0]
    with pytest.raises(ValueError, match="found nan for trace"):
        one_each(**{"attributes.adjusted_count": ["3", "many"]}).with_weights("adjusted_count")


# ------------------------------------------------------------------ the collector


def _tail(*policies):
    return sampling_rules({"policies": list(policies)})


ERRORS = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
SLOW = {"name": "slow", "type": "latency", "latency": {"threshold_ms": 500}}
TENTH = {"name": "tenth", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}}
LIMIT = {"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 9}}


def test_observable_policies_are_united():
    rng = np.random.default_rng(1)
    ids = random_ids(rng, 5000)
    passed = ID_MAPS["collector tail_sampling"](*ids) <= 0.1
    failed, took = rng.random(5000) < 0.1, np.where(rng.random(5000) < 0.1, 900.0, 10.0)
    kept = passed | failed | (took >= 500)
    traces = traces_of(rng, ids=tuple(half[kept] for half in ids), failed=failed[kept], took_ms=took[kept])
    found, obstacles = resolve_weights(traces, Evidence(_tail(ERRORS, SLOW, TENTH)))
    assert obstacles == {}
    assert set(np.unique(found.value)) == {1.0, 10.0}
    assert found.value.sum() == pytest.approx(5000, rel=0.1)
    spans = traces.spans.drop_duplicates("trace_id").set_index("trace_id").loc[traces.trace_ids]
    certain = (spans["status_code"] == "ERROR") | (spans["duration_ns"] >= 500_000_000)
    assert (found.value[certain.to_numpy()] == 1).all()
    assert (found.value[~certain.to_numpy()] == 10).all()


def test_the_base_sample_counts_if_a_policy_is_not_observable():
    rng = np.random.default_rng(2)
    ids = random_ids(rng, 2000)
    passed = ID_MAPS["collector tail_sampling"](*ids) <= 0.1
    kept = passed | (rng.random(2000) < 0.2)
    found, _ = resolve_weights(traces_of(rng, ids=tuple(h[kept] for h in ids)), Evidence(_tail(LIMIT, TENTH)))
    assert set(np.unique(found.value)) == {0.0, 10.0}
    assert (found.value > 0).sum() == passed.sum()
    assert set(found.sources) == {"tail policy, drawn", "outside the probability sample"}


def test_a_trace_that_no_policy_explains_is_refused():
    traces = one_each(status_code=["ERROR", "OK"])
    found, obstacles = resolve_weights(traces, Evidence(_tail(ERRORS)))
    assert sorted(found.value.tolist()) == [1.0, 1.0]
    assert found.known.tolist() == [True, False]
    assert obstacles == {"no configured policy explains them": 1}
    named, _ = resolve_weights(
        one_each(**{"attributes.tailsampling.policy": ["errors", "limit"]}), Evidence(_tail(ERRORS, LIMIT))
    )
    assert named.known.tolist() == [True, False]
    every, _ = resolve_weights(traces, Evidence(_tail({"name": "all", "type": "always_sample"})))
    assert every.value.tolist() == [1.0, 1.0]
    assert every.known.all()


def test_the_duration_of_a_trace_spans_its_spans():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": ["1", "2"], "name": "x", "start_ns": [5, 9], "end_ns": [7, 30]})
    traces = TraceSet.from_spans(frame)
    assert trace_duration_ns(traces).tolist() == [25]
    assert trace_duration_ns(traces.where("name == 'y'")).tolist() == []


# ------------------------------------------------------------------ X-Ray


def _xray(rng, kept_by="X-Ray for Java", process="i-1", **columns):
    world = hour(rng, seconds=400)
    kept = classic_reservoir(rng, world.start_ns, np.zeros(len(world.start_ns), int), 1, 0.05)
    columns = {"resource.telemetry.sdk.name": kept_by, "service_instance_id": process} | columns
    return world, traces_of(rng, start_ns=world.start_ns[kept], took_ms=world.took_ms[kept], **columns)


def test_order_weights_add_up_to_the_requests():
    world, traces = _xray(np.random.default_rng(3))
    found, obstacles = resolve_weights(traces, Evidence(sampling_rules(LOCAL)))
    assert obstacles == {}
    assert set(np.unique(found.value)) == {1.0, 20.0}
    seconds = len(np.unique(traces.columns.spans.start_ns // SECOND_NS))
    assert (found.value == 1).sum() == seconds
    assert found.value.sum() == pytest.approx(len(world.start_ns), rel=0.2)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"process": None}, "the sampling process is not recorded"),
        ({"kept_by": "elsewhere"}, "the sampling SDK is not recorded"),
        ({"kept_by": "opentelemetry"}, "the language of the sampling SDK is not recorded"),
    ],
)
def test_order_weights_are_refused_without_their_inputs(columns, why):
    _, traces = _xray(np.random.default_rng(3), **columns)
    found = rule_weights(traces, sampling_rules(LOCAL))
    assert found.obstacles == {why: len(traces)}
    assert np.isnan(found.weight).all()


def test_order_weights_are_refused_for_whole_milliseconds_and_shared_reservoirs():
    rng = np.random.default_rng(3)
    world = hour(rng, seconds=400)
    ms = traces_of(rng, start_ns=world.start_ns // 10**6 * 10**6, **{"resource.telemetry.sdk.name": "X-Ray for Go"},
                   service_instance_id="i-1")  # fmt: skip
    assert list(rule_weights(ms, sampling_rules(LOCAL)).obstacles) == [
        "starts are whole milliseconds, too coarse for the order in a second"
    ]
    central = [{"RuleName": "Default", "FixedRate": 0.05, "ReservoirSize": 1}]
    _, two = _xray(rng)
    half = np.where(np.arange(len(two)) % 2, "i-1", "i-2")
    two = TraceSet.from_spans(two.spans.drop(columns="service_instance_id").assign(
        service_instance_id=half, **{"resource.telemetry.sdk.name": "X-Ray for Go"}))  # fmt: skip
    assert list(rule_weights(two, sampling_rules(central)).obstacles) == [
        "how the reservoir of rule Default is divided between processes is not recorded"
    ]


@pytest.mark.parametrize(("language", "family"), [("python", "Python TraceIdRatio"), ("go", "older Go TraceIdRatio")])
def test_opentelemetry_samplers_are_weighed_by_id(language, family):
    rng = np.random.default_rng(4)
    traces = traces_of(
        rng,
        ids=thinned_ids(rng, 400, family, 0.05, 0.3),
        **{"resource.telemetry.sdk.name": "opentelemetry", "resource.telemetry.sdk.language": language},
    )
    found = rule_weights(traces, sampling_rules(LOCAL))
    assert found.obstacles == {}
    assert set(np.unique(found.weight)) == {0.0, 20.0}
    assert (found.weight > 0).mean() == pytest.approx(0.7 + 0.3 * 0.05, abs=0.06)


def test_the_rule_is_known_by_name_by_hash_or_from_the_request():
    rules = sampling_rules(
        [
            {"RuleName": "pay", "Priority": 1, "FixedRate": 0.5, "URLPath": "/pay"},
            {"RuleName": "Default", "Priority": 9, "FixedRate": 0.1},
        ]
    )
    traces = one_each(
        trace_state=[f"xrsr={rule_hash('pay')}", None, None, None],
        **{
            "resource.aws.xray.sampling_rule_name": [None, "pay", None, None],
            "attributes.url.path": ["/x", "/x", "/pay", "/x"],
        },
    )
    assert rule_of(traces, rules).tolist() == [0, 0, 0, 1]
    assert rule_weights(traces, rules).weight.tolist() == [2.0, 2.0, 2.0, 10.0]
    assert is_otel(traces).tolist() == [1, -1, -1, -1]
    never = rule_weights(traces, sampling_rules(0))
    assert never.obstacles == {"rule fixed rate keeps nothing": 4}


def test_a_process_is_an_instance_or_a_host_with_a_number():
    traces = one_each(**{"resource.process.pid": [7, 8], "resource.host.name": ["a", "a"]})
    assert [processes(traces).at(n) for n in (0, 1)] == ["7 a", "8 a"]


# ------------------------------------------------------------------ tracestates


def test_parts_of_a_tracestate():
    state = "xrsr=00ab,ot=th:c;rv:1234567890abcd;p:5"
    assert (member(state, "xrsr"), member(state, "ot", "rv"), member(state, "ot", "x")) == (
        "00ab",
        "1234567890abcd",
        None,
    )
    assert (threshold(state), randomness(state)) == (0xC << 52, 0x1234567890ABCD)
    assert legacy_probability("ot=p:64") is None
    assert legacy_probability("ot=p:x") is None
    assert randomness("ot=rv:12") is None


def test_a_segment_document_has_rule_sdk_process_and_request():
    segment = {
        "trace_id": "1-6b0122fd-02f0ef71ed4a2fa3a72abd43",
        "id": "70de5b6f19ff9a0a",
        "name": "shop",
        "start_time": 1795236605.3795341,
        "end_time": 1795236605.4,
        "http": {"request": {"method": "GET", "url": "https://shop.example/pay/7?x=1"}},
        "aws": {"xray": {"sdk": "X-Ray for Java", "sampling_rule_name": "pay"}, "ecs": {"container_id": "c-1"}},
    }
    rules = sampling_rules(
        [
            {"RuleName": "other", "Priority": 1, "FixedRate": 0.2, "URLPath": "/pay/*", "Host": "SHOP.example"},
            {"RuleName": "pay", "Priority": 2, "FixedRate": 0.05, "ReservoirSize": 1},
        ]
    )
    named = tk.read(json.dumps(segment).encode())
    assert rule_of(named, rules).tolist() == [1]
    assert processes(named).at(0) == "c-1"
    assert weights(named, rules) == ([1.0], ["x-ray rule, order in the second"])
    del segment["aws"]["xray"]["sampling_rule_name"]
    predicted = tk.read(json.dumps(segment).encode())
    assert rule_of(predicted, rules).tolist() == [0], "by path and host of the address"
    assert weights(predicted, rules) == ([5.0], ["rule, fixed rate"])


def test_a_fixed_rate_with_a_tail_sampler_gives_no_weights():
    both = {
        "processors": {"probabilistic_sampler": {"sampling_percentage": 10}, "tail_sampling": {"policies": [LIMIT]}}
    }
    assert not resolve_weights(one_each(status_code=["OK"]), Evidence(sampling_rules(both)))[0].known.any()
    assert sampling_rules(both).base_rate is None


def test_traces_captured_outside_the_sample_have_no_weights():
    traces = one_each(**{"attributes.aws.trace.flag.sampled": [False, False]})
    with pytest.raises(
        ValueError, match=r"expected at least one trace in the probability sample, found 2 outside it \(not samp"
    ):
        traces.with_weights("auto")
    assert len(traces.where("name == 'y'").with_weights("auto")) == 0


def test_weights_of_zero_leave_a_trace_out_of_every_figure():
    traces = one_each(**{"attributes.aws.trace.flag.sampled": [False, None]}, trace_state="ot=th:8", took_ms=[900, 10])
    table = tk.latency(traces.with_weights("auto")).table
    assert table["weight_sum"].tolist() == [2.0]
    assert table["p99_ns"].tolist() == [10e6]


def test_a_log_with_durations_distinguishes_slow_requests():
    """Every slow request was kept, and one in ten of the others; by route alone all would weigh the same."""
    slow, quick = 30, 400
    ids = [f"{n:032x}" for n in range(1, slow + quick + 1)]
    kept = np.r_[np.ones(slow, bool), np.arange(quick) % 10 == 0]
    took = np.repeat([800_000_000, 20_000_000], [slow, quick])
    log = pd.DataFrame({"trace_id": ids, "route": "/a", "duration_ns": took})
    traces = numbered(1 + np.flatnonzero(kept))
    assert dict(zip(*np.unique(weights(traces, log)[0], return_counts=True), strict=True)) == {1.0: slow, 10.0: 40}
    by_route = weights(traces, log.drop(columns="duration_ns"))[0]
    assert by_route == pytest.approx([(slow + quick) / 70] * 70)


def test_duration_classes_with_few_traces_join_the_next_slower_class():
    """Of 4, 30, 200 and 8 were kept 4, 3, 20 and 0: the first two stand together, and so do the last two."""
    took = np.repeat([1_600_000_000, 400_000_000, 100_000_000, 25_000_000], [4, 30, 200, 8])
    kept = np.concatenate([np.arange(n) < k for n, k in ((4, 4), (30, 3), (200, 20), (8, 0))])
    ids = np.array([f"{n:032x}" for n in range(1, len(took) + 1)])
    traces = numbered(1 + np.flatnonzero(kept))
    found = weights(traces, pd.DataFrame({"trace_id": ids, "duration_ns": took}))[0]
    assert found == pytest.approx([34 / 7] * 7 + [208 / 20] * 20)
    assert sum(found) == pytest.approx(len(took))


def test_a_stratum_with_few_traces_is_one_class_and_missing_duration_another():
    took = [np.nan, np.nan, 5e6, 9e9]
    log = pd.DataFrame({"trace_id": [f"{n:032x}" for n in range(1, 5)], "route": ["/a", "/a", "/b", "/b"]})
    assert weights(numbered([1, 3]), log.assign(duration_ns=took)) == ([2.0, 2.0], ["log"] * 2)


def test_traces_kept_for_their_outcome_have_weight_one():
    """Failed requests, all in hand, and no word of the others: a rate of all requests cannot be told from them."""
    errors = {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
    failed = one_each(status_code=["ERROR"] * 40)
    for policies in ([errors], [errors, DRAW]):
        kept = failed.with_weights({"processors": {"tail_sampling": {"policies": policies}}})
        assert set(kept.weights.value) == {1.0}
        assert kept.weights.is_one_kind
        assert kept.weights.statement.endswith("figures describe such requests, not all traffic")
        shares = tk.coverage(kept).metrics.set_index("metric")["meaning"]
        assert shares["M2a"].iloc[0] == "failing traces, of requests of the kept kind in this window"
        told = [f for f in tk.sampling(kept) if f.check in {"bias.tail", "evidence.loss", "paths.unseen"}]
        assert len(told) == 3
        assert all("needs traces of the other requests; these were all kept" in finding.headline for finding in told)
    for everything in (
        {"name": "all", "type": "always_sample"},
        DRAW | {"probabilistic": {"sampling_percentage": 100}},
    ):
        kept = failed.with_weights({"processors": {"tail_sampling": {"policies": [errors, everything]}}})
        assert "every request has a trace" in kept.weights.statement
        assert len([f for f in tk.sampling(kept) if f.check == "bias.tail"]) == 2


DRAW = {"name": "rest", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}}
