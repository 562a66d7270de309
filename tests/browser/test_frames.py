"""Views in sandboxed frames, as a saved page has them: no kernel, no network, and nothing that a name could run."""

import chromium
import pytest
from all_views import HOSTILE, charts
from hand_drawn import spans
from saved_page import PAGE, opened

import tracekit as tk

pytestmark = pytest.mark.browser
PLANTED = """() => {
  const script = document.createElement('script');
  script.textContent = 'window.ran = 1';
  document.head.append(script);
  return window.ran ?? 0 }"""
SHOWN = {
    "waterfall": (".tkw-row[data-row]", "Waterfall"),
    "map": (".tkw-map .node", "ServiceMap"),
    "heat": (".tkw-pane canvas", "HeatMap"),
    "flame": (".tkw-pane canvas", "Flame"),
    "chart": ("svg .tk-series0", "Latency"),
}


@pytest.fixture(scope="module")
def views():
    _, during = tk.load_sample("checkout-regression")
    return {
        "waterfall": tk.waterfall(during, during.summary["duration_ns"].idxmax(), path=tk.critical_path(during)),
        "map": tk.plot(tk.service_graph(during)),
        "heat": tk.plot(tk.timeline(during), kind="heat"),
        "flame": tk.plot(tk.critical_path(during).flame()),
        "chart": tk.plot(tk.latency(during)),
    }


@pytest.mark.parametrize("name", SHOWN)
def test_a_view_is_drawn_without_a_kernel_and_a_network(visit, views, tmp_path, name):
    (frame,) = opened(visit, tmp_path / "saved.html", views[name].frame())
    what, title = SHOWN[name]
    frame.locator(what).first.wait_for()
    assert title in visit.page.locator("iframe").get_attribute("title")
    assert frame.evaluate("() => document.documentElement.scrollHeight <= innerHeight"), "nothing is cut"
    visit.page.screenshot(path=tmp_path / f"{name}.png")


def test_a_waterfall_reacts_and_says_how_to_select_in_python(visit, views, tmp_path):
    (frame,) = opened(visit, tmp_path / "saved.html", views["waterfall"].frame())
    frame.evaluate("() => { document.querySelector('.tkw-scroll').scrollTop = 0 }")
    frame.locator('.tkw-row[data-row="4"]').click()
    note = frame.locator(".tkw-about[role=status]").inner_text()
    code = note.removeprefix("In Python: ").split(";")[0]
    exec(code, {"view": views["waterfall"]})
    assert views["waterfall"].row == 4
    assert views["waterfall"].selected in frame.locator(".tkw-det").inner_text()
    views["waterfall"].selected = ""
    frame.locator(".tkw-scroll").focus()
    visit.page.keyboard.press("ArrowDown")
    frame.locator('.tkw-row[aria-selected=true][data-row="5"]').wait_for()
    frame.get_by_role("searchbox").fill("SELECT entries")
    chromium.wait_until(frame, "() => /^\\d+ found/.test(document.querySelector('.tkw-bar [role=status]').textContent)")


def test_a_map_a_heat_map_and_a_flame_react(visit, views, tmp_path):
    frames = opened(visit, tmp_path / "saved.html", *(views[name].frame() for name in ("map", "heat", "flame")))
    notes = [frame.locator(".tkw-about[role=status]") for frame in frames]
    frames[0].locator(".node", has_text="sqlite/ledger").click()
    assert 'view.selected = "sqlite/ledger"' in notes[0].inner_text()
    frames[1].locator("canvas").scroll_into_view_if_needed()
    box = frames[1].locator("canvas").bounding_box()
    visit.page.mouse.move(box["x"] + 200, box["y"] + 60)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + 420, box["y"] + 180, steps=5)
    visit.page.mouse.up()
    heat = views["heat"]
    exec(notes[1].inner_text().removeprefix("In Python: ").split(";")[0], {"view": heat})
    _, during = tk.load_sample("checkout-regression")
    assert frames[1].locator(".tkw-say").inner_text().startswith(f"{len(heat.select(during))} requests started ")
    heat.brush = []
    frames[2].locator("canvas").focus()
    visit.page.keyboard.press("ArrowDown")
    assert "view.selected = 0" in notes[2].inner_text()


