"""``tracekit pull xray``: what it prints and how it ends."""

import re

import pandas as pd
import pytest
from fake_xray import BEGUN, Trace, trace_id
from typer.testing import CliRunner

from tracekit.cli import app

run = CliRunner()


def test_ids_from_standard_input_and_options(serve, tmp_path):
    serve([Trace(1), Trace(2)])
    place = str(tmp_path / "pulled")
    ran = run.invoke(app, ["pull", "xray", place, "--ids", "-", "--trace-id", trace_id(2)], input=f"{trace_id(1)}\n")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == f"Pull({place}: 2 traces: 2 returned)\n"
    checked = run.invoke(app, ["check", place])
    assert checked.exit_code == 0, checked.output
    assert "2 traces" in checked.output


def test_further_notes_are_printed(serve, tmp_path):
    server = serve([Trace(1)])
    server.destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    start, end = (pd.Timestamp(BEGUN + shift, unit="s").isoformat() for shift in (-5, 5))
    ran = run.invoke(app, ["pull", "xray", str(tmp_path / "pulled"), "--start", start, "--end", end])
    assert ran.exit_code == 0
    assert "note: Transaction Search is on: X-Ray lists about 1.5% of all traces" in ran.stdout


def test_missing_traces_are_listed(serve, tmp_path):
    server = serve([Trace(1)])
    server.never = {trace_id(1)}
    file = tmp_path / "ids"
    file.write_text("\n".join(trace_id(number) for number in range(1, 14)))
    ran = run.invoke(app, ["pull", "xray", str(tmp_path / "pulled"), "--ids", str(file), "--concurrency", "2"])
    assert ran.exit_code == 1, ran.output
    assert f"  {trace_id(1)} unprocessed\n" in ran.stdout
    assert f"  {trace_id(2)} not_found\n" in ran.stdout
    assert ran.stdout.endswith("  and 3 more\n")


def test_by_service_and_again_from_the_plan(serve, tmp_path):
    server = serve([Trace(1)])
    place = str(tmp_path / "pulled")
    start = pd.Timestamp(BEGUN - 5, unit="s").isoformat()
    end = pd.Timestamp(BEGUN + 5, unit="s").isoformat()
    options = ["--service", "web", "--start", start, "--end", end, "--sampling", "0.5", "--region", "eu-north-1"]
    assert run.invoke(app, ["pull", "xray", place, *options]).exit_code == 0
    assert "eu-north-1" in server.headers[0]["Authorization"]
    ran = run.invoke(app, ["pull", "xray", place, "--region", "eu-north-1"])
    assert (ran.exit_code, ran.stdout) == (0, f"Pull({place}: 1 trace: 1 returned)\n")
    assert server.calls["GetTraceSummaries"] == server.calls["BatchGetTraces"] == 1


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        ([], 2, "no trace IDs and no period: pass --ids"),
        (["--trace-id", "abc"], 2, "tracekit: expected a trace id as in 1-58406520"),
        (
            ["--start", "1h", "--profile", "nobody"],
            2,
            "tracekit: expected an AWS session with credentials, found ProfileNotFound",
        ),
        (["--start", "1h", "--concurrency", "0"], 2, "should be greater than or equal to 1"),
    ],
)
def test_failures_are_one_line(serve, tmp_path, options, code, expected):
    serve()
    ran = run.invoke(app, ["pull", "xray", str(tmp_path / "pulled"), *options])
    assert ran.exit_code == code
    assert expected in re.sub(r"[\s│]+", " ", ran.output)
    assert "Traceback" not in ran.output
