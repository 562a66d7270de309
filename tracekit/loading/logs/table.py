"""Log lines as columns: raw values of records become times, ids, levels and cleaned messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.loading.logs.ids import ids_of_header, span_ids, trace_ids
from tracekit.loading.logs.times import resolution_of, times_of
from tracekit.text import VALUE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.logs.issues import Issues

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?")
_LEVELS: Final = {
    "WARNING": "WARN", "ERR": "ERROR", "SEVERE": "ERROR", "CRITICAL": "FATAL", "CRIT": "FATAL", "EMERG": "FATAL",
    "EMERGENCY": "FATAL", "ALERT": "FATAL", "PANIC": "FATAL", "INFORMATION": "INFO", "NOTICE": "INFO", "FINE": "DEBUG",
    "FINER": "DEBUG", "FINEST": "TRACE", "VERBOSE": "DEBUG", "DEFAULT": "", "E": "ERROR", "W": "WARN", "I": "INFO",
    "D": "DEBUG", "F": "FATAL",
}  # fmt: skip
_OF_SEVERITY: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")  # four numbers each, from 1 on
_LONGEST_NAME: Final = 1_000
_LONGEST_LEVEL: Final = 20
_LONGEST_ID: Final = 40  # characters; longer values are headers with a trace and a span
TEXTS: Final = ("level", "service_name", "host")


class Row(NamedTuple):
    """The values of one log line as they were recorded; ``kinds`` says what integers in them mean."""

    time: Any
    level: Any
    message: Any
    trace_id: Any
    span_id: Any
    service_name: Any
    host: Any
    line: int
    byte_offset: int
    kinds: dict[int, str] | None = None


def row_of(values: Iterable[Any], line: int, offset: int, kinds: dict[int, str] | None = None) -> Row:
    """Return the row with the values of the slots, in their order."""
    return Row._make((*values, line, offset, kinds))


@dataclass(frozen=True)
class LogLines:
    """Log lines of any number of sources.

    Parameters
    ----------
    frame
        One row per line: ``time_ns`` (``times.NO_TIME`` if missing), ``level``, ``service_name``, ``host``, ``message``
        (texts), ``trace_hi``, ``trace_lo``, ``span_id`` (0 = none), ``source`` (row of ``sources``), ``line`` and
        ``byte_offset`` of the record.
    sources
        One row per source: ``source``, ``format``, ``line_count`` (all that are not blank), and what became of them:
        ``accepted_count``, ``continued_count`` (part of the message above), ``rejected_count``; ``resolution_ns`` of
        its times, ``is_complete``.
    issues
        One row per problem: ``source``, ``line``, ``byte_offset``, ``code``, ``action``, ``message``, ``issue_count``.
    """

    frame: pd.DataFrame
    sources: pd.DataFrame
    issues: pd.DataFrame


@dataclass
class Table:
    """Collects the lines of one source.

    Parameters
    ----------
    source
        Its name.
    number
        Its row in the table of sources.
    issues
        Where problems are counted.
    """

    source: str
    number: int
    issues: Issues
    line_count: int = 0
    continued_count: int = 0
    rejected_count: int = 0
    accepted_count: int = 0
    naive_count: int = 0
    formats: dict[str, None] = field(default_factory=dict)
    parts: list[pd.DataFrame] = field(default_factory=list)

    def reject(self, line: int, offset: int, code: str, message: str) -> None:
        """Count a line that could not be read."""
        self.rejected_count += 1
        self.issues.add(self.source, line, offset, code, "rejected", message)

    def add(self, rows: Sequence[Row]) -> None:
        """Add lines in the order of the source."""
        if not rows:
            return
        self.accepted_count += len(rows)
        columns = dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))
        ids = self._ids(columns)
        times = times_of(columns["time"])
        self.naive_count += times.naive_count
        self._tell(columns, times.is_invalid, "TIME_BAD", "time", "joined by ids only")
        frame = {
            "time_ns": times.ns,
            "level": _names(levels(columns["level"], columns["kinds"])),
            "service_name": _names(columns["service_name"]),
            "host": _names(columns["host"]),
            "message": np.array(self._messages(columns), object),
            **ids,
            "source": np.full(len(rows), self.number, np.int32),
            "line": np.array(columns["line"], np.int64),
            "byte_offset": np.array(columns["byte_offset"], np.int64),
        }
        self.parts.append(pd.DataFrame(frame))

    def facts(self, *, is_complete: bool) -> dict[str, Any]:
        """Return the row of ``LogLines.sources``."""
        if self.naive_count:
            message = f"{self.naive_count:,} times name no time zone: UTC assumed"
            self.issues.add(self.source, None, None, "TIME_NO_ZONE", "accepted", message, self.naive_count)
        ns = np.concatenate([part["time_ns"].to_numpy() for part in self.parts] or [np.zeros(0, np.int64)])
        return {
            "source": self.source,
            "format": "+".join(self.formats),
            "line_count": self.line_count,
            "accepted_count": self.accepted_count,
            "continued_count": self.continued_count,
            "rejected_count": self.rejected_count,
            "resolution_ns": resolution_of(ns),
            "is_complete": is_complete,
        }

    def _ids(self, columns: dict[str, list[Any]]) -> dict[str, Array]:
        """Return the ids as numbers; an X-Ray header or traceparent also gives the span."""
        traces, spans, kinds = columns["trace_id"], columns["span_id"], columns["kinds"]
        pairs = enumerate(zip(traces, spans, strict=True))
        for at in [
            at for at, (value, span) in pairs if span is None and type(value) is str and len(value) > _LONGEST_ID
        ]:
            spans[at] = ids_of_header(traces[at])[1]
        decimal = [_is_decimal(kinds, slot) for slot in (Row._fields.index("trace_id"), Row._fields.index("span_id"))]
        high, low, bad_trace = trace_ids(traces, decimal[0])
        span, bad_span = span_ids(spans, decimal[1])
        self._tell(columns, bad_trace, "ID_BAD", "trace_id", "treated as missing")
        self._tell(columns, bad_span, "ID_BAD", "span_id", "treated as missing")
        return {"trace_hi": high, "trace_lo": low, "span_id": span}

    def _messages(self, columns: dict[str, list[Any]]) -> list[str]:
        """Return messages without terminal control codes, at most 32,768 characters each."""
        messages = columns["message"]
        found = [one if type(one) is str and one.isascii() else _text(one) for one in messages]
        for at in [at for at, text in enumerate(found) if "\x1b" in text]:
            found[at] = _ANSI.sub("", found[at][: 4 * VALUE_LIMIT])
            self._note(columns, at, "TEXT_ANSI", "terminal control codes were removed from the message")
        for at in [at for at, text in enumerate(found) if len(text) > VALUE_LIMIT]:
            size = f"{len(found[at]):,}"
            found[at] = found[at][:VALUE_LIMIT]
            message = f"expected a message of at most {VALUE_LIMIT:,} characters, found {size}; the rest is left out"
            self._note(columns, at, "MESSAGE_LONG", message)
        return found

    def _tell(self, columns: dict[str, list[Any]], is_bad: Array, code: str, name: str, what: str) -> None:
        """Count values that could not be read."""
        for at in np.flatnonzero(is_bad):
            self._note(columns, int(at), code, f"expected a {name}, found {columns[name][at]!r:.60}; {what}")

    def _note(self, columns: dict[str, list[Any]], at: int, code: str, message: str) -> None:
        """Count a problem of a line that is kept."""
        line, offset = columns["line"][at], columns["byte_offset"][at]
        self.issues.add(self.source, line, offset, code, "repaired", message)


def levels(values: Sequence[Any], kinds: Sequence[dict[int, str] | None]) -> list[str | None]:
    """Return log levels in OpenTelemetry's names; unknown ones as they are, in capitals."""
    known: dict[tuple[Any, str], str | None] = {}
    found: list[str | None] = []
    for value, kind in zip(values, kinds, strict=True):
        if value is None or type(value) is list or type(value) is dict:
            found.append(None)
            continue
        key = value, (kind or {}).get(1, "")
        if key not in known:
            known[key] = _level(*key)
        found.append(known[key])
    return found


