"""Ways through a report: links to a trace and a span, the code behind figures, tables as files, what changed."""

import csv
import io
import re
from pathlib import Path

import chromium
import pandas as pd
import pytest

from tracekit import TraceSet, load_sample
from tracekit.report import report

pytestmark = pytest.mark.browser
BEGIN = 1_747_231_200_000_000_000


@pytest.fixture(scope="module")
def sets():
    return load_sample("checkout-regression")


@pytest.fixture(scope="module")
def path(sets, tmp_path_factory):
    before, during = sets
    return report(during, tmp_path_factory.mktemp("report") / "shop.html", baseline=before, title="Shop")


def at(visit, path, fragment):
    visit.page.goto(f"{path.as_uri()}#{fragment}")
    visit.page.wait_for_selector("html[data-tk-ready]", state="attached")
    return visit.page


def test_the_first_screen_shows_what_changed_and_links_to_the_exemplar(visit, path):
    page = visit.open(path)
    screen = page.locator("#first-screen")
    words = screen.inner_text()
    for place in (screen, page.locator(".figures")):
        box = place.bounding_box()
        assert box["y"] + box["height"] < page.viewport_size["height"]
    assert re.match(r"storefront POST /checkout p95 regressed 2\.55×: 100 → 256 ms\. critical", words)
    order = ["Incident", "Started", "Affected", "What changed", "Likely cause", "Do now", "See it"]
    assert [words.index(f"\n{title}") for title in order] == sorted(words.index(f"\n{title}") for title in order)
    screen.get_by_role("link", name="Open the exemplar").click()
    page.locator("article .view.live").first.wait_for()
    chromium.wait_until(page, "() => document.querySelector('.tkw-det.on')")
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-tk-ready]", state="attached")
    findings = page.locator(".findings li")
    assert "Sampling weights not set" in findings.nth(0).inner_text()
    mean = findings.filter(has_text="Mean latency of recorded requests regressed 39.3 \u2192 57.1 ms (+17.8 ms; 95% CI")
    assert "98.8% of the increase (+17.5 ms) is in ledger SELECT entries" in mean.inner_text()
    assert "baseline 84.5 ms" in page.locator(".figures").inner_text()
    mean.get_by_role("link", name="open exemplar trace").click()
    page.locator("article .view.live").first.wait_for()
    chromium.wait_until(page, "() => document.querySelector('.tkw-det.on')")
    row = page.locator(".tkw-row[aria-selected=true]")
    assert "1 → 37 \u00d7, total 1.35 → 242 ms" in row.locator(".tkw-line").get_attribute("aria-label")
    box = row.bounding_box()
    assert 0 < box["y"] < page.viewport_size["height"] - box["height"]
    assert "82.2%" in page.locator(".tkw-det.on").inner_text()


def test_a_url_fragment_opens_a_span(visit, path, sets):
    during = sets[1]
    trace_id = during.summary["duration_ns"].idxmax()
    spans = during.spans[during.spans["trace_id"] == trace_id]
    span = spans[spans["name"] == "SELECT entries"].iloc[20]
    page = at(visit, path, f"trace={trace_id}&span={span['span_id']}")
    chromium.wait_until(page, "() => document.querySelector('.tkw-det.on')")
    assert span["span_id"] in page.locator(".tkw-det.on").inner_text()
    box = page.locator(f"#trace-{trace_id}").bounding_box()
    assert -5 < box["y"] < 300
    page.locator(f"#trace-{trace_id} .tkw-scroll").focus()
    page.keyboard.press("Home")
    assert page.evaluate("() => location.hash") != f"#trace={trace_id}&span={span['span_id']}"
    assert page.evaluate("() => location.hash").startswith(f"#trace={trace_id}&span=")


def test_a_url_fragment_opens_a_finding(visit, path):
    page = at(visit, path, "finding-weights")
    assert page.locator("#finding-weights").bounding_box()["y"] < page.viewport_size["height"]
    page.locator("#finding-tail .mark").click()
    assert page.evaluate("() => location.hash") == "#finding-tail"


def test_links_without_a_target_show_a_message(visit, path, sets):
    page = at(visit, path, "trace=beef")
    assert page.locator(".lost").inner_text() == "Trace beef has no waterfall in this report."
    trace_id = sets[1].summary["duration_ns"].idxmax()
    page.evaluate("id => { location.hash = `trace=${id}&span=77` }", trace_id)
    chromium.wait_until(
        page, "() => document.querySelector('.lost')?.textContent.startsWith('Span 77 is not in trace')"
    )
    page.evaluate("() => { location.hash = 'latency' }")
    chromium.wait_until(page, "() => !document.querySelector('.lost')")


