# ruff: noqa: SIM118 - a reader is not a dictionary
"""The streaming reader: the values ``json.loads`` gives, whatever the size of the pieces; no damage goes unsaid."""

import io
import json
import math
import random
import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading.records import BigInt, JsonError, JsonPull
from tracekit.loading.records.depth import DepthMeter, nests_deeper

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)
CONTAINERS = VALUES.filter(lambda value: isinstance(value, (list, dict)))


class Pieces:
    """A stream that gives at most so many bytes at a time."""

    def __init__(self, data, size):
        self._data = data
        self._size = size
        self._at = 0

    def read(self, size, /):
        data = self._data[self._at : self._at + min(size, self._size)]
        self._at += len(data)
        return data


def pull(data, size=1 << 20, window=1 << 20, **options):
    return JsonPull(Pieces(data, size), window=window, **options)


def walk(reader, choose):
    """Read a document by walking into some containers, reading others whole, and skipping what ``choose`` says."""
    first, how = reader.peek(), choose()
    if first == "{" and how == "walk":
        return {key: walk(reader, choose) for key in reader.keys()}
    if first == "[" and how == "walk":
        return [walk(reader, choose) for _ in reader.items()]
    return reader.value()


# -------------------------------------------------------------------------------------------------- same as json


@settings(max_examples=2 * settings().max_examples, deadline=None)
@given(VALUES, st.integers(1, 40), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]), st.randoms())
def test_any_value_in_any_pieces(value, size, window, ascii_only, indent, rng):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    data = text.encode()
    assert pull(data, size, window).value() == json.loads(text)
    reader = pull(b"  " + data + b"\n", size, window)
    assert walk(reader, lambda: rng.choice(["walk", "whole"])) == json.loads(text)
    assert reader.peek() == ""
    assert reader.offset == len(data) + 3
    reader = pull(data + b"\n[7]", size, window)
    reader.skip()
    assert (reader.peek(), reader.offset) == ("[", len(data) + 1)
    assert reader.value() == [7]


@settings(max_examples=100, deadline=None)
@given(st.lists(CONTAINERS, max_size=5), st.integers(1, 30), st.sampled_from(["", " ", "\n", "\r\n\r\n"]))
def test_concatenated_documents(values, size, between):
    data = between.join(map(json.dumps, values)).encode()
    reader = pull(data, size, size)
    found = []
    while reader.more():
        found.append(reader.value())
    assert found == values


@settings(max_examples=100, deadline=None)
@given(CONTAINERS, st.integers(1, 30), st.randoms())
def test_offsets_are_those_of_the_bytes(value, size, rng):
    data = json.dumps(value, ensure_ascii=False).encode()
    reader = pull(data, size, size, offset=1000)

    def check():
        first = reader.peek()
        start = reader.offset - 1000
        assert data[start : start + 1] == first.encode()
        assert rng.random() < 0.3 or reader.offset == start + 1000, "asking twice changes nothing"
        if first == "{":
            for _ in reader.keys():
                check()
        elif first == "[":
            for _ in reader.items():
                check()
        else:
            end = json.JSONDecoder().raw_decode(data[start:].decode())[0]
            assert reader.value() == end

    check()
    assert reader.offset == 1000 + len(data)


def test_numbers_at_every_cut():
    data = b"[1, -20, 3.25, 1e5, 1.5E+10, 2e-7, 0, -0.0, 123456789012345678901234567890, NaN, -Infinity, Infinity]"
    expected = json.loads(data)
    for size in range(1, 40):
        reader = pull(data, size, size)
        for (_, number), value in zip(enumerate(reader.items()), expected, strict=True):
            found = reader.value()
            assert found == value or (math.isnan(found) and math.isnan(value)), (size, number)
            assert type(found) is type(value)
    for number in ("1e5", "-0", "12", "1.5", "1E+10"):
        for size in range(1, 6):
            assert pull(number.encode(), size, size).value() == json.loads(number)


