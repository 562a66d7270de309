"""What an author puts into a report, opened from disk with the network cut: charts, flames, text, links, paper."""

import csv
import io
from pathlib import Path

import chromium
import pandas as pd
import pytest
from plotly import graph_objects as go

import tracekit as tk

pytestmark = pytest.mark.browser
HOSTILE = ("</script><img src=x onerror='window.__bad=1'>", "<a href='http://203.0.113.9'>x</a>", "a\u2028b\u202ec\x00")


@pytest.fixture(scope="module")
def sets():
    return tk.load_sample("checkout-regression")


@pytest.fixture(scope="module")
def worst(sets):
    return str(sets[1].summary["duration_ns"].idxmax())


@pytest.fixture(scope="module")
def path(sets, worst, tmp_path_factory):
    """A postmortem: every kind of part, and the standard sections last."""
    before, during = sets
    walked, was = tk.critical_path(during), tk.critical_path(before)
    heat = tk.plot(tk.timeline(during), kind="heat")
    pie = go.Figure(go.Pie(values=[3, 1], labels=["ledger", "others"]), layout={"title": {"text": "Who waited"}})
    pie.add_annotation(text="<a href='http://203.0.113.9'>leads out</a>", x=0, y=0)
    return tk.report(
        [
            f"Checkouts were slow. See {worst}.",
            tk.section("Traces", during.summary.nlargest(3, "duration_ns")[["start_ns", "duration_ns"]], code="x = 1"),
            tk.section("The call", tk.waterfall(during, worst, path=walked)),
            tk.section("The tree", tk.plot(walked.flame(), against=was.flame()), heat),
            tk.section("The step", tk.plot(was.compare(walked, names=("before", "during")))),
            tk.section("The share", pie),
            tk.service_graph(during),
            during,
        ],
        tmp_path_factory.mktemp("report") / "postmortem.html",
        baseline=before,
        title="Postmortem",
    )  # fmt: skip


def live(page, section, kind):
    name = page.locator(f'#{section} script[data-view="{kind}"]').first.get_attribute("data-for")
    page.locator(f"#{name}").scroll_into_view_if_needed()
    page.locator(f"#{name}.live").wait_for()
    return page.locator(f"#{name}")


def test_plotly_is_unpacked_when_a_chart_is_near_and_not_before(page):
    chromium.settle(page, 300)
    assert page.evaluate("() => typeof Plotly") == "undefined"
    assert page.evaluate("() => document.getElementById('the-step').getBoundingClientRect().top > innerHeight + 200")
    view = live(page, "the-step", "chart")
    assert page.evaluate("() => typeof Plotly") == "object"
    said = view.locator(".plot").inner_text()
    assert "Mean latency, before to during: +17.8 ms" in said
    assert "ledger SELECT entries" in said
    assert view.locator(".plot").get_attribute("aria-label") == "Mean latency, before to during: +17.8 ms"
    assert not view.locator(".still").is_visible()
    live(page, "the-share", "chart")
    assert page.evaluate("() => document.querySelectorAll('head script').length") == 1


def test_the_page_keeps_its_layout_when_charts_are_activated(page):
    height = "id => document.getElementById(id).getBoundingClientRect().height"
    before = [page.evaluate(height, section) for section in ("the-step", "the-call")]
    live(page, "the-step", "chart")
    live(page, "the-call", "waterfall")
    assert [page.evaluate(height, section) for section in ("the-step", "the-call")] == before


def test_charts_follow_the_theme(page):
    ground = "() => document.querySelector('#the-step .plot .bg, #the-step .plot .main-svg').style.background"
    live(page, "the-step", "chart")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.evaluate("() => { document.documentElement.dataset.theme = 'dark' }")
    chromium.wait_until(page, f"() => ({ground})() === 'rgb(22, 24, 29)'")
    ink = "() => getComputedStyle(document.querySelector('#the-step .gtitle')).fill"
    assert page.evaluate(ink) == "rgb(228, 230, 234)"


def test_nothing_in_a_chart_leads_out_of_the_page(page):
    view = live(page, "the-share", "chart")
    assert "leads out" in view.inner_text()
    assert view.locator("a").count() >= 1
    hrefs = "all => all.flatMap(a => a.getAttributeNames()).filter(name => name.endsWith('href'))"
    assert view.locator("a").evaluate_all(hrefs) == []


