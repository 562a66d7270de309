"""Attributes by key: what is looked up in a file is what the set has, however its blocks and row groups are cut."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loading.store.damaged_stores import rewritten, use_all
from made_sets import assert_identical, sets, shop

import tracekit as tk
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.store import by_key
from tracekit.loading.store.part import PartFiles

SMALL = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return shop(1, 2, 3).save(tmp_path_factory.mktemp("good") / "a.parquet")


@SMALL
@given(sets(), st.integers(1, 5), st.integers(1, 7), st.integers(1, 4))
def test_any_cuts_give_the_attributes_of_every_key(tmp_path, monkeypatch, traces, block, group, own):
    monkeypatch.setattr(by_key, "_BLOCK", block)
    monkeypatch.setattr(by_key, "_OWN", own)
    monkeypatch.setattr(by_key, "_GROUP", group)
    monkeypatch.setattr(by_key, "_AT_ONCE", 2)
    path = traces.save(tmp_path / "a.parquet")
    stored, kv = read(path), traces.columns.kv
    for name in ("attributes", "resource_attributes", "event_attributes"):
        table, found = getattr(traces.columns, name), getattr(stored.columns, name)
        for at in range(len(kv.keys)):
            wanted = np.flatnonzero(kv.key[table.codes] == at)
            rows, codes = found.stored_of(at)
            in_order = np.argsort(rows, kind="stable")
            assert rows[in_order].tolist() == table.owners()[wanted].tolist()
            assert codes[in_order].tolist() == table.codes[wanted].tolist()
    assert_identical(stored, traces)
    assert_identical(read(path), traces)


@pytest.mark.parametrize(("own", "most_times"), [(1, 1), (1_000_000, 5)])
def test_of_a_few_keys_few_attributes_are_read(tmp_path, monkeypatch, own, most_times):
    monkeypatch.setattr(by_key, "_GROUP", 500)
    monkeypatch.setattr(by_key, "_OWN", own)
    traces = tk.load_sample("checkout-regression")[0]
    path = traces.save(tmp_path / "a.parquet")
    read_counts = []
    values_of = PartFiles.values_of

    def counted(files, table, columns, groups):
        read_counts.append(sum(files.sizes_of(table, groups)))
        return values_of(files, table, columns, groups)

    monkeypatch.setattr(PartFiles, "values_of", counted)
    stored = read(path).lookup.by_key
    for key in ("http.route", "http.request.method"):
        wanted = [column.tolist() for column in traces.lookup.by_key.of(key)]
        for _ in range(2):
            assert [column.tolist() for column in stored.of(key)] == wanted
        assert len(wanted[0]) <= sum(read_counts) <= most_times * len(wanted[0])
        assert sum(read_counts) < len(traces.columns.attributes.codes) / 3
        read_counts.clear()


def test_a_window_and_a_trace_have_their_attributes(tmp_path, monkeypatch):
    monkeypatch.setattr(by_key, "_BLOCK", 1_000)
    traces = tk.load_sample("checkout-regression")[0]
    store = tk.open(traces.save(tmp_path / "a.parquet"))
    one = traces.trace_ids[500]
    assert_identical(store.trace(one), traces.trace(one), views=("attributes", "events"))
    starts = traces.spans["start_time"].sort_values()
    found, wanted = (side.between(starts.iloc[2_000], starts.iloc[6_000]) for side in (store, traces))
    found = found.load()
    assert 0 < len(wanted) < len(traces)
    assert found.attribute("http.route").tolist() == wanted.attribute("http.route").tolist()
    assert found.attributes["key"].tolist() == wanted.attributes["key"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("place", 0, "one attribute at each place of a row, found several at one"),
        ("place", 2**30, "attributes at the places of their rows, found one behind all of them"),
        ("key", 0, "the keys of the attributes, found others"),
    ],
)
def test_attributes_that_are_not_where_they_say_are_refused(good, tmp_path, column, value, expected):
    path = shutil.copytree(good, tmp_path / "a.parquet")

    def change(table):
        values = table.column(column).to_numpy().copy()
        values[np.flatnonzero(values != value)[-1]] = value
        return table.set_column(table.column_names.index(column), column, pa.array(values, pa.int32()))

    rewritten(path, "part-00000/attributes.parquet", change)
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*attributes\.parquet: expected {expected}; copy the store"):
        use_all(path)


def test_attributes_that_are_not_sorted_by_key_are_refused(good, tmp_path):
    path = shutil.copytree(good, tmp_path / "a.parquet")
    rewritten(path, "part-00000/attributes.parquet", lambda table: table.take(np.arange(len(table))[::-1]))
    with pytest.raises(LoadError, match="expected attributes in the order of their keys, found others"):
        read(path).attribute("user")
