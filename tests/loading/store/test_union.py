"""Several stores read as one."""

import shutil

import numpy as np
import otlp_made as made
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_sets import assert_same_meaning, meaning, shop, shop_lines

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.self_description import made as made_code

per_example = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def saved(tmp_path, *sets):
    return [traces.save(tmp_path / f"{number}.parquet") for number, traces in enumerate(sets)]


def test_stores_without_common_traces_are_joined_as_if_read_together(tmp_path):
    sources = [shop_lines(1, 5), shop_lines(0, 3, name="GET /other"), shop_lines(9)]
    for number, data in enumerate(sources):
        (tmp_path / f"{number}.jsonl").write_bytes(data)
    paths = [tmp_path / f"{number}.jsonl" for number in range(3)]
    stores = saved(tmp_path, *(read(path) for path in paths))
    assert_same_meaning(read(stores), read(paths))
    assert_same_meaning(read(tmp_path / "*.parquet"), read(paths))


def test_joined_stores_keep_their_weights(tmp_path):
    a, b = shop(1, 5).with_weights(4), shop(3).with_weights(np.array([7.0]))
    found = read(saved(tmp_path, a, b, shop(4)))
    assert found.summary["weight"].tolist() == [4, 7, 1, 4]
    assert found.summary["weight_source"].tolist() == ["given", "given", "unknown", "given"]


def test_a_trace_in_two_stores_is_put_together(tmp_path):
    parent = made.span(**made.ids(1), name="parent")
    child = made.span(traceId=parent["traceId"], spanId=f"{7:016x}", parentSpanId=parent["spanId"], name="child")
    grandchild = made.span(
        traceId=parent["traceId"], spanId=f"{8:016x}", parentSpanId=child["spanId"], endTimeUnixNano=str(2 * made.START)
    )
    other = made.span(**made.ids(2))
    halves = [made.lines(made.request(child, other)), made.lines(made.request(grandchild, parent, child))]
    for number, data in enumerate(halves):
        (tmp_path / f"{number}.jsonl").write_bytes(data)
    paths = [tmp_path / f"{number}.jsonl" for number in range(2)]
    apart = [read(path) for path in paths]
    assert "PARENT_MISSING" in set(apart[0].issues["code"])
    together = read(saved(tmp_path, *apart))
    assert_same_meaning(together, read(paths))
    assert "PARENT_MISSING" not in set(together.issues["code"])
    assert made.counts(together) == (5, 4, 1, 0)


small_spans = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))


@per_example
@given(st.lists(st.lists(small_spans, max_size=6), min_size=2, max_size=3))
@example([[(0, 0, 0)], [], [(0, 0, 0), (0, 0, 0)]])
@example([[(0, 0, 0)], [], [(0, 1, 0), (0, 1, 0), (0, 0, 0)]])
def test_stores_joined_in_any_way_are_as_if_read_together(tmp_path, sources):
    for entry in tmp_path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    paths = []
    for number, rows in enumerate(sources):
        spans = [
            made.span(
                traceId=f"{trace + 1:032x}", spanId=f"{span + 1:016x}", parentSpanId=f"{span:016x}", name=str(name)
            )
            for trace, span, name in rows
        ]
        paths.append(tmp_path / f"{number}.jsonl")
        paths[-1].write_bytes(made.lines(made.request(*spans, resource=made.resource(f"s{number % 2}"))))
    together = read(saved(tmp_path, *(read(path) for path in paths)))
    assert_same_meaning(together, read(paths))


def test_a_copied_store_adds_nothing(tmp_path):
    traces = shop(1, 2, 3)
    first, second = saved(tmp_path, traces, traces)
    found = read([first, second])
    assert made.counts(found) == (14, 6, 6, 2)
    assert made.told(found, "DUP_IDENTICAL")["issue_count"].tolist() == [6]


def test_stores_and_other_sources_are_not_mixed(tmp_path):
    shop(1).save(tmp_path / "a.parquet")
    with pytest.raises(LoadError, match="expected stores or other sources, found 1 of 2 sources to be stores"):
        read([tmp_path / "a.parquet", shop_lines(2)])


# -------------------------------------------------------------------- adding sets


@per_example
@given(st.lists(st.lists(small_spans, max_size=6), min_size=2, max_size=2))
@example([[(0, 0, 0)], [(0, 0, 0), (0, 0, 0)]])
@example([[(0, 1, 0)], [(0, 0, 0)]])
@example([[], [(0, 0, 0)]])
def test_added_sets_are_as_if_read_together(tmp_path, sources):
    paths = []
    for number, rows in enumerate(sources):
        spans = [
            made.span(
                traceId=f"{trace + 1:032x}", spanId=f"{span + 1:016x}", parentSpanId=f"{span:016x}", name=str(name)
            )
            for trace, span, name in rows
        ]
        paths.append(tmp_path / f"{number}.jsonl")
        paths[-1].write_bytes(made.lines(made.request(*spans, resource=made.resource(f"s{number % 2}"))))
    first, second = (read(path) for path in paths)
    assert_same_meaning(first + second, read(paths))
    assert (first + second).steps == ()


def test_added_sets_name_the_calls_that_made_them(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.jsonl").write_bytes(shop_lines(number, number + 5))
    first, second = (read(tmp_path / f"{number}.jsonl") for number in range(2))
    both = first.head(1) + second.with_weights(3)
    assert made_code(both) == '(tk.read("0.jsonl").head(1) + tk.read("1.jsonl").with_weights(3))'
    assert made_code(both.sample(1)) == f"{made_code(both)}.sample(1, seed=0)"
    assert made_code(first + second) == 'tk.read(["0.jsonl", "1.jsonl"])'


def test_adding_changes_neither_set():
    first, second = shop(1, 2), shop(2, 3)
    before = [meaning(one) for one in (first, second)]
    both = first + second
    assert made.counts(both) == (10, 6, 2, 2)
    for one, frames in zip((first, second), before, strict=True):
        for view, frame in meaning(one).items():
            pd.testing.assert_frame_equal(frame, frames[view])