def test_text_that_is_not_ascii_is_counted_in_bytes():
    data = '["é", "\U0001f600", "x"]'.encode()
    reader = pull(data)
    assert [reader.offset for _ in reader.items() if reader.peek()] == [1, 7, 15]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_offsets_in_loops_need_no_peek(size):
    data = b'{ "a" :\n [ 1 ,  2 ] , "b":{}}'
    reader = pull(data, size, size)
    found = []
    for key in reader.keys():
        found.append(reader.offset)
        if key == "a":
            found += [reader.offset for _ in reader.items()]
    assert found == [9, 11, 16, data.index(b"{}")]


# -------------------------------------------------------------------------------------------------- walking


DOCUMENT = {"a": [1, {"b": [2, 3], "c": "]}"}, [[]]], "d": {"e": {"f": 1}, "g": 2}, "h": 3}


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_not_taken_is_skipped(size):
    data = json.dumps(DOCUMENT).encode()
    reader = pull(data, size, size)
    assert [key for key in reader.keys()] == ["a", "d", "h"]  # noqa: C416 - a generator on purpose
    reader = pull(data, size, size)
    assert [reader.value() for key in reader.keys() if key != "d"] == [DOCUMENT["a"], 3]
    reader = pull(data, size, size)
    assert [[number for number in reader.items()] for key in reader.keys() if key == "a"] == [[0, 1, 2]]  # noqa: C416 - likewise


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_loops_may_be_left_anywhere(size, depth):
    data = json.dumps({"x": {"a": {"b": [1, 2], "c": 3}, "d": 4}, "y": 5}).encode()
    reader = pull(data + b"[6]", size, size)
    seen = []
    for key in reader.keys():
        seen.append(key)
        if key == "y":
            seen.append(reader.value())
            continue
        for key_2 in reader.keys():
            seen.append(key_2)
            if depth == 1:
                break
            for key_3 in reader.keys() if key_2 == "a" else ():
                seen.append(key_3)
                if depth == 2 or key_3 == "c":
                    break
                next(reader.items())
    assert (
        seen
        == {
            1: ["x", "a", "y", 5],
            2: ["x", "a", "b", "d", "y", 5],
            3: ["x", "a", "b", "c", "d", "y", 5],
        }[depth]
    )
    assert reader.more()
    assert reader.value() == [6]
    assert not reader.more()


def test_a_document_may_be_left_for_the_next_one():
    reader = pull(b'{"a": [1, {"b": 2}]} {"c": 3}')
    assert reader.more()
    for _ in reader.keys():
        next(reader.items())
        break
    assert reader.more()
    assert reader.value() == {"c": 3}
    assert not reader.more()


def test_a_loop_that_is_never_begun_leaves_the_value_to_be_skipped():
    reader = pull(b'{"a": [1], "b": 2}')
    for key in reader.keys():
        if key == "a":
            reader.items()
        else:
            assert reader.value() == 2


def test_duplicate_names_are_both_seen():
    reader = pull(b'{"a": 1, "a": 2}')
    assert [(key, reader.value()) for key in reader.keys()] == [("a", 1), ("a", 2)]


def test_another_kind_than_expected_is_passed_over():
    reader = pull(b'[{"a": 1}, null, [2]]')
    found = []
    for _ in reader.items():
        try:
            found.append([reader.value() for _ in reader.items()])
        except JsonError as error:
            found.append((error.code, error.recoverable, error.offset, error.message))
    assert found == [
        ("JSON_SYNTAX", True, 1, "expected '[', found '{\"a\": 1}, null, [2]]'; value skipped"),
        ("JSON_SYNTAX", True, 11, "expected '[', found 'null, [2]]'; value skipped"),
        [2],
    ]


# -------------------------------------------------------------------------------------------------- one bad value


def items(reader):
    """What the items of an array are: values, or the codes of recoverable errors."""
    found = []
    for _ in reader.items():
        try:
            found.append(reader.value(max_bytes=2000))
        except JsonError as error:
            if not error.recoverable:
                raise
            found.append((error.code, error.offset))
    return found


