"""read(): every sort of source gives its spans or its answer, and never a crash, a hang or a silent zero."""

import gc
import gzip
import io
import json
import tracemalloc
import zipfile
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from otlp_made import START, counts, ids, line, lines, pretty, request, resource, span, text, told

from tracekit.errors import LoadError
from tracekit.loading import progress as progress_module
from tracekit.loading import read
from tracekit.loading.building.builder import Builder
from tracekit.loading.formats import format_names, loaders_of
from tracekit.loading.progress import Meter
from tracekit.loading.reading import SourceReader
from tracekit.loading.records import LineChunk

ONE = request(span())
MANY = [request(span(**ids(n))) for n in range(10)]


# ------------------------------------------------------------------ documents


def test_a_document_over_many_lines():
    traces = read(pretty({"resourceSpans": [group for record in MANY for group in record["resourceSpans"]]}))
    assert counts(traces) == (10, 10, 0, 0)
    assert traces.sources["record_count"].tolist() == [10], "a record is a ResourceSpans"
    assert traces.spans["record_number"].tolist() == list(range(1, 11))


@pytest.mark.parametrize("form", [lines, pretty])
def test_a_span_has_its_position(form):
    data = form(ONE)
    [offset] = read(data).spans["byte_offset"]
    assert data[offset:].lstrip().startswith(b"{")
    assert (b'"spanId"' in data[offset : offset + 200]) or form is lines


def test_documents_behind_each_other_are_all_read():
    traces = read(b"\n".join(map(pretty, MANY)))
    assert counts(traces) == (10, 10, 0, 0)
    assert told(traces, "JSON_CONCAT")["issue_count"].tolist() == [9]


@pytest.mark.parametrize("order", ["first", "last"])
def test_the_resource_and_the_scope_may_come_behind_their_spans(order):
    spans = [span(**ids(n)) for n in range(5)]
    part = {"scope": {"name": "lib"}, "schemaUrl": "https://s", "spans": spans}
    group = {"resource": resource("shop"), "schemaUrl": "https://r", "scopeSpans": [part]}
    if order == "last":
        part, group["scopeSpans"] = dict(reversed(part.items())), [dict(reversed(part.items()))]
        group = dict(reversed(group.items()))
    traces = read(pretty({"resourceSpans": [group]}))
    assert set(traces.spans["service_name"]) == {"shop"}
    assert traces.scopes.loc[traces.spans["scope_id"], "name"].unique().tolist() == ["lib"]
    assert traces.resources["schema_url"].tolist() == ["https://r"]


def test_every_group_keeps_its_own_resource_also_behind_its_spans():
    groups = [{"scopeSpans": [{"spans": [span(**ids(n))]}], "resource": resource(f"s{n}")} for n in range(5)]
    traces = read(pretty({"resourceSpans": groups}))
    assert traces.spans["service_name"].tolist() == [f"s{n}" for n in range(5)]


class Made(io.RawIOBase):
    """A document of any size that is nowhere whole."""

    def __init__(self, count, padding):
        self._pieces = self._make(count, padding)
        self._left = b""
        self.name = "made.json"

    def _make(self, count, padding):
        yield b'{"resourceSpans": [{"scopeSpans": [{"spans": ['
        for number in range(count):
            more = span(**ids(number), attributes=[text("k", "v")], ignored="x" * padding)
            yield line(more) + (b"," if number < count - 1 else b"")
        yield b']}], "resource": ' + line(resource("behind")) + b"}]}"

    def readable(self):
        return True

    def read(self, size=-1):
        while len(self._left) < size and (piece := next(self._pieces, b"")):
            self._left += piece
        data, self._left = self._left[:size], self._left[size:]
        return data


