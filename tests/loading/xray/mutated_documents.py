"""Mutated segment documents of X-Ray outside of answers, read by both lanes: the result must be the same.

Alone, in lists, one after the other, as the daemon receives them, in bodies of PutTraceSegments, and as objects in
traces.  ``python mutated_documents.py FIRST COUNT`` reads COUNT lines in batches, as ``test_native_sanitized.py`` does.
"""

import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.native.compared import EXPORTS, run
from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from loading.xray.mutated_answers import RICH, WORDS, _in_blocks
from loading.xray.test_fast import ALONE, OTHER, PLAIN, TRACE, segment

from tracekit.loading import native

__all__ = ["CORPUS", "main", "mutated", "native"]

BLOCKS = ("http", "aws", "annotations", "metadata", "cause", "sql", "links", "user", "precursor_ids", "traced")
HEADER = {"format": "json", "version": 1}
OTEL = segment(8, aws={"xray": {"sdk": "opentelemetry"}}, metadata={"default": {"otel.resource.host.name": "h"}})
FREE = segment(9, **dict.fromkeys((*BLOCKS, "service", "parent_id", "namespace")))
NUMBERS = segment(10, annotations={"a": 1.50, "b": -0.0, "c": 2**70, "d": 1e300}, metadata={"default": {"x": [1e5]}})
DOCUMENTS = [one | {"trace_id": TRACE} for one in (RICH, OTEL, FREE, NUMBERS, *PLAIN.values())]
ODD = [one | {"trace_id": TRACE} for one in ALONE.values() if isinstance(one, dict)]
WORDS = [*WORDS, b'"start_time"', b'"\\u0070entelemetry"', b'"trace_id": null, ', b"-0", b'"cause": "e1", ', b"true"]


def _in_shape(document: Any, drawn: random.Random) -> Any:
    """Return a document in one of the shapes that lines have."""
    others = drawn.choices(DOCUMENTS[:4], k=drawn.choice([0, 1, 2]))
    some = drawn.sample([document, *others], len(others) + 1)
    entries = [{"Id": "", "Document": one} for one in some]
    return drawn.choice(
        [
            *(document, document, document, some, some, HEADER | {"version": drawn.choice([1, 1, "1", None])}),
            {"TraceSegmentDocuments": [one if drawn.random() < 0.1 else json.dumps(one) for one in some]},
            {"Id": TRACE, "Segments": entries},
            {"Id": TRACE, "Duration": 0.5, "Spans": [{"Id": "", "Document": json.dumps(one)} for one in some]},
            {"Traces": [{"Id": TRACE, "Segments": entries}], "RetrievalStatus": "COMPLETE"},
            {"Traces": [{"Id": TRACE, "Segments": entries}]},
        ]
    )


def _corpus() -> list[bytes]:
    """One line for every document, in several shapes, and of the exports."""
    drawn = random.Random(0)
    files = [json.loads(path.read_bytes()) for path in sorted(EXPORTS.glob("xray*.json"))]
    made = [*DOCUMENTS, *ODD, *(_in_shape(one, drawn) for one in [*DOCUMENTS, *ODD] for _ in range(3)), *files]
    return [line for one in made if len(line := json.dumps(one).encode()) < 8_000]


CORPUS = _corpus()


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    kind = drawn.random()
    if kind < 0.4:
        document: Any = _in_blocks(drawn.choice(DOCUMENTS), drawn)
        document["trace_id"] = drawn.choice([TRACE] * 8 + [OTHER, OTHER.upper(), "a" * 32, "", None, 5])
        data = _spelled(_in_shape(document, drawn), drawn)
    elif kind < 0.65:
        document = drawn.choice([*DOCUMENTS, *ODD])
        if drawn.random() < 0.7:
            data = _spelled(_in_shape(_in_structure(document, drawn), drawn), drawn)
        else:
            data = _spelled(_in_structure(_in_shape(document, drawn), drawn), drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.4 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


GOOD = json.dumps(segment(99, trace_id=TRACE)).encode()


def document(lines: list[bytes]) -> bytes:
    """Return some lines as one list, one after the other, or as the traces of one answer."""
    whole = [one.strip() for one in lines if one.strip().startswith(b"{") and one.strip().endswith(b"}")]
    shape = zlib.crc32(b"".join(lines)) % 4
    if shape == 0:
        return b"\n\n".join(whole)
    if shape == 1:
        return b'{"RetrievalStatus": "COMPLETE", "Traces": [%b]}' % b",".join(
            one for one in whole if b'"Id"' in one[:8]
        )
    return b"[" + b",\n".join(whole) + b"]"


def main(first: int, count: int) -> int:
    """Compare many lines; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