DEEP = b"[" * 300 + b'"]"' + b"]" * 300
BAD = {
    "too deep": (DEEP, "JSON_TOO_DEEP", 0),
    "much too deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "JSON_TOO_DEEP", 0),
    "too large a text": (b'"' + b"x\\n" * 3000 + b'"', "JSON_HUGE", 0),
    "too large an object": (json.dumps({"a": list(range(2000))}).encode(), "JSON_HUGE", 0),
    "not UTF-8": (b'{"a": "caf\xe9", "b": [1]}', "ENC_INVALID_UTF8", 10),
    "a surrogate in UTF-8": (b'["\xed\xa0\x80"]', "ENC_INVALID_UTF8", 2),
    "a bad literal": (b'{"a": tru, "b": "]"}', "JSON_SYNTAX", 6),
    "a bad escape": (b'["a\\x", {"b": "}"}]', "JSON_SYNTAX", 3),
    "a control character": (b'["a\nb"]', "JSON_SYNTAX", 3),
    "a missing colon": (b'{"a" 1}', "JSON_SYNTAX", 5),
    "a bare word": (b"oops", "JSON_SYNTAX", 0),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("size", [1, 7, 100, 1 << 20])
def test_one_bad_value_costs_only_itself(name, size):
    value, code, at = BAD[name]
    data = b'[{"n": 1},' + value + b',{"n": 2},' + value + b', 3]{"next": 1}'
    reader = pull(data, size, size)
    assert items(reader) == [{"n": 1}, (code, 10 + at), {"n": 2}, (code, 10 + len(value) + 10 + at), 3]
    assert reader.more()
    assert reader.value() == {"next": 1}
    assert not reader.more()


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_shown(name):
    value, code, at = BAD[name]
    with pytest.raises(JsonError) as error:
        pull(value + b" ").value(max_bytes=2000)
    assert error.value.code == code
    assert error.value.offset == at
    assert error.value.recoverable
    assert 0 < len(error.value.raw) <= 500
    assert value[at : at + 4] in error.value.raw or code in {"JSON_HUGE", "JSON_TOO_DEEP"}
    assert error.value.message.startswith("expected ")
    assert error.value.message.endswith("value skipped")


MESSAGES = {
    "too deep": r"expected at most 200 levels of nesting, found more",
    "too large a text": r"expected a value of at most 2,000 bytes, found a larger one",
    "not UTF-8": r"expected UTF-8, found bytes that are not",
    "a bad literal": r"expected a JSON value, found an error: Expecting value",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_of_bad_values(name):
    with pytest.raises(JsonError, match=MESSAGES[name]):
        pull(BAD[name][0] + b" ").value(max_bytes=2000)


def test_the_cap_is_a_sharp_one():
    data = b'["' + b"x" * 996 + b'"]'
    assert pull(data, 10, 10).value(max_bytes=1000) == ["x" * 996]
    with pytest.raises(JsonError, match="at most 999 bytes"):
        pull(data, 10, 10).value(max_bytes=999)


def test_depth_counts_inside_the_value():
    inner = b"[" * 199 + b"]" * 199
    data = b'{"a": [[' + inner + b"]]}"
    reader = pull(data)
    for _ in reader.keys():
        for _ in reader.items():
            for _ in reader.items():
                assert reader.value() == json.loads(inner)
    assert pull(inner, max_depth=199).value() == json.loads(inner)
    with pytest.raises(JsonError, match="at most 198 levels"):
        pull(inner, max_depth=198).value()


def test_deep_values_are_refused_whatever_the_recursion_limit_is():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(JsonError) as error:
            pull(b"[" * 90_000 + b"]" * 90_000).value()
        assert error.value.code == "JSON_TOO_DEEP"
        with pytest.raises(JsonError) as error:
            pull(b"[" * 90_000).value()
        assert error.value.code == "JSON_TOO_DEEP"
        assert not error.value.recoverable
    finally:
        sys.setrecursionlimit(limit)


def test_a_huge_value_is_passed_over_in_little_memory():
    class Huge:
        def __init__(self):
            self.parts = iter([b'[{"n": 1}, [', *([b'["\\"}]", {"x": [1, 2]}], ' * 40_000] * 15), b'0], {"n": 2}]'])

        def read(self, _, /):
            return next(self.parts, b"")

    tracemalloc.start()
    try:
        reader = JsonPull(Huge())
        found = []
        for _ in reader.items():
            try:
                found.append(reader.value(max_bytes=2 << 20))
            except JsonError as error:
                found.append(error.code)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [{"n": 1}, "JSON_HUGE", {"n": 2}]
    assert peak < 24 << 20


# -------------------------------------------------------------------------------------------------- notes


def test_notes_are_taken_once():
    reader = pull(rb'["\ud800", "\ud83d\ude00", "\\ud800", "a\u0000b", ' + b"7" * 5000 + b"]")
    found = []
    for _ in reader.items():
        value = reader.value()
        found.append((value, [note.code for note in reader.take_notes()]))
    assert found[:4] == [
        ("\ufffd", ["ENC_SURROGATE"]),
        ("\U0001f600", []),
        (r"\ud800", []),
        ("a\0b", ["ENC_NUL"]),
    ]
    assert isinstance(found[4][0], BigInt)
    assert found[4] == ("7" * 5000, ["JSON_BIG_INT"])
    assert reader.take_notes() == []


def test_notes_have_their_position():
    reader = pull(rb'  ["x", "\ud800"]', 3, 3)
    assert reader.value() == ["x", "\ufffd"]
    assert [(note.code, note.byte_offset) for note in reader.take_notes()] == [("ENC_SURROGATE", 2)]


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_nul_padding_between_values(size):
    reader = pull(b'{"a": 1}' + bytes(100) + b'\n{"b": 2}\n' + bytes(50), size, size)
    found = []
    while reader.more():
        found.append(reader.value())
    assert found == [{"a": 1}, {"b": 2}]
    notes = reader.take_notes()
    assert {note.code for note in notes} == {"ENC_NUL"}
    assert [(note.byte_offset, note.message[:43]) for note in notes] == [
        (8, "expected records, found 100 NUL bytes (a sp"),
        (118, "expected records, found 50 NUL bytes (a spa"),
    ]


def test_marks_between_documents():
    reader = pull(b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"b": 2}')
    found = []
    while reader.more():
        found.append(reader.value())
    assert found == [{"a": 1}, {"b": 2}]
    assert [(note.code, note.byte_offset) for note in reader.take_notes()] == [("ENC_BOM", 0), ("ENC_BOM", 12)]


# -------------------------------------------------------------------------------------------------- the end of it


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_cut_document_gives_what_is_complete(size):
    data = b'{"spans": [{"n": 1}, {"n": 2}, {"n": 3}]}'
    for cut in range(len(data)):
        reader = pull(data[:cut], size, size)
        found = []
        with pytest.raises(JsonError) as error:  # noqa: PT012 - a loop is what is tested
            for _ in reader.keys():
                for _ in reader.items():
                    found.append(reader.value()["n"])  # noqa: PERF401 - what came before the error counts
        assert error.value.code == "JSON_TRUNCATED_DOC"
        assert not error.value.recoverable
        assert error.value.message.startswith("expected the rest of the document, found the end of the source")
        assert found == [n for n in (1, 2, 3) if data.index(b"%d}" % n) + 2 <= cut]
        assert reader.peek() == ""
        assert not reader.more()
    with pytest.raises(JsonError, match="found the end of the source"):
        pull(b"").value()
    with pytest.raises(JsonError, match="found the end of the source"):
        pull(b"  ").skip()
    with pytest.raises(JsonError, match="found the end of the source"):
        pull(b'{"a').skip()


def test_garbage_behind_the_document():
    reader = pull(b'{"a": 1}\n' + b"garbage" * 1000)
    assert reader.more()
    assert reader.value() == {"a": 1}
    with pytest.raises(
        JsonError, match=r"expected a document or the end of the source, found 'garbagegarbagegarbag'; the rest was not"
    ) as error:
        reader.more()
    assert (error.value.code, error.value.offset, error.value.recoverable) == ("JSON_TRAILING", 9, False)
    assert b"garbagegarbage" in error.value.raw
    assert len(error.value.raw) <= 500
    assert not reader.more()


@pytest.mark.parametrize(
    ("data", "offset", "message"),
    [
        (b'{"a": 1 "b": 2}', 8, r"expected ',' or '}', found '\"b"),
        (b'{"a": 1]', 7, r"expected ',' or '}', found ']'"),
        (b'{"a" 1}', 5, r"expected ':' after a key, found '1"),
        (b"{a: 1}", 1, r"expected a key in double quotes, found 'a"),
        (b'{"a": 1,}', 8, r"expected another item after a comma, found '}'"),
        (b'{"a": }', 6, r"expected a JSON value, found an error: Expecting value"),
        (b'{"a": [}, "b": 1}', 7, r"expected a JSON value, found an error"),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_damage_between_values_ends_the_stream(data, offset, message, size):
    reader = pull(data, size, size)
    with pytest.raises(JsonError, match=message) as error:  # noqa: PT012 - a loop is what is tested
        for _ in reader.keys():
            reader.value()
    assert (error.value.code, error.value.offset, error.value.recoverable) == ("JSON_SYNTAX", offset, False)
    assert not reader.more()
    with pytest.raises(JsonError, match="found the end of the source"):
        reader.value()


@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(CONTAINERS, st.integers(1, 60), st.integers(0, 2**32), st.data())
def test_random_damage_ends_in_values_or_errors(value, size, seed, data):
    document = bytearray(json.dumps(value, ensure_ascii=False).encode() * 2)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document)))
        document[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))
    rng = random.Random(seed)
    reader = pull(bytes(document), size, size)
    errors = _read_all(reader, lambda: rng.choice(["walk", "whole"]))
    assert reader.peek() == "" or errors
    try:
        whole = json.loads(bytes(document))
    except (ValueError, UnicodeDecodeError):
        return
    if not isinstance(whole, dict | list):
        return  # a number or a text alone is no document
    assert not errors, "what json reads is read"


