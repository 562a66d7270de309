"""Log lines in every format that is read: known answers, and input that is broken on purpose."""

import gzip
import json
import random

import numpy as np
import pandas as pd
import pytest

from tracekit import LoadError
from tracekit.loading.logs.read import read_lines

TRACE, SPAN = "5af7183fb1d4cf5f5af7183fb1d4cf5f", "5af7183fb1d4cf5f"
HIGH = LOW = int(SPAN, 16)
NOON = 1_795_269_603_500_000_000  # 2026-11-21T14:00:03.5Z
TIME = "2026-11-21T14:00:03.500Z"


def read(*lines, **options):
    texts = (line if isinstance(line, (str, bytes)) else json.dumps(line) for line in lines)
    return read_lines(b"\n".join(text if isinstance(text, bytes) else text.encode() for text in texts), **options)


def only(found):
    """The one row."""
    (row,) = found.frame.to_dict("records")
    assert found.sources["rejected_count"].tolist() == [0]
    return row


def is_conserved(found):
    counts = found.sources[["accepted_count", "continued_count", "rejected_count"]].sum(axis=1)
    assert counts.tolist() == found.sources["line_count"].tolist()
    assert found.sources["accepted_count"].sum() == len(found.frame)
    rejected = found.issues.loc[found.issues["action"] == "rejected", "issue_count"].sum()
    assert rejected == found.sources["rejected_count"].sum()


@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": TRACE, "span_id": SPAN},
        {"traceId": TRACE.upper(), "spanId": SPAN},
        {"trace": {"id": TRACE}, "span": {"id": SPAN}},
        {"trace.id": TRACE, "span.id": SPAN},
        {"otelTraceID": TRACE, "otelSpanID": SPAN},
        {"dd.trace_id": TRACE, "dd.span_id": str(LOW)},
        {"attributes": {"trace_id": TRACE, "span_id": SPAN}},
        {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"},
        {"xray_trace_id": f"1-{TRACE[:8]}-{TRACE[8:]}", "segment_id": SPAN},
        {"traceparent": f"00-{TRACE}-{SPAN}-01"},
        {"logging.googleapis.com/trace": f"projects/p/traces/{TRACE}", "logging.googleapis.com/spanId": SPAN},
    ],
    ids=lambda ids: next(iter(ids)),
)
def test_ids_are_read_in_the_notation_of_every_library(ids):
    row = only(read({"time": TIME, "message": "paid", **ids}))
    assert (row["trace_hi"], row["trace_lo"], row["span_id"]) == (HIGH, LOW, LOW)


@pytest.mark.parametrize("value", [str(LOW), LOW])
def test_a_decimal_id_is_the_lower_half(value):
    row = only(read({"message": "paid", "dd.trace_id": value, "dd.span_id": value}))
    assert (row["trace_hi"], row["trace_lo"], row["span_id"]) == (0, LOW, LOW)


@pytest.mark.parametrize("value", ["", "0", "0" * 32, None, "null", "-"])
def test_no_id_is_no_problem(value):
    found = read({"time": TIME, "message": "paid", "trace_id": value})
    row = only(found)
    assert (row["trace_hi"], row["trace_lo"]) == (0, 0)
    assert found.issues.empty


@pytest.mark.parametrize("value", ["xyz", "ü" * 32, TRACE + "00ff", [TRACE], 1.5, True])
def test_a_wrong_id_is_an_issue_and_the_line_is_kept(value):
    found = read({"time": TIME, "message": "paid", "trace_id": value})
    row = only(found)
    assert (row["message"], row["trace_lo"]) == ("paid", 0)
    assert found.issues[["code", "line"]].to_numpy().tolist() == [["ID_BAD", 1]]


