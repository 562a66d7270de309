"""The builder: what loaders hand over is what comes out, in order, in pieces or at once."""

import numpy as np
import pytest

from tracekit.errors import LoadError
from tracekit.loading.building import builder as module
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import Quality

AT = Position(3, 33)
SPAN = {"at": AT, "trace_id": 1, "span_id": 2, "name": "x", "start_ns": 5, "end_ns": 9, "resource": 0}


def begun(**arguments):
    builder = Builder(**arguments)
    builder.open_source("made")
    builder.resource([])
    return builder


def test_a_span_keeps_every_member():
    builder = begun()
    builder.span(
        **SPAN
        | {
            "trace_id": 2**127 + 7,
            "span_id": 2**64 - 1,
            "parent_id": 2**63,
            "kind": 5,
            "status_code": 2,
            "status_message": "m",
            "trace_state": "s",
            "flags": 2**32 - 1,
            "record_kind": 4,
            "resolution_ns": 240,
            "scope": builder.scope("lib"),
            "dropped_attributes": 2**32 - 1,
            "dropped_events": 1,
            "dropped_links": 2,
            "quality": int(Quality.SHARED),
        }
    )
    spans = builder.take_columns().spans
    texts = builder.texts.list()
    assert [int(spans.trace_hi[0]), int(spans.trace_lo[0])] == [2**63, 7]
    assert [int(spans.span_id[0]), int(spans.parent_id[0])] == [2**64 - 1, 2**63]
    assert [texts[spans.status_message[0]], texts[spans.trace_state[0]]] == ["m", "s"]
    numbers = [spans.kind, spans.status_code, spans.flags, spans.record_kind, spans.resolution_ns, spans.scope]
    assert [int(column[0]) for column in numbers] == [5, 2, 2**32 - 1, 4, 240, 0]
    dropped = [spans.dropped_attributes, spans.dropped_events, spans.dropped_links]
    assert [int(column[0]) for column in dropped] == [2**32 - 1, 1, 2]
    assert [int(spans.record_number[0]), int(spans.byte_offset[0]), int(spans.source[0])] == [3, 33, 0]
    assert spans.quality[0] == Quality.SHARED


def test_a_missing_time_is_marked_and_not_zero():
    builder = begun()
    builder.span(**SPAN | {"start_ns": None})
    builder.span(**SPAN | {"end_ns": None})
    assert builder.take_columns().spans.quality.tolist() == [Quality.NO_START, Quality.NO_END]


@pytest.mark.parametrize(
    "times", [(2**63, 5), (5, 2**63), (-(2**63) - 1, 5), (10**4000, 5), (-1, 2**63 - 1), (2**63 - 1, -2)]
)
def test_a_time_or_duration_beyond_64_bits_costs_the_span_and_is_counted(times):
    builder = begun()
    builder.span(**SPAN | {"start_ns": times[0], "end_ns": times[1]})
    ledger = builder.ledger
    assert (ledger.seen, ledger.accepted, ledger.quarantined) == (1, 0, 1)
    [issue] = ledger.issues
    assert issue.code == "TIME_UNIT"
    assert (issue.record_number, issue.trace_id, issue.span_id) == (3, f"{1:032x}", f"{2:016x}")
    assert len(issue.message) < 300
    with pytest.raises(
        LoadError, match=r"TIME_UNIT made:3 .*expected times and a duration of nanoseconds within 64 bits"
    ):
        begun(strict=True).span(**SPAN | {"start_ns": times[0], "end_ns": times[1]})


def test_the_extremes_of_64_bits_are_taken():
    builder = begun()
    times = [[0, 2**63 - 1], [-(2**63), -1], [-1, 2**63 - 2], [2**63 - 1, 0], [0, -(2**63)]]
    for start, end in times:
        builder.span(**SPAN | {"start_ns": start, "end_ns": end})
    spans = builder.take_columns().spans
    assert np.stack((spans.start_ns, spans.end_ns), axis=1).tolist() == times
    assert (spans.end_ns - spans.start_ns).tolist() == [end - start for start, end in times]


def test_an_event_beyond_64_bits_loses_its_time_and_nothing_else():
    builder = begun()
    builder.span(**SPAN, events=[Event(10**30, "late"), Event(5, "fine"), Event(-(2**70), "early")])
    columns = builder.take_columns()
    assert columns.events.time_ns.tolist() == [0, 5, 0]
    assert [issue.code for issue in builder.ledger.issues] == ["TIME_UNIT"] * 2
    assert {issue.severity for issue in builder.ledger.issues} == {"warn"}
    assert builder.ledger.accepted == 1


