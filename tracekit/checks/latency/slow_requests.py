"""Whose requests are among the slowest of an endpoint, or fail, within one recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.what_differs.compute import what_differs
from tracekit.analysis.what_differs.selection import FAILED, sides_of
from tracekit.analysis.what_differs.values import value_shares
from tracekit.checks.changes.affected import affected_requests
from tracekit.checks.comparison import family_level
from tracekit.checks.names import name_of
from tracekit.checks.overview import ENOUGH, overview
from tracekit.checks.request_keys import MOST_KEYS, request_keys, share_of, slowest_of
from tracekit.findings import Estimate, Finding
from tracekit.text import clean, count, interval, plural, ratio

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.selection import Side
    from tracekit.analysis.what_differs.values import ValueShares
    from tracekit.checks.case import Case
    from tracekit.columns import Array
    from tracekit.parts import Parts
    from tracekit.traces import TraceSet

_SLOWEST: Final = "slowest 5%"
_APART: Final = 3.0  # p95 over p50 from which slow requests are a group of their own
_FAILING: Final = 0.01  # error rate above which failures are
_TIMES: Final = 2.0  # as many of the requests with a value as of the others
_TRIED: Final = 20  # values of a key, those of most slow or failed requests
_MOST: Final = 0.5  # of the slow or failed requests: less is no answer to whose they are
_NAMED: Final = 4  # values in a sentence
_NAME: Final = 60
METHOD: Final = "Values of attributes that set these requests apart from the others (tk.what_differs)."


class _Group(NamedTuple):
    """Some requests, those of them that are slow or failed, and the words for them."""

    check: str
    traces: TraceSet | Parts
    code: str
    selection: str
    subject: str
    verb: str
    noun: str


def slow_requests(case: Case) -> list[Finding]:
    """Return whose requests are the slowest of the slowest endpoint; nothing where none are far from the median."""
    seen = case.result(overview)
    if seen.slowest_entries.empty or _is_answered(case):
        return []
    entry = seen.slowest_entries.iloc[0]
    if entry["span_count"] < ENOUGH or not entry["p95_ns"] >= _APART * entry["p50_ns"]:
        return []
    code = f"tk.what_differs(traces.where({seen.slowest_condition!r}), {_SLOWEST!r}, pairs=False)"
    subject, noun = f"the {_SLOWEST} of {name_of(entry)} requests", f"{seen.counted}request"
    return _findings(_Group("slow_requests", seen.slowest_requests, code, _SLOWEST, subject, "are among them", noun))


def failed_requests(case: Case) -> list[Finding]:
    """Return whose requests fail; nothing where few do."""
    seen = case.result(overview)
    if not seen.failed.low > _FAILING or _is_answered(case):
        return []
    code = f"tk.what_differs(traces, {FAILED!r}, pairs=False)"
    noun = f"{seen.counted}request"
    return _findings(_Group("failed_requests", seen.source, code, FAILED, "the failed requests", "failed", noun))


def _is_answered(case: Case) -> bool:
    """Return whether the comparison with the baseline says who is affected."""
    return any(found.key for found in case.result(affected_requests))


def _findings(group: _Group) -> list[Finding]:
    """Return whose requests are slow or failed, by the first key that says so."""
    sides = sides_of(group.traces, group.selection)
    if not all(side.trace_count for side in sides):
        return []
    keys = request_keys(what_differs(group.traces, group.selection, pairs=False))[:MOST_KEYS]
    for key, shares in zip(keys, value_shares(sides, keys), strict=True):
        named = _named(shares)
        mask = shares.has_any(set(named))
        if named and not mask.all() and _part(sides, mask) >= _MOST:
            return [_finding(group, key, shares, named)]
    return []


def _named(shares: ValueShares) -> list[str]:
    """Return the values with which requests are slow or fail beyond doubt more often than all others."""
    level = family_level(int((shares.table(0.95)["trace_count"] >= ENOUGH).sum()))
    table = shares.table(level)
    others = [share_of(shares.sides, ~shares.has_any({value}), level)[0] for value in table["value"].head(_TRIED)]
    tried = table.head(_TRIED)
    return list(tried.loc[tried["selected_low_ratio"].to_numpy() > _TIMES * np.array(others), "value"])


def _part(sides: tuple[Side, Side], mask: Array) -> float:
    """Return which part of the slow or failed requests is in the mask."""
    weights, selection = sides[0].roots.weight, sides[0].chosen
    return float(weights[selection & mask].sum() / weights[selection].sum())


def _finding(group: _Group, key: str, shares: ValueShares, named: list[str]) -> Finding:
    """Return the finding."""
    table, sides = shares.table(0.95), shares.sides
    first = table[table["value"].isin(named)].iloc[0]
    value, low, high = (float(first[f"selected_{name}"]) for name in ("ratio", "low_ratio", "high_ratio"))
    mask = shares.has_any(set(named))
    names = [clean(text, limit=_NAME) for text in named[:_NAMED]]
    more = [f"{len(named) - _NAMED:,} more"] * (len(named) > _NAMED)
    which = clean(first["value"], limit=_NAME) if len(named) > 1 else "it"
    counts = f"{count(first['selection_count'])} of {plural(first['trace_count'], group.noun)}"
    text = (
        f"{ratio(_part(sides, mask))} of {group.subject} have {clean(key, limit=_NAME)} "
        f"{', '.join([*names, *more])}: {ratio(value)} of all requests with {which} {group.verb} "
        f"({counts}; {interval(low, high, ratio)}), at most {ratio(share_of(sides, ~mask, 0.95)[2])} of the others."
    )
    exemplar = slowest_of(sides[0], mask)
    estimate = Estimate(value, "ratio", low, high, int(first["trace_count"]))
    code = f"{group.code}.values({key!r})"
    return Finding(group.check, "notice", text, estimate, table.head(20), exemplar, method=METHOD, code=code)
