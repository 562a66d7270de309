"""Traces as the sampling rules kept them, one entry each, of all parts together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from tracekit.checks.merged import Merged
from tracekit.weights.known import BEYOND
from tracekit.weights.rules import Rules
from tracekit.weights.xray_reservoir import Decisions

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.columns import Array

_CLASSIC: Final = 0


@dataclass(frozen=True)
class KeptTraces:
    """Traces in the order of their ids, about 60 bytes each.

    Parameters
    ----------
    decisions
        What is recorded of their sampling decisions.
    failed, took_ns
        Of their roots; NaN for unknown durations.
    is_beyond
        Whether they are outside of the probability sample that their ids show.
    """

    decisions: Decisions
    failed: Array
    took_ns: Array
    is_beyond: Array

    def plus(self, other: KeptTraces) -> KeptTraces:
        """Return those of two parts."""
        decisions = self.decisions.followed_by(other.decisions)
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("failed", "took_ns", "is_beyond"))
        return KeptTraces(decisions, *(np.append(*pair) for pair in pairs))

    def where(self, rows: Array) -> KeptTraces:
        """Return some of them, in this order."""
        decisions = self.decisions.take(rows)
        return KeptTraces(decisions, self.failed[rows], self.took_ns[rows], self.is_beyond[rows])

    def __len__(self) -> int:
        return len(self.failed)

    @property
    def start_ns(self) -> Array:
        """Start of each root."""
        return self.decisions.start_ns

    @property
    def process(self) -> Array:
        """Number of the process of each trace, -1 if unknown."""
        return self.decisions.process.codes

    @property
    def is_of_one_process(self) -> bool:
        """Whether one process of a classic SDK decided for all of them."""
        is_one = len(self) and (self.process >= 0).all() and len(np.unique(self.process)) == 1
        return bool(is_one and (self.decisions.otel == _CLASSIC).all())


@dataclass(frozen=True)
class _KeptOf:
    """Returns the traces of a part with the numbers of some rules."""

    rules: Rules

    def __call__(self, case: Case) -> KeptTraces:
        """Return those of a case."""
        source = case.traces.weights.source
        beyond = np.array([label == BEYOND for label in source.labels] + [False])[source.codes]
        return KeptTraces(Decisions.of(case.traces, self.rules), case.failed, case.took_ns, beyond)


def _in_order(_: Case, kept: KeptTraces) -> KeptTraces:
    """Return the traces of all parts in the order of their ids, as in memory."""
    return kept.where(np.lexsort((kept.decisions.low, kept.decisions.high)))


def kept_traces(case: Case, rules: Rules | None) -> KeptTraces:
    """Return all traces with the numbers of the rules that kept them; of other rules in a pass of its own."""
    decisive = Rules() if rules is None else Rules(rules.head)  # what else X-Ray's have cannot be compared by hash
    merged: Merged[KeptTraces] = Merged(_KeptOf(decisive), KeptTraces.plus, _in_order)
    return case.result(merged)
