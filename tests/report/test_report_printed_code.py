"""The code that a report prints gives the figures that it shows: every snippet is run."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from shop_traces import shop_frame

import tracekit as tk
from tracekit.report.contents import first_screen, section_codes
from tracekit.report.standard import Standard

NOT_A_NUMBER = {"unfinished"}  # its rows are what the code shows


def samples():
    before, now = tk.load_sample("checkout-regression")
    head, tail = tk.load_sample("tail-sampled", "head", "tail")
    weighted = tail.with_weights("auto")
    return {
        "against a baseline": (now, before),
        "weighted": (weighted, None),
        "weighted against weighted": (weighted, head),
        "filtered": (now.where("service_name == 'ledger'"), None),
    }


SAMPLES = samples()


def numbers(answer):
    """Every number in an answer of an analysis."""
    if isinstance(answer, tk.Findings):
        return numbers(answer.frame())
    if dataclasses.is_dataclass(answer):
        parts = [getattr(answer, field.name) for field in dataclasses.fields(answer)]
        return np.concatenate([numbers(part) for part in parts])
    if isinstance(answer, pd.DataFrame):
        return np.concatenate(
            [[], *(answer[name].to_numpy(float, na_value=np.nan) for name in answer.select_dtypes("number"))]
        )
    return np.array([answer], float) if isinstance(answer, int | float | np.number) else np.array([])


def run(code):
    """Run lines of Python; what the last one gives."""
    *lines, last = code.splitlines()
    scope = {}
    exec("\n".join(lines), scope)
    return eval(last, scope)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_code_of_every_finding_gives_its_number(name):
    standard = Standard.of(*SAMPLES[name])
    screen = first_screen(standard)
    tried = 0
    for _, finding, code in screen["findings"]:
        answer = run(code) if code else None
        if isinstance(answer, tk.Findings):
            assert finding.headline in [each.headline for each in answer]
        if finding.estimate is None or finding.check in NOT_A_NUMBER:
            continue
        assert code, finding
        value = finding.estimate.value
        found = numbers(answer)
        assert np.isclose(found, value, rtol=1e-9, atol=0).any(), (finding, code)
        for limit in (finding.estimate.low, finding.estimate.high):
            assert np.isnan(limit) or np.isclose(found, limit, rtol=1e-9, atol=0).any(), (finding, limit)
        tried += 1
    assert tried >= 2


@pytest.mark.parametrize("name", SAMPLES)
def test_the_code_of_every_section_runs(name):
    standard = Standard.of(*SAMPLES[name])
    for section, code in section_codes(standard).items():
        if section == "changes" and standard.changes is None:
            continue
        assert run(code) is not None, section


def test_the_figures_of_the_first_screen_are_those_of_public_calls():
    traces, _ = SAMPLES["weighted"]
    figures = {words: value for value, words, _ in first_screen(Standard.of(traces))["figures"]}
    rate = tk.errors(traces, by=(), roots=True).operations["error_ratio"].iloc[0]
    row = tk.latency(traces, by=(), roots=True).table.iloc[0]
    assert figures["error rate of requests"] == f"{100 * rate:.1f}%"
    assert figures["p95 of requests"] == f"{row['p95_ns'] / 1e6:.1f} ms"


def test_unfinished_and_incomplete_requests_are_found_again():
    frame = shop_frame(12).astype({"end_ns": "Int64"})
    frame.loc[frame["name"] == "GET", "parent_span_id"] = "ffffffffffffffff"
    traces = tk.TraceSet.from_spans(frame)
    found = {finding.check: finding for finding in Standard.of(traces).findings}
    assert eval(found["incomplete"].code, {"traces": traces}) == found["incomplete"].estimate.value == 0.5


def test_code_reads_the_baseline_only_where_it_uses_it():
    standard = Standard.of(*SAMPLES["against a baseline"])
    codes = [code for *_, code in first_screen(standard)["findings"] if code] + list(section_codes(standard).values())
    assert {"\nbefore = " in code for code in codes} == {True, False}
    assert all(bool(re.search(r"\bbefore\b", code.splitlines()[-1])) == ("\nbefore = " in code) for code in codes)
