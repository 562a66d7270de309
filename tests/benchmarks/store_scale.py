"""Measures analyses of large stores: time, processor time, peak memory, and bytes moved a part.

``python tests/benchmarks/store_scale.py make RECORDING STORE --copies 50`` writes a store of a recording repeated with
other trace ids, ``--pieces 10`` with each copy in ten parts.  ``python tests/benchmarks/store_scale.py measure STORE``
prints a row per analysis, each in a process of its own; ``--on 2`` uses two processes, ``--on dask`` two workers.

``python tests/benchmarks/store_scale.py compare`` generates a store (``--spans 4000000 --parts 8``) in a temporary
folder, which is removed, also after an interrupt, and prints for latency and for the report the time in one process, in
two, and on a Dask cluster of two, with the efficiency, and the highest memory of a process.  The places take turns, so
that all have the same share of the noise of the machine.  Processes have started and imported before the time counts;
their processor time includes that.
"""

import argparse
import contextlib
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributed import Client, LocalCluster
from loky import get_reusable_executor
from made_spans import otlp_lines
from made_stores import make_store
from one_figure import peak

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
PLACES = {"1": "1 process", "2": "2 processes", "dask": "Dask, 2 workers"}
LEAST_EFFICIENCY, MOST_OF_LOCAL, MOST_MB = 0.85, 1.15, 1_200


def report(store, on):
    """Write the report of a store; its analyses read the parts, and the rest is done by this process."""
    with tempfile.TemporaryDirectory() as folder:
        tk.report(store.placed(on), Path(folder) / "report.html")


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
        (ANALYSES | {"report": report})[name](store, where)
        took = time.perf_counter() - begun
    used = processor_s() - used
    largest = max(peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3)  # of Linux, in kB
    return {"analysis": name, "wall_s": took, "processor_s": used, "peak_mb": largest}


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


def one(path, name, on, *more):
    """The figures of one analysis, in a process of its own; SystemExit with its last line if it fails."""
    ran = subprocess.run(
        [sys.executable, __file__, "one", str(path), name, on, *more], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"{name} on {on}: {(ran.stderr.strip() or f'exit code {ran.returncode}').splitlines()[-1]}")
    return json.loads(ran.stdout.splitlines()[-1])


def compared(given):
    """Generate a store, and print time, efficiency and memory of each analysis in each place."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes import as of an installed package, which is compiled
    with tempfile.TemporaryDirectory(prefix="tracekit-scale-") as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
        lines, path = Path(folder) / "part.jsonl", Path(folder) / "store.parquet"
        with lines.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in otlp_lines(max(given.spans // given.parts, 1), given.seed))
        print(repr(make_store(tk.read(lines, progress=False), path, given.parts)), f"load {os.getloadavg()[0]:.1f}")
        lines.unlink()
        print(f"best of {given.runs}, wall clock without the start of processes", flush=True)
        for name in given.only:
            found = {place: [] for place in PLACES}
            for _ in range(given.runs):
                for place in PLACES:
                    found[place].append(one(path, name, place, "--no-sizes"))
            print(*told(name, found), sep="\n", flush=True)


def told(name, found):
    """The lines about one analysis."""
    wall = {place: min(run["wall_s"] for run in runs) for place, runs in found.items()}
    most = {place: max(run["peak_mb"] for run in runs) for place, runs in found.items()}
    for place, what in PLACES.items():
        spent = min(run["processor_s"] for run in found[place])
        yield f"{name:10}{what:18}{wall[place]:8.2f} s wall,{spent:8.2f} s CPU,{most[place]:8.0f} MB a process at most"
    figures = (
        ("efficiency from 1 to 2 processes", wall["1"] / wall["2"] / 2, f">= {LEAST_EFFICIENCY:.0%}", ".0%"),
        ("Dask against 2 processes", wall["dask"] / wall["2"], f"<= {MOST_OF_LOCAL}", ".2f"),
        ("peak of 1 process in MB", most["1"], f"<= {MOST_MB:,}", ",.0f"),
    )
    for what, value, asked, shown in figures:
        yield f"{name:10}  {what:34}{value:{shown}} (asked {asked})"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # folders are removed
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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
    alone = commands.add_parser("one")
    alone.add_argument("store")
    alone.add_argument("name")
    alone.add_argument("on")
    alone.add_argument("--no-sizes", action="store_true")
    scale = commands.add_parser("compare")
    scale.add_argument("--spans", type=int, default=4_000_000)
    scale.add_argument("--parts", type=int, default=8)
    scale.add_argument("--runs", type=int, default=2)
    scale.add_argument("--seed", type=int, default=1)
    scale.add_argument("--only", nargs="*", choices=[*ANALYSES, "report"], default=["latency", "report"])
    given = parser.parse_args()
    if given.command == "make":
        print(make_store(tk.read(given.recording), Path(given.store), given.copies, pieces=given.pieces))
    elif given.command == "compare":
        compared(given)
    elif given.command == "one":
        has_sizes = given.on == "1" and not given.no_sizes
        sizes = state_bytes(given.store, given.name) if has_sizes else (0, 0)
        figures = measured(given.store, given.name, given.on)
        print(json.dumps(figures | {"state_kb": sizes[0] / 1e3, "task_kb": sizes[1] / 1e3}))
    else:
        print(repr(tk.open(given.store)), f"on {given.on}, load {os.getloadavg()[0]:.1f}")
        print(f"{'analysis':16}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'state kB':>10}{'task kB':>9}")
        for name in given.only:
            try:
                found = one(given.store, name, given.on)
            except SystemExit as error:
                print(f"{name:16}{error}", flush=True)
                continue
            cells = [f"{found[key]:9.1f}" for key in ("wall_s", "processor_s", "peak_mb")]
            print(f"{name:16}{''.join(cells)}{found['state_kb']:10.1f}{found['task_kb']:9.1f}", flush=True)


if __name__ == "__main__":
    main()
