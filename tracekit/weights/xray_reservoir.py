"""Weights from head rules with a reservoir (X-Ray: one per second plus 5%), and from rules without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from tracekit.attributes import Codes, join, pick
from tracekit.stats.second_reservoir import order_agreement, order_probabilities
from tracekit.text import round_ratio
from tracekit.weights.id_maps import ID_MAPS, LANGUAGE_MAPS
from tracekit.weights.known import BEYOND
from tracekit.weights.rules import FIELDS
from tracekit.weights.trace_state import member, rule_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array
    from tracekit.traces import TraceSet
    from tracekit.weights.rules import HeadRule, Rules

RULE_NAME = ("aws.xray.sampling_rule_name", "aws.xray.sampling_rule")
_PROCESS = (
    "service.instance.id",
    "container.id",
    "aws.ecs.container.id",
    "k8s.pod.uid",
    "k8s.pod.name",
    "faas.instance",
)
_HOST = ("server.address", "http.host", "net.host.name")
_MS = 1_000_000
_ARRAYS = ("high", "low", "start_ns", "rule", "otel")


class Shares(NamedTuple):
    """Weight of every trace, NaN if unknown; its source; and the reasons for unknown weights, with counts."""

    weight: Array
    source: Codes
    obstacles: dict[str, int]


def root_attribute(traces: TraceSet, *keys: str) -> Codes:
    """Return an attribute of every trace's root span, else of its resource; the first key present is used."""
    root, look = traces.forest.root_row, traces.lookup
    resource = traces.columns.spans.resource[root]
    options = [look.by_key.codes_of((key,)).take(root) for key in keys]
    options += [look.resources_by_key.codes_of((key,)).take(resource) for key in keys]
    return pick(options)[0]


def processes(traces: TraceSet) -> Codes:
    """Return the process of each root span, if recorded."""
    pid = root_attribute(traces, "process.pid")
    host = root_attribute(traces, "host.id", "host.name")
    both = join([pid, host]) if pid.labels else pid
    return pick([root_attribute(traces, *_PROCESS), both])[0]


def hashed_rules(traces: TraceSet, names: Sequence[str]) -> Codes:
    """Return which rule the tracestate of every root names by its hash (``xrsr``)."""
    by_hash = {rule_hash(name): number for number, name in enumerate(names)}
    states = traces.codes("trace_state").take(traces.forest.root_row)
    numbers = [by_hash.get(member(label, "xrsr") or "", -1) for label in states.labels] + [-1]
    return Codes(np.array(numbers, np.int32)[states.codes], list(names))


def rule_of(traces: TraceSet, rules: Rules) -> Array:
    """Return the number of the rule that kept each trace: recorded by name, by hash, or predicted from the request."""
    by_name = {rule.name: number for number, rule in enumerate(rules.head)}
    named = root_attribute(traces, *RULE_NAME)
    found = np.array([by_name.get(label, -1) for label in named.labels] + [-1])[named.codes]
    found = np.where(found >= 0, found, hashed_rules(traces, [rule.name for rule in rules.head]).codes)
    return np.where(found >= 0, found, _predicted(traces, rules)) if (found < 0).any() else found


def _predicted(traces: TraceSet, rules: Rules) -> Array:
    """Return the rule that matches the request of each root span, by the fields that any of the rules tests."""
    fields = [name for name in FIELDS if any(getattr(rule, name) != "*" for rule in rules.head)]
    columns = {name: _request_field(traces, name) for name in fields}
    key = np.zeros(len(traces), np.int64)
    for column in columns.values():
        key = key * (len(column.labels) + 1) + column.codes + 1
    group, distinct = pd.factorize(key)
    first = np.zeros(len(distinct), np.int64)
    first[group[::-1]] = np.arange(len(key))[::-1]
    numbers = {id(rule): number for number, rule in enumerate(rules.head)}
    matched = [rules.match({name: column.at(int(row)) for name, column in columns.items()}) for row in first]
    return np.array([-1 if rule is None else numbers[id(rule)] for rule in matched] + [-1])[group]


def _request_field(traces: TraceSet, name: str) -> Codes:
    """Return a field of the request of each root span."""
    if name == "path":
        path, route = root_attribute(traces, "url.path", "http.target"), root_attribute(traces, "http.route")
        return pick([path, _of_url(traces, "path"), route])[0]
    if name == "host":
        return pick([_of_url(traces, "netloc"), root_attribute(traces, *_HOST)])[0]
    return traces.codes(name).take(traces.forest.root_row)


def _of_url(traces: TraceSet, part: str) -> Codes:
    """Return a part of the request URL of each root."""
    urls = root_attribute(traces, "url.full", "http.url")
    codes, used = pd.factorize(urls.codes, use_na_sentinel=False)
    parts = [getattr(urlsplit(urls.labels[code]), part) if code >= 0 else "" for code in used]
    known: dict[str, int] = {}
    number = np.array([known.setdefault(text, len(known)) if text else -1 for text in parts] + [-1], np.int32)
    return Codes(number[codes], list(known))


def is_otel(traces: TraceSet) -> Array:
    """Return the SDK of every root: 1 OpenTelemetry, 0 classic X-Ray, -1 not recorded."""
    sdk = root_attribute(traces, "telemetry.sdk.name", "aws.xray.sdk")
    kind = [1 if "opentelemetry" in name.lower() else 0 if "x-ray" in name.lower() else -1 for name in sdk.labels]
    states = traces.codes("trace_state").take(traces.forest.root_row)
    marked = np.array([member(label, "xrsr") is not None for label in states.labels] + [False])[states.codes]
    return np.where(marked, 1, np.array([*kind, -1])[sdk.codes])


