"""The figures as plotly itself draws them: every kind without a complaint, hostile names as text."""

import json
import re
from pathlib import Path

import chromium
import numpy as np
import pandas as pd
import plotly
import pytest
from all_views import HOSTILE, charts
from hand_drawn import pay_traces, spans

import tracekit as tk
from tracekit.views.charts import SIGNED_SECONDS

pytestmark = pytest.mark.browser
PAY = charts(pay_traces())
SCRIPT = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
DRAW = """async text => {
  const { data, layout } = JSON.parse(text);
  Plotly.purge('host');
  await Plotly.newPlot('host', data, { ...layout, width: 860 }, { displaylogo: false }) }"""


@pytest.fixture(scope="module")
def page():
    with chromium.launched() as browser, chromium.visit(browser) as visited:
        visited.page.set_content("<!doctype html><body><div id=host></div></body>")
        visited.page.add_script_tag(path=SCRIPT)
        yield visited.page
        assert visited.messages == []
        assert visited.requests == []


def texts(page):
    return page.evaluate("() => [...document.querySelectorAll('#host text')].map(t => t.textContent).join('\\n')")


@pytest.mark.parametrize("name", PAY)
def test_plotly_draws_every_chart(page, name):
    figure = PAY[name]
    page.evaluate(DRAW, figure.to_json())
    said = texts(page)
    assert figure.layout.title.text in said
    for note in figure.layout.annotations:
        assert note.text in said


def test_durations_are_spelled_on_axes_as_everywhere_else(page):
    ticks = set()
    for figure in PAY.values():
        page.evaluate(DRAW, figure.to_json())
        ticks |= set(page.locator("#host .xtick, #host .ytick").all_text_contents())
    seconds = {words for words in ticks if re.fullmatch(r"\W?[\d.]+ ?(n|\u00b5|m|k)?s", words)}
    assert len(seconds) > 10
    assert {words for words in seconds if " " not in words} == set()


@pytest.mark.parametrize("low", [0, -0.7])
@pytest.mark.parametrize("high", [3e-7, 1.3e-5, 0.0023, 0.031, 0.44, 5.7])
def test_a_whole_axis_of_durations_of_any_length_is_spelled_so(page, low, high):
    axis = {**SIGNED_SECONDS, "range": [low * high, high]}
    figure = {"data": [{"x": [low * high, high], "y": [0, 1]}], "layout": {"xaxis": axis}}
    page.evaluate(DRAW, json.dumps(figure))
    ticks = page.locator("#host .xtick").all_text_contents()
    assert len(ticks) > 3
    assert all(words == "0" or re.fullmatch(r"\u2212?[\d.]+ (n|\u00b5|m)?s", words) for words in ticks), ticks


def test_hostile_names_are_shown_as_they_are(page):
    rows = [(str(k + 1), None, name, name, "SERVER", 5, 10**6 + k, "ERROR") for k, name in enumerate(HOSTILE)]
    traces = tk.TraceSet.from_spans(spans(rows).assign(trace_id=[f"{k + 1:x}" for k in range(len(rows))]))
    page.evaluate("() => { window.__bad = 0; window.alert = () => { window.__bad++ } }")
    for name, figure in charts(traces).items():
        page.evaluate(DRAW, figure.to_json())
        assert page.locator("#host a[href], #host img, #host script").count() == 0, name
        assert page.evaluate("() => window.__bad") == 0
        if name in ("errors", "self time"):
            said = texts(page)
            assert "<a href='http://evil'>x</a>" in said
            assert "<b>bold</b>" in said
            assert "&lt;already&gt; &amp; %{x} {y}" in said
            assert "gpj.\ufffdexe" in said


def boxes(page, selector):
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector)].map(drawn => {
          const { left, right, top, bottom } = drawn.getBoundingClientRect(); return { left, right, top, bottom } })""",
        selector,
    )


def test_the_background_of_a_gap_is_at_the_gap(page):
    minute = 60 * 10**9
    begun = [m * minute + k for m in range(120) if not 40 <= m < 60 for k in range(50)]
    frame = pd.DataFrame({"span_id": "1", "name": "x", "start_ns": begun, "end_ns": begun})
    traces = tk.TraceSet.from_spans(frame.assign(trace_id=[f"{n + 1:032x}" for n in range(len(begun))]))
    requests = pd.DataFrame({"time": pd.to_datetime([m * minute for m in range(120)], utc=True), "count": 1000})
    page.evaluate(DRAW, tk.plot(tk.collection_gaps(traces, requests=requests)).to_json())
    ground, whole = boxes(page, "#host .fills path")[:2]
    wide = whole["right"] - whole["left"]
    assert (ground["left"] - whole["left"]) / wide == pytest.approx(40 / 120, abs=0.01)
    assert (ground["right"] - whole["left"]) / wide == pytest.approx(60 / 120, abs=0.01)
    assert ground["top"] <= whole["top"] + 1
    assert "about 1,000 missing" in texts(page)


def test_the_band_of_a_curve_lies_around_it(page):
    took = np.arange(1, 1001) * 10**6
    frame = pd.DataFrame({"span_id": "1", "name": "x", "start_ns": 0, "end_ns": took})
    traces = tk.TraceSet.from_spans(frame.assign(trace_id=[f"{n + 1:032x}" for n in range(1000)]))
    page.evaluate(DRAW, tk.plot(tk.latency_bias(traces.with_weights(20))).to_json())
    inside = page.evaluate("""() => {
      const band = [...document.querySelectorAll('#host .fills path')].at(-1);
      const line = [...document.querySelectorAll('#host .lines path.js-line')].at(-1);
      const { x, y } = line.getPointAtLength(line.getTotalLength() / 2);
      return [-60, 0, 60].map(dx => band.isPointInFill(new DOMPoint(x + dx, y))) }""")
    assert inside == [False, True, False]
    assert "p95 latency: 950 ms in the sample, 950 ms of all requests" in texts(page)
