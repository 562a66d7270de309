"""A page that somebody writes: order, headings, what each part becomes, and what is refused."""

import base64
import gzip
import json
import re
import sys

import pandas as pd
import pytest
from plotly import graph_objects as go
from shop_traces import no_traces, shop_frame, shop_traces
from test_report import HOSTILE, Page

import tracekit as tk
from tracekit import TraceSet
from tracekit.report.chapters import chapters_of
from tracekit.report.page import render
from tracekit.report.prose import prose
from tracekit.report.sections import outline
from tracekit.report.standard import Standard
from tracekit.views.embedded import plotly_script
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall import drawing


def worst():
    return str(shop_traces().summary["duration_ns"].idxmax())


def headings(source):
    return re.findall(r"<h2 [^>]*>([^<]*)</h2>", source)


def embedded_data(source, view):
    found = re.findall(rf'<script type="application/x-tracekit[^>]*data-view="{view}"[^>]*>([^<]+)</script>', source)
    return [gzip.decompress(base64.b64decode(text)) for text in found]


# ------------------------------------------------------------------ order and headings


def test_sections_are_in_the_order_of_the_list_and_in_the_contents():
    table = pd.DataFrame({"name": ["GET /"]})
    source = render(
        ["It was slow.", tk.section("Who waited", "Half of them.", table), tk.section("What next", "Rest.")]
    )
    assert headings(source) == ["Who waited", "What next"]
    assert re.findall(r'<a href="#([^"]+)">([^<]+)</a>\n', source[source.index("<nav") : source.index("</nav>")]) == [
        ("who-waited", "Who waited"),
        ("what-next", "What next"),
    ]
    words = Page(source).text("p", "td")
    assert words.index("It was slow.") < words.index("Half of them.") < words.index("GET /") < words.index("Rest.")


def test_the_findings_of_the_traces_come_after_the_introduction_in_any_order():
    source = render(["It was slow.", tk.section("Who waited", "Half of them."), shop_traces(), tk.section("End", "-")])
    found = headings(source)
    assert found[:3] == ["Findings", "Who waited", "Critical path"]
    assert found[-2:] == ["Slowest traces", "End"]
    assert source.index("It was slow.") < source.index('id="findings"')


def test_a_result_without_a_section_is_headed_by_what_it_is():
    shop = shop_traces()
    parts = [
        tk.critical_path(shop),
        tk.latency(shop),
        shop.summary.head(2),
        go.Figure(layout={"title": {"text": "Mine"}}),
    ]
    assert headings(render([*parts, tk.waterfall(shop, worst())])) == [
        "Critical path", "Latency", "Table", "Mine", "Waterfall",
    ]  # fmt: skip


def test_equal_headings_have_ids_of_their_own_and_none_of_the_standard_ones():
    source = render(
        [
            tk.section("Latency", "a"),
            tk.section("Latency", "b"),
            tk.section("?", "c"),
            tk.section("View map 1"),
            shop_traces(),
        ]
    )
    ids = [attributes["id"] for _, attributes in Page(source).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"latency", "latency-2", "latency-3", "section"} <= set(ids)


def test_one_part_alone_needs_no_list():
    assert headings(render(tk.service_graph(shop_traces()))) == ["Service graph"]
    assert "It was slow." in render("It was slow.")
    assert headings(render(tk.section("Why", "Because."))) == ["Why"]


def test_a_page_without_traces_does_not_mention_any():
    source = render(["It was slow."])
    page = Page(source)
    assert "<title>Report</title>" in source
    assert not page.all("dl")
    assert 'id="findings"' not in source
    assert "Made by tracekit. Times are UTC." in page.text("p")


def test_a_traceset_alone_is_the_standard_report():
    shop = shop_traces()
    assert render([shop]) == render(shop)


def test_the_code_of_a_section_is_shown_with_it():
    source = render([tk.section("Why", "Because.", code="tk.latency(traces)\n'</pre>'")])
    assert "<pre>tk.latency(traces)\n&#39;&lt;/pre&gt;&#39;</pre>" in source
    assert "<pre>" not in render([tk.section("Why", "Because.")])


# ------------------------------------------------------------------ what becomes of parts


