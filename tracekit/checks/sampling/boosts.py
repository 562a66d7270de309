"""When was an adaptive rule boosted, and to which rate; its windows outside are judged by ``configured_rate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from tracekit.checks.sampling.words import counted, number, percent, percents
from tracekit.stats.proportions import share_interval
from tracekit.stats.tests import false_discovery

if TYPE_CHECKING:
    from tracekit.schema import Array
    from tracekit.weights.rules import HeadRule


def boosted_windows(windows: pd.DataFrame, *, confidence: float = 0.95) -> Array:
    """Return which windows hold more traces than the fixed rate explains.

    The chance of so many or more, Poisson with the mean (wider than what the sampler does), after Benjamini and
    Hochberg.  A boost lasts a minute at most, so windows should be no longer.
    """
    chance = stats.poisson.sf(windows["traces"].to_numpy() - 1, np.maximum(windows["mean"].to_numpy(), 1e-12))
    return np.asarray(false_discovery(chance) < 1 - confidence)


def beside(raised: Array) -> Array:
    """Return the boosted windows and those beside them, which a boost may reach into."""
    wider = raised.copy()
    wider[1:] |= raised[:-1]
    wider[:-1] |= raised[1:]
    return wider


def boosts_of(windows: pd.DataFrame, raised: Array, rule: HeadRule, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return one row a boost: a run of boosted windows."""
    run = np.cumsum(np.diff(np.concatenate(([0], raised.astype(np.int64)))) == 1)
    held = windows[raised].assign(run=run[raised]).groupby("run")
    table = held.agg(
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


def in_words(boosts: pd.DataFrame, rule: HeadRule, *, confidence: float = 0.95) -> str:
    """Return what the boosts kept, as the middle of a sentence."""
    if not len(boosts):
        return ", without a boost"
    kept, asked = float(boosts["traces"].sum()), float(boosts["requests"].sum())
    low, high = share_interval(kept, asked, confidence=confidence)
    return (
        f" outside {counted(len(boosts), 'boost')}, which kept {percent(kept / asked)}"
        f" ({percents(float(low), float(high))}) of {number(asked)} requests where {percent(rule.max_rate)} are allowed"
    )
