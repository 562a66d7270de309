"""One measurement in this process: ``python one_figure.py WHAT PATH [WORKERS]`` prints seconds, spans and megabytes.

Everything is called on a few spans first, so that modules that are imported on first use do not count.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
from made_spans import otlp_lines

import tracekit as tk

SETS = {}


def read(path, workers):
    """Return the spans of a finished TraceSet."""
    return len(tk.read(path, progress=False, workers=int(workers)).columns.spans)


def store(path):
    """Open a store and return the spans in latency by service and operation."""
    return int(tk.latency(tk.read(path)).table["span_count"].sum())


def save(path, target):
    """Write a file as a store of one part, and return its spans."""
    traces = tk.read(path, progress=False)
    traces.save(target)
    return len(traces.columns.spans)


def json_normalize(path):
    """Return the spans that plain json and pandas read, with attributes."""
    requests = [json.loads(line) for line in Path(path).read_bytes().splitlines()]
    spans = [s for r in requests for g in r["resourceSpans"] for p in g["scopeSpans"] for s in p["spans"]]
    pd.json_normalize(spans, "attributes")
    return len(pd.json_normalize(spans))


def write(path, target):
    """Return the spans written as OTLP, which are read before."""
    if path not in SETS:
        SETS[path] = tk.read(path, progress=False)
    SETS[path].to_otlp(target, redact=None, progress=False)
    return len(SETS[path].columns.spans)


def peak():
    """Return the highest memory of this process so far, in MB; Linux starts ``ru_maxrss`` at that of the parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) / 1e3
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def begin(call, *arguments):
    """Call once on a few spans."""
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.jsonl"
        few.write_text("".join(f"{line}\n" for line in otlp_lines(50)), "utf-8")
        call(tk.read(few, progress=False).save(Path(folder) / "few.parquet") if call is store else few, *arguments)
    pa.default_memory_pool().release_unused()


def main(what, *arguments):
    """Print what one call needed."""
    call = {one.__name__: one for one in (read, save, store, json_normalize, write)}[what]
    imported = time.process_time()
    begin(call, *arguments[1:])
    if call is write:
        SETS[arguments[0]] = tk.read(arguments[0], progress=False)
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    count = call(*arguments)
    took = time.process_time() - cpu
    found = {"cpu_s": took, "with_imports_s": took + imported, "wall_s": time.perf_counter() - wall}
    print(json.dumps(found | {"span_count": count, "megabytes": peak() - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