def _level(value: Any, kind: str) -> str | None:
    """Return a level; numbers are those of OpenTelemetry, Python, or pino and bunyan, depending on the field."""
    text = str(value).strip().strip("[]").upper()
    if not text.isascii() or not text.isdigit():
        return _LEVELS.get(text, text[:_LONGEST_LEVEL]) or None
    number = int(text[:4])
    if kind == "severitynumber":
        return _OF_SEVERITY[(number - 1) // 4] if 1 <= number <= 24 else None  # noqa: PLR2004 - the numbers of OTLP
    step = number // 10 - (0 if kind == "levelno" else 1)
    return _OF_SEVERITY[min(step, 5)] if step >= 0 else None


def _names(values: Sequence[Any]) -> pd.Categorical:
    """Return names of services, hosts or levels as a categorical."""
    plain = [one if type(one) is str or one is None else _text(one) for one in values]
    known: dict[str | None, int] = {None: -1, "": -1}
    codes = np.array([known.setdefault(one, len(known) - 2) for one in plain], np.int32)
    labels = [_text(one)[:_LONGEST_NAME] for one in list(known)[2:]]
    distinct = dict.fromkeys(labels)
    if len(distinct) < len(labels):  # equal at the length that is kept
        order = {label: at for at, label in enumerate(distinct)}
        codes = np.array([*(order[label] for label in labels), -1], np.int32)[codes]
    return pd.Categorical.from_codes(codes, pd.Index(list(distinct), dtype=object))


def _is_decimal(kinds: Sequence[dict[int, str] | None], slot: int) -> Array:
    """Return in which rows the id in a slot is decimal."""
    if kinds.count(None) == len(kinds):
        return np.zeros(len(kinds), bool)
    return np.array([kind is not None and kind.get(slot) == "decimal" for kind in kinds], bool)


def _text(value: Any) -> str:
    """Return any value as text that can be encoded."""
    if value is None:
        return ""
    text = value if type(value) is str else str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def concatenated(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the lines of all sources."""
    if not parts:
        return _empty()
    found = {}
    for name in parts[0]:
        pieces = [part[name] for part in parts]
        found[name] = _united(pieces) if name in TEXTS else np.concatenate([piece.to_numpy() for piece in pieces])
    return pd.DataFrame(found)


def _united(pieces: Sequence[pd.Series]) -> pd.Categorical:
    """Return categoricals in one."""
    labels: dict[str, int] = {}
    codes = []
    for piece in pieces:
        known = np.array([*(labels.setdefault(label, len(labels)) for label in piece.cat.categories), -1], np.int32)
        codes.append(known[piece.cat.codes])
    return pd.Categorical.from_codes(np.concatenate(codes), pd.Index(list(labels), dtype=object))


def _empty() -> pd.DataFrame:
    """Return a table without lines."""
    none = np.zeros(0, np.int64)
    names = {name: pd.Categorical([], pd.Index([], dtype=object)) for name in TEXTS}
    ids = {name: none.astype(np.uint64) for name in ("trace_hi", "trace_lo", "span_id")}
    texts = {"message": np.zeros(0, object)}
    places = {"source": none.astype(np.int32), "line": none, "byte_offset": none}
    return pd.DataFrame({"time_ns": none, **names, **texts, **ids, **places})
