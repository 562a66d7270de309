"""Notebooks as they are stored; that they run is asked by nbval, which executes every cell."""

import ast
import json
import re
from pathlib import Path

import nbformat
import pytest
from backports import zstd
from nbclient import NotebookClient

import tracekit as tk
from tracekit.notebook_runs import run_notebook
from tracekit.notebooks import copy_notebooks
from tracekit.samples import sample_paths

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
        assert cell["metadata"] in ({}, {"tags": ["parameters"]}, {"tags": ["sample"]})


def test_the_format_is_4_5_with_a_standard_kernel(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_it_begins_with_a_title_and_explains_what_it_does(notebook):
    first, *_ = notebook["cells"]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")
    kinds = [cell["cell_type"] for cell in notebook["cells"] if cell["metadata"] != {"tags": ["sample"]}]
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
    assert len(asserting) >= len(cells) / 3


def test_checks_of_the_sample_are_skipped_for_other_data(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell["metadata"] == {"tags": ["sample"]}:
            (block,) = ast.parse("".join(cell["source"])).body
            assert isinstance(block, ast.If)
            assert ast.unparse(block.test) in {"is_sample", "planned_path is None"}


# ------------------------------------------------------------------ copies for other data


def test_a_copy_has_the_paths_and_nothing_about_the_sample(tmp_path):
    made = copy_notebooks(tmp_path / "copies", {"traces_path": "/data/my.jsonl", "baseline_path": ["/a", "/b"]})
    assert [path.name[:2] for path in made] == ["01", "02", "03", "04", "07", "08", "09", "10", "11", "12", "13", "15"]
    assert all(made.values())
    cells = json.loads(next(iter(made)).read_text())["cells"]
    assert [cell["metadata"].get("tags") for cell in cells[:3]] == [None, ["parameters"], ["injected-parameters"]]
    assert "".join(cells[2]["source"]) == "traces_path = '/data/my.jsonl'\nbaseline_path = ['/a', '/b']"
    assert not [cell for cell in cells if cell["metadata"].get("tags") == ["sample"]]
    assert [path.name[:2] for path in copy_notebooks(tmp_path / "audit", {"audit_path": "/audit"})] == ["05"]


def test_an_edited_copy_is_kept_and_one_about_other_data_is_not_opened(tmp_path):
    (first, *_) = copy_notebooks(tmp_path, {"traces_path": "/data/my.jsonl"})
    first.write_text(first.read_text().replace("# First look", "# My notes"))
    edited = first.read_text()
    assert not any(copy_notebooks(tmp_path, {"traces_path": "/data/my.jsonl"}).values())
    for wrong in ("/data/other.jsonl", "/data/my.jsonl.zst"):
        with pytest.raises(tk.TracekitError, match=r"found other parameters; it was not overwritten\. Choose another"):
            copy_notebooks(tmp_path, {"traces_path": wrong})
    assert first.read_text() == edited


# ------------------------------------------------------------------ other recordings

ZIPKIN = [
    {"traceId": "0" * 15 + "1", "id": "1" * 16, "name": "get /stock", "kind": "SERVER",
     "timestamp": 1_767_225_600_000_000, "duration": 90_000, "localEndpoint": {"serviceName": "portal"}},
    {"traceId": "0" * 15 + "1", "id": "2" * 16, "parentId": "1" * 16, "name": "o'clock \\ \"x\"", "kind": "CLIENT",
     "timestamp": 1_767_225_600_010_000, "duration": 70_000, "localEndpoint": {"serviceName": "portal"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All cells of the copies for several recordings, run one after another in one kernel; by recording and number."""
    folder = tmp_path_factory.mktemp("runs")
    single = folder / "single.json"
    single.write_text(json.dumps(ZIPKIN))
    quiet, failing = sample_paths("small-shop")
    xray = folder / "xray.jsonl"  # 75 of its 200 traces
    with zstd.open(sample_paths("checkout-xray")[0], "rb") as file:
        xray.write_bytes(b"".join(file.readline() for _ in range(15)))
    audit = folder / "audit"
    tk.audit_coverage(from_folder="audit-shop", save=audit)
    answers = audit / "answers.jsonl"
    answers.write_text(answers.read_text(encoding="utf-8").replace("gift-cards", "vouchers"), encoding="utf-8")
    given = {
        "otlp": {"traces_path": str(failing), "baseline_path": str(quiet)},
        "no failure": {"traces_path": str(quiet)},
        "xray": {"traces_path": str(xray)},
        "one trace": {"traces_path": str(single)},
        "audit": {"audit_path": str(audit)},
    }
    cells, places = [], {}
    for name, parameters in given.items():
        for path in copy_notebooks(folder / name.replace(" ", "-"), parameters):
            if name == "no failure" and path.name >= "07":  # without a baseline, like "xray" and "one trace"
                continue
            cells.append(nbformat.v4.new_code_cell("%reset_selective -f ^[^_]"))
            copied = nbformat.read(path, as_version=4).cells
            code = [cell for cell in copied if cell.cell_type == "code"]
            places[name, path.name[:2]] = range(len(cells), len(cells) + len(code))
            cells += code
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {key: [notebook.cells[at] for at in place] for key, place in places.items()}


ANSWERS = {
    ("otlp", "01"): "Slowest endpoint: shop POST /pay, p95 400 ms (baseline 100 ms). 1 of 5 requests failed.",
    ("otlp", "02"): "ledger: ",
    ("otlp", "03"): "ledger SELECT entries: 16.0 ms → 72.0 ms per request",
    ("otlp", "04"): "shop: recorded error rate 20.0%, p95 352 ms",
    ("no failure", "01"): "Slowest endpoint: shop POST /pay, p95 100 ms. 0 of 5 requests failed.",
    ("no failure", "02"): "shop: ",
    ("no failure", "03"): "shop POST /pay: ",
    ("no failure", "04"): "shop: recorded error rate 0%, p95 100 ms",
    ("xray", "01"): "Slowest endpoint: storefront POST /checkout, p95 ",
    ("xray", "02"): "payments: ",
    ("xray", "03"): "payments api.acquirer.example: ",
    ("xray", "04"): "storefront: recorded error rate ",
    ("one trace", "01"): "Slowest endpoint: portal get /stock, p95 90.0 ms. 0 of 1 requests failed.",
    ("one trace", "02"): "portal: 90.0 ms per request, 100% of the latency of all requests.",
    ("one trace", "03"): 'portal o\'clock \\ "x": 70.0 ms per request',
    ("one trace", "04"): "portal: recorded error rate 0%, p95 90.0 ms",
    ("otlp", "07"): "Slowest endpoint: shop POST /pay, p95 400.0 ms.",
    ("xray", "07"): "Slowest endpoint: storefront POST /checkout, p95 ",
    ("one trace", "07"): "Slowest endpoint: portal get /stock, p95 90.0 ms.",
    ("otlp", "08"): "shop POST /pay: too few, p95 100 ms → 400 ms.",
    ("xray", "08"): "storefront POST /checkout: too few, p95 ",
    ("one trace", "08"): "portal get /stock: not comparable, p95 – → 90.0 ms.",
    ("otlp", "09"): "No service explains a change: the sides have too few traces",
    ("xray", "09"): "No service explains a change: no significant change",
    ("one trace", "09"): "No service explains a change: the sides have too few traces",
    ("otlp", "10"): "No cold start or slow first call was found.",
    ("xray", "10"): "No cold start or slow first call was found.",
    ("one trace", "10"): "No cold start or slow first call was found.",
    ("otlp", "11"): "baseline: a million requests cost 16 USD (95% CI not estimable; n = 5)",
    ("xray", "11"): "current: a million requests cost ",
    ("one trace", "11"): "current: a million requests cost 0 USD",
    ("otlp", "12"): "baseline: too few, 100.0% good (95% CI 47.8% to 100.0%), burn rate 0.0",
    ("xray", "12"): "current: ",
    ("one trace", "12"): "current: too few, 100.0% good (95% CI 2.5% to 100.0%), burn rate 0.0",
    ("otlp", "13"): "0 of 5 requests have a call that was refused (401 or 403).",
    ("xray", "13"): "0 of 75 requests have a call that was refused (401 or 403).",
    ("one trace", "13"): "0 of 1 requests have a call that was refused (401 or 403).",
    ("otlp", "15"): "Too few traces to compare",
    ("xray", "15"): "Slowest endpoint: storefront POST /checkout",
    ("one trace", "15"): "Slowest endpoint: portal get /stock",
    ("audit", "05"): "10 of 17 services are missing traces",
}


@pytest.mark.parametrize("run", ANSWERS, ids="-".join)
def test_the_first_output_is_the_answer_for_any_recording(runs, run):
    first = next(cell.outputs for cell in runs[run] if cell.outputs)
    assert "".join(output.get("text", "") for output in first).startswith(ANSWERS[run])


def test_the_overview_of_an_audit_has_its_own_services(runs):
    first = next(cell.outputs for cell in runs["audit", "05"] if cell.outputs)
    assert "<th>vouchers</th>" in first[-1]["data"]["text/html"]


def test_every_run_is_asked_for_its_answer(runs):
    assert set(runs) == set(ANSWERS)


def test_papermill_sets_the_parameters(tmp_path):
    papermill = pytest.importorskip("papermill", reason="papermill is not installed")
    (path,) = sample_paths("small-shop", "baseline")
    source, target = FOLDER / "04-can-this-sample-be-trusted.ipynb", tmp_path / "run.ipynb"
    run = papermill.execute_notebook(source, target, parameters={"traces_path": str(path)}, progress_bar=False)
    first = next(cell.outputs for cell in run.cells if cell.get("outputs"))
    assert first[0]["text"].startswith("shop: recorded error rate 0")


# ------------------------------------------------------------------ as a page

PICTURE = re.compile(r"data:image/(?:svg\+xml|png);base64,([A-Za-z0-9+/=]+)")
NOT_SHOWN = re.compile(r"tk\.export\(|\.live\(\)")  # files, and what a page shows as a widget
LIVE = "application/vnd.jupyter.widget-view+json"
DRAWN = re.compile(r"\btk\.(?:plot|waterfall)\(")
QUICK = ("01", "03")  # the other ones are run by nbval; as pages they are run by a command of their own
PAGES = [
    pytest.param(path, marks=[] if path.name[:2] in QUICK else pytest.mark.slow, id=path.stem) for path in NOTEBOOKS
]


@pytest.mark.parametrize("notebook", PAGES)
def test_a_notebook_becomes_a_page_with_its_pictures(notebook, tmp_path):
    """Every picture of every output is in the page, as data: the page loads none from elsewhere.

    Except of a live view, which a page shows as a widget: ``live`` says that it needs its cell to be run.
    """
    exporter = pytest.importorskip("nbconvert", reason="nbconvert is not installed").HTMLExporter()
    run = run_notebook(notebook, tmp_path / "run.ipynb", {})
    assert run.error == ""
    node = nbformat.read(run.path, as_version=4)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    drawing = [cell for cell in code if DRAWN.search(cell.source) and not NOT_SHOWN.search(cell.source)]
    assert [cell.source for cell in drawing if not pictures_of(cell)] == []
    page, _ = exporter.from_notebook_node(node)
    assert {one for cell in code for one in pictures_of(cell)} <= set(PICTURE.findall(page)) | drawn_in(page)
    assert not re.search(r'<img[^>]+src="(?!data:)', page)


def pictures_of(cell):
    """The pictures in the outputs of a cell: their data, or of one that is drawn as markup, its markup."""
    found = set()
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if LIVE in data:
            continue
        text = "".join(data.get("text/html", ""))
        found |= set(PICTURE.findall(text)) or drawn_in(text)
        if not found and "image/svg+xml" in data:
            found |= drawn_in("".join(data["image/svg+xml"]))
        if not found and "image/png" in data:
            found.add("".join(data["image/png"].split()))
    return found


def drawn_in(text):
    """The pictures that are markup in a text."""
    return set(re.findall(r"<svg\b.*?</svg>", text, re.DOTALL))
