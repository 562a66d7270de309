"""Shapes of traces: what makes two traces alike, how frequent a shape is, and which are new."""

import numpy as np
import pandas as pd
import pytest
from analysis.compare.worlds import shop
from drawn_spans import draw
from scipy import stats

import tracekit as tk
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit import TraceSet

ONE = """
{0} 1 - shop SERVER 0 100 name=GET
{0} 2 1 shop CLIENT 10 50 name=call
{0} 3 2 ledger SERVER 15 45 name=book
"""


def shape_of(traces):
    (only,) = tk.paths(traces).of_traces.unique()
    return only


def test_repeated_calls_their_order_and_durations_make_no_difference():
    once = draw(ONE.format("a"))
    twice = draw(ONE.format("b") + "b 4 1 shop CLIENT 60 90 name=call\nb 5 4 ledger SERVER 61 62 name=book")
    late = draw(ONE.format("c").replace("10 50", "70 99").replace("15 45", "71 98"))
    assert shape_of(once) == shape_of(twice) == shape_of(late)


def test_another_call_a_missing_call_and_another_parent_are_other_shapes():
    once = draw(ONE.format("a"))
    more = draw(ONE.format("b") + "b 4 3 ledger CLIENT 20 30 name=query")
    fewer = draw("\n".join(ONE.format("c").splitlines()[:3]))
    moved = draw(ONE.format("d").replace("3 2 ledger", "3 1 ledger"))
    assert len({shape_of(one) for one in (once, more, fewer, moved)}) == 4


def test_failed_attempts_that_were_repeated_can_be_folded():
    once = draw(ONE.format("a") + "a 4 3 ledger CLIENT 20 30 name=query")
    retried = draw(
        ONE.format("b").replace("2 1 shop CLIENT 10 50 name=call", "2 1 shop CLIENT 10 50 name=call error")
        + "b 6 3 ledger INTERNAL 20 21 name=refuse\n"
        + "b 7 1 shop CLIENT 55 99 name=call\nb 8 7 ledger SERVER 56 98 name=book\nb 9 8 ledger CLIENT 60 70 name=query"
    )
    assert shape_of(once) != shape_of(retried)
    (folded,) = tk.paths(retried, fold_retries=True).of_traces.unique()
    assert folded == shape_of(once)
    failed_last = draw(ONE.format("c") + "c 7 1 shop CLIENT 55 99 name=call error")
    assert tk.paths(failed_last, fold_retries=True).of_traces.tolist() == tk.paths(failed_last).of_traces.tolist()


def canonical(spans):
    """The set of call paths of each trace, one span at a time."""
    found = {}
    parents = spans["parent_row"].to_dict()
    names = (spans["service_name"].astype(str) + " " + spans["operation"].astype(str)).to_dict()
    for row, trace in spans["trace_id"].items():
        steps, at = [], row
        while at >= 0:
            steps.append(names[at])
            at = parents[at]
        found.setdefault(trace, set()).add(tuple(steps))
    return {trace: frozenset(paths) for trace, paths in found.items()}


def test_traces_have_one_shape_exactly_if_they_have_the_same_call_paths():
    rng = np.random.default_rng(0)
    n = 400
    trace = np.sort(rng.integers(0, 80, n))
    first = np.searchsorted(trace, trace)
    at = np.arange(n)
    parent = np.where(at == first, -1, first + (rng.random(n) * (at - first)).astype(int))
    start = at * 10
    spans = TraceSet.from_spans(
        pd.DataFrame(
            {
                "trace_id": [f"{t + 1:032x}" for t in trace],
                "span_id": [f"{k + 1:016x}" for k in at],
                "parent_span_id": [None if p < 0 else f"{p + 1:016x}" for p in parent],
                "service_name": rng.choice(["a", "b"], n),
                "name": rng.choice(["x", "y"], n),
                "start_ns": start,
                "end_ns": start + 5,
            }
        )
    )
    own, expected = tk.paths(spans).of_traces, canonical(spans.spans)
    pairs = {(own[trace], paths) for trace, paths in expected.items()}
    assert len(pairs) == len({shape for shape, _ in pairs}) == len({paths for _, paths in pairs})


@pytest.fixture(scope="module")
def changed():
    rng = np.random.default_rng(1)
    before = shop(rng, 200)
    return tk.paths(shop(rng, 300, refunds=0.2, prefix=2), before)


def test_frequencies_have_exact_limits_and_add_up(changed):
    row = changed.table.iloc[0]
    refunds = int(row["trace_count"])
    limits = stats.binomtest(refunds, 300).proportion_ci(0.95, "exact")
    assert (row["frequency_low_ratio"], row["frequency_high_ratio"]) == pytest.approx(
        (limits.low, limits.high), abs=1e-3
    )
    assert changed.table["frequency_ratio"].sum() == pytest.approx(1)
    share = refunds / 300
    assert changed.entropy_bits == pytest.approx(stats.entropy([share, 1 - share], base=2))
    assert changed.baseline_entropy_bits == 0


def test_a_new_shape_is_first_and_says_what_it_has_beside_the_usual_one(changed):
    row = changed.table.iloc[0]
    assert (row["verdict"], row["differs_by"], row["baseline_trace_count"]) == ("new", "+ shop refund", 0)
    assert "1 new" in repr(changed)
    assert changed.table["verdict"].tolist()[1] == "fewer"


def test_the_tree_lists_the_calls_of_a_shape(changed):
    tree = changed.tree(changed.table["shape"].iloc[0][:8])
    assert tree["operation"].tolist()[0] == "POST /checkout"
    assert set(tree["operation"]) == {"POST /checkout", "POST", "POST /book", "INSERT", "refund"}
    assert (tree["call_count"] == 1).all()
    with pytest.raises(ValueError, match="the id of one shape, found 'nothing'"):
        changed.tree("nothing")


