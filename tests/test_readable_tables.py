"""Tables for people: what each kind of column becomes."""

import pandas as pd
import pytest

import tracekit as tk
from tracekit.readable_tables import as_html


def test_each_suffix_has_its_form_and_leaves_the_name():
    frame = pd.DataFrame(
        {
            "service_name": ["<b>", None],
            "span_count": [1200, 3],
            "p95_ns": [39_304_269.0, float("nan")],
            "lag_ms": [1.5, 20.0],
            "error_ratio": [0.002, 1.0],
            "body_bytes": [1_500, 2],
            "cost_usd": [12.5, 0.0],
            "is_error": [True, False],
            "start_ns": [1_763_700_000_000_000_000, 1_763_700_000_500_000_000],
            "end_time": pd.to_datetime([1_763_700_000_000_000_000, None], unit="ns", utc=True),
            "took": pd.to_timedelta([1, 2], unit="s"),
        },
        index=["a", "b"],
    )
    before = frame.copy(deep=True)
    shown = tk.readable(frame)
    assert shown.loc["a"].to_dict() == {
        "service_name": "<b>",
        "span_count": "1,200",
        "p95": "39.3 ms",
        "lag": "1.50 ms",
        "error_ratio": "0.20%",
        "body": "1.5 kB",
        "cost": "$12.50",
        "is_error": "yes",
        "start": "2025-11-21 04:40:00.000",
        "end_time": "2025-11-21 04:40:00.000",
        "took": "1.00 s",
    }
    assert shown.loc["b", ["service_name", "p95", "end_time"]].tolist() == ["–", "–", "–"]
    pd.testing.assert_frame_equal(frame, before)
    assert "&lt;b&gt;" in as_html(frame)
    assert "<b>" not in as_html(frame)


def test_a_series_an_empty_table_and_levels_of_columns():
    assert tk.readable(pd.Series([5], name="took_ns"))["took"].tolist() == ["5 ns"]
    assert tk.readable(pd.DataFrame({"p95_ns": []})).columns.tolist() == ["p95"]
    levels = pd.DataFrame({("a", "x"): [1], ("b", "x"): [2]})
    assert tk.readable(levels).columns.tolist() == [("a", "x"), ("b", "x")]
    assert tk.readable(pd.DataFrame([[1, 2]], columns=["a", "a"])).to_numpy().tolist() == [["1", "2"]]


def test_results_are_shown_with_units_in_a_notebook_and_keep_integers():
    _, shop = tk.load_sample("small-shop")
    found = tk.latency(shop)
    page = found._repr_html_()
    assert "400 ms" in page
    assert "p95_ns" not in page
    assert found.table["max_ns"].dtype.kind in "if"


def test_what_is_not_a_table_is_refused_with_the_next_step():
    with pytest.raises(TypeError, match=r"expected a DataFrame or Series, found int$"):
        tk.readable(5)
    _, shop = tk.load_sample("small-shop")
    with pytest.raises(TypeError, match=r"found Latency; pass its table: readable\(result\.table\)"):
        tk.readable(tk.latency(shop))
