import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw

from tracekit import TraceSet
from tracekit.analysis.latency import latency, summarise, tabulate

THREE = """
a1 1 - ledger SERVER 0 60
b1 1 - ledger SERVER 0 80
c1 1 - ledger SERVER 0 400 error
"""
COLUMNS = [
    "service_name", "operation", "span_count", "weight_sum", "error_ratio", "error_ratio_low", "error_ratio_high",
    *(f"p{q}{end}_ns" for q in (50, 90, 95, 99) for end in ("", "_low", "_high")),
    "mean_ns", "max_ns", "n_effective", "excluded_count",
]  # fmt: skip


def test_three_calls_one_row():
    table = latency(draw(THREE)).table
    assert table.columns.tolist() == COLUMNS
    row = table.iloc[0]
    assert (row["p50_ns"], row["p90_ns"], row["p99_ns"], row["mean_ns"], row["max_ns"]) == (80, 400, 400, 180, 400)
    assert row["error_ratio"] == pytest.approx(1 / 3)
    assert row["n_effective"] == 3


def test_the_histogram_holds_every_span_once():
    histogram = latency(draw(THREE)).histogram
    assert histogram.columns.tolist() == [*COLUMNS[:2], "bucket", "bucket_low_ns", "bucket_high_ns", "weight_sum"]
    assert histogram["weight_sum"].tolist() == [1, 1, 1]
    for low, high, value in zip(histogram["bucket_low_ns"], histogram["bucket_high_ns"], (60, 80, 400), strict=True):
        assert low <= value < high


def test_a_request_kept_with_probability_one_twentieth_represents_twenty():
    traces = draw(THREE).with_weights({"0" * 30 + "a1": 20, "0" * 30 + "b1": 20, "0" * 30 + "c1": 1})
    row = latency(traces).table.iloc[0]
    assert (row["p50_ns"], row["p95_ns"], row["p99_ns"]) == (80, 80, 400)
    assert row["error_ratio"] == pytest.approx(1 / 41)
    assert row["span_count"] == 3
    assert row["weight_sum"] == 41
    assert row["mean_ns"] == pytest.approx((60 * 20 + 80 * 20 + 400) / 41)
    assert row["n_effective"] == pytest.approx(41**2 / 801)


def test_doubling_the_weights_doubles_counts_and_leaves_the_rest():
    traces = draw(THREE)
    once, twice = latency(traces), latency(traces.with_weights(2))
    for before, after in ((once.table, twice.table), (once.histogram, twice.histogram)):
        pd.testing.assert_frame_equal(before.assign(weight_sum=before["weight_sum"] * 2), after)


def test_what_cannot_be_measured_is_counted_and_what_was_inferred_is_not():
    table = latency(
        draw("a1 1 - s SERVER 0 10\na1 2 1 s SERVER 5 -\na1 3 1 s SERVER 9 5\na1 4 1 t SERVER 0 9 inferred"),
        "service_name",
    ).table
    assert table[["service_name", "span_count", "excluded_count"]].to_numpy().tolist() == [["s", 1, 2]]


def test_a_group_of_which_nothing_can_be_measured_stays_visible():
    row = latency(draw("a1 1 - s SERVER 5 -"), "service_name").table.iloc[0]
    assert (row["span_count"], row["weight_sum"], row["excluded_count"]) == (0, 0, 1)
    assert np.isnan([row["p50_ns"], row["p50_low_ns"], row["mean_ns"], row["max_ns"], row["error_ratio"]]).all()


def test_zero_durations_are_durations():
    row = latency(draw("a1 1 - s SERVER 5 5\nb1 1 - s SERVER 5 5"), "service_name").table.iloc[0]
    assert (row["span_count"], row["p50_ns"], row["max_ns"]) == (2, 0, 0)


def test_any_category_and_none():
    traces = draw("a1 1 - s SERVER 0 10\na1 2 1 s CLIENT 0 30")
    assert latency(traces, "kind").table["kind"].tolist() == ["CLIENT", "SERVER"]
    everything = latency(traces, ())
    assert everything.table["span_count"].tolist() == [2]
    assert everything.histogram["bucket"].tolist() == [116, 171]


def test_a_missing_label_is_a_group_of_its_own():
    table = latency(draw("a1 1 - s CLIENT 0 10 peer=ledger\na1 2 1 s SERVER 0 30"), "peer_service_name").table
    assert table["peer_service_name"].isna().sum() == 1
    assert table["span_count"].sum() == 2