@pytest.mark.parametrize(
    "time",
    [
        TIME,
        "2026-11-21 14:00:03,500",
        "2026-11-21T15:00:03.5+01:00",
        "21/Nov/2026:14:00:03 +0000",
        "2026/11/21 14:00:03.500",
        "2026-11-21 14:00:03.500 UTC",
        NOON,
        NOON // 1000,
        NOON // 10**6,
        str(NOON),
        NOON / 1e9,
        str(NOON // 10**6),
    ],
)
def test_times_are_read_in_every_usual_form(time):
    row = only(read({"ts": time, "msg": "paid"}))
    assert row["time_ns"] in {NOON, NOON // 10**9 * 10**9}


@pytest.mark.parametrize("time", ["soon", 5, -1, 1e400, "9" * 40, True, [], "2026-13-45T00:00:00Z"])
def test_a_time_that_is_none_is_an_issue_and_the_line_is_kept(time):
    found = read({"ts": time, "msg": "paid", "trace_id": TRACE})
    assert only(found)["time_ns"] == np.iinfo(np.int64).min
    assert found.issues["code"].tolist() == ["TIME_BAD"]


def test_times_without_a_zone_are_utc_and_counted_once():
    found = read(*({"time": f"2026-11-21 14:00:0{k}", "msg": "x"} for k in range(5)))
    (issue,) = found.issues.to_dict("records")
    assert (issue["code"], issue["action"], issue["issue_count"]) == ("TIME_NO_ZONE", "accepted", 5)
    assert found.frame["time_ns"].iloc[3] == NOON - 500_000_000
    assert found.sources["resolution_ns"].tolist() == [10**9]


@pytest.mark.parametrize(
    ("record", "level"),
    [
        ({"level": "warning"}, "WARN"),
        ({"severity": "CRITICAL"}, "FATAL"),
        ({"level": 30}, "INFO"),  # pino and bunyan
        ({"levelno": 30}, "WARN"),  # Python
        ({"severityNumber": 17}, "ERROR"),  # OpenTelemetry
        ({"log.level": "custom"}, "CUSTOM"),
        ({"level": None}, None),
    ],
)
def test_levels_have_the_names_of_opentelemetry(record, level):
    row = only(read({"message": "x", "time": TIME, **record}))
    assert row["level"] == level or (level is None and pd.isna(row["level"]))


def test_the_place_of_a_line_is_its_pod_before_its_host():
    record = {"kubernetes": {"pod_name": "cart-1", "host": "node-7"}, "host": "node-7", "service": {"name": "cart"}}
    row = only(read({"message": "x", **record}))
    assert (row["service_name"], row["host"]) == ("cart", "cart-1")


def otlp(**record):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}


def test_otlp_logs_are_read_as_documents_and_as_lines():
    record = {"timeUnixNano": str(NOON), "severityNumber": 13, "body": {"stringValue": "slow"}}
    record |= {"traceId": TRACE, "spanId": SPAN}
    for text in (json.dumps(otlp(**record)), json.dumps(otlp(**record), indent=2)):
        found = read(text)
        row = only(found)
        assert (row["time_ns"], row["level"], row["message"], row["service_name"]) == (NOON, "WARN", "slow", "cart")
        assert (row["trace_hi"], row["span_id"]) == (HIGH, LOW)
        assert found.sources["format"].tolist() == ["otlp"]
    assert len(read(otlp(**record), otlp(**record)).frame) == 2
    body = {"kvlistValue": {"values": [{"key": "msg", "value": {"stringValue": "x"}}]}}
    assert only(read(otlp(**{**record, "body": body})))["message"] == '{"msg": "x"}'


def test_a_broken_record_in_a_document_does_not_take_the_others_with_it():
    document = otlp(timeUnixNano=str(NOON), body={"stringValue": "a"})
    document["resourceLogs"] += [
        {"scopeLogs": 5},
        otlp(timeUnixNano=str(NOON), body={"stringValue": "b"})["resourceLogs"][0],
    ]
    found = read(document)
    assert found.frame["message"].tolist() == ["a", "b"]
    assert found.sources["rejected_count"].tolist() == [1]
    is_conserved(found)


def test_cloudwatch_exports_are_read_in_four_forms():
    inner = json.dumps({"level": "ERROR", "msg": "declined", "traceId": TRACE})
    events = [{"timestamp": NOON // 10**6, "message": inner}, {"timestamp": NOON // 10**6, "message": "plain\n"}]
    insight = [{"field": "@timestamp", "value": "2026-11-21 14:00:03.500"}, {"field": "@message", "value": inner}]
    for document in ({"events": events}, {"messageType": "DATA_MESSAGE", "logEvents": events}):
        found = read(document)
        assert found.frame["message"].tolist() == ["declined", "plain"]
        assert found.frame["time_ns"].tolist() == [NOON, NOON]
        assert found.frame["trace_hi"].tolist() == [HIGH, 0]
        assert found.frame["level"].astype(object).where(found.frame["level"].notna(), None).tolist() == ["ERROR", None]
    row = only(read({"results": [insight], "status": "Complete"}))
    assert (row["message"], row["time_ns"], row["trace_hi"]) == ("declined", NOON, HIGH)
    exported = gzip.compress(f"{TIME} {inner}\n{TIME} [INFO]\tstarted\n".encode())
    found = read_lines(exported)
    assert found.frame["message"].tolist() == ["declined", "[INFO]\tstarted"]
    assert found.frame["level"].tolist() == ["ERROR", "INFO"]
    assert found.frame["time_ns"].tolist() == [NOON, NOON]


def test_of_several_fields_the_first_with_a_value_counts():
    row = only(read({"time": None, "ts": TIME, "message": "x", "trace_id": None, "dd.trace_id": str(LOW)}))
    assert (row["time_ns"], row["trace_lo"]) == (NOON, LOW)


def test_json_in_the_message_of_json_is_part_of_the_record():
    row = only(read({"log": json.dumps({"msg": "paid", "trace_id": TRACE}) + "\n", "stream": "stdout", "time": TIME}))
    assert (row["message"], row["time_ns"], row["trace_hi"]) == ("paid", NOON, HIGH)


def test_plain_text_keeps_stack_traces_with_their_message():
    found = read(
        f"{TIME} ERROR declined trace_id={TRACE} span_id={SPAN}",
        "Traceback (most recent call last):",
        '  File "pay.py", line 3',
        "ValueError: declined",
        f"{TIME} INFO next",
    )
    assert found.frame["message"].str.count("\n").tolist() == [3, 0]
    assert found.frame["level"].tolist() == ["ERROR", "INFO"]
    assert found.frame["trace_hi"].tolist() == [HIGH, 0]
    assert found.sources[["accepted_count", "continued_count"]].to_numpy().tolist() == [[2, 3]]
    is_conserved(found)


def test_logfmt_is_read():
    row = only(read(f'time={TIME} level=warn msg="card \\"9\\" declined" trace_id={TRACE} service=pay'))
    assert (row["message"], row["level"], row["service_name"]) == ('card "9" declined', "WARN", "pay")
    assert (row["time_ns"], row["trace_hi"]) == (NOON, HIGH)


def test_a_pattern_names_the_parts_of_a_line():
    pattern = r"^(?P<level>[A-Z]) (?P<time>\S+) (?P<host>\S+) \[(?P<trace_id>\w*)\] (?P<message>.*)"
    found = read(f"E {TIME} node-1 [{TRACE}] declined", "\tat pay.py:3", "nothing of it", pattern=pattern)
    row = only(read(f"E {TIME} node-1 [{TRACE}] declined", pattern=pattern))
    assert (row["level"], row["host"], row["message"], row["time_ns"]) == ("ERROR", "node-1", "declined", NOON)
    assert found.frame["message"].tolist() == ["declined\n\tat pay.py:3"]
    (issue,) = found.issues.to_dict("records")
    assert (issue["line"], issue["code"], issue["action"]) == (3, "LINE_BAD", "rejected")
    assert "expected a line that matches pattern=, found 'nothing of it'" in issue["message"]
    is_conserved(found)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "expected a regular expression as pattern="),
        (r"\d+", "expected a pattern with groups named time, level"),
        (r"(?P<colour>\d+)", "expected groups named time, level, .* found 'colour'"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        read("x", pattern=pattern)


def test_a_table_is_read_by_the_names_of_its_columns():
    frame = pd.DataFrame(
        {"@timestamp": pd.to_datetime([TIME, None]), "Message": ["a", "b"], "traceId": [TRACE, np.nan], "n": [1, 2]}
    )
    found = read_lines(frame)
    assert found.frame["time_ns"].tolist() == [NOON, np.iinfo(np.int64).min]
    assert found.frame["trace_hi"].tolist() == [HIGH, 0]
    assert found.frame["message"].tolist() == ["a", "b"]
    with pytest.raises(
        ValueError, match="expected columns such as time, message, level, trace_id and span_id, found n"
    ):
        read_lines(frame[["n"]])


def test_files_folders_and_compressed_sources_are_read_in_order(tmp_path):
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(f"{TIME} a\n".encode()))
    (tmp_path / "b.jsonl").write_text(json.dumps({"time": TIME, "msg": "b"}))
    for source in (tmp_path, str(tmp_path / "*"), [tmp_path / "a.log.gz", tmp_path / "b.jsonl"]):
        found = read_lines(source)
        assert found.frame["message"].tolist() == ["a", "b"]
        assert found.frame["source"].tolist() == [0, 1]
        assert found.sources["format"].tolist() == ["text", "json"]


def test_one_unreadable_source_among_others_is_an_issue_and_alone_an_error(tmp_path):
    (tmp_path / "a.log").write_text(f"{TIME} a\n")
    (tmp_path / "empty.log").write_bytes(b"")
    found = read_lines(tmp_path)
    assert found.frame["message"].tolist() == ["a"]
    assert found.issues[["code", "action"]].to_numpy().tolist() == [["FILE_EMPTY", "aborted"]]
    assert found.sources["is_complete"].tolist() == [True, False]
    with pytest.raises(LoadError, match="FILE_EMPTY"):
        read_lines(tmp_path / "empty.log")


def test_a_truncated_archive_is_read_to_where_it_ends():
    whole = gzip.compress(b"".join(f"{TIME} line {random.Random(k).random()}\n".encode() for k in range(2000)))
    found = read_lines(whole[: len(whole) // 2])
    assert 100 < len(found.frame) < 2000
    assert "aborted" in found.issues["action"].tolist()
    assert found.sources["is_complete"].tolist() == [False]


def test_broken_lines_are_counted_with_their_place_and_the_first_can_raise():
    good = json.dumps({"time": TIME, "msg": "a"})
    found = read(good, '{"time": ', good, "[1, 2]", "5", good, '{"n": 1}')
    assert len(found.frame) == 3
    assert found.issues["line"].tolist() == [2, 4, 4, 5, 7]
    assert found.issues["byte_offset"].iloc[0] == len(good) + 1
    assert set(found.issues["code"]) == {"JSON_BROKEN", "RECORD_BAD"}
    is_conserved(found)
    with pytest.raises(LoadError, match="JSON_BROKEN <bytes>, line 2: expected a JSON object, found"):
        read(good, '{"time": ', strict=True)


def test_many_broken_lines_of_one_kind_are_one_row_with_their_count():
    found = read(json.dumps({"msg": "a"}), *["{"] * 1000)
    assert len(found.issues) == 21
    assert found.issues["issue_count"].sum() == 1000
    is_conserved(found)


def test_json_after_a_banner_or_the_rest_of_a_cut_line_is_read():
    good = json.dumps({"time": TIME, "msg": "a", "trace_id": TRACE})
    for first in ('ge": "paid"}', "Starting app 1.5", '{"time": "2026', "[main] ready"):
        found = read(first, good, good, good)
        assert found.frame["message"].tolist() == ["a", "a", "a"]
        assert found.frame["trace_hi"].tolist() == [HIGH] * 3
        assert found.sources["rejected_count"].tolist() == [1]
        is_conserved(found)


def test_a_document_with_an_event_per_line_is_a_document():
    event = json.dumps({"timestamp": NOON // 10**6, "message": "x"})
    for events in ([event], [event] * 2, [event] * 5):
        found = read('{"events": [', *(f"{one}," for one in events[:-1]), events[-1], "]}")
        assert found.frame["time_ns"].tolist() == [NOON] * len(events)
        is_conserved(found)


def test_terminal_codes_nul_broken_utf8_and_huge_lines_are_repaired_and_counted():
    message = "\x1b[31mred\x1b[0m \x1b]0;title\x07end"
    assert only(read({"time": TIME, "msg": message}))["message"] == "red end"
    found = read(f"{TIME} a\0b".encode(), TIME.encode() + b" caf\xe9", f"{TIME} {'x' * 100_000}")
    assert found.frame["message"].str.len().tolist() == [3, 4, 32_768]
    assert {"ENC_INVALID", "MESSAGE_LONG"} <= set(found.issues["code"])
    broken = read(b'{"time": "' + TIME.encode() + b'", "msg": "caf\xe9"}')
    assert broken.frame["message"].tolist() == ["caf\ufffd"]
    assert broken.issues["code"].tolist() == ["ENC_INVALID"]
    deep = read(json.dumps({"msg": "a"}), '{"a":' * 5000 + "1" + "}" * 5000)
    assert deep.sources["rejected_count"].tolist() == [1]


def test_the_service_of_lines_that_name_none_can_be_given():
    found = read({"msg": "a"}, {"msg": "b", "service": "pay"}, service="cart")
    assert found.frame["service_name"].tolist() == ["cart", "pay"]


def test_the_first_characters_of_plain_text_may_look_like_json():
    assert only(read(f"[{TIME}] started"))["message"] == "started"


ODD = [
    None,
    True,
    5,
    -1,
    1e308,
    float("nan"),
    10**40,
    "x",
    "",
    [],
    {},
    [5],
    {"a": 1},
    [None],
    "\ud800",
    "\x1b[",
    "1-x-y",
]


def test_odd_values_anywhere_are_read_or_counted():
    draw = random.Random(1)
    records = [
        {"time": TIME, "level": "INFO", "message": "paid", "trace_id": TRACE, "span_id": SPAN, "host": "a"},
        otlp(timeUnixNano=str(NOON), body={"stringValue": "x"}, traceId=TRACE, severityNumber=9),
        {"events": [{"timestamp": NOON // 10**6, "message": "x"}]},
    ]
    for _ in range(400):
        record = json.loads(json.dumps(draw.choice(records)))
        inner = record
        while True:
            key = draw.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
            if draw.random() < 0.5 and isinstance(inner[key], dict | list) and inner[key]:
                inner = inner[key]
                continue
            inner[key] = draw.choice(ODD)
            break
        is_conserved(read(record))
