"""Samplers of a recording whose truth is known: what the checks say of it, and how often their limits hold it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

import tracekit as tk
from tracekit.stats.quantiles import quantile_limits
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.weights.resolve import Evidence, resolve_weights

INDEX = json.loads((Path(__file__).parents[3] / "datasets" / "index.json").read_text(encoding="utf-8"))
TRUTH = next(one for one in INDEX["datasets"] if one["name"] == "tail-sampled")["truth"]["measured"]
TRUE = {
    "error rate": TRUTH["all_requests"]["error_ratio"],
    "p95 latency": TRUTH["all_requests"]["p95_ms"] * 1e6,
    "p99 latency": TRUTH["all_requests"]["p99_ms"] * 1e6,
}
ROUTES = ["/products/{product_id}", "/search", "/cart/items", "/checkout", "/orders/{order_id}"]
RUNS = 200


@pytest.fixture(scope="module")
def parts():
    names = ("population", "head", "tail", "reservoir", "collector", "xray-rules", "access-log")
    return dict(zip(names, tk.load_sample("tail-sampled", *names), strict=True))


@pytest.fixture(scope="module")
def log(parts):
    return tk.read_requests(parts["access-log"], routes=ROUTES, window="10s").log


def tail_bias(traces, **given):
    found = [one.evidence for one in tk.sampling(traces, **given) if one.check == "bias.tail"]
    return pd.concat(found).set_index("measure")


@pytest.mark.parametrize(
    ("sample", "given"),
    [
        ("head", ()),
        ("tail", ("collector",)),
        ("tail", ()),
        ("tail", ("log",)),
        ("reservoir", ("xray-rules",)),
        ("reservoir", ()),
        ("reservoir", ("log",)),
    ],
)
def test_the_limits_hold_the_truth_whatever_the_weights_come_from(parts, log, sample, given):
    known = {
        "collector": {"rules": parts["collector"]},
        "xray-rules": {"rules": parts["xray-rules"]},
        "log": {"log": log},
    }
    found = tail_bias(parts[sample], **(known[given[0]] if given else {}))
    for measure, truth in TRUE.items():
        row = found.loc[measure]
        assert row["estimate_low"] <= truth * 1.00001, measure
        assert np.isnan(row["estimate_high"]) or truth * 0.99999 <= row["estimate_high"], measure
    raw = TRUTH["raw"][sample]
    assert found.loc["error rate", "raw"] == pytest.approx(raw["error_ratio"], abs=6e-6)
    if sample == "tail":
        assert found.loc[["error rate", "p95 latency"], "status"].isin(["failed"]).all()
        assert found.loc["error rate", "estimate_high"] < 0.4 * raw["error_ratio"]


def test_the_headline_of_the_tail_sample_names_the_artefact(parts):
    found = tk.sampling(parts["tail"], rules=parts["collector"])
    (text,) = (one.headline for one in found if one.check == "bias.tail" and "error rate" in one.headline)
    assert text.startswith("Estimated error rate of all requests: 1.4% (")
    assert text.endswith(" is biased: every failing request was kept, but not every other request.")


def test_without_a_recorded_sampler_the_ids_identify_it(parts):
    told = {
        name: next(one.headline for one in tk.sampling(parts[name]) if one.check == "id.forensic")
        for name in ("head", "tail", "reservoir")
    }
    assert "OpenTelemetry consistent sampling at 12.5%" in told["head"]
    assert "collector tail_sampling at 5.0%" in told["tail"]
    assert "Python TraceIdRatio at 10.0%" in told["reservoir"]
    assert not any(one.severity == "critical" for one in tk.sampling(parts["population"]))


def test_a_log_without_durations_misleads_with_a_latency_sampler(parts, log):
    """The stated assumption is the broken one; it is there to be read."""
    blind = tk.sampling(parts["tail"], log=log.drop(columns="duration_ns"))
    (latency,) = (one for one in blind if one.check == "bias.tail" and "p95" in one.headline)
    assert latency.estimate.low > 2 * TRUE["p95 latency"]
    assert any(
        text.startswith("requests of one stratum had equal sampling probability") for text in latency.assumptions
    )


def test_limits_contain_the_truth_at_the_nominal_rate(parts, log):
    """The recorded requests through 200 other draws of the head and the tail sampler; slow and failed ones are sure."""
    everyone = parts["population"]
    root = everyone.forest.root_row
    took, failed = everyone.duration_ns[root].astype(float), everyone.is_error[root]
    sure = np.zeros(len(everyone), bool)
    sure[everyone.forest.trace[everyone.is_error]] = True
    span = everyone.summary
    sure |= (span["end_ns"] - span["start_ns"]).to_numpy(np.int64) >= 150_000_000
    ordered = np.sort(took)
    truth = [failed.mean(), *(ordered[int(np.ceil(share * len(took))) - 1] for share in (0.5, 0.95, 0.99))]
    rng = np.random.default_rng(90)
    held = {"head": [], "tail": [], "log": []}
    for _ in range(RUNS):
        drawn = rng.random(len(everyone))
        for name, kept, pi in (
            ("head", drawn < 1 / 8, np.full(len(took), 1 / 8)),
            ("tail", sure | (drawn < 0.05), np.where(sure, 1, 0.05)),
        ):
            held[name].append(_holds(truth, pi[kept], failed[kept], took[kept], certain=name == "tail"))
    for _ in range(10):
        kept = sure | (rng.random(len(everyone)) < 0.05)
        sample = everyone.where(pd.Series(kept, pd.Index(everyone.trace_ids, name="trace_id")))
        pi = resolve_weights(sample, Evidence(log=log))[0].probability
        held["log"].append(_holds(truth, pi, failed[kept], took[kept], certain=False))
    fewest = binom.ppf(0.0005, RUNS, 0.94)
    for name in ("head", "tail"):
        assert (np.sum(held[name], axis=0)[:3] >= fewest).all(), (name, np.mean(held[name], axis=0))
        assert np.mean(held[name], axis=0)[3] > 0.85  # p99 lies in a heap of 50 slow checkouts
    assert np.mean(held["log"]) > 0.9


def _holds(truth, pi, failed, took, *, certain):
    rate = weighted_rate(pi, failed, events_certain=certain)
    limits = [rate, *quantile_limits(pi, took, (0.5, 0.95, 0.99))]
    return [not (one.low > true or one.high < true) for one, true in zip(limits, truth, strict=True)]
