"""What is left to do when all spans are read: the extension and numpy do the same."""

from dataclasses import fields, replace
from functools import partial
from itertools import chain, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit import forest
from tracekit.loading import native
from tracekit.loading.building import finish
from tracekit.parents import _look_up
from tracekit.ragged import Ragged

compiled_only = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
few = st.integers(0, 3)
rows = st.lists(st.tuples(few, few, st.integers(-2, 2), st.integers(0, 1), few, few, few), max_size=60)


def spans_of(found):
    """Spans with ids, times and records from small ranges, so that many are equal."""
    hi, lo, start, source, record, own, parent = np.array(found, np.int64).reshape(-1, 7).T
    hi, lo, own, parent = (one.astype(np.uint64) + np.uint64(2**63 - 2) for one in (hi, lo, own, parent))
    ids = {"trace_hi": hi, "trace_lo": lo, "span_id": own, "parent_id": parent}

    class Spans(SimpleNamespace):
        def __len__(self):
            return len(self.start_ns)

    return Spans(
        **ids,
        start_ns=start,
        source=source.astype(np.int32),
        record_number=record,
    )


@compiled_only
@given(rows)
def test_the_order_is_that_of_a_sort_by_all_keys(found):
    spans = spans_of(found)
    keys = list(zip(*(one.tolist() for one in vars(spans).values()), range(len(spans)), strict=True))
    names = [*vars(spans), "row"]
    told = ["trace_hi", "trace_lo", "start_ns", "row"]
    if any(b[6] < a[6] and b[5] == a[5] for a, b in pairwise(keys)):  # a record before an earlier one
        told = ["trace_hi", "trace_lo", "start_ns", "source", "record_number", "row"]
    want = sorted(range(len(keys)), key=lambda row: [keys[row][names.index(name)] for name in told])
    with pytest.MonkeyPatch.context() as patched:
        for lane in native.LANES:
            patched.setenv(native.SWITCH, lane)
            assert finish.order(spans).tolist() == want


@compiled_only
def test_a_long_column_of_many_traces_is_sorted():
    source = np.random.default_rng(5)
    count = 50_000
    spans = spans_of(source.integers(0, [3, 5000, 9, 1, 1, 1, 1], (count, 7)))
    spans.trace_lo *= np.uint64(0x9E3779B97F4A7C15)
    assert np.array_equal(finish.order(spans), np.lexsort((spans.start_ns, spans.trace_lo, spans.trace_hi)))


@compiled_only
@given(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=20), st.randoms())
def test_lists_are_taken_as_by_numpy(lists, random):
    table = Ragged.from_counts(np.array(list(map(len, lists)), np.int64), np.array(list(chain(*lists)), np.int32))
    order = np.array(random.sample(range(len(lists)), len(lists)), np.int64)
    made, want = finish._lists(table, order)(), table.take(order)
    assert np.array_equal(made.offsets, want.offsets)
    assert np.array_equal(made.codes, want.codes)
    assert made.codes.dtype == want.codes.dtype


@compiled_only
@given(rows)
def test_parents_and_ids_that_come_twice_are_found_as_by_pandas(found):
    spans = spans_of(sorted(found))
    trace = np.cumsum(np.diff(spans.trace_hi * np.uint64(9) + spans.trace_lo, prepend=np.uint64(0)) != 0)
    trace = trace.astype(np.int32)
    number = trace.astype(np.uint64)
    want, several = _look_up(spans.span_id, spans.parent_id, number, number << np.uint64(40))
    look_up = finish.look_up()
    got, twice = look_up(spans.span_id, spans.parent_id, trace)
    assert got.tolist() == want.tolist()
    assert twice[got >= 0].tolist() == several[got >= 0].tolist()
    pairs = list(zip(trace.tolist(), spans.span_id.tolist(), strict=True))
    assert finish.may_have_copies(spans) is (len(set(pairs)) < len(pairs))


