"""Rounds: several analyses read each part together, and find what they would have found alone."""

import functools
import gc
import weakref

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.checks.case import Case
from tracekit.checks.merged import Merged
from tracekit.loading.store.rounds import Rounds


@pytest.fixture(scope="module")
def traces():
    return tk.load_sample("checkout-regression")[1].head(60)


def read_by(monkeypatch, store):
    """A list that gets the number of each part that is read."""
    read, task = [], type(store.tasks[0])
    own = task.read
    monkeypatch.setattr(task, "read", lambda self: (read.append(self.number), own(self))[1])
    return read


def spans_of(traces):
    return len(traces.columns.spans)


def spans_in(case):
    return spans_of(case.traces)


def later_limits(traces):
    return np.quantile(traces.summary["start_ns"], [0.5, 0.9]).astype("datetime64[ns]")


def lacking(traces):
    raise LookupError(f"expected nothing of {len(traces)} traces")


def test_analyses_of_one_pass_share_it(traces, tmp_path, monkeypatch):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    read = read_by(monkeypatch, store)
    rounds.run([functools.partial(ask, store) for ask in (tk.latency, tk.service_graph, tk.errors)])
    assert sorted(read) == sorted([0, 1, 2] * rounds.count)
    assert rounds.count <= 3
    before = len(read)
    same(tk.latency(store).table, tk.latency(traces).table)
    same(tk.service_graph(store).calls, tk.service_graph(traces).calls)
    pd.testing.assert_frame_equal(tk.errors(store).exceptions, tk.errors(traces).exceptions)
    assert len(read) == before


def test_a_part_is_freed_before_the_next_one_is_read(traces, tmp_path, monkeypatch):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    task, files, alive = type(store.tasks[0]), [], []
    own = task.read

    def read(self):
        alive.append(sum(one() is not None for one in files))
        part = own(self)
        files.append(weakref.ref(part.columns.kv.read.func.__self__))  # the part's, with all that was read of them
        return part

    monkeypatch.setattr(task, "read", read)
    gc.collect()
    gc.disable()
    try:
        rounds.run([functools.partial(ask, store) for ask in (tk.latency, tk.errors, tk.quality)])
    finally:
        gc.enable()
    assert len(files) >= 6
    assert alive == [0] * len(files)


def test_a_state_is_not_kept_beside_what_was_made_of_it(traces, tmp_path, monkeypatch):
    rounds = Rounds()
    case = Case(rounds.of(split(traces, tmp_path / "a.parquet", 3)))
    total = Merged(spans_in, int.__add__)
    read = read_by(monkeypatch, case.source)
    rounds.run([functools.partial(case.result, total), functools.partial(case.source.reduce, len, int.__add__)])
    assert (case.result(total), len(read)) == (spans_of(traces), 3)
    assert list(rounds._known.values()) == [len(traces)]


def test_passes_that_depend_on_each_other_follow_each_other(traces, tmp_path):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))

    def twice():
        total = store.reduce(spans_of, int.__add__)
        return store.reduce(functools.partial(pow, exp=0, mod=None) if total < 0 else len, int.__add__)

    rounds.run([twice, functools.partial(store.reduce, len, int.__add__)])
    assert rounds.count == 1  # the second pass of one was the first of the other
    assert twice() == len(traces)


def test_other_conditions_are_other_states_of_the_same_pass(traces, tmp_path, monkeypatch):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    failed = store.where("is_error")
    read = read_by(monkeypatch, store)
    asks = [functools.partial(one.reduce, of, int.__add__) for of in (len, spans_of) for one in (store, failed)]
    rounds.run(asks)
    assert (rounds.count, sorted(read)) == (1, [0, 1, 2])
    assert failed.reduce(spans_of, int.__add__) == spans_of(traces.where("is_error")) < spans_of(traces)
    assert failed.reduce(len, int.__add__) == len(traces.where("is_error")) < store.reduce(len, int.__add__)


def test_a_window_of_time_is_read_by_itself(traces, tmp_path, monkeypatch):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    later = store.between(*later_limits(traces))
    other = store.only([0, 2])
    read = read_by(monkeypatch, store)
    rounds.run([functools.partial(one.reduce, len, int.__add__) for one in (store, later, other)])
    assert rounds.count == 3
    assert len(read) == 5 + later.part_count
    assert later.reduce(len, int.__add__) == len(traces.between(*later_limits(traces)))


def test_a_function_that_cannot_be_sent_is_computed_each_time(traces, tmp_path):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 3))
    calls = []
    for _ in range(2):
        assert store.reduce(lambda part: (calls.append(1), len(part))[1], int.__add__) == len(traces)
    assert len(calls) == 6


def test_an_error_of_an_analysis_is_its_own(traces, tmp_path):
    rounds = Rounds()
    store = rounds.of(split(traces, tmp_path / "a.parquet", 2))
    with pytest.raises(LookupError, match="expected nothing of"):
        rounds.run([functools.partial(store.reduce, lacking, int.__add__)])
    assert store.reduce(len, int.__add__) == len(traces)
