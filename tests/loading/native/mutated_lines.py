"""Mutated lines of OTLP in every dialect, read by both lanes: the result must be the same.

``python mutated_lines.py FIRST COUNT`` reads COUNT lines in batches, as ``test_native_sanitized.py`` does.
"""

import itertools
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.otlp.test_compiled import ODD, STAYS
from loading.otlp.test_fast import HANDED_BACK
from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from made_sets import content
from otlp_made import attribute, ids, line, request, resource, span, text

from tracekit.loading import native, read

AT_ONCE = 250
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
    made = [line(record) for record in (RICH, *STAYS.values(), *ODD.values(), *HANDED_BACK.values())]
    recorded = sorted((ROOT / "datasets").rglob("*.jsonl"))
    exported = sorted((ROOT.parent / "shared" / "data" / "exports").glob("otlp*.json*"))
    for path in [*recorded, *exported]:
        with path.open("rb") as file:
            made += list(itertools.islice(file, 3))
    made += [json.dumps(json.loads(path.read_bytes())).encode() for path in exported if path.suffix == ".json"]
    return [one.replace(b"\n", b" ") for one in made if len(one) < 3_000]


CORPUS = _corpus()
RECORDS = [RICH, *(record for record in (*STAYS.values(), *HANDED_BACK.values()) if isinstance(record, dict))]
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
    return data.replace(b"\n", b" ")


def _read(lane: str, data: bytes) -> object:
    """Return the content of lines as one lane reads them, or the error."""
    os.environ[native.SWITCH] = lane
    try:
        return content(read(data, time_unit="ns", progress=False))
    except ValueError as error:
        return str(error)


def differences(numbers: range) -> Iterator[int]:
    """Yield the numbers of lines that the lanes do not read alike, alone or with a good line around them."""
    good = line(request(span(**ids(7), attributes=[text("k", "good")])))
    made = [mutated(number) for number in numbers]
    data = b"\n".join([good, *made, good])
    if _read("compiled", data) != _read("python", data):
        alone = [
            number
            for number, one in zip(numbers, made, strict=True)
            if _read("compiled", b"\n".join([good, one])) != _read("python", b"\n".join([good, one]))
        ]
        yield from alone or [numbers.start]


def main(first: int, count: int) -> int:
    """Compare many lines; return how many differ."""
    found = 0
    for start in range(first, first + count, AT_ONCE):
        for number in differences(range(start, min(start + AT_ONCE, first + count))):
            found += 1
            print(f"mutated({number}) differs: {mutated(number)[:300]!r}", flush=True)  # noqa: T201 - a program
    print(f"{count:,} lines, {found} differ", flush=True)  # noqa: T201 - likewise
    return found


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