@compiled_only
@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("order", ([1], [1, 2], [1], [], [], [0])),
        ("order", ([1], [1], [1], [1], [], [0])),
        ("copy_lists", ([0, 1], [], [0], [0, 0], [0])),
        ("copy_lists", ([0, 1], [4], [1], [0, 0], [0])),
        ("copy_lists", ([0, 1], [4], [-1], [0, 0], [0])),
        ("copy_lists", ([0, -1], [4], [0], [0, 0], [0])),
        ("copy_lists", ([0, 1], [4], [0, 0], [0, 0, 0], [])),
        ("has_twice", ([1], [1], [])),
        ("look_up", ([1], [1], [], [0], [0])),
        ("are_distinct", ([1],) * 9),
        ("are_distinct", ([], [], [], [], [], [], [], [], [])),
    ],
)
def test_columns_that_do_not_fit_are_refused(name, columns):
    with pytest.raises(ValueError, match="expected columns that fit each other, found others"):
        getattr(native.extension, name)(*(np.array(one, np.int64) for one in columns))


ROW = {"key": 1, "namespace": -1, "type": 1, "origin": 0, "integer": 5, "double": -0.0, "is_indexed": False}
KINDS = (np.int32, np.int32, np.int8, np.int8, np.int64, np.float64, np.bool_)


def are_distinct(*rows, ends=(0, 2, 4), text=b"abab"):
    columns = (np.array([row[name] for row in rows], kind) for name, kind in zip(ROW, KINDS, strict=True))
    return native.extension.are_distinct(*columns, np.array(ends, np.int64), text)


@compiled_only
def test_rows_of_attributes_are_distinct_if_they_differ_in_any_column():
    assert not are_distinct(ROW, ROW)
    for name, other in zip(ROW, (2, 0, 3, 1, 6, 0.0, True), strict=True):
        assert are_distinct(ROW, ROW | {name: other}), name
    assert are_distinct(ROW, ROW, text=b"abac")
    assert are_distinct(ROW, ROW, ends=(0, 1, 4))
    for ends in ((0, 2, 5), (0, 3, 2), (-1, 2, 4), (0, 2)):
        with pytest.raises(ValueError, match="expected columns that fit each other, found others"):
            are_distinct(ROW, ROW, ends=ends)


@compiled_only
def test_a_result_must_be_writable():
    with pytest.raises(BufferError):
        native.extension.order(b"", b"", b"", b"", b"", b"")
    with pytest.raises(TypeError, match="expected other arguments"):
        native.extension.order(b"")


def test_a_column_of_one_value_is_taken_in_any_order(shop):
    spans = shop.columns.spans
    same = np.broadcast_to(np.array([7], np.uint32), len(spans))
    columns = replace(shop.columns, spans=replace(spans, flags=same))
    made = finish.in_order([columns], np.arange(len(spans))[::-1], 1).spans.flags
    assert made.tolist() == [7] * len(spans)
    assert made.dtype == np.uint32
    assert made.flags.writeable


def test_work_in_threads_is_begun_in_turn_and_no_more_than_they_can_do():
    begun, done = [], []

    def begin(number):
        begun.append(number)
        assert len(begun) - len(done) <= 2, "room is made for what is done next, not for all"
        return lambda: (done.append(number), number)[1]

    tasks = [partial(begin, number) for number in range(9)]
    assert finish._in_threads(2, tasks) == list(range(9)) == begun
    assert not tasks


def test_several_threads_give_the_same_forest(shop, monkeypatch):
    monkeypatch.setattr(forest, "blocks", partial(forest.blocks, size=4))
    spans = shop.columns.spans
    one, two = (forest.build_forest(spans, None, partial(finish._in_threads, threads)) for threads in (1, 3))
    for field in fields(forest.Forest):
        assert np.array_equal(getattr(one, field.name), getattr(two, field.name))
        assert np.array_equal(getattr(one, field.name), getattr(shop.forest, field.name))


def test_several_threads_give_the_same_order(shop, monkeypatch):
    monkeypatch.setattr(finish, "_WORTH", 0)
    columns = shop.columns
    rows = np.arange(len(columns.spans))[::-1]
    one, two = (finish.in_order([columns], rows, threads) for threads in (1, 2))
    for name in ("trace_lo", "name", "quality"):
        assert np.array_equal(getattr(one.spans, name), getattr(two.spans, name))
        assert np.array_equal(getattr(one.spans, name), getattr(columns.spans, name)[rows])
    assert np.array_equal(one.attributes.codes, two.attributes.codes)
