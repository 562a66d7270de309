"""Templates of messages: the fast grouping equals the template of each message alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracekit.analysis.exceptions import message_template
from tracekit.analysis.logs.templates import templates

WORDS = (
    """order |17|0x5f|1x5f|0X5F|1X5F|\u0665|5af7183fb1d4cf5f|a1b2c|a11b2c|facade|"quoted 5"|'it'|12:30:05.1|-| |\n|é9"""
    """|x9|9x|_a1b2c3|0|A1B2C3|\x00|\x01|`|deadbeef-0000-1111-2222-333344445555"""
)
PART = st.sampled_from(WORDS.split("|"))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["order 17 paid", "order 230 paid"], ["order <n> paid"]),
        (["user 'a b' left", "user 'c' left"], ["user <text> left"]),
        (["id 5af7183fb1d4cf5f", "id deadbeef01"], ["id <hex>"]),
        (["the facade", "the decade"], ["the facade", "the decade"]),
        ([], []),
        (["", ""], [""]),
    ],
)
def test_messages_that_differ_in_numbers_ids_and_quoted_texts_are_one(messages, expected):
    codes, found = templates(messages)
    assert found == expected
    assert len(codes) == len(messages)


@example(["5af7183fb1d4cf5f", "deadbeef-0000-1111-2222-333344445555"])
@example(["A1B2C30x5forder", "\x010x5forder"])
@example(["a\x005f", "a0x5f", "a\x025f"])
@example(["5af7183fb1d4cf5f0x5f", "5af7183fb1d4cf5f5af7183fb1d4cf5f0x5f"])
@example(["g0xdeadbeef1", "g0xabcabcabc1", "0xdeadbeef1", "_0xdeadbeef1", "_0x1"])
@given(st.lists(st.lists(PART, max_size=6).map("".join), max_size=8))
def test_each_message_has_the_template_that_it_has_alone(messages):
    codes, found = templates(messages)
    assert [found[code] for code in codes] == [message_template(message) for message in messages]
    assert len(set(found)) == len(found)