def test_text_is_shown_as_written():
    assert prose("**bold** _x_ <b> [a](http://b) `SELECT *`") == (
        "<p>**bold** _x_ &lt;b&gt; [a](http://b) <code>SELECT *</code></p>"
    )
    assert prose("a\nb\n \n\nc\n- d\n  e\n- f") == "<p>a b</p><p>c </p><ul><li>d e</li><li>f</li></ul>".replace(
        "c </p>", "c</p>"
    )
    assert prose("") == ""
    assert prose("a `b") == "<p>a `b</p>"


def test_the_id_of_a_trace_leads_to_its_waterfall_if_there_is_one():
    shown, other = "a" * 32, "b" * 32
    assert prose(f"{shown}, {other} and `{shown}`", {shown}) == (
        f'<p><a href="#trace-{shown}">{shown}</a>, {other} and <code>{shown}</code></p>'
    )
    shop = shop_traces()
    source = render([f"See {worst()}.", tk.section("It", tk.waterfall(shop, worst())), shop.summary.tail(3)])
    assert f'See <a href="#trace-{worst()}">' in source
    assert f'<article id="trace-{worst()}">' in source


def test_a_waterfall_that_the_author_shows_is_not_embedded_twice():
    shop = shop_traces()
    source = render([tk.waterfall(shop, worst()), shop])
    shown = [decode(data).meta["id"] for data in embedded_data(source, "waterfall")]
    assert shown[0] == worst()
    assert len(shown) == len(set(shown)) == 13
    assert source.count(f'id="trace-{worst()}"') == 1
    assert f'<a href="#trace-{worst()}">' in source  # the table of the slowest leads to the author's
    twice = render([tk.waterfall(shop, worst()), tk.waterfall(shop, worst())])
    assert len(embedded_data(twice, "waterfall")) == 2
    assert twice.count(f'id="trace-{worst()}"') == 1


def test_every_view_is_embedded_with_what_it_is_drawn_from_and_its_still_picture():
    shop = shop_traces()
    path = tk.critical_path(shop)
    graph, flame = tk.plot(tk.service_graph(shop)), tk.plot(path.flame(), search="SELECT")
    heat = tk.plot(tk.timeline(shop), kind="heat")
    source = render([tk.waterfall(shop, worst(), path=path, height=777), graph, flame, heat])
    (waterfall,) = embedded_data(source, "waterfall")
    assert (
        decode(waterfall).columns["start"].tolist()
        == decode(tk.waterfall(shop, worst()).data).columns["start"].tolist()
    )
    assert "critRow" in decode(waterfall).columns
    assert json.loads(embedded_data(source, "map")[0]) == json.loads(graph.graph)
    first, second = (json.loads(data) for data in embedded_data(source, "canvas"))
    assert (first["payload"], first["search"], first["selected"]) == (flame.payload, "SELECT", -1)
    assert (second["payload"], second["height"]) == (heat.payload, heat.height)
    assert source.count('<div class="still"><svg') == 4
    assert ".view.h777{min-height:777px}" in source
    assert "plotly.js v" not in source
    assert "plotly-script" not in source.replace("getElementById('plotly-script')", "")


def test_a_large_trace_has_its_attributes_in_the_page(monkeypatch):
    monkeypatch.setattr(drawing, "EMBEDDED_SPANS", 3)
    shop = shop_traces()
    alone = tk.waterfall(shop, worst(), path=tk.critical_path(shop))
    beside = tk.waterfall(shop, worst(), compare=str(shop.summary["duration_ns"].idxmin()))
    for widget in (alone, beside):
        assert "attrN" not in decode(widget.data).columns
        (data,) = embedded_data(render([widget]), "waterfall")
        held, drawn = decode(data), decode(widget.data)
        assert len(held.columns["attrN"]) == int(held.columns["det"].max()) + 1 if widget is beside else 34
        assert "blue" in held.strings
        for name in ("start", "dur", "depth", "flags"):
            assert held.columns[name].tolist() == drawn.columns[name].tolist()
        named = [[payload.strings[k] for k in payload.columns["name"]] for payload in (held, drawn)]
        assert named[0] == named[1]
    assert "critRow" in decode(embedded_data(render([alone]), "waterfall")[0]).columns


