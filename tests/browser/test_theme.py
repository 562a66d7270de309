"""A theme that changes while views are shown: what is painted on canvases follows, however the page goes about it."""

import json

import chromium
import pytest

from tracekit.views.colours import DARK, LIGHT
from tracekit.views.themes import HEAT, repainted

pytestmark = pytest.mark.browser
COPIED = """const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const hex = (r, g, b) => '#' + (0x1000000 + r * 65536 + g * 256 + b).toString(16).slice(1);"""
PIXEL = f"""(canvas, [x, y]) => {{
  {COPIED}
  return hex(...pen.getImageData(Math.floor(x < 1 ? x * canvas.width : x), y, 1, 1).data) }}"""
COLOURS = f"""canvas => {{
  {COPIED}
  const {{ data }} = pen.getImageData(0, 0, canvas.width, canvas.height), seen = new Set();
  for (let k = 0; k < data.length; k += 4) seen.add(data[k] * 65536 + data[k + 1] * 256 + data[k + 2]);
  return [...seen].map(rgb => hex(0, 0, rgb)) }}"""
DRAW = f"""([text, graph, heat, flame]) => {{
  const host = () => document.getElementById('host').appendChild(document.createElement('div'));
  window.W = new M.Waterfall(host(), M.decode(({chromium.BYTES})(text)), {{ height: 260 }});
  window.views = [W, new M.ServiceMap(host(), JSON.parse(graph), {{ height: 260 }}),
    new M.Heat(host(), JSON.parse(heat), {{ height: 260 }}),
    new M.Flame(host(), JSON.parse(flame), {{ height: 260 }})] }}"""
LAB = """
  body { --jp-layout-color0: #ffffff; --jp-ui-font-color1: #111111 }
  body[data-jp-theme-light=false] { --jp-layout-color0: #111111; --jp-ui-font-color1: #eeeeee }"""
AT_ONCE = "document.body.dataset.jpThemeLight = String(!dark);"
#  JupyterLab hides everything for one frame; a frame that was asked for before that falls into it
HIDDEN_FOR_A_FRAME = f"""for (const view of views) view.redraw();
  {AT_ONCE}
  const host = document.getElementById('host');
  host.style.display = 'none';
  requestAnimationFrame(() => {{ host.style.display = '' }});"""
HIDDEN_FOR_LONG = f"""{AT_ONCE}
  const host = document.getElementById('host');
  host.style.display = 'none';
  setTimeout(() => {{ host.style.display = '' }}, 150);"""
SHEET_COMES_LATE = f"""{AT_ONCE}
  const body = document.body.style, [ground, ink] = dark ? ['#111111', '#eeeeee'] : ['#ffffff', '#111111'];
  body.setProperty('--jp-layout-color0', dark ? '#ffffff' : '#111111');
  setTimeout(() => {{
    body.setProperty('--jp-layout-color0', ground);
    body.setProperty('--jp-ui-font-color1', ink) }}, 120);"""
WAYS = {
    "at once": AT_ONCE,
    "hidden for a frame": HIDDEN_FOR_A_FRAME,
    "hidden for long": HIDDEN_FOR_LONG,
    "sheet comes late": SHEET_COMES_LATE,
}


def spot(flame):
    """A wide frame of the flame whose colour is not the same in both themes: where it is, and which slot it has."""
    tree = json.loads(flame)
    wide = (k for k, slot in enumerate(tree["slot"]) if LIGHT[slot] != DARK[slot] and tree["depth"][k] < 6)
    best = max(wide, key=lambda k: tree["x1"][k] - tree["x0"][k])
    return tree["x0"][best], tree["depth"][best] * 18 + 2, tree["slot"][best]


def colours(page, drawn):
    """The ground of the overview, the fullest cell of the heat map, a frame of the flame, the names on the map."""
    x, y, _ = spot(drawn[3])
    flame = page.locator("canvas[aria-label='Flame graph']")
    cells = page.locator("canvas[aria-label='Durations over time']").evaluate(COLOURS)
    known = [colour for colour in (HEAT[-1], repainted(HEAT[-1], "dark")) if colour in cells]
    left = flame.evaluate("canvas => canvas.width") * x + 2
    return {
        "overview": page.locator(".tkw-mini").evaluate(PIXEL, [0.5, 1]),
        "heat": known,
        "flame": flame.evaluate(PIXEL, [left, y]),
        "map": page.locator(".tkw-map text").first.evaluate("text => getComputedStyle(text).fill"),
    }


def expected(drawn, *, is_dark, ground, ink):
    slot = spot(drawn[3])[2]
    return {
        "overview": ground,
        "heat": [repainted(HEAT[-1], "dark") if is_dark else HEAT[-1]],
        "flame": (DARK if is_dark else LIGHT)[slot],
        "map": f"rgb({', '.join(str(int(ink[k : k + 2], 16)) for k in (1, 3, 5))})",
    }


def wait_for(page, drawn, wanted):
    for _ in range(1200):
        seen = colours(page, drawn)
        if seen == wanted:
            return
        page.wait_for_timeout(50)
    assert seen == wanted


def shown(visited, drawn):
    chromium.load_module(visited.page)
    visited.page.evaluate(DRAW, list(drawn))
    visited.page.wait_for_selector(".tkw-row")
    return visited.page


def test_all_views_follow_what_the_system_prefers(browser, drawn):
    with chromium.visit(browser, color_scheme="light", viewport={"width": 1000, "height": 1100}) as visited:
        page = shown(visited, drawn)
        light = expected(drawn, is_dark=False, ground="#ffffff", ink="#1c1e21")
        wait_for(page, drawn, light)
        page.emulate_media(color_scheme="dark")
        wait_for(page, drawn, expected(drawn, is_dark=True, ground="#16181d", ink="#e4e6ea"))
        page.emulate_media(color_scheme="light")
        wait_for(page, drawn, light)
        assert visited.messages == []


@pytest.mark.parametrize("way", WAYS)
def test_all_views_follow_the_page_around_them(browser, drawn, way):
    with chromium.visit(browser, viewport={"width": 1000, "height": 1100}) as visited:
        page = shown(visited, drawn)
        page.add_style_tag(content=LAB)
        for is_dark, ground, ink in (
            (False, "#ffffff", "#111111"),
            (True, "#111111", "#eeeeee"),
            (False, "#ffffff", "#111111"),
        ):
            page.evaluate(f"dark => {{ {WAYS[way]} }}", is_dark)
            wait_for(page, drawn, expected(drawn, is_dark=is_dark, ground=ground, ink=ink))
        assert visited.messages == []


def test_nothing_is_painted_anew_for_a_change_that_is_none(browser, drawn):
    with chromium.visit(browser, viewport={"width": 1000, "height": 1100}) as visited:
        page = shown(visited, drawn)
        chromium.settle(page, 200)
        page.evaluate("() => { window.painted = 0; W.theme = () => { painted++ } }")
        page.evaluate("() => { document.body.classList.add('lm-mod-drag') }")
        chromium.settle(page, 100)
        assert page.evaluate("() => painted") == 0
