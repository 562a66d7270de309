"""Mutated answers of Jaeger, as lines and as one document, read by both lanes: the result must be the same.

``python mutated_answers.py FIRST COUNT`` reads COUNT answers in batches, as ``test_native_sanitized.py`` does.
"""

import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.jaeger.test_jaeger import SHAPES, START, TRACE, child_of, span, tag, trace
from loading.native.compared import EXPORTS, run
from loading.test_loading_fuzz import ODD, _in_bytes, _in_structure, _spelled

from tracekit.loading import native

__all__ = ["CORPUS", "RICH", "main", "mutated", "native"]

SHORT = "00a1b2c3d4e5f607"  # an id of 64 bits
TAGS = [
    *(tag("span.kind", word) for word in ("server", "CLIENT", "Internal", "queue", "unspecified", "")),
    *(
        tag("error", value, kind)
        for value, kind in [(True, "bool"), (False, "bool"), ("true", "bool"), ("TRUE", "bool")]
    ),
    *(tag("error", word) for word in ("true", "False", "none", "1", "0", "", "boom", "b\u00f6om", 'a"b')),
    *(tag("error", value, kind) for value, kind in [(True, "string"), (1, "int64"), (None, "bool"), ("yes", "bool")]),
    *(tag("otel.status_code", word) for word in ("OK", "error", "UNSET", "2", "weird")),
    tag("otel.status_code", 2, "int64"),
    *(tag("otel.status_description", word) for word in ("it failed", "", "a\nb\u00e9")),
    *(tag("otel.scope.name", word) for word in ("lib", "")),
    *(tag("otel.library.name", "old"), tag("otel.library.version", "0.1"), tag("otel.scope.version", "1.0")),
    *(tag("w3c.tracestate", "ot=th:8"), tag("", "no key"), tag("n", 'a\u00e9\n\t"\\/'), tag("k", "v", "STRING")),
    *(tag("n", value, "int64") for value in (0, -1, 2**63 - 1, 2**63, -(2**63), 10**30, "7", 5.0, True, 0.5)),
    *(tag("d", value, "float64") for value in (0.5, 1, -0.0, 1e300, "NaN", "x", 10**25, True)),
    *(tag("s", value) for value in (5, 1.50, True, None, {"a": 1}, [1, 2.5])),
    *(tag("b", value, "binary") for value in ("aGk=", "???", 5)),
    *({"key": "u", "value": value} for value in ("x", 5, 0.25, True, None, [1])),
    *({"key": "k"}, {"value": 1}, {"key": 5, "value": 1}, {"key": "k", "type": None, "value": "x"}, 7, None),
    {"key": "k", "type": "string", "value": "x", "more": 1},
]
USUAL_TAGS = [
    *(
        tag("span.kind", "server"),
        tag("span.kind", "client"),
        tag("error", kind="bool", value=True),
        tag("error", "no!"),
    ),
    *(tag("otel.status_code", "ERROR"), tag("otel.scope.name", "lib"), tag("otel.library.version", "2")),
    *(
        tag("http.url", "/caf\u00e9"),
        tag("n", 7, "int64"),
        tag("d", -2.5e-3, "float64"),
        tag("b", kind="bool", value=False),
    ),
    *({"key": "u", "value": "x"}, tag("blob", "aGk=", "binary"), tag("otel.status_description", 'bad "x"')),
]
EVENT, MESSAGE = tag("event", "retry"), tag("message", "again")
LOGS = [
    {"timestamp": START + 2, "fields": [EVENT, tag("n", 5, "int64"), MESSAGE]},
    {"timestamp": START + 3, "fields": [MESSAGE]},
    {"timestamp": 0, "fields": [tag("x", "y")]},
    {"timestamp": START, "fields": None},
    {"timestamp": START, "fields": [], "more": [1]},
    {"timestamp": START, "fields": [tag("event", 5, "int64")]},
    {"timestamp": START, "fields": [tag("message", kind="bool", value=True)]},
    {"timestamp": START, "fields": [EVENT, EVENT]},
    {"timestamp": START, "fields": [MESSAGE, MESSAGE]},
    *({"fields": [EVENT]}, {"timestamp": f"{START}", "fields": []}, {"timestamp": 2**62, "fields": []}, 5),
]
REFERENCES = [
    *(child_of(1), child_of(7), child_of(1, kind="FOLLOWS_FROM"), child_of(3, "ab" * 16), child_of(2, SHORT)),
    *(child_of(1) | {"span": {"spanID": "1"}}, child_of(1, kind="child_of"), child_of(1, kind="OTHER"), {}, 5),
    {"refType": "CHILD_OF", "traceID": TRACE, "spanID": "abc"},
]
IDS: list[Any] = [
    TRACE,
    TRACE[1:],
    SHORT,
    "a",
    "0x12",
    "trace-1",
    "0" * 32,
    "",
    None,
    5,
    TRACE.upper(),
    "AAAAAAAAAAAAAAAAAAAAAQ==",
]
TIMES: list[Any] = [START, START + 5, 0, -5, 1.5, f"{START}", None, 2**62, 9_300_000_000_000_000, 4_600_000_000_000_000]
CHOICES: dict[str, list[Any]] = {
    "traceID": IDS,
    "spanID": [*IDS[2:], "b1"],
    "parentSpanID": ["", "0", "00000000000000b1", "b1", "zz", None, 5],
    "operationName": ["", "GET /\u00e9", None, 5, 'a"b'],
    "startTime": TIMES,
    "duration": TIMES[1:],
    "flags": [0, 1, 2**32 - 1, 2**32, -1, True, None, "1"],
    "processID": ["p1", "p2", "p3", "p9", None, 5, "p\u00e9"],
    "process": [{"serviceName": "own"}, None],
    "warnings": [None, [], ["clock skew"], "one", ""],
    "startTimeMillis": [5],
    "tag": [{"a@b": 1}],
    "depth": [3],
}
PROCESSES = {
    "p1": {"serviceName": "shop", "tags": [tag("host.name", "h1"), tag("pid", 5, "int64")]},
    "p2": {"serviceName": "", "tags": None},
    "p3": {"serviceName": "caf\u00e9", "tags": [tag("load", 0.5, "float64")]},
}
RICH = {
    "data": [
        trace(
            span(
                1,
                flags=1,
                references=[],
                tags=[tag("span.kind", "server"), tag("n", 5, "int64"), tag("error", "boom"), tag("d", 0.5, "float64")],
                logs=LOGS[:5],
                warnings=None,
            ),
            span(
                2,
                references=[child_of(1), child_of(3, "ab" * 16)],
                processID="p2",
                tags=[
                    tag("otel.scope.name", "lib"),
                    tag("otel.status_code", "ERROR"),
                    tag("b", kind="bool", value=True),
                ],
                depth=2,
            ),
            span(3, references=[child_of(1, kind="FOLLOWS_FROM")], processID="p3"),
            span(4, parentSpanID="0000000000000001", tags=[tag("otel.status_description", "no")]),
            processes=PROCESSES,
            warnings=[],
        )
    ],
    "total": 0,
    "limit": 0,
    "offset": 0,
    "errors": None,
}
MAPS: list[Any] = [
    *({"http@method": "GET", "n": 7, "b": True}, {"span@kind": "client", "error": True}, {"error": "boom", "a.b": "x"}),
    *({"a@b": "x", "a.b": "y"}, {"otel@status_code": "ERROR", "caf\u00e9": 'q"\u00e9'}, {}, {"": "no key", "n": -5}),
    *(
        {"n": 0.5},
        {"n": None},
        {"n": [1]},
        {"n": 2**63},
        {"span@kind": "queue"},
        {"span@kind": 5},
        {"n": -0.0},
        None,
        [],
        5,
    ),
    {f"k{n}": n for n in range(70)},
]
EMBEDDED: list[Any] = [
    *PROCESSES.values(),
    {"serviceName": "m", "tag": {"host@name": "h"}},
    {"serviceName": 5},
    {},
    None,
    5,
]
BINARY = [tag("b", "aGk=", "binary"), tag("b", "0a1b", "binary"), tag("b", "zz", "BINARY")]
ELASTIC = {
    **span(4),
    "processID": "",
    "startTimeMillis": START // 1000,
    "process": PROCESSES["p1"],
    "flags": 1,
    "references": [child_of(1)],
    "tags": [tag("span.kind", "server"), tag("n", 5, "int64")],
    "tag": MAPS[0],
    "logs": [{"timestamp": START, "fields": [EVENT]}],
}
HIT = {"_index": "jaeger-span-2026-07-01", "_type": "_doc", "_id": "x", "_score": 1.0, "_source": ELASTIC}
SEARCH = {"took": 5, "timed_out": False, "_shards": {"total": 5}, "hits": {"total": {"value": 2}, "hits": [HIT, HIT]}}
OLD = {"data": [trace(span(5, traceID=SHORT, references=[child_of(4, SHORT)]), traceID=SHORT)]}
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
WORDS += [
    b"\\u0000",
    b"\\ud800",
    b"\\u0065",
    b'"spans": ',
    b'"spanID": "b", ',
    b"9" * 30,
    b"[" * 210,
    b"\r",
    b" ",
    b"\n",
]
WORDS += [b'"tag": {"a@b": 1}, ', b'"startTimeMillis": 5, ', b'"_id": 5, ', b'"process": {}, ', b'"type": "binary", ']
WORDS += [b"true", b"NaN", b"\xed\xa0\x80", b'"key": "error", ', b'"data": ', b'"p1": {}, ']


