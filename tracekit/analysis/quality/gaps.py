"""S20: whether collection was down, or there was no traffic."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tracekit.analysis.quality.gap_parts import ALL, FEWEST_TRACES, parts, scopes, trimmed
from tracekit.analysis.quality.verdicts import needs, speak
from tracekit.analysis.sampling.words import counted, number, percent, percents
from tracekit.findings import Estimate
from tracekit.stats.gap_strata import fate, gaps_by_stratum
from tracekit.stats.intervals import wilson

if TYPE_CHECKING:
    from tracekit.analysis.quality.gap_parts import Series
    from tracekit.analysis.quality.inputs import Inputs
    from tracekit.findings import Finding
    from tracekit.stats.gap_scan import Gap

CHECK = "gap.scan"
_SUBJECT = "Whether collection was interrupted"
ALARM_P, ALARM_LOSS, FEWEST_BINS, _MOST_GAPS = 0.01, 0.20, 12, 5
_MOST_OF_IT, _SEEN = 0.8, 20  # a loss of all of twenty traces was found in 59 of 60 simulated days, of twelve in 30
_COLUMNS = ["scope", "start_time", "end_time", "requests", "traces", "expected_traces"]
_COLUMNS += ["loss_ratio", "low", "high", "fate", "status"]


def gaps(inputs: Inputs) -> list[Finding]:
    """Say when fewer traces were collected than the requests of those minutes should have left.

    For the whole and for every service counted apart: ``gap_scan`` over the windows of the counts, again after
    masking what was found (at half the level each time), false discovery rate over services.  The same for zones, hosts
    and instances, whose gaps are invisible in the whole, each a family of its own.  Where these are not counted apart
    the traces tell them, beside their peers in the service: then these must not have made what is missing of the
    requests (``stats.gap_strata.fate``), or traffic moved and nothing was lost.  An alarm needs a chance below 1 %
    **and** a loss of at least 20 %.  What a reservoir keeps of a load is allowed for (``due_by_load``).  Windows with
    more traces than requests count as full (``counts.join`` names them).  Windows before the first and after the last
    trace are left out and told: traces that end there cannot be told from a collection that stopped, nor from an
    instance that did.  Assumes that counts and traces are of the same requests, and that the sampling rule did not
    change.

    Source: ``coverage_playbook.md`` (TraceCollectionGapDetected); Kulldorff 1997.
    """
    if inputs.counts is None or not inputs.counts.has_time:
        return [needs(CHECK, _SUBJECT, "request counts with times", "Give requests= with a column time.")]
    held = int(inputs.tally.bins["traces"].sum())
    if not held:
        return [needs(CHECK, _SUBJECT, "request counts of the time of the traces")]
    families = [{name: trimmed(series) for name, series in family.items()} for family in _families(inputs)]
    scanned = [
        {n: s for n, (s, _) in one.items() if len(s.traces) >= FEWEST_BINS and s.traces.sum()} for one in families
    ]
    if not scanned[0]:
        return [needs(CHECK, _SUBJECT, f"request counts in at least {FEWEST_BINS} windows that hold traces")]
    if held < FEWEST_TRACES:
        return [needs(CHECK, _SUBJECT, f"at least {FEWEST_TRACES} traces of the time of the counts (found {held})")]
    rows: list[dict[str, Any]] = []
    for family in filter(None, scanned):
        found = gaps_by_stratum([series.stratum for series in family.values()])
        for (name, series), (gap, q) in zip(family.items(), found, strict=True):
            rows += _gaps_of(name, series, gap, q, inputs.level)
    evidence = pd.DataFrame(rows, columns=_COLUMNS).sort_values("expected_traces", ascending=False, ignore_index=True)
    outside = families[0][ALL][1]
    caveat = f"; {number(outside)} more traces would be due before the first and after the last trace" * (outside >= 1)
    alarms = evidence[evidence["status"].isin(["fail", "warn"])]
    if len(alarms):
        return [_alarm(row, evidence, caveat) for row in _distinct(alarms)]
    whole = scanned[0].get(ALL, next(iter(scanned[0].values())))
    many = sum(map(len, scanned)) - 1
    apart = f", nor for any of {many} services, zones, hosts and instances" if many > 0 else ""
    moved = int((evidence["fate"] == "moved").sum())
    text = (
        f"No interruption of collection is seen in {number(len(whole.traces))} windows with "
        f"{number(whole.requests.sum())} requests and {number(whole.traces.sum())} traces{apart}: no drop of 20 % or "
        f"more is beyond chance, so a quiet stretch of the traces in which {_SEEN} or more were due is a quiet"
        f" stretch of traffic"
    )
    text += f"; {counted(moved, 'time')} the traffic of a part went to its peers" * (moved > 0)
    return [speak(CHECK, "ok", f"{text}{caveat}.", evidence, assumptions=_ASSUMED)]


def _families(inputs: Inputs) -> list[dict[str, Series]]:
    """Return what is scanned: the whole with the services first, then zones, hosts and instances."""
    return [scopes(inputs), *parts(inputs)]


_ASSUMED = ("counts and traces are of the same requests", "the sampling rule did not change within the period")


def _gaps_of(name: str, series: Series, gap: Gap, q: float, level: float) -> list[dict[str, Any]]:
    """Return the gaps of one scope, each found after masking those before."""
    rows, left, alarm = [], series.stratum, ALARM_P
    while gap.end > gap.start:
        is_alarm = q < alarm and gap.loss >= ALARM_LOSS
        whither = fate(series.stratum, gap, level=level) if is_alarm else ""
        rows.append(_row(name, series, gap, whither, level))
        if not is_alarm or len(rows) == _MOST_GAPS:
            break
        alarm /= 2
        left = left.without(gap)
        gap = left.worst()
        q = gap.p
    return rows


_STATUS = {"lost": "fail", "unclear": "warn", "moved": "ok", "": "ok"}


def _row(name: str, series: Series, gap: Gap, whither: str, level: float) -> dict[str, Any]:
    """Return what is known of one window; the interval of the loss allows for overdispersion."""
    part = slice(gap.start, gap.end)
    base = float(series.stratum.base[part].sum())
    per_bin = base / max(gap.end - gap.start, 1)
    low, high = wilson(gap.traced / max(base, 1), base / (1 + max(per_bin - 1, 0) * gap.rho), level=level)
    usual = gap.share if series.others is not None else gap.expected / max(base, 1)
    shares = np.array([high, low, usual])
    shares = shares if series.others is None else shares / np.maximum(1 - shares, 1e-9)  # beside what the peers made
    start, end = (
        pd.Timestamp(int(at), unit="ns", tz="UTC") for at in (series.start_ns[gap.start], series.end_ns[gap.end - 1])
    )
    limits = [float(np.clip(1 - limit / shares[2], 0, 1)) for limit in shares[:2]]
    asked = series.requests[part].sum()
    numbers = [name, start, end, asked, gap.traced, gap.expected, gap.loss, *limits, whither, _STATUS[whither]]
    return dict(zip(_COLUMNS, numbers, strict=True))


def _distinct(alarms: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the alarms; of a whole and a part that were down at the same time the one that explains the other."""
    rows: list[dict[str, Any]] = [
        dict(zip(_COLUMNS, row, strict=True)) for row in alarms[_COLUMNS].itertuples(index=False)
    ]
    rows.sort(key=lambda row: row["scope"] != ALL)
    explained = [pair for pair in itertools.product(rows, rows) if _holds(*pair)]
    wholes = [whole for whole, part in explained if _missing(part) >= _MOST_OF_IT * _missing(whole)]
    parts_of = [part for whole, part in explained if not any(whole is other for other in wholes)]
    return [row for row in rows if not any(row is other for other in (*wholes, *parts_of))]