def _read_all(reader, choose):
    errors = []
    for _ in range(10_000):
        try:
            if not reader.more():
                return errors
            walk(reader, choose)
        except JsonError as error:
            errors.append(error.code)
            if not error.recoverable:
                assert not reader.more()
                return errors
    raise AssertionError("it does not end")


def test_a_syntax_error_early_in_a_large_document_is_found_early():
    class Endless:
        count = 0

        def read(self, size, /):
            self.count += 1
            return b'[{"a": 1}, {"a" 2}, ' if self.count == 1 else b'{"a": 1}, ' * (size // 10)

    stream = Endless()
    reader = JsonPull(stream, window=1000)
    found = []
    for number in reader.items():
        try:
            found.append(reader.value())
        except JsonError as error:
            found.append(error.code)
        if number == 3:
            break
    assert found == [{"a": 1}, "JSON_SYNTAX", {"a": 1}, {"a": 1}]
    assert stream.count < 5


# -------------------------------------------------------------------------------------------------- size


class Document:
    """A document of one line, made as it is read."""

    def __init__(self, count):
        self._left = count
        self._buffer = b'{"resourceSpans":[{"scopeSpans":[{"spans":['
        self.size = 0

    def read(self, size, /):
        while len(self._buffer) < size and self._left >= 0:
            self._left -= 1
            self._buffer += SPAN + b"," if self._left > 0 else (SPAN + b"]}]}]}" if self._left == 0 else b"")
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        self.size += len(data)
        return data


SPAN = json.dumps(
    {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
        "attributes": [{"key": f"my.span.attr{n}", "value": {"stringValue": "some value"}} for n in range(100)],
    }
).encode()


def test_a_document_of_one_line_streams_in_little_memory():
    count = 4000
    stream = Document(count)
    tracemalloc.start()
    try:
        reader = JsonPull(stream)
        seen = 0
        for _ in reader.keys():
            for _ in reader.items():
                for _ in reader.keys():
                    for _ in reader.items():
                        for _ in reader.keys():
                            for _ in reader.items():
                                seen += reader.value()["spanId"] == "eee19b7ec3c1b174"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == count
    assert reader.offset == stream.size > 27_000_000
    assert peak < 12 << 20


def test_skipping_is_fast_and_takes_no_memory():
    tracemalloc.start()
    try:
        reader = JsonPull(Document(3000))
        reader.skip()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reader.peek() == ""
    assert peak < 12 << 20
    start = time.process_time()
    reader = pull(b"[" * 500_000 + b"]" * 500_000 + b"[1]")
    reader.skip()
    assert reader.value() == [1]
    assert time.process_time() - start < 5


def test_a_long_text_with_many_escapes_is_skipped():
    data = b'["' + b'\\"' * 1_000_000 + b'", 1]'
    for size in (1001, 1 << 20):
        reader = pull(data, size, size)
        assert [reader.value() for number in reader.items() if number == 1] == [1]


# -------------------------------------------------------------------------------------------------- depth


def oracle(text):
    """Lowest, highest and last depth, and whether it ends in a string, character by character."""
    depth = lowest = highest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            escaped, in_string = character == "\\" and not escaped, escaped or character != '"'
        elif character == '"':
            in_string = True
        else:
            depth += (character in "{[") - (character in "}]")
            lowest, highest = min(lowest, depth), max(highest, depth)
    return lowest, highest, depth, in_string


TOKENS = st.sampled_from(["{", "[", "}", "]", ",", ":", "1", '"a"', '""', '"[{"', '"]\\\\"', '"\\"]"', '"\\\\\\""'])


@given(st.lists(TOKENS), st.data())
def test_the_meter_agrees_with_a_loop_over_characters(tokens, data):
    text = "".join(tokens)
    lowest, highest, depth, in_string = oracle(text)
    exact, bound = DepthMeter(limit=0), DepthMeter()
    cut = data.draw(st.integers(0, len(text)))
    pieces = [text[:cut].encode(), text[cut:].encode()]
    found = [exact.feed(piece) for piece in pieces]
    assert (min(0, *(low for low, _ in found)), max(0, *(high for _, high in found))) == (lowest, highest)
    assert (exact.depth, exact.in_string) == (depth, in_string)
    found = [bound.feed(piece) for piece in pieces]
    assert min(0, *(low for low, _ in found)) == lowest
    assert max(high for _, high in found) >= highest
    assert bound.depth == depth


@given(VALUES, st.integers(0, 6))
def test_nests_deeper_agrees_with_a_walk(value, limit):
    deepest, confidence = 0, [value]
    while inner := [part for part in confidence if isinstance(part, (list, dict))]:
        deepest += 1
        confidence = [
            part for container in inner for part in (container.values() if isinstance(container, dict) else container)
        ]
    assert nests_deeper(json.dumps(value).encode(), limit) == (deepest > limit)


def test_the_meter_takes_no_quadratic_time():
    start = time.process_time()
    for data in (
        b"[" * 500_000 + b"]" * 500_000,
        b"[]" * 500_000,
        b"[" * 1_000_000,
        b'"[' * 500_000,
        b"\\" * 1_000_000,
    ):
        DepthMeter().feed(data)
    assert time.process_time() - start < 10


def test_a_document_reads_from_any_readable():
    assert JsonPull(io.BytesIO(b"[1]")).value() == [1]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_skipping_to_the_end_of_the_stream(size):
    reader = pull(b" 12345", size, size)
    reader.skip()
    assert reader.peek() == ""
    with pytest.raises(JsonError, match="found the end of the source"):
        pull(b"[1, [2], 3", size, size).skip()
    with pytest.raises(JsonError, match=r"JSON_SYNTAX|expected a value, found ']") as error:
        pull(b"] 1", size, size).skip()
    assert error.value.code == "JSON_SYNTAX"


def test_skipping_far_when_a_piece_ends_inside_an_escape():
    near = b"[],[]," * 600  # more brackets than are looked at one by one
    for shift in range(6):
        text = b'"' + b" " * shift + b'\\"]\\\\' * 30_000 + b'"'
        reader = pull(b"[" + near + text + b"," + near + text + b"][7]")
        reader.skip()
        assert reader.value() == [7]


def test_a_full_stack_is_no_crash():
    data = b"[" * 190 + b"]" * 190 + b"[1]"
    outcomes = set()

    def down(left):
        if left:
            return down(left - 1)
        reader = pull(data)
        try:
            return reader.value()
        except JsonError as error:
            return error.code, reader.value() if error.recoverable else None

    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    for left in range(sys.getrecursionlimit() - depth - 260, sys.getrecursionlimit() - depth - 60, 5):
        outcomes.add(str(down(left))[:20])
    assert outcomes <= {"[" * 20, "('JSON_TOO_DEEP', [1])"[:20]}
    assert "[" * 20 in outcomes


# -------------------------------------------------------------------------------------------------- runs of items


def whole_items(data, offset, *, seen, damaged):
    """Load the items at the beginning of the data that are whole and not odd."""
    text, at = data.decode("utf-8", "surrogateescape"), 0
    stop, count = 0, 0
    while count < 3:
        at += len(text[at:]) - len(text[at:].lstrip(" \n,"))
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except json.JSONDecodeError:
            return stop, True
        if not isinstance(value, dict) or value.get("damaged") in damaged:
            return stop, False
        end = len(text[:at].encode("utf-8", "surrogateescape"))
        seen.append((value, offset + stop + data[stop:end].index(b"{")))
        stop, count = end, count + 1
    return stop, False


@settings(max_examples=200, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "\u00e9", "damaged"]), SCALARS, max_size=3), max_size=40),
       st.integers(1, 3000), st.sampled_from([None, 2]), st.booleans(), st.randoms())  # fmt: skip
