"""The waterfall in a real JupyterLab: Python knows what is selected, keys stay inside, pictures are saved."""

import json
import time

import chromium
import pytest
from lab_server import Notebook, lab, write_notebook
from test_theme import PIXEL

pytestmark = pytest.mark.browser
CELLS = [
    """from pathlib import Path
import tracekit as tk

before, during = tk.load_sample("checkout-regression")
seen = Path("seen.txt")
seen.write_text("")


def tell(change):
    with seen.open("a") as file:
        file.write(f"{change['name']} {change['new']}\\n")


worst = during.summary["duration_ns"].idxmax()
path = tk.critical_path(during)""",
    """picture = tk.waterfall(during, worst, path=path, height=420)
picture.observe(tell, ["selected", "value"])
picture.live()""",
    "print(picture.selected, picture.span['name'], picture.value)",
    "picture.selected = during.spans.query('trace_id == @worst and name == \"SELECT entries\"')['span_id'].iloc[7]",
    "tk.plot(tk.service_graph(during)).live()",
]
ROW = '.tkw-row[data-row="{}"]'


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder / "look.ipynb", *CELLS)
    return folder


@pytest.fixture(scope="module")
def server(root, tmp_path_factory):
    with lab(root, tmp_path_factory.mktemp("private")) as address:
        yield address


@pytest.fixture(scope="module")
def notebook(browser, server):
    """The notebook, run to its picture."""
    opened = Notebook(browser, *server)
    opened.open("look.ipynb")
    opened.run(0)
    opened.run(1)
    opened.page.locator(".tkw-row[data-row]").first.wait_for(timeout=180_000)
    chromium.wait_until(opened.page, "() => document.querySelector('.tkw-scroll').scrollTop > 0")
    opened.page.evaluate("() => { document.querySelector('.tkw-scroll').scrollTop = 0 }")
    yield opened
    opened.context.close()
    assert opened.messages == []
    assert opened.strangers == []


def told(root, wanted):
    """Wait until Python has told something, and return all it told."""
    for _ in range(1200):
        lines = (root / "seen.txt").read_text().splitlines()
        if any(wanted in line for line in lines):
            return lines
        time.sleep(0.05)
    raise AssertionError(f"{wanted!r} is not in {lines}")


def state(page):
    return page.evaluate(
        """() => ({ rows: [...document.querySelectorAll('.tkw-row')].filter(r => r.dataset.row).length,
          selected: Number(document.querySelector('.tkw-row[aria-selected=true]')?.dataset.row ?? -1),
          axis: [...document.querySelectorAll('.tkw-head span')].map(mark => mark.textContent + mark.style.left).join(),
          detail: document.querySelector('.tkw-det').innerText,
          open: document.querySelector('.tkw-det').classList.contains('on') })"""
    )


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_click_in_the_picture_is_known_in_python(notebook, root):
    page = notebook.page
    page.locator(ROW.format(4)).click()
    lines = told(root, "selected")
    row = page.locator(".tkw-row[aria-selected=true] .tkw-nm").inner_text()
    notebook.run(2)
    output = page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea-output")
    output.get_by_text(row).wait_for(timeout=60_000)
    assert output.inner_text().split()[0] == lines[-1].removeprefix("selected ")
    assert lines[-1].removeprefix("selected ") in page.locator(".tkw-det").inner_text()


def test_python_selects_in_the_picture(notebook):
    notebook.run(3)
    chromium.wait_until(notebook.page, "() => document.querySelector('.tkw-ttl')?.textContent === 'SELECT entries'")


def test_the_time_range_is_known_in_python(notebook, root):
    page = notebook.page
    page.locator(".tkw-scroll").focus()
    page.keyboard.press("w")
    line = next(line for line in told(root, "value") if line.startswith("value"))
    low, high = json.loads(line.removeprefix("value ").replace("(", "[").replace(")", "]"))
    assert 0 < high - low < 318_007_311
    page.keyboard.press("0")
    told(root, "value None")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
        settle(page)
    return state(page)


@pytest.fixture
def focused(notebook):
    """The picture with its first row selected and the keys on it; no cell comes or goes meanwhile."""
    cells = notebook.cells()
    notebook.page.locator(".tkw-scroll").focus()
    press(notebook.page, "]", "0", "Home")
    yield notebook.page
    assert notebook.cells() == cells == len(CELLS)


def test_the_keys_that_walk(focused):
    steps = [
        ("ArrowDown", 1), ("j", 2), ("k", 1), ("ArrowUp", 0), ("ArrowRight", 1), ("ArrowLeft", 1), ("ArrowLeft", 0),
        ("ArrowRight", 1), ("ArrowRight", 1), ("ArrowRight", 2), ("Home", 0),
    ]  # fmt: skip
    for key, selected in steps:
        assert press(focused, key)["selected"] == selected, key
    assert press(focused, "PageDown")["selected"] > 5
    assert press(focused, "PageUp")["selected"] == 0
    assert press(focused, "End")["selected"] > 20


