import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit import text


@pytest.mark.parametrize("bad", ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ud800", "\ufffe"])
def test_what_could_flip_hide_or_break_text_is_shown_as_a_replacement(bad):
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


def test_a_long_text_is_cut_and_says_so():
    assert text.clean("A" * 20_000, limit=300) == "A" * 299 + "…"


@given(st.floats(1, 9e17))
def test_durations_keep_three_digits(nanoseconds):
    figure, unit = text.duration(nanoseconds).split(" ")
    back = float(figure) * {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert math.isclose(back, nanoseconds, rel_tol=0.0051)


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [
        (0, "0 ns"), (1, "1 ns"), (999, "999 ns"), (1000, "1.00 µs"), (1500.4, "1.50 µs"), (99_950, "100 µs"),
        (100_500, "101 µs"),
        (999_499, "999 µs"), (999_500, "1.00 ms"), (1.5e9, "1.50 s"), (12_345e9, "12345 s"), (-7, "-7 ns"),
        (float("nan"), "\N{EN DASH}"), (None, "\N{EN DASH}"), (float("inf"), "\N{EN DASH}"),
    ],
)  # fmt: skip
def test_durations(nanoseconds, said):
    assert text.duration(nanoseconds) == said


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_nothing_or_to_all(share):
    said = text.ratio(share)
    assert (said == "0 %") == (share == 0)
    assert (said == "100 %") == (share == 1)


def test_names_lose_the_folder_they_share_and_nothing_else():
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


def test_moments_cut_and_do_not_round():
    assert text.moment(1_999_999_999, decimals=3) == "1970-01-01 00:00:01.999"
    assert text.moment(-1) == "1969-12-31 23:59:59"


@pytest.mark.parametrize("code", [0x200B, 0x200C, 0x200D, 0x200E, 0x2060, 0xFEFF, 0xAD, 0x3164, 0xE0041, 0x61C, 0x34F])
def test_characters_without_a_width_are_shown(code):
    assert text.clean(f"pay{chr(code)}ments") == "pay\ufffdments"
    assert text.clean(f"payments{chr(code)}", block=True) == "payments\ufffd"


@pytest.mark.parametrize("words", ["می\u200cشود", "क्\u200dष", "\U0001f469\u200d\U0001f4bb", "❤\ufe0f"])
def test_joiners_stay_where_a_script_needs_them(words):
    assert text.clean(words) == words
