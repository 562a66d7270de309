"""A pull that was cut at a limit is a sample with a bias of its own."""

import json

import pandas as pd
import pytest

import tracekit as tk

SPAN = {
    "traceId": f"{1:032x}",
    "spanId": f"{2:016x}",
    "name": "GET /",
    "kind": 2,
    "startTimeUnixNano": "1760000000000000000",
    "endTimeUnixNano": "1760000000005000000",
}
TRACE = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
WINDOW = {
    "pull": "a", "backend": "tempo", "server": "http://tempo:3200", "version": "2.8.1", "query": "GET /api/search",
    "start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:54:00Z", "cap": 100, "trace_count": 1,
}  # fmt: skip
STATUS = {"pull": "a", "requested_count": 200, "missing_count": 0, "open_count": 0}


def found(*parts):
    lines = [TRACE, *({"tracekitPull": part} for part in parts)]
    traces = tk.read("\n".join(map(json.dumps, lines)).encode())
    assert traces.sources["quarantined_count"].sum() == 0
    return next(one for one in tk.sampling(traces) if one.check == "pull.truncation"), traces


def window(truncation, selection="first_found"):
    return {**WINDOW, "truncation": truncation, "selection": selection}


@pytest.mark.parametrize(
    ("parts", "status", "headline"),
    [
        ([window("excluded"), STATUS], "ok", "Pull complete: no window of 1 reached the limit of the backend."),
        (
            [window("proven"), window("excluded"), STATUS],
            "failed",
            "Pull incomplete: 1 of 2 windows are truncated, so these traces are a sample (those found first).",
        ),
        (
            [window("unknown", "newest"), STATUS],
            "warning",
            "Pull incomplete: 1 of 1 window may be truncated, so these traces are a sample (the newest).",
        ),
        (
            [window("excluded"), {**STATUS, "missing_count": 3, "partial": ["b"]}],
            "warning",
            "Pull incomplete: 3 of 200 traces did not arrive; 1 trace is partial.",
        ),
        (
            [window("excluded"), {**STATUS, "open_count": 4}],
            "warning",
            "Pull incomplete: at least 4 windows not searched.",
        ),
        ([window("excluded")], "warning", "Pull incomplete: 1 pull stopped before its end."),
        (
            [window("excluded"), {**STATUS, "missing_count": 3}, STATUS],
            "ok",
            "Pull complete: no window of 1 reached the limit of the backend.",
        ),
    ],
)
def test_what_the_ledger_says(parts, status, headline):
    finding, _ = found(*parts)
    assert (finding.status, finding.headline) == (status, headline)
    assert len(finding.evidence) == sum("query" in part for part in parts)


def test_traces_that_were_not_pulled_are_not_assessed():
    finding, _ = found()
    assert finding.status == "not_assessable"


def test_the_first_screen_of_a_report_says_so(tmp_path):
    _, traces = found(window("proven"), STATUS)
    page = tk.report(traces, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Pull incomplete: 1 of 1 window" in page


def test_the_ledger_survives_a_union():
    _, traces = found(window("proven"), STATUS)
    both = traces + tk.TraceSet.from_spans(traces.spans.assign(trace_id="b" * 32))
    finding = next(one for one in tk.sampling(both) if one.check == "pull.truncation")
    assert isinstance(finding.evidence, pd.DataFrame)
    assert finding.status == "failed"