def test_a_chart_shows_its_values_and_hides_its_series(visit, views, tmp_path):
    (frame,) = opened(visit, tmp_path / "saved.html", views["chart"].frame())
    label = frame.locator("body > [role=status]")
    svg = frame.locator("svg").first
    svg.focus()
    visit.page.keyboard.press("ArrowRight")
    assert label.inner_text() == "ledger SELECT entries · 119 µs: 0.0%"
    visit.page.keyboard.press("Escape")
    assert not label.is_visible()
    box = frame.locator(".tk-series0 path").first.bounding_box()
    for share in (0.3, 0.5, 0.7, 0.9):
        visit.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] - 2)
    assert label.is_visible()
    assert " · " in label.inner_text()
    entry = frame.locator(".tk-legend0")
    entry.click()
    assert frame.locator(".tk-series0").get_attribute("visibility") == "hidden"
    assert entry.get_attribute("aria-pressed") == "false"
    entry.focus()
    visit.page.keyboard.press("Enter")
    assert frame.locator(".tk-series0").get_attribute("visibility") == "visible"


def test_frames_follow_the_theme_of_the_page(visit, views, tmp_path):
    frames = opened(visit, tmp_path / "saved.html", views["map"].frame(), views["chart"].frame())
    paper = "() => getComputedStyle(document.body).backgroundColor"
    title = "() => document.querySelector('text[font-weight=\"600\"]').getAttribute('fill')"
    for is_dark, colour, ink in ((True, "rgb(22, 24, 29)", "#e4e6ea"), (False, "rgb(255, 255, 255)", "#1c1e21")):
        visit.page.evaluate(f"() => {{ document.body.dataset.jpThemeLight = '{str(not is_dark).lower()}' }}")
        for frame in frames:
            chromium.wait_until(frame, f"() => ({paper})() === '{colour}'")
        chromium.wait_until(
            frames[0], f"() => document.querySelector('.tkw').classList.contains('tk-dark') === {str(is_dark).lower()}"
        )
        assert frames[1].evaluate(title) == ink


@pytest.mark.parametrize("is_without", ["scripts", "frames"])
def test_where_scripts_or_frames_are_removed_the_image_is_seen(browser, views, tmp_path, is_without):
    path = tmp_path / "stripped.html"
    html = views["waterfall"].frame()
    stripped = (
        html.replace('sandbox="allow-scripts allow-downloads"', 'sandbox=""') if is_without == "scripts" else html
    )
    path.write_text(PAGE.format("true", stripped), encoding="utf-8")
    with chromium.visit(browser) as visited:
        visited.page.goto(path.as_uri())
        if is_without == "frames":
            visited.page.evaluate("() => document.querySelector('iframe').remove()")
        visited.page.wait_for_timeout(300)
        picture = visited.page.locator(".tk-framed").screenshot(path=tmp_path / f"{is_without}.png")
        wanted = path.with_name("image.html")
        wanted.write_text(PAGE.format("true", f"{html.partition('<iframe')[0]}</div>"), encoding="utf-8")
        visited.page.goto(wanted.as_uri())
        assert visited.page.locator(".tk-framed").screenshot() == picture
        assert len(picture) > 10_000


