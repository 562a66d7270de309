"""The service map in a bare page: boxes, focus by mouse and key, and the widget's two-way selection."""

import json

import chromium
import pytest

pytestmark = pytest.mark.browser

PLACES = [("web", 84, 17), ("cart", 312, 17), ("ledger", 312, 65), ("sqlite", 540, 17)]
BOX = {"w": 168, "h": 34, "sub": "2 · p95 1 ms"}
GRAPH = {
    "size": [624, 100],
    "nodes": [
        {"name": name, "x": x, "y": y, "say": f"said of {name}", "slot": k, "inferred": k == 3, "bad": k == 2, **BOX}
        for k, (name, x, y) in enumerate(PLACES)
    ],
    "edges": [
        {"a": 0, "b": 1, "d": "M168,17L228,17", "w": 2, "err": False, "back": False, "tip": "web → cart: 5 calls"},
        {"a": 0, "b": 2, "d": "M168,17L228,65", "w": 2, "err": True, "back": False, "tip": "web → ledger: 2 calls"},
        {"a": 1, "b": 3, "d": "M396,17L456,17", "w": 2, "err": False, "back": True, "tip": "cart → sqlite: 9 calls"},
    ],
}  # fmt: skip


@pytest.fixture
def page(visit):
    chromium.load_module(visit.page)
    visit.page.evaluate(
        """text => {
          window.chosen = [];
          const host = document.getElementById('host'), onSelect = name => chosen.push(name);
          window.S = new M.ServiceMap(host, JSON.parse(text), { onSelect }) }""",
        json.dumps(GRAPH),
    )
    visit.page.wait_for_selector("svg[viewBox]")
    return visit.page


def dimmed(page):
    return page.evaluate("() => [...document.querySelectorAll('.node')].map(n => n.classList.contains('far'))")


def test_every_service_is_a_button_with_its_label(page):
    nodes = page.get_by_role("button")
    assert nodes.count() == 4
    assert page.get_by_role("button", name="web 2 · p95 1 ms", exact=True).count() == 1
    assert page.locator("path.e").count() == 3
    assert page.locator("path.e.err").count() == 1
    assert page.locator("path.e").nth(2).get_attribute("stroke-dasharray") == "5 3"


def test_the_map_is_never_larger_than_life(page):
    assert page.locator(".node .box").first.bounding_box()["width"] == pytest.approx(168, abs=2)


def test_in_a_narrow_view_the_names_are_large_enough_to_be_read_and_the_rest_is_dragged_to(page):
    shown = "document.querySelector('.tkw-map')"
    scale = f"() => {shown}.clientWidth / {shown}.viewBox.baseVal.width"
    page.set_viewport_size({"width": 380, "height": 800})
    chromium.wait_until(page, f"() => Math.abs(({scale})() - 0.75) < 0.01")  # the page shrinks before the map does
    left = page.locator(".tkw-map .node").evaluate_all(
        "all => Math.min(...all.map(n => n.getBoundingClientRect().left))"
    )
    assert 0 <= left - page.locator(".tkw-map").bounding_box()["x"] < 20


def test_a_click_shows_a_service_with_its_callers_and_callees(page):
    page.locator(".node").nth(1).click()
    assert dimmed(page) == [False, False, True, False]
    said = page.locator(".tkw-say").inner_text()
    assert "said of cart" in said
    assert "web → cart: 5 calls" in said
    assert "cart → sqlite: 9 calls" in said
    assert "ledger" not in said
    assert page.evaluate("() => chosen") == ["cart"]
    page.locator(".node").nth(1).click()
    assert dimmed(page) == [False] * 4


def test_hovering_over_a_service_shows_its_numbers(page):
    hint = page.locator(".tkw-say").inner_text()
    page.locator(".node").nth(2).hover()
    assert page.locator(".tkw-say").inner_text() == "ledger said of ledger"
    page.mouse.move(2, 2)
    assert page.locator(".tkw-say").inner_text() == hint


def test_the_keyboard_does_the_same(page):
    page.locator(".node").nth(2).focus()
    page.keyboard.press("Enter")
    assert dimmed(page) == [False, True, False, True]
    assert page.locator(".node").nth(2).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert dimmed(page) == [False] * 4


def test_a_click_outside_the_boxes_shows_everything_again(page):
    page.locator(".node").nth(1).click()
    page.locator(".tkw-map").click(position={"x": 5, "y": 5})
    assert dimmed(page) == [False] * 4


def zoom(page):
    """Turn the wheel over the first box; where that stood before."""
    box = page.locator(".node .box").first.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function("() => document.querySelector('.box').getBoundingClientRect().width > 200")
    return box


def test_ctrl_wheel_zooms_where_the_pointer_is(page):
    box = zoom(page)
    after = page.locator(".node .box").first.bounding_box()
    assert after["x"] + 10 * after["width"] / box["width"] == pytest.approx(box["x"] + 10, abs=1)


def test_hidden_and_shown_again_it_stays_as_it_was_left(page):
    zoom(page)
    left = page.locator(".tkw-map").get_attribute("viewBox")
    for display in ("none", ""):
        page.evaluate("display => { document.getElementById('host').style.display = display }", display)
        chromium.settle(page, 80)
    assert page.locator(".tkw-map").get_attribute("viewBox") == left
    page.set_viewport_size({"width": 700, "height": 600})  # another size shows all of it
    page.wait_for_function("left => document.querySelector('.tkw-map').getAttribute('viewBox') !== left", arg=left)
    assert page.locator(".node .box").first.bounding_box()["width"] <= 168 + 2


def drawn(page, graph):
    page.evaluate(
        """text => {
          S.destroy();
          window.S = new M.ServiceMap(document.getElementById('host'), JSON.parse(text)) }""",
        json.dumps(graph),
    )
    return page.locator(".tkw-say").inner_text()


def test_a_comparison_shows_what_is_new_and_what_is_gone(page):
    nodes = [
        node | {"mark": mark} for node, mark in zip(GRAPH["nodes"], ["", "added", "slower", "removed"], strict=True)
    ]
    edges = [edge | {"mark": mark} for edge, mark in zip(GRAPH["edges"], ["added", "slower", "removed"], strict=True)]
    assert "red: regressed, blue: new, dashed: removed" in drawn(page, GRAPH | {"nodes": nodes, "edges": edges})
    assert page.locator(".node.new").count() == page.locator(".node.gone").count() == 1
    assert page.locator("path.e.new").count() == 1
    colours = page.locator("path.e").evaluate_all("paths => paths.map(path => getComputedStyle(path).stroke)")
    assert len(set(colours)) == 3


def test_a_map_without_services_shows_a_message(page):
    assert drawn(page, GRAPH | {"nodes": [], "edges": []}) == "No services recorded."
