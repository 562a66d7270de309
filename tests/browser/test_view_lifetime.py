"""Views that are closed leave nothing behind: no listener, no observer, no element, no word to the notebook."""

import chromium
import pytest

pytestmark = pytest.mark.browser
TIMES = 50
MAKE = f"""async ([text, graph, heat, flame, times]) => {{
  const data = ({chromium.BYTES})(text), host = document.getElementById('host');
  const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (let k = 0; k < times; k++) {{
    const views = [new M.Waterfall(host, M.decode(data), {{ height: 200 }}),
      new M.ServiceMap(host, JSON.parse(graph), {{ height: 200 }}),
      new M.Heat(host, JSON.parse(heat), {{ height: 200 }}),
      new M.Flame(host, JSON.parse(flame), {{ height: 200 }})];
    await frame();
    views[0].select(1);
    for (const view of views) view.destroy();
  }}
  await frame() }}"""
LATER = f"""async text => {{
  const told = [], host = document.getElementById('host'), tell = what => told.push(what);
  const view = new M.Waterfall(host, M.decode(({chromium.BYTES})(text)), {{ height: 200, onLook: tell, ask: tell }});
  view.zoom(0.5);
  view.query.value = 'card';
  view.askFor('card');
  view.destroy();
  await new Promise(done => setTimeout(done, 500));
  return told.length }}"""


def held(session):
    """How many listeners and elements the page has after a collection of what nobody holds."""
    session.send("HeapProfiler.collectGarbage")
    found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {name: found[name] for name in ("JSEventListeners", "Nodes")}


def test_closed_views_leave_no_listener_and_no_element(visit, drawn):
    page = visit.page
    chromium.load_module(page)
    session = visit.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.evaluate(MAKE, [*drawn, 2])  # what is made once: the style sheet
    before = held(session)
    page.evaluate(MAKE, [*drawn, TIMES])
    after = held(session)
    assert after["JSEventListeners"] <= before["JSEventListeners"] + 5
    assert after["Nodes"] <= before["Nodes"] + 100, "one waterfall alone has more than 500"
    assert page.evaluate("() => document.getElementById('host').childElementCount") == 0


def test_a_closed_waterfall_sends_nothing(visit, drawn):
    chromium.load_module(visit.page)
    assert visit.page.evaluate(LATER, drawn[0]) == 0, "what was about to be told or asked is dropped"
