"""Speed of reading log lines and joining them with a tenth as many spans.

Run with ``TRACEKIT_BENCH_SPANS=1000000 python -m pytest -o addopts=--import-mode=importlib tests/benchmarks``.
"""

import time

import numpy as np
import pandas as pd
import pytest
from bench_size import SPANS

import tracekit as tk
from tracekit import TraceSet
from tracekit.loading.logs.read import read_lines

PER_TRACE, START, MS = 10, 1_764_000_000_000_000_000, 1_000_000
MESSAGES = ("order {n} paid in {n} ms", "user {n:08x} logged in", "cache miss for key '{n}'", "retry {n} after timeout")


def recorded(spans, rng):
    """Traces of ten nested spans of five services on fifty hosts, a few of them open at the same time."""
    trace, place = np.divmod(np.arange(spans), PER_TRACE)
    ids = [f"{at + 1:032x}" for at in range(spans // PER_TRACE + 1)]
    number = rng.permutation(2**40 // (spans + 1) * np.arange(1, spans + 1))
    start = START + trace * 2 * MS + place * MS
    return pd.DataFrame(
        {
            "trace_id": np.array(ids, object)[trace],
            "span_id": [f"{at:016x}" for at in number],
            "parent_span_id": [None if not at else f"{number[row - 1]:016x}" for row, at in enumerate(place)],
            "service_name": np.array([f"service {at}" for at in range(5)], object)[place % 5],
            "name": "work",
            "kind": "SERVER",
            "start_ns": start,
            "end_ns": start + (20 - place) * MS,
            "resource.host.name": np.array([f"host {at}" for at in range(50)], object)[trace % 50],
        }
    )


@pytest.fixture(scope="module")
def traces_and_lines(tmp_path_factory):
    """Traces, and a file with ten lines a span: every fifth line without ids."""
    rng = np.random.default_rng(1)
    frame = recorded(max(SPANS // 10, PER_TRACE), rng)
    row = rng.integers(0, len(frame), SPANS)
    lines = frame.loc[row, ["trace_id", "span_id", "service_name", "resource.host.name"]].reset_index(drop=True)
    lines = lines.rename(columns={"service_name": "service", "resource.host.name": "host"})
    lines.loc[rng.random(SPANS) < 0.2, ["trace_id", "span_id"]] = None
    texts = [MESSAGES[at % len(MESSAGES)].format(n=at) for at in range(SPANS)]
    lines = lines.assign(time=frame["start_ns"].to_numpy()[row] + MS // 2, level="INFO", message=texts)
    path = tmp_path_factory.mktemp("logs") / "app.jsonl"
    lines.to_json(path, orient="records", lines=True)
    return TraceSet.from_spans(frame), path


def test_log_lines_are_read_and_joined(traces_and_lines, figure):
    traces, path = traces_and_lines
    begun = time.process_time()
    lines = read_lines(path)
    read = time.process_time()
    found = tk.logs(traces, lines)
    joined = time.process_time()
    assert (found.lines["match"] == "span_id").mean() == pytest.approx(0.8, abs=0.02)
    figure(f"{SPANS:,} log lines: read (CPU)", "12 s for 1,000,000", f"{read - begun:.2f} s")
    figure(f"{SPANS:,} log lines: joined (CPU)", "5 s for 1,000,000", f"{joined - read:.2f} s")
