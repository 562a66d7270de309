"""Mutated answers of X-Ray with documents of OpenTelemetry, read by both lanes: the result must be the same.

``python mutated_retrieved.py FIRST COUNT`` reads COUNT answers in batches, as ``test_native_sanitized.py`` does.
"""

import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[place]) for place in (1, 2)]  # also as a program of its own

from loading.native import mutated_lines as otlp
from loading.native.compared import run
from loading.native.flat_spans import FLAT, FLATS
from loading.test_loading_fuzz import _in_bytes, _in_structure, _spelled
from loading.xray.mutated_answers import RICH, WORDS
from loading.xray.test_fast import OTHER, TRACE

from tracekit.loading import native

__all__ = ["CORPUS", "main", "mutated", "native", "retrieved", "trace"]

STATUS = {"RetrievalStatus": "COMPLETE", "TraceFormat": "OTEL"}
PLAIN = [FLAT | {"spanId": f"{n:016x}", "attributes": {"n": n, "t": "\u00e9\n"}} for n in range(1, 40)]
MORE = {
    "Duration": [0.5, 2, None, "1", -1],
    "LimitExceeded": [True, False, None, 0],
    "Id": [OTHER, OTHER.upper(), "a" * 32, "", None, 5],
    "Colour": [1],
}
ROUND = {
    "NextToken": ["t", None, "", 5],
    "UnprocessedTraceIds": [[TRACE], [], None],
    "RetrievalStatus": ["COMPLETE", "RUNNING", "", None, 1],
    "TraceFormat": ["XRAY", None, {"a": [1]}],
    "ResponseMetadata": [{"a": [1]}],
    "Colour": [1],
}
WORDS = [
    *WORDS,
    b'\\"spanId\\": ',
    b'\\"resourceSpans\\": [',
    b'"Spans": [',
    b'"RetrievalStatus": "COMPLETE", ',
    b"\\n",
]


def trace(*documents: Any, **members: Any) -> dict[str, Any]:
    """Return a trace with documents as text, or as they are."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in documents]
    return {"Id": TRACE, "Duration": 1.5, "Spans": [{"Id": "a1", "Document": one} for one in texts]} | members


def retrieved(*traces: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return an answer with these traces."""
    return STATUS | {"Traces": list(traces)} | members


ANSWERS = [
    retrieved(trace(*PLAIN[:3])),
    retrieved(trace(otlp.RICH), trace(*FLATS[:2])),
    retrieved(trace(json.dumps(FLAT, indent=1)), trace(FLAT, RICH | {"trace_id": TRACE})),
    {"Traces": [trace(FLAT)]},
    trace(*PLAIN[:2]),
]


def _corpus() -> list[bytes]:
    """One line for every document and every answer."""
    alone = (retrieved(trace(one.decode("utf-8", "replace"))) for one in otlp.CORPUS)
    return [line for one in [*ANSWERS, *alone] if len(line := json.dumps(one).encode()) < 6_000]


CORPUS = _corpus()


def _document(drawn: random.Random) -> Any:
    """Return a document of a span, usually a regular one."""
    kind = drawn.random()
    if kind < 0.6:
        return drawn.choice(PLAIN)
    if kind < 0.7:
        return json.dumps(drawn.choice([*PLAIN, otlp.RICH]), indent=drawn.choice([0, 1]), ensure_ascii=False)
    if kind < 0.75:
        return drawn.choice(["", " ", "[]", "null", "{}", "\n", json.dumps(PLAIN[:2]), "{}\n", '{"a": "\n"}', RICH])
    how = drawn.choice(["replace", "replace", "surrogateescape"])
    return otlp.mutated(drawn.randrange(10**9)).decode("utf-8", how)


def _answer(drawn: random.Random) -> dict[str, Any]:
    """Return an answer with a few documents, and a few of its members changed."""
    traces = [
        trace(*(_document(drawn) for _ in range(drawn.choice([0, 1, 1, 2])))) for _ in range(drawn.choice([1, 2]))
    ]
    for some, about in ((MORE, traces[0]), (ROUND, None)):
        if drawn.random() < 0.2:
            key = drawn.choice(list(some))
            value = drawn.choice(some[key])
            if about is None:
                return retrieved(*traces, **{key: value})
            about[key] = value
    made = drawn.choice([retrieved(*traces), retrieved(*traces), {"Traces": traces}, traces[0]])
    return {key: made[key] for key in drawn.sample(list(made), len(made))} if drawn.random() < 0.3 else made


def mutated(number: int) -> bytes:
    """Return the line of this number."""
    drawn = random.Random(number)
    kind = drawn.random()
    if kind < 0.6:
        data = json.dumps(_answer(drawn), ensure_ascii=drawn.random() < 0.5).encode("utf-8", "surrogateescape")
    elif kind < 0.8:
        data = _spelled(_in_structure(drawn.choice(ANSWERS), drawn), drawn)
    else:
        data = drawn.choice(CORPUS)
        for _ in range(drawn.choice([1, 1, 2, 3])):
            at = drawn.randrange(len(data) + 1)
            data = _in_bytes(data, drawn) if drawn.random() < 0.4 else data[:at] + drawn.choice(WORDS) + data[at:]
    return data.replace(b"\n", b" ")


GOOD = json.dumps(retrieved(trace(PLAIN[-1]))).encode()


def document(lines: list[bytes]) -> bytes:
    """Return the traces of some lines as one answer, as far as lines have its beginning and end, or all in a row."""
    if zlib.crc32(b"".join(lines)) % 3 == 0:
        return b"\n\n".join(lines)
    before = b'"Traces": ['
    inside = [one[one.index(before) + len(before) : -2] for one in lines if before in one and one.endswith(b"]}")]
    traces = [one for one in lines if one.startswith(b'{"Id"') and one.endswith(b"]}")]
    return json.dumps(STATUS).encode()[:-1] + b", " + before + b",\n ".join(filter(None, [*inside, *traces])) + b"]}"


def main(first: int, count: int) -> int:
    """Compare many answers; return how many differ."""
    return run(first, count, mutated, GOOD, document)


if __name__ == "__main__":
    sys.exit(bool(main(*map(int, sys.argv[1:3]))))
