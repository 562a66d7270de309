"""Search for many values at once, against one search for each."""

import random
import re

import numpy as np
import pytest

from tracekit.redaction.leftover import LEAST, LONG, occurrences, rows_with
from tracekit.redaction.scan import blob


def one_by_one(text, values):
    """The definition, written out."""
    found = set()
    for value in values:
        if len(value) < LEAST:
            continue
        edge = r"(?<![A-Za-z0-9_])" if len(value) < LONG and re.match(r"\w", value) else ""
        last = r"(?![A-Za-z0-9_])" if len(value) < LONG and re.search(r"\w\Z", value) else ""
        found |= {(match.start(), value) for match in re.finditer(f"(?={edge}{re.escape(value)}{last})", text)}
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_same_as_one_search_for_each(seed):
    rng = random.Random(seed)
    text = "".join(rng.choice("ab .-") for _ in range(5_000))
    values = {text[at : at + rng.randrange(1, 20)] for at in rng.sample(range(4_900), 200)} | {"absent!", "zzzzzzzzzz"}
    found = list(occurrences(np.frombuffer(text.encode(), np.uint8), sorted(values)))
    assert len(found) == len(set(found))
    assert set(found) == one_by_one(text, values)


def test_across_blocks(monkeypatch):
    monkeypatch.setattr("tracekit.redaction.leftover._BLOCK", 64)
    text = "x" * 60 + " needle " + "y" * 61 + " needle"
    found = list(occurrences(np.frombuffer(text.encode(), np.uint8), ["needle"]))
    assert [at for at, _ in found] == [61, 130]


@pytest.mark.parametrize("text", ["", "a", "needl"])
def test_short_texts(text):
    assert list(occurrences(np.frombuffer(text.encode(), np.uint8), ["needle"])) == []


def test_a_value_that_is_a_text_of_its_own_is_found_between_others():
    """Texts are searched as one, and neighbours are no part of a word."""
    texts = blob(["a1", "171-74-9768", "2b", "x171-74-9768", "171-74-", "9768 y"])
    assert list(rows_with(texts, ["171-74-9768"])) == [(1, "171-74-9768")]
