"""The module as anywidget uses it: ``render({model, el})`` with the traits of the real widgets."""

import json

import chromium
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.analysis.service_graph import service_graph
from tracekit.views import plot, waterfall
from tracekit.views.tkw1 import encode
from tracekit.views.waterfall import span_details, trace_payload, trace_rows

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


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as launched:
        yield launched


@pytest.fixture
def page(browser):
    with chromium.visit(browser) as visited:
        chromium.load_module(visited.page)
        yield visited.page
        assert visited.messages == []


@pytest.fixture
def traces():
    frame = pd.DataFrame({"trace_id": "a1", "span_id": list("123"), "parent_span_id": [None, "1", "1"]})
    frame = frame.assign(name=["GET /", "read", "write"], service_name=["web", "cart", "cart"], start_ns=[0, 10, 50])
    kinds = {"kind": ["SERVER", "CLIENT", "CLIENT"], "attributes.peer.service": [None, "store", "store"]}
    return TraceSet.from_spans(frame.assign(end_ns=[100, 40, 90], **{"attributes.k": ["x", "y", "z"]}, **kinds))


def render(page, widget, name, value):
    traits = {"height": widget.height, "selected": widget.selected, name: value}
    decode = f"traits.data = new DataView(({chromium.BYTES})(traits.data).buffer);" if name == "data" else ""
    page.evaluate(f"traits => {{ {decode} ({MODEL})(traits) }}", traits)


def test_the_waterfall_of_a_notebook(page, traces):
    widget = waterfall(traces, "0000")
    render(page, widget, "data", chromium.buffer(widget.data))
    page.wait_for_selector('.tkw-row[data-row="2"]')
    page.locator('.tkw-row[data-row="2"]').click()
    assert page.evaluate("() => [model.get('selected'), model.saved]") == [2, 1]
    page.evaluate("() => model.set('selected', 1)")  # Python speaks
    assert "read" in page.locator(".tkw-det").inner_text()
    assert page.evaluate("() => model.saved") == 1
    page.evaluate("() => stop()")
    assert page.locator(".tkw").count() == 0
    assert page.evaluate("() => model.listening()") == 0


def test_details_come_when_asked_for(page, traces):
    widget = waterfall(traces, "0000")
    light = encode(trace_payload(traces, "0000", with_details=False))
    render(page, widget, "data", chromium.buffer(light))
    page.wait_for_selector('.tkw-row[data-row="2"]')
    page.locator('.tkw-row[data-row="2"]').click()
    assert page.evaluate("() => model.sent") == [{"kind": "details", "row": 2}]
    answer = chromium.buffer(encode(span_details(traces, trace_rows(traces, "0000"), 2)))
    view = f"new DataView(({chromium.BYTES})(text).buffer)"
    page.evaluate(f"text => model.fire('msg:custom', {{ kind: 'details', row: 2 }}, [{view}])", answer)
    shown = page.locator(".tkw-det").inner_text()
    assert "z" in shown.split()
    assert "0000000000000003" in shown


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
