"""The glossary is the truth: every frame has exactly the columns it lists, with their types."""

from enum import IntEnum

import pandas as pd
import pytest

from tracekit import TraceSet, schema

FRAME = pd.DataFrame(
    {
        "trace_id": ["a1", "a1"],
        "span_id": ["1", "2"],
        "parent_span_id": [None, "1"],
        "service_name": ["cart", "ledger"],
        "name": ["POST /pay", "charge"],
        "start_ns": [1, 2],
        "end_ns": [9, 8],
        "attributes.tenant": ["blue", None],
    }
)


@pytest.mark.parametrize("table", schema.TABLES)
@pytest.mark.parametrize("rows", [2, 0])
def test_every_frame_has_the_columns_of_the_glossary_with_their_types(table, rows):
    frame = getattr(TraceSet.from_spans(FRAME[:rows]), table)
    assert list(frame) == schema.names(table)
    for column in schema.TABLES[table]:
        assert _is(frame[column.name].dtype, column.dtype), (column.name, frame[column.name].dtype)


def _is(dtype, wanted):
    """Texts are pandas' own string type where there is one, else objects."""
    if wanted == "str":
        return pd.api.types.is_string_dtype(dtype) or dtype.kind == "O"
    return str(dtype) == wanted


def test_every_column_has_one_meaning():
    glossary = schema.describe()
    assert list(glossary) == ["table", "name", "dtype", "meaning"]
    assert not glossary.duplicated(["table", "name"]).any()
    assert glossary["meaning"].str.len().min() > 3
    assert set(glossary["table"]) == set(schema.TABLES)


@pytest.mark.parametrize(
    ("known", "words", "numbers"),
    [
        ("UNSPECIFIED INTERNAL SERVER CLIENT PRODUCER CONSUMER", schema.KINDS, schema.Kind),
        ("UNSET OK ERROR", schema.STATUS_CODES, schema.Status),
        ("span segment subsegment inferred synthetic", schema.RECORD_KINDS, schema.RecordKind),
        ("root resolved missing cycle self duplicate", schema.PARENT_STATES, schema.ParentState),
        ("none client throttle fault unspecified", schema.ERROR_CLASSES, schema.ErrorClass),
        ("empty str int double bool bytes array map", schema.VALUE_TYPES, schema.ValueType),
        ("attribute annotation metadata aws http sql tag derived", schema.ORIGINS, schema.Origin),
        ("link follows_from child_of_extra xray_link", schema.RELATIONS, schema.Relation),
    ],
)
def test_text_and_numbers_are_the_same_list(known, words, numbers):
    assert issubclass(numbers, IntEnum)
    assert list(words) == known.split(), "stores and filters hold these words"
    assert [member.name.lower() for member in numbers] == [word.lower() for word in words]
    assert [int(member) for member in numbers] == list(range(len(words)))


def test_quality_bits_are_distinct_and_fit_their_column():
    bits = [int(bit) for bit in schema.Quality]
    assert len(set(bits)) == len(bits)
    assert all(bit.bit_count() == 1 and bit < 2**32 for bit in bits)


@pytest.mark.parametrize("suffix", ["_ns", "_count", "_ratio"])
def test_numbers_with_a_unit_are_numbers(suffix):
    glossary = schema.describe()
    united = glossary[glossary["name"].str.endswith(suffix)]
    assert set(united["dtype"].str.lower()) <= {"int64", "int32", "uint32", "float64"}
