"""Mutated messages of OTLP protobuf, read by both lanes: the result must be the same.

``python mutated_messages.py FIRST COUNT`` reads COUNT messages in batches, also under sanitizers
(``tests/loading/native/test_sanitized.py``).
"""

import itertools
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from made_sets import content
from otlp_made import attribute, ids, request, resource, span, text
from protobuf_made import field, framed, protobuf, varint

from tracekit.errors import LoadError
from tracekit.loading import native, read
from tracekit.loading.protobuf.decode import MESSAGES
from tracekit.loading.protobuf.wire import LENGTH, VARINT, fields

AT_ONCE = 250
DATASETS = Path(__file__).parents[3] / "datasets"
VALUES = [
    {"stringValue": "/a/{id}"},
    {"intValue": "-7"},
    {"doubleValue": 0.1},
    {"boolValue": True},
    {"bytesValue": "AAEC"},
    {"arrayValue": {"values": [{"stringValue": "x"}, {"kvlistValue": {"values": [text("k", "v")]}}]}},
    {},
]
RICH = request(
    *(
        span(
            **ids(n),
            parentSpanId="ab" * 8,
            attributes=[attribute(f"a{i}", value) for i, value in enumerate(VALUES)],
            events=[{"timeUnixNano": str(n), "name": "e", "attributes": [attribute("n", VALUES[n])]}],
            links=[{"traceId": "ab" * 16, "spanId": "cd" * 8, "attributes": [text("b", "é")], "flags": 256}],
            status={"code": 2, "message": "failed"},
            traceState="ot=th:8",
            flags=257,
            droppedLinksCount=3,
        )
        for n in range(3)
    ),
    resource=resource(droppedAttributesCount=2),
    scope={"name": "lib", "version": "1", "attributes": [text("s", "1")]},
    schemaUrl="https://example.com",
)
GOOD = protobuf(request(span(**ids(7), attributes=[text("k", "good")])))
NUMBERS = [0, 1, 2, 127, 128, 2**31 - 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
BYTES = [b"", b"\0", b"\xff", b"\xc3", b"\x0a", b"\x12\x00", b"\x80" * 10, b"\x80" * 9 + b"\x02"]
BYTES += [b"\x0a\xff\xff\xff\x7f", b"\x0b", b"\x02\x00", b"\xed\xa0\x80", bytes(8), bytes(16)]
BYTES += [field(99, b"new"), field(99, 5), b"\x0a\x05" * 110]


def _corpus() -> list[bytes]:
    """Requests as protobuf, of the bundled recordings too."""
    made = [RICH, request(span(), resource=None), {"resourceSpans": [{}]}]
    for path in sorted(DATASETS.rglob("*.jsonl")):
        with path.open("rb") as file:
            made += [record for line in itertools.islice(file, 3) if "resourceSpans" in (record := json.loads(line))]
    return [data for record in made if len(data := protobuf(record)) < 3_000]


CORPUS = _corpus()


def _in_structure(data: bytes, drawn: random.Random, name: str = "") -> bytes:
    """Return a message with one field in it changed, and the lengths around it right."""
    parts = [(one, data[one.start : one.stop]) for one in fields(data, 0, len(data))]
    if not parts:
        return data + drawn.choice(BYTES)
    at = drawn.randrange(len(parts))
    one, raw = parts[at]
    member = MESSAGES[name].get(one.number) if name else None
    inside = "ResourceSpans" if not name else member.message if member else ""
    chance = drawn.random()
    if one.wire == LENGTH and inside and chance < 0.8:
        changed = [field(one.number, _in_structure(data[one.value : one.stop], drawn, inside))]
    elif one.wire == VARINT and chance < 0.5:
        changed = [field(one.number, drawn.choice(NUMBERS))]
    elif one.wire == LENGTH and chance < 0.5:
        changed = [field(one.number, _in_bytes(data[one.value : one.stop], drawn))]
    else:
        other = field(drawn.choice([1, 2, 3, 5, 16, 17, 1000]), drawn.choice([b"", b"abc", 7, 1.5]))
        changed = drawn.choice([[raw, raw], [], [raw, other], [varint(drawn.choice([1, 9, 17]) << 3 | 5) + bytes(4)]])
    made = [raw for _, raw in parts[:at]] + changed + [raw for _, raw in parts[at + 1 :]]
    if chance > 0.95:
        drawn.shuffle(made)
    return b"".join(made)


def _in_bytes(data: bytes, drawn: random.Random) -> bytes:
    """Return bytes with one place in them changed."""
    at, length = drawn.randrange(len(data) + 1), drawn.choice([1, 1, 2, 8, 64])
    flipped = bytes([data[at] ^ 1 << drawn.randrange(8)]) if at < len(data) else b""
    return drawn.choice(
        [
            data[:at] + flipped + data[at + 1 :],
            data[:at] + flipped + data[at + 1 :],
            data[:at],
            data[:at] + data[at + length :],
            data[:at] + data[at : at + length] * 2 + data[at + length :],
            data[:at] + drawn.choice(BYTES) + data[at:],
        ]
    )


def mutated(number: int) -> bytes:
    """Return the message of this number."""
    drawn = random.Random(number)
    data = drawn.choice(CORPUS)
    if drawn.random() < 0.6:
        return _in_structure(data, drawn)
    for _ in range(drawn.choice([1, 1, 2, 3])):
        data = _in_bytes(data, drawn)
    return data


def _read(lane: str, data: bytes) -> object:
    """Return the content of messages as one lane reads them, or the error."""
    before = os.environ.get(native.SWITCH, "")
    os.environ[native.SWITCH] = lane
    try:
        return content(read(data, time_unit="ns", progress=False))
    except (LoadError, ValueError) as error:
        return str(error)
    finally:
        os.environ[native.SWITCH] = before


def is_same(data: bytes) -> bool:
    """Return whether both lanes read bytes alike."""
    return _read("compiled", data) == _read("python", data)


def differences(numbers: range) -> Iterator[int]:
    """Yield the numbers of messages that the lanes do not read alike, in one file or alone."""
    made = [mutated(number) for number in numbers]
    if not is_same(framed(GOOD, *made, GOOD)):
        alone = [number for number, one in zip(numbers, made, strict=True) if not is_same(framed(GOOD, one))]
        yield from alone or [numbers.start]
    if not is_same(made[0]):
        yield numbers.start


def main(first: int, count: int) -> int:
    """Compare many messages; return how many differ."""
    found = 0
    for start in range(first, first + count, AT_ONCE):
        for number in differences(range(start, min(start + AT_ONCE, first + count))):
            found += 1
            print(f"mutated({number}) differs: {mutated(number)[:300]!r}", flush=True)  # noqa: T201 - a program
    print(f"{count:,} messages, {found} differ", flush=True)  # noqa: T201 - likewise
    return found


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
