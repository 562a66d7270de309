"""Interning: one code for one value, whichever way it came in."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.attributes import value
from tracekit.loading.building.pool import HIGHEST, LOWEST, Attributes, Texts, canonical_json, fold, mix, take_kv, typed
from tracekit.loading.records.parse import BigInt
from tracekit.schema import Origin, ValueType

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.binary(max_size=4))
NESTED = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
)


def test_texts_are_numbered_in_order_of_occurrence():
    texts = Texts()
    assert [texts.code("a"), texts.code("b"), texts.code("a"), texts.code("")] == [0, 1, 0, 2]
    assert [texts.optional(""), texts.optional(None), texts.optional("b")] == [-1, -1, 1]
    assert texts.list() == ["a", "b", ""]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (1, 1.0),
        (1, "1"),
        ("a", b"a"),
        (0.0, -0.0),
        ([1], "[1]"),
        ([], {}),
        (None, ""),
        (2**64, str(2**64)),
        ([True], [1]),
    ],
)
def test_values_that_only_look_alike_have_codes_of_their_own(one, other):
    pool = Attributes()
    assert pool.kv("k", one) != pool.kv("k", other)
    kv, new = pool.table()
    assert (len(kv), new) == (2, None)


@pytest.mark.parametrize(
    "again",
    [("k", "v"), ("k", [1, {"a": 2}]), ("k", {"b": 1, "a": 2}), ("k", float("nan")), ("k", None), ("k", (1, 2))],
)
def test_equal_values_have_one_code(again):
    pool = Attributes()
    assert pool.kv(*again) == pool.kv(*again)


def test_members_in_any_order_are_one_map():
    pool = Attributes()
    assert pool.kv("k", {"b": 1, "a": 2}) == pool.kv("k", {"a": 2, "b": 1})


def test_key_origin_namespace_and_index_are_part_of_an_attribute():
    pool = Attributes()
    codes = {
        pool.kv("k", "v"),
        pool.kv("j", "v"),
        pool.kv("k", "v", Origin.METADATA),
        pool.kv("k", "v", Origin.METADATA, "default"),
        pool.kv("k", "v", Origin.ATTRIBUTE, "", True),  # noqa: FBT003 - as loaders call it
    }
    kv, _ = pool.table()
    assert len(codes) == len(kv) == 5
    assert kv.namespaces == ["default"]


@given(st.lists(st.tuples(st.sampled_from("ab"), SCALARS), max_size=30))
def test_folding_changes_no_value(pairs):
    """Rows appended without interning fold to the rows that interning gives."""
    loose, interned = Attributes(), Attributes()
    codes = [loose.append(key, *typed(item)) for key, item in pairs]
    wanted = [interned.kv(key, item) for key, item in pairs]
    (kv, new), (strict, _) = loose.table(), interned.table()
    moved = [int(code if new is None else new[code]) for code in codes]
    assert len(kv) == len(strict) == len(set(moved))
    for code, right, (key, item) in zip(moved, wanted, pairs, strict=True):
        assert kv.keys[kv.key[code]] == key
        assert repr(value(kv, code)) == repr(value(strict, right))
        assert isinstance(item, (int, float)) or value(kv, code) == item


def test_a_collision_of_the_mix_costs_a_fold_and_never_a_value(monkeypatch):
    monkeypatch.setattr(
        "tracekit.loading.building.pool.mix", lambda columns: np.zeros(len(next(iter(columns))), np.uint64)
    )
    pool = Attributes()
    codes = [pool.append("k", *typed(item)) for item in ("a", "b", "a", "c")]
    kv, new = pool.table()
    moved = codes if new is None else new[codes]
    assert [value(kv, int(code)) for code in moved] == ["a", "b", "a", "c"]


def test_columns_are_learned_at_once_and_the_rest_is_named():
    pool = Attributes()
    before = pool.kv("x", True)  # noqa: FBT003 - as loaders call it
    kinds = np.array([ValueType.STR, ValueType.INT, ValueType.DOUBLE, 0])
    codes = pool.extend(list("abcd"), kinds, ["t", None, None, None], [None, 0, None, None], [None, None, -0.0, None])
    assert codes.tolist() == [1, 2, 3, -1]
    kv, _ = pool.table()
    assert [value(kv, code) for code in (before, 1, 2)] == [True, "t", 0]
    assert str(value(kv, 3)) == "-0.0"
    assert [kv.keys[key] for key in kv.key] == ["x", "a", "b", "c"]
    assert pool.extend([], np.zeros(0, np.int8), [], [], []).tolist() == []


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (None, (ValueType.EMPTY, None, 0, 0.0)),
        (True, (ValueType.BOOL, None, 1, 0.0)),
        ("", (ValueType.STR, "", 0, 0.0)),
        (LOWEST, (ValueType.INT, None, LOWEST, 0.0)),
        (HIGHEST, (ValueType.INT, None, HIGHEST, 0.0)),
        (HIGHEST + 1, (ValueType.INT, str(HIGHEST + 1), 0, 0.0)),
        (BigInt("9" * 5000), (ValueType.INT, "9" * 5000, 0, 0.0)),
        (b"\xff", (ValueType.BYTES, "/w==", 0, 0.0)),
        ((1, b"\xff"), (ValueType.ARRAY, '[1,"/w=="]', 0, 0.0)),
        ({"a": Decimal("0.5")}, (ValueType.MAP, '{"a":0.5}', 0, 0.0)),
        (Decimal("0.5"), (ValueType.DOUBLE, None, 0, 0.5)),
    ],
)
def test_types(item, wanted):
    assert typed(item) == wanted


@given(NESTED)
def test_canonical_json_is_one_text_for_one_value(item):
    def turned(inside):
        if isinstance(inside, dict):
            return {key: turned(inside[key]) for key in reversed(list(inside))}
        return [turned(one) for one in inside] if isinstance(inside, list) else inside

    assert canonical_json(item) == canonical_json(turned(item))


def test_an_empty_pool_is_an_empty_table():
    kv, new = Attributes().table()
    assert (len(kv), new, kv.keys) == (0, None, [])
    assert len(fold(kv)[0]) == 0


def test_rows_of_the_table_are_taken_with_everything():
    pool = Attributes()
    for item in ("a", 1, 2.5, {"k": 1}):
        pool.kv("k", item, Origin.METADATA, "n", True)  # noqa: FBT003 - as loaders call it
    kv, _ = pool.table()
    taken = take_kv(kv, np.array([3, 1]))
    assert [value(taken, code) for code in (0, 1)] == ['{"k":1}', 1]
    assert taken.is_indexed.tolist() == [True, True]


def test_the_mix_depends_on_every_column_and_on_their_order():
    a, b = np.array([1, 2, 1], np.int32), np.array([2, 1, 1], np.uint64)
    both = mix([a, b])
    assert len(set(both.tolist())) == 3
    assert both[0] != mix([b, a])[0]
    assert mix([a])[0] == mix([a])[2]
