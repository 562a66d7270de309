"""Finish: copies merged and counted, units voted on, oddities marked; no span lost and no time touched."""

import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_made import counts, lines, request, span, text, told

from tracekit import forest
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.building import finish, time_units, trace_set
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.time_units import UnitVote
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import Quality, Relation

BASE = 1_750_000_000_000_000_000
DAY = 86_400 * 10**9


def made(*spans, sources=1, time_unit=None, threads=1, **arguments):
    """Traces of spans given as members that differ from those of an ordinary one."""
    builder = Builder(**arguments)
    for number in range(sources):
        builder.open_source(f"s{number}")
        for at, given_members in enumerate((s for s in spans if s.get("source", 0) == number), 1):
            members = {key: value for key, value in given_members.items() if key != "source"}
            attributes = [builder.kv(key, value) for key, value in members.pop("attributes", {}).items()]
            resource = builder.resource([builder.kv("service.name", members.pop("service", "shop"))])
            whole = {"trace_id": 1, "span_id": 1, "name": "x", "start_ns": BASE, "end_ns": BASE + 100}
            builder.span(at=Position(at, at * 10), resource=resource, attributes=attributes, **whole | members)
    return to_trace_set(builder, time_unit, threads)


def bits(traces):
    return [Quality(int(bits)) for bits in traces.spans["quality"]]


# ------------------------------------------------------------------ duplicates


def test_the_same_record_again_is_merged_and_counted():
    traces = made({}, {"span_id": 2}, {}, {})
    assert counts(traces) == (4, 2, 2, 0)
    assert traces.spans["record_number"].tolist() == [1, 2], "the first one stays"
    [issue] = told(traces, "DUP_IDENTICAL").itertuples()
    assert (issue.action, issue.issue_count, issue.severity) == ("merged", 2, "info")
    assert issue.message == (
        f"DUP_IDENTICAL s0:3 (byte 30) trace {1:032x} span {1:016x}: 2 spans: identical copy of another span, merged"
    )
    assert not any(Quality.DUPLICATE in q for q in bits(traces))


def test_copies_in_other_files_are_merged_there():
    traces = made({}, {"source": 1}, {"source": 1, "span_id": 5}, sources=2)
    assert counts(traces) == (3, 2, 1, 0)
    assert traces.sources["merged_count"].tolist() == [0, 1]
    assert told(traces, "DUP_IDENTICAL")["source_id"].tolist() == [1]


def test_attributes_in_another_order_are_the_same_record():
    traces = made({"attributes": {"a": 1, "b": "x"}}, {"attributes": {"b": "x", "a": 1}})
    assert counts(traces) == (2, 1, 1, 0)


DIFFERENT = [
    {"name": "y"},
    {"kind": 2},
    {"start_ns": BASE + 1},
    {"end_ns": BASE + 1},
    {"parent_id": 9},
    {"status_code": 2},
    {"status_message": "m"},
    {"trace_state": "s"},
    {"flags": 1},
    {"service": "other"},
    {"attributes": {"a": 1}},
    {"attributes": {"a": "1"}},
    {"events": [Event(5, "e")]},
    {"events": [Event(6, "e")]},
    {"links": [Link(7, 8)]},
    {"links": [Link(7, 8, Relation.FOLLOWS_FROM)]},
    {"dropped_events": 1},
    {"record_kind": 1},
]


def test_records_that_differ_in_anything_are_all_kept_and_marked():
    traces = made({}, *DIFFERENT)
    assert counts(traces) == (len(DIFFERENT) + 1, len(DIFFERENT) + 1, 0, 0)
    assert all(Quality.DUPLICATE in q for q in bits(traces))
    assert told(traces, "DUP_CONFLICT")["issue_count"].tolist() == [len(DIFFERENT) + 1]


def test_children_of_records_in_conflict_hang_below_the_first():
    traces = made({}, {"name": "y", "start_ns": BASE + 5}, {"span_id": 2, "parent_id": 1, "start_ns": BASE + 7})
    assert traces.spans["parent_row"].tolist() == [-1, -1, 0]
    assert traces.spans["parent_state"].iloc[2] == "duplicate"


