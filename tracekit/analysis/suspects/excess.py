"""How much time the best hypothesis about each service explains, and in which traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from tracekit.analysis.suspects.elements import Elements
    from tracekit.analysis.suspects.hypotheses import Hypotheses
    from tracekit.analysis.suspects.windows import Window
    from tracekit.columns import Array

_LEAST_TOOK: Final = 0.1  # of the present duration: what affected requests are taken to have needed before, at least


class Excess(NamedTuple):
    """One entry per service, except ``traces``.

    Parameters
    ----------
    total_ns
        Of all calls (weighted).
    each_ns
        Per affected trace.
    relative
        The excess that counts (``Elements.mass_ns``) per affected trace, divided by what the traces with such elements
        took without it.
    affected_count
        Traces affected, estimated: in each, the share of values that must have moved of the element that moved most.
    """

    total_ns: Array
    each_ns: Array
    relative: Array
    affected_count: Array


def excess_of(found: Elements, best: Hypotheses, now: Window) -> Excess:
    """Return the excess of the slower elements of the best hypotheses, relative to the traces that contain them."""
    services = len(now.names.service)
    counts = found.weight[best.element] > 0
    service, element = best.service[counts], best.element[counts]
    total = sum_by(service, (found.growth_ns * found.call_sum)[element], services)
    values = found.values  # noqa: PD011 - not a frame
    rows = np.flatnonzero(values.is_current)
    pairs = pd.DataFrame({"service": service, "element": element, "moved": found.moved_ratio[element]})
    pairs = pairs.merge(pd.DataFrame({"element": values.element[rows], "trace": values.trace[rows]}), on="element")
    traces = pairs.groupby(["service", "trace"])["moved"].max().reset_index()
    owner, trace = traces["service"].to_numpy(np.int64), traces["trace"].to_numpy(np.int64)
    moved = traces["moved"].to_numpy(float)
    weight = np.where(np.isnan(now.took_ns[trace]), 0.0, now.weight[trace])
    size = np.maximum(sum_by(owner, weight, services), 1e-9)
    took = sum_by(owner, weight * np.nan_to_num(now.took_ns[trace]), services) / size
    affected = np.maximum(sum_by(owner, weight * moved, services), 1e-9)
    added = sum_by(service, found.mass_ns[element], services)
    usual = np.maximum(np.maximum(took - added / size, _LEAST_TOOK * took), 1.0)
    relative = np.where(added > 0, added / affected / usual, 0.0)
    return Excess(total, total / affected, relative, sum_by(owner, moved, services))
