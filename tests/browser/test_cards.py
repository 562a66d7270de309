"""Cards of a notebook output: what axe-core finds, and that they fit a phone, in light and dark."""

from pathlib import Path

import chromium
import pytest

import tracekit as tk

pytestmark = pytest.mark.browser
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width"><title>Cards</title><main><h1>Cards</h1>{}</main></html>"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    before, during = tk.load_sample("checkout-regression")
    results = (tk.suspects(before, during), tk.suspects(before, before), tk.paths(during, before))
    made = tmp_path_factory.mktemp("cards") / "cards.html"
    made.write_text(PAGE.format("".join(result._repr_mimebundle_()["text/html"] for result in results)))
    return made


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core, as a Python package carries it."""
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut(browser, path, axe, scheme, width):
    with chromium.visit(browser, color_scheme=scheme, viewport={"width": width, "height": 900}) as visited:
        page = visited.page
        page.goto(path.as_uri())
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        shown = page.locator(".tk-card img").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
        assert len(shown) > 6
        assert min(shown) >= 300  # its text of 11 px has 9 px at least
        columns = (
            page.locator(".tk-row")
            .first.locator(".tk-column")
            .evaluate_all("all => all.map(one => one.getBoundingClientRect().top)")
        )
        assert (columns[0] == columns[1]) == (width > 390)
        assert visited.messages == []
