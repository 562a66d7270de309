"""``tk.sampling`` as a whole: every check speaks, none says ok without its inputs, nothing else changes."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from checks.sampling.simulators import EPOCH_NS, population, random_ids, said, status, thinned_ids, traces_of

import tracekit as tk
from tracekit.checks.case import build_case
from tracekit.checks.registry import CHECKS
from tracekit.checks.verdicts import worst_status
from tracekit.weights.known import UNKNOWN

NAMES = {
    "rate.observed", "rate.configured", "coverage.funnel", "capture.errors", "absence", "mix.head", "bias.attribute",
    "bias.tail", "bias.reservoir", "weights.sanity", "evidence.loss", "tail.truncation", "paths.unseen", "calibrate",
    "id.random", "id.forensic", "ingest.horizon", "pull.truncation",
}  # fmt: skip
RNG = np.random.default_rng(70)
COUNTS = pd.DataFrame({"route": ["/a", "/b"], "status": [200, 200], "count": [6000, 6000]})
RULES = [{"RuleName": "Default", "FixedRate": 0.05, "ReservoirSize": 0}]


def shop(n=400, **columns):
    return traces_of(RNG, n, http_route=np.tile(["/a", "/b"], n // 2), **columns)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rules": RULES},
        {"requests": COUNTS},
        {"rules": RULES, "requests": COUNTS, "expected": {"incident": 20, "rate": 0.05}},
        {"log": pd.DataFrame({"trace_id": [f"{n:032x}" for n in range(99)], "route": "/a", "status": 500})},
    ],
)
@pytest.mark.parametrize("n", [0, 2, 400])
def test_every_check_returns_a_finding_for_any_input(given, n):
    found = tk.sampling(shop(400).where(np.arange(400) < n), **given)
    assert {finding.check for finding in found} == NAMES
    assert {check.name for check in CHECKS if check.topic == "sampling"} == NAMES
    for finding in found:
        assert "status" in finding.evidence
        assert finding.headline.endswith(".")
        assert finding.code.startswith("tk.sampling(traces")
        assert not re.search(r"\bp\s*[=<]\s*0|p-value|\bnan\b|\bNone\b(?! of)", finding.headline), finding.headline


def test_nothing_is_ok_without_its_inputs():
    """Traces alone cannot prove a sample good: only what the ids themselves show may be ok."""
    found = tk.sampling(shop())
    ok = {f.check for f in found if set(f.evidence["status"]) == {"ok"}}
    assert ok <= {"id.random"}
    for finding in found:
        if "not_assessable" in set(finding.evidence["status"]):
            assert "not assessable: needs " in finding.headline


def test_every_number_comes_with_its_n():
    found = tk.sampling(shop(), rules=RULES, requests=COUNTS)
    for finding in found:
        if finding.estimate is not None:
            assert finding.estimate.n > 0, finding.check
            assert finding.estimate.low <= finding.estimate.value <= finding.estimate.high, finding.check
            assert re.search(r"\d", finding.headline), finding.check


def test_the_traces_and_frames_stay_as_they_were():
    traces, requests, rules = shop(), COUNTS.copy(), json.loads(json.dumps(RULES))
    before, weights = traces.spans.copy(), traces.weights.value.copy()
    first = tk.sampling(traces, rules=rules, requests=requests)
    again = tk.sampling(traces, rules=rules, requests=requests)
    assert [f.headline for f in first] == [f.headline for f in again]
    pd.testing.assert_frame_equal(traces.spans, before)
    pd.testing.assert_frame_equal(requests, COUNTS)
    assert rules == RULES
    assert traces.weights.value.tolist() == weights.tolist()
    assert set(traces.weights.sources) == {UNKNOWN}


def test_the_order_of_the_rows_is_no_matter():
    traces = shop()
    frame = traces.spans.drop(columns=["trace_state"])
    shuffled = tk.TraceSet.from_spans(frame.sample(frac=1, random_state=1))
    one, other = (
        tk.sampling(t, rules=RULES, requests=r)
        for t, r in ((tk.TraceSet.from_spans(frame), COUNTS), (shuffled, COUNTS.iloc[::-1]))
    )
    assert sorted(f.headline for f in one) == sorted(f.headline for f in other)


def test_own_weights_are_kept_and_the_others_resolved():
    state = np.where(np.arange(400) < 90, "ot=th:8", None)
    halves = zip(thinned_ids(RNG, 90, "OpenTelemetry consistent sampling", 0.5), random_ids(RNG, 310), strict=True)
    case = build_case(traces_of(RNG, ids=tuple(map(np.concatenate, halves)), trace_state=state), rules=0.05).weighted
    assert case.traces.weights.sources == {"rule, fixed rate": 310, "tracestate ot=th": 90}
    given = build_case(shop().with_weights(7), rules=0.05).weighted
    assert given.traces.weights.sources == {"given": 400}


def test_the_most_severe_come_first_and_are_shown_in_a_notebook():
    world = population(RNG, 4000)
    pi = np.where(world.failed, 1.0, 0.1)
    kept = RNG.random(4000) < pi
    traces = traces_of(RNG, start_ns=EPOCH_NS + np.arange(kept.sum()) * 10**7 + 3, failed=world.failed[kept])
    failed = traces.is_error[traces.forest.root_row]
    found = tk.sampling(traces.with_weights(np.where(failed, 1.0, 10.0)))
    assert found.worst == "critical"
    assert found[0].check == "bias.tail"
    assert "biased: every failing request was kept" in found._repr_html_()
    assert found.frame().shape[0] == len(found)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"margin": 0}, "expected a margin above 0, such as 0.1, found 0"),
        ({"rules": "nowhere.toml"}, "nowhere.toml"),
        ({"rules": {"a": 1}}, "expected an X-Ray rule list"),
        ({"requests": pd.DataFrame({"count": [-1]})}, "expected a count of 0 or more in row 0, found -1"),
        ({"expected": {"rates": 1}}, "expected any of attributes, capture, .* as expectations, found rates"),
        ({"expected": {"rate": 0}}, "expected rate above 0 and up to 1, found 0"),
        ({"expected": {"capture": 90}}, "expected capture above 0 and up to 1, found 90"),
        (
            {"expected": {"incident": "big"}},
            "expected incident as a number of occurrences and of traces needed, found 'big'",
        ),
        ({"expected": {"incident": (3, 0)}}, r"found \(3, 0\)"),
        ({"expected": {"incident": (3,)}}, r"found \(3,\)"),
        ({"expected": {"stages": {"lost": 1}}}, "expected stages among instrumented, sampled, indexed, found lost"),
        ({"expected": {"collector": {"otelcol_x": 1}}}, "expected counters of the collector among .*, found otelcol_x"),
        (
            {"expected": {"collector": {"otelcol_processor_dropped_spans": -1}}},
            "expected the increase of otelcol_processor_dropped_spans \\(0 or more\\), found -1",
        ),
        ({"expected": {"collector": {"otelcol_processor_dropped_spans": "3"}}}, "\\(0 or more\\), found '3'"),
    ],
)
def test_what_cannot_be_is_refused(given, text):
    with pytest.raises((ValueError, FileNotFoundError), match=text):
        tk.sampling(shop(10), **given)


def test_the_worst_part_is_the_verdict():
    assert worst_status(["ok", "measured"]) == "measured"
    assert worst_status(["not_assessable", "ok"]) == "not_assessable"


def test_samples_are_assessed_without_a_fault():
    for name in ("checkout-regression", "checkout-xray"):
        loaded = tk.load_sample(name)
        traces = loaded[1] if isinstance(loaded, tuple) else loaded
        found = tk.sampling(traces)
        assert {finding.check for finding in found} == NAMES
        assert not any(finding.severity == "critical" for finding in found), found
        assert "The low bits of trace IDs are random" in said(found, "id.random") or status(found, "id.random") == [
            "not_assessable"
        ]


def test_checks_lack_the_input_that_the_registry_lists():
    missing = {
        finding.check for finding in tk.sampling(shop()) + tk.quality(shop()) if finding.status == "not_assessable"
    }
    stated = {check.name for check in CHECKS if check.needs and check.topic in {"quality", "sampling"}}
    assert stated <= missing, stated - missing
