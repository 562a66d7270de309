"""The browser of a module, and a page in it, for all tests that look at one."""

import chromium
import pytest

import tracekit as tk
from tracekit.views.waterfall.payload import encoded, trace_payload


@pytest.fixture(scope="module")
def browser():
    """A Chromium, or a skip with a reason."""
    with chromium.launched() as launched:
        yield launched


@pytest.fixture
def visit(browser):
    """A page of one's own; nothing is said on its console."""
    with chromium.visit(browser) as visited:
        yield visited
        assert visited.messages == []


@pytest.fixture
def page(visit, path):
    """The report at the ``path`` of the module, opened from disk; nothing else is asked for."""
    yield visit.open(path)
    assert visit.requests == [path.as_uri()]


@pytest.fixture(scope="module")
def drawn():
    """What the four views draw: a waterfall (its buffer), a service map, a heat map and a flame."""
    _, during = tk.load_sample("checkout-regression")
    heat, flame = tk.plot(tk.timeline(during), kind="heat"), tk.plot(tk.critical_path(during).flame())
    graph = tk.plot(tk.service_graph(during)).graph
    trace = encoded(trace_payload(during, during.summary["duration_ns"].idxmax()))
    return chromium.buffer(trace), graph, heat.payload, flame.payload
