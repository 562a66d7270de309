"""Flat spans, as the log group aws/spans has them, plain and odd ones."""

from otlp_made import ids

FLAT = {
    "resource": {"attributes": {"service.name": "shop", "cloud.region": "eu-west-1"}},
    "scope": {"name": "lib", "version": "1"},
    **ids(11),
    "flags": 1,
    "name": "GET /",
    "kind": "SERVER",
    "startTimeUnixNano": 1_750_000_000_000_000_000,
    "endTimeUnixNano": 1_750_000_000_000_000_512,
    "durationNano": 512,
    "attributes": {
        "s": 't"ext\n',
        "i": 7,
        "f": 1.5,
        "e": -2e3,
        "b": True,
        "n": None,
        "l": ["a", 1],
        "m": {"k": {"stringValue": "x"}},
    },
    "events": [{"timeUnixNano": 1_750_000_000_000_000_001, "name": "e", "attributes": {"z": -0.0, "big": 2**63 - 1}}],
    "status": {"code": "ERROR", "message": "no"},
}
FLATS = [
    FLAT,
    {"traceId": "ab" * 16, "spanId": "cd" * 8, "startTimeUnixNano": "1750000000000000000", "durationNano": "5"},
    {
        "trace_id": "ab" * 16,
        "span_id": "cd" * 8,
        "start_time_unix_nano": "1750000000000000000",
        "end_time_unix_nano": 0,
    },
    {
        "spanId": "cd" * 8,
        "traceId": "ab" * 16,
        "endTimeUnixNano": "17500",
        "resource": None,
        "schemaUrl": "u",
        "kind": 2,
    },
    FLAT | {"attributes": {"": 1, "a": 2**63}},
    FLAT | {"attributes": [], "id": "cd" * 8, "start_time": 1.5e9},
    FLAT
    | {"resource": {"attributes": {"service.name": "a", "x": [1.5]}}, "scope": {"attributes": {"k": 1}}, "links": []},
]
