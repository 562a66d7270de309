"""Hashes of texts: the extension writes those of hashlib and of pandas."""

from hashlib import blake2b

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tracekit.attributes import Codes, hashes_of, text_hashes, texts_of
from tracekit.loading import native
from tracekit.loading.text_hashes import blake2b_hashes, sip_hashes
from tracekit.schema import ValueType

texts = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=40) | st.text("ab", max_size=300))
LANES = [lane for lane in native.LANES if lane == "python" or native.extension is not None]


def digest(text):
    """What hashlib says."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


@given(texts, st.integers(0, 3))
def test_every_lane_has_the_hashes_of_hashlib_and_of_pandas(found, first):
    column = pa.array(found, pa.large_string())[first:]  # which does not begin with its buffers
    found = found[first:]
    digests = [0 if one is None else digest(one) for one in found]
    hashed = pd.util.hash_array(np.array([one or "" for one in found], object), categorize=False)
    with pytest.MonkeyPatch.context() as patched:
        for lane in LANES:
            patched.setenv(native.SWITCH, lane)
            assert blake2b_hashes(column).tolist() == digests
            assert sip_hashes(column).tolist() == hashed.tolist()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 127, 128, 129, 255, 256, 257])
def test_texts_at_the_edges_of_blocks(size):
    found = ["x" * size, "", "y", "z" * size, "x" * (size // 2), "x" * size]  # of which four are hashed at once
    column = pa.array(found, pa.large_string())
    assert blake2b_hashes(column).tolist() == [digest(text) for text in found]
    assert sip_hashes(column).tolist() == pd.util.hash_array(np.array(found, object), categorize=False).tolist()


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
@pytest.mark.parametrize("function", ["blake2b_hashes", "sip_hashes"])
@pytest.mark.parametrize("ends", [(0, 3, 5), (0, 3, 2), (-1, 1, 2), (0, 2), (3, 1, 2)])
def test_columns_that_do_not_fit_are_an_error(function, ends):
    with pytest.raises(ValueError, match="expected columns that fit each other"):
        getattr(native.extension, function)(np.array(ends, np.int64), b"abcd", np.empty(2, np.uint64))


def test_attributes_of_a_store_have_the_hashes_of_their_texts(tmp_path):
    traces = tk.load_sample("checkout-regression")[1]
    for part in (traces, tk.open(traces.save(tmp_path / "a.parquet")).part(0)):
        kv = part.columns.kv
        codes = np.arange(len(kv))[::-1]
        assert {"INT", "STR"} <= {ValueType(kind).name for kind in np.unique(kv.type)}
        for before in ("", "1/0/0/\x1f"):
            expected = text_hashes(Codes(np.arange(len(kv)), [before + text for text in texts_of(kv, codes)]))
            np.testing.assert_array_equal(hashes_of(kv, codes, before), expected)
