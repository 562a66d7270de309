"""Unattended runs: what is written, what a failing cell leaves, and what is refused."""

import json

import nbformat
import pytest

import tracekit as tk
from tracekit import notebook_runs
from tracekit.notebook_runs import run_notebook


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook with a cell of parameters and these cells."""

    def write(*sources):
        first = nbformat.v4.new_code_cell("number = 1", metadata={"tags": ["parameters"]})
        cells = [first, *map(nbformat.v4.new_code_cell, sources)]
        path = tmp_path / "a.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def test_a_page_with_parameters_set_twice(notebook, tmp_path):
    source = notebook("from pathlib import Path\nprint(Path.cwd().name, number * 21, name)")
    text = source.read_text().replace("number = 1", "number = 1\\nname = None")
    source.write_text(text)
    first = run_notebook(source, tmp_path / "b.ipynb", {"number": 2, "name": "it's"})
    assert first == (tmp_path / "b.ipynb", "")
    made = json.loads(first.path.read_text())
    assert "".join(made["cells"][1]["source"]) == 'number = 2\nname = "it\'s"'
    assert "".join(made["cells"][2]["outputs"][0]["text"]) == f"{tmp_path.name} 42 it's\n"
    again = run_notebook(first.path, tmp_path / "c.html", {"number": 3})
    assert f"{tmp_path.name} 63 it's" in again.path.read_text()
    assert source.read_text() == text


def test_a_failing_cell_leaves_a_notebook_that_shows_it(notebook, tmp_path):
    source = notebook("print('reached')", "1 / 0", "print('never')")
    (tmp_path / "b.html").write_text("of the last run")
    found = run_notebook(source, tmp_path / "b.html", {})
    assert found == (tmp_path / "b-failed.ipynb", "code cell 3 failed: ZeroDivisionError: division by zero")
    assert (tmp_path / "b.html").read_text() == "of the last run"
    kept = nbformat.read(found.path, as_version=4)
    nbformat.validate(kept)
    assert [out.output_type for cell in kept.cells for out in cell.outputs] == ["stream", "error"]
    assert run_notebook(source, tmp_path / "c.ipynb", {}).path == tmp_path / "c.ipynb"


def test_a_dead_kernel_is_a_failure(notebook, tmp_path):
    found = run_notebook(notebook("import os\nos._exit(1)"), tmp_path / "b.html", {})
    assert found.error == "the kernel ended (out of memory?)"


def test_what_cannot_be_run_is_refused(notebook, tmp_path, monkeypatch):
    source = notebook()
    for output, parameters, said in [
        ("b.html", {"size": 1}, r"expected parameters among number, found size"),
        ("b.pdf", {}, r"expected an output with suffix \.html or \.ipynb, found 'b\.pdf'"),
        ("a.ipynb", {}, "expected an output other than the notebook itself"),
        ("absent/b.html", {}, "no folder"),
    ]:
        with pytest.raises(tk.TracekitError, match=said):
            run_notebook(source, tmp_path / output, parameters)
    with pytest.raises(tk.TracekitError, match=r"expected a notebook to read, found .*absent"):
        run_notebook(tmp_path / "absent.ipynb", tmp_path / "b.html", {})
    (tmp_path / "c.ipynb").write_text("[1]")
    with pytest.raises(tk.TracekitError, match="expected a notebook of format 4, found another JSON file"):
        run_notebook(tmp_path / "c.ipynb", tmp_path / "b.html", {})
    monkeypatch.setattr(notebook_runs, "find_spec", lambda _: None)
    with pytest.raises(tk.TracekitError, match=r"nbformat is not installed .*pip install 'tracekit-notebook\[lab\]'"):
        run_notebook(source, tmp_path / "b.html", {})
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.ipynb", "c.ipynb"]


def test_an_unknown_kernel_is_named(notebook, tmp_path):
    source = notebook()
    found = json.loads(source.read_text())
    found["metadata"]["kernelspec"] = {"name": "cobol", "display_name": "Cobol"}
    source.write_text(json.dumps(found))
    with pytest.raises(tk.TracekitError, match="expected an installed kernel, found no 'cobol'"):
        run_notebook(source, tmp_path / "b.html", {})
