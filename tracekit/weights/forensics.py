"""Weights read off the trace ids alone: which sampler thinned them, at which rate, and which ids it would have kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.attributes import Codes
from tracekit.stats.step_scan import Step, step_scan
from tracekit.stats.step_slices import Part, step_slices
from tracekit.stats.tests import false_discovery
from tracekit.weights.id_maps import FIRST_BYTES, ID_MAPS, begins_with_time
from tracekit.weights.known import BEYOND
from tracekit.weights.xray_reservoir import Shares

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

FEWEST = 100
SURE = 0.001


class Family(NamedTuple):
    """A sampler family and the edge that ids show under its map; ``q`` is its p-value after Benjamini and Hochberg.

    Examples
    --------
    >>> Family("Python TraceIdRatio", 1e-30, Step(9.0, 1e-30, 0.1, 0.09, 0.11, 1.0, 0.0)).step.threshold
    0.1
    """

    name: str
    q: float
    step: Step


def families(high: Array, low: Array, *, begin_with_time: bool) -> list[Family]:
    """Return every sampler family with the edge that it would have left, the most likely first.

    Parameters
    ----------
    high, low
        Halves of the ids of one service and period, uint64; at least ten.
    begin_with_time
        Whether ids begin with the time, so that maps of the first bytes see time and no randomness.

    Returns
    -------
    list of Family
        Nine, or seven.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> high, low = rng.integers(0, 2**63, 9000, np.uint64), rng.integers(0, 2**64, 9000, np.uint64)
    >>> kept = low < np.uint64(2**64 // 20)
    >>> best = families(high[kept], low[kept], begin_with_time=False)[0]
    >>> print(f"{best.name} at {best.step.threshold:.3f}")
    Python TraceIdRatio at 0.050
    """
    names = [name for name in ID_MAPS if not (begin_with_time and name in FIRST_BYTES)]
    steps = [step_scan(ID_MAPS[name](high, low)) for name in names]
    q = false_discovery(np.array([step.p for step in steps]))
    found = [Family(name, float(adjusted), step) for name, adjusted, step in zip(names, q, steps, strict=True)]
    return sorted(found, key=lambda family: -family.step.llr)


def forensic_weights(traces: TraceSet) -> Shares | None:
    """Return weights by the rate that the ids of each root service show, 0 for ids that came another way.

    Parameters
    ----------
    traces
        Any traces; services that begin fewer than 100 of them are left out.

    Returns
    -------
    Shares or None
        None where no service's ids show an edge beyond one chance in a thousand.  Where the rate moved with time, each
        period has its own.  The relative error of a rate is about one over the number of traces.

    Examples
    --------
    >>> import pandas as pd
    >>> from tracekit import TraceSet
    >>> kept = [f"{7 * n:016x}{n << 57:016x}" for n in range(1, 128)]
    >>> ids = [text for text in kept if int(text[16:], 16) < 2**64 // 2]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5})
    >>> forensic_weights(TraceSet.from_spans(frame)) is None
    True
    """
    weight, source = np.full(len(traces), np.nan), np.full(len(traces), -1, np.int32)
    labels = [BEYOND]
    for _, rows in services_of_roots(traces):
        best = group_families(traces, rows)[0]
        if best.q > SURE:
            continue
        labels.append(f"forensics: {best.name}")
        for period in periods(traces, rows, best.name):
            inside = ID_MAPS[best.name](*ids_of(traces, period.at)) <= period.step.threshold
            weight[period.at] = np.where(inside, 1 / period.step.threshold, 0.0)
            source[period.at] = np.where(inside, len(labels) - 1, 0)
    return Shares(weight, Codes(source, labels), {}) if len(labels) > 1 else None


def periods(traces: TraceSet, rows: Array, family: str) -> list[Part]:
    """Return the traces that one rate of a sampler kept: all of them, or several parts where it moved with time.

    Parameters
    ----------
    traces
        Any traces.
    rows
        Numbers of those of one service.
    family
        The map that its ids have an edge under.

    Returns
    -------
    list of Part
        Numbers of traces, and the edge; the largest first.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> import pandas as pd
    >>> rng = np.random.default_rng(2)
    >>> rates = np.repeat([0.1, 0.4], 300)
    >>> ids = [f"{n + 1:016x}{int(u * 2**64):016x}" for n, u in enumerate(rng.random(600) * rates)]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": np.arange(600), "end_ns": 999})
    >>> shop = TraceSet.from_spans(frame)
    >>> [round(part.step.threshold, 1) for part in periods(shop, np.arange(600), "Python TraceIdRatio")]
    [0.1, 0.4]
    """
    ordered = rows[np.argsort(traces.columns.spans.start_ns[traces.forest.root_row[rows]], kind="stable")]
    found = step_slices(ID_MAPS[family](*ids_of(traces, ordered)))
    return [Part(np.sort(ordered[part.at]), part.step) for part in found]


def services_of_roots(traces: TraceSet) -> list[tuple[str, Array]]:
    """Return the services that begin at least a hundred traces, with those traces.

    Parameters
    ----------
    traces
        Any traces.

    Returns
    -------
    list of tuple
        Name and numbers of the traces, the most frequent service first.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> services_of_roots(TraceSet.from_spans(frame))
    []
    """
    service = traces.codes("service_name").take(traces.forest.root_row)
    count = np.bincount(service.codes[service.codes >= 0], minlength=len(service.labels))
    order = [int(code) for code in np.argsort(-count, kind="stable") if count[code] >= FEWEST]
    return [(service.labels[code], np.flatnonzero(service.codes == code)) for code in order]


def ids_of(traces: TraceSet, rows: Array) -> tuple[Array, Array]:
    """Return both halves of the ids of some traces.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"trace_id": ["a1"], "span_id": ["1"], "name": "x", "start_ns": 0, "end_ns": 5})
    >>> ids_of(TraceSet.from_spans(frame), np.array([0]))[1]
    array([161], dtype=uint64)
    """
    first = traces.forest.starts[:-1][rows]
    return traces.columns.spans.trace_hi[first], traces.columns.spans.trace_lo[first]


def group_families(traces: TraceSet, rows: Array) -> list[Family]:
    """Return ``families`` of some of the traces.

    Examples
    --------
    >>> from tracekit import TraceSet
    >>> import pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> ids = [f"{high:016x}{low:016x}" for high, low in rng.integers(1, 2**63, (120, 2))]
    >>> frame = pd.DataFrame({"trace_id": ids, "span_id": "1", "name": "x", "start_ns": 0, "end_ns": 5})
    >>> len(group_families(TraceSet.from_spans(frame), np.arange(120)))
    9
    """
    high, low = ids_of(traces, rows)
    start = traces.columns.spans.start_ns[traces.forest.root_row[rows]]
    return families(high, low, begin_with_time=begins_with_time(high, start))
