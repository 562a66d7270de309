"""One slow instance: a host, pod or process that is slower than the others of its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.checks.names import KEYS as OPERATION
from tracekit.checks.patterns.occurrences import Pattern
from tracekit.checks.patterns.process_times import avoidable_ns, process_times
from tracekit.checks.patterns.sums import Occurrences
from tracekit.stats.grouping import dense_codes, group_rows
from tracekit.text import clean, duration

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from tracekit.checks.case import Case
    from tracekit.columns import Array

_LABELS: Final = {"k8s_pod_name": "pod", "host_name": "host", "service_instance_id": "instance"}
_FEWEST: Final = 10  # traces of an instance, and of the others
_SLOWER: Final = 1.5  # times the time of the others
_P: Final = 0.001  # for all instances of a recording together
_GRAIN_NS: Final = 1000  # added before logarithms: shorter times are alike


class _Instance(NamedTuple):
    """A slow instance: its spans, its name, and how many times the time of the others it takes."""

    row: Array
    name: str
    factor: float


def _detect(case: Case) -> Occurrences:
    """Return the spans of slow instances; the cost is the part of their self time beyond that of the others."""
    own = case.result(process_times)
    found = list(_slow(case, own))
    none = np.zeros(0, np.int64)
    row = np.concatenate([none, *(one.row for one in found)])
    length = [len(one.row) for one in found]
    factor = np.repeat(np.array([one.factor for one in found]), length)
    names = Codes(np.repeat(np.arange(len(found)), length), [one.name for one in found])
    return Occurrences(row, row, own[row], avoidable_ns(case, row, factor), names)


def _slow(case: Case, own: Array) -> Iterator[_Instance]:
    """Yield the slow instances of every service; times are compared within operations."""
    traces = case.traces
    row = np.flatnonzero((own > 0) & (traces.codes("service_name").codes >= 0))
    operation, _ = group_rows({name: traces.codes(name).take(row) for name in OPERATION}, len(row))
    took = np.log(own[row] + _GRAIN_NS)
    took -= pd.Series(took).groupby(operation).transform("median").to_numpy()
    service = traces.codes("service_name").codes[row]
    order = np.argsort(service, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(service[order])) + 1)
    tried = [(part, label, codes) for part in parts for label, codes in _instances(case, row[part])]
    count = sum(len(np.unique(codes.codes[codes.codes >= 0])) for _, _, codes in tried)
    for part, label, codes in tried:
        slow = _slower(traces.forest.trace[row[part]], took[part], codes.codes, _P / max(count, 1))
        for code, factor in slow.items():
            yield _Instance(row[part[codes.codes == code]], f"{_LABELS[label]} {codes.labels[code]}", factor)


def _instances(case: Case, row: Array) -> Iterator[tuple[str, Codes]]:
    """Yield the first label of which the spans of a service have several values."""
    for label in _LABELS:
        codes = case.traces.codes(label).take(row)
        if len(np.unique(codes.codes[codes.codes >= 0])) > 1:
            yield label, codes
            return


def _slower(trace: Array, took: Array, instance: Array, level: float) -> dict[int, float]:
    """Return how many times slower the slow instances are, by code; empty if they are the majority."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - slow to import, and needed only here

    known = np.flatnonzero(instance >= 0)
    traces = int(trace.max()) + 1
    pair, keys = dense_codes(
        instance[known].astype(np.int64) * traces + trace[known], (int(instance.max()) + 1) * traces
    )
    mean = np.bincount(pair, took[known]) / np.bincount(pair)
    where, request = keys // traces, keys % traces
    slow, distinct = {}, np.unique(where)
    for code in distinct.tolist():
        is_mine = where == code
        is_shared = np.zeros(traces, bool)
        is_shared[request[is_mine]] = True
        mine, others = mean[is_mine], mean[~is_shared[request]]
        if min(len(mine), len(others)) < _FEWEST:
            continue
        factor = float(np.exp(np.median(mine) - np.median(others)))
        if factor >= _SLOWER and mannwhitneyu(mine, others, alternative="greater").pvalue <= level:
            slow[code] = factor
    return slow if 2 * len(slow) <= len(distinct) else {}


def _say(row: Mapping[Hashable, Any]) -> str:
    """Return which instance is slow."""
    service, name = clean(row["service_name"], limit=80), clean(row["detail"], limit=80)
    return (
        f"Slow instance: {row['operation']} on {name} of {service} takes {duration(row['size_p50'])} of self time "
        "(median), longer than on the other instances,"
    )


SLOW_INSTANCES: Final = Pattern(
    "patterns.slow_instances",
    _detect,
    _say,
    remedy="Take the instance out of rotation; compare its node, neighbours, version and configuration with others.",
    method=(
        "Self times, without calls to other processes, within operations, one value per trace, tested by ranks at"
        " p <= 0.001 for all instances together, at least 1.5 times those of the others; cost: the part beyond them."
    ),
    whole="it ranks the self times of all traces of an instance",
)
