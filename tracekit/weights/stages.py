"""Several samplers in sequence: the product of their weights if all are known, otherwise unknown.

Recorded sampling attributes are compared with each other (``combined``) and with the ids (``checked``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes
from tracekit.stats.step_scan import step_scan
from tracekit.text import ratio
from tracekit.weights.id_edges import SURE, RootIds, ids_of, sampler_edges, services_of_roots
from tracekit.weights.id_maps import ID_MAPS, SEEN_BITS, TAIL_SALT
from tracekit.weights.known import MARKS, Weights
from tracekit.weights.tail_policies import policy_weights
from tracekit.weights.trace_state import THRESHOLD_SOURCE, by_text, randomness
from tracekit.weights.xray_reservoir import root_attribute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.id_edges import Family
    from tracekit.weights.rules import Rules

_POLICY, _TAIL, _RULE, _XRAY, _RATE = "tailsampling.policy", "tail policy", "rule", "x-ray rule", "SampleRate"
_CONSISTENT, _COLLECTOR = "OpenTelemetry consistent sampling", "collector"
_KINDS = (*MARKS, _RULE, _XRAY, _TAIL)
_ROUNDING, _MARGIN, _STRANGERS = 0.5, 1.1, 0.01
_FEWEST = 20  # detecting a second sampler needs fewer traces than estimating weights


def combined(
    traces: TraceSet, found: Weights, marks: Mapping[str, Array], rules: Rules | None, *, is_chosen: bool = False
) -> Weights:
    """Return weights from all known samplers, unknown where another sampler is involved.

    A recorded weight of 1 is not a stage. Records that agree up to rounding are one stage, recorded twice; others are
    rejected. Tail policies apply after head sampling, so their weights multiply with those of the tracestate or of a
    Jaeger tag; a SampleRate may include them or not.
    """
    by_mark = found.is_from(*marks)
    stack = np.array([np.where(one > 1, one, np.nan) for one in marks.values()]).reshape(len(marks), len(traces))
    least, most = np.fmin.reduce(stack, initial=np.inf), np.fmax.reduce(stack, initial=1.0)
    differ = by_mark & (most > _MARGIN * least) & (most > least + _ROUNDING)
    value = np.where(by_mark & (found.value > 0), most, found.value)
    found = Weights(value, found.source, found.refusal)
    if differ.any():
        names = [name for name, one in zip(marks, stack, strict=True) if (~np.isnan(one[differ])).any()]
        why = f"{' and '.join(names)} record different rates; choose the one that includes both, or pass weights"
        found = found.refused(differ, why)
    if rules is not None and rules.tail:
        found = _with_tail(traces, found, [name for name in marks if name != _RATE], rules)
    elif not is_chosen:
        tail = (root_attribute(traces, _POLICY).codes >= 0) & found.is_from(*marks, _RULE, _XRAY)
        found = found.refused(tail, f"{_POLICY} shows a tail sampler after the first sampler; pass its policies too")
    return checked(traces, found, np.where(found.is_from(_TAIL), 1.0, np.where(by_mark, most, found.value)), rules)


def _with_tail(traces: TraceSet, found: Weights, firsts: list[str], rules: Rules) -> Weights:
    """Return the product of recorded weights and those of tail policies, unknown if their relation is unknown."""
    if rules.head:
        why = f"{rules.head[0].name} and tail_sampling are both configured; pass the combined weights"
        return found.refused(found.known & (found.value > 0), why)
    why = "SampleRate and tail policies are both present; whether one includes the other is not recorded"
    first, found = found.is_from(*firsts), found.refused(found.is_from(_RATE), why)
    if not first.any():
        return found
    tail, labels = policy_weights(traces, rules), found.source.labels
    lost = first & np.isnan(tail.weight)
    pairs = [f"{name}, {kind}" for name in labels for kind in tail.source.labels]
    pair = len(labels) + found.source.codes * len(tail.source.labels) + tail.source.codes
    codes = np.where(first & ~lost, pair, found.source.codes).astype(np.int32)
    value = np.where(first & ~lost, found.value * tail.weight, found.value)
    found = Weights(value, Codes(codes, [*labels, *pairs]), found.refusal)
    found = found.refused(lost, "no configured policy explains why some traces were kept")
    service = traces.codes("service_name").take(traces.forest.root_row).codes
    alone = found.is_from(_TAIL) & np.isin(service, service[first])
    return found.refused(alone, "only some traces of a service record the rate of its first sampler")


def checked(traces: TraceSet, found: Weights, first: Array, rules: Rules | None = None) -> Weights:
    """Return the weights, unknown for each service with ids that contradict its declared sampler.

    Under the map of the declared sampler the ids, divided by its rate, are uniform on 0 to 1; under every other map
    they are uniform. Edges at a power of two may result from the id format and are ignored.
    """
    kept = found.value > 0
    ids = RootIds.of(traces)
    for service, rows in services_of_roots(ids, _FEWEST):
        for kind in _KINDS:
            chosen = rows[(found.is_from(kind) & kept)[rows]]
            if len(chosen) >= _FEWEST and (why := _contradiction(traces, ids, chosen, kind, first[chosen], rules)):
                at = np.isin(np.arange(len(traces)), rows) & found.is_from(kind)
                found = found.refused(at, f"{kind} says how {service} was sampled, and {why}")
    return found


def _contradiction(traces: TraceSet, ids: RootIds, rows: Array, kind: str, first: Array, rules: Rules | None) -> str:
    """Return how the ids contradict the source of their weights; empty if they agree."""
    if kind == THRESHOLD_SOURCE and (wrong := _rejected(traces, ids, rows, first)) > _STRANGERS:
        return f"{ratio(wrong)} of its ids are beyond the recorded thresholds; pass weights or rules"
    is_central = rules is not None and any(rule.quota or rule.is_shared for rule in rules.head)
    for edge in sampler_edges(ids, rows):
        if edge.ends_with_a_bit:
            continue
        if not _explained(ids, rows, edge, first, rules, collector=kind == _RULE and not is_central):
            rate = f"{edge.name} at {ratio(edge.step.threshold)}"
            return f"its ids show another sampler or rate ({rate}); pass the rules of both"
    return ""


def _rejected(traces: TraceSet, ids: RootIds, rows: Array, first: Array) -> float:
    """Return the fraction of traces with an id that their recorded threshold rejects."""
    state = traces.columns.spans.trace_state[traces.forest.root_row[rows]]
    by_id = np.isnan(by_text(state, traces.columns.texts, randomness))
    above = ID_MAPS[_CONSISTENT](*ids_of(ids, rows)) * first > _MARGIN
    return float(above[by_id].mean()) if by_id.any() else 0.0


def _explained(ids: RootIds, rows: Array, edge: Family, first: Array, rules: Rules | None, *, collector: bool) -> bool:
    """Return whether a recorded or declared sampler explains this edge."""
    drawn = [policy for policy in (rules.tail if rules is not None else ()) if policy.kind == "probabilistic"]
    rate = max((policy.probability for policy in drawn if policy.salt.encode() == TAIL_SALT), default=0.0)
    if edge.name == "collector tail_sampling" and rate:
        return bool(edge.step.low / _MARGIN <= rate <= edge.step.high * _MARGIN)
    if edge.name.startswith(_COLLECTOR) and not collector:
        return False
    return any(
        _is_even_by(ID_MAPS[name](*ids_of(ids, rows)) * first)
        for name, bits in SEEN_BITS.items()
        if bits == SEEN_BITS[edge.name]
    )


def _is_even_by(scaled: Array) -> bool:
    """Return whether ids divided by their rate are uniform on 0 to 1, with a tolerance of 10% in the rate."""
    step = step_scan(np.minimum(scaled, 1))
    is_inside = (scaled > _MARGIN).mean() <= _STRANGERS
    return bool(is_inside and (step.p >= SURE or step.threshold * _MARGIN >= 1))
