"""Sets cut down to size and put together again."""

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from made_sets import assert_identical, assert_same_meaning, sets

from tracekit import TraceSet
from tracekit.loading.building.merge import compact, merge

per_example = settings(max_examples=8, deadline=None)


def pools(columns):
    return {
        "names": len(columns.names),
        "texts": len(columns.texts),
        "kv": len(columns.kv),
        "resources": len(columns.resources),
        "scopes": len(columns.scopes),
    }


@per_example
@given(sets(), st.data())
def test_compact_drops_what_is_not_used_and_nothing_else(traces, data):
    chosen = data.draw(st.lists(st.booleans(), min_size=len(traces), max_size=len(traces)))
    part = TraceSet(traces.columns.take(np.flatnonzero(np.array(chosen, bool)[traces.forest.trace])))
    found = compact(part.columns)
    assert_same_meaning(TraceSet(found), part)
    assert pools(compact(found)) == pools(found)
    assert set(np.unique(found.spans.name)) == set(range(len(found.names)))
    assert set(np.unique(found.spans.resource)) == set(range(len(found.resources)))


@per_example
@given(sets(), st.integers(1, 4))
def test_a_set_cut_into_traces_and_merged_is_the_set(traces, pieces):
    own = [traces.columns.take(np.flatnonzero(traces.forest.trace % pieces == piece)) for piece in range(pieces)]
    merged = merge([compact(piece) for piece in own])
    spans = merged.spans
    merged = merged.take_in_order(np.lexsort((spans.trace_lo, spans.trace_hi)))
    assert_same_meaning(TraceSet(merged, weights=traces.weights), traces)


@per_example
@given(sets())
def test_a_set_merged_with_itself_needs_no_more_tables(traces):
    columns = compact(traces.columns)
    both = merge([columns, columns])
    assert pools(both) == pools(columns)
    first = both.take(np.arange(len(columns.spans)))
    assert_identical(TraceSet(first), TraceSet(columns), views=())
    second = both.take(np.arange(len(columns.spans), 2 * len(columns.spans)))
    assert_identical(TraceSet(second), TraceSet(columns), views=())


def test_the_list_of_parts_is_emptied():
    frame = pd.DataFrame({"trace_id": "1", "span_id": "1", "name": ["x"], "start_ns": 1, "end_ns": 2})
    columns = TraceSet.from_spans(frame).columns
    for parts in ([columns], [columns, replace(columns, notes={"a": "b"})]):
        merge(parts)
        assert parts == []
