import base64
import json
import re

import nbformat
import pandas as pd
import pytest
import traitlets
from hand_drawn import PAY_ID, pay_traces

from tracekit import TraceSet
from tracekit.analysis.service_graph.build import service_graph
from tracekit.findings import Finding
from tracekit.views import plot, waterfall
from tracekit.views.flame.widget import FlameWidget
from tracekit.views.heat import HeatWidget
from tracekit.views.service_graph.widget import MapWidget
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall.drawing import EMBEDDED_SPANS
from tracekit.views.waterfall.widget import WaterfallWidget
from tracekit.views.widgets import MODULE


@pytest.fixture
def pay():
    return pay_traces()


def test_every_widget_runs_the_one_module_that_needs_no_other():
    text = MODULE.read_text(encoding="utf-8")
    assert all(str(widget._esm) == text for widget in (WaterfallWidget, MapWidget, HeatWidget, FlameWidget))
    assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(|\bfrom '", text, re.MULTILINE)
    assert not re.search(r"\binnerHTML\b|\binsertAdjacentHTML\b|\beval\b|\bfetch\(|setAttribute\('style'", text)


def test_the_widget_holds_the_trace(pay):
    widget = waterfall(pay, PAY_ID)
    payload = decode(widget.data)
    assert payload.meta["id"] == PAY_ID
    assert len(payload.columns["start"]) == 5
    assert "attrN" in payload.columns
    assert widget.height == 480


def test_selected_names_a_span_of_the_frame(pay):
    widget = waterfall(pay, PAY_ID)
    assert widget.span is None
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    widget.row = 2  # the page speaks
    assert seen == [widget.selected] == ["0000000000000003"]
    assert widget.span["name"] == "charge"
    widget.selected = "0000000000000002"
    assert (widget.row, widget.span["name"]) == (1, "lock")
    with pytest.raises(traitlets.TraitError, match=f"expected the id of a span of trace {PAY_ID}.*found 'beef'"):
        widget.selected = "beef"
    with pytest.raises(traitlets.TraitError, match="found 'no hex'"):
        widget.selected = "no hex"
    with pytest.raises(traitlets.TraitError, match="expected the position of one of 5 spans, or -1; found 5"):
        widget.row = 5
    widget.selected = ""
    assert (widget.row, widget.span) == (-1, None)


def test_of_spans_with_one_id_the_selected_one_stays_so():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": "1", "kind": ["CLIENT", "SERVER"], "name": ["call", "serve"]})
    widget = waterfall(TraceSet.from_spans(frame.assign(start_ns=[0, 1], end_ns=[9, 8])), "0000")
    widget.row = 1
    assert (widget.selected, widget.row) == ("0000000000000001", 1)


def test_value_is_the_time_range_in_view(pay):
    widget = waterfall(pay, PAY_ID)
    assert widget.value is None
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "value")
    widget.brush = [49.6, 250.0]  # the page speaks
    assert seen == [widget.value] == [(150, 350)]
    assert widget.brush == [49.6, 250.0]
    widget.value = (300, 900)
    assert widget.brush == [200.0, 800.0]
    widget.value = None
    assert widget.brush == []


def test_a_row_of_a_result_or_a_finding_names_a_trace(pay):
    row = pay.spans.iloc[2]
    widget = waterfall(pay, row)
    assert widget.span["span_id"] == row["span_id"]
    finding = Finding("tail", "notice", "slow", exemplars=(PAY_ID,))
    for name in (pay.summary.iloc[0], {"largest_trace_id": PAY_ID}, finding):
        assert waterfall(pay, name).selected == ""
    with pytest.raises(TypeError, match=r"expected a trace id, or a row of a result.*found int"):
        waterfall(pay, 5)
    with pytest.raises(TypeError, match="found Series"):
        waterfall(pay, pd.Series({"service_name": "cart"}))


def test_the_bundle_has_a_view_a_picture_and_text_without_an_address(pay):
    data, _ = waterfall(pay, PAY_ID).live()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == f"Waterfall(trace {PAY_ID}, 5 spans, 1.00 µs)"
    code = re.search(r'<img alt="[^"]*" src="data:image/svg\+xml;base64,([^"]+)"/>', data["text/html"])[1]
    assert base64.b64decode(code).decode() == data["image/svg+xml"]
    assert ">charge</td>" in data["text/html"]
    assert "0x" not in data["text/plain"]


def test_a_converted_notebook_shows_the_picture(pay):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed")
    data, _ = waterfall(pay, PAY_ID)._repr_mimebundle_()
    data = {kind: value for kind, value in data.items() if isinstance(value, str | dict)}
    output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cell = nbformat.v4.new_code_cell("tk.waterfall(traces, trace_id)", outputs=[output], execution_count=1)
    body, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert f'<img alt="Waterfall(trace {PAY_ID}' in body
    assert ">charge</td>" in body


def test_an_empty_set_shows_a_message(pay):
    widget = waterfall(pay.where("service_name == 'nobody'"), PAY_ID)
    assert repr(widget) == "Waterfall(no trace)"
    assert decode(widget.data).meta["note"] == "No traces in the data."
    assert widget.span is None
    data, _ = widget._repr_mimebundle_()
    assert "No traces in the data." in data["image/svg+xml"]


def test_bad_arguments_are_refused(pay):
    with pytest.raises(ValueError, match="expected a height in pixels above 0, found 0"):
        waterfall(pay, PAY_ID, height=0)
    with pytest.raises(ValueError, match="nearest: "):
        waterfall(pay, "ffff")


def test_above_20_000_spans_details_are_sent_on_demand(monkeypatch):
    n = EMBEDDED_SPANS + 1
    frame = pd.DataFrame({"trace_id": "a1", "span_id": [f"{k + 1:x}" for k in range(n)], "name": "x", "start_ns": 5})
    widget = waterfall(
        TraceSet.from_spans(frame.assign(end_ns=9, **{"attributes.k": [f"v{k}" for k in range(n)]})), "0000"
    )
    assert "attrN" not in decode(widget.data).columns
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers: sent.append((content, buffers)))
    widget._answer(widget, {"kind": "details", "row": 7, "number": 1}, [])
    widget._answer(widget, {"kind": "search", "words": "V1999", "number": 2}, [])
    for nonsense in ({"kind": "details", "row": n}, {"kind": "search"}, {"kind": "other", "row": 1}, "nonsense"):
        widget._answer(widget, nonsense, [])
    assert [content for content, _ in sent] == [{"number": 1}, {"number": 2}]
    detail, found = (decode(buffers[0]) for _, buffers in sent)
    assert detail.strings[detail.columns["attrV"][0]] == "v7"
    assert found.columns["hit"].tolist() == [1999, *range(19990, 20000)]


def test_a_map_for_a_notebook(pay):
    widget = plot(service_graph(pay))
    assert {node["name"] for node in json.loads(widget.graph)["nodes"]} >= {"shop", "ledger", "cart"}
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"].startswith("ServiceMap(")
    assert data["image/svg+xml"].startswith("<svg ")
