"""A segment document as one object, from typed or tolerant decoding.

``Segment`` is a segment or a subsegment.  ``decode`` is typed: it decodes the text of a document directly, with blocks
(``http``, ``aws``, ...) as raw JSON and times as exact decimals; it rejects irregular documents.  ``from_object``
accepts any JSON object, converts what it can and reports the rest.  ``decode_part`` also leaves the times as text, for
``fast``, which reads many documents at once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

LATEST_S = Decimal(2**63 // 10**9)  # the limit of 64-bit nanoseconds
NOTHING = Raw(b"")

_ZERO = Decimal(0)
NS_DIGITS = 9
_SPAN_DIGITS = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("id", "name", "namespace", "trace_id", "parent_id", "type", "origin", "resource_arn")
_TRUTHS = ("in_progress", "inferred", "error", "fault", "throttle")
_BLOCKS = (
    "http",
    "aws",
    "annotations",
    "metadata",
    "cause",
    "sql",
    "service",
    "links",
    "user",
    "precursor_ids",
    "traced",
)
_KNOWN = frozenset({*_TEXTS, *_TRUTHS, *_BLOCKS, "start_time", "end_time", "subsegments"})
_TRUE_FALSE = {"true": True, "false": False, 1: True, 0: False, None: False}


class Members(Struct, forbid_unknown_fields=True, gc=False):
    """The fields of both forms of a segment or subsegment; missing blocks are ``NOTHING``."""

    id: str
    name: str
    namespace: str | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    type: str | None = None
    origin: str | None = None
    resource_arn: str | None = None
    in_progress: bool = False
    inferred: bool = False
    error: bool = False
    fault: bool = False
    throttle: bool = False
    http: Raw = NOTHING
    aws: Raw = NOTHING
    annotations: Raw = NOTHING
    metadata: Raw = NOTHING
    cause: Raw = NOTHING
    sql: Raw = NOTHING
    service: Raw = NOTHING
    links: Raw = NOTHING
    user: Raw = NOTHING
    precursor_ids: Raw = NOTHING
    traced: Raw = NOTHING


class Segment(Members, gc=False):
    """A segment or subsegment."""

    start_time: Decimal | None = None
    end_time: Decimal | None = None
    subsegments: list[Segment] | None = None


class Part(Members, gc=False):
    """A segment or subsegment with times as raw JSON."""

    start_time: Raw = NOTHING
    end_time: Raw = NOTHING
    subsegments: list[Part] | None = None


class Problem(NamedTuple):
    """The problem of a field of a segment; ``is_lost``: a malformed subsegment, which is quarantined."""

    code: str
    field: str
    message: str
    is_lost: bool = False


class OddSegment(Segment, gc=False):
    """A tolerantly converted segment, with its unknown fields and problems."""

    unknown: dict[str, Any] = {}
    problems: list[Problem] = []


decode = msgspec.json.Decoder(Segment).decode
decode_part = msgspec.json.Decoder(Part).decode


def from_object(value: dict[str, Any]) -> OddSegment:
    """Return a JSON object as a segment, with problems for invalid fields."""
    root = _one(value)
    todo = [(root, value)]
    while todo:
        segment, content = todo.pop()
        inner = content.get("subsegments")
        if inner is None:
            continue
        if not isinstance(inner, list):
            segment.problems.append(_bad("subsegments", "a list", inner, "skipped"))
            continue
        pairs = [(_one(item), item) for item in inner if isinstance(item, dict)]
        segment.subsegments = [child for child, _ in pairs]
        lost = [item for item in inner if not isinstance(item, dict)]
        segment.problems += [_lost(item) for item in lost]
        todo += pairs
    return root


def _one(value: dict[str, Any]) -> OddSegment:
    """Return an object as a segment without its subsegments."""
    problems: list[Problem] = []
    members: dict[str, Any] = {"id": "", "name": ""}
    for key in _TEXTS:
        text = value.get(key)
        if isinstance(text, str):
            members[key] = text
        elif text is not None:
            members[key] = str(text)
            problems.append(_bad(key, "text", text, "its JSON was treated as text"))
    for key in _TRUTHS:
        if key in value:
            members[key] = _truth(key, value[key], problems)
    for key in ("start_time", "end_time"):
        members[key] = _seconds(key, value.get(key), problems)
    for key in _BLOCKS:
        if value.get(key) is not None:
            members[key] = Raw(json.dumps(value[key], default=float).encode())
    unknown = {key: content for key, content in value.items() if key not in _KNOWN}
    return OddSegment(**members, unknown=unknown, problems=problems)


def _truth(key: str, value: Any, problems: list[Problem]) -> bool:
    """Return a boolean from any notation."""
    known = _TRUE_FALSE.get(value.lower() if isinstance(value, str) else value) if _hashable(value) else None
    if known is None:
        problems.append(_bad(key, "true or false", value, "taken as false"))
    return bool(known)


def _hashable(value: Any) -> bool:
    """Return whether a JSON value is neither a list nor an object."""
    return not isinstance(value, (list, dict))


def _seconds(key: str, value: Any, problems: list[Problem]) -> Decimal | None:
    """Return seconds since the epoch as an exact number; None, with a problem, if they are invalid."""
    if value is None:
        return None
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return Decimal(value) if not isinstance(value, float) else Decimal(repr(value))
    if isinstance(value, str):
        try:
            return Decimal(value)
        except ArithmeticError:
            pass
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            zone = "" if moment.tzinfo else "; it names no time zone: UTC was assumed"
            message = f"expected seconds since the epoch, found {value!r}; read as a date{zone}"
            problems.append(Problem("TIME_STRING", key, message))
            past = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
            return Decimal(past.days * 86_400 + past.seconds) + Decimal(past.microseconds) / 10**6
    problems.append(_bad(key, "seconds since the epoch", value, "skipped"))
    return None


def _bad(field: str, expected: str, found: Any, done: str) -> Problem:
    """Return the problem of a field of the wrong type."""
    return Problem("ATTR_BAD", field, f"{_found(expected, found)}; {done}")


def _lost(found: Any) -> Problem:
    """Return the problem of a subsegment that is not an object."""
    return Problem("XR_DOC_NOT_JSON", "subsegments", _found("an object", found) + "; skipped", is_lost=True)


def _found(expected: str, found: Any) -> str:
    """Return the text about what was expected and found."""
    return f"expected {expected}, found {type(found).__name__} {found!r:.80}"


def exact_times(start: Decimal | None, end: Decimal | None) -> tuple[int, int] | None:
    """Return two times in seconds as exact nanoseconds, truncated; None unless they are a valid interval."""
    try:
        if start is not None and end is not None and _ZERO <= start <= end < LATEST_S:
            return int(start.scaleb(NS_DIGITS)), int(end.scaleb(NS_DIGITS))
    except ArithmeticError:  # not a number
        pass
    return None


def count_parts(root: Segment) -> int:
    """Return the number of segments and subsegments in a document."""
    count, todo = 0, [root]
    while todo:
        count += 1
        todo += todo.pop().subsegments or ()
    return count


def span_id_of(text: str) -> int:
    """Return 16 hex digits as an integer, 0 for anything else."""
    if len(text) == _SPAN_DIGITS and text.isascii() and text.isalnum():
        try:
            return int.from_bytes(bytes.fromhex(text))
        except ValueError:
            pass
    return 0
