"""Invariants I1 to I11 and I14 on random trees; the oracle shares no code with the kernel."""

from itertools import pairwise

import numpy as np
import pytest
from critical_path_oracle import path as slow_path
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.analysis.critical_path.kernel import segments, walk


def law(*strategies):
    return lambda test: settings(deadline=None)(given(*strategies)(test))


EPOCH = 1_700_000_000_000_000_000


@st.composite
def trees(draw):
    """Spans of one or several trees; small times, so that ties and touching siblings are common."""
    count = draw(st.integers(1, 16))
    reach = draw(st.sampled_from([4, 12, 60, 1000]))
    base = draw(st.sampled_from([0, -50, EPOCH]))
    deep = draw(st.booleans())
    spans = []
    for at in range(count):
        above = draw(st.integers(max(0, at - 2) if deep else 0, at - 1)) if at else None
        start = draw(st.integers(0, reach))
        spans.append(
            {
                "parent": None if at == 0 or draw(st.integers(0, 11)) == 0 else above,
                "start": base + start,
                "end": base + start + draw(st.integers(0, reach)),
                "awaited": draw(st.integers(0, 9)) > 0,
            }
        )
    return spans


def arrays(spans):
    parent = np.array([-1 if span["parent"] is None else span["parent"] for span in spans], np.int64)
    return (
        parent,
        *(np.array([span[key] for span in spans], np.int64) for key in ("start", "end")),
        np.array([span["awaited"] for span in spans]),
    )


def pieces(rows):
    return sorted(zip(*(column.tolist() for column in segments(rows)), strict=True))


def root_of(parent):
    root = np.arange(len(parent))
    while (parent[root] >= 0).any():
        root = np.where(parent[root] >= 0, parent[root], root)
    return root


def shuffled(spans, order):
    place = {old: new for new, old in enumerate(order)}
    moved = [dict(spans[old]) for old in order]
    for span in moved:
        span["parent"] = None if span["parent"] is None else place[span["parent"]]
    return moved


@law(trees(), st.booleans())
def test_the_kernel_answers_as_the_oracle(spans, touching):  # I14, and I11 with touching off
    found = pieces(walk(*arrays(spans), touching=touching))
    assert found == sorted(piece for part in slow_path(spans, touching=touching).values() for piece in part)


@law(trees(), st.booleans())
def test_own_times_sum_to_the_window_of_the_root(spans, touching):  # I1, I5, I6, I10
    parent, start, end, awaited = arrays(spans)
    rows = walk(parent, start, end, awaited, touching=touching)
    root = root_of(parent)
    for top in np.flatnonzero(parent < 0):
        assert rows.own_ns[root == top].sum() == (end[top] - start[top] if awaited[top] else 0)
    length = np.where(rows.on_path, rows.windows.end - rows.windows.start, 0)
    assert rows.own_ns.dtype == np.int64
    assert ((rows.own_ns >= 0) & (rows.own_ns <= length)).all()
    below = np.zeros(len(parent), np.int64)
    kids = np.flatnonzero(parent >= 0)
    np.add.at(below, parent[kids], length[kids])
    assert (rows.own_ns + below == length).all()


@law(trees())
def test_segments_follow_each_other_from_start_to_end(spans):  # I2, I3
    parent, start, end, awaited = arrays(spans)
    rows = walk(parent, start, end, awaited)
    root = root_of(parent)
    found = pieces(rows)
    for span, low, high in found:
        assert rows.windows.start[span] <= low < high <= rows.windows.end[span]
    for top in np.flatnonzero((parent < 0) & awaited & (end > start)):
        mine = sorted((low, high, span) for span, low, high in found if root[span] == top)
        assert (mine[0][0], mine[-1][1]) == (start[top], end[top])
        for (_, until, before), (since, _, after) in pairwise(mine):
            assert until == since
            assert before != after


@law(trees())
def test_spans_on_the_path_have_their_parents_there_and_do_not_overlap(spans):  # I4
    parent, *rest = arrays(spans)
    rows = walk(parent, *rest)
    low, high, _ = rows.windows
    on = np.flatnonzero(rows.on_path & (parent >= 0))
    assert rows.on_path[parent[on]].all()
    for above in np.unique(parent[on]):
        kids = sorted((low[kid], high[kid]) for kid in on[parent[on] == above])
        assert all(first[1] <= second[0] for first, second in pairwise(kids))


