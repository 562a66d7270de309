"""Spans of the current side that behave in a way that was rare before, and the service that each points to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.suspects.subtrees import callees
from tracekit.stats.grouping import distinct_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

_FULL_SHARE: Final = 0.15  # of the traces with an operation: deviations count fully from here on
HOW: Final = (
    "other child operations",
    "calls without an answer",
    "callers stop after it",
    "failing spans",
    "failing calls without an answer",
)
SHAPE, UNANSWERED, STOPPED, FAILING, FAILING_CALL = range(len(HOW))


@dataclass(frozen=True, slots=True)
class Deviations:
    """Deviating spans of the current side; one entry per span.

    Parameters
    ----------
    row
        The span.
    service
        Code of the service that it points to.
    how
        Index into ``HOW``.
    weight
        1 - baseline share / current share.
    p_value
        Of its group, adjusted for the number of groups tested.
    baseline_share, current_share
        Share of the traces with the operation that deviate in this way.
    baseline_count, current_count
        Traces with the operation.
    """

    row: Array
    service: Array
    how: Array
    weight: Array
    p_value: Array
    baseline_share: Array
    current_share: Array
    baseline_count: Array
    current_count: Array

    def strength(self, now: Window) -> Array:
        """Return by service, from 0 to 1, the part of the deviations that point to it."""
        services = len(now.names.service)
        traces = distinct_by(self.service, now.trace[self.row], services)
        share = np.zeros(services)
        group = self.service * len(now.names.operation) + now.operation[self.row]
        one = pd.DataFrame({"group": group, "trace": now.trace[self.row], "weight": self.weight}).drop_duplicates(
            ["group", "trace"]
        )
        total = one.groupby("group")["weight"].sum()
        of = pd.Series(self.current_count, index=group).groupby(level=0).max()
        np.maximum.at(share, total.index.to_numpy() // len(now.names.operation), (total / of).to_numpy(float))
        return np.asarray(np.minimum(1, share / _FULL_SHARE) * traces / max(traces.sum(), 1))


def usual_callees(before: Window) -> tuple[pd.Series, Array]:
    """Return by operation the service that answers its spans in the baseline, and the operations with several."""
    callee = callees(before)
    rows = callee >= 0
    found = pd.DataFrame({"plain": plain_labels(before)[rows], "callee": callee[rows]}).drop_duplicates()
    several = found["plain"].duplicated(keep=False)
    usual = found[~several].set_index("plain")["callee"]
    return usual, found.loc[several, "plain"].unique()


def plain_labels(window: Window) -> Array:
    """Return one number for service and operation of every span."""
    return np.asarray(window.service * len(window.names.operation) + window.operation)
