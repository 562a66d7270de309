"""Numbers of any size, in any member of any format: read, missing with an issue, or quarantined, and at once."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tracekit.errors import LoadError
from tracekit.loading import read
from tracekit.loading.numbers import exact_number, is_digits, real, whole

START_NS, START_US, START_S = 1_700_000_000_000_000_000, 1_700_000_000_000_000, 1_700_000_000
HEX_TRACE, HEX_SPAN = "000000000000000000000000000000a1", "00000000000000b2"

OTLP_SPAN = {
    "traceId": HEX_TRACE,
    "spanId": HEX_SPAN,
    "parentSpanId": "",
    "name": "GET /",
    "kind": 2,
    "flags": 1,
    "startTimeUnixNano": START_NS,
    "endTimeUnixNano": START_NS + 5,
    "droppedAttributesCount": 0,
    "status": {"code": 1, "message": ""},
    "attributes": [
        {"key": "a", "value": {"intValue": 5}},
        {"key": "b", "value": {"doubleValue": 0.5}},
        {"key": "c", "value": {"arrayValue": {"values": [{"intValue": 7}]}}},
    ],
    "events": [{"timeUnixNano": START_NS, "name": "e", "droppedAttributesCount": 0}],
    "links": [{"traceId": HEX_TRACE, "spanId": HEX_SPAN, "flags": 0}],
}
FORMATS: dict[str, Any] = {
    "otlp": {
        "resourceSpans": [
            {
                "resource": {"droppedAttributesCount": 0, "attributes": [{"key": "n", "value": {"intValue": 1}}]},
                "scopeSpans": [{"scope": {"name": "s", "droppedAttributesCount": 0}, "spans": [OTLP_SPAN]}],
            }
        ]
    },
    "flat": {
        "traceId": HEX_TRACE,
        "spanId": HEX_SPAN,
        "name": "x",
        "kind": 2,
        "startTimeUnixNano": START_NS,
        "durationNano": 5,
        "attributes": {"a": 5},
        "resource": {"attributes": {"n": 1}},
    },
    "xray": {
        "Traces": [
            {
                "Id": "1-58406520-a006649127e371903a2de979",
                "Duration": 0.5,
                "LimitExceeded": False,
                "Segments": [
                    {
                        "Id": "53995c3f42cd8ad8",
                        "Document": {
                            "id": "53995c3f42cd8ad8",
                            "name": "cart",
                            "start_time": START_S + 0.25,
                            "end_time": START_S + 0.5,
                            "http": {"response": {"status": 200, "content_length": 5}},
                            "annotations": {"n": 5},
                            "metadata": {"debug": {"n": 5}},
                            "cause": {"exceptions": [{"id": "e1", "stack": [{"path": "a", "line": 5}]}]},
                            "subsegments": [
                                {"id": "53995c3f42cd8ad9", "name": "x", "start_time": START_S, "end_time": START_S + 1}
                            ],
                            "links": [{"trace_id": HEX_TRACE, "id": HEX_SPAN, "attributes": {"n": 5}}],
                        },
                    }
                ],
            }
        ],
        "UnprocessedTraceIds": [],
    },
    "jaeger": {
        "data": [
            {
                "traceID": HEX_TRACE,
                "processes": {"p1": {"serviceName": "s", "tags": [{"key": "n", "type": "int64", "value": 5}]}},
                "spans": [
                    {
                        "traceID": HEX_TRACE,
                        "spanID": HEX_SPAN,
                        "processID": "p1",
                        "operationName": "x",
                        "flags": 1,
                        "startTime": START_US,
                        "duration": 5,
                        "references": [{"refType": "CHILD_OF", "traceID": HEX_TRACE, "spanID": "c3"}],
                        "tags": [
                            {"key": "n", "type": "int64", "value": 5},
                            {"key": "x", "type": "float64", "value": 0.5},
                            {"key": "error", "type": "bool", "value": True},
                        ],
                        "logs": [{"timestamp": START_US, "fields": [{"key": "event", "value": "e"}]}],
                    }
                ],
            }
        ]
    },
    "zipkin": [
        {
            "traceId": HEX_TRACE,
            "id": HEX_SPAN,
            "parentId": "c3",
            "name": "x",
            "kind": "CLIENT",
            "timestamp": START_US,
            "duration": 5,
            "localEndpoint": {"serviceName": "s", "port": 80},
            "annotations": [{"timestamp": START_US, "value": "e"}],
            "tags": {"n": "5"},
        }
    ],
    "zipkin_v1": [
        {
            "traceId": HEX_TRACE,
            "id": HEX_SPAN,
            "name": "x",
            "annotations": [
                {"timestamp": START_US, "value": "cs", "endpoint": {"serviceName": "s", "port": 80}},
                {"timestamp": START_US + 5, "value": "cr", "endpoint": {"serviceName": "s"}},
            ],
            "binaryAnnotations": [{"key": "n", "value": 5, "endpoint": {"serviceName": "s"}}],
        }
    ],
}
NUMBERS = {
    "exponent": "1e999999999",
    "negative": "-1e999999999",
    "tiny": "1e-999999999",
    "beyond decimal": "1e9999999999999999999",
    "beyond double": "1e309",
    "int": "9" * 4300,
    "negative int": "-" + "9" * 4300,
    "beyond int": "1" * 5000,
    "long fraction": "0." + "1" * 5000,
    "64 bits": str(2**63),
}


def _with_every_member_replaced(value: Any, replacement: Any) -> Iterator[Any]:
    """Yield the value again and again, each time with one scalar in it replaced."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: new} for new in _with_every_member_replaced(inner, replacement))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from ([*value[:at], new, *value[at + 1 :]] for new in _with_every_member_replaced(inner, replacement))
    else:
        yield replacement


