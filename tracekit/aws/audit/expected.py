"""The number of traces expected from the requests under the sampling rules, and the probability of none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracekit.stats.second_reservoir import expected_kept
from tracekit.stats.thinned import absence_probability

if TYPE_CHECKING:
    from tracekit.aws.audit.service_record import ServiceRecord, ServiceRecords
    from tracekit.columns import Array
    from tracekit.weights.rules import HeadRule

_Z = 1.959964
_HOUR = 3600


class Expected(NamedTuple):
    """The range of the expected number of traces, its standard deviation, and the expectation per hour."""

    low: float
    high: float
    sd: float
    hours: Array


def expected_traces(record: ServiceRecord, records: ServiceRecords) -> Expected | None:
    """Return the expected traces under the service's own rules, or those of the services that start its traces."""
    if record.requests is None:
        return None
    if record.value("is_root") is not False or not record.value("callers"):
        return _by_rules(record.requests, record.rules, record.value("sdk"))
    shares = []
    for root in _roots(record, records):
        kept = None if root.requests is None else _by_rules(root.requests, root.rules, root.value("sdk"))
        if kept is None or root.requests is None or not root.requests.sum():
            return None
        shares += [kept.low / root.requests.sum(), kept.high / root.requests.sum()]
    if not shares:
        return None
    low, high, total = min(shares), max(shares), float(record.requests.sum())
    middle = (low + high) / 2
    return Expected(low * total, high * total, float(np.sqrt(total * middle * (1 - middle))), record.requests * middle)


def _by_rules(requests: Array, rules: tuple[HeadRule, ...] | None, family: str | None) -> Expected | None:
    """Return the traces that rules keep, over the range of the rules that may apply."""
    if not rules:
        return None
    options = []
    for rule in rules:
        kinds = {"classic": ("epoch",), "otel": ("bucket",)}.get(str(family), ("epoch", "bucket"))
        options += [
            expected_kept(requests, rule.quota, rule.rate, seconds=_HOUR, kind=kind)  # type: ignore[arg-type]
            for kind in kinds
        ]
    sums = [float(mean.sum()) for mean, _ in options]
    sd = max(float(np.sqrt(variance.sum())) for _, variance in options)
    return Expected(min(sums), max(sums), sd, options[int(np.argmax(sums))][0])


def _roots(record: ServiceRecord, records: ServiceRecords) -> list[ServiceRecord]:
    """Return the services that start the traces that include a service."""
    found, todo = {record.name}, [record]
    roots = []
    while todo:
        one = todo.pop()
        if one.value("is_root") and one is not record:
            roots.append(one)
        callers = [records[name] for name in one.value("callers") or () if name in records and name not in found]
        found |= {caller.name for caller in callers}
        todo += callers
    return roots


def chance_of_none(requests: float, rules: tuple[HeadRule, ...] | None, indexed: float | None) -> float | None:
    """Return the probability of no trace at all, under the rule that keeps the fewest."""
    if not rules:
        return None
    share = 1.0 if indexed is None else indexed
    chances = []
    for rule in rules:
        rest = absence_probability(requests, rule.rate * share) if rule.rate * share > 0 else 1.0
        chances.append(min(rest, 1 - share) if rule.quota and requests >= 1 else rest)
    return max(chances)


def ratio(recorded: float, expected: Expected) -> tuple[float, float, float]:
    """Return recorded over expected traces with its 95% CI, which covers both the sampling and the losses after it."""
    middle = (expected.low + expected.high) / 2
    lost = 1 - min(recorded / max(expected.high, 1e-9), 1.0)
    half = _Z * float(np.sqrt(expected.sd**2 + recorded * lost)) / max(expected.low, 1e-9)
    return (
        recorded / max(middle, 1e-9),
        recorded / max(expected.high, 1e-9) - half,
        recorded / max(expected.low, 1e-9) + half,
    )
