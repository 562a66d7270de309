"""When was an adaptive rule boosted, and to which rate; its windows outside are judged by ``configured_rate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.analysis.sampling.words import counted, number, percent, percents
from tracekit.stats.proportions import share_interval
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.schema import Array
    from tracekit.weights.rules import HeadRule


def boosted_windows(windows: pd.DataFrame, *, level: float = 0.95) -> Array:
    """Return which windows hold more traces than the fixed rate explains.

    Parameters
    ----------
    windows
        ``traces`` and their ``mean`` under the fixed rate, in the order of time.
    level
        1 - level is the share of false ones among them.

    Returns
    -------
    numpy.ndarray
        bool, one a window.

    Notes
    -----
    The chance of so many or more, Poisson with the mean (wider than what the sampler does), after Benjamini and
    Hochberg.  A boost lasts a minute at most, so windows should be no longer.

    Examples
    --------
    >>> boosted_windows(pd.DataFrame({"traces": [5, 7, 60, 4], "mean": [5.0, 5.0, 5.0, 5.0]}))
    array([False, False,  True, False])
    """
    chance = stats.poisson.sf(windows["traces"].to_numpy() - 1, np.maximum(windows["mean"].to_numpy(), 1e-12))
    return np.asarray(false_discovery(chance) < 1 - level)


def beside(raised: Array) -> Array:
    """Return the boosted windows and those beside them, which a boost may reach into.

    Examples
    --------
    >>> beside(np.array([False, False, True, False]))
    array([False,  True,  True,  True])
    """
    wider = raised.copy()
    wider[1:] |= raised[:-1]
    wider[:-1] |= raised[1:]
    return wider


def boosts_of(windows: pd.DataFrame, raised: Array, rule: HeadRule, *, level: float = 0.95) -> pd.DataFrame:
    """Return one row a boost: a run of boosted windows.

    Parameters
    ----------
    windows
        ``start_ns``, ``requests``, ``traces`` and their ``mean`` under the fixed rate, in the order of time.
    raised
        Which of them are boosted.
    rule
        With the most that a boost may keep.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        ``rule``, ``start_time``, ``requests``, ``traces``, ``estimate`` (the share kept) with ``ci_low`` and
        ``ci_high``; ``status``: ``fail`` where the lower limit lies above the most allowed, else ``measured``.

    Examples
    --------
    >>> from tracekit.weights.rules import HeadRule
    >>> windows = pd.DataFrame({"start_ns": [0, 60, 120], "requests": [100, 100, 100], "traces": [5, 60, 4]})
    >>> windows["mean"] = 5.0
    >>> rule = HeadRule("pay", 0.05, max_rate=0.5)
    >>> boosts_of(windows, np.array([False, True, False]), rule)[["traces", "estimate", "status"]].values.tolist()
    [[60, 0.6, 'fail']]
    """
    run = np.cumsum(np.diff(np.concatenate(([0], raised.astype(np.int64)))) == 1)
    held = windows[raised].assign(run=run[raised]).groupby("run")
    table = held.agg(
        start_ns=("start_ns", "min"), requests=("requests", "sum"), traces=("traces", "sum"), mean=("mean", "sum")
    )
    reservoir = ((table["mean"] / table["requests"] - rule.rate) / (1 - rule.rate)).clip(0, 1) if rule.rate < 1 else 0
    low, high = share_interval(table["traces"].to_numpy(), table["requests"].to_numpy(), level=level)
    beyond = (low > reservoir + (1 - reservoir) * rule.max_rate) | (table["traces"] > table["requests"])
    return pd.DataFrame(
        {"rule": rule.name, "start_time": pd.to_datetime(table["start_ns"], utc=True), "requests": table["requests"],
         "traces": table["traces"], "estimate": table["traces"] / table["requests"], "ci_low": low, "ci_high": high,
         "status": np.where(beyond, "fail", "measured")}
    ).reset_index(drop=True)  # fmt: skip


def in_words(boosts: pd.DataFrame, rule: HeadRule, *, level: float = 0.95) -> str:
    """Return what the boosts kept, as the middle of a sentence.

    Examples
    --------
    >>> from tracekit.weights.rules import HeadRule
    >>> boosts = pd.DataFrame({"requests": [100], "traces": [40]})
    >>> in_words(boosts, HeadRule("pay", 0.05, max_rate=0.5))
    ' outside 1 boost, which kept 40 % (30.9-49.8 %) of 100 requests where 50 % are allowed'
    >>> in_words(boosts[:0], HeadRule("pay", 0.05, max_rate=0.5))
    ', without a boost'
    """
    if not len(boosts):
        return ", without a boost"
    kept, asked = float(boosts["traces"].sum()), float(boosts["requests"].sum())
    low, high = share_interval(kept, asked, level=level)
    return (
        f" outside {counted(len(boosts), 'boost')}, which kept {percent(kept / asked)}"
        f" ({percents(float(low), float(high))}) of {number(asked)} requests where {percent(rule.max_rate)} are allowed"
    )
