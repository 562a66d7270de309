"""The requests with more of what a finding is about than the baseline has, where p95 does not show whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tracekit.analysis.partials import in_memory
from tracekit.analysis.what_differs.selection import sides_of
from tracekit.checks.changes.affected import Band
from tracekit.checks.changes.own_values import own_values
from tracekit.checks.names import name_of
from tracekit.stats.quantiles import weighted_quantiles
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from typing import Any

    from tracekit.analysis.what_differs.selection import Side
    from tracekit.checks.overview import Overview
    from tracekit.checks.screen.made import Made
    from tracekit.columns import Array
    from tracekit.findings import Finding
    from tracekit.traces import TraceSet

_SHARE = 0.95
_NAME = 80


@dataclass(frozen=True)
class OwnBand(Band):
    """Requests that a finding is about.

    Parameters
    ----------
    chosen
        Which of ``now`` and ``was`` have more than the baseline.
    """

    chosen: tuple[Array, Array]

    @cached_property
    def sides(self) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
        """Requests with more and the others: of the current traces, and of the baseline."""
        now, was = (
            sides_of(traces, _spans_of(in_memory(traces), chosen))
            for traces, chosen in zip((self.now, self.was), self.chosen, strict=True)
        )
        return now, was

    @property
    def selection(self) -> Any:
        """Which spans are of a request with more."""
        return _spans_of(in_memory(self.now), self.chosen[0])

    @property
    def code(self) -> str:
        """The call that returns the services that explain the difference."""
        return "tk.suspects(before, traces)"


def _spans_of(traces: TraceSet, chosen: Array) -> Array:
    """Return the spans of the chosen traces."""
    return np.asarray(chosen[traces.forest.trace])


def own_band(made: Made, finding: Finding) -> OwnBand | None:
    """Return the requests with more time of what a finding is about, or failed calls; None for others, and stores."""
    changes = made.changes
    sides = None if changes is None else [_with_values(side, finding) for side in (changes.now, changes.before)]
    if changes is None or sides is None or any(one is None for one in sides):
        return None
    (now, value), (was, before) = (one for one in sides if one is not None)
    if not len(value) or not len(before):
        return None
    is_time = bool(before.max() > 1)
    limit = float(weighted_quantiles(before, was.weights.value, (_SHARE,))[0]) if is_time else 0.0
    place = _place(finding)
    verb = (f"spend more than {duration(limit)} in {place}, the p95 of the baseline", "do") if is_time else (
        f"have failed calls or spans of {place}", "have")  # fmt: skip
    names = ("with more", "the rest")
    what, noun = f"requests that reach {place}", f"{changes.now.counted}request"
    return OwnBand("", "", now, was, what, names, verb, noun, (value > limit, before > limit))


def _with_values(side: Overview, finding: Finding) -> tuple[TraceSet, Array] | None:
    """Return the requests of one side that have what a finding is about, with their values."""
    own = None if side.is_stored else own_values(side, finding)
    if own is None:
        return None
    is_time = bool((own.value > 1).any())
    has = own.has_value & ((own.value > 0) | (not is_time))
    return side.traces.where(has[side.traces.forest.trace]), np.asarray(own.value[has])


def _place(finding: Finding) -> str:
    """Return what a finding is about, in words."""
    numbers = finding.values
    if finding.check == "regressed":
        return name_of(finding.evidence.iloc[0])
    return clean(str(numbers.get("callee_service") or numbers["service_name"]), limit=_NAME)