def test_equal_resources_and_scopes_are_one_whatever_the_order_of_their_attributes():
    builder = begun()
    a, b = builder.kv("a", 1), builder.kv("b", 2)
    assert builder.resource([a, b]) == builder.resource([b, a])
    assert len({builder.resource([a]), builder.resource([a], "url"), builder.resource([a], "", 1)}) == 3
    assert builder.scope("n", "1", [a, b]) == builder.scope("n", "1", [b, a])
    assert len({builder.scope("n"), builder.scope("n", "1"), builder.scope("n", "", [a]), builder.scope("")}) == 4
    resources, attributes = builder.resource_tables()
    assert len(resources) == len(attributes) == 5
    scopes, _ = builder.scope_tables()
    texts = builder.texts.list()
    assert texts[scopes.name[0]] == "n"


def test_attributes_keep_the_order_of_their_first_occurrence():
    builder = begun()
    late, early = builder.kv("z", 1), builder.kv("a", 2)
    builder.resource([early, late])
    builder.resource([late, early])
    builder.scope("lib", attributes=[early, late])
    assert builder.resource_tables()[1].of(1).tolist() == [early, late]
    assert builder.scope_tables()[1].of(len(builder.scope_tables()[0].name) - 1).tolist() == [early, late]


def test_a_resource_named_after_its_spans_is_theirs():
    builder = begun()
    later, never = builder.provisional_resource(), builder.provisional_resource()
    scope = builder.provisional_scope()
    builder.span(**SPAN | {"resource": later, "scope": scope})
    builder.span(**SPAN | {"resource": never, "span_id": 3})
    shop = builder.resource([builder.kv("service.name", "shop")])
    builder.finalise(later, shop)
    builder.finalise_scope(scope, builder.scope("lib"))
    traces = to_trace_set(builder)
    assert traces.spans["service_name"].tolist() == ["shop", "unknown_service"]
    assert traces.scopes.loc[traces.spans["scope_id"].iloc[0], "name"] == "lib"


def spans_in(builder, count):
    for number in range(count):
        builder.span(
            **SPAN | {"span_id": number + 1, "start_ns": number},
            attributes=[builder.kv("n", number % 3)] * (number % 3),
            events=[Event(number, f"e{number}")] * (number % 2),
            links=[Link(1, number + 1)] * (number % 4),
        )


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_batches_of_any_size_give_the_same(monkeypatch, size):
    whole = begun()
    spans_in(whole, 20)
    monkeypatch.setattr(module, "ROWS_PER_BATCH", size)
    pieces = begun()
    spans_in(pieces, 20)
    one, other = whole.take_columns(), pieces.take_columns()
    assert (one.spans.span_id == other.spans.span_id).all()
    for name in ("attributes", "event_attributes", "link_attributes"):
        assert (getattr(one, name).offsets == getattr(other, name).offsets).all()
        assert (getattr(one, name).codes == getattr(other, name).codes).all()
    assert (one.events.span_row == other.events.span_row).all()
    assert (one.links.span_row == other.links.span_row).all()
    assert len(one.links) == sum(n % 4 for n in range(20))


def test_taking_empties_the_builder_which_can_continue():
    builder = begun()
    spans_in(builder, 3)
    assert builder.take_columns().spans.span_id.tolist() == [1, 2, 3]
    assert len(builder.take_columns().spans) == 0
    spans_in(builder, 2)
    assert builder.take_columns().spans.span_id.tolist() == [1, 2]
    assert builder.span_count == builder.ledger.seen == 5


def test_spans_belong_to_the_source_that_is_open():
    builder = begun()
    builder.span(**SPAN)
    builder.open_source("second")
    builder.span(**SPAN | {"span_id": 7})
    assert builder.take_columns().spans.source.tolist() == [0, 1]
    assert [ledger.seen for ledger in builder.ledgers] == [1, 1]


def test_facts_of_a_trace_are_the_longest_and_the_worst():
    builder = begun()
    builder.fact(2**64 + 5, reported_duration_ns=7)
    builder.fact(2**64 + 5, reported_duration_ns=3, limit_exceeded=True)
    builder.fact(4)
    facts = builder.trace_facts()
    assert list(zip(facts.trace_hi.tolist(), facts.trace_lo.tolist(), strict=True)) == [(0, 4), (1, 5)]
    assert facts.reported_duration_ns.tolist() == [-1, 7]
    assert facts.limit_exceeded.tolist() == [False, True]


def test_nothing_is_empty_columns_of_the_right_types():
    batch = begun().take_columns()
    assert (len(batch.spans), len(batch.events), len(batch.links), len(batch.attributes)) == (0, 0, 0, 0)
    assert batch.spans.trace_hi.dtype == np.uint64
    assert batch.spans.start_ns.dtype == np.int64
