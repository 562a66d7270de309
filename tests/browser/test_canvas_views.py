"""The heat map and the flame view in a bare page: drawn, chosen by mouse and key, the same on both sides, and inert."""

import json

import chromium
import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE
from hand_drawn import spans

import tracekit as tk
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.flame import Flame
from tracekit.text import duration, from_to, ratio

pytestmark = pytest.mark.browser
MODEL = """([payload, state]) => {
  const acts = {};
  window.model = { state: { payload, height: 420, ...state }, saved: 0, get: k => model.state[k],
    set: (k, v) => { model.state[k] = v }, save_changes: () => { model.saved++ },
    on: (name, act) => { (acts[name] ??= []).push(act) }, off: () => {},
    change: (k, v) => { model.state[k] = v; (acts[`change:${k}`] ?? []).forEach(act => act()) } };
  window.stop = M.default.render({ model, el: document.getElementById('host') }) }"""


@pytest.fixture(scope="module")
def samples():
    return tk.load_sample("checkout-regression")


def shown(visited, widget, **state):
    page = visited.page
    chromium.load_module(page)
    page.evaluate(MODEL, [widget.payload, state])
    chromium.wait_until(page, "() => document.querySelector('canvas').width > 400")
    chromium.settle(page, 80)
    return page


@pytest.fixture
def heat(browser, samples):
    with chromium.visit(browser, viewport={"width": 1000, "height": 460}) as visited:
        widget = tk.plot(tk.timeline(samples[1]), kind="heat")
        yield shown(visited, widget, brush=[]), widget
        assert visited.messages == []


@pytest.fixture
def flame(browser, samples):
    with chromium.visit(browser, viewport={"width": 1000, "height": 460}) as visited:
        widget = tk.plot(critical_path(samples[1]).flame())
        yield shown(visited, widget, selected=-1, search=""), widget
        assert visited.messages == []


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def status(page):
    return page.get_by_role("status").inner_text()


def test_durations_are_written_as_python_writes_them(heat):
    page, _ = heat
    values = [
        0,
        7,
        999,
        1_000,
        1_234,
        9_995,
        99_960,
        123_456,
        999_600_000,
        1_500_000_000,
        -45_000_000,
        7_200_000_000_000,
    ]
    assert page.evaluate("values => values.map(M.duration)", values) == [duration(value) for value in values]


def test_ratios_and_changes_are_written_as_python_writes_them(heat):
    page, _ = heat
    shares = [0, 0.00004, 0.0021, 0.00125, 0.1225, 0.25, 0.988, 0.9995, 1, 1.5, -0.031]
    assert page.evaluate("values => values.map(M.percent)", shares) == [ratio(share) for share in shares]
    pairs = [[100e6, 256e6], [9e5, 2e6], [-3e6, 4e6], [0, 7], [7200e9, 12_345e9]]
    joined = page.evaluate("pairs => pairs.map(p => M.fromTo(...p.map(M.duration)))", pairs)
    assert joined == [from_to(*pair) for pair in pairs]
    joined = page.evaluate("pairs => pairs.map(p => M.fromTo(...p.map(M.percent)))", [[0.01, 0.5]])
    assert joined == [from_to(0.01, 0.5, ratio)]


# ------------------------------------------------------------------ heat map


def test_a_drawn_rectangle_selects_the_same_in_python_and_page(heat, samples):
    page, widget = heat
    drag(page, (300, 120), (520, 220))
    widget.brush = page.evaluate("() => model.state.brush")
    chosen = widget.select(samples[1])
    assert 0 < len(chosen) < 1000
    assert status(page).startswith(f"{len(chosen)} requests started ")
    assert page.evaluate("() => model.saved") == 1
    assert len(eval(widget.selection, {"traces": samples[1]})) == len(chosen)


