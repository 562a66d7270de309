"""Whether a new version makes what grew worse: compared with others at the same time, and with itself before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.analysis.partials import over_parts
from tracekit.analysis.what_differs.roots import roots_of, tabulate
from tracekit.checks.changes.own_values import OwnValues, failed_requests, own_values, path_time
from tracekit.checks.names import WAITS, place_of
from tracekit.checks.screen.cause import cause_of
from tracekit.checks.screen.course import course_of
from tracekit.checks.screen.served import took_part
from tracekit.stats.differences import Limited, difference_limits
from tracekit.stats.influences import LEAST, Denominator, influence
from tracekit.stats.weighted_means import mean_limits
from tracekit.stats.weighted_rates import clustered_rates
from tracekit.text import clean, duration, ratio

if TYPE_CHECKING:
    from tracekit.analysis.what_differs.roots import Roots
    from tracekit.checks.overview import Overview
    from tracekit.checks.screen.cause import Cause
    from tracekit.checks.screen.changed import Release
    from tracekit.checks.screen.made import Made
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_HALF: Final = 0.5  # of the increase: a version that adds less than that is not what made it
_NAME: Final = 80


class Group(NamedTuple):
    """Requests, and what grew in them: the mean per request with its limits (NaN where too few requests decide)."""

    request_count: int
    mean: Limited


class Contrast(NamedTuple):
    """A new version compared with requests that are not on it, or were not slow on it.

    Parameters
    ----------
    what
        What grew, in words.
    is_time
        Whether it is time per request (ns); otherwise the share of requests that fail.
    usual
        All requests of the baseline.
    other_version
        Of the other requests at the same time; empty for requests on the new version before the regression began.
    other, mine
        Those requests; the ones on the new version.
    """

    what: str
    is_time: bool
    usual: Group
    other_version: str
    other: Group
    mine: Group

    @property
    def is_worse(self) -> bool:
        """Whether what grew is beyond doubt more on the new version than in the other requests."""
        return bool(difference_limits(self.other.mean, self.mine.mean).low > 0)

    @property
    def is_alike(self) -> bool:
        """Whether other versions are worse than the baseline as well, and by at least half as much beyond doubt."""
        is_up = bool(difference_limits(self.usual.mean, self.other.mean).low > 0)
        most = difference_limits(self.other.mean, self.mine.mean).high
        return is_up and bool(most < _HALF * (self.mine.mean.value - self.usual.mean.value))

    @property
    def was_good(self) -> bool:
        """Whether the new version was much better before the regression began: beyond doubt by more than half of it."""
        most = difference_limits(self.usual.mean, self.other.mean).high
        return self.is_worse and bool(most < _HALF * (self.mine.mean.value - self.usual.mean.value))

    @property
    def figures(self) -> tuple[str, str, str]:
        """The means of the baseline, of the other requests, and of those on the new version, in words."""
        form = duration if self.is_time else ratio
        usual, other, mine = (form(float(one.mean.value)) for one in (self.usual, self.other, self.mine))
        return usual, other, mine

    @property
    def numbers(self) -> dict[str, Any]:
        """The same, with the numbers of requests."""
        sides = {"baseline": self.usual, "other": self.other, "version": self.mine}
        unit = "mean_ns" if self.is_time else "error_ratio"
        found = {f"{name}_{unit}": float(one.mean.value) for name, one in sides.items()}
        return {**found, **{f"{name}_request_count": one.request_count for name, one in sides.items()},
                "other_version": self.other_version or None}  # fmt: skip


class _Requests(NamedTuple):
    """Requests of one side: start, weight, the value of what grew, and the versions of a service that took part."""

    start_ns: Array
    weight: Array
    value: Array
    version: Array


def at_the_same_time(made: Made, release: Release) -> Contrast | None:
    """Return a new version compared with the others of its service while both serve; None where none serve beside it.

    Only requests on one version count: of the endpoint that regressed, of those who are affected, after the onset.
    """
    found = cause_of(made)
    sides = _sides(made, release.service_name, found)
    if sides is None:
        return None
    now, before = sides
    is_mine, is_other = now.version == release.version, (now.version != release.version) & (now.version != "")
    if not is_mine.any() or not is_other.any():
        return None
    both = [now.start_ns[mask] for mask in (is_mine, is_other)]
    first, last = max(one.min() for one in both), min(one.max() for one in both)
    high = None if made.regression is None else course_of(made, made.regression).high_ns
    is_then = (now.start_ns >= max(first, first if high is None else high)) & (now.start_ns <= last)
    names, counts = np.unique(now.version[is_other & is_then], return_counts=True)
    if not len(names):
        return None
    return _contrast(made, found, before, str(names[counts.argmax()]), (now, is_other & is_then),
                     (now, is_mine & is_then))  # fmt: skip


def before_the_onset(made: Made, release: Release) -> Contrast | None:
    """Return a new version since the regression began compared with itself before; None where it came with it."""
    found = cause_of(made)
    course = None if made.regression is None else course_of(made, made.regression)
    sides = _sides(made, release.service_name, found)
    if sides is None or course is None or course.low_ns is None or course.high_ns is None:
        return None
    now, before = sides
    whole = _Requests(*(np.concatenate(pair) for pair in zip(now, before, strict=True)))
    is_mine = whole.version == release.version
    was = is_mine & (whole.start_ns < course.low_ns)
    if not was.any():
        return None
    return _contrast(made, found, before, "", (whole, was), (now, (now.version == release.version)
                     & (now.start_ns >= course.high_ns)))  # fmt: skip


def words_of(contrast: Contrast, release: Release) -> str:
    """Return what a contrast says, in figures."""
    name, version = clean(release.service_name, limit=_NAME), clean(release.version, limit=_NAME)
    usual, other, mine = contrast.figures
    counts = f"(n = {contrast.other.request_count:,} requests)", f"(n = {contrast.mine.request_count:,})"
    first = f"{contrast.what}: {usual} in the baseline"
    if not contrast.other_version:
        since = f"{mine} on it since {counts[1]}"
        return f"{first}, {other} on {name} {version} before the regression began {counts[0]}, {since}."
    was = clean(contrast.other_version, limit=_NAME)
    return f"{first}, at the same time {other} on {name} {was} {counts[0]} and {mine} on {version} {counts[1]}."


def _contrast(
    made: Made, found: Cause, before: _Requests, other: str, others: tuple[_Requests, Array],
    mine: tuple[_Requests, Array],
) -> Contrast:  # fmt: skip
    """Return a contrast of some requests."""
    is_time = _is_time(made, found)
    groups = [_group(requests, mask, is_time=is_time) for requests, mask in (others, mine)]
    place = clean(found.service_name, limit=_NAME) if found.row is None else place_of(found.row)
    what = f"{place}, time per request" if is_time else "Failed requests"
    usual = _group(before, before.version != "", is_time=is_time)
    return Contrast(what, is_time, usual, other, *groups)


def _group(requests: _Requests, chosen: Array, *, is_time: bool) -> Group:
    """Return some requests with the mean of what grew in them."""
    value, weight = requests.value[chosen], requests.weight[chosen]
    number = int((weight > 0).sum())
    zero, each = np.zeros(len(value), np.int64), np.arange(len(value))
    if number < LEAST:
        return Group(number, Limited(float(np.average(value, weights=weight)) if number else np.nan, np.nan, np.nan))
    if not is_time:
        found = clustered_rates(zero, each, value > 0, weight, 1, confidence=0.95)
        return Group(number, Limited(float(found.ratio[0]), float(found.low[0]), float(found.high[0])))
    mean = float(np.average(value, weights=weight))
    if not np.ptp(value[weight > 0]):  # as of an operation that the baseline does not have
        return Group(number, Limited(mean, mean, mean))
    low, high = mean_limits(
        np.array([mean]), influence(zero, each, value * weight, Denominator.of(weight), 1).moments()
    )
    return Group(number, Limited(mean, float(low[0]), float(high[0])))


def _is_time(made: Made, found: Cause) -> bool:
    """Return whether what grew is time: of an operation, or of a service unless more requests fail."""
    return made.regression is not None and made.regression.metric != "error_rate" and bool(found.service_name)


def _sides(made: Made, service_name: str, found: Cause) -> tuple[_Requests, _Requests] | None:
    """Return the requests of both sides; None where nothing grew."""
    changes = made.changes
    if changes is None or made.regression is None:
        return None
    if made.regression.metric != "error_rate" and not found.service_name:
        return None
    sides = []
    for at, side in enumerate((changes.now, changes.before)):
        own = _values(made, side, found)
        if own is None:
            return None
        roots = roots_of(side.source)
        known = own.has_value & roots.is_dated & _is_concerned(made, roots, at)
        seen = over_parts(side.source, partial(_only_versions, service_name=service_name), _both).state
        columns = (roots.start_ns, roots.weight, own.value, seen.reindex(roots.packed_ids, fill_value="").to_numpy())
        sides.append(_Requests(*(column[known] for column in columns)))
    return sides[0], sides[1]


def _values(made: Made, side: Overview, found: Cause) -> OwnValues | None:
    """Return what grew, one value per request: failures, or critical-path time of the operation or the suspect."""
    if not _is_time(made, found):
        return failed_requests(side.source)
    if found.row is not None:
        return path_time(side, {name: found.row[name] for name in WAITS})
    if found.suspect is not None:
        return own_values(side, found.suspect)
    return path_time(side, {"service_name": found.service_name})


def _is_concerned(made: Made, roots: Roots, at: int) -> Array:
    """Return which requests of one side (0: current) are of the endpoint that regressed and of those affected."""
    assert made.regression is not None
    band = made.regression.band
    if band is None:
        return np.ones(roots.trace_count, bool)
    mine = band.roots[at].packed_ids
    named = made.affected(band)
    mask = None if named is None else (named.now, named.was)[at]
    return np.isin(roots.packed_ids, mine if mask is None or not mask.any() else mine[mask])


def _only_versions(traces: TraceSet, service_name: str) -> pd.Series:
    """Return the version of a service in each request that one took part in, by trace id; several are left out."""
    seen = took_part(traces, service_name).drop_duplicates("trace", keep=False)
    return pd.Series(seen["version"].to_numpy(object), tabulate(traces).packed_ids[seen["trace"]])


def _both(first: pd.Series, second: pd.Series) -> pd.Series:
    """Return the requests of two parts."""
    found: pd.Series = pd.concat([first, second])
    return found
