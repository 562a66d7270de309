import numpy as np
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.analysis.self_time import covered_times, self_time, self_times
from tracekit.forest import visible_parents

SHOP = """
a1 1 - shop   SERVER    0 100
a1 2 1 cart   INTERNAL 10  40
a1 3 1 ledger INTERNAL 30  90
a1 4 3 ledger INTERNAL 50  60
"""


def test_a_span_keeps_what_no_child_of_it_covers():
    result = self_time(draw(SHOP))
    assert result.spans["self_time_ns"].tolist() == [20, 30, 50, 10]
    assert result.spans.index.tolist() == [0, 1, 2, 3]
    assert repr(result) == "SelfTime(4 spans, 110 ns of self time; sampling weights unknown)"


def test_nested_calls_one_after_the_other_add_up_to_the_root():
    traces = draw("a1 1 - s SERVER 0 100\na1 2 1 s INTERNAL 5 30\na1 3 1 s INTERNAL 30 80\na1 4 3 s INTERNAL 40 80")
    assert self_times(traces).sum() == 100


@pytest.mark.parametrize(
    ("child", "own"),
    [
        ("20 300", 20),  # ends after its parent: clipped
        ("-50 40", 60),  # starts before
        ("-50 300", 0),
        ("150 300", 100),  # a consumer that starts when the parent has ended
        ("100 200", 100),
        ("30 30", 100),  # no time at all
        ("80 20", 100),  # impossible: takes nothing away
        ("- 40", 100),
        ("20 -", 100),
    ],
)
def test_a_child_counts_as_far_as_it_overlaps(child, own):
    traces = draw(f"a1 1 - shop SERVER 0 100\na1 2 1 cart INTERNAL {child}")
    assert self_time(traces).spans.loc[lambda spans: spans["service_name"] == "shop", "self_time_ns"].tolist() == [own]


def test_spans_that_cannot_be_measured_are_counted_and_left_out():
    result = self_time(draw("a1 1 - a SERVER 0 -\na1 2 1 b SERVER 9 5\na1 3 1 c SERVER - 5\na1 4 1 d SERVER 3 5"))
    assert result.excluded_count == 3
    assert result.spans["service_name"].tolist() == ["d"]
    assert repr(result) == "SelfTime(1 spans, 2 ns of self time, 3 excluded; sampling weights unknown)"


def test_an_inferred_row_leaves_the_wait_with_its_caller():
    result = self_time(draw("a1 1 - shop CLIENT 0 100\na1 2 1 dynamo SERVER 10 90 inferred"))
    assert result.spans["self_time_ns"].tolist() == [100]
    assert result.excluded_count == 0


def test_a_span_below_an_inferred_row_counts_for_the_span_above():
    traces = draw("a1 1 - shop CLIENT 0 100\na1 2 1 queue SERVER 10 90 inferred\na1 3 2 worker SERVER 20 50")
    assert self_times(traces).tolist() == [70, 0, 30]


def test_sums_are_weighted_and_shares_are_not():
    traces = draw(SHOP)
    once, twice = self_time(traces).by("service_name"), self_time(traces.with_weights(2)).by("service_name")
    assert once["service_name"].tolist() == ["ledger", "cart", "shop"]
    assert once["self_time_ns"].tolist() == [60, 30, 20]
    assert twice["self_time_ns"].tolist() == [120, 60, 40]
    assert twice["self_time_ratio"].tolist() == once["self_time_ratio"].tolist()
    assert twice["span_count"].tolist() == once["span_count"].tolist() == [2, 1, 1]
    assert once["self_time_ratio"].sum() == pytest.approx(1)


def test_several_keys_and_the_trace():
    table = self_time(draw(SHOP)).by(["trace_id", "service_name"])
    assert table["trace_id"].unique().tolist() == ["0" * 30 + "a1"]
    assert len(table) == 3


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="found 'kin'; did you mean kind"):
        self_time(draw(SHOP)).by("kin")


