"""The waterfall in a bare page, as a notebook runs it: rows, keys, search, details, themes."""

import chromium
import pandas as pd
import pytest
from waterfall_page import labels, mount, press, settle

from tracekit import TraceSet
from tracekit.text import duration
from tracekit.views.tkw1 import Payload, encode
from tracekit.views.waterfall.drawing import draw
from tracekit.views.waterfall.payload import encoded, trace_payload

pytestmark = pytest.mark.browser

#  0 shop POST /pay           0..1000 us
#  1   cart lock              50..150
#  2   ledger charge          200..800  failed
#  3     ledger SELECT        250..500
#  4   mailer send            850..(no end)
ROWS = [
    ("1", None, "shop", "POST /pay", 0, 1000, "UNSET"),
    ("2", "1", "cart", "lock", 50, 150, "UNSET"),
    ("3", "1", "ledger", "charge", 200, 800, "ERROR"),
    ("4", "3", "ledger", "SELECT", 250, 500, "UNSET"),
    ("5", "1", "mailer", "send", 850, None, "UNSET"),
]


def small_trace():
    names = ["span_id", "parent_span_id", "service_name", "name", "start_ns", "end_ns", "status_code"]
    frame = pd.DataFrame(ROWS, columns=names).assign(trace_id="a1", status_message=["", "", "card refused", "", ""])
    frame["attributes.tenant"] = [None, None, "blue", "green", None]
    frame["attributes.db.query.text"] = [None, None, None, "SELECT rate\n  FROM card", None]
    times = frame[["start_ns", "end_ns"]].astype("Int64") * 1000 + 1_747_231_200_000_000_000
    return TraceSet.from_spans(frame.assign(start_ns=times["start_ns"], end_ns=times["end_ns"]))


def long_trace(n=3_000):
    parents = [None] + [f"{max(1, k // 4 * 4):x}" if k % 4 else "1" for k in range(2, n + 1)]
    frame = pd.DataFrame({"trace_id": "a1", "span_id": [f"{k:x}" for k in range(1, n + 1)], "parent_span_id": parents})
    starts = [1 + k * 1_000 for k in range(n)]
    ends = [1 + n * 1_000, *(1 + (k + 5) * 1_000 for k in range(1, n))]
    return TraceSet.from_spans(
        frame.assign(name=[f"op {k}" for k in range(n)], service_name="s", start_ns=starts, end_ns=ends)
    )


@pytest.fixture
def page(visit):
    return mount(visit, trace_payload(small_trace(), "0000"))


def state(page, what):
    return page.evaluate(f"() => W.{what}")


def test_rows_are_in_order_with_their_labels(page):
    assert labels(page) == ["POST /pay", "lock", "charge", "SELECT", "send"]
    assert page.locator(".tkw-d").all_inner_texts()[:5] == ["1.00 ms", "100 µs", "600 µs", "250 µs", "no end"]
    assert page.locator('.tkw-row[data-row="2"] .tkw-mark').first.is_visible()
    assert page.locator(".tkw-note").inner_text() == "1 span without an end, drawn to the end of the trace"


def test_an_empty_result_shows_a_message(visit):
    chromium.load_module(visit.page)
    data = chromium.buffer(encoded(draw(small_trace().where("service_name == 'nobody'"), "a1").payload))
    script = f"""text => {{
      window.W = new M.Waterfall(document.getElementById('host'), M.decode(({chromium.BYTES})(text)), {{}}) }}"""
    visit.page.evaluate(script, data)
    assert visit.page.locator(".tkw-note").inner_text() == "No traces in the data."
    visit.page.locator(".tkw-scroll").focus()
    press(visit.page, "ArrowDown", "End", "e", "f", "w", "ArrowRight", "ArrowLeft", "Enter", "n", "p", "?", "Escape")
    assert visit.page.locator(".tkw-row[data-row]").count() == 0


