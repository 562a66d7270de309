"""Wildcards: the same answer as matching by definition, in time that grows with the product of the lengths at most."""

import itertools
import re
import time
from functools import cache

import pytest
from aws_xray_sdk.core.utils.search_pattern import wildcard_match
from hypothesis import given
from hypothesis import strategies as st

from tracekit.wildcards import compiled, covers, overlap


@cache
def by_definition(pattern, text):
    if not pattern:
        return not text
    if pattern[0] == "*":
        return by_definition(pattern[1:], text) or (bool(text) and by_definition(pattern, text[1:]))
    return bool(text) and pattern[0] in {"?", text[0]} and by_definition(pattern[1:], text[1:])


def words(letters, longest):
    return ("".join(word) for size in range(longest + 1) for word in itertools.product(letters, repeat=size))


def test_every_short_pattern_matches_as_defined():
    texts = list(words("ab", 5))
    for pattern in words("a*?b", 4):
        assert [bool(compiled(pattern).fullmatch(text)) for text in texts] == [
            by_definition(pattern, text) for text in texts
        ], pattern


@pytest.mark.parametrize(("pattern", "text"), [("a.c", "a.c"), ("[a]*", "[a]\n"), ("(", "("), ("\\d", "\\d")])
def test_other_characters_match_themselves(pattern, text):
    assert compiled(pattern).fullmatch(text)
    assert not compiled(pattern).fullmatch("1" * len(text))


def test_case_matters_only_if_requested():
    assert not compiled("PAY*").fullmatch("payments")
    assert compiled("PAY*", ignore_case=True).fullmatch("payments")


@pytest.mark.parametrize("pattern", ["*a" * 500 + "*b", "a*" * 500 + "b", "*" * 10_000 + "b", "*?" * 500 + "b"])
def test_no_pattern_goes_back_over_its_stars(pattern):
    began = time.process_time()
    assert compiled(pattern).fullmatch("a" * 20_000) is None
    assert time.process_time() - began < 2


TEXT = st.text("ab/", max_size=5)
PATTERN = st.text("ab*?", max_size=5)


@given(wide=PATTERN, narrow=PATTERN, text=TEXT)
def test_what_covers_takes_all_of_the_other(wide, narrow, text):
    if covers(wide, narrow) and wildcard_match(narrow, text) and text:
        assert wildcard_match(wide, text)
    assert covers(wide, wide) or "?" in wide
    assert covers("*", narrow)


TEXTS = ["".join(letters) for length in range(6) for letters in itertools.product("ab", repeat=length)]


def takes(pattern, text):
    return re.fullmatch(pattern.replace("*", ".*").replace("?", "."), text) is not None


@given(one=st.text("ab*?", max_size=4), other=st.text("ab*?", max_size=4))
def test_patterns_meet_where_a_text_is_taken_by_both(one, other):
    assert overlap(one, other) == any(takes(one, text) and takes(other, text) for text in TEXTS) or len(one + other) > 6
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, other) or not covers(one, other)


def test_patterns_of_many_stars_are_compared_at_once():
    began = time.process_time()
    assert not covers("*a" * 300 + "*b", "a" * 5000)
    assert not overlap("*a" * 2000 + "b", "a*" * 2000 + "c")
    assert overlap("*a" * 2000, "a*" * 2000)
    assert time.process_time() - began < 2
