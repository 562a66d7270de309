"""What goes round comes back: spans to a frame and back, and sources in any order."""

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_sets import sets, shop_lines

import tracekit as tk
from tracekit import TraceSet
from tracekit.loading import read
from tracekit.schema import Quality

EXPORTS = Path(__file__).parents[3] / "shared" / "data" / "exports"
PROVENANCE = ["source_id", "record_number", "byte_offset", "resource_id", "scope_id"]
OF_EVENTS = ["exception_message"]  # a frame of spans has no events
REFUSED = {"jaeger_es_search_hits.json", "index.md"}


def said(traces, *, without=()):
    """What spans say, in one order; a missing cell is None."""
    spans = traces.spans.astype(object)
    spans["parent"] = spans["parent_row"].map(spans["span_id"])
    spans = spans.drop(columns=[*PROVENANCE, "parent_row", *without]).where(spans.notna(), None)
    rows = sorted(zip(*(spans[column] for column in spans), strict=True), key=str)
    return pd.DataFrame(rows, columns=spans.columns, dtype=object)


def assert_comes_back(traces):
    again = TraceSet.from_spans(traces.spans)
    pd.testing.assert_frame_equal(said(again, without=OF_EVENTS), said(traces, without=OF_EVENTS))


def files():
    return sorted(path for path in EXPORTS.glob("*.json*") if path.name not in REFUSED)


needs_exports = pytest.mark.skipif(not EXPORTS.is_dir(), reason="the exports of other tools are not beside the project")


@pytest.mark.parametrize("name", ["checkout-xray", "tail-sampled"])
def test_recorded_spans_are_restored_from_their_frame(name):
    sample = tk.load_sample(name)
    traces = sample if isinstance(sample, TraceSet) else sample[0]
    assert_comes_back(traces.where(traces.forest.trace < 150))


@needs_exports
@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_exported_spans_are_restored_from_their_frame(path):
    assert_comes_back(read(path))


@settings(max_examples=15)
@given(sets())
def test_any_spans_are_restored_from_their_frame(traces):
    frame = traces.spans
    assume(
        not (traces.columns.spans.quality & np.uint32(Quality.SHARED)).any()
    )  # whose child it is depends on whole resources
    told = frame.drop(columns=[*PROVENANCE, "parent_row"]).astype(str)
    assume(not told.duplicated().any())  # equal rows are one span
    assert_comes_back(traces)


def assert_same_in_any_order(sources, order):
    one, other = read(sources), read([sources[at] for at in order])
    pd.testing.assert_frame_equal(said(other), said(one))
    columns = ["span_count", "accepted_count", "merged_count", "quarantined_count"]
    assert other.sources[columns].sum().tolist() == one.sources[columns].sum().tolist()
    keys = ["code", "severity", "action"]
    counted = [t.issues.groupby(keys, observed=True)["issue_count"].sum().to_dict() for t in (one, other)]
    assert counted[0] == counted[1]


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(5)))
def test_the_order_of_sources_changes_nothing(order):
    lines = [shop_lines(1, 2), shop_lines(3), shop_lines(2), shop_lines(4, 5, startTimeUnixNano="0"), shop_lines(3, 6)]
    assert_same_in_any_order(lines, order)


@needs_exports
def test_the_order_of_exported_files_changes_nothing():
    paths = files()
    order = list(range(len(paths)))
    random.Random(4).shuffle(order)
    assert_same_in_any_order(paths, order)


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 6))
def test_the_order_of_lines_and_where_a_source_ends_change_nothing(order, cut):
    lines = [line for numbers in pairwise(range(1, 8)) for line in shop_lines(*numbers).splitlines()[:1]]
    shuffled = [lines[at] + b"\n" for at in order]
    whole = read(b"".join(shuffled))
    pieces = [b"".join(piece) for piece in (shuffled[:cut], shuffled[cut:]) if piece]
    pd.testing.assert_frame_equal(said(read(b"".join(line + b"\n" for line in lines))), said(whole))
    pd.testing.assert_frame_equal(said(read(pieces)), said(whole))
