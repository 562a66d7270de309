"""Mutated answers of X-Ray, as lines and as one document, read by both lanes: the result must be the same.

``python mutated_answers.py FIRST COUNT`` reads COUNT answers in batches, as ``test_native_sanitized.py`` does.
"""

import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from loading.xray.test_fast import ALONE, PLAIN, RECORDING, line, segment
from made_sets import content

from tracekit.loading import native, read, reading
from tracekit.pull.folder import read_lines

AT_ONCE = 250
EXPORTS = Path(__file__).parents[4] / "shared" / "data" / "exports"
RICH = segment(
    4,
    http={"request": {"method": "GET", "url": "http://a/\u00e9"}, "response": {"status": 500, "content_length": -1}},
    aws={"xray": {"sdk": "X-Ray for Go"}, "ec2": {"instance_id": "i-1"}},
    service={"version": "2"},
    origin="AWS::Lambda::Function",
    annotations={"a": 1, "b": "x\n", "c": True},
    metadata={"default": {"k": [1, {"z": None}]}, "flat": 0.5},
    user="u",
    precursor_ids=["p"],
    error=True,
    cause="e1",
    subsegments=[
        segment(5, name="Initialization", namespace="local"),
        segment(
            6,
            namespace="aws",
            fault=True,
            aws={"operation": "GetItem", "request_id": "R1", "table_names": ["t"]},
            cause={"exceptions": [{"id": "e1", "type": "T", "message": "m", "stack": [{"path": "p", "line": 3}]}]},
            subsegments=[segment(7, namespace="remote", inferred=True, sql={"url": "postgresql://u:p@db/shop"})],
        ),
    ],
)
FREE = {"http", "aws", "annotations", "metadata", "cause", "sql", "links", "user", "precursor_ids", "traced", "service"}
OTHERS = {
    "cause": ["e1", "e9", "", {"exceptions": []}],
    "links": [[None], []],
    "aws": [{"table_names": []}],
    "sql": [{}],
}
OTHERS |= {"metadata": [{"default": {"otel.resource.host.name": "h"}}], "annotations": [{str(n): n for n in range(40)}]}
DOCUMENTS = [RICH, *PLAIN.values(), *(one for one in ALONE.values() if isinstance(one, dict))]
ANSWERS = [json.loads(line(one, UnprocessedTraceIds=[], NextToken=None)) for one in DOCUMENTS]
ANSWERS[0]["Traces"][0] |= {"Duration": 1.5, "LimitExceeded": True}
WORDS = [b'"', b'\\"', b"\\", b"\\\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"-", b"0", b"e9", b".", b"1e5"]
WORDS += [b"\xff", b"\xc3\xa9", b"\0", b"\\u0000", b"\\\\u00e9", b"\\ud800", b"\\\\ud800", b"9" * 30, b"[" * 210, b"\r"]
WORDS += [b'\\"cause\\": \\"e1\\", ', b'\\"id\\": ', b'\\"subsegments\\": [', b'"Id":', b"true", b"\xed\xa0\x80"]


def _corpus() -> list[bytes]:
    """One line for every document, and of the recordings."""
    recorded = b"".join(read_lines(RECORDING)).splitlines()
    exported = [json.dumps(json.loads(path.read_bytes())).encode() for path in sorted(EXPORTS.glob("xray*.json"))]
    small = [
        json.dumps({"Traces": [trace]}).encode()
        for one in recorded[:10]
        for trace in json.loads(one).get("Traces", [])[:2]
    ]
    made = [json.dumps(answer).encode() for answer in ANSWERS]
    return [one for one in made + exported + small if len(one) < 8_000]


CORPUS = _corpus()


def _in_blocks(part: dict[str, Any], drawn: random.Random) -> dict[str, Any]:
    """Return a part with another order of its members, and something else in its blocks, flags and subsegments."""
    changed = {}
    for key in drawn.sample(list(part), len(part)):
        value = part[key]
        if key == "subsegments":
            changed[key] = [_in_blocks(one, drawn) for one in value if drawn.random() < 0.9]
        elif key in FREE and drawn.random() < 0.3:
            changed[key] = drawn.choice([None, *OTHERS.get(key, [])]) if drawn.random() < 0.2 else value
            if isinstance(value, dict) and drawn.random() < 0.7:
                inner = drawn.choice(list(value))
                changed[key] = value | {inner: _in_structure(value[inner], drawn), drawn.choice("abc"): drawn.random()}
        else:
            changed[key] = value
    for key in ("error", "fault", "throttle", "inferred", "in_progress"):
        if drawn.random() < 0.1:
            changed[key] = drawn.random() < 0.5
    return changed


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    kind = drawn.random()
    if kind < 0.4:  # a document within its answer
        if drawn.random() < 0.8:
            document: Any = _in_blocks(drawn.choice([RICH, RICH, *PLAIN.values()]), drawn)
        else:
            document = _in_structure(drawn.choice(DOCUMENTS), drawn)
        answer = json.loads(json.dumps(drawn.choice(ANSWERS[:3])))
        text = _spelled(document, drawn).decode(errors="replace")
        answer["Traces"][0]["Segments"][0] |= {"Id": "", "Document": text}
        data = json.dumps(answer, ensure_ascii=drawn.random() < 0.5).encode(errors="replace")
    elif kind < 0.6:
        data = _spelled(_in_structure(drawn.choice(ANSWERS), drawn), drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.4 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


def _read(lane: str, data: bytes, *, as_document: bool) -> object:
    """Return the content as one lane reads it, or the error."""
    shapes = mock.patch.object(reading, "shape", return_value="document" if as_document else "lines")
    with mock.patch.dict(os.environ, {native.SWITCH: lane}), shapes:
        try:
            return content(read(data, time_unit="ns", progress=False))
        except ValueError as error:
            return str(error)


def _differ(data: bytes, *, as_document: bool) -> bool:
    """Return whether the lanes read something differently."""
    return _read("compiled", data, as_document=as_document) != _read("python", data, as_document=as_document)


def _document(lines: list[bytes]) -> bytes:
    """Return the traces in some lines as one answer, as far as they have the beginning and the end of an answer."""
    begin, end = b'{"Traces": [', b"]}"
    items = [one[len(begin) : -len(end)] for one in lines if one.startswith(begin) and one.endswith(end)]
    return begin + b", ".join(item for item in items if item) + end


def differences(numbers: range) -> Iterator[int]:
    """Yield the numbers of answers that the lanes do not read alike, alone or with a good one around them."""
    good = line(segment(99)).rstrip()
    made = {number: mutated(number) for number in numbers}
    if _differ(b"\n".join([good, *made.values(), good]), as_document=False):
        alone = [number for number, one in made.items() if _differ(b"\n".join([good, one]), as_document=False)]
        yield from alone or [numbers.start]
    for start in range(0, len(made), 25):  # few: damage ends a document
        some = list(made)[start : start + 25]
        if _differ(_document([good, *(made[number] for number in some), good]), as_document=True):
            yield some[0]


def main(first: int, count: int) -> int:
    """Compare many answers; return how many differ."""
    found = 0
    for start in range(first, first + count, AT_ONCE):
        for number in differences(range(start, min(start + AT_ONCE, first + count))):
            found += 1
            print(f"mutated({number}) differs: {mutated(number)[:300]!r}", flush=True)  # noqa: T201 - a program
    print(f"{count:,} answers, {found} differ", flush=True)  # noqa: T201 - likewise
    return found


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