def _corpus() -> list[bytes]:
    """One line for every shape, and of the exports."""
    files = [
        *EXPORTS.glob("jaeger*.json"),
        *EXPORTS.glob("otlp_jaegerui_in.expected*"),
        *EXPORTS.glob("crisp*/1*.json"),
    ]
    exported = [json.dumps(json.loads(path.read_bytes())).encode() for path in sorted(files)]
    made = [json.dumps(one).encode() for one in (RICH, OLD, ELASTIC, HIT, SEARCH, *SHAPES.values())]
    return [one for one in made + exported if len(one) < 12_000]


CORPUS = _corpus()


def _span(drawn: random.Random) -> dict[str, Any]:
    """Return a span with some members chosen and in another order."""
    made = span(drawn.choice([1, 2, 3]), references=[], tags=[], logs=[])
    for key in drawn.sample(list(CHOICES), drawn.choice([0, 0, 0, 1, 2])):
        made[key] = drawn.choice(CHOICES[key]) if drawn.random() < 0.9 else drawn.choice(ODD)
    for key, usual, items in (
        ("tags", USUAL_TAGS, TAGS),
        ("logs", LOGS[:5], LOGS),
        ("references", REFERENCES[:6], REFERENCES),
    ):
        made[key] = drawn.sample(usual, drawn.choice([0, 1, 2, 3]))
        if drawn.random() < 0.15:
            made[key].append(drawn.choice(items))
        if drawn.random() < 0.03:
            made[key] = drawn.choice([None, [], {}, *ODD])
    if drawn.random() < 0.05:
        del made[drawn.choice(list(made))]
    return {key: made[key] for key in drawn.sample(list(made), len(made))} if drawn.random() < 0.3 else made


