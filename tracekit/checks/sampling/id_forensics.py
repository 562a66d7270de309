"""S16: trace-ID-based samplers and their rates, inferred from trace IDs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from tracekit.checks.sampling.root_ids import ROOT_IDS
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.minimum_effect import judge
from tracekit.text import count, ratio, ratio_range, round_ratio
from tracekit.weights.forensics import read_ids
from tracekit.weights.id_edges import FEWEST, group_families, services_of_roots

if TYPE_CHECKING:
    from tracekit.checks.case import Case
    from tracekit.checks.sampling.root_ids import KnownIds
    from tracekit.findings import Finding, Status
    from tracekit.schema import Array
    from tracekit.stats.step_scan import Part, Step
    from tracekit.weights.forensics import Reading
    from tracekit.weights.id_edges import Family
    from tracekit.weights.rules import HeadRule

CHECK = "id.forensic"
_OTHER, _SHOWN, _NEARLY = 0.01, 3, 1.005


def id_forensics(case: Case) -> list[Finding]:
    """Return the trace-ID-based sampler of each service that starts traces.

    Every head sampler maps an ID to 0..1 by different bits (``weights.id_maps``) and keeps values below its rate: the
    IDs have an edge there only under its map.  ``stats.step_scan`` over the maps, Benjamini-Hochberg, one in a
    thousand; the rate is snapped to a configured one inside its interval.  ID formats cause edges too (leading zeros,
    times, counters), so a sampler is reported only if the IDs below the edge are uniform (``weights.id_edges``) and IDs
    beyond it occur, or if rules or the trace state declare the rate.  Assumes one threshold per service at a time:
    time slices are joined if one edge explains them (``stats.step_slices``), so that an adaptive rate appears as
    several.  Of a store, at most 65,536 traces of a service are tested, chosen by a hash of their ids; the assumptions
    say how many.  Source: the samplers' sources; the method is our own; measured false reports below 1%.
    """
    known = case.result(ROOT_IDS)
    groups = services_of_roots(known.ids)
    if not groups:
        return [not_assessable(CHECK, "Trace-ID-based sampling", f"{FEWEST} traces that start in one service")]
    found = [_one(case, known, service, rows) for service, rows in groups]
    return [
        replace(one, assumptions=(*one.assumptions, *known.sampled(service)))
        for one, (service, _) in zip(found, groups, strict=True)
    ]


def _one(case: Case, known: KnownIds, service: str, rows: Array) -> Finding:
    """Return the finding on one service."""
    found, reading = group_families(known.ids, rows), read_ids(known.ids, rows)
    table = _rows(service, [(family.name, family.step, len(rows)) for family in found])
    table["q_bh"] = [family.q for family in found]
    if not reading.edges:
        text = (
            f"No trace-ID-based sampling detected for `{service}` (n = {count(len(rows))}): unsampled, or sampled by"
            " another method (random, reservoir, salted hash)."
        )
        return finding(CHECK, "measured", text, table, is_critical=False)
    best = reading.edges[0]
    if reading.doubt and not _is_declared(case, known, rows, service, best):
        return _doubtful(service, reading, table)
    if len(reading.parts) > 1:
        return _rate_changed(case, known, service, best, reading.parts)
    return _detected(case, service, best, table)


def _is_declared(case: Case, known: KnownIds, rows: Array, service: str, best: Family) -> bool:
    """Return whether rules, or weights from other sources than IDs, confirm the rate of this service."""
    if _configured(case, service) is not None:
        return True
    least, most = best.step.low / _NEARLY, best.step.high * _NEARLY
    own = known.probability[rows]
    return bool((~known.is_by_ids[rows] & (own >= least) & (own <= most)).mean() > 1 / 2)


def _doubtful(service: str, reading: Reading, table: pd.DataFrame) -> Finding:
    """Return the finding on an edge that may have another cause than a sampler."""
    best = reading.edges[0]
    text = (
        f"Trace-ID sampling of `{service}` is uncertain: most IDs lie in the lowest {ratio(best.step.threshold)} of"
        f" the range of {best.name} (n = {count(table['trace_count'].iloc[0])}), and {reading.doubt}. A sampler or the"
        " ID generator may be the cause, so no weights are derived from the IDs."
    )
    remedy = "If these traces were sampled, pass the sampling rules (rules=) or use traces.with_weights."
    return finding(CHECK, "measured", text, table, remedy=remedy, is_critical=False)


def _rows(scope: str, edges: list[tuple[str, Step, int]]) -> pd.DataFrame:
    """Return edges as rows of evidence."""
    rows = [(scope, name, step.llr, step.threshold, step.low, step.high, step.other, n) for name, step, n in edges]
    columns = ["scope", "family", "llr", "estimate", "estimate_low", "estimate_high", "other_way", "trace_count"]
    return pd.DataFrame(rows, columns=columns)


def _rate_changed(case: Case, known: KnownIds, service: str, best: Family, parts: list[Part]) -> Finding:
    """Return the finding on a rate that changed over time."""
    table = _rows(service, [(best.name, part.step, len(part.at)) for part in parts])
    start = known.ids.start_ns
    table["first_time"] = pd.to_datetime([start[part.at].min() for part in parts], utc=True)
    table["last_time"] = pd.to_datetime([start[part.at].max() for part in parts], utc=True)
    rates = [f"{ratio(s.threshold)} ({ratio_range(s.low, s.high)}; n = {count(len(at))})" for at, s in parts[:_SHOWN]]
    more = f" and {len(parts) - _SHOWN} other rates" * (len(parts) > _SHOWN)
    rule = _rule(case, service)
    free = rule is None or rule.is_boosted
    ends = " The rule has a boost." if rule is not None and rule.is_boosted else ""
    ends = ends if rule is None or free else f" {round_ratio(rule.rate)} is configured, without a boost."
    text = (
        f"Trace-ID sampling of `{service}`: kept by {best.name} at {', at other times at '.join(rates)}{more}. The rate"
        f" changed, so unweighted shares and totals are biased.{ends}"
    )
    remedy = "" if free else "Find out which configuration was active when."
    estimate = Estimate(parts[0].step.threshold, "ratio", parts[0].step.low, parts[0].step.high, len(parts[0].at))
    return finding(CHECK, "measured" if free else "warning", text, table, estimate=estimate, remedy=remedy,
                 assumptions=("one threshold per service at a time",), is_critical=False)  # fmt: skip


def _detected(case: Case, service: str, best: Family, table: pd.DataFrame) -> Finding:
    """Return the finding on a detected sampler."""
    step, n = best.step, int(table["trace_count"].iloc[0])
    configured = _configured(case, service)
    status: Status = "measured"
    snapped = step.threshold
    ends = "."
    if configured is not None:
        near = judge(step.low / configured, step.high / configured, case.margin) if configured else "failed"
        is_it = step.low / _NEARLY <= configured <= step.high * _NEARLY
        snapped = configured if is_it else snapped
        status = "warning" if near == "failed" else "measured"
        ends = ", as configured." if is_it else f"; {round_ratio(configured)} is configured."
    other = f" {ratio(step.other)} of the traces were kept by another method (reservoir, error policy)." * (
        step.other > _OTHER
    )
    text = (
        f"Trace-ID sampling of `{service}`: kept by {best.name} at {ratio(snapped)}"
        f" ({ratio_range(step.low, step.high)}; n = {count(n)}){ends}{other}"
    )
    remedy = "Find out which configuration is active." if status == "warning" else ""
    estimate = Estimate(step.threshold, "ratio", step.low, step.high, n)
    return finding(CHECK, status, text, table, estimate=estimate, remedy=remedy,
                 assumptions=("one threshold per service",), is_critical=False)  # fmt: skip


def _rule(case: Case, service: str) -> HeadRule | None:
    """Return the head rule with a rate that applies to a service."""
    rules = case.rules
    rule = rules.match({"service_name": service}) if rules is not None and not rules.tail else None
    return None if rule is None or math.isnan(rule.rate) else rule


def _configured(case: Case, service: str) -> float | None:
    """Return the configured rate of this service."""
    if case.rules is not None and case.rules.tail:
        return case.rules.base_rate
    rule = _rule(case, service)
    return rule.rate if rule is not None and rule.has_rate else None