def test_runs_of_items_are_the_items_at_their_offsets(items, size, indent, ascii_only, rng):
    damaged = [rng.choice(items).get("damaged")] if items and rng.random() < 0.5 else []
    text = json.dumps({"before": ["x" * rng.randrange(3000)], "list": items, "after": [{}]}, ensure_ascii=ascii_only,
                      indent=indent)  # fmt: skip
    data = b" " + text.encode()
    reader, seen = pull(data, size, size), []
    reader._ahead = rng.choice([1, 8, 64])
    for key in reader.keys():
        if key == "before":
            continue
        for _ in reader.items():
            if not reader.run(lambda data, offset: whole_items(data, offset, seen=seen, damaged=damaged)):
                seen.append((offset := reader.offset, reader.value())[::-1])
    assert (reader.peek(), reader.offset) == ("", len(data))
    assert [value for value, _ in seen] == [*items, {}]
    for value, offset in seen:
        assert json.JSONDecoder().raw_decode(data[offset:].decode())[0] == value


def read_in_runs(reader, seen, errors):
    """Read a list in runs, and one by one what no run takes."""
    for _ in reader.items():
        if not reader.run(lambda data, offset: whole_items(data, offset, seen=seen, damaged=[])):
            try:
                seen.append((reader.value(), reader.offset))
            except JsonError as error:
                if not error.recoverable:
                    raise
                errors.append(error)


