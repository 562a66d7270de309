"""``tracekit new`` and ``tracekit run``: a notebook about other traces, and its unattended run."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from typer.testing import CliRunner

from tracekit.cli import app
from tracekit.samples import sample_paths

run = CliRunner()
BASELINE, DURING = map(str, sample_paths("small-shop"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_new_and_run_make_a_postmortem(place):
    ran = run.invoke(app, ["new", "incident.ipynb", "--traces", DURING, "--baseline", BASELINE])
    assert ran.exit_code == 0, ran.output
    assert "tracekit run incident.ipynb" in ran.output
    written = (place / "incident.ipynb").read_bytes()
    cells = json.loads(written)["cells"]
    assert not [cell for cell in cells if cell["metadata"].get("tags") == ["sample"]]
    set_ = "".join(next(cell["source"] for cell in cells if cell["metadata"].get("tags") == ["injected-parameters"]))
    assert set_ == f"traces_path = {DURING!r}\nbaseline_path = {BASELINE!r}"
    again = run.invoke(app, ["new", "incident.ipynb", "--traces", DURING])
    assert again.exit_code == 2
    assert "incident.ipynb exists; it was not overwritten" in again.stderr

    ran = run.invoke(app, ["run", "incident.ipynb", "-p", "length", "executive", "-p", "postmortem_path=page.html"])
    assert ran.exit_code == 0, ran.output
    assert (place / "incident.ipynb").read_bytes() == written
    text = (place / "incident.html").read_text()
    assert "Too few traces to compare" in text
    assert "What the data cannot show" in text
    assert "tracekit postmortem, executive" in (place / "page.html").read_text()


def test_run_exits_with_1_where_a_cell_fails(place):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), place / "a.ipynb")
    ran = run.invoke(app, ["run", "a.ipynb", "-o", "out.html"])
    assert ran.exit_code == 1
    said = "tracekit: a.ipynb: code cell 1 failed: ZeroDivisionError: division by zero; saved with the error:"
    assert f"{said} out-failed.ipynb\n" in ran.stderr
    assert sorted(one.name for one in place.iterdir()) == ["a.ipynb", "out-failed.ipynb"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "a.html"], "expected a file name with suffix .ipynb, found 'a.html'"),
        (["new", "a.ipynb", "--baseline", BASELINE], "a baseline needs --traces to compare with it"),
        (["new", "a.ipynb", "--traces", "absent.jsonl"], "PATH_MISSING"),
        (["new", "a.ipynb", "--traces", "-"], "which a notebook cannot read"),
        (["new", "absent/a.ipynb"], "cannot write absent/a.ipynb: No such file or directory"),
        (["new", "a.ipynb", "--template", "poem"], "expected a template among 01-first-look,"),
        (["new", "a.ipynb", "--template", "x-ray-coverage", "--traces", DURING], "with the parameters traces_path"),
        (["run", "absent.ipynb"], "expected a notebook to read, found absent.ipynb"),
        (["run", "absent.ipynb", "-p", "length"], "expected NAME VALUE or NAME=VALUE, found 'length'"),
    ],
)
def test_what_cannot_be_done_is_said(place, arguments, said):
    ran = run.invoke(app, arguments)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.replace("│", " ").split())
    assert not list(place.iterdir())


def test_another_template():
    assert run.invoke(app, ["new", "a.ipynb", "--traces", DURING, "--template", "critical-path"]).exit_code == 0
    assert "# Critical path" in "".join(nbformat.read("a.ipynb", as_version=4).cells[0].source)


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_ctrl_c_leaves_nothing(place):
    source = "from pathlib import Path\nimport time\nPath('begun').touch()\ntime.sleep(600)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), place / "a.ipynb")
    with subprocess.Popen([sys.executable, "-m", "tracekit", "run", "a.ipynb"], stderr=subprocess.PIPE) as process:
        until = time.monotonic() + 180
        while not (place / "begun").exists() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=120)
    assert process.returncode == 130
    assert complaint.decode().endswith("tracekit: stopped; no partial files were left\n")
    assert sorted(one.name for one in place.iterdir()) == ["a.ipynb", "begun"]
