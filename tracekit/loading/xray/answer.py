"""The common shape of X-Ray on disk, one answer of BatchGetTraces a line, by typed decoding.

Whatever is not exactly that (other members, documents as objects, numbers as text) is refused with ValueError and goes
the tolerant way (``loading/xray/loader.py``).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

_OTHER = "expected an answer of BatchGetTraces, found something else; read it as any JSON"
_NUL = b"\\u0000"  # reported by the tolerant reader
_BEGINNING = 256  # bytes in which an answer names itself


class Entry(Struct, gc=False, forbid_unknown_fields=True):
    """A segment document as text."""

    Id: str
    Document: str


class Trace(Struct, gc=False, forbid_unknown_fields=True):
    """What X-Ray has of one trace."""

    Id: str
    Segments: list[Entry]
    Duration: int | float | None = None
    LimitExceeded: bool | None = None


class Answer(Struct, gc=False, forbid_unknown_fields=True):
    """An answer of BatchGetTraces; what the SDK adds about the call is of no use here."""

    Traces: list[Trace]
    UnprocessedTraceIds: list[str] | None = None
    NextToken: str | None = None
    ResponseMetadata: Raw = Raw(b"")


_decode = msgspec.json.Decoder(Answer).decode


def decode(data: bytes) -> Answer:
    """Return a line as an answer."""
    begins = data[:_BEGINNING]
    if (b'"Traces"' not in begins and b'"Unprocessed' not in begins) or _NUL in data:
        raise ValueError(_OTHER)
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError(_OTHER) from error


def as_record(answer: Answer) -> dict[str, Any]:
    """Return an answer as the record that a JSON parser would make of it."""
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
