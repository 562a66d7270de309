"""The catalogue of issues, code by code: the smallest input, the severity, what was done, and the words."""

import base64
import bz2
import gzip
import json
import os
import re
import time
import zipfile
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq
import pytest
from loading.tables import written
from otlp_made import SPAN, START, TRACE, attribute, counts, ids, line, lines, pretty, request, span
from protobuf_made import protobuf

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.building.catalogue import CATALOGUE
from tracekit.loading.records import json_pull
from tracekit.loading.records.json_pull import JsonPull
from tracekit.loading.store.read_write import save

GOOD = lines(request(span(**ids(77))))
DAY = 86_400 * 10**9
LATER = time.time_ns() + 3 * DAY
XRAY_TRACE = "1-58406520-a006649127e371903a2de979"

ELSEWHERE = {
    "API_BAD_BODY": "an answer of AWS without its member: only the pull asks AWS",
    "PAGE_TOKEN_LOOP": "pages of AWS: only the pull turns them",
    "CARDINALITY": "a wide table of attributes: only analyses make one",
    "STORE_TOO_LARGE": "of stores, which are not read as bytes; tests/loading/store/test_reading.py",
    "STORE_OLDER": "of stores, which are not read as bytes; tests/loading/store/test_store.py",
    "STORE_NEWER": "of stores, which are not read as bytes; tests/loading/store/test_store.py",
}
NEXT = re.compile(
    r"; (if [^;]*, )?(check|configure|copy|export|fetch|fix|get|log|pass|read (it|again|the)|repeat|unpack)\b[^;]*$"
)


@dataclass
class Case:
    """What to read; what must be told of it."""

    data: Any  # bytes, or what makes a path from a folder
    match: str
    action: str = "accepted"
    severity: str = ""  # where it differs from the catalogue's
    is_error: bool = False  # nothing else is in the source: alone, it cannot be read
    settings: dict[str, Any] = field(default_factory=dict)


def table(folder):
    path = folder / "a.parquet"
    pq.write_table(written.clickhouse(), path)
    return path


def lies(folder):
    path = folder / "a.json"
    path.write_bytes(gzip.compress(GOOD))
    return path


def locked(folder):
    """A member that needs a password: a file without permission is no hindrance to root."""
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", GOOD)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def loop(folder):
    (folder / "loop.json").symlink_to("loop.json")
    return folder


def gone(folder):
    (folder / "gone.json").symlink_to("nowhere.json")
    return folder


def pipe(folder):
    os.mkfifo(folder / "pipe.json")
    return folder


def broken_store(folder):
    store = save(read(GOOD), folder / "x.parquet")
    next(store.glob("*.parquet")).unlink()
    return store


def segment(**members):
    whole = {
        "id": SPAN,
        "trace_id": XRAY_TRACE,
        "name": "shop",
        "start_time": 1_750_000_000.5,
        "end_time": 1_750_000_001,
    }
    return {key: value for key, value in (whole | members).items() if value is not None}


def answer(*documents, **members):
    parts = [{"Id": SPAN, "Document": d if isinstance(d, str) else json.dumps(d)} for d in documents]
    trace = {"Id": XRAY_TRACE, "Duration": 1, "Segments": parts} | members
    return lines({"Traces": [trace], "UnprocessedTraceIds": []})


def spans(*changed):
    return lines(request(*(span(**members) for members in changed)))


TWO = ({}, {"spanId": "a" * 16})