def _answer(drawn: random.Random) -> Any:
    """Return an answer with a few spans, or its traces in another shape."""
    processes = {**PROCESSES, "p\u00e9": {}} if drawn.random() < 0.1 else PROCESSES
    made = trace(*(_span(drawn) for _ in range(drawn.choice([0, 1, 1, 2, 3]))), processes=processes)
    for key, values in (("warnings", CHOICES["warnings"]), ("traceID", IDS), ("services", [[]]), ("_source", [{}])):
        if drawn.random() < 0.05:
            made[key] = drawn.choice(values)
    if drawn.random() < 0.05:
        made["processes"] = _in_structure(PROCESSES, drawn)
    if drawn.random() < 0.2:
        made = {key: made[key] for key in drawn.sample(list(made), len(made))}
    answer = {"data": [made], "errors": drawn.choice([None, None, [], [{"code": 404, "msg": "x"}]]), "total": 0}
    return drawn.choice([answer, answer, answer, {"data": made}, made, [made], {"limit": 0, "data": [made, made]}])


def _alone(drawn: random.Random) -> Any:
    """Return a span without a trace, as Elasticsearch has it or as the UI does, in some shape."""
    made = _span(drawn) | {"process": drawn.choice(EMBEDDED[:4] if drawn.random() < 0.9 else EMBEDDED)}
    if drawn.random() < 0.7:
        made["startTimeMillis"] = START // 1000
    if drawn.random() < 0.5:
        made["tag"] = drawn.choice(MAPS[:7] if drawn.random() < 0.8 else MAPS)
    if drawn.random() < 0.05:
        made["tags"] = drawn.choice([*BINARY, MAPS[0]]) if drawn.random() < 0.3 else [drawn.choice(BINARY)]
    if drawn.random() < 0.05:
        made[drawn.choice(["@timestamp", "depth", "spans", "Segments", "traceId", "more", "hits"])] = drawn.choice(
            [5, []]
        )
    if drawn.random() < 0.5:
        made.pop("processID", None)
    made = {key: made[key] for key in drawn.sample(list(made), len(made))} if drawn.random() < 0.3 else made
    hit = {"_index": "i", "_source": made}
    some = drawn.sample([made, hit, ELASTIC, HIT, trace(span(1))], drawn.choice([1, 2, 3]))
    search = SEARCH | {"hits": drawn.choice([{"hits": some}, {"max_score": None, "hits": some}, {"hits": []}, some])}
    return drawn.choice([made, made, hit, hit, some, search, {"data": some}, {"_source": some[0]}])


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    kind = drawn.random()
    if kind < 0.25:
        data = _spelled(_alone(drawn), drawn)
    elif kind < 0.5:
        data = _spelled(_answer(drawn), drawn)
    elif kind < 0.7:
        record = drawn.choice([RICH, OLD, ELASTIC, HIT, SEARCH, *SHAPES.values()])
        for _ in range(drawn.choice([1, 1, 2])):
            record = _in_structure(record, drawn)
        data = _spelled(record, drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.4 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


GOOD = json.dumps({"data": [trace(span(4))]}).encode()


def document(lines: list[bytes]) -> bytes:
    """Return some lines as a list, as hits of a search, one after the other, or their traces as one answer.

    As far as lines have a beginning and an end.
    """
    whole = [one for one in lines if one.startswith(b"{") and one.rstrip().endswith(b"}")]
    shape = zlib.crc32(b"".join(lines)) % 5
    if shape == 0:
        return b"[" + b",\n".join(whole) + b"]"
    if shape == 1:
        return b"\n\n".join(whole)
    if shape in {2, 3}:
        plain = (b'"spanID"' in one and b'"_source"' not in one for one in whole)
        hits = [
            b'{"_index": "i", "_source": %b}' % one if is_plain else one
            for one, is_plain in zip(whole, plain, strict=True)
        ]
        return b'{"took": 5, "hits": {"total": 9, "hits": [%b], "max_score": null}, "x": 1}' % b",\n".join(hits)
    begin, end = b'{"data": [', b"]"
    items = []
    for one in lines:
        at = one.rfind(b"]")
        if one.startswith(begin) and at > 0:
            items.append(one[len(begin) : at])
    return begin + b",\n".join(item for item in items if item.strip()) + end + b', "total": 0, "errors": null}'


def main(first: int, count: int) -> int:
    """Compare many answers; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
