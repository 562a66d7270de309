"""The report on paper and on a phone: what is collapsed stays collapsed, and the change is what is seen first."""

import re
from pathlib import Path

import chromium
import pandas as pd
import pytest

import tracekit as tk

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LONG = "com.example.shop.ledger." + "very.long." * 20 + "EntryRepository/findByCostCentre"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    before, during = tk.load_sample("checkout-regression")
    return tk.report(during, tmp_path_factory.mktemp("report") / "report.html", baseline=before)


@pytest.fixture(scope="module")
def phone(browser, path):
    with chromium.visit(browser, **PHONE, bypass_csp=True) as visited:
        yield visited.open(path)


def test_collapsed_rows_are_not_printed_and_are_counted(browser, path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        table = page.locator("#operations table")
        rows = table.locator("tbody tr").count()
        page.emulate_media(media="print")
        shown = table.locator("tbody tr:visible").count()
        assert 0 < shown < rows
        assert page.locator("#operations .rest").inner_text() == f"and {rows - shown} more rows"
        page.emulate_media(media="screen")
        assert not page.locator("#operations .rest").is_visible()
        page.locator("#operations .more").click()
        page.emulate_media(media="print")
        assert table.locator("tbody tr:visible").count() == rows
        assert not page.locator("#operations .rest").is_visible()


def test_headings_are_on_the_page_of_what_they_head(browser, path, tmp_path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        page.emulate_media(media="print")
        kept = page.evaluate(
            "() => [...document.querySelectorAll('h2, h3, .lead, figcaption')].map(e => getComputedStyle(e).breakAfter)"
        )
        assert set(kept) == {"avoid"}
        page.pdf(path=tmp_path / "report.pdf", format="A4")
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes()))
    assert 3 <= pages <= 14  # the first is the first screen


FIRST_HEAD = "document.querySelector('#changes table:has(th[data-lead]) th').textContent"


def test_on_a_phone_the_change_comes_first_and_moves_back(browser, path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        table = page.locator("#changes table:has(th[data-lead])").first
        heads = table.locator("th")
        wide, cells = heads.all_inner_texts(), table.locator("tbody tr").first
        row = cells.locator("td").all_inner_texts()
        at = wide.index("change")
        assert at > 0
        page.set_viewport_size({"width": 390, "height": 844})
        chromium.wait_until(page, f"() => {FIRST_HEAD} === 'change'")
        assert heads.all_inner_texts() == ["change", *wide[:at], *wide[at + 1 :]]
        assert cells.locator("td").all_inner_texts() == [row[at], *row[:at], *row[at + 1 :]]
        heads.nth(0).get_by_role("button").click()
        assert heads.nth(0).get_attribute("aria-sort") == "descending"
        page.set_viewport_size({"width": 1280, "height": 844})
        chromium.wait_until(page, f"() => {FIRST_HEAD} === 'service'")
        assert heads.all_inner_texts() == wide


def test_axe_finds_nothing_on_a_phone(phone):
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    for view in phone.locator(".view").all():
        view.scroll_into_view_if_needed()
    phone.evaluate((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = phone.evaluate("async () => (await axe.run()).violations")
    assert [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found] == []


def test_charts_wider_than_the_page_can_be_scrolled_by_keyboard(phone):
    wide = phone.evaluate(
        "() => [...document.querySelectorAll('.chart')].map(e => [e.scrollWidth > e.clientWidth + 1, e.tabIndex])"
    )
    assert [True, 0] in wide
    assert all(index == (0 if is_wide else -1) for is_wide, index in wide)


def test_hints_fit_the_pointer(phone):
    phone.locator("#map .view").scroll_into_view_if_needed()
    phone.locator("#view-map-1.live").wait_for()
    words = phone.locator("#map .tkw-say").inner_text()
    assert words.startswith("Tap a service")
    assert "wheel" not in words


def test_a_very_long_name_is_shortened_in_the_middle_and_whole_in_tooltip_filter_and_file(browser, tmp_path):
    frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": LONG, "start_ns": 0, "end_ns": 5000})
    traces = tk.TraceSet.from_spans(frame.assign(service_name="ledger"))
    with chromium.visit(browser) as visited:
        page = visited.open(tk.report(traces, tmp_path / "long.html"))
        cell = page.locator("#operations td.wide").first
        assert len(cell.inner_text()) == 120
        assert cell.inner_text().startswith("com.example.shop.ledger.very")
        assert cell.inner_text().endswith("EntryRepository/findByCostCentre")
        assert cell.get_attribute("title") == LONG
        with page.expect_download() as caught:
            page.locator("#operations").get_by_role("button", name="Download CSV").click()
        assert LONG in Path(caught.value.path()).read_text()
