"""Credentials are boto3's business: they are planted, used, and then looked for in everything that is left behind."""

import io
import json
import logging
import re
import traceback
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from audit_cases import END, App, World, answers_of
from fake_xray import BEGUN, Trace
from nbclient import NotebookClient
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.pull.folder import read_lines

TIME = {"start": pd.Timestamp(BEGUN, unit="s").isoformat(), "end": pd.Timestamp(BEGUN + 30_000, unit="s").isoformat()}
DEAD = "1-00000001-" + "a" * 24
CELLS = (
    "import tracekit as tk",
    "pull = tk.pull_xray({folder!r}, start={start!r}, end={end!r}); pull",
    "tk.read(pull.folder)",
    "tk.trace_summaries(pull.folder)",
    "tk.sampling_rules({rules!r}).lint(tk.read(pull.folder))",
    "vars(pull)",
    "vars(tk.pull_xray({folder!r} + '-dead', [{dead!r}], attempts=1))",
)


def texts_of(place):
    """Everything in the files below a place, uncompressed."""
    for path in Path(place).rglob("*"):
        if path.suffix == ".zst":
            yield b"".join(read_lines(path)).decode()
        elif path.is_file():
            yield path.read_bytes().decode("latin-1")


def expired(operation, _body):
    return "expired" if operation == "BatchGetTraces" else None


def test_the_fake_ones_do_see_them(serve, tmp_path, markers):
    server = serve([Trace(1)])
    tk.pull_xray(tmp_path / "pulled", **TIME)
    seen = "".join(map(str, server.headers))
    assert markers[0] in seen
    assert markers[2] in seen
    assert markers[1] not in seen, "the secret signs, and is never sent"


def test_nothing_of_a_pull_has_them(serve, tmp_path, markers, capfd, caplog):
    caplog.set_level(logging.INFO)
    server = serve([Trace(number, BEGUN + 2000 * number) for number in range(1, 9)])
    pull = tk.pull_xray(tmp_path / "pulled", **TIME)
    traces = tk.read(pull.folder)
    tk.report(traces, tmp_path / "report.html")
    assert CliRunner().invoke(app, ["pull", "xray", str(tmp_path / "by-cli"), "--start", TIME["start"]]).exit_code == 0
    server.faults = expired
    with pytest.raises(tk.PullError, match="the credentials have expired") as told:
        tk.pull_xray(tmp_path / "dead", **TIME)
    ran = CliRunner().invoke(app, ["pull", "xray", str(tmp_path / "dead-by-cli"), "--start", TIME["start"]])
    assert ran.exit_code == 2
    texts = [
        *texts_of(tmp_path),
        *map(str, (vars(pull), told.value, vars(told.value), ran.output, ran.exception, pull.estimate)),
        *("".join(traceback.format_exception(one)) for one in (told.value, ran.exception)),
        repr(pull),
        pull._repr_html_(),
        traces._repr_html_(),
        tk.trace_summaries(pull.folder).to_csv(),
        *capfd.readouterr(),
        caplog.text,
    ]
    assert sum(map(len, texts)) > 100_000, "a report is among them"
    assert not [marker for marker in markers for text in texts if marker in text]
    assert "***" in str(told.value), "AWS did repeat them"


def test_nothing_of_an_audit_has_them(account, tmp_path, markers, capfd, caplog):
    caplog.set_level(logging.INFO)
    server = account(answers_of(World((App("a"), App("fn", "lambda", mode="PassThrough"))), hours=4))
    refused = {"__type": "InvalidRequestException", "message": " ".join(markers)}
    server.faults |= dict.fromkeys(("xray:GetGroups", "eks:ListClusters"), (400, refused))
    how = {"until": pd.Timestamp(END, unit="s"), "days": 4 / 24}
    audit = tk.audit_coverage(**how, save=tmp_path / "audit")
    ran = CliRunner().invoke(app, ["audit", "--days", "0.1", "--save", str(tmp_path / "by-cli")])
    assert ran.exit_code in {0, 1}
    with pytest.raises(tk.PullError, match="expected CloudWatch to accept") as told:
        tk.publish_cloudwatch(audit.findings, dry_run=False)
    assert isinstance(ran.exception, SystemExit)
    texts = [
        *texts_of(tmp_path),
        str(audit.findings),
        repr(audit),
        audit._repr_html_(),
        audit.evidence.to_csv(),
        audit.services.to_csv(),
        str(vars(audit.answers)),
        audit.findings.frame().to_json(),
        tk.publish_cloudwatch(audit.findings).metrics.to_csv(),
        ran.output,
        "".join(traceback.format_exception(told.value)),
        *capfd.readouterr(),
        caplog.text,
    ]
    assert "***" in "".join(texts), "AWS did repeat them"
    assert not [marker for marker in markers for text in texts if marker in text]


def test_nothing_of_a_notebook_has_them(serve, tmp_path, markers):
    server = serve([Trace(number, BEGUN + 2000 * number) for number in range(1, 4)])
    server.faults = lambda _, body: "expired" if body.get("TraceIds") == [DEAD] else None
    rules = [{"RuleName": "Default", "Priority": 10_000, "FixedRate": 0.05, "ReservoirSize": 1}]
    words = {"folder": str(tmp_path / "pulled"), "rules": rules, "dead": DEAD, **TIME}
    cells = [nbformat.v4.new_code_cell(cell.format(**words)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=100, kernel_name="python3", allow_errors=True).execute()
    kept = io.StringIO()
    nbformat.write(notebook, kept)
    text = kept.getvalue()
    assert "Pull(" in text
    assert "ExpiredTokenException: The security token ***" in text, "a traceback is among the outputs"
    assert len(re.findall('"output_type"', text)) >= len(CELLS) - 1
    assert not [marker for marker in markers if marker in text]
    assert not [marker for marker in markers if marker in json.dumps(notebook)]