def test_the_keys_that_look_closer(focused):
    whole = state(focused)["axis"]
    press(focused, "ArrowDown", "ArrowDown", "ArrowDown")
    assert press(focused, "f")["axis"] != whole
    assert press(focused, "0")["axis"] == whole
    near = press(focused, "w", "w")["axis"]
    assert near != whole
    later = press(focused, "d")["axis"]
    assert later != near
    assert press(focused, "a")["axis"] == near
    assert press(focused, "s", "s")["axis"] == whole


def test_the_keys_that_switch(focused):
    count = "() => document.querySelector('.tkw-scroll').getAttribute('aria-rowcount')"
    everything = focused.evaluate(count)
    for there, back in (("1", "]"), ("[", "]"), ("g", "g")):
        press(focused, there)
        assert focused.evaluate(count) != everything, there
        press(focused, back)
        assert focused.evaluate(count) == everything, back
    for is_shown in (False, True):
        press(focused, "c")
        assert focused.locator(".tkw-lane").is_visible() == is_shown
    assert "next hit" in press(focused, "?")["detail"]
    assert not press(focused, "Escape")["open"]
    assert press(focused, "Enter")["open"]


def test_the_keys_that_search(focused):
    press(focused, "/")
    focused.keyboard.type("abdx entries 0")
    box = focused.get_by_role("searchbox", name="Find spans")
    assert box.input_value() == "abdx entries 0"
    box.fill("SELECT entries")
    first = press(focused, "Enter")
    assert "SELECT entries" in first["detail"]
    focused.locator(".tkw-scroll").focus()
    second = press(focused, "n")
    assert second["selected"] > first["selected"] == press(focused, "N")["selected"]
    path = press(focused, "p")
    assert press(focused, "P")["selected"] != path["selected"]
    box.fill("")


def test_keys_of_the_notebook_do_nothing_in_the_picture(focused):
    press(focused, *"bxzvyreEtXo")  # new cell, cut, undo, paste, ...


def test_the_theme_of_the_lab_is_taken_on_and_nothing_is_lost(notebook):
    page = notebook.page
    notebook.run(3)
    inside = """() => {
      const row = document.querySelector('.tkw-row[aria-selected=true]')?.getBoundingClientRect();
      const grid = document.querySelector('.tkw-scroll').getBoundingClientRect();
      return !!row && row.top >= grid.top && row.bottom <= grid.bottom && grid.top > 0 }"""
    chromium.wait_until(page, inside)
    ground = "() => getComputedStyle(document.querySelector('.tkw')).backgroundColor"
    light = page.evaluate(ground)
    for theme, is_dark in (("JupyterLab Dark", True), ("JupyterLab Light", False)):
        notebook.command("apputils:change-theme", theme=theme)
        dark = "document.querySelector('.tkw').classList.contains('tk-dark')"
        chromium.wait_until(page, f"() => {dark} === {str(is_dark).lower()} && (({ground})() === '{light}') !== {dark}")
        page.wait_for_timeout(600)  # JupyterLab trips over a theme that is changed while the last one loads
        assert page.evaluate(inside)
        assert page.locator(".tkw-mini").evaluate(PIXEL, [0.5, 1]) == ("#111111" if is_dark else "#ffffff")


def test_a_saved_notebook_shows_its_picture_without_a_kernel(notebook, browser, server, root):
    notebook.run(4)
    notebook.page.locator(".tkw-map").wait_for(timeout=60_000)
    notebook.command("docmanager:save")
    saved = json.loads((root / "look.ipynb").read_text())
    for cell in (1, 4):
        data = saved["cells"][cell]["outputs"][0]["data"]
        assert {"text/html", "image/svg+xml", "text/plain"} <= set(data)
    saved["cells"][0]["source"] += "\n# changed by somebody else: no signature is known"
    (root / "copy.ipynb").write_text(json.dumps(saved))
    other = Notebook(browser, *server)
    page = other.open("copy.ipynb", with_kernel=False)
    for cell, words in ((1, "Waterfall of trace|Waterfall(trace"), (4, "Service")):
        image = page.locator(".jp-Cell").nth(cell).locator(".jp-OutputArea-output img")
        image.wait_for(timeout=60_000)
        assert image.evaluate("img => img.decode().then(() => img.naturalWidth)") > 300
        assert any(word in image.get_attribute("alt") for word in words.split("|"))
    other.context.close()
