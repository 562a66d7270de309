import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracekit.views.tkw1 import TYPES, Payload, compact, decode, encode

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
columns = st.sampled_from(TYPES).flatmap(
    lambda kind: arrays(
        np.dtype(kind),
        st.integers(0, 20),
        elements={"allow_nan": False, "allow_infinity": False} if kind[0] == "f" else None,
    )
)


@given(st.dictionaries(names, columns, max_size=5), st.lists(names, max_size=5))
def test_a_buffer_gives_back_what_it_was_given(table, strings):
    back = decode(encode(Payload(table, strings, {"id": "a1"})))
    assert back.strings == strings
    assert back.meta == {"id": "a1"}
    assert list(back.columns) == list(table)
    for name, column in table.items():
        assert back.columns[name].dtype.newbyteorder("=") == column.dtype
        assert np.array_equal(back.columns[name], column)


@given(st.dictionaries(names, columns, max_size=5))
def test_every_column_is_aligned_and_the_whole_is_padded(table):
    raw = encode(Payload(table, []))
    assert len(raw) % 8 == 0
    for column in decode(raw).columns.values():
        assert column.__array_interface__["data"][0] % column.itemsize == 0 or not len(column)


def test_a_number_that_is_not_finite_never_reaches_the_page():
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"column 'start': expected finite numbers, found .* in entry 1"):
            encode(Payload({"start": np.array([0.0, bad])}, []))
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(Payload({}, [], {"value": float("nan")}))


def test_a_column_of_another_type_is_refused():
    with pytest.raises(ValueError, match=r"column 'start': expected one dimension of type .*, found int64 \(2,\)"):
        encode(Payload({"start": np.array([1, 2])}, []))
    with pytest.raises(ValueError, match="expected one dimension"):
        encode(Payload({"start": np.zeros((2, 2))}, []))


def test_another_buffer_is_refused():
    with pytest.raises(ValueError, match=r"expected a buffer that starts with b'TKW1', found b'PK"):
        decode(b"PK\3\4 and so on")


def test_lone_surrogates_do_not_stop_the_encoder():
    assert decode(encode(Payload({}, ["\ud83d"]))).strings == ["?"]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_interleaved_numbers_are_restored(numbers):
    for kind in ("u1", "u2", "u4"):
        column = (np.array(numbers, np.uint64) % 2 ** (8 * int(kind[1]))).astype(kind)
        woven = decode(encode(Payload({"a": column}, []), in_planes=True)).columns["a"]
        assert woven.tolist() == column.tolist()


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([0, 255], "uint8"),
        ([0, 256], "uint16"),
        ([0, 65_536], "uint32"),
        ([0, 2**32 - 1], "uint32"),
        ([0, 2**32], "float64"),
        ([-1, 5], "float64"),
        ([0.5], "float64"),
        ([], "float64"),
    ],
)
def test_whole_numbers_take_the_least_type(numbers, kind):
    compacted = compact(np.array(numbers, np.float64))
    assert compacted.dtype == kind
    assert compacted.tolist() == numbers


def test_what_is_not_finite_stays_to_be_refused():
    assert np.isnan(compact(np.array([np.nan, 1.0]))[0])
