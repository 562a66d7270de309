"""The browser of a module, and a page in it, for all tests that look at one."""

import chromium
import pytest


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