def test_a_drag_backwards_is_the_same_rectangle(heat):
    page, _ = heat
    drag(page, (300, 120), (520, 220))
    there = page.evaluate("() => model.state.brush")
    drag(page, (520, 220), (300, 120))
    assert page.evaluate("() => model.state.brush") == there


def test_escape_and_the_button_clear_it(heat):
    page, _ = heat
    for clear in (lambda: page.keyboard.press("Escape"), lambda: page.get_by_role("button", name="Clear").click()):
        drag(page, (300, 120), (520, 220))
        page.locator("canvas").focus()
        clear()
        assert page.evaluate("() => model.state.brush") == []
        assert status(page).startswith("Nothing selected.")
    assert page.get_by_role("button", name="Clear").is_disabled()


def test_the_keyboard_draws_moves_and_sizes(heat):
    page, widget = heat
    cols, rows = (json.loads(widget.payload)[name] for name in ("cols", "rows"))
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => model.state.brush") == [0, cols, 0, rows]
    assert status(page).startswith("1,000 requests")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert page.evaluate("() => model.state.brush") == [0, cols - 3, 0, rows - 1]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("() => model.state.brush") == [1, cols - 2, 1, rows]


def test_python_sets_the_rectangle(heat):
    page, _ = heat
    page.evaluate("() => model.change('brush', [2, 5, 0, 9])")
    assert "started " in status(page)
    assert page.evaluate("() => model.saved") == 0
    page.evaluate("() => model.change('brush', [])")
    assert status(page).startswith("Nothing selected.")


def test_hovering_over_a_cell_shows_its_count(heat):
    page, widget = heat
    drawn = json.loads(widget.payload)
    most = max(range(len(drawn["weight"])), key=drawn["weight"].__getitem__)
    x, y = page.evaluate(
        """([col, row, cols, rows]) => {
          const at = document.querySelector('canvas').getBoundingClientRect();
          const w = at.width - 64 - 12, t = at.height - 50;
          return [at.left + 64 + (col + 0.5) * w / cols, at.top + 20 + t - (row + 0.5) * t / rows] }""",
        [drawn["col"][most], drawn["row"][most], drawn["cols"], drawn["rows"]],
    )
    page.mouse.move(x, y)
    assert page.locator(".tkw-tip").inner_text().startswith(f"{drawn['weight'][most]:.0f} requests\n")
    page.mouse.move(5, 5)
    assert page.locator(".tkw-tip").is_hidden()


# ------------------------------------------------------------------ flame


def middle(page, k):
    """The pointer over the middle of a frame."""
    place = """([x, lane]) => { const at = document.querySelector('canvas').getBoundingClientRect();
      return [at.left + x * at.width, at.top + lane * 18 + 9] }"""
    return page.evaluate(place, k)


def spot(widget, k):
    tree = json.loads(widget.payload)
    return [(tree["x0"][k] + tree["x1"][k]) / 2, tree["depth"][k]]


def test_a_click_zooms_in_and_selects_the_row(flame):
    page, widget = flame
    page.mouse.click(*middle(page, spot(widget, 2)))
    assert page.evaluate("() => model.state.selected") == 2
    widget.selected = 2
    assert widget.path["operation"] in status(page)
    assert page.get_by_role("button", name="Reset zoom").is_enabled()
    page.mouse.move(*middle(page, [0.999, 0]))  # its caller now fills the width
    tree = json.loads(widget.payload)
    assert page.locator(".tkw-tip b").inner_text() == tree["names"][tree["name"][0]]
    page.get_by_role("button", name="Reset zoom").click()
    assert page.evaluate("() => model.state.selected") == -1
    assert page.get_by_role("button", name="Reset zoom").is_disabled()


def test_a_tooltip_shows_the_numbers(flame):
    page, widget = flame
    tree = json.loads(widget.payload)
    page.mouse.move(*middle(page, spot(widget, 0)))
    said = page.locator(".tkw-tip").inner_text()
    assert said.startswith(tree["names"][tree["name"][0]])
    assert f"{tree['spans'][0]:,} spans in {tree['traces'][0]:,} requests" in said


