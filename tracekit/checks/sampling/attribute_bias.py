"""S07, are some tenants, versions, regions or instances over-seen or invisible."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from tracekit.checks.sampling.words import factors, number, percent, percents, shown, times
from tracekit.checks.verdicts import finding, not_assessable, worst_status
from tracekit.findings import Estimate
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.weights.xray_reservoir import root_attribute

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "bias.attribute"
_SUBJECT = "Whether some tenants, versions or regions are over-seen"
_WORDS = ("tenant", "customer", "account", "organization", "plan", "tier")
_KEYS = (
    "service.version",
    "cloud.region",
    "cloud.availability_zone",
    "deployment.environment.name",
    "service.instance.id",
)
_MOST_VALUES, _FEWEST = 200, 20


def attribute_bias(case: Case) -> list[Finding]:
    """Return which values of an attribute the sample shows more or less often than the traffic has them.

    For each value the share of the traces in hand over its weighted share (MOVER interval, target window).  Minimum
    effect: z = (|log ratio| - log(1 + margin)) / s, s from the interval, Benjamini-Hochberg over all values tried;
    equivalence from its mirror.  Values with fewer than 20 traces are pooled; attributes with more than 200 values are
    left out and named.  ``distance`` of the evidence is the total variation between both mixes of an attribute:
    weighted shares have no table of counts for Cramer's V.  All traces are compared with what they stand for, rather
    than those beyond the base sample with it, which needs no base sample and wastes no trace.  Where every trace has
    the same probability the sampler cannot favour a value.  Fails where an attribute is set only on failing requests,
    or after the decision; stratify by route before blaming a tenant.  Source: mistake 12 of the trace guide;
    ``stats.weighted_rates``.
    """
    if missing := case.weights_needed:
        return [not_assessable(CHECK, _SUBJECT, missing)]
    if case.is_even:
        share = percent(float(case.probability[0]))
        text = f"Every trace was kept with the same probability ({share}): the sampler favours no tenant or version."
        return [
            finding(CHECK, "ok", text, pd.DataFrame({"probability": [float(case.probability[0])]}), is_critical=False)
        ]
    columns, crowded = _columns(case)
    values = [value for key, column in columns.items() for value in _values(case, key, column)]
    if not values:
        missing = "an attribute with two values or more on root spans (expected={'attributes': [...]})"
        return [
            not_assessable(
                CHECK,
                _SUBJECT,
                missing + f"; left out as too many-valued: {', '.join(crowded)}" * bool(crowded),
            )
        ]
    return [_say(case, _judged(case, pd.DataFrame(values)), crowded)]


def _columns(case: Case) -> tuple[dict[str, Codes], list[str]]:
    """Return the attributes to look at, one entry a trace, and the names of those with too many values."""
    kv = case.traces.columns.kv
    named = [key for key in kv.keys if any(word in key.lower() for word in _WORDS)]
    keys = list(dict.fromkeys([*case.expected.attributes, *_KEYS, *named]))
    found = {key: root_attribute(case.traces, key) for key in keys if key in kv.keys}
    held = {key: len(np.unique(column.codes[column.codes >= 0])) for key, column in found.items()}
    crowded = [key for key, n in held.items() if n > _MOST_VALUES]
    return {key: column for key, column in found.items() if 1 < held[key] <= _MOST_VALUES}, crowded


class _Value(NamedTuple):
    """One value of one attribute: its share of the traces, and of the traffic with its interval."""

    key: str
    value: str
    traces: int
    trace_share: float
    traffic_share: float
    traffic_low: float
    traffic_high: float


def _values(case: Case, key: str, column: Codes) -> list[_Value]:
    """Return the values of one attribute, rare ones pooled."""
    count = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    frequent = [int(code) for code in np.flatnonzero(count >= _FEWEST)]
    groups: list[tuple[str, Array]] = [(column.labels[code], column.codes == code) for code in frequent]
    rare = (column.codes >= 0) & ~np.isin(column.codes, frequent)
    groups += [("(rare values)", rare)] if rare.sum() >= _FEWEST else []
    if len(groups) < 2:  # noqa: PLR2004 - one value has nothing beside it
        return []
    has, found = column.codes >= 0, []
    base = case.base & has
    for label, chosen in groups:
        rate = weighted_rate(case.probability[base], chosen[base], confidence=case.confidence)
        held = int(chosen.sum())
        found.append(_Value(key, label, held, held / int(has.sum()), rate.value, rate.low, rate.high))
    return found


def _judged(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Return the values with the ratio of their shares and a verdict."""
    own = table["trace_share"].to_numpy()
    with np.errstate(divide="ignore"):
        ratio, low, high = (own / table[name].to_numpy() for name in ("traffic_share", "traffic_high", "traffic_low"))
        spread = (np.log(high) - np.log(low)) / (2 * normal_quantile(case.confidence))
    known = np.isfinite(spread) & (spread > 0) & np.isfinite(ratio)
    away, bound = np.abs(np.log(np.where(known, ratio, 1))), np.log1p(case.margin)
    scale = np.where(known, spread, 1)
    p = np.where(known, 2 * special.ndtr(-(away - bound) / scale), 1.0)
    same = special.ndtr((away - bound) / scale)
    q = false_discovery(np.minimum(p, 1))
    status = np.where(
        q < 1 - case.confidence, "failed", np.where(known & (same < 1 - case.confidence), "ok", "inconclusive")
    )
    apart = np.abs(own - table["traffic_share"].to_numpy())
    distance = pd.Series(apart, index=table.index).groupby(table["key"]).transform("sum") / 2
    return table.assign(
        distance=distance,
        estimate=ratio,
        estimate_low=low,
        estimate_high=high,
        q_bh=q,
        status=status,
        trace_count=len(case.traces),
    )


def _say(case: Case, table: pd.DataFrame, crowded: list[str]) -> Finding:
    """Return the sentence about the value that is furthest off."""
    status = worst_status(table["status"].tolist())
    far = np.abs(np.log(table["estimate"].to_numpy(np.float64)))
    biased = (table["status"] == "failed").to_numpy()
    row = table.iloc[int(np.where(biased == (status == "failed"), far, -1).argmax())]
    counted = f"n = {number(len(case.traces))}, effective {number(case.traces.weights.n_effective)}"
    said = (
        f"{row['key']} {shown(row['value'])} is {percent(row['traffic_share'])}"
        f" ({percents(row['traffic_low'], row['traffic_high'])}) of the traffic but {percent(row['trace_share'])} of"
        f" the traces, {times(row['estimate'])} ({factors(row['estimate_low'], row['estimate_high'])}; {counted})"
    )
    text = {
        "failed": f"{said}: compare {row['key']}s by weighted figures only.",
        "ok": f"None of {len(table)} values of {table['key'].nunique()} attributes is over-seen by more than"
        f" {percent(case.margin)} ({counted}).",
        "inconclusive": f"{said}: chance may explain it, but equality within {percent(case.margin)} is not shown.",
    }[status]
    estimate = Estimate(
        float(row["estimate"]), "times", float(row["estimate_low"]), float(row["estimate_high"]), int(row["traces"]),
        case.traces.weights.n_effective,
    )  # fmt: skip
    assumed = ["the attribute is set whatever becomes of the request", f"weights: {case.weights_source}"]
    assumed += [f"not looked at, more than {_MOST_VALUES} values: {', '.join(crowded)}"] if crowded else []
    return finding(CHECK, status, text, table, estimate=estimate, assumptions=assumed, is_critical=False)
