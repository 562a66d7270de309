"""Stores made one part by part are those that are made one in memory."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import otlp_made as made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sets import assert_same_meaning, shop, shop_lines

import tracekit as tk
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.convert import convert
from tracekit.loading.store import joining

per_example = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def saved(tmp_path, *sets):
    return [traces.save(tmp_path / f"{number}.parquet") for number, traces in enumerate(sets)]


def some(count, traces, seed):
    """Lines of spans of so many traces, with copies, unknown parents, orphans and a broken line."""
    rng = np.random.default_rng(seed)
    spans = [
        made.span(
            traceId=f"{int(rng.integers(1, traces + 1)):032x}",
            spanId=f"{int(rng.integers(1, 12)):016x}",
            parentSpanId=f"{int(rng.integers(1, 15)):016x}" if rng.random() < 0.8 else None,
            name=f"op {number % 5}",
            startTimeUnixNano=str(made.START + int(rng.integers(-50, 50))),
            endTimeUnixNano=str(made.START + int(rng.integers(-9, 90))),
            attributes=[made.text("user", f"u{int(rng.integers(0, 9))}")],
        )
        for number in range(count)
    ]
    return made.lines(*(made.request(*spans[at : at + 3]) for at in range(0, count, 3)), b"noise")


@pytest.mark.parametrize("spans_at_once", [1, 5, 30])
def test_stores_without_common_traces(tmp_path, spans_at_once):
    a, b = shop(1, 5, 7).with_weights(4), shop(2, 3, 11)
    stores = saved(tmp_path, a, b)
    convert(stores, tmp_path / "both.parquet", spans_at_once=spans_at_once)
    found, expected = read(tmp_path / "both.parquet"), read(stores)
    assert_same_meaning(found, expected)
    assert found.summary["weight"].tolist() == expected.summary["weight"].tolist()
    assert found.summary["weight_source"].tolist() == expected.summary["weight_source"].tolist()


@per_example
@given(st.integers(0, 10**6), st.sampled_from([1, 20, 60]), st.integers(1, 40))
def test_stores_with_common_traces(tmp_path_factory, seed, spans_at_once, traces):
    """Sources of the stores read together, in memory, say what is right."""
    folder = tmp_path_factory.mktemp("common")
    for number in range(3):
        (folder / f"{number}.jsonl").write_bytes(some(60, traces, seed + number))
    sources = [folder / f"{number}.jsonl" for number in range(3)]
    stores = [convert(one, one.with_suffix(".parquet"), spans_at_once=25) for one in sources]
    convert(stores, folder / "all.parquet", spans_at_once=spans_at_once)
    found = read(folder / "all.parquet")
    assert_same_meaning(found, read(stores))
    assert made.counts(found) == made.counts(read(sources))
    assert len(tk.open(folder / "all.parquet")) == len(found)


def test_what_is_appended_is_read_together_with_what_was_there(tmp_path):
    parent = made.span(**made.ids(1), name="parent")
    late = made.span(traceId=parent["traceId"], spanId=f"{7:016x}", parentSpanId=parent["spanId"], name="late")
    (tmp_path / "0.jsonl").write_bytes(made.lines(made.request(parent, made.span(**made.ids(2)))))
    (tmp_path / "1.jsonl").write_bytes(made.lines(made.request(late, parent, made.span(**made.ids(3)))))
    sources = [tmp_path / "0.jsonl", tmp_path / "1.jsonl"]
    for one in sources:
        convert(one, tmp_path / "all.parquet", append=True, spans_at_once=2)
    found = read(tmp_path / "all.parquet")
    assert_same_meaning(found, read(sources))
    assert found.trace(parent["traceId"]).spans["name"].tolist() == ["parent", "late"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0.jsonl", "1.jsonl", "all.parquet"]


def test_the_same_file_appended_twice_is_counted_and_not_repeated(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(shop_lines(1, 5))
    store = convert(path, tmp_path / "a.parquet")
    convert(path, store, append=True, spans_at_once=1)
    once, twice = read(path), read(store)
    assert len(twice.spans) == len(once.spans)
    assert twice.sources["merged_count"].sum() == len(once.spans)


def test_stores_are_appended_too(tmp_path):
    stores = saved(tmp_path, shop(1, 5), shop(9))
    expected = read(stores)
    convert(stores[1], stores[0], append=True)
    assert_same_meaning(read(stores[0]), expected)


def test_an_interruption_leaves_the_store_as_it_was(tmp_path):
    def interrupt(issue):
        raise KeyboardInterrupt(issue.code)

    (store,) = saved(tmp_path, shop(1, 5))
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        convert(some(60, 9, 0), store, append=True, spans_at_once=10, on_issue=interrupt)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == [store.name]


def test_two_processes_do_not_add_at_once(tmp_path):
    pytest.importorskip("fcntl", reason="this system has no locks")
    (store,) = saved(tmp_path, shop(1, 5))
    holder = """
        import sys
        from pathlib import Path
        from tracekit.loading.store.place import alone
        with alone(Path(sys.argv[1])):
            print("held", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(holder), os.fspath(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(FileExistsError, match="expected no other process to write it, found one; try again"):
            convert(shop_lines(9), store, append=True)
        other.communicate(b"")
    convert(shop_lines(9), store, append=True)
    assert len(read(store)) == 3


def test_a_file_is_not_appended_to(tmp_path):
    with pytest.raises(ValueError, match=r"expected a store to append to, found a\.jsonl, a file"):
        convert(shop_lines(1), tmp_path / "a.jsonl", append=True)


def test_stores_and_other_sources_are_not_mixed(tmp_path):
    (store,) = saved(tmp_path, shop(1))
    (tmp_path / "a.jsonl").write_bytes(shop_lines(2))
    for target in (tmp_path / "new.parquet", store):
        with pytest.raises(LoadError, match="expected stores or other sources, found 1 of 2"):
            convert([store, tmp_path / "a.jsonl"], target, append=True)


def test_new_parts_are_made_one_at_a_time(tmp_path, monkeypatch):
    stores = [convert(some(400, 300, seed), tmp_path / f"{seed}.parquet", spans_at_once=40) for seed in range(2)]
    taken, make = [], joining.joined

    def watched(pieces):
        taken.append(sum(len(piece.columns.spans) for piece in pieces))
        return make(pieces)

    monkeypatch.setattr(joining, "joined", watched)
    convert(stores, tmp_path / "all.parquet", spans_at_once=40)
    assert len(taken) > 10
    assert max(taken) < 3 * 40


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_weights_that_contradict_each_other_are_unknown(tmp_path, order):
    stores = saved(tmp_path, shop(1, 5).with_weights(2), shop(1, 5).with_weights(5))
    assert not read([stores[at] for at in order]).weights.known.any()
    convert([stores[at] for at in order], tmp_path / "both.parquet", spans_at_once=1)
    assert not read(tmp_path / "both.parquet").weights.known.any()
    same = saved(tmp_path, shop(1, 5).with_weights(2), shop(1, 5).with_weights(2))
    assert set(read(same).weights.value) == {2.0}


@pytest.mark.filterwarnings("ignore:removed from")
def test_what_is_appended_is_redacted_once(tmp_path):
    """Equal values get equal pseudonyms, and the record has what each source had."""
    policy = tk.Policy(keys={"customer": "pseudonym"}, pseudonym_key="k" * 16)
    for low, high in ((0, 10), (10, 14), (14, 16)):
        spans = [made.span(**made.ids(n + 1), attributes=[made.text("customer", "acme")]) for n in range(low, high)]
        convert(made.lines(*map(made.request, spans)), tmp_path / "a.parquet", append=True, redact=policy)
    found = read(tmp_path / "a.parquet")
    assert len(set(found.attribute("customer"))) == 1
    assert found.redacted["use_count"].sum() == 16
    stores = [read(tmp_path / "a.parquet").save(tmp_path / "b.parquet"), tmp_path / "a.parquet"]
    convert(stores[:1], tmp_path / "c.parquet", spans_at_once=3)
    assert read(tmp_path / "c.parquet").redacted["use_count"].sum() == 16


def test_sources_to_append_may_be_an_iterator(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(shop_lines(1))
    for _ in range(2):
        convert((path for path in [tmp_path / "a.jsonl"]), tmp_path / "a.parquet", append=True)
    assert len(read(tmp_path / "a.parquet")) == 1
