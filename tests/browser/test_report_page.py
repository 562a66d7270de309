"""The report as it is opened from disk, with the network cut: one request, no message, and everything works."""

import base64

import chromium
import numpy as np
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.report import report

pytestmark = pytest.mark.browser
TRACES = 60


def shop():
    """Checkouts of three services; the k-th takes 10 + k ms, every sixth fails; 20 operations for long tables."""
    k = np.arange(TRACES)
    ids = [f"{i + 1:032x}" for i in k]
    start = 1_747_231_200_000_000_000 + k * 10**9
    took = (10 + k) * 10**6
    failed = np.where(k % 6 == 5, "ERROR", "UNSET")
    layers = [
        ("1", None, "front", "POST /checkout", "SERVER", 0, 0),
        ("2", "1", "front", "POST", "CLIENT", 1, 1),
        ("3", "2", "cart", "POST /orders", "SERVER", 2, 2),
        ("4", "3", "ledger", "step", "INTERNAL", 3, 4),
    ]
    frames = [
        pd.DataFrame(
            {
                "trace_id": ids,
                "span_id": number,
                "parent_span_id": parent,
                "service_name": service,
                "name": [f"step {i % 20}" for i in k] if name == "step" else name,
                "kind": kind,
                "start_ns": start + before * 10**6,
                "end_ns": start + took - after * 10**6,
                "status_code": failed,
                "attributes.tenant": [f"tenant {i}" for i in k],
            }
        )
        for number, parent, service, name, kind, before, after in layers
    ]
    return TraceSet.from_spans(pd.concat(frames, ignore_index=True))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return report(shop(), tmp_path_factory.mktemp("report") / "shop.html", title="Shop")


def rows(page, section):
    """Texts of the rows of a section's first table that are shown."""
    return page.evaluate(
        """section => [...document.querySelector(`#${section} table`).tBodies[0].rows]
           .filter(row => row.offsetParent).map(row => [...row.cells].map(cell => cell.innerText.trim()))""",
        section,
    )


def live(page, kind):
    view = page.locator(f'script[data-view="{kind}"]').first.get_attribute("data-for")
    page.locator(f"#{view}").scroll_into_view_if_needed()
    page.locator(f"#{view}.live").wait_for()
    return page.locator(f"#{view}")


def test_the_first_screen_holds_the_figures_and_the_first_finding(page):
    height = page.viewport_size["height"]
    assert page.locator("h1").inner_text() == "Shop"
    values = page.locator("dd").all_inner_texts()
    assert values[:5] == ["60", "240", "3", "16.7%", "39.0 ms"]
    assert float(values[5].removesuffix(" ms")) == pytest.approx(66, rel=0.02)
    for place in ("dl", ".findings li"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] + box["height"] < height
    assert "front POST /checkout" in page.locator(".findings").inner_text()


def test_nothing_is_wider_than_the_page(page):
    for width in (1280, 800, 420):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_every_link_of_the_contents_leads_to_its_section(page):
    for link in page.locator("nav a").all():
        link.click()
        target = link.get_attribute("href")[1:]
        assert page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", target) < 900


def test_tables_sort_by_value_and_back(page):
    before = rows(page, "operations")
    head = page.locator("#operations th").nth(5)
    assert head.inner_text() == "p95"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#operations th").nth(2).get_attribute("aria-sort") == "none"
    to_ns = lambda words: float(words.split()[0]) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[words.split()[1]]  # noqa: E731 - local
    values = [to_ns(row[5]) for row in rows(page, "operations")]
    assert values == sorted(values, reverse=True)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = [to_ns(row[5]) for row in rows(page, "operations")]
    assert values == sorted(values)
    page.locator("#operations th").nth(1).get_by_role("button").click()
    names = [row[1].lower() for row in rows(page, "operations")]
    assert names == sorted(names)
    assert len(before) == len(names) == 15


def test_tables_are_short_until_expanded_and_can_be_searched(page):
    assert len(rows(page, "operations")) == 15
    button = page.locator("#operations .more")
    assert button.inner_text() == "Show all 23 rows"
    button.click()
    assert len(rows(page, "operations")) == 23
    page.locator("#operations input").fill("STEP 1")
    assert {row[1] for row in rows(page, "operations")} == {"step 1", *(f"step {k}" for k in range(10, 20))}
    assert page.locator("#operations .count").inner_text() == "11 of 23 rows"
    page.locator("#operations input").fill("")
    assert len(rows(page, "operations")) == 23


def test_a_waterfall_is_activated_when_scrolled_to(page):
    assert page.locator(".view.live").count() == 0
    view = live(page, "waterfall")
    names = view.locator(".tkw-row .tkw-nm").all_inner_texts()[:4]
    assert names == ["POST /checkout", "POST", "POST /orders", "step 19"]
    assert not view.locator(".still").is_visible()
    view.locator('.tkw-row[data-row="3"]').click()
    assert "tenant 59" in view.locator(".tkw-det").inner_text()
    view.locator(".tkw-scroll").focus()
    page.keyboard.press("Home")
    assert view.locator(".tkw-ttl").inner_text() == "POST /checkout"


