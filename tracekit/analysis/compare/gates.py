"""Conditions on a comparison, such as ``p95_ms rises 10%``: failed, passed, or not decidable from the data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from tracekit.stats.differences import Limited, difference_limits
from tracekit.stats.intervals import normal_quantile
from tracekit.text import duration, from_to, interval, mean_count, plural, points, ratio, signed_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from tracekit.analysis.compare.result import Comparison

Outcome = Literal["passed", "failed", "inconclusive"]
_METRICS: Final = {f"{name}_ms": f"{name}_ns" for name in ("mean", "p50", "p90", "p95", "p99")} | {
    "error_rate": "error_ratio",
    "calls_per_request": "calls_per_request",
}
_PLACES: Final = {"endpoint": "endpoints", "operation": "table", "edge": "edges"}
_LEVELS: Final = {"endpoint": "endpoint", "operation": "group", "edge": "edge"}
_CHANGE: Final = re.compile(
    rf"(?P<metric>{'|'.join(_METRICS)})(?: of (?P<place>.+?))? (?P<verb>rises|falls)"
    r"(?: (?:by )?(?P<amount>\d+(?:\.\d+)?) ?(?P<unit>%|ms|points))?"
)
_PRESENCE: Final = re.compile(r"(?P<verb>new|gone) (?P<place>endpoint|operation|edge)")
_SHARE: Final = 0.1  # of the baseline: the smallest change that matters where a condition has no amount
_POINTS: Final = 0.01  # the same of an error rate
_MORE: Final = " by more than "
_MOST: Final = 1e9  # traces: beyond it, no number is a useful answer
FORMS: Final = (
    "METRIC [of PLACE] rises|falls [AMOUNT%|AMOUNT ms|AMOUNT points], or new|gone endpoint|operation|edge;"
    f" METRIC is one of {', '.join(_METRICS)}; PLACE is the name of an endpoint, operation or edge, or any"
    " endpoint|operation|edge"
)


@dataclass(frozen=True)
class Gate:
    """A condition and what the comparison says of it.

    Parameters
    ----------
    condition
        As written.
    outcome
        ``failed``: the condition is met, significantly; ``passed``: it is not; ``inconclusive``: too few traces.
    sentence
        The numbers behind it.
    traces_needed
        Traces a side that would decide it, if the values stay the same; None where the number is not known.
    """

    condition: str
    outcome: Outcome
    sentence: str
    traces_needed: int | None = None


@dataclass(frozen=True)
class _Change:
    """A parsed condition on a metric: the change is larger than ``amount`` (of the baseline if relative)."""

    text: str
    metric: str
    place: str | None
    sign: int
    amount: float
    is_relative: bool


def evaluate(condition: str, changes: Comparison) -> Gate:
    """Return what a comparison says of a condition.

    Parameters
    ----------
    condition
        ``p95_ms rises 10%``, ``error_rate of POST /checkout rises 1 points``, ``new edge``.  Without an amount, any
        significant change; without a place, all requests.
    changes
        The comparison, at the confidence level that the condition needs.

    Returns
    -------
    Gate
        Failed where the limits of the change lie beyond the amount; passed where they lie on this side of it; otherwise
        inconclusive.  Without an amount: failed where the change is significant; passed where the limits exclude a
        change by more than 10% of the baseline (1 point of an error rate).  With "any" place and an amount, the limits
        are those of all places jointly (Bonferroni), and the sentence counts the places of which the amount cannot be
        excluded; inconclusive if that is all of them.

    Raises
    ------
    ValueError
        A condition that does not parse, or a place that neither side has.

    Examples
    --------
    >>> before, during = tk.load_sample("checkout-regression")
    >>> gate = evaluate("p95_ms of POST /checkout rises 10%", tk.compare(before, during))
    >>> gate.outcome, print(gate.sentence)
    p95 of storefront POST /checkout 100 → 256 ms (+156 ms; 95% CI +143 to +171 ms): rises by more than 10.0%.
    ('failed', None)
    """
    parsed = " ".join(condition.split())
    if match := _PRESENCE.fullmatch(parsed):
        return _presence(condition, match["verb"], match["place"], changes)
    if not (match := _CHANGE.fullmatch(parsed)):
        raise ValueError(f"expected a condition of the form {FORMS}; found {condition!r}")
    if match["unit"] == "ms" and not match["metric"].endswith("_ms"):
        raise ValueError(f"expected an amount in % or points for {match['metric']}, found ms in {condition!r}")
    if match["unit"] == "points" and match["metric"] != "error_rate":
        raise ValueError(f"expected an amount in % or ms for {match['metric']}, found points in {condition!r}")
    scale = {"%": 0.01, "points": 0.01, "ms": 1e6}.get(match["unit"] or "%", 1.0)
    asked = _Change(
        condition, match["metric"], match["place"], 1 if match["verb"] == "rises" else -1,
        float(match["amount"] or 0) * scale, (match["unit"] or "%") == "%",
    )  # fmt: skip
    if not changes.comparability.is_comparable:
        return Gate(condition, "inconclusive", f"{changes.statement}.")
    return _any(asked, changes) if (asked.place or "").startswith("any ") else _one(asked, _row(asked, changes))


def _row(asked: _Change, changes: Comparison) -> pd.Series:
    """Return the effect that a condition is about; ValueError lists the names if there is none."""
    effects = changes.effects[changes.effects["metric"] == _METRICS[asked.metric]]
    if asked.place is None:
        return effects[effects["level"] == "request"].iloc[0]
    for name in _LEVELS.values():
        level = effects[effects["level"] == name]
        for found in (level[level["name"] == asked.place], level[level["name"].str.endswith(f" {asked.place}")]):
            if len(found) == 1:
                return found.iloc[0]
            if len(found) > 1:
                names = ", ".join(found["name"].head(4))
                raise ValueError(f"expected the name of one place in {asked.text!r}, found several: {names}")
    names = ", ".join(dict.fromkeys(effects[effects["level"] == "endpoint"]["name"].head(4)))
    raise ValueError(f"expected an endpoint, operation or edge, found {asked.place!r}; endpoints are {names}")


def _beyond(asked: _Change, row: pd.Series) -> Limited:
    """Return by how much the change is larger than the amount, with limits."""
    before, now = (
        Limited(*(float(row[f"{side}_{part}"]) for part in Limited._fields)) for side in ("baseline", "current")
    )
    if not asked.amount:
        low, high = (asked.sign * float(row[f"change_{end}"]) for end in ("low", "high"))
        return Limited(asked.sign * (now.value - before.value), min(low, high), max(low, high))
    factor, more = (1 + asked.sign * asked.amount, 0.0) if asked.is_relative else (1.0, asked.sign * asked.amount)
    asked_for = Limited(*(part * factor + more for part in before))
    sides = (asked_for, now) if asked.sign > 0 else (now, asked_for)
    return difference_limits(*sides)


def _one(asked: _Change, row: pd.Series) -> Gate:
    """Return what one effect says of a condition."""
    beyond, said = _beyond(asked, row), _sentence(asked, row)
    if not np.isfinite([row["change_low"], row["change_high"], beyond.low]).all():
        least = _least(row)
        more = f"; at least {plural(least, 'trace')} a side are needed" if least else ""
        return Gate(asked.text, "inconclusive", f"{said}: too few traces to tell{more}.", least)
    if beyond.low > 0:
        return Gate(asked.text, "failed", f"{said}: {_verb(asked)}.")
    if beyond.high < 0:
        rise = f"{'rise' if asked.sign > 0 else 'fall'}{_by(asked, _MORE)}"
        return Gate(asked.text, "passed", f"{said}: does not {rise}.")
    if not asked.amount:
        return _without_amount(asked, row, beyond, said)
    needed = _needed(beyond, int(min(row["baseline_trace_count"], row["current_trace_count"])))
    more = f"; about {plural(needed, 'trace')} a side are needed" if needed else ""
    return Gate(asked.text, "inconclusive", f"{said}: inconclusive whether it {_verb(asked)}{more}.", needed)


def _without_amount(asked: _Change, row: pd.Series, beyond: Limited, said: str) -> Gate:
    """Return what no significant change says: nothing, unless the limits exclude a change that matters."""
    least = _POINTS if asked.metric == "error_rate" else _SHARE * abs(float(row["baseline_value"]))
    small = replace(asked, amount=_POINTS if asked.metric == "error_rate" else _SHARE, is_relative=least != _POINTS)
    what = f"{'rise' if asked.sign > 0 else 'fall'}{_by(small, _MORE)}"
    if beyond.high <= least:
        return Gate(asked.text, "passed", f"{said}: no significant change; a {what} is excluded.")
    traces = int(min(row["baseline_trace_count"], row["current_trace_count"]))
    room = least - float(beyond.value)
    needed = traces * ((float(beyond.high) - float(beyond.value)) / room) ** 2 if room > 0 else math.inf
    more = f"; about {plural(math.ceil(needed), 'trace')} a side are needed" if needed < _MOST else ""
    text = f"{said}: no significant change, but the data cannot exclude a {what}{more}."
    return Gate(asked.text, "inconclusive", text, math.ceil(needed) if needed < _MOST else None)


def _any(asked: _Change, changes: Comparison) -> Gate:
    """Return what the effects of a table say of a condition; limits hold jointly for all of them."""
    place = str(asked.place).removeprefix("any ")
    if place not in _LEVELS:
        raise ValueError(f"expected any endpoint, any operation or any edge, found {asked.place!r}")
    effects = changes.effects
    mine = effects[(effects["metric"] == _METRICS[asked.metric]) & (effects["level"] == _LEVELS[place])]
    tested = mine[mine["p_value"].notna()]
    if tested.empty:
        return Gate(asked.text, "inconclusive", f"no {place} has enough traces on both sides to tell.")
    wider = normal_quantile(1 - 0.05 / len(tested)) / normal_quantile(0.95)
    beyond = [_widened(_beyond(asked, row), wider if asked.amount else 1.0) for _, row in tested.iterrows()]
    rises = tested["is_significant"].to_numpy(bool) & [limits.low > 0 for limits in beyond]
    worse = [row for _, row in tested[rises].iterrows()]
    if worse:
        rest = f" {plural(len(worse) - 1, f'other {place}')} as well." * (len(worse) > 1)
        return Gate(asked.text, "failed", f"{_sentence(asked, worse[0])}: {_verb(asked)}.{rest}")
    open_count = sum(not limits.high < 0 for limits in beyond) if asked.amount else 0
    unknown = f" The data cannot exclude it of {open_count} of them." * bool(open_count)
    text = f"{asked.metric} of {plural(len(tested), place)}: none {_verb(asked)} significantly.{unknown}"
    return Gate(asked.text, "inconclusive" if open_count == len(tested) else "passed", text)


def _widened(limits: Limited, factor: float) -> Limited:
    """Return limits whose distances from the value are so many times as large."""
    return Limited(limits.value, *(limits.value + factor * (end - limits.value) for end in limits[1:]))


def _presence(text: str, verb: str, place: str, changes: Comparison) -> Gate:
    """Return whether operations, endpoints or edges are new or gone."""
    table = getattr(changes, _PLACES[place])
    if not changes.comparability.is_comparable:
        return Gate(text, "inconclusive", f"{changes.statement}.")
    here, there = ("current", "baseline") if verb == "new" else ("baseline", "current")
    only = table[(table[f"{there}_trace_count"] == 0) & (table[f"{here}_trace_count"] > 0)]
    sure = only[only["verdict"] == verb]
    named = sure if len(sure) else only
    names = ", ".join(
        f"{' '.join(filter(None, row[:2]))} ({plural(row[2], 'trace')})"
        for row in zip(*(named[name].astype(object).where(named[name].notna(), "").head(4)
                         for name in list(table.columns[:2])), named[f"{here}_trace_count"].head(4), strict=True)
    )  # fmt: skip
    if len(sure):
        return Gate(text, "failed", f"{plural(len(sure), f'{verb} {place}')}: {names}.")
    if len(only):
        why = f"in the {here} traces only, which may be chance"
        return Gate(text, "inconclusive", f"{plural(len(only), place)} {why}: {names}.")
    return Gate(text, "passed", f"no {place} is {verb}.")


def _sentence(asked: _Change, row: pd.Series) -> str:
    """Return the metric on both sides with the change and its limits."""
    forms: dict[str, tuple[Callable[[float | None], str], Callable[[float], str]]] = {
        "error_rate": (ratio, points),
        "calls_per_request": (mean_count, lambda value: f"{value:+.3g}"),
    }
    form, signed = forms.get(asked.metric, (duration, signed_duration))
    values = from_to(float(row["baseline_value"]), float(row["current_value"]), form)
    limits = interval(float(row["change_low"]), float(row["change_high"]), signed)
    name = asked.metric.removesuffix("_ms").replace("_", " ")
    return f"{name} of {row['name']} {values} ({signed(float(row['change']))}; {limits})"


def _verb(asked: _Change) -> str:
    """Return the condition in words."""
    return f"{'rises' if asked.sign > 0 else 'falls'}{_by(asked, _MORE)}"


def _by(asked: _Change, words: str) -> str:
    """Return the amount with its unit, if one was given."""
    if not asked.amount:
        return ""
    if asked.is_relative:
        return f"{words}{ratio(asked.amount)}"
    return f"{words}{points(asked.amount).lstrip('+') if asked.metric == 'error_rate' else duration(asked.amount)}"


def _needed(beyond: Limited, traces: int) -> int | None:
    """Return the traces a side at which limits as wide as these, narrower by the square root, exclude 0."""
    value = float(beyond.value)
    arm = value - float(beyond.low) if value > 0 else float(beyond.high) - value
    if not value or not math.isfinite(arm):
        return None
    needed = traces * (arm / abs(value)) ** 2
    return math.ceil(needed) if needed < _MOST else None


def _least(row: pd.Series) -> int | None:
    """Return the traces a side below which a metric has no limits at all; None where there are as many."""
    share = {"p50_ns": 0.5, "p90_ns": 0.9, "p95_ns": 0.95, "p99_ns": 0.99}.get(row["metric"], 0.5)
    least = max(20, math.ceil(math.log(0.025) / math.log(share)))
    return least if least > min(row["baseline_trace_count"], row["current_trace_count"]) else None
