import json
import re
import shutil
from pathlib import Path

import duckdb
import numpy as np
import otlp_made as made
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loading.store.damaged_stores import rewritten, use_all
from made_sets import assert_identical, sets, shop

from tracekit import errors, latency, load_sample, self_time, service_graph
from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.building.builder import Builder
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.loading.paths import STORE_MARKER
from tracekit.loading.store import layout, part
from tracekit.loading.store import read_write as store
from tracekit.loading.store import tables as store_tables

per_example = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -------------------------------------------------------------------- the law


@per_example
@given(sets())
@example(to_trace_set(Builder()))
def test_what_is_read_is_what_was_saved(tmp_path, traces):
    assert traces.save(tmp_path / "a.parquet") == tmp_path / "a.parquet"
    assert_identical(read(tmp_path / "a.parquet"), traces, views=("sources", "issues"))


@pytest.mark.parametrize("part", [lambda t: t.trace(t.trace_ids[1]), lambda t: t.with_weights(20), lambda t: t])
def test_parts_of_sets_and_given_weights_are_restored(tmp_path, part):
    traces = part(shop(1, 2, 3))
    traces.save(tmp_path / "a.parquet")
    found = read(str(tmp_path / "a.parquet") + "/")
    assert_identical(found, traces)
    assert found.sources["quarantined_count"].tolist() == [1]
    assert "JSON_SYNTAX" in set(found.issues["code"])


def test_a_store_saved_again_is_the_same_to_the_byte(tmp_path):
    shop(1, 2).save(tmp_path / "a.parquet")
    read(tmp_path / "a.parquet").save(tmp_path / "b.parquet")
    assert files(tmp_path / "a.parquet") == files(tmp_path / "b.parquet")


def test_a_store_can_be_written_over_what_it_was_read_from(tmp_path):
    shop(1, 2).save(tmp_path / "a.parquet")
    traces = read(tmp_path / "a.parquet")
    traces.save(tmp_path / "a.parquet")
    assert_identical(read(tmp_path / "a.parquet"), traces)


def test_any_reader_of_parquet_can_join_it(tmp_path):
    traces = shop(*range(5))
    traces.save(tmp_path / "a.parquet")
    part = tmp_path / "a.parquet" / "part-00000"
    owned, kv, keys, spans, names = (
        pq.read_table(part / f"{table}.parquet").to_pandas() for table in ("attributes", "kv", "keys", "spans", "names")
    )
    joined = owned.join(kv.drop(columns="key"), on="kv").join(keys.rename(columns={"text": "name_of_key"}), on="key")
    users = joined[joined["name_of_key"] == "user"].set_index("row")["text"]
    expected = traces.attribute("user").dropna()
    assert users.to_dict() == expected.to_dict()
    assert names["text"][spans["name"]].tolist() == traces.spans["name"].tolist()


def test_one_trace_is_in_one_or_two_small_groups(tmp_path):
    count = 40_000
    row = '{"traceId":"%032x","spanId":"%016x","name":"x","startTimeUnixNano":"1","endTimeUnixNano":"2"}'
    spans = ",".join(row % (number << 64, 1) for number in range(1, count + 1))
    read(f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}\n'.encode()).save(tmp_path / "a.parquet")
    metadata = pq.ParquetFile(tmp_path / "a.parquet" / "part-00000" / "spans.parquet").metadata
    assert metadata.num_row_groups == 3
    assert metadata.metadata[b"tracekit_store"] == b"5"
    ranges = [metadata.row_group(group).column(0).statistics for group in range(3)]
    assert [metadata.row_group(group).column(0).path_in_schema for group in range(3)] == ["trace_hi"] * 3
    assert sum(found.min <= 20_000 <= found.max for found in ranges) == 1


