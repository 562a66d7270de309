"""Heat map, flame, explore and charts in a real JupyterLab: what the hand chose is code in the next cell."""

import chromium
import pytest
from lab_server import Notebook, lab, write_notebook
from test_theme import COLOURS

from tracekit.views.colours import DARK, LIGHT
from tracekit.views.themes import HEAT, repainted

pytestmark = pytest.mark.browser
CELLS = [
    'import tracekit as tk\n\nbefore, during = tk.load_sample("checkout-regression")',
    'heat = tk.plot(tk.timeline(during), kind="heat").live()\nheat',
    "print(heat.selection, len(heat.select(during)), len(eval(heat.selection, {'traces': during})))",
    "seen = tk.explore(during, height=260).live()\nseen",
    """names = {"traces": during, "tk": tk}
exec(seen.code, names)
print(len(seen.chosen), names["chosen"].trace_ids == seen.chosen.trace_ids)
print(seen.code)""",
    "flame = tk.plot(tk.critical_path(during).flame()).live()\nflame",
    "print(flame.path['service_name'], flame.search)",
    'tk.latency(during, by="service_name")',
    "tk.plot(tk.service_graph(during)).live()",
]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    write_notebook(folder / "views.ipynb", *CELLS)
    with chromium.launched() as browser, lab(folder, tmp_path_factory.mktemp("private")) as address:
        opened = Notebook(browser, *address)
        opened.open("views.ipynb")
        opened.run(0)
        yield opened
        opened.context.close()
        assert opened.messages == []
        assert opened.strangers == []


def said(notebook, cell):
    """What a cell prints when it is run."""
    output = notebook.run(cell)
    output.first.wait_for(timeout=60_000)
    return output.first.inner_text().strip()


def drawn(notebook, cell, what):
    """The first such element of a cell's output, once it is there and in view."""
    notebook.run(cell)
    found = notebook.page.locator(".jp-Cell").nth(cell).locator(what).first
    found.wait_for(timeout=180_000)
    found.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(300)
    return found


def test_a_rectangle_drawn_in_lab_is_a_filter_in_the_next_cell(notebook):
    canvas = drawn(notebook, 1, ".tkw-pane canvas")
    box = canvas.bounding_box()
    notebook.page.mouse.move(box["x"] + 200, box["y"] + 60)
    notebook.page.mouse.down()
    notebook.page.mouse.move(box["x"] + 420, box["y"] + 180, steps=5)
    notebook.page.mouse.up()
    status = notebook.page.locator(".tkw-say").first.inner_text()
    line = said(notebook, 2)
    assert line.startswith('traces.between("')
    assert '.where(traces.summary["root_duration_ns"].between(' in line
    count, again = line.split()[-2:]
    assert count == again
    assert status.startswith(f"{count} requests started ")
    assert 0 < int(count) < 1000


def test_choosing_and_opening_in_explore_is_code_in_the_next_cell(notebook):
    drawn(notebook, 3, ".widget-dropdown select")
    cell = notebook.page.locator(".jp-Cell").nth(3)
    cell.locator(".widget-dropdown select").nth(0).select_option(label="payments")
    cell.locator(".widget-dropdown select").nth(2).select_option(label="any error")
    heading = "text=with a matching span"
    cell.locator(heading).wait_for()
    chromium.wait_until(notebook.page, "() => document.body.innerText.includes('is_error')")
    cell.locator(".widget-select select").select_option(index=0)
    cell.locator(".tkw").wait_for(timeout=60_000)
    lines = said(notebook, 4).splitlines()
    count, same = lines[0].split()
    assert same == "True"
    assert 0 < int(count) < 1000
    assert lines[1] == "chosen = traces.where(\"service_name == 'payments' and is_error\")"
    assert lines[2].startswith('tk.waterfall(chosen, "')


def test_the_flame_is_searched_and_walked_without_stirring_the_notebook(notebook):
    canvas = drawn(notebook, 5, ".tkw-pane canvas")
    cells = notebook.cells()
    canvas.focus()
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("/")
    notebook.page.keyboard.type("baddx")  # b, a, d d and x are shortcuts of a notebook
    notebook.page.wait_for_timeout(300)
    assert notebook.cells() == cells
    assert said(notebook, 6) == "storefront baddx"


def test_a_result_shows_its_chart(notebook):
    plot = drawn(notebook, 7, ".js-plotly-plot")
    assert "Latency (top 5 of 9 groups)" in plot.text_content()
    assert "ledger" in plot.text_content()
    ground = plot.locator(".main-svg").first.evaluate("svg => getComputedStyle(svg).backgroundColor")
    assert ground == "rgba(0, 0, 0, 0)"  # that of the page, light or dark


def painted(page):
    """Which colours of fullest cells, and which that only the dark theme has, are on the canvases; that of names."""
    fullest = {HEAT[-1], repainted(HEAT[-1], "dark")}
    heat, flame = (page.locator(f"canvas[aria-label='{name}']") for name in ("Durations over time", "Flame graph"))
    ink = page.locator(".tkw-map text").first.evaluate("text => getComputedStyle(text).fill")
    return set(heat.evaluate(COLOURS)) & fullest, set(flame.evaluate(COLOURS)) & (set(DARK) - set(LIGHT)), ink


def test_the_views_follow_the_theme_of_lab(notebook):
    page = notebook.page
    drawn(notebook, 8, ".tkw-map .node")
    page.get_by_role("searchbox", name="Search names").fill("")
    inks = set()
    for theme in ("Light", "Dark", "Light"):
        notebook.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        is_dark, fullest = theme == "Dark", repainted(HEAT[-1], "dark") if theme == "Dark" else HEAT[-1]
        for _ in range(1200):
            heat, flame, ink = painted(page)
            if heat == {fullest} and bool(flame) == is_dark:
                break
            page.wait_for_timeout(50)
        assert heat == {fullest}
        assert bool(flame) == is_dark
        inks.add((theme, ink))
        page.wait_for_timeout(600)  # JupyterLab trips over a theme that is changed while the last one loads
    assert len(inks) == len({ink for _, ink in inks}) == 2
