"""New log lines of failing requests: named where they were planted, and never in halves of one recording."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from checks.healthy_worlds import healthy
from checks.logs.log_worlds import failing, lines_of

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.logs.new_lines import new_log_lines
from tracekit.checks.registry import run_checks

CLAIMS = re.compile(r'<script[^>]*id="tracekit-claims".*?</script>', re.DOTALL)


def case_of(current, baseline, lines):
    """The case of a report with log lines."""
    return Case(current, baseline=Case(baseline), logs=tk.logs(current, lines, baseline=baseline))


def halves(traces, rng):
    """Two random halves of the requests."""
    chosen = rng.random(len(traces)) < 0.5
    return traces.where(chosen[traces.forest.trace]), traces.where(~chosen[traces.forest.trace])


def said(case):
    """The sentence of the check; empty without a finding."""
    return " ".join(found.headline for found in new_log_lines(case))


@pytest.fixture(scope="module")
def incident():
    return tk.load_sample("cascading-failure")


def planted(baseline, current, rng, text="ledger refused card 4711 of jo.smith@example.org", share=1.0):
    """Lines of both sides, with one that only failing requests of the current side have."""
    first = np.zeros(len(current.spans), bool)
    first[current.forest.root_row] = True
    chosen = first & failing(current) & (rng.random(len(first)) < share)
    return pd.concat(
        [lines_of(baseline, rng), lines_of(current, rng, also=[(chosen, "ERROR", text)])], ignore_index=True
    )


def test_a_line_that_only_failing_requests_have_is_named_and_masked(incident):
    baseline, current = incident
    rng = np.random.default_rng(1)
    case = case_of(current, baseline, planted(baseline, current, rng))
    (found,) = [one for one in run_checks(case, ["changes"]) if one.check == "new_log_lines"]
    assert found.severity == "warning"
    assert "`ledger refused card <n> of jo...rg (20 characters)`" in found.headline
    assert "jo.smith" not in found.headline + found.evidence.to_string()
    count = int(current.is_error[current.forest.root_row].sum())
    assert re.search(rf"\({count} of {count} failing and 0 of \d+ other traces\)", found.headline)
    assert (found.estimate.value, found.estimate.n) == (1.0, count)
    assert set(found.exemplars) <= set(current.summary.index[current.summary["is_error"]])
    assert found.code == "tk.logs(traces, frame, baseline=before).new"


def test_a_line_of_failing_and_other_requests_alike_is_not_named(incident):
    baseline, current = incident
    rng = np.random.default_rng(2)
    roots = np.zeros(len(current.spans), bool)
    roots[current.forest.root_row] = True
    everywhere = lines_of(current, rng, also=[(roots, "ERROR", "started version 5 of it")])
    case = case_of(current, baseline, pd.concat([lines_of(baseline, rng), everywhere], ignore_index=True))
    new = case.logs.new.set_index("template")
    assert new.loc["started version <n> of it", ["trace_count", "is_significant"]].tolist() == [len(current), False]
    assert "started version" not in said(case)


def test_lines_that_the_baseline_did_not_collect_are_not_new(incident):
    baseline, current = incident
    rng = np.random.default_rng(3)
    lines = planted(baseline, current, rng)
    service = str(current.spans["service_name"].iloc[current.forest.root_row[0]])
    of_baseline = lines["trace_id"].isin(baseline.trace_ids)
    kept = lines[~(of_baseline & (lines["service"] == service))]
    assert "ledger refused" not in said(case_of(current, baseline, kept))
    assert "ledger refused" in said(case_of(current, baseline, lines))


def test_lines_that_are_joined_by_time_only_are_no_evidence(incident):
    baseline, current = incident
    lines = planted(baseline, current, np.random.default_rng(4)).assign(trace_id=None, span_id=None)
    assert new_log_lines(case_of(current, baseline, lines)) == []


def test_sides_that_were_sampled_differently_are_not_compared(incident):
    baseline, current = incident
    lines = planted(baseline, current, np.random.default_rng(5))
    assert new_log_lines(case_of(current.with_weights(10), baseline, lines)) == []
    assert len(new_log_lines(case_of(current.with_weights(1), baseline.with_weights(1), lines))) == 1


def test_a_baseline_that_was_sampled_less_has_to_show_more(incident):
    """With a weight of 100 on one baseline trace, its traces could have missed the template by sampling."""
    baseline, current = incident
    lines = planted(baseline, current, np.random.default_rng(6))
    even = tk.logs(current.with_weights(1), lines, baseline=baseline.with_weights(1)).new
    heavy = dict.fromkeys(baseline.trace_ids, 1.0) | {baseline.trace_ids[0]: 1e4}
    uneven = tk.logs(current.with_weights(1), lines, baseline=baseline.with_weights(heavy)).new
    assert even["p_value"].iloc[0] < 1e-3 < uneven["p_value"].iloc[0]


@pytest.mark.parametrize("name", ["retry-storm", "checkout-regression", "cascading-failure"])
def test_two_halves_of_one_recording_have_no_new_lines(name):
    """An incident in both halves, with rare lines and lines of failing requests only: nothing is new."""
    rng = np.random.default_rng(7)
    current = tk.load_sample(name)[1]
    for _ in range(4):
        first = np.zeros(len(current.spans), bool)
        first[current.forest.root_row] = True
        chosen = first & failing(current) & (rng.random(len(first)) < 0.3)
        lines = lines_of(current, rng, also=[(chosen, "ERROR", "connection 5 refused")], rare=0.003)
        found = case_of(*halves(current, rng), lines)
        assert new_log_lines(found) == []


@pytest.mark.parametrize("world", ["even", "skewed clocks", "two samplers"])
def test_two_healthy_recordings_have_no_new_lines(world):
    rng = np.random.default_rng(8)
    for _ in range(3):
        current, baseline = (healthy(rng, world, n, failing=0.03)[0] for n in (150, 150))
        lines = pd.concat([lines_of(one, rng) for one in (current, baseline)], ignore_index=True)
        assert new_log_lines(case_of(current, baseline, lines)) == []


def test_a_report_shows_the_finding_and_the_templates_of_failing_requests(incident, tmp_path):
    baseline, current = incident
    lines = planted(
        baseline, current, np.random.default_rng(9), text="<b>card</b> of jo.smith@example.org\x1b[31m refused"
    )
    file = tmp_path / "app.jsonl.gz"
    file.write_bytes(gzip.compress(lines.to_json(orient="records", lines=True).encode()))
    page = tk.report(current, tmp_path / "page.html", baseline=baseline, logs=file).read_text(encoding="utf-8")
    assert 'id="finding-new_log_lines"' in page
    assert '<section id="logs"' in page
    assert "&lt;b&gt;card&lt;/b&gt; of [email] refused" in page
    assert "<b>card</b>" not in page
    assert "jo.smith" not in page
    assert "tk.logs(traces, &#39;app.jsonl.gz&#39;, baseline=before).templates" in page
    assert str(tmp_path) not in page


def test_a_report_without_telling_lines_has_no_section(incident, tmp_path):
    _, current = incident
    quiet = pd.DataFrame({"time": current.spans["start_ns"].head(5), "message": "started", "level": "INFO"})
    page = tk.report(current, tmp_path / "page.html", logs=quiet).read_text(encoding="utf-8")
    assert 'id="logs"' not in page
    other = tk.report(current, tmp_path / "other.html").read_text(encoding="utf-8")
    assert page != other, "the claims name the log lines as an input"
    assert CLAIMS.sub("", page) == CLAIMS.sub("", other)


def test_lines_for_a_report_without_traces_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a TraceSet among the sections for logs= to refer to, found none"):
        tk.report(["text"], tmp_path / "page.html", logs=b"{}")
