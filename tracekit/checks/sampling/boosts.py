"""Boosts of an adaptive sampling rule; ``configured_rate`` assesses the windows outside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.words import counted, number, percent, percents
from tracekit.stats.proportions import share_interval
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.schema import Array
    from tracekit.weights.rules import HeadRule


def boosted_windows(windows: pd.DataFrame, *, confidence: float = 0.95) -> Array:
    """Return the windows with significantly more traces than the fixed rate explains.

    Probability of as many traces, Poisson with the mean (wider than the sampler's distribution), after
    Benjamini-Hochberg.  A boost lasts a minute at most, so windows should be no longer.
    """
    chance = stats.poisson.sf(windows["traces"].to_numpy() - 1, np.maximum(windows["mean"].to_numpy(), 1e-12))
    return np.asarray(false_discovery(chance) < 1 - confidence)


def with_adjacent(raised: Array) -> Array:
    """Return the boosted and the adjacent windows, which a boost may extend into."""
    wider = raised.copy()
    wider[1:] |= raised[:-1]
    wider[:-1] |= raised[1:]
    return wider


def boosts_of(windows: pd.DataFrame, raised: Array, rule: HeadRule, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return one row per boost: a run of boosted windows."""
    run = np.cumsum(np.diff(np.concatenate(([0], raised.astype(np.int64)))) == 1)
    runs = windows[raised].assign(run=run[raised]).groupby("run")
    table = runs.agg(
        start_ns=("start_ns", "min"), requests=("requests", "sum"), traces=("traces", "sum"), mean=("mean", "sum")
    )
    reservoir = ((table["mean"] / table["requests"] - rule.rate) / (1 - rule.rate)).clip(0, 1) if rule.rate < 1 else 0
    low, high = share_interval(table["traces"].to_numpy(), table["requests"].to_numpy(), confidence=confidence)
    beyond = (low > reservoir + (1 - reservoir) * rule.max_rate) | (table["traces"] > table["requests"])
    return pd.DataFrame(
        {"rule": rule.name, "start_time": pd.to_datetime(table["start_ns"], utc=True), "requests": table["requests"],
         "traces": table["traces"], "estimate": table["traces"] / table["requests"], "estimate_low": low,
         "estimate_high": high, "status": np.where(beyond, "failed", "measured")}
    ).reset_index(drop=True)  # fmt: skip


def boost_clause(boosts: pd.DataFrame, rule: HeadRule, *, confidence: float = 0.95) -> str:
    """Return the requests that the boosts kept, as the middle of a sentence."""
    if not len(boosts):
        return ", without a boost"
    kept, requested = float(boosts["traces"].sum()), float(boosts["requests"].sum())
    low, high = share_interval(kept, requested, confidence=confidence)
    return (
        f" outside {counted(len(boosts), 'boost')}, which kept {percent(kept / requested)}"
        f" ({percents(float(low), float(high))}) of {number(requested)} requests; {percent(rule.max_rate)} are allowed"
    )