def _read_at_once(data: bytes) -> None:
    """Read; everything seen must be counted, and no number may cost more than the text it is spelled in."""
    begun = time.process_time()
    try:
        sources = read(data).sources
    except LoadError:
        pass
    else:
        counted = sources[["accepted_count", "merged_count", "quarantined_count"]].sum(axis=1)
        assert sources["span_count"].tolist() == counted.tolist()
        assert sources["span_count"].sum() > 0
    assert time.process_time() - begun < 2  # some hundred records; one such number used to take for ever


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("as_text", [False, True], ids=["number", "text"])
@pytest.mark.parametrize("name", FORMATS)
def test_no_number_in_any_member_stops_the_reading(name: str, number: str, *, as_text: bool) -> None:
    spelled = NUMBERS[number]
    records = [
        json.dumps(record).replace('"<number>"', json.dumps(spelled) if as_text else spelled)
        for record in _with_every_member_replaced(FORMATS[name], "<number>")
    ]
    _read_at_once("\n".join([json.dumps(FORMATS[name]), *records]).encode())


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("number", ["exponent", "beyond int", "int"])
def test_no_number_stops_a_document_whose_decimals_are_exact(name: str, number: str) -> None:
    records = _with_every_member_replaced(FORMATS[name], "<number>")
    text = json.dumps([{"start_time": 1}, *records], indent=1)
    _read_at_once(text.replace('"<number>"', NUMBERS[number]).encode())


def test_a_number_of_5000_digits_where_a_trace_should_be_is_quarantined() -> None:
    traces = read(b'{"Traces":[' + b"1" * 5000 + b"]}")
    assert traces.sources["quarantined_count"].tolist() == [1]
    found = traces.issues["message"].str.contains("expected a segment document, a trace or an X-Ray response, found")
    assert found.any()


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"traceID": "a", "spanID": "b", "operationName": "x", "startTime": "<number>", "duration": 1}, "jaeger"),
        ({"traceId": "a", "id": "b", "name": "x", "timestamp": "<number>", "duration": 1}, "zipkin"),
    ],
)
def test_a_time_of_4299_digits_is_missing_and_reported(record: dict[str, Any], field: str) -> None:
    traces = read(json.dumps([record]).replace('"<number>"', "1" * 4299).encode(), format=field)
    assert traces.sources["accepted_count"].tolist() == [1]
    assert traces.spans["start_time"].isna().all()
    assert traces.issues["code"].isin(["TIME_STRING"]).any()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("-5", -5),
        (" 5 ", 5),
        (1e3, 1000),
        ("1e3", 1000),
        (Decimal("5.0"), 5),
        (10**399, 10**399),
        ("1" * 400, int("1" * 400)),
        (1e308, int(1e308)),
        (10**400, None),
        ("1" * 401, None),
        (Decimal("1e999999999"), None),
        (Decimal("Infinity"), None),
        (float("nan"), None),
        (float("inf"), None),
        (5.5, None),
        (Decimal("5.5"), None),
        (True, None),
        (None, None),
        ([], None),
        ("", None),
        ("NaN", None),
        ("Infinity", None),
        ("1_000", None),
        ("\u0665", None),
        ("five", None),
    ],
)
def test_a_whole_number_is_one_within_bounds(value: Any, expected: int | None) -> None:
    assert whole(value) == expected


@pytest.mark.parametrize("value", ["", "1_0", "\u0665", "five", "snan", None, True, [], 10**400])
def test_what_is_no_double_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected a number, found"):
        real(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("NaN", "nan"), ("-Infinity", "-inf"), ("+Inf", "inf"), ("1e999", "inf")]
)
def test_text_for_doubles_without_digits(value: str, expected: str) -> None:
    assert repr(real(value)) == expected


def test_decimals_are_exact_as_long_as_a_double_has_their_size() -> None:
    assert exact_number("1.1e308") == Decimal("1.1e308")
    assert exact_number("1e-400") == Decimal("1e-400")
    assert [exact_number(text) for text in ("1e309", "-1e309", "1e-401")] == [float("inf"), float("-inf"), 0.0]


def test_digits_are_those_of_ascii() -> None:
    assert list(map(is_digits, ("0", "-1", "--1", "-", "1.0", "\u0665"))) == [True, True, False, False, False, False]
