"""Large parts are read in pieces: the same traces, attributes and results as at once."""

import numpy as np
import pandas as pd
import pytest
from made_spans import otlp_lines

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import same, split
from tracekit.errors import LoadError
from tracekit.loading.store import part_task, tables


@pytest.fixture(scope="module")
def traces():
    return tk.read("\n".join(otlp_lines(600, 5)).encode(), progress=False)


@pytest.fixture
def store(traces, tmp_path, monkeypatch):
    """Two parts of about 300 spans, in pieces of about 80."""
    monkeypatch.setattr(tables, "SPAN_GROUP", 20)
    monkeypatch.setattr(part_task, "_MOST", 80)
    return split(traces, tmp_path / "a.parquet", 2)


def pieces_of(store):
    """The pieces of each part."""
    return [[piece.read() for piece in task.pieces] for task in store.tasks]


def everything(traces):
    return traces


def test_pieces_have_each_trace_of_their_part_once_with_its_values(traces, store):
    for part, pieces in zip(store.parts(), pieces_of(store), strict=True):
        assert len(pieces) > 2
        assert sorted(one for piece in pieces for one in piece.trace_ids) == part.trace_ids
        assert sum(task.span_count for task in store.tasks[0].pieces) == store.tasks[0].span_count
        for piece in pieces:
            assert 0 < len(piece.columns.spans) < len(part.columns.spans) / 2
            tables_of = [getattr(piece.columns, name) for name in ("attributes", "event_attributes")]
            shared = [getattr(piece.columns, name) for name in ("resource_attributes", "scope_attributes")]
            used = np.unique(np.concatenate([table.codes for table in (*tables_of, *shared)]))
            assert used.tolist() == list(range(len(piece.columns.kv)))
            assert len(used) < len(part.columns.kv)
    found = store.chosen(everything)
    for name in ("spans", "attributes", "events", "resources"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(traces, name), check_categorical=False)


def test_a_key_alone_has_the_values_that_it_has_among_all(store):
    for piece in (one for pieces in pieces_of(store) for one in pieces):
        for key in ("user.id", "server.port", "http.response.status_code"):
            found = [each.tolist() for each in piece.lookup.by_key.of(key)]  # before all are brought into rows
            kv, table = piece.columns.kv, piece.columns.attributes
            is_mine = kv.key[table.codes] == kv.keys.index(key)
            assert sorted(zip(*found, strict=True)) == sorted(
                zip(table.owners()[is_mine].tolist(), table.codes[is_mine].tolist(), strict=True)
            )


def test_results_are_those_of_memory(traces, store):
    same(tk.latency(store).table, tk.latency(traces).table)
    same(tk.errors(store).exceptions, tk.errors(traces).exceptions)
    same(tk.service_graph(store).calls, tk.service_graph(traces).calls)
    by = ["service_name", "operation"]
    same(tk.critical_path(store).by(by), tk.critical_path(traces).by(by))


def test_findings_are_those_of_memory(traces, store):
    close(tk.quality(store), tk.quality(traces))


def test_weights_that_need_all_traces_are_found(traces, store):
    weights = pd.Series(np.arange(1.0, len(traces) + 1), traces.trace_ids)
    found = store.with_weights(weights.to_numpy()).load()
    assert found.trace_ids == traces.trace_ids
    assert found.weights.value.tolist() == weights.tolist()
    assert store.with_weights(weights.to_numpy()).reduce(total, float.__add__) == weights.sum()


def total(traces):
    return float(traces.weights.value.sum())


def test_a_result_that_sharpens_ends_with_that_of_all_pieces(traces, store):
    *_, last = tk.refine(tk.latency, store)
    same(last.result.table, tk.latency(traces).table)


def test_a_damaged_file_is_refused_with_the_first_piece(store):
    file = store.path / "part-00001" / "spans.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)
    with pytest.raises(LoadError, match="the bytes that were written, found different ones"):
        store.reduce(len, int.__add__)
