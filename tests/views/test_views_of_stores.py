"""Single traces of a store are drawn and written as in memory, read alone."""

import numpy as np
import pytest

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.views.explore_frame import explore_data


@pytest.fixture(scope="module")
def traces():
    return tk.load_sample("checkout-regression")[1].head(40)


@pytest.fixture
def store(traces, tmp_path):
    return split(traces, tmp_path / "a.parquet", 5)


def drawn(widget):
    """The widget's title, and the spans that it draws."""
    drawing = widget._drawing
    ids = [
        "" if row < 0 else drawing.sets[side].spans.iloc[row]["span_id"]
        for side, rows in enumerate(drawing.rows)
        for row in rows
    ]
    return repr(widget), ids


def test_one_trace_of_a_store(traces, store):
    wanted = traces.trace_ids[7]
    for name in (wanted, wanted[:12], traces.summary.reset_index().iloc[7]):
        assert drawn(tk.waterfall(store, name)) == drawn(tk.waterfall(traces, wanted))
    for write in (tk.markdown, tk.mermaid):
        assert write(store, wanted, redact=None) == write(traces, wanted, redact=None)


def test_two_traces_are_compared(traces, store):
    one, other = traces.trace_ids[3], traces.trace_ids[11]
    expected = drawn(tk.waterfall(traces, one, compare=other))
    assert drawn(tk.waterfall(store, one, compare=other)) == expected
    assert drawn(tk.waterfall(traces, one, compare=(store, other))) == expected
    assert drawn(tk.waterfall(store, one, compare=one)) == drawn(tk.waterfall(traces, one, compare=one))


def test_what_a_store_cannot_answer(traces, store):
    with pytest.raises(ValueError, match=r"expected the trace of a store to compare with, as \(store, trace_id\)"):
        tk.waterfall(traces, traces.trace_ids[0], compare=store)
    with pytest.raises(ValueError, match=r"expected the id of one trace, found .* for 0"):
        tk.markdown(store, "0" * 32)


def test_a_critical_path_of_the_same_traces_is_drawn(traces, store):
    path, name = tk.critical_path(traces), traces.trace_ids[5]
    found, expected = (tk.waterfall(each, name, path=path)._drawing.payload.columns for each in (store, traces))
    assert all(np.array_equal(found[each], expected[each]) for each in ("critRow", "critS", "critE"))
    assert (found["critRow"] >= 0).any()


def test_a_filter_expression_over_all_parts(traces, store):
    found, expected = (tk.xray_filter(each, "duration > 0.12 OR error") for each in (store, traces))
    assert found.equals(expected.sort_index())
    assert 0 < found.sum() < len(found)
    with pytest.raises(tk.FilterError, match="expected a number after"):
        tk.xray_filter(store, "duration >")
    assert np.array_equal(found.index, sorted(traces.trace_ids))


def test_a_sample_of_a_store_is_explored_and_says_so(traces, store, monkeypatch):
    assert repr(tk.explore(store)) == repr(tk.explore(traces)) == "Explorer(40 of 40 traces)"
    monkeypatch.setattr("tracekit.views.explore._SPANS", 2 * len(traces.spans) // 5)
    seen = tk.explore(store)
    number = len(seen.traces)
    assert set(seen.traces.trace_ids) == set(store.sample(2).load().trace_ids)
    said = f"random sample of a store: 2 of 5 parts, {number} of 40 traces"
    assert repr(seen) == f"Explorer({number} of {number} traces, a {said})"
    assert f"A {said}." in seen._summary.value
    assert f"In the list: a {said}.".encode() in explore_data(seen.traces, [], 0)
    seen.service.value = "ledger"
    assert seen.code == "chosen = traces.where(\"service_name == 'ledger'\")"
    assert set(seen.chosen.trace_ids) <= set(store.where("service_name == 'ledger'").load().trace_ids)
