"""Mutated spans of Zipkin, as lines and as one list, read by both lanes: the result must be the same.

``python mutated_spans.py FIRST COUNT`` reads COUNT records in batches, as ``test_native_sanitized.py`` does.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.native.compared import EXPORTS, run
from loading.test_loading_fuzz import ODD, _in_bytes, _in_structure, _spelled
from loading.zipkin.test_zipkin import SPANS, START, TRACE, span

from tracekit.loading import native

__all__ = ["CORPUS", "RICH", "main", "mutated", "native"]

SHORT = "00a1b2c3d4e5f607"  # an id of 64 bits
ENDPOINTS: list[Any] = [
    *({"serviceName": "shop"}, {"serviceName": "caf\u00e9", "ipv4": "10.0.0.1", "port": 8080}, {}, None),
    *({"ipv4": "10.0.0.1", "ipv6": "::1"}, {"ipv6": "::1", "port": 0}, {"serviceName": "", "ipv4": ""}, 5, []),
    *({"serviceName": None, "port": None}, {"port": "80"}, {"port": -1}, {"port": 99999}, {"serviceName": 5}),
    *({"ipv4": 5}, {"port": 80.5}, {"serviceName": 'a"b\n'}, {"more": 1}),
]
TAGS: list[tuple[str, Any]] = [
    *(("http.path", "/a"), ("http.path", "caf\u00e9\n"), ("", "no key"), ("a\u00e9", "b"), ('a"b', "c"), ("n", "5")),
    *(("error", word) for word in ("true", "", "false", "boom", "0", 'a"b', "None", "tru\u00e9")),
    *(("otel.status_code", word) for word in ("OK", "ERROR", "error", "1", "weird")),
    *(("otel.status_description", word) for word in ("it failed", "")),
    *(("otel.scope.name", "lib"), ("otel.library.name", "old"), ("otel.scope.version", "1"), ("w3c.tracestate", "a=b")),
    *(("span.kind", "server"), ("m", 5), ("m", None), ("m", True), ("m", {"a": 1}), ("m", 0.5), ("error", True)),
]
ANNOTATIONS: list[Any] = [
    *({"timestamp": START + 1, "value": value} for value in ("retry", "caf\u00e9", "", None, 'a"b', "cs", "sr", 5)),
    *({"timestamp": START}, {"value": "x"}, {"timestamp": 0, "value": "x"}, {"timestamp": "1", "value": "x"}, 5),
    *({"timestamp": START, "value": "sr", "endpoint": {"serviceName": "v1"}}, {"timestamp": START, "more": 1}),
]
IDS: list[Any] = [TRACE, TRACE[1:], SHORT, "a", "0x12", "trace-1", "0" * 32, "", None, 5, TRACE.upper(), "AAAAAAAAAAE="]
TIMES: list[Any] = [START, START + 5, 0, -5, 1.5, f"{START}", None, 2**62, 4_600_000_000_000_000]
CHOICES: dict[str, list[Any]] = {
    "traceId": IDS,
    "id": IDS[2:],
    "parentId": ["", "0", "00000000000000b1", "b1", "zz", None, 5, "0" * 16],
    "name": ["", "get /\u00e9", None, 5, 'a"b'],
    "kind": ["CLIENT", "server", "PRODUCER", "CONSUMER", "Internal", "unspecified", "WRONG", "", None, 5],
    "timestamp": TIMES,
    "duration": TIMES[1:],
    "localEndpoint": ENDPOINTS,
    "remoteEndpoint": ENDPOINTS,
    "shared": [True, False, None, 1],
    "debug": [True, False, None],
    "binaryAnnotations": [[], [{"key": "lc", "value": "x"}]],
    "spanId": ["1"],
}
RICH = [
    span(
        1,
        kind="SERVER",
        remoteEndpoint={"serviceName": "web", "ipv4": "10.0.0.9", "ipv6": "::2", "port": 40_001},
        tags={"http.path": "/a", "error": "boom", "otel.scope.name": "lib"},
        annotations=[{"timestamp": START + 3, "value": "retry"}],
        shared=True,
    ),
    span(2, parentId=f"{1:016x}", kind="CLIENT", remoteEndpoint={"serviceName": "db", "port": 5432}, tags={}),
    span(3, traceId=SHORT, duration=None, tags={"error": "a", "otel.status_description": "it failed"}),
    span(4, timestamp=None, duration=None, debug=False),
]
V1 = {
    "traceId": TRACE,
    "id": f"{7:016x}",
    "name": "get",
    "annotations": [
        {"timestamp": START, "value": "cs", "endpoint": {"serviceName": "a"}},
        {"timestamp": START + 9, "value": "cr", "endpoint": {"serviceName": "a"}},
    ],
    "binaryAnnotations": [{"key": "k", "value": "v"}],
}
V1_ENDPOINTS: list[Any] = [
    *({"serviceName": name, "ipv4": "10.0.0.1", "port": 80} for name in ("a", "b", "caf\u00e9", 'a"b')),
    *({"serviceName": ""}, {"ipv4": "10.0.0.1"}, {}, None, 5, {"more": 1}),
]
V1_VALUES = [*("cs", "cr", "sr", "ss"), *("ms", "mr", "ws", "wr", "retry", "", 'a"b', "caf\u00e9", None, 5)]
V1_KEYS = [
    *("http.path", "error", "sa", "ca", "ma", "lc"),
    *("", "n", "otel.status_code", "span.kind", 'a"b', "caf\u00e9", 5),
]
V1_BOTH = {
    "traceId": SHORT,
    "id": f"{8:016x}",
    "name": "both",
    "timestamp": START,
    "duration": 20,
    "debug": False,
    "annotations": [
        {"timestamp": START + at, "value": value, "endpoint": {"serviceName": service}}
        for at, (value, service) in enumerate([("cs", "a"), ("sr", "b"), ("retry", "b"), ("ss", "b"), ("cr", "a")])
    ],
    "binaryAnnotations": [
        {"key": "http.path", "value": "/caf\u00e9", "endpoint": {"serviceName": "b", "port": 80}},
        {"value": 'the "disk"', "endpoint": {"serviceName": "a"}, "key": "error"},
        {"key": "sa", "value": True, "endpoint": {"serviceName": "b", "ipv4": "10.0.0.2"}},
        {"key": "ca", "value": "true", "endpoint": {"serviceName": "a"}},
    ],
}
RECORDS: list[Any] = [V1_BOTH, RICH, *RICH, SPANS, [SPANS, []], V1, [V1, RICH[0]], [[RICH[0]], RICH], []]
WORDS = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-",
    b"0",
    b"1e5",
    b".5",
    b"\xff",
    b"\xc3\xa9",
    b"\0",
]
WORDS += [b"\\u0000", b"\\ud800", b"\\u0065", b'"id": "b", ', b"9" * 30, b"[" * 210, b"\r", b" ", b"true", b"NaN"]
WORDS += [b'"binaryAnnotations": [], ', b'"value": "cs", ', b'"endpoint": {}, ', b'"key": "sa", ', b'"\\u0063s"']
WORDS += [b'"tags": {}, ', b'"error": "x", ', b'"port": 7, ', b"\xed\xa0\x80"]


def _corpus() -> list[bytes]:
    """One line for every shape, and of the exports."""
    exported = [json.dumps(json.loads(path.read_bytes())).encode() for path in sorted(EXPORTS.glob("zipkin*.json"))]
    made = [json.dumps(one).encode() for one in RECORDS]
    return [one for one in made + exported if len(one) < 12_000]


CORPUS = _corpus()


def _span(drawn: random.Random) -> dict[str, Any]:
    """Return a span with some members chosen and in another order."""
    made = span(drawn.choice([1, 2, 3]), kind=drawn.choice(["CLIENT", "SERVER", "PRODUCER"]))
    for side in ("local", "remote"):
        if drawn.random() < 0.5:
            made[f"{side}Endpoint"] = drawn.choice(ENDPOINTS[: 7 if drawn.random() < 0.9 else None])
    for key in drawn.sample(list(CHOICES), drawn.choice([0, 0, 0, 1, 2])):
        made[key] = drawn.choice(CHOICES[key]) if drawn.random() < 0.9 else drawn.choice(ODD)
    good = drawn.random() < 0.8
    made["tags"] = dict(drawn.sample(TAGS[: 23 if good else None], drawn.choice([0, 1, 2, 4])))
    made["annotations"] = drawn.sample(ANNOTATIONS[: 5 if good else None], drawn.choice([0, 0, 1, 2]))
    if drawn.random() < 0.05:
        made[drawn.choice(["tags", "annotations"])] = drawn.choice([None, [], {}, *ODD])
    if drawn.random() < 0.1:
        del made[drawn.choice(list(made))]
    return {key: made[key] for key in drawn.sample(list(made), len(made))} if drawn.random() < 0.3 else made


def _of_v1(drawn: random.Random) -> dict[str, Any]:
    """Return a span of v1 with some annotations of each kind."""
    good = drawn.random() < 0.8
    endpoints = V1_ENDPOINTS[: 6 if good else None]
    made = {"traceId": drawn.choice(IDS[:3]), "id": f"{drawn.randrange(1, 9):016x}", "name": "get"}
    for key, values in (("parentId", ["b1", None]), ("timestamp", TIMES[:3]), ("duration", [0, 5, 900])):
        if drawn.random() < 0.6 and (key != "duration" or "timestamp" in made or drawn.random() < 0.1):
            made[key] = drawn.choice(values)
    words = drawn.sample(V1_VALUES[: 12 if good else None], drawn.choice([0, 1, 2, 4, 4, 6]))
    words = sorted(words, key=V1_VALUES.index) if drawn.random() < 0.9 else words  # the begin before the end
    made["annotations"] = [
        {"timestamp": START + 10 * at, "value": value}
        | ({"endpoint": drawn.choice(endpoints)} if drawn.random() < 0.9 else {})
        for at, value in enumerate(words)
    ]
    made["binaryAnnotations"] = [
        {"key": key, "value": drawn.choice(["x", "/a", "caf\u00e9", 'a"b', *([] if good else [True, 5, None])])}
        | ({"endpoint": drawn.choice(endpoints)} if drawn.random() < 0.8 else {})
        | ({"type": "STRING"} if drawn.random() < 0.1 else {})
        for key in drawn.sample(V1_KEYS[: 8 if good else None], drawn.choice([0, 1, 2, 4]))
    ]
    made["binaryAnnotations"] = [
        one | {"value": True} if one["key"] in {"sa", "ca", "ma"} and drawn.random() < 0.4 else one
        for one in made["binaryAnnotations"]
    ]
    shuffled = [{key: one[key] for key in drawn.sample(list(one), len(one))} for one in made["binaryAnnotations"]]
    made["binaryAnnotations"] = shuffled if drawn.random() < 0.3 else made["binaryAnnotations"]
    if drawn.random() < 0.1:
        key = drawn.choice(list(CHOICES))
        made[key] = drawn.choice(CHOICES[key])
    if drawn.random() < 0.1:
        made["tags"] = drawn.choice([{}, {"k": "v"}])
    if drawn.random() < 0.15:
        del made[drawn.choice(list(made))]
    return {key: made[key] for key in drawn.sample(list(made), len(made))} if drawn.random() < 0.3 else made


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    kind = drawn.random()
    if kind < 0.5:
        some = [drawn.choice([_span, _of_v1])(drawn) for _ in range(drawn.choice([1, 1, 2, 3]))]
        data = _spelled(drawn.choice([some[0], some[0], some, [some], [some, []], [some[0], some]]), drawn)
    elif kind < 0.7:
        record = drawn.choice(RECORDS)
        for _ in range(drawn.choice([1, 1, 2])):
            record = _in_structure(record, drawn)
        data = _spelled(record, drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.4 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


GOOD = json.dumps([span(9)]).encode()


def document(lines: list[bytes]) -> bytes:
    """Return the records in some lines as one list, as far as they may be an item of one."""
    items = [one.strip() for one in lines]
    return (
        b"[" + b",\n".join(one for one in items if one.startswith((b"{", b"[")) and one.endswith((b"}", b"]"))) + b"]"
    )


def main(first: int, count: int) -> int:
    """Compare many records; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
