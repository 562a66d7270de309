"""Any DataFrame as a table: what is read, what is sorted by, what a spreadsheet gets."""

import numpy as np
import pandas as pd
import pytest

from tracekit.report.frame_table import frame_table
from tracekit.views.colours import Colours


def table_of(frame, shown=()):
    return frame_table(frame, "Mine", Colours(), set(shown))


def cells(values, name="x"):
    return [row[0] for row in table_of(pd.DataFrame({name: values})).rows]


@pytest.mark.parametrize(
    ("name", "value", "text", "sort_key", "words", "unit"),
    [
        ("p95_ns", 1_500_000, "1.50 ms", "1500000", "p95", "ns"),
        ("p95_ns_now", 2.5e9, "2.50 s", "2500000000", "p95 now", "ns"),
        ("error_ratio", 0.25, "25.0%", "0.25", "error ratio", ""),
        ("change_ratio", -0.031, "-3.1%", "-0.031", "change ratio", ""),
        ("byte_size_bytes", 1_234_567, "1.2 MB", "1234567", "byte size", "bytes"),
        ("cost_usd", 3.14159, "$3.14", "3.14159", "cost", "USD"),
        ("span_count", 12_345, "12,345", "12345", "span count", ""),
        ("start_ns", 1_747_231_200_123_456_789, "2025-05-14 14:00:00.123", "1747231200123456789", "start",
         "ns since 1970, UTC"),
        ("ns", 7, "7", "7", "ns", ""),
    ],
)  # fmt: skip
def test_the_unit_in_a_name_decides_how_a_number_is_formatted(name, value, text, sort_key, words, unit):
    table = table_of(pd.DataFrame({name: [value]}))
    (column,), ((cell,),) = table.columns, table.rows
    assert (cell.text, cell.sort_key, column.words, column.unit) == (text, sort_key, words, unit)
    assert column.is_number


def test_what_is_missing_is_a_dash_and_sorts_nowhere():
    for values in (
        [None, 1.5],
        [float("nan"), 2.0],
        pd.array([None, 3], "Int64"),
        [pd.NaT, pd.Timestamp(0)],
        [None, "a"],
    ):
        cell = cells(values)[0]
        assert (cell.text, cell.value, cell.kind) == ("\N{EN DASH}", None, "mute")
    assert [cell.text for cell in cells([np.inf, -np.inf])] == ["inf", "-inf"]
    assert [cell.sort_key for cell in cells([np.inf, -np.inf])] == ["", ""]


def test_times_words_and_truths():
    assert cells([pd.Timestamp("2025-05-14 16:00", tz="Europe/Paris")])[0].text == "2025-05-14 14:00:00.000"
    assert cells([np.datetime64("2025-05-14T14:00", "s")])[0].value == 1_747_231_200 * 10**9
    assert cells([pd.Timedelta("2 ms")])[0].text == "2.00 ms"
    assert cells([np.timedelta64(2, "s")])[0].value == 2e9
    assert [cell.text for cell in cells([True, False])] == ["yes", "no"]
    assert [cell.text for cell in cells(pd.array([True, None], "boolean"))] == ["yes", "\N{EN DASH}"]
    assert cells([[1, 2]])[0].text == "[1, 2]"
    assert cells(["x" * 999])[0].text == "x" * 80 + "…" + "x" * 39


def test_services_have_their_colour_and_traces_their_link():
    frame = pd.DataFrame({"callee_service": ["cart"], "largest_trace_id": ["a1"], "trace_id": ["b2"]})
    (service, shown, other) = table_of(frame, {"a1"}).rows[0]
    assert service.slot == Colours().slot("cart")
    assert (shown.link, other.link) == ("trace-a1", "")
    assert shown.text == "a1"


def test_an_index_with_a_name_comes_first_and_names_may_be_there_twice():
    frame = pd.DataFrame([[1, 2]], index=pd.Index(["a"], name="who"), columns=["x", "x"])
    assert [column.words for column in table_of(frame).columns] == ["who", "x", "x"]
    assert [column.words for column in table_of(pd.DataFrame({"x": [1]}, index=["a"])).columns] == ["x"]
    wide = pd.DataFrame({("p95_ns", "mean"): [1.0]})
    assert [column.words for column in table_of(wide).columns] == ["p95 ns mean"]
    assert [column.words for column in table_of(pd.DataFrame({0: [1.0]})).columns] == ["0"]


def test_the_frame_is_left_as_it_was():
    frame = pd.DataFrame({"x_ns": [2, 1]}, index=pd.Index([5, 6], name="k"))
    before = frame.copy()
    assert [row[1].value for row in table_of(frame).rows] == [2, 1]
    pd.testing.assert_frame_equal(frame, before)


def test_a_truncated_frame_is_reported():
    table = table_of(pd.DataFrame({"x": range(2_001)}))
    assert len(table.rows) == 2_000
    assert table.note == "The first 2,000 of 2,001 rows."
    assert table_of(pd.DataFrame({"x": range(2_000)})).note == ""
