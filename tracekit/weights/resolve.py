"""Sampling weights of traces from the best source with an inclusion probability.

``WEIGHT_SOURCES`` lists the sources, best first; a new one is one function and one entry. Without any, a weight is
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.attributes import Codes
from tracekit.weights.counts import Counts, read_counts
from tracekit.weights.known import CALIBRATION, LOG, MARKS, NOT_SAMPLED, TRACE_IDS, UNKNOWN, Weights, given
from tracekit.weights.log_strata import log_weights
from tracekit.weights.rule_formats import sampling_rules
from tracekit.weights.rules import Rules
from tracekit.weights.stages import combined
from tracekit.weights.tail_policies import policy_weights
from tracekit.weights.tally import stratum_codes
from tracekit.weights.trace_state import THRESHOLD_SOURCE, by_text, legacy_probability, probability
from tracekit.weights.xray_reservoir import Shares, root_attribute, rule_weights

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_SAMPLED = 1
_SUFFIXES = (".json", ".yaml", ".yml")  # of files of rules


@dataclass(frozen=True)
class Evidence:
    """Data besides the spans; every part may be missing."""

    rules: Rules | None = None
    log: pd.DataFrame | None = None
    counts: Counts | None = None


class WeightSource(NamedTuple):
    """A source: its name, and a function of traces and evidence, which returns None without data."""

    name: str
    find: Callable[[TraceSet, Evidence], Shares | None]


def resolve_weights(traces: TraceSet, evidence: Evidence, only: str | None = None) -> tuple[Weights, dict[str, int]]:
    """Return the weight of each trace from the first source that has one, and the counts of those without."""
    value, code = np.ones(len(traces)), np.full(len(traces), -1, np.int32)
    labels: dict[str, int] = {}
    obstacles: dict[str, int] = {}
    marks: dict[str, Array] = {}
    for rung in WEIGHT_SOURCES:
        if only not in {None, rung.name} or ((code >= 0).all() and rung.name not in MARKS):
            continue
        found = rung.find(traces, evidence)
        if found is None:
            continue
        obstacles |= found.obstacles
        if rung.name in MARKS:
            marks[rung.name] = found.weight
        rows = np.flatnonzero((code < 0) & ~np.isnan(found.weight))
        joint = np.array([labels.setdefault(label, len(labels)) for label in found.source.labels] + [-1], np.int32)
        value[rows], code[rows] = found.weight[rows], joint[found.source.codes[rows]]
    code = np.where(code < 0, labels.setdefault(UNKNOWN, len(labels)), code).astype(np.int32)
    weights = Weights(value, Codes(code, list(labels)))
    weights = combined(traces, weights, marks, evidence.rules, is_chosen=only is not None)
    unknown = int((~weights.known).sum())
    if weights.refusal:
        obstacles[weights.refusal] = unknown
    elif unknown and obstacles:
        weights = replace(weights, refusal="; ".join(obstacles))
    return weights, obstacles


def recorded_weights(traces: TraceSet, found: Weights) -> Weights:
    """Return the weights from tracestate, unknown where other records or the ids show a second sampler."""
    others = {rung.name: rung.find(traces, Evidence()) for rung in WEIGHT_SOURCES if rung.name in MARKS}
    return combined(traces, found, {name: one.weight for name, one in others.items() if one is not None}, None)


def chosen(traces: TraceSet, source: Any) -> Weights:
    """Return the weights for the argument of ``TraceSet.with_weights``."""
    found = _from_argument(traces, source)
    if len(found.value) and not found.value.any():
        message = f"expected at least one trace in the probability sample, found {len(traces)} outside it"
        raise ValueError(f"{message} ({', '.join(found.sources)}); analyze them without weights")
    return found


def _from_argument(traces: TraceSet, source: Any) -> Weights:
    """Return the weights according to the type of the argument."""
    rules = rules_in(source)
    if rules is not None:
        return resolve_weights(traces, Evidence(rules=rules))[0]
    if isinstance(source, str):
        return _named(traces, source)
    if isinstance(source, pd.DataFrame):
        if "trace_id" in source:
            return resolve_weights(traces, Evidence(log=source))[0]
        return resolve_weights(traces, Evidence(counts=read_counts(source)), CALIBRATION)[0]
    return given(traces.trace_ids, source)


def rules_in(source: Any) -> Rules | None:
    """Return the sampling rules that an argument of ``with_weights`` contains; None if it is something else."""
    is_file = isinstance(source, Path) or (isinstance(source, str) and Path(source).suffix.lower() in _SUFFIXES)
    return sampling_rules(source) if is_file or _is_rules(source) else None


def depends_on_others(source: Any) -> bool:
    """Return whether the weight of a trace from an argument of ``with_weights`` depends on other traces.

    A number, an attribute and weights by trace id do not.

    Examples
    --------
    >>> [depends_on_others(one) for one in (20, "app.weight", {"a1": 20.0}, "auto", "rules.json", {"FixedRate": 0.05})]
    [False, False, False, True, True, True]
    """
    if isinstance(source, str):
        return source in _NAMES or Path(source).suffix.lower() in _SUFFIXES
    return not (np.isscalar(source) or isinstance(source, pd.Series) or _is_by_id(source))


def _is_by_id(source: Any) -> bool:
    """Return whether this is a mapping of weights by trace id."""
    return isinstance(source, Mapping) and not _is_rules(source)


def _is_rules(source: Any) -> bool:
    """Return whether this is a rule configuration rather than a table of weights."""
    if isinstance(source, Mapping):
        return any(isinstance(value, (Mapping, list, tuple)) for value in source.values()) or "FixedRate" in source
    if isinstance(source, (list, tuple)):
        return bool(source) and isinstance(source[0], Mapping)
    return isinstance(source, Rules)


def _named(traces: TraceSet, source: str) -> Weights:
    """Return the weights of a named source or an attribute."""
    if source == "auto":
        return resolve_weights(traces, Evidence())[0]
    if source == "recorded":
        return resolve_weights(traces, Evidence(), THRESHOLD_SOURCE)[0]
    if source in _NAMES:
        return resolve_weights(traces, Evidence(), source)[0]
    column = root_attribute(traces, source)
    if not column.labels:
        names = ", ".join(_NAMES)
        raise ValueError(
            f"unknown source of weights {source!r}; use 1 / sampling probability, sampling rules, request counts, a"
            f" log, an attribute of the root spans, or one of {names}"
        )
    return given(traces.trace_ids, _floats(column), f"attribute {source}")


def _floats(column: Codes) -> Array:
    """Return a column as numbers, NaN where it has none."""
    numbers = pd.to_numeric(pd.Series(column.labels, dtype=object), errors="coerce").to_numpy(np.float64)
    return np.asarray(np.append(numbers, np.nan)[column.codes])


def _all_of(weight: Array, label: str) -> Shares:
    """Return weights of one source."""
    return Shares(weight, Codes(np.where(np.isnan(weight), -1, 0).astype(np.int32), [label]), {})


def _not_sampled(traces: TraceSet, _: Evidence) -> Shares | None:
    """Return weight 0 for traces that were not sampled but captured as anomalies.

    The sampled bit of ``flags`` is used only if the same resource sets it somewhere: some exporters never do, even with
    bit 8 set (OpenTelemetry's for Python).
    """
    spans, root = traces.columns.spans, traces.forest.root_row
    fills = np.zeros(int(spans.resource.max(initial=-1)) + 2, bool)
    fills[spans.resource[(spans.flags & _SAMPLED) != 0]] = True
    clear = ((spans.flags[root] & _SAMPLED) == 0) & fills[spans.resource[root]] if len(spans) else np.zeros(0, bool)
    flag = root_attribute(traces, "aws.trace.flag.sampled")
    is_unsampled = np.array([label.lower() in {"false", "0"} for label in flag.labels] + [False])[flag.codes]
    return _all_of(np.where(clear | is_unsampled, 0.0, np.nan), NOT_SAMPLED) if (clear | is_unsampled).any() else None


def _log(traces: TraceSet, evidence: Evidence) -> Shares | None:
    """Return weights from the fraction of logged requests with a trace, by stratum; needs all trace ids."""
    if evidence.log is None or "trace_id" not in evidence.log:
        return None
    return log_weights(traces, evidence.log)


def _by_state(read: Callable[[str], float | None], label: str) -> Callable[[TraceSet, Evidence], Shares | None]:
    """Return a source that reads the root's tracestate."""

    def find(traces: TraceSet, _: Evidence) -> Shares | None:
        spans = traces.columns.spans
        if not len(spans):
            return None
        share = by_text(spans.trace_state[traces.forest.root_row], traces.columns.texts, read)
        weight = np.where(share == 0, 0.0, 1 / np.where(share == 0, 1, share))
        return _all_of(weight, label)

    return find


def _sample_rate(traces: TraceSet, _: Evidence) -> Shares | None:
    """Return weights from SampleRate of Refinery and libhoney (1 in N); 0 means 1, other values below 1 are invalid."""
    recorded = root_attribute(traces, "meta.refinery.final_sample_rate", "SampleRate")
    rate = _floats(recorded)
    weight = np.where(rate == 0, 1.0, np.where((rate >= 1) & (rate < np.inf), rate, np.nan))
    return _all_of(weight, "SampleRate") if recorded.labels else None


def _jaeger(traces: TraceSet, _: Evidence) -> Shares | None:
    """Return weights from Jaeger's probabilistic sampler; ``lowerbound`` and ``ratelimiting`` have no usable rate."""
    kind = root_attribute(traces, "sampler.type")
    if not kind.labels:
        return None
    drawn = np.array([label == "probabilistic" for label in kind.labels] + [False])[kind.codes]
    share = _floats(root_attribute(traces, "sampler.param"))
    usable = drawn & (share > 0) & (share <= 1)
    return _all_of(np.where(usable, 1 / np.where(usable, share, 1), np.nan), "jaeger sampler")


def _policies(traces: TraceSet, evidence: Evidence) -> Shares | None:
    """Return weights from the policies of a collector."""
    rules = evidence.rules
    return policy_weights(traces, rules) if rules is not None and rules.tail else None


def _rules(traces: TraceSet, evidence: Evidence) -> Shares | None:
    """Return weights from head-sampling rules, except for traces that a collector sampled again."""
    rules = evidence.rules
    return rule_weights(traces, rules) if rules is not None and rules.head and not rules.tail else None


def _forensics(traces: TraceSet, _: Evidence) -> Shares | None:
    """Return weights from edges in the trace ids."""
    from tracekit.weights.forensics import forensic_weights  # noqa: PLC0415 - only without a better source

    return forensic_weights(traces)


def _calibrated(traces: TraceSet, evidence: Evidence) -> Shares | None:
    """Return weights that match request counts by cell; bias within a cell remains."""
    if evidence.counts is None:
        return None
    weight, obstacles = calibrated(traces, evidence.counts)
    return _all_of(weight, CALIBRATION)._replace(obstacles=obstacles)


def calibrated(traces: TraceSet, counts: Counts) -> tuple[Array, dict[str, int]]:
    """Return requests over traces of the cell of each trace's root, NaN if the cell was not counted, and problems."""
    root = traces.forest.root_row
    columns = {name: stratum_codes(traces, name, counts).take(root).series() for name in counts.dimensions}
    cell = (
        pd.DataFrame(columns, index=np.arange(len(root)), dtype=object)
        if columns
        else pd.DataFrame(index=np.arange(len(root)))
    )
    total = counts.frame.groupby(list(counts.dimensions), dropna=False)["count"].sum() if columns else None
    if total is None:
        weight = np.full(len(root), counts.total / max(len(root), 1))
    else:
        held = cell.groupby(list(columns), dropna=False)[cell.columns[0]].transform("size").to_numpy(np.float64)
        requested = cell.merge(total.rename("requested").reset_index(), on=list(columns), how="left")["requested"]
        weight = requested.to_numpy(np.float64) / held
    impossible = weight < 1
    missing = np.isnan(weight)
    why = {
        "no requests were counted for their stratum": int(missing.sum()),
        "fewer requests were counted than traces found": int(impossible.sum()),
    }
    return np.where(impossible, np.nan, weight), {reason: n for reason, n in why.items() if n}


WEIGHT_SOURCES = (
    WeightSource(NOT_SAMPLED, _not_sampled),
    WeightSource(LOG, _log),
    WeightSource(THRESHOLD_SOURCE, _by_state(probability, THRESHOLD_SOURCE)),
    WeightSource(MARKS[1], _by_state(legacy_probability, MARKS[1])),
    WeightSource(MARKS[2], _sample_rate),
    WeightSource(MARKS[3], _jaeger),
    WeightSource("tail policy", _policies),
    WeightSource("rule", _rules),
    WeightSource(TRACE_IDS, _forensics),
    WeightSource(CALIBRATION, _calibrated),
)
_NAMES = ("auto", "recorded", *(rung.name for rung in WEIGHT_SOURCES))
