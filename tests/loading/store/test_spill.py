"""Runs that are spilled and read back: whole traces, in as many equal parts as asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit.columns import trace_starts
from tracekit.loading.store.spill import SLOTS, Spill, parts_of_slots, slots_of


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


def spilled(traces, folder, span_count, *, runs=5, buckets=128):
    """The parts of a set that came in runs, of which each cuts traces."""
    with Spill(folder, buckets) as spill:
        for columns in np.array_split(np.arange(len(traces.columns.spans)), runs):
            spill.add(traces.columns.take(columns))
        parts = list(spill.parts(span_count))
        assert not [one for one in folder.iterdir() if one.is_file()], "files are removed when they are read"
    return parts


@pytest.mark.parametrize(("span_count", "buckets"), [(50, 128), (50, 1), (500, 16), (3000, 128), (10**9, 128)])
def test_there_are_as_many_equal_parts_as_asked_for(during, tmp_path, span_count, buckets):
    parts = spilled(during, tmp_path / "runs", span_count, buckets=buckets)
    sizes = np.array([len(part.spans) for part in parts])
    longest = int(np.diff(during.forest.starts).max())
    assert sizes.sum() == len(during.columns.spans)
    assert sizes.max() <= span_count + longest
    assert len(parts) >= 0.8 * len(during.columns.spans) / (span_count + longest)
    if span_count == 50:
        assert len(parts) > 300
    ids = [set(zip(part.spans.trace_hi.tolist(), part.spans.trace_lo.tolist(), strict=True)) for part in parts]
    assert sum(map(len, ids)) == len(during), "no trace is in two parts"
    spans = np.sort(np.concatenate([part.spans.span_id for part in parts]))
    assert (spans == np.sort(during.columns.spans.span_id)).all()


def test_parts_are_random_samples(during, tmp_path):
    """Parts follow a hash: their order has nothing to do with that of the starts."""
    parts = spilled(during, tmp_path / "runs", 2_000)
    middles = [float(part.spans.start_ns.mean()) for part in parts]
    begun = during.columns.spans.start_ns
    assert np.ptp(middles) < np.ptp(begun) / 3
    assert abs(np.corrcoef(middles, np.arange(len(middles)))[0, 1]) < 0.9


def test_a_conversion_has_more_parts_than_buckets(during, tmp_path):
    store = tk.open(tk.convert(during.head(300).save(tmp_path / "a.parquet"), tmp_path / "b.parquet", spans_at_once=30))
    assert store.part_count > 150
    assert max(task.span_count for task in store.tasks) <= 30 + int(np.diff(during.forest.starts).max())
    assert store.load().trace_ids == during.head(300).trace_ids


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(1, 60))
def test_slots_are_dealt_in_order_and_evenly(counts, span_count):
    counts = np.array(counts)
    part = parts_of_slots(counts, span_count)
    assert (np.diff(part) >= 0).all()
    assert part.min() == 0
    sizes = np.bincount(part, counts)
    assert sizes.sum() == counts.sum()
    assert sizes.max() <= span_count + counts.max()
    assert counts.sum() == 0 or (sizes > 0).all()


def test_slots_use_the_whole_range(during):
    spans = during.columns.spans
    first = trace_starts(spans)[:-1]
    slots = slots_of(spans.trace_hi[first], spans.trace_lo[first])
    assert slots.min() >= 0
    assert slots.max() < SLOTS
    assert np.histogram(slots, 8, (0, SLOTS))[0].min() > len(first) / 8 * 0.6
