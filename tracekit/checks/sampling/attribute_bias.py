"""S07: over- and under-sampled attribute values: tenants, versions, regions, instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from tracekit.checks.sampling.weights_used import weights_needed
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.text import count, factor, factor_range, quoted, ratio, ratio_range, round_ratio
from tracekit.weights.xray_reservoir import root_attribute

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.checks.case import Case
    from tracekit.findings import Finding
    from tracekit.schema import Array

CHECK = "bias.attribute"
_SUBJECT = "Sampling bias by tenant, version or region"
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
    """Return the over- and under-sampled values of attributes.

    For each value the ratio of its share of the recorded traces to its weighted share (MOVER interval, target window).
    Minimum effect: z = (|log ratio| - log(1 + margin)) / s, s from the interval, Benjamini-Hochberg over all values
    tested; equivalence by the mirrored test.  Values with fewer than 20 traces are pooled; attributes with more than
    200 values are excluded and listed.  ``distance`` of the evidence is the total variation between both mixes of an
    attribute (weighted shares have no counts for Cramer's V).  If every trace has the same probability there is no
    sampling bias.  Not valid where an attribute is set only on failing requests, or after the decision; stratify by
    route before concluding about a tenant.  Source: mistake 12 of the trace guide; ``stats.weighted_rates``.
    """
    if missing := weights_needed(case):
        return [not_assessable(CHECK, _SUBJECT, missing)]
    if case.is_even:
        share = ratio(float(case.probability[0]))
        text = f"No sampling bias by attribute: every trace had the same sampling probability ({share})."
        return [
            finding(CHECK, "ok", text, pd.DataFrame({"probability": [float(case.probability[0])]}), is_critical=False)
        ]
    columns, high_cardinality = _columns(case)
    values = [value for key, column in columns.items() for value in _values(case, key, column)]
    if not values:
        missing = "an attribute with two values or more on root spans (expected={'attributes': [...]})"
        return [
            not_assessable(
                CHECK,
                _SUBJECT,
                missing + f"; excluded for high cardinality: {', '.join(high_cardinality)}" * bool(high_cardinality),
            )
        ]
    return [_finding(case, _judged(case, pd.DataFrame(values)), high_cardinality)]


def _columns(case: Case) -> tuple[dict[str, Codes], list[str]]:
    """Return the attributes to examine, one entry per trace, and the names of those with too many values."""
    kv = case.traces.columns.kv
    named = [key for key in kv.keys if any(word in key.lower() for word in _WORDS)]
    keys = list(dict.fromkeys([*case.expected.attributes, *_KEYS, *named]))
    found = {key: root_attribute(case.traces, key) for key in keys if key in kv.keys}
    value_count = {key: len(np.unique(column.codes[column.codes >= 0])) for key, column in found.items()}
    high_cardinality = [key for key, n in value_count.items() if n > _MOST_VALUES]
    return {key: column for key, column in found.items() if 1 < value_count[key] <= _MOST_VALUES}, high_cardinality


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
    often = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    frequent = [int(code) for code in np.flatnonzero(often >= _FEWEST)]
    groups: list[tuple[str, Array]] = [(column.labels[code], column.codes == code) for code in frequent]
    rare = (column.codes >= 0) & ~np.isin(column.codes, frequent)
    groups += [("(rare values)", rare)] if rare.sum() >= _FEWEST else []
    if len(groups) < 2:  # noqa: PLR2004 - one value cannot be compared
        return []
    has, found = column.codes >= 0, []
    base = case.base & has
    for label, chosen in groups:
        rate = weighted_rate(case.probability[base], chosen[base], confidence=case.confidence)
        value_count = int(chosen.sum())
        found.append(_Value(key, label, value_count, value_count / int(has.sum()), rate.value, rate.low, rate.high))
    return found


def _judged(case: Case, table: pd.DataFrame) -> pd.DataFrame:
    """Return the values with the ratio of their shares and a status."""
    own = table["trace_share"].to_numpy()
    with np.errstate(divide="ignore"):
        estimate, low, high = (
            own / table[name].to_numpy() for name in ("traffic_share", "traffic_high", "traffic_low")
        )
        spread = (np.log(high) - np.log(low)) / (2 * normal_quantile(case.confidence))
    known = np.isfinite(spread) & (spread > 0) & np.isfinite(estimate)
    away, bound = np.abs(np.log(np.where(known, estimate, 1))), np.log1p(case.margin)
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
        estimate=estimate,
        estimate_low=low,
        estimate_high=high,
        q_bh=q,
        status=status,
        trace_count=len(case.traces),
    )


def _finding(case: Case, table: pd.DataFrame, high_cardinality: list[str]) -> Finding:
    """Return the finding on the most biased value."""
    status = worst_status(table["status"].tolist())
    far = np.abs(np.log(table["estimate"].to_numpy(np.float64)))
    biased = (table["status"] == "failed").to_numpy()
    row = table.iloc[int(np.where(biased == (status == "failed"), far, -1).argmax())]
    counted = f"n = {count(len(case.traces))}, effective sample size {count(case.traces.weights.n_effective)}"
    is_over = row["estimate"] > 1
    value, times = f"{row['key']} {quoted(row['value'])}", [row[f"estimate{end}"] for end in ("", "_low", "_high")]
    size, low, high = times if is_over else [np.divide(1, times[n]) for n in (0, 2, 1)]
    shares = (
        f"{ratio(row['trace_share'])} of the traces, but an estimated {ratio(row['traffic_share'])} of the traffic"
        f" ({case.ci} {ratio_range(row['traffic_low'], row['traffic_high'])}; {counted})"
    )
    sampled = f"{'over' if is_over else 'under'}-sampled {factor(size)} ({case.ci} {factor_range(low, high)})"
    text = {
        "failed": f"Sampling bias: {value} is {sampled}: {shares}.",
        "ok": f"No sampling bias above {round_ratio(case.margin)} in {len(table)} values of {table['key'].nunique()}"
        f" attributes ({counted}).",
        "inconclusive": f"Inconclusive: {value} may be {sampled}: {shares}. This is not significant, but a bias above"
        f" {round_ratio(case.margin)} is not excluded either.",
    }[status]
    call = f": traces.{case.weights_call}" * bool(case.weights_call)
    remedy = f"Compare values of {row['key']} only with sampling weights{call}." if status == "failed" else ""
    estimate = Estimate(
        float(row["estimate"]), "times", float(row["estimate_low"]), float(row["estimate_high"]), int(row["traces"]),
        case.traces.weights.n_effective,
    )  # fmt: skip
    assumed = ["the attribute does not depend on the outcome of the request", f"weights: {case.weights_source}"]
    if high_cardinality:
        assumed.append(f"not examined because of more than {_MOST_VALUES} values: {', '.join(high_cardinality)}")
    return finding(CHECK, status, text, table, estimate=estimate, assumptions=assumed, remedy=remedy, is_critical=False)
