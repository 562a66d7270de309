"""Who is affected by a regression: the customers, tenants, regions, versions or hosts, and a bound for all others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tracekit.analysis.what_differs.compute import what_differs
from tracekit.analysis.what_differs.selection import FAILED, sides_of
from tracekit.analysis.what_differs.values import value_shares
from tracekit.checks.changes.customers import customers_of
from tracekit.checks.changes.endpoints import most_regressed
from tracekit.checks.changes.error_rate import has_risen
from tracekit.checks.comparison import comparable_changes, family_level
from tracekit.checks.names import name_of
from tracekit.checks.overview import ENOUGH
from tracekit.checks.request_keys import MOST_KEYS, request_keys, share_of, slowest_of
from tracekit.findings import Estimate, Finding
from tracekit.stats.differences import Limited, difference_limits
from tracekit.stats.histograms import Histogram
from tracekit.text import clean, count, duration, from_to, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.result import Differences
    from tracekit.analysis.what_differs.roots import Roots
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.analysis.what_differs.values import ValueShares
    from tracekit.checks.case import Case
    from tracekit.checks.comparison import Changes
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_MOST: Final = 0.5  # of the excess: less is no answer to who is affected
_NAMED: Final = 4  # values in a sentence
_NAME: Final = 60
_RATIOS: Final = ("selected_ratio", "selected_low_ratio", "selected_high_ratio")
METHOD: Final = (
    "Values of attributes that set these requests apart (tk.what_differs), with a larger share of them than in the"
    " baseline."
)


@dataclass(frozen=True)
class Band:
    """Requests that are slow or failed, on both sides.

    Parameters
    ----------
    where
        Condition on the traces that are looked at; empty for all.
    condition
        Which of them are slow or failed.
    now, was
        The traces that are looked at: current ones and those of the baseline.
    what, names
        What they are, in words; those that are slow or failed, and the others.
    verb
        What is said of those that are slow or failed, at first and again.
    noun
        ``request``, or ``recorded request`` unless each represents itself alone.
    """

    where: str
    condition: str
    now: TraceSet | Parts
    was: TraceSet | Parts
    what: str
    names: tuple[str, str]
    verb: tuple[str, str]
    noun: str

    @cached_property
    def sides(self) -> tuple[tuple[Side, Side], tuple[Side, Side]]:
        """Slow or failed requests and the others: of the current traces, and of the baseline."""
        return sides_of(self.now, self.condition), sides_of(self.was, self.condition)

    @property
    def roots(self) -> tuple[Roots, Roots]:
        """Root spans of the traces that are looked at: current ones and those of the baseline."""
        return self.sides[0][0].roots, self.sides[1][0].roots

    @property
    def trace_counts(self) -> tuple[int, int]:
        """Numbers of traces that are looked at."""
        now, was = self.roots
        return now.trace_count, was.trace_count

    @property
    def selection(self) -> Any:
        """Which requests are slow or failed, as for ``tk.what_differs``."""
        return self.condition

    @property
    def code(self) -> str:
        """The call that returns the values that set them apart."""
        traces = f"traces.where({self.where!r})" if self.where else "traces"
        return f"tk.what_differs({traces}, {self.condition!r}, pairs=False)"


@dataclass(frozen=True)
class Affected:
    """The values that set the affected requests apart.

    Parameters
    ----------
    band
        The requests that are slow or failed.
    differences
        The values that set them apart from the others, of the current traces.
    key
        The key that says who is affected; empty if none does.
    table
        One row per value of this key: the columns of ``Differences.values`` with ``baseline_`` and ``current_``, and
        ``is_affected``; empty without a key.
    now, was
        Which traces are affected: current ones, and those of the baseline.
    """

    band: Band
    differences: Differences
    key: str
    table: pd.DataFrame
    now: Array
    was: Array


def affected(case: Case) -> list[Finding]:
    """Return who is affected by a regression of the latency or of the error rate; nothing if it affects all alike."""
    return [affected_finding(found) for found in case.result(affected_requests) if found.key]


def affected_requests(case: Case) -> list[Affected]:
    """Return what sets slow requests of the endpoint that regressed most, and failed ones, apart."""
    return [affected_by(band) for band in case.result(bands) if band is not None and has_contrast(band)]


def bands(case: Case) -> tuple[Band | None, Band | None]:
    """Return the slow requests of the endpoint that regressed most, and the failed ones; None without a regression."""
    return _slow(case), _failed(case)


def _slow(case: Case) -> Band | None:
    """Return the requests of the endpoint that regressed most that are slower than the p95 of its baseline."""
    changes = comparable_changes(case)
    row = None if changes is None else most_regressed(changes)
    return None if changes is None or row is None else slow_band(changes, row, int(row["baseline_p95_ns"]))


def slow_band(changes: Changes, row: pd.Series, limit: int) -> Band:
    """Return the requests of an endpoint that take longer than a limit, the p95 of one side."""
    where = f"depth == 0 and service_name == {row['service_name']!r} and operation == {row['operation']!r}"
    now, was = (side.source.where(where) for side in (changes.now, changes.before))
    verb = f"exceed {duration(limit)}, the p95 of the baseline", "exceed it"
    condition, names = f"depth == 0 and duration_ns > {limit}", (f"slower than {duration(limit)}", "the rest")
    return Band(where, condition, now, was, f"{name_of(row)} requests", names, verb, f"{changes.now.counted}request")


def _failed(case: Case) -> Band | None:
    """Return the failed requests if the error rate rose."""
    changes = comparable_changes(case)
    return None if changes is None or not has_risen(changes) else failed_band(changes)


def failed_band(changes: Changes) -> Band:
    """Return the failed requests."""
    now, was = changes.now.source, changes.before.source
    names, verb = ("failed", "succeeded"), ("failed", "failed")
    return Band("", FAILED, now, was, "requests", names, verb, f"{changes.now.counted}request")


def has_contrast(band: Band) -> bool:
    """Return whether some, but not all of the current requests are slow or failed, and the baseline has any."""
    return all(side.trace_count for side in band.sides[0]) and bool(band.trace_counts[1])


def affected_by(band: Band) -> Affected:
    """Return who is affected, by the first key that says so."""
    differences = _differences(band)
    keys = request_keys(differences)[:MOST_KEYS]
    both = (value_shares(sides, keys) for sides in band.sides)
    for key, now, before in zip(keys, *both, strict=True):
        table = _compared(band, now, before)
        named = set(table.loc[table["is_affected"], "value"])
        masks = now.has_any(named), before.has_any(named)
        if named and not masks[0].all() and _share_of_excess(band, *masks) >= _MOST:
            return Affected(band, differences, key, table, *masks)
    return Affected(band, differences, "", pd.DataFrame(), *(np.zeros(count, bool) for count in band.trace_counts))


def _differences(band: Band) -> Differences:
    """Return what sets the slow or failed requests apart, with their names."""
    found = what_differs(band.now, band.selection, pairs=False)
    selection, others = (side._replace(name=name) for side, name in zip(found.source, band.names, strict=True))
    return replace(found, sides=found.sides.assign(name=band.names), source=(selection, others))


def _compared(band: Band, now: ValueShares, before: ValueShares) -> pd.DataFrame:
    """Return the values of a key on both sides, and which have a larger share of slow or failed requests than before.

    A value that the baseline does not have is compared with all of its requests.
    """
    sides = [found.table(0.95).set_index("value") for found in (before, now)]
    shown = sides[1].add_prefix("current_").join(sides[0].add_prefix("baseline_")).reset_index()
    level = family_level(int((shown["current_trace_count"] >= ENOUGH).sum()))
    every = dict(zip(_RATIOS, share_of(band.sides[1], np.ones(band.trace_counts[1], bool), level), strict=True))
    strict = [found.table(level).set_index("value").reindex(shown["value"])[list(_RATIOS)] for found in (before, now)]
    limits = [table.to_numpy(float).T for table in (strict[0].fillna(every), strict[1])]
    change = difference_limits(*(Limited(*columns) for columns in limits))
    return shown.assign(is_affected=np.greater(change.low, 0))


def _share_of_excess(band: Band, mask: Array, old: Array) -> float:
    """Return which part of the additional slow or failed requests is among the affected ones."""
    parts = []
    weights = band.roots[0].weight
    for now, was in ((mask, old if old.any() else ~old), (~mask, ~old)):
        more = share_of(band.sides[0], now, 0.95)[0] - (share_of(band.sides[1], was, 0.95)[0] if was.any() else 0.0)
        parts.append(max(0.0, more) * float(weights[now].sum()))
    return parts[0] / sum(parts) if sum(parts) > 0 else 0.0


def affected_finding(found: Affected) -> Finding:
    """Return the finding about who is affected."""
    band, named = found.band, found.table[found.table["is_affected"]]
    first = named.iloc[0]
    value, low, high = (float(first[f"current_selected_{name}"]) for name in ("ratio", "low_ratio", "high_ratio"))
    requests = int(first["current_trace_count"])
    counts = f"{count(first['current_selection_count'])} of {plural(requests, band.noun)}"
    limits = interval(low, high, ratio)
    was = first["baseline_selected_ratio"]
    is_new = not np.isfinite(was)
    shares = ratio(value) if is_new else from_to(was, value, ratio)
    which = f" of those with {clean(first['value'], limit=_NAME)}" * (len(named) > 1)
    weights = band.roots[0].weight
    part = float(weights[found.now].sum() / weights.sum())
    times = _p95(found, is_affected=True)
    customers = customers_of(band.sides[0][0], found.now & band.sides[0][0].chosen)
    whose = "" if customers is None else f", from {customers.words}"
    before = f"{_who(found, named)}{' (not in the baseline)' * is_new}{times}{':' if is_new and not times else ';'}"
    text = (
        f"Affected: {before} {shares}{which} {band.verb[0]} "
        f"({counts}; {limits}). They are {ratio(part)} of these requests{whose}. {_others(found)}"
    )
    return Finding(
        "affected",
        "warning",
        text,
        Estimate(value, "ratio", low, high, requests),
        found.table.head(20),
        slowest_of(band.sides[0][0], found.now),
        method=f"{METHOD}{in_part(found.differences)}",
        values={
            "key": found.key,
            "values": named["value"].tolist(),
            "request_count": int(found.now.sum()),
            "of_count": band.trace_counts[0],
            "request_ratio": part,
            "value": value,
            "low": low,
            "high": high,
            "n": requests,
        }
        | ({} if customers is None else customers.facts),
        code=f"{band.code}.values({found.key!r})",
    )


def in_part(found: Differences) -> str:
    """Return the sentence on keys of which only frequent values were compared; empty without any."""
    words = found.in_part
    return f" {words[0].upper()}{words[1:]}." if words else ""


def _who(found: Affected, named: pd.DataFrame) -> str:
    """Return which requests are affected."""
    names = [clean(value, limit=_NAME) for value in named["value"].head(_NAMED)]
    more = [f"{len(named) - _NAMED:,} more"] * (len(named) > _NAMED)
    return f"{found.band.what} with {clean(found.key, limit=_NAME)} {', '.join([*names, *more])}"


def _p95(found: Affected, *, is_affected: bool) -> str:
    """Return the p95 of the affected requests or of the others, on both sides, if it is a question of latency."""
    if found.band.condition == FAILED:
        return ""
    times = []
    for roots, mask in zip(found.band.roots[::-1], (found.was, found.now), strict=True):
        mine = roots.is_timed & ~roots.is_inferred & (mask == is_affected)
        took = Histogram.of(np.zeros(mine.sum(), np.int64), roots.duration_ns[mine], roots.weight[mine])
        times.append(float(took.quantiles((0.95,), 1)[0, 0]))
    before, now = times
    return f": p95 {from_to(before, now) if np.isfinite(before) else duration(now)}"


def _others(found: Affected) -> str:
    """Return what is known about the other requests: how many of them are slow or failed at the most."""
    masks = zip(found.band.sides, (~found.now, ~found.was), strict=True)
    now, was = (share_of(sides, mask, 0.95) for sides, mask in masks)
    change = difference_limits(Limited(*was), Limited(*now))
    verdict = "fewer" if change.high < 0 else "more" if change.low > 0 else "no significant change"
    rates = f"{from_to(was[0], now[0], ratio)} {found.band.verb[1]}, at most {ratio(now[2])}"
    separator = ":" if found.band.condition == FAILED else ";"
    return f"Others{_p95(found, is_affected=False)}{separator} {rates}: {verdict}."
