"""Names that want to be code: inert and legible in the report, and what the policy stops if one ever got through."""

import json
import re

import chromium
import pytest

from tracekit.loading import read
from tracekit.report import report

pytestmark = pytest.mark.browser
EVIL = [
    "</script><img src=x onerror=window.__pwn=1>", '"><svg onload=window.__pwn=2>', "<!--<script>window.__pwn=3",
    "</style><script>window.__pwn=4</script>", "javascript:window.__pwn=5", "';window.__pwn=6;//", "{{7*7}}{% x %}",
    "<a href=http://evil.example/>x</a>", "a\u2028b\u2029c", "\x00\x1b[31mred", "\u202egpj.exe\u2066", "\ud83d alone",
    "A" * 20_000,
]  # fmt: skip
LEGIBLE = {
    "\u202egpj.exe\u2066": "\ufffdgpj.exe\ufffd",
    "\ud83d alone": "\ufffd alone",
    "\x00\x1b[31mred": "\ufffd\ufffd[31mred",
}
PLANTED = (
    "<img src=x onerror=window.__pwn=9><script>window.__pwn=10</script><link rel=stylesheet href=http://203.0.113.9/c.css>"
    "<div style='background:url(http://203.0.113.9/a)'>x</div><img src=http://203.0.113.9/i.png><iframe src=http://203.0.113.9/></iframe>"
)
WAYS_OUT = """async () => {
  const out = {}, socket = () => new Promise(done => {
    const s = new WebSocket('ws://203.0.113.9/');
    s.onopen = () => done('open');
    s.onerror = () => done('blocked') });
  try { await fetch('http://203.0.113.9/'); out.fetch = 'open' } catch { out.fetch = 'blocked' }
  try { out.socket = await socket() } catch { out.socket = 'blocked' }
  try { eval('1'); out.eval = 'open' } catch { out.eval = 'blocked' }
  return out }"""
FILE = "<img src=x onerror=window.__pwn=7>\u202e'.json"
INJECTED = ".tkw img, .tkw script, .tkw a, main img, main iframe, main a[href^=http]"


def text(value):
    return {"stringValue": value}


def hostile(folder):
    """One trace with a span a hostile text, which stands wherever a text can stand in OTLP, and in the file's name."""
    groups = []
    for k, evil in enumerate(EVIL):
        exception = [{"key": "exception.type", "value": text(evil)}, {"key": "exception.message", "value": text(evil)}]
        span = {
            "traceId": f"{0xA1:032x}",
            "spanId": f"{k + 1:016x}",
            "parentSpanId": f"{1:016x}" if k else "",
            "name": evil,
            "kind": 2,
            "startTimeUnixNano": str(1_747_231_200_000_000_000 + k),
            "endTimeUnixNano": "1747231200001000000",
            "status": {"code": 2, "message": evil},
            "attributes": [
                {"key": evil, "value": text(evil)},
                {"key": "list", "value": {"arrayValue": {"values": [text(evil)]}}},
            ],
            "events": [{"name": "exception", "timeUnixNano": str(1_747_231_200_000_000_500), "attributes": exception}],
            "links": [{"traceId": f"{0xB2:032x}", "spanId": f"{1:016x}"}],
        }
        resource = {"attributes": [{"key": "service.name", "value": text(evil)}, {"key": evil, "value": text(evil)}]}
        groups.append({"resource": resource, "scopeSpans": [{"scope": {"name": evil}, "spans": [span]}]})
    path = folder / FILE
    path.write_text(json.dumps({"resourceSpans": groups}))
    return read(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return report(hostile(folder), folder / "evil.html", title=EVIL[0])


def test_hostile_names_are_inert_and_legible(browser, path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        assert page.title() == EVIL[0]
        assert page.locator("h1").inner_text() == EVIL[0]
        assert page.locator("#sources td").first.inner_text() == FILE.replace("\u202e", "\\u202e")
        page.locator("#view-waterfall-1").scroll_into_view_if_needed()
        page.locator("#view-waterfall-1.live").wait_for()
        view = page.locator("#view-waterfall-1")
        for row, evil in enumerate(EVIL):
            page.keyboard.press("Escape")
            view.locator(".tkw-scroll").focus()
            page.keyboard.press("Home")
            for _ in range(row):
                page.keyboard.press("ArrowDown")
            shown = view.locator(".tkw-det").text_content()
            legible = LEGIBLE.get(evil, evil).replace("\u2028", "\ufffd").replace("\u2029", "\ufffd")
            assert shown.count(legible) >= 8, legible[:40]
        view.get_by_role("searchbox").fill("<img")
        page.locator("#view-map-1").scroll_into_view_if_needed()
        page.locator("#view-map-1.live").wait_for()
        for node in page.locator("#view-map-1 .node").all():
            node.dispatch_event("click")
        assert page.evaluate("() => window.__pwn") is None
        assert page.locator(INJECTED).count() == 0
        assert page.evaluate("() => document.querySelectorAll('[onload], [onerror], [style*=url]').length") == 0
        assert visited.requests == [path.as_uri()]
        assert visited.messages == []


def test_no_invisible_or_flipping_character_reaches_the_page(browser, path):
    with chromium.visit(browser) as visited:
        page = visited.open(path)
        text = page.evaluate("() => document.body.textContent")
        assert not set(text) & set("\u202e\u2066\x00\x1b\u2028\u2029")
        assert "\ufffdgpj.exe\ufffd" in text


def test_the_policy_stops_what_would_get_through(browser, path, tmp_path):
    control = tmp_path / "control.html"
    text = re.sub("<main[^>]*>", lambda found: found[0] + PLANTED, path.read_text(encoding="utf-8"), count=1)
    assert PLANTED in text
    control.write_text(text, encoding="utf-8")
    with chromium.visit(browser) as visited:
        page = visited.open(control)
        assert page.evaluate("() => window.__pwn") is None
        assert set(page.evaluate(WAYS_OUT).values()) == {"blocked"}
        planted = [url for url in visited.requests if url != control.as_uri()]
        assert "http://203.0.113.9/i.png" in planted
        assert {visited.refused[url] for url in planted} == {"csp"}
        assert any("Content Security Policy" in message for message in visited.messages)