def test_on_paper_charts_are_pictures(page):
    step, share = live(page, "the-step", "chart"), live(page, "the-share", "chart")
    chromium.wait_until(page, "() => document.querySelector('#the-share .still img')?.complete")
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    for view, picture in ((step, ".still svg"), (share, ".still img")):
        assert view.locator(picture).is_visible()
        assert not view.locator(".plot").is_visible()
        assert view.locator(picture).bounding_box()["width"] <= 718
    assert page.locator("#the-share .still img").evaluate("img => img.naturalWidth") == 860
    flame = page.locator("#the-tree .still svg").first
    assert flame.is_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 718
    assert page.pdf(format="A4")[:4] == b"%PDF"


def test_a_chart_that_was_not_drawn_is_noted_in_print(page):
    page.emulate_media(media="print")
    assert (
        page.locator("#the-share")
        .inner_text()
        .endswith("Who waited: this chart is drawn by a script when it scrolls into view.")
    )


def test_the_flame_and_the_heat_map_are_alive(page):
    view = live(page, "the-tree", "canvas")
    view.get_by_role("searchbox").fill("ledger")
    chromium.wait_until(page, "() => /frames, .* of the total/.test(document.querySelector('#the-tree').innerText)")
    view.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    assert "storefront" in view.inner_text()
    assert view.bounding_box()["height"] < 400  # no blank below a flame of six levels
    heat = page.locator("#the-tree .view").nth(1)
    heat.scroll_into_view_if_needed()
    page.locator("#the-tree .view.live").nth(1).wait_for()
    heat.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    assert "Durations over time: 1,000 requests" in heat.inner_text()


def test_links_to_a_trace_open_the_waterfall_of_the_author(page, sets, worst):
    shown = page.locator("article script[data-view=waterfall]").count()
    assert shown == 5  # the author's is one of the slowest
    page.locator(".introduction a").click()
    page.locator("#the-call .view.live").wait_for()
    assert -5 < page.locator(f"#trace-{worst}").bounding_box()["y"] < 400
    span = sets[1].spans.query("trace_id == @worst and name == 'SELECT entries'").iloc[20]["span_id"]
    page.evaluate("hash => { location.hash = hash }", f"trace={worst}&span={span}")
    chromium.wait_until(page, "() => document.querySelector('#the-call .tkw-det.on')")
    assert span in page.locator("#the-call .tkw-det.on").inner_text()


def test_the_first_screen_shows_what_changed_and_links_to_the_trace(page):
    findings = page.locator(".findings li")
    screen = page.locator("#first-screen")
    box = screen.bounding_box()
    assert box["y"] + box["height"] < 800
    assert screen.inner_text().startswith("storefront POST /checkout p95 regressed")
    assert "storefront POST /checkout p95 regressed 100 \u2192 256 ms" in findings.nth(1).inner_text()
    mean = findings.filter(has_text="Mean latency of recorded requests regressed 39.3 \u2192 57.1 ms")
    assert mean.get_by_role("link", name="open exemplar trace").is_visible()


def test_on_a_phone_nothing_is_wider_than_the_page_and_the_first_finding_is_near(browser, path):
    with chromium.visit(browser, viewport={"width": 390, "height": 844}) as visited:
        page = visited.open(path)
        for section, kind in (("the-tree", "canvas"), ("the-step", "chart"), ("the-share", "chart")):
            live(page, section, kind)
        chromium.settle(page, 200)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        page.evaluate("() => scrollTo(0, 0)")
        assert page.locator("#first-screen .what").bounding_box()["y"] < 844
        assert visited.messages == []


def test_a_table_of_the_author_is_a_file_with_exact_values(page, sets):
    with page.expect_download() as caught:
        page.locator("#traces-2").get_by_role("button", name="Download CSV").click()
    assert caught.value.suggested_filename == "traces.csv"
    text = Path(caught.value.path()).read_bytes().decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["trace id", "start (ns since 1970, UTC)", "duration (ns)"]
    longest = sets[1].summary.nlargest(3, "duration_ns")
    assert rows[1:] == [[str(name), str(row["start_ns"]), str(row["duration_ns"])] for name, row in longest.iterrows()]
    page.locator("#traces-2 .how summary").click()
    assert page.locator("#traces-2 .how pre").inner_text() == "x = 1"


