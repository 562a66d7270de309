"""``tracekit privacy``, and ``--redact`` and ``--no-redact`` of ``report`` and ``convert``."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.loading.store import read_write

run = CliRunner()
SPAN = {
    "traceId": "0" * 31 + "1", "spanId": "0" * 15 + "2", "name": "GET /", "startTimeUnixNano": "1000",
    "endTimeUnixNano": "9000",
    "attributes": [
        {"key": "user.email", "value": {"stringValue": "jo@example.org"}},
        {"key": "app.plan", "value": {"stringValue": "gold"}},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a recording and a policy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}))
    (tmp_path / "policy.toml").write_text('[kinds]\nemail = "keep"\n[keys]\n"app.*" = "mask"\n')
    return tmp_path


def plan_and_mail(path):
    traces = tk.read(path, progress=False)
    return traces.attribute("app.plan")[0], traces.attribute("user.email")[0]


def test_privacy_lists_what_is_found():
    ran = run.invoke(app, ["privacy", "a.jsonl"], env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    assert "Privacy(email 1; in " in ran.output
    row = next(line for line in ran.output.splitlines() if "user.email" in line)
    assert re.findall(r"\S+", row)[:6] == ["email", "attribute", "user.email", "1", "1", "mask"]
    assert "jo@example.org" not in ran.output


def test_privacy_opens_a_store(monkeypatch):
    expected = run.invoke(app, ["privacy", "a.jsonl", "--json"]).stdout
    tk.read("a.jsonl").save("a.parquet")
    monkeypatch.setattr(read_write, "free_bytes", lambda: 10)
    ran = run.invoke(app, ["privacy", "a.parquet", "--json"])
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, expected, "")


def test_privacy_as_json():
    (row,) = json.loads(run.invoke(app, ["privacy", "a.jsonl", "--json", "--redact", "policy.toml"]).stdout)
    assert (row["kind"], row["key"], row["action"]) == ("email", "user.email", "keep")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("gold", "[email]")),
        (["--redact", "default"], ("gold", "[email]")),
        (["--redact", "policy.toml"], ("[chosen key]", "jo@example.org")),
        (["--no-redact"], ("gold", "jo@example.org")),
    ],
)
def test_convert_to_otlp(options, expected):
    ran = run.invoke(app, ["convert", "a.jsonl", "-o", "out.jsonl", *options])
    assert ran.exit_code == 0, ran.output
    assert plan_and_mail("out.jsonl") == expected
    told = "removed from out.jsonl: " in ran.output
    assert told == ("--no-redact" not in options)
    assert ("--no-redact keeps everything" in ran.output) == told


def test_convert_to_a_store_keeps_everything_unless_told():
    assert run.invoke(app, ["convert", "a.jsonl", "-o", "a.parquet"]).exit_code == 0
    assert plan_and_mail("a.parquet") == ("gold", "jo@example.org")
    assert run.invoke(app, ["convert", "a.jsonl", "-o", "b.parquet", "--redact", "default"]).exit_code == 0
    assert plan_and_mail("b.parquet") == ("gold", "[email]")


def test_report():
    ran = run.invoke(app, ["report", "a.jsonl", "-o", "a.html", "--baseline", "a.jsonl"])
    assert ran.exit_code == 0, ran.output
    assert "removed before writing. email: 1 value (user.email)." in " ".join(ran.output.split())
    ran = run.invoke(app, ["report", "a.jsonl", "-o", "b.html", "--no-redact"])
    assert ran.exit_code == 0, ran.output
    assert "Not redacted: this file may contain" in Path("b.html").read_text()


@pytest.mark.parametrize("command", [["report"], ["convert", "-o", "out.jsonl"]])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--redact", "default", "--no-redact"], "expected one of --redact and --no-redact, found both"),
        (["--redact", "strict"], "expected 'default', a tk.Policy, a mapping, a file NAME.toml"),
        (["--redact", "gone.toml"], "expected a file with a redaction policy, found none at gone.toml"),
    ],
)
def test_options_that_cannot_be_used(command, options, message, place):
    ran = run.invoke(app, [command[0], "a.jsonl", *command[1:], *options], env={"COLUMNS": "300"})
    assert ran.exit_code == 2
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", " ", ran.output).split())
    assert not list(place.glob("out*"))
