"""The lanes in which OTLP is read."""

import os

import pytest

from tracekit.loading import native


@pytest.fixture(scope="module", params=native.LANES)
def lane(request):
    """Each lane in turn; a test module that asks for it runs once in each."""
    if request.param == "compiled" and native.extension is None:
        pytest.skip("the compiled lane was not built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, request.param)
        yield request.param


@pytest.fixture(scope="module")
def python_lane():
    """The Python lane, where a module tests it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, "python")
        yield
