"""How many spans the benchmarks read."""

import os

SPANS = int(os.environ.get("TRACEKIT_BENCH_SPANS", "100000"))
COMPARED = 100_000  # json and pandas take a file of this size, whatever the rest takes
