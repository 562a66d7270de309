"""Speed and memory of the critical path and of running requests again, beside the plain walk of one span at a time.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_path_speed.py``;
TRACEKIT_BENCH_SPANS=1000000 gives the figures asked for.  Machines are noisy: compare within one run.
"""

import time
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import critical_path_oracle
import numpy as np
import pytest
from bench_size import SPANS

from tracekit.analysis.critical_path.cells import cells_of
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.critical_path.kernel import walk
from tracekit.analysis.critical_path.tree import build_tree, in_a_row, walks
from tracekit.analysis.critical_path.what_if import Rerun
from tracekit.analysis.self_time import self_time

COPIES, REFERENCE, EACH = 10, 20_000, 200_000
pytestmark = pytest.mark.benchmark(timer=time.process_time)  # CPU seconds: other work on the machine counts less


def rate(benchmark, spans):
    return spans / benchmark.stats.stats.min


@pytest.fixture(scope="module")
def known(traces):
    """The traces, with what is looked up once: parents and services."""
    assert len(traces.forest.parent_row) == SPANS
    traces.codes("service_name")
    return traces


@pytest.fixture(scope="module")
def path(known):
    return critical_path(known, skew="off")


def by_service(traces, **options):
    found = critical_path(traces, **options)
    return found, cells_of(found, "service_name")


