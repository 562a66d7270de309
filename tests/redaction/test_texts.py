"""Masking of PII and secrets inside texts: what the check finds is masked, the rest of the text stays."""

import pytest

from tracekit.redaction.scan import blob, hits
from tracekit.redaction.texts import redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order 17 paid", "order 17 paid"),
        ("a@example.org and jo.smith@example.org", "a@...rg (13 characters) and jo...rg (20 characters)"),
        ("card 4111 1111 1111 1111 kept", "card 41...11 (19 characters) kept"),
        ("card 4111111111111111 kept", "card 41...11 (16 characters) kept"),
        ("card 4111111111111112 kept", "card 4111111111111112 kept"),
        ("key AKIAIOSFODNN7EXAMPLE", "key AK...LE (20 characters)"),
        ("host 10.0.0.7 is up", "host 10.0.0.7 is up"),
        ("", ""),
    ],
)
def test_only_the_match_is_masked(text, expected):
    assert redacted(["other", text, text]) == ["other", expected, expected]


def test_nothing_that_the_check_finds_is_left():
    texts = [
        "password=hunter2hunter2 for jo@example.org",
        "Bearer abcDEF123456789012345",
        "postgres://u:secret99@db.example/x",
    ]
    assert hits(blob(texts))
    assert not [hit for hit in hits(blob(redacted(texts))) if hit.kind != "private address"]
