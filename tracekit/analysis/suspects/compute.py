"""Suspects of a change, as tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.suspects.affected import affected
from tracekit.analysis.suspects.breakdown import COLUMNS as BREAKDOWN
from tracekit.analysis.suspects.breakdown import breakdown
from tracekit.analysis.suspects.evidence import COLUMNS as EVIDENCE
from tracekit.analysis.suspects.evidence import evidence
from tracekit.analysis.suspects.paths import COLUMNS as PATH
from tracekit.analysis.suspects.paths import Side, path_to
from tracekit.analysis.suspects.ranking import rank
from tracekit.analysis.suspects.recovery import undone
from tracekit.analysis.suspects.result import Suspects
from tracekit.analysis.suspects.table import COLUMNS, table
from tracekit.analysis.suspects.windows import windows
from tracekit.weights.comparability import comparability, shared_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.analysis.critical_path.result import CriticalPath
    from tracekit.traces import TraceSet
    from tracekit.weights.comparability import Comparability

_WITH_EVIDENCE, _WITH_PATH = 5, 3  # suspects


def compute(
    baseline: TraceSet,
    current: TraceSet,
    *,
    with_recovery: bool = False,
    path: CriticalPath | None = None,
    compared: Comparability | None = None,
) -> Suspects:
    """Return the suspects of a change, without sentences.

    ``path`` is that of the current traces, ``compared`` whether the sides may be compared, if these are known.
    """
    found = Suspects(
        table=pd.DataFrame(columns=list(COLUMNS)),
        evidence=pd.DataFrame(columns=list(EVIDENCE)),
        path=pd.DataFrame(columns=list(PATH)),
        breakdown=pd.DataFrame(columns=list(BREAKDOWN)),
        comparability=compared or comparability(baseline, current),
        tested_count=0,
        new_operation_count=0,
        baseline_count=len(baseline),
        current_count=len(current),
        shared_trace_count=shared_count(baseline, current),
    )
    if not found.comparability.is_comparable or not len(baseline) or not len(current):
        return found
    before, now = windows(baseline, current)
    ranking = rank(before, now)
    first = [int(service) for service in ranking.order[:_WITH_PATH]]
    calls = [affected(ranking, service, now) for service in first]
    parts = [breakdown(before, now, mine, service) for mine, service in zip(calls, first, strict=True)]
    sides = Side.of(before), Side.of(now)
    named = [part.assign(service_name=now.names.service[service]) for part, service in zip(parts, first, strict=True)]
    without = None
    if with_recovery and first:
        without = undone(before, now, ranking, first[0], critical_path(current) if path is None else path)
    return replace(
        found,
        table=table(ranking, now, calls, parts),
        evidence=evidence(ranking, ranking.order[:_WITH_EVIDENCE], now),
        path=_ranked([path_to(sides, *mine.shown) for mine in calls], PATH),
        breakdown=_ranked(named, BREAKDOWN),
        tested_count=ranking.tested_count,
        new_operation_count=ranking.new_operation_count,
        recovery=None if without is None else without.saved,
        without=None if without is None else without.requests,
        recorded_services=tuple(name for name in now.names.service if name),
    )


def _ranked(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Return the tables of the first suspects as one, with the rank of each."""
    found = [part.assign(rank=at + 1) for at, part in enumerate(tables) if len(part)]
    return pd.concat(found, ignore_index=True)[list(columns)] if found else pd.DataFrame(columns=list(columns))