def test_nothing_is_nothing():
    result = self_time(draw(""))
    assert len(result.spans) == result.excluded_count == 0
    assert len(result.by("service_name")) == 0
    assert repr(result) == "SelfTime(0 spans, 0 ns of self time; no traces)"


def test_names_are_escaped_in_a_notebook():
    shown = self_time(draw("a1 1 - <script>alert(1)</script> SERVER 0 9"))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_a_chain_of_inferred_rows_is_followed_to_its_top():
    n = 100_000
    parent = np.arange(-1, n - 1)
    inferred = np.ones(n, bool)
    inferred[[0, n - 1]] = False
    assert visible_parents(parent, inferred)[[0, 1, n - 1]].tolist() == [-1, 0, 0]


def test_a_cycle_is_measured_once_it_is_cut():
    traces = draw("a1 1 2 s INTERNAL 0 100\na1 2 1 s INTERNAL 10 50\na1 3 3 s INTERNAL 0 7")
    assert sorted(self_times(traces).tolist()) == [7, 40, 60]


# -------------------------------------------------------------------- an oracle that counts nanoseconds

forests = st.lists(st.tuples(st.integers(-1, 9), st.integers(0, 30), st.integers(-3, 30), st.booleans()), max_size=10)


def _by_counting(parent, start, end, usable):
    """Self time of each row, one nanosecond at a time."""
    own = []
    for row in range(len(parent)):
        children = [c for c in range(len(parent)) if parent[c] == row and usable[c]]
        busy = {t for c in children for t in range(start[c], end[c])}
        own.append(len([t for t in range(start[row], end[row]) if t not in busy]) if usable[row] else 0)
    return own


def test_durations_whose_sum_does_not_fit_64_bits():
    year = 365 * 86_400 * 10**9
    parents = np.arange(20)
    start = np.concatenate([np.zeros(20, np.int64), parents * year])
    end = np.concatenate([np.full(20, 250 * year), (parents + 1) * year * 2])
    covered = covered_times(parents, parents + 20, np.minimum(np.arange(41), 20), start, end)
    assert covered[:20].tolist() == [(at + 2) * year for at in range(20)]
    assert (covered[20:] == 0).all()


@settings(deadline=None)
@given(forests, st.booleans())
def test_it_is_the_time_that_no_child_is_at_work(rows, huge):
    parent = [p if p < i else -1 for i, (p, *_) in enumerate(rows)]
    start = [s for _, s, _, _ in rows]
    end = [s + d for _, s, d, _ in rows]
    usable = [known and d >= 0 for _, _, d, known in rows]
    wanted = _by_counting(parent, start, end, usable)
    scale = 2**57 if huge else 1  # sums of such durations do not fit 64 bits
    at = np.array(start, np.int64) * scale
    to = np.where(np.array(usable, bool), np.array(end, np.int64) * scale, at)
    children = sorted((c for c in range(len(rows)) if parent[c] >= 0), key=lambda c: (parent[c], start[c]))
    offsets = np.cumsum([0, *(parent.count(row) for row in range(len(rows)))])
    above = np.array([parent[child] for child in children], int)
    own = to - at - covered_times(above, np.array(children, int), offsets, at, to)
    assert own.tolist() == [w * scale for w in wanted]


@pytest.mark.parametrize("count", [1, 7, 64])
def test_a_store_has_the_self_time_of_the_whole(tmp_path, count):
    _, during = tk.load_sample("checkout-regression")
    during = during.with_weights(np.random.default_rng(1).choice([1.0, 10.0, 100.0], len(during)))
    store = split(during, tmp_path / "a.parquet", count)
    found, expected = tk.self_time(store), tk.self_time(during)
    for by in ("service_name", ["service_name", "operation"], "app.customer.tier", ()):
        same(found.by(by), expected.by(by))
    assert found.statement == expected.statement
    assert repr(found).startswith("StoredSelfTime(TraceStore(a.parquet: ")
