"""Lists of attributes by row, against lists of lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracekit.ragged import OutOfOrder, Ragged

LISTS = st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=30)


def ragged(lists):
    counts = np.array([len(codes) for codes in lists], np.int64)
    return Ragged.from_counts(counts, np.array([code for codes in lists for code in codes], np.int32))


def lists_of(table):
    return [table.of(row).tolist() for row in range(len(table))]


@given(LISTS, st.data())
def test_a_ragged_table_is_a_list_of_lists(lists, data):
    table = ragged(lists)
    assert len(table) == len(lists)
    assert lists_of(table) == lists
    assert table.counts.tolist() == list(map(len, lists))
    assert table.owners().tolist() == [row for row, codes in enumerate(lists) for _ in codes]
    rows = np.array(data.draw(st.lists(st.integers(0, len(lists) - 1)) if lists else st.just([])), np.int64)
    assert lists_of(table.take(rows)) == [lists[row] for row in rows]
    assert table.codes[table.positions(rows)].tolist() == [code for row in rows for code in lists[row]]
    values, codes = table.spread(np.arange(len(lists)) * 10)
    assert list(zip(values.tolist(), codes.tolist(), strict=True)) == [(row * 10, code) for row, own in enumerate(lists)
                                                                       for code in own]  # fmt: skip


class Shuffled(OutOfOrder):
    """A table whose pairs come in another order."""

    __slots__ = ()

    def pairs(self):
        rows, codes = Ragged.pairs(self)
        order = np.argsort(codes, kind="stable")
        return rows[order], codes[order]


@given(LISTS)
def test_what_is_asked_of_all_attributes_does_not_depend_on_their_order(lists):
    rows = [row for row, own in enumerate(lists) for _ in own]
    codes = [code for own in lists for code in own]
    values = np.arange(100, dtype=np.uint64) * np.uint64(0x0123456789ABCDEF)
    chosen = np.arange(100) % 3 == 1
    expected = [sum(int(values[code]) for code in own) % 2**64 for own in lists]
    for kind in (Ragged, Shuffled):
        table = kind(*(getattr(ragged(lists), name) for name in ("offsets", "codes")))
        assert table.often(100).tolist() == [codes.count(code) for code in range(100)]
        assert table.sums(values).tolist() == expected
        own = sorted(zip(*(column.tolist() for column in table.having(chosen)), strict=True))
        assert own == sorted((row, code) for row, code in zip(rows, codes, strict=True) if chosen[code])
        spread = sorted(zip(*(column.tolist() for column in table.spread(np.arange(len(lists)) * 10)), strict=True))
        assert spread == sorted((row * 10, code) for row, code in zip(rows, codes, strict=True))


@given(LISTS.filter(any), st.data())
def test_adjacent_codes_have_their_rows(lists, data):
    table = ragged(lists)
    low = data.draw(st.integers(0, len(table.codes) - 1))
    high = data.draw(st.integers(low + 1, len(table.codes)))
    assert table.owners_between(slice(low, high)).tolist() == table.owners()[low:high].tolist()


def test_an_empty_ragged_table_has_rows_without_attributes():
    assert lists_of(Ragged.empty(3)) == [[], [], []]
    assert len(Ragged.empty()) == 0


def test_more_rows_than_one_step_are_taken(monkeypatch):
    monkeypatch.setattr("tracekit.ragged._STEP", 3)
    lists = [[n] * (n % 4) for n in range(20)]
    rows = np.array([19, 3, 3, 0, 7, 11, 2, 18, 1, 5])
    assert lists_of(ragged(lists).take(rows)) == [lists[row] for row in rows]
