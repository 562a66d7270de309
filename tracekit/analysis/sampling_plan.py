"""Comparison of sampling rules: traces kept, cost, and errors and slow requests lost."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.analysis.sampling_requests import MINUTE_NS, RULE, Durations, DurationsOf, Requests, RequestsByRule
from tracekit.analysis.trace_rows import Rows
from tracekit.arguments import check_traces, is_store
from tracekit.findings import Estimate, Finding, Findings, Shown
from tracekit.readable_tables import as_html
from tracekit.stats.second_reservoir import expected_kept
from tracekit.stats.thinned import capture_probability
from tracekit.text import plural, ratio, usd
from tracekit.weights.rule_formats import sampling_rules

if TYPE_CHECKING:
    from tracekit.analysis.sampling_requests import Family
    from tracekit.columns import Array
    from tracekit.parts import On, Parts
    from tracekit.traces import TraceSet
    from tracekit.weights.known import WeightTotals
    from tracekit.weights.rules import HeadRule, Rules

_MONTH_NS = 30 * 24 * 60 * MINUTE_NS
_UNMATCHED = "no rule"
_PROBABLY_NONE = 0.05


@dataclass(frozen=True)
class SamplingPlan(Shown):
    """Effect of several sets of sampling rules on the same requests.

    Parameters
    ----------
    plans
        One row per set of rules, indexed by ``plan``: ``request_count``, ``kept_count``, ``kept_ratio``, ``cost_usd``
        per month, ``error_count`` and ``kept_error_count``, ``slow_count`` and ``kept_slow_count`` (latency above p99),
        ``unmatched_count``, ``silent_operation_count`` (operations without any trace with a probability above 5%),
        ``capture_ratio`` (detection probability of the declared incident).
    rules
        One row per plan and rule: ``rate``, ``quota``, ``trace_count`` (recorded), ``request_count``, ``kept_count``,
        ``kept_ratio``, ``error_count``, ``kept_error_count``, ``cost_usd``.
    operations
        One row per plan and root operation: ``request_count``, ``kept_count``, ``chance_of_none``.
    findings
        One per plan.

    Examples
    --------
    >>> tk.plan_sampling(shop, 0.05)
    SamplingPlan(rules: 0.25 of 5 requests kept)
    """

    plans: pd.DataFrame
    rules: pd.DataFrame = field(repr=False)
    operations: pd.DataFrame = field(repr=False)
    findings: Findings = field(repr=False)

    def __repr__(self) -> str:
        kept = [f"{n}: {r.kept_count:,.3g} of {r.request_count:,.0f} requests kept" for n, r in self.plans.iterrows()]
        return f"SamplingPlan({'; '.join(kept)})"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{as_html(self.plans, index=True)}"


def plan_sampling(
    traces: TraceSet | Parts,
    rules: Any,
    *,
    sdk: Family = "otel",
    min_incident_requests: int | tuple[int, int] | None = None,
    usd_per_million: float = 5.0,
    on: On = None,
) -> SamplingPlan:
    """Return how many of the same requests several sets of sampling rules would keep, and their cost.

    Parameters
    ----------
    traces
        Requests, or a store of them; each counts with its sampling weight (``traces.with_weights``), or once if that is
        unknown.
    rules
        A set of rules in any form that ``traces.with_weights`` and ``tk.sampling_rules`` accept (X-Ray, Jaeger, a
        rate), or several by name.
    sdk
        SDK that makes the sampling decision: ``otel`` matches a rule only if the request has every attribute it names;
        ``classic`` treats missing values as a match and ignores attributes.
    min_incident_requests
        Number of requests in the smallest incident to detect; one recorded trace counts as detection.
    usd_per_million
        Price per million recorded traces, in USD.
    on
        Where the parts of a store are read: see ``TraceStore.reduce``.

    Returns
    -------
    SamplingPlan
        ``.plans``, ``.rules``, ``.operations``.

    Raises
    ------
    ValueError
        Rules that cannot be read, tail-sampling policies, or ``on`` without a store.

    Notes
    -----
    A reservoir keeps the first requests of every second: the expected number kept per minute assumes that the requests
    of the minute are spread evenly, and each has the same probability. Attributes that are not known when a trace
    begins never match. Of a store with more than 4,096 different latencies, p99 is off by 1/512 at most.
    Source: AWS X-Ray developer guide, "Configuring sampling rules".

    Examples
    --------
    >>> plan = tk.plan_sampling(shop, {"now": 0.05, "all": 1.0}, min_incident_requests=20)
    >>> plan.plans[["kept_count", "capture_ratio"]].round(2).to_dict("list")
    {'kept_count': [0.25, 5.0], 'capture_ratio': [0.64, 1.0]}
    """
    check_traces(traces, "plan_sampling")
    if sdk not in {"otel", "classic"}:
        raise ValueError(f"expected sdk 'otel' or 'classic', found {sdk!r}")
    occurrences = (min_incident_requests, 1) if isinstance(min_incident_requests, int) else min_incident_requests
    named = rules if _is_several(rules) else {"rules": rules}
    if not named:
        raise ValueError("expected at least one set of sampling rules, found none")
    read_rules = {str(name): sampling_rules(source) for name, source in named.items()}
    for name, read in read_rules.items():
        if read.tail:
            raise ValueError(f"expected head-sampling rules, found tail-sampling policies in {name!r}")
    durations = over_parts(traces, DurationsOf(is_store(traces)), Durations.plus, on=on).state
    kept = over_parts(traces, RequestsByRule(tuple(read_rules.values()), sdk, durations.edge), Rows.plus, on=on)
    frame = kept.state.one_by_one()
    facts = Requests.of(frame, durations.span_ns)
    plans, rows, operations, findings = [], [], [], []
    for at, (name, read) in enumerate(read_rules.items()):
        number = frame[RULE.format(at)].to_numpy()
        chance = _chance(facts, number, read)
        plans.append(_plan(name, facts, number, chance, occurrences, usd_per_million))
        rows += _rows(name, facts, number, chance, read, usd_per_million)
        kept_operations = _operations(name, facts, chance)
        operations.append(kept_operations)
        silent = kept_operations[
            (kept_operations["chance_of_none"] > _PROBABLY_NONE) & (kept_operations["request_count"] > 0)
        ]
        plans[-1]["silent_operation_count"] = len(silent)
        findings.append(_finding(plans[-1], silent, kept.weights))
    return SamplingPlan(
        pd.DataFrame(plans).set_index("plan"),
        pd.DataFrame(rows),
        pd.concat(operations, ignore_index=True),
        Findings(findings),
    )


def monthly_usd(trace_count: float, span_ns: float, usd_per_million: float) -> float:
    """Return what traces that were recorded within some time cost per month, in USD.

    Parameters
    ----------
    trace_count
        Number of traces.
    span_ns
        Time from the first to the last of them, in ns.
    usd_per_million
        Price per million recorded traces.

    Examples
    --------
    >>> monthly_usd(1_000, 24 * 3.6e12, 5.0)
    0.15
    """
    return trace_count * usd_per_million / 1e6 * _MONTH_NS / span_ns


def _is_several(rules: Any) -> bool:
    """Return whether this is a mapping of names to sets of rules rather than one configuration."""
    keys = {"SamplingRuleRecords", "SamplingRule", "FixedRate", "processors", "policies", "default_strategy", "version"}
    if not isinstance(rules, Mapping) or {"rules", "default"} <= set(rules):
        return False
    return not (keys | {"service_strategies"}) & set(rules)


def _chance(facts: Requests, number: Array, rules: Rules) -> Array:
    """Return the probability that each request is kept, given its rule and minute."""
    chance = np.zeros(len(number))
    for at, rule in enumerate(rules.head):
        rows = np.flatnonzero(number == at)
        if not len(rows):
            continue
        counts = np.bincount(facts.minute[rows], weights=facts.weight[rows])
        whole = np.maximum(np.round(counts), 1)
        mean, _ = expected_kept(whole, rule.quota, rule.rate, seconds=60)
        chance[rows] = (mean / whole)[facts.minute[rows]]
    return chance


def _sums(facts: Requests, rows: Array, chance: Array) -> dict[str, float]:
    """Return totals of some requests, and how much of them is kept."""
    weight, kept = facts.weight[rows], facts.weight[rows] * chance[rows]
    failed, slow = facts.failed[rows], facts.slow[rows]
    requests = float(weight.sum())
    return {
        "request_count": requests,
        "kept_count": float(kept.sum()),
        "kept_ratio": float(kept.sum()) / requests if requests else float("nan"),
        "error_count": float(weight[failed].sum()),
        "kept_error_count": float(kept[failed].sum()),
        "slow_count": float(weight[slow].sum()),
        "kept_slow_count": float(kept[slow].sum()),
    }


def _plan(
    name: str,
    facts: Requests,
    number: Array,
    chance: Array,
    min_incident_requests: tuple[int, int] | None,
    price: float,
) -> dict[str, Any]:
    """Return the row of ``plans`` of a set of rules."""
    sums = _sums(facts, np.arange(len(number)), chance)
    share = sums["kept_ratio"]
    captured = float("nan")
    if min_incident_requests is not None and share == share:  # noqa: PLR0124 - not NaN
        captured = (
            capture_probability(min_incident_requests[0], min(share, 1.0), min_incident_requests[1])
            if share > 0
            else 0.0
        )
    cost = monthly_usd(sums["kept_count"], facts.span_ns, price)
    unmatched = float(facts.weight[number < 0].sum())
    return {"plan": name, **sums, "cost_usd": cost, "unmatched_count": unmatched, "capture_ratio": captured}


def _rows(name: str, facts: Requests, number: Array, chance: Array, rules: Rules, price: float) -> list[dict[str, Any]]:
    """Return one row per rule, and one for requests that no rule matches."""
    rows = []
    numbered: list[tuple[int, HeadRule | None]] = [*enumerate(rules.head)]
    for at, rule in [*numbered, (-1, None)]:
        chosen = np.flatnonzero(number == at)
        if rule is None and not len(chosen):
            continue
        sums = _sums(facts, chosen, chance)
        about = {"rate": rule.rate, "quota": rule.quota} if rule else {"rate": 0.0, "quota": 0}
        cost = monthly_usd(sums["kept_count"], facts.span_ns, price)
        called = rule.name if rule else _UNMATCHED
        rows.append({"plan": name, "rule": called, **about, "trace_count": len(chosen), **sums, "cost_usd": cost})
    return rows


def _operations(name: str, facts: Requests, chance: Array) -> pd.DataFrame:
    """Return the requests kept of every root operation, and the probability that none is."""
    missed = facts.weight * np.log1p(-np.minimum(chance, 1 - 1e-12))
    frame = facts.operation.assign(request_count=facts.weight, kept_count=facts.weight * chance, missed=missed)
    keys = ["root_service_name", "root_name"]
    table = (
        frame.groupby(keys, observed=True, dropna=False)[["request_count", "kept_count", "missed"]].sum().reset_index()
    )
    table["chance_of_none"] = np.exp(table.pop("missed"))
    table.insert(0, "plan", name)
    return table.astype(dict.fromkeys(keys, object)).sort_values(
        ["request_count", *keys], ascending=[False, True, True]
    )


def _finding(plan: dict[str, Any], silent: pd.DataFrame, weights: WeightTotals) -> Finding:
    """Return the finding about a plan."""
    lost = plan["error_count"] - plan["kept_error_count"]
    headline = (
        f"{plan['plan']} would keep {plan['kept_count']:,.0f} of {plan['request_count']:,.0f} requests"
        f" ({ratio(plan['kept_ratio'])}) for about {usd(plan['cost_usd'])} per month; about {lost:,.0f} of"
        f" {plan['error_count']:,.0f} failed requests would be lost"
    )
    if len(silent):
        headline += f"; {plural(len(silent), 'operation')} would probably have no trace"
    assumptions = ["requests are spread evenly within each minute"]
    if weights.unknown_count:
        assumptions.append(f"{weights.unknown_count:,} traces of unknown sampling weight count once")
    share = plan["kept_ratio"]
    total = weights.trace_count
    estimate = Estimate(share, "ratio", share, share, total) if total else None
    severity: Literal["notice", "info"] = "notice" if len(silent) or lost > plan["error_count"] / 2 else "info"
    return Finding(
        "sampling.plan",
        severity,
        headline + ".",
        estimate,
        silent,
        (),
        tuple(assumptions),
        "",
        "tk.plan_sampling(traces, rules)",
    )
