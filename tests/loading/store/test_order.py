"""Traces in the order of their starts: a window, a condition on time or one trace is read as few row groups."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sets import YEAR_2024, assert_identical, sets

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.store import part as store_part
from tracekit.loading.store import tables
from tracekit.loading.store.order import group_ends
from tracekit.loading.store.reach import Reach
from tracekit.schema import Quality

VIEWS = ("spans", "attributes", "events", "links", "summary")

NUMBERED = ["resource_id", "scope_id"]  # the position in a table that may have more rows than are used


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


@pytest.fixture
def store(during, tmp_path, monkeypatch):
    """A store of three parts, each of about thirty row groups."""
    monkeypatch.setattr(tables, "SPAN_GROUP", 256)
    monkeypatch.setattr(tables, "_WHOLE_BYTES", 0)
    return split(during, tmp_path / "a.parquet", 3)


@pytest.fixture
def groups(monkeypatch):
    """The row groups of spans that are read, by column: a list of (part, column, groups)."""
    found, plain = [], store_part.columns_of

    def counted(path, file, table, columns=None, groups=None):
        if table == "spans":
            all_groups = list(range(file.metadata.num_row_groups))
            found.append((path.parent.name, columns[0] if columns else "", all_groups if groups is None else groups))
        return plain(path, file, table, columns, groups)

    monkeypatch.setattr(store_part, "columns_of", counted)
    return found


def most(found, columns=None):
    """The largest number of row groups of a part that a column was read of."""
    return max(len(groups) for _, column, groups in found if columns is None or column in columns)


def equal(found, expected):
    """Two sets have the same spans, attributes, events and links."""
    assert found.trace_ids == expected.trace_ids
    for view in VIEWS:
        frames = [getattr(one, view).astype(object) for one in (found, expected)]
        if view == "attributes":  # those of resources and scopes are in the order of their tables
            frames = [frame[frame["owner"].isin(["span", "event", "link"])].reset_index(drop=True) for frame in frames]
        pd.testing.assert_frame_equal(*(frame.drop(columns=NUMBERED, errors="ignore") for frame in frames))


def begun(traces):
    return traces.columns.spans.start_ns[traces.forest.root_row]


def test_files_are_in_the_order_of_starts_and_traces_whole_in_their_row_group(store):
    files = store_part.PartFiles(store.path / "part-00000", store.tasks[0].mark.files, 9)
    starts, row = files._runs[0], files.values("weights", "row")
    assert starts.tolist() == row.tolist()
    assert (np.diff(begun(store.part(0))[np.argsort(files._trace_order)]) >= 0).all()
    metadata = files._file("spans").metadata
    ends = np.cumsum([metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)])
    assert metadata.num_row_groups > 20
    assert set(ends[:-1].tolist()) <= set(starts.tolist())


def test_a_narrow_window_reads_few_row_groups(during, store, groups):
    low, high = store.period_ns
    for share in (0.0, 0.37, 0.9):
        start = low + int(share * (high - low))
        groups.clear()
        found = store.between(start, start + (high - low) // 50).load()
        assert most(groups) <= 4
        equal(found, during.between(start, start + (high - low) // 50))
    groups.clear()
    assert len(store.between(low, high + 1)) == len(during)
    assert most(groups) > 20


def test_a_condition_on_times_reads_few_row_groups(during, store, groups):
    low, high = store.period_ns
    start = low + (high - low) // 3
    moment = pd.Timestamp(start).isoformat()
    for condition in (
        f"start_ns >= {start} and start_ns < {start + 2_000_000_000} and duration_ns > 0",
        f"(start_time >= '{moment}') & (start_ns < {start + 2e9})",
        f"{start} <= start_ns <= {start + 2_000_000_000}",
    ):
        groups.clear()
        equal(store.where(condition).load(), during.where(condition))
        assert most(groups) <= 6
    for condition in (f"start_ns >= {start} or is_error", f"not (start_ns >= {start})", "is_error"):
        groups.clear()
        equal(store.where(condition).load(), during.where(condition))
        assert most(groups) > 20


def test_a_callable_sees_all_spans_also_before_a_window(during, store, groups):
    low, high = store.period_ns
    start = low + (high - low) // 2
    expected = store.where(lambda spans: spans["duration_ns"] > 0).between(start, start + 10**9).load()
    equal(expected, during.between(start, start + 10**9))
    assert most(groups) > 20
    groups.clear()
    equal(store.between(start, start + 10**9).where(lambda spans: spans["duration_ns"] > 0).load(), expected)
    assert most(groups) <= 4


def test_one_trace_is_one_row_group(during, store, groups):
    for trace_id in during.trace_ids[::200]:
        groups.clear()
        equal(store.trace(trace_id), during.trace(trace_id))
        assert most(groups, {"start_ns", "name", "parent_id"}) == 1
    weighted = store.with_weights(pd.Series(np.arange(1.0, len(during) + 1), during.trace_ids))
    assert weighted.trace(during.trace_ids[41]).weights.value.tolist() == [42.0]
    scaled = store.with_weights(2).sample(2)
    assert scaled.trace(scaled.head(1).trace_ids[0]).weights.value.tolist() == [3.0]


def test_several_traces_are_the_row_groups_that_they_are_in(during, store, groups):
    assert store.part_count > 1
    first, last = (store.part(number).trace_ids for number in (0, store.part_count - 1))
    for ids in (first[:1], [first[0], first[-1], last[40]]):
        groups.clear()
        equal(store.traces(ids), during.where(np.isin(during.spans["trace_id"], ids)))
        assert most(groups, {"start_ns", "name", "parent_id"}) <= len(ids)
    weights = pd.Series(np.arange(1.0, len(during) + 1), during.trace_ids)
    weighted, scaled = store.with_weights(weights), store.with_weights(2).sample(2)
    assert weighted.traces([*first[:2], last[3]]).weights.value.tolist() == sorted(weights[[*first[:2], last[3]]])
    some = scaled.head(3).trace_ids
    assert scaled.traces(some).weights.value.tolist() == [3.0] * 3
    assert weighted.where("duration_ns < 0").traces(first[:2]).trace_ids == []


def test_weights_of_a_window_are_those_of_its_traces(during, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "SPAN_GROUP", 256)
    weighted = during.with_weights(np.arange(1.0, len(during) + 1))
    store = split(weighted, tmp_path / "a.parquet", 2)
    low, high = store.period_ns
    window = (low + (high - low) // 2, low + (high - low) * 6 // 10)
    assert store.between(*window).load().weights.value.tolist() == weighted.between(*window).weights.value.tolist()
    same(tk.latency(store.between(*window)).table, tk.latency(weighted.between(*window)).table)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets(), st.integers(-5, 55), st.integers(1, 20), st.integers(1, 4))
def test_any_window_of_any_set_is_that_of_the_set(tmp_path, traces, start, width, group):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "SPAN_GROUP", group)
        patch.setattr(tables, "_WHOLE_BYTES", 0)
        store = tk.open(traces.save(tmp_path / "a.parquet"))
        assert_identical(read(tmp_path / "a.parquet"), traces)
        if store.period_ns is None:
            return
        low = YEAR_2024 + start
        first, last = store.period_ns
        if low + width < first or low > last + 1:
            return
        found, spans = store.between(low, low + width).load(), traces.columns.spans
        is_known = (spans.quality[traces.forest.root_row] & Quality.NO_START) == 0
        inside = is_known & (begun(traces) >= low) & (begun(traces) < low + width)
        equal(found, traces.where(inside[traces.forest.trace]))
        for at, trace_id in enumerate(traces.trace_ids):
            part = store.tasks[0].opened(Reach(traces=[at], by_range=True, only_used=at % 2 == 0))
            equal(part, traces.trace(trace_id))
        some = traces.trace_ids[::2]
        part = store.tasks[0].opened(Reach(traces=range(0, len(traces), 2), by_range=True, only_used=True))
        equal(part, traces.where(np.isin(traces.spans["trace_id"], some)))
        assert part.trace_ids == some


def test_a_damaged_row_group_is_reported_when_it_is_read(during, store):
    file = store.path / "part-00001" / "spans.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 16
    file.write_bytes(data)
    low, high = store.period_ns
    failures = 0
    for number in range(8):
        window = [low + (high - low) * one // 8 for one in (number, number + 1)]
        try:
            found = store.between(*window).load().columns
            assert len(found.spans.byte_offset) == len(found.spans)
        except LoadError as error:
            assert error.code == "STORE_BROKEN"  # noqa: PT017 - one of the windows has it
            failures += 1
        else:
            equal(store.between(*window).load(), during.between(*window))
    assert 1 <= failures <= 3
    data[-20] ^= 1
    file.write_bytes(data)
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*spans.parquet: expected the bytes that were written"):
        store.between(low + 1, high).load()
    file.write_bytes(data[:-1])
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*spans.parquet: expected .* bytes, found"):
        store.between(low + 1, high).load()
    file.unlink()
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*spans.parquet: expected a file of .* bytes, found none"):
        store.between(low + 1, high).load()


def test_row_groups_end_with_a_trace():
    assert group_ends(np.array([0]), 4).tolist() == [0]
    assert group_ends(np.array([0, 100, 101]), 4).tolist() == [100, 101]
    assert group_ends(np.array([0, 1, 2, 3, 4, 5]), 2).tolist() == [2, 4, 5]