def test_one_line_of_any_size_streams():
    tracemalloc.start()
    traces = read(Made(700, 100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts(traces) == (700, 700, 0, 0)
    assert traces.sources["byte_count"].iloc[0] > 70_000_000
    assert set(traces.spans["service_name"]) == {"behind"}
    assert peak < 60_000_000, "what is looked at first, and a window: nothing grows with the document"


def test_a_cut_document_gives_what_is_whole_with_its_resource():
    part = {"scope": {"name": "lib"}, "spans": [span(**ids(n)) for n in range(9)]}
    whole = line({"resourceSpans": [{"resource": resource("shop"), "scopeSpans": [part]}]})
    cut = whole[: whole.index(f"{0xABC0 + 6:016x}".encode())]
    traces = read(cut)
    assert counts(traces) == (7, 6, 0, 1)
    assert set(traces.spans["service_name"]) == {"shop"}
    assert traces.scopes.loc[traces.spans["scope_id"], "name"].unique().tolist() == ["lib"]
    assert not traces.sources["complete"].iloc[0]
    assert told(traces, "JSON_TRUNCATED_DOC")["severity"].tolist() == ["error"]
    assert "1 of 1 sources incomplete" in repr(traces)


def test_a_cut_last_line_is_distinguished_from_damage():
    data = lines(*MANY)
    traces = read(data[:-100])
    assert counts(traces) == (10, 9, 0, 1)
    [issue] = told(traces, "JSON_TRUNCATED_TAIL").itertuples()
    assert (issue.severity, issue.action, issue.record_number) == ("warn", "quarantined", 10)
    assert "the file is still being written, or was cut off; read the file again when it is closed" in issue.message
    assert traces.sources["stop_reason"].tolist() == ["the last record is truncated"]
    damaged = read(data[:-1].replace(b'"name"', b'"na', 1))
    assert "JSON_TRUNCATED_TAIL" not in set(damaged.issues["code"])
    assert damaged.sources["complete"].all()


def test_a_damaged_line_that_ends_like_the_last_one_is_not_the_last_one():
    traces = read(
        b'"}}\n' + line(MANY[0]) + b"\n" + line(MANY[1]).replace(b"}]}]}]}", b'}]}],"schemaUrl":"}}\n"}]}')[:-4]
    )
    assert traces.sources["complete"].iloc[0] == ("JSON_TRUNCATED_TAIL" not in set(traces.issues["code"]))
    traces = read(b'"}\n' + line({**MANY[0], "resource_spans": [{"schemaUrl": "x"}], "status": "x"}))
    assert traces.sources["complete"].all()
    assert counts(traces) == (2, 1, 0, 1)


def test_something_behind_a_document_costs_itself_only():
    traces = read(pretty(ONE) + b"\n oops")
    assert counts(traces) == (2, 1, 0, 1)
    assert told(traces, "JSON_TRAILING")["action"].tolist() == ["quarantined"]
    assert not traces.sources["complete"].iloc[0]


def test_one_span_that_cannot_be_read_costs_itself_only():
    spans = [span(**ids(n)) for n in range(3)]
    document = pretty({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    bad = document.replace(f'"{0xABC0 + 1:016x}"'.encode(), b'"\xff\xfe"')
    traces = read(bad)
    assert counts(traces) == (3, 2, 0, 1)
    assert told(traces, "ENC_INVALID_UTF8")["record_number"].tolist() == [1]
    wrong = document.replace(b'"name": "GET /cart"', b'"name": GET', 1)
    assert counts(read(wrong)) == (3, 2, 0, 1)


@pytest.mark.parametrize("levels", [300, 100_000])
def test_a_nested_bomb_costs_its_span_in_a_document_and_in_a_line(levels):
    bomb = b"[" * levels + b"]" * levels
    spans = [span(**ids(0)), span(**ids(1), attributes=[{"key": "k", "value": {"arrayValue": "BOMB"}}]), span(**ids(2))]
    record = {"resourceSpans": [{"resource": resource("shop"), "scopeSpans": [{"spans": spans}]}]}
    for data in (pretty(record), lines(record), lines(MANY[5], record)):
        traces = read(data.replace(b'"BOMB"', bomb))
        seen, accepted, merged, quarantined = counts(traces)
        assert (seen - accepted, merged, quarantined) == (1, 0, 1)
        assert accepted in {2, 3}
        assert "expected at most 200 levels" in told(traces, "JSON_TOO_DEEP")["message"].iloc[0]
        assert set(traces.spans["service_name"]) == {"shop"}


def test_a_bomb_of_nothing_but_brackets_is_an_error():
    with pytest.raises(LoadError, match=r"JSON_TOO_DEEP|FORMAT_UNKNOWN|JSON_TRUNCATED_DOC|JSON_SYNTAX"):
        read(b"[" * 1_000_000)
    with pytest.raises(LoadError, match=r"JSON_TOO_DEEP|FORMAT_UNKNOWN"):
        read(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


@pytest.mark.parametrize("form", [lines, pretty])
def test_an_integer_of_5000_digits(form):
    data = form(request(span(flags="DIGITS"), span(**ids(1))))
    traces = read(data.replace(b'"DIGITS"', b"9" * 5000))
    assert counts(traces) == (2, 2, 0, 0)
    assert {"JSON_BIG_INT", "ENUM_BAD"} <= set(traces.issues["code"])


def test_a_gzip_bomb_is_stopped():
    bomb = gzip.compress(lines(ONE) + b" " * (64 << 20), 9)
    with pytest.raises(LoadError, match=r"CONTAINER_BOMB|CONTAINER"):
        read([bomb], strict=True)
    traces = read(bomb)
    assert counts(traces)[1] == 1
    assert not traces.sources["complete"].iloc[0]
    assert told(traces, "CONTAINER_BOMB")["severity"].tolist() == ["error"]


# ------------------------------------------------------------------ what is no trace data


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", "FILE_EMPTY", "expected trace data, found 0 bytes"),
        (b" \n\t\n", "FILE_BLANK", "white space"),
        (b"<!doctype html><title>Sign in</title>", "FILE_HTML", "found a web page: 'Sign in'"),
        (b"!! hello\n", "JSON_SYNTAX", ":1 is not JSON, so this is not a trace file; pass an OTLP"),
        (b'{"foo": 1, "bar": 2}', "FORMAT_UNKNOWN", r"tried: otlp, xray, .*found a JSON object with 'foo', 'bar'"),
        (b"{}", "FORMAT_UNKNOWN", "a JSON object with no fields"),
        (b'"text"\n', "FORMAT_UNKNOWN", "a bare str: 'text'"),
        (b"17\n", "FORMAT_UNKNOWN", "a bare int: 17"),
        (b"[[1]]", "FORMAT_UNKNOWN", "found a list in a list"),
        (b"[1]", "FORMAT_UNKNOWN", "a bare int"),
        (
            b'{"resourceMetrics": []}',
            "SIGNAL_MIXED",
            r"contains only metrics \(1 record\), no traces; pass the file of the traces",
        ),
        (b'{"resourceLogs": []}\n{"resource_logs": []}\n', "SIGNAL_MIXED", r"logs \(2 records\)"),
        (b'{"__type": "ExpiredTokenException", "message": "expired"}', "API_ERROR_JSON", "ExpiredTokenException"),
        (b'{"message": "Forbidden"}', "API_ERROR_JSON", "an API error response"),
        (
            b'{"data": null, "total": 0, "errors": [{"code": 404, "msg": "trace not found"}]}',
            "API_ERROR_JSON",
            "not found",
        ),
        (b"404 page not found\n", "API_ERROR_JSON", "an error response as text: b'404 page not found'"),
        (b"trace not found", "API_ERROR_JSON", "repeat the request"),
        (b"Unauthorized", "API_ERROR_JSON", "Unauthorized"),
        (b'{"TraceSummaries": [{"Id": "1-58406520-a006649127e371903a2de979"}]}', "XR_SUMMARIES_ONLY", "no spans"),
        (b"PAR1" + b"\0" * 40, "CONTAINER_DAMAGED", "Parquet"),
    ],
)
def test_what_is_no_trace_data_is_named(data, code, message):
    with pytest.raises(LoadError, match=f"(?i){code}.*{message}") as caught:
        read(data)
    assert caught.value.code == code
    assert caught.value.source == "<bytes>"


def test_a_list_of_nothing_is_a_list_of_no_traces():
    assert counts(read(b"[]")) == (0, 0, 0, 0)


def test_other_signals_among_traces_are_skipped_and_counted():
    rows = []
    traces = read(
        lines(ONE, {"resourceMetrics": []}, {"resourceLogs": []}, {"resourceMetrics": [1]}), on_issue=rows.append
    )
    assert counts(traces) == (1, 1, 0, 0)
    assert traces.sources["skipped_count"].tolist() == [3]
    assert sorted(told(traces, "SIGNAL_MIXED")["issue_count"]) == [1, 2]
    assert [row.code for row in rows].count("SIGNAL_MIXED") == 2
    mixed = read(pretty([ONE, {"resourceProfiles": []}]))
    assert mixed.sources["skipped_count"].tolist() == [1]


def test_an_unknown_record_among_traces_is_left_out_and_counted():
    traces = read(lines(ONE, {"foo": 1}, 5, [], [[1]]))
    assert counts(traces) == (4, 1, 0, 3)
    assert told(traces, "FORMAT_UNKNOWN")["record_number"].tolist() == [2, 3, 5]
    assert traces.sources["record_count"].tolist() == [5]


# ------------------------------------------------------------------ several sources


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        (tmp_path / f"good{number}.jsonl").write_bytes(lines(request(span(**ids(number)))))
    (tmp_path / "page.json").write_bytes(b"<html><title>Log in</title>")
    (tmp_path / "empty.json").touch()
    (tmp_path / "metrics.jsonl").write_bytes(lines({"resourceMetrics": []}))
    (tmp_path / "garbage.jsonl").write_bytes(b"no JSON at all\n")
    return tmp_path


def test_bad_files_among_good_ones_are_rows_and_not_the_end(folder):
    traces = read(folder)
    assert counts(traces)[:2] == (4, 3)
    rows = traces.sources.set_index(traces.sources["uri"].str.rsplit("/", n=1).str[-1])
    good = rows.index.str.startswith("good")
    assert rows["complete"].tolist() == good.tolist()
    assert rows.loc[good, "accepted_count"].tolist() == [1, 1, 1]
    reasons = {name: reason.split()[0] for name, reason in rows.loc[~good, "stop_reason"].items()}
    assert reasons == {
        "page.json": "FILE_HTML",
        "empty.json": "FILE_EMPTY",
        "metrics.jsonl": "SIGNAL_MIXED",
        "garbage.jsonl": "JSON_SYNTAX",
    }
    assert set(traces.issues["code"]) >= set(reasons.values())
    aborted = traces.issues[traces.issues["action"] == "aborted"]
    assert set(aborted["code"]) == {"FILE_HTML", "FILE_EMPTY", "SIGNAL_MIXED"}
    assert all(row.message.count(row.code) == 1 for row in aborted.itertuples())
    assert "4 of 7 sources incomplete" in repr(traces)


def test_nothing_but_bad_files_is_an_error(folder):
    with pytest.raises(LoadError, match=r"FILE_EMPTY .*empty\.json") as caught:
        read([folder / "empty.json", folder / "page.json"])
    assert caught.value.code == "FILE_EMPTY"


def test_strict_ends_at_the_first_bad_file(folder):
    with pytest.raises(LoadError, match="FILE_EMPTY"):
        read(folder, strict=True)


def test_a_zip_of_both(tmp_path):
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jsonl", lines(ONE))
        archive.writestr("b.html", "<html></html>")
    traces = read(path)
    assert counts(traces) == (1, 1, 0, 0)
    assert traces.sources["complete"].tolist() == [True, False]


def test_spans_have_their_source_and_copies_are_merged_across_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(lines(*MANY[:2]))
    traces = read(tmp_path)
    assert counts(traces) == (4, 2, 2, 0)
    assert traces.spans["source_id"].tolist() == [0, 0]
    assert traces.sources["merged_count"].tolist() == [0, 2]


# ------------------------------------------------------------------ options


@pytest.mark.parametrize("form", [lines, pretty])
@pytest.mark.parametrize("name", [name for name in format_names() if name != "otlp"])
def test_a_requested_format_is_the_only_one_tried(form, name):
    with pytest.raises(
        LoadError,
        match=rf"FORMAT_UNKNOWN .*this is otlp data, not {name}; skipped; omit the format \(--format\), or use otlp",
    ):
        read(form(ONE), format=name)
    assert counts(read(form(ONE), format="otlp")) == (1, 1, 0, 0)


def test_options_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match=f"expected format {', '.join(format_names())} or None, found 'tempo'"):
        read(b"{}", format="tempo")
    with pytest.raises(ValueError, match="expected time_unit ns, us, ms or s, found 'minutes'"):
        read(b"{}", time_unit="minutes")


def test_a_unit_is_applied_to_what_is_read():
    record = request(span(startTimeUnixNano=str(START // 1000), endTimeUnixNano=str(START // 1000 + 5)))
    with pytest.raises(LoadError, match=r"TIME_UNIT .*read it with time_unit='us'"):
        read(lines(record))
    traces = read(lines(record), time_unit="us")
    assert traces.spans[["start_ns", "duration_ns"]].iloc[0].tolist() == [START, 5000]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (lines(ONE, b"garbage"), "JSON_SYNTAX"),
        (lines(ONE, {"foo": 1}), "FORMAT_UNKNOWN"),
        (lines(request(span(spanId="x"))), "ID_NOT_HEX"),
        (lines(*MANY)[:-50], "JSON_TRUNCATED_TAIL"),
        (pretty(ONE)[:-50], "JSON_TRUNCATED_DOC"),
        (gzip.compress(lines(*MANY))[:-20], "CONTAINER_TRUNCATED"),
    ],
)
def test_strict_raises_at_the_first_error_with_its_place(data, code):
    assert len(told(read(data), code)) == 1
    with pytest.raises(LoadError, match=f"^{code} <bytes>") as caught:
        read(data, strict=True)
    assert caught.value.code == code


def test_strict_reading_equals_tolerant_reading_and_detects_repeated_fields():
    data = lines(*MANY)
    assert read(data, strict=True).spans.equals(read(data).spans)
    twice = line(ONE).replace(b'"name": "GET /cart"', b'"name": "a", "name": "b"')
    traces = read(twice + b"\n", strict=True)
    assert traces.spans["name"].tolist() == ["b"]
    [issue] = told(traces, "JSON_DUP_KEY").itertuples()
    assert "found duplicates: name; the last value was used" in issue.message
    assert len(read(twice + b"\n").issues) == 0, "it costs time, so only who asks for it pays"


def test_the_callback_gets_every_row_as_it_is_found():
    rows = []
    traces = read(lines(ONE, b"garbage", request(span(**ids(1), parentSpanId="a" * 16))), on_issue=rows.append)
    assert [row.code for row in rows] == traces.issues["code"].tolist() == ["JSON_SYNTAX", "PARENT_MISSING", "NO_ROOT"]
    assert rows[0].message == traces.issues["message"].iloc[0]


def test_a_callback_may_end_the_reading():
    def stop(row):
        raise KeyboardInterrupt(row.code)

    was = gc.isenabled()
    with pytest.raises(KeyboardInterrupt, match="JSON_SYNTAX"):
        read(lines(ONE, b"garbage", ONE), on_issue=stop)
    assert gc.isenabled() == was


def test_the_collector_is_left_as_it_was():
    assert gc.isenabled()
    read(lines(ONE))
    assert gc.isenabled()
    gc.disable()
    try:
        read(lines(ONE))
        assert not gc.isenabled()
    finally:
        gc.enable()


# ------------------------------------------------------------------ marks of the bytes


def test_a_byte_order_mark_and_utf_16_are_reported():
    assert told(read(b"\xef\xbb\xbf" + lines(ONE)), "ENC_BOM")["action"].tolist() == ["repaired"]
    assert told(read(json.dumps(ONE).encode("utf-16")), "ENC_UTF16")["severity"].tolist() == ["info"]


@pytest.mark.parametrize("form", [lines, pretty])
def test_odd_characters_are_reported_with_their_position(form):
    record = form(request(span(name="NAME"))).replace(b"NAME", b"\\ud800 x")
    first = form(request(span(**ids(1))))
    traces = read(first + record)
    assert traces.spans["name"].tolist()[-1] == "GET /cart" or "\ufffd x" in traces.spans["name"].tolist()
    [issue] = told(traces, "ENC_SURROGATE").itertuples()
    assert issue.action == "repaired"
    assert issue.record_number in {1, 2}


def test_nul_padding_is_passed_over_and_counted():
    traces = read(lines(ONE) + b"\0" * 5000 + lines(*MANY[1:3]))
    assert counts(traces) == (3, 3, 0, 0)
    assert "5,000 NUL bytes" in told(traces, "ENC_NUL")["message"].iloc[0]


def test_numbers_outside_json_are_accepted_and_reported():
    record = line(request(span(attributes=[{"key": "k", "value": {"doubleValue": "X"}}])))
    traces = read(record.replace(b'"X"', b"NaN") + b"\n" + record.replace(b'"X"', b"-Infinity") + b"\n")
    assert told(traces, "JSON_NONFINITE")["issue_count"].tolist() == [2]
    quiet = read(lines(request(span(name="NaN and Infinity", kind="SPAN_KIND_CLIENT"))))
    assert "JSON_NONFINITE" not in set(quiet.issues["code"])


# ------------------------------------------------------------------ progress


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress_module, "time", made)
    return made


def test_a_bar_appears_after_a_second_in_a_terminal(clock, capfd):
    with Meter(1000, show=True) as meter:
        meter.at(10, 1)
        assert meter._shown is None
        clock.now = 1.5
        meter.at(500, 1234)
        task = meter._shown._progress.tasks[0]
        assert (task.completed, task.total) == (500, 1000)
        assert task.fields["spans"] == "1,234 spans, 823/s"
    assert capfd.readouterr().out == "", "standard output is for data"


@pytest.mark.parametrize("show", [None, False])
def test_no_bar_outside_a_terminal(clock, capfd, show):
    with Meter(None, show=show) as meter:
        for clock.now in (0.5, 2.0, 50.0):
            meter.at(500, 5)
        assert meter._shown is None
    assert capfd.readouterr() == ("", "")


READ_IN_A_CELL = """
import tracekit as tk
from tracekit.loading import progress
progress._PATIENCE_S, progress._EVERY_S = -1.0, 0.0
lines = []
update = progress._Line.update
progress._Line.update = lambda self, *far: (lines.append(far), update(self, *far))
print("before")
traces = tk.read({data!r})
print(lines)
"""


def test_a_saved_notebook_has_no_bar():
    data = lines(*MANY)
    cells = [nbformat.v4.new_code_cell(READ_IN_A_CELL.format(data=data))]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    outputs = notebook.cells[0].outputs
    printed = [one.text for one in outputs if one.output_type == "stream"]
    assert printed[0] == "before\n"
    assert f"[({len(data)}, '10 spans, " in printed[-1], "the progress was not shown"
    displayed = [one.data for one in outputs if one.output_type == "display_data"]
    assert displayed == [{"text/html": "", "text/plain": ""}]


@pytest.mark.parametrize("data", [lines(*MANY), pretty({"resourceSpans": MANY[0]["resourceSpans"] * 3000})])
def test_reading_lines_and_documents_updates_the_meter(monkeypatch, data):
    told_of = []
    monkeypatch.setattr(Meter, "at", lambda _, byte_count, span_count: told_of.append((byte_count, span_count)))
    read(data)
    assert told_of
    assert told_of == sorted(told_of)
    assert told_of[-1][0] <= len(data)
    assert len(told_of) == 1 + (len(data) > 100_000)


def test_the_meter_counts_over_several_sources(monkeypatch):
    told_of = []
    monkeypatch.setattr(Meter, "at", lambda _, byte_count, span_count: told_of.append((byte_count, span_count)))
    read([lines(*MANY), lines(*MANY)])
    assert told_of[-1] == (2 * len(lines(*MANY)), 20)


# ------------------------------------------------------------------ room for what is to come


@pytest.mark.parametrize(
    ("stored", "begin", "to_come"), [(1000, 200, 28 * 1.03), (1000, 2900, 1.03), (10**9, 0, 128), (None, 0, 1)]
)
def test_the_builder_knows_how_much_a_source_still_has(stored, begin, to_come):
    reader = SourceReader(Builder(), loaders_of(None), Meter(None, show=False))
    reader.builder.open_source("made")
    stream = SimpleNamespace(source=SimpleNamespace(byte_count=stored), raw_position=100, offset=300)
    reader._expect(stream, LineChunk(b"x" * 100, 1, begin, final=False, ends_in_newline=True))
    assert reader.builder.to_come == pytest.approx(to_come)
    reader.builder.open_source("next")
    assert reader.builder.to_come == 1


def test_a_stream_that_is_built_in_pieces_gets_no_room_for_the_rest():
    reader = SourceReader(Builder(), loaders_of(None), Meter(None, show=False), on_chunk=lambda: None)
    stream = SimpleNamespace(source=SimpleNamespace(byte_count=1000), raw_position=100, offset=100)
    reader._expect(stream, LineChunk(b"x" * 100, 1, 0, final=False, ends_in_newline=True))
    assert reader.builder.to_come == 1
