"""Tables of other tools: the spans are those of the same recording as OTLP, except for what a table does not store."""

import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loading.tables import written

import tracekit as tk
from tracekit.errors import LoadError

SORTED = {"attributes": ["owner", "owner_id", "key"], "events": ["span_row", "time_ns"], "links": ["span_row"]}
PLACES = ["resource_id", "scope_id", "source_id", "record_number", "byte_offset"]


def stored(table, kind="parquet", **options):
    """The bytes of a table."""
    into = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, into, **options)
    else:
        make = pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream
        with make(into, table.schema) as writer:
            writer.write_table(table)
    return into.getvalue()


def assert_same(found, expected):
    """Equal spans, attributes, events and links, up to the order of attributes."""
    spans, wanted = (each.spans.drop(columns=PLACES) for each in (found, expected))
    pd.testing.assert_frame_equal(spans, wanted, check_categorical=False)
    for table, order in SORTED.items():
        rows = (getattr(each, table).astype(str) for each in (found, expected))
        pd.testing.assert_frame_equal(*(each.sort_values(order, ignore_index=True) for each in rows))
    own = [each.resources.drop(columns="schema_url").astype(str).drop_duplicates() for each in (found, expected)]
    pd.testing.assert_frame_equal(*(each.reset_index(drop=True) for each in own))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrow-stream"])
def test_clickhouse(kind, nested):
    found = tk.read(stored(written.clickhouse(nested=nested), kind))
    assert_same(found, tk.read(written.otlp()))
    (source,) = found.sources.to_dict("records")
    assert (source["compression"], source["record_count"], source["complete"]) == (kind, 3, True)
    assert found.issues["code"].tolist() == ["TABLE_LAYOUT"]
    assert "types of attributes (all are texts)" in found.issues["message"][0]


def test_signoz():
    expected = written.otlp(events=False, links=False, scope=False).replace(
        b'{"stringValue": "7"}', b'{"intValue": "7"}'
    )
    assert_same(tk.read(stored(written.signoz())), tk.read(expected))


def test_phoenix():
    def kind(sort):
        return {"openinference.span.kind": sort}

    frame = written.phoenix()
    expected = tk.read(written.otlp(links=False, scope=False, kind=False, extra=kind, resource={}))
    assert_same(tk.from_frame(frame), expected)
    frame["events"] = [[] for _ in range(3)]  # Parquet wants attributes of one type
    expected = tk.read(written.otlp(events=False, links=False, scope=False, kind=False, extra=kind, resource={}))
    assert_same(tk.read(stored(pa.Table.from_pandas(frame))), expected)


def test_blocks_of_tempo():
    found = tk.read(stored(written.tempo()))
    expected = written.otlp().replace(b'"http.route"', b'"tempo.dedicated.span.String01"')
    assert_same(found, tk.read(expected))
    assert found.sources["record_count"].tolist() == [2]  # traces


def test_values_of_tempo_have_their_types():
    lists = {
        "Value": [],
        "ValueInt": [],
        "ValueDouble": [],
        "ValueBool": [],
        "ValueUnsupported": None,
        "IsArray": False,
    }
    values = {
        "whole": lists | {"ValueInt": [5]},
        "real": lists | {"ValueDouble": [0.5]},
        "flag": lists | {"ValueBool": [False]},
        "texts": lists | {"Value": ["a", "b"], "IsArray": True},
        "one": lists | {"Value": ["a"], "IsArray": True},
        "odd": lists | {"ValueUnsupported": '{"kvlistValue":{}}'},
    }
    span = {
        "SpanID": bytes(7) + b"\1", "ParentSpanID": b"", "Name": "x",
        "StartTimeUnixNano": written.START, "DurationNano": 9,
        "HttpMethod": "GET", "HttpStatusCode": 503, "Attrs": [{"Key": key} | value for key, value in values.items()],
    }  # fmt: skip
    row = {"TraceID": bytes(15) + b"\1", "rs": [{"Resource": {"ServiceName": "s"}, "ss": [{"Spans": [span]}]}]}
    found = tk.read(stored(pa.Table.from_pylist([row])))
    assert found.spans[["http_request_method", "http_response_status_code", "service_name"]].to_numpy().tolist() == [
        ["GET", 503, "s"]
    ]
    own = found.attributes.set_index("key")
    assert own["value_type"].astype(str)[list(values)].tolist() == ["int", "double", "bool", "array", "array", "str"]
    assert own["value_json"]["texts"] == '["a","b"]'


