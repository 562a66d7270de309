"""How many traces the rules let expect of so many requests, and how likely none at all would be."""

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
    """Between which numbers of traces the rules let expect, the standard deviation, and the same of every hour."""

    low: float
    high: float
    sd: float
    hours: Array


def expected_traces(sheet: ServiceRecord, sheets: ServiceRecords) -> Expected | None:
    """Return how many traces are expected: by the service's own rules, or by those of the services that began them."""
    if sheet.requests is None:
        return None
    if sheet.value("is_root") is not False or not sheet.value("callers"):
        return _by_rules(sheet.requests, sheet.rules, sheet.value("sdk"))
    shares = []
    for root in _roots(sheet, sheets):
        begun = None if root.requests is None else _by_rules(root.requests, root.rules, root.value("sdk"))
        if begun is None or root.requests is None or not root.requests.sum():
            return None
        shares += [begun.low / root.requests.sum(), begun.high / root.requests.sum()]
    if not shares:
        return None
    low, high, total = min(shares), max(shares), float(sheet.requests.sum())
    middle = (low + high) / 2
    return Expected(low * total, high * total, float(np.sqrt(total * middle * (1 - middle))), sheet.requests * middle)


def _by_rules(requests: Array, rules: tuple[HeadRule, ...] | None, family: str | None) -> Expected | None:
    """Return what rules keep, between the least and the most of them."""
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


def _roots(sheet: ServiceRecord, sheets: ServiceRecords) -> list[ServiceRecord]:
    """Return the services that began the traces in which a service takes part."""
    found, todo = {sheet.name}, [sheet]
    roots = []
    while todo:
        one = todo.pop()
        if one.value("is_root") and one is not sheet:
            roots.append(one)
        callers = [sheets[name] for name in one.value("callers") or () if name in sheets and name not in found]
        found |= {caller.name for caller in callers}
        todo += callers
    return roots


def chance_of_none(requests: float, rules: tuple[HeadRule, ...] | None, indexed: float | None) -> float | None:
    """Return how likely no trace at all is, by the rule that keeps least."""
    if not rules:
        return None
    share = 1.0 if indexed is None else indexed
    chances = []
    for rule in rules:
        rest = absence_probability(requests, rule.rate * share) if rule.rate * share > 0 else 1.0
        chances.append(min(rest, 1 - share) if rule.quota and requests >= 1 else rest)
    return max(chances)


def ratio(recorded: float, expected: Expected) -> tuple[float, float, float]:
    """Return recorded over expected traces with its 95 % limits, from the highest and lowest expectation.

    Both the decisions of the sampler and the losses after them vary.
    """
    middle = (expected.low + expected.high) / 2
    lost = 1 - min(recorded / max(expected.high, 1e-9), 1.0)
    half = _Z * float(np.sqrt(expected.sd**2 + recorded * lost)) / max(expected.low, 1e-9)
    return (
        recorded / max(middle, 1e-9),
        recorded / max(expected.high, 1e-9) - half,
        recorded / max(expected.low, 1e-9) + half,
    )