def test_bars_are_to_scale(page):
    boxes = page.evaluate(
        "() => [...document.querySelectorAll('.tkw-b')].slice(0, 5).map(b => b.getBoundingClientRect().toJSON())"
    )
    whole = boxes[0]["width"]
    assert [round(box["width"] / whole, 2) for box in boxes] == [1.0, 0.1, 0.6, 0.25, 0.15]
    assert [round((box["left"] - boxes[0]["left"]) / whole, 2) for box in boxes] == [0.0, 0.05, 0.2, 0.25, 0.85]


def test_a_click_selects_and_shows_what_is_known(page):
    page.locator('.tkw-row[data-row="3"]').click()
    assert page.evaluate("() => chosen") == [3]
    shown = page.locator(".tkw-det").inner_text()
    for words in (
        "SELECT",
        "ledger",
        "250 µs",
        "tenant",
        "green",
        "SELECT rate\n  FROM card",
        "0000000000000004",
        "frame",
    ):
        assert words in shown
    assert "blue" not in shown
    page.locator('.tkw-row[data-row="2"]').click()
    assert "error: card refused" in page.locator(".tkw-det").inner_text()
    page.get_by_role("button", name="Close").click()
    assert not page.locator(".tkw-det").is_visible()


def test_the_keys_walk_fold_and_unfold(page):
    page.locator(".tkw-scroll").focus()
    press(page, "ArrowDown")
    assert state(page, "selected") == 0
    press(page, "j", "j")
    assert state(page, "selected") == 2
    press(page, "ArrowLeft")
    assert labels(page) == ["POST /pay", "lock", "charge", "send"]
    press(page, "ArrowRight", "ArrowRight")
    assert state(page, "selected") == 3
    press(page, "ArrowLeft")
    assert state(page, "selected") == 2
    press(page, "End")
    assert state(page, "selected") == 4
    press(page, "k", "Home")
    assert state(page, "selected") == 0
    press(page, "[")
    assert labels(page) == ["POST /pay", "lock", "charge", "send"]
    press(page, "]")
    assert len(labels(page)) == 5


def test_the_keys_zoom_pan_and_fit(page):
    page.locator(".tkw-scroll").focus()
    press(page, "w")
    assert [state(page, "from"), state(page, "to")] == pytest.approx([1e5, 9e5])
    press(page, "d")
    assert state(page, "from") == pytest.approx(1.8e5)
    press(page, "a", "s", "0")
    assert [state(page, "from"), state(page, "to")] == [0, 1e6]
    press(page, "e")
    assert state(page, "selected") == 2
    press(page, "f")
    assert [state(page, "from"), state(page, "to")] == pytest.approx([1.7e5, 8.3e5])


def test_a_selected_span_outside_the_window_is_brought_into_it(page):
    page.evaluate("() => W.look(0, 1e5)")
    page.evaluate("() => W.select(4)")
    assert state(page, "from") <= 8.5e5 <= state(page, "to")


def test_the_search_looks_into_names_services_and_attributes(page):
    page.locator(".tkw-scroll").focus()
    press(page, "/")
    for words, found, first in (
        ("LEDGER", "2 found", 2),
        ("green", "1 found", 3),
        ("tenant", "2 found", 2),
        ("zzz", "0 found", None),
    ):
        page.get_by_role("searchbox").fill(words)
        assert page.locator(".tkw-bar [role=status]").inner_text() == found
        if first is not None:
            page.evaluate("() => { W.selected = -1 }")
            press(page, "Enter")
            assert state(page, "selected") == first
    press(page, "Escape")
    assert page.evaluate("() => document.activeElement.className") == "tkw-scroll"


def test_a_hit_in_a_folded_subtree_is_unfolded(page):
    page.evaluate("() => W.foldAll(true)")
    page.get_by_role("searchbox").fill("SELECT")
    press(page, "Enter")
    assert state(page, "selected") == 3
    assert "SELECT" in labels(page)


def test_no_key_leaves_the_view(page):
    page.evaluate("() => { window.leaked = []; document.addEventListener('keydown', e => leaked.push(e.key)) }")
    page.locator(".tkw-scroll").focus()
    press(page, "a", "b", "d", "ArrowDown", "Enter")
    page.get_by_role("searchbox").click()
    page.keyboard.type("abd")
    assert page.evaluate("() => leaked") == []
    assert page.locator(".tkw").get_attribute("data-lm-suppress-shortcuts") == "true"


