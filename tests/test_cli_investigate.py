"""``tracekit investigate``: the first screen in a terminal, as JSON, and exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app

run = CliRunner()
RECORDING = Path(__file__).parents[1] / "datasets" / "checkout-regression"
DURING, BASELINE = (str(RECORDING / f"{name}.jsonl.zst") for name in ("during", "baseline"))


def asked(*words):
    return run.invoke(app, ["investigate", *words], env={"COLUMNS": "160"})


def test_the_first_screen_is_that_of_the_notebook():
    ran = asked(DURING, "--baseline", BASELINE)
    assert ran.exit_code == 0, ran.output
    before, during = tk.load_sample("checkout-regression")
    said = " ".join(ran.stdout.split())
    for line in tk.investigate(during, before).first_screen:
        assert " ".join(line.headline.split()) in said
    assert said.startswith("critical storefront POST /checkout p95 regressed")
    assert ran.stderr == "", "progress is for terminals"


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--fail"], 1)])
def test_the_exit_code_says_whether_users_are_hurt(words, code):
    assert asked(DURING, "--baseline", BASELINE, *words).exit_code == code
    assert asked(BASELINE, *words).exit_code == 0


def test_json_has_the_lines_the_numbers_and_all_findings():
    document = json.loads(asked(DURING, "--baseline", BASELINE, "--json").stdout)
    lines = {line["line"]: line for line in document["first_screen"]}
    assert document["severity"] == lines["headline"]["severity"] == "critical"
    assert lines["actions"]["values"]["roll_back"] == "ledger"
    assert lines["changed"]["values"]["releases"][0]["version"] == "1.5.0"
    assert lines["started"]["values"]["is_ongoing"] is True
    assert {"slower", "suspects", "change"} <= {finding["check"] for finding in document["findings"]}


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_what_is_printed_is_redacted_if_asked(words):
    mail = "jo.smith@example.org"
    words = [DURING, "--baseline", BASELINE, "--deployment", f"{mail}=2026-11-21T04:59", *words]
    assert mail in asked(*words).stdout
    ran = asked(*words, "--redact", "default")
    assert ran.exit_code == 0, ran.output
    assert mail not in ran.stdout
    assert "[email]" in ran.stdout


def test_the_report_is_written_too(tmp_path):
    ran = asked(DURING, "--baseline", BASELINE, "-o", str(tmp_path / "a.html"))
    assert ran.exit_code == 0, ran.output
    assert 'id="first-screen"' in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_inputs_are_used(tmp_path):
    requests = tmp_path / "requests.csv"
    requests.write_text("time,count\n2026-11-21T04:59:00Z,1000\n")
    ran = asked(DURING, "--baseline", BASELINE, "--deployment", "flag x=2026-11-21T04:59", "--weights", "1")
    assert "Deployments: flag x at 2026-11-21 04:59:00 UTC." in " ".join(ran.stdout.split())
    assert "figures describe recorded traces" not in ran.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--deployment", "ledger"], "expected NAME=TIME, such as"),
        (["--weights", "nowhere.json"], "nowhere.json"),
        (["--rules", "nowhere.json"], "nowhere.json"),
        (["--deployment", "x=yesterdayish"], "expected a time for deployment"),
    ],
)
def test_what_cannot_be_used_is_a_usage_error(words, told):
    ran = asked(DURING, *words)
    assert ran.exit_code == 2
    assert told in " ".join(ran.stderr.replace("│", " ").split())


def test_a_store_larger_than_memory_is_sampled(tmp_path):
    store = tk.convert(DURING, tmp_path / "a.parquet", spans_at_once=1_000)
    ran = asked(str(store), "--sample-spans", "4000", "--weights", "1", "--json")
    assert ran.exit_code == 0, ran.output
    (said,) = [one for one in json.loads(ran.stdout)["findings"] if one["check"] == "sample_of_store"]
    assert "traces. Counts are those of the sample; weighted figures estimate the whole store." in said["headline"]
    report = run.invoke(app, ["report", str(store), "--sample-spans", "4000", "-o", str(tmp_path / "a.html")])
    assert report.exit_code == 0, report.output
    assert "A random sample of a store" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([DURING, BASELINE, "--sample-spans", "9"], "expected one store, found 2 files"),
        (["STORE", "--sample-spans", "9", "--weights", "nothing"], "unknown source of weights 'nothing'"),
        (["STORE", "--sample-spans", "9", "--weights", "0.5"], "0.5"),
        (["STORE", "--sample-spans", "9", "--format", "otlp"], "expected one store, found options of other formats"),
    ],
)
def test_a_sample_is_of_one_store_with_weights_that_a_part_has(tmp_path, words, message):
    store = str(tk.convert(DURING, tmp_path / "a.parquet"))
    ran = asked(*(store if word == "STORE" else word for word in words))
    assert ran.exit_code == 2
    assert message in " ".join(ran.output.replace("│", " ").split())