@dataclass(frozen=True)
class Decisions:
    """What is recorded of the sampling decision of each trace, one entry each.

    Parameters
    ----------
    high, low, start_ns
        Halves of the id, and start of the root.
    rule
        Number of the rule that kept it, -1 if unknown.
    otel, process
        As ``is_otel`` and ``processes`` return them.
    language
        Language of the SDK.
    """

    high: Array
    low: Array
    start_ns: Array
    rule: Array
    otel: Array
    process: Codes
    language: Codes

    @classmethod
    def of(cls, traces: TraceSet, rules: Rules) -> Decisions:
        """Return those of some traces."""
        spans, first, root = traces.columns.spans, traces.forest.starts[:-1], traces.forest.root_row
        return cls(
            spans.trace_hi[first],
            spans.trace_lo[first],
            spans.start_ns[root],
            rule_of(traces, rules),
            is_otel(traces),
            processes(traces),
            root_attribute(traces, "telemetry.sdk.language"),
        )

    def take(self, rows: Array) -> Decisions:
        """Return those of some traces, in this order."""
        high, low, start, rule, otel = (getattr(self, name)[rows] for name in _ARRAYS)
        return Decisions(high, low, start, rule, otel, self.process.take(rows), self.language.take(rows))

    def followed_by(self, other: Decisions) -> Decisions:
        """Return those of two sets of traces."""
        both = (np.append(getattr(self, name), getattr(other, name)) for name in _ARRAYS)
        high, low, start, rule, otel = both
        process, language = self.process.followed_by(other.process), self.language.followed_by(other.language)
        return Decisions(high, low, start, rule, otel, process, language)


def rule_weights(traces: TraceSet, rules: Rules) -> Shares:
    """Return the weights of traces from head rules; see ``weights_by_decision``."""
    return weights_by_decision(Decisions.of(traces, rules), rules)


def weights_by_decision(known: Decisions, rules: Rules) -> Shares:
    """Return the weights from head rules.

    Weights by order within the second need the process of every trace, starts finer than milliseconds, and starts that
    agree with the rule (``order_agreement``), else they are unknown: without the process p95 was 60% off, with 1 ms of
    jitter 40%. How X-Ray divides a central reservoir between processes is not recorded. Classic SDKs do not record
    their random number, so only the order shows the reservoir.
    """
    rule, otel, process, start = known.rule, known.otel, known.process.codes, known.start_ns
    weight, source = np.full(len(rule), np.nan), np.full(len(rule), -1, np.int32)
    labels = ["x-ray rule, fixed rate", "x-ray rule, order in the second", "x-ray rule, base sample", BEYOND]
    labels[0] = "rule, fixed rate"
    obstacles: dict[str, int] = {}

    def refuse(chosen: Array, why: str) -> None:
        if len(chosen):
            obstacles[why] = obstacles.get(why, 0) + len(chosen)

    refuse(np.flatnonzero(rule < 0), "no rule matches for certain")
    for number, one in enumerate(rules.head):
        chosen = np.flatnonzero(rule == number)
        if not one.has_rate:
            refuse(chosen, f"rule {one.name} has no fixed rate")
            continue
        if not one.quota:
            if one.rate > 0:
                weight[chosen], source[chosen] = 1 / one.rate, 0
            else:
                refuse(chosen, f"rule {one.name} keeps nothing")
            continue
        refuse(chosen[otel[chosen] < 0], "the sampling SDK is not recorded")
        classic, later = chosen[otel[chosen] == 0], chosen[otel[chosen] == 1]
        if why := _no_order(one, start[classic], process[classic]):
            refuse(classic, why)
        else:
            share = order_probabilities(start[classic], process[classic], one.quota, one.rate)
            weight[classic] = 1 / np.where(share > 0, share, np.nan)
            source[classic] = 1
        inside = _inside(known, later, one.rate)
        refuse(later[np.isnan(inside)], "the language of the sampling SDK is not recorded")
        later, inside = later[~np.isnan(inside)], inside[~np.isnan(inside)] > 0
        weight[later], source[later] = (
            np.where(inside, 1 / one.rate if one.rate else np.nan, 0.0),
            np.where(inside, 2, 3),
        )
    source[np.isnan(weight)] = -1
    return Shares(weight, Codes(source, labels), obstacles)


def _no_order(rule: HeadRule, start_ns: Array, process: Array) -> str:
    """Return why the order in the second does not identify the reservoir's traces; empty if it does."""
    if not len(start_ns):
        return ""
    if (process < 0).any():
        return "the sampling process is not recorded"
    if (start_ns % _MS == 0).all():
        return "starts are whole milliseconds, too coarse for the order in a second"
    if rule.is_shared and len(np.unique(process)) > 1:
        return f"how the reservoir of rule {rule.name} is divided between processes is not recorded"
    if order_agreement(start_ns, process, rule.quota, rule.rate).contradicts:
        return (
            f"the starts contradict rule {rule.name} ({rule.quota} per second and {round_ratio(rule.rate)}): quota or"
            " rate were different, or starts are not those of the sampling decisions"
        )
    return ""


def _inside(known: Decisions, chosen: Array, rate: float) -> Array:
    """Return for each selected trace whether its id passes the rate (1, 0), NaN if the language is unknown."""
    high, low, language = known.high[chosen], known.low[chosen], known.language.take(chosen)
    result = np.full(len(chosen), np.nan)
    for code, label in enumerate(language.labels):
        rows = np.flatnonzero(language.codes == code)
        options = [ID_MAPS[name](high[rows], low[rows]) < rate for name in LANGUAGE_MAPS.get(label.lower(), ())]
        if options and len(rows):
            result[rows] = max(options, key=lambda passed: float(passed.mean()))
    return result
