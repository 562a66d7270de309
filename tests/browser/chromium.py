"""A browser without a network, and what it asked for, said and ran."""

import base64
import contextlib
import os
import shutil
from pathlib import Path

import pytest

import tracekit.views

MODULE = Path(tracekit.views.__file__).parent / "static" / "tracekit.js"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def launched():
    """Yield a Chromium; skip the tests, with a reason, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH, and CHROMIUM is not set")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page in a context of its own, with the network cut, and everything it asked for and said."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.requests, self.refused, self.messages = [], {}, []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.refused.update({request.url: request.failure}))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(f"page error: {error}"))
        self.page.on("dialog", lambda dialog: (self.messages.append("a dialog"), dialog.dismiss()))
        self.page.route("**/*", lambda route: route.continue_() if route.request.url[:5] == "file:" else route.abort())

    def open(self, path):
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-tk-ready]", state="attached")
        return self.page

    def close(self):
        self.context.close()


@contextlib.contextmanager
def visit(browser, **options):
    visited = Visit(browser, **options)
    yield visited
    visited.close()


def load_module(page, body="<div id=host></div>"):
    """Make a bare page with the module as ``window.M``, as a notebook would import it."""
    page.set_content(f"<!doctype html><body>{body}</body>")
    code = base64.b64encode(MODULE.read_bytes()).decode()
    page.evaluate("async code => { window.M = await import('data:text/javascript;base64,' + code) }", code)


BYTES = "text => Uint8Array.from(atob(text), c => c.charCodeAt(0))"


def buffer(payload):
    return base64.b64encode(payload).decode()


def settle(page, milliseconds):
    """Wait a moment, and until two pictures were drawn since: on a busy machine they come late."""
    page.wait_for_timeout(milliseconds)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def wait_until(page, expression, *, seconds=60):
    """Poll an expression; ``wait_for_function`` would need ``eval``, which the policy of a report forbids."""
    for _ in range(seconds * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not true within {seconds} s: {expression}")
