"""Personal data in a store: what is found in the whole, however the traces are split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, recording

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.loading.store.trace_store import TraceStore


def traces_of(count=90):
    """One span a trace: of every fifth user the name is in a key, and of all in free text; a key is an address."""
    at = np.arange(count)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{k + 1:032x}" for k in at],
            "span_id": [f"{k + 1:016x}" for k in at],
            "name": [f"GET /users/u{k % 9}@example.org" for k in at],
            "service_name": "shop",
            "start_ns": at * 10**6,
            "end_ns": at * 10**6 + 5,
            "status_message": [f"no cart of Mary{k % 7} Miller{k % 7}" for k in at],
            "attributes.user.full_name": [f"Mary{k % 7} Miller{k % 7}" if k % 5 == 0 else None for k in at],
            "attributes.mail.to.al@example.org": "x",
            "attributes.list": [["plain", f"jo{k % 3}@example.org"] for k in at],
            "resource.contact": "ed@example.org",
        }
    )
    return tk.TraceSet.from_spans(frame)


TRACES = traces_of()


def agree(found, expected):
    """Every field."""
    same(found.table, expected.table)
    same(found.by_kind, expected.by_kind)
    assert (found.scanned_count, repr(found)) == (expected.scanned_count, repr(expected))


@pytest.mark.parametrize("count", COUNTS)
def test_a_store_has_the_matches_of_the_whole(tmp_path, count):
    lines = pd.DataFrame({"message": ["paid by u1@example.org", "paid"]})
    found, expected = (tk.privacy(each, logs=lines) for each in (split(TRACES, tmp_path / "a.parquet", count), TRACES))
    agree(found, expected)
    places = expected.table.set_index(["kind", "where"])["use_count"]
    assert places["name", "status message"].sum() == len(TRACES)  # found by the key in other traces
    assert places["email", "attribute key"].sum() == 1  # one key, in however many parts


def test_planted_values_are_found_in_all_parts(tmp_path):
    traces = tk.read(recording(planted(3)), progress=False)
    agree(tk.privacy(split(traces, tmp_path / "a.parquet", 5)), tk.privacy(traces))


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("privacy")
    return [split(TRACES, folder / f"{seed}.parquet", 5, seed) for seed in range(3)]


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_neither_the_split_nor_the_order_of_the_parts_makes_a_difference(stores, data):
    store = data.draw(st.sampled_from(stores))
    order = tuple(data.draw(st.permutations(range(store.part_count))))
    agree(tk.privacy(TraceStore(store.path, store._marker, order, store._steps)), tk.privacy(TRACES))


def test_of_many_values_the_number_is_near(tmp_path):
    frame = TRACES.spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
    many = pd.concat([frame] * 100, ignore_index=True)
    ids = [f"{k + 1:016x}" for k in range(len(many))]
    mails = [f"user{k}@example.org" for k in range(len(many))]
    many = many.assign(trace_id=[f"{one:0>32}" for one in ids], span_id=ids, **{"attributes.mail": mails})
    traces = tk.TraceSet.from_spans(many)
    tables = [tk.privacy(each).table for each in (split(traces, tmp_path / "a.parquet", 4), traces)]
    found, expected = (table[table["key"] == "mail"].iloc[0] for table in tables)
    assert (found["use_count"], found["example"]) == (expected["use_count"], expected["example"])
    assert expected["value_count"] == len(many) == 9000
    assert found["value_count"] == pytest.approx(9000, rel=0.08)  # four standard errors