NOTE = "() => document.querySelector('.tkw-bar .tkw-dim').textContent"


def test_the_search_counts_visible_frames_and_their_share(flame):
    page, widget = flame
    tree = json.loads(widget.payload)
    page.locator("canvas").focus()
    page.keyboard.press("/")
    page.keyboard.type("pricing")
    found = [k for k, name in enumerate(tree["name"]) if "pricing" in tree["names"][name]]
    width = page.evaluate("() => document.querySelector('canvas').clientWidth")
    frames = [k for k in found if (tree["x1"][k] - tree["x0"][k]) * width >= 0.5]
    assert 0 < len(frames) < len(found), "some are too narrow to be drawn"
    outermost = [k for k in frames if tree["parent"][k] not in frames]
    share = sum(tree["x1"][k] - tree["x0"][k] for k in outermost)
    words = f"{len(frames)} of {len(found)} frames visible, {share * 100:.1f}% of the total"
    chromium.wait_until(page, f"() => ({NOTE})() === '{words}'")
    assert page.evaluate("() => model.state.search") == "pricing"
    page.keyboard.press("Escape")
    assert page.evaluate("() => model.state.search") == ""
    chromium.wait_until(page, f"() => ({NOTE})() === ''")


def test_the_search_counts_within_the_zoom(visit):
    rows = [
        ("1", None, "shop", "GET /", "SERVER", 0, 100, "UNSET"),
        ("2", "1", "cart", "list", "SERVER", 0, 50, "UNSET"),
    ]
    rows += [
        ("3", "2", "ledger", "read", "SERVER", 10, 20, "UNSET"),
        ("4", "1", "ledger", "sum", "SERVER", 50, 75, "UNSET"),
    ]
    page = shown(
        visit, tk.plot(critical_path(tk.TraceSet.from_spans(spans(rows))).flame()), selected=-1, search="ledger"
    )
    chromium.wait_until(page, f"() => ({NOTE})() === '2 frames, 35.0% of the total'")
    page.locator("canvas").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    chromium.wait_until(page, f"() => ({NOTE})() === '1 of 2 frames visible, 20.0% of the visible width'")


def test_the_keyboard_walks_the_tree(flame):
    page, widget = flame
    tree = json.loads(widget.payload)
    page.locator("canvas").focus()
    for key, expected in [
        ("ArrowDown", 0),
        ("ArrowDown", tree["parent"].index(0)),
        ("ArrowUp", 0),
        ("ArrowRight", [k for k, up in enumerate(tree["parent"]) if up == -1][1]),
        ("ArrowLeft", 0),
        ("ArrowLeft", 0),
        ("ArrowUp", 0),
    ]:
        page.keyboard.press(key)
        assert page.evaluate("() => model.state.selected") == expected, key
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="Reset zoom").is_enabled()
    page.keyboard.press("Escape")
    assert page.evaluate("() => model.state.selected") == -1


def test_python_selects_and_searches(flame):
    page, _ = flame
    page.evaluate("() => { model.change('selected', 3); model.change('search', 'SELECT') }")
    assert page.get_by_role("searchbox").input_value() == "SELECT"
    assert "per request" in status(page)
    assert page.evaluate("() => model.saved") == 0


def test_keys_do_not_reach_the_notebook(flame):
    page, _ = flame
    page.evaluate("() => { window.heard = []; document.addEventListener('keydown', e => heard.push(e.key)) }")
    page.locator("canvas").focus()
    page.keyboard.press("b")
    page.get_by_role("searchbox").focus()
    page.keyboard.type("dd")
    assert page.evaluate("() => heard") == []


