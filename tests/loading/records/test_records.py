"""One record at a time: what ``parse``, ``shape`` and ``strip_prefix`` say about known bytes."""

import json
import math
import random
import sys
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.loading import records
from tracekit.loading.records import BigInt, parse, shape, strip_prefix
from tracekit.loading.records.parse import replace_surrogates

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30)


def failure(data):
    parsed = parse(data)
    assert parsed.value is None
    assert parsed.failure is not None
    assert parsed.failure.action == "quarantined"
    assert len(parsed.failure.raw) <= 500
    return parsed.failure


def codes(parsed):
    return [note.code for note in parsed.notes]


def test_the_facade_names_what_it_exports():
    assert sorted(records.__all__) == sorted(name for name in vars(records) if name in records.__all__)


# -------------------------------------------------------------------------------------------------- parse: values


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_parse_is_json(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parse(text.encode()) == (json.loads(text), (), None, False)


def test_numbers():
    parsed = parse(b'[1, -0.5, 1e400, NaN, -Infinity, 18446744073709551616, "NaN"]')
    assert parsed.failure is None
    value = parsed.value
    assert value[0:3] == [1, -0.5, math.inf]
    assert math.isnan(value[3])
    assert value[4:] == [-math.inf, 2**64, "NaN"]


def test_floats_as_decimals():
    value = parse(b'{"start_time": 1461096053.37518, "n": 1, "e": 1e-9}', parse_float=Decimal).value
    assert value == {"start_time": Decimal("1461096053.37518"), "n": 1, "e": Decimal("1e-9")}
    assert isinstance(value["n"], int)


def test_integers_too_long_for_int_keep_their_digits():
    digits = "9" * 5000
    parsed = parse(f'{{"a": {digits}, "b": -{digits}, "c": 7}}'.encode())
    assert parsed.value == {"a": digits, "b": "-" + digits, "c": 7}
    assert isinstance(parsed.value["a"], BigInt)
    assert codes(parsed) == ["JSON_BIG_INT"]
    assert parsed.notes[0].message == "an integer of more than 4,300 digits; converted to text"
    assert parse(b"9" * 4300).value == int("9" * 4300)
    assert codes(parse(b"[" + b"9" * 4300 + b"]")) == []


def test_a_number_of_a_million_digits_takes_no_time():
    start = time.process_time()
    parsed = parse(b"[" + b"7" * 1_000_000 + b"]")
    assert len(parsed.value[0]) == 1_000_000
    assert time.process_time() - start < 2


def test_a_byte_order_mark():
    parsed = parse(b'\xef\xbb\xbf{"a": 1}')
    assert parsed.value == {"a": 1}
    assert codes(parsed) == ["ENC_BOM"]


def test_duplicate_keys_are_looked_for_on_request():
    data = b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "n": ' + b"1" * 5000 + b"}"
    assert "JSON_DUP_KEY" not in codes(parse(data))
    parsed = parse(data, find_duplicate_keys=True)
    assert (parsed.value["a"], parsed.value["b"]) == (3, {"c": 2})
    assert codes(parsed) == ["JSON_BIG_INT", "JSON_DUP_KEY"]
    assert parsed.notes[1].message == (
        "expected unique keys in an object, found duplicates: a, c; the last value was used"
    )
    assert codes(parse(b'{"a": 1, "b": [{"a": 1}]}', find_duplicate_keys=True)) == []


def test_surrogates():
    cases = {
        rb'"\ud83d\ude00"': ("\U0001f600", []),
        rb'"\ud800"': ("\ufffd", ["ENC_SURROGATE"]),
        rb'"\uDC00 \uD800\u0041"': ("\ufffd \ufffdA", ["ENC_SURROGATE"]),
        rb'"\ud83d\ude00\ude00"': ("\U0001f600\ufffd", ["ENC_SURROGATE"]),
        rb'"\\ud800"': (r"\ud800", []),
        rb'"\\\ud800"': ("\\\ufffd", ["ENC_SURROGATE"]),
        rb'{"\udfff": "\ud7ff\ue000"}': ({"\ufffd": "\ud7ff\ue000"}, ["ENC_SURROGATE"]),
    }
    for data, (value, expected) in cases.items():
        parsed = parse(data)
        assert parsed.value == value
        assert codes(parsed) == expected
        json.dumps(parsed.value, ensure_ascii=False).encode()
    assert parse(rb'["\ud800", "\udc00"]').notes[0].message == (
        "expected surrogate pairs, found 2 unpaired; replaced by U+FFFD"
    )


@given(st.lists(st.sampled_from([r"\ud800", r"\uDC00", r"\u0041", "\\\\", r"\n", "u", "d8", "\U0001f600"])))
def test_surrogates_agree_with_utf16(parts):
    text = '"' + "".join(parts) + '"'
    expected = json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert len(replace_surrogates(text, [])) == len(text)
    assert parse(text.encode()).value.replace("\ufffd", "") == expected.replace("\ufffd", "")
    assert "\ufffd" not in expected or "\ufffd" in parse(text.encode()).value


def test_nul_characters():
    parsed = parse(rb'{"a": "x\u0000y", "b": "\\u0000"}')
    assert parsed.value == {"a": "x\0y", "b": r"\u0000"}
    assert codes(parsed) == ["ENC_NUL"]
    assert parsed.notes[0].message == r"1 NUL characters (\u0000) in strings; kept"
    parsed = parse(b'{"a": "x\0\0y"}')
    assert parsed.value == {"a": "x\0\0y"}
    assert codes(parsed) == ["ENC_NUL"]
    assert parsed.notes[0].message == "2 raw NUL bytes inside strings; kept"
    assert failure(b'{"a": \0 1}').code == "JSON_SYNTAX"


# -------------------------------------------------------------------------------------------------- parse: failures


@pytest.mark.parametrize(
    ("data", "column", "offset", "message"),
    [
        (b'{"a": }', 7, 6, "Expecting value"),
        (b'{"a": 1,}', 9, 8, None),  # the words differ from one Python to the next
        (b"{'a': 1}", 2, 1, "Expecting property name enclosed in double quotes"),
        ('{"é": x}'.encode(), 7, 7, "Expecting value"),
        (b'{"a": "x\ny"}', 9, 8, "Invalid control character at"),
        (b"not json", 1, 0, "Expecting value"),
        (b"", 1, 0, "Expecting value"),
        (b'{"a": 01}', 8, 7, "Expecting ',' delimiter"),
    ],
)
def test_syntax_errors_have_a_position(data, column, offset, message):
    found = failure(data)
    assert found.code == "JSON_SYNTAX"
    assert found.severity == "error"
    if message:
        assert found.message == (f"invalid JSON ({message}) at column {column}; record quarantined")
        assert found.byte_offset == offset
    assert found.raw == data


def test_something_behind_the_value():
    for data, offset in ((b'{"a": 1} {"b": 2}', 9), (b"{}{}", 2), (b"{} garbage", 3)):
        found = failure(data)
        assert (found.code, found.byte_offset) == ("JSON_TRAILING", offset)
        assert "text after the JSON value at column" in found.message
        assert not parse(data).cut


def test_the_excerpt_shows_the_error():
    data = b'{"a": "' + b"x" * 10_000 + b'", "b": oops}'
    found = failure(data)
    assert b"oops" in found.raw
    assert len(found.raw) <= 500


def test_invalid_utf8_is_reported_with_its_position():
    found = failure(b'{"name": "caf\xe9"}')
    assert (found.code, found.byte_offset) == ("ENC_INVALID_UTF8", 13)
    assert found.message == "expected UTF-8, found the bytes e9 at byte 13 of the record; record quarantined"
    assert found.raw == b'{"name": "caf\xe9"}'
    assert failure(b'"\xed\xa0\x80"').code == "ENC_INVALID_UTF8", "a surrogate in UTF-8"
    assert parse(b'{"name": "caf\xc3').cut


def test_every_cut_is_known_as_one():
    whole = (
        r'{"a":"b\u12aa\ud83d\ude00\n","c":[1.5e+10,-3,true,false,null,NaN,-Infinity,Infinity],"é":"ü","d":{}}'.encode()
    )
    for cut in range(len(whole)):
        parsed = parse(whole[:cut])
        assert parsed.failure is not None
        assert parsed.cut, whole[:cut]
    assert parse(whole).failure is None


@pytest.mark.parametrize(
    "data", [b'{"a": nul}', b"[1 1]", b'{"a" 1}', b'{"a": 1 "b"}', b'["\\x"]', b"[1,]", b"]", b'["\\u12"]']
)
def test_what_is_wrong_is_not_called_cut(data):
    assert parse(data).failure is not None
    assert not parse(data).cut


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth(opening, closing):
    levels = opening.count("[") + opening.count("{")

    def nested(depth):
        return (opening * (depth // levels) + "1" + closing * (depth // levels)).encode()

    assert parse(nested(200)).value == json.loads(nested(200))
    found = failure(nested(200 + levels))
    assert found.code == "JSON_TOO_DEEP"
    assert found.message == "expected at most 200 levels of nesting, found more; record quarantined"
    start = time.process_time()
    assert failure(nested(200_000)).code == "JSON_TOO_DEEP"
    assert time.process_time() - start < 5
    assert failure((opening * 100_000).encode()).code == "JSON_TOO_DEEP"
    assert parse(nested(20), max_depth=10).failure.code == "JSON_TOO_DEEP"


def test_brackets_in_texts_are_no_depth():
    data = json.dumps({"a": "[" * 10_000 + '"\\' + "{" * 10_000, "b": ["]"] * 1000}).encode()
    assert parse(data).value == json.loads(data)


def test_depth_does_not_depend_on_the_recursion_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        assert failure(b"[" * 90_000 + b"]" * 90_000).code == "JSON_TOO_DEEP"
    finally:
        sys.setrecursionlimit(limit)


def test_a_nearly_full_stack_is_no_crash():
    data = b"[" * 190 + b"]" * 190
    codes_seen = set()

    def down(left):
        return parse(data) if left == 0 else down(left - 1)

    here = _stack_depth()
    for left in range(sys.getrecursionlimit() - here - 260, sys.getrecursionlimit() - here - 40, 5):
        try:
            parsed = down(left)
        except RecursionError:
            break  # not even parse itself can be called
        codes_seen.add(parsed.failure.code if parsed.failure else "")
    assert codes_seen <= {"", "JSON_TOO_DEEP"}
    assert "" in codes_seen


def _stack_depth():
    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    return depth


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(VALUES, st.data())
def test_damage_never_raises_and_agrees_with_json(value, data):
    record = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(record)))
        record[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    parsed = parse(bytes(record))
    try:
        expected = json.loads(bytes(record).decode().removeprefix("\ufeff"))
    except (ValueError, UnicodeDecodeError):
        assert parsed.failure is not None or codes(parsed) != []
    else:
        assert parsed.failure is None
        assert json.dumps(parsed.value) == json.dumps(expected) or codes(parsed) != []


# -------------------------------------------------------------------------------------------------- shape


LINE = b'{"resourceSpans": [{"scopeSpans": []}]}'
PRETTY = json.dumps(json.loads(LINE), indent=2).encode()
SHAPES = {
    "lines": [
        LINE,
        LINE + b"\n",
        LINE + b"\n" + LINE,
        LINE + b"\r\n" + LINE[:20],
        b"\n\n  \n" + LINE + b"\n",
        b"\xef\xbb\xbf" + LINE + b"\n",
        LINE[5:] + b"\n" + LINE + b"\n",
        LINE[:20] + b"\n" + LINE + b"\n",
        b'{"a": [1,\n' + LINE + b"\n" + LINE + b"\n",
        b'{"a":\n' + LINE + b"\n" + LINE + b"\n",
        b"[2024-01-01 12:00:00] starting\nINFO hello {world}\n[INFO]\n" + LINE + b"\n",
        b'{"a": tru}\n{"a": fals}\n' + LINE + b"\n",
        b"{}\n[]\n{}\n" + LINE + b"\n",
        b"null\n1\n" + LINE + b"\n",
        b'2024-01-01T00:00:00.000Z stdout F {"resourceSpans": [1]}\n' * 3,
        b"event: traces\ndata: " + LINE + b"\n\n",
        b'{"format":"json","version":1}\n{"id":"1","trace_id":"1-2"}\n',
        b"[" + LINE + b"]\n[" + LINE + b"]\n",
        b"[" * 300 + b"]" * 300 + b"\n" + LINE + b"\n",
        b"\0" * 100 + LINE + b"\n",
        b"no JSON at all\nnot even here\n",
        b"{}",
        b"",
        b"[1" + b",1" * 800_000 + b"]\n" + LINE,
        b'{"caf\xe9": 1}\n' + LINE + b"\n",
    ],
    "document": [
        PRETTY,
        PRETTY + b"\n" + PRETTY,
        PRETTY[:60],
        b"[\n" + LINE + b",\n" + LINE + b"\n]\n",
        b'{"resourceSpans": [\n{"a": 1},\n{"a": 2}\n]}\n',
        b'{"resourceSpans":\n [{"a": 1}]}\n',
        b'{\n"a":\n{"b": 1}\n}',
        LINE + LINE,
        LINE + b" " + LINE + b"\n",
        LINE[:-1],
        PRETTY.replace(b"\n", b"\r\n"),
        b"\n\xef\xbb\xbf"[1:] + PRETTY,
        PRETTY[:30] + b" oops " + PRETTY[30:],
        b'{"a": "\xff",\n "b": 1}',
        (b'{"a":\n' * 300) + b"1" + b"}" * 300,
    ],
}


@pytest.mark.parametrize(("expected", "data"), [(name, data) for name, cases in SHAPES.items() for data in cases])
def test_shape(expected, data):
    assert shape(data, at_eof=True) == expected


def test_shape_of_a_first_chunk():
    assert shape(LINE[:-1], at_eof=False) == "document", "a first line longer than the chunk"
    assert shape(PRETTY[:50], at_eof=False) == "document"
    assert shape(LINE + b"\n" + LINE[:10], at_eof=False) == "lines"
    assert shape(b"noise\n" + LINE[:10], at_eof=False) == "document", "the line may go on as a document"
    assert shape(LINE, at_eof=False) == "document", "the line may go on"


def test_shape_of_a_long_first_line_is_fast():
    line = b'{"resourceSpans": [' + b",".join([b'{"name": "x", "attributes": [{"key": "a"}]}'] * 200_000) + b"]}\n"
    start = time.process_time()
    assert shape(line + LINE, at_eof=False) == "lines"
    assert shape(line[:-1], at_eof=False) == "document"
    assert time.process_time() - start < 2


@settings(max_examples=50, deadline=None)
@given(
    st.lists(VALUES.filter(lambda value: isinstance(value, (list, dict)) and value), min_size=1, max_size=5), st.data()
)
def test_shape_of_random_values(values, data):
    lines = b"".join(json.dumps(value).encode() + b"\n" for value in values)
    assert shape(lines, at_eof=data.draw(st.booleans())) == "lines"
    document = json.dumps(values, indent=data.draw(st.integers(0, 4))).encode()
    assert shape(document, at_eof=True) == "document"
    assert shape(document[: data.draw(st.integers(1, len(document) - 1))], at_eof=False) == "document"


def test_shape_never_raises():
    rng = random.Random(11)
    alphabet = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"\n",
        b",",
        b":",
        b"1",
        b"a",
        b"\0",
        b"\xff",
        b" ",
        b"\xef\xbb\xbf",
    ]
    for _ in range(5000):
        data = b"".join(rng.choices(alphabet, k=rng.randrange(40)))
        assert shape(data, at_eof=rng.random() < 0.5) in {"lines", "document"}


# -------------------------------------------------------------------------------------------------- prefixes


@pytest.mark.parametrize(
    ("line", "rest", "name"),
    [
        (b'{"log":"{\\"a\\": 1}\\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}', b'{"a": 1}', "docker"),
        (b'{"log": "caf\\u00e9"}', "café".encode(), "docker"),
        (b'{"log": {"a": 1}}', b'{"log": {"a": 1}}', ""),
        (b'2024-01-01T00:00:00.123456789Z stdout F {"a": 1}\n', b'{"a": 1}', "cri"),
        (b'2024-01-01T00:00:00.1+02:00 stderr P {"a": 1}', b'{"a": 1}', "cri"),
        (b"2024-01-01T00:00:00Z stdout F", b"", "cri"),
        (b'2024-01-01T00:00:00.000Z {"a": 1}', b'{"a": 1}', "kubectl"),
        (b'[pod/web-5d8/app] {"a": 1}', b'{"a": 1}', "kubectl"),
        (b'[pod/web-5d8/app] 2024-01-01T00:00:00Z [{"a": 1}]', b'[{"a": 1}]', "kubectl"),
        (b'collector-1  | {"a": 1}', b'{"a": 1}', "kubectl"),
        (b'data: {"a": 1}', b'{"a": 1}', "sse"),
        (b'data:{"a": 1}', b'{"a": 1}', "sse"),
        (b"data: [DONE]", b"", "sse"),
        (b"event: span", b"", "sse"),
        (b"id: 7", b"", "sse"),
        (b": keep-alive", b"", "sse"),
        (b'\xef\xbb\xbf{"a": 1}', b'{"a": 1}', "bom"),
        (b'{"a": 1}', b'{"a": 1}', ""),
        (b"2024-01-01T00:00:00Z INFO hello", b"2024-01-01T00:00:00Z INFO hello", ""),
        (b"collector | started", b"collector | started", ""),
        (b"", b"", ""),
    ],
)
def test_prefixes(line, rest, name):
    assert strip_prefix(line) == (rest, name)