def test_roles_and_names_for_assistive_technology(page):
    grid = page.locator("[role=treegrid]")
    assert grid.get_attribute("aria-rowcount") == "5"
    page.locator(".tkw-scroll").focus()
    press(page, "e")
    row = page.locator(f"#{grid.get_attribute('aria-activedescendant')}")
    assert row.get_attribute("aria-level") == "2"
    assert row.get_attribute("aria-rowindex") == "3"
    assert row.get_attribute("aria-expanded") == "true"
    assert row.get_attribute("aria-selected") == "true"
    assert row.locator(".tkw-line").get_attribute("aria-label") == "600 µs, starts at 200 µs, error"
    assert page.locator("[aria-live=polite]").inner_text() == "ledger charge, 600 µs, starts at 200 µs, error"


def test_the_name_column_can_be_resized_by_hand_and_by_key(page):
    handle = page.locator(".tkw-split")
    before = state(page, "split")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + 84, box["y"] + 4)
    page.mouse.up()
    assert state(page, "split") == pytest.approx(before + 80)
    handle.focus()
    press(page, "ArrowLeft")
    assert state(page, "split") == pytest.approx(before + 64)
    settle(page)
    assert page.locator(".tkw-lab").first.bounding_box()["width"] == pytest.approx(before + 64, abs=1)


def test_dragging_over_the_overview_zooms_and_a_double_click_shows_all(page):
    box = page.locator(".tkw-mini").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=3)
    page.mouse.up()
    assert [state(page, "from"), state(page, "to")] == pytest.approx([2.5e5, 5e5], rel=0.02)
    page.locator(".tkw-mini").dblclick()
    assert [state(page, "from"), state(page, "to")] == [0, 1e6]


def test_plain_wheel_scrolls_and_ctrl_wheel_zooms(visit):
    page = mount(visit, trace_payload(long_trace(), "0000"))
    page.locator(".tkw-scroll").hover()
    settle(page)
    page.mouse.wheel(0, 300)
    page.wait_for_function("() => document.querySelector('.tkw-scroll').scrollTop === 300")
    span = state(page, "to") - state(page, "from")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(f"() => W.to - W.from < {span * 0.9}")
    assert page.evaluate("() => document.querySelector('.tkw-scroll').scrollTop") == 300
    begin, span = state(page, "from"), state(page, "to") - state(page, "from")
    page.keyboard.down("Shift")
    page.mouse.wheel(0, 150)
    page.keyboard.up("Shift")
    page.wait_for_function(f"() => W.from > {begin + span * 0.05}")
    assert state(page, "to") - state(page, "from") == pytest.approx(span)


def test_only_the_rows_in_sight_exist(visit):
    page = mount(visit, trace_payload(long_trace(), "0000"))
    assert page.locator(".tkw-row").count() < 40
    page.locator(".tkw-scroll").focus()
    press(page, "End")
    settle(page)
    assert page.locator(".tkw-row").count() < 40
    assert page.locator('.tkw-row[data-row="2999"]').is_visible()
    assert page.locator("[aria-activedescendant]").count() == 1
    page.evaluate("() => { document.querySelector('.tkw-scroll').scrollTop = 0 }")
    page.wait_for_function("() => document.querySelector('[data-row=\"0\"]')")
    settle(page)
    assert page.locator("[aria-activedescendant]").count() == 0


def test_details_that_are_not_embedded_are_requested(visit):
    traces = small_trace()
    page = mount(visit, trace_payload(traces, "0000", with_details=False))
    page.locator('.tkw-row[data-row="3"]').click()
    assert "loading from the kernel" in page.locator(".tkw-det").inner_text()
    assert page.evaluate("() => asked.map(([what]) => what)") == [{"kind": "details", "row": 3}]


