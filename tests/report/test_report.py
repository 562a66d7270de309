import base64
import gzip
import hashlib
import html
import json
import re
import warnings
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import pandas as pd
import pytest
from shop_traces import no_traces, shop_frame, shop_traces

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.overview import Overview
from tracekit.errors import RenderError
from tracekit.report import report
from tracekit.report.critical_path import path_table
from tracekit.report.failures import exceptions_table
from tracekit.report.page import render
from tracekit.report.policy import inline, packed
from tracekit.views.colours import Colours
from tracekit.views.tkw1 import decode

HOSTILE = "</script><img src=x onerror=window.__pwn=1>"


class Page(HTMLParser):
    """What stands in a page: elements with their attributes, and the text of each."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input", "br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, *tags):
        return " ".join(text.strip() for tag, text in self.texts if tag in tags and text.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def shop():
    return shop_traces()


@pytest.fixture
def empty():
    return no_traces()


@pytest.fixture(scope="module")
def source():
    return render(shop_traces(), title="Shop")


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_every_element_is_closed_and_every_section_there(page):
    assert [tag for tag in page.open if tag != "html"] == []
    ids = [attributes["id"] for attributes in page.all("section")]
    assert ids == (
        ["findings", "path", "errors", "volume", "services", "operations", "map", "latency", "traces", "sources"]
    )
    links = [attributes["href"] for attributes in page.all("a")]
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert all(link[0] == "#" and link[1:] in targets for link in links)


def test_the_first_screen_shows_what_is_in_the_data(page):
    assert page.text("h1") == "Shop"
    values = [text for tag, text in page.texts if tag == "dd"]
    assert values[:4] == ["80", "610", "4", "5.0%"]
    assert "2025-05-14 14:00:00 to 14:00:39 UTC (39.5 s)" in page.text("p")
    assert "Slowest endpoint: front POST /checkout, p50" in page.text("p")


def test_the_policy_names_exactly_what_the_page_runs(source, page):
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    said = dict(part.split(" ", 1) for part in policy.split("; "))
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        texts = re.findall(rf'<{tag}(?: type="module")?>(.*?)</{tag}>', source, re.DOTALL)
        assert len(texts) == 1
        digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
        assert said[directive] == f"'sha256-{digest}'"
    assert said["default-src"] == said["base-uri"] == said["form-action"] == "'none'"
    assert said["img-src"] == "data: blob:"


def test_nothing_in_the_page_needs_more_than_the_policy_gives(page):
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base", "img"}
        assert not [
            name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset", "action"}
        ]


def test_the_embedded_data_are_the_traces(source, shop):
    blocks = re.findall(r'<script type="application/x-tracekit"[^>]*data-view="(\w+)"[^>]*>([^<]+)</script>', source)
    assert [view for view, _ in blocks] == ["map"] + ["waterfall"] * 13
    raw = [gzip.decompress(base64.b64decode(text)) for _, text in blocks]
    assert {node["name"] for node in json.loads(raw[0])["nodes"]} >= {"front", "catalog", "pricing"}
    worst = [decode(buffer).meta["id"] for buffer in raw[1:6]]
    assert worst == shop.summary.sort_values("duration_ns", ascending=False, kind="stable").index[:5].tolist()
    assert len(decode(raw[1]).columns["start"]) == 34


def test_the_tables_hold_the_results(source, shop):
    operations = source[source.index('id="operations"') : source.index('id="map"')]
    rows = re.findall(r"<tr>\s*(<td.*?)</tr>", operations, re.DOTALL)
    cells = [[_words(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for row in rows]
    counts = {(service, name): int(count.replace(",", "")) for service, name, count, *_ in cells}
    expected = shop.spans.groupby(["service_name", "operation"], observed=True).size().to_dict()
    assert counts == {(str(s), str(o)): n for (s, o), n in expected.items()}


def test_what_requests_wait_for_adds_up(shop):
    table = path_table(Overview(shop), Colours(), set())
    assert [cell.text for cell in table.rows[0][:2]] == ["pricing", "SELECT discount"]
    assert sum(row[3].value for row in table.rows) == pytest.approx(1)
    mean = shop.summary["root_duration_ns"].astype(float).mean()
    assert sum(row[4].value for row in table.rows) == pytest.approx(mean)


def _words(cell):
    return html.unescape(re.sub(r"<svg.*?</svg>|<[^>]+>", "", cell, flags=re.DOTALL)).strip()


def test_the_same_traces_give_the_same_bytes(source, tmp_path):
    assert render(TraceSet.from_spans(shop_frame()), title="Shop") == source
    shuffled = shop_frame().sample(frac=1, random_state=4)
    again = report(TraceSet.from_spans(shop_frame()), tmp_path / "a.html", title="Shop", redact=None)
    assert again.read_bytes() == source.encode()
    strip = lambda text: re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)  # noqa: E731 - record numbers differ
    assert strip(render(TraceSet.from_spans(shuffled), title="Shop")) == strip(source)


def test_packed_data_have_no_date():
    assert base64.b64decode(packed(b"TKW1"))[4:8] == bytes(4)


def test_no_time_of_writing_unless_requested(shop):
    assert " at 2025-06-01 12:30" in render(shop, generated=datetime(2025, 6, 1, 12, 30, tzinfo=UTC))
    assert " at 2025-06-01" not in render(shop)


def test_the_report_is_small(source):
    assert len(source) < 320_000


def test_an_interrupted_report_leaves_the_old_one(shop, tmp_path, monkeypatch):
    target = tmp_path / "shop.html"
    target.write_text("the old one")

    def interrupted(self, data):
        with self.open("wb") as file:
            file.write(data[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report(shop, target)
    assert target.read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["shop.html"]


def test_a_path_that_cannot_be_written_is_refused(shop, tmp_path):
    with pytest.raises(
        RenderError, match=r"expected the path of a file in an existing folder, found no folder .*nowhere"
    ):
        report(shop, tmp_path / "nowhere" / "shop.html")
    with pytest.raises(RenderError, match="found a folder: "):
        report(shop, tmp_path)


def test_an_empty_set_is_reported_as_text(empty):
    page = Page(render(empty))
    words = page.text("p")
    for said in (
        "The data contain no traces.",
        "No services.",
        "No error spans.",
        "No trace has both a start",
    ):
        assert said in words
    claims, module = page.all("script")
    assert claims["type"] == "application/json"
    assert module == {"type": "module"}


def test_spans_without_times_are_reported_as_text():
    frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": ["x"], "service_name": ["s"]})
    frame = frame.assign(start_ns=pd.array([None], dtype="Int64"), end_ns=pd.array([None], dtype="Int64"))
    words = Page(render(TraceSet.from_spans(frame))).text("p", "dd")
    assert "no timestamps recorded" in words
    assert "No root span has both a start and an end." in words


def test_no_analysis_warns_on_the_way(empty):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(empty)


def test_hostile_names_are_text_everywhere():
    bad = {
        "front": HOSTILE,
        "POST /checkout": f'"{HOSTILE}',
        "SELECT discount": "\u202egpj.exe\u2028",
        "pricing": "A" * 20_000,
    }
    frame = shop_frame(20, bad).rename(columns={"attributes.tenant": f"attributes.{HOSTILE}"})
    frame[f"attributes.{HOSTILE}"] = HOSTILE
    source = render(TraceSet.from_spans(frame), title=HOSTILE)
    page = Page(source)
    assert page.text("h1") == HOSTILE
    assert not page.all("img")
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    named = [attributes for attributes in page.all("details") if "id" in attributes]
    assert len(page.all("script")) == 1 + 1 + 6 + len(named)  # the module, the claims, views, waterfalls
    assert "\u202e" not in source
    assert max(len(text) for tag, text in page.texts if tag not in {"script", "style"}) <= 400


def test_a_report_against_a_baseline_is_the_same_each_time_and_as_inert():
    bad = {"front": HOSTILE, "POST /checkout": f'"{HOSTILE}', "SELECT discount": "\u202egpj.exe\u2028"}
    before, now = (TraceSet.from_spans(shop_frame(count, bad)) for count in (30, 40))
    source = render(now, baseline=before, title="Shop")
    assert source == render(now, baseline=before, title="Shop")
    page = Page(source)
    assert "changes" in [attributes["id"] for attributes in page.all("section")]
    assert not page.all("img")
    assert "\u202e" not in source
    assert [tag for tag in page.open if tag != "html"] == []
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base"}
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src"}]


def test_the_module_can_be_embedded_in_a_page():
    with pytest.raises(
        RenderError, match="expected text that can be embedded in HTML, found '</script' in line 2 of the module"
    ):
        inline("let a;\nlet b = '</script>'", "the module")
    for bad in ("<!--", "\r", "\0", "</STYLE"):
        with pytest.raises(RenderError):
            inline(f"a {bad}", "the module")


def test_what_the_template_uses_must_exist(shop, monkeypatch):
    monkeypatch.setitem(render.__globals__, "contents", lambda *_: {})
    with pytest.raises(jinja2.UndefinedError):
        render(shop)


def test_a_report_on_one_trace_begins_with_its_waterfall(shop):
    alone = shop.trace(shop.trace_ids[0])
    source = render([alone])
    page = Page(source)
    assert source.index('id="view-waterfall-1"') < source.index('id="findings"')
    assert [section["id"] for section in page.all("section")][:2] == ["traces", "findings"]
    links = [link["href"] for link in page.all("a") if link["href"] in {"#traces", "#findings", "#path"}]
    assert links[:3] == ["#traces", "#findings", "#path"]
    assert [article["id"] for article in page.all("article")] == [f"trace-{alone.trace_ids[0]}"]
    several = Page(render([shop]))
    assert several.all("section")[0]["id"] == "findings"


def test_a_single_trace_without_a_duration_has_its_waterfall():
    frame = shop_frame()
    one = TraceSet.from_spans(frame[frame["trace_id"] == frame["trace_id"].iloc[0]].assign(end_ns=None))
    assert [article["id"] for article in Page(render([one])).all("article")] == [f"trace-{one.trace_ids[0]}"]


def test_exceptions_are_shown_with_their_first_and_last_time():
    during = tk.load_sample("checkout-regression")[1]
    rows = exceptions_table(Overview(during), Colours(), set()).rows
    found = tk.errors(during).exceptions
    assert len(rows) == len(found) > 0
    assert [row[3].value for row in rows] == found["event_count"].astype(float).tolist()
    assert [row[5].value for row in rows] == [float(time.value) for time in found["first_time"]]
    assert rows[0][7].text in during.trace_ids
