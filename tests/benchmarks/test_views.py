"""How soon large traces are seen, and how smoothly they move: in a real JupyterLab and in the report.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_views.py``.
"""

import json
import time
from pathlib import Path

import chromium
import numpy as np
import pytest
from lab_server import Notebook, lab, write_notebook
from large_traces import chain, large_trace

from tracekit.report import report
from tracekit.views.waterfall.payload import encoded, trace_payload

HERE = Path(__file__).parent
CELLS = [
    f"""import sys, time
sys.path.insert(0, {str(HERE)!r})
import tracekit as tk
from large_traces import large_trace

small, large = large_trace(10_000), large_trace(100_000)
tk.waterfall(large_trace(100), "0000").live()  # what is imported once is no part of the figures""",
    "begun = time.time()\npicture = tk.waterfall(small, '0000')\nopen('small', 'w').write(str(begun))\npicture.live()",
    "begun = time.time()\npicture = tk.waterfall(large, '0000')\nopen('large', 'w').write(str(begun))\npicture.live()",
    "begun = time.time()\npicture = tk.waterfall(small, '0000')\nopen('framed small', 'w').write(str(begun))\npicture",
    "begun = time.time()\npicture = tk.waterfall(large, '0000')\nopen('framed large', 'w').write(str(begun))\npicture",
]
PAINTED = """() => {  // when the rows of each waterfall were first on the screen, in ms since the epoch
  window.painted = [];
  const seen = new WeakSet(document.querySelectorAll('.tkw-pad'));
  new MutationObserver(() => {
    for (const pad of document.querySelectorAll('.tkw-pad')) {
      if (seen.has(pad) || !pad.querySelector('.tkw-row[data-row]')) continue;
      seen.add(pad);
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => painted.push(Date.now());
        port2.postMessage(0) });
    }
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['data-row'] }) }"""
PICTURED = """() => {  // when the static image of each framed view was first on the screen, in ms since the epoch
  window.pictured = [];
  const seen = new WeakSet(document.querySelectorAll('.tk-framed>img'));
  new MutationObserver(() => {
    for (const image of document.querySelectorAll('.tk-framed>img')) {
      if (seen.has(image)) continue;
      seen.add(image);
      image.decode().then(() => requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => pictured.push(Date.now());
        port2.postMessage(0) }));
    }
  }).observe(document, { subtree: true, childList: true }) }"""
FRAMES = """act => new Promise(done => {
  const grid = [...document.querySelectorAll('.tkw-scroll')].at(-1), step = {
    scroll: () => { grid.scrollTop += 7 * 22 },
    zoom: k => grid.dispatchEvent(new WheelEvent('wheel', {
      deltaY: k % 2 ? 30 : -30, ctrlKey: true, clientX: 900, bubbles: true, cancelable: true })),
  }[act], times = [];
  let last = performance.now(), k = 0;
  const frame = now => {
    times.push(now - last);
    last = now;
    if (++k > 92) done(times.slice(2));
    else { step(k); requestAnimationFrame(frame) }
  };
  requestAnimationFrame(frame) })"""


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as launched:
        yield launched


@pytest.fixture(scope="module")
def large():
    return large_trace(100_000)


def test_a_trace_in_jupyterlab(browser, tmp_path_factory, figure):
    root = tmp_path_factory.mktemp("notebooks")
    write_notebook(root / "large.ipynb", *CELLS)
    with lab(root, tmp_path_factory.mktemp("private")) as server:
        notebook = Notebook(browser, *server)
        received = []
        notebook.page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(len(frame)))
        )
        notebook.open("large.ipynb")
        notebook.run(0)
        chromium.wait_until(notebook.page, "() => document.querySelector('.tkw-row[data-row]')", seconds=90)
        notebook.page.evaluate(PAINTED)
        for cell, name, asked in ((1, "small", 200), (2, "large", 1000)):
            begun_bytes = sum(received)
            notebook.run(cell)
            chromium.wait_until(notebook.page, f"() => painted.length >= {cell}", seconds=60)
            took = notebook.page.evaluate(f"() => painted[{cell - 1}]") - 1000 * float((root / name).read_text())
            spans = {"small": "10,000", "large": "100,000"}[name]
            figure(f"{spans} spans, cell to paint", f"<= {asked} ms", f"{took:.0f} ms")
            figure(
                f"{spans} spans, on the wire",
                "<= 3.6 MB" * (name == "large"),
                f"{(sum(received) - begun_bytes) / 1e6:.2f} MB",
            )
        begun = time.perf_counter()
        notebook.page.locator(".tkw").last.locator(".tkw-row").nth(5).click()
        chromium.wait_until(notebook.page, "() => document.body.textContent.includes('thread.id')")
        figure("100,000 spans, click to attributes", "", f"{1e3 * (time.perf_counter() - begun):.0f} ms")
        notebook.page.get_by_role("searchbox", name="Find spans").last.fill("value-7")
        begun = time.perf_counter()
        status = "[...document.querySelectorAll('.tkw-bar [role=status]')].at(-1).textContent"
        chromium.wait_until(notebook.page, f"() => /^[\\d,]{{6,}} found$/.test({status})")
        figure("100,000 spans, search of attributes", "", f"{1e3 * (time.perf_counter() - begun):.0f} ms")
        for act in ("scroll", "zoom"):
            frames = notebook.page.evaluate(FRAMES, act)
            figure(f"100,000 spans, {act}, p95 frame", "<= 20 ms", f"{np.quantile(frames, 0.95):.1f} ms")
        notebook.context.close()


