"""``tracekit diff``: the numbers of the notebook in every format, and exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from analysis.compare.worlds import shop
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app

run = CliRunner()
RECORDING = Path(__file__).parents[1] / "datasets" / "checkout-regression"
SIDES = [str(RECORDING / f"{name}.jsonl.zst") for name in ("baseline", "during")]
MET, OPEN, UNMET = "p95_ms of POST /checkout rises 10%", "error_rate rises 0.1 points", "error_rate rises"


def asked(*words):
    return run.invoke(app, ["diff", *SIDES, *words], env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("conditions", "code"), [([], 0), ([UNMET], 0), ([MET], 1), ([OPEN], 3), ([OPEN, UNMET], 3), ([OPEN, MET], 1)]
)
def test_the_exit_code_is_that_of_the_conditions(conditions, code):
    ran = asked(*(word for condition in conditions for word in ("--fail-if", condition)))
    assert ran.exit_code == code, ran.output


def test_the_table_names_the_planted_operation_first_and_each_outcome():
    out = asked("--fail-if", MET, "--fail-if", OPEN, "--fail-if", UNMET, "--top", "1").stdout
    first = next(line for line in out.splitlines() if line.strip().startswith("ledger "))
    assert first.split()[:10] == ["ledger", "SELECT", "entries", "more", "+17.5", "ms", "0.46", "→", "3.8", "0%"]
    assert "top 1 of 50" in out
    assert f"FAILED: {MET}: p95 of storefront POST /checkout 100 → 256 ms" in out
    assert f"CANNOT TELL: {OPEN}: " in out
    assert f"passed: {UNMET}: " in out


def test_json_has_the_numbers_of_the_notebook():
    document = json.loads(asked("--format", "json", "--fail-if", OPEN).stdout)
    changes = tk.compare(*tk.load_sample("checkout-regression"))
    for name in ("table", "edges", "endpoints", "requests", "effects"):
        assert document[name] == json.loads(getattr(changes, name).to_json(orient="records", double_precision=15))
    assert document["trace_counts"] == {"baseline": 1000, "current": 1000}
    (condition,) = document["conditions"]
    assert (condition["outcome"], condition["traces_needed"]) == ("inconclusive", 30234)


def test_junit_fails_skips_and_passes():
    suite = ET.fromstring(asked("--format", "junit", "--fail-if", MET, "--fail-if", OPEN, "--fail-if", UNMET).stdout)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert [[child.tag for child in case] for case in suite.iter("testcase")] == [
        ["failure"],
        ["skipped"],
        ["system-out"],
    ]


def test_markdown_shows_hostile_names_as_text(tmp_path):
    files = []
    for side in (1, 2):
        spans = shop(np.random.default_rng(side), 30, prefix=side).spans
        name = "<img src=x onerror=alert(1)> | `a` *b* \u001b[2J"
        spans["name"] = spans["name"].astype(str).replace("INSERT", name)
        files.append(str(tk.TraceSet.from_spans(spans).save(tmp_path / f"{side}.parquet")))
    out = run.invoke(app, ["diff", *files, "--format", "markdown"]).stdout
    row = next(line for line in out.splitlines() if "onerror" in line)
    assert "&lt;img src=x onerror=alert(1)\\> \\| \\`a\\` \\*b\\* \ufffd\\[2J" in row
    assert "<img" not in out
    assert "\u001b" not in out


@pytest.mark.parametrize(
    ("words", "message"), [(["--fail-if", "foo rises"], "METRIC is one of"), (["--by", "service_nam"], "did you mean")]
)
def test_wrong_arguments_are_refused_in_one_message(words, message):
    ran = asked(*words)
    assert ran.exit_code == 2
    assert message in " ".join(ran.output.replace("│", " ").split())


def test_a_missing_file_is_an_input_error():
    ran = run.invoke(app, ["diff", "nothing.jsonl", SIDES[1]])
    assert ran.exit_code == 2
    assert "nothing.jsonl" in ran.output