def test_the_page_keeps_its_layout_while_views_are_activated(page):
    top = "() => Math.round(document.querySelector('footer').getBoundingClientRect().top + scrollY)"
    before = page.evaluate(top)
    for view in page.locator(".view:visible").all():
        view.scroll_into_view_if_needed()
        page.locator(f"#{view.get_attribute('id')}.live").wait_for()
    assert page.evaluate(top) == before
    assert page.locator(".tkw").count() == 6


def test_the_map_is_activated_too(page):
    view = live(page, "map")
    view.locator(".node").first.click()
    assert "3 services" in view.locator(".tkw-map").get_attribute("aria-label")
    assert "front → cart: 60 calls" in view.locator(".tkw-say").inner_text()


def test_a_trace_in_the_table_links_to_its_waterfall(page):
    page.locator("#traces td a").nth(2).click()
    assert page.evaluate("() => location.hash") == f"#trace-{TRACES - 2:032x}"
    assert page.locator(f"#trace-{TRACES - 2:032x}").bounding_box()["y"] < 900


def test_light_and_dark(browser, path):
    ground = "() => getComputedStyle(document.body).backgroundColor"
    for scheme, other in (("light", "Dark"), ("dark", "Light")):
        with chromium.visit(browser, color_scheme=scheme) as visited:
            page = visited.open(path)
            before = page.evaluate(ground)
            view = live(page, "waterfall")
            assert view.locator(".tkw.tk-dark").count() == (scheme == "dark")
            page.evaluate("() => scrollTo(0, 0)")
            page.get_by_role("button", name=other, exact=True).click()
            assert page.evaluate(ground) != before
            dark = "[...document.querySelectorAll('.tkw')].map(view => view.classList.contains('tk-dark'))"
            chromium.wait_until(page, f"() => {dark}.every(is => is === {str(scheme == 'light').lower()})")
            assert visited.messages == []


def test_without_scripts_the_pictures_and_tables_remain(browser, path):
    with chromium.visit(browser, java_script_enabled=False) as visited:
        visited.page.goto(path.as_uri())
        assert visited.page.locator(".still svg").count() == 6
        assert visited.page.locator("#operations tbody tr").count() == 23
        assert "step 19" in visited.page.locator("#traces .still").first.inner_text()


def test_on_paper_tables_are_as_wide_as_needed_and_views_are_pictures(page):
    live(page, "waterfall")
    page.emulate_media(media="print")
    assert page.locator(".still svg").first.is_visible()
    assert not page.locator(".tkw").first.is_visible()
    assert not page.locator("nav").is_visible()
    hidden = (
        "() => [...document.querySelectorAll('.table')].filter(t => getComputedStyle(t).overflowX !== 'visible').length"
    )
    assert page.evaluate(hidden) == 0


def test_a_damaged_view_is_reported_and_keeps_its_picture(browser, path, tmp_path):
    text = path.read_text()
    at = text.index('data-view="waterfall"')
    begin = text.index(">", at) + 1
    broken = tmp_path / "broken.html"
    broken.write_text(text[:begin] + text[begin : begin + 200] + text[text.index("</script>", begin) :])
    with chromium.visit(browser) as visited:
        page = visited.open(broken)
        page.locator("#traces").scroll_into_view_if_needed()
        view = page.locator("#view-waterfall-1")
        view.scroll_into_view_if_needed()
        view.locator(".failed").wait_for()
        assert "The interactive view could not be drawn" in view.inner_text()
        assert view.locator(".still svg").is_visible()


def brightness(page, browser_page, edge):
    """Return how bright half of the first or last pixels of a table are at most, 0 to 255."""
    table = page.locator("#operations .table").first
    picture = base64.b64encode(table.screenshot()).decode()
    return browser_page.evaluate(
        """async ([picture, edge]) => {
             const bytes = Uint8Array.from(atob(picture), letter => letter.charCodeAt(0));
             const image = await createImageBitmap(new Blob([bytes], {type: "image/png"}));
             const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
             canvas.drawImage(image, 0, 0);
             const at = edge == "left" ? 2 : image.width - 4;
             const pixels = canvas.getImageData(at, 0, 2, image.height).data;
             const red = [...pixels].filter((_, k) => k % 4 == 0).sort((a, b) => a - b);
             return red[red.length >> 1];
           }""",
        [picture, edge],
    )


def test_a_table_wider_than_the_page_has_a_shaded_edge(page, browser):
    page.set_viewport_size({"width": 520, "height": 900})
    blank = browser.new_page()
    assert brightness(page, blank, "right") < 240
    assert brightness(page, blank, "left") > 250
    page.evaluate("() => { const t = document.querySelector('#operations .table'); t.scrollLeft = t.scrollWidth }")
    assert brightness(page, blank, "right") > 250
    assert brightness(page, blank, "left") < 240
    blank.close()


def test_the_contents_mark_where_the_reader_is_however_he_came_there(page):
    marked = "() => [...document.querySelectorAll('nav a[aria-current]')].map(link => link.textContent)"
    first, *_, last = page.locator("nav a").all_inner_texts()
    for way, here in (("document.body.scrollHeight", last), ("0", first)):
        page.evaluate(f"() => window.scrollTo(0, {way})")
        chromium.wait_until(page, f"() => ({marked})().join() === {here!r}")
