"""Samples and issues of profiles while they are read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.errors import LoadError
from tracekit.loading.building.ledger import ROWS_PER_CODE
from tracekit.profile_samples import ProfileSamples

if TYPE_CHECKING:
    from tracekit.loading.profiles.labels import Ids

_LARGEST: Final = 2**53  # of one sample: 104 days in nanoseconds
_PREFERRED: Final = ("wall", "wall-time", "wall_time", "cpu", "cpu-time", "samples", "sample")


def chosen_value(types: list[tuple[str, str]], wanted: str | None, default: str = "") -> int:
    """Return which value of samples is read: the wanted one, otherwise wall time, CPU time, the default, the last."""
    names = [name for name, _ in types]
    if not names:
        raise ValueError("expected at least one sample type, found none")
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f"expected a value of {', '.join(names)}, found {wanted!r}")
        return names.index(wanted)
    return next((names.index(name) for name in (*_PREFERRED, default) if name in names), len(names) - 1)


class Collector:
    """Collects samples of several sources; ``strict`` raises at the first issue."""

    def __init__(self, *, strict: bool = False) -> None:
        self.source = ""
        self.strict = strict
        self.formats: dict[str, None] = {}
        self.value: tuple[str, str] | None = None
        self.zero_count = 0
        self._rows: list[tuple[int, int, int, int, int, int]] = []
        self._stacks: dict[tuple[str, ...], int] = {}
        self._issues: list[tuple[str, int, str, int]] = []
        self._issue_counts: Counter[str] = Counter()

    def begin(self, source: str) -> None:
        """Start a source."""
        self.source, self.zero_count = source, 0

    def describe(self, name: str, unit: str) -> None:
        """Set what the samples measure; ValueError if earlier ones measured something else."""
        if self.value not in {None, (name, unit)}:
            assert self.value is not None
            message = f"expected {' in '.join(self.value)} as in earlier profiles, found {name} in {unit}"
            raise ValueError(f"{message}; read them separately, or pass value= with a type that all have")
        self.value = name, unit

    def add(self, ids: Ids, weight: int, stack: tuple[str, ...]) -> None:
        """Add a sample; ValueError for a negative or impossible value."""
        if not 0 <= weight <= _LARGEST:
            raise ValueError(f"expected a value from 0 to 2**53, found {weight:,}")
        if not stack:
            raise ValueError("expected a stack of at least one function, found none")
        if not weight:
            self.zero_count += 1
            return
        self._rows.append((*ids, weight, self._stacks.setdefault(stack, len(self._stacks))))

    def issue(self, record: int, message: str, count: int = 1) -> None:
        """Add an issue of a record; LoadError if strict."""
        if self.strict:
            raise LoadError(f"{self.source}, record {record}: {message}", source=self.source, record=record)
        self._issue_counts[self.source] += 1
        if self._issue_counts[self.source] <= ROWS_PER_CODE:
            self._issues.append((self.source, record, message, count))

    def end(self, format_name: str) -> None:
        """Finish a source."""
        self.formats[format_name] = None
        if self.zero_count and self.value:
            message = f"samples with a value of 0 ({self.value[0]} in {self.value[1]}) were not counted"
            self._issues.append((self.source, 0, message, self.zero_count))
        beyond = self._issue_counts[self.source] - ROWS_PER_CODE
        if beyond > 0:
            self._issues.append((self.source, 0, f"and {beyond:,} more", beyond))

    def samples(self) -> ProfileSamples:
        """Return the samples of all sources."""
        columns = list(zip(*self._rows, strict=True)) or [()] * 6
        hi, lo, span, root = (np.array(column, np.uint64) for column in columns[:4])
        weight, stack = (np.array(column, np.int64) for column in columns[4:])
        issues = pd.DataFrame(self._issues, columns=["source", "record", "message", "issue_count"])
        issues = issues.astype({"record": "int64", "issue_count": "int64"})
        name, unit = self.value or ("samples", "count")
        found = "+".join(self.formats) or "none"
        return ProfileSamples(span, root, hi, lo, weight, stack, tuple(self._stacks), name, unit, issues, found)
