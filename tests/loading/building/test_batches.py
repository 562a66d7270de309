"""Columns that grow: what was added comes out, in as much room as was expected, and one value takes none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekit.loading.building import batches

few = st.lists(st.integers(0, 1), max_size=4)


@given(st.lists(st.tuples(few, st.sampled_from([1, 1.5, 100]))))
def test_what_was_added_comes_out(parts):
    column = batches._Column(np.int32)
    for part, to_come in parts:
        column.add(np.array(part, np.int32), to_come)
    made = column.all()
    assert made.tolist() == [value for part, _ in parts for value in part]
    assert made.dtype == np.int32


def test_one_value_again_and_again_is_kept_once():
    column = batches._Column(np.int64)
    for _ in range(3):
        column.add(np.full(1000, 5), 1)
    assert column.all().strides == (0,)
    assert column.all().tolist() == [5] * 3000
    column.add(np.array([6]), 1)
    assert column.all().tolist() == [5] * 3000 + [6]


def test_there_is_room_for_what_is_to_come():
    column = batches._Column(np.int64)
    column.add(np.arange(100), 10)
    first = column.all().base
    for start in range(100, 1000, 100):
        column.add(np.arange(start, start + 100), 1)
    assert column.all().base is first
    column.add(np.arange(1000, 1100), 1)
    assert len(column.all().base) == 2000, "more than was expected"
    assert column.all().tolist() == list(range(1100))


@pytest.mark.parametrize("kind", [np.int8, np.uint64])
def test_nothing_has_the_type_of_its_column(kind):
    assert batches._Column(kind).all().dtype == kind
    assert not len(batches._Column(kind).all())
