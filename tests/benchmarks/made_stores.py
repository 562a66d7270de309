"""Stores of any size: the parts of one recording repeated, each time with other trace ids."""

import gc
from dataclasses import replace
from pathlib import Path

import numpy as np

import tracekit as tk
from tracekit.loading.building.merge import compact
from tracekit.loading.store.read_write import writing

_GOLDEN = 0x9E3779B97F4A7C15


def shifted(traces, number):
    """The same traces with other ids."""
    spans = traces.columns.spans
    hi = spans.trace_hi ^ np.uint64(number * _GOLDEN % 2**64)
    columns = replace(traces.columns, spans=replace(spans, trace_hi=hi))
    return tk.TraceSet(columns.take_in_order(np.lexsort((spans.trace_lo, hi))))


def _only(traces, spans):
    """Some of the traces, with no names and attributes but theirs."""
    found = traces.where(spans)
    return tk.TraceSet(compact(found.columns), weights=found.weights)


def make_store(traces, path, copies, *, pieces=1):
    """Write a store of these traces so many times, each time in so many parts."""
    piece = (np.arange(len(traces)) * pieces // max(len(traces), 1))[traces.forest.trace]
    parts = [traces if pieces == 1 else _only(traces, piece == number) for number in range(pieces)]
    with writing(Path(path)) as store:
        for copy in range(copies):
            for part in parts:
                store.part(shifted(part, copy) if copy else part)
                gc.collect()
        store.finish(traces.columns.sources, traces.columns.issues, traces.columns.notes)
    return tk.open(path)
