"""``tk.investigate``: the steps, a baseline inside a recording, what fails, and what it shows."""

import re

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import EPOCH, MS, Shop

import tracekit as tk
from tracekit.checks import registry
from tracekit.checks.registry import Check
from tracekit.investigation import steps as running
from tracekit.investigation.steps import STEPS


def numbers(line):
    return line.values  # noqa: PD011 - not a frame


@pytest.fixture(scope="module")
def both():
    return tk.load_sample("checkout-regression")


@pytest.fixture(scope="module")
def case(both):
    before, during = both
    return tk.investigate(during, before)


def test_the_findings_are_those_of_the_report(both, case, tmp_path):
    """Nothing is computed twice: the page has the same findings as the object."""
    before, during = both
    direct = tk.report(during, tmp_path / "direct.html", baseline=before, title="x").read_text()
    through = case.report(tmp_path / "through.html", title="x").read_text()
    for line in case.first_screen:
        assert line.headline[:30].replace("×", "") in through.replace("×", "")
    ids = [set(re.findall(r'id="(finding-[\w-]+)"', page)) for page in (direct, through)]
    assert ids[0] == ids[1]


def test_the_steps_count_their_findings(case):
    assert case.steps["step"].tolist() == [step.name for step in STEPS]
    assert case.steps["finding_count"].sum() == len(case.findings)


def test_chosen_steps_only(both):
    before, during = both
    case = tk.investigate(during, before, steps=["data"])
    assert {one.check for one in case.findings} <= {"weights", "lost", "unfinished", "incomplete"}
    assert "cause" not in case.first_screen
    with pytest.raises(ValueError, match=r"expected steps among quality, .*, found 'weather'"):
        tk.investigate(during, before, steps=["weather"])


def test_progress_is_told_for_each_step(both):
    before, during = both
    told = []
    tk.investigate(during, before, on_step=lambda *step: told.append(step))
    assert [title for title, *_ in told] == [*(step.title for step in STEPS), "First screen"]
    assert [(at, of) for _, at, of in told] == [(at, len(STEPS)) for at in range(len(STEPS) + 1)]


def broken(_):
    raise ZeroDivisionError("no \x1b")


def test_a_failed_check_is_a_finding_and_stops_no_other(both, case, monkeypatch):
    before, during = both
    checks = [Check(one.name, one.topic, one.needs, broken if one.name in {"change", "tail"} else one.run, one.weakens)
              for one in registry.CHECKS]  # fmt: skip
    monkeypatch.setattr(running, "CHECKS", tuple(checks))
    found = tk.investigate(during, before)
    (failed,) = [one for one in found.findings if one.check == "failed"]
    told = "2 parts of the investigation were not finished (change, tail): "
    told += "ZeroDivisionError: no \N{REPLACEMENT CHARACTER}."
    assert failed.headline == told
    assert failed.severity == "warning"
    assert "in broken" in failed.evidence["traceback"].iloc[0]
    others = {one.headline for one in case.findings if one.check not in {"change", "tail"}}
    assert others == {one.headline for one in found.findings if one.check != "failed"}
    assert found.first_screen["headline"].headline == case.first_screen["headline"].headline


def test_a_failed_line_is_a_finding_and_stops_no_other(both, case, monkeypatch):
    before, during = both
    lines = [line._replace(make=broken) if line.name == "screen.affected" else line for line in running.LINES]
    monkeypatch.setattr(running, "LINES", tuple(lines))
    found = tk.investigate(during, before)
    assert [numbers(one)["checks"] for one in found.findings if one.check == "failed"] == [["screen.affected"]]
    assert len(found.first_screen) == len(case.first_screen) - 1


def test_an_interruption_is_no_failed_step(both, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "CHECKS", tuple(one._replace(run=interrupted) for one in registry.CHECKS))
    with pytest.raises(KeyboardInterrupt):
        tk.investigate(both[1])


def test_the_order_of_spans_does_not_matter(both, case):
    before, during = (tk.TraceSet.from_spans(side.spans.sample(frac=1, random_state=1)) for side in both)
    again = tk.investigate(during, before)
    kept = ("headline", "period", "started", "cause", "actions")  # frames have no attributes, so nobody is named
    assert [again.first_screen[name].headline for name in kept[:1]] == [
        case.first_screen[name].headline for name in kept[:1]
    ]


def test_the_traces_are_left_as_they_are(both):
    before, during = both
    sums = [pd.util.hash_pandas_object(side.spans[["span_id", "start_ns", "end_ns"]]).sum() for side in both]
    tk.investigate(during, before)
    assert sums == [
        pd.util.hash_pandas_object(s.spans[["span_id", "start_ns", "end_ns"]]).sum() for s in (before, during)
    ]


def test_request_counts_and_rules_are_used(both):
    before, during = both
    requests = pd.DataFrame({"count": [4_000]})
    found = tk.investigate(during, before, requests=requests, rules=0.25)
    names = {one.check for one in found.findings}
    assert {"rate.observed", "rate.configured"} <= names
    assert not [one for one in found.findings if one.status == "not_assessable"]


def test_deployments_that_the_user_gives(both):
    before, during = both
    found = tk.investigate(during, before, deployments={"flag new-billing": "2026-11-21T04:59"})
    assert "Deployments: flag new-billing at 2026-11-21 04:59:00 UTC." in found.first_screen["changed"].headline