def test_a_text_that_is_not_unicode_is_named(tmp_path):
    builder = Builder()
    builder.open_source("x")
    builder.span(
        at=Position(1, 0),
        trace_id=1,
        span_id=1,
        name="half \ud800",
        start_ns=1,
        end_ns=2,
        resource=builder.resource([]),
    )
    with pytest.raises(ValueError, match=r"expected names of whole Unicode characters, found 'half .*replace it"):
        to_trace_set(builder).save(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


# -------------------------------------------------------------------- its place


def test_an_older_store_is_replaced(tmp_path):
    shop(1, 2, 3).save(tmp_path / "a.parquet")
    shop(9).save(tmp_path / "a.parquet")
    assert_identical(read(tmp_path / "a.parquet"), shop(9))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_a_link_to_a_store_stays_a_link(tmp_path):
    shop(1).save(tmp_path / "real.parquet")
    (tmp_path / "a.parquet").symlink_to("real.parquet")
    shop(2).save(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").is_symlink()
    assert_identical(read(tmp_path / "real.parquet"), shop(2))


def _file(path):
    path.write_text("mine")


def _folder(path):
    path.mkdir()
    (path / "mine.txt").write_text("mine")


def _store_with_a_note(path):
    shop(1).save(path)
    (path / "mine.txt").write_text("mine")


def _store_with_a_note_inside(path):
    shop(1).save(path)
    (path / "part-00000" / "mine.txt").write_text("mine")


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (_file, "which is a file"),
        (_folder, f"which is a folder without {STORE_MARKER}"),
        (Path.mkdir, f"which is a folder without {STORE_MARKER}"),
        (_store_with_a_note, "which is a store that also contains mine.txt"),
        (_store_with_a_note_inside, "which is a store that also contains part-00000/mine.txt"),
    ],
)
def test_foreign_files_are_never_replaced(tmp_path, make, found):
    path = tmp_path / "a.parquet"
    make(path)
    before = files(tmp_path)
    with pytest.raises(
        FileExistsError, match=rf"cannot replace .*a\.parquet, {re.escape(found)}; choose another path, or move it"
    ):
        shop(2).save(path)
    assert files(tmp_path) == before


def test_what_appears_at_the_path_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    def write_and_be_overtaken(*arguments):
        (tmp_path / "a.parquet").mkdir(exist_ok=True)
        return store_tables.write_part(*arguments)

    monkeypatch.setattr(store, "write_part", write_and_be_overtaken)
    with pytest.raises(FileExistsError, match="which is a folder without"):
        shop(2).save(tmp_path / "a.parquet")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"cannot write .*a\.parquet: folder .*nowhere does not exist; create it first"
    ):
        shop(2).save(tmp_path / "nowhere" / "a.parquet")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("at", range(1, 22))
def test_an_interrupted_save_leaves_the_old_store(tmp_path, monkeypatch, error, at):
    shop(1).save(tmp_path / "a.parquet")
    before = files(tmp_path)
    calls = iter(range(1, 99))
    write = Path.write_bytes

    def fail(path, data):
        if next(calls) == at:
            write(path, bytes(data)[:7])
            raise error
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        shop(2, 3).save(tmp_path / "a.parquet")
    assert files(tmp_path) == before


@pytest.mark.parametrize("at", [1, 2])
def test_a_save_interrupted_at_its_renaming_leaves_the_old_store(tmp_path, monkeypatch, at):
    shop(1).save(tmp_path / "a.parquet")
    before = files(tmp_path)
    calls = iter(range(1, 99))
    rename = Path.rename

    def fail(path, target):
        if next(calls) == at:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        shop(2, 3).save(tmp_path / "a.parquet")
    assert files(tmp_path) == before


# -------------------------------------------------------------------- newer, damaged


def _remark(path, **members):
    marker = path / STORE_MARKER
    marker.write_text(json.dumps(json.loads(marker.read_text()) | members))


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    shop(1).save(tmp_path / "a.parquet")
    _remark(tmp_path / "a.parquet", tracekit_store=6, written_by="tracekit 9.0", parts="said otherwise")
    with pytest.raises(LoadError, match=r"STORE_NEWER .*version 5, found version 6, .*tracekit 9.0; update") as e:
        read(tmp_path / "a.parquet")
    assert e.value.code == "STORE_NEWER"


def test_a_store_of_an_older_version_is_refused(tmp_path):
    shop(1).save(tmp_path / "a.parquet")
    _remark(tmp_path / "a.parquet", tracekit_store=1, written_by="tracekit 0.0", parts="told otherwise")
    with pytest.raises(LoadError, match=r"STORE_OLDER .*version 5, found version 1, .*tracekit 0.0; convert its") as e:
        read(tmp_path / "a.parquet")
    assert e.value.code == "STORE_OLDER"


