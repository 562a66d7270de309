"""A notebook that JupyterLab saved with its default settings: reopened without a kernel, untrusted, and as HTML."""

import json
import subprocess
import sys
import urllib.request

import chromium
import pytest
from lab_server import Notebook, lab, write_notebook

pytestmark = pytest.mark.browser
CELLS = {
    "start": """import tracekit as tk

before, during = tk.load_sample("checkout-regression")
worst = during.summary["duration_ns"].idxmax()""",
    "waterfall": "tk.waterfall(during, worst, path=tk.critical_path(during))",
    "map": "tk.service_graph(during)",
    "heat": 'tk.plot(tk.timeline(during), kind="heat")',
    "flame": "tk.plot(tk.critical_path(during).flame())",
    "explore": "tk.explore(during)",
    "chart": "tk.latency(during)",
}
DRAWN = {
    "waterfall": '.tkw-row:has-text("POST /charges")',  # where it opens
    "map": ".tkw-map .node",
    "heat": ".tkw-pane canvas",
    "flame": ".tkw-pane canvas",
    "explore": ".tkw-list",
}
NAMES = list(CELLS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    with lab(folder, tmp_path_factory.mktemp("private")) as address:
        yield address


@pytest.fixture(scope="module")
def saved(browser, server, folder):
    """The notebook as it is saved, after every cell has run and its kernel has ended."""
    write_notebook(folder / "views.ipynb", *CELLS.values())
    notebook = Notebook(browser, *server)
    notebook.open("views.ipynb")
    for cell in range(len(CELLS)):
        notebook.run(cell)
    notebook.page.locator(".jp-Cell").last.locator(".js-plotly-plot").wait_for(timeout=180_000)
    notebook.page.screenshot(path=folder / "run.png")
    notebook.command("docmanager:save")
    notebook.context.close()
    assert notebook.messages == []
    end_kernels(*server)
    return json.loads((folder / "views.ipynb").read_text())


def end_kernels(address, token):
    with urllib.request.urlopen(f"{address}/api/sessions?token={token}") as answer:
        sessions = json.load(answer)
    for session in sessions:
        path = f"{address}/api/sessions/{session['id']}?token={token}"
        urllib.request.urlopen(urllib.request.Request(path, method="DELETE")).close()


@pytest.fixture(scope="module")
def reopened(browser, server, saved):
    """The saved notebook in a new page, without the kernel that made it."""
    notebook = Notebook(browser, *server)
    notebook.open("views.ipynb", with_kernel=False)
    assert len(saved["cells"]) == len(CELLS)
    yield notebook
    notebook.context.close()
    assert notebook.messages == []
    assert notebook.strangers == []


def frame_in(output):
    """The page in the frame of an output, in view."""
    element = output.locator("iframe").first
    element.wait_for(timeout=60_000)
    element.scroll_into_view_if_needed()
    frame = element.element_handle().content_frame()
    frame.wait_for_selector("html[data-tk-ready]", state="attached", timeout=60_000)
    return frame


def react(page, name, frame):
    """Use a view as a reader does, and check that it answers."""
    shown = frame.locator(DRAWN[name]).first
    shown.wait_for(timeout=60_000)
    shown.scroll_into_view_if_needed()
    if name == "heat":
        shown.focus()
        page.keyboard.press("ArrowRight")
        chromium.wait_until(frame, "() => / requests? started /.test(document.querySelector('.tkw-say').textContent)")
    elif name == "flame":
        shown.focus()
        page.keyboard.press("ArrowDown")
        chromium.wait_until(frame, "() => document.body.innerText.includes('view.selected = 0')")
    elif name == "map":
        shown.click()
        chromium.wait_until(frame, "() => document.body.innerText.includes('view.selected = ')")
    elif name == "waterfall":
        shown.click()
        chromium.wait_until(frame, "() => document.querySelector('.tkw-det').classList.contains('on')")
    else:
        frame.get_by_label("error", exact=True).select_option(label="any error")
        chromium.wait_until(frame, "() => document.querySelector('.tkw-code').textContent.includes('is_error')")
        frame.locator(DRAWN[name]).select_option(index=0)
        frame.locator(".tkw-row").first.wait_for(timeout=60_000)


def test_the_notebook_is_small_and_has_no_widget_to_lose(saved, folder):
    assert (folder / "views.ipynb").stat().st_size < 2_000_000
    outputs = [output for cell in saved["cells"][1:] for output in cell["outputs"]]  # loading may show its progress
    assert len(outputs) == len(CELLS) - 1
    assert not any("application/vnd.jupyter.widget-view+json" in output["data"] for output in outputs)
    assert "widgets" not in saved["metadata"]


@pytest.mark.parametrize("name", DRAWN)
def test_a_reopened_view_is_visible_and_reacts(reopened, name, folder):
    output = reopened.page.locator(".jp-Cell").nth(NAMES.index(name)).locator(".jp-OutputArea-output").first
    react(reopened.page, name, frame_in(output))
    reopened.page.screenshot(path=folder / f"reopened-{name}.png")
    assert "model not found" not in output.inner_text()


def test_a_reopened_figure_is_an_image_that_the_pointer_makes_interactive(reopened, folder):
    """So plotly's extension of JupyterLab has it: it saves the image, and draws again when the pointer enters it."""
    cell = reopened.page.locator(".jp-Cell").nth(NAMES.index("chart"))
    image = cell.locator("img.plot-img")
    image.wait_for(timeout=60_000)
    assert image.evaluate("img => img.naturalWidth") > 300
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    reopened.page.mouse.move(box["x"] + 100, box["y"] + 20)
    plot = cell.locator(".js-plotly-plot")
    plot.locator(".legendtoggle").first.wait_for(timeout=60_000)
    before = plot.locator(".scatterlayer .js-line").count()
    box = plot.locator(".legendtoggle").first.bounding_box()
    reopened.page.mouse.click(box["x"] + 20, box["y"] + box["height"] / 2)
    count = "() => document.querySelectorAll('.js-plotly-plot .scatterlayer .js-line').length"
    chromium.wait_until(reopened.page, f"() => ({count})() === {before - 1}")
    reopened.page.screenshot(path=folder / "reopened-chart.png")


def test_a_notebook_of_somebody_else_shows_images(browser, server, saved, folder):
    """JupyterLab removes frames and scripts from outputs that this user has not run."""
    changed = {**saved, "cells": [{**saved["cells"][0], "source": "# changed"}, *saved["cells"][1:]]}
    (folder / "copy.ipynb").write_text(json.dumps(changed))
    other = Notebook(browser, *server)
    page = other.open("copy.ipynb", with_kernel=False)
    for name in CELLS.keys() - {"start", "chart"}:
        output = page.locator(".jp-Cell").nth(NAMES.index(name)).locator(".jp-OutputArea-output")
        image = output.locator("img").first
        image.wait_for(timeout=60_000)
        image.scroll_into_view_if_needed()
        assert image.evaluate("img => img.decode().then(() => img.naturalWidth)") > 300, name
        assert output.locator("iframe").count() == 0
    page.screenshot(path=folder / "untrusted.png")
    other.context.close()
    assert other.strangers == []


@pytest.mark.usefixtures("saved")
def test_as_html_without_a_network_every_view_is_visible_and_reacts(browser, folder):
    pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--log-level=ERROR", str(folder / "views.ipynb")]
    subprocess.run(command, check=True)
    page = (folder / "views.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 2_500_000
    assert "application/vnd.jupyter.widget-view+json" not in page
    with chromium.visit(browser) as visited:
        visited.page.goto((folder / "views.html").as_uri(), wait_until="domcontentloaded")
        outputs = visited.page.locator(".jp-Cell")
        for name in DRAWN:
            react(visited.page, name, frame_in(outputs.nth(NAMES.index(name))))
            visited.page.screenshot(path=folder / f"html-{name}.png")
        frame = frame_in(outputs.nth(NAMES.index("chart")))
        frame.locator("svg").first.focus()
        visited.page.keyboard.press("ArrowRight")
        assert frame.locator("body > [role=status]").inner_text().startswith("ledger SELECT entries")
        visited.page.screenshot(path=folder / "html-chart.png")
        asked = {url for url in visited.requests if not url.startswith(("file:", "data:", "blob:"))}
        assert {url.split("/")[2] for url in asked} <= {"cdnjs.cloudflare.com", "cdn.jsdelivr.net", "unpkg.com"}
        assert asked <= visited.refused.keys(), "nbconvert's own, for formulas: none is answered"
