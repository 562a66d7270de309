"""What a notebook shows of an answer, asked of IPython itself."""

import base64
import re
import subprocess
import sys

import pytest
from all_views import HOSTILE
from framed import outside
from hand_drawn import pay_traces, spans
from IPython.core.interactiveshell import InteractiveShell

import tracekit as tk
from tracekit.findings import Shown
from tracekit.views.bundle import bundle, picture_of

ANSWERS = {
    "traces": lambda t: t,
    "latency": tk.latency,
    "errors": tk.errors,
    "self time": tk.self_time,
    "service graph": tk.service_graph,
    "timeline": tk.timeline,
    "flame": lambda t: tk.critical_path(t).flame(),
    "clock skew": tk.clock_skew,
    "coverage": tk.coverage,
    "latency bias": tk.latency_bias,
    "sample mix": tk.sample_mix,
    "collection": tk.collection_gaps,
    "start phases": tk.start_phases,
    "findings": lambda _: tk.Findings(
        [tk.Finding("c", "warning", HOSTILE[0], tk.Estimate(0.1, "ratio", 0.0, 0.2, n=9))]
    ),
}
LIVE = {
    "latency": "application/vnd.plotly.v1+json",
    "errors": "application/vnd.plotly.v1+json",
    "self time": "application/vnd.plotly.v1+json",
    "timeline": "application/vnd.plotly.v1+json",
    **dict.fromkeys(
        ("clock skew", "coverage", "latency bias", "sample mix", "collection", "start phases"),
        "application/vnd.plotly.v1+json",
    ),
}


def hostile_traces():
    rows = [
        (str(k + 1), "1" if k else None, name, name, "SERVER", 5, 90 + k, "ERROR") for k, name in enumerate(HOSTILE)
    ]
    return tk.TraceSet.from_spans(spans(rows))


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("traces", [pay_traces, hostile_traces, lambda: pay_traces().where("name == 'nobody'")])
def test_a_notebook_gets_a_view_a_picture_with_a_table_and_text(name, traces):
    answer = ANSWERS[name](traces())
    data, _ = InteractiveShell.instance().display_formatter.format(answer)
    assert data["text/plain"] == repr(answer)
    assert "0x" not in data["text/plain"].replace("0x", "", 0) or not re.search(r"at 0x[0-9a-f]", data["text/plain"])
    code = re.search(r'<img alt="[^"]*" src="data:image/svg\+xml;base64,([^"]+)"/>', data["text/html"])[1]
    assert base64.b64decode(code).decode() == data["image/svg+xml"]
    assert "<table" in data["text/html"]
    still = outside(data["text/html"]) if name not in ("traces", "findings") else data["text/html"]
    assert not re.search(r"<(a|b|script|iframe)\b|<img (?!alt)|\u202e", still)
    assert (LIVE[name] in data) if name in LIVE else not any("vnd" in kind for kind in data)


@pytest.mark.parametrize("name", ["latency bias", "coverage", "clock skew"])
def test_a_converted_notebook_shows_the_picture_of_an_answer(name):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    nbformat = pytest.importorskip("nbformat")
    data, _ = InteractiveShell.instance().display_formatter.format(ANSWERS[name](pay_traces()))
    shown = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("answer", outputs=[shown])
    body, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert f'src="data:image/svg+xml;base64,{base64.b64encode(data["image/svg+xml"].encode()).decode()}"' in body


def test_findings_without_numbers_are_a_table_without_an_empty_image():
    found = tk.Findings(
        [tk.Finding("coverage.D1a", "warning", "web: tracing is switched off.", remedy="Switch it on.")]
    )
    data, _ = InteractiveShell.instance().display_formatter.format(found)
    assert set(data) == {"text/html", "text/plain"}
    assert data["text/html"].startswith("<table>")
    assert "web: tracing is switched off." in data["text/html"]


def test_a_front_end_gets_only_the_requested_types():
    answer = tk.latency(pay_traces())
    assert set(answer._repr_mimebundle_(include=["text/html"])) == {"text/html"}
    assert "text/html" not in answer._repr_mimebundle_(exclude=["text/html"])


def test_text_alone_draws_nothing():
    code = """
import sys, tracekit as tk
answer = tk.latency(tk.load_sample("checkout-regression")[0])
print(answer._repr_mimebundle_(include=["text/plain"]), "plotly" in sys.modules, "anywidget" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        ran.stdout.strip() == "{'text/plain': 'Latency(50 groups, 17,546 spans; sampling weights unknown)'} False False"
    ), ran.stderr


def test_an_answer_without_a_view_shows_its_table():
    class Answer(Shown):
        def __repr__(self):
            return "Answer(42)"

        def _repr_html_(self):
            return "<p>42</p>"

    assert Answer()._repr_mimebundle_() == {"text/plain": "Answer(42)", "text/html": "<p>42</p>"}

    class Silent(Shown):
        def __repr__(self):
            return "Silent()"

    assert bundle(Silent()) == {"text/plain": "Silent()"}


def test_every_view_has_a_picture():
    traces = pay_traces()
    for view in (tk.plot(tk.latency(traces)), tk.plot(tk.service_graph(traces)), tk.latency(traces), traces):
        assert picture_of(view).startswith("<svg ")
    assert picture_of(tk.waterfall(traces, traces.trace_ids[0])).startswith("<svg ")
    with pytest.raises(TypeError, match="expected a view or a result with a view, found str"):
        picture_of("latency")


def test_findings_in_one_unit_share_an_axis():
    found = tk.Findings(
        [
            tk.Finding("a", "critical", "half is lost", tk.Estimate(0.5, "ratio", 0.4, 0.6, n=10)),
            tk.Finding("b", "warning", "slow", tk.Estimate(2e9, "ns", 1e9, 3e9, n=10)),
            tk.Finding("c", "warning", "some fail", tk.Estimate(0.1, "ratio", 0.0, 0.2, n=10)),
            tk.Finding("d", "info", "all is read"),
        ]
    )
    figure = tk.plot(found)
    assert [points.name for points in figure.data] == ["critical", "warning"]
    assert [points.x for points in figure.data] == [(0.5,), (0.1,)]
    assert figure.layout.title.text == "Findings (2 others without an estimate or in another unit)"
    times = tk.plot(found, unit="ns")
    assert times.data[0].x == (2.0,)
    assert times.data[0].error_x.array == (1.0,)
    words = tk.plot(tk.Findings([tk.Finding("d", "info", "all is read")]))
    assert words.layout.annotations[0].text == "1 finding without an estimate."
    assert tk.plot(tk.Findings()).layout.annotations[0].text == "No findings."
