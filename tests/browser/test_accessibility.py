"""What axe-core finds in the report with its views alive, in light and dark; and every action without a mouse."""

from pathlib import Path

import chromium
import pytest
from test_theme import DRAW

import tracekit as tk
from tracekit import load_sample
from tracekit.report import report
from tracekit.views.waterfall.drawing import draw
from tracekit.views.waterfall.payload import encoded

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core, as a Python package carries it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    before, during = load_sample("checkout-regression")
    return report(during, tmp_path_factory.mktemp("report") / "shop.html", baseline=before, title="Shop")


def enliven(page):
    """Bring all views to life, select rows, open what can be opened."""
    page.evaluate("() => document.querySelectorAll('.named details').forEach(one => { one.open = true; })")
    for view in page.locator(".view").all():
        view.scroll_into_view_if_needed()
        page.locator(f"#{view.get_attribute('id')}.live").wait_for()
    page.locator(".how summary").first.click()
    page.locator(".tkw-row.fold").first.click()
    page.locator("#view-waterfall-2 .tkw-row[data-row]:not(.fold)").nth(6).click()
    page.locator("#view-waterfall-3").get_by_role("button", name="Keyboard shortcuts").click()
    page.locator("#view-waterfall-4").get_by_role("searchbox").fill("SELECT")
    page.locator("#view-waterfall-5").get_by_role("button", name="ledger").first.click()
    page.locator(".node").first.click()
    chromium.settle(page, 100)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, path, axe, scheme):
    with chromium.visit(browser, color_scheme=scheme, bypass_csp=True) as visited:
        page = visited.open(path)
        enliven(page)
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        told = [
            (rule["id"], len(rule["nodes"]), rule["nodes"][0]["html"][:200], rule["nodes"][0]["failureSummary"])
            for rule in found
        ]
        assert told == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_views_of_a_notebook(browser, axe, scheme):
    before, during = load_sample("checkout-regression")
    path, worst = tk.critical_path(during), during.summary["duration_ns"].idxmax()
    trace = chromium.buffer(encoded(draw(during, worst, path=path, compare=before).payload))
    heat, flame = tk.plot(tk.timeline(during), kind="heat"), tk.plot(path.flame())
    with chromium.visit(browser, color_scheme=scheme, viewport={"width": 1000, "height": 1400}) as visited:
        page = visited.page
        chromium.load_module(page, "<main><h1>Notebook</h1><h2>Views</h2><h3>All</h3><div id=host></div></main>")
        page.evaluate(DRAW, [trace, tk.plot(tk.service_graph(during)).graph, heat.payload, flame.payload])
        page.locator(".tkw-row").nth(3).click()
        page.locator(".node").first.click()
        for name in ("Durations over time", "Flame graph"):
            page.locator(f"canvas[aria-label='{name}']").focus()
            page.keyboard.press("ArrowRight")
        page.evaluate("() => { document.documentElement.lang = 'en'; document.title = 'Views' }")
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == []


def test_every_control_can_be_reached_and_worked_by_key(browser, path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        enliven(page)
        kinds = "button, a[href], summary, select, input, [role=button], [role=treegrid], [role=separator]"
        clickable = f"""() => [...document.querySelectorAll('{kinds}')]
          .filter(e => e.checkVisibility() && e.tabIndex < 0).map(e => e.outerHTML.slice(0, 120))"""
        assert page.evaluate(clickable) == []
        view = page.locator("#view-waterfall-1")
        view.locator("input").focus()
        names = []
        for _ in range(40):
            page.keyboard.press("Tab")
            focused = page.evaluate("() => document.activeElement.className || document.activeElement.textContent")
            names.append(focused)
            if focused == "tkw-scroll":
                break
        assert {"Critical path", "Fold repeats", "Whole trace", "Keyboard shortcuts", "ledger"} <= set(names)
        assert names[-1] == "tkw-scroll"
        page.keyboard.press("Enter")
        assert view.locator(".tkw-det.on").count() == 1
        page.keyboard.press("Escape")
        assert view.locator(".tkw-det.on").count() == 0
        assert visited.messages == []