def test_plotly_is_embedded_once_and_only_with_a_chart():
    shop = shop_traces()
    chart = tk.plot(tk.latency(shop))
    source = render([tk.section("Times", chart, chart, go.Figure(go.Pie(values=[1, 2])))])
    packed = re.findall(r'<script type="application/x-tracekit-plotly" id="plotly-script">([^<]+)</script>', source)
    assert [gzip.decompress(base64.b64decode(text)).decode() for text in packed] == [plotly_script()]
    specs = [json.loads(data) for data in embedded_data(source, "chart")]
    assert [spec["figure"]["data"][0]["type"] for spec in specs] == ["scatter", "scatter", "pie"]
    assert specs[0]["dark"]["#1c1e21"] == "#e4e6ea"
    assert source.count('<div class="still"><svg') == 2
    assert "Chart: this chart is drawn by a script when it scrolls into view." in source
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', source)[1].replace("&#39;", "'")
    said = dict(part.split(" ", 1) for part in policy.split("; "))
    assert said["script-src"].count("sha256-") == 2
    assert "unsafe" not in said["script-src"]
    assert said["style-src"] == "'unsafe-inline'"
    assert said["default-src"] == "'none'"


def test_a_dark_chart_is_embedded_light_and_painted_by_the_page():
    light, dark = (tk.plot(tk.latency(shop_traces()), theme=theme) for theme in ("light", "dark"))
    ((one,), (other,)) = (embedded_data(render([chart]), "chart") for chart in (light, dark))
    assert json.loads(one) == json.loads(other)


def test_findings_are_shown_with_their_code_and_link_to_their_traces():
    shop = shop_traces()
    finding = tk.Finding(
        "slow", "warning", "One is <slow>.", exemplars=(worst(), "b" * 32), remedy="Look.", code="tk.latency(traces)"
    )
    source = render([tk.section("Found", tk.Findings([finding, finding]), tk.Findings()), tk.waterfall(shop, worst())])
    assert source.count("One is &lt;slow&gt;.") == 2
    assert '<li class="warning" id="finding-slow">' in source
    assert '<li class="warning" id="finding-slow-2">' in source
    assert f'<a href="#trace-{worst()}">open exemplar trace</a>' in source
    assert "<pre>tk.latency(traces)</pre>" in source
    assert "No findings." in source
    assert "One is &lt;slow&gt;." in render(finding)


def test_names_in_the_sentence_of_a_finding_are_code():
    source = render([tk.Finding("mix", "info", "`<b>cart` waits for `ledger`.", remedy="Ask `<i>`.")])
    assert "<p><code>&lt;b&gt;cart</code> waits for <code>ledger</code>." in source
    assert "Ask <code>&lt;i&gt;</code>." in source


def test_hostile_text_is_escaped_everywhere():
    bad = {"front": HOSTILE, "POST /checkout": f'"{HOSTILE}', "pricing": "<b>x</b>"}
    evil = tk.TraceSet.from_spans(shop_frame(20, bad))
    trace_id = str(evil.summary["duration_ns"].idxmax())
    figure = go.Figure(go.Bar(x=[HOSTILE], y=[1]), layout={"title": {"text": HOSTILE}})
    source = render(
        [
            HOSTILE,
            tk.section(HOSTILE, f"`{HOSTILE}`", evil.summary, tk.critical_path(evil).flame(), code=HOSTILE),
            pd.DataFrame({HOSTILE: [HOSTILE], "trace_id": [HOSTILE], "service_name": [HOSTILE]}),
            tk.waterfall(evil, trace_id), tk.service_graph(evil), tk.latency(evil), figure,
            tk.Finding(HOSTILE, "info", HOSTILE, exemplars=(HOSTILE,), remedy=HOSTILE, code=HOSTILE),
        ],
        title=HOSTILE,
    )  # fmt: skip
    page = Page(source)
    assert not page.all("img")
    assert not page.all("b")
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert {attributes.get("type") for attributes in page.all("script")} == {
        "module", "application/x-tracekit", "application/x-tracekit-part", "application/x-tracekit-plotly",
    }  # fmt: skip
    for attributes in page.all("a"):
        assert attributes["href"].startswith("#")


def test_the_same_parts_give_the_same_bytes():
    shop = shop_traces()

    def made():
        return render(["It was slow.", tk.waterfall(shop, worst()), tk.latency(shop), shop])

    assert made() == made()


