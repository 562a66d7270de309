"""The pytest plugin of tracekit: the fixture ``tracekit_traces``.

A module of its own, because pytest imports it at every start: tracekit is imported when the fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracekit.testing.recorder import Recorder
    from tracekit.testing.spans import SpansUnderTest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes baselines."""
    parser.getgroup("tracekit").addoption(
        "--tracekit-update", action="store_true", help="write the baselines of tests that use tracekit_traces"
    )


@pytest.fixture(scope="session")
def _tracekit_recorder() -> Recorder:
    """Record spans from now on."""
    from tracekit.testing.recorder import Recorder  # noqa: PLC0415 - imports pandas

    recorder = Recorder()
    recorder.install()
    return recorder


@pytest.fixture
def tracekit_traces(_tracekit_recorder: Recorder, request: pytest.FixtureRequest) -> Iterator[SpansUnderTest]:
    """Spans of the code under test: ``calls(name)``, ``traces``, ``baseline``, ``assert_no_regression()``."""
    from tracekit.testing.spans import SpansUnderTest, baseline_path  # noqa: PLC0415 - imports pandas

    path = baseline_path(request.path, request.node.nodeid)
    with _tracekit_recorder.recording():
        yield SpansUnderTest(_tracekit_recorder, path, update=request.config.getoption("--tracekit-update"))
