"""Requests and traces by window: in total, and by service, zone, host and instance."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import OFTEN, Rows
from tracekit.checks.merged import Merged
from tracekit.stats.gap_strata import Stratum
from tracekit.text import quoted
from tracekit.weights.tally import entry_rows, stratum_codes, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.weights.counts import Counts

ALL = "all"
AXES = {"cloud_availability_zone": "zone", "host_name": "host", "service_instance_id": "instance"}
"""Column of the request counts to the name of the part for which collection may fail, in addition to services."""
FEWEST_TRACES = 30
_SERVICE, _WINDOW = "service_name", "window"


class Series(NamedTuple):
    """Requests and traces by window, in order of time.

    ``members`` are the rows of ``entries`` of the series, ``others`` the traces of the peers of a part.  With
    ``others``, ``requests`` are those of the part and its peers together.

    Examples
    --------
    >>> Series(np.array([0]), np.array([60]), np.array([10.0]), np.array([1]), np.array([0])).traces
    array([1])
    """

    start_ns: Array
    end_ns: Array
    requests: Array
    traces: Array
    members: Array
    others: Array | None = None

    @property
    def stratum(self) -> Stratum:
        """The input of the scan."""
        return Stratum(self.traces, self.requests, self.others)

    def between(self, low: int, high: int) -> Series:
        """Return some of the windows."""
        others = None if self.others is None else self.others[low:high]
        start, end, requests, traces = (column[low:high] for column in self[:4])
        return Series(start, end, requests, traces, self.members, others)


@dataclass(frozen=True, eq=False)
class _EntriesOf:
    """Returns how many requests enter each service of a part, by window, zone, host and instance."""

    counts: Counts

    def __call__(self, case: Case) -> Rows:
        """Return those of a case."""
        rows = entry_rows(case.traces, by_service=True)
        window, _ = window_of(case.traces.columns.spans.start_ns[rows], self.counts)
        names = {axis: stratum_codes(case.traces, axis).take(rows) for axis in (_SERVICE, *AXES)}
        return Rows.of(names | {_WINDOW: window}).distinct()


def entries(case: Case) -> pd.DataFrame:
    """Return how many requests enter each service (``OFTEN``), by window (-1: outside all), zone, host and instance."""
    assert case.counts is not None
    found: Rows = case.result(Merged(_EntriesOf(case.counts), Rows.plus))
    return found.frame


def of_all(case: Case) -> Series:
    """Return requests and traces by window, of all services; without members."""
    return _series(case, case.tally.bins, np.zeros(0, np.int64))


def scopes(case: Case, cells: pd.DataFrame) -> dict[str, Series]:
    """Return requests and traces by window: in total, and by service if requests are counted by service."""
    found = {ALL: of_all(case)._replace(members=np.arange(len(cells)))}
    assert case.counts is not None
    return found | (_counted(case, cells, _SERVICE) if _SERVICE in case.counts.dimensions else {})


def parts(case: Case, cells: pd.DataFrame) -> list[dict[str, Series]]:
    """Return the series of zones, hosts and instances, from counts by part or else from the traces."""
    assert case.counts is not None
    found: list[dict[str, Series]] = []
    seen: list[Array] = []
    for axis, word in AXES.items():
        if axis in case.counts.dimensions:
            found.append({f"{word} {name}": one for name, one in _counted(case, cells, axis).items()})
            continue
        partition = pd.factorize(cells[axis])[0]
        if any(np.array_equal(partition, other) for other in seen):
            continue
        seen.append(partition)
        found.append(_shares_of_services(case, cells, axis, word))
    return [family for family in found if family]


def _counted(case: Case, cells: pd.DataFrame, axis: str) -> dict[str, Series]:
    """Return the series of parts with request counts of their own."""
    members = {str(name): np.asarray(rows) for name, rows in cells.groupby(axis).indices.items()}
    none = np.zeros(0, np.int64)
    groups = case.tally.bins.groupby(axis)
    return {str(name): _series(case, part, members.get(str(name), none)) for name, part in groups}


def _series(case: Case, part: pd.DataFrame, members: Array) -> Series:
    """Return the series of some rows of the tally."""
    sums = part.groupby("start_ns")[["requests", "traces"]].sum().sort_index()
    start, requests = sums.index.to_numpy(), sums["requests"].to_numpy(np.float64)
    assert case.counts is not None
    ends = case.counts.frame.groupby("start_ns")["end_ns"].max().reindex(start).to_numpy()
    return Series(start, ends, requests, np.minimum(sums["traces"].to_numpy(np.float64), requests), members)


def _shares_of_services(case: Case, cells: pd.DataFrame, axis: str, word: str) -> dict[str, Series]:
    """Return the parts of services with several parts, as shares of the traces of the service."""
    assert case.counts is not None
    wholes, starts = scopes(case, cells), np.unique(case.counts.frame["start_ns"])
    used = cells[(cells[_WINDOW] >= 0) & cells[axis].notna()]
    found: dict[str, Series] = {}
    for of, of_service in used.groupby(_SERVICE, dropna=False):
        name = ALL if pd.isna(of) else str(of)
        whole = wholes.get(name, wholes[ALL])
        bins, recorded = np.searchsorted(starts, whole.start_ns), _by_window(of_service, len(starts))
        for one, inside in of_service.groupby(axis):
            at = _by_window(inside, len(starts))
            if at.sum() < FEWEST_TRACES or at.sum() == recorded.sum():  # no peer to compare with
                continue
            own = np.minimum(at[bins], whole.requests)
            others = np.minimum(recorded[bins] - own, whole.requests - own)
            part = whole._replace(traces=own, members=inside.index.to_numpy(), others=others)
            found[_unused(f"{word} {quoted(str(one)).replace('`', '')}", f" of {name}", found)] = part
    return found


def _by_window(cells: pd.DataFrame, windows: int) -> Array:
    """Return the entries of some cells by window."""
    return np.bincount(cells[_WINDOW].to_numpy(), cells[OFTEN].to_numpy(), windows)


def _unused(name: str, of: str, taken: Mapping[str, Series]) -> str:
    """Return a name, numbered if another masked name is the same."""
    numbered = itertools.chain([f"{name}{of}"], (f"{name} {n}{of}" for n in itertools.count(2)))
    return next(text for text in numbered if text not in taken)


def trimmed(series: Series) -> tuple[Series, float]:
    """Return the windows from the first trace to the last, and the number of traces expected outside."""
    seen = np.flatnonzero(series.traces > 0)
    if not len(seen):
        return series.between(0, 0), 0.0
    low, high = int(seen[0]), int(seen[-1]) + 1
    inner = series.between(low + (low > 0), high - (high < len(series.traces)))
    outer = series.requests[:low].sum() + series.requests[high:].sum()
    share = inner.traces.sum() / max(inner.requests.sum(), 1)
    return inner, float(outer * share)