def test_an_unknown_column_is_refused_and_any_known_one_groups():
    with pytest.raises(ValueError, match=r"expected a column of spans, .* found 'durations'"):
        latency(draw(THREE), "durations")
    assert latency(draw(THREE), "duration_ns").table["span_count"].sum() == 3


def test_the_heaviest_group_comes_first():
    table = latency(
        draw("a1 1 - rare SERVER 0 10\na1 2 1 often SERVER 0 30\na1 3 1 often SERVER 0 30"), "service_name"
    ).table
    assert table["service_name"].tolist() == ["often", "rare"]


def test_the_histogram_keeps_its_labels_when_groups_are_ordered():
    lines = [*["a1 {} - two SERVER 0 20"] * 2, *["a1 {} - three SERVER 0 30"] * 3, "a1 {} - one SERVER 0 10"]
    result = latency(draw("\n".join(line.format(i) for i, line in enumerate(lines, 1))), "service_name")
    assert result.table["service_name"].tolist() == ["three", "two", "one"]
    assert result.table["max_ns"].tolist() == [30, 20, 10]
    assert result.histogram[["service_name", "weight_sum"]].to_numpy().tolist() == [
        ["three", 3],
        ["two", 2],
        ["one", 1],
    ]


def test_nothing_is_an_empty_table_with_all_columns():
    result = latency(draw(""))
    assert result.table.columns.tolist() == COLUMNS
    assert len(result.table) == len(result.histogram) == 0
    assert repr(result) == "Latency(0 groups, 0 spans; no traces)"


def test_it_reports_what_it_left_out_and_escapes_names():
    result = latency(draw("a1 1 - <b>x</b> SERVER 0 10\na1 2 1 s SERVER 5 -"))
    assert repr(result) == "Latency(2 groups, 1 spans, 1 excluded; sampling weights unknown)"
    assert "<b>x" not in result._repr_html_()
    assert "&lt;b&gt;x" in result._repr_html_()


# -------------------------------------------------------------------- laws on many spans


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(4)
    n = 4000
    start = 1_750_000_000 * 10**9 + rng.integers(0, 10**9, n)
    return pd.DataFrame(
        {
            "trace_id": [f"{t + 1:x}" for t in rng.integers(0, 700, n)],
            "span_id": [f"{i + 1:x}" for i in range(n)],
            "service_name": rng.choice(["cart", "ledger", "shop"], n),
            "name": rng.choice(["read", "write"], n),
            "status_code": rng.choice(["ERROR", "OK"], n, p=[0.05, 0.95]),
            "start_ns": start,
            "end_ns": start + rng.lognormal(14, 1, n).astype(np.int64),
        }
    )


def test_quantiles_are_within_two_percent_of_numpys(many):
    table = latency(TraceSet.from_spans(many)).table.set_index(["service_name", "operation"])
    duration = (many["end_ns"] - many["start_ns"]).groupby([many["service_name"], many["name"]])
    for name, share in (("p50_ns", 0.5), ("p90_ns", 0.9), ("p95_ns", 0.95), ("p99_ns", 0.99)):
        exact = duration.agg(lambda values, share=share: np.quantile(values, share, method="inverted_cdf"))
        assert (table[name] / exact.reindex(table.index) - 1).abs().max() < 0.02
    assert table["max_ns"].tolist() == duration.max().reindex(table.index).tolist()
    assert table["mean_ns"].tolist() == pytest.approx(duration.mean().reindex(table.index).tolist())


def test_limits_enclose_the_estimate(many):
    table = latency(TraceSet.from_spans(many)).table
    for name in ("p50", "p90", "p95", "p99"):
        assert (table[f"{name}_low_ns"] <= table[f"{name}_ns"]).all()
        assert ((table[f"{name}_ns"] <= table[f"{name}_high_ns"]) | table[f"{name}_high_ns"].isna()).all()


def test_the_order_of_rows_does_not_matter(many):
    shuffled = many.sample(frac=1, random_state=1)
    one, other = (latency(TraceSet.from_spans(frame)) for frame in (many, shuffled))
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.histogram, other.histogram)


def test_blocks_add_up_to_the_whole(many):
    traces = TraceSet.from_spans(many)
    by = ["service_name", "operation"]
    cut = traces.trace_ids[300]
    half = traces.spans["trace_id"] < cut
    blocks = [traces.where(half), traces.where(~half)]
    merged = summarise([tabulate(block, by) for block in blocks], by)
    whole = latency(traces, by)
    pd.testing.assert_frame_equal(merged.table, whole.table)
    pd.testing.assert_frame_equal(merged.histogram, whole.histogram)