def test_a_trace_in_a_frame(browser, tmp_path_factory, figure):
    """The default output: from the call to the image and to the rows, and what it adds to the notebook.

    The first paint is the static image, over which the frame is laid when it has drawn.  The browser starts a process
    for the first frame of a page, which is no part of the figures.
    """
    root = tmp_path_factory.mktemp("notebooks")
    first = "display(tk.waterfall(large_trace(100), '0000'))"
    write_notebook(root / "framed.ipynb", f"{CELLS[0]}\n{first}", *CELLS[3:])
    with lab(root, tmp_path_factory.mktemp("private")) as server:
        notebook = Notebook(browser, *server)
        notebook.open("framed.ipynb")
        for cell, name, asked in ((0, "", 0), (1, "framed small", 150), (2, "framed large", 500)):
            notebook.run(cell)
            notebook.page.locator("iframe").nth(cell).wait_for(state="attached", timeout=90_000)
            notebook.page.locator("iframe").nth(cell).scroll_into_view_if_needed()
            page = notebook.page.locator("iframe").nth(cell).element_handle().content_frame()
            chromium.wait_until(page, "() => performance.getEntriesByName('drawn').length", seconds=60)
            if not name:
                notebook.page.evaluate(PICTURED)
                continue
            begun = 1000 * float((root / name).read_text())
            spans = {"framed small": "10,000", "framed large": "100,000"}[name]
            chromium.wait_until(notebook.page, f"() => pictured.length >= {cell}", seconds=60)
            took = notebook.page.evaluate(f"() => pictured[{cell - 1}]") - begun
            figure(f"{spans} spans in a frame, cell to first paint", f"<= {asked} ms", f"{took:.0f} ms")
            drawn = "() => performance.timeOrigin + performance.getEntriesByName('drawn')[0].startTime"
            took = page.evaluate(drawn) - begun
            figure(f"{spans} spans in a frame, cell to rows", "", f"{took:.0f} ms")
        notebook.command("docmanager:save")
        outputs = [cell["outputs"] for cell in json.loads((root / "framed.ipynb").read_text())["cells"]]
        for output, spans in zip(outputs[1:], ("10,000", "100,000"), strict=True):
            figure(f"{spans} spans in a frame, saved", "", f"{len(json.dumps(output)) / 1e6:.2f} MB")
        notebook.context.close()


def test_without_attributes_a_trace_is_small_on_the_wire(large, figure):
    bytes_ = len(encoded(trace_payload(large, "0000", with_details=False)))
    figure("100,000 spans without attributes", "<= 3.6 MB", f"{bytes_ / 1e6:.2f} MB")
    assert bytes_ < 3.6e6


@pytest.mark.parametrize(("count", "asked"), [(10_000, 300), (100_000, 400)])
def test_a_report(browser, large, tmp_path, figure, count, asked):
    traces = large if count == 100_000 else large_trace(count)
    begun = time.perf_counter()
    path = report(traces, tmp_path / "large.html")
    figure(f"report of {count:,} spans, written", "", f"{time.perf_counter() - begun:.1f} s")
    size = path.stat().st_size / 1e6
    figure(f"report of {count:,} spans, size", "<= 3.2 MB" * (count == 100_000), f"{size:.2f} MB")
    paint, drawn = [], []
    for _ in range(5):
        with chromium.visit(browser) as visited:
            page = visited.open(path)
            chromium.wait_until(page, "() => performance.getEntriesByName('first-contentful-paint').length")
            paint.append(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            script = """async id => {
              const begun = performance.now(), draws = () => document.querySelector('.tkw-row[data-row]');
              location.hash = `trace=${id}`;
              while (!draws()) await new Promise(next => requestAnimationFrame(next));
              await new Promise(next => requestAnimationFrame(() => setTimeout(next)));
              return performance.now() - begun }"""
            drawn.append(page.evaluate(script, traces.trace_ids[0]))
    figure(f"report of {count:,} spans, first paint", f"<= {asked} ms", f"{np.median(paint):.0f} ms")
    figure(f"report of {count:,} spans, link to waterfall", "", f"{np.median(drawn):.0f} ms")


def test_a_chain_of_100_000_spans_opens_and_scrolls(browser, figure):
    payload = chromium.buffer(encoded(trace_payload(chain(100_000), "0000", with_details=False)))
    with chromium.visit(browser) as visited:
        chromium.load_module(visited.page)
        script = f"""text => {{
          window.W = new M.Waterfall(document.getElementById('host'), M.decode(({chromium.BYTES})(text)), {{}}) }}"""
        visited.page.evaluate(script, payload)
        visited.page.wait_for_selector(".tkw-row")
        frames = visited.page.evaluate(FRAMES, "scroll")
        figure("chain of 100,000, scroll, p95 frame", "<= 20 ms", f"{np.quantile(frames, 0.95):.1f} ms")
        begun = time.perf_counter()
        visited.page.evaluate("() => W.select(99_999)")
        visited.page.wait_for_selector('.tkw-row[data-row="99999"]')
        figure("chain of 100,000, to its last span", "", f"{1e3 * (time.perf_counter() - begun):.0f} ms")
        assert json.loads(visited.page.locator('.tkw-row[data-row="99999"]').get_attribute("aria-level")) == 100_000
        assert visited.messages == []
