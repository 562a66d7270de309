"""The flat Parquet file: read by other tools, not by tracekit."""

from datetime import UTC

import duckdb
import numpy as np
import otlp_made as made
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from made_sets import sets
from test_convert import noisy

import tracekit as tk
from tracekit.attributes import texts_of
from tracekit.errors import LoadError
from tracekit.loading import flat

per_example = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HOSTILE = '<script>alert("x")</script>\n\t\\ \N{RIGHT-TO-LEFT OVERRIDE}; DROP TABLE "spans" -- \N{PILE OF POO}\0'
START = made.START + 7  # not a whole number of microseconds


@pytest.fixture
def hostile(tmp_path):
    """One finished span with hostile names, and one without an end."""
    spans = [
        made.span(
            name=HOSTILE,
            startTimeUnixNano=str(START),
            endTimeUnixNano=str(START + 1_000_001),
            attributes=[
                made.text(HOSTILE, HOSTILE),
                made.text("twice", "first"),
                made.attribute("twice", {"intValue": "2"}),
                made.attribute("ratio", {"doubleValue": 0.1}),
                made.attribute("whole", {"doubleValue": 3}),
                made.attribute("yes", {"boolValue": True}),
                made.attribute("list", {"arrayValue": {"values": [{"intValue": "1"}]}}),
            ],
        ),
        made.span(spanId="0" * 15 + "f", parentSpanId=made.SPAN, endTimeUnixNano=None),
    ]
    traces = tk.read(made.lines(made.request(*spans, resource=made.resource(HOSTILE))))
    return traces.to_parquet(tmp_path / "spans.parquet")


ATTRIBUTES = {
    HOSTILE: HOSTILE, "twice": "2", "ratio": "0.1", "whole": "3.0", "yes": "true", "list": "[1]",
}  # fmt: skip


def test_duckdb_reads_it(hostile):
    rows = duckdb.sql(
        "select trace_id, span_id, parent_span_id, name, service_name, kind, duration_ns, epoch_ns(start_time),"
        " epoch_ns(end_time), attributes, resource_attributes['service.name'], weight"
        f" from '{hostile}' order by span_id"
    ).fetchall()
    child, root = rows
    assert child[:7] == (made.TRACE, "0" * 15 + "f", made.SPAN, "GET /cart", HOSTILE, "SERVER", None)
    assert child[7:] == (made.START, None, {}, HOSTILE, None)
    assert root[:7] == (made.TRACE, made.SPAN, None, HOSTILE, HOSTILE, "SERVER", 1_000_001)
    assert root[7:] == (START, START + 1_000_001, ATTRIBUTES, HOSTILE, None)
    found = duckdb.sql(
        f"select count(*) from '{hostile}' where attributes['yes'] = 'true' and name = ?", params=[HOSTILE]
    )
    assert found.fetchall() == [(1,)]


def test_polars_reads_it(hostile):
    frame = pl.read_parquet(hostile).sort("span_id")
    assert frame["name"].cast(pl.String).to_list() == ["GET /cart", HOSTILE]
    assert frame["trace_id"].to_list() == [made.TRACE] * 2
    assert frame["parent_span_id"].to_list() == [made.SPAN, None]
    assert frame.schema["start_time"] == pl.Datetime("ns", "UTC")
    assert frame["start_time"].dt.epoch("ns").to_list() == [made.START, START]
    assert frame["end_time"].is_null().to_list() == [True, False]
    assert frame["duration_ns"].to_list() == [None, 1_000_001]
    assert frame.filter(pl.col("service_name") == HOSTILE).height == 2
    assert dict_of(frame["attributes"].to_list()[1]) == ATTRIBUTES


def dict_of(cell):
    """A map as polars of any version gives it: a dict, or a list of keys and values."""
    return cell if isinstance(cell, dict) else {pair["key"]: pair["value"] for pair in cell}


def test_pandas_reads_it(hostile):
    frame = pd.read_parquet(hostile).sort_values("span_id")
    assert frame["name"].tolist() == ["GET /cart", HOSTILE]
    assert frame["parent_span_id"].isna().tolist() == [False, True]
    assert str(frame["start_time"].dtype) == "datetime64[ns, UTC]"
    assert frame["start_time"].iloc[1] == pd.Timestamp(START, tz=UTC)
    assert frame["end_time"].isna().tolist() == [True, False]
    assert frame["end_ns"].iloc[1] == START + 1_000_001
    assert frame["duration_ns"].isna().tolist() == [True, False]
    assert frame["attributes"].map(dict).tolist() == [{}, ATTRIBUTES]


def test_texts_are_dictionary_encoded(hostile):
    file = pq.ParquetFile(hostile)
    for name in ("name", "service_name", "operation", "kind", "status_code"):
        assert pa.types.is_dictionary(file.schema_arrow.field(name).type), name
    group = file.metadata.row_group(0)
    encoded = {group.column(at).path_in_schema: group.column(at).encodings for at in range(group.num_columns)}
    assert all("RLE_DICTIONARY" in encoded[name] for name in ("name", "attributes.key_value.key"))


# -------------------------------------------------------------------- any set


