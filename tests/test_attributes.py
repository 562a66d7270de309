"""Attributes looked up by key, against a dict for every row."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.attributes import Codes, KeyIndex, join, number, pick, text_hashes, value
from tracekit.loading.building.pool import Attributes
from tracekit.loading.records.parse import BigInt
from tracekit.ragged import Ragged

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
)
ROWS = st.lists(st.lists(st.tuples(st.sampled_from("abc"), VALUES), max_size=4), max_size=20)


def index_of(rows):
    pool = Attributes()
    codes = [[pool.kv(key, item) for key, item in row] for row in rows]
    kv, new = pool.table()
    assert new is None, "interned attributes are distinct already"
    counts = np.array([len(row) for row in codes], np.int64)
    return KeyIndex(Ragged.from_counts(counts, np.array([c for row in codes for c in row], np.int32)), kv)


def spelled(item):
    """What a value looks like as text."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, float):
        return repr(item)
    if isinstance(item, bytes):
        return base64.b64encode(item).decode()
    return str(item).replace(" ", "") if isinstance(item, list) else str(item)


@given(ROWS)
def test_the_first_key_present_counts_and_the_last_of_its_values(rows):
    index = index_of(rows)
    for keys in ("a", "ab", "cba", "x", "xb"):
        wanted = []
        for row in rows:
            found = dict(row)
            key = next((key for key in keys if key in found), None)
            wanted.append(None if key is None else spelled(found[key]))
        codes = index.codes_of(keys)
        assert [codes.at(row) for row in range(len(rows))] == wanted
        assert len(set(codes.labels)) == len(codes.labels)
        assert [code >= 0 for code in index.first_of(keys)] == [text is not None for text in wanted]


@given(ROWS)
def test_rows_of_a_key_come_in_order(rows):
    owners, codes = index_of(rows).of("b")
    assert owners.tolist() == [at for at, row in enumerate(rows) for key, _ in row if key == "b"]
    assert len(codes) == len(owners)


def test_values_are_restored_unchanged():
    values = [
        None,
        True,
        False,
        0,
        -(2**63),
        2**63 - 1,
        2**64,
        1.5,
        -0.0,
        "",
        "x",
        b"",
        b"\x00\xff",
        [1, "a"],
        {"k": None},
    ]
    pool = Attributes()
    codes = [pool.kv("k", item) for item in values]
    kv, _ = pool.table()
    back = [value(kv, code) for code in codes]
    assert back[:-2] == values[:-2]
    assert [type(item) for item in back[:-2]] == [type(item) for item in values[:-2]]
    assert back[-2:] == ['[1,"a"]', '{"k":null}']
    assert str(back[8]) == "-0.0"


def test_an_integer_of_more_digits_than_python_reads_stays_text():
    pool = Attributes()
    code = pool.kv("k", BigInt("9" * 5000))
    kv, _ = pool.table()
    assert value(kv, code) == "9" * 5000
    assert number(kv, code, kv.texts_at(np.array([code]))[0]) is None


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (404, 404),
        (-5, -5),
        (404.0, 404),
        ("404", 404),
        (True, None),
        (404.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        ("-5", None),
        ("4 0 4", None),
        ("\u0664\u0660\u0664", None),
        ("9" * 19, None),
        (2**64, None),
        ("", None),
        ([404], None),
    ],
)
def test_numbers_given_in_any_way(item, wanted):
    pool = Attributes()
    code = pool.kv("k", item)
    kv, _ = pool.table()
    assert number(kv, code, kv.texts_at(np.array([code]))[0]) == wanted
    index = index_of([[("k", item)], []])
    values, known = index.numbers_of("k")
    assert known.tolist() == [wanted is not None, False]
    assert not known[0] or values[0] == wanted


def test_values_are_renamed_and_equal_names_are_one_label():
    index = index_of([[("a", "publish")], [("a", "send")], []])
    codes = index.codes_of("a", lambda text: {"publish": "send"}.get(text, text))
    assert codes.labels == ["send"]
    assert codes.codes.tolist() == [0, 0, -1]


def test_more_keys_than_a_byte_holds():
    rows = [[(f"k{n}", n)] for n in range(300)]
    index = index_of(rows)
    assert [index.codes_of((f"k{n}",)).at(n) for n in range(300)] == [str(n) for n in range(300)]


CODES = st.lists(st.sampled_from([None, "x", "y", "z"]), min_size=6, max_size=6)


def coded(texts):
    labels = ["unused", *sorted({text for text in texts if text})]
    return Codes(np.array([-1 if text is None else labels.index(text) for text in texts], np.int32), labels)


@given(st.lists(CODES, min_size=1, max_size=4))
def test_pick_takes_the_first_that_is_there(options):
    codes, which = pick([coded(option) for option in options])
    for row, texts in enumerate(zip(*options, strict=True)):
        at = next((at for at, text in enumerate(texts) if text is not None), -1)
        assert which[row] == at
        assert codes.at(row) == (texts[at] if at >= 0 else None)
    assert len(set(codes.labels)) == len(codes.labels)


@given(st.lists(CODES, min_size=1, max_size=3))
def test_join_needs_its_first_part_only(options):
    codes = join([coded(option) for option in options], "/")
    for row, texts in enumerate(zip(*options, strict=True)):
        wanted = None if texts[0] is None else "/".join(text for text in texts if text is not None)
        assert codes.at(row) == wanted
    assert len(set(codes.labels)) == len(codes.labels)


def test_codes_of_nothing():
    empty = Codes(np.zeros(0, np.int32), [])
    assert join([empty, empty]).codes.tolist() == []
    assert pick([empty])[0].codes.tolist() == []
    assert empty.take(np.zeros(0, np.int64)).series().tolist() == []


def test_a_key_in_many_blocks_is_found_in_the_order_of_the_rows(monkeypatch):
    monkeypatch.setattr("tracekit.attributes._BLOCK", 7)
    pool = Attributes()
    rng = np.random.default_rng(3)
    codes = np.array([pool.kv(f"k{number % 5}", number) for number in range(40)], np.int32)
    counts = rng.integers(0, 6, 60)
    table = Ragged.from_counts(counts, rng.choice(codes, counts.sum()))
    kv, _ = pool.table()
    index, owner = KeyIndex(table, kv), table.owners()
    for key in kv.keys:
        wanted = np.flatnonzero(kv.key[table.codes] == kv.keys.index(key))
        rows, found = index.of(key)
        assert rows.tolist() == owner[wanted].tolist()
        assert found.tolist() == table.codes[wanted].tolist()


def test_the_first_row_of_a_joint_value_numbers_it():
    first = Codes(np.array([1, 0, -1, 1, 0], np.int32), ["a", "b"])
    second = Codes(np.array([2, -1, 0, 0, 1], np.int32), ["x", "y", "z"])
    found = join([first, second])
    assert found.labels == ["b z", "a", "b x", "a y"]
    assert found.codes.tolist() == [0, 1, -1, 2, 3]


def test_half_of_a_surrogate_pair_has_a_hash_of_its_own():
    plain, torn = Codes(np.array([0, 1]), ["cart", "shop"]), Codes(np.array([0, 1, 2]), ["cart", "\ud800", "\udfff"])
    found = text_hashes(torn)
    assert found[0] == text_hashes(plain)[0]
    assert len(set(found.tolist())) == 3