def test_an_unfinished_record_gives_way_to_the_finished_one():
    unfinished = {"end_ns": None, "quality": int(Quality.IN_PROGRESS)}
    traces = made(unfinished, {}, unfinished)
    assert counts(traces) == (3, 1, 2, 0)
    assert traces.spans["end_ns"].tolist() == [BASE + 100]
    assert told(traces, "DUP_SUPERSEDED")["action"].tolist() == ["merged"]
    assert "DUP_CONFLICT" not in set(traces.issues["code"])


def test_an_unfinished_record_without_a_finished_one_stays():
    unfinished = {"end_ns": None, "quality": int(Quality.IN_PROGRESS)}
    traces = made(unfinished, unfinished, {"span_id": 2})
    assert counts(traces) == (3, 2, 1, 0)
    assert traces.spans["in_progress"].tolist() == [True, False]
    assert "TIME_MISSING_END" not in set(traces.issues["code"]), "it was not to be expected"


def test_the_two_halves_of_a_shared_span_are_no_conflict():
    traces = made({"kind": 3}, {"kind": 2, "quality": int(Quality.SHARED)}, {"kind": 2, "quality": int(Quality.SHARED)})
    assert counts(traces) == (3, 2, 1, 0)
    assert not any(Quality.DUPLICATE in q for q in bits(traces))
    assert traces.spans["parent_row"].tolist() == [-1, 0]


def test_equal_ids_in_other_traces_are_other_spans():
    assert counts(made({}, {"trace_id": 2}, {"trace_id": 2**64 + 1})) == (3, 3, 0, 0)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from("xy"), st.booleans()), max_size=25))
def test_any_copies_against_a_plain_loop(rows):
    """(trace, span, name, unfinished) records."""
    spans = [
        {"trace_id": t, "span_id": s, "name": n}
        | ({"end_ns": None, "quality": int(Quality.IN_PROGRESS)} if unfinished else {})
        for t, s, n, unfinished in rows
    ]
    finished = {(t, s) for t, s, _, unfinished in rows if not unfinished}
    distinct = dict.fromkeys(rows)
    kept = [row for row in distinct if not (row[3] and row[:2] in finished)]
    traces = made(*spans)
    assert counts(traces) == (len(rows), len(kept), len(rows) - len(kept), 0)
    ids = [row[:2] for row in kept]
    marked = sum(Quality.DUPLICATE in q for q in bits(traces))
    assert marked == sum(ids.count(one) > 1 for one in ids)
    issues = traces.issues.groupby("code", observed=True)["issue_count"].sum()
    assert issues.get("DUP_IDENTICAL", 0) + issues.get("DUP_SUPERSEDED", 0) == len(rows) - len(kept)


# ------------------------------------------------------------------ units


