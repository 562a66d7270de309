"""Burn rates over pairs of windows: how fast the error budget was spent, and when alerts would have fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from tracekit.stats.grouping import sum_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_SECOND: Final = 1_000_000_000
_STEPS: Final = 10  # evaluations per short window
_COLUMNS: Final = (
    "severity", "long_s", "short_s", "burn_rate_threshold", "burn_rate_long", "burn_rate_short", "covered_ratio",
    "is_firing", "fired_s", "first_fired_time", "last_fired_time",
)  # fmt: skip


class BurnRule(NamedTuple):
    """An alert on two windows: it fires while the burn rates of both are above the threshold.

    Parameters
    ----------
    long_s, short_s
        Lengths of the windows in seconds.
    burn_rate
        Threshold; at 1 the budget is spent exactly at the end of the period.
    severity
        ``page`` or ``ticket``, or any other word.

    Examples
    --------
    Two alerts for a service whose recordings are short:

    >>> rules = [tk.BurnRule(600, 60, 14.4, "page"), tk.BurnRule(3600, 300, 6, "ticket")]
    >>> len(tk.slo(shop.with_weights(1), objective=0.999, rules=rules).alerts)
    2
    """

    long_s: float
    short_s: float
    burn_rate: float
    severity: str


SRE_WORKBOOK: Final = (
    BurnRule(3600, 300, 14.4, "page"),
    BurnRule(6 * 3600, 1800, 6, "page"),
    BurnRule(3 * 86_400, 6 * 3600, 1, "ticket"),
)
"""Rules for a period of 30 days: 2%, 5% and 10% of the budget (The Site Reliability Workbook, chapter 5)."""


class Requests(NamedTuple):
    """Requests in order of start: start in ns, whether each spent budget, and its sampling weight."""

    start_ns: Array
    is_bad: Array
    weight: Array

    def moved_to(self, times_ns: Array) -> Requests:
        """Return the sums of the weights of good and bad requests, each moved to the next of some times.

        ``times_ns``: ascending, up to the last request.  Windows that begin and end at such times have the same sums.

        Examples
        --------
        >>> requests = Requests(np.array([1, 2, 5]), np.array([True, False, False]), np.array([1.0, 2.0, 4.0]))
        >>> moved = requests.moved_to(np.array([2, 5]))
        >>> moved.start_ns.tolist(), moved.is_bad.tolist(), moved.weight.tolist()
        ([2, 2, 5, 5], [False, True, False, True], [2.0, 1.0, 4.0, 0.0])
        """
        place = np.searchsorted(times_ns, self.start_ns) * 2 + self.is_bad
        is_bad = np.tile(np.array([False, True]), len(times_ns))
        return Requests(np.repeat(times_ns, 2), is_bad, sum_by(place, self.weight, len(is_bad)))


def burn_rates(requests: Requests, end_ns: Array, length_s: float, budget: float) -> Array:
    """Return the burn rate of the window before each time: its bad ratio per budget; NaN without requests.

    Examples
    --------
    >>> requests = Requests(np.array([0, 10, 20]), np.array([True, False, False]), np.ones(3))
    >>> burn_rates(requests, np.array([5, 25]), 20e-9, budget=0.1).tolist()
    [10.0, 0.0]
    """
    bad = np.concatenate([[0.0], np.cumsum(requests.weight * requests.is_bad)])
    every = np.concatenate([[0.0], np.cumsum(requests.weight)])
    high = np.searchsorted(requests.start_ns, end_ns, "right")
    low = np.searchsorted(requests.start_ns, end_ns - round(length_s * _SECOND), "right")
    total = every[high] - every[low]
    share = np.divide(bad[high] - bad[low], total, out=np.full(len(total), np.nan), where=total > 0)
    return np.asarray(share / budget)


def alerts(requests: Requests, rules: Sequence[BurnRule], budget: float) -> pd.DataFrame:
    """Return one row per rule: its burn rates at the end, and when it fired.

    ``severity``, ``long_s``, ``short_s``, ``burn_rate_threshold``, ``burn_rate_long`` and ``burn_rate_short`` (of the
    windows that end with the recording), ``covered_ratio`` (of the long window by the recording), ``is_firing`` (at the
    end), ``fired_s`` (in total), ``first_fired_time``, ``last_fired_time`` (UTC).  Times are exact to a tenth of the
    short window.  The part of a window before the recording counts as good, with the same request rate: an alert that
    fires has fired whatever was before.
    """
    first, last = (int(requests.start_ns[at]) for at in (0, -1)) if len(requests.start_ns) else (0, 0)
    rows = [_alert(requests, rule, budget, first, last) for rule in rules]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    for name in ("first_fired_time", "last_fired_time"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def _alert(requests: Requests, rule: BurnRule, budget: float, first: int, last: int) -> tuple[object, ...]:
    """Return the row of one rule."""
    ends = _ends(rule, first, last)
    long, short = (burn_rates(requests, ends, length, budget) for length in (rule.long_s, rule.short_s))
    fires = np.ones(len(ends), bool)
    for rate, length in ((long, rule.long_s), (short, rule.short_s)):
        fires &= rate * np.minimum((ends - first) / (length * _SECOND), 1) > rule.burn_rate
    fired = ends[fires]
    return (
        *(rule.severity, rule.long_s, rule.short_s, rule.burn_rate),
        *(long[-1], short[-1], min((last - first) / (rule.long_s * _SECOND), 1.0)),
        bool(fires[-1]),
        float(np.diff(ends, append=last)[fires].sum()) / _SECOND,
        *((fired[0], fired[-1]) if len(fired) else (None, None)),
    )


def _ends(rule: BurnRule, first: int, last: int) -> Array:
    """Return the times at which a rule is evaluated."""
    step = max(round(rule.short_s * _SECOND / _STEPS), 1)
    return np.append(np.arange(first, last, step), last)


def times_of(rules: Sequence[BurnRule], first: int, last: int) -> Array:
    """Return the times at which the windows of some rules begin or end, from the first request to the last.

    Examples
    --------
    >>> times_of([BurnRule(4e-9, 2e-9, 1, "page")], 10, 12).tolist()
    [10, 11, 12]
    """
    times = [np.array([first, last], np.int64)]
    for rule in rules:
        ends = _ends(rule, first, last)
        times += [ends, *(ends - round(length * _SECOND) for length in (rule.long_s, rule.short_s))]
    found = np.unique(np.concatenate(times))
    return found[found >= first]