def test_a_damaged_chart_is_reported_and_keeps_its_picture(browser, path, tmp_path):
    text = path.read_text()
    begin = text.index(">", text.index('id="plotly-script"')) + 1
    broken = tmp_path / "broken.html"
    broken.write_text(text[:begin] + text[begin : begin + 400] + text[text.index("</script>", begin) :])
    with chromium.visit(browser) as visited:
        page = visited.open(broken)
        page.locator("#the-step").scroll_into_view_if_needed()
        page.locator("#the-step .failed").wait_for()
        assert "The interactive view could not be drawn" in page.locator("#the-step").inner_text()
        assert page.locator("#the-step .still svg").is_visible()


def test_plotly_that_was_changed_does_not_run(browser, path, tmp_path):
    """The policy names its digest: another script in its place is refused."""
    from tracekit.report.policy import packed  # noqa: PLC0415 - the way the page packs

    text = path.read_text()
    begin = text.index(">", text.index('id="plotly-script"')) + 1
    evil = tmp_path / "evil.html"
    evil.write_text(text[:begin] + packed(b"window.__bad = 1") + text[text.index("</script>", begin) :])
    with chromium.visit(browser) as visited:
        page = visited.open(evil)
        page.locator("#the-step").scroll_into_view_if_needed()
        page.locator("#the-step .failed").wait_for()
        assert page.evaluate("() => window.__bad") is None
        assert len(visited.messages) == 1
        assert "Content Security Policy" in visited.messages[0]


def test_hostile_names_are_inert_and_legible(browser, tmp_path):
    frame = pd.DataFrame({name: [name] for name in HOSTILE} | {"service_name": [HOSTILE[0]]})
    figure = go.Figure(go.Bar(x=list(HOSTILE), y=[1, 2, 3]), layout={"title": {"text": HOSTILE[0]}})
    spans = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": HOSTILE[1], "service_name": HOSTILE[0]})
    traces = tk.TraceSet.from_spans(spans.assign(start_ns=10**18, end_ns=10**18 + 5_000))
    finding = tk.Finding(HOSTILE[0], "info", HOSTILE[0], exemplars=HOSTILE, remedy=HOSTILE[1], code=HOSTILE[2])
    parts = [*HOSTILE, tk.section(HOSTILE[0], *HOSTILE, frame, finding, code=HOSTILE[0]), figure]
    parts += [tk.critical_path(traces).flame(), tk.latency(traces), tk.waterfall(traces, "0000"), traces]
    with chromium.visit(browser) as visited:
        page = visited.open(tk.report(parts, tmp_path / "evil.html", title=HOSTILE[0]))
        page.evaluate("() => document.querySelectorAll('.named details').forEach(one => { one.open = true; })")
        for view in page.locator(".view").all():
            view.scroll_into_view_if_needed()
            page.locator(f"#{view.get_attribute('id')}.live").wait_for()
        assert page.evaluate("() => window.__bad") is None
        assert page.locator("a[href^=http], a[href^=javascript], img[src=x]").count() == 0
        assert page.locator("h1").inner_text() == HOSTILE[0]
        assert HOSTILE[1] in page.locator(".introduction").inner_text()
        assert visited.requests == [(tmp_path / "evil.html").as_uri()]
        assert visited.messages == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, path, scheme):
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    axe = (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with chromium.visit(browser, color_scheme=scheme, bypass_csp=True) as visited:
        page = visited.open(path)
        page.evaluate("() => document.querySelectorAll('.named details').forEach(one => { one.open = true; })")
        for view in page.locator(".view").all():
            view.scroll_into_view_if_needed()
            page.locator(f"#{view.get_attribute('id')}.live").wait_for()
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        assert [
            (rule["id"], rule["nodes"][0]["html"][:200], rule["nodes"][0]["failureSummary"]) for rule in found
        ] == []
