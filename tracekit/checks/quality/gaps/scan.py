"""S20: collection gaps, from request counts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.trace_rows import OFTEN
from tracekit.checks.quality.gaps.parts import ALL, FEWEST_TRACES, entries, parts, scopes, trimmed
from tracekit.findings import Estimate, finding, not_assessable
from tracekit.stats.gap_strata import gaps_by_stratum, shortfall
from tracekit.stats.intervals import wilson
from tracekit.stats.tests import false_discovery
from tracekit.text import count, period, plural, ratio, ratio_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracekit.checks.case import Case
    from tracekit.checks.quality.gaps.parts import Series
    from tracekit.columns import Array
    from tracekit.findings import Finding, Status
    from tracekit.stats.gap_scan import Gap
    from tracekit.stats.gap_strata import Shortfall

CHECK = "gap.scan"
_SUBJECT = "Collection gaps"
ALARM_P, ALARM_LOSS, FEWEST_BINS, _MOST_GAPS = 0.01, 0.20, 12, 5
_LOST, _SURELY_LOST = 0.05, 0.01  # false discovery rates of the sum over all peers: warning, critical
_SEEN = 20  # a loss of all of twenty traces was found in 59 of 60 simulated days, of twelve in 30
_COLUMNS = ["scope", "start_time", "end_time", "requests", "traces", "expected_traces"]
_COLUMNS += ["loss_ratio", "low", "high"]
_SAME_GAP = 0.8


def gaps(case: Case) -> list[Finding]:
    """Return the windows with significantly fewer traces than the requests predict.

    For all traces and for every service with request counts: ``gap_scan`` over the windows of the counts, repeated
    after masking each gap (at half the level each time), false discovery rate over services.  The same for zones, hosts
    and instances, whose gaps are invisible in the total, each a separate family.  An alarm needs a probability below 1%
    **and** a loss of at least 20%.

    Where zones, hosts and instances have no request counts, a part is first scanned as a share of the traces of all its
    peers.  That share also drops when requests move to the peers: fail-over, scaling, deployments.  A loss is therefore
    reported only if the sum over all peers is below the number that the requests predict
    (``stats.gap_strata.shortfall``, at a false discovery rate of 1% over all assessed windows; up to 5% is a warning).
    The expected number is a share of the requests and never exceeds them.

    A gap seen at several levels is reported once, at the coarsest level that explains it (``explained_by``).  The
    effect of a reservoir at high load is allowed for (``due_by_load``).  Windows with more traces than requests count
    as complete (``counts.join`` lists them).  Windows before the first and after the last trace are excluded and
    reported: there, a stopped collection cannot be distinguished from stopped traffic.  Assumes that counts and traces
    cover the same requests, and that the sampling rule did not change.

    Source: ``coverage_playbook.md`` (TraceCollectionGapDetected); Kulldorff 1997.
    """
    if case.counts is None or not case.counts.has_time:
        return [not_assessable(CHECK, _SUBJECT, "request counts with times", "Pass requests= with a column time.")]
    recorded = int(case.tally.bins["traces"].sum())
    if not recorded:
        return [not_assessable(CHECK, _SUBJECT, "request counts of the period of the traces")]
    cells = entries(case)
    families = [scopes(case, cells), *parts(case, cells)]  # all traces and services; zones, hosts and instances
    outside = trimmed(families[0][ALL])[1]
    scanned = [_scannable(family) for family in families]
    if not scanned[0]:
        return [not_assessable(CHECK, _SUBJECT, f"request counts in at least {FEWEST_BINS} windows with traces")]
    if recorded < FEWEST_TRACES:
        return [
            not_assessable(CHECK, _SUBJECT, f"at least {FEWEST_TRACES} traces in the counted period (found {recorded})")
        ]
    series = {name: one for family in scanned for name, one in family.items()}
    evidence = _judged(_windows(scanned, case.confidence), series, cells[OFTEN].to_numpy())
    caveat = f" {count(outside)} more traces were expected before the first and after the last trace." * (outside >= 1)
    alarms = evidence[evidence["status"].isin(["failed", "warning"]) & (evidence["reported_as"] == evidence["scope"])]
    if len(alarms):
        return [_alarm(row, evidence, caveat, case.ci) for _, row in alarms.iterrows()]
    return [_no_gap(evidence, scanned, caveat)]


def _no_gap(evidence: pd.DataFrame, scanned: list[dict[str, Series]], caveat: str) -> Finding:
    """Return the finding without an alarm."""
    whole = scanned[0].get(ALL, next(iter(scanned[0].values())))
    many = sum(map(len, scanned)) - 1
    apart = f", nor in any of {many} services, zones, hosts and instances" if many > 0 else ""
    moved, unclear = (int((evidence["outcome"] == outcome).sum()) for outcome in ("moved", "unclear"))
    text = (
        f"No collection gap found in {count(len(whole.traces))} windows with {count(whole.requests.sum())} requests "
        f"and {count(whole.traces.sum())} traces{apart}. No significant drop of 20% or more; a total loss of {_SEEN} "
        f"expected traces would have been detected."
    )
    text += f" {plural(moved, 'drop')} of one part only: its requests went to its peers." * (moved > 0)
    text += f" {plural(unclear, 'drop')} of one part: either lost traces, or requests that went to its peers." * (
        unclear > 0
    )
    remedy = "Pass request counts by zone, host or instance." * (unclear > 0)
    status: Status = "inconclusive" if unclear else "ok"
    return finding(CHECK, status, f"{text}{caveat}", evidence, assumptions=_ASSUMED, remedy=remedy)


def _scannable(family: Mapping[str, Series]) -> dict[str, Series]:
    """Return the series with enough windows between their first and last trace."""
    inner = {name: trimmed(series)[0] for name, series in family.items()}
    return {name: one for name, one in inner.items() if len(one.traces) >= FEWEST_BINS and one.traces.sum()}


_ASSUMED = ("counts and traces cover the same requests", "the sampling rule did not change within the period")


class _Row(NamedTuple):
    """One window: its numbers and, for an alarm, the shortfall of all peers together."""

    numbers: dict[str, Any]
    lack: Shortfall | None


def _windows(scanned: list[dict[str, Series]], confidence: float) -> list[_Row]:
    """Return the gaps of all series; the false discovery rate holds within each family."""
    rows: list[_Row] = []
    for family in filter(None, scanned):
        found = gaps_by_stratum([series.stratum for series in family.values()])
        for (name, series), (gap, q) in zip(family.items(), found, strict=True):
            rows += _gaps_of(name, series, gap, q, confidence)
    return rows


def _gaps_of(name: str, series: Series, gap: Gap, q: float, confidence: float) -> list[_Row]:
    """Return the gaps of one scope, each found after masking the earlier ones."""
    rows, left, alarm = [], series.stratum, ALARM_P
    while gap.end > gap.start:
        is_alarm = q < alarm and gap.loss >= ALARM_LOSS
        rows.append(_Row(_numbers(name, series, gap, confidence), shortfall(series.stratum, gap) if is_alarm else None))
        if not is_alarm or len(rows) == _MOST_GAPS:
            break
        alarm /= 2
        left = left.without(gap)
        gap = left.worst()
        q = gap.p
    return rows


def _judged(rows: list[_Row], series: Mapping[str, Series], often: Array) -> pd.DataFrame:
    """Return the windows with the outcome of their traces, a status, and the scope that reports each alarm.

    ``often``: the number of entries of each member of the series.
    """
    evidence = pd.DataFrame([row.numbers for row in rows], columns=_COLUMNS)
    lack = [row.lack for row in rows]
    p = np.array([np.nan if one is None or not one.error else one.p for one in lack])
    q = np.where(np.isnan(p), 0.0, false_discovery(p))  # 0 where the part has request counts
    evidence["outcome"] = [
        "" if one is None else one.outcome(own, most=_LOST) for one, own in zip(lack, q.tolist(), strict=True)
    ]
    lost = (evidence["outcome"] == "lost").to_numpy()
    evidence["status"] = np.select(
        [lost & (q < _SURELY_LOST), lost, evidence["outcome"] == "unclear"], ["failed", "warning", "inconclusive"], "ok"
    )
    at = np.flatnonzero(lost)
    leads = explained_by([_as_alarm(row, series[row["scope"]]) for _, row in evidence.iloc[at].iterrows()], often)
    evidence["reported_as"] = ""
    scopes_of = evidence["scope"].to_numpy(object)
    evidence.loc[at, "reported_as"] = scopes_of[at[leads]]
    for one, lead in zip(at.tolist(), at[leads].tolist(), strict=True):
        if evidence.loc[one, "status"] == "failed":
            evidence.loc[lead, "status"] = "failed"  # the loss of the total is proven, and this part explains it
    return evidence.sort_values("expected_traces", ascending=False, ignore_index=True)


def _as_alarm(row: pd.Series, series: Series) -> Alarm:
    """Return a row of evidence as an alarm."""
    times = row["start_time"].value, row["end_time"].value
    return Alarm(row["scope"], *times, series.members, _missing(row), row["loss_ratio"])


def _numbers(name: str, series: Series, gap: Gap, confidence: float) -> dict[str, Any]:
    """Return the evidence row of one window; the interval of the loss allows for overdispersion."""
    part = slice(gap.start, gap.end)
    requested = float(series.requests[part].sum())
    per_bin = requested / max(gap.end - gap.start, 1)
    low, high = wilson(
        gap.traced / max(requested, 1), requested / (1 + max(per_bin - 1, 0) * gap.rho), confidence=confidence
    )
    usual = max(gap.expected / max(requested, 1), 1e-9)
    start, end = (
        pd.Timestamp(int(at), unit="ns", tz="UTC") for at in (series.start_ns[gap.start], series.end_ns[gap.end - 1])
    )
    limits = [float(np.clip(1 - limit / usual, 0, 1)) for limit in (high, low)]
    numbers = [name, start, end, requested, gap.traced, gap.expected, gap.loss, *limits]
    return dict(zip(_COLUMNS, numbers, strict=True))


def _missing(row: pd.Series) -> float:
    """Return the number of missing traces of a gap."""
    return float(row["expected_traces"] - row["traces"])


def _alarm(row: pd.Series, evidence: pd.DataFrame, caveat: str, ci: str) -> Finding:
    """Return the finding on one gap."""
    scope = ALL if row["scope"] == ALL else f"`{row['scope']}`"
    lost, size = count(_missing(row)), ratio(row["loss_ratio"])
    when = f"from {period(row['start_time'].value, row['end_time'].value)}"
    limits = f"{ci} {ratio_range(row['low'], row['high'])}"
    estimate = Estimate(row["loss_ratio"], "ratio", row["low"], row["high"], int(row["requests"]))
    remedy = "Check collectors and exporters at that time; exclude the window from rates and comparisons."
    is_part = " of " in row["scope"]
    if row["status"] == "warning":
        text = (
            f"Probable collection gap: {size} ({limits}) of {scope} traces are missing {when}, about {lost}. The sum "
            f"over its peers is also below the expected number, so they were probably lost and not handled by "
            f"peers.{caveat}"
        )
        remedy = "Pass request counts by zone, host or instance, or check whether it received traffic at that time."
        return finding(CHECK, "warning", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)
    meaning = " Its peers recorded no more traces than usual." * is_part
    text = (
        f"Collection gap: {size} ({limits}) of {scope} traces are missing {when}, about {lost} traces, while "
        f"{count(row['requests'])} requests arrived{' at it and its peers' * is_part}.{meaning} Fewer traces in this "
        f"window do not mean less traffic or fewer errors.{caveat}"
    )
    return finding(CHECK, "failed", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)


class Alarm(NamedTuple):
    """A gap of one scope: its window, the members of its series, the number of missing traces, and the share lost."""

    scope: str
    start_ns: int
    end_ns: int
    members: Array
    missing: float
    lost: float


def explained_by(alarms: Sequence[Alarm], often: Array) -> list[int]:
    """Return for every alarm the alarm that reports it: itself, or another alarm of the same gap.

    Two alarms belong to the same gap if they overlap in time and at least 80% of one scope belongs to the other.  A
    part with less than 80% of the missing traces of the whole is explained by the whole.  Otherwise the part explains
    the whole, unless the whole lost nearly as large a share.  A part that shares no entries with the scope that
    explains the whole is a separate gap.

    ``often``: the number of entries of each member.
    """
    leads = list(range(len(alarms)))
    located, contained = _same_gap(alarms, often)
    for whole, part in located:
        if leads[whole] == whole:
            leads[whole] = part
    for whole, part in contained:
        if leads[part] == part and _shared(alarms[part], alarms[_end(leads, whole)], often):
            leads[part] = whole
    return [_end(leads, at) for at in range(len(alarms))]


def _same_gap(alarms: Sequence[Alarm], often: Array) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return pairs of whole and part with the same gap: those explained by the part, and those by the whole."""
    located: list[tuple[int, int]] = []
    contained: list[tuple[int, int]] = []
    for coarse, fine in itertools.combinations(range(len(alarms)), 2):
        one, other = alarms[coarse], alarms[fine]
        if not (one.start_ns < other.end_ns and other.start_ns < one.end_ns):
            continue
        sizes = int(often[one.members].sum()), int(often[other.members].sum())
        if _shared(one, other, often) < _SAME_GAP * min(sizes):
            continue
        whole, part = (coarse, fine) if sizes[0] >= _SAME_GAP * sizes[1] else (fine, coarse)
        is_located = alarms[part].missing >= _SAME_GAP * alarms[whole].missing
        is_purer = alarms[whole].lost < _SAME_GAP * alarms[part].lost
        (located if is_located and is_purer else contained).append((whole, part))
    return located, contained


def _shared(one: Alarm, other: Alarm, often: Array) -> int:
    """Return the number of entries that belong to both scopes."""
    return int(often[np.intersect1d(one.members, other.members, assume_unique=True)].sum())


def _end(leads: Sequence[int], at: int) -> int:
    """Return the alarm at the end of a chain of explanations."""
    seen = {at}
    while leads[at] not in seen:
        at = leads[at]
        seen.add(at)
    return at
