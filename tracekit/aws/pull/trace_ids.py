"""Trace ids in X-Ray's format, and where they are read from."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tracekit.errors import PullError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_XRAY = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_PLAIN = re.compile(r"[0-9a-f]{32}")
_HEADER = re.compile(r"root=([^;,]+).*")
_FIRST_S, _DAY_S = 1_451_606_400, 86_400  # X-Ray began in 2016


def to_xray_id(trace_id: str) -> str:
    """Return a trace id in X-Ray's format."""
    text = trace_id.strip().lower()
    text = header[1] if (header := _HEADER.fullmatch(text)) else text
    if _PLAIN.fullmatch(text):
        return f"1-{text[:8]}-{text[8:]}"
    if _XRAY.fullmatch(text):
        return text
    message = (
        "expected a trace id as in 1-58406520-a006649127e371903a2de979, or 32 hexadecimal digits,"
        f" found {trace_id[:60]!r}; nothing was requested"
    )
    raise PullError(message)


def read_trace_ids(trace_ids: Iterable[str] | str | Path) -> Iterator[str]:
    """Yield the trace ids of a list, a string, or a file with one per line, in X-Ray's format."""
    if isinstance(trace_ids, Path):
        yield from _listed(trace_ids)
    else:
        parts = trace_ids.replace(",", " ").split() if isinstance(trace_ids, str) else trace_ids
        yield from map(to_xray_id, parts)


def _listed(file: Path) -> Iterator[str]:
    """Yield the trace ids of a file."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                yield from _of_line(line, f"line {number} of {file}")
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "not a text file"
        message = f"expected a file with one trace id per line, found {file}: {problem}; nothing was requested"
        raise PullError(message) from None


def _of_line(line: str, where: str) -> list[str]:
    """Return the trace ids of a line."""
    try:
        return list(map(to_xray_id, line.split()))
    except PullError as error:
        raise PullError(f"{where}: {error}") from None


def to_w3c_id(trace_id: str) -> str:
    """Return a trace id in the W3C format: 32 hex digits."""
    return trace_id.removeprefix("1-").replace("-", "")


def is_xray_id(text: str) -> bool:
    """Return whether a text is a trace id in X-Ray's format."""
    return _XRAY.fullmatch(text) is not None


def pack_ids(trace_ids: Iterable[str]) -> bytes:
    """Return the trace ids as sixteen bytes each."""
    return bytes.fromhex("".join(map(to_w3c_id, trace_ids)))


def unpack_ids(ids: bytes) -> list[str]:
    """Return the trace ids from sixteen bytes each, in X-Ray's format."""
    digits = ids.hex()
    return [f"1-{digits[low : low + 8]}-{digits[low + 8 : low + 32]}" for low in range(0, len(digits), 32)]


def start_second(trace_id: str) -> int | None:
    """Return the start of a trace from its id, in seconds since the epoch, or None if the id contains none."""
    second = int(trace_id[2:10], 16)
    return second if _FIRST_S <= second <= datetime.now(UTC).timestamp() + _DAY_S else None
