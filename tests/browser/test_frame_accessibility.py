"""What axe-core finds inside the frames of a notebook, at desktop and phone width, in light and dark."""

from pathlib import Path

import chromium
import pytest
from saved_page import opened

import tracekit as tk

pytestmark = pytest.mark.browser
# rules for whole documents: headings and landmarks are those of the page that contains the frame
OF_PAGES = ("landmark-one-main", "page-has-heading-one", "region")
RUN = """async rules => (await axe.run({ rules: Object.fromEntries(rules.map(rule => [rule, { enabled: false }])) }))
  .violations.map(({ id, nodes }) => [id, nodes.length, nodes[0].html.slice(0, 200), nodes[0].failureSummary])"""


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core, as a Python package carries it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def views():
    before, during = tk.load_sample("checkout-regression")
    path = tk.critical_path(during)
    worst = during.summary["root_duration_ns"].idxmax()
    return {
        "waterfall": tk.waterfall(during, worst, path=path, compare=before),
        "map": tk.plot(tk.service_graph(during)),
        "heat": tk.plot(tk.timeline(during), kind="heat"),
        "flame": tk.plot(path.flame()),
        "latency": tk.plot(tk.latency(during), against=tk.latency(before)),
        "timeline": tk.plot(tk.timeline(during)),
        "critical path": tk.plot(path),
        "change": tk.plot(tk.critical_path(before).compare(path)),
        "explore": tk.explore(during),
    }


def use(frame, name):
    """Open what can be opened in a view."""
    if name == "waterfall":
        frame.locator(".tkw-row:not(.fold)[data-row]").nth(6).click()
    elif name == "map":
        frame.locator(".node").first.focus()
        frame.locator(".node").first.press("Enter")
    elif name in {"heat", "flame"}:
        frame.locator("canvas").focus()
        frame.locator("canvas").press("ArrowRight")
    elif name == "explore":
        frame.get_by_label("attribute", exact=True).select_option(index=3)
        frame.locator(".tkw-list").select_option(index=1)
        frame.locator(".tkw-row").first.wait_for()
    else:
        frame.locator("svg").first.focus()
        frame.locator("svg").first.press("ArrowRight")
    chromium.settle(frame, 150)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["waterfall", "map", "heat", "flame", "latency", "timeline", "critical path", "change", "explore"]
)
def test_axe_finds_nothing_in_a_frame(browser, views, axe, tmp_path, name, scheme, width):
    size = {"width": width, "height": 900}
    with chromium.visit(browser, color_scheme=scheme, bypass_csp=True, viewport=size) as visited:
        (frame,) = opened(visited, tmp_path / "saved.html", views[name].frame(), is_light=scheme == "light")
        use(frame, name)
        visited.page.screenshot(path=tmp_path / f"{name}.png")
        frame.evaluate(axe)
        assert frame.evaluate(RUN, list(OF_PAGES)) == []
