"""Small parts that are read as one: the traces are those of the parts, and so are all results."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sets import assert_same_meaning

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.attributes import texts_of
from tracekit.checks.case import Case
from tracekit.errors import LoadError
from tracekit.loading.store import execution, part, part_group
from tracekit.loading.store.part_group import PartGroup, grouped
from tracekit.loading.store.read_write import writing
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.weighing import PieceOf


@pytest.fixture(scope="module")
def traces():
    return tk.load_sample("checkout-regression")[1].head(90)


@pytest.fixture(scope="module")
def store(traces, tmp_path_factory):
    return split(traces, tmp_path_factory.mktemp("parts") / "a.parquet", 7)


def tasks_of(*counts):
    return [SimpleNamespace(span_count=count) for count in counts]


sizes = st.lists(st.integers(0, 400_000), min_size=1, max_size=40)


@given(sizes, st.integers(1, 5))
def test_each_part_is_in_one_group_of_neighbours_of_limited_size(counts, workers):
    tasks = tasks_of(*counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_group, "SPANS", 250_000)
        found = grouped(tasks, workers)
    assert [task for one in found for task in getattr(one, "tasks", [one])] == tasks
    most = 250_000 if workers == 1 else min(250_000, sum(counts) // (4 * workers))
    groups = [one for one in found if isinstance(one, PartGroup)]
    assert all(one.span_count <= most and len(one.tasks) > 1 for one in groups)
    neighbours = zip(found, [getattr(one, "tasks", [one])[0] for one in found[1:]], strict=False)
    assert all(one.span_count + following.span_count > most for one, following in neighbours)


def test_several_workers_get_several_groups_each(monkeypatch):
    monkeypatch.setattr(part_group, "SPANS", 250_000)
    tasks = tasks_of(*[1_000] * 100)
    assert len(grouped(tasks, 1)) == 1
    assert [one.span_count for one in grouped(tasks, 2)] == [12_000] * 8 + [4_000]


def changes(traces):
    """Calls on a store and on the same traces in memory."""
    limit = float(np.median(traces.summary["root_duration_ns"].dropna()))
    ids = traces.trace_ids
    weights = pd.Series(np.arange(1.0, len(ids) + 1), ids)
    window = np.quantile(traces.summary["start_ns"], [0.3, 0.9]).astype("datetime64[ns]")
    return {
        "all": lambda one: one,
        "condition": lambda one: one.where(f"duration_ns > {limit}"),
        "window": lambda one: one.between(*window),
        "weights": lambda one: one.with_weights(weights),
        "rules": lambda one: one.with_weights({"FixedRate": 0.05}),
        "none": lambda one: one.where("name == 'of no span'"),
    }


@pytest.mark.parametrize("name", ["all", "condition", "window", "weights", "rules", "none"])
def test_traces_of_a_group_are_those_of_its_parts(store, traces, name):
    change = changes(traces)[name]
    group, expected = PartGroup(tuple(change(store).tasks)), change(traces)
    for found in (group.read(), group.read()):  # the second one with what is kept of the first
        assert_same_meaning(found, expected)
        assert found.weights.value.tolist() == expected.weights.value.tolist()
        assert set(found.columns.kv.keys) >= set(store.keys)
    assert group.span_count == sum(task.span_count for task in group.tasks)
    assert group.byte_count == sum(task.byte_count for task in group.tasks)


def by_text(traces, rows, codes):
    """Attributes as texts, in the order of their rows: of which span they are, with which key and value."""
    kv, spans = traces.columns.kv, traces.columns.spans
    keys = [kv.keys[at] for at in kv.key[codes].tolist()]
    return sorted(zip(spans.span_id[rows].tolist(), keys, texts_of(kv, codes), strict=True))


def test_attributes_of_a_group_are_found_by_key_and_all_together(store, traces):
    group = PartGroup(tuple(store.tasks)).read()
    for key in ("http.route", "server.address", "of no span"):
        assert by_text(group, *group.lookup.by_key.of(key)) == by_text(traces, *traces.lookup.by_key.of(key))
    own = by_text(traces, *traces.columns.attributes.pairs())
    assert by_text(group, *group.columns.attributes.pairs()) == own
    assert len(own) == len(group.columns.attributes.codes) > len(traces.columns.spans)
    assert len(set(zip(*value_of(group.columns.kv), strict=True))) == len(group.columns.kv)


def value_of(kv):
    """The columns of distinct attributes."""
    return [kv.key.tolist(), kv.type.tolist(), kv.text.to_pylist(), kv.integer.tolist(), kv.double.tolist()]


def test_only_columns_in_use_are_read_of_a_group(store, monkeypatch):
    read = []
    monkeypatch.setattr(
        part, "columns_of", lambda *given, own=part.columns_of: (read.append((given[2], given[3])), own(*given))[1]
    )
    group = PartGroup(tuple(store.tasks)).read()
    read.clear()
    assert len(group.columns.spans.kind) == store.span_count
    assert {(table, *columns) for table, columns in read} <= {
        ("spans", name) for name in ("kind", "trace_hi", "trace_lo")
    }


def test_another_store_at_the_path_is_read_anew(traces, tmp_path):
    for part_traces in (traces, traces.head(40)):
        found = PartGroup(tuple(split(part_traces, tmp_path / "a.parquet", 3).tasks)).read()
        assert found.codes("operation").labels
        assert_same_meaning(found, part_traces)


def test_what_is_kept_of_groups_is_limited(monkeypatch):
    monkeypatch.setattr(part_group, "_KEPT_BYTES", 20)
    kept = part_group._Kept()
    for name in ("a", "b"):
        kept.of(name)["rows"] = (np.zeros(10, np.int8), name)
    assert [kept.of(name)["rows"][1] for name in ("b", "a")] == ["b", "a"]
    kept.of("c")["rows"] = (np.zeros(10, np.int8), "c")
    assert kept.of("c")["rows"][1] == "c"
    assert kept.of("b") == {}  # c is in its place, as a was asked for later
    kept.of("large")["rows"] = (np.zeros(21, np.int8), "large")
    assert kept.of("large")["rows"][1] == "large"
    assert [kept.of(name) for name in ("a", "b", "c")] == [{}, {}, {}]


def test_a_key_of_other_parts_is_missing_and_not_unknown(tmp_path):
    rows = [(f"{one}", "1", "GET", 0, 10, "blue" if one == 3 else None) for one in (1, 2, 3)]
    frame = pd.DataFrame(rows, columns=["trace_id", "span_id", "name", "start_ns", "end_ns", "attributes.tenant"])
    whole = tk.TraceSet.from_spans(frame)
    with writing(tmp_path / "a.parquet") as writer:
        for trace_id in whole.trace_ids:
            writer.part(whole.trace(trace_id))
        writer.finish(whole.columns.sources, whole.columns.issues)
    first = PartGroup(tuple(tk.open(tmp_path / "a.parquet").tasks[:2])).read()
    assert tk.latency(first, by="tenant").table["tenant"].isna().tolist() == [True]
    with pytest.raises(ValueError, match="user"):
        tk.latency(first, by="user")


def test_results_of_grouped_parts_are_those_of_memory(store, traces, monkeypatch):
    monkeypatch.setattr(part_group, "SPANS", sum(task.span_count for task in store.tasks) // 3)
    rounds, read = Rounds(), []
    monkeypatch.setattr(
        execution, "Job", lambda task, state, own=execution.Job: (read.append(task), own(task, state))[1]
    )
    case = Case(rounds.of(store))
    rounds.run([lambda: tk.latency(case.source), lambda: tk.errors(case.source), lambda: tk.critical_path(case.source)])
    assert sum(isinstance(task, PartGroup) for task in read) >= 2
    assert len(read) < 7 * rounds.count
    same(tk.latency(case.source).table, tk.latency(traces).table)
    pd.testing.assert_frame_equal(tk.errors(case.source).exceptions, tk.errors(traces).exceptions)
    same(tk.critical_path(case.source).by("service_name"), tk.critical_path(traces).by("service_name"))


def told(findings):
    return [(one.check, one.status, one.headline, one.estimate) for one in findings]


def test_findings_of_grouped_parts_are_those_of_each(store, monkeypatch):
    apart = told(tk.quality(store))
    monkeypatch.setattr(part_group, "SPANS", 1_000_000)
    assert told(tk.quality(store)) == apart


def of_one_span(traces):
    return traces.forest.root_row


def test_states_that_each_part_has_are_not_those_of_groups(store, traces, monkeypatch):
    monkeypatch.setattr(part_group, "SPANS", 1_000_000)
    rounds = Rounds()
    own = rounds.of(store)
    found = []
    asks = [lambda: found.append(own.reduce(PieceOf(of_one_span), tuple.__add__)), lambda: own.reduce(len, int.__add__)]
    rounds.run(asks)
    assert rounds.count == 2
    assert [len(piece.weights.value) for piece in found[-1]] == [len(part) for part in store.parts()]
    assert own.reduce(len, int.__add__) == len(traces)


def is_slowest(spans):
    """Which spans are the longest of a part: a condition that compares spans of several traces."""
    return spans["duration_ns"] == spans["duration_ns"].max()


def test_a_callable_sees_the_spans_of_each_part(store, monkeypatch):
    expected = sum(len(part.where(is_slowest)) for part in store.parts())
    monkeypatch.setattr(part_group, "SPANS", 1_000_000)
    rounds = Rounds()
    slowest = rounds.of(store).where(is_slowest)
    rounds.run([lambda: slowest.reduce(len, int.__add__)])
    assert rounds.count == 1
    assert slowest.reduce(len, int.__add__) == expected >= store.part_count


def test_a_trace_in_two_parts_is_refused(traces, tmp_path):
    with writing(tmp_path / "a.parquet") as writer:
        for part in (traces.head(3), traces.head(1)):
            writer.part(part)
        writer.finish(traces.columns.sources, traces.columns.issues)
    tasks = tuple(tk.open(tmp_path / "a.parquet").tasks)
    with pytest.raises(
        LoadError, match=r"expected each trace in one part, found traces that are in several of parts 0"
    ):
        PartGroup(tasks).read()
