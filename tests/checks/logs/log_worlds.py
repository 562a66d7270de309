"""Log lines made from the spans of any traces, with known templates."""

import numpy as np
import pandas as pd

NOISE = ("cache miss for key '{n}'", "pool has {n} of 50 connections", "GC took {n} ms", "request {n:08x}a1 accepted")


def lines_of(traces, rng, *, also=(), rare=0.01):
    """One line per span, now and then a rare one, one per error span, and ``also``: (mask of spans, level, text)."""
    spans = traces.spans
    n = len(spans)
    number, took = rng.integers(1, 10**6, n), spans["duration_ns"].to_numpy(float)
    at = spans["start_ns"].to_numpy(np.int64) + (np.nan_to_num(took) * rng.random(n)).astype(np.int64)
    every = pd.DataFrame(
        {
            "timestamp": at,
            "level": "INFO",
            "service": spans["service_name"].astype(str),
            "trace_id": spans["trace_id"].astype(str),
            "span_id": spans["span_id"].astype(str),
            "message": [f"{name} took {k} us" for name, k in zip(spans["name"].astype(str), number, strict=True)],
        }
    )
    noise = every[rng.random(n) < 0.3].copy()
    noise["message"] = [NOISE[rng.integers(len(NOISE))].format(n=rng.integers(10**6)) for _ in range(len(noise))]
    seldom = every[rng.random(n) < rare].copy()
    seldom["message"] = [f"unusual thing {'abcdefghijkl'[rng.integers(12)]} happened" for _ in range(len(seldom))]
    failed = every[traces.is_error].assign(level="ERROR")
    failed["message"] = [
        f"{name} failed after {k} ms"
        for name, k in zip(spans["name"][traces.is_error].astype(str), number, strict=False)
    ]
    planted = [every[np.asarray(mask)].assign(level=level, message=text) for mask, level, text in also]
    return pd.concat([every, noise, seldom, failed, *planted], ignore_index=True)


def failing(traces):
    """bool, one per span: its request failed."""
    return traces.is_error[traces.forest.root_row][traces.forest.trace]