def test_the_code_behind_a_figure_is_one_click_away(visit, path):
    page = visit.open(path)
    code = page.locator("#operations .how pre")
    assert not code.is_visible()
    page.locator("#operations .how summary").click()
    lines = [
        "import tracekit as tk",
        "",
        "traces = tk.load_sample('checkout-regression', 'during')",
    ]
    assert code.inner_text().splitlines() == [*lines, "tk.latency(traces).table"]
    sections = page.locator("section:has(h2)").count()
    assert page.locator("section > h2 + .how").count() == sections - 1  # each finding has its own
    finding = page.locator(".findings li", has_text="Mean latency of recorded requests regressed").locator(".how")
    finding.locator("summary").click()
    assert "tk.critical_path(before).compare(tk.critical_path(traces)" in finding.inner_text()


def download(page, section):
    with page.expect_download() as caught:
        page.locator(f"#{section}").get_by_role("button", name="Download CSV").first.click()
    name, text = caught.value.suggested_filename, Path(caught.value.path()).read_bytes().decode()
    return name, list(csv.reader(io.StringIO(text, newline="")))


def test_no_table_is_cut_on_paper(visit, path):
    page = visit.open(path)
    page.set_viewport_size({"width": 718, "height": 1000})  # of A4, less a centimetre at each side
    page.emulate_media(media="print")
    wide = """() => [...document.querySelectorAll('table')].filter(t => t.scrollWidth > 718)
      .map(t => [t.caption.textContent, t.scrollWidth])"""
    assert page.evaluate(wide) == []
    assert page.pdf(format="A4")[:4] == b"%PDF"


def test_a_table_is_a_file_with_its_values(visit, path, sets):
    page = visit.open(path)
    page.locator("#operations input").fill("SELECT")
    name, rows = download(page, "operations")
    assert name == "operations.csv"
    assert rows[0] == [
        "service",
        "operation",
        "spans",
        "error rate",
        "p50 (ns)",
        "p95 (ns)",
        "95% CI of p95",
        "p99 (ns)",
        "spread",
    ]
    expected = sets[1].spans.groupby(["service_name", "operation"], observed=True).size()
    assert {(service, operation): int(count) for service, operation, count, *_ in rows[1:]} == {
        (str(s), str(o)): n for (s, o), n in expected.items()
    }
    name, rows = download(page, "changes")
    assert name == "critical-path-time-by-operation-baseline-and-current.csv"
    changes = [int(float(row[rows[0].index("change (ns)")])) for row in rows[1:]]
    assert sum(changes) == pytest.approx(17_769_399, abs=1)


def test_what_a_spreadsheet_would_run_is_inert(browser, tmp_path):
    names = ['=HYPERLINK("http://203.0.113.9")', "+1", "-1", "@SUM(A1)", 'say "a, b"']
    frame = pd.DataFrame({"trace_id": [f"{k + 1:032x}" for k in range(5)], "span_id": "1", "name": names})
    traces = TraceSet.from_spans(frame.assign(service_name="s", start_ns=BEGIN, end_ns=BEGIN + 5_000))
    with chromium.visit(browser) as visited:
        page = visited.open(report(traces, tmp_path / "evil.html"))
        _, rows = download(page, "operations")
        assert sorted(row[1] for row in rows[1:]) == sorted([*(f"'{name}" for name in names[:4]), names[4]])
        assert visited.messages == []


def test_a_link_to_a_collapsed_trace_opens_and_draws_it(browser, tmp_path):
    _, during = load_sample("checkout-regression")
    with chromium.visit(browser) as visited:
        page = visited.open(report(during, tmp_path / "report.html"))
        folded = page.locator(".named details").first
        assert not folded.locator(".view").is_visible()
        page.evaluate(f"() => {{ location.hash = '{folded.get_attribute('id')}'.replace('-', '=') }}")
        folded.locator(".view.live").wait_for()
        assert folded.locator(".tkw-row").first.is_visible()
        page.locator("#errors td a").first.click()
        assert page.locator("p.lost").count() == 0
        assert visited.messages == []
