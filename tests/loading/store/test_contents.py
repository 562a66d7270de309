"""What is in a store is known from its marker, without reading spans."""

import pandas as pd
import pytest

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.errors import LoadError
from tracekit.loading.store import part as store_part
from tracekit.loading.store import read_write


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


def test_what_is_in_it_is_known_without_reading_spans(during, tmp_path, monkeypatch):
    split(during, tmp_path / "a.parquet", 5)
    monkeypatch.setattr(store_part, "open_table", None)
    store = tk.open(tmp_path / "a.parquet")
    assert (len(store), store.span_count, store.part_count) == (len(during), len(during.spans), 5)
    assert store.services == sorted(during.codes("service_name").labels)
    begun = during.columns.spans.start_ns[during.forest.root_row]
    assert store.period_ns == (begun.min(), begun.max())
    assert repr(store).startswith(f"TraceStore(a.parquet: 5 parts, {len(during.spans):,} spans, ")
    assert "TraceStore(" in store._repr_html_()


def test_files_that_all_parts_share_are_read_again_only_after_a_change(during, tmp_path, monkeypatch):
    store = split(during, tmp_path / "s.parquet", 3)
    first = store.part(0)
    with monkeypatch.context() as patch:
        patch.setattr(read_write, "read_frames", None)
        again = store.part(1)
    pd.testing.assert_frame_equal(again.sources, first.sources)
    pd.testing.assert_frame_equal(again.issues, first.issues)
    again.columns.sources["uri"] = "another"
    assert store.part(2).sources["uri"].tolist() == first.sources["uri"].tolist() != ["another"]
    file = tmp_path / "s.parquet" / "sources.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*sources.parquet: expected the bytes that were written"):
        store.part(1)
    file.unlink()
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*sources.parquet: expected a file of .* bytes, found none"):
        store.part(1)