@pytest.mark.parametrize(("unit", "factor"), [("s", 10**9), ("ms", 10**6), ("us", 10**3)])
def test_times_in_another_unit_are_refused_with_the_option_that_helps(unit, factor):
    spans = [{"span_id": n, "start_ns": (BASE + n * 10**9) // factor, "end_ns": None} for n in (1, 2)]
    text = (
        rf"TIME_UNIT s0: expected nanoseconds since the epoch, found 2 start times that are plausible dates only in"
        rf" {unit}, e\.g\. \d+; nothing was converted; read it with time_unit='{unit}'"
    )
    with pytest.raises(LoadError, match=text) as caught:
        made(*spans)
    assert (caught.value.code, caught.value.source) == ("TIME_UNIT", "s0")
    assert made(*spans, time_unit=unit).spans["start_ns"].tolist() == [BASE + 10**9, BASE + 2 * 10**9]


def test_a_unit_that_is_named_scales_every_time():
    early = {
        "start_ns": BASE // 1000,
        "end_ns": BASE // 1000 + 5,
        "events": [Event(BASE // 1000 + 1, "e"), Event(None, "n")],
    }
    traces = made(early, time_unit="us")
    assert traces.spans[["start_ns", "end_ns", "time_resolution_ns"]].iloc[0].tolist() == [BASE, BASE + 5000, 1000]
    assert traces.events["time_ns"].tolist() == [BASE + 1000, pd.NA]
    same = made({"start_ns": 5, "end_ns": 9}, time_unit="ns")
    assert same.spans["start_ns"].tolist() == [5]


def test_a_unit_that_cannot_be_is_refused():
    text = (
        r"TIME_UNIT: expected times that fit 64 bits after multiplying by 1,000, found 0 to 1750000000000000\d{3};"
        " they look like nanoseconds \\(times of Jaeger, Zipkin and X-Ray are converted on reading\\): omit time_unit"
    )
    with pytest.raises(LoadError, match=text):
        made({}, time_unit="us")
    with pytest.raises(LoadError, match="by 1,000,000,000, found -9000000000 to 9000000000;"):
        made({"start_ns": -9 * 10**9, "end_ns": 9 * 10**9}, time_unit="s")  # each fits, their difference does not


def test_the_odd_ones_among_nanoseconds_are_left_out_and_counted():
    spans = [{"span_id": n} for n in range(1, 6)]
    traces = made(*spans, {"span_id": 6, "start_ns": BASE // 1000, "end_ns": None})
    assert counts(traces) == (6, 5, 0, 1)
    [issue] = told(traces, "TIME_UNIT").itertuples()
    assert (issue.action, issue.issue_count, issue.span_id) == ("quarantined", 1, f"{6:016x}")


def test_times_that_are_no_date_have_no_unit():
    traces = made({"start_ns": 0, "end_ns": 100}, {"span_id": 2, "start_ns": 17, "end_ns": 20})
    assert counts(traces) == (2, 2, 0, 0)
    assert "TIME_UNIT" not in set(traces.issues["code"])


def test_a_source_in_another_unit_loses_only_its_own_spans():
    wrong = [{"span_id": n, "source": 1, "start_ns": BASE // 1000, "end_ns": None} for n in (5, 6)]
    traces = made({}, *wrong, sources=2)
    assert counts(traces) == (3, 1, 0, 2)
    assert traces.sources["quarantined_count"].tolist() == [0, 2]
    assert traces.sources["complete"].tolist() == [True, False]
    assert "read it with time_unit='us'" in traces.sources["stop_reason"].iloc[1]
    assert told(traces, "TIME_UNIT")["source_id"].tolist() == [1]
    assert told(traces, "TIME_UNIT")["severity"].tolist() == ["error"]
    with pytest.raises(LoadError, match="TIME_UNIT s1"):
        made({}, *wrong, sources=2, strict=True)


# ------------------------------------------------------------------ oddities


@pytest.mark.parametrize(
    ("members", "bit", "code"),
    [
        ({"end_ns": BASE - 1}, Quality.DURATION_NEGATIVE, "DUR_NEGATIVE"),
        ({"end_ns": BASE}, Quality.DURATION_ZERO, "DUR_ZERO"),
        ({"end_ns": BASE + 31 * DAY}, Quality.DURATION_ABSURD, "DUR_ABSURD"),
        (
            {"start_ns": time.time_ns() + 2 * DAY, "end_ns": time.time_ns() + 2 * DAY + 5},
            Quality.TIME_FUTURE,
            "TIME_FUTURE",
        ),
        ({"start_ns": None}, Quality.NO_START, "TIME_ZERO"),
        ({"end_ns": None}, Quality.NO_END, "TIME_MISSING_END"),
    ],
)
def test_odd_times_are_kept_marked_and_reported(members, bit, code):
    traces = made(members, {"span_id": 2})
    [issue] = told(traces, code).itertuples()
    assert (issue.issue_count, issue.action) == (1, "accepted")
    odd = traces.spans["span_id"] == f"{1:016x}"
    assert [bit in q for q in bits(traces)] == odd.tolist()
    for name in ("start_ns", "end_ns"):
        wanted = {"start_ns": BASE, "end_ns": BASE + 100} | members
        found = traces.spans.loc[odd, name].iloc[0]
        assert (None if pd.isna(found) else found) == wanted[name], "never clipped"
    assert counts(traces) == (2, 2, 0, 0)


def test_a_negative_duration_is_negative_and_no_duration_to_count_with():
    traces = made({"end_ns": BASE - 50})
    assert traces.spans["duration_ns"].tolist() == [-50]
    assert traces.has_duration.tolist() == [False]


@pytest.mark.parametrize(
    ("child", "outside"),
    [
        ({"start_ns": BASE, "end_ns": BASE + 100}, False),
        ({"start_ns": BASE - 1, "end_ns": BASE + 50}, True),
        ({"start_ns": BASE + 5, "end_ns": BASE + 101}, True),
        ({"start_ns": BASE + 5, "end_ns": None}, False),
    ],
)
def test_a_child_outside_its_parent_is_marked_and_stays_where_it_was(child, outside):
    traces = made({}, {"span_id": 2, "parent_id": 1} | child)
    row = traces.spans[traces.spans["span_id"] == f"{2:016x}"].iloc[0]
    assert bool(row["quality"] & Quality.OUTSIDE_PARENT) == outside
    assert row["start_ns"] == child["start_ns"]
    assert len(told(traces, "CHILD_OUTSIDE_PARENT")) == outside


def test_the_shape_of_traces_is_reported_in_traces_and_spans():
    traces = made(
        {"span_id": 1},
        {"span_id": 2},
        {"span_id": 3, "parent_id": 99},
        {"trace_id": 2, "span_id": 4, "parent_id": 4},
        {"trace_id": 3, "span_id": 5, "parent_id": 6},
        {"trace_id": 3, "span_id": 6, "parent_id": 5},
        {"trace_id": 4, "span_id": 7},
        {"trace_id": 4, "span_id": 8},
    )
    messages = {row.code: row.message.split(": ", 1)[1] for row in traces.issues.itertuples()}
    assert messages == {
        "PARENT_MISSING": "1 span: missing parent (orphan span); read the files of all services together,"
        " or check where spans are dropped",
        "PARENT_SELF": "1 span: the parent id is the span's own id; fix the instrumentation that sets the parent",
        "PARENT_CYCLE": "2 spans: part of a cycle of parents; the earliest span becomes a root;"
        " fix the instrumentation that sets the parents",
        "MULTI_ROOT": "2 traces: more than one root span",
        "NO_ROOT": "2 traces: no root span; read the files of the service where the traces begin as well",
    }
    severities = dict(zip(traces.issues["code"], traces.issues["severity"], strict=True))
    assert severities["PARENT_CYCLE"] == severities["PARENT_SELF"] == "error"
    assert traces.summary["root_count"].tolist() == [2, 0, 0, 2]


def test_the_example_of_an_issue_has_its_position():
    traces = made({"span_id": 1}, {"span_id": 2, "end_ns": BASE - 5}, {"span_id": 3, "end_ns": BASE - 5})
    [issue] = told(traces, "DUR_NEGATIVE").itertuples()
    assert (issue.span_id, issue.issue_count) == (f"{2:016x}", 2)
    assert (issue.record_number, issue.byte_offset) == (2, 20)


def test_every_source_has_its_own_issues():
    negative = {"end_ns": BASE - 5}
    spans = [{"span_id": n, "source": source} | negative for n, source in ((1, 0), (2, 1), (3, 1))]
    issues = told(made(*spans, sources=2), "DUR_NEGATIVE")
    assert issues[["source_id", "issue_count"]].to_numpy().tolist() == [[0, 1], [1, 2]]


def test_strict_ends_at_the_first_error_of_the_shape_too():
    with pytest.raises(LoadError, match=r"PARENT_SELF s0:1 .* trace .* 1 span: the parent id is the span's own id"):
        made({"parent_id": 1}, strict=True)


def test_no_spans_are_a_set_too():
    traces = made()
    assert (len(traces), counts(traces)) == (0, (0, 0, 0, 0))


@settings(max_examples=40)
@given(st.permutations(range(8)))
def test_the_order_of_arrival_changes_nothing_but_provenance(order):
    spans = [
        {"trace_id": n % 3 + 1, "span_id": n + 1, "parent_id": n // 2, "start_ns": BASE + n % 4, "name": f"n{n % 2}"}
        for n in range(8)
    ]
    one, other = made(*spans), made(*(spans[n] for n in order))
    for traces in (one, other):
        traces.by = traces.spans.sort_values(["trace_id", "start_ns", "span_id"])  # ties keep their order of arrival
    columns = ["trace_id", "span_id", "parent_span_id", "start_ns", "end_ns", "parent_state", "depth", "quality"]
    left, right = (traces.by[columns].astype(object).reset_index(drop=True) for traces in (one, other))
    pd.testing.assert_frame_equal(left, right)
    assert one.by["name"].tolist() == other.by["name"].tolist()


@pytest.mark.parametrize("more", [{"attributes": [text("k", "v")]}, {"events": [{"name": "e"}]}])
def test_the_first_attribute_and_the_first_event_tell_spans_apart(more):
    """Their codes are 0, which must not count like nothing."""
    traces = read(lines(request(span(**more), span(), resource=None)))
    assert counts(traces) == (2, 2, 0, 0)
    assert told(traces, "DUP_CONFLICT")["issue_count"].tolist() == [2]


def test_an_attribute_twice_is_not_another_attribute_once():
    values = [text("k", str(n)) for n in range(60)]
    copies = [
        span(traceId=f"{one + 1:032x}", spanId=f"{two + 1:016x}", attributes=attributes)
        for one in range(30)
        for two in range(60)
        for attributes in ([values[one], values[one]], [values[two]])
    ]
    traces = read(lines(request(span(attributes=values), *copies)))
    assert told(traces, "DUP_IDENTICAL")["issue_count"].sum() == 0
    assert len(traces.spans) == len(copies) + 1


# ------------------------------------------------------------------ many spans


def test_spans_that_are_all_dates_vote_as_others_do(monkeypatch):
    def vote(*pieces):
        made = UnitVote()
        for sources, starts in pieces:
            quality = np.where(np.array(starts) == 0, Quality.NO_START, 0).astype(np.uint32)
            columns = made_of(source=np.array(sources, np.int32), start_ns=np.array(starts), quality=quality)
            made.add(columns)
        return made._votes.tolist(), made._sources.tolist()

    dates = [0, 2, 2], [BASE, BASE + DAY, BASE]
    others = [1, 2], [BASE // 10**9, 0]
    found = vote(dates), vote(dates, others), vote(others, dates)
    assert found[0] == ([[0, 0, 0, 1, 0], [0] * 5, [0, 0, 0, 2, 0]], [True, False, True])
    monkeypatch.setattr(time_units, "_are_dates", lambda _: False)
    assert found == (vote(dates), vote(dates, others), vote(others, dates))


def made_of(**columns):
    """Columns of spans of which the others are not asked for."""

    class Spans(SimpleNamespace):
        def __len__(self):
            return len(self.start_ns)

    return Spans(**columns)


def test_irregularities_are_the_same_block_by_block_and_in_threads(monkeypatch):
    ends = (-5, 0, 100, 40 * DAY, 150)
    spans = [
        {"trace_id": trace, "span_id": 1 + n, "parent_id": n, "end_ns": BASE + ends[(n + trace) % 5], "start_ns": start}
        for trace in range(1, 6)
        for n in range(5)
        for start in [None if (n, trace) == (3, 2) else BASE + (n + trace == 9) * 900 * DAY + n]
    ]
    whole = made(*spans)
    monkeypatch.setattr(trace_set, "blocks", partial(forest.blocks, size=3))
    monkeypatch.setattr(finish, "_WORTH", 0)
    for threads in (1, 3):
        parts = made(*spans, threads=threads)
        assert parts.spans.equals(whole.spans)
        assert parts.issues.equals(whole.issues)
    assert {"DUR_NEGATIVE", "DUR_ZERO", "DUR_ABSURD", "TIME_ZERO", "CHILD_OUTSIDE_PARENT"} <= set(whole.issues["code"])
