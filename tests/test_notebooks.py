"""Notebooks as they are stored; that they run is asked by nbval, which executes every cell."""

import ast
import json
import re
from pathlib import Path

import pytest

import tracekit as tk

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NETWORK = {"requests", "urllib", "http", "socket", "boto3", "httpx", "aiohttp"}


@pytest.fixture(params=NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def notebook(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def code_of(notebook):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_is_a_first_look():
    assert (FOLDER / "01-first-look.ipynb") in NOTEBOOKS


def test_names_are_a_number_and_a_question():
    assert [path.name for path in NOTEBOOKS if not re.fullmatch(r"\d\d(-[a-z0-9]+)+\.ipynb", path.name)] == []
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)


def test_nothing_of_a_run_is_stored(notebook):
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert cell["metadata"] == {}


def test_the_format_is_4_5_with_a_standard_kernel(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_it_begins_with_a_title_and_explains_what_it_does(notebook):
    first, *_ = notebook["cells"]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    assert "code code code" not in " ".join(kinds), "say what the third cell is for"


def test_it_uses_public_names_and_no_network(notebook):
    for source in code_of(notebook):
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tk":
                assert node.attr in tk.__all__, source
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in NETWORK | {"tracekit"}, source
            if isinstance(node, ast.Import):
                assert not {alias.name.partition(".")[0] for alias in node.names} & NETWORK, source


def test_what_a_docstring_claims_is_asserted(notebook):
    """Outputs are not stored: a cell that rots would go unnoticed without assertions."""
    cells = code_of(notebook)
    asserting = [
        source for source in cells if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))
    ]
    assert len(asserting) >= len(cells) / 2
