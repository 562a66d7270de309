"""Ids in every spelling, and none read that is not one."""

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.loading.ids import Id, parse_span_id, parse_trace_id
from tracekit.schema import Quality

TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
HEX = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = 0x00F067AA0BA902B7


@pytest.mark.parametrize(
    ("text", "dialect", "problem"),
    [
        (HEX, "", ""),
        (HEX.upper(), "", ""),
        ("0x" + HEX, "", ""),
        ("1-4bf92f35-77b34da6a3ce929d0e0e4736", "", ""),
        (str(uuid.UUID(HEX)), "", ""),
        (base64.b64encode(bytes.fromhex(HEX)).decode(), "base64_ids", ""),
        (base64.b64encode(HEX.encode()).decode(), "base64_of_hex_ids", ""),
        (base64.b64decode(HEX).hex(), "", "ID_HEX_AS_BASE64"),
    ],
)
def test_a_trace_id_in_every_spelling(text, dialect, problem):
    assert parse_trace_id(text) == Id(TRACE, 0, problem, dialect)


@pytest.mark.parametrize(
    ("text", "dialect", "problem"),
    [
        ("00f067aa0ba902b7", "", ""),
        ("0x00F067AA0BA902B7", "", ""),
        (base64.b64encode(bytes.fromhex("00f067aa0ba902b7")).decode(), "base64_ids", ""),
        (base64.b64encode(b"00f067aa0ba902b7").decode(), "base64_of_hex_ids", ""),
        (base64.b64decode("00f067aa0ba902b7").hex(), "", "ID_HEX_AS_BASE64"),
    ],
)
def test_a_span_id_in_every_spelling(text, dialect, problem):
    assert parse_span_id(text) == Id(SPAN, 0, problem, dialect)


def test_a_trace_id_of_64_bits_is_padded_and_marked():
    assert parse_trace_id("00f067aa0ba902b7") == Id(SPAN, Quality.ID_PADDED, "ID_64BIT")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "ID_BAD_LENGTH"),
        (None, "ID_BAD_LENGTH"),
        (0, "ID_BAD_LENGTH"),
        (5, "ID_NOT_HEX"),
        ([HEX], "ID_NOT_HEX"),
        ("0" * 32, "ID_ZERO"),
        ("0" * 16, "ID_ZERO"),
        ("00000000-0000-0000-0000-000000000000", "ID_ZERO"),
        (base64.b64encode(bytes(16)).decode(), "ID_ZERO"),
        ("z" * 32, "ID_NOT_HEX"),
        (" " + HEX[1:], "ID_NOT_HEX"),
        ("\u0661" * 32, "ID_NOT_HEX"),  # digits, but not of this alphabet
        (HEX[:-1], "ID_BAD_LENGTH"),
        (HEX + "0", "ID_BAD_LENGTH"),
        (HEX * 3, "ID_BAD_LENGTH"),
        ("a" * 1_000_000, "ID_BAD_LENGTH"),
        ("1-4bf92f35x77b34da6a3ce929d0e0e4736", "ID_NOT_HEX"),  # a digit where the dash belongs is not dropped
        ("1-4bf92f3-577b34da6a3ce929d0e0e47361", "ID_NOT_HEX"),
        ("4bf92f35-77b3-4da6-a3ce929d-0e0e4736", "ID_NOT_HEX"),
        ("W47/95gDgQPSabYzgT/GDA=", "ID_NOT_HEX"),  # cut base64
        (base64.b64encode(b"x" * 17).decode(), "ID_BAD_LENGTH"),
        (base64.b64encode(b"g" * 32).decode(), "ID_BAD_LENGTH"),
        (base64.b64encode(b"\xff" * 32).decode(), "ID_BAD_LENGTH"),
        (("ff" * 24), "ID_BAD_LENGTH"),  # 24 bytes that are no base64 of hex
    ],
)
def test_what_is_no_trace_id(text, problem):
    found = parse_trace_id(text)
    assert (found.value, found.bits, found.problem) == (0, 0, problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "ID_BAD_LENGTH"),
        ("0" * 16, "ID_ZERO"),
        ("f067aa0ba902b7", "ID_BAD_LENGTH"),
        ("g" * 16, "ID_NOT_HEX"),
        (HEX, "ID_BAD_LENGTH"),
        (1.5, "ID_NOT_HEX"),
        ("a" * 100, "ID_BAD_LENGTH"),
    ],
)
def test_what_is_no_span_id(text, problem):
    assert parse_span_id(text) == Id(0, problem=problem)


def test_stripped_zeros_are_padded_only_on_request():
    assert parse_span_id("f067aa0ba902b7", pad=True) == Id(SPAN)
    assert parse_trace_id("f067aa0ba902b7", pad=True) == Id(SPAN)
    assert parse_trace_id("f067aa0ba902b7").problem == "ID_BAD_LENGTH"
    assert parse_span_id("0", pad=True).problem == "ID_ZERO"


@given(st.integers(1, 2**128 - 1))
def test_every_trace_id_survives_every_spelling(value):
    text = f"{value:032x}"
    spellings = [text, text.upper(), f"1-{text[:8]}-{text[8:]}", str(uuid.UUID(text))]
    spellings += [base64.b64encode(raw).decode() for raw in (bytes.fromhex(text), text.encode())]
    assert {parse_trace_id(spelling).value for spelling in spellings} == {value}


@given(st.text())
def test_no_text_is_a_crash(text):
    for parse in (parse_trace_id, parse_span_id):
        found = parse(text)
        assert bool(found.value) == (found.problem in {"", "ID_64BIT", "ID_HEX_AS_BASE64"})


@given(st.integers(1, 2**40 - 1))
def test_base64_that_begins_like_hex_is_base64(low):
    raw = b"\xd3\x12\x50" + low.to_bytes(5, "big")  # 0xJQ in base64
    text = base64.b64encode(raw).decode()
    assert text.startswith("0xJQ")
    assert parse_span_id(text) == Id(int.from_bytes(raw, "big"), 0, "", "base64_ids")