def test_damage_behind_a_run_has_its_offset_and_what_is_around_it():
    start = b'[{"a": "\xc3\xa9"}, ' + b'{"a": 1}, ' * 200
    data = start + b'{"a": "\xff"}, {"a": 2}, {"a": x'
    reader, seen, errors = pull(data, 50, 50), [], []
    reader._ahead = 64
    with pytest.raises(JsonError) as found:
        read_in_runs(reader, seen, errors)
    assert [(error.code, error.offset) for error in errors] == [("ENC_INVALID_UTF8", len(start) + 7)]
    assert errors[0].raw.startswith(b'{"a": "\xff"}')
    assert len(seen) == 202
    assert seen[-1][0] == {"a": 2}
    assert (found.value.code, found.value.offset) == ("JSON_SYNTAX", len(data) - 1)
    assert found.value.raw == b'{"a": x'


def test_an_error_behind_a_run_shows_the_end_of_the_run():
    data = b"[" + '{"a": "\u00e9"}, '.encode() * 200 + b'{"a": 2} x'
    reader = pull(data, 50, 50)
    reader._ahead = 64
    with pytest.raises(JsonError, match="expected ',' or ']', found 'x'") as found:
        read_in_runs(reader, [], [])
    assert found.value.offset == len(data) - 1
    assert found.value.raw.decode() == data.decode()[-51:]
