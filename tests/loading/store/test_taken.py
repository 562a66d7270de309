"""Chosen traces of a part: the same columns as of the set in memory, of which only those in use are read."""

import dataclasses

import numpy as np
import pytest

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.columns import Columns
from tracekit.ragged import Ragged

TABLES = ("spans", "events", "links")
ATTRIBUTES = ("attributes", "event_attributes", "link_attributes", "resource_attributes", "scope_attributes")


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    traces = tk.load_sample("checkout-regression")[1].head(90)
    return split(traces, tmp_path_factory.mktemp("stores") / "a.parquet", 2).part(0)


def test_columns_of_chosen_traces_are_those_in_memory(part):
    rows = np.flatnonzero((np.arange(len(part)) % 3 != 1)[part.forest.trace])
    found, expected = part.columns.take(rows), Columns.take(part.columns, rows)
    for name in ATTRIBUTES:
        own, one = getattr(found, name), getattr(expected, name)
        pairs = [sorted(zip(*(values.tolist() for values in each.pairs()), strict=True)) for each in (own, one)]
        assert pairs[0] == pairs[1]
        number = np.arange(len(one)) * 10
        spread = [sorted(zip(*(values.tolist() for values in each.spread(number)), strict=True)) for each in (own, one)]
        assert spread[0] == spread[1] == [(row * 10, code) for row, code in pairs[0]]
        assert len(own) == len(one)
        assert (own.offsets.tolist(), own.codes.tolist()) == (one.offsets.tolist(), one.codes.tolist())
    for name in TABLES:
        own, one = getattr(found, name), getattr(expected, name)
        for column in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(own, column.name), getattr(one, column.name))
        assert len(own) or not len(getattr(part.columns, name))
    assert len(found.events)
    assert (found.kv is part.columns.kv, found.names) == (True, part.columns.names)


def test_only_columns_in_use_are_read_of_chosen_traces(part, monkeypatch):
    monkeypatch.setattr(Ragged, "take", lambda *_: pytest.fail("expected no attributes in rows"))
    chosen = part.where("depth == 0 and operation == 'POST /checkout'")
    assert 0 < len(chosen) < len(part)
    assert (chosen.attribute("http.route").dropna() == "/checkout").any()
    with pytest.raises(AttributeError):
        chosen.columns.spans.__class__.byte_offset.__get__(chosen.columns.spans)


def test_chosen_traces_of_chosen_traces(part):
    first = part.where("depth == 0 and duration_ns > 5e7")
    again = first.where("is_error")
    assert again.trace_ids == part.where("is_error").where("depth == 0 and duration_ns > 5e7").trace_ids
    assert len(again.columns.spans) == len(again.columns.attributes)
