"""The forest against a plain walk over dicts: random traces with every sort of damage, and the extremes."""

import time
from dataclasses import fields

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracekit import forest as module
from tracekit.columns import SpanColumns
from tracekit.forest import blocks, build_forest
from tracekit.schema import ParentState, Quality

SHARED, BAD = int(Quality.SHARED), int(Quality.PARENT_ID_BAD)


def spans_of(rows):
    """Columns of (trace, span id, parent id, quality, resource) rows, which are in order of trace and start."""
    table = np.array(rows, np.uint64).reshape(-1, 5)
    columns = {field.name: np.zeros(len(table), np.int64) for field in fields(SpanColumns)}
    columns["trace_hi"] = np.zeros(len(table), np.uint64)
    for at, (name, kind) in enumerate(
        [("trace_lo", "u8"), ("span_id", "u8"), ("parent_id", "u8"), ("quality", "u4"), ("resource", "i4")]
    ):
        columns[name] = table[:, at].astype(kind)
    return SpanColumns(**columns)


# ------------------------------------------------------------------ the oracle


def resolve(rows):
    """Parent row and state of every row, one at a time."""
    plain, servers = {}, {}
    for at, (trace, span, _, quality, _) in enumerate(rows):
        (servers if quality & SHARED else plain).setdefault((trace, span), []).append(at)
    parents, states = [], []
    for trace, span, parent, quality, resource in rows:
        own_client = plain.get((trace, span)) if quality & SHARED else None
        clients, halves = plain.get((trace, parent)), servers.get((trace, parent))
        if own_client:
            found, several = own_client[0], False
        elif not parent:
            found, several = -1, False
        elif halves and not (clients and rows[clients[0]][4] == resource):
            found, several = halves[0], len(halves) > 1
        elif clients:
            found, several = clients[0], len(clients) > 1
        else:
            found, several = -1, False
        is_root = not own_client and not parent and not quality & BAD
        state = ParentState.DUPLICATE if several else ParentState.RESOLVED
        states.append(ParentState.ROOT if is_root else state if found >= 0 else ParentState.MISSING)
        parents.append(found)
    for at, found in enumerate(parents):
        if found == at:
            parents[at], states[at] = -1, ParentState.SELF
    return cut(parents, states)


def cut(parents, states):
    """Cut every cycle at its earliest row."""
    for start in range(len(parents)):
        seen, at = [], start
        while at >= 0 and at not in seen:
            seen.append(at)
            at = parents[at]
        if at >= 0:
            cycle = seen[seen.index(at) :]
            for member in cycle:
                states[member] = ParentState.CYCLE
            parents[min(cycle)] = -1
    return parents, states


def walk(parents):
    """Depths, children, preorder and subtree ends."""
    children = {at: [] for at in range(-1, len(parents))}
    for at, parent in enumerate(parents):
        children[parent].append(at)
    depths, order, ends = {}, [], {}
    stack = [(root, 0) for root in reversed(children[-1])]
    while stack:
        at, depth = stack.pop()
        if depth < 0:
            ends[at] = len(order)
            continue
        depths[at] = depth
        order.append(at)
        stack.append((at, -1))
        stack += [(child, depth + 1) for child in reversed(children[at])]
    return depths, children, order, [ends[at] for at in order]


def roots_of(rows, parents, states):
    traces = {}
    for at, (trace, *_) in enumerate(rows):
        traces.setdefault(trace, []).append(at)
    return [
        min(group, key=lambda at: (states[at] != ParentState.ROOT, parents[at] >= 0, at)) for group in traces.values()
    ]


def check(rows):
    forest = build_forest(spans_of(rows))
    parents, states = resolve(rows)
    depths, children, order, ends = walk(parents)
    assert forest.parent_row.tolist() == parents
    assert forest.state.tolist() == [int(state) for state in states]
    assert forest.depth.tolist() == [depths[at] for at in range(len(rows))]
    found = [
        forest.children[forest.child_offsets[at] : forest.child_offsets[at + 1]].tolist() for at in range(len(rows))
    ]
    assert found == [children[at] for at in range(len(rows))]
    assert np.diff(forest.child_offsets).tolist() == list(map(len, found))
    assert forest.preorder.tolist() == order
    of_traces = [forest.preorder_of(at) for at in range(len(forest.starts) - 1)]
    assert [row for rows in of_traces for row in rows.tolist()] == order
    assert forest.subtree_end.tolist() == ends
    assert [end for at in range(len(forest.starts) - 1) for end in forest.subtree_end_of(at).tolist()] == ends
    assert forest.root_row.tolist() == roots_of(rows, parents, states)
    assert forest.trace.tolist() == np.repeat(np.arange(len(forest.starts) - 1), np.diff(forest.starts)).tolist()


def rows_of(flags):
    row = st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(0, 11), st.sampled_from(flags), st.integers(0, 1))
    return st.lists(row, max_size=40).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@settings(max_examples=150)
@given(rows_of([0, BAD]), st.sampled_from([3, 7, 131_072]))
def test_any_traces_with_copies_cycles_orphans_and_spans_that_are_their_own_parents(rows, size):
    before, module.BLOCK = module.BLOCK, size
    try:
        check(rows)
    finally:
        module.BLOCK = before


@settings(max_examples=150)
@given(rows_of([0, SHARED]))
@example([(1, 1, 0, 0, 0), (1, 2, 1, 0, 0), (1, 2, 1, SHARED, 1), (1, 3, 2, 0, 1), (1, 4, 2, 0, 0)])
def test_any_traces_in_which_servers_share_the_ids_of_their_clients(rows):
    check(rows)