def test_the_typical_trace_is_the_one_with_the_durations_in_the_middle():
    text = "".join(ONE.format(name).replace("0 100", f"0 {took}") for name, took in (("a", 90), ("b", 100), ("c", 900)))
    assert tk.paths(draw(text)).table["typical_trace_id"].tolist() == [f"{0xB:032x}"]


def test_latency_and_other_analyses_can_be_grouped_by_shape(changed):
    by_shape = tk.latency(changed.source, by=changed.of_traces, roots=True).table
    assert set(by_shape["shape"]) == set(changed.table.loc[changed.table["trace_count"] > 0, "shape"])


def test_two_samples_of_the_same_traffic_have_no_significant_change():
    rng, found = np.random.default_rng(2), 0
    for _ in range(20):
        sides = (shop(rng, 60, refunds=0.3, failing=0.1, prefix=prefix) for prefix in (1, 2))
        found += bool(tk.paths(*sides).table["verdict"].isin(["new", "gone", "more", "fewer"]).any())
    assert found <= 3


def test_sides_sampled_differently_are_not_compared(changed):
    found = tk.paths(changed.source, changed.source.with_weights(10))
    assert set(found.table["verdict"]) == {"not comparable"}


def test_no_traces_and_wrong_arguments():
    nothing = draw(ONE.format("a")).where("service_name == 'nobody'")
    assert repr(tk.paths(nothing)) == "Paths(0 shapes of 0 traces, 0.0 bits; no traces)"
    with pytest.raises(ValueError, match="false discovery rate between 0 and 1"):
        tk.paths(nothing, fdr=2)
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.paths"):
        tk.paths("file.jsonl")


def test_the_tree_has_the_mean_times_and_callers_of_the_traces_of_a_shape():
    later = "{0} 4 1 shop CLIENT 60 70 name=later\n{0} 5 2 ledger SERVER 16 26 name=book\n"
    both = ONE.format("a") + later.format("a") + ONE.format("b").replace("0 100", "0 200") + later.format("b")
    traces = draw(both)
    found = tk.paths(traces)
    tree = found.tree(found.table["shape"].iloc[0])
    assert tree["operation"].tolist() == ["GET", "call", "book", "later"]
    assert tree["parent"].tolist() == [-1, 0, 1, 0]
    assert tree["depth"].tolist() == [0, 1, 2, 1]
    assert tree["call_count"].tolist() == [1, 1, 2, 1]
    unit = tree["mean_ns"].iloc[1] / 40  # of the drawing
    assert (tree["mean_ns"] / unit).tolist() == pytest.approx([150, 40, 20, 10])
    weighted = tk.paths(traces.with_weights({traces.trace_ids[0]: 3.0, traces.trace_ids[1]: 1.0}))
    assert weighted.tree(weighted.table["shape"].iloc[0])["mean_ns"].iloc[0] / unit == pytest.approx(125)


def test_a_shape_that_is_gone_has_the_tree_of_the_baseline():
    rng = np.random.default_rng(3)
    found = tk.paths(shop(rng, 200), shop(rng, 300, refunds=0.2, prefix=2))
    assert found.table["verdict"].iloc[0] == "gone"
    assert "refund" in set(found.tree(found.table["shape"].iloc[0])["operation"])


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weights", [None, "mixed"])
def test_a_store_has_the_shapes_of_the_whole(tmp_path, monkeypatch, count, weights):
    monkeypatch.setattr("tracekit.analysis.paths.result._FIRST", 4)
    before, during = tk.load_sample("checkout-regression")
    if weights:
        rng = np.random.default_rng(1)
        before, during = (side.with_weights(rng.choice([1.0, 10.0, 100.0], len(side))) for side in (before, during))
    store, baseline = split(during, tmp_path / "a.parquet", count), split(before, tmp_path / "b.parquet", 3)
    for options in ({}, {"fold_retries": True}):
        found, expected = tk.paths(store, **options), tk.paths(during, **options)
        same(found.table, expected.table)
        assert found.entropy_bits == pytest.approx(expected.entropy_bits, rel=1e-9)
        assert (repr(found), found.statement) == (repr(expected), expected.statement)
        pd.testing.assert_series_equal(found.of_traces, expected.of_traces)
    found, expected = tk.paths(store, baseline), tk.paths(during, before)
    same(found.table, expected.table)
    assert len(expected.table) == 10
    for shape in [*expected.table["shape"].head(3), *expected.table["shape"].tail(2)]:
        same(found.tree(shape), expected.tree(shape))
    assert (repr(found), found.statement) == (repr(expected), expected.statement)
    assert found.baseline_entropy_bits == pytest.approx(expected.baseline_entropy_bits, rel=1e-9)
    for mixed in (tk.paths(store, before), tk.paths(during, baseline)):
        same(mixed.table, expected.table)
    overlapping = tk.paths(store, split(during.head(9), tmp_path / "c.parquet", 2))
    assert overlapping.shared_trace_count == 9


def test_shapes_of_a_store_that_only_the_baseline_has_are_drawn_from_it(tmp_path):
    one, other = draw(ONE.format("a")), draw(ONE.format("b").replace("ledger", "bank"))
    stores = split(one, tmp_path / "a.parquet", 2), split(other, tmp_path / "b.parquet", 2)
    found, expected = tk.paths(*stores), tk.paths(one, other)
    same(found.table, expected.table)
    for shape in expected.table["shape"]:
        same(found.tree(shape), expected.tree(shape))
    assert found.tree(tk.paths(other).table["shape"].item())["service_name"].tolist() == ["shop", "shop", "bank"]
    with pytest.raises(ValueError, match="expected the id of one shape, found 'nothing'"):
        found.tree("nothing")
