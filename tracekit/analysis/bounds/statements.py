"""Recorded requests that contradict what is stated about all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.analysis.bounds.unseen import FAILED, STATUS
from tracekit.text import duration, round_duration
from tracekit.weights.tally import stratum_codes

if TYPE_CHECKING:
    from tracekit.analysis.bounds.limits import Limits
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


class Longer(NamedTuple):
    """Requests that took longer than any is stated to take; those of parts add: their number, and the longest one."""

    number: int = 0
    took_ns: int = 0
    trace_id: str = ""

    def plus(self, other: Longer) -> Longer:
        """Return those of two parts; of equally long ones the first trace id."""
        worst = min(self, other, key=lambda one: (-one.took_ns, one.trace_id))
        return worst._replace(number=self.number + other.number)

    def check(self, limits: Limits) -> None:
        """Raise ValueError if there are any."""
        if self.number:
            raise ValueError(
                f"expected no request longer than {round_duration(limits.longest_ns)} (longest_ms), found"
                f" {self.number:,}: trace {self.trace_id} took {duration(float(self.took_ns))}"
            )


class NotAsStated(NamedTuple):
    """Requests that failed without status 5xx, or did not with it; those of parts add."""

    number: int = 0
    request_count: int = 0
    trace_id: str = ""
    words: str = ""

    def plus(self, other: NotAsStated) -> NotAsStated:
        """Return those of two parts, with the first trace id."""
        first = min((one for one in (self, other) if one.number), key=lambda one: one.trace_id, default=self)
        return first._replace(number=self.number + other.number, request_count=self.request_count + other.request_count)

    def check(self) -> None:
        """Raise ValueError if there are any."""
        if self.number:
            raise ValueError(
                "expected that exactly the requests with status 5xx failed (only_5xx_failed), found "
                f"{self.number:,} of {self.request_count:,} others: trace {self.trace_id} {self.words}"
            )


def longer_in(traces: TraceSet, root: Array, trace: Array, limits: Limits) -> Longer:
    """Return which requests took longer than is stated, by the rows of their root spans and traces."""
    took = np.where(traces.has_duration[root], traces.duration_ns[root], 0)
    longer = np.flatnonzero(took > limits.longest_ns)
    if not len(longer):
        return Longer()
    worst = longer[int(took[longer].argmax())]
    return Longer(len(longer), int(took[worst]), traces.trace_ids[int(trace[worst])])


def not_as_stated_in(traces: TraceSet, root: Array, trace: Array, limits: Limits) -> NotAsStated:
    """Return which requests contradict that exactly those with status 5xx failed, if that is stated."""
    if not limits.only_5xx_failed:
        return NotAsStated()
    status = stratum_codes(traces, STATUS).take(root)
    is_5xx = np.array([label == FAILED for label in status.labels] + [False])[status.codes]
    other = np.flatnonzero(is_5xx != traces.is_error[root])
    if not len(other):
        return NotAsStated(request_count=len(root))
    first = int(other[0])
    what = "failed" if traces.is_error[root[first]] else "did not fail"
    words = f"{what} with status {status.at(first)}"
    return NotAsStated(len(other), len(root), traces.trace_ids[int(trace[first])], words)