def test_a_shared_span_is_a_child_of_its_client_and_parent_of_the_servers_work():
    client, server, below_server, below_client = (
        (1, 2, 1, 0, 0),
        (1, 2, 1, SHARED, 1),
        (1, 3, 2, 0, 1),
        (1, 4, 2, 0, 0),
    )
    forest = build_forest(spans_of([(1, 1, 0, 0, 0), client, server, below_server, below_client]))
    assert forest.parent_row.tolist() == [-1, 0, 1, 2, 1]
    assert set(forest.state[1:].tolist()) == {ParentState.RESOLVED}


def test_a_shared_span_whose_client_sent_nothing_keeps_its_recorded_parent():
    forest = build_forest(spans_of([(1, 1, 0, 0, 0), (1, 2, 1, SHARED, 1), (2, 2, 0, SHARED, 1)]))
    assert forest.parent_row.tolist() == [-1, 0, -1]
    assert forest.state.tolist() == [ParentState.ROOT, ParentState.RESOLVED, ParentState.ROOT]


def test_ids_made_to_collide_with_the_mix_of_trace_and_id_are_distinguished():
    golden = 0x9E3779B97F4A7C15
    rows = [(1, golden, 0, 0, 0), (1, 5, golden ^ 7, 0, 0), (2, 7, 0, 0, 0), (2, 9, 7, 0, 0), (2, 3, 0, 0, 0)]
    check(rows)
    check([*rows, (2, 7, 0, 0, 0), (2, 11, 7, 0, 0)])


# ------------------------------------------------------------------ extremes


def test_nothing():
    forest = build_forest(spans_of([]))
    assert forest.starts.tolist() == [0]
    for array in (forest.parent_row, forest.children, forest.root_row, forest.preorder, forest.subtree_end):
        assert array.tolist() == []


def test_a_chain_of_100_000_spans():
    n = 100_000
    begun = time.process_time()
    forest = build_forest(
        spans_of(np.column_stack([np.ones(n), np.arange(1, n + 1), np.arange(n), np.zeros(n), np.zeros(n)]))
    )
    assert forest.depth.tolist() == list(range(n))
    assert forest.preorder.tolist() == list(range(n))
    assert (forest.subtree_end == n).all()
    assert time.process_time() - begun < 5, "a second is too much already"


def test_a_chain_that_arrives_backwards_is_the_same_chain():
    n = 100_000
    ids = np.arange(n, 0, -1)
    forest = build_forest(spans_of(np.column_stack([np.ones(n), ids, ids - 1, np.zeros(n), np.zeros(n)])))
    assert forest.depth.tolist() == list(range(n - 1, -1, -1))
    assert forest.preorder.tolist() == list(range(n - 1, -1, -1))


def test_a_parent_with_100_000_children():
    n = 100_001
    parents = np.concatenate(([0], np.ones(n - 1)))
    forest = build_forest(
        spans_of(np.column_stack([np.ones(n), np.arange(1, n + 1), parents, np.zeros(n), np.zeros(n)]))
    )
    assert np.diff(forest.child_offsets)[0] == n - 1
    assert forest.children.tolist() == list(range(1, n))
    assert forest.depth.max() == 1
    assert forest.subtree_end[0] == n


def test_a_cycle_of_100_000_spans_is_cut_at_the_earliest():
    n = 100_000
    ids = np.arange(1, n + 1)
    forest = build_forest(spans_of(np.column_stack([np.ones(n), ids, np.roll(ids, 1), np.zeros(n), np.zeros(n)])))
    assert (forest.state == ParentState.CYCLE).all()
    assert np.flatnonzero(forest.parent_row < 0).tolist() == [0]
    assert forest.depth.max() == n - 1


def test_many_cycles_in_one_trace_are_each_cut_once():
    n = 3000
    ids = np.arange(1, n + 1)
    following = np.where(ids % 3 == 0, ids - 2, ids + 1)
    forest = build_forest(spans_of(np.column_stack([np.ones(n), ids, following, np.zeros(n), np.zeros(n)])))
    assert (forest.parent_row < 0).sum() == n // 3
    assert np.flatnonzero(forest.parent_row < 0).tolist() == list(range(0, n, 3))


def test_blocks_contain_whole_traces():
    starts = np.concatenate(([0], np.cumsum(np.random.default_rng(1).integers(1, 20, 500))))
    cuts = list(blocks(starts, 30))
    assert [low for low, _ in cuts[1:]] == [high for _, high in cuts[:-1]]
    assert (cuts[0][0], cuts[-1][1]) == (0, starts[-1])
    assert all(high in set(starts.tolist()) for _, high in cuts)
    assert max(high - low for low, high in cuts) <= 30


def test_the_shape_does_not_depend_on_the_order_of_ids():
    """Renaming every id by a permutation leaves the rows as they are."""
    rng = np.random.default_rng(3)
    rows = np.column_stack(
        [np.sort(rng.integers(1, 20, 400)), rng.integers(1, 60, 400), rng.integers(0, 70, 400), *np.zeros((2, 400))]
    ).astype(np.int64)
    renamed = rows.copy()
    names = np.concatenate(([0], rng.permutation(np.arange(1, 71)) * 2**40))
    renamed[:, 1], renamed[:, 2] = names[rows[:, 1]], names[rows[:, 2]]
    one, other = build_forest(spans_of(rows)), build_forest(spans_of(renamed))
    for name in ("parent_row", "state", "depth", "children", "preorder"):
        assert (getattr(one, name) == getattr(other, name)).all()
