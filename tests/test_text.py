import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit import text


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ud800", "\ufffe"])
def test_characters_that_reorder_hide_or_break_text_are_replaced(bad):
    assert text.clean(f"a{bad}b") == "a\ufffdb"
    assert text.clean(f"a{bad}b", block=True) == "a\ufffdb"


def test_line_breaks_survive_only_in_values():
    assert text.clean("a\n\tb") == "a\ufffd\ufffdb"
    assert text.clean("a\n\tb", block=True) == "a\n\tb"


def test_ordinary_text_of_any_script_is_untouched():
    for words in ("GET /cart", "naïve", "заказ", "注文", "طلب", "😀"):
        assert text.clean(words) == words


@given(st.text(st.characters(), max_size=200))
def test_a_cleaned_text_can_be_encoded_and_has_no_control(raw):
    cleaned = text.clean(raw)
    cleaned.encode("utf-8")
    assert len(cleaned) == len(raw)
    assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]


def test_a_long_name_keeps_both_ends():
    assert text.shortened("a" * 20 + "b" * 20, 10) == "aaaaaa…bbb"
    assert text.shortened("abc", 3) == "abc"


def test_a_long_text_is_truncated_with_an_ellipsis():
    assert text.clean("A" * 20_000, limit=300) == "A" * 299 + "…"


@given(st.floats(1, 9e17))
def test_durations_keep_three_digits(nanoseconds):
    figure, unit = text.duration(nanoseconds).split(" ")
    back = float(figure) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert math.isclose(back, nanoseconds, rel_tol=0.0051)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0 ns"), (1, "1 ns"), (999, "999 ns"), (1000, "1.00 µs"), (1500.4, "1.50 µs"), (99_950, "100 µs"),
        (100_500, "101 µs"),
        (999_499, "999 µs"), (999_500, "1.00 ms"), (1.5e9, "1.50 s"), (12_345e9, "12345 s"), (-7, "-7 ns"),
        (float("nan"), "\N{EN DASH}"), (None, "\N{EN DASH}"), (float("inf"), "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_durations(nanoseconds, expected):
    assert text.duration(nanoseconds) == expected


@given(st.floats(0, 1))
def test_only_0_and_1_are_shown_as_0_and_100_percent(share):
    shown = text.ratio(share)
    assert (shown == "0%") == (share == 0)
    assert (shown == "100%") == (share == 1)


def test_ratios_have_no_space_before_the_percent_sign():
    shown = [text.ratio(share) for share in (0.988, 0.25, 0.005, -0.031, 1.5, math.nan, None)]
    assert shown == ["98.8%", "25.0%", "0.50%", "-3.1%", "150.0%", "\N{EN DASH}", "\N{EN DASH}"]


def test_ranges_show_different_limits_as_different_numbers():
    assert text.ratio_range(0.0048, 0.012) == "0.48\N{EN DASH}1.2%"
    assert text.ratio_range(0.12001, 0.12004) == "12.001\N{EN DASH}12.004%"
    assert text.ratio_range(0.1, math.nan) == "10.0% to not estimable"
    assert text.factor_range(0.07, 12) == "0.07\N{EN DASH}12.0\N{MULTIPLICATION SIGN}"
    assert text.factor_range(math.nan, 2) == "not estimable to 2.00\N{MULTIPLICATION SIGN}"


def test_factors_counts_and_axis_labels():
    assert [text.factor(value) for value in (0.08, 2.6, 12.34, math.nan)] == [
        "0.08\u00d7",
        "2.60\u00d7",
        "12.3\u00d7",
        "\N{EN DASH}",
    ]
    assert [text.rough_count(number) for number in (1234, 7.4, math.inf)] == ["1,200", "7", "\N{EN DASH}"]
    assert [text.round_duration(ns) for ns in (1_000_000, 1_500_000, 999, 20_000)] == [
        "1 ms",
        "1.5 ms",
        "999 ns",
        "20 µs",
    ]


def test_names_that_could_be_pii_are_masked():
    assert text.quoted("cart") == "`cart`"
    assert text.quoted("jane@example.org") == text.quoted("ja123456789") == "`ja...` (masked)"


def test_a_period_repeats_the_date_only_where_it_differs():
    day = 86_400 * 10**9
    assert text.period(0, 39 * 10**9) == "1970-01-01 00:00:00 to 00:00:39 UTC"
    assert text.period(0, day) == "1970-01-01 00:00:00 to 1970-01-02 00:00:00 UTC"


def test_names_lose_their_common_folder_and_nothing_else():
    assert text.short_names(["/a/b/x.json", "/a/b/c/y.json"]) == ["x.json", "c/y.json"]
    assert text.short_names(["/a/x.json", "/b/x.json"]) == ["a/x.json", "b/x.json"]
    assert text.short_names(["C:\\logs\\x.json"]) == ["x.json"]
    assert text.short_names(["\\\\host\\logs\\x.json"]) == ["x.json"]
    assert text.short_names(["/logs/\\u202ex.json"]) == ["\\u202ex.json"], "an escaped character is no folder"
    assert text.short_names(["-"]) == ["-"]
    assert text.short_names([]) == []


@given(st.lists(st.text("ab/", min_size=1, max_size=12), min_size=2, max_size=5))
def test_different_files_keep_different_names(uris):
    paths = ["/" + "/".join(filter(None, uri.split("/"))) for uri in uris]
    short = text.short_names(paths)
    assert all((short[i] == short[j]) == (paths[i] == paths[j]) for i in range(len(uris)) for j in range(len(uris)))


def test_times_are_truncated_and_not_rounded():
    assert text.moment(1_999_999_999, decimals=3) == "1970-01-01 00:00:01.999"
    assert text.moment(-1) == "1969-12-31 23:59:59"


@pytest.mark.parametrize("code", [0x200B, 0x200C, 0x200D, 0x200E, 0x2060, 0xFEFF, 0xAD, 0x3164, 0xE0041, 0x61C, 0x34F])
def test_zero_width_characters_are_replaced(code):
    assert text.clean(f"pay{chr(code)}ments") == "pay\ufffdments"
    assert text.clean(f"payments{chr(code)}", block=True) == "payments\ufffd"


@pytest.mark.parametrize("words", ["می\u200cشود", "क्\u200dष", "\U0001f469\u200d\U0001f4bb", "❤\ufe0f"])
def test_joiners_are_kept_where_a_script_needs_them(words):
    assert text.clean(words) == words