@pytest.mark.parametrize(
    "members",
    [{"span_count": 3}, {"trace_count": 0}, {"parts": []}, {"files": {}}, {"parts": 5}, {"tracekit_store": "one"}],
)
def test_a_changed_marker_is_refused(tmp_path, members):
    shop(1).save(tmp_path / "a.parquet")
    _remark(tmp_path / "a.parquet", **members)
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*{STORE_MARKER}: expected"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b'{"tracekit_store": 1, "written_by": "\xff"}', b"[" * 9999]
)
def test_a_marker_that_is_none_is_refused(tmp_path, content):
    shop(1).save(tmp_path / "a.parquet")
    (tmp_path / "a.parquet" / STORE_MARKER).write_bytes(content)
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*{STORE_MARKER}: expected the marker of a store, found"):
        read(tmp_path / "a.parquet")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "a.parquet"
    shop(1, 2, 3, links=[{"traceId": made.TRACE, "spanId": made.SPAN}]).save(path)
    return path


NAMES = [f"part-00000/{table}.parquet" for table in store_tables.TABLES]
NAMES += [STORE_MARKER, "sources.parquet", "issues.parquet", "notes.parquet"]


def test_the_names_of_all_files_are_known(good):
    assert sorted(files(good)) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_or_cut_file_is_named(good, tmp_path, name):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    data = (path / name).read_bytes()
    (path / name).write_bytes(data[:-1] if name != STORE_MARKER else data[:-3])
    with pytest.raises(
        LoadError, match=rf"STORE_BROKEN .*{name}: expected .*, found .*; copy the store again"
    ) as error:
        read(path)
    assert error.value.code == "STORE_BROKEN"
    (path / name).unlink()
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*{name}: expected"):
        read(path)


