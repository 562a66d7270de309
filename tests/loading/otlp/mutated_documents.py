"""Mutated span documents of OpenSearch Data Prepper, read by both lanes: the result must be the same.

Alone, in lists, as hits and as answers of a search.  ``python mutated_documents.py FIRST COUNT`` reads COUNT lines in
batches, as ``test_native_sanitized.py`` does.
"""

import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.native.compared import run
from loading.native.flat_spans import FLAT
from loading.native.mutated_lines import WORDS
from loading.otlp.test_prepper import DOTTED, NESTED
from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from otlp_made import line, request, span

from tracekit.loading import native

__all__ = ["CORPUS", "main", "mutated", "native"]

INDEX = {"_index": "otel-v1-apm-span-000006", "_id": "1"}
RICH: dict[str, Any] = NESTED | {
    "spanId": "00000000000000d1",
    "attributes": {"s": 't"ext\n', "i": 7, "f": 1.5, "e": -2e3, "b": True, "n": None, "l": ["a", 1], "é": "ü"},
    "resource": {"attributes": {"service.name": "other", "host.name": "h"}, "droppedAttributesCount": 2},
    "status.code": "STATUS_CODE_OK",
    "status": {"message": "no"},
    "traceGroup.name": "g",
    "span.attributes.a@b": {"c": [1]},
}
OWN: dict[str, Any] = {key: value for key, value in DOTTED.items() if not key.startswith("resource.")}
DOCUMENTS = [DOTTED, NESTED, RICH, OWN]
DATES = [
    *("2024-02-29T23:59:59.9Z", "2023-02-29T00:00:00Z", "2021-05-18T18:58:44Z", "2021-05-18 18:58:44Z"),
    *("2021-05-18T18:58:44.123456789+02:00", "2021-05-18T18:58:44", "1969-12-31T23:59:59Z", "2300-01-01T00:00:00Z"),
    *(
        "2021-06-31T00:00:00Z",
        "2021-05-18T24:00:00Z",
        "2021-05-18T18:58:60Z",
        "2021-05-18T18:58:44.1234567891Z",
        "1",
        "",
    ),
]
MORE: dict[str, Any] = {
    "span.attributes.http@method": "PUT",
    "attributes.http.method": 1,
    "resource.attributes.service@name": "third",
    "resource.schemaUrl": "u",
    "resource.": 1,
    "instrumentationScope.name": "x",
    "scope": {"name": "y"},
    "time": "now",
    "@timestamp": "2021-05-18T18:58:44.695000001Z",
    "opensearch.traceGroup": "x",
    "startTimeUnixNano": "5",
    "spanID": "5",
    "id": "5",
    "a.b": [1, {}],
    "serviceName": None,
    "span.attributes": {"z": 1},
    "resourceSpans": [],
}

VALUES: list[Any] = [
    *("GET", "/a/b", 'q"t', "é", "", "a" * 70, 0, 1, 12, -3, 10**17, 2**63, 10**19, -0.0, 1.5, 2.0, 1e300, True, None),
    *([], ["a", 1], [[[[[1]]]]], {}, {"b": 1, "a": {"c": [None, "x"], "é": False}}, {"a": 1.5}, {'q"': 1}, [10**18]),
]
# the name of the service is first: resources with the same attributes are one, with the order of the one loaded first
OWNED = [
    {"service.name": "cart", "process.pid": 1, "host.name": "a" * 30},
    {"service.name": "cart", "process.pid": 12, "host.name": "a" * 30},
    {"service.name": "shop", "host.name": "a" * 29 + "é", "l": [1, {"a": None}]},
    {"process.pid": 1},
]


def _valued(document: dict[str, Any], drawn: random.Random) -> dict[str, Any]:
    """Return a document with other attributes and another resource, in either form: most are read by the extension."""
    own = drawn.choice(OWNED)
    keys = drawn.sample(["http.method", "net.host.port", "a", "b.c", "ü"], drawn.choice([0, 2, 4]))
    values = {key: drawn.choice(VALUES) for key in keys}
    made = {key: one for key, one in document.items() if "attributes" not in key and not key.startswith("resource")}
    if drawn.random() < 0.5:
        made |= {f"span.attributes.{key.replace('.', '@')}": one for key, one in values.items()}
        made |= {f"resource.attributes.{key.replace('.', '@')}": one for key, one in own.items()}
    else:
        made |= {"attributes": values, "resource": {"attributes": own}}
    fields = {"endTime": "2021-05-18T18:58:44.983Z", "durationInNanos": drawn.randrange(3), "b": drawn.choice(VALUES)}
    made["traceGroupFields"] = dict(drawn.sample(list(fields.items()), 3))
    made["spanId"] = f"{drawn.randrange(1, 2**64):016x}"
    made["startTime"] = made["endTime"] = drawn.choice(DATES[:3:2])
    return {key: one for key, one in made.items() if key not in {"time", "@timestamp"}}


def _changed(document: dict[str, Any], drawn: random.Random) -> Any:
    """Return a document with other dates, other members, another order, or a change anywhere."""
    made = dict(document)
    if drawn.random() < 0.4:
        made[drawn.choice(["startTime", "endTime", "@timestamp"])] = drawn.choice(DATES)
    for name in drawn.sample(list(MORE), drawn.choice([0, 0, 1, 2])):
        made[name] = MORE[name]
    if drawn.random() < 0.3:
        made = dict(drawn.sample(list(made.items()), len(made)))
    return _in_structure(made, drawn) if drawn.random() < 0.5 else made


def _in_shape(document: Any, drawn: random.Random) -> Any:
    """Return a document in one of the shapes that lines have."""
    some = [document, *drawn.choices(DOCUMENTS, k=drawn.choice([0, 1, 3]))]
    drawn.shuffle(some)
    hits = [INDEX | {"_source": one} for one in some]
    answer = {"took": 1, "timed_out": False, "_shards": {"total": 1}, "hits": {"total": {"value": 1}, "hits": hits}}
    return drawn.choice([document, document, document, some, hits[0], hits, answer, {"hits": {"hits": some}}])


CORPUS = [line(_in_shape(one, random.Random(seed))).strip() for seed in range(8) for one in DOCUMENTS]
CORPUS += [line(FLAT).strip(), line(request(span())).strip()]


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    if number % 2:
        data = _spelled(_in_shape(_valued(drawn.choice(DOCUMENTS), drawn), drawn), drawn)
        data = data.replace(b"\\u00e9", "é".encode()).replace(b"\\u00fc", "ü".encode())
        if drawn.random() < 0.2:
            data = _in_bytes(data, drawn)
    elif drawn.random() < 0.6:
        shape = _in_shape(_changed(drawn.choice(DOCUMENTS), drawn), drawn)
        data = _spelled(_in_structure(shape, drawn) if drawn.random() < 0.2 else shape, drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.5 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


GOOD = line(NESTED | {"spanId": "00000000000000a7"}).strip()


def document(records: list[bytes]) -> bytes:
    """One list of some records, or one after the other, indented where they are documents."""
    if zlib.crc32(b"".join(records)) % 2:
        return b"[%b]" % b",\n".join(records)
    return b"\n".join(_indented(one) for one in records)


def _indented(record: bytes) -> bytes:
    try:
        return json.dumps(json.loads(record), indent=1).encode()
    except (ValueError, RecursionError):
        return record


def main(first: int, count: int) -> int:
    """Compare many lines, alone and in documents; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