CASES = {
    "FILE_EMPTY": Case(b"", "expected trace data, found 0 bytes; check the exporter", "aborted", is_error=True),
    "FILE_BLANK": Case(b" \n", "expected trace data, found 2 bytes of white space", "aborted", is_error=True),
    "FILE_HTML": Case(b"<html><title>Log in</title>", "found a web page: 'Log in'; log in", "aborted", is_error=True),
    "API_ERROR_JSON": Case(
        b'{"__type": "ExpiredTokenException", "message": "expired"}',
        "expected trace data, found an API error response: .*ExpiredTokenException.*",
        "quarantined",
        is_error=True,
    ),
    "TABLE_LAYOUT": Case(
        table, "as the collector's ClickHouse exporter writes it; not stored in it: types of attributes"
    ),
    "CONTAINER_MISLABELLED": Case(lies, "expected plain text from the extension, found gzip; read as gzip"),
    "CONTAINER_TRUNCATED": Case(
        gzip.compress(GOOD * 50)[:-30], "expected a complete gzip stream, found a truncated one after", "aborted"
    ),
    "CONTAINER_DAMAGED": Case(
        bz2.compress(GOOD)[:-10] + b"0123456789",
        "expected a complete bz2 stream, found damage",
        "aborted",
        is_error=True,
    ),
    "CONTAINER_BOMB": Case(
        gzip.compress(GOOD + b" " * (40 << 20)),
        "expected at most 1,000 times the stored size of content, found",
        "aborted",
    ),
    "ENC_BOM": Case(b"\xef\xbb\xbf" + GOOD, "a byte order mark was skipped", "repaired"),
    "ENC_UTF16": Case(GOOD.decode().encode("utf-16"), "expected UTF-8, found utf-16-le; converted", "repaired"),
    "ENC_INVALID_UTF8": Case(
        GOOD + GOOD.replace(b"GET", b"\xff"), "expected UTF-8, found the bytes ff at byte", "quarantined"
    ),
    "ENC_NUL": Case(GOOD + bytes(100), "expected records, found 100 NUL bytes", "repaired"),
    "ENC_SURROGATE": Case(GOOD.replace(b"GET", b"\\ud800"), r"found 1 unpaired; replaced by U\+FFFD", "repaired"),
    "JSON_SYNTAX": Case(GOOD + b"oops\n" + GOOD, r"invalid JSON \(Expecting value\) at column 1", "quarantined"),
    "JSON_TRUNCATED_TAIL": Case(
        GOOD + GOOD[:-40], r"truncated \(\d+ bytes\): the file is still being written", "quarantined"
    ),
    "JSON_TRUNCATED_DOC": Case(
        pretty(request(span()))[:-20],
        "expected the rest of the document, found the end of the source; the complete part was read",
        "quarantined",
    ),
    "PROTOBUF_DAMAGED": Case(
        protobuf(request(span())) + b"\x00", "found 0; the rest of the source was not read", "quarantined"
    ),
    "PROTOBUF_TRUNCATED": Case(
        protobuf(request(span())) * 2 + protobuf(request(span()))[:-5],
        r"the last message is truncated \(\d+ bytes\); the spans before the cut were read",
        "quarantined",
    ),
    "JSON_TRAILING": Case(
        pretty(request(span())) + b"\noops", "expected a document or the end of the source, found 'oops'", "quarantined"
    ),
    "JSON_CONCAT": Case(
        pretty(request(span())) * 3, "several documents, one after the other; 2 times; this is the first"
    ),
    "JSON_TOO_DEEP": Case(
        GOOD + line(request(span(attributes=[attribute("k", "B")]))).replace(b'"B"', b"[" * 300 + b"]" * 300),
        "expected at most 200 levels of nesting, found more; value skipped",
        "quarantined",
    ),
    "JSON_HUGE": Case(
        pretty(request(span(), span(**ids(1), name="x" * 3000))),
        "expected a value of at most 2,000 bytes, found a larger one; value skipped",
        "quarantined",
    ),
    "JSON_BIG_INT": Case(
        spans({"attributes": [attribute("k", {"intValue": "9" * 20})]}),
        "expected a 64-bit integer, found a larger one; its digits are kept",
    ),
    "JSON_NONFINITE": Case(
        spans({"attributes": [attribute("k", {"doubleValue": "N"})]}).replace(b'"N"', b"NaN"),
        "expected numbers, found NaN or Infinity; accepted",
    ),
    "JSON_DUP_KEY": Case(
        GOOD.replace(b'"name"', b'"name": "a", "name"'),
        "expected unique keys in an object, found duplicates: name; the last value was used",
        settings={"strict": True},
    ),
    "TEXT_PREFIX": Case(
        b"2024-01-01T00:00:00.000000000Z stdout F " + GOOD, "a cri prefix before the JSON was skipped", "repaired"
    ),
    "SIGNAL_MIXED": Case(
        GOOD + lines({"resourceMetrics": []}), "expected traces only, found 1 record of metrics, which were skipped"
    ),
    "FORMAT_UNKNOWN": Case(
        GOOD + lines({"foo": 1}),
        r"no trace data \(tried: otlp, xray, jaeger, zipkin.*\), found a JSON object with 'foo'; skipped",
        "quarantined",
    ),
    "DIALECT": Case(
        spans({"kind": "SPAN_KIND_SERVER"}), r"converted from other layouts: enum_names \(1\); no action needed"
    ),
    "ID_BAD_LENGTH": Case(spans({"spanId": "ab"}, {}), "16 hex digits in spanId, found 'ab'", "quarantined"),
    "ID_ZERO": Case(spans({"traceId": "0" * 32}, {}), "32 hex digits in traceId, found '0{32}'", "quarantined"),
    "ID_NOT_HEX": Case(spans({"spanId": "z" * 16}, {}), "16 hex digits in spanId, found 'z{16}'", "quarantined"),
    "ID_HEX_AS_BASE64": Case(
        spans({"traceId": base64.b64decode(TRACE).hex()}), "traceId converted back to hex", "repaired"
    ),
    "ID_64BIT": Case(spans({"traceId": "a" * 16}), "traceId padded with zeros", "repaired"),
    "DUP_IDENTICAL": Case(GOOD * 3, "2 spans: identical copy of another span, merged", "merged"),
    "DUP_SUPERSEDED": Case(
        answer(segment(end_time=None, in_progress=True)) + answer(segment()),
        "1 span: unfinished record, replaced by the finished span",
        "merged",
    ),
    "DUP_CONFLICT": Case(
        spans({}, {"name": "other"}), "2 spans: the same trace id and span id with different content; all kept"
    ),
    "PARENT_MISSING": Case(spans({}, {"spanId": "a" * 16, "parentSpanId": "b" * 16}), "1 span: missing parent"),
    "PARENT_SELF": Case(spans({"parentSpanId": SPAN}), "1 span: the parent id is the span's own id"),
    "PARENT_CYCLE": Case(
        spans({"parentSpanId": "a" * 16}, {"spanId": "a" * 16, "parentSpanId": SPAN}),
        "2 spans: part of a cycle of parents; the earliest span becomes a root",
    ),
    "MULTI_ROOT": Case(spans(*TWO), "1 trace: more than one root span"),
    "NO_ROOT": Case(spans({"parentSpanId": "b" * 16}), "1 trace: no root span"),
    "CHILD_OUTSIDE_PARENT": Case(
        spans({}, {"spanId": "a" * 16, "parentSpanId": SPAN, "startTimeUnixNano": str(START - 5)}),
        "1 span: child span outside its parent's interval",
    ),
    "TIME_ZERO": Case(spans({"startTimeUnixNano": "0"}), "1 span: start time zero or missing"),
    "TIME_MISSING_END": Case(spans({"endTimeUnixNano": "0"}), "1 span: no end time"),
    "DUR_NEGATIVE": Case(
        spans({"endTimeUnixNano": str(START - 5)}), "1 span: negative duration; excluded from latency statistics"
    ),
    "DUR_ZERO": Case(spans({"endTimeUnixNano": str(START)}), "1 span: zero duration; valid"),
    "DUR_ABSURD": Case(spans({"endTimeUnixNano": str(START + 31 * DAY)}), "1 span: longer than 30 days"),
    "TIME_UNIT": Case(
        spans({}, {"spanId": "a" * 16, "startTimeUnixNano": str(START // 1000)}, {"spanId": "b" * 16}),
        "1 span: times that are not in nanoseconds",
        "quarantined",
    ),
    "TIME_FUTURE": Case(
        spans({"startTimeUnixNano": str(LATER), "endTimeUnixNano": str(LATER + 9)}),
        "1 span: starts more than a day from now",
    ),
    "TIME_STRING": Case(
        spans({"startTimeUnixNano": "2025-06-15T15:06:40"}),
        "expected nanoseconds in startTimeUnixNano, found a date as text; UTC assumed",
    ),
    "TIME_PRECISION_LOST": Case(
        spans({"startTimeUnixNano": START}), r"expected text in startTimeUnixNano, found a JSON number beyond 2\^53"
    ),
    "ENUM_BAD": Case(spans({"kind": 99}), "expected kind 0 to 5 or a name, found 99; read as 0, kept as otlp.kind"),
    "ATTR_BAD": Case(
        spans({"attributes": [attribute("k", {"stringValue": "x", "intValue": 5})]}),
        "attribute 'k': expected one value, found stringValue, intValue; the first was used",
    ),
    "XR_DOC_NOT_JSON": Case(answer(segment(), "{no"), "the segment's document: invalid JSON", "quarantined"),
    "XR_TRACE_MISMATCH": Case(
        answer(segment(trace_id=XRAY_TRACE[:-1] + "0")),
        "expected the trace 1-.*, found 1-.*; the document's value is used",
    ),
    "XR_CAUSE_DANGLING": Case(
        answer(segment(fault=True, cause="0123456789abcdef")),
        "expected the exception .*; found none; the reference is kept",
    ),
    "XR_NO_END": Case(
        answer(segment(end_time=None)), "expected end_time or in_progress, found neither; treated as still open"
    ),
    "XR_LIMIT_EXCEEDED": Case(answer(segment(), LimitExceeded=True), "X-Ray stopped adding segments"),
    "XR_UNPROCESSED": Case(
        lines({"Traces": [], "UnprocessedTraceIds": [XRAY_TRACE]}) + answer(segment()),
        "X-Ray did not process .*; fetch these traces again",
    ),
    "XR_NAMESPACE_UNKNOWN": Case(
        answer(segment(subsegments=[segment(id="a" * 16, trace_id=None, namespace="gcp")])),
        "expected the namespace aws, remote or local, found 'gcp'",
    ),
    "XR_SUMMARIES_ONLY": Case(lines({"TraceSummaries": [{"Id": XRAY_TRACE}]}), "contain no spans", is_error=True),
    "SOURCE_WARNING": Case(
        lines(
            {
                "data": [
                    {
                        "traceID": TRACE,
                        "processes": {"p": {"serviceName": "s"}},
                        "spans": [
                            {
                                "traceID": TRACE,
                                "spanID": SPAN,
                                "operationName": "x",
                                "processID": "p",
                                "references": [],
                                "startTime": START // 1000,
                                "duration": 5,
                                "tags": [],
                                "logs": [],
                                "warnings": ["clock skew"],
                            }
                        ],
                    }
                ]
            }
        ),
        "Jaeger warns: clock skew; the server changed the times",
    ),
    "STORE_BROKEN": Case(broken_store, r"x\.parquet", "aborted", is_error=True),
    "PATH_MISSING": Case(gone, "no such file", "aborted", is_error=True),
    "PATH_DENIED": Case(locked, "found an encrypted one; unpack it", "aborted", is_error=True),
    "PATH_SPECIAL": Case(pipe, "expected a file, found a named pipe", "aborted", is_error=True),
    "PATH_LOOP": Case(loop, "loop of symbolic links", "aborted", is_error=True),
}


def test_every_code_of_the_catalogue_has_one_case_or_a_reason_to_have_none():
    assert not set(CASES) & set(ELSEWHERE)
    assert set(CASES) | set(ELSEWHERE) == set(CATALOGUE)


@pytest.mark.parametrize("code", CASES)
def test_the_smallest_input_gives_the_row_of_its_code(code, tmp_path, monkeypatch):
    if code == "JSON_HUGE":
        monkeypatch.setattr(JsonPull.value, "__defaults__", (2000,))
        monkeypatch.setattr(json_pull, "_MOST_AHEAD", 1000)  # as in earnest, less than a value may have
        monkeypatch.setattr(json_pull, "_AHEAD", 1000)
    case = CASES[code]
    data = case.data if isinstance(case.data, bytes) else case.data(tmp_path)
    if case.is_error:
        with pytest.raises(LoadError, match=rf"(?s)^{code} .*{case.match}") as caught:
            read(data)
        assert caught.value.code == code
        if code == "STORE_BROKEN":
            return  # a store is read alone
    rows = []
    traces = read([data, GOOD] if case.is_error else data, on_issue=rows.append, **case.settings)
    found = traces.issues[traces.issues["code"] == code]
    assert len(found) == 1
    row = found.iloc[0]
    assert row["severity"] == (case.severity or CATALOGUE[code][0])
    assert row["action"] == case.action
    assert row["message"].startswith(f"{code} ")
    assert re.search(case.match, row["message"]), row["message"]
    if row["severity"] != "info":
        assert NEXT.search(row["message"]), f"what to do next is not said: {row['message']}"
    assert sum(one.code == code for one in rows) == 1, "the callback got it too"
    counts(traces)


def test_a_record_that_is_left_out_is_counted_by_its_row():
    """Rows with the action quarantined say as many records as the sources do."""
    for code, case in CASES.items():
        if case.action == "quarantined" and isinstance(case.data, bytes) and code != "JSON_HUGE":
            traces = read([case.data, GOOD], **case.settings)
            quarantined = traces.issues.loc[traces.issues["action"] == "quarantined", "issue_count"].sum()
            assert quarantined == counts(traces)[3] >= 1, code
