"""Statements about healthy recordings that were false: one test each; the tables say how often any is made."""

import re

import numpy as np
import pytest
from checks.healthy_worlds import changes, healthy, warnings

import tracekit as tk
from tracekit import TraceSet
from tracekit.report.standard import Standard
from tracekit.weights.comparability import comparability


@pytest.fixture
def rng():
    return np.random.default_rng(17)


def test_clock_skew_that_only_one_side_proves_is_no_regression(rng):
    current, baseline = (healthy(rng, "skewed clocks", n, failing=0.03)[0] for n in (20, 300))
    few, many = tk.critical_path(current), tk.critical_path(baseline)
    assert len(many.offsets) > 0
    assert len(few.offsets) == 0
    assert not warnings(changes(current, baseline))
    compared = many.compare(few)
    assert not compared.table["is_significant"].any()
    assert np.isfinite(compared.change.low)  # the latency of requests is that of one clock


def test_positive_longs_are_no_mark_of_two_samplers(rng):
    current, baseline = (healthy(rng, "two positive longs", n)[0] for n in (150, 300))
    assert "two samplers" not in current.with_weights("auto").weights.refusal
    assert comparability(baseline, current).basis == "recorded traces"


def test_thirty_traces_show_the_second_sampler(rng):
    traces = healthy(rng, "two samplers", 300)[0]
    assert 20 < len(traces) < 60
    assert "collector tail_sampling" in traces.weights.refusal
    assert not traces.weights.known.any()
    assert healthy(rng, "recorded by ot=th", 60)[0].weights.known.all()


def test_two_samples_of_the_same_two_samplers_are_not_called_sampled_differently(rng):
    current, baseline = (healthy(rng, "two samplers", n)[0] for n in (300, 600))
    assert current.weights.refusal != baseline.weights.refusal  # each has an estimated rate of its own
    assert comparability(baseline, current).basis == "recorded traces"


def test_no_traces_are_not_called_sampled_differently(rng):
    traces = healthy(rng, "recorded by ot=th", 60)[0]
    assert comparability(traces, traces.where("service_name == 'nobody'")).statement == "one side has no traces"
    assert not warnings(changes(traces.where("service_name == 'nobody'"), traces))


@pytest.mark.parametrize(("failed", "severity"), [(1, "notice"), (6, "warning")])
def test_an_error_rate_is_a_warning_where_its_limits_are_above_one_per_cent(rng, failed, severity):
    spans = healthy(rng, "even", 60, failing=0)[0].spans
    ids = spans["trace_id"].drop_duplicates().head(failed)
    spans.loc[spans["trace_id"].isin(ids), "status_code"] = "ERROR"
    found = {finding.check: finding for finding in Standard.of(TraceSet.from_spans(spans)).findings}
    assert found["failures"].severity == severity


@pytest.mark.parametrize(("weights", "words"), [(None, "recorded request"), (2, "recorded request"), (1, "request")])
def test_counts_are_of_recorded_requests_unless_all_weights_are_one(rng, weights, words):
    traces = healthy(rng, "even", 60, failing=0.2)[0]
    traces = traces if weights is None else traces.with_weights(weights)
    found = {finding.check: finding.headline for finding in Standard.of(traces).findings}
    assert re.search(rf"of {words}s 25.0% \(15 of 60;" if weights is None else rf" of 60 {words}s;", found["failures"])
    assert re.search(rf"n = \d+ {words}s\)\.$", found["slowest"])


@pytest.mark.parametrize("case", ["no trace", "one trace", "two traces", "five traces", "dominant instance"])
def test_a_count_of_one_has_a_singular_noun(rng, case):
    traces, requests = healthy(rng, case)
    found = [*Standard.of(traces).findings, *tk.quality(traces, requests=requests), *tk.sampling(traces)]
    said = [finding.headline for finding in found]
    nouns = "traces|spans|roots|requests|calls|pairs|hosts|values|services|strata|times"
    assert not [text for text in said if re.search(rf"(?<![\d.,%-])\b1 (\w+ )?({nouns})\b", text)]
