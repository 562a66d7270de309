"""Measures an analysis of a store on a local Dask cluster beside the same number of local processes.

``python tests/benchmarks/cluster_traffic.py STORE [--only latency] [--runs 3]`` prints the seconds of both, run in
turn, and the bytes that went through the scheduler and the client (they share a process), by part.
"""

import argparse
import time

from distributed import Client, LocalCluster
from distributed.comm import tcp
from store_scale import ANALYSES

import tracekit as tk


def counted(totals):
    """Count what this process writes to and reads from others."""
    write, read = tcp.TCP.write, tcp.read_bytes_rw

    async def written(self, *arguments, **options):
        size = await write(self, *arguments, **options)
        totals["sent"] += size
        return size

    async def received(stream, size):
        totals["received"] += size
        return await read(stream, size)

    tcp.TCP.write, tcp.read_bytes_rw = written, received


def warm(_):
    """Import what analyses use."""
    return len([getattr(tk, name) for name in ANALYSES])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--only", nargs="*", default=["latency"])
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    store, totals = tk.open(given.store), {"sent": 0, "received": 0}
    counted(totals)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        for on in (2, client):
            store.reduce(warm, max, on=on)
        for name in given.only:
            took = {"local": [], "dask": []}
            for _ in range(given.runs):
                for place, on in (("local", 2), ("dask", client)):
                    totals.update(sent=0, received=0)
                    begun = time.perf_counter()
                    ANALYSES[name](store, on)
                    took[place].append(time.perf_counter() - begun)
            ratios = sorted(dask / local for dask, local in zip(took["dask"], took["local"], strict=True))
            times = ", ".join(f"{place} {min(found):.1f} s" for place, found in took.items())
            moved = {way: f"{size / store.part_count / 1e3:,.1f} kB" for way, size in totals.items()}
            print(f"{name}: {times}; ratio {ratios[0]:.2f} to {ratios[-1]:.2f}; a part {moved}", flush=True)


if __name__ == "__main__":
    main()
