"""The ledger of one source: how many spans were seen, accepted, merged and quarantined, and why.

Always ``seen = accepted + merged + quarantined``.  A record that cannot be read at all counts as one span.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tracekit.errors import LoadError
from tracekit.loading.building.catalogue import CATALOGUE
from tracekit.on_demand import pd
from tracekit.schema import names

if TYPE_CHECKING:
    from collections.abc import Callable

TOTALS = (  # the codes that ``finalise`` counts over the spans of a source, in its order
    *("TIME_UNIT", "DUP_IDENTICAL", "DUP_SUPERSEDED", "DUP_CONFLICT"),
    *("DUR_NEGATIVE", "DUR_ZERO", "DUR_ABSURD", "TIME_FUTURE", "TIME_ZERO", "TIME_MISSING_END"),
    *("CHILD_OUTSIDE_PARENT", "PARENT_MISSING", "PARENT_SELF", "PARENT_CYCLE", "MULTI_ROOT", "NO_ROOT"),
)
EXCERPT_CHARACTERS = 500
PULL_KEY = "tracekitPull"  # of lines about a pull, between its traces
_NOTHING = np.array([], object)  # of a column without rows
ROWS_PER_CODE = 1000  # beyond it one row counts the rest

_SECRET = re.compile(
    r"""((?:authorization|password|passwd|secret|token|api[_-]?key|access[_-]?key)["'\s:=]+(?:bearer\s+|basic\s+)?)[^\s"',;}]+"""
    r"""|(://[^\s"'/@:]*:)[^\s"'/@]+(?=@)""",  # the password in a connection's address
    re.IGNORECASE,
)


class Position(NamedTuple):
    """The position of a record in its source: its number from 1, and its byte offset after decompression."""

    record: int
    offset: int


NOWHERE = Position(0, 0)


class Issue(NamedTuple):
    """One row of ``traces.issues`` without its source."""

    code: str
    severity: str
    record_number: int | None
    byte_offset: int | None
    trace_id: str
    span_id: str
    field: str
    message: str
    raw_excerpt: str
    action: str
    issue_count: int

    @property
    def is_total(self) -> bool:
        """Whether ``finalise`` counted it over all spans of a source: it is about whole spans, not about a field."""
        return self.code in TOTALS and not self.field


def excerpt(raw: bytes | str) -> str:
    """Return at most 500 characters, secrets masked."""
    if not raw:
        return ""
    text = raw[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    text = text[: 2 * EXCERPT_CHARACTERS].encode("utf-8", "replace").decode()
    return _SECRET.sub(r"\1\2***", text)[:EXCERPT_CHARACTERS]


@dataclass
class Ledger:
    """Counts and issues of one source.

    Parameters
    ----------
    uri
        The source's name in messages.
    strict
        Raise at the first quarantined record or error.
    on_issue
        Called with every issue as it is found.
    """

    uri: str
    strict: bool = False
    on_issue: Callable[[Issue], object] | None = None
    compression: str = "none"
    byte_count: int = 0
    record_count: int = 0
    seen: int = 0
    merged: int = 0
    quarantined: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    dialects: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    complete: bool = True
    stop_reason: str = ""
    pull: list[dict[str, Any]] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    _rows: Counter[str] = field(default_factory=Counter)
    _beyond: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _tallies: dict[tuple[str, str, str], tuple[int, Position]] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Spans of this source in the set."""
        return self.seen - self.merged - self.quarantined

    @property
    def has_remarks(self) -> bool:
        """Whether there are issues or tallies; dialects are only counted."""
        return bool(self.issues or self._tallies)

    @property
    def is_silent(self) -> bool:
        """Whether there are no issues, tallies or dialects."""
        return not (self.has_remarks or self.dialects)

    def issue(
        self,
        code: str,
        message: str,
        *,
        at: Position = NOWHERE,
        action: str = "accepted",
        severity: str | None = None,
        trace_id: str = "",
        span_id: str = "",
        field: str = "",
        raw: bytes | str = "",
        count: int = 1,
        remedy: str | None = None,
    ) -> None:
        """Add one issue, with a remedy, by default that of its code; the counts of spans do not change.

        The message of an aborted source contains its own remedy; an issue lowered to ``info`` needs none.
        """
        severity = severity or CATALOGUE[code].severity
        is_harmless = severity == "info" != CATALOGUE[code].severity
        if remedy is None:
            remedy = "" if is_harmless or action == "aborted" else CATALOGUE[code].remedy
        where = f":{at.record} (byte {at.offset})" if at.record else ""
        names_ids = f" trace {trace_id}" * bool(trace_id) + f" span {span_id}" * bool(span_id)
        row = Issue(
            code,
            severity,
            at.record or None,
            at.offset if at.record else None,
            trace_id,
            span_id,
            field,
            f"{code} {self.uri}{where}{names_ids}: {message}{'; ' * bool(remedy)}{remedy}",
            excerpt(raw),
            action,
            count,
        )
        if self.on_issue is not None:
            self.on_issue(row)
        if self.strict and (action in {"quarantined", "aborted"} or severity == "error"):
            raise LoadError(row.message, source=self.uri, record=at.record or None, code=code)
        self._rows[code] += 1
        if self._rows[code] <= ROWS_PER_CODE:
            self.issues.append(row)
        else:
            key = (code, severity, action)
            self._beyond[key] = self._beyond.get(key, 0) + count

    def quarantine(
        self,
        code: str,
        message: str,
        *,
        at: Position = NOWHERE,
        trace_id: str = "",
        span_id: str = "",
        field: str = "",
        raw: bytes | str = "",
        count: int = 1,
        remedy: str | None = None,
    ) -> None:
        """Add an issue for a record or span that cannot be used, and count it as seen and quarantined."""
        self.seen += count
        self.quarantined += count
        self.issue(
            code,
            message,
            at=at,
            action="quarantined",
            trace_id=trace_id,
            span_id=span_id,
            field=field,
            raw=raw,
            count=count,
            remedy=remedy,
        )

    def tally(self, code: str, message: str, at: Position, count: int = 1, action: str = "accepted") -> None:
        """Count a frequent event: one issue at the end, with the first position."""
        before, first = self._tallies.get((code, message, action), (0, at))
        self._tallies[code, message, action] = (before + count, min(first, at))

    def close(self) -> None:
        """Add the issues of tallies, dialects and skipped signals at the end of the source."""
        for (code, message, action), (count, first) in sorted(self._tallies.items(), key=_first_place):
            often = f"; {count:,} times; this is the first" * (count > 1)
            self.issue(code, f"{message}{often}", at=first, count=count, action=action)
        self._tallies.clear()
        for signal, count in self.skipped.items():
            found = f"{count:,} record{'s' * (count != 1)} of {signal}"
            self.issue("SIGNAL_MIXED", f"expected traces only, found {found}, which were skipped", count=count)
        if sum(self.dialects.values()) and self.formats:
            counted = ", ".join(f"{name} ({count:,})" for name, count in sorted(self.dialects.items()))
            self.issue(
                "DIALECT",
                f"converted from other layouts: {counted}; no action needed",
                count=sum(self.dialects.values()),
            )

    def dialect(self, name: str, count: int = 1) -> None:
        """Count a spelling of the format."""
        self.dialects[name] += count

    def skip(self, signal: str, count: int = 1) -> None:
        """Count a record that is not trace data."""
        self.skipped[signal] += count

    def incomplete(self, reason: str) -> None:
        """Mark the source incomplete; the first reason is kept."""
        self.complete = False
        self.stop_reason = self.stop_reason or reason

    def all_issues(self) -> list[Issue]:
        """Return the issues, and a row that counts the rest of each code with too many."""
        rest = [
            Issue(code, severity, None, None, "", "", "", f"{code} {self.uri}: and {count:,} more", "", action, count)
            for (code, severity, action), count in self._beyond.items()
        ]
        return [*self.issues, *rest]

    def row(self) -> dict[str, Any]:
        """Return this source's row of ``traces.sources``."""
        return {
            "uri": self.uri,
            "format": "+".join(sorted(self.formats)) or "none",
            "dialects": " ".join(f"{name}={count}" for name, count in sorted(self.dialects.items())),
            "compression": self.compression,
            "byte_count": self.byte_count,
            "record_count": self.record_count,
            "span_count": self.seen,
            "accepted_count": self.accepted,
            "merged_count": self.merged,
            "quarantined_count": self.quarantined,
            "skipped_count": sum(self.skipped.values()),
            "complete": self.complete,
            "stop_reason": self.stop_reason,
            "pull": json.dumps(self.pull, separators=(",", ":")) if self.pull else "",
        }


def _first_place(tally: tuple[tuple[str, str, str], tuple[int, Position]]) -> tuple[Position, tuple[str, str, str]]:
    """Return the sort key of a tally: a chunk's lines are not read in their order."""
    return tally[1][1], tally[0]


def frames_later(ledgers: list[Ledger]) -> Callable[[str], pd.DataFrame]:
    """Return what makes ``sources`` or ``issues``, by name, of what the ledgers contain now."""
    sources, issues = [ledger.row() for ledger in ledgers], _issue_rows(ledgers)
    return lambda name: _sources(sources) if name == "sources" else _issues(issues)


def sources_frame(ledgers: list[Ledger]) -> pd.DataFrame:
    """Return ``traces.sources``: one row per ledger."""
    return _sources([ledger.row() for ledger in ledgers])


def _sources(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of ledgers as a frame."""
    columns: dict[str, Any] = {name: [row[name] for row in rows] or _NOTHING for name in names("sources")}
    columns["byte_count"] = pd.array(columns["byte_count"], "Int64")
    return pd.DataFrame(columns, pd.RangeIndex(len(rows), name="source_id"))


def issues_frame(ledgers: list[Ledger]) -> pd.DataFrame:
    """Return ``traces.issues``: the issues of all ledgers."""
    return _issues(_issue_rows(ledgers))


def _issue_rows(ledgers: list[Ledger]) -> list[tuple[Any, ...]]:
    """Return the issues of all ledgers, each with its source."""
    return [(*issue, source) for source, ledger in enumerate(ledgers) for issue in ledger.all_issues()]


def _issues(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return issues, each with its source, as a frame."""
    fields = (*Issue._fields, "source_id")
    values = dict(zip(fields, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(fields, ())
    columns: dict[str, Any] = {name: list(values[name]) or _NOTHING for name in names("issues")}
    kinds = {"source_id": "int32", "record_number": "Int64", "byte_offset": "Int64", "issue_count": "int64"}
    for name, kind in {**kinds, **dict.fromkeys(("code", "severity", "action"), "category")}.items():
        columns[name] = pd.array(columns[name], kind)
    return pd.DataFrame(columns, pd.RangeIndex(len(rows), name="issue_id"))
