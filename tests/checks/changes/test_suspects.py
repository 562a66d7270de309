"""What is said about suspects, and what is not said where the traces do not show it."""

import re

import pandas as pd
import pytest
from analysis.suspects.planted import sides

from tracekit import TraceSet
from tracekit.analysis.suspects.compute import compute
from tracekit.checks.case import Case
from tracekit.checks.changes.suspects import findings_of, suspects_of_change

SAID = {
    ("own", "cart"): (
        r"^Likely suspect: cart\. Its GET /cart, without calls to other services: 4\.\d+ → \d+\.\d+ ms\. "
        r"Mean change per request to front GET /: \+\d\.\d+ ms \(95% CI \+\d\.\d+ to \+\d\.\d+ ms\)\. "
        r"This adds \d+(\.\d+)? ms per affected trace \(\d+ traces\), (>?9\d\.\d|100)% of the excess of all services "
        r"\(p (< 1e-12|= \de-\d\d)\)\.$"
    ),
    ("way in", "stock"): (
        r"^Likely suspect: stock\. Calls from front to stock \(GET /stock\) take longer outside the callee: "
        r"1\.\d+ → 1\d\.\d ms, mainly on the way back\."
    ),
    ("way out", "stock"): r"^Likely suspect: stock\. Calls from stock to (ledger|mail) .* mainly on the way there\.",
    ("starved", "ledger"): r"^Likely suspect: ledger\. Its GET /entries, .* ms; its calls are slower as well\.",
    ("more calls", "stock"): (
        r"^Possible suspect: stock\. Calls from stock to (ledger|mail) \(.*\) are [45]\.\d times as frequent per trace"
        r"\. .* Different requests can have the same effect\.$"
    ),
    ("early return", "cart"): (
        r"^Possible suspect: cart\. GET /cart makes other calls in 0% → 100% of 60 traces\. 60 traces affected "
        r"\(p < 1e-12\)\. Different requests can have the same effect\.$"
    ),
    ("unanswered", "stock"): (
        r"^Possible suspect: stock\. Calls to it by front call stock have no server span in 0% → 100% of 60 traces\."
    ),
    ("failing", "ledger"): (
        r"^Likely suspect: ledger\. GET /entries fails, and no call below it does, in 0% → 100% of 60 traces\."
    ),
    ("unanswered failing", "ledger"): (
        r"^Likely suspect: ledger\. Calls to it by (cart|stock) call ledger fail without a server span in 0% → 100% of"
    ),
}


@pytest.mark.parametrize(("fault", "service"), SAID)
def test_a_suspect_in_words(fault, service):
    finding = findings_of(compute(*sides(fault, service)))[0]
    assert re.search(SAID[fault, service], finding.headline), finding.headline
    assert finding.severity == ("warning" if finding.headline.startswith("Likely") else "notice")
    assert finding.values["service_name"] == service  # noqa: PD011 - of a finding
    assert len(finding.exemplars) == 2
    assert not finding.evidence.empty
    assert finding.code == "tk.suspects(before, traces)"
    assert "sampling weights unknown" in finding.assumptions[0]


@pytest.mark.parametrize("fault", ["own", "way in"])
def test_the_estimate_is_the_change_per_request(fault):
    baseline, current = sides(fault, "stock")
    finding = findings_of(compute(baseline, current))[0]
    change = current.summary["root_duration_ns"].mean() - baseline.summary["root_duration_ns"].mean()
    assert 0 < finding.estimate.low < finding.estimate.value < finding.estimate.high
    assert finding.estimate.value == pytest.approx(change, rel=0.25)


def test_the_pod_with_the_fault_is_named():
    finding = findings_of(compute(*sides("own", "stock", instance="stock-1", current=150, size=6)))[0]
    assert re.search(r"% of it is in pod stock-1 \(\d\d traces\)\.$", finding.headline), finding.headline


def test_no_change_is_an_answer():
    (finding,) = findings_of(compute(*sides()))
    assert re.fullmatch(
        r"The traces show no significant change: no service is suspected \(\d+ operations and calls tested, "
        r"n = 150 → 60 traces\)\.",
        finding.headline,
    )
    assert (finding.severity, finding.status) == ("info", "ok")


def test_the_same_traces_twice_are_said_to_be_so():
    baseline, _ = sides()
    (finding,) = findings_of(compute(baseline, baseline))
    assert finding.headline.endswith(" 150 traces are on both sides, which hides changes.")


def test_operations_without_a_baseline_are_said_to_be_untested():
    baseline, current = sides()
    spans = current.spans
    roots = spans[spans["parent_row"] < 0].head(10)
    added = roots.assign(trace_id=[f"{k + 1:032x}" for k in range(10)], name="GET /new")
    (finding,) = findings_of(compute(baseline, TraceSet.from_spans(pd.concat([spans, added], ignore_index=True))))
    assert finding.headline.endswith(" 1 operation has fewer than 5 baseline traces and could not be tested.")


def test_sides_that_are_not_comparable_name_nobody():
    baseline, current = sides("own", "cart")
    (finding,) = findings_of(compute(baseline.with_weights(2), current))
    assert finding.headline == (
        "Not comparable: sampling weights are known for the baseline traces only, so any difference may be caused by "
        "sampling. No service is suspected."
    )
    assert finding.status == "not_assessable"


@pytest.mark.parametrize(
    ("baseline", "current", "missing"),
    [
        (0, 60, "traces on the baseline side."),
        (150, 0, "traces on the current side."),
        (150, 1, "an operation with at least 5 baseline and 3 current traces (150 baseline traces, 1 current trace)."),
        (4, 60, "an operation with at least 5 baseline and 3 current traces (4 baseline traces, 60 current traces)."),
    ],
)
def test_missing_traces_are_said_to_be_missing(baseline, current, missing):
    both = [
        side.where(side.forest.trace < size)
        for side, size in zip(sides("own", "cart"), (baseline, current), strict=True)
    ]
    (finding,) = findings_of(compute(*both))
    assert finding.headline == f"Suspects not assessable: needs {missing}"


def test_the_check_says_nothing_without_a_suspect():
    baseline, current = sides()
    assert suspects_of_change(Case(current)) == []
    assert suspects_of_change(Case(current, baseline=Case(baseline))) == []
    assert suspects_of_change(Case(current.with_weights(3), baseline=Case(baseline))) == []


def test_the_check_and_the_function_say_the_same():
    baseline, current = sides("own", "cart")
    case = suspects_of_change(Case(current, baseline=Case(baseline)))
    assert [one.headline for one in case] == [
        one.headline for one in findings_of(compute(baseline, current, with_recovery=True))
    ]


def test_hostile_names_are_cleaned():
    baseline, current = sides("own", "cart")
    evil = "cart\u202e\x00<b>" + "x" * 200
    renamed = (
        TraceSet.from_spans(
            side.spans.assign(service_name=side.spans["service_name"].astype(str).replace("cart", evil))
        )
        for side in (baseline, current)
    )
    headline = findings_of(compute(*renamed))[0].headline
    assert "\u202e" not in headline
    assert "\x00" not in headline
    assert len(headline) < 500


def test_the_recovery_is_said_with_its_interval():
    finding = findings_of(compute(*sides("starved", "stock"), with_recovery=True))[0]
    assert re.search(
        r"Without it, the mean latency would be 3\d\.\d ms lower \(95% CI 3\d\.\d–4\d\.\d ms; simulated\)\.$",
        finding.headline,
    ), finding.headline