def _missing(row: dict[str, Any]) -> float:
    """Return how many traces a gap lacks."""
    return float(row["expected_traces"] - row["traces"])


def _holds(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    """Return whether one gap is of a whole to which the other's scope belongs, at the same time."""
    belongs = part["scope"] != ALL and (whole["scope"] == ALL or part["scope"].endswith(f" of {whole['scope']}"))
    return bool(belongs and part["start_time"] < whole["end_time"] and whole["start_time"] < part["end_time"])


def _alarm(row: dict[str, Any], evidence: pd.DataFrame, caveat: str) -> Finding:
    """Return what is said of one gap."""
    whose = ALL if row["scope"] == ALL else f"`{row['scope']}`"
    lost, size = _missing(row), percent(row["loss_ratio"])
    when = f"from {row['start_time']:%Y-%m-%d %H:%M} to {row['end_time']:%H:%M} UTC"
    limits = percents(row["low"], row["high"])
    estimate = Estimate(row["loss_ratio"], "ratio", row["low"], row["high"], int(row["requests"]))
    remedy = "Look at collectors and exporters of that time; leave the window out of rates and comparisons."
    if row["fate"] == "unclear":
        text = (
            f"{size} ({limits}) of {whose} traces are missing {when}, about {number(lost)}: whether they were lost, or"
            f" others answered those requests, its peers made too few traces to tell{caveat}."
        )
        remedy = "Count requests by zone, host or instance, or look whether it took traffic at that time."
        return speak(CHECK, "warn", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)
    meaning = "fewer traces there do not mean less traffic or fewer errors"
    if " of " in row["scope"]:
        meaning = f"its peers made no more than usual, so {meaning}"
    text = (
        f"Collection lost {size} ({limits}) of {whose} traces {when} while {number(row['requests'])} requests "
        f"came: about {number(lost)} traces are missing, and {meaning}{caveat}."
    )
    return speak(CHECK, "fail", text, evidence, estimate=estimate, assumptions=_ASSUMED, remedy=remedy)
