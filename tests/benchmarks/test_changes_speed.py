"""Speed of the answers to what changed, for whom and since when.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_changes_speed.py``;
TRACEKIT_BENCH_SPANS=1000000 gives the figures asked for.  Machines are noisy: compare within one run.
"""

import time

import pandas as pd
import pytest
from bench_size import SPANS

import tracekit as tk

pytestmark = pytest.mark.benchmark(timer=time.process_time)  # CPU seconds: other work on the machine counts less


@pytest.fixture(scope="module")
def halves(traces):
    """The recording as two sets of equal duration."""
    middle = pd.Timestamp(int(traces.summary["start_ns"].median()))
    return traces.between(None, middle), traces.between(middle, None)


def measured(benchmark, call):
    """Return the CPU seconds of a call, whose result counts requests."""
    call()  # what all analyses of the traces share is computed from here on
    benchmark.pedantic(call, rounds=3)
    return f"{benchmark.stats.stats.min:.2f} s"


@pytest.mark.parametrize(("pairs", "asked"), [(False, "<= 0.5 s"), (True, "<= 3 s")])
def test_what_differs(benchmark, traces, figure, pairs, asked):
    seconds = measured(benchmark, lambda: tk.what_differs(traces, "slowest 5%", pairs=pairs))
    figure(f"what_differs, {'with' if pairs else 'without'} pairs", asked, seconds)


def test_compare(benchmark, halves, figure):
    assert sum(len(half.columns.spans) for half in halves) == SPANS
    figure("compare the two halves", "<= 8 s", measured(benchmark, lambda: tk.compare(*halves)))


def test_suspects(benchmark, halves, figure):
    figure("suspects of the two halves", "<= 10 s", measured(benchmark, lambda: tk.suspects(*halves)))


def test_paths(benchmark, halves, figure):
    figure("paths of the two halves", "", measured(benchmark, lambda: tk.paths(halves[1], halves[0])))


def test_changes_over_time(benchmark, traces, figure):
    figure("timeline with its changes", "", measured(benchmark, lambda: tk.timeline(traces).changes))


def test_patterns(benchmark, traces, figure):
    figure("all patterns", "<= 3 s", measured(benchmark, lambda: tk.patterns(traces)))
