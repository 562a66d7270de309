"""Where a waterfall opens: the longest stretch of the critical path is visible, and the whole trace is on the axis."""

import chromium
import pytest
from hand_drawn import spans
from saved_page import opened
from waterfall_page import mount, press

import tracekit as tk
from tracekit import TraceSet
from tracekit.views.waterfall.drawing import draw

pytestmark = pytest.mark.browser
WORDS = "opened on the critical path"


def many(longest, *, count=80, name="step {}".format):
    """A root with calls one after the other; call ``longest`` takes most time."""
    took = [9 if k == longest else 1 for k in range(count)]
    rows = [("1", None, "shop", "POST /pay", "SERVER", 0, sum(took), "UNSET")]
    rows += [
        (f"{k + 2:x}", "1", "ledger", name(k), "CLIENT", sum(took[:k]), sum(took[: k + 1]), "UNSET")
        for k in range(count)
    ]
    return TraceSet.from_spans(spans(rows, "a1"))


def is_visible(page, row):
    """Whether a row is inside the scrolling area."""
    return page.evaluate(
        """row => {
          const box = document.querySelector(`.tkw-row[data-row="${row}"]`)?.getBoundingClientRect();
          const area = document.querySelector('.tkw-scroll').getBoundingClientRect();
          return !!box && box.top >= area.top && box.bottom <= area.bottom }""",
        row,
    )


def status(page):
    return page.locator(".tkw-bar [role=status]").inner_text()


def test_a_long_trace_opens_at_the_longest_stretch(visit):
    page = mount(visit, draw(many(60), "0000").payload)
    assert is_visible(page, 61)
    assert not is_visible(page, 0)
    assert page.evaluate("() => W.isWhole && W.selected === -1")
    assert status(page) == WORDS
    page.locator(".tkw-scroll").focus()
    press(page, "Home")
    assert is_visible(page, 0)
    assert status(page) == ""


@pytest.mark.parametrize(("longest", "count"), [(3, 80), (8, 10)])
def test_a_stretch_that_is_visible_from_the_top_moves_nothing(visit, longest, count):
    page = mount(visit, draw(many(longest, count=count), "0000").payload)
    assert page.evaluate("() => W.scroll.scrollTop") == 0
    assert is_visible(page, longest + 1)
    assert status(page) == ""


def test_a_fold_that_hides_the_stretch_is_opened(visit):
    traces = many(45, count=50, name=lambda k: f"step {k}" if k < 30 else "SELECT")
    payload = draw(traces, "0000").payload
    page = mount(visit, payload)
    assert payload.meta["focus"] == 46
    assert is_visible(page, 46)
    assert page.evaluate("() => W.outline.expanded(W.T.n)")


def test_a_selected_span_and_a_chosen_range_come_first(visit):
    page = mount(visit, draw(many(60), "0000").payload)
    page.evaluate("() => { W.destroy(); W = new M.Waterfall(document.getElementById('host'), W.T); W.select(2) }")
    page.wait_for_selector(".tkw-row[aria-selected=true]")
    assert page.evaluate("() => W.scroll.scrollTop") == 0
    assert status(page) == ""


def test_a_waterfall_of_a_notebook_opens_there(visit, tmp_path):
    (frame,) = opened(visit, tmp_path / "saved.html", tk.waterfall(many(60), "0000").frame())
    chromium.wait_until(frame, f"() => document.querySelector('.tkw-bar [role=status]').textContent === '{WORDS}'")
    chromium.wait_until(frame, "() => document.querySelector('.tkw-row[data-row=\"61\"]')")
    assert is_visible(frame, 61)
    visit.page.screenshot(path=tmp_path / "notebook.png")


def test_a_waterfall_of_a_report_opens_there(visit, tmp_path):
    page = visit.open(tk.report(many(60), tmp_path / "one.html"))
    page.locator("#view-waterfall-1.live").wait_for()
    chromium.wait_until(page, "() => document.querySelector('.tkw-row[data-row=\"61\"]')")
    assert is_visible(page, 61)
    visit.page.screenshot(path=tmp_path / "report.png")
