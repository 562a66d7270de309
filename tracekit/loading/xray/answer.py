"""Typed decoding of X-Ray's most common shape: one BatchGetTraces response per line.

Anything else (other fields, documents as objects, numbers as text) raises ValueError and is read by
the tolerant reader (``loading/xray/loader.py``).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

_OTHER = "expected an answer of BatchGetTraces, found something else; read it as any JSON"
_NUL = b"\\u0000"  # reported by the tolerant reader
_BEGINNING = 256  # bytes that contain the name of the first field


class Entry(Struct, gc=False, forbid_unknown_fields=True):
    """A segment document as text."""

    Id: str
    Document: str


class Trace(Struct, gc=False, forbid_unknown_fields=True):
    """One trace of X-Ray."""

    Id: str
    Segments: list[Entry]
    Duration: int | float | None = None
    LimitExceeded: bool | None = None


class Answer(Struct, gc=False, forbid_unknown_fields=True):
    """A response of BatchGetTraces; the SDK's metadata of the call is ignored."""

    Traces: list[Trace]
    UnprocessedTraceIds: list[str] | None = None
    NextToken: str | None = None
    ResponseMetadata: Raw = Raw(b"")


_decode = msgspec.json.Decoder(Answer).decode


def may_be_answer(data: bytes) -> bool:
    """Return whether a line begins like a response."""
    begins = data[:_BEGINNING]
    return b'"Traces"' in begins or b'"Unprocessed' in begins


def decode(data: bytes) -> Answer:
    """Return a line as a response."""
    if not may_be_answer(data) or _NUL in data:
        raise ValueError(_OTHER)
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError(_OTHER) from error


def as_record(answer: Answer) -> dict[str, Any]:
    """Return a response as parsed JSON."""
    return {
        "Traces": [_trace(trace) for trace in answer.Traces],
        "UnprocessedTraceIds": answer.UnprocessedTraceIds,
        "NextToken": answer.NextToken,
    }


def _trace(trace: Trace) -> dict[str, Any]:
    """Return a trace as a JSON object."""
    return {
        "Id": trace.Id,
        "Duration": trace.Duration,
        "LimitExceeded": trace.LimitExceeded,
        "Segments": [{"Id": entry.Id, "Document": entry.Document} for entry in trace.Segments],
    }
