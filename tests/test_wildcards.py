"""Wildcards: the same answer as matching by definition, in time that grows with the product of the lengths at most."""

import itertools
import time
from functools import cache

import pytest

from tracekit.wildcards import compiled


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
