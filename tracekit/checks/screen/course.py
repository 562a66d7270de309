"""When a regression began, and whether it still goes on when the data end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tracekit.analysis.change_points import ERRORS, LATENCY, ONSET, RECOVERY
from tracekit.analysis.what_differs.roots import roots_of
from tracekit.checks.changes.over_time import timeline_of
from tracekit.checks.changes.variation import dispersion_of
from tracekit.checks.request_keys import share_of
from tracekit.stats.differences import Limited, difference_limits
from tracekit.stats.onset import onset_limits

if TYPE_CHECKING:
    from typing import Any

    from tracekit.checks.changes.affected import Band
    from tracekit.checks.screen.made import Made, Regression
    from tracekit.columns import Array

_LAST: Final = 4  # the last part of the requests, one in so many, says whether the regression goes on
_LEAST: Final = 10  # requests in it
_METRICS: Final = {"error_rate": (ERRORS,), "p95": (LATENCY,), "mean": (LATENCY, ERRORS)}


class Course(NamedTuple):
    """The course of a regression; times in ns since the epoch.

    Parameters
    ----------
    low_ns, high_ns
        The regression began between them; None where that is not known.
    onset_ns
        The estimate; None where only the limits are known.
    end_ns
        The data end.
    recovered_ns
        The recovery; None without one.
    is_ongoing
        Whether the last requests are still slow or failing; None where too few requests decide.
    is_from_baseline
        Whether ``low_ns`` is the end of the baseline.
    """

    low_ns: int | None
    high_ns: int | None
    onset_ns: int | None
    end_ns: int
    recovered_ns: int | None
    is_ongoing: bool | None
    is_from_baseline: bool


def course_of(made: Made, regression: Regression) -> Course:
    """Return when a regression began: from the end of an earlier baseline on, otherwise by a step in the recording."""
    changes = made.changes
    period = None if changes is None else changes.now.period_ns
    end = 0 if period is None else period[1]
    steps = _steps(made, regression)
    is_part = made.case.recording is not None
    low, high, is_of_baseline = _between_sides(made, regression.band)
    if ONSET in steps and (is_part or high is None):
        onset, recovery = steps[ONSET], steps.get(RECOVERY)
        recovered = None if recovery is None else int(recovery["time_ns"])
        is_ongoing = False if recovery else _is_ongoing(made, regression.band)
        limits = int(onset["low_ns"]), int(onset["high_ns"])
        return Course(*limits, int(onset["time_ns"]), end, recovered, is_ongoing, is_from_baseline=False)
    recovery = steps.get(RECOVERY)
    recovered = None if recovery is None else int(recovery["time_ns"])
    is_ongoing = _is_ongoing(made, regression.band) if recovery is None else False
    return Course(low, high, None, end, recovered, is_ongoing, is_of_baseline)


def _steps(made: Made, regression: Regression) -> dict[str, Any]:
    """Return onset and recovery of the metric in the recording, by kind; empty where it did not rise."""
    rows = made.case.result(timeline_of).changes
    for metric in _METRICS[regression.metric]:
        found = {row["kind"]: row for row in rows[rows["metric"] == metric].to_dict("records")}
        if ONSET in found and found[ONSET]["after_value"] > found[ONSET]["before_value"]:
            return {str(kind): row for kind, row in found.items()}
    return {}


def _between_sides(made: Made, band: Band | None) -> tuple[int | None, int | None, bool]:
    """Return the limits of the onset if the baseline is earlier, and whether it may be before the current traces."""
    changes = made.changes
    if changes is None or changes.before.period_ns is None:
        return None, None, False
    starts = [roots_of(side.source).started_ns for side in (changes.before, changes.now)]
    if not all(np.isfinite(each).any() for each in starts) or np.nanmax(starts[0]) >= np.nanmin(starts[1]):
        return None, None, False
    ends = changes.before.period_ns[1]
    if band is None:
        return ends, None, True
    now, was = _affected(made, band)
    begun = band.roots[0].started_ns
    mine = np.flatnonzero(now & (band.sides[0][0].chosen | band.sides[0][1].chosen))
    mine = mine[np.argsort(begun[mine], kind="stable")]
    is_slow = band.sides[0][0].chosen[mine]
    if not is_slow.any():
        return ends, None, True
    slow, total = (np.count_nonzero(each[was]) for each in (band.sides[1][0].chosen, np.ones(len(was), bool)))
    step = onset_limits(is_slow, (slow + 0.5) / (total + 1), dispersion=dispersion_of(band))
    low = ends if step.low == 0 else int(begun[mine[step.low - 1]])
    return low, int(begun[mine[step.high]]), step.low == 0


def _is_ongoing(made: Made, band: Band | None) -> bool | None:
    """Return whether more of the last requests than of the baseline are slow or failed; None where too few decide.

    With a baseline that is later, the data end with the baseline, and nothing is said.  It is over where they are not,
    and fewer of them are than of the requests before them.
    """
    if band is None or made.is_baseline_later:
        return None
    now, was = _affected(made, band)
    begun = band.roots[0].started_ns
    mine = np.flatnonzero(now & np.isfinite(begun))
    last = mine[np.argsort(begun[mine], kind="stable")][-max(len(mine) // _LAST, _LEAST) :]
    if len(last) < _LEAST or not was.any():
        return None
    is_last = np.isin(np.arange(len(now)), last)
    of_last, of_earlier = (Limited(*share_of(band.sides[0], mask, 0.95)) for mask in (is_last, now & ~is_last))
    if difference_limits(Limited(*share_of(band.sides[1], was, 0.95)), of_last).low > 0:
        return True
    return False if difference_limits(of_last, of_earlier).low > 0 else None


def _affected(made: Made, band: Band) -> tuple[Array, Array]:
    """Return which requests of a band are affected, now and in the baseline; all of them where nobody is named."""
    named = made.affected(band)
    now, was = (np.ones(count, bool) for count in band.trace_counts)
    return (now, was) if named is None else (named.now, named.was if named.was.any() else was)
