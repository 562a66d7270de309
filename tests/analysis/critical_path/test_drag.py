"""Drag of every span at once, against running each request again for each span by itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from critical_path_oracle import rerun
from drawn_spans import draw
from hypothesis import given
from hypothesis import strategies as st

from tracekit.analysis.critical_path.compute import _walked, critical_path
from tracekit.analysis.critical_path.drag import _lowest_over
from tracekit.traces import TraceSet


@st.composite
def trees(draw):
    """One tree of spans within their parents; small times, so that ties and touching siblings are common."""
    reach = draw(st.sampled_from([6, 20, 1000]))
    deep = draw(st.booleans())
    spans = [{"parent": None, "start": 0, "end": reach, "awaited": True}]
    for at in range(1, draw(st.integers(1, 14))):
        start = draw(st.integers(0, reach))
        spans.append(
            {
                "parent": draw(st.integers(max(0, at - 3) if deep else 0, at - 1)),
                "start": start,
                "end": start + draw(st.integers(0, reach)),
                "awaited": True,
            }
        )
    return spans


def traced(spans):
    """Return the tree as traces, and the row of every span."""
    frame = pd.DataFrame(
        {
            "trace_id": "a1",
            "span_id": [f"{at + 1:x}" for at in range(len(spans))],
            "parent_span_id": [None if span["parent"] is None else f"{span['parent'] + 1:x}" for span in spans],
            "name": "x",
            "service_name": [f"s{at}" for at in range(len(spans))],
            "start_ns": [span["start"] for span in spans],
            "end_ns": [span["end"] for span in spans],
        }
    )
    traces = TraceSet.from_spans(frame)
    return traces, np.argsort([int(span_id, 16) for span_id in traces.spans["span_id"]])


@given(trees())
def test_drag_is_what_a_span_without_own_time_saves(spans):
    traces, row = traced(spans)
    found = critical_path(traces, overflow="clip", skew="off").drag().to_numpy(dtype=float, na_value=0)[row]
    now = rerun(spans, [1] * len(spans))[0]
    saved = [now - rerun(spans, [int(at != span) for at in range(len(spans))])[0] for span in range(len(spans))]
    assert found.tolist() == saved


@given(trees(), st.data())
def test_drag_is_that_of_what_if_also_where_order_is_no_cause_or_ties_are_strict(spans, data):
    traces, _ = traced(spans)
    path = critical_path(traces, overflow="clip", skew="off", touching=data.draw(st.booleans()))
    excluded = np.array([data.draw(st.integers(0, 3)) == 0 for _ in spans])
    path = walked_again(path, excluded)
    found = path.drag()
    for at in np.flatnonzero(found.notna()):
        factor = np.ones(len(spans))
        factor[at] = 0
        assert found[at] == path.latency_ns[0] - path.rerun.latency(factor)[0]


def walked_again(path, excluded):
    """Return the path with some hops left out."""
    tree = replace(path.tree, excluded=excluded)
    own, total, on_path = _walked(path.source, tree, touching=path.is_touching)
    return replace(path, tree=tree, own_ns=own, total_ns=total, on_path=on_path)


@given(trees())
def test_drag_is_at_most_the_time_on_the_path(spans):
    path = critical_path(traced(spans)[0], overflow="clip", skew="off")
    found = path.drag()
    assert (found.fillna(0) <= path.own_ns).all()
    assert (found[path.slack().fillna(1) > 0].fillna(0) == 0).all()


def test_drag_by_hand():
    """The ledger drags until the cart is waited for; what it calls drags no further than that either."""
    path = critical_path(
        draw(
            """
            a1 1 - shop   INTERNAL 0 100
            a1 2 1 shop   INTERNAL 10 40  name=lock
            a1 3 1 shop   INTERNAL 30 90  name=charge
            a1 4 3 shop   INTERNAL 32 88  name=query
            """
        )
    )
    assert path.own_ns.tolist() == [40, 0, 4, 56]
    assert path.drag().tolist() == [40, 0, 4, 50]


def test_unawaited_spans_have_no_drag():
    path = critical_path(
        draw(
            """
            a1 1 - shop SERVER   0 100000
            a1 2 1 shop INTERNAL 50 200000
            """
        )
    )
    assert path.drag().isna().tolist() == [False, True]
    assert path.drag().name == "drag_ns"


@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_the_lowest_value_over_ranges(count):
    rng = np.random.default_rng(count)
    first, last = np.sort(rng.integers(0, count + 1, (2, 60)), axis=0)
    value = rng.integers(0, 1000, 60)
    far = np.iinfo(np.int64).max
    plain = [min([*value[(first <= at) & (at < last)], far]) for at in range(count)]
    assert _lowest_over(first, last, value, count).tolist() == plain
    assert _lowest_over(first[:0], last[:0], value[:0], count).tolist() == [far] * count
