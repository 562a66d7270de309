import base64
import json
import re

import pandas as pd
import pytest
import traitlets
from hand_drawn import PAY_ID, pay_traces

from tracekit import TraceSet
from tracekit.analysis.service_graph import service_graph
from tracekit.views import plot, waterfall
from tracekit.views.tkw1 import decode
from tracekit.views.waterfall import EMBEDDED_SPANS


@pytest.fixture
def pay():
    return pay_traces()


def test_the_widget_holds_the_trace(pay):
    widget = waterfall(pay, PAY_ID)
    payload = decode(widget.data)
    assert payload.meta["id"] == PAY_ID
    assert len(payload.columns["start"]) == 5
    assert "attrOff" in payload.columns
    assert widget.height == 480


def test_selected_is_a_span_of_the_frame(pay):
    widget = waterfall(pay, PAY_ID)
    assert widget.span is None
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    widget.selected = 2
    assert seen == [2]
    assert widget.span["name"] == "charge"
    assert widget.span["span_id"] == "0000000000000003"
    with pytest.raises(traitlets.TraitError, match="expected the position of one of 5 spans, or -1; found 5"):
        widget.selected = 5
    widget.selected = -1
    assert widget.span is None


def test_the_bundle_has_a_view_a_picture_and_text_without_an_address(pay):
    data, _ = waterfall(pay, PAY_ID)._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == f"Waterfall(trace {PAY_ID}, 5 spans, 1.00 µs)"
    code = re.search(r'<img alt="[^"]*" src="data:image/svg\+xml;base64,([^"]+)"/>', data["text/html"])[1]
    assert base64.b64decode(code).decode() == data["image/svg+xml"]
    assert "<td>charge</td>" in data["text/html"]
    assert "0x" not in data["text/plain"]


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
    assert "attrOff" not in decode(widget.data).columns
    sent = []
    monkeypatch.setattr(widget, "send", lambda content, buffers: sent.append((content, buffers)))
    widget._answer(widget, {"kind": "details", "row": 7}, [])
    widget._answer(widget, {"kind": "details", "row": n}, [])
    widget._answer(widget, {"kind": "other", "row": 1}, [])
    widget._answer(widget, "nonsense", [])
    assert [content for content, _ in sent] == [{"kind": "details", "row": 7}]
    detail = decode(sent[0][1][0])
    assert detail.strings[detail.columns["attrV"][0]] == "v7"


def test_a_map_for_a_notebook(pay):
    widget = plot(service_graph(pay))
    assert {node["name"] for node in json.loads(widget.graph)["nodes"]} >= {"shop", "ledger", "cart"}
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"].startswith("ServiceMap(")
    assert data["image/svg+xml"].startswith("<svg ")
