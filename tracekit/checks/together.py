"""What several checks need of a store, read in rounds: each round reads every part once, for all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tracekit.loading.store.trace_store import TraceStore

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.loading.store.rounds import Rounds


def read_by(rounds: Rounds, case: Case) -> Case:
    """Return the case with its stores read in rounds."""
    baseline = None if case.baseline is None else read_by(rounds, case.baseline)
    source = rounds.of(case.source) if isinstance(case.source, TraceStore) else case.source
    return replace(case, source=source, baseline=baseline)
