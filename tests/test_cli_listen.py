"""``tracekit listen``: from the start to Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import types

import pytest
from otlp_client import in_json, in_protobuf, post
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app

run = CliRunner()


@pytest.fixture
def listening(tmp_path):
    """A function that starts the command; returns the process and its endpoint."""
    processes = []

    def start(output):
        command = [sys.executable, "-m", "tracekit", "listen", "--port", "0", "-o", output]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        line = process.stderr.readline()
        endpoint = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert endpoint, line + process.stderr.read()
        variables = f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint[0]} OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        assert process.stderr.readline() == f"start your application with {variables}\n"
        return process, types.SimpleNamespace(endpoint=endpoint[0])

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_a_complete_file(listening, tmp_path, ending):
    process, target = listening("out.jsonl.zst")
    post(target, in_protobuf([(1, 1), (2, 2)]))
    post(target, in_json([(3, 3)]), "application/json")
    process.send_signal(ending)
    out, complaint = process.communicate(timeout=60)
    assert process.returncode == 0, complaint
    assert re.fullmatch(r"out\.jsonl\.zst: 0\.0 MB, 3 spans, 3 traces, 1 service, 0 errors\n", out)
    assert complaint == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl.zst"]
    assert run.invoke(app, ["check", str(tmp_path / "out.jsonl.zst")]).exit_code == 0
    assert len(tk.read(tmp_path / "out.jsonl.zst").spans) == 3


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_without_spans_nothing_is_written(listening, tmp_path):
    process, _ = listening("out.jsonl")
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert complaint.splitlines()[-1].startswith("tracekit: expected spans to save, but none were received; start the")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("out.html", "ends in .jsonl, .jsonl.gz or .jsonl.zst, found out.html"),
        ("nowhere/out.jsonl", "nowhere does not exist; create it first"),
        ("taken.jsonl", "not a file of JSON Lines; choose another path"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path, monkeypatch, output, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.jsonl").write_text("my notes")
    ran = run.invoke(app, ["listen", "--port", "0", "-o", output])
    assert ran.exit_code == 2
    assert told in re.sub(r"[\s│]+", " ", ran.output)


def test_a_port_in_use_is_an_error(tmp_path):
    with tk.listen(port=0) as other:
        port = other.endpoint.rpartition(":")[2]
        ran = run.invoke(app, ["listen", "--port", port, "-o", str(tmp_path / "out.jsonl")])
    assert ran.exit_code == 2
    assert f"port {port} of 127.0.0.1 is in use" in " ".join(ran.output.split())
