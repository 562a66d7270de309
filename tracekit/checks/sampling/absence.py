"""S05: services without traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tracekit.findings import finding, not_assessable
from tracekit.stats.proportions import clopper_pearson
from tracekit.stats.thinned import absence_probability, requests_needed
from tracekit.text import count, ratio, round_ratio

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

CHECK = "absence"
CHANCE = 0.01
"""Absence is significant only below this probability."""


def absence(case: Case) -> list[Finding]:
    """Return for each service (or route) without traces whether its absence is significant.

    P0 = (1 - p)^N for a fixed rate; 0 if one request reached a sampler with a reservoir; smaller still with a boost.
    Without rules only the upper limit of the rate is known (Clopper-Pearson) and nothing is concluded.  Assumes
    independent decisions, and requests that reached the service.  Source: elementary.
    """
    subject = "Services without traces"
    if case.counts is None:
        return [not_assessable(CHECK, subject, "request counts by service")]
    keys = [name for name in ("service_name", "http_route") if name in case.counts.dimensions][:1]
    if not keys:
        return [not_assessable(CHECK, subject, "request counts by service or route")]
    if missing := case.counts_needed:
        return [not_assessable(CHECK, subject, missing)]
    table = case.tally.frame.groupby(keys[0])[["requests", "traces"]].sum().reset_index()
    empty = table[(table["traces"] == 0) & (table["requests"] > 0)]
    if not len(empty):
        many, label = len(table), str(table[keys[0]].iloc[0])
        text = f"All {many:,} counted {_plural(keys[0])} have traces."
        text = text if many > 1 else f"`{label}` has traces; nothing else was counted."
        return [finding(CHECK, "ok", text, table.assign(status="ok"), is_critical=False)]
    return [_one(case, keys[0], str(row[0]), float(row[1])) for row in empty.itertuples(index=False)]


def _plural(key: str) -> str:
    """Return the name of a dimension."""
    return {"service_name": "services", "http_route": "routes"}[key]


def _one(case: Case, key: str, label: str, requests: float) -> Finding:
    """Return the finding on one service or route without traces."""
    field = {"service_name": "service_name", "http_route": "path"}[key]
    rules = case.rules
    rule = rules.match({field: label}) if rules is not None and not rules.tail else None
    row = pd.DataFrame({"scope": [label], "requests": requests, "traces": 0})
    if rule is None or np.isnan(rule.rate):
        top = float(np.asarray(clopper_pearson(0, requests, confidence=case.confidence).high))
        text = (
            f"`{label}`: no traces recorded for {count(requests)} requests, so at most {ratio(top)} are sampled."
            " Whether traces are missing is not assessable: needs the sampling rule that applies to it."
        )
        return finding(CHECK, "not_assessable", text, row.assign(estimate_high=top), is_critical=False)
    chance = 0.0 if rule.quota else absence_probability(requests, rule.rate) if rule.rate else 1.0
    row = row.assign(rule=rule.name, rate=rule.rate, quota=rule.quota, estimate=chance)
    sampled = f"reservoir {rule.quota} + {round_ratio(rule.rate)}" if rule.quota else round_ratio(rule.rate)
    if chance < CHANCE:
        text = (
            f"`{label}`: no traces recorded for {count(requests)} requests. At {sampled} sampling the probability of"
            f" that is {_odds(chance)}: it is not instrumented, or its traces are lost."
        )
        remedy = "Check instrumentation and export of the service."
        return finding(
            CHECK, "failed", text, row, remedy=remedy, assumptions=("the requests reached it",), is_critical=False
        )
    enough = requests_needed(rule.rate) if rule.rate else 0
    text = (
        f"Inconclusive: `{label}` has no traces, but with {count(requests)} requests at {sampled} sampling the"
        f" probability of that is {ratio(chance)}; {count(enough)} requests are needed."
        if rule.rate
        else f"Inconclusive: `{label}` has no traces, and rule {rule.name} samples none."
    )
    return finding(CHECK, "inconclusive", text, row.assign(requests_needed=enough), is_critical=False)


def _odds(chance: float) -> str:
    """Return a small probability as text."""
    return f"1 in {count(1 / chance)}" if chance > 1e-9 else "practically 0"  # noqa: PLR2004 - beyond words
