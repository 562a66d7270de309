"""Texts of one shape are searched once: the result is that of a search in each by itself."""

import random

import numpy as np
import pyarrow.compute as pc
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tracekit as tk
from tracekit.redaction import find
from tracekit.redaction.find import found_in
from tracekit.redaction.keys import context_of
from tracekit.redaction.kinds import SQL, URL
from tracekit.redaction.matches import merged
from tracekit.redaction.replace import replaced, rewritten
from tracekit.redaction.scan import blob, candidates, digit_runs
from tracekit.redaction.shapes import shapes_of
from tracekit.redaction.tables import strings

KEYS = ["", "url.full", "url.query", "db.query.text", "db.query.parameter.0", "user.name", "host.name", "service.name"]
PIECES = [
    *("https://shop.example/a", "/", "?", "&", ";", "#", "=", "id=", "q[]=", "%40", "%20", "17", "904", "0", "x", " "),
    *("REDACTED", "1.2.3.x", "10f4:0a77:23bb:x", "[email]", "[email 0f3a9c51d2e8]", "{id}", "<b>", "$", "*", "\n"),
    *("\x85", "é", "\u200b", "\u0663", "''", "'", '"', "\\'", "`", "--", "/*", "*/", "'x1''y'", '"721"', ",", ")"),
    *("SELECT a FROM t WHERE b = ", "INSERT INTO t VALUES (", "HGETALL u:06:c", "{", '"k": 12', "}", "5"),
    *("0x1F", "1x1F", "$t1$", "$t2$", "$1", "jo@x.example", "10.0.0.7", "151.101.1.69", "::1", "2a02:8108:1::7"),
    *("4111111111111111", "DE89370400440532013000", "kP9xQ2vLw7RtZ4mNcB8sYd3FhJ6gTaUe", "171-74-9768"),
    *("token=abc12345", "null", "+49 30 1234567", "password: 'a b'"),
]


def alone(text, key):
    """The matches in one text, by the searches for what it may contain and its key allows."""
    context, whole = context_of(key), blob([text])
    may = {kind for kind, rows in candidates(whole).items() if len(rows)}
    may |= {kind for kind, pattern in find._PREFILTERS.items() if pc.match_substring_regex(text, pattern).as_py()}
    runs = digit_runs(whole)
    may |= {"payment card"} if (runs.is_card_like & runs.is_valid).any() else set()
    may |= {SQL} if context.is_parameter or context.is_sql else set()
    may |= {URL} if context.is_query else set()
    searches = [
        (kind, search) for kind, search in find._SEARCHES.items() if kind in may and find._can_be(kind, context)
    ]
    return merged(find._matches(text, context, searches)) if text and (may or context.kind) else []


def other_digits(text, seed):
    """A text of the same shape."""
    rng = random.Random(seed)
    return "".join(rng.choice("0123456789") if "0" <= letter <= "9" else letter for letter in text)


@settings(max_examples=120, deadline=None)
@given(
    pieces=st.lists(st.lists(st.sampled_from(PIECES), max_size=7), min_size=1, max_size=5),
    keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3),
    seed=st.integers(0, 99),
)
@example(pieces=[["SELECT a FROM t WHERE b = ", "0x1F"]], keys=["db.query.text"], seed=2)
@example(pieces=[["SELECT a FROM t WHERE b = ", "$t1$", "x", "$t1$", "5"]], keys=["db.query.text"], seed=2)
@example(pieces=[["https://shop.example/a", "?", "id=", "jo", "%40", "x.example"]], keys=["url.full"], seed=3)
def test_the_same_as_each_text_by_itself(pieces, keys, seed):
    whole = ["".join(parts) for parts in pieces]
    texts = [*whole, *(other_digits(text, seed + at) for at, text in enumerate(whole * 2))]
    rows = [(text, at) for text in texts for at in range(len(keys))]
    column = strings([text for text, _ in rows])
    found = found_in(column, [context_of(key) for key in keys], np.array([at for _, at in rows]))
    by_row = {row: matches for row, _, matches in found.by_row(column)}
    expected = {row: alone(text, keys[at]) for row, (text, at) in enumerate(rows)}
    assert by_row == {row: matches for row, matches in expected.items() if matches}
    policy = tk.Policy(kinds={"email": "pseudonym", "secret": "keep"}, pseudonym_key="a key of 16 characters")
    assert rewritten(column, found, policy).to_pylist() == [
        replaced(text, expected[row], policy) for row, (text, _) in enumerate(rows)
    ]
    values = [text[m.begin : m.end] for row, (text, _) in enumerate(rows) for m in expected[row]]
    assert found.values_in(column).to_pylist() == values


def test_texts_that_differ_in_digits_are_one_shape():
    texts = strings(["a?b=17", "", "a?b=04", "a?b=\u06637", "c%40d1", "c%41d1"])
    shapes = shapes_of(texts)
    assert shapes.code.tolist() == [0, 1, 0, 2, 3, 4]
    assert shapes.texts.to_pylist() == ["a?b=00", "", "a?b=\u06630", "c%40d0", "c%00d0"]