def test_empty_things_are_reported_as_text():
    nobody = no_traces()
    source = render([pd.DataFrame({"a": []}), tk.service_graph(nobody), tk.latency(nobody), nobody])
    assert "The table is empty." in source
    assert "There is no trace in the data." in source


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (5, r"item 2 of the list: expected text, tk\.md\(\.\.\.\), a DataFrame, .* the Path of an image, found int$"),
        ({"Why": "Because."}, r"found dict: use tk\.section\(title, \*parts\) for parts under a heading"),
        (["a", "b"], "found list: pass the items of the list as separate parts"),
        (tk.section("Why", "a", object()), "part 2 of section 'Why': expected .*, found object"),
        (tk.section("Why", shop_traces()), "part 1 of section 'Why': .* found TraceSet: a section cannot contain"),
    ],
)
def test_what_cannot_be_shown_names_its_type_its_place_and_what_can(part, said):
    with pytest.raises(TypeError, match=said):
        render(["It was slow.", part])


def test_an_answer_without_a_view_names_its_frames():
    class Answer:
        def __init__(self):
            self.calls, self.name = pd.DataFrame(), "x"

    with pytest.raises(TypeError, match=r"found Answer: pass one of its frames: calls$"):
        render(Answer())


def test_a_figure_that_needs_the_network_is_refused():
    where = r"part 1 of section 'Map': expected a figure without network requests, found a "
    for trace in (go.Choropleth(locations=["FRA"], z=[1]), go.Scattermap(lon=[1], lat=[2])):
        with pytest.raises(ValueError, match=f"{where}{trace.type} trace: plotly loads its map"):
            render([tk.section("Map", go.Figure(trace))])
    image = go.Figure(layout={"images": [{"source": "https://example.org/x.png"}]})
    with pytest.raises(ValueError, match=r"found an image from https://example\.org/x\.png: embed it as a data"):
        render([image])
    assert "chart" in render([go.Figure(go.Heatmap(z=[[1]]))])  # "map" in its name is no map


def test_sections_that_contradict_each_other_are_refused():
    shop = shop_traces()
    with pytest.raises(ValueError, match="item 2 of the list: expected at most one TraceSet, found a second"):
        render([shop, shop])
    with pytest.raises(ValueError, match="expected at least one section, found an empty list"):
        render([])
    with pytest.raises(ValueError, match="expected a TraceSet among the sections for baseline= to refer to"):
        render(["It was slow."], baseline=shop)
    with pytest.raises(ValueError, match="item 2 of the list: expected a section after a TraceSet, found text"):
        render([shop, "And so on."])
    for made in (lambda: tk.section(5), lambda: tk.section("Why", code=None)):
        with pytest.raises(TypeError, match=r"expected text as the (title|code) of a section, found (int|NoneType)"):
            made()


def test_a_page_without_custom_parts_does_not_embed_plotly():
    chapters = chapters_of(outline(shop_traces()), None)
    assert chapters.views == []
    assert chapters.introduction == []


def test_a_series_is_a_table():
    series = shop_traces().summary["duration_ns"].nlargest(2)
    page = Page(render([tk.section("Longest", series)]))
    assert [text.strip() for tag, text in page.texts if tag == "th" and text.strip()] == ["trace id", "duration"]
    assert "339 ms" in " ".join(text for tag, text in page.texts if tag == "td")


def test_every_trace_that_a_finding_or_an_exception_names_is_in_the_page_within_the_budget(monkeypatch):
    frame = shop_frame(60)
    frame["status_code"] = ["ERROR" if at % 9 == 0 else "OK" for at in range(len(frame))]
    traces = TraceSet.from_spans(frame)
    standard = Standard.of(traces)
    source = render(standard)
    named = {name for found in standard.findings for name in found.exemplars if name in set(traces.trace_ids)}
    named |= set(tk.errors(traces).exceptions["exemplar_trace_id"].head(10))
    assert {name for name in named if f'id="trace-{name}"' not in source} == set()
    links = set(re.findall(r'href="#trace-([0-9a-f]{32})"', source))
    assert {name for name in links if f'id="trace-{name}"' not in source} == set()
    monkeypatch.setattr(sys.modules[Standard.__module__], "_NAMED_SPANS", 12)
    less = Standard.of(traces)
    assert 0 < sum(traces.summary.loc[less.named, "span_count"]) <= 12
    assert len(render(less)) < len(source)