def test_a_difference_shows_baseline_and_current(browser, samples):
    before, during = (critical_path(traces).flame() for traces in samples)
    with chromium.visit(browser, viewport={"width": 1000, "height": 460}) as visited:
        widget = tk.plot(during, against=before)
        page = shown(visited, widget, selected=-1, search="")
        tree = json.loads(widget.payload)
        worst = tree["change"].index(max(tree["change"]))
        page.mouse.move(*middle(page, spot(widget, worst)))
        said = page.locator(".tkw-tip").inner_text()
        assert said.startswith("ledger SELECT entries\n")
        assert " (+" in said
        assert visited.messages == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_followed(browser, samples, scheme):
    with chromium.visit(browser, color_scheme=scheme, viewport={"width": 900, "height": 460}) as visited:
        page = shown(visited, tk.plot(critical_path(samples[0]).flame()), selected=-1, search="")
        ground = page.evaluate("() => getComputedStyle(document.querySelector('.tkw')).backgroundColor")
        assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 29)")


def test_hostile_names_are_inert_and_legible(browser):
    rows = [(str(k + 1), None, name, name, "SERVER", 5, 10**6, "ERROR") for k, name in enumerate(HOSTILE)]
    traces = tk.TraceSet.from_spans(spans(rows).assign(trace_id=[f"{k + 1:x}" for k in range(len(rows))]))
    with chromium.visit(browser, viewport={"width": 1000, "height": 460}) as visited:
        widget = tk.plot(critical_path(traces).flame())
        page = shown(visited, widget, selected=-1, search="")
        tree = json.loads(widget.payload)
        for k, name in enumerate(tree["name"]):
            page.evaluate("k => model.change('selected', k)", k)
            assert tree["names"][name] in page.evaluate("() => document.querySelector('.tkw-say').textContent")
        assert page.locator("#host a, #host img, #host script, #host svg").count() == 0
        assert visited.messages == []
        assert visited.requests == []


def test_an_empty_result_shows_a_message(browser, samples):
    nobody = samples[0].where("service_name == 'nobody'")
    with chromium.visit(browser, viewport={"width": 900, "height": 460}) as visited:
        page = shown(visited, tk.plot(critical_path(nobody).flame()), selected=-1, search="")
        assert status(page) == "No call paths in these traces."
        page.locator("canvas").focus()
        page.keyboard.press("ArrowDown")
        page = shown(visited, tk.plot(tk.timeline(nobody), kind="heat"), brush=[])
        assert "No requests with a start and a duration." in page.locator(".tkw-bar").inner_text()
        assert visited.messages == []


def test_ten_thousand_call_paths_are_drawn_in_a_frame(browser):
    rng = np.random.default_rng(1)
    depth, parent, last = [0], [-1], {0: 0}
    for k in range(1, 10_000):
        depth.append(int(rng.integers(1, min(depth[-1] + 1, 15) + 1)))
        parent.append(last[depth[-1] - 1])
        last[depth[-1]] = k
    table = pd.DataFrame({"parent": parent, "depth": depth, "service_name": [f"s{k % 9}" for k in range(10_000)]})
    table = table.assign(operation=[f"op {k % 300}" for k in range(10_000)], mean_ns=rng.exponential(1e6, 10_000))
    table = table.assign(presence_ratio=0.5, span_count=1, trace_count=1, duration_ns=1)
    with chromium.visit(browser, viewport={"width": 1200, "height": 600}) as visited:
        page = shown(visited, tk.plot(Flame(table, 100)), selected=-1, search="")
        page.evaluate("() => stop()")
        spent = page.evaluate(
            """async text => {
              const view = new M.Flame(document.getElementById('host'), JSON.parse(text), { height: 500 }), out = [];
              const look = done => (view.drawn ? done() : requestAnimationFrame(() => look(done)));
              await new Promise(look);
              for (let k = 0; k < 40; k++) {
                const t = performance.now();
                view.from = k / 100;
                view.draw();
                out.push(performance.now() - t);
              }
              return out.sort((a, b) => a - b)[20] }""",
            page.evaluate("() => model.state.payload"),
        )
        assert spent < 50, "ms a frame, an order above what a quiet machine needs"
