"""Weights from the policies of a collector's ``tail_sampling``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes
from tracekit.schema import Quality, Status
from tracekit.weights.id_maps import tail_sampling_share
from tracekit.weights.known import BEYOND, CERTAIN
from tracekit.weights.xray_reservoir import Shares, root_attribute

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.rules import Rules, TailPolicy

DRAWN, EVERY = "tail policy, drawn", "tail policy, every trace"


def policy_weights(traces: TraceSet, rules: Rules) -> Shares:
    """Return the weights from tail policies.

    The weight of a trace that no policy explains (its id does not pass, and no deterministic policy keeps it) is
    unknown: the configuration was different. ``tailsampling.policy``, if recorded, names the deciding policy. If all
    traces were kept by deterministic policies (``Weights.is_one_kind``), they do not represent all traffic.
    """
    labels = [EVERY if _keeps_all(rules) else CERTAIN, DRAWN, BEYOND]
    drawn = [policy for policy in rules.tail if policy.kind == "probabilistic" and policy.probability > 0]
    passed = _passed(traces, drawn)
    rate = max((policy.probability for policy in drawn), default=0.0)
    is_certain = _certain(traces, rules)
    if all(policy.is_observable for policy in rules.tail):
        weight = np.where(is_certain, 1.0, np.where(passed, 1 / rate if rate else np.nan, np.nan))
        source = np.where(is_certain, 0, 1)
    elif drawn:
        weight, source = np.where(passed, 1 / rate, 0.0), np.where(passed, 1, 2)
    else:
        named = _named_certain(traces, rules)
        weight, source = np.where(named | is_certain, 1.0, np.nan), np.zeros(len(traces), np.int64)
    missing = np.isnan(weight)
    codes = Codes(np.where(missing, -1, source).astype(np.int32), labels)
    why = "no configured policy explains them"
    return Shares(weight, codes, {why: int(missing.sum())} if missing.any() else {})


def _keeps_all(rules: Rules) -> bool:
    """Return whether some policy keeps all traces."""
    return any(p.kind == "always_sample" or (p.kind == "probabilistic" and p.probability == 1) for p in rules.tail)


def _passed(traces: TraceSet, drawn: list[TailPolicy]) -> Array:
    """Return whether the id of each trace passes one of the probabilistic policies."""
    first = traces.forest.starts[:-1]
    high, low = traces.columns.spans.trace_hi[first], traces.columns.spans.trace_lo[first]
    passed = np.zeros(len(traces), bool)
    for policy in drawn:
        passed |= tail_sampling_share(high, low, policy.salt.encode()) <= policy.probability
    return passed


def _certain(traces: TraceSet, rules: Rules) -> Array:
    """Return which traces a deterministic policy keeps: failed, slow or all."""
    kept = np.zeros(len(traces), bool)
    for policy in rules.tail:
        if policy.kind == "always_sample":
            kept[:] = True
        elif policy.kind == "status_code":
            kept[traces.forest.trace[traces.columns.spans.status_code == Status.ERROR]] = True
        elif policy.kind == "latency":
            took = trace_duration_ns(traces)
            kept |= (took >= policy.slower_than_ns) & (took <= (policy.faster_than_ns or np.iinfo(np.int64).max))
    return kept


def _named_certain(traces: TraceSet, rules: Rules) -> Array:
    """Return which traces name a deterministic policy."""
    named = root_attribute(traces, "tailsampling.policy")
    certain = {policy.name for policy in rules.tail if policy.probability == 1}
    return np.array([label in certain for label in named.labels] + [False])[named.codes]


def trace_duration_ns(traces: TraceSet) -> Array:
    """Return the time from the first start to the last end of every trace in ns; -1 if unknown."""
    spans, starts = traces.columns.spans, traces.forest.starts[:-1]
    if not len(spans):
        return np.zeros(0, np.int64)
    most, least = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    begun = np.minimum.reduceat(np.where((spans.quality & Quality.NO_START) == 0, spans.start_ns, most), starts)
    ended = np.maximum.reduceat(np.where((spans.quality & Quality.NO_END) == 0, spans.end_ns, least), starts)
    known = (begun < most) & (ended > least)
    return np.where(known, np.where(known, ended, 0) - np.where(known, begun, 0), -1)
