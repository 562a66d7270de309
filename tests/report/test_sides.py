"""The sides of a report: one recording with good and bad minutes, and its periods."""

import re

import pandas as pd
import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.report.sides import sides_of

MINUTE = 60 * 10**9
NOON = 1_750_075_200 * 10**9  # 2025-06-16 12:00:00


def recording(minutes=60, source="ledger"):
    """A request every ten seconds; from 12:40 on version 2, ten times slower."""
    starts = [NOON + k * 10**10 for k in range(6 * minutes)]
    late = [start >= NOON + 40 * MINUTE for start in starts]
    return tk.TraceSet.from_spans(
        pd.DataFrame(
            {
                "trace_id": [f"{k:032x}" for k in range(1, len(starts) + 1)],
                "span_id": "1",
                "service_name": source,
                "resource.service.version": ["2" if bad else "1" for bad in late],
                "name": "POST /pay",
                "kind": "SERVER",
                "start_ns": starts,
                "end_ns": [
                    start + (10**8 if bad else 10**7) + k % 7 * 10**5
                    for k, (start, bad) in enumerate(zip(starts, late, strict=True))
                ],
            }
        )
    )


WHOLE = recording()


def counts(sides):
    return len(sides.traces), 0 if sides.baseline is None else len(sides.baseline)


@pytest.mark.parametrize(
    ("options", "wanted", "names"),
    [
        ({}, (360, 0), ("baseline", "current")),
        ({"split": "12:40"}, (120, 240), ("before 12:40", "from 12:40")),
        ({"period": ("12:40", "12:50")}, (60, 0), ("baseline", "current, 12:40 to 12:50")),
        (
            {"period": ("12:40", None), "baseline_period": (None, "12:30")},
            (120, 180),
            ("baseline, before 12:30", "current, from 12:40"),
        ),
        ({"baseline": recording(5)}, (360, 30), ("baseline", "current")),
        (
            {"baseline": recording(5), "baseline_period": ("12:01", "12:02")},
            (360, 6),
            ("baseline, 12:01 to 12:02", "current"),
        ),
    ],
)
def test_the_sides_are_the_periods_asked_for(options, wanted, names):
    sides = sides_of(WHOLE, **options)
    assert counts(sides) == wanted
    assert sides.names == names
    assert len(sides.recording) == 360


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"split": "16:24"}, "split: expected a window within 2025-06-16 12:00:00 to 12:59:50 UTC, .* found 16:24"),
        (
            {"split": "12:00"},
            "split: expected traces from its start to 12:00 of the recording, found none; it has 360 traces",
        ),
        ({"split": "12:40", "period": ("12:40", None)}, "expected split= alone, or .* found split= and others"),
        ({"period": "12:40"}, r"expected two times as period=, such as \('16:24', '16:40'\), found '12:40'"),
        (
            {"period": ("12:40:01", "12:40:02")},
            "period: expected traces from 12:40:01 to 12:40:02 of the recording, found none",
        ),
        ({"period": ("12:30", None), "baseline_period": (None, "12:31")}, "found 6 traces in both; set period= and"),
        ({"split": "noon"}, "split: .*noon"),
    ],
)
def test_a_side_without_traces_says_what_the_recording_has(options, told):
    with pytest.raises(ValueError, match=told):
        sides_of(WHOLE, **options)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


def test_a_split_is_a_report_with_a_baseline_and_a_timeline_with_its_deployment(tmp_path):
    page = tk.report(WHOLE, tmp_path / "split.html", split="12:40")
    words = text_of(page)
    assert "frame, from 12:40, compared with before 12:40" in words
    assert "What changed" in words
    assert "dotted lines are deployments" in words
    assert "ledger 2" in words
    assert "traces = tk.TraceSet" not in words
    assert ".between(" in words


def test_periods_without_traces_to_refer_to(tmp_path):
    with pytest.raises(ValueError, match="expected a TraceSet among the sections for split= to refer to, found none"):
        tk.report(["Text."], tmp_path / "page.html", split="12:40")


def test_the_command_line_takes_the_same(tmp_path):
    store = WHOLE.save(tmp_path / "pay.parquet")
    page = tmp_path / "report.html"
    ran = CliRunner().invoke(app, ["report", str(store), "-o", str(page), "--split", "12:40"])
    assert ran.exit_code == 0, ran.output
    assert "120 traces" in ran.output
    assert "from 12:40, compared with before 12:40" in text_of(page)
    times = ["--from", "12:40", "--to", "12:50", "--baseline-from", "12:10", "--baseline-to", "12:20"]
    ran = CliRunner().invoke(app, ["report", str(store), "-o", str(page), *times])
    assert ran.exit_code == 0, ran.output
    assert "60 traces" in ran.output
    assert "current, 12:40 to 12:50, compared with baseline, 12:10 to 12:20" in text_of(page)
    ran = CliRunner().invoke(app, ["report", str(store), "-o", str(page), "--split", "16:24"])
    assert ran.exit_code == 2
    assert "2025-06-16 12:00:00" in ran.output
