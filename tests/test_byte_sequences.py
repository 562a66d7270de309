"""Sequences of bytes in many texts: the extension and numpy find those that a search place by place finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit.byte_sequences import ANY, DIGIT, ByteSearches, sequence, word
from tracekit.loading import native

SEARCHES = {
    "alone": (sequence((0, b"@")), sequence((0, b"%"), (1, b"4"), (2, b"0"))),
    "before and behind": (sequence((0, b"-"), (-2, DIGIT), (1, DIGIT), (3, ANY)),),
    "word": (word(b"key", 1, b"=:"), word(b"by")),
    "far": (sequence((0, b"k"), (9, b"\xc3")),),
}
LANES = [lane for lane in native.LANES if lane == "python" or native.extension is not None]
texts = st.lists(st.lists(st.sampled_from([*"@%40-19kKeEyYbB=: é", "key=", "%40", "1-2"]), max_size=9).map("".join))


def columns(found):
    """The bytes of some texts, and where each begins."""
    encoded = [text.encode() for text in found]
    return np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([0, *map(len, encoded)])


def place_by_place(data, offsets):
    """The texts by kind, of every place at which all steps of a sequence fit."""
    found = {kind: set() for kind in SEARCHES}
    text_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    for kind, searches in SEARCHES.items():
        for steps in (steps for search in searches for steps in search.sequences):
            for place in range(len(data)):
                there = [(place + distance, allowed) for distance, allowed in steps]
                if all(0 <= at < len(data) and data[at] in allowed for at, allowed in there):
                    found[kind].add(int(text_of[place]))
    return {kind: sorted(rows) for kind, rows in found.items()}


@settings(deadline=None)
@given(texts)
def test_every_lane_finds_the_texts_with_a_sequence(found):
    data, offsets = columns(found)
    with pytest.MonkeyPatch.context() as patched:
        for lane in LANES:
            patched.setenv(native.SWITCH, lane)
            rows = ByteSearches(SEARCHES).rows(data, offsets)
            assert {kind: one.tolist() for kind, one in rows.items()} == place_by_place(data, offsets)


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
@pytest.mark.parametrize(
    "changed",
    [
        {"sets": b"\1" * 255},
        {"steps": [(0, 1)]},
        {"steps": [(0, -1)]},
        {"steps": [(4096, 0)]},
        {"steps": [(0, 0), (1, 0)]},
        {"counts": [0]},
        {"counts": [2]},
        {"counts": [1, 0]},
        {"marks": []},
        *({"offsets": ends} for ends in ([0, 3, 5], [0, 3, 2], [1, 2, 4], [0, 4], [-1, 1, 4], [0, 5, 4])),
    ],
)
def test_columns_that_do_not_fit_are_an_error(changed):
    given = {"sets": b"\1" * 256, "steps": [(0, 0)], "counts": [1], "marks": [1], "offsets": [0, 2, 4]} | changed
    kinds = {"steps": np.int32, "counts": np.int32, "marks": np.uint64, "offsets": np.int64}
    arrays = [np.array(value, kinds[name]) if name in kinds else value for name, value in given.items()]
    with pytest.raises(ValueError, match="expected columns that fit each other"):
        native.extension.sequences(*arrays, b"abcd", np.empty(2, np.uint64))