def test_a_hostile_name_runs_nothing_and_asks_for_nothing(visit, tmp_path):
    rows = [
        (str(k + 1), "1" if k else None, name, name, "SERVER", 5, 90 + k, "ERROR") for k, name in enumerate(HOSTILE)
    ]
    traces = tk.TraceSet.from_spans(spans(rows))
    drawn = [tk.waterfall(traces, traces.trace_ids[0]), tk.plot(tk.service_graph(traces))]
    drawn += [tk.plot(tk.critical_path(traces).flame()), charts(traces)["histogram"], charts(traces)["limits"]]
    frames = opened(visit, tmp_path / "hostile.html", *(view.frame() for view in drawn))
    for frame in frames:
        assert frame.evaluate("() => document.querySelectorAll('img, a[href], object, embed, iframe').length") == 0
    assert any("<a href='http://evil'>" in frame.locator("body").inner_text() for frame in frames)


def test_a_script_in_a_frame_would_reach_neither_the_page_nor_the_network(browser, views, tmp_path):
    """The policy is the second fence: what if a name became markup after all?"""
    path = tmp_path / "saved.html"
    with chromium.visit(browser) as visited:
        (frame,) = opened(visited, path, views["map"].frame())
        assert frame.evaluate(PLANTED) == 0
        assert (
            frame.evaluate("() => { try { return String(parent.document) } catch { return 'refused' } }") == "refused"
        )
        assert frame.evaluate("() => fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == "refused"
        assert frame.evaluate("() => { try { return String(localStorage) } catch { return 'refused' } }") == "refused"
        assert visited.requests == [path.as_uri()]
        assert any("Content Security Policy" in message for message in visited.messages)


def test_explore_selects_in_its_frame_what_its_code_selects(visit, tmp_path):
    _, during = tk.load_sample("checkout-regression")
    (frame,) = opened(visit, tmp_path / "explore.html", tk.explore(during).frame())
    choices = {
        "attribute": 3,
        "value": 2,
        "service": 2,
        "operation": 0,
        "error": 1,
        "duration from": 3,
        "start from": 20,
    }
    for _ in range(2):
        for name, index in choices.items():
            frame.get_by_label(name, exact=True).select_option(index=index)
            names = {"traces": during, "tk": tk}
            exec(frame.locator(".tkw-code").inner_text(), names)
            said = frame.locator("p[role=status]").inner_text()
            assert said.startswith(f"{len(names['chosen']):,} of 1,000 traces"), (name, index)
        choices = {"attribute": 6, "error": 3, "service": 0, "operation": 4, "duration from": 9, "start from": 0}
    for name in choices:
        frame.get_by_label(name, exact=True).select_option(index=0)
    frame.locator(".tkw-list").select_option(index=1)
    frame.locator(".tkw-row").first.wait_for()
    second = during.summary["duration_ns"].nlargest(2).index[1]
    assert frame.locator(".tkw-code").inner_text() == f'chosen = traces\ntk.waterfall(chosen, "{second}")'
    frame.locator(".tkw-list").select_option(index=90)
    assert "not embedded" in frame.locator("body").inner_text()
    visit.page.screenshot(path=tmp_path / "explore.png")


def test_an_attribute_is_chosen_in_the_frame_and_its_code_is_copied(browser, tmp_path):
    _, during = tk.load_sample("checkout-regression")
    with chromium.visit(browser, permissions=["clipboard-read", "clipboard-write"]) as visited:
        (frame,) = opened(visited, tmp_path / "explore.html", tk.explore(during).frame())
        value = frame.get_by_label("value", exact=True)
        assert value.is_disabled()
        frame.get_by_label("attribute", exact=True).select_option(label="app.customer.tier")
        assert value.locator("option").all_inner_texts()[0] == "any"
        assert frame.locator(".tkw-code").inner_text() == "chosen = traces"
        value.select_option(label="enterprise")
        code = """chosen = traces.where("app.customer.tier == 'enterprise'")"""
        assert frame.locator(".tkw-code").inner_text() == code
        chosen = during.where("app.customer.tier == 'enterprise'")
        assert frame.locator("p[role=status]").inner_text().startswith(f"{len(chosen)} of 1,000 traces")
        frame.get_by_role("button", name="Copy code").click()
        frame.get_by_role("button", name="Copied").wait_for()
        visited.page.screenshot(path=tmp_path / "explore.png")
