"""The figures as plotly itself draws them: every kind without a complaint, hostile names as text."""

from pathlib import Path

import chromium
import plotly
import pytest
from all_views import HOSTILE, charts
from hand_drawn import pay_traces, spans

import tracekit as tk

pytestmark = pytest.mark.browser
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


@pytest.mark.parametrize("name", charts(pay_traces()))
def test_plotly_draws_every_chart(page, name):
    figure = charts(pay_traces())[name]
    page.evaluate(DRAW, figure.to_json())
    said = texts(page)
    assert figure.layout.title.text in said
    for note in figure.layout.annotations:
        assert note.text in said


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