@per_example
@given(st.data())
def test_no_bit_of_a_table_flips_unseen(good, tmp_path, data):
    path = tmp_path / "a.parquet"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(good, path)
    name = data.draw(st.sampled_from([name for name in NAMES if name != STORE_MARKER]))
    content = bytearray((path / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (path / name).write_bytes(content)
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*{name}: expected the bytes that were written.*damaged"):
        read(path)


@settings(per_example, max_examples=100)
@given(st.data())
def test_a_damaged_marker_is_refused_or_means_the_same(good, tmp_path, data):
    path = tmp_path / "a.parquet"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(good, path)
    content = bytearray((path / STORE_MARKER).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (path / STORE_MARKER).write_bytes(content)
    try:
        found = read(path)
    except LoadError as error:
        assert error.code in {"STORE_BROKEN", "STORE_NEWER", "STORE_OLDER"}  # noqa: PT017 - either is right, and so is none
    else:
        assert_identical(found, read(good), views=())


def test_a_folder_in_the_place_of_a_file_is_reported(good, tmp_path):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    (path / "issues.parquet").unlink()
    (path / "issues.parquet").mkdir()
    with pytest.raises(LoadError, match=r"PATH_SPECIAL .*issues.parquet: this is a folder"):
        read(path)
    (path / STORE_MARKER).unlink()
    (path / STORE_MARKER).mkdir()
    with pytest.raises(LoadError, match=rf"PATH_SPECIAL .*{STORE_MARKER}: this is a folder"):
        read(path)


def test_a_table_of_another_store_is_refused(good, tmp_path):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    shop(7).save(tmp_path / "b.parquet")
    for name in ("kv", "spans"):
        shutil.copy(tmp_path / "b.parquet" / "part-00000" / f"{name}.parquet", path / "part-00000")
    with pytest.raises(LoadError, match="STORE_BROKEN"):
        read(path)


def test_a_marker_that_lacks_a_table_is_refused(good, tmp_path):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    marker = json.loads((path / STORE_MARKER).read_text())
    del marker["parts"][0]["files"]["kv"]
    (path / STORE_MARKER).write_text(json.dumps(marker))
    with pytest.raises(LoadError, match=r"kv.parquet: expected its length in the store's marker, found none"):
        read(path)


def test_a_table_with_other_rows_than_its_mark_is_refused(tmp_path):
    mark = store_tables.write_table(tmp_path / "a.parquet", {"a": np.arange(3)})
    mark.rows = 4
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*a.parquet: expected 4 rows, found 3"):
        store_tables.read_table(tmp_path / "a.parquet", mark)


def test_bytes_that_are_no_table_are_refused(tmp_path):
    mark = store_tables.write_table(tmp_path / "a.parquet", {"a": np.arange(3)})
    mark.crc32 = store_tables.isal_zlib.crc32(bytes(mark.bytes))
    (tmp_path / "a.parquet").write_bytes(bytes(mark.bytes))
    with pytest.raises(LoadError, match=r"STORE_BROKEN .*: expected a Parquet table, found an unreadable file"):
        store_tables.read_table(tmp_path / "a.parquet", mark)


def test_what_was_read_from_a_store_can_be_analysed(tmp_path):
    traces = shop(*range(20))
    found = read(traces.save(tmp_path / "a.parquet"))
    assert not found.columns.spans.start_ns.flags.writeable
    for analyse in (service_graph, latency, self_time, errors):
        assert repr(analyse(found)) == repr(analyse(traces))
    part = found.where("name == 'charge'").between("2025-01-01", "2026-01-01").with_weights(2)
    assert len(read(part.save(tmp_path / "a.parquet"))) == 20


# -------------------------------------------------------------------- columns that are not a store's


@pytest.mark.parametrize("name", [name for name in NAMES if name != STORE_MARKER])
@pytest.mark.parametrize("what", ["missing", "more", "other type", "empty"])
def test_a_table_with_other_columns_is_refused(good, tmp_path, name, what):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    kind = Path(name).stem

    def change(table):
        first = table.column_names[0] if kind != "kv" else "key"
        at = table.column_names.index(first)
        return {
            "missing": lambda: table.drop_columns([first]),
            "more": lambda: table.append_column("more", table.column(first)),
            "other type": lambda: table.set_column(at, first, pa.nulls(table.num_rows, pa.float32())),
            "empty": lambda: table.set_column(at, first, pa.nulls(table.num_rows, table.schema.field(first).type)),
        }[what]()

    rewritten(path, name, change)
    if what == "empty" and (kind in {"sources", "issues"} or not pq.read_metadata(path / name).num_rows):
        return  # a number that is not known, or no row
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*{kind}\.parquet: expected .*, found .*; copy the store"):
        use_all(path)


CODES = sorted(layout.REFERENCES)


@pytest.mark.parametrize(("table", "column"), CODES)
@pytest.mark.parametrize("number", [-2, 100])
def test_numbers_that_refer_to_nothing_are_refused(good, tmp_path, table, column, number):
    path = tmp_path / "a.parquet"
    shutil.copytree(good, path)
    name = f"part-00000/{table}.parquet"
    if not pq.read_metadata(path / name).num_rows:
        pytest.skip("the store has none")

    def change(found):
        values = found.column(column).to_numpy().copy()
        values[-1 if number > 0 else 0] = number
        at = found.column_names.index(column)
        return found.set_column(at, column, pa.array(values, found.schema.field(column).type))

    rewritten(path, name, change)
    with pytest.raises(LoadError, match=rf"STORE_BROKEN .*/{table}\.parquet: expected .*, found .*; copy the store"):
        use_all(path)


def test_traces_out_of_order_and_attributes_of_no_row_are_refused(good, tmp_path):
    for name, column, value in (("spans", "trace_hi", 7), ("attributes", "row", 100), ("weights", "value", None)):
        path = tmp_path / f"{name}.parquet"
        shutil.copytree(good, path)

        def change(table, column=column, value=value):
            if value is None:
                return table.slice(1)
            values = table.column(column).to_numpy().copy()
            values[0] = value
            return table.set_column(0, column, pa.array(values, table.schema.field(column).type))

        rewritten(path, f"part-00000/{name}.parquet", change)
        with pytest.raises(LoadError, match=r"STORE_BROKEN .*: expected .*, found "):
            use_all(path)


# -------------------------------------------------------------------- other readers, and columns on demand


@pytest.fixture(scope="module")
def during():
    return load_sample("checkout-regression")[1]


NAMED = """
    select lower(printf('%016x%016x', trace_hi, trace_lo)) as trace_id, names.text as name, end_ns - start_ns as ns
    from '{0}/spans.parquet' as spans
    join read_parquet('{0}/names.parquet', file_row_number = true) as names on names.file_row_number = spans.name
    order by spans.trace_hi, spans.trace_lo, start_ns, name, ns
"""
VALUED = """
    select names.text, kv.text
    from '{0}/attributes.parquet' as attributes
    join read_parquet('{0}/spans.parquet', file_row_number = true) as spans on spans.file_row_number = attributes.row
    join read_parquet('{0}/names.parquet', file_row_number = true) as names on names.file_row_number = spans.name
    join read_parquet('{0}/kv.parquet', file_row_number = true) as kv on kv.file_row_number = attributes.kv
    join read_parquet('{0}/keys.parquet', file_row_number = true) as keys on keys.file_row_number = attributes.key
    where keys.text = 'http.route'
"""


def test_duckdb_joins_the_files_of_a_store(tmp_path, during):
    part = during.save(tmp_path / "a.parquet") / "part-00000"
    spans = during.spans.sort_values(["trace_id", "start_ns", "name", "duration_ns"])
    expected = list(zip(spans["trace_id"], spans["name"], spans["duration_ns"], strict=True))
    assert duckdb.sql(NAMED.format(part)).fetchall() == expected
    routes = during.attributes.query("owner == 'span' and key == 'http.route'")
    found = duckdb.sql(VALUED.format(part)).fetchall()
    expected = list(zip(during.spans["name"].iloc[routes["owner_id"]], routes["value_str"], strict=True))
    assert sorted(found) == sorted(expected)
    assert len(found) > 100


def test_polars_reads_the_files_of_a_store(tmp_path, during):
    part = during.save(tmp_path / "a.parquet") / "part-00000"
    names = pl.read_parquet(part / "names.parquet")["text"]
    spans = pl.read_parquet(part / "spans.parquet")
    found = names.gather(spans["name"]).value_counts().rows()
    assert sorted(found) == sorted(during.spans["name"].value_counts().items())


def test_latency_reads_neither_the_ids_of_spans_nor_events(tmp_path, during, monkeypatch):
    read_columns = []

    def columns_of(path, file, name, columns=None, groups=None):
        read_columns.extend((name, column, *(groups or ())) for column in columns)
        return store_tables.columns_of(path, file, name, columns, groups)

    path = during.save(tmp_path / "a.parquet")
    expected = latency(during).table
    monkeypatch.setattr(part, "columns_of", columns_of)
    pd.testing.assert_frame_equal(latency(read(path)).table, expected)
    assert ("spans", "end_ns") in read_columns
    assert not any(column == "place" for _, column, *_ in read_columns)
    assert len(set(read_columns)) == len(read_columns)
    assert {name for name, *_ in read_columns} & {"events", "event_attributes", "links", "link_attributes"} == set()
    assert {("spans", name) for name in ("span_id", "parent_id", "record_number", "scope")} & set(read_columns) == set()


def test_attributes_by_key_and_by_row_agree_in_either_order_of_asking(tmp_path):
    traces = load_sample("checkout-regression")[0]
    path = traces.save(tmp_path / "s.parquet")
    by_row, by_key = read(path), read(path)
    keys = [key for key in traces.columns.kv.keys if len(traces.lookup.by_key.of(key)[0])]
    table = by_row.columns.attributes
    assert len(table) == len(traces.columns.spans)
    assert table.offsets.tolist() == traces.columns.attributes.offsets.tolist()
    assert table.codes.tolist() == traces.columns.attributes.codes.tolist()
    for key in keys:
        wanted = [part.tolist() for part in traces.lookup.by_key.of(key)]
        assert [part.tolist() for part in by_key.lookup.by_key.of(key)] == wanted
        assert [part.tolist() for part in by_row.lookup.by_key.of(key)] == wanted
    assert by_key.columns.attributes.codes.tolist() == traces.columns.attributes.codes.tolist()


def test_values_of_few_attributes_are_read_by_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(store_tables, "_KV_GROUP", 50)
    traces = load_sample("checkout-regression")[0]
    kv, stored = traces.columns.kv, read(traces.save(tmp_path / "s.parquet")).columns.kv
    wanted = np.array([140, 3, 149, 7, 3])
    assert stored.texts_at(wanted) == kv.texts_at(wanted)
    some, same = stored.take(wanted), kv.take(wanted)
    for name in ("key", "type", "integer", "double", "origin", "namespace", "is_indexed"):
        assert getattr(some, name).tolist() == getattr(same, name).tolist()
    assert some.keys == same.keys
    assert len(some) == len(wanted)
    assert not any(stored.has_read(name) for name in ("text", "integer", "type"))
    every = np.arange(len(kv))
    assert stored.texts_at(every) == kv.texts_at(every)
    assert stored.texts_at(wanted) == kv.texts_at(wanted)
    assert stored.text.equals(kv.text)