def test_path_and_attribution(benchmark, known, figure):
    found, cells = benchmark.pedantic(by_service, (known,), {"skew": "off"}, rounds=7, warmup_rounds=1)
    assert found.own_ns.sum() == found.latency_ns.sum() == cells.time_ns.sum()
    figure("path time, self time, sums by service", ">= 4,000,000 spans/s", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_path_and_attribution_and_uncovered_time(benchmark, known, figure):
    def both():
        return by_service(known, skew="off"), self_time(known)

    benchmark.pedantic(both, rounds=7, warmup_rounds=1)
    figure("  with tk.self_time as well", ">= 4,000,000 spans/s", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_path_on_aligned_clocks(benchmark, known, figure):
    benchmark.pedantic(by_service, (known,), rounds=5, warmup_rounds=1)
    figure("  with clocks put right (the default)", "", f"{rate(benchmark, SPANS):,.0f} spans/s")


def test_table_by_service(benchmark, path, figure):
    benchmark.pedantic(lambda: path.by("service_name"), rounds=3, warmup_rounds=1)
    figure("  table by service, with limits and exemplars", "", f"{1e3 * benchmark.stats.stats.min:.0f} ms")


def copies(traces):
    """Return trees, block borders and services of ten times the traces."""
    tree = build_tree(traces, scope="root", overflow="auto", follows_from="async")
    real = slice(tree.span_count)
    again, count = np.repeat(np.arange(COPIES), tree.span_count), tree.span_count
    parent = np.tile(np.where(tree.parent[real] < count, tree.parent[real], -1), COPIES)
    parent[parent >= 0] += (again * count)[parent >= 0].astype(np.int32)
    start, end, waiting = (np.tile(column[real], COPIES) for column in (tree.start, tree.end, tree.waiting))
    starts = traces.forest.starts
    borders = np.append((starts[:-1] + count * np.arange(COPIES)[:, None]).ravel(), count * COPIES)
    whole = replace(tree, span_count=len(parent), parent=parent, start=start, end=end, waiting=waiting)
    return (
        whole,
        SimpleNamespace(forest=SimpleNamespace(starts=borders)),
        np.tile(traces.codes("service_name").codes, COPIES),
    )


def attributed(tree, source, service):
    """Walk block by block; self times are added up by service, and nothing else is kept."""
    total = np.zeros(int(service.max()) + 1, np.int64)
    for nodes, rows in walks(source, tree, touching=True):
        np.add.at(total, service[in_a_row(nodes)], rows.own_ns)
    return total


def test_ten_copies_in_blocks(benchmark, known, figure):
    tree, source, service = copies(known)
    total = benchmark.pedantic(attributed, (tree, source, service), rounds=3, warmup_rounds=1)
    roots = (tree.parent < 0) & (tree.waiting == 0)
    assert total.sum() == (tree.end[roots] - tree.start[roots]).sum()
    figure(
        f"path and sums, {COPIES} times as many, blocks",
        ">= 3,500,000 spans/s",
        f"{rate(benchmark, len(tree.parent)):,.0f} spans/s",
    )
    tracemalloc.start()
    attributed(tree, source, service)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure("  extra memory", "<= 200 bytes a span", f"{peak / len(tree.parent):.0f} bytes a span")


def test_extra_memory(known, figure):
    tracemalloc.start()
    critical_path(known, skew="off")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    figure("extra memory of critical_path, result included", "<= 200 bytes a span", f"{peak / SPANS:.0f} bytes a span")


def test_one_span_at_a_time(benchmark, known, path, figure):
    """The oracle of the tests: plain Python, no recursion, no arrays."""
    trace = int(np.searchsorted(known.forest.starts, min(REFERENCE, SPANS), side="right")) - 1
    count, tree = int(known.forest.starts[trace]), path.tree
    facts = zip(*(column[:count].tolist() for column in (tree.parent, tree.start, tree.end, tree.waiting)), strict=True)
    spans = [
        {"parent": parent if 0 <= parent < count else None, "start": start, "end": end, "awaited": not waiting}
        for parent, start, end, waiting in facts
    ]
    found = benchmark.pedantic(critical_path_oracle.path, (spans,), rounds=1)
    own = np.zeros(count, np.int64)
    for pieces in found.values():
        for span, low, high in pieces:
            own[span] += high - low
    whole = (
        tree.orphan_count[known.forest.trace[:count]] == 0
    )  # what hangs below spans that nobody sent is not the same
    assert (own == path.own_ns[:count])[whole].all()
    figure(f"  plain Python, {count:,} spans", "", f"{rate(benchmark, count):,.0f} spans/s")


def test_plan(benchmark, path, figure):
    benchmark.pedantic(Rerun, (path,), rounds=3, warmup_rounds=1)
    seconds = benchmark.stats.stats.min * EACH / SPANS
    figure(f"what-if: plan, for {EACH:,} spans", "<= 0.4 s", f"{seconds:.3f} s")


def test_what_if(benchmark, path, figure):
    factor = np.where(np.arange(len(path.tree)) % 7 == 0, 0.5, 1.0)
    assert (path.rerun.latency(factor) <= path.latency_ns).all()
    benchmark.pedantic(path.rerun.latency, (factor,), rounds=5, warmup_rounds=1)
    figure(f"what-if: each, for {EACH:,} spans", "<= 40 ms", f"{1e3 * benchmark.stats.stats.min * EACH / SPANS:.1f} ms")


def test_all_operations_screened(benchmark, path, figure):
    assert len(path.rerun.own_ns)
    found = benchmark.pedantic(path.opportunities, kwargs={"top": SPANS}, rounds=1)
    seconds = benchmark.stats.stats.min * EACH / SPANS
    figure(f"what-if: all {len(found):,} operations, for {EACH:,} spans", "<= 2 s", f"{seconds:.2f} s")


def test_drag_and_support(benchmark, path, figure):
    def both():
        return path.drag(), path.support()

    benchmark.pedantic(both, rounds=1)
    figure("drag and support", "", f"{benchmark.stats.stats.min:.2f} s")


@pytest.mark.parametrize("shape", ["chain", "siblings"])
def test_a_hundred_thousand(benchmark, shape, figure):
    count = 100_000
    at = np.arange(count)
    if shape == "chain":
        parent, start, end = at - 1, at, 3 * count - at
    else:
        parent, start, end = np.minimum(at, 1) - 1, at * 10 - 5, at * 10 + 5
        start[0], end[0] = 0, end[-1]
    rows = benchmark.pedantic(walk, (parent, start, end, np.ones(count, bool)), rounds=3)
    assert rows.on_path.all()
    figure(
        f"100,000 spans as a {shape}" if shape == "chain" else "100,000 siblings",
        "<= 0.3 s",
        f"{benchmark.stats.stats.min:.3f} s",
    )
