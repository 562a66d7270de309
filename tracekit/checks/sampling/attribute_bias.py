"""S07: over- and under-sampled attribute values: tenants, versions, regions, instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from tracekit.analysis.trace_rows import OFTEN, Rows
from tracekit.attributes import Codes
from tracekit.checks.merged import Merged
from tracekit.checks.sampling.weights_used import WEIGHTS_USED, weights_needed
from tracekit.checks.verdicts import worst_status
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.intervals import normal_quantile
from tracekit.stats.tests import false_discovery
from tracekit.stats.weighted_rates import weighted_rate
from tracekit.text import count, factor, factor_range, quoted, ratio, ratio_range, round_ratio
from tracekit.weights.xray_reservoir import root_attribute

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.findings import Finding

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
    if (used := case.result(WEIGHTS_USED)).is_even:
        text = f"No sampling bias by attribute: every trace had the same sampling probability ({ratio(used.least)})."
        return [finding(CHECK, "ok", text, pd.DataFrame({"probability": [used.least]}), is_critical=False)]
    rows: pd.DataFrame = case.result(Merged(_ValuesOf(tuple(case.expected.attributes)), _added))
    is_many = rows["value"].isna()
    high_cardinality = sorted(rows.loc[is_many, "key"])
    values = [value for key, of_key in rows[~is_many].groupby("key") for value in _values(case, str(key), of_key)]
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


@dataclass(frozen=True)
class _ValuesOf:
    """Returns the distinct values of attributes on the roots of a part, by probability, with their numbers of traces.

    A key with too many values is one row without a value.
    """

    attributes: tuple[str, ...]

    def __call__(self, case: Case) -> pd.DataFrame:
        """Return those of a case: ``key``, ``value``, ``probability``, ``is_base`` and the number of traces."""
        keys = case.traces.columns.kv.keys
        named = [key for key in keys if any(word in key.lower() for word in _WORDS)]
        chosen = [key for key in dict.fromkeys([*self.attributes, *_KEYS, *named]) if key in keys]
        chance = {"probability": case.probability, "is_base": case.base}
        none = {"key": Codes(np.zeros(0, np.int32), []), "value": Codes(np.zeros(0, np.int32), [])}
        tables = [Rows.of(none | {"probability": np.zeros(0), "is_base": np.zeros(0, bool)}).frame]
        for key in chosen:
            rows = Rows.of(chance | {"value": root_attribute(case.traces, key)}).frame
            tables.append(Rows(rows[rows["value"].notna()].assign(key=key)).distinct().frame)
        return _few(pd.concat([table.astype({"key": object, "value": object}) for table in tables]))


def _few(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with those of keys with too many values reduced to one."""
    values = rows.groupby("key")["value"].agg(["nunique", "count", "size"])
    many = values.index[(values["nunique"] > _MOST_VALUES) | (values["count"] < values["size"])]
    kept = rows[~rows["key"].isin(many)]
    marks = pd.DataFrame({"key": many, "value": None, "probability": np.nan, "is_base": False, OFTEN: np.int64(0)})
    return pd.concat([kept, marks.astype(rows.dtypes)], ignore_index=True) if len(marks) else kept


def _added(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the values of two parts."""
    return _few(Rows(first).plus(Rows(second)).frame)


class _Value(NamedTuple):
    """One value of one attribute: its share of the traces, and of the traffic with its interval."""

    key: str
    value: str
    traces: int
    trace_share: float
    traffic_share: float
    traffic_low: float
    traffic_high: float


def _values(case: Case, key: str, rows: pd.DataFrame) -> list[_Value]:
    """Return the values of one attribute, rare ones pooled."""
    often = rows.groupby("value")[OFTEN].sum()
    frequent, rare = often.index[often >= _FEWEST], often.index[often < _FEWEST]
    groups = [(str(value), [value]) for value in frequent]
    groups += [("(rare values)", list(rare))] if often[rare].sum() >= _FEWEST else []
    if len(groups) < 2:  # noqa: PLR2004 - one value cannot be compared
        return []
    base, found = Rows(rows[rows["is_base"]].reset_index(drop=True)).one_by_one(), []
    for label, chosen in groups:
        is_chosen = base["value"].isin(chosen).to_numpy()
        rate = weighted_rate(base["probability"].to_numpy(), is_chosen, confidence=case.confidence)
        count_of = int(often[chosen].sum())
        found.append(_Value(key, label, count_of, count_of / int(often.sum()), rate.value, rate.low, rate.high))
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
        trace_count=case.result(WEIGHTS_USED).totals.trace_count,
    )


def _finding(case: Case, table: pd.DataFrame, high_cardinality: list[str]) -> Finding:
    """Return the finding on the most biased value."""
    status = worst_status(table["status"].tolist())
    far = np.abs(np.log(table["estimate"].to_numpy(np.float64)))
    biased = (table["status"] == "failed").to_numpy()
    row = table.iloc[int(np.where(biased == (status == "failed"), far, -1).argmax())]
    totals = case.result(WEIGHTS_USED).totals
    counted = f"n = {count(totals.trace_count)}, effective sample size {count(totals.n_effective)}"
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
        totals.n_effective,
    )  # fmt: skip
    assumed = ["the attribute does not depend on the outcome of the request", f"weights: {case.weights_source}"]
    if high_cardinality:
        assumed.append(f"not examined because of more than {_MOST_VALUES} values: {', '.join(high_cardinality)}")
    return finding(CHECK, status, text, table, estimate=estimate, assumptions=assumed, remedy=remedy, is_critical=False)
