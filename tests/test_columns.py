"""Columns: rows taken, attributes following their rows, against plain Python."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit import TraceSet
from tracekit.columns import KeyValues, Ragged, ScopeColumns, take, trace_starts
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set

LISTS = st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=30)


def ragged(lists):
    counts = np.array([len(codes) for codes in lists], np.int64)
    return Ragged.from_counts(counts, np.array([code for codes in lists for code in codes], np.int32))


def lists_of(table):
    return [table.of(row).tolist() for row in range(len(table))]


@given(LISTS, st.data())
def test_a_ragged_table_is_a_list_of_lists(lists, data):
    table = ragged(lists)
    assert len(table) == len(lists)
    assert lists_of(table) == lists
    assert table.counts.tolist() == list(map(len, lists))
    assert table.owners().tolist() == [row for row, codes in enumerate(lists) for _ in codes]
    rows = np.array(data.draw(st.lists(st.integers(0, len(lists) - 1)) if lists else st.just([])), np.int64)
    assert lists_of(table.take(rows)) == [lists[row] for row in rows]
    assert table.codes[table.positions(rows)].tolist() == [code for row in rows for code in lists[row]]
    values, codes = table.spread(np.arange(len(lists)) * 10)
    assert list(zip(values.tolist(), codes.tolist(), strict=True)) == [(row * 10, code) for row, own in enumerate(lists)
                                                                       for code in own]  # fmt: skip


@given(LISTS.filter(any), st.data())
def test_adjacent_codes_have_their_rows(lists, data):
    table = ragged(lists)
    low = data.draw(st.integers(0, len(table.codes) - 1))
    high = data.draw(st.integers(low + 1, len(table.codes)))
    assert table.owners_between(slice(low, high)).tolist() == table.owners()[low:high].tolist()


def test_an_empty_ragged_table_has_rows_without_attributes():
    assert lists_of(Ragged.empty(3)) == [[], [], []]
    assert len(Ragged.empty()) == 0


def test_more_rows_than_one_step_are_taken(monkeypatch):
    monkeypatch.setattr("tracekit.columns._STEP", 3)
    lists = [[n] * (n % 4) for n in range(20)]
    rows = np.array([19, 3, 3, 0, 7, 11, 2, 18, 1, 5])
    assert lists_of(ragged(lists).take(rows)) == [lists[row] for row in rows]


def test_take_keeps_every_column_of_a_table():
    scopes = ScopeColumns(np.array([1, 2]), np.array([3, 4]), np.array([5, 6]), np.array([7, 8]))
    taken = take(scopes, np.array([1, 0, 1]))
    assert [taken.name.tolist(), taken.dropped_attributes.tolist()] == [[2, 1, 2], [8, 7, 8]]
    assert take(scopes, slice(0, 1)).version.tolist() == [3]


def test_codes_of_a_key():
    kv = KeyValues(
        ["a", "b"],
        np.array([0, 1, 0]),
        *(np.zeros(3),) * 5,
        np.zeros(3),
        [],
        np.zeros(3, bool),
    )
    assert kv.codes_of("a").tolist() == [0, 2]
    assert kv.codes_of("c").tolist() == []
    assert len(kv) == 3


def told(columns):
    """Every span with what belongs to it, as plain Python."""
    events = [
        (int(columns.events.span_row[i]), columns.texts[columns.events.name[i]]) for i in range(len(columns.events))
    ]
    links = [(int(columns.links.span_row[i]), int(columns.links.span_id[i])) for i in range(len(columns.links))]
    return [
        (
            int(columns.spans.span_id[row]),
            columns.attributes.of(row).tolist(),
            [(name, columns.event_attributes.of(i).tolist()) for i, (owner, name) in enumerate(events) if owner == row],
            [(to, columns.link_attributes.of(i).tolist()) for i, (owner, to) in enumerate(links) if owner == row],
        )
        for row in range(len(columns.spans))
    ]


@pytest.fixture(scope="module")
def traces():
    builder = Builder()
    builder.open_source("made")
    shop = builder.resource([builder.kv("service.name", "shop")])
    for number in range(1, 13):
        builder.span(
            at=Position(number, 0),
            trace_id=number % 4 + 1,
            span_id=number,
            name=f"n{number % 3}",
            start_ns=100 - number,
            end_ns=200,
            resource=shop,
            attributes=[builder.kv("n", n) for n in range(number % 3)],
            events=[Event(5, f"e{number}{n}", [builder.kv("of", number)]) for n in range(number % 4)],
            links=[Link(1, 1000 + number * 10 + n, attributes=[builder.kv("to", n)]) for n in range(number % 3)],
        )
    return to_trace_set(builder)


def test_spans_are_sorted_by_trace_then_start(traces):
    spans = traces.columns.spans
    order = list(zip(spans.trace_hi.tolist(), spans.trace_lo.tolist(), spans.start_ns.tolist(), strict=True))
    assert order == sorted(order)
    assert trace_starts(spans).tolist() == [0, 3, 6, 9, 12]


@pytest.mark.parametrize("rows", [[], [0], [1, 4, 11], list(range(12))])
def test_taking_rows_takes_their_events_links_and_attributes(traces, rows):
    everything = told(traces.columns)
    assert told(traces.columns.take(np.array(rows, np.int64))) == [everything[row] for row in rows]


def test_taking_rows_in_any_order_keeps_events_and_links_with_their_spans(traces):
    everything = told(traces.columns)
    rows = np.random.default_rng(0).permutation(12)
    taken = traces.columns.take_in_order(rows)
    assert told(taken) == [everything[row] for row in rows]
    assert (np.diff(taken.events.span_row) >= 0).all()
    assert (np.diff(taken.links.span_row) >= 0).all()


def test_trace_starts_of_nothing():
    empty = TraceSet.from_spans(pd.DataFrame(columns=["trace_id", "span_id", "name", "start_ns", "end_ns"]))
    assert trace_starts(empty.columns.spans).tolist() == [0]
