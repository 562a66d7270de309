"""Mutated lines of OTLP in every dialect, read by both lanes: the result must be the same.

``python mutated_lines.py FIRST COUNT`` reads COUNT lines in batches, as ``test_native_sanitized.py`` does.
"""

import itertools
import json
import random
import sys
import zlib
from pathlib import Path

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.native.compared import run
from loading.native.flat_spans import FLATS
from loading.otlp.test_compiled import ODD, STAYS
from loading.otlp.test_fast import HANDED_BACK
from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from otlp_made import attribute, ids, line, request, resource, span, text

from tracekit.loading import native  # noqa: F401 - for programs that run this one

ROOT = Path(__file__).parents[3]
RICH = request(
    *(
        span(
            **ids(n),
            attributes=[text("http.route", "/a/{id}"), attribute("d", {"doubleValue": n / 7})],
            events=[{"timeUnixNano": str(n), "name": "e", "attributes": [attribute("n", {"intValue": str(n)})]}],
            links=[{"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": [attribute("b", {"boolValue": True})]}],
            status={"code": 2, "message": 'fa"il\n'},
            traceState="ot=th:8",
            flags=257,
        )
        for n in range(3)
    ),
    resource=resource(droppedAttributesCount=2),
    scope={"name": "lib", "version": "1"},
    schemaUrl="https://example.com",
)


def _corpus() -> list[bytes]:
    """One line for every dialect and oddity, and of the bundled recordings."""
    made = [line(record) for record in (RICH, *FLATS, *FLATS, *STAYS.values(), *ODD.values(), *HANDED_BACK.values())]
    recorded = sorted((ROOT / "datasets").rglob("*.jsonl"))
    exported = sorted((ROOT.parent / "shared" / "data" / "exports").glob("otlp*.json*"))
    for path in [*recorded, *exported]:
        with path.open("rb") as file:
            made += list(itertools.islice(file, 3))
    made += [json.dumps(json.loads(path.read_bytes())).encode() for path in exported if path.suffix == ".json"]
    return [one.replace(b"\n", b" ") for one in made if len(one) < 3_000]


CORPUS = _corpus()
RECORDS = [RICH, *FLATS, *(record for record in (*STAYS.values(), *HANDED_BACK.values()) if isinstance(record, dict))]
WORDS = [
    b'"attributes":{"k":1,',
    b'"durationNano":1,',
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
    b"\xff",
    b"\xc3\xa9",
    b"\0",
    b"\\u0000",
]
WORDS += [
    b"\\ud800",
    b"\\udc00",
    b'"spans":',
    b'"trace_id":',
    b"SPAN_KIND_",
    b"9" * 30,
    b"[" * 210,
    b"\r",
    b"\xed\xa0\x80",
]


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    if drawn.random() < 0.3:
        record = drawn.choice(RECORDS)
        for _ in range(drawn.choice([1, 1, 2])):
            record = _in_structure(record, drawn)
        data = _spelled(record, drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.5 else data[:at] + drawn.choice(WORDS) + data[at:]
    data = data.replace(b"\n", b" ")
    return _prefixed(data, drawn) if number % 8 == 0 else data


def _prefixed(data: bytes, drawn: random.Random) -> bytes:
    """Return a line as a log collector has it."""
    prefix = drawn.choice([b"2026-07-01T10:00:00.123Z stdout F ", b"data: ", b"shop-7f9 | ", b"docker", b"text "])
    if prefix != b"docker":
        return prefix + data
    return json.dumps({"log": data.decode("utf-8", "replace") + "\n", "stream": "stdout"}).encode()


GOOD = line(request(span(**ids(7), attributes=[text("k", "good")])))


def document(records: list[bytes]) -> bytes:
    """One document of some records: a request with all their groups, a list of requests, or one after the other."""
    made = [one.strip() for one in records]
    inside = [one[one.index(b"[") + 1 : one.rindex(b"]")] for one in made if one.endswith(b"]}") and b"[" in one]
    shape = zlib.crc32(b"".join(made)) % 5
    if shape == 0:
        return b"[%b]" % b",\n".join(made)
    if shape == 1:
        return b"\n".join(made)
    request_of_all = b'{"%b": [\n%b\n]}' % ([b"resourceSpans", b"batches"][shape % 2], b",\n ".join(inside))
    return b'{"trace":%b,"status":"COMPLETE"}' % request_of_all if shape == 4 else request_of_all


def main(first: int, count: int) -> int:
    """Compare many lines, alone and in documents; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