def test_the_theme_follows_the_page_even_when_its_colours_load_late(visit):
    page = mount(visit, trace_payload(small_trace(), "0000"))
    pixel = """() => {
      const mini = document.querySelector('.tkw-mini'), copy = document.createElement('canvas');
      [copy.width, copy.height] = [mini.width, mini.height];
      const pen = copy.getContext('2d', { willReadFrequently: true });
      pen.drawImage(mini, 0, 0);
      return [...pen.getImageData(copy.width / 2, 1, 1, 1).data].slice(0, 3) }"""
    settle(page)
    dark = "() => document.querySelector('.tkw').classList.contains('tk-dark')"
    assert not page.evaluate(dark)
    light_pixel = page.evaluate(pixel)
    page.evaluate("() => { document.body.dataset.jpThemeLight = 'false' }")
    settle(page)
    assert page.evaluate(dark)
    page.evaluate("() => document.body.style.setProperty('--jp-layout-color0', 'rgb(1, 2, 3)')")  # the sheet arrives
    page.wait_for_function(f"() => JSON.stringify(({pixel})()) === '[1,2,3]'")
    assert light_pixel != [1, 2, 3]


def test_it_is_in_a_shadow_root_and_is_gone_when_destroyed(visit):
    page = visit.page
    chromium.load_module(page)
    data = chromium.buffer(encoded(trace_payload(small_trace(), "0000")))
    page.evaluate(
        f"""text => {{
          const root = document.getElementById('host').attachShadow({{ mode: 'open' }});
          const el = document.createElement('div');
          root.append(el);
          window.W = new M.Waterfall(el, M.decode(({chromium.BYTES})(text)), {{}}) }}""",
        data,
    )
    page.wait_for_function("() => document.getElementById('host').shadowRoot.querySelectorAll('.tkw-row').length >= 5")
    first_row = "document.getElementById('host').shadowRoot.querySelector('.tkw-row')"
    assert page.evaluate(f"() => {first_row}.getBoundingClientRect().height") == 22
    page.evaluate("() => W.destroy()")
    assert page.evaluate("() => document.getElementById('host').shadowRoot.querySelectorAll('.tkw').length") == 0


def test_numbers_are_rounded_as_python_rounds_them(visit):
    chromium.load_module(visit.page)
    values = [0, 1, 7, 999, 1000, 1499.6, 9_994, 9_995, 99_949, 99_950, 100_500, 999_499, 999_500, 1e12, -45e6]
    values += [round(1.37**k, 3) for k in range(1, 90)]
    assert visit.page.evaluate("values => values.map(M.duration)", values) == [duration(value) for value in values]


def test_a_buffer_at_an_odd_address_can_be_read(visit):
    chromium.load_module(visit.page)
    data = chromium.buffer(encode(Payload({}, ["a"], {"id": "x"})))
    script = f"""text => {{
      const b = ({chromium.BYTES})(text), shifted = new Uint8Array(b.length + 3);
      shifted.set(b, 3);
      return M.decode(new DataView(shifted.buffer, 3, b.length)).meta.id }}"""
    assert visit.page.evaluate(script, data) == "x"
    attempt = "() => { try { M.decode(new Uint8Array(8)) } catch (reason) { return reason.message } }"
    assert visit.page.evaluate(attempt) == "expected a TKW1 buffer"


def test_rows_have_three_heights(page):
    rows = page.locator(".tkw-row:visible")
    page.locator(".tkw-scroll").focus()
    for height in (22, 28, 18, 22):
        boxes = [rows.nth(k).bounding_box() for k in range(3)]
        assert [round(box["height"]) for box in boxes] == [height] * 3
        assert sorted(round(box["y"] - min(b["y"] for b in boxes)) for box in boxes) == [0, height, 2 * height]
        bar = rows.first.locator(".tkw-b").bounding_box()
        row = rows.first.bounding_box()
        assert bar["y"] + 5.5 == pytest.approx(row["y"] + height / 2, abs=1)  # in the middle
        press(page, "r")


def test_a_row_that_stood_at_the_top_stays_there_in_another_height(visit):
    page = mount(visit, trace_payload(long_trace(), "0000"))
    page.evaluate("() => { W.scroll.scrollTop = 22 * 500 }")
    settle(page)
    page.locator(".tkw-scroll").focus()
    press(page, "r")
    assert state(page, "scroll.scrollTop") == 28 * 500
    assert f"op {500}" in labels(page)
