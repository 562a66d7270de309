"""The generated file that the benchmarks read, and the table of figures that they print in the end."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench_size import COMPARED, SPANS

from tracekit import read

GENERATOR = Path(__file__).parents[3] / "shared" / "tools" / "gen_otlp.py"
FIGURES: list[tuple[str, str, str]] = []


def _generated(folder, count):
    if not GENERATOR.is_file():
        pytest.skip(f"the generator of the benchmark's file is not there: {GENERATOR.name} in shared/tools")
    path = folder / f"{count}.jsonl"
    subprocess.run([sys.executable, str(GENERATOR), str(count), str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    """The file of TRACEKIT_BENCH_SPANS spans."""
    return _generated(tmp_path_factory.mktemp("recording"), SPANS)


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """The file of 100,000 spans that other readers can manage."""
    return _generated(tmp_path_factory.mktemp("compared"), COMPARED)


@pytest.fixture(scope="session")
def traces(recording):
    """The file, read."""
    return read(recording, progress=False)


@pytest.fixture
def figure():
    """Takes (what, asked, measured) for the table in the end."""
    return lambda what, asked, measured: FIGURES.append((what, asked, measured))


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.write_sep("=", f"{SPANS:,} spans: asked (for 1,000,000) and measured")
        for what, asked, measured in FIGURES:
            terminalreporter.write_line(f"{what:<44}{asked:>26}{measured:>26}")