@per_example
@given(sets())
def test_the_columns_are_those_of_spans(tmp_path, traces):
    found = pd.read_parquet(traces.to_parquet(tmp_path / "a.parquet"))
    own = [column for column in found if column in traces.spans]
    assert len(own) == len(traces.spans.columns) - 7
    expected = traces.spans[own].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[own], expected, check_categorical=False, check_dtype=bool(len(expected)))
    assert list(found.columns) == [*own, "weight", "attributes", "resource_attributes"]


@per_example
@given(sets())
def test_attributes_and_weights_are_those_of_the_set(tmp_path, traces):
    found = pd.read_parquet(traces.to_parquet(tmp_path / "a.parquet"))
    columns, kv = traces.columns, traces.columns.kv
    for row in range(len(found)):
        for name, codes in (
            ("attributes", columns.attributes.of(row)),
            ("resource_attributes", columns.resource_attributes.of(int(columns.spans.resource[row]))),
        ):
            keys = [kv.keys[key] for key in kv.key[codes]]
            assert len(found[name][row]) == len(set(keys))
            assert dict(found[name][row]) == dict(zip(keys, texts_of(kv, codes), strict=True))
    known = traces.weights.known[traces.forest.trace]
    np.testing.assert_array_equal(found["weight"].notna(), known)
    np.testing.assert_array_equal(found["weight"][known], traces.weights.value[traces.forest.trace][known])


def test_row_groups_are_of_bounded_size(tmp_path, monkeypatch):
    many = tk.read(noisy(300, 20))
    for limit, value in (("ROWS", 50), ("BYTES", 1000), ("BYTES", 1)):
        traces = many if value > 1 else many.head(4)  # each row is a group
        whole = pd.read_parquet(traces.to_parquet(tmp_path / "a.parquet"))
        with monkeypatch.context() as patch:
            patch.setattr(flat, limit, value)
            file = traces.to_parquet(tmp_path / "b.parquet")
        written = pq.ParquetFile(file).metadata
        sizes = [written.row_group(at).num_rows for at in range(written.num_row_groups)]
        assert len(sizes) > 5
        assert max(sizes) <= (50 if limit == "ROWS" else 60 if value > 1 else 1)
        pd.testing.assert_frame_equal(pd.read_parquet(file), whole, check_categorical=False)


def test_a_set_without_traces_is_a_file_without_rows(tmp_path, shop):
    nobody = shop.where("service_name == 'nobody'")
    found = duckdb.sql(f"select count(*), count(attributes) from '{nobody.to_parquet(tmp_path / 'a.parquet')}'")
    assert found.fetchall() == [(0, 0)]


# -------------------------------------------------------------------- convert


@pytest.mark.parametrize("spans_at_once", [40, 10_000])
def test_convert_writes_what_to_parquet_writes(tmp_path, spans_at_once):
    data = noisy(400, 25)
    path = tk.convert(data, tmp_path / "a.parquet", flat=True, spans_at_once=spans_at_once)
    found = pd.read_parquet(path)
    expected = pd.read_parquet(tk.read(data).to_parquet(tmp_path / "b.parquet"))
    starts = found["trace_id"].ne(found["trace_id"].shift())
    assert starts.sum() == found["trace_id"].nunique(), "a trace is in two places"
    found = found.sort_values("trace_id", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_categorical=False)
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["a.parquet", "b.parquet"]


def test_convert_flattens_a_store(tmp_path):
    traces = tk.read(noisy(60, 9))
    store = traces.save(tmp_path / "store")
    found = pd.read_parquet(tk.convert(store, tmp_path / "a.parquet", flat=True))
    pd.testing.assert_frame_equal(found, pd.read_parquet(traces.to_parquet(tmp_path / "b.parquet")))


@pytest.mark.parametrize("code", ["JSON_SYNTAX", "DUP_IDENTICAL"])
def test_an_interruption_leaves_the_old_file_and_nothing_else(tmp_path, code):
    def interrupt(issue):
        if issue.code == code:
            raise KeyboardInterrupt

    path = tk.convert(noisy(10, 3), tmp_path / "a.parquet", flat=True)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        tk.convert(noisy(300, 9), path, flat=True, spans_at_once=20, on_issue=interrupt)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        tk.read(noisy(10, 3)).to_parquet(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------- refusals


def test_what_is_no_parquet_file_is_not_replaced(tmp_path, shop):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(
        FileExistsError, match=r"cannot replace .*notes\.txt, which is not a Parquet file; choose another"
    ):
        shop.to_parquet(tmp_path / "notes.txt")
    store = shop.save(tmp_path / "store.parquet")
    with pytest.raises(FileExistsError, match=r"cannot write .*expected a file name, found a folder; choose another"):
        tk.convert(b"", store, flat=True)
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist; create it first"):
        shop.to_parquet(tmp_path / "nowhere" / "a.parquet")


def test_read_says_what_to_do_with_it(tmp_path, shop):
    path = shop.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        LoadError, match=r"found columns of tracekit; use TraceSet\.from_spans\(pandas\.read_parquet\(FILE\)\)"
    ):
        tk.read(path)


def test_from_spans_reads_it(tmp_path, shop):
    found = tk.TraceSet.from_spans(pd.read_parquet(shop.to_parquet(tmp_path / "a.parquet")))
    pd.testing.assert_frame_equal(
        found.spans, shop.spans.assign(quality=found.spans["quality"]), check_categorical=False
    )
    assert repr(found) == repr(shop)
