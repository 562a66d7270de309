"""Speed and memory of the way from a file to the first answers, beside what plain json and pandas need for it.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks``; TRACEKIT_BENCH_SPANS=1000000 gives
the figures asked for.  Machines are noisy: compare within one run.
"""

import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from bench_size import COMPARED, SPANS

from tracekit import bounds, read, service_graph
from tracekit.forest import build_forest
from tracekit.loading.convert import convert
from tracekit.traces import TraceSet

PEAK = """
from pathlib import Path
import numpy, pandas, pyarrow
from tracekit import read
from tracekit.loading.convert import convert
def peak():  # not getrusage: a child begins with the peak of its parent there
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
before = peak()
{call}
print(peak() - before)
"""
pytestmark = pytest.mark.benchmark(timer=time.process_time)  # CPU seconds: other work on the machine counts less


def peak_megabytes(call):
    """Return the peak memory above the import that a call needs, in a process of its own."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    done = subprocess.run([sys.executable, "-c", PEAK.format(call=call)], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1e3


def rate(benchmark, spans):
    return spans / benchmark.stats.stats.min


def import_seconds(module):
    """Return the CPU seconds of importing a module in a process of its own: the median of seven."""
    code = f"import time; begun = time.process_time(); import {module}; print(time.process_time() - begun)"
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(7)]
    return statistics.median(float(done.stdout) for done in runs)


@pytest.fixture(scope="module")
def rates():
    return {}


def test_import(figure):
    import_seconds("tracekit")  # compiled from here on
    more = import_seconds("tracekit") - import_seconds("pandas")
    figure("import tracekit, beyond import pandas", "<= 80 ms", f"{1e3 * more:.0f} ms")


def test_ingest(benchmark, recording, figure):
    traces = benchmark.pedantic(read, (recording,), {"progress": False}, rounds=3 if SPANS < 500_000 else 1)
    assert len(traces.columns.spans) == SPANS
    figure("ingest", ">= 150,000 spans/s", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_ingest_of_the_compared_file(benchmark, compared, rates):
    benchmark.pedantic(read, (compared,), {"progress": False}, rounds=3)
    rates["tracekit"] = rate(benchmark, COMPARED)


def test_json_and_loops(benchmark, compared, rates, figure):
    def loops():
        rows = []
        for line in compared.read_bytes().splitlines():
            for group in json.loads(line)["resourceSpans"]:
                service = {a["key"]: a["value"] for a in group["resource"]["attributes"]}
                for part in group["scopeSpans"]:
                    for span in part["spans"]:
                        row = {key: value for key, value in span.items() if key != "attributes"}
                        row.update((a["key"], next(iter(a["value"].values()))) for a in span["attributes"])
                        rows.append(row | service)
        return pd.DataFrame(rows)

    assert len(benchmark.pedantic(loops, rounds=1)) == COMPARED
    times = rates["tracekit"] / rate(benchmark, COMPARED)
    figure("  against json + loops + DataFrame (100,000)", "", f"{times:.1f} times as fast")


def test_json_normalize(benchmark, compared, rates, figure):
    def normalize():
        requests = [json.loads(line) for line in compared.read_bytes().splitlines()]
        spans = [s for r in requests for g in r["resourceSpans"] for p in g["scopeSpans"] for s in p["spans"]]
        return pd.json_normalize(spans), pd.json_normalize(spans, "attributes")

    frame, _ = benchmark.pedantic(normalize, rounds=1)
    assert len(frame) == COMPARED
    times = rates["tracekit"] / rate(benchmark, COMPARED)
    figure("  against json_normalize (100,000)", ">= 12 times", f"{times:.1f} times as fast")


def test_peak_memory_of_ingest(recording, figure):
    peak = peak_megabytes(f"read({str(recording)!r}, progress=False)")
    figure("peak memory of ingest", "<= 750 MB", f"{peak:,.0f} MB")


def test_forest(benchmark, traces, figure):
    benchmark(build_forest, traces.columns.spans)
    figure("forest: parents, depth, order", ">= 5,000,000 spans/s", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_service_graph(benchmark, traces, figure):
    service_graph(traces)
    benchmark(service_graph, traces)
    figure("service graph, attributes looked up before", "<= 0.15 s", f"{benchmark.stats.stats.min:.3f} s")


def test_service_graph_of_a_fresh_set(benchmark, traces, figure):
    forest = traces.forest
    benchmark.pedantic(lambda: service_graph(TraceSet(traces.columns, forest=forest)), rounds=3)
    figure("service graph, with the look-ups", "", f"{benchmark.stats.stats.min:.3f} s")


def test_bounds(benchmark, traces, figure):
    counts = pd.DataFrame({"count": [2 * len(traces)]})
    bounds(traces, "p99 < 1 s", requests=counts)
    benchmark(bounds, traces, "p99 < 1 s", requests=counts)
    figure("bounds of p99, attributes looked up before", "<= 0.5 s", f"{benchmark.stats.stats.min:.3f} s")


def test_save(benchmark, traces, tmp_path, figure):
    numbers = iter(range(100))
    benchmark.pedantic(lambda: traces.save(tmp_path / f"{next(numbers)}.parquet"), rounds=3)
    size = sum(file.stat().st_size for file in (tmp_path / "0.parquet").rglob("*") if file.is_file())
    figure("save", "<= 2.5 s", f"{benchmark.stats.stats.min:.2f} s")
    figure("size of the store", "<= 50 MB", f"{size / 1e6:.1f} MB")


def test_load(benchmark, traces, tmp_path, figure):
    path = traces.save(tmp_path / "x.parquet")
    gc.collect()
    loaded = benchmark.pedantic(read, (path,), rounds=3)
    assert len(loaded.columns.spans) == SPANS
    figure("load", "<= 0.6 s", f"{benchmark.stats.stats.min:.2f} s")


def test_convert(benchmark, recording, tmp_path, figure):
    numbers = iter(range(100))
    benchmark.pedantic(lambda: convert(recording, tmp_path / f"{next(numbers)}.parquet", progress=False), rounds=1)
    figure("convert", "", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_peak_memory_of_convert(recording, compared, tmp_path, figure):
    peaks = {
        name: peak_megabytes(f"convert({str(path)!r}, {str(tmp_path / name)!r}, progress=False)")
        for name, path in {"less": compared, "more": recording}.items()
    }
    figure(f"peak memory of convert ({COMPARED:,}: {peaks['less']:,.0f} MB)", "flat", f"{peaks['more']:,.0f} MB")
