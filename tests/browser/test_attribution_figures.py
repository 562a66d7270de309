"""Pictures of critical paths as a browser draws them: bars that begin where others end, names that stay names."""

from pathlib import Path

import chromium
import pandas as pd
import plotly
import pytest

import tracekit as tk

pytestmark = pytest.mark.browser
SCRIPT = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
DRAW = """async text => {
  const { data, layout } = JSON.parse(text);
  Plotly.purge('host');
  await Plotly.newPlot('host', data, { ...layout, width: 900 }, { displaylogo: false });
  return [...document.querySelectorAll('#host .bars .point path')].map(bar => {
    const { left, right, top, bottom } = bar.getBoundingClientRect(); return { left, right, top, bottom } }) }"""
HOSTILE = "<a href='http://evil'>x</a>"


@pytest.fixture(scope="module")
def page():
    with chromium.launched() as browser, chromium.visit(browser) as visited:
        visited.page.set_content("<!doctype html><meta charset=utf-8><body><div id=host></div></body>")
        visited.page.add_script_tag(path=SCRIPT)
        yield visited.page
        assert visited.messages == []
        assert visited.requests == []


def path_of(*calls):
    """One request that calls services one after another, for so many ms, and takes 1 ms itself."""
    rows, now = [], 0
    for number, (service, length) in enumerate(calls, 2):
        rows.append((f"{number:x}", "1", service, now, now + length * 10**6))
        now = rows[-1][-1]
    rows.append(("1", None, "web", 0, now + 10**6))
    frame = pd.DataFrame(rows, columns=["span_id", "parent_span_id", "service_name", "start_ns", "end_ns"])
    return tk.critical_path(tk.TraceSet.from_spans(frame.assign(trace_id="a1", name="x")))


def test_every_step_begins_where_the_one_before_it_ended(page):
    before, after = path_of(("db", 40), ("mq", 30)), path_of(("db", 90), ("mq", 10), ("cache", 5))
    bars = page.evaluate(DRAW, tk.plot(before.compare(after, names=("before", "after"))).to_json())
    first, db, mq, cache, _, last = bars
    zero, unit = first["left"], (first["right"] - first["left"]) / 71
    assert db["left"] == pytest.approx(first["right"], abs=1)
    assert db["right"] == pytest.approx(zero + 121 * unit, abs=1)
    assert (mq["right"], mq["left"]) == pytest.approx((db["right"], zero + 101 * unit), abs=1)
    assert (cache["left"], cache["right"]) == pytest.approx((mq["left"], last["right"]), abs=1)
    assert last["right"] == pytest.approx(zero + 106 * unit, abs=1)
    assert [bar["top"] for bar in bars] == sorted(bar["top"] for bar in bars), "the first is at the top"


def test_bars_of_a_band_are_stacked(page):
    bars = page.evaluate(DRAW, tk.plot(path_of(("db", 40), ("mq", 30)).bands("service_name", [(0, 1)])).to_json())
    db, mq, web = sorted(bars, key=lambda bar: bar["top"] - bar["bottom"])
    assert (mq["bottom"], web["bottom"]) == pytest.approx((db["top"], mq["top"]), abs=1)
    assert (db["bottom"] - db["top"]) / (mq["bottom"] - mq["top"]) == pytest.approx(4 / 3, rel=0.03)


def test_names_stay_names(page):
    path = path_of((HOSTILE, 40), ("<b>bold</b>", 30))
    other = path_of((HOSTILE, 90), ("%{y} &lt;", 10))
    change = path.compare(other, by="service_name", names=(HOSTILE, "b"))
    curve = path.what_if_curve("service_name == 'web'", factors=[0, 1])
    figures = [tk.plot(path), tk.plot(path.bands()), tk.plot(curve), tk.plot(path.what_if({"name == 'x'": 0.5}))]
    figures += [tk.plot(change, kind=kind) for kind in ("steps", "parts", "limits")]
    for figure in figures:
        page.evaluate(DRAW, figure.to_json())
        assert page.locator("#host a[href], #host img, #host script").count() == 0
        said = page.evaluate("() => [...document.querySelectorAll('#host text')].map(t => t.textContent).join('\\n')")
        assert figure.layout.title.text.partition("&")[0] in said
    assert HOSTILE in said
    assert "%{y} &lt;" in said
