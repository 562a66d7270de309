"""Measures analyses of large stores: time, processor time, peak memory, and bytes moved a part.

``python tests/benchmarks/store_scale.py make RECORDING STORE --copies 50`` writes a store of a recording repeated with
other trace ids, ``--pieces 10`` with each copy in ten parts.  ``python tests/benchmarks/store_scale.py measure STORE``
prints a row per analysis, each in a process of its own; ``--on 2`` uses two processes, ``--on dask`` two workers.
"""

import argparse
import contextlib
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path

from distributed import Client, LocalCluster
from loky import get_reusable_executor
from made_stores import make_store

import tracekit as tk

ANALYSES = {
    "latency": lambda store, on: tk.latency(store, on=on),
    "service_graph": lambda store, on: tk.service_graph(store, on=on),
    "self_time": lambda store, on: tk.self_time(store, on=on).by(["service_name"]),
    "timeline": lambda store, on: tk.timeline(store, on=on),
    "critical_path": lambda store, on: tk.critical_path(store, on=on).by(["service_name", "operation"]),
    "errors": lambda store, on: tk.errors(store, on=on),
    "paths": lambda store, on: tk.paths(store, on=on),
    "slo": lambda store, on: tk.slo(store, on=on, objective=0.99),
    "cost": lambda store, on: tk.cost(store, ["aws-lambda"], on=on),
    "compare": lambda store, on: tk.compare(*halves(store), on=on),
}


def halves(store):
    """The parts of even and of odd number."""
    return (store.only(range(first, store.part_count, 2)) for first in (0, 1))


def processor_s():
    """Processor time of this process and those that have ended."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in found)


@contextlib.contextmanager
def place(name):
    """Where parts are read; its processes have ended afterwards, so that their time counts."""
    if name != "dask":
        yield int(name)
        get_reusable_executor().shutdown(wait=True)
        return
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def measured(path, name, on):
    """The figures of one analysis, in this process."""
    store = tk.open(path)
    with place(on) as where:
        if on != "1":
            store.reduce(len, int.__add__, on=where)  # the processes have started
            store.reduce(warm, max, on=where)
        begun, used = time.perf_counter(), processor_s()
        ANALYSES[name](store, where)
        took = time.perf_counter() - begun
    used = processor_s() - used
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return {"analysis": name, "wall_s": took, "processor_s": used, "peak_mb": peak}


def warm(_):
    """Import what analyses use."""
    return len([getattr(tk, name) for name in ANALYSES])


def state_bytes(path, name):
    """The largest state of a part, pickled; and the length of a task."""
    sizes = []
    store = tk.open(path).only([0, 1])

    def read(tasks, state, merge, _):
        states = [state(task.read()) for task in tasks]
        sizes.append((max(len(pickle.dumps(one)) for one in states), len(pickle.dumps(tasks[0]))))
        return merge(*states) if len(states) > 1 else states[0]

    if name == "compare":
        return 0, 0
    ANALYSES[name](store.only([0, 1], reader=read), 1)
    return max(size for size, _ in sizes), max(size for _, size in sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make")
    make.add_argument("recording")
    make.add_argument("store")
    make.add_argument("--copies", type=int, default=10)
    make.add_argument("--pieces", type=int, default=1)
    measure = commands.add_parser("measure")
    measure.add_argument("store")
    measure.add_argument("--on", default="1")
    measure.add_argument("--only", nargs="*", default=list(ANALYSES))
    one = commands.add_parser("one")
    one.add_argument("store")
    one.add_argument("name")
    one.add_argument("on")
    given = parser.parse_args()
    if given.command == "make":
        print(make_store(tk.read(given.recording), Path(given.store), given.copies, pieces=given.pieces))
    elif given.command == "one":
        sizes = state_bytes(given.store, given.name) if given.on == "1" else (0, 0)
        figures = measured(given.store, given.name, given.on)
        print(json.dumps(figures | {"state_kb": sizes[0] / 1e3, "task_kb": sizes[1] / 1e3}))
    else:
        print(repr(tk.open(given.store)), f"on {given.on}, load {os.getloadavg()[0]:.1f}")
        print(f"{'analysis':16}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'state kB':>10}{'task kB':>9}")
        for name in given.only:
            command = [sys.executable, __file__, "one", given.store, name, given.on]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                print(f"{name:16}{ran.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            found = json.loads(ran.stdout.splitlines()[-1])
            cells = [f"{found[key]:9.1f}" for key in ("wall_s", "processor_s", "peak_mb")]
            print(f"{name:16}{''.join(cells)}{found['state_kb']:10.1f}{found['task_kb']:9.1f}", flush=True)


if __name__ == "__main__":
    main()
