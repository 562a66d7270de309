import math
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

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


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@example("1. a")
@example("- # b")
@example("http://a.example www.b.example c@d.example")
@example("<b>`x` *y* ![z](u)</b>&amp;")
@example("= setext")
def test_what_is_in_markdown_is_shown_as_it_is(raw):
    parser = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
    shown = text.in_markdown(raw)
    kinds = {token.type for token in parser.parse(f"- {shown}\n\nend")}
    assert kinds <= {
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "paragraph_close", "list_item_close",
        "bullet_list_close",
    }  # fmt: skip
    inline = [child for token in parser.parse(f"- {shown}") for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special"}
    assert "".join(child.content for child in inline) == text.clean(raw).strip()


@pytest.mark.parametrize("address", ["http://a.example", "https://a.example", "www.a.example", "a@b.example"])
def test_no_address_is_left_for_renderers_that_link_them(address):
    assert address not in text.in_markdown(f"x {address} y")


def test_a_long_name_keeps_both_ends():
    assert text.shortened("a" * 20 + "b" * 20, 10) == "aaaaaa…bbb"
    assert text.shortened("abc", 3) == "abc"


def test_a_long_text_is_truncated_with_an_ellipsis():
    assert text.clean("A" * 20_000, limit=300) == "A" * 299 + "…"


@given(st.floats(1, 9e17))
def test_durations_keep_three_digits(nanoseconds):
    figure, unit = text.duration(nanoseconds).split(" ")
    back = float(figure.replace(",", "")) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert math.isclose(back, nanoseconds, rel_tol=0.0051)


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (0, "0 ns"), (1, "1 ns"), (999, "999 ns"), (1000, "1.00 µs"), (1500.4, "1.50 µs"), (99_950, "100 µs"),
        (100_500, "101 µs"),
        (999_499, "999 µs"), (999_500, "1.00 ms"), (1.5e9, "1.50 s"), (12_345e9, "12,345 s"), (-7, "-7 ns"),
        (float("nan"), "unknown"), (None, "unknown"), (float("inf"), "unknown"),
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
    assert shown == ["98.8%", "25.0%", "0.50%", "-3.1%", "150.0%", "unknown", "unknown"]


def test_ranges_show_different_limits_as_different_numbers():
    assert text.ratio_range(0.0048, 0.012) == "0.48\N{EN DASH}1.2%"
    assert text.ratio_range(0.12001, 0.12004) == "12.001\N{EN DASH}12.004%"
    assert text.ratio_range(0.1, math.nan) == "≥ 10.0%"
    assert text.factor_range(0.07, 12) == "0.07\N{EN DASH}12.0\N{MULTIPLICATION SIGN}"
    assert text.factor_range(math.nan, 2) == "≤ 2.00\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    "form",
    [
        text.duration, text.round_duration, text.signed_duration, text.count, text.rough_count, text.mean_count,
        text.number, text.usd, text.ratio, text.round_ratio, text.points, text.factor, text.size,
    ],
)  # fmt: skip
@pytest.mark.parametrize("missing", [math.nan, math.inf, -math.inf])
def test_missing_numbers_are_words_in_sentences_and_a_dash_in_cells(form, missing):
    assert form(missing) == "unknown"
    assert text.cell(form, missing) == text.cell(form, None) == "\N{EN DASH}"
    assert text.cell(form, 2.0) == form(2.0)


def test_missing_limits_are_not_estimable():
    assert text.interval(math.nan, math.nan, text.duration) == "95% CI not estimable"
    assert text.interval(math.nan, 2e6, text.duration) == "95% CI ≤ 2.00 ms"
    assert text.plural(math.nan, "trace") == "unknown traces"


def test_ranges_and_changes_name_a_unit_once():
    dash = "\N{EN DASH}"
    assert text.interval(81e6, 89e6, text.duration) == f"95% CI 81.0{dash}89.0 ms"
    assert text.interval(9e5, 2e6, text.duration, confidence="") == "900 µs to 2.00 ms"
    assert text.interval(13.5e6, 22e6, text.signed_duration) == "95% CI +13.5 to +22.0 ms"
    assert text.interval(-1e6, 22e6, text.signed_duration) == "95% CI -1.00 to +22.0 ms"
    assert text.interval(0.0015, 0.012, text.points, confidence="") == "+0.15 to +1.2 percentage points"
    assert text.interval(1_200, 1_400, text.count, confidence="99% CI") == f"99% CI 1,200{dash}1,400"
    assert text.ratio_range(0.00001, 0.02) == "<0.01% to 2.0%"
    assert text.with_interval(57e6, 55e6, 59e6, text.duration) == f"57.0 ms (55.0{dash}59.0 ms)"
    assert [text.from_to(100e6, 256e6), text.from_to(9e5, 2e6)] == ["100 → 256 ms", "900 µs → 2.00 ms"]
    assert text.from_to(0.002, 0.05, text.ratio) == "0.20% → 5.0%"
    assert text.from_to(None, 5e6) == "unknown → 5.00 ms"


def test_numbers_that_somebody_chose_have_no_trailing_zeros():
    assert [text.round_ratio(share) for share in (0.05, 0.0625, 0.9995, 1e-7, 1)] == [
        "5%",
        "6.25%",
        "99.95%",
        "0.00001%",
        "100%",
    ]
    assert [text.round_duration(ns) for ns in (30e9, 62.5e9)] == ["30 s", "62.5 s"]


def test_means_plain_numbers_and_amounts():
    assert [text.mean_count(calls) for calls in (0.104, 1, 8.16, 1234.5)] == ["0.10", "1.0", "8.2", "1,234.5"]
    assert [text.number(value) for value in (7.0, 1234.5, 0.01234, -3.14159)] == ["7", "1,234", "0.0123", "-3.14"]
    amounts = (1234.5, 0.0149, 0.004, 0.00000123, 0.0)
    assert [text.usd(amount) for amount in amounts] == ["$1,234.50", "$0.01", "$0.004", "$0.0000012", "$0.00"]


def test_halves_are_rounded_up_as_the_script_does():
    assert [text.ratio(0.1225), text.ratio(0.00125)] == ["12.3%", "0.13%"]


def test_factors_counts_and_axis_labels():
    assert [text.factor(value) for value in (0.08, 2.6, 12.34, math.nan)] == [
        "0.08\u00d7",
        "2.60\u00d7",
        "12.3\u00d7",
        "unknown",
    ]
    assert [text.rough_count(number) for number in (1234, 7.4, math.inf)] == ["1,200", "7", "unknown"]
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


def test_astronomic_durations_have_an_exponent():
    assert text.duration(1e40) == "1.00E+31 s"
    assert text.duration(-1e40) == "-1.00E+31 s"
