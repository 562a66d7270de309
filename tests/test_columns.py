"""Columns: rows taken, attributes following their rows, against plain Python."""

import numpy as np
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.columns import KeyValues, ScopeColumns, take, trace_starts
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set


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