def test_objective_and_prices_are_sections_of_the_report(both, tmp_path):
    before, during = both
    found = tk.investigate(during.with_weights(1), before.with_weights(1), slo={"objective": 0.99, "latency_ms": 200})
    assert 'id="slo"' in found.report(tmp_path / "a.html").read_text()
    with pytest.raises(ValueError, match=r"expected slo= as an objective or arguments of tk\.slo"):
        tk.investigate(during, before, slo={"target": 1})


def test_both_have_to_be_traces(both):
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.investigate, found str"):
        tk.investigate(both[1], "before.jsonl")


def test_a_notebook_shows_the_screen_and_the_latency_over_time(case):
    shown = case._repr_mimebundle_()
    assert shown["text/plain"] == repr(case)
    assert "<b>Do now</b> 1. Roll back ledger to 1.4.0." in shown["text/html"]
    assert shown["text/html"].count("<img") == 1
    assert str(case).splitlines()[0] == "storefront POST /checkout p95 regressed 2.55×: 100 → 256 ms. [critical]"


# ------------------------------------------------------------------ a baseline inside


def world(seed, parts):
    """One recording of several stretches: the fault of each, and its number of requests, one a second."""
    rng, begin, sets = np.random.default_rng(seed), EPOCH, []
    for fault, n in parts:
        sets.append(Shop(rng, fault, "ledger", size=2).traces(n, begin=begin))
        begin += n * 1000 * MS
    total = sets[0]
    for more in sets[1:]:
        total = total + more
    return total.with_weights(1)


def test_before_the_onset():
    found = tk.investigate(world(1, [("", 400), ("own", 300)]))
    assert found.baseline.kind == "before the onset"
    assert found.severity == "critical"
    onset = numbers(found.first_screen["started"])
    assert onset["low_ns"] <= EPOCH + 400_000 * MS <= onset["high_ns"]
    assert numbers(found.first_screen["cause"])["service_name"] == "ledger"
    assert "No baseline given: compared with the traces before 2025-05-14 14:" in found.first_screen["period"].headline


def test_a_change_that_is_over():
    found = tk.investigate(world(2, [("", 300), ("own", 300), ("", 300)]))
    assert found.baseline.kind == "before the onset"
    assert "Recovered at " in found.first_screen["started"].headline
    assert found.severity == "warning"


def test_before_a_release(both):
    before, during = both
    found = tk.investigate(before + during)
    assert found.baseline.kind == "before a release"
    assert len(found.baseline.before) == len(before)  # the request that first ran on the new version is not in it
    assert numbers(found.first_screen["changed"])["releases"][0]["version"] == "1.5.0"


@pytest.mark.parametrize(
    ("time", "told"),
    [
        ("2026-11-21T04:59:03", "ledger 1.5.0, deployed 2026-11-21 04:59:03 UTC"),
        ("2026-11-20T04:59:03", "ledger 1.5.0, first seen 2026-11-21 04:59:03 UTC"),  # before the recording
    ],
)
def test_before_a_deployment_that_the_user_gives(both, time, told):
    before, during = both
    found = tk.investigate(before + during, deployments={"ledger 1.5.0": time})
    assert found.baseline.kind == "before a release"
    assert found.baseline.statement.endswith(told)
    assert numbers(found.first_screen["cause"])["service_name"] == "ledger"


@pytest.mark.parametrize(
    ("parts", "kind"),
    [([("", 300)], "fast"), ([("failing", 1), ("", 30)] * 9, "succeeded"), ([("", 5)], "none")],
)
def test_outcomes_are_no_earlier_state(parts, kind):
    found = tk.investigate(world(3, parts))
    assert found.baseline.kind == kind
    assert found.baseline.before is None
    assert found.severity != "critical"
    assert "No baseline given" in found.first_screen["period"].headline


def test_where_every_request_failed_nothing_is_compared():
    spans = world(3, [("", 60)]).spans
    spans.loc[spans["parent_span_id"].isna(), "status_code"] = "ERROR"
    found = tk.investigate(tk.TraceSet.from_spans(spans))
    assert found.baseline.kind == "none"
    assert found.baseline.statement == "No baseline given, and every request failed: there is nothing to compare with"
    assert "succeeded" not in found.first_screen["period"].headline


def test_no_traces_at_all(both):
    found = tk.investigate(both[0].head(0))
    assert found.baseline.kind == "none"
    assert found.severity != "critical"
    assert found.first_screen.headline.headline == "The data contain no traces."


@pytest.mark.parametrize("empty", ["current", "baseline"])
def test_an_empty_side_has_no_empty_line(both, empty):
    sides = (both[0].head(0), both[1]) if empty == "current" else (both[1], both[0].head(0))
    for found in (tk.investigate(*sides), tk.investigate(sides[0])):
        assert all(line.headline for line in found.first_screen)
    found = tk.investigate(*sides)
    assert "changed" not in found.first_screen
    named = {
        "current": "The data contain no traces.",
        "baseline": "The baseline contains no traces: there is nothing to compare with.",
    }
    assert found.first_screen.headline.headline == named[empty]


def test_no_versions_are_asked_for_of_no_traces(both, tmp_path):
    page = tk.investigate(both[0].head(0), both[1]).postmortem(tmp_path / "p.md").read_text(encoding="utf-8")
    assert "The data contain no traces." in page
    assert "service.version" not in page


def test_one_trace_is_too_few_to_compare():
    before, during = tk.load_sample("checkout-regression")
    line = tk.investigate(during.head(1), before).first_screen["headline"]
    assert line.headline == "Too few traces to compare (n = 1,000 → 1): no statement on a regression."
    assert (line.severity, line.status) == ("notice", "inconclusive")
