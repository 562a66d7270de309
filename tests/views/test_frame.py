"""Frames: what a saved notebook contains, that it is inert, small, and the same every time."""

import base64
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from all_views import HOSTILE, charts, payload_of, widgets
from framed import contents_of, frame_of, outside, page_of, unpacked
from hand_drawn import PAY_ID, pay_traces, spans
from IPython.core.interactiveshell import InteractiveShell

import tracekit as tk
from tracekit import TraceSet
from tracekit.views import plot, waterfall
from tracekit.views.charts import chart
from tracekit.views.frame import STATIC
from tracekit.views.svg_chart.spots import MOST, spots_of
from tracekit.views.tkw1 import decode

LIVE = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def during():
    return tk.load_sample("checkout-regression")[1]


def hostile():
    rows = [
        (str(k + 1), "1" if k else None, name, name, "SERVER", 5, 90 + k, "ERROR") for k, name in enumerate(HOSTILE)
    ]
    return TraceSet.from_spans(spans(rows))


def all_views(traces):
    return {"waterfall": waterfall(traces, traces.trace_ids[0]), **widgets(traces), **charts(traces)}


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@pytest.mark.parametrize("traces", [pay_traces, hostile])
def test_every_view_is_a_sandboxed_frame_that_runs_two_known_scripts(traces):
    for name, view in all_views(traces()).items():
        html = view.frame()
        assert frame_of(html)["sandbox"] == "allow-scripts allow-downloads", name
        page = page_of(html)
        assert page.tags == ["html", "meta", "meta", "title", "script", "script", "script"], name
        code = unpacked(page.scripts["tk-code"]).decode()
        assert page.policy == (
            f"default-src 'none'; script-src {digest(page.scripts['loader'])} {digest(code)}; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        ), name
        assert not re.search(r"<(a|b|script|svg|p)\b|<img (?!alt)|\u202e|\x00", outside(html)), name
        assert outside(html).startswith("<style>.tk-framed{"), name


def test_names_do_not_appear_in_the_page_of_a_frame():
    for name, view in all_views(hostile()).items():
        page = frame_of(view.frame())["srcdoc"]
        assert not any(word in page for word in ("evil", "onerror", "alert(1)")), name


def test_a_widget_draws_in_its_frame_what_it_draws_live(during):
    for name, widget in widgets(pay_traces()).items():
        state, data = contents_of(widget.frame())
        assert json.loads(data) == payload_of(widget), name
        assert state["height"] == widget.height, name
    worst = during.summary["duration_ns"].idxmax()
    widget = waterfall(during, worst)
    widget.row = 3
    state, data = contents_of(widget.frame())
    assert state == {"row": 3, "brush": [], "height": 480, "trait": "data", "frame": 508}
    live, framed = decode(widget.data), decode(data)
    assert set(framed.columns) == set(live.columns)
    assert all(np.array_equal(framed.columns[name], column) for name, column in live.columns.items())


def test_a_selection_made_in_python_is_in_the_frame(during):
    heat = plot(tk.timeline(during), kind="heat")
    heat.brush = [1, 3, 0, 2]
    assert contents_of(heat.frame())[0]["brush"] == [1, 3, 0, 2]
    flame = plot(tk.critical_path(during).flame(), search="ledger")
    assert contents_of(flame.frame())[0] == {
        "selected": -1, "search": "ledger", "height": 220, "trait": "payload", "frame": 248,
    }  # fmt: skip


def test_the_widget_connects_when_a_live_view_is_displayed_and_not_before():
    for name, view in {"waterfall": waterfall(pay_traces(), PAY_ID), **widgets(pay_traces())}.items():
        shown, _ = InteractiveShell.instance().display_formatter.format(view)
        assert set(shown) == {"image/svg+xml", "text/html", "text/plain"}, name
        assert view.comm is None, name
        assert view.live() is view
        live, _ = InteractiveShell.instance().display_formatter.format(view)
        assert live[LIVE]["model_id"] == view.comm.comm_id, name
        assert live["text/html"] == shown["text/html"], name


def test_frames_are_the_same_every_time(during):
    worst = during.summary["duration_ns"].idxmax()
    assert waterfall(during, worst).frame() == waterfall(during, worst).frame()
    assert plot(tk.latency(during)).frame() == plot(tk.latency(during)).frame()


def test_ten_views_of_a_sample_are_less_than_five_megabytes(during):
    slowest = during.summary["duration_ns"].nlargest(3).index
    views = [
        *(waterfall(during, trace_id, path=tk.critical_path(during)) for trace_id in slowest),
        *(plot(tk.service_graph(during)), plot(tk.timeline(during), kind="heat")),
        *(plot(tk.critical_path(during).flame()), tk.latency(during), tk.timeline(during), tk.errors(during)),
        plot(tk.latency(during), kind="ecdf"),
    ]
    size = sum(len(json.dumps(InteractiveShell.instance().display_formatter.format(view)[0])) for view in views)
    assert len(views) == 10
    assert size < 2_000_000


def test_a_large_trace_has_no_attributes_in_its_frame():
    n = 20_001
    frame = pd.DataFrame({"trace_id": "a1", "span_id": [f"{k + 1:x}" for k in range(n)], "name": "x", "start_ns": 5})
    traces = TraceSet.from_spans(frame.assign(end_ns=9, **{"attributes.k": [f"v{k}" for k in range(n)]}))
    html = waterfall(traces, "0000").frame()
    assert "attrN" not in decode(contents_of(html)[1]).columns
    assert len(html) < 250_000


def test_the_script_of_a_frame_runs_no_text():
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(|\bfrom '", text, re.MULTILINE), path.name
        assert not re.search(r"\b(inner|outer)HTML\b|\binsertAdjacentHTML\b|\beval\b|\bfetch\(", text), path.name


def test_values_of_a_chart_have_the_words_of_its_template():
    figure = chart("Waits", xaxis={"type": "category"}, yaxis={"tickformat": "~s", "ticksuffix": "s"})
    figure.add_bar(
        x=["a &amp; b", "c"], y=[0.0125, 2.0], name="n", hovertemplate="%{x}: %{y:.3~s}s<extra>%{fullData.name}</extra>"
    )
    figure.add_scatter(
        x=["c"], y=[1.0], text=["&lt;b&gt;"], customdata=["k"], hovertemplate="%{text}, %{customdata}<extra></extra>"
    )
    figure.add_scatter(x=["c"], y=[1.0], name="quiet", hoverinfo="skip")
    bars, points, quiet = spots_of(figure)
    assert [spot[-1] for spot in bars["spots"]] == ["n · a & b: 12.5 ms", "n · c: 2.00 s"]
    assert [spot[-1] for spot in points["spots"]] == ["<b>, k"]
    assert points["spots"][0][2:4] == [0.0, 0.0]
    assert quiet == {"name": "quiet", "spots": []}
    assert bars["spots"][0][3] < bars["spots"][1][3], "a longer bar is higher"


def test_numbers_of_a_chart_are_written_as_its_template_asks():
    figure = chart("Rates", yaxis={"tickformat": ".1~%"})
    figure.add_scatter(x=["2026-01-02 03:04:05"], y=[0.0479], hovertemplate="%{x}: %{y:.2%}<extra></extra>")
    figure.add_scatter(x=["2026-01-02T03:04:05"], y=[0.5])
    figure.add_heatmap(
        x=["2026-01-02 03:04:05"], y=[0.5], z=[[1200]], colorscale=[[0, "#dcebfa"]], hovertemplate="%{z:,} of %{y}"
    )
    words = [series["spots"][0][-1] for series in spots_of(figure)]
    assert words == ["2026-01-02 03:04:05: 4.79%", "2026-01-02 03:04:05: 50%", "1,200 of 50%"]


def test_a_series_with_many_values_is_thinned():
    figure = chart("Many").add_scatter(x=list(range(2 * MOST)), y=[1.0] * (2 * MOST))
    assert len(spots_of(figure)[0]["spots"]) == MOST
