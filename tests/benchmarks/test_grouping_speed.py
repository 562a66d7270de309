"""Speed of grouping every span by an attribute of its request.

Run with ``TRACEKIT_BENCH_SPANS=1000000 python -m pytest -o addopts=--import-mode=importlib tests/benchmarks``.
"""

import time

import numpy as np
import pandas as pd
import pytest
from bench_size import SPANS

from tracekit.grouping import column
from tracekit.traces import TraceSet

PER_TRACE = 20
pytestmark = pytest.mark.benchmark(timer=time.process_time)  # CPU seconds: other work on the machine counts less


def recorded(spans):
    """Traces of twenty spans each; the tenth has the tier of its request."""
    count, rng = spans // PER_TRACE, np.random.default_rng(3)
    place = np.tile(np.arange(PER_TRACE), count)
    trace = np.repeat(np.arange(1, count + 1), PER_TRACE)
    tiers = np.where(place == PER_TRACE // 2, rng.choice(["gold", "silver", "free"], len(place)), None)
    number = np.arange(1, len(place) + 1)
    return pd.DataFrame(
        {
            "trace_id": [f"{at:032x}" for at in trace],
            "span_id": [f"{at:016x}" for at in number],
            "parent_span_id": [f"{at - 1:016x}" if below else None for at, below in zip(number, place, strict=True)],
            "service_name": np.where(place % 2, "ledger", "shop"),
            "name": "GET /",
            "start_ns": trace * 10**6 + place,
            "end_ns": trace * 10**6 + 1000 - place,
            "attributes.app.tier": tiers,
        }
    )


def test_spans_by_an_attribute_of_their_request(benchmark):
    columns = TraceSet.from_spans(recorded(SPANS)).columns

    def fresh():
        traces = TraceSet(columns)
        _ = traces.forest, traces.lookup
        return (traces, "request.app.tier"), {}

    found = benchmark.pedantic(column, setup=fresh, rounds=5)
    assert (found.codes >= 0).all()
    print(f"{len(found.codes):,} spans in {benchmark.stats.stats.min:.3f} s (at most 0.3 s for 1,000,000)")
