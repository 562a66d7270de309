"""What would decide a claim: more traces, a random sample, recorded outcomes, or something that can be stated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.bounds.estimates import limits_of_values
from tracekit.analysis.bounds.limits import EMPTY, NO_ROOT, UNFINISHED, UNTRACED
from tracekit.analysis.sampling_plan import monthly_usd
from tracekit.stats.worst_case import Masses, first_false
from tracekit.text import clean, count, moment, plural, round_duration

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tracekit.analysis.bounds.result import Bounds

_MOST: Final = 2**40  # requests; more are infinitely many
_LARGEST_SAMPLE: Final = 200_000
_NAMED: Final = 3  # strata in a sentence
_COLUMNS: Final = ("action", "request_count", "kept_ratio", "cost_usd", "low", "high", "verdict")


class _Way(NamedTuple):
    """One way to decide a claim: requests that need a trace or an outcome, and the bounds then."""

    action: str
    request_count: float
    kept_count: float
    low: float
    high: float


def tolerated(found: Bounds) -> float:
    """Return the largest number of lost requests with the verdict of none; NaN if that is undecided."""

    def verdict(lost: int) -> str:
        return found.claim.verdict(*_with_lost(found, lost))

    if not found.claim.operator or not found.hidden.figure.count or (now := verdict(0)) == "undecided":
        return math.nan
    most = first_false(lambda lost: verdict(lost) == now, _MOST) - 1
    return math.inf if most == _MOST - 1 else float(most)


def _with_lost(found: Bounds, lost: float) -> tuple[float, float]:
    """Return the bounds if so many requests were lost, beyond those that were recorded without an outcome."""
    hidden, ends = found.hidden._replace(unseen=None), []
    for highest in (False, True):
        more = Masses.of([(hidden.limits.of(hidden.claim, UNTRACED)[highest], lost, UNTRACED)])
        known = hidden.worst(highest=highest)
        ends.append(hidden.figure.at(hidden.figure.worst(known, more, highest=highest)))
    return ends[0], ends[1]


def plan_of(found: Bounds, usd_per_million: float) -> pd.DataFrame:
    """Return the ways to decide an undecided claim, see ``Bounds.plan``."""
    ways = _ways(found) if found.verdict in {"undecided", "not estimable"} else []
    known = found.hidden.figure.count
    total = known + max(float(side.size.sum()) for side in (found.low_masses, found.high_masses))
    every_usd = monthly_usd(total, found.span_ns, usd_per_million) if ways else 0.0
    rows = [
        (
            *(way.action, way.request_count, way.kept_count / total, every_usd * way.kept_count / total),
            *(way.low, way.high, found.claim.verdict(way.low, way.high)),
        )
        for way in ways
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _ways(found: Bounds) -> list[_Way]:
    """Return the ways that decide the claim."""
    if not found.is_estimable:
        return [way for way in [_counts(found)] if way is not None]
    traces = _more_traces(found)
    every = [
        traces,
        *_strata(found, traces),
        *_outcomes(found),
        _random(found),
        _longest(found),
        _only_5xx(found),
        _counts(found),
    ]
    return [way for way in every if way is not None]


def _counts(found: Bounds) -> _Way | None:
    """Return how few requests have to be lost, if request counts of the endpoint alone would say how many were."""
    unseen, known, spare = found.hidden.unseen, found.hidden.figure.count, found.tolerated_count
    if (unseen is not None and any(frame.is_determined for frame in unseen.frames)) or not 0 < spare < math.inf:
        return None
    what = "requests" if found.claim.place is None else "requests of the endpoint"
    action = f"count the {what}: decided if at most {count(spare)} {'was' if spare == 1 else 'were'} lost"
    return _Way(action, known + spare, known, *_with_lost(found, spare))


def _lost(found: Bounds) -> float:
    """Return the requests without a trace."""
    return max(float(side.of_sources([EMPTY, UNTRACED]).size.sum()) for side in (found.low_masses, found.high_masses))


def _with_more(found: Bounds, more: float) -> tuple[float, float]:
    """Return the bounds if so many of the requests without a trace had one, and were like the recorded."""
    lost, known = _lost(found), found.hidden.figure.count
    ends = []
    for side in (found.low_masses, found.high_masses):
        is_lost = np.isin(side.source, [EMPTY, UNTRACED])
        left = side._replace(size=np.where(is_lost, side.size * (1 - more / max(lost, 1.0)), side.size))
        ends.append(found.hidden.figure.at(left.take(np.flatnonzero(left.size > 0)), 1 + more / known))
    return ends[0], ends[1]


def _more_traces(found: Bounds) -> _Way | None:
    """Return how many more traces decide the claim; None if no number does."""
    lost, known = math.floor(_lost(found)), found.hidden.figure.count
    more = first_false(lambda k: found.claim.verdict(*_with_more(found, k)) == "undecided", lost + 1)
    if more > lost:
        return None
    action = f"record {count(more)} more of the {plural(lost, 'request')} without a trace"
    return _Way(action, more, known + more, *_with_more(found, more))


def _strata(found: Bounds, traces: _Way | None) -> list[_Way]:
    """Return the fewest strata whose unseen requests are enough, if every request is of one frame of counts."""
    if traces is None or not len(found.strata) or "frame" in found.strata:
        return []
    labels = [name for name in found.strata if name not in {"end_ns", "request_count", "trace_count", "unseen_count"}]
    reached = found.strata["unseen_count"].cumsum().to_numpy()
    needed = int(np.searchsorted(reached, traces.request_count)) + 1
    if not labels or needed >= len(reached):
        return []
    rows = found.strata.head(needed)
    names = [" ".join(_label(name, row[name]) for name in labels) for row in rows.head(_NAMED).to_dict("records")]
    others = f" and {plural(needed - _NAMED, 'other stratum', 'other strata')}" if needed > _NAMED else ""
    lost = float(rows["unseen_count"].sum())
    known = found.hidden.figure.count
    action = f"record every request of {', '.join(names)}{others}"
    return [_Way(action, lost, known + lost, *_with_more(found, min(lost, _lost(found))))]


def _label(name: Hashable, value: object) -> str:
    """Return a label of a stratum, times in UTC."""
    if name == "start_ns":
        return moment(int(str(value)))
    return clean(value, limit=60) if isinstance(value, str) else f"without {name}"


def _outcomes(found: Bounds) -> list[_Way]:
    """Return whether outcomes of recorded requests, or traces of the windows without any, decide the claim."""
    ways, known = [], found.hidden.figure.count
    sides = (found.low_masses, found.high_masses)
    sources = {int(number) for side in sides for number in side.source}
    for own, action in (
        ({UNFINISHED, NO_ROOT}, "read the outcomes of requests that are unfinished or have no root span"),
        ({EMPTY}, "recover the traces of the windows without any"),
    ):
        some = max(float(side.of_sources(sorted(own)).size.sum()) for side in sides)
        ends = found.between(tuple(sorted(sources - own)))
        if some and found.claim.verdict(*ends) != "undecided":
            ways.append(_Way(f"{action} ({count(some)})", some, known + some, *ends))
    return ways


def _random(found: Bounds) -> _Way | None:
    """Return the smallest random sample with known weights, like the recorded requests, whose 95% CI decides."""
    figure = found.hidden.figure
    total = figure.count + max(float(side.size.sum()) for side in (found.low_masses, found.high_masses))

    def limits(size: int) -> tuple[float, float]:
        sample = figure.ranked(((np.arange(size) + 0.5) * figure.count / size).astype(np.int64))
        interval = limits_of_values(found.claim, sample, np.ones(size))
        return interval.low, interval.high

    most = int(min(total, _LARGEST_SAMPLE))
    needed = 1 + first_false(lambda size: found.claim.verdict(*limits(size + 1)) not in {"true", "false"}, most)
    if needed > most:
        return None
    action = f"sample {plural(needed, 'request')} at random with known weights (95% CI, no bound)"
    return _Way(action, needed, needed, *limits(needed))


def _longest(found: Bounds) -> _Way | None:
    """Return the longest duration of a request with which a mean is below its limit."""
    claim, side, figure = found.claim, found.high_masses, found.hidden.figure
    if claim.metric != "mean" or claim.operator not in {"<", "<="} or not len(side.size):
        return None
    hidden = float(side.size.sum())
    longest = math.floor((claim.value * (figure.count + hidden) - figure.sum) / hidden / 1e6 - 1e-6) * 1e6
    if longest < figure.known[-1]:
        return None
    high = figure.at(side._replace(value=np.full(len(side.value), longest)))
    action = f"show that no request takes longer than {round_duration(longest)} (longest_ms)"
    return _Way(action, 0.0, figure.count, found.low, high)


def _only_5xx(found: Bounds) -> _Way | None:
    """Return whether it decides the claim that exactly the requests with status 5xx failed."""
    hidden = found.hidden
    if found.claim.metric != "failed" or not hidden.has_status or hidden.limits.only_5xx_failed:
        return None
    stated = hidden._replace(limits=hidden.limits._replace(only_5xx_failed=True))
    low, high = (hidden.figure.at(stated.worst(highest=highest)) for highest in (False, True))
    if found.claim.verdict(low, high) == "undecided":
        return None
    action = "show that exactly the requests with status 5xx failed (only_5xx_failed)"
    return _Way(action, 0.0, hidden.figure.count, low, high)
