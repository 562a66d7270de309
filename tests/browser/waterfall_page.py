"""A waterfall alone on a page, as ``W``, with what it told: ``chosen`` rows, and what it ``asked`` the notebook for."""

import chromium

from tracekit.views.waterfall.payload import encoded

MOUNT = f"""([text, height]) => {{ window.chosen = []; window.asked = [];
  window.W = new M.Waterfall(document.getElementById('host'), M.decode(({chromium.BYTES})(text)),
    {{ height, onSelect: i => chosen.push(i), ask: (what, take) => asked.push([what, take]) }}) }}"""
LABELS = """() => [...document.querySelectorAll('.tkw-row')].filter(r => r.dataset.row)
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(r => r.querySelector('.tkw-nm').textContent)"""


def mount(visit, payload, height=480):
    """Draw a payload; the page."""
    chromium.load_module(visit.page)
    visit.page.evaluate(MOUNT, [chromium.buffer(encoded(payload)), height])
    visit.page.wait_for_selector(".tkw-row")
    settle(visit.page)
    return visit.page


def settle(page):
    """Wait until what was asked for is painted."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def labels(page):
    """The names of the rows in sight, from top to bottom."""
    return page.evaluate(LABELS)