@law(trees(), st.integers(-(10**6), 10**9), st.integers(2, 7))
def test_shifting_and_scaling_all_times(spans, shift, factor):  # I7, I8
    parent, start, end, awaited = arrays(spans)
    own = walk(parent, start, end, awaited).own_ns
    assert (walk(parent, start + shift, end + shift, awaited).own_ns == own).all()
    base = start.min()
    scaled = walk(parent, (start - base) * factor, (end - base) * factor, awaited).own_ns
    assert (scaled == own * factor).all()


@law(trees(), st.data())
def test_the_order_of_rows_decides_between_equals_only(spans, data):  # I7
    times = [(span["parent"], span["start"], span["end"]) for span in spans]
    order = data.draw(st.permutations(range(len(spans))))
    own, moved = walk(*arrays(spans)), walk(*arrays(shuffled(spans, order)))
    assert own.own_ns.sum() == moved.own_ns.sum()
    ends = {(span["parent"], *window) for span, window in zip(spans, _windows(own), strict=True)}
    if len(ends) == len(times):  # no two siblings with the same window
        assert (own.own_ns[list(order)] == moved.own_ns).all()


def _windows(rows):
    return zip(rows.windows.start.tolist(), rows.windows.end.tolist(), strict=True)


@law(trees(), st.data())
def test_unawaited_spans_change_nothing(spans, data):  # I7
    own = walk(*arrays(spans)).own_ns
    at = data.draw(st.integers(0, len(spans) - 1))
    moment = data.draw(st.integers(spans[at]["start"], spans[at]["end"]))
    instant = {"parent": at, "start": moment, "end": moment, "awaited": True}
    background = {"parent": at, "start": spans[at]["start"], "end": spans[at]["end"] + 5, "awaited": False}
    grown = walk(*arrays([*spans, instant, background])).own_ns
    assert grown[:-2].tolist() == own.tolist()
    assert grown[-2:].tolist() == [0, 0]


@law(trees(), st.data())
def test_more_detail_off_the_path_changes_nothing(spans, data):  # I9
    rows = walk(*arrays(spans))
    aside = [at for at in range(len(spans)) if rows.windows.inside[at] and not rows.on_path[at]]
    if not aside:
        return
    at = data.draw(st.sampled_from(aside))
    child = {"parent": at, "start": spans[at]["start"], "end": spans[at]["end"], "awaited": True}
    assert walk(*arrays([*spans, child])).own_ns[:-1].tolist() == rows.own_ns.tolist()


def test_times_beyond_the_exact_range_of_doubles_are_exact():  # I10
    start = np.array([EPOCH, EPOCH + 1, EPOCH + 3])
    rows = walk(np.array([-1, 0, 0]), start, np.array([EPOCH + 10, EPOCH + 3, EPOCH + 9]), np.ones(3, bool))
    assert rows.own_ns.tolist() == [2, 2, 6]


@law(trees())
def test_windows_too_long_for_one_axis_go_by_rank(spans):
    parent, start, end, awaited = arrays(spans)
    far = 2**61
    rows = walk(
        np.concatenate((parent, [-1, -1, -1])),
        np.concatenate((start, [0, 0, 0])),
        np.concatenate((end, [far, far, far])),
        np.concatenate((awaited, [True, True, True])),
    )
    assert rows.own_ns[:-3].tolist() == walk(parent, start, end, awaited).own_ns.tolist()
    assert rows.own_ns[-3:].tolist() == [far] * 3


@pytest.mark.parametrize(
    ("parent", "start", "end", "own"),
    [
        (np.arange(100_000) - 1, np.arange(100_000), 300_000 - np.arange(100_000), 2),
        (np.minimum(np.arange(100_001), 1) - 1, np.arange(100_001) * 10 - 5, np.arange(100_001) * 10 + 5, 10),
    ],
    ids=["chain", "siblings"],
)
def test_a_hundred_thousand_in_a_chain_or_parallel(parent, start, end, own):
    start[0], end[0] = 0, end.max()
    rows = walk(parent, start, end, np.ones(len(parent), bool))
    assert rows.on_path.all()
    assert rows.own_ns.sum() == end[0]
    assert rows.own_ns[5] == own


def test_a_chain_that_is_clipped_all_the_way_down():
    count = 5_000
    start, end = np.arange(count), np.full(count, 20_000) + np.arange(count)
    rows = walk(np.arange(count) - 1, start, end, np.ones(count, bool))
    assert rows.windows.end.tolist() == [20_000] * count
    assert rows.own_ns[:-1].tolist() == [1] * (count - 1)
