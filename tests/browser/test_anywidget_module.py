"""The module as anywidget uses it: ``render({model, el})`` with the traits of the real widgets."""

import json

import chromium
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.analysis.service_graph.build import service_graph
from tracekit.views import plot, waterfall
from tracekit.views.tkw1 import Payload
from tracekit.views.waterfall.payload import encoded, span_details, trace_payload

pytestmark = pytest.mark.browser

# what anywidget's model does, as far as the module uses it; `el` is not in the document while `render` runs
MODEL = """traits => {
  const listeners = {}, sent = [];
  const model = {
    sent, saved: 0, get: name => traits[name],
    set: (name, value) => { if (traits[name] !== value) { traits[name] = value; model.fire('change:' + name) } },
    save_changes: () => { model.saved++ },
    send: content => { sent.push(content) },
    on: (name, act) => { (listeners[name] ??= new Set()).add(act) },
    off: (name, act) => { listeners[name]?.delete(act) },
    fire: (name, ...more) => { for (const act of listeners[name] ?? []) act(...more) },
    listening: () => Object.values(listeners).reduce((sum, acts) => sum + acts.size, 0),
  };
  window.model = model;
  const el = document.createElement('div');
  window.stop = M.default.render({ model, el });
  document.getElementById('host').append(el) }"""


@pytest.fixture
def page(visit):
    chromium.load_module(visit.page)
    return visit.page


@pytest.fixture
def traces():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": list("123"), "parent_span_id": [None, "1", "1"]})
    frame = frame.assign(name=["GET /", "read", "write"], service_name=["web", "cart", "cart"], start_ns=[0, 10, 50])
    kinds = {"kind": ["SERVER", "CLIENT", "CLIENT"], "attributes.peer.service": [None, "store", "store"]}
    return TraceSet.from_spans(frame.assign(end_ns=[100, 40, 90], **{"attributes.k": ["x", "y", "z"]}, **kinds))


def render(page, widget, name, value):
    traits = {"height": widget.height, "selected": widget.selected, "row": -1, "brush": [], name: value}
    decode = f"traits.data = new DataView(({chromium.BYTES})(traits.data).buffer);" if name == "data" else ""
    page.evaluate(f"traits => {{ {decode} ({MODEL})(traits) }}", traits)


def test_the_waterfall_of_a_notebook(page, traces):
    widget = waterfall(traces, "0000")
    render(page, widget, "data", chromium.buffer(widget.data))
    page.wait_for_selector('.tkw-row[data-row="2"]')
    page.locator('.tkw-row[data-row="2"]').click()
    assert page.evaluate("() => [model.get('row'), model.saved]") == [2, 1]
    page.evaluate("() => model.set('row', 1)")  # Python speaks
    assert "read" in page.locator(".tkw-det").inner_text()
    assert page.evaluate("() => model.saved") == 1
    page.locator(".tkw-scroll").focus()
    page.keyboard.press("w")
    chromium.wait_until(page, "() => model.get('brush').length === 2")
    assert page.evaluate("() => model.get('brush')") == [10, 90]
    page.evaluate("() => model.set('brush', [20, 60])")
    chromium.wait_until(page, "() => document.querySelector('.tkw-head').textContent.includes('40 ns')")
    page.keyboard.press("0")
    chromium.wait_until(page, "() => model.get('brush').length === 0")
    page.evaluate("() => stop()")
    assert page.locator(".tkw").count() == 0
    assert page.evaluate("() => model.listening()") == 0


def test_details_and_hits_are_sent_on_request(page, traces):
    widget = waterfall(traces, "0000")
    light = encoded(trace_payload(traces, "0000", with_details=False))
    render(page, widget, "data", chromium.buffer(light))
    page.wait_for_selector('.tkw-row[data-row="2"]')
    page.locator('.tkw-row[data-row="2"]').click()
    assert page.evaluate("() => model.sent") == [{"kind": "details", "row": 2, "number": 1}]
    send = (
        f"([number, text]) => model.fire('msg:custom', {{ number }}, [new DataView(({chromium.BYTES})(text).buffer)])"
    )
    page.evaluate(send, [1, chromium.buffer(encoded(span_details(traces, 2, 0)))])
    shown = page.locator(".tkw-det").inner_text()
    assert "z" in shown.split()
    assert "0000000000000003" in shown
    page.get_by_role("searchbox").fill("y")
    assert page.locator(".tkw-bar [role=status]").inner_text() == "0 found in names"
    chromium.wait_until(page, "() => model.sent.length === 2")
    assert page.evaluate("() => model.sent[1]") == {"kind": "search", "words": "y", "number": 2}
    page.evaluate(send, [2, chromium.buffer(encoded(Payload({"hit": widget._drawing.search("y")}, [])))])
    assert page.locator(".tkw-bar [role=status]").inner_text() == "1 found"
    page.evaluate(send, [2, chromium.buffer(light)])  # an answer that nobody waits for any more


def test_the_map_of_a_notebook(page, traces):
    widget = plot(service_graph(traces))
    render(page, widget, "graph", widget.graph)
    page.wait_for_selector(".node")
    names = [node["name"] for node in json.loads(widget.graph)["nodes"]]
    page.locator(".node").nth(names.index("cart")).click()
    assert page.evaluate("() => model.get('selected')") == "cart"
    page.evaluate("() => model.set('selected', 'web')")
    assert page.locator(".node.on").text_content().startswith("web ")
    page.evaluate("() => model.set('selected', '')")
    assert page.locator(".node.on").count() == 0
