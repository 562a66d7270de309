"""What could not be read in log files: every problem is counted, the first of each kind with its position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import pandas as pd

from tracekit.errors import LoadError

Action = Literal["rejected", "repaired", "accepted", "aborted"]
_MOST: Final = 20  # problems of one kind in one source that are listed one by one
COLUMNS: Final = ["source", "line", "byte_offset", "code", "action", "message", "issue_count"]


@dataclass
class Issues:
    """The problems of all sources.

    Parameters
    ----------
    strict
        Raise LoadError at the first line that is rejected.
    """

    strict: bool = False
    _rows: list[list[object]] = field(default_factory=list)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _rest: dict[tuple[str, str], list[object]] = field(default_factory=dict)

    def add(
        self, source: str, line: int | None, offset: int | None, code: str, action: Action, message: str, count: int = 1
    ) -> None:
        """Count a problem: from the twenty-first of its kind on, in one row together."""
        if self.strict and action in {"rejected", "aborted"}:
            raise LoadError(f"{code} {source}, line {line or 0}: {message}", source=source, record=line, code=code)
        key = source, code
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= _MOST:
            self._rows.append([source, line, offset, code, action, message, count])
        elif key in self._rest:
            self._rest[key][-1] = int(str(self._rest[key][-1])) + count
        else:
            self._rest[key] = [source, line, offset, code, action, f"further ones, such as: {message}", count]
            self._rows.append(self._rest[key])

    def frame(self) -> pd.DataFrame:
        """Return one row per problem."""
        table = pd.DataFrame(self._rows, columns=COLUMNS)
        return table.astype({"line": "Int64", "byte_offset": "Int64", "issue_count": "int64"})
