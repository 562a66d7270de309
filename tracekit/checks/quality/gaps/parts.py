"""Requests and traces by window: in total, and by service, zone, host and instance."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.gap_strata import Stratum
from tracekit.text import quoted
from tracekit.weights.tally import entry_rows, stratum_codes, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.columns import Array

ALL = "all"
AXES = {"cloud_availability_zone": "zone", "host_name": "host", "service_instance_id": "instance"}
"""Column of the request counts to the name of the part for which collection may fail, in addition to services."""
FEWEST_TRACES = 30


class Series(NamedTuple):
    """Requests and traces by window, in order of time.

    ``members`` are the entries (``entry_rows``) of the series, ``others`` the traces of the peers of a part.  With
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


def of_all(case: Case) -> Series:
    """Return requests and traces by window, of all services; without the entries, so that a store has it, too."""
    return _series(case, case.tally.bins, np.zeros(0, np.int64))


def scopes(case: Case) -> dict[str, Series]:
    """Return requests and traces by window: in total, and by service if requests are counted by service."""
    rows = entry_rows(case.traces, by_service=True)
    found = {ALL: of_all(case)._replace(members=np.arange(len(rows)))}
    assert case.counts is not None
    return found | (_counted(case, rows, "service_name") if "service_name" in case.counts.dimensions else {})


def parts(case: Case) -> list[dict[str, Series]]:
    """Return the series of zones, hosts and instances, from counts by part or else from the traces."""
    assert case.counts is not None
    found: list[dict[str, Series]] = []
    seen: list[Array] = []
    rows = entry_rows(case.traces, by_service=True)
    for axis, word in AXES.items():
        if axis in case.counts.dimensions:
            found.append({f"{word} {name}": one for name, one in _counted(case, rows, axis).items()})
            continue
        label = stratum_codes(case.traces, axis).take(rows)
        same = np.unique(label.codes, return_index=True, return_inverse=True)
        partition = np.where(label.codes >= 0, same[1][same[2]], -1)
        if any(np.array_equal(partition, other) for other in seen):
            continue
        seen.append(partition)
        found.append(_shares_of_services(case, rows, label, word))
    return [family for family in found if family]


def _counted(case: Case, rows: Array, axis: str) -> dict[str, Series]:
    """Return the series of parts with request counts of their own."""
    label = stratum_codes(case.traces, axis, case.counts).take(rows)
    code = {str(name): at for at, name in enumerate(label.labels)}
    groups = case.tally.bins.groupby(axis)
    return {
        str(name): _series(case, part, np.flatnonzero(label.codes == code.get(str(name), -2))) for name, part in groups
    }


def _series(case: Case, part: pd.DataFrame, members: Array) -> Series:
    """Return the series of some rows of the tally."""
    sums = part.groupby("start_ns")[["requests", "traces"]].sum().sort_index()
    start, requests = sums.index.to_numpy(), sums["requests"].to_numpy(np.float64)
    assert case.counts is not None
    ends = case.counts.frame.groupby("start_ns")["end_ns"].max().reindex(start).to_numpy()
    return Series(start, ends, requests, np.minimum(sums["traces"].to_numpy(np.float64), requests), members)


def _shares_of_services(case: Case, rows: Array, label: Codes, word: str) -> dict[str, Series]:
    """Return the parts of services with several parts, as shares of the traces of the service."""
    traces, wholes = case.traces, scopes(case)
    assert case.counts is not None
    window, starts = window_of(traces.columns.spans.start_ns[rows], case.counts)
    used = np.flatnonzero((window >= 0) & (label.codes >= 0))
    size = int(label.codes.max(initial=0)) + 1
    key = case.service.codes[rows[used]].astype(np.int64) * size + label.codes[used]
    order = np.argsort(key, kind="stable")
    pair, begin = np.unique(key[order], return_index=True)
    members = np.split(used[order], begin)[1:]
    recorded: dict[int, Array] = {}
    for of, inside in zip((pair // size).tolist(), members, strict=True):
        recorded[of] = recorded.get(of, 0) + np.bincount(window[inside], minlength=len(starts))
    found: dict[str, Series] = {}
    for (of, one), inside in zip((divmod(both, size) for both in pair.tolist()), members, strict=True):
        at = window[inside]
        if len(at) < FEWEST_TRACES or len(at) == recorded[of].sum():  # no peer to compare with
            continue
        name = str(case.service.labels[of]) if of >= 0 else ALL
        whole = wholes.get(name, wholes[ALL])
        bins = np.searchsorted(starts, whole.start_ns)
        own = np.minimum(np.bincount(at, minlength=len(starts))[bins].astype(np.float64), whole.requests)
        others = np.minimum(recorded[of][bins] - own, whole.requests - own)
        part = whole._replace(traces=own, members=inside, others=others)
        found[_unused(f"{word} {quoted(label.labels[one]).replace('`', '')}", f" of {name}", found)] = part
    return found


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