def test_every_container_and_place(tmp_path):
    data = stored(written.clickhouse(), row_group_size=1)
    expected = tk.read(written.otlp())
    (tmp_path / "a.parquet").write_bytes(data)
    (tmp_path / "b.dat.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x/otel_traces.parquet", data)
    for name in ("a.parquet", "b.dat.gz", "c.zip"):
        found = tk.read(tmp_path / name)
        assert_same(found, expected)
        assert "CONTAINER_MISLABELLED" not in set(found.issues["code"])
    with (tmp_path / "a.parquet").open("rb") as file:
        assert_same(tk.read(file), expected)
    together = tk.read(tmp_path)
    assert (len(together), together.sources["merged_count"].sum()) == (2, 6)
    (tmp_path / "d.json").write_bytes(data)
    assert "expected plain text from the extension, found parquet" in " ".join(
        tk.read(tmp_path / "d.json").issues["message"]
    )


def test_what_is_no_table_of_spans_is_refused():
    strange = pa.table({"TraceId": ["a"], "SpanID": ["b"], "When": [1]})
    with pytest.raises(
        LoadError, match=r"found the columns TraceId, SpanID, When; columns of the collector's ClickHouse"
    ) as error:
        tk.read(stored(strange))
    assert "without Duration, ParentSpanId, SpanId, SpanName, Timestamp (SpanId: SpanID?)" in str(error.value)
    assert "tk.from_frame(frame, columns={'trace_id': ..., ...})" in str(error.value)
    with pytest.raises(LoadError, match=r"found the columns x; name the columns"):
        tk.read(stored(pa.table({"x": [1]})))
    own = tk.load_sample("small-shop")[0].spans[["trace_id", "span_id", "name", "start_ns", "end_ns"]]
    with pytest.raises(LoadError, match=r"found columns of tracekit; use TraceSet\.from_spans"):
        tk.read(stored(pa.Table.from_pandas(own)))


@pytest.mark.parametrize("kind", ["parquet", "arrow", "arrow-stream"])
def test_a_table_cut_anywhere_is_reported(kind):
    data = stored(written.clickhouse(), kind)
    for at in range(8, len(data) - 1, max(len(data) // 40, 1)):
        try:
            found = tk.read(data[:at])
        except LoadError as error:
            assert error.code in {"CONTAINER_DAMAGED", "FILE_EMPTY", "FORMAT_UNKNOWN"}  # noqa: PT017 - or it is read in part
        else:
            is_whole = len(found.spans) == len(written.SPANS)
            assert is_whole or not found.sources["complete"].all()


def test_a_page_that_is_damaged_ends_the_reading():
    table = pa.concat_tables([written.clickhouse()] * 4000)
    table = table.set_column(2, "SpanId", [[f"{at:016x}" for at in range(1, len(table) + 1)]])
    data = bytearray(stored(table, row_group_size=6000, compression="zstd"))
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    found = tk.read(bytes(data))
    assert "CONTAINER_DAMAGED" in set(found.issues["code"])
    assert not found.sources["complete"].all()
    assert 0 < len(found.spans) < len(table)
    assert len(found.spans) % 4096 == 0 or len(found.spans) % 6000 == 0


def test_a_table_without_rows_is_an_empty_recording():
    with pytest.raises(LoadError, match="FILE_EMPTY"):
        tk.read(stored(written.clickhouse().slice(0, 0)))


CELLS = st.one_of(
    st.none(), st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.binary(max_size=9)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=15, max_size=15), min_size=1, max_size=4))
def test_any_cells_are_spans_or_issues(rows):
    names = written.clickhouse().schema.names[:15]
    frame = pd.DataFrame(rows, columns=names, dtype=object)
    found = tk.from_frame(frame)
    (source,) = found.sources.to_dict("records")
    assert source["record_count"] == len(rows)
    assert source["accepted_count"] + source["quarantined_count"] >= len(rows)


def test_dates_beyond_64_bits_are_missing_and_reported():
    table = written.clickhouse()
    far = pa.array([253_402_300_799_000_000] * 3, pa.timestamp("us", "UTC"))  # the year 9999
    found = tk.read(stored(table.set_column(0, "Timestamp", far)))
    assert found.spans["start_ns"].isna().all()
    assert len(found.spans) == 3
    assert np.isin("TIME_ZERO", found.issues["code"]) or found.issues["code"].str.startswith("TIME").any()
